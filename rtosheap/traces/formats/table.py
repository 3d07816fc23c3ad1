"""A CSV table: a header line that names the columns, then one event per row.

Columns ``op``, ``id``, ``size`` and, where known, ``time`` and ``task``, in any order. The cells
are those of the text format's fields; the size of a free is 0 or empty, an unknown task is empty.
There is no place for a trace's `meta`, nor for recorded addresses.
"""

from __future__ import annotations

import csv
import io
import operator
from functools import partial
from typing import BinaryIO

from rtosheap import _formats
from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns, Tasks
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._plain_lines import read_block
from rtosheap.traces.formats._rows import Assembly, Row, Rows, row_of
from rtosheap.traces.formats.streams import MAX_LINE, read_lines, too_long
from rtosheap.traces.loss import Dropped, counts
from rtosheap.traces.meta import described

NAME = "csv"
HINT = "first line names the columns op,id,size[,time[,task]]"

_NEEDED = ("op", "id", "size")
_KNOWN = (*_NEEDED, "time", "task")


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    first = head.split(b"\n", 1)[0]
    names = [name.strip().strip(b'"').lower() for name in first.split(b",")]
    return b"op" in names and b"id" in names


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the rows; see :class:`~rtosheap.traces.formats.Reader`."""
    table = _Table(stream, strict)
    read_lines(stream, table.take_lines, table.take_line, 2)
    return table.columns()


class _Table:
    """The rows under a header line: those as they are usually written in C, the rest by itself."""

    def __init__(self, stream: BinaryIO, strict: bool) -> None:
        raw = stream.readline(MAX_LINE + 1)
        if not raw:
            raise TraceError("no header line", line=1)
        try:
            self._names = [name.strip().lower() for name in _cells(raw)]
            self._where = _places(self._names)
        except TraceError as error:
            raise error.at(line=1, path=None) from None
        self._strict, self._bad_lines = strict, 0
        self._tasks = Tasks()
        self._assembly = Assembly(self._tasks)
        self._scan = partial(_formats.scan_csv, bytes(map(_KNOWN.index, self._names)))

    def take_lines(self, data: bytearray, at: int, stop: int, line: int) -> int:
        """Take whole lines, of which the first is number `line`; the next one's number."""
        block, line = read_block(
            data, stop, line, self._tasks, False, self._row, at=at, scan=self._scan
        )
        self._assembly.add(block)
        return line

    def take_line(self, raw: bytes, line: int) -> None:
        """Take one that is too long, or has no end."""
        rows = Rows(self._tasks)
        row = self._row(raw, line)
        if row is not None:
            rows.append(row, line)
        self._assembly.add(rows.take())

    def _row(self, raw: bytes, line: int) -> Row | None:
        """The event on a line; None if there is none."""
        try:
            row = _cells(raw)
            return self._event(row) if row else None
        except TraceError as error:
            if self._strict:
                raise error.at(line=line, path=None) from None
            self._bad_lines += 1
            return None

    def _event(self, row: list[str]) -> Row:
        if len(row) != len(self._names):
            names = ",".join(self._names)
            raise TraceError(f"{len(row)} fields; the header names {len(self._names)}: {names}")
        cells = [*(cell.strip() for cell in row), ""]
        op, id_, size, time, task = (cells[place] for place in self._where)
        return row_of(self._tasks, op, id_, size, time, task)

    def columns(self) -> Columns:
        """All rows' events; can be called once."""
        columns = self._assembly.columns(strict=self._strict)
        columns.dropped = columns.dropped.merged(Dropped(bad_line=self._bad_lines))
        return columns


def _cells(raw: bytes) -> list[str]:
    """A line's cells: no cell goes on in the next line, since none holds a line's end."""
    if len(raw) > MAX_LINE:
        raise too_long()
    # What is not UTF-8 becomes surrogates, which no field may hold.
    text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
    try:
        return next(csv.reader((text,), strict=True), [])
    except csv.Error as error:
        raise TraceError(str(error)) from None


def _places(names: list[str]) -> list[int]:
    """Where in a row each known column stands; past its end for one that is not given."""
    for name in names:
        if name not in _KNOWN or names.count(name) > 1:
            problem = "stands twice" if name in _KNOWN else "is unknown"
            reason = f"the column {name!r} {problem}; the columns are op,id,size[,time[,task]]"
            raise TraceError(reason)
    for name in _NEEDED:
        if name not in names:
            raise TraceError(f"no column {name!r}; the columns are op,id,size[,time[,task]]")
    return [names.index(name) if name in names else len(names) for name in _KNOWN]


def lost(trace: TraceBase) -> list[str]:
    """The header's keys and addresses; see :class:`~rtosheap.traces.formats.Writer`."""
    keys = list(described(dict(trace.meta)))
    out = [f"the trace's meta ({', '.join(keys)})"] if keys else []
    out += ["what is missing of it"] if counts(trace.loss, trace.dropped) else []
    return out if trace.recorded_address is None else [*out, "the recorded addresses"]


def write(trace: TraceBase, stream: BinaryIO) -> None:
    """Write the rows; see :class:`~rtosheap.traces.formats.Writer`."""
    timed, named = trace.time is not None, trace.task_codes is not None
    names = [*_NEEDED, *(["time"] if timed else []), *(["task"] if named else [])]
    wrapper = io.TextIOWrapper(stream, "utf-8", newline="")
    writer = csv.writer(wrapper, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(map(operator.itemgetter(*map(_KNOWN.index, names)), trace))
    wrapper.flush()
    wrapper.detach()
