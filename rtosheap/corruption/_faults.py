"""What the corruption laboratory does to a heap: a random program, and one fault in its course."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from rtosheap._lab import Lab
from rtosheap.corruption._program import Program, Target


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


class Scene(NamedTuple):
    """What a fault can choose from: a heap that nothing happened to yet."""

    lab: Lab
    target: Target
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
    offset = scene.random.randrange(sum(size for _, size in scene.target.regions))
    for start, size in scene.target.regions:
        if offset < size:
            return _flip(start + offset, scene.random.randrange(8), "")
        offset -= size
    return None


def _flip(address: int, bit: int, of: str) -> Plan:
    return Plan((Action("flip", address, bit=bit),), f"bit {bit} of {address:#x} flipped{of}")


def _header_bit_flip(scene: Scene) -> Plan | None:
    layout = scene.target.layout
    blocks = scene.lab.blocks() if layout.frees else []
    if blocks and not layout.has_headers:
        blocks = blocks[:-1]  # what sbrk has not reached has no header
    if not blocks:
        return None
    address, _, allocated = scene.random.choice(blocks)
    # newlib-nano's chunk has a size, and a link while it is free.
    count = 2 * layout.word if layout.has_headers or not allocated else layout.header
    at = scene.random.randrange(count)
    state = "allocated" if allocated else "free"
    of = f", byte {at} of a header ({state} block)"
    return _flip(address + at, scene.random.randrange(8), of)


def _overrun(scene: Scene) -> Plan | None:
    data = scene.some()
    fitting = [
        block for block in scene.live() if scene.target.contains(block[1] + block[2], len(data))
    ]
    if not fitting:
        return None
    _, address, size = scene.random.choice(fitting)
    text = f"{len(data)} bytes written past the {size} of {address:#x}"
    return Plan((Action("write", address + size, data),), text)


def _underrun(scene: Scene) -> Plan | None:
    data = scene.some()
    fitting = [b for b in scene.live() if scene.target.contains(b[1] - len(data), len(data))]
    if not fitting:
        return None
    _, address, _ = scene.random.choice(fitting)
    text = f"{len(data)} bytes written before {address:#x}"
    return Plan((Action("write", address - len(data), data),), text)


def _use_after_free(scene: Scene) -> Plan | None:
    live = scene.live()
    if not scene.target.layout.frees or not live:
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
    if not scene.target.layout.frees:
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
    step = scene.random.choice((1, scene.target.layout.alignment))
    step = step if step < size else 1
    inside = address + scene.random.randrange(step, size, step)
    text = f"{inside:#x} freed, inside the {size} bytes of {address:#x}"
    return Plan((Action("free", inside),), text)


def _foreign_free(scene: Scene) -> Plan | None:
    first, last = scene.target.regions[0][0], sum(scene.target.regions[-1])
    distance = 8 * scene.random.randint(2, 4096)
    address = scene.random.choice((first - distance, last + distance, 0x0800_0000 + distance))
    return Plan((Action("free", address),), f"{address:#x} freed, outside the heap")


PLANS: dict[str, Callable[[Scene], Plan | None]] = {
    "bit_flip": _bit_flip,
    "header_bit_flip": _header_bit_flip,
    "overrun": _overrun,
    "underrun": _underrun,
    "use_after_free": _use_after_free,
    "double_free": _double_free,
    "interior_free": _interior_free,
    "foreign_free": _foreign_free,
}

FAULTS: tuple[str, ...] = tuple(PLANS)
"""What can be injected.

``bit_flip`` flips any bit of the arena, ``header_bit_flip`` one of a block's header; ``overrun``
and ``underrun`` write a few bytes past and before what a program requested; ``use_after_free``
writes to a block that was freed; ``double_free``, ``interior_free`` and ``foreign_free`` free what
is free already, an address inside a block, and one outside the heap.
"""
