"""The program of firmware/device_program.c as a library of this process: a target to look at."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import ctools
from needs import ROOT

from rtosheap.device import Elf, Memory, load_symbols

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import tools

CSRC = ROOT / "csrc"
FIRMWARE = Path(__file__).parent / "firmware"


class Live:
    """The program after it has run, in this process's own memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.library: Any = ctypes.CDLL(str(path))
        self.library.device_run()
        here = self.address("app")
        there = load_symbols(path).table["app"][0]
        self.elf = Elf(path.read_bytes(), path.name).moved_by(here - there)

    def address(self, variable: str) -> int:
        """Where a variable is that the library shows."""
        return ctypes.addressof(ctypes.c_char.in_dll(self.library, variable))

    def pointer(self, variable: str) -> int:
        """What it points to."""
        return int(ctypes.c_size_t.in_dll(self.library, variable).value)

    def memory(self) -> Memory:
        """The process's memory, read as it is asked for."""
        return Memory((), _read)

    def write(self, address: int, data: bytes) -> None:
        """Write over what is there."""
        ctypes.memmove(address, data, len(data))


def _read(address: int, size: int) -> bytes | None:
    descriptor = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        data = os.pread(descriptor, size, address)
    except (OSError, OverflowError):
        return None
    finally:
        os.close(descriptor)
    return data if len(data) == size else None


def compile_program(path: Path, heap: int, *flags: str) -> Path:
    """The program over a drop-in file."""
    includes = [f"-I{CSRC / name}" for name in ("core", "cortexm", "cortexm/kernel")]
    ctools.run([
        tools.require("gcc"), "-std=c11", "-g", "-O1", *includes, f"-DDEVICE_HEAP={heap}", *flags,
        CSRC / "freertos" / f"heap_{heap}.c", FIRMWARE / "device_program.c",
        FIRMWARE / "device_tasks.c", "-o", path,
    ])  # fmt: skip
    return path


def build(folder: Path, heap: int, *flags: str) -> Live:
    """The program as a library of this process."""
    path = folder / f"program_{heap}.so"
    return Live(compile_program(path, heap, "-fPIC", "-shared", *flags))
