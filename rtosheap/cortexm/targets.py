"""The processors: compiler flags, and the boards that QEMU has for them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BOARDS", "CPUS", "INSTALL", "Board", "Cpu", "Timing", "cpu_named"]

#: What brings the packages that are needed here, to a clone as to what was installed.
INSTALL = "pip install unicorn ziglang pyelftools 'capstone<6'"


class Timing(NamedTuple):
    """Cycles of the instructions that a manual gives them for, memory without wait states.

    What is not named takes one cycle, a load or store of one word two; N registers pushed, popped,
    loaded or stored 1 + N, lr and pc among them.
    """

    source: str
    branch: int  # taken
    call: int
    branch_register: int
    pop_pc: int  # and N
    multiply: int  # at most; 1 at least


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
    timing : Timing or None
        Where the core's manual gives cycles for every instruction that these heaps are made of.

    Examples
    --------
    >>> from rtosheap.cortexm import CPUS
    >>> CPUS["cortex-m4"].flags
    ('-mcpu=cortex-m4', '-mthumb')
    >>> CPUS["cortex-m0"].timing.source
    'Arm Cortex-M0 Technical Reference Manual, DDI 0432, table 3-1'
    """

    name: str
    unicorn: str
    board: str
    timing: Timing | None = None

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


_M0 = Timing(
    source="Arm Cortex-M0 Technical Reference Manual, DDI 0432, table 3-1",
    branch=3,
    call=4,
    branch_register=3,
    pop_pc=4,
    multiply=32,
)
_M0_PLUS = Timing(
    source="Arm Cortex-M0+ Technical Reference Manual, DDI 0484, table 3-1",
    branch=2,
    call=3,
    branch_register=2,
    pop_pc=3,
    multiply=32,
)
_CPUS = (
    Cpu("cortex-m0", "CORTEX_M0", "microbit", _M0),
    # QEMU and Unicorn have no M0+; the M0 has the same instructions (Armv6-M).
    Cpu("cortex-m0plus", "CORTEX_M0", "microbit", _M0_PLUS),
    Cpu("cortex-m3", "CORTEX_M3", "mps2-an385"),
    Cpu("cortex-m4", "CORTEX_M4", "mps2-an386"),
    Cpu("cortex-m7", "CORTEX_M7", "mps2-an500"),
    Cpu("cortex-m33", "CORTEX_M33", "mps2-an505"),
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
