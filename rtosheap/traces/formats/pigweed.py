"""Pigweed's allocator requests: ``m <size> <address>`` and ``f <address>``, one a line.

Sizes are decimal, addresses hexadecimal, with or without ``0x``. Blank lines, and what stands
behind a ``#``, say nothing. An address of 0 is a failed request, or ``free(NULL)``. Other text may
stand between the lines, and before them on each: what a terminal or a logger writes there.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.formats._address_log import bad_line
from rtosheap.traces.formats._serial import Events, SerialReader

NAME = "pigweed"
HINT = "lines 'm <size> <address>' and 'f <address>'"

_COMMENT = rb"(?:[ \t]++#.*+)?"
_EVENTS = Events(
    rb"(?:m (\d{1,20}) |f )(?:0[xX])?([0-9a-fA-F]{1,16})" + _COMMENT,
    rb"\A[mf] |m \d{1,20} 0[xX]|f 0[xX]",
)
# Without 0x, an address on the first line is told from the number of a block by its length.
_BARE = re.compile(rb"(?:m \d{1,20} |f )[0-9a-fA-F]{6,16}" + _COMMENT + rb"[ \t\r]*+(?:\n|\Z)")
_MARKED = Events(
    rb"(?:m \d{1,20} |f )0[xX][0-9a-fA-F]{1,16}" + _COMMENT, rb"m \d{1,20} 0[xX]|f 0[xX]"
)
_RIGHT = "'m <size> <address>' or 'f <address>'"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    said = (line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#"))
    return _BARE.match(next(said, b"")) is not None or _MARKED.among(head)


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the requests; see :class:`~rtosheap.traces.formats.Reader`."""
    return _Reader(strict).of(stream).columns("Pigweed allocator requests")


class _Reader(SerialReader):
    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take requests, once one was seen."""
        return self.scan_pigweed(data, at, end, line) if self.started else (at, line)

    def take(self, raw: bytes, number: int) -> None:
        match = _EVENTS.find(raw)
        if match is None:
            if _EVENTS.begins(raw):
                raise bad_line(raw, _RIGHT)
            self.skip(raw, number, _RIGHT)
            return
        self.start()
        size, address = match.groups()
        self.saw(len(address))
        if size is None:
            self.free(int(address, 16), number)
        else:
            self.malloc(int(address, 16), int(size), number)
