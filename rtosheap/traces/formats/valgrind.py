"""valgrind's log of ``--trace-malloc=yes``.

Lines ``--PID-- CALL`` among any other text; of these the calls of malloc and its kin are taken,
in order over all threads, which valgrind runs one at a time. What another process wrote
(``--trace-children=yes``) is left out, since its addresses are its own.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.formats._address_log import AddressLog, LogLines, bad_line

NAME = "valgrind"
HINT = "lines '--PID-- malloc(N) = 0xADDR'"

_SNIFF = re.compile(rb"(?m)^--\d+-- (?:malloc|calloc|realloc|memalign|free|_Z[nd]\w+)\(|^==\d+== ")
_LINE = re.compile(
    rb"--(\d+)-- (\w+)\(([^)]*)\)(?:(?:malloc|free)\([^)]*\))?(?: = 0[xX]([0-9A-Fa-f]+))?\s*\Z"
)
_OURS = re.compile(
    rb"--\d+-- (?:malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc|valloc|free|"
    rb"_Zn[wa]\w*|_Zd[la]\w*)\("
)
_NUMBER = re.compile(rb"(?:size )?(\d+)\Z")
_ADDRESS = re.compile(rb"0[xX]([0-9A-Fa-f]+)\Z")
_RIGHT = "'--PID-- CALL(ARGUMENTS) = 0xADDRESS', a free without the result"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _SNIFF.search(head) is not None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict)
    reader.lines.each(stream, reader.take)
    columns = reader.log.columns(
        "valgrind --trace-malloc=yes", alignments=reader.aligned, other_processes=reader.others
    )
    return reader.lines.finish(columns)


class _Reader:
    def __init__(self, strict: bool) -> None:
        self.log, self.lines = AddressLog(), LogLines(strict)
        self.aligned = self.others = 0
        self._process: bytes | None = None

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
            self.others += 1
            return
        try:
            self._call(name, arguments, result, number)
        except (ValueError, AttributeError, TypeError, IndexError):
            raise bad_line(raw, _RIGHT) from None

    def _call(self, name: bytes, arguments: bytes, result: bytes | None, number: int) -> None:
        log = self.log
        if name == b"free" or name.startswith(b"_Zd"):
            log.free(_address(arguments.partition(b",")[0]), number)
        elif name == b"realloc":
            old, size = arguments.split(b",")
            asked = int(size)
            # realloc(p, 0) frees; its result stands on the next line
            new = 0 if asked == 0 and result is None else _result(result)
            log.realloc(_address(old), new, asked, number)
        else:
            address = _result(result)
            self.lines.saw(len(result or b""))
            if name == b"malloc" or (name.startswith(b"_Zn") and b"," not in arguments):
                size_ = _size(arguments)
            elif name == b"calloc":
                count, each = arguments.split(b",")
                size_ = int(count) * int(each)
            else:
                sizes = [part for part in arguments.split(b",") if b"al " not in part]
                size_ = _size(sizes[-1].strip())
                self.aligned += 1
            log.malloc(address, size_, number)


def _size(text: bytes) -> int:
    match = _NUMBER.match(text)
    if match is None:
        raise ValueError
    return int(match[1])


def _address(text: bytes) -> int:
    match = _ADDRESS.match(text)
    if match is None:
        raise ValueError
    return int(match[1], 16)


def _result(text: bytes | None) -> int:
    if text is None:
        raise ValueError
    return int(text, 16)


_CALLS = frozenset({b"malloc", b"free", b"realloc", b"calloc", b"memalign"})
