"""SystemView's bytes, written packet by packet as `data/recordings/README.md` describes them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SYNC = bytes(10)
OVERFLOW, RUNS, STOPS, CREATED, INFO, IDLE, INIT, PRINT, ENDED, EXTENDED = (
    *(1, 4, 5, 8, 9, 17, 24, 26, 29, 31),
)
BASE, HEAP, HZ = 0x20000000, 0x20000098, 1_000_000


def leb(number: int) -> bytes:
    """A number: seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def text(said: bytes) -> bytes:
    """A string behind its length."""
    size = len(said)
    return (bytes([size]) if size < 255 else b"\xff" + size.to_bytes(2, "little")) + said


@dataclass
class Target:
    """What a target records: each call is a packet, at the time of the target's `now`."""

    shift: int = 0
    frequency: int = HZ
    now: int = 0
    data: bytearray = field(default_factory=bytearray)
    #: Whether the buffer is full, so that packets are lost; how many were, in how many losses.
    full: bool = False
    lost: int = 0
    losses: int = 0
    _stored: int = 0  # the time of the last stored packet
    _losing: bool = False

    def id(self, address: int) -> int:
        """The id of an address."""
        return (address - BASE & 0xFFFFFFFF) >> self.shift if address else 0

    def sync(self) -> None:
        """What a recording begins with, and what is repeated in post-mortem mode."""
        self.data += SYNC
        self.packet(10, b"")
        numbers = (self.frequency, 25_000_000, BASE, self.shift)
        self.packet(INIT, b"".join(map(leb, numbers)))

    def packet(self, kind: int, payload: bytes) -> None:
        """Store a packet, or lose it; the count of losses leaves out the first of each."""
        if self.full:
            self.lost += 1
            self.losses += not self._losing
            self._losing = True
            return
        if self._losing:
            self._losing = False
            self._store(OVERFLOW, leb(self.lost - self.losses))
        self._store(kind, payload)

    def _store(self, kind: int, payload: bytes) -> None:
        length = leb(len(payload)) if kind >= 24 else b""
        self.data += leb(kind) + length + payload + leb(self.now - self._stored)
        self._stored = self.now

    def task(self, kind: int, address: int) -> None:
        self.packet(kind, leb(self.id(address)))

    def info(self, address: int, name: bytes) -> None:
        self.packet(INFO, leb(self.id(address)) + leb(5) + text(name))

    def define(self, size: int = 40960) -> None:
        numbers = (2, self.id(HEAP), self.id(HEAP), size >> self.shift, 8)
        self.packet(EXTENDED, b"".join(map(leb, numbers)))

    def alloc(self, address: int, size: int, tag: int | None = None) -> None:
        numbers = [3, self.id(HEAP), self.id(address), size >> self.shift]
        if tag is not None:
            numbers = [4, *numbers[1:], tag]
        self.packet(EXTENDED, b"".join(map(leb, numbers)))

    def free(self, address: int) -> None:
        self.packet(EXTENDED, b"".join(map(leb, (5, self.id(HEAP), self.id(address)))))


#: Packets that say nothing of the heap, one of each kind without a length, and of some with one.
OTHERS = [
    *((2, leb(15)), (3, b""), (STOPS, b""), (6, leb(300)), (7, leb(300) + leb(4)), (11, b"")),
    *((12, leb(2**32 - 1)), (13, leb(5) + leb(0)), (14, text(b"N=app")), (14, text(b"x" * 300))),
    *((15, leb(1)), (16, leb(1)), (18, b""), (19, leb(9)), (20, b"")),
    *((21, leb(300) + leb(400) + leb(512) + leb(99)), (22, leb(1) + leb(512) + text(b"M=mod"))),
    *((23, leb(1) + leb(2**31)), (25, leb(9) + text(b"queue")), (PRINT, text(b"%d") + leb(0))),
    *((27, leb(1)), (28, leb(161)), (30, b"???"), (161, b""), (500, bytes(200)), (40, leb(2**31))),
    *((EXTENDED, leb(0) + leb(7)), (EXTENDED, leb(9) + b"\xff" * 20), (EXTENDED, leb(300))),
]


#: Op, address, size, task ("" if a reader cannot know it) and time of an event.
Row = tuple[str, int, int, str, int]


def a_run(target: Target, rng: random.Random, length: int, full: float = 0.0) -> list[Row]:
    """Record tasks that allocate and free among whatever else; the events that were stored.

    `full` is how likely it is that the buffer gets full before a packet.
    """
    tasks = {0x20000800 + 0x60 * number: f"task{number}" for number in range(4)}
    live: set[int] = set()
    rows: list[Row] = []
    running, lost = "(startup)", target.lost
    for address, name in tasks.items():
        target.task(CREATED, address)
        target.info(address, name.encode())
    for _ in range(length):
        target.now += rng.choice([0, 1, 130, 20_000])
        target.full = rng.random() < (0.5 if target.full else full)
        what = rng.randrange(6)
        if what == 0:
            target.packet(*rng.choice(OTHERS))
        elif what == 1:
            address = rng.choice([*tasks, 0])
            if address:
                target.task(RUNS, address)
            else:
                target.packet(IDLE, b"")
            running = tasks.get(address, "IDLE")
        elif what < 5 or not live:
            address = rng.choice([k for k in range(0x20001000, 0x20009000, 64) if k not in live])
            size = 8 * rng.randrange(2, 9)
            target.alloc(address, size, rng.choice([None, 5]))
            if not target.full:
                live.add(address)
                rows.append(("m", address, size, running, target.now))
        elif not target.full:
            address = rng.choice(sorted(live))
            live.remove(address)
            target.free(address)
            rows.append(("f", address, 0, running, target.now))
        if target.lost > lost:
            running, lost = "", target.lost
    target.full = False
    target.packet(11, b"")
    return rows
