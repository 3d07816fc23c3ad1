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

_WHERE = re.compile(rb"(?:0x[0-9a-f]{1,16}|\(nil\)|0)\Z")
_SIZE = re.compile(rb"(?:0x[0-9a-f]{1,16}|0)\Z")
_SIZED, _UNSIZED = frozenset({b"+", b">", b"!"}), frozenset({b"-", b"<"})
_SNIFFED = 64  # lines that may stand before the first call
_RIGHT = "'@ CALLER + 0xADDR 0xSIZE', '- 0xADDR', '< 0xOLD', '> 0xNEW 0xSIZE' or '! 0xADDR 0xSIZE'"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    first = head.split(b"\n", _SNIFFED + 1)[: _SNIFFED + 1]
    calls = (line for line in first if line.startswith(b"@ "))
    return first[0].rstrip() == b"= Start" or any(_call(line) is not None for line in calls)


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    # A '<' that ends the file was cut off from its '>'.
    if reader.old is not None:
        reader.loss["cut_lines"] = 1
    return reader.columns("glibc mtrace")


def _call(raw: bytes) -> tuple[bytes, bytes, bytes] | None:
    """A line's operation, its address and its size (``0`` if it has none); None if it is no call.

    They stand at its end, behind a caller that may hold anything.
    """
    words = raw.split()
    if len(words) > 2 and words[-3] in _SIZED:
        before, (op, where, size) = words[:-3], words[-3:]
    elif len(words) > 1 and words[-2] in _UNSIZED:
        before, (op, where, size) = words[:-2], (*words[-2:], b"0")
    else:
        return None
    known = _WHERE.match(where) and _SIZE.match(size) and before[:1] in ([], [b"@"])
    return (op, where, size) if known else None


class _Reader(LogReader):
    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.old: int | None = None  # the block of a '<' whose '>' is still to come

    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take calls, those of two lines as well."""
        return self.scan_mtrace(data, at, end, line) if self.old is None else (at, line)

    def take(self, raw: bytes, number: int) -> None:
        if raw.startswith(b"=") or not raw.strip():
            return
        call = _call(raw)
        if call is None:
            raise bad_line(raw, _RIGHT)
        op, where, size = call
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
