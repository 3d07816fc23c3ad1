"""Pieces of memory as an ELF core file."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from rtosheap.device.elf import MAGIC
from rtosheap.device.memory import joined

__all__ = ["write_core"]

_CORE, _LOAD, _READ_WRITE = 4, 1, 6
_MACHINES = {"EM_386": 3, "EM_ARM": 40, "EM_X86_64": 62, "EM_XTENSA": 94, "EM_RISCV": 243}


def write_core(
    pieces: Iterable[tuple[int, bytes]], *, word: int = 4, machine: str = "EM_ARM"
) -> bytes:
    """An ELF core file, little-endian, that holds these pieces of memory and no registers.

    Parameters
    ----------
    pieces : iterable of (address, bytes)
        In any order; what overlaps is joined.
    word : {4, 8}
        Bytes of an address.
    machine : str
        The processor, as ELF names it; one that is not known here is written as none.

    Returns
    -------
    bytes
        The file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from rtosheap import Heap4
    >>> from rtosheap.device import load_dump
    >>> Path("ram.core").write_bytes(write_core([(0x2000_0000, bytes(Heap4(1024).memory))]))
    1108
    >>> dump = load_dump("ram.core", 4)
    >>> hex(dump.base_address), len(dump.memory)
    ('0x20000000', 1024)
    """
    segments = joined(pieces)
    ident = MAGIC + bytes([word // 4, 1, 1]) + bytes(9)
    header, entry = ("HHIIIIIHHHHHH", "IIIIIIII") if word == 4 else ("HHIQQQIHHHHHH", "IIQQQQQQ")
    header_bytes, entry_bytes = 16 + struct.calcsize("<" + header), struct.calcsize("<" + entry)
    out = bytearray(ident)
    out += struct.pack(
        "<" + header, _CORE, _MACHINES.get(machine, 0), 1, 0, header_bytes, 0, 0, header_bytes,
        entry_bytes, len(segments), 0, 0, 0,
    )  # fmt: skip
    at = header_bytes + entry_bytes * len(segments)
    for address, data in segments:
        size = len(data)
        if word == 4:
            fields = (_LOAD, at, address, address, size, size, _READ_WRITE, 1)
        else:
            fields = (_LOAD, _READ_WRITE, at, address, address, size, size, 1)
        out += struct.pack("<" + entry, *fields)
        at += size
    for _, data in segments:
        out += data
    return bytes(out)
