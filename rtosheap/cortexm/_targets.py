"""The processors: compiler flags, and the boards that QEMU has for them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BOARDS", "CPUS", "Board", "Cpu", "cpu_named"]


class Cpu(NamedTuple):
    """A Cortex-M.

    Attributes
    ----------
    name : str
        As compilers call it.
    unicorn : str
        The model of it that Unicorn runs: ``UC_CPU_ARM_...`` without the prefix.
    board : str
        The board of `BOARDS` that QEMU runs it on.
    zig : str
        The target triple for ``zig cc``.
    cycles : (int, int) or None
        The least and the most cycles of an instruction that these heaps are made of, where the
        core's manual gives them.
    """

    name: str
    unicorn: str
    board: str
    zig: str
    cycles: tuple[int, int] | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """For a compiler."""
        return (f"-mcpu={self.name}", "-mthumb")


class Board(NamedTuple):
    """A board that QEMU knows."""

    machine: str
    script: str  # in csrc/cortexm/boards
    arena_address: int
    arena_size: int


_CPUS = (
    Cpu("cortex-m0", "CORTEX_M0", "microbit", "thumb-freestanding-eabi", None),
    # QEMU and Unicorn have no M0+; it runs the same instructions (Armv6-M).
    Cpu("cortex-m0plus", "CORTEX_M0", "microbit", "thumb-freestanding-eabi", None),
    Cpu("cortex-m3", "CORTEX_M3", "mps2-an385", "thumb-freestanding-eabi"),
    Cpu("cortex-m4", "CORTEX_M4", "mps2-an386", "thumb-freestanding-eabi"),
    Cpu("cortex-m7", "CORTEX_M7", "mps2-an500", "thumb-freestanding-eabi"),
    Cpu("cortex-m33", "CORTEX_M33", "mps2-an505", "thumb-freestanding-eabi"),
)
#: The processors, by name.
CPUS: dict[str, Cpu] = {cpu.name: cpu for cpu in _CPUS}

#: The boards, by the name that QEMU has for them.
BOARDS: dict[str, Board] = {
    board.machine: board
    for board in (
        Board("microbit", "microbit.ld", 0x2000_0000, 12 << 10),
        Board("mps2-an385", "mps2.ld", 0x2000_0000, 3 << 20),
        Board("mps2-an386", "mps2.ld", 0x2000_0000, 3 << 20),
        Board("mps2-an500", "mps2.ld", 0x2000_0000, 3 << 20),
        Board("mps2-an505", "mps2-an505.ld", 0x3800_0000, 3 << 20),
    )
}


def cpu_named(name: str) -> Cpu:
    """The processor of this name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> cpu_named("cortex-m33").board
    'mps2-an505'
    """
    try:
        return CPUS[name]
    except KeyError:
        raise ValueError(f"cpu is {name!r}; it must be one of {', '.join(CPUS)}") from None
