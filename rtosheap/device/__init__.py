"""Memory of a device, however it is had: dumps, Intel HEX, ELF, and the symbols of its firmware."""

from rtosheap.device.dump import Dump, load_dump
from rtosheap.device.elf import Elf, Member, Section, Segment, Symbol, read_firmware
from rtosheap.device.memory import Arena, Memory, load_memory
from rtosheap.device.symbols import Symbols, find_arena, find_regions, load_symbols

__all__ = [
    "Arena",
    "Dump",
    "Elf",
    "Member",
    "Memory",
    "Section",
    "Segment",
    "Symbol",
    "Symbols",
    "find_arena",
    "find_regions",
    "load_dump",
    "load_memory",
    "load_symbols",
    "read_firmware",
]
