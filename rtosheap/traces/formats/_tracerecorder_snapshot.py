"""TraceRecorder's snapshot: its events in 4 bytes each, in memory of the device.

A name stands where its object was closed, and is that of all events before it; what lives at the
end has its name in a table. An event's time is a difference from the last one's, of a width that
depends on what it is, so that only the ticks among them are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._kernel_log import WRAPPED
from rtosheap.traces.formats._tracerecorder_parts import KERNEL, PercepioLog, Words, cut_short
from rtosheap.traces.meta import ABI, INCOMPLETE

MARK = bytes.fromhex("0102030471727374f1f2f3f4")

_VERSION = 7
_CHECKS = (0xF0F0F0F0, 0xF1F1F1F1, 0xF2F2F2F2, 0xF3F3F3F3)
_TASKS = 3  # the class of objects
_LENGTH_OF_TEXT = 80
_SYMBOL_HEADS = 64
_LONGEST = 256  # bytes of a name
_LINK = 4  # bytes before a symbol's text

# Kinds of slots
_NOTHING, _MORE, _TICK, _CLOSED = 0x00, 0x01, 0x03, 0x08 + _TASKS
_RUNS = (0x06, 0x07)
_TIMES = (0xA8, 0xA9, 0xAF)
_MALLOC, _FREE, _FAILED = 0x94, 0x96, 0xE8  # the address follows in a slot of the kind above


class _Snapshot(NamedTuple):
    """What is needed of one."""

    order: str
    names: dict[int, bytes]  # of the tasks that live, by handle
    symbols: bytes
    slots: bytes  # the oldest first
    full: bool


class _Slot(NamedTuple):
    code: int
    byte: int
    half: int
    more: int | None  # the upper half, where one is told


def read(data: bytes, at: int) -> Columns:
    """The calls of the snapshot that begins before a byte, with its mark."""
    found = _parts(data, at)
    log = PercepioLog()
    log.now = max(0, next((_tick(slot) for slot in _slots(found) if slot.code == _TICK), 1) - 1)
    before = _Slot(_NOTHING, 0, 0, None)
    for slot in _slots(found):
        if slot.code == _TICK:
            log.now = max(log.now, _tick(slot))
        elif slot.code in _RUNS:
            log.who = log.tasks.of(slot.byte)
        elif slot.code == _CLOSED:
            at = slot.half + _LINK
            log.tasks.was_named(slot.byte, found.symbols[at : at + _LONGEST])
        elif before.code in (_MALLOC, _FREE, _FAILED) and slot.code == before.code + 1:
            _call(log, before.code, slot, before.half | (before.more or 0) << 16)
        before = slot
    for handle in log.tasks.unnamed():
        log.tasks.was_named(handle, found.names.get(handle, b""))
    columns = log.recording("TraceRecorder snapshot", time_unit="ticks", **{ABI: "4-byte pointers"})
    if found.full:
        columns.meta[INCOMPLETE] = WRAPPED
    return columns


def _tick(slot: _Slot) -> int:
    return slot.half | (slot.more or 0) << 16


def _call(log: PercepioLog, kind: int, slot: _Slot, size: int) -> None:
    """Take a call whose address is in this slot."""
    # A recorder for a heap within 16 MiB has no more than 24 bits of it.
    address = slot.half | (slot.byte if slot.more is None else slot.more) << 16
    if kind == _MALLOC:
        log.allocate(address, size)
    elif kind == _FREE:
        log.release(address, size)
    else:
        log.refuse(size)


def _slots(found: _Snapshot) -> Iterator[_Slot]:
    """The slots that say something by themselves, with what extends them."""
    more: int | None = None
    first = found.full  # what extends the oldest slot may be overwritten
    for kind, byte, half in struct.iter_unpack(f"{found.order}BBH", found.slots):
        if kind == _MORE:
            more = half
        elif kind not in _TIMES and kind != _NOTHING:
            if kind != _TICK or not first:
                yield _Slot(kind, byte, half, more)
            more = None
        first = False


class _Cursor:
    """Reads one part after another."""

    def __init__(self, data: bytes, order: str, at: int) -> None:
        self._words, self.at = Words(data, order), at

    def u32(self, count: int = 1) -> tuple[int, ...]:
        """Numbers of 32 bits."""
        self.at += 4 * count
        return self._words.u32(self.at - 4 * count, count)

    def bytes(self, count: int, step: int = 1) -> bytes:
        """So many bytes; behind them, up to a multiple of `step`, nothing."""
        whole = (count + step - 1) // step * step
        data = self._words.data
        if whole > len(data) - self.at:
            raise cut_short()
        self.at += whole
        return data[self.at - whole : self.at - whole + count]

    def halves(self, count: int, step: int) -> tuple[int, ...]:
        """The same of numbers of 16 bits."""
        return struct.unpack(f"{self._words.order}{count}H", self.bytes(2 * count, 2 * step))

    def check(self, right: int) -> None:
        """Pass over a word, or raise unless it is what it must be."""
        (number,) = self.u32()
        if number != right:
            raise TraceError(
                f"is a damaged snapshot of TraceRecorder: {number:#010x} in place of {right:#010x}"
            )


def _parts(data: bytes, at: int) -> _Snapshot:
    """The parts that follow the mark."""
    order = "<" if data[at : at + 2] == KERNEL.to_bytes(2, "little") else ">"
    version, minor, _ = struct.unpack(f"{order}HBB", data[at : at + 4].ljust(4, b"\0"))
    if (version, minor) != (KERNEL, _VERSION):
        raise TraceError(
            f"is a TraceRecorder snapshot of version {version:#06x}, {minor}; that of FreeRTOS, "
            f"{KERNEL:#06x}, {_VERSION}, is read"
        )
    cursor = _Cursor(data, order, at + 4)
    header = cursor.u32(12)
    cursor.check(_CHECKS[0])
    if cursor.u32() != (0,):
        raise TraceError("is a TraceRecorder snapshot with handles of 16 bits, which are not read")
    names = _names(cursor)
    cursor.check(_CHECKS[1])
    text, _ = cursor.u32(2)
    symbols = cursor.bytes(text, 4)
    cursor.halves(_SYMBOL_HEADS, 1)
    cursor.u32(2)
    cursor.check(_CHECKS[2])
    cursor.bytes(_LENGTH_OF_TEXT)
    cursor.check(_CHECKS[3])
    count, following, full = header[2:5]
    if following > count:
        raise TraceError(f"is a damaged snapshot of TraceRecorder: slot {following} of {count}")
    slots, cut = cursor.bytes(4 * count), 4 * following
    return _Snapshot(
        order, names, symbols, slots[cut:] + slots[:cut] if full else slots[:cut], bool(full)
    )


def _names(cursor: _Cursor) -> dict[int, bytes]:
    """The names of the tasks in the table of objects, by handle."""
    classes, size = cursor.u32(2)
    counts, lengths, sizes = (cursor.bytes(classes, 4) for _ in range(3))
    starts = cursor.halves(classes, 2)
    table = cursor.bytes(size, 4)
    if classes <= _TASKS:
        raise TraceError(f"is a TraceRecorder snapshot of {classes} classes of objects; tasks lack")
    first = [starts[_TASKS] + sizes[_TASKS] * number for number in range(counts[_TASKS])]
    return {1: b"(startup)"} | {
        handle: table[at : at + lengths[_TASKS]].partition(b"\0")[0]
        for handle, at in enumerate(first, 1)
    }
