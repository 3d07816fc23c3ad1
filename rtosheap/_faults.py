"""What the corruption laboratory does to a heap: a random program, and one fault in its course."""

from __future__ import annotations

import array
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from rtosheap._lab import Lab

SLOTS = 128


class Action(NamedTuple):
    """A step of a fault: the program goes on, a bit is flipped, bytes are written, or a free."""

    what: str  # "run", "flip", "write", "free"
    address: int = 0
    data: bytes = b""
    bit: int = 0


class Plan(NamedTuple):
    """A fault, decided: the same at each level of protection."""

    actions: tuple[Action, ...]
    text: str


class Layout(NamedTuple):
    """What the laboratory's heaps are set up with."""

    kind: int
    regions: tuple[tuple[int, int], ...]
    word: int
    alignment: int

    @property
    def header(self) -> int:
        if self.kind == 3:
            return 8
        return -(-2 * self.word // self.alignment) * self.alignment

    def contains(self, address: int, count: int) -> bool:
        return any(
            start <= address and address + count <= start + size for start, size in self.regions
        )

    def lab(self, checks: int, canary: int) -> Lab:
        """A heap as it is after set-up. No sound call takes as many steps as the budget has."""
        total = sum(size for _, size in self.regions)
        first = self.regions[0][0]
        marker = (first - 2 * self.word) // self.word * self.word
        budget = total // 8 * 4 + 1000
        return Lab(
            self.kind,
            checks,
            self.regions,
            self.word,
            self.alignment,
            canary,
            marker,
            budget,
            SLOTS,
        )


class Program:
    """A random program that keeps a heap about three quarters full. heap_1's never frees."""

    def __init__(self, random: Random, layout: Layout) -> None:
        self.op = array.array("B")
        self.slot = array.array("i")
        self.size = array.array("Q")
        self._random = random
        self._frees = layout.kind != 1
        self._limit = sum(size for _, size in layout.regions) * 3 // 4
        self._header = layout.header if self._frees else 0
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
        self._used += size + self._header
        self._add("m", slot, size)

    def free(self, slot: int) -> None:
        """Add a free."""
        self._used -= self._live.pop(slot) + self._header
        self._add("f", slot, 0)

    def knows(self, slot: int) -> bool:
        return slot in self._live

    def _add(self, op: str, slot: int, size: int) -> None:
        self.op.append(ord(op))
        self.slot.append(slot)
        self.size.append(size)


class Scene(NamedTuple):
    """What a fault can choose from: a heap that nothing happened to yet."""

    lab: Lab
    layout: Layout
    program: Program
    random: Random
    overrun: tuple[int, int]

    def live(self) -> Sequence[tuple[int, int, int]]:
        """(slot, address, size) of each live block that the program knows of."""
        return [block for block in self.lab.slots() if self.program.knows(block[0])]

    def some(self) -> bytes:
        """What is written where it should not be: noise, zeros or text."""
        count = self.random.randint(*self.overrun)
        kind = self.random.randrange(3)
        return (self.random.randbytes(count), bytes(count), b"A" * count)[kind]


def _bit_flip(scene: Scene) -> Plan | None:
    offset = scene.random.randrange(sum(size for _, size in scene.layout.regions))
    for start, size in scene.layout.regions:
        if offset < size:
            return _flip(start + offset, scene.random.randrange(8), "")
        offset -= size
    return None


def _flip(address: int, bit: int, of: str) -> Plan:
    return Plan((Action("flip", address, bit=bit),), f"bit {bit} of {address:#x} flipped{of}")


def _header_bit_flip(scene: Scene) -> Plan | None:
    blocks = scene.lab.blocks() if scene.layout.kind != 1 else []
    if scene.layout.kind == 3:
        blocks = blocks[:-1]  # what sbrk has not reached has no header
    if not blocks:
        return None
    address, _, allocated = scene.random.choice(blocks)
    # newlib-nano's chunk has a size, and a link while it is free.
    count = 2 * scene.layout.word if scene.layout.kind != 3 or not allocated else 4
    at = scene.random.randrange(count)
    state = "allocated" if allocated else "free"
    of = f", byte {at} of a header ({state} block)"
    return _flip(address + at, scene.random.randrange(8), of)


def _overrun(scene: Scene) -> Plan | None:
    data = scene.some()
    fitting = [
        block for block in scene.live() if scene.layout.contains(block[1] + block[2], len(data))
    ]
    if not fitting:
        return None
    _, address, size = scene.random.choice(fitting)
    text = f"{len(data)} bytes written past the {size} of {address:#x}"
    return Plan((Action("write", address + size, data),), text)


def _underrun(scene: Scene) -> Plan | None:
    data = scene.some()
    fitting = [b for b in scene.live() if scene.layout.contains(b[1] - len(data), len(data))]
    if not fitting:
        return None
    _, address, _ = scene.random.choice(fitting)
    text = f"{len(data)} bytes written before {address:#x}"
    return Plan((Action("write", address - len(data), data),), text)


def _use_after_free(scene: Scene) -> Plan | None:
    live = scene.live()
    if scene.layout.kind == 1 or not live:
        return None
    slot, address, size = scene.random.choice(live)
    data = scene.some()[:size]
    at = address + scene.random.randint(0, size - len(data))
    scene.program.free(slot)
    later = scene.random.choice((0, 0, 1, 4))
    scene.program.go_on(later)
    text = f"{len(data)} bytes written at {at:#x} {later} calls after {address:#x} was freed"
    return Plan((Action("run"), Action("write", at, data)), text)


def _double_free(scene: Scene) -> Plan | None:
    live = scene.live()
    if not live:
        return None
    slot, address, _ = scene.random.choice(live)
    if scene.layout.kind == 1:
        return Plan((Action("free", address),), f"{address:#x} freed")
    scene.program.free(slot)
    later = scene.random.choice((0, 0, 1, 4))
    scene.program.go_on(later)
    text = f"{address:#x} freed again {later} calls later"
    return Plan((Action("run"), Action("free", address)), text)


def _interior_free(scene: Scene) -> Plan | None:
    fitting = [block for block in scene.live() if block[2] > 1]
    if not fitting:
        return None
    _, address, size = scene.random.choice(fitting)
    step = scene.random.choice((1, scene.layout.alignment))
    step = step if step < size else 1
    inside = address + scene.random.randrange(step, size, step)
    text = f"{inside:#x} freed, inside the {size} bytes of {address:#x}"
    return Plan((Action("free", inside),), text)


def _foreign_free(scene: Scene) -> Plan | None:
    first, last = scene.layout.regions[0][0], sum(scene.layout.regions[-1])
    distance = 8 * scene.random.randint(2, 4096)
    address = scene.random.choice((first - distance, last + distance, 0x0800_0000 + distance))
    return Plan((Action("free", address),), f"{address:#x} freed, outside the heap")


FAULTS: dict[str, Callable[[Scene], Plan | None]] = {
    "bit_flip": _bit_flip,
    "header_bit_flip": _header_bit_flip,
    "overrun": _overrun,
    "underrun": _underrun,
    "use_after_free": _use_after_free,
    "double_free": _double_free,
    "interior_free": _interior_free,
    "foreign_free": _foreign_free,
}
