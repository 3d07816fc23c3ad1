"""The recorder's stream read record by record in Python alone: slower, and plainly right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from log_reference import AddressLog

from rtosheap.traces.columns import Columns, Tasks, valid_task
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats.recorder import unrolled

NAME = "recorder"
HINT = "a stream of rtosheap's own recorder, or a dump with its ring"

_MARK = b"RHE1"
_RING = b"RHRING1\0"
_SYNC_BYTES, _NAMES = 28, 254
_MALLOC, _FREE, _LONG, _OTHER = range(4)
_LONG_KINDS = ("m", "f", "r", "x")
_SYNC, _TICK, _NAME, _CALLER = range(4)
_REQUESTED, _ROUNDED, _BLOCK, _WANTED = range(4)
_MEANINGS = {
    _REQUESTED: "as requested",
    _ROUNDED: "rounded up to the alignment",
    _BLOCK: "the block's, without its header",
    _WANTED: "the block's, without its header and what was too small to split off",
}
_AHEAD = 40  # events that may be missing before a record that stands alone


class Record(NamedTuple):
    """A record as it stands in the stream.

    Attributes
    ----------
    kind : str
        ``"m"`` malloc, ``"f"`` free, ``"r"`` realloc, ``"x"`` failed; ``"s"`` sync, ``"t"`` tick,
        ``"n"`` name, ``"c"`` caller.
    number : int
        Of the event, modulo 64; for what is no event, of the one that follows.
    length : int
        Bytes.
    task : int
        Number of the task, 0 if it is not known.
    tick : int
        The time: modulo 16 in a short record.
    short : bool
        Whether address and tick are those of a short record.
    size, address, old : int
        As the kind has them; a sync's are the event's number, the base and its parameters.
    name : str
        Of a task.
    """

    kind: str
    number: int
    length: int
    task: int = 0
    tick: int = 0
    short: bool = False
    size: int = 0
    address: int = 0
    old: int = 0
    name: str = ""


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _first_sync(head) >= 0 or holds_ring(head)


def holds_ring(data: bytes) -> bool:
    """Whether a recorder's ring lies somewhere in the memory."""
    return _RING in data


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    data = unrolled(stream.read())
    if _first_sync(data) < 0:
        raise TraceError("holds no whole sync record, without which no address is known")
    reader = _Reader(data)
    for record in records(data):
        reader.take(record)
    return reader.finished()


def check(data: bytes) -> int:
    """The check of a record: its words, the last filled up with zeros, mixed one by one."""
    mixed = 0x52480000 + len(data)
    for at in range(0, len(data), 4):
        word = _word(data, at)
        if at == 0:
            word &= 0xFFFF
        mixed = ((mixed ^ word) * 0x9E3779B1) & 0xFFFFFFFF
        mixed ^= mixed >> 15
    return mixed & 0xFFFF


def record_at(data: bytes, at: int) -> Record | None:
    """The record at a place; None if there is no whole one."""
    if at + 7 > len(data):
        return None
    kind, detail = data[at] & 3, data[at + 1]
    length = _length(data, at, kind, detail)
    if length is None or at + length > len(data):
        return None
    raw = data[at : at + length]
    if check(raw) != raw[2] | raw[3] << 8:
        return None
    number = raw[0] >> 2
    if kind == _MALLOC:
        word = _word(raw, 4)
        return Record("m", number, 8, detail & 15, detail >> 4, True, word >> 20, word & 0xFFFFF)
    if kind == _FREE:
        word = _word(raw, 4, 3)
        return Record("f", number, 7, detail & 15, detail >> 4, True, 0, word & 0xFFFFF)
    if kind == _LONG:
        return _long(raw, number, detail)
    return _other(raw, number, detail)


def _length(data: bytes, at: int, kind: int, detail: int) -> int | None:
    """Bytes of a record that begins so; None if none does."""
    if kind == _MALLOC:
        return 8
    if kind == _FREE:
        return 7
    word = 8 if detail & 8 else 4
    if kind == _LONG:
        if detail & 0xF4:
            return None
        return 12 + word * (3 if detail & 7 == 2 else 2)
    what = detail & 3
    if what == _SYNC:
        return _SYNC_BYTES if detail == 0 and data[at + 4 : at + 8] == _MARK else None
    if what == _TICK:
        return 8 if detail == _TICK else None
    if what == _NAME:
        return 4 + (1 + (detail >> 2) + 3) // 4 * 4
    return 4 + word if detail & 0xF4 == 0 else None


def _long(raw: bytes, number: int, detail: int) -> Record:
    width = 8 if detail & 8 else 4
    words = [_word(raw, at, width) for at in range(12, len(raw), width)]
    kind, task, tick = _LONG_KINDS[detail & 3], _word(raw, 4), _word(raw, 8)
    size, address, old = [*words, 0][:3]
    return Record(kind, number, len(raw), task, tick, False, size, address, old)


def _other(raw: bytes, number: int, detail: int) -> Record:
    what = detail & 3
    if what == _SYNC:
        count, tick, base, how = _word(raw, 8), _word(raw, 12), _word(raw, 16, 8), _word(raw, 24)
        return Record("s", number, len(raw), 0, tick, False, count, base, how)
    if what == _TICK:
        return Record("t", number, len(raw), tick=_word(raw, 4))
    if what == _NAME:
        name = raw[5 : 5 + (detail >> 2)].decode("utf-8", "replace")
        return Record("n", number, len(raw), task=raw[4], name=name)
    return Record("c", number, len(raw), address=_word(raw, 4, len(raw)))


def _word(data: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(data[at : at + size], "little")


def records(data: bytes) -> Iterator[Record]:
    """The whole records of a stream, in order."""
    at, expected = 0, -1
    while at < len(data):
        record = record_at(data, at)
        if record is None or (expected >= 0 and record.number != expected):
            at = _resume(data, at, expected)
            if at < 0:
                return
            record = record_at(data, at)
            assert record is not None
        yield record
        at += record.length
        expected = (record.number + (record.kind in "mfrx")) % 64


def _resume(data: bytes, at: int, expected: int) -> int:
    """Where the next record begins that can be believed; -1 if none does.

    By chance one place in 65,536 looks like a record. One is believed if another follows it
    directly with the right number, or if it stands alone but its own number is a likely one and
    no better record begins inside it.
    """
    while at < len(data):
        record = record_at(data, at)
        if record is not None:
            end = at + record.length
            if record.kind == "s" or end == len(data) or _follows(data, end, record):
                return at
            near = expected < 0 or (record.number - expected) % 64 <= _AHEAD
            if near and not _hides_better(data, at, end):
                return at
        at += 1
    return -1


def _follows(data: bytes, at: int, record: Record) -> bool:
    after = record_at(data, at)
    return after is not None and after.number == (record.number + (record.kind in "mfrx")) % 64


def _hides_better(data: bytes, start: int, end: int) -> bool:
    """Whether a record that another follows begins inside a doubtful one."""
    for at in range(start + 1, end):
        record = record_at(data, at)
        if record is not None and _follows(data, at + record.length, record):
            return True
    return False


def _first_sync(data: bytes) -> int:
    """Where the first sync record begins, 4 bytes before its mark; -1 if there is none."""
    at = data.find(_MARK, 4)
    while at >= 0:
        record = record_at(data, at - 4)
        if record is not None and record.kind == "s":
            return at - 4
        at = data.find(_MARK, at + 1)
    return -1


class _Reader(AddressLog):
    """From records to events."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.loss["damaged_bytes"] = len(data)  # what no whole record has
        self._seen = 0  # events read
        first = record_at(data, _first_sync(data))
        assert first is not None
        self._parameters(first)
        self._count: int | None = None  # the number of the next event
        self._time: int | None = None
        self._early: list[int] = []  # ticks modulo 16 of events before the first whole time
        self._tasks: list[int] = []
        self._names: dict[int, str] = {}
        self._key: dict[int, int] = {}  # of tasks whose number was given out again
        self._offset = 0  # of the device's clock, which a restart sets back

    def _parameters(self, sync: Record) -> None:
        self._base = sync.address
        how = sync.old
        self._shift, self._overhead = how & 0xFF, how >> 16 & 0xFF
        self._meaning = how >> 24

    def take(self, record: Record) -> None:
        """Take the next record."""
        self.loss["damaged_bytes"] -= record.length
        if record.kind == "s":
            self._sync(record)
        elif record.kind == "t":
            self._whole_time(record.tick)
        elif record.kind == "n":
            self._named(record.task, record.name)
        elif record.kind != "c":
            self._event(record)

    def _named(self, index: int, name: str) -> None:
        """A task's name; another one than before is that of a task that came later."""
        if self._names.get(self._key.get(index, index), name) != name:
            self._key[index] = _NAMES + 1 + len(self._names)
        self._names[self._key.get(index, index)] = name

    def _sync(self, record: Record) -> None:
        if self._count is not None and record.size < self._count:  # the device was started anew
            self.live.clear()
            self._count = 0
            self._offset = (self._time or 0) - record.tick
        if self._count is None:
            self.loss["lost_events"] = max(0, record.size - self._seen)
        else:
            self.loss["lost_events"] += record.size - self._count
        self._count = record.size
        self._parameters(record)
        self._whole_time(record.tick)

    def _whole_time(self, tick: int) -> None:
        """A tick of 32 bits, which may have wrapped since the time that is known."""
        if self._time is None:
            self._time = low = tick
            for at in range(len(self._early) - 1, -1, -1):  # backwards from the first whole time
                low -= (low - self._early[at]) % 16
                self.time[at] = low
        else:
            ahead = (tick + self._offset - self._time) % (1 << 32)
            self._time += ahead if ahead < 1 << 31 else 0  # else it lies before what is known

    def _event(self, record: Record) -> None:
        if self._count is not None:
            gap = (record.number - self._count) % 64
            self.loss["lost_events"] += gap
            self._count += gap + 1
        self._seen += 1
        address = record.address
        if record.short:
            address = self._base + (address << self._shift)
        before = len(self.op)
        line = self._seen
        if record.kind == "m":
            self.malloc(address, self._asked(record.size), line)
        elif record.kind == "f":
            self.free(address, line)
        elif record.kind == "r":
            self.realloc(record.old, address, record.size, line)
        else:
            self.fail(self._asked(record.size) if record.size else 0)
        if self._time is None and record.short:
            tick = record.tick
        else:
            if record.short:
                known = self._time or 0
                self._time = known + (record.tick + self._offset - known) % 16
            else:
                self._whole_time(record.tick)
            tick = self._time or 0
        for _ in range(len(self.op) - before):
            if self._time is None:
                self._early.append(record.tick)
            self.time.append(tick)
            self._tasks.append(self._key.get(record.task, record.task))

    def _asked(self, size: int) -> int:
        """The request as far as the size tells it."""
        if self._meaning == _REQUESTED:
            return size
        self.loss["rounded_sizes"] += 1
        return size if self._meaning == _ROUNDED else max(0, size - self._overhead)

    def finished(self) -> Columns:
        """All events."""
        tasks, codes = Tasks(), []
        for index in self._tasks:
            name = "_".join(self._names.get(index, f"task{index}" if index else "").split())
            codes.append(tasks.code(name) if name == "" or valid_task(name) else -1)
            self.loss["unknown_tasks"] += bool(index) and index not in self._names
        self.task.extend(codes)
        columns = self.columns(
            "rtosheap recorder",
            tasks=tasks.names,
            time_unit="ticks",
            sizes=_MEANINGS.get(self._meaning, "unknown"),
            base_address=f"{self._base:#x}",
        )
        columns.lines = None
        return columns
