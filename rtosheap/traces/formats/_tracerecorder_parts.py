"""What stands before the events in a TraceRecorder stream or ring: header, time, entry table."""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._kernel_log import KernelLog

FORMATS = (10, 12, 13, 14)
MAGIC = 0x50534600
KERNEL = 0x1AA1  # FreeRTOS

_ORDERS: tuple[Literal["little"], Literal["big"]] = ("little", "big")

_NAME_FIRST = 12  # up to this format a name stands before the version, a frequency before a period
_WIDE, _HEAP = 1 << 3, 0x8000_0000
_MOST_STATES = 64  # of an entry


class PercepioLog(KernelLog):
    """The calls of such a recording."""

    SILENT = (
        "holds no malloc and no free: TraceRecorder records them where "
        "TRC_CFG_INCLUDE_MEMMANG_EVENTS is 1"
    )


class Words:
    """Numbers in bytes, in the byte order and the words of a target.

    Parameters
    ----------
    data
        The bytes.
    order
        ``"<"`` or ``">"``.
    word
        Bytes of a pointer, 4 or 8.
    """

    def __init__(self, data: bytes, order: str, word: int = 4) -> None:
        self.data, self.order, self.word = data, order, word
        self._letter = "Q" if word == 8 else "I"

    def u32(self, at: int, count: int = 1) -> tuple[int, ...]:
        """Numbers of 32 bits."""
        return self._unpacked(f"{self.order}{count}I", at)

    def words(self, at: int, count: int = 1) -> tuple[int, ...]:
        """Words of the target."""
        return self._unpacked(f"{self.order}{count}{self._letter}", at)

    def _unpacked(self, how: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(how, self.data, at)
        except struct.error:
            raise cut_short() from None


def cut_short() -> TraceError:
    """The error for what ends before its events."""
    return TraceError("ends before the events begin, within the header, the time or the table")


class Clock(NamedTuple):
    """How the recorder takes the time.

    `latest` and `tick` are those of the start in a stream, and of the end in a ring.
    """

    type: int
    period: int
    frequency: int
    latest: int
    tick: int


class Parts(NamedTuple):
    """What a recording begins with."""

    version: int
    order: str
    word: int
    cores: int
    clock: Clock
    names: dict[int, bytes]  # of tasks and other objects, by address
    heaps: tuple[int, ...]  # their sizes
    end: int  # where the events begin


def is_magic(data: bytes, at: int) -> bool:
    """Whether the word that a header begins with stands at a byte, in either order."""
    return MAGIC in (int.from_bytes(data[at : at + 4], order) for order in _ORDERS)


def is_header(data: bytes, at: int) -> bool:
    """Whether a header begins at a byte, as far as its first 8 bytes tell."""
    return any(
        int.from_bytes(data[at : at + 4], order) == MAGIC
        and int.from_bytes(data[at + 6 : at + 8], order) == KERNEL
        for order in _ORDERS
    )


def find_header(data: bytes, start: int = 0, end: int | None = None) -> int:
    """Where the next header begins, before an end; -1 if none does."""
    found = []
    for order in _ORDERS:
        magic = MAGIC.to_bytes(4, order)
        at = data.find(magic, start, end)
        while at >= 0 and not is_header(data, at):
            at = data.find(magic, at + 1, end)
        found += [at] if at >= 0 else []
    return min(found, default=-1)


def read_parts(data: bytes, at: int) -> Parts:
    """The parts that begin with a header at a byte."""
    order = "<" if data[at : at + 4] == MAGIC.to_bytes(4, "little") else ">"
    version, kernel = struct.unpack_from(f"{order}HH", data[at : at + 8].ljust(8, b"\0"), 4)
    if version not in FORMATS:
        raise TraceError(
            f"is a TraceRecorder stream of format {version}; formats 10, 12, 13 and 14 are read, "
            "which are those of TraceRecorder 4.6 to 4.11"
        )
    if kernel != KERNEL:
        raise TraceError(f"was recorded on kernel {kernel:#06x}; FreeRTOS is {KERNEL:#06x}")
    options, cores = Words(data, order).u32(at + 8, 2)
    words = Words(data, order, 8 if options & _WIDE else 4)
    clock, at = _clock(words, at + 32, version)
    names, heaps, at = _table(words, at)
    return Parts(version, order, words.word, max(1, cores & 0xFF), clock, names, heaps, at)


def _clock(words: Words, at: int, version: int) -> tuple[Clock, int]:
    """The time, and where it ends."""
    (how,) = words.u32(at)
    if version <= _NAME_FIRST:
        (frequency,), (period,) = words.words(at + 4), words.u32(at + 4 + words.word)
    else:
        (period,), (frequency,) = words.u32(at + 4), words.words(at + 8)
    if not 1 <= how <= 6:
        raise TraceError(f"the time is of type {how}; types 1 to 6 are read")
    _wraps, _rate, latest, tick = words.u32(at + 8 + words.word, 4)
    return Clock(how, period, frequency, latest, tick), at + 24 + words.word


def _table(words: Words, at: int) -> tuple[dict[int, bytes], tuple[int, ...], int]:
    """Names by address, sizes of heaps, and where the table ends."""
    count, text, states = words.words(at, 3)
    at += 3 * words.word
    size = (1 + states) * words.word + 4 + text
    if states > _MOST_STATES or count * size > len(words.data) - at:
        raise cut_short()
    names, heaps = {}, []
    for start in range(at, at + count * size, size):
        address, *found = words.words(start, 1 + states)
        (options,) = words.u32(start + size - text - 4)
        if options & _HEAP and len(found) > 2:
            heaps.append(found[2])
        elif address:
            names[address] = words.data[start + size - text : start + size].partition(b"\0")[0]
    return names, tuple(heaps), at + count * size
