"""What SEGGER SystemView recorded of a FreeRTOS kernel: the bytes of its RTT channel, as they are
or behind the lines of text of an ``.SVDat`` file.

FreeRTOS's port of SystemView records no heap events by itself: ``traceMALLOC`` must call
``SEGGER_SYSVIEW_HeapAlloc``, and ``traceFREE`` ``SEGGER_SYSVIEW_HeapFree``. A size is then the one
that the kernel gave to ``traceMALLOC``: the request with header and padding up to V11.1, the whole
block from V11.2 on. :meth:`rtosheap.Trace.load` makes requests of them when it is told the heap and
the kernel. A free has no size, so that the recording cannot show which of the two it was; sizes are
shifted as ids are, which takes the low bits of one that is no multiple of the step, and requests
that fail are missing where the macro checks for NULL. The events of several heaps become one trace.

Held to recordings: ids that are shifted by two, a live stream, an ``.SVDat`` file with Espressif's
header. By their description alone, and tried on made-up files only: lost packets, ids that are not
shifted, allocations with a tag, and the memory of post-mortem mode, whose sync repeats. SEGGER's
own header of an ``.SVDat`` file may have lines of another form, and the packets of two cores in one
file (ESP-IDF) are not described: neither was tried.

Packets have no check. Where one cannot be, the next sync is searched; a live stream has only the
first, and what follows the damage is an error. After lost packets, which the recorder counts,
the task that runs is not known until the next one starts, nor are tasks without a packet of their
name: they are called by their address.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

from rtosheap.traces.columns import TIME_MAX, Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._kernel_log import WRAPPED, KernelLog
from rtosheap.traces.meta import ABI, INCOMPLETE

NAME = "systemview"
HINT = "the bytes of a SEGGER SystemView recording, or an .SVDat file"

#: Numbers and, last, a text that packets without a length consist of, by their id.
_BODIES = {
    **{1: "n", 2: "n", 3: "", 4: "n", 5: "", 6: "n", 7: "nn", 8: "n", 9: "nnt", 10: "", 11: ""},
    **{12: "n", 13: "nn", 14: "t", 15: "n", 16: "n", 17: "", 18: "", 19: "n", 20: "", 21: "nnnn"},
    **{22: "nnt", 23: "nn"},
}
_FIRST_WITH_LENGTH = 24
_OVERFLOW, _RUNS, _CREATED, _INFO, _IDLE, _INIT, _ENDED, _EXTENDED = 1, 4, 8, 9, 17, 24, 29, 31
_START = 10
_DEFINE, _ALLOC, _ALLOC_TAG, _FREE = 2, 3, 4, 5
#: Numbers that are read of packets with a length.
_NUMBERS = {_INIT: 4, _ENDED: 1}
_EXTENDED_NUMBERS = {_DEFINE: 4, _ALLOC: 3, _ALLOC_TAG: 3, _FREE: 2}

_ZEROS = re.compile(rb"\0++")
_SYNC = re.compile(rb"\0{10}\0*+")
#: The text of an .SVDat file; SEGGER's own may have lines that do not begin with a semicolon.
_TEXT = re.compile(rb"(?:;(?>(?:[^\n\0]*+\n)+))?")
_LONG_TEXT = 255
#: More than packets have: one that begins that far from the end was not cut off by it.
_MOST = 1 << 12
_LARGEST_SHIFT = 8
_MASK = 2**32 - 1
_STARTUP_KEY, _IDLE_KEY = -1, -2


class _DamagedError(Exception):
    """No packet is like this."""


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _find_sync(head, 0) >= 0


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    return _Reader(stream.read(), strict).columns()


def _find_sync(data: bytes, at: int) -> int:
    """Where the next sync with an init packet behind it begins; -1 if there is none."""
    for match in _SYNC.finditer(data, at):
        if _is_init(data, match.end()):
            return match.start()
    return -1


def _is_init(data: bytes, at: int) -> bool:
    """Whether an init packet stands here, perhaps behind the one that says that a trace starts."""
    try:
        cursor = _Cursor(data, at)
        kind = cursor.number()
        if kind == _START:
            cursor.number()
            kind = cursor.number()
        length = cursor.number()
        end = cursor.at + length
        frequency, _, _, shift = (cursor.number() for _ in range(4))
    except (_DamagedError, IndexError):
        return False
    return kind == _INIT and cursor.at == end and frequency > 0 and shift <= _LARGEST_SHIFT


class _Cursor:
    """Numbers and texts from a byte on; an IndexError where the data end within one."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def number(self) -> int:
        """A number of 32 bits, seven of them in a byte."""
        data, at = self.data, self.at
        byte = data[at]
        at += 1
        value, shift = byte & 127, 7
        while byte > 127:
            if shift > 28:
                raise _DamagedError("a number of more than five bytes")
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
        if value > _MASK:
            raise _DamagedError("a number of more than 32 bits")
        self.at = at
        return value

    def text(self) -> bytes:
        """A text behind its length."""
        data, at = self.data, self.at
        length = data[at]
        at += 1
        if length == _LONG_TEXT:
            length = data[at] | data[at + 1] << 8
            at += 2
        self.at = at + length
        if self.at > len(data):
            raise IndexError
        return data[at : self.at]


class _Log(KernelLog):
    SILENT = (
        "holds no malloc and no free: traceMALLOC must call SEGGER_SYSVIEW_HeapAlloc, and "
        "traceFREE SEGGER_SYSVIEW_HeapFree; of a heap trace by ESP-IDF, load what "
        "sysviewtrace_proc.py -p prints"
    )


class _Units(NamedTuple):
    """What an init packet tells: the clock's Hz, and what ids are counted from and shifted by."""

    frequency: int
    base: int
    shift: int


class _Reader:
    """The packets of a recording, read one by one."""

    def __init__(self, data: bytes, strict: bool) -> None:
        self._strict = strict
        self._log = log = _Log()
        self._cursor = _Cursor(data, 0)
        self._units: _Units | None = None
        self._ticks = 0  # since the last change of the frequency
        self._before = 0  # microseconds until then
        self._zero: int | None = None  # the time of the first call
        self._drops: int | None = 0  # as the last packet of an overflow said
        self._running: int | None = None  # the key of the task that runs
        self._numbered = False  # whether the log has its number
        self._heaps: set[tuple[int, int]] = set()
        self._wrapped = False
        log.tasks.is_named(_IDLE_KEY, b"IDLE")
        start = _TEXT.match(data).end()  # type: ignore[union-attr]
        if not _SYNC.match(data, start):
            found = _find_sync(data, start)
            if found < 0:
                raise TraceError("holds no sync of SystemView: ten zero bytes and an init packet")
            self._wrapped = True
            self._miss(found - start)
            start = found
        else:
            log.tasks.is_named(_STARTUP_KEY, b"(startup)")
            self._running = _STARTUP_KEY
        self._cursor.at = start
        self._read_packets()

    def _miss(self, bytes_: int) -> None:
        """Note that so many bytes are none of a whole packet, and what that makes uncertain."""
        self._log.loss["damaged_bytes"] += bytes_
        self._log.missed()
        self._running = self._drops = None

    def _read_packets(self) -> None:
        cursor, data = self._cursor, self._cursor.data
        while cursor.at < len(data):
            start = cursor.at
            if data[start] == 0:
                cursor.at = _ZEROS.match(data, start).end()  # type: ignore[union-attr]
                continue
            try:
                self._read_packet()
            except (_DamagedError, IndexError) as error:
                cursor.at = self._skip(start, error)

    def _skip(self, start: int, error: Exception) -> int:
        """Where reading goes on after the packet at `start`, which cannot be or is cut off."""
        data = self._cursor.data
        found = _find_sync(data, start + 1)
        cut = isinstance(error, IndexError) and len(data) - start < _MOST
        if found < 0:
            found = len(data)
            if self._strict and not cut:
                what = str(error) or "a packet that does not end"
                raise TraceError(
                    f"byte {start:,}: {what}, and no sync follows; strict=False (--no-strict) "
                    "reads up to there"
                )
        self._miss(found - start)
        return found

    def _read_packet(self) -> None:
        cursor = self._cursor
        kind, text = cursor.number(), b""
        if kind >= _FIRST_WITH_LENGTH:
            length = cursor.number()
            end = cursor.at + length
            if end >= len(cursor.data):
                raise IndexError
            count = _NUMBERS.get(kind, 0)
            if kind == _EXTENDED:
                kind = -cursor.number()
                count = _EXTENDED_NUMBERS.get(-kind, 0)
            numbers = [cursor.number() for _ in range(count)]
            if cursor.at > end:
                raise _DamagedError(f"a packet of {length} bytes, too few for its kind")
            cursor.at = end
        else:
            body = _BODIES.get(kind)
            if body is None:
                raise _DamagedError(f"a packet of kind {kind}")
            numbers = [cursor.number() for _ in range(body.count("n"))]
            if body.endswith("t"):
                text = cursor.text()
        self._ticks += cursor.number()
        self._take(kind, numbers, text)

    def _take(self, kind: int, numbers: list[int], text: bytes) -> None:
        """Take a packet whose time has come; the extended ones have negative numbers."""
        log = self._log
        if kind in (-_ALLOC, -_ALLOC_TAG, -_FREE):
            self._call(kind, *numbers[1:])
        elif kind in (_RUNS, _IDLE):
            self._running = self._value(numbers[0]) if kind == _RUNS else _IDLE_KEY
            self._numbered = False
        elif kind in (_CREATED, _ENDED):
            task = self._value(numbers[0])
            if task == self._running:  # it keeps its name as long as it runs
                self._number()
            log.tasks.forget(task)
        elif kind == _INFO:
            task = self._value(numbers[0])
            log.tasks.is_named(task, text)
            self._numbered = self._numbered and task != self._running
        elif kind == _OVERFLOW:
            self._overflow(numbers[0])
        elif kind == _INIT:
            self._begin(*numbers)
        elif kind == -_DEFINE:
            self._heaps.add((self._value(numbers[1]), numbers[2] << self._known().shift))

    def _number(self) -> None:
        """Tell the log which task runs."""
        if self._running is not None and not self._numbered:
            self._log.who = self._log.tasks.of(self._running)
            self._numbered = True

    def _begin(self, frequency: int, _: int, base: int, shift: int) -> None:
        if shift > _LARGEST_SHIFT or not frequency:
            raise _DamagedError(f"a clock of {frequency} Hz and ids shifted by {shift}")
        if self._units is not None and self._units.frequency != frequency:
            self._before, self._ticks = self._now(self._units), 0
        self._units = _Units(frequency, base, shift)

    def _known(self) -> _Units:
        """The units, which the init packet tells."""
        if self._units is None:
            raise TraceError("no init packet before the first ids, without which none is known")
        return self._units

    def _value(self, number: int) -> int:
        """The address that an id stands for."""
        units = self._known()
        return units.base + (number << units.shift) & _MASK

    def _now(self, units: _Units) -> int:
        """The time, in microseconds."""
        now = self._before + self._ticks * 10**6 // units.frequency
        if now > TIME_MAX:
            raise TraceError(f"the time is {now}; it must be below 2**63")
        return now

    def _overflow(self, drops: int) -> None:
        """Packets are lost: a count that leaves out the first of each loss."""
        before = drops if self._drops is None else self._drops
        self._log.loss["lost_events"] += max(drops - before, 0) + 1
        self._log.missed()
        self._running, self._drops = None, drops

    def _call(self, kind: int, address: int, size: int = 0) -> None:
        log, units = self._log, self._known()
        self._number()
        now = self._now(units)
        self._zero = now if self._zero is None else self._zero
        log.now = now - self._zero
        where = self._value(address) if address else 0
        if kind == -_FREE:
            log.release(where, 0)
        else:
            log.allocate(where, size << units.shift)

    def columns(self) -> Columns:
        """The calls."""
        meta = {"time_unit": "us", ABI: "4-byte pointers"}
        if len(self._heaps) == 1:
            ((base, size),) = self._heaps
            meta |= {"heap_size": str(size), "base_address": f"{base:#x}"}
        if self._wrapped:
            meta[INCOMPLETE] = WRAPPED
        return self._log.recording("SEGGER SystemView", **meta)
