"""The instructions of an image, as far as control flow asks: where each may continue."""

from __future__ import annotations

import bisect
import importlib
from typing import Any, NamedTuple

from rtosheap.cortexm.machine import MachineError
from rtosheap.cortexm.targets import INSTALL
from rtosheap.device import read_firmware

__all__ = ["Code", "CodeError", "Instruction"]


class CodeError(ValueError):
    """Control flow that cannot be followed, or a loop of which nothing says how often it turns."""


class Instruction(NamedTuple):
    """One instruction.

    Attributes
    ----------
    address, size : int
    text : str
        As an assembler writes it.
    kind : str
        ``"plain"``, ``"jump"``, ``"call"``, ``"return"`` or ``"trap"``.
    targets : tuple of int
        Where a jump or a call leads.
    falls : bool
        Whether what follows it may be the next: always but after a jump, return or trap without a
        condition.
    """

    address: int
    size: int
    text: str
    kind: str
    targets: tuple[int, ...]
    falls: bool


class Code:
    """What an image holds, one instruction at a time.

    Parameters
    ----------
    image : bytes
        An ELF file for a Cortex-M.
    """

    def __init__(self, image: bytes) -> None:
        try:
            self._arm: Any = importlib.import_module("capstone.arm")
            capstone: Any = importlib.import_module("capstone")
        except ImportError:
            raise MachineError(
                f"reading machine code needs the package capstone: {INSTALL}"
            ) from None
        mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
        self._reader: Any = capstone.Cs(capstone.CS_ARCH_ARM, mode)
        self._reader.detail = True
        self._groups = capstone
        elf = read_firmware(image)
        self._segments = [(s.address, s.data) for s in elf.segments]
        functions = [s for s in elf.symbols or () if s.kind == "function" and s.size > 0]
        #: Where each function begins, by its name.
        self.functions = {s.name: s.value & ~1 for s in functions}
        self._starts = sorted((s.value & ~1, s.size, s.name) for s in functions)

    def function(self, name: str) -> int:
        """Where the function of this name begins."""
        if name not in self.functions:
            raise CodeError(f"the image has no function {name}")
        return self.functions[name]

    def name_of(self, address: int) -> str:
        """The function that holds an address, or the address."""
        at = bisect.bisect_right(self._starts, (address, 1 << 32, "")) - 1
        if at >= 0 and address < self._starts[at][0] + self._starts[at][1]:
            return self._starts[at][2]
        return f"{address:#x}"

    def begins(self, address: int) -> bool:
        """Whether a function begins there."""
        at = bisect.bisect_left(self._starts, (address, 0, ""))
        return at < len(self._starts) and self._starts[at][0] == address

    def run(self, address: int) -> list[Instruction]:
        """The instructions from an address up to one after which the next is never reached."""
        found: list[Instruction] = []
        conditional = 0  # so many of the next are in an IT block
        while not found or found[-1].falls:
            raw = self._raw(address)
            code = int.from_bytes(raw[:2], "little")
            decoded = next(self._reader.disasm(raw, address, 1), None)
            if decoded is None:
                raise CodeError(f"{self._where(address)}: no instruction: {raw.hex()}")
            found.append(self._classified(decoded, conditional > 0))
            conditional = max(conditional - 1, 0)
            if code >> 8 == 0xBF and code & 15:  # IT
                conditional = 4 - ((code & -code).bit_length() - 1)
            address += decoded.size
        return found

    def _raw(self, address: int) -> bytes:
        for start, data in self._segments:
            if start <= address < start + len(data):
                return data[address - start : address - start + 4]
        raise CodeError(f"control leads to {address:#x}, where the image has nothing")

    def _where(self, address: int) -> str:
        return f"{self.name_of(address)} at {address:#x}"

    def _classified(self, one: Any, conditional: bool) -> Instruction:
        arm = self._arm
        text = f"{one.mnemonic} {one.op_str}".strip()
        _, written = one.regs_access()

        def made(kind: str, targets: tuple[int, ...] = (), falls: bool = False) -> Instruction:
            return Instruction(one.address, one.size, text, kind, targets, falls or conditional)

        if one.id in (arm.ARM_INS_CBZ, arm.ARM_INS_CBNZ):
            return made("jump", (one.operands[1].imm,), True)
        if one.id == arm.ARM_INS_B:
            return made("jump", (one.operands[0].imm,), one.cc != arm.ARM_CC_AL)
        if one.id == arm.ARM_INS_BL:
            target = one.operands[0].imm
            if not self.begins(target):  # of an Armv6-M compiler that must jump far
                return made("jump", (target,))
            return made("call", (target,), True)
        if one.id == arm.ARM_INS_UDF:
            return made("trap")
        registers = [o.reg for o in one.operands if o.type == arm.ARM_OP_REG]
        if one.id == arm.ARM_INS_BX and registers == [arm.ARM_REG_LR]:
            return made("return")
        if one.id == arm.ARM_INS_MOV and registers == [arm.ARM_REG_PC, arm.ARM_REG_LR]:
            return made("return")
        if one.id == arm.ARM_INS_POP or arm.ARM_REG_SP in written:
            if arm.ARM_REG_PC in registers or arm.ARM_REG_PC in written:
                return made("return")
            return made("plain", (), True)
        strays = arm.ARM_REG_PC in written or one.group(self._groups.CS_GRP_JUMP)
        if strays or one.group(self._groups.CS_GRP_CALL):
            raise CodeError(f"{self._where(one.address)}: {text!r} leads to an address unknown")
        return made("plain", (), True)
