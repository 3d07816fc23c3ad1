"""A Cortex-M in Unicorn, whose instructions are counted."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from rtosheap.cortexm.targets import INSTALL, Cpu, Timing
from rtosheap.device import read_firmware

__all__ = ["Call", "Machine", "MachineError"]

_PAGE = 4096
_ROM_BYTES = 1 << 20
_LIMIT = 200_000_000  # instructions of one call: more is a loop without end


class MachineError(RuntimeError):
    """The program did what no program should: a fault, or a loop without end.

    Attributes
    ----------
    reason : str
        What it did, in a word: ``"crash"``, ``"stuck"`` (more instructions in one call than any
        needs); of an allocator that was given as `sources`: ``"outside"``, ``"misaligned"``,
        ``"overlaps"`` (the block that it gave), ``"payload"``, ``"margin"`` (what it wrote to: a
        live block, or beside its arena), ``"lost"`` (what realloc should have kept).
    event : int or None
        The event of the trace at which it happened, where one was running.

    Examples
    --------
    >>> error = MachineError("event 12, malloc(24): the block overlaps another", "overlaps", 12)
    >>> error.reason, error.event
    ('overlaps', 12)
    """

    def __init__(self, message: str, reason: str = "", event: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.event = reason, event


class Cost(NamedTuple):
    """Of a run of instructions: how many, and between how many cycles they take (0: not known)."""

    instructions: int
    least_cycles: int
    most_cycles: int


class Call(NamedTuple):
    """What a function returned, and the cost from its first instruction to its return."""

    result: int
    instructions: int
    least_cycles: int
    most_cycles: int


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
    limit : int
        Instructions of one call after which it is taken never to return.
    """

    def __init__(
        self, image: bytes, cpu: Cpu, ram: Iterable[tuple[int, int]], limit: int = _LIMIT
    ) -> None:
        try:
            unicorn: Any = importlib.import_module("unicorn")
        except ImportError:
            raise MachineError(f"running an image needs the package unicorn: {INSTALL}") from None
        arm_const: Any = importlib.import_module("unicorn.arm_const")
        self._unicorn = unicorn
        self._registers = [getattr(arm_const, f"UC_ARM_REG_R{number}") for number in range(4)]
        self._lr, self._sp = arm_const.UC_ARM_REG_LR, arm_const.UC_ARM_REG_SP
        self._pc, self._limit = arm_const.UC_ARM_REG_PC, limit
        elf = read_firmware(image)
        self.symbols = {symbol.name: symbol.value for symbol in elf.symbols or ()}
        self._sizes = {symbol.name: symbol.size for symbol in elf.symbols or ()}
        self._apart: list[range] = []
        mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        self._uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
        self._uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{cpu.unicorn}"))
        self._uc.mem_map(0, _ROM_BYTES)
        for address, size in _pages(ram):
            self._uc.mem_map(address, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self._rom = bytearray(_ROM_BYTES)
        for segment in elf.segments:
            at = segment.load_address
            self._rom[at : at + len(segment.data)] = segment.data
        self._uc.mem_write(0, bytes(self._rom))
        self._uc.mem_protect(0, _ROM_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        self._invalid: int | None = None
        self._timing = cpu.timing
        self._count = self._least = self._most = 0
        self._blocks: dict[tuple[int, int], Cost] = {}
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
        cost = self._run(self.symbols[function])
        return Call(self._uc.reg_read(self._registers[0]), *cost)

    def leave_out(self, functions: Iterable[str]) -> None:
        """Count no instruction of these functions from now on, where the image has them."""
        for name in functions:
            if name in self.symbols:
                start = self.symbols[name] & ~1
                self._apart.append(range(start, start + self._sizes[name]))
        self._blocks.clear()

    def read(self, address: int, size: int) -> bytes:
        """Bytes of its memory."""
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Change its memory."""
        self._uc.mem_write(address, data)

    def where(self) -> str:
        """The function that it is in, and the address of the instruction."""
        at = self._uc.reg_read(self._pc)
        inside = [
            name
            for name, value in self.symbols.items()
            if (value & ~1) <= at < (value & ~1) + self._sizes[name]
        ]
        return f"{inside[0]}, at {at:#x}" if inside else f"no function, at {at:#x}"

    def registers(self) -> list[int]:
        """The four registers of a call's arguments, as they are now."""
        return [self._uc.reg_read(register) for register in self._registers]

    def _run(self, start: int) -> Cost:
        self._uc.reg_write(self._sp, self._top)
        self._uc.reg_write(self._lr, self._stop | 1)
        self._count = self._least = self._most = 0
        self._invalid = None
        try:
            self._uc.emu_start(start | 1, self._stop)
        except self._unicorn.UcError as error:
            what = str(error) if self._invalid is None else f"{error}, of {self._invalid:#x}"
            raise MachineError(f"stopped in {self.where()}: {what}", "crash") from None
        if self._count > self._limit:
            raise MachineError(
                f"did not return within {self._limit:,} instructions: it was in {self.where()}",
                "stuck",
            )
        return Cost(self._count, self._least, self._most)

    def _on_block(self, uc: Any, address: int, size: int, data: Any) -> None:
        cost = self._blocks.get((address, size))
        if cost is None:
            code = bytes(self._rom[address : address + size])
            apart = address == self._stop or any(address in part for part in self._apart)
            cost = Cost(0, 0, 0) if apart else cost_of(code, self._timing)
            self._blocks[address, size] = cost
        self._count += cost[0]
        self._least += cost[1]
        self._most += cost[2]
        if self._count > self._limit:
            uc.emu_stop()

    def _on_invalid(
        self, uc: Any, access: int, address: int, size: int, value: int, data: Any
    ) -> bool:
        self._invalid = address
        return False


def cost_of(code: bytes, timing: Timing | None) -> Cost:
    """The cost of a run of Thumb instructions.

    Examples
    --------
    >>> cost_of(bytes.fromhex("00f000f87047"), None)  # bl, bx lr
    Cost(instructions=2, least_cycles=0, most_cycles=0)
    """
    at = count = least = most = 0
    while at < len(code):
        first = int.from_bytes(code[at : at + 2], "little")
        wide = first >> 11 in (0b11101, 0b11110, 0b11111)
        if timing is not None:
            low, high = _cycles(first, wide, timing)
            least += low
            most += high
        at += 4 if wide else 2
        count += 1
    return Cost(count, least, most)


def _cycles(code: int, wide: bool, timing: Timing) -> tuple[int, int]:
    """Cycles of an Armv6-M instruction, by its first halfword: at least, and at most."""

    def exactly(cycles: int) -> tuple[int, int]:
        return cycles, cycles

    if wide:  # of the wide ones compilers use bl alone
        return exactly(timing.call)
    if code >> 12 == 0b1101:  # a conditional branch: taken, or not
        return 1, timing.branch
    if code >> 11 == 0b11100:
        return exactly(timing.branch)
    if code >> 8 == 0b01000111:  # bx, blx
        return exactly(timing.branch_register)
    if code >> 8 in (0b01000100, 0b01000110) and code & 0x87 == 0x87:  # add, mov to pc
        return exactly(timing.branch_register)
    if code >> 6 == 0b0100001101:  # muls
        return 1, timing.multiply
    registers = (code & 0xFF).bit_count()
    if code >> 9 == 0b1011010:  # push; the ninth bit is lr
        return exactly(1 + registers + (code >> 8 & 1))
    if code >> 9 == 0b1011110:  # pop; the ninth bit is pc
        return exactly(timing.pop_pc + registers + 1 if code >> 8 & 1 else 1 + registers)
    if code >> 12 == 0b1100:  # ldm, stm
        return exactly(1 + registers)
    loads = code >> 11 == 0b01001 or code >> 12 in (0b0101, 0b0110, 0b0111, 0b1000, 0b1001)
    return exactly(2 if loads else 1)


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
