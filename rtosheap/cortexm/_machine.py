"""A Cortex-M in Unicorn, whose instructions are counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rtosheap.cortexm._elf import Elf
from rtosheap.cortexm._targets import Cpu

__all__ = ["Call", "Machine", "MachineError"]

_PAGE = 4096
_ROM_BYTES = 1 << 20
_LIMIT = 200_000_000  # instructions of one call: more is a loop without end


class MachineError(RuntimeError):
    """The program did what no program should: a fault, or a loop without end."""


class Call(NamedTuple):
    """What a function returned, and the instructions from its first to its return."""

    result: int
    instructions: int


class Machine:
    """Memory and a processor, with an image loaded and reset.

    Every instruction that is fetched and passed counts as one; so does one in an IT block whose
    condition fails, since it takes its time all the same.

    Parameters
    ----------
    image : bytes
        An ELF file with ROM at 0.
    cpu : Cpu
        The processor.
    ram : iterable of (int, int)
        Address and size of each piece of RAM. The stack is the image's affair.
    """

    def __init__(self, image: bytes, cpu: Cpu, ram: Iterable[tuple[int, int]]) -> None:
        try:
            import unicorn
            from unicorn import arm_const
        except ImportError:
            raise MachineError(
                "running an image needs the package unicorn: pip install 'rtosheap[cortexm]'"
            ) from None
        self._unicorn = unicorn
        self._registers = (
            arm_const.UC_ARM_REG_R0,
            arm_const.UC_ARM_REG_R1,
            arm_const.UC_ARM_REG_R2,
            arm_const.UC_ARM_REG_R3,
        )
        self._lr, self._sp = arm_const.UC_ARM_REG_LR, arm_const.UC_ARM_REG_SP
        elf = Elf(image)
        self.symbols = elf.symbols
        mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        self._uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
        self._uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{cpu.unicorn}"))
        self._uc.mem_map(0, _ROM_BYTES)
        for address, size in _pages(ram):
            self._uc.mem_map(address, size)
        self._rom = bytearray(_ROM_BYTES)
        for segment in elf.segments:
            self._rom[segment.address : segment.address + len(segment.data)] = segment.data
        self._uc.mem_write(0, bytes(self._rom))
        self._count = 0
        self._blocks: dict[tuple[int, int], int] = {}
        # Before anything runs: what was translated without the hook is never counted.
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block, begin=0, end=_ROM_BYTES - 1)
        self._stop = self.symbols["rh_exit"] & ~1
        self._top = int.from_bytes(self._rom[:4], "little")
        self._run(int.from_bytes(self._rom[4:8], "little"))

    def call(self, function: str, *arguments: int) -> Call:
        """Call a function of the image with up to four words.

        Raises
        ------
        MachineError
            If it faults, or does not return.
        """
        for register, value in zip(self._registers, arguments, strict=False):
            self._uc.reg_write(register, value)
        count = self._run(self.symbols[function])
        return Call(self._uc.reg_read(self._registers[0]), count)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of its memory."""
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Change its memory."""
        self._uc.mem_write(address, data)

    def _run(self, start: int) -> int:
        self._uc.reg_write(self._sp, self._top)
        self._uc.reg_write(self._lr, self._stop | 1)
        self._count = 0
        try:
            self._uc.emu_start(start | 1, self._stop)
        except self._unicorn.UcError as error:
            raise MachineError(f"the image stopped at {start:#x}: {error}") from None
        if self._count > _LIMIT:
            raise MachineError(f"the function at {start:#x} did not return")
        return self._count

    def _on_block(self, uc: Any, address: int, size: int, data: Any) -> None:
        count = self._blocks.get((address, size))
        if count is None:
            count = (
                0 if address == self._stop else instructions(self._rom[address : address + size])
            )
            self._blocks[address, size] = count
        self._count += count
        if self._count > _LIMIT:
            uc.emu_stop()


def instructions(code: bytes) -> int:
    """The number of Thumb instructions in a run of bytes.

    Examples
    --------
    >>> instructions(bytes.fromhex("7047")), instructions(bytes.fromhex("00f000f87047"))
    (1, 2)
    """
    at = count = 0
    while at < len(code):
        at += 4 if code[at + 1] >> 3 in (0b11101, 0b11110, 0b11111) else 2
        count += 1
    return count


def _pages(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Whole pages that cover the pieces, those that touch joined."""
    joined: list[list[int]] = []
    for address, size in sorted(pieces):
        start = address // _PAGE * _PAGE
        end = -(-(address + size) // _PAGE) * _PAGE
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return [(start, end - start) for start, end in joined]
