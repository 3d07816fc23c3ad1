"""This project's own text format.

The first line is ``# rtosheap-trace 1``; then come ``# key: value`` lines, which are the trace's
`meta`; then one event per line::

    m <id> <size> [<time> [<task>]]     malloc (calloc is its product)
    r <id> <size> [<time> [<task>]]     realloc of a live id, which keeps its meaning
    f <id> [<time> [<task>]]            free of a live id

Blank lines, and after the header ``#`` lines, may stand anywhere and say nothing. Either all
events have a time or none has; a task is a word. ``r <id> 0`` leaves a live block of 0 bytes
(a ``realloc(p, 0)`` that frees is recorded as ``f``).

A trace that has tasks but no times is written with 0 for each time and a header key ``untimed``,
which is not part of `meta`. With a header key ``addressed``, which is not either, each line has one
field more, its last: the address that a recorder saw, such as ``0x20000008``. When the header
states ``events`` and the file has another number of them, reading it warns, since it may have been
cut short.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns, Tasks
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._plain_lines import read_block
from rtosheap.traces.formats._rows import Assembly, Row, row_of
from rtosheap.traces.formats.streams import MAX_LINE, too_long
from rtosheap.traces.loss import Dropped, Loss, counts, from_counts
from rtosheap.traces.meta import ADDRESSED, MISSING, UNTIMED

NAME = "text"
HINT = "first line '# rtosheap-trace 1'"

_MAGIC = b"# rtosheap-trace"
_KEY = re.compile(r"#\s*+([^\s:]++):(?:\s++(.*+))?")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FORMS = {
    "m": "m <id> <size> [<time> [<task>]]",
    "r": "r <id> <size> [<time> [<task>]]",
    "f": "f <id> [<time> [<task>]]",
}
_READ_BLOCK = 1 << 20
_NEWLINE = ord(b"\n")
_WRITE_BLOCK = 1 << 16
_MAX_KEYS = 1 << 16


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return head.startswith(_MAGIC)


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    header = Header(stream, strict)
    tasks = Tasks()
    assembly = Assembly(tasks)
    slow, seen = _Lines(tasks, header.addressed, strict), 0
    line, rest = header.next_line, header.rest
    buffer = bytearray(len(rest) + MAX_LINE + _READ_BLOCK + 1)
    while True:
        buffer[: len(rest)] = rest
        with memoryview(buffer) as view:
            more = stream.readinto(view[len(rest) : len(rest) + _READ_BLOCK])  # type: ignore[attr-defined]
        end = len(rest) + more
        if not more and rest and not rest.endswith(b"\n"):
            buffer[end] = _NEWLINE
            end += 1
        cut = buffer.rfind(b"\n", 0, end) + 1
        rest = bytes(buffer[cut:end])
        if len(rest) > MAX_LINE:
            raise too_long().at(line=line + buffer.count(b"\n", 0, cut), path=None)
        block, line = read_block(buffer, cut, line, tasks, header.addressed, slow.read)
        assembly.add(block)
        seen += len(block.op)
        if not more:
            break

    columns = assembly.columns(strict=strict)
    columns.meta = header.meta
    columns.loss = header.loss
    bad_lines = Dropped(bad_line=header.bad_lines + slow.bad)
    columns.dropped = columns.dropped.merged(bad_lines).merged(header.dropped)
    if header.untimed:
        columns.time = None
    seen += slow.bad
    stated = header.meta.get("events", str(seen))
    if stated != str(seen):
        columns.warnings.append(
            f"the header says events: {stated}, the file has {seen}; it may have been cut short"
        )
    return columns


class Header:
    """A file's lines before the first event, whose line is left in `rest`."""

    def __init__(self, stream: BinaryIO, strict: bool) -> None:
        self.meta: dict[str, str] = {}
        self.bad_lines = 0
        self._first_line(stream.readline(MAX_LINE))
        self.next_line = 2
        while True:
            self.rest = stream.readline(MAX_LINE + 1)
            bare = self.rest.strip()
            if not self.rest or (bare and not bare.startswith(b"#")):
                break
            if len(self.rest) > MAX_LINE:
                raise too_long().at(line=self.next_line, path=None)
            try:
                self._key(bare)
            except TraceError as error:
                if strict:
                    raise error.at(line=self.next_line, path=None) from None
                self.bad_lines += 1
            self.next_line += 1
        self.untimed = self.meta.pop(UNTIMED, None) is not None
        self.addressed = self.meta.pop(ADDRESSED, None) is not None
        self.loss, self.dropped = _missing(self.meta.pop(MISSING, ""))

    def _first_line(self, line: bytes) -> None:
        magic, version = line[: len(_MAGIC)], line[len(_MAGIC) :].strip()
        if magic != _MAGIC:
            raise TraceError(
                f"begins with {line[:40].rstrip()!r}; it must be '# rtosheap-trace 1'", line=1
            )
        if version != b"1":
            shown = version[:40].decode(errors="backslashreplace")
            raise TraceError(f"the version is {shown!r}; this reads version 1", line=1)

    def _key(self, line: bytes) -> None:
        try:
            match = _KEY.fullmatch(line.decode())
        except UnicodeDecodeError:
            raise TraceError(f"{line[:40]!r} is not UTF-8") from None
        if match is None:
            return
        key, value = match[1], (match[2] or "").strip()
        if key in self.meta:
            raise TraceError(f"the key {key!r} stands in the header twice; give it once")
        if len(self.meta) == _MAX_KEYS:
            raise TraceError(f"more than {_MAX_KEYS:,} keys in the header")
        self.meta[key] = value


def _missing(text: str) -> tuple[Loss, Dropped]:
    """What the header says is missing of the trace: ``kind=count`` words."""
    found: dict[str, int] = {}
    try:
        for word in text.split():
            kind, _, count = word.partition("=")
            if not 0 < len(count) <= 18 or not count.isdecimal() or not count.isascii():
                raise KeyError(word)
            found[kind] = int(count)
        return from_counts(found)
    except KeyError as error:
        raise TraceError(
            f"the key 'missing' holds {error.args[0][:40]!r}; it must be words such as "
            "lost_events=22"
        ) from None


class _Lines:
    """Reads one line at a time, of any form, and counts the bad ones that are left out."""

    def __init__(self, tasks: Tasks, addressed: bool, strict: bool) -> None:
        self._tasks, self._addressed, self._strict = tasks, addressed, strict
        self.bad = 0

    def read(self, raw: bytes, line: int) -> Row | None:
        """The event on a line, None if there is none."""
        raw = raw.strip()
        if not raw or raw.startswith(b"#"):
            return None
        try:
            return _row(raw, self._tasks, self._addressed)
        except TraceError as error:
            if self._strict:
                raise error.at(line=line, path=None) from None
            self.bad += 1
            return None


def _row(raw: bytes, tasks: Tasks, addressed: bool) -> Row:
    try:
        fields = [field.decode() for field in raw.split()]
    except UnicodeDecodeError:
        raise TraceError(f"{raw[:40]!r} is not UTF-8") from None
    address = None
    if addressed:
        last = fields.pop()
        if not _ADDRESS.fullmatch(last):
            raise TraceError(
                f"the line ends with {last[:40]!r}; it must be an address, such as 0x20000008"
            )
        address = int(last, 16)
    op = fields[0] if fields else ""
    form = _FORMS.get(op)
    if form is None:
        raise TraceError(f"unknown event {op[:40]!r}; a line begins with m, r or f (or with #)")
    fixed = 2 if op == "f" else 3
    if not fixed <= len(fields) <= fixed + 2:
        what = "too few fields" if len(fields) < fixed else "too many fields"
        shown = raw[:40].decode(errors="replace")
        raise TraceError(f"{what} in {shown!r}; it must be {form!r}")
    size = fields[2] if fixed == 3 else ""
    time, task = [*fields[fixed:], "", ""][:2]
    return row_of(tasks, op, fields[1], size, time, task, address)


def lost(trace: TraceBase) -> list[str]:
    """Nothing; see :class:`~rtosheap.traces.formats.Writer`."""
    return []


def write(trace: TraceBase, stream: BinaryIO) -> None:
    """Write the header and the events; see :class:`~rtosheap.traces.formats.Writer`."""
    untimed = trace.task_codes is not None and trace.time is None
    header = dict(trace.meta)
    if untimed:
        header[UNTIMED] = "the times below are not known"
    if trace.recorded_address is not None:
        header[ADDRESSED] = "the last field is where the block was recorded"
    lacks = counts(trace.loss, trace.dropped)
    if lacks:
        header[MISSING] = " ".join(f"{kind}={count}" for kind, count in lacks.items())
    lines = [_MAGIC.decode() + " 1\n"]
    lines += [f"# {key}: {value}".rstrip() + "\n" for key, value in header.items()]
    stream.write("".join(lines).encode())
    names = (*trace.task_names, "")
    for start in range(0, len(trace), _WRITE_BLOCK):
        part = slice(start, start + _WRITE_BLOCK)
        tails = [""] * len(trace.op[part])
        if trace.time is not None:
            tails = [f" {time}" for time in trace.time[part].tolist()]
        if trace.task_codes is not None:
            tails = [" 0"] * len(tails) if untimed else tails
            words = [f" {name}" if name else "" for name in names]
            codes = trace.task_codes[part].tolist()
            tails = [tail + words[code] for tail, code in zip(tails, codes, strict=True)]
        if trace.recorded_address is not None:
            where = trace.recorded_address[part].tolist()
            tails = [f"{tail} {at:#x}" for tail, at in zip(tails, where, strict=True)]
        columns = (trace.op[part], trace.id[part], trace.size[part])
        rows = zip(*(np.asarray(column).tolist() for column in columns), tails, strict=True)
        stream.write(
            "".join(
                [
                    f"f {id}{tail}\n" if op == 102 else f"{chr(op)} {id} {size}{tail}\n"
                    for op, id, size, tail in rows
                ]
            ).encode()
        )
