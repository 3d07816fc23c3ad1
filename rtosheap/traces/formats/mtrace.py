"""glibc's mtrace log: what ``mtrace()`` writes to the file that ``MALLOC_TRACE`` names.

``@ CALLER OP`` a line, where OP is ``+ 0xADDR 0xSIZE``, ``- 0xADDR``, ``< 0xOLD`` with the next
line ``> 0xNEW 0xSIZE`` (a realloc), ``+ (nil) 0xSIZE`` or ``! 0xADDR 0xSIZE`` (failed). Threads
are in order, without their names. Aligned requests look like plain ones.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import LogReader, bad_line

NAME = "mtrace"
HINT = "first line '= Start', or lines '@ CALLER + 0xADDR 0xSIZE'"

_OP = rb"([-+<>!]) (0x[0-9a-f]+|\(nil\)|0)(?: (0x[0-9a-f]+|0))?"
_LINE = re.compile(rb"(?:@ (?:.* )?)?" + _OP + rb"\s*\Z")
_SNIFF = re.compile(rb"= Start\s|(?:.*\n){0,64}?@ .*" + _OP + rb"[ \t\r]*\n")
_RIGHT = "'@ CALLER + 0xADDR 0xSIZE', '- 0xADDR', '< 0xOLD', '> 0xNEW 0xSIZE' or '! 0xADDR 0xSIZE'"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _SNIFF.match(head) is not None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    # A '<' that ends the file was cut off from its '>'.
    if reader.old is not None:
        reader.loss["cut_lines"] = 1
    return reader.columns("glibc mtrace")


class _Reader(LogReader):
    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.old: int | None = None  # the block of a '<' whose '>' is still to come

    def take(self, raw: bytes, number: int) -> None:
        if raw.startswith(b"=") or not raw.strip():
            return
        match = _LINE.match(raw)
        if match is None:
            raise bad_line(raw, _RIGHT)
        op, where, size = match.groups()
        if (size is None) != (op in b"-<"):
            raise bad_line(raw, _RIGHT)
        old, self.old = self.old, None
        if (op == b">") != (old is not None):
            what = "a '<' without the '>' of its realloc" if old else "a '>' without its '<'"
            raise TraceError(f"{what}; they stand on two lines, one after the other")
        address = 0 if where == b"(nil)" else int(where, 16)
        self.saw(len(where) - 2)
        if op == b"+":
            self.malloc(address, int(size, 16), number)
        elif op == b"-":
            self.free(address, number)
        elif op == b"<":
            self.old = address
        elif old is not None:
            self.realloc(old, address, int(size, 16), number)
        else:  # '!'
            self.realloc(address, 0, int(size, 16), number)
