"""Pigweed's allocator requests: ``m <size> <address>`` and ``f <address>``, one a line.

Sizes are decimal, addresses hexadecimal, with or without ``0x``. Blank lines and lines that begin
with ``#`` say nothing. An address of 0 is a failed request, or ``free(NULL)``.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.formats._address_log import LogReader, bad_line

NAME = "pigweed"
HINT = "lines 'm <size> <address>' and 'f <address>'"

_LINE = re.compile(rb"(?:m (\d{1,20}) |f )(?:0[xX])?([0-9a-fA-F]{1,16})\s*\Z")
# Possessive: what was taken is not tried otherwise, however many blank lines there are.
# Without 0x an address is told from the number of a block by its length.
_ADDRESS = rb"(?:0[xX][0-9a-fA-F]+|[0-9a-fA-F]{6,16})"
_SNIFF = re.compile(
    rb"(?!# rtosheap)(?:[^\S\n]*+(?:#[^\n]*+)?\n)*+(?:m \d++ |f )"
    + _ADDRESS
    + rb"[ \t\r]*+(?:\n|\Z)"
)
_RIGHT = "'m <size> <address>' or 'f <address>'"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _SNIFF.match(head) is not None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the requests; see :class:`~rtosheap.traces.formats.Reader`."""
    return _Reader(strict).of(stream).columns("Pigweed allocator requests")


class _Reader(LogReader):
    def take(self, raw: bytes, number: int) -> None:
        match = _LINE.match(raw)
        if match is None:
            if raw.strip() and not raw.startswith(b"#"):
                raise bad_line(raw, _RIGHT)
            return
        size, address = match.groups()
        self.saw(len(address))
        if size is None:
            self.free(int(address, 16), number)
        else:
            self.malloc(int(address, 16), int(size), number)
