"""Memory of a device, of files or of a gdb server, and the symbols of its firmware."""

from rtosheap.device.core import write_core
from rtosheap.device.dump import Dump, find_heap, firmware_of, load_dump
from rtosheap.device.elf import Elf, Member, Section, Segment, Symbol, read_firmware
from rtosheap.device.memory import Arena, Memory, load_memory
from rtosheap.device.pointers import Pointer, find_pointers, variable_at
from rtosheap.device.symbols import (
    Symbols,
    find_arena,
    find_kind,
    find_regions,
    load_symbols,
    read_elf,
)
from rtosheap.device.target import Target
from rtosheap.device.tasks import Task, Tasks, find_tasks

__all__ = [
    "Arena",
    "Dump",
    "Elf",
    "Member",
    "Memory",
    "Pointer",
    "Section",
    "Segment",
    "Symbol",
    "Symbols",
    "Target",
    "Task",
    "Tasks",
    "find_arena",
    "find_heap",
    "find_kind",
    "find_pointers",
    "find_regions",
    "find_tasks",
    "firmware_of",
    "load_dump",
    "load_memory",
    "load_symbols",
    "read_elf",
    "read_firmware",
    "variable_at",
    "write_core",
]
