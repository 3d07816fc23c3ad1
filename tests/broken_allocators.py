"""Allocators with planted bugs, for the tests of AllocatorMachine: one in Python, one in C."""

from __future__ import annotations

import ctypes
from pathlib import Path

BUGS = (
    "off-by-one split",
    "missing coalesce",
    "lost tail",
    "double use",
    "misalignment",
    "wrong free size",
)

BASE = 0x1000
HEADER = 8


class FirstFit:
    """First fit over an address-ordered list, with a header of 8 bytes; sound without a bug.

    Blocks and free list are kept beside the memory, so that a bug does what it does and no more.
    """

    def __init__(self, size: int = 1024, bug: str | None = None, tell: bool = True) -> None:
        self.bug = bug
        self.memory = bytearray(size)
        self.base_address = BASE
        self.free_size = size
        self.holes: list[list[int]] = [[BASE, size]]
        self.taken: dict[int, int] = {}  # size by address of the block
        if tell:
            self.blocks = self._blocks

    def malloc(self, size: int) -> int | None:
        step = 4 if self.bug == "misalignment" else 8
        wanted = -(-(size + HEADER) // step) * step
        for index, hole in enumerate(self.holes):
            start, length = hole
            if length < wanted:
                continue
            if length - wanted > 2 * HEADER:
                # [   hole   ] => [ wanted ][ rest ]
                hole[:] = [start + wanted, length - wanted]
                if self.bug == "off-by-one split":
                    hole[:] = [start + wanted - 8, length - wanted + 8]
                if self.bug == "lost tail":
                    del self.holes[index]
            else:
                wanted = length
                if self.bug != "double use":
                    del self.holes[index]
            self.taken[start] = wanted
            self.free_size -= wanted
            return start + HEADER
        return None

    def free(self, address: int) -> None:
        start = address - HEADER
        size = self.taken.pop(start)
        self.free_size += size - 8 if self.bug == "wrong free size" and size > 64 else size
        self.holes.append([start, size])
        self.holes.sort()
        if self.bug == "missing coalesce":
            return
        merged: list[list[int]] = []
        for hole in self.holes:
            if merged and sum(merged[-1]) == hole[0]:
                merged[-1][1] += hole[1]
            else:
                merged.append(hole)
        self.holes = merged

    def _blocks(self) -> list[tuple[int, int, bool]]:
        free = [(start, size, False) for start, size in self.holes]
        return free + [(start, size, True) for start, size in self.taken.items()]


class Pool(ctypes.Structure):
    """``struct pool`` of c/broken_pool.c."""

    _fields_ = (("used", ctypes.c_uint64), ("memory", ctypes.c_ubyte * 1024))


class CPool:
    """c/broken_pool.c through ctypes: an allocator of fixed blocks, one bit of state for each."""

    def __init__(self, library: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        self._c.pool_malloc.argtypes = [ctypes.POINTER(Pool), ctypes.c_size_t]
        self._c.pool_malloc.restype = ctypes.c_void_p
        self._c.pool_free.argtypes = [ctypes.POINTER(Pool), ctypes.c_void_p]
        self._c.pool_free.restype = None
        self._pool = Pool()

    def malloc(self, size: int) -> int | None:
        address: int | None = self._c.pool_malloc(self._pool, size)
        return address

    def free(self, address: int) -> None:
        self._c.pool_free(self._pool, address)
