"""TraceRecorder's snapshots, written byte by byte as `data/recordings/README.md` describes them."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from tracerecorder_files import (
    DELETED,
    FAILED,
    FREE,
    KERNEL,
    MALLOC,
    NAME,
    RUN,
    SNAPSHOT,
    TICK,
    Event,
)

CLASSES, TASKS = 9, 3
#: Of each class: how many objects, and the bytes of a name and of all properties.
COUNTS = (5, 10, 4, 8, 5, 3, 2, 2, 1)
NAMES = (9, 9, 9, 16, 9, 9, 9, 9, 9)
SIZES = (11, 12, 12, 22, 12, 16, 11, 11, 11)
SYMBOLS = 400


@dataclass
class Snapshot:
    """A snapshot buffer of so many slots, in which events are stored."""

    slots: int
    order: str = "<"
    narrow: bool = False  # for a heap within 16 MiB: the slot has 24 bits of the address
    stored: list[bytes] = field(default_factory=list)
    symbols: dict[bytes, int] = field(default_factory=dict)
    table: bytearray = field(default_factory=lambda: bytearray(b"\0" * 1))
    names: dict[int, bytes] = field(default_factory=dict)

    def pack(self, how: str, *numbers: int) -> bytes:
        """Numbers in the target's order."""
        return struct.pack(self.order + how, *numbers)

    def slot(self, kind: int, byte: int = 0, half: int = 0) -> None:
        """Store a slot."""
        self.stored.append(self.pack("BBH", kind, byte, half))

    def call(self, kind: int, address: int, size: int, between: int = 0) -> None:
        """Store a pair of slots, with what extends them."""
        if size >> 16:
            self.slot(0x01, 0, size >> 16)
            self._times(between)
        self.slot(kind, 200, size & 0xFFFF)
        if self.narrow:
            self.slot(kind + 1, address >> 16 & 0xFF, address & 0xFFFF)
            return
        if address >> 16:
            self.slot(0x01, 0, address >> 16)
            self._times(between)
        self.slot(kind + 1, 0, address & 0xFFFF)

    def _times(self, count: int) -> None:
        for kind in (0xA8, 0xA9, 0xAF)[:count]:
            self.slot(kind, 7, 0x1234)

    def symbol(self, name: bytes) -> int:
        """The number of a name, which is where it stands."""
        if name not in self.symbols:
            self.symbols[name] = len(self.table)
            self.table += b"\xff\xff\xff\xff" + name + b"\0"
        return self.symbols[name]

    def dump(self, *, minor: int = 7, wide: int = 0) -> bytes:
        """Memory that holds it."""
        total, body = len(self.stored), [b"\0" * 4] * self.slots
        for number, raw in enumerate(self.stored):
            body[number % self.slots] = raw
        full = total >= self.slots
        head = self.pack("HBB", KERNEL, minor, 1)
        numbers = (9999, total + 50, self.slots, total % self.slots, full, 1_562_500, 11, 1)
        head += self.pack("13I", *numbers, 1, 0, 30_000, 20_000, 0xF0F0F0F0)
        head += self.pack("I", wide)
        starts = [sum(c * s for c, s in zip(COUNTS[:k], SIZES[:k], strict=True)) for k in range(9)]
        table = bytearray(sum(c * s for c, s in zip(COUNTS, SIZES, strict=True)))
        for handle, name in {1: b"(startup)", **self.names}.items():
            at = starts[TASKS] + SIZES[TASKS] * (handle - 1)
            table[at : at + len(name)] = name
        head += self.pack("II", CLASSES, len(table))
        for part in (COUNTS, NAMES, SIZES):
            head += bytes(part).ljust(12, b"\0")
        head += self.pack("10H", *starts, 0)
        head += bytes(table) + bytes(-len(table) % 4) + self.pack("I", 0xF1F1F1F1)
        symbols = bytes(self.table).ljust(SYMBOLS, b"\0")
        head += self.pack("II", len(symbols), len(self.table)) + symbols + bytes(-len(symbols) % 4)
        head += self.pack("64H", *range(64)) + self.pack("fI", 1.0, 0) + self.pack("I", 0xF2F2F2F2)
        head += b"an error?".ljust(80, b"\0") + self.pack("I", 0xF3F3F3F3)
        return random.Random(2).randbytes(64) + SNAPSHOT + head + b"".join(body) + b"\x55" * 64


def a_snapshot(
    seed: int, count: int, slots: int, *, order: str = "<", narrow: bool = False
) -> tuple[bytes, list[Event], dict[int, bytes]]:
    """A dump, its events, and the names of the tasks that live at the end, by handle.

    The events are those whose slots are all there, as `tracerecorder_files.oracle` takes them:
    their time is the tick.
    """
    rng, out = random.Random(seed), Snapshot(slots, order, narrow)
    events: list[tuple[int, Event]] = []
    live: dict[int, int] = {}
    tick, running = 65_400, 0
    base = 0x00A0_0000 if narrow else rng.choice([0x2000_0000, 0x1000])
    for _ in range(count):
        start, what, made = len(out.stored), rng.random(), []
        if what < 0.3:
            address = base + 8 * rng.randrange(1 << 12)
            if address not in live:
                live[address] = rng.choice([8, 8 * rng.randrange(2, 200), 0x12348])
                out.call(0x94, address, live[address], rng.randrange(4))
                made = [(MALLOC, (address, live[address]), b"")]
        elif what < 0.55 and live:
            address = rng.choice(list(live))
            out.call(0x96, address, live[address], rng.randrange(4))
            made = [(FREE, (address, live.pop(address)), b"")]
        elif what < 0.6:
            size = rng.choice([0, 100_008])
            out.call(0xE8, 0, size)
            made = [(FAILED, (0, size), b"")]
        elif what < 0.7 and len(out.names) < 5:
            handle = rng.choice(sorted(set(range(2, 8)) - out.names.keys()))
            out.names[handle] = b"task %d" % rng.randrange(12)
        elif what < 0.74 and out.names.keys() - {running}:
            handle = rng.choice(sorted(out.names.keys() - {running}))
            name = out.names.pop(handle)
            out.slot(0x08 + TASKS, handle, out.symbol(name))
            made = [(NAME, (handle,), name), (DELETED, (handle,), b"")]
        elif what < 0.85:
            running = rng.choice(sorted([1, *out.names]))
            out.slot(rng.choice([0x06, 0x07]), running, 77)
            made = [(RUN, (running,), b"")]
        elif what < 0.95:
            tick += 1
            if tick >> 16:
                out.slot(0x01, 0, tick >> 16)
            out.slot(0x03, 0, tick & 0xFFFF)
            made = [(TICK, (tick,), b"")]
        else:
            out.slot(rng.choice([0, 0x02, 0x20, 0x0A, 0xC0]), rng.randrange(256), 5)
        events += [(start, Event(kind, words, tick, text)) for kind, words, text in made]
    first = max(0, len(out.stored) - slots)
    kept: list[Event] = []
    for start, event in events:
        own = start  # the slot that is not there to extend another
        while out.stored[own][0] in (0x01, 0xA8, 0xA9, 0xAF):
            own += 1
        if own > first or (own == first and event.id != TICK):
            if start < first and own > start and event.id != NAME:  # the upper half is gone
                event.words = event.words[0], event.words[1] & 0xFFFF
            kept.append(event)
    return out.dump(), kept, {1: b"(startup)", **out.names}
