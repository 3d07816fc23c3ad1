"""What CMSIS-View's Event Recorder recorded of a FreeRTOS kernel (``freertos_evr``): the log that
it writes by semihosting (``EventRecorder.log``), or what ``eventlist`` prints of one, as text, XML
or JSON, with FreeRTOS's ``.scvd`` or without.

A size is the one that the kernel gave to ``traceMALLOC``: the request with header and padding up to
V11.1, the whole block from V11.2 on. :meth:`rtosheap.Trace.load` makes requests of them when it is
told the heap and the kernel. Tasks have no names in such a log: they are called by the address of
their control block, which a later task may have again. Events are not numbered, so that losses do
not show, and neither the heap's address nor its size is recorded.

Held to recordings: all of these forms. By its description alone, and tried on made-up files only:
a log whose recorder was initialised again, and events of four values or of data. The recorder's
buffer in the device's memory has another form, which is not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from rtosheap.traces.columns import TIME_MAX, Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats import _eventlist as eventlist
from rtosheap.traces.formats._kernel_log import KernelLog
from rtosheap.traces.loss import Dropped
from rtosheap.traces.meta import ABI

NAME = "eventrecorder"
HINT = "the log of CMSIS-View's Event Recorder, or eventlist's txt, xml or json of one"

_INITIALISED, _STARTED, _RUNS, _MALLOC, _FREE = 0xFF00, 0xFF01, 0xF00C, 0xF400, 0xF401
#: The same events by the names that FreeRTOS's .scvd gives them, and by their numbers without it.
_EVENTS = {
    "Malloc": _MALLOC,
    "Free": _FREE,
    "TaskSwitchedIn": _RUNS,
    **{f"0x{event:04X}": event for event in (_INITIALISED, _STARTED, _RUNS, _MALLOC, _FREE)},
}

_HEAD = struct.Struct("<HHQI")
_AFTER_SIZE = _HEAD.size - 4  # of a record's head, bytes that its size counts
_TWO = struct.Struct("<II")
_DATA = 1
#: Bytes of values, by the kind of record.
_VALUES = {2: 8, 3: 16}
_STARTUP_KEY = -1


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return eventlist.form_of(head) is not None or _is_log(head)


def _is_log(head: bytes) -> bool:
    """Whether a file begins with a record, or with two if it has more."""
    second = _record_at(head, 0)
    if second is None or second > len(head):
        return False
    return len(head) - second < _HEAD.size or _record_at(head, second) is not None


def _record_at(data: bytes, at: int) -> int | None:
    """Where the record after this one begins; None if none is like this."""
    if len(data) - at < _HEAD.size:
        return None
    kind, size, _, info = _HEAD.unpack_from(data, at)
    length = size - _AFTER_SIZE
    if kind == _DATA:
        right = length in (info >> 16 & 0x7FFF, (info >> 16 & 0x7FFF) + 3 & ~3)
    else:
        right = length == _VALUES.get(kind)
    return at + 4 + size if right else None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    head = stream.peek(1)  # type: ignore[attr-defined]
    form, calls, rows = eventlist.form_of(head), _Calls(), eventlist.Rows(strict)
    if form is None:
        if strict and not _is_log(head):
            raise TraceError("is no log of Event Recorder, nor eventlist's txt, xml or json of one")
        for event in _records(stream, calls, strict):
            calls.take(event)
        form = "semihosting log"
    else:
        for row in rows.of(stream, form):
            found = _event_of(row, rows)
            if found is not None:
                calls.take(found)
        form = f"eventlist's {form}"
    columns = calls.columns(f"Event Recorder ({form})")
    columns.dropped = Dropped(bad_line=rows.bad)
    return columns


class _Log(KernelLog):
    SILENT = (
        "holds no Malloc or Free of FreeRTOS: Event Recorder's level for FreeRTOS's memory must "
        "not be off"
    )


class _Event(NamedTuple):
    id: int
    time: int  # microseconds, or ticks if their frequency is not known
    first: int
    second: int


def _records(stream: BinaryIO, calls: _Calls, strict: bool) -> Iterator[_Event]:
    """The events of two values in the recorder's own log."""
    at, frequency = 0, None
    while head := stream.read(_HEAD.size):
        kind, size, ticks, info = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
        rest = stream.read(max(0, size - _AFTER_SIZE)) if len(head) == _HEAD.size else b""
        if len(head) + len(rest) < max(4 + size, _HEAD.size):
            calls.log.loss["damaged_bytes"] += len(head) + len(rest)  # the file ends within it
            return
        if (kind != _DATA and kind not in _VALUES) or len(rest) < _VALUES.get(kind, 0):
            if strict:
                raise TraceError(
                    f"byte {at:,}: a record of kind {kind} and {size} bytes; it must be of kind 1 "
                    "(data), 2 (20 bytes) or 3 (28 bytes); strict=False (--no-strict) leaves it out"
                )
            calls.log.loss["damaged_bytes"] += len(head) + len(rest)
        elif kind != _DATA:
            first, second = _TWO.unpack_from(rest)
            event = info & 0xFFFF
            if frequency is None or (event == _INITIALISED and frequency and second):
                frequency = second if event == _INITIALISED else 0
                calls.unit = "us" if frequency else "ticks"
            time = ticks * 10**6 // frequency if frequency else ticks
            if event in _EVENTS.values():
                yield _Event(event, time, first, second)
        at += len(head) + len(rest)


def _event_of(row: eventlist.Row, rows: eventlist.Rows) -> _Event | None:
    """The event of a row of a list; None if nothing is to be told from it."""
    event = _EVENTS.get(row.property)
    if event is None:
        return None
    values = eventlist.values_of(row.value)
    if values is None:
        rows.leave_out(
            f"event {row.number}: {row.property} has the value {row.value[:72]!r}; it must have an "
            "address and a number of 32 bits"
        )
        return None
    return _Event(event, row.time, *values)


class _Calls:
    """What events say of the heap."""

    def __init__(self) -> None:
        self.log = log = _Log()
        self.unit = "us"
        self._last = 0
        self._zero: int | None = None  # the time of the first call
        self._start = 0  # of the times since the recorder was initialised
        log.who = log.tasks.is_named(_STARTUP_KEY, b"(startup)")

    def take(self, event: _Event) -> None:
        """Take an event, in the order of the file."""
        log = self.log
        now = self._start + event.time
        if now < self._last and event.id in (_INITIALISED, _STARTED):
            self._start, now = self._last - event.time, self._last
        self._last = now = max(now, self._last)
        if now > TIME_MAX:
            raise TraceError(f"the time is {now} {self.unit}; it must be below 2**63")
        if event.id == _RUNS:
            name = f"0x{event.first:08x}".encode()
            log.who = log.tasks.is_named(event.first, name)
        elif event.id in (_MALLOC, _FREE):
            self._zero = now if self._zero is None else self._zero
            log.now = now - self._zero
            call = log.allocate if event.id == _MALLOC else log.release
            call(event.first, event.second)

    def columns(self, source: str) -> Columns:
        """The calls."""
        return self.log.recording(source, **{"time_unit": self.unit, ABI: "4-byte pointers"})
