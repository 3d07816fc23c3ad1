"""TraceRecorder's events among the bytes of a stream or of a ring: where each begins, and when."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.traces.columns import Int64
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._tracerecorder_parts import (
    MAGIC,
    Clock,
    Parts,
    Words,
    find_header,
)

_RUN = 10  # so many events whose counts follow each other are no accident
_AT_END = 2  # or so many at the end
_AHEAD = 1 << 12  # a count is no more than so much above that of the event before it
_FIRST_BLOCK, _LARGEST_BLOCK = 1 << 8, 1 << 18  # that are searched at once
_MOST = 1 << 62
_SECOND = 1_000_000
_TICKS = (0x031, 0x032)
_DOWN, _TICKED, _TICKED_DOWN = (2, 6), (3, 4), 4
_COLUMNS = ("at", "code", "count", "stamp")


@dataclass
class Events:
    """Events that were recorded without a restart, in their order.

    Others are missing before those that are listed in `gaps`: `lost` events and `damaged` bytes.
    The clock is read before them, or, of a `ring`, behind them.
    """

    parts: Parts
    ring: bool = False
    at: array[int] = field(default_factory=lambda: array("Q"))
    code: array[int] = field(default_factory=lambda: array("H"))
    count: array[int] = field(default_factory=lambda: array("H"))
    stamp: array[int] = field(default_factory=lambda: array("I"))
    gaps: list[int] = field(default_factory=list)
    lost: int = 0
    damaged: int = 0

    def ids(self) -> npt.NDArray[np.uint16]:
        """What each event is."""
        return np.frombuffer(self.code, np.uint16) & np.uint16(0xFFF)

    def extend(self, other: Events) -> None:
        """Append the events of another core."""
        start = len(self.at)
        for name in _COLUMNS:
            getattr(self, name).extend(getattr(other, name))
        self.gaps += [start + gap for gap in other.gaps]
        self.lost += other.lost
        self.damaged += other.damaged

    def sort(self, order: Int64) -> None:
        """Put the events into another order."""
        for name in _COLUMNS:
            column = getattr(self, name)
            found = np.frombuffer(column, column.typecode)[order]
            setattr(self, name, array(column.typecode, found.tobytes()))
        self.gaps = sorted(np.argsort(order)[self.gaps].tolist()) if self.gaps else []


class Scanner:
    """The events among bytes: each says how long it is.

    Where an event's count does not follow the last one's, others are missing: whole ones, if those
    from here on fit together, or else bytes, and then the next ones that fit together are searched.
    """

    def __init__(self, data: bytes, parts: Parts) -> None:
        self._data, self._parts, self._word = data, parts, parts.word
        self._head = struct.Struct(f"{parts.order}HHI").unpack_from
        # The count of one core among several has 12 bits, below the core's number.
        self._shift, self._mask = (16, 0xFFFF) if parts.cores == 1 else (12, 0xFFF)
        little = parts.order == "<"
        self._magic = struct.unpack(
            f"{parts.order}HH", MAGIC.to_bytes(4, "little" if little else "big")
        )
        self._places = (0, 1) if little else (1, 0)

    def scan(self, at: int, end: int, *, ring: bool = False) -> tuple[Events, int]:
        """The events from one byte to another, and where they end: there, or, of a stream, at a new
        header.
        """
        events = Events(self._parts, ring)
        at = self._scan(events, at, end, restarts=not ring)
        # An event that was left out again may have been the one behind a gap.
        events.gaps = sorted({gap for gap in events.gaps if gap < len(events.at)})
        return events, at

    def _scan(self, events: Events, at: int, end: int, restarts: bool) -> int:
        data, head, word = self._data, self._head, self._word
        shift, mask, magic = self._shift, self._mask, self._magic if restarts else None
        expected: list[int | None] = [None] * 16
        sure = -1  # where events were found that fit together
        while at + 8 <= end:
            code, count, stamp = head(data, at)
            if (code, count) == magic:
                return at
            size = 8 + (code >> 12) * word
            core = count >> shift
            before = expected[core]
            if count & mask != before or at + size > end:
                if at != sure and (at + size > end or not self._begins(events, before, at, end)):
                    torn = events.at[-1] if events.at and count & mask != before else at
                    at = sure = self._skip(events, expected, torn, at, end, restarts)
                    continue
                if before is not None and count & mask != before:
                    events.lost += (count - before) & mask
                    events.gaps.append(len(events.at))
            events.at.append(at)
            events.code.append(code)
            events.count.append(count)
            events.stamp.append(stamp)
            at += size
            expected[core] = (count + 1) & mask
        events.damaged += end - at
        return end

    def _skip(
        self,
        events: Events,
        expected: list[int | None],
        start: int,
        at: int,
        end: int,
        restarts: bool,
    ) -> int:
        """Where events that fit together begin behind a byte where none does, or a header.

        The event that begins at `start`, before it, may have lost its own end, and is left out.
        """
        to = self._search(start + 1, end)
        header = find_header(self._data, at + 1, to) if restarts else -1
        to = to if header < 0 else header
        if start < at and to < end:
            events.at.pop()
            events.code.pop()
            events.stamp.pop()
            count = events.count.pop()
            expected[count >> self._shift] = count & self._mask
            at = start
        events.damaged += to - at
        return to

    def _begins(self, events: Events, before: int | None, at: int, end: int) -> bool:
        """Whether a whole event begins at a byte, though it does not follow the last one."""
        if before is None or not events.at:
            least, after = 1, None
        else:
            least, after = _RUN, ((before - 1) & self._mask, events.stamp[-1])
        # However long nothing happened, counts that follow each other are enough.
        return self._fit(at, end, ahead=1, least=least, timed=False) or self._fit(
            at, end, ahead=_AHEAD, after=after
        )

    def _fit(
        self,
        at: int,
        end: int,
        *,
        ahead: int,
        least: int = _AT_END,
        timed: bool = True,
        after: tuple[int, int] | None = None,
    ) -> bool:
        """Whether each count is up to so much `ahead` of the last in some events from here on,
        `least` of them at the end, and no time goes back. They come `after` an event of the same
        core with that count and time.
        """
        last: dict[int, tuple[int, int]] = {}
        seen = 0
        while seen < _RUN and at + 8 <= end:
            code, count, stamp = self._head(self._data, at)
            core = count >> self._shift
            previous = last.get(core, None if seen else after)
            if previous is not None:
                if not 1 <= (count - previous[0]) & self._mask <= ahead:
                    return False
                if timed and _goes_back(previous[1], stamp, self._parts.clock):
                    return False
            last[core] = count, stamp
            seen += 1
            at += 8 + (code >> 12) * self._word
        return seen >= least

    def _search(self, start: int, end: int) -> int:
        """Where the next events that follow each other begin; the end, if none do."""
        size = _FIRST_BLOCK
        while start < end:
            stop = min(start + size, end)
            for at in self._candidates(start, stop, end):
                if self._fit(at, end, ahead=1, least=_AT_END + 1):
                    return at
            start, size = stop, min(2 * size, _LARGEST_BLOCK)
        return end

    def _candidates(self, start: int, stop: int, end: int) -> list[int]:
        """The bytes of a block where an event may begin, by its count and the next one's."""
        some = np.frombuffer(self._data, np.uint8, min(stop + 12 + 15 * 8, end) - start, start)
        if len(some) < 12:
            return []
        low, high = self._places
        halves = some[low : len(some) - high].astype(np.int64)
        halves |= some[high : len(some) - low].astype(np.int64) << 8
        at = np.arange(min(stop - start, len(halves) - 2))
        then = at + 10 + (halves[at] >> 12) * self._word
        at, then = at[then < len(halves)], then[then < len(halves)]
        before, after = halves[at + 2], halves[then]
        follows = (before >> self._shift == after >> self._shift) & (
            (after - before) & self._mask == 1
        )
        found: list[int] = (at[follows] + start).tolist()
        return found


def _goes_back(before: int, after: int, clock: Clock) -> bool:
    """Whether the time of an event lies before that of another, as far as a stamp tells."""
    if clock.type in _TICKED:
        return ((after >> 24) - (before >> 24)) & 0xFF > 0x7F
    step = before - after if clock.type in _DOWN else after - before
    return step & 0xFFFF_FFFF > 0x7FFF_FFFF


# ---------------------------------------------------------------------- times


def times(events: Events, data: bytes) -> Int64:
    """When each event was, never decreasing: in microseconds if the frequency is known, and else
    in steps of the counter.
    """
    if not len(events.at):
        return np.zeros(0, np.int64)
    clock = events.parts.clock
    out: Int64 = np.maximum.accumulate(counted(events, data))
    out -= out[0]
    if clock.frequency == 0:
        return out
    if clock.frequency > _MOST // _SECOND:
        raise TraceError(f"the counter's frequency is {clock.frequency} Hz")
    seconds, rest = out // clock.frequency, out % clock.frequency
    check_time(int(seconds[-1]) * _SECOND)
    out = seconds * _SECOND + rest * _SECOND // clock.frequency
    return out


def check_time(time: int) -> None:
    """Raise unless 64 bits hold a time with ease."""
    if time > _MOST:
        raise TraceError(f"lasts {time} us; a recording must be shorter than 2**62")


def since_end(events: Events, data: bytes) -> Int64:
    """The time of each event of a ring in steps of the counter, by the same zero for each core."""
    out = counted(events, data)
    clock = events.parts.clock
    if not len(out) or clock.type in _TICKED:
        return out
    left = np.array([clock.latest - events.stamp[-1]]).astype(np.uint32).view(np.int32)[0]
    out -= out[-1] - (int(left) if clock.type in _DOWN else -int(left))
    return out


def counted(events: Events, data: bytes) -> Int64:
    """The time of each event in steps of the counter, from any zero; it may go back."""
    if not len(events.at):
        return np.zeros(0, np.int64)
    stamp = np.frombuffer(events.stamp, np.uint32)
    clock = events.parts.clock
    if clock.type in _TICKED:
        return _ticked(events, stamp, data)
    steps = np.diff(stamp)
    if clock.type in _DOWN:
        steps = np.negative(steps)
    # Those of several cores need not be quite in order.
    wide = steps if events.parts.cores == 1 else steps.view(np.int32)
    out: Int64 = np.concatenate(([0], np.cumsum(wide.astype(np.int64))))
    return out


def _ticked(events: Events, stamp: npt.NDArray[np.uint32], data: bytes) -> Int64:
    """Times of a tick's low byte and a counter within the tick."""
    clock = events.parts.clock
    low = (stamp >> 24).astype(np.int64)
    ticks = low[0] + np.concatenate(([0], np.cumsum(_nearest(np.diff(low)))))
    ticks += _whole_ticks(events, ticks, data)
    if clock.period == 0 or int(np.abs(ticks).max()) > _MOST // clock.period:
        raise TraceError(f"a tick has {clock.period} steps of the counter, which no 64 bits hold")
    within = (stamp & np.uint32(0xFFFFFF)).astype(np.int64)
    if clock.type == _TICKED_DOWN:  # before the scheduler runs it stands at 0
        within = np.where((ticks == 0) & (within == 0), 0, clock.period - 1 - within)
    out: Int64 = ticks * clock.period + within
    return out


def _nearest(steps: Any) -> Any:
    """Steps modulo 256 as the smallest that they can be."""
    return ((steps + 128) & 0xFF) - 128


def _whole_ticks(events: Events, ticks: Int64, data: bytes) -> Int64:
    """What is to be added to ticks of which only the low byte is sure: what the nearest event that
    tells the whole number says, of those that no gap lies before.
    """
    words = Words(data, events.parts.order, events.parts.word)
    code = np.frombuffer(events.code, np.uint16)
    tells = np.flatnonzero(np.isin(events.ids(), _TICKS) & (code >> 12 > 0))
    whole = np.array([words.words(events.at[i] + 8)[0] & 0xFFFF_FFFF for i in tells], np.int64)
    add = whole + _nearest(ticks[tells] - whole) - ticks[tells]
    if not len(tells):
        tick, known = events.parts.clock.tick, ticks[-1 if events.ring else 0]
        return np.full(len(ticks), tick + _nearest(known - tick) - known)
    number = np.arange(len(ticks))
    run = np.searchsorted(events.gaps, number, "right")
    before = np.searchsorted(tells, number, "right") - 1
    after = np.minimum(before + 1, len(tells) - 1)
    use_after = (before < 0) | ((run[tells[before]] != run) & (run[tells[after]] == run))
    out: Int64 = add[np.where(use_after, after, before)]
    return out
