"""valgrind's log of ``--trace-malloc=yes``.

Lines ``--PID-- CALL`` (``--TIME PID-- CALL`` with ``--time-stamp=yes``) among any other text; of
these the calls of malloc and its kin are taken, in order over all threads, which valgrind runs one
at a time. What another process wrote (``--trace-children=yes``) is left out, since its addresses
are its own.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.formats._address_log import LogReader, bad_line, whole

NAME = "valgrind"
HINT = "lines '--PID-- malloc(N) = 0xADDR'"

_WHEN = rb"(?:\d[\d:.]++ )?"
_SNIFF = re.compile(
    rb"(?m)^--" + _WHEN + rb"\d++-- (?:malloc|calloc|realloc|memalign|free|_Z[nd]\w++)\(|"
    rb"^==" + _WHEN + rb"\d++== "
)
_LINE = re.compile(
    rb"--" + _WHEN + rb"(\d++)-- (\w++)\(([^)]*+)\)(?:(?:malloc|free)\([^)]*+\))?"
    rb"(?: = 0[xX]([0-9A-Fa-f]++))?\s*+\Z"
)
_OURS = re.compile(
    rb"--" + _WHEN + rb"\d++-- (?:malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc|"
    rb"valloc|free|_Zn[wa]\w*+|_Zd[la]\w*+)\("
)
_NUMBER = re.compile(rb"(?:size )?(\d++)\Z")
_ADDRESS = re.compile(rb"0[xX]([0-9A-Fa-f]++)\Z")
_RIGHT = "'--PID-- CALL(ARGUMENTS) = 0xADDRESS', a free without the result"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _SNIFF.search(head) is not None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    return _Reader(strict).of(stream).columns("valgrind --trace-malloc=yes")


class _Reader(LogReader):
    SILENT = "holds no call of malloc or free; valgrind logs them with --trace-malloc=yes"

    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self._process: bytes | None = None

    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take calls of the process that is known."""
        process = b"" if self._process is None else b"--%b-- " % self._process
        return self.scan_valgrind(data, at, end, line, process)

    def take(self, raw: bytes, number: int) -> None:
        if not raw.startswith(b"--"):
            return
        match = _LINE.match(raw)
        if match is None:
            if _OURS.match(raw):
                raise bad_line(raw, _RIGHT)
            return
        process, name, arguments, result = match.groups()
        if name not in _CALLS and not _OURS.match(raw):
            return
        if self._process is None:
            self._process = process
        elif process != self._process:
            self.loss["other_processes"] += 1
            return
        try:
            self._call(name, arguments, result or b"", number)
        except (ValueError, AttributeError, TypeError, IndexError):
            raise bad_line(raw, _RIGHT) from None

    def _call(self, name: bytes, arguments: bytes, result: bytes, number: int) -> None:
        if name == b"free" or name.startswith(b"_Zd"):
            self.free(_number(_ADDRESS, arguments.partition(b",")[0], 16), number)
        elif name == b"realloc":
            old, size = arguments.split(b",")
            asked = _number(_NUMBER, size)
            # realloc(p, 0) frees; its result stands on the next line
            new = 0 if asked == 0 and not result else whole(result, 16)
            self.realloc(_number(_ADDRESS, old, 16), new, asked, number)
        else:
            address = whole(result, 16)
            self.saw(len(result))
            if name == b"malloc" or (name.startswith(b"_Zn") and b"," not in arguments):
                asked = _number(_NUMBER, arguments)
            elif name == b"calloc":
                count, each = arguments.split(b",")
                asked = _number(_NUMBER, count) * _number(_NUMBER, each)
            else:
                sizes = [part for part in arguments.split(b",") if b"al " not in part]
                asked = _number(_NUMBER, sizes[-1].strip())
                self.loss["alignments"] += 1
            self.malloc(address, asked, number)


def _number(pattern: re.Pattern[bytes], text: bytes, base: int = 10) -> int:
    match = pattern.match(text)
    if match is None:
        raise ValueError
    return whole(match[1], base)


_CALLS = frozenset({b"malloc", b"free", b"realloc", b"calloc", b"memalign"})
