"""A heap of the laboratory, and the random program that runs on it."""

from __future__ import annotations

import array
from random import Random
from typing import NamedTuple

from rtosheap._lab import Lab
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.releases import NEWEST_KERNEL
from rtosheap.heaps.toolchains import NEWEST_NEWLIB

SLOTS = 128


class Target(NamedTuple):
    """What the laboratory's heaps are set up with; the releases are by the core's names."""

    layout: Layout
    regions: tuple[tuple[int, int], ...]
    kernel: str = NEWEST_KERNEL
    newlib: str = NEWEST_NEWLIB

    def contains(self, address: int, count: int) -> bool:
        """Whether so many bytes lie in one region."""
        return any(
            start <= address and address + count <= start + size for start, size in self.regions
        )

    def lab(self, checks: int, canary: int) -> Lab:
        """A heap as it is after set-up. No sound call takes as many steps as the budget has."""
        total = sum(size for _, size in self.regions)
        return Lab(
            self.layout.kind,
            checks,
            self.regions,
            self.layout.word,
            self.layout.alignment,
            canary,
            self.layout.end_marker(self.regions[0][0]),
            total // 8 * 4 + 1000,
            SLOTS,
            self.kernel,
            self.newlib,
        )

    def sound(self) -> Lab:
        """One that nothing happens to, and that knows its blocks; for heap_2 without an allocated
        mark that takes checks.
        """
        return self.lab(0 if self.layout.variant.marked else 2, 0)


class Program:
    """A random program that keeps a heap about three quarters full. heap_1's never frees."""

    def __init__(self, random: Random, target: Target) -> None:
        self.op = array.array("B")
        self.slot = array.array("i")
        self.size = array.array("Q")
        self._random = random
        self._frees = target.layout.frees
        self._limit = sum(size for _, size in target.regions) * 3 // 4
        self._overhead = target.layout.overhead
        self._live: dict[int, int] = {}
        self._used = 0

    def __len__(self) -> int:
        return len(self.op)

    def go_on(self, calls: int) -> None:
        """Add this many calls."""
        for _ in range(calls):
            full = self._used > self._limit or len(self._live) == SLOTS
            if self._frees and self._live and (full or self._random.random() < 0.45):
                self.free(self._random.choice(list(self._live)))
            else:
                self._malloc()

    def _malloc(self) -> None:
        slot = next((i for i in range(SLOTS) if i not in self._live), 0)
        if self._frees:
            top = self._limit // (8 if self._random.random() < 0.2 else 40)
        else:
            top = self._limit // 64  # what is handed out stays so
        size = self._random.randint(1, max(top, 1))
        self._live[slot] = size
        self._used += size + self._overhead
        self._add("m", slot, size)

    def free(self, slot: int) -> None:
        """Add a free."""
        self._used -= self._live.pop(slot) + self._overhead
        self._add("f", slot, 0)

    def knows(self, slot: int) -> bool:
        return slot in self._live

    def _add(self, op: str, slot: int, size: int) -> None:
        self.op.append(ord(op))
        self.slot.append(slot)
        self.size.append(size)
