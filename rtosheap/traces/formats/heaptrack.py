"""heaptrack's files, raw (``--raw``) and interpreted (the default), unpacked or not.

All numbers are hexadecimal. Raw: ``+ SIZE TRACE ADDR`` and ``- ADDR``. Interpreted: ``a SIZE
TRACE`` defines allocation 0, 1, 2, …, and ``+ k``, ``- k`` use one: which of several equal blocks
was freed is not known, and the youngest is taken. Both have ``c MS``, the time. A realloc is a
free and a malloc; a memalign is missing though its free is there, a ``realloc(p, 0)`` altogether.

heaptrack brings the C++ runtime into every program, whose first block, of 72,704 bytes, is left out
and counted.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import TIME_MAX, Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import LogReader, bad_line
from rtosheap.traces.loss import Loss
from rtosheap.traces.meta import RUNTIMES_BLOCK

NAME = "heaptrack"
HINT = "first line 'v VERSION FILEVERSION'"

_VERSION = 3
_HEAD = re.compile(rb"v [0-9a-f]{1,16}(?: [0-9a-f]{1,16})?\s")
_HEX = re.compile(rb"[0-9a-f]{1,16}\Z")
_RIGHT = "'+ SIZE TRACE ADDR', '- ADDR', '+ K', '- K', 'a SIZE TRACE' or 'c MS'"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _HEAD.match(head) is not None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    form = "interpreted" if reader.interpreted else "raw"
    columns = reader.columns(f"heaptrack ({form})", time_unit="ms")
    if reader.interpreted:
        columns.addresses = None
    if len(columns.op) and int(columns.size[0]) == RUNTIMES_BLOCK:  # heaptrack's first call
        own = columns.id != columns.id[0]
        columns.keep(own)
        if columns.lines is not None:
            columns.lines.keep(own)
        columns.loss = columns.loss.merged(Loss(runtime_blocks=1))
    return columns


class _Reader(LogReader):
    TIMED = True

    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.interpreted: bool | None = None

    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take all but the first line."""
        return (
            (at, line) if line == 1 else self.scan_heaptrack(data, at, end, line, self.interpreted)
        )

    def take(self, raw: bytes, number: int) -> None:
        kind = raw[:2]
        if kind == b"i ":  # an instruction's address tells how wide addresses are
            word = raw[2:].partition(b" ")[0]
            self.highest = max(self.highest, int(word, 16) if _HEX.match(word) else 0)
        if kind not in _KINDS or (number == 1 and kind != b"v "):
            return
        words = raw.split()[1:]
        if not all(map(_HEX.match, words)):
            raise bad_line(raw, _RIGHT)
        values = [int(word, 16) for word in words]
        if kind == b"c ":
            self._clock(raw, values)
        elif kind == b"v ":
            self._head(values)
        elif kind == b"a ":
            if len(values) not in (2, 3):
                raise bad_line(raw, _RIGHT)
            self.add_kind(values[0])
        else:
            if self.interpreted is None:
                self.interpreted = len(values) == 1 and self.kinds > 0
            self._event(raw, kind == b"+ ", words, values, number)

    def _head(self, values: list[int]) -> None:
        if len(values) > 1 and values[1] > _VERSION:
            raise TraceError(f"file version {values[1]}; this reads versions up to {_VERSION}")

    def _clock(self, raw: bytes, values: list[int]) -> None:
        if len(values) != 1:
            raise bad_line(raw, _RIGHT)
        if values[0] > TIME_MAX:
            raise TraceError(f"the time is {values[0]} ms; it must be from 0 to 2**63 - 1")
        self.now = max(self.now, values[0])

    def _event(
        self, raw: bytes, allocated: bool, words: list[bytes], values: list[int], number: int
    ) -> None:
        if len(values) != (3 if allocated and not self.interpreted else 1):
            raise bad_line(raw, _RIGHT)
        if self.interpreted and values[0] >= self.kinds:
            reason = f"allocation {values[0]:x} is not defined; an 'a' line must stand before"
            raise TraceError(reason)
        if allocated and self.freed:
            self.loss["split_reallocs"] += 1
        self.freed = not allocated
        if not self.interpreted:
            self.saw(len(words[-1]))
            if allocated:
                self.malloc(values[2], values[0], number)
            else:
                self.free(values[0], number)
            return
        if allocated:
            self.malloc_of(values[0], number)
        else:
            self.free_of(values[0], number)


_KINDS = frozenset({b"+ ", b"- ", b"a ", b"c ", b"v "})
