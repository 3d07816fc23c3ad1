"""What Percepio's TraceRecorder recorded of a FreeRTOS kernel: a stream (``.psf``), or memory of
the device that holds the recorder's ring buffer or its snapshot.

Read are the stream's formats 10 (TraceRecorder 4.6), 12 (4.7), 13 (4.8.0) and 14 (4.8.1 to 4.11),
the ring of the same formats, and the snapshot of 4.x. Held to recordings: streams of format 10 and
14, the ring of 14. By their description alone, and tried on made-up files only: formats 12 and 13,
the snapshot, targets of 64 bits, big-endian ones, several cores, counters that count down or count
within a tick, and a stream that a host stopped and started again.

A size is the one that the kernel gave to ``traceMALLOC``: the request with header and padding up to
V11.1, the whole block from V11.2 on. :meth:`rtosheap.Trace.load` makes requests of them when it is
told the heap and the kernel. Blocks from before the recorder's start are not known, and the address
of the heap is not.

A stream has no marks and no checks, but each event is numbered: a number that does not follow the
last one's says how many events are lost (but for multiples of 65,536), and after lost bytes the
next events whose numbers follow each other are searched. A snapshot has no numbers: its losses do
not show, and of its times the ticks alone are read; one with handles of 16 bits is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from rtosheap.traces.columns import Columns, Int64
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats import _tracerecorder_snapshot as snapshot
from rtosheap.traces.formats._kernel_log import WRAPPED
from rtosheap.traces.formats._tracerecorder_events import (
    Events,
    Scanner,
    check_time,
    since_end,
    times,
)
from rtosheap.traces.formats._tracerecorder_parts import (
    Parts,
    PercepioLog,
    Words,
    find_header,
    is_magic,
    read_parts,
)
from rtosheap.traces.meta import ABI, INCOMPLETE

NAME = "tracerecorder"
HINT = "a .psf stream of Percepio's TraceRecorder, or a dump with its ring or snapshot"

_RING = bytes.fromhex("0506070875767778f5f6f7f8")
_RING_WORDS = 11  # of its control block
_BLOCK = 1 << 16  # events
_MOST_MARKS = 16  # that are tried of each kind

_START, _NAME, _DELETED, _HEAP = 0x001, 0x003, 0x020, 0x0F2
_RUNS = (0x035, 0x036, 0x037)
_MALLOC, _FREE, _FAILED, _FREE_NULL = _CALLS = (0x038, 0x039, 0x0E9, 0x0EA)
_READ = np.array([_START, _NAME, _DELETED, _HEAP, *_RUNS, *_CALLS], np.uint16)
#: The words that are read of an event, where they are not two.
_LEAST_WORDS = {_START: 1, _DELETED: 1, _HEAP: 4, **dict.fromkeys(_RUNS, 1)}
_NO_TASK = 2  # the current task before there is one
_STARTUP = b"(startup)"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return is_magic(head, 0) or find_header(head) >= 0 or holds_dump(head)


def holds_dump(data: bytes) -> bool:
    """Whether a ring or a snapshot lies somewhere in the memory."""
    return _RING in data or snapshot.MARK in data


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    data = stream.read()
    if is_magic(data, 0):
        return _read_stream(data, 0)
    wrong: TraceError | None = None
    for at, way in _marks(data):
        try:
            return way(data, at)
        except TraceError as error:  # a copy of the mark, perhaps, elsewhere in the memory
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    start = find_header(data)
    if start < 0:
        raise TraceError("holds no header of a TraceRecorder stream, no ring and no snapshot")
    return _read_stream(data, start)


def _marks(data: bytes) -> Iterator[tuple[int, Callable[[bytes, int], Columns]]]:
    """Where rings and snapshots may begin, and what reads them."""
    for mark, way in ((_RING, _read_ring), (snapshot.MARK, snapshot.read)):
        at = data.find(mark)
        for _ in range(_MOST_MARKS):
            if at < 0:
                break
            yield at + len(mark), way
            at = data.find(mark, at + 1)


def _read_stream(data: bytes, at: int) -> Columns:
    """A stream whose header begins at a byte."""
    calls = _Calls(forward=True)
    parts = read_parts(data, at)
    scanner, start, restarts = Scanner(data, parts), parts.end, 0
    calls.begin(parts)
    while True:
        events, start = scanner.scan(start, len(data))
        calls.take(events, data)
        if start >= len(data):
            break
        try:
            parts = read_parts(data, start)
        except TraceError:  # what is there is damaged
            calls.miss()
            calls.log.loss["damaged_bytes"] += 4
            start += 4
            continue
        restarts += 1
        scanner, start = Scanner(data, parts), parts.end
        calls.begin(parts)
    columns = calls.columns(f"TraceRecorder stream, format {parts.version}")
    if restarts:
        columns.meta[INCOMPLETE] = (
            "the recorder was stopped and started again, and what happened meanwhile is not in the "
            f"recording: {restarts}"
        )
    return columns


def _read_ring(data: bytes, at: int) -> Columns:
    """A ring whose header begins at a byte."""
    if not is_magic(data, at):
        raise TraceError("is no ring of TraceRecorder: no header follows its mark")
    parts = read_parts(data, at)
    words = Words(data, parts.order, parts.word)
    (area,) = words.words(parts.end)
    ring, events, lost, wrapped = b"", Events(parts, ring=True), 0, False
    cores: list[Int64] = []
    for core in range(parts.cores):
        start = parts.end + parts.word + core * (area // parts.cores)
        head, tail, size, _, dropped, _, slack, *_ = words.words(start, _RING_WORDS)
        start += _RING_WORDS * parts.word
        if max(head, tail, slack) > size or size > min(area // parts.cores, len(data) - start):
            raise TraceError(f"is a ring of {size} bytes that is cut short, or damaged")
        body = data[start : start + size]
        # Where both are the same, the oldest event is the next to be overwritten.
        whole = head > tail or head == tail == 0
        found = body[tail:head] if whole else body[tail : size - slack] + body[:head]
        mine, _ = Scanner(ring + found, parts).scan(len(ring), len(ring) + len(found), ring=True)
        ring += found
        events.extend(mine)
        cores.append(since_end(mine, ring))
        lost += dropped
        wrapped = wrapped or not whole or (core == 0 and _START not in mine.ids()[:1])
    if parts.cores > 1:
        events.sort(np.argsort(np.concatenate(cores), kind="stable"))
    calls = _Calls(forward=False)
    calls.take(events, ring)
    calls.finish(parts)
    calls.log.loss["lost_events"] += lost
    columns = calls.columns(f"TraceRecorder ring buffer, format {parts.version}")
    if wrapped:
        columns.meta[INCOMPLETE] = WRAPPED
    return columns


def _chosen(ids: npt.NDArray[np.uint16], when: Int64) -> Iterator[tuple[int, int, int]]:
    """The number, kind and time of each event that is read."""
    for start in range(0, len(ids), _BLOCK):
        found = start + np.flatnonzero(np.isin(ids[start : start + _BLOCK], _READ))
        yield from zip(found.tolist(), ids[found].tolist(), when[found].tolist(), strict=True)


class _Calls:
    """What events say of the heap; `forward`: whether a name is that of the events behind it."""

    def __init__(self, *, forward: bool) -> None:
        self.log = PercepioLog()
        self._forward = forward
        self._running: dict[int, tuple[int, int]] = {}  # by core: its address, and its number
        self._names: dict[int, bytes] = {}  # that are known before the events that they are of
        self._start = 0  # of the events without a restart
        self._zero: int | None = None  # the time of the first call
        self._heaps: list[int] = []
        self._parts: Parts | None = None

    def begin(self, parts: Parts) -> None:
        """Begin a stream, again perhaps."""
        self.miss()
        self.log.tasks.forget_all()
        self._heaps += [size for size in parts.heaps if size not in self._heaps]
        self._names = dict(parts.names)

    def finish(self, parts: Parts) -> None:
        """End a ring: the table has the names of those that live."""
        self._heaps += parts.heaps
        for address in self.log.tasks.unnamed():
            if address in parts.names:
                self.log.tasks.was_named(address, parts.names[address])

    def take(self, events: Events, data: bytes) -> None:
        """Take the events of a stream without a restart, or of a ring."""
        self._parts = parts = events.parts
        log, words = self.log, Words(data, parts.order, parts.word)
        log.loss["lost_events"] += events.lost
        log.loss["damaged_bytes"] += events.damaged
        ids, when = events.ids(), times(events, data)
        gaps = iter([*events.gaps, len(ids)])
        gap, shift = next(gaps), 16 if parts.cores == 1 else 12
        for number, what, now in _chosen(ids, when):
            if number >= gap:
                self.miss()
                gap = next(other for other in gaps if other > number)
            count = events.code[number] >> 12
            if count < _LEAST_WORDS.get(what, 2):
                log.loss["damaged_bytes"] += 8 + count * parts.word
                continue
            at, core = events.at[number] + 8, events.count[number] >> shift
            if what in _RUNS:
                self._run(core, words.words(at)[0])
            elif what in _CALLS:
                log.now = self._start + now
                self._zero = log.now if self._zero is None else self._zero
                log.who = self._running.get(core, (0, -1))[1]
                self._call(what, *words.words(at, 2))
            else:
                self._other(what, core, words.words(at, count), data[at : at + count * parts.word])
        self._start += int(when[-1]) if len(when) else 0
        check_time(self._start)

    def miss(self) -> None:
        """Note that events are missing here."""
        self._running.clear()
        self.log.missed()

    def _run(self, core: int, address: int) -> None:
        """Let a core run the task at an address."""
        number = self.log.tasks.known(address)
        if number is None and address in self._names:
            number = self.log.tasks.is_named(address, self._names[address])
        self._running[core] = address, self.log.tasks.of(address) if number is None else number

    def _call(self, what: int, address: int, size: int) -> None:
        if what == _MALLOC:
            self.log.allocate(address, size)
        elif what == _FAILED:
            self.log.refuse(size)
        else:
            self.log.release(address, size)

    def _other(self, what: int, core: int, words: tuple[int, ...], raw: bytes) -> None:
        """Take an event of a task, or the heap's."""
        tasks, address = self.log.tasks, words[0]
        if what == _START:
            if address == _NO_TASK:
                tasks.is_named(address, _STARTUP)
            self._run(core, address)
        elif what == _DELETED:
            tasks.forget(address)
            self._names.pop(address, None)
        elif what == _HEAP:
            self._heaps += [words[3]] if words[3] not in self._heaps else []
        else:
            self._name(address, raw[len(raw) // len(words) :].partition(b"\0")[0])

    def _name(self, address: int, text: bytes) -> None:
        """Take the name of what is at an address."""
        if not self._forward:
            self.log.tasks.was_named(address, text)
        elif self._names.get(address) != text:
            self._names[address] = text
            self.log.tasks.forget(address)
            for core, (running, _) in self._running.items():
                if running == address:
                    self._run(core, address)

    def columns(self, source: str) -> Columns:
        """The calls."""
        assert self._parts is not None
        clock, word = self._parts.clock, self._parts.word
        unit = "us" if clock.frequency else "ticks"
        meta = {"time_unit": unit, ABI: f"{word}-byte pointers"}
        if len(self._heaps) == 1:
            meta["heap_size"] = str(self._heaps[0])
        columns = self.log.recording(source, **meta)
        if columns.time is not None and self._zero is not None:
            columns.time = columns.time - self._zero
        return columns
