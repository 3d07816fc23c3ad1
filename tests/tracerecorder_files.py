"""TraceRecorder's files, written byte by byte as `data/recordings/README.md` describes them, and
what their events must come to, told by an oracle that knows no bytes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAGIC, KERNEL = 0x50534600, 0x1AA1
RING = bytes.fromhex("0506070875767778f5f6f7f8")
RING_END = bytes.fromhex("0a0b0c0d71727374f1f2f3f4")
SNAPSHOT = bytes.fromhex("0102030471727374f1f2f3f4")
START, NAME, CREATED, DELETED, TICK, RUN = 0x001, 0x003, 0x010, 0x020, 0x031, 0x037
MALLOC, FREE, FAILED, HEAP = 0x038, 0x039, 0x0E9, 0x0F2


@dataclass
class Event:
    """An event as the recorder sees it; `time` is in steps of a counter that never wraps."""

    id: int
    words: tuple[int, ...]
    time: int
    text: bytes = b""
    core: int = 0


@dataclass
class Target:
    """How a target records."""

    version: int = 14
    order: str = "<"
    word: int = 4
    cores: int = 1
    clock: int = 1
    period: int = 1000  # steps of the counter in a tick
    frequency: int = 2_000_000
    zero: int = 0  # what the counter says at time 0, in steps
    symbol: int = 28
    entries: list[tuple[int, tuple[int, ...], int, bytes]] = field(
        default_factory=lambda: [(0x2000A2FC, (0, 0, 40960), 0x80000000, b"System Heap")]
    )

    def __str__(self) -> str:
        order = "little" if self.order == "<" else "big"
        return f"format {self.version}, {order}-endian, {8 * self.word} bits, cores: {self.cores}"

    def pack(self, how: str, *numbers: int) -> bytes:
        """Numbers in the target's order; W is a word."""
        return struct.pack(self.order + how.replace("W", "Q" if self.word == 8 else "I"), *numbers)

    def head(self, *, latest: int = 0, tick: int = 0, slots: int | None = None) -> bytes:
        """Header, time and table."""
        options = 1 << 3 if self.word == 8 else 0
        cores = self.cores | (3 << 8 if self.version == 14 else 0)
        out = self.pack("IHHIII", MAGIC, self.version, KERNEL, options, cores, 0)
        name, version = b"FreeRTOS", self.pack("HBB", 2, 0, 1)
        out += version + name if self.version >= 13 else name + version
        assert len(out) == 32
        if self.version >= 13:
            out += self.pack("IIW", self.clock, self.period, self.frequency)
        else:
            out += self.pack("IWI", self.clock, self.frequency, self.period)
        out += self.pack("IIII", 0, 1000, latest & 0xFFFFFFFF, tick)
        empty = (0, (0, 0, 0), 0, b"")
        entries = [*self.entries, *[empty] * ((slots or 0) - len(self.entries))]
        out += self.pack("WWW", len(entries), self.symbol, 3)
        for address, states, flags, symbol in entries:
            out += self.pack("WWWWI", address, *states, flags) + symbol.ljust(self.symbol, b"\0")
        return out

    def stamp(self, time: int) -> int:
        """What the recorder stores of a time."""
        time += self.zero
        if self.clock in (1, 5):
            return time & 0xFFFFFFFF
        if self.clock in (2, 6):
            return -time & 0xFFFFFFFF
        tick, within = divmod(time, self.period)
        return (tick & 0xFF) << 24 | (within if self.clock == 3 else self.period - 1 - within)

    def encode(self, events: Sequence[Event], first: int = 6) -> list[bytes]:
        """The bytes of each event."""
        out, counts = [], [first] * 16
        for event in events:
            body = self.pack(f"{len(event.words)}W", *event.words)
            if event.text:
                text = event.text + b"\0"
                body += text.ljust(-(-len(text) // self.word) * self.word, b"\xa5")
            code = event.id | len(body) // self.word << 12
            count = counts[event.core]
            counts[event.core] += 1
            count = count & 0xFFFF if self.cores == 1 else event.core << 12 | count & 0xFFF
            out.append(self.pack("HHI", code, count, self.stamp(event.time)) + body)
        return out

    def stream(self, events: Sequence[Event]) -> bytes:
        """A whole stream."""
        return self.head(tick=self.zero // self.period) + b"".join(self.encode(events))

    def ring(
        self, events: Sequence[Event], size: int, *, names: dict[int, bytes]
    ) -> tuple[bytes, list[Event]]:
        """A dump with a ring of so many bytes for each core, and the events that it holds."""
        last = events[-1].time if events else 0
        table = [(address, (1, 0, 0), 0, name) for address, name in names.items()]
        target = Target(**{**vars(self), "entries": [*self.entries, *table]})
        out = RING + target.head(
            latest=self.stamp(last), tick=(last + self.zero) // self.period, slots=56
        )
        out += self.pack("W", self.cores * (size + 11 * self.word))
        pieces, kept = list(zip(events, self.encode(events), strict=True)), []
        for core in range(self.cores):
            mine = [(event, raw) for event, raw in pieces if event.core == core]
            body, head, tail, slack, count = _wound([raw for _, raw in mine], size)
            kept += [event for event, _ in mine[len(mine) - count :]]
            out += self.pack("11W", head, tail, size, 1, 0, 0, slack, head, 0, 0, 0x20001000) + body
        kept.sort(key=lambda event: event.time)
        return random.Random(1).randbytes(64) + out + RING_END + bytes(64), kept


def _wound(pieces: Sequence[bytes], size: int) -> tuple[bytes, int, int, int, int]:
    """Events in a ring, none of them split: its bytes, head and tail, how many bytes at its end are
    unused, and how many events it holds.
    """
    body, head, slack = bytearray(b"\xee" * size), 0, 0
    places: list[tuple[int, int]] = []  # of the events that are there, the oldest first
    for raw in pieces:
        if head + len(raw) > size:
            slack = size - head
            places = [place for place in places if place[0] < head]
            head = 0
        end = head + len(raw)
        while places and places[0][0] < end and places[0][1] > head:
            places.pop(0)
        body[head:end] = raw
        places.append((head, end))
        head = end
    return bytes(body), head, places[0][0] if places else 0, slack, len(places)


# ---------------------------------------------------------------------- what must come of it


@dataclass
class Told:
    """What a reader must tell."""

    rows: list[tuple[str, int, int, str, int]] = field(default_factory=list)
    failed: int = 0
    unknown: int = 0
    implied: int = 0
    largest_failed: int = 0


def oracle(
    events: Iterable[Event | None],
    names: dict[int, bytes],
    *,
    backwards: bool = False,
) -> Told:
    """The rows op, address, size, task, time of events in their order; None is a gap.

    `names` are the table's. `backwards`: a name is that of the events before it.
    """
    told, running, live, texts = Told(), {}, set(), {} if backwards else dict(names)
    tags: dict[int, list[bytes]] = {}  # of an address now: a list that gets the name, when it comes
    rows: list[list] = []
    for event in events:
        if event is None:
            running.clear()
            continue
        address, size = (*event.words, 0, 0)[:2]
        if event.id == START:
            texts[2] = b"(startup)"
            running[event.core] = address, tags.setdefault(address, [])
        elif event.id == RUN:
            running[event.core] = address, tags.setdefault(address, [])
        elif event.id == NAME and backwards:
            tags.setdefault(address, []).append(event.text)
            del tags[address]
        elif event.id == NAME:
            texts[address] = event.text
        elif event.id == DELETED:
            texts.pop(address, None)
            tags.pop(address, None)
        elif event.id in (MALLOC, FREE, FAILED):
            who, tag = running.get(event.core, (None, None))
            rows.append([event, who, tag, texts.get(who)])
    for address, tag in tags.items():
        tag += [names[address]] if backwards and address in names and not tag else []
    for event, who, tag, text in rows:
        address, size = (*event.words, 0, 0)[:2]
        found = (tag[0] if tag else text) if backwards else text
        task = "" if who is None else (found or b"?%x" % who).decode().replace(" ", "_")
        if event.id == FAILED:
            told.failed += 1
            told.largest_failed = max(told.largest_failed, size)
        elif event.id == MALLOC:
            if address in live:
                told.implied += 1
                told.rows.append(("f", address, 0, task, event.time))
            live.add(address)
            told.rows.append(("m", address, size, task, event.time))
        elif address in live:
            live.remove(address)
            told.rows.append(("f", address, 0, task, event.time))
        else:
            told.unknown += 1
    return told


def a_run(
    seed: int, count: int = 400, *, target: Target, backwards: bool = False
) -> tuple[list[Event], dict[int, bytes]]:
    """What a made-up program does, and the names of the tasks that live at its end.

    Tasks come and go at the same addresses, on each core.
    """
    rng, out, now, core = random.Random(seed), [Event(START, (2,), 0)], 0, 0

    def add(id: int, *words: int, text: bytes = b"") -> None:
        out.append(Event(id, words, now, text, core))

    base = 0x1_2000_0000 if target.word == 8 else 0x2000_0000
    live: dict[int, int] = {}
    tasks: dict[int, bytes] = {}
    running: dict[int, int] = {}
    for _ in range(count):
        now += rng.choice([target.cores > 1, 1, 30, 700, rng.randrange(1, 40_000)])
        core, what = rng.randrange(target.cores), rng.random()
        if what < 0.3:
            address = base + 8 * rng.randrange(1 << 12)
            if address not in live:
                live[address] = 8 * rng.randrange(2, 200)
                add(MALLOC, address, live[address])
        elif what < 0.55 and live:
            address = rng.choice(list(live))
            add(FREE, address, live.pop(address))
        elif what < 0.6:
            add(FAILED, 0, rng.choice([0, 100_008]))
        elif what < 0.7 and len(tasks) < 6:
            address = base + 0x10000 + 0x100 * rng.randrange(8)
            if address not in tasks:
                tasks[address] = b"task %d" % rng.randrange(100)
                if not backwards:
                    add(NAME, address, text=tasks[address])
                add(CREATED, address, 3)
        elif what < 0.74 and tasks.keys() - running.values():
            address = rng.choice(sorted(tasks.keys() - running.values()))
            if backwards:
                add(NAME, address, text=tasks[address])
            add(DELETED, address, 3)
            del tasks[address]
        elif what < 0.9 and tasks.keys() - running.values():
            running[core] = rng.choice(sorted(tasks.keys() - running.values()))
            add(RUN, running[core], 3)
        elif what < 0.95:
            add(TICK, (now + target.zero) // target.period)
        else:
            add(rng.randrange(0x50, 0xE0), *range(rng.randrange(16)))
    return out, tasks
