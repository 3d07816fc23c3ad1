"""A CSV table: a header line that names the columns, then one event per row.

Columns ``op``, ``id``, ``size`` and, where known, ``time`` and ``task``, in any order. The cells
are those of the text format's fields; the size of a free is 0 or empty, an unknown task is empty.
There is no place for a trace's `meta`, nor for recorded addresses.
"""

from __future__ import annotations

import csv
import io
import operator
from typing import BinaryIO

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns, Tasks
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._rows import Assembly, Rows
from rtosheap.traces.formats.streams import MAX_LINE, lines, too_long
from rtosheap.traces.loss import Dropped, counts
from rtosheap.traces.meta import described

NAME = "csv"
HINT = "first line names the columns op,id,size[,time[,task]]"

_NEEDED = ("op", "id", "size")
_KNOWN = (*_NEEDED, "time", "task")
_BLOCK = 1 << 16
_BOM = b"\xef\xbb\xbf"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    first = head.removeprefix(_BOM).split(b"\n", 1)[0]
    names = [name.strip().strip(b'"').lower() for name in first.split(b",")]
    return b"op" in names and b"id" in names


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the rows; see :class:`~rtosheap.traces.formats.Reader`."""
    names: list[str] = []
    where: list[int] = []
    tasks = Tasks()
    assembly, rows, bad_lines = Assembly(tasks), Rows(tasks), 0
    for number, raw in enumerate(lines(stream), 1):
        try:
            row = _cells(raw.removeprefix(_BOM) if number == 1 else raw)
            if number == 1:
                names = [name.strip().lower() for name in row]
                where = _places(names)
            elif row:
                _add_row(rows, row, names, where, number)
        except TraceError as error:
            if strict or number == 1:
                raise error.at(line=number, path=None) from None
            bad_lines += 1
        if len(rows) >= _BLOCK:
            assembly.add(rows.take())
    if not where:
        raise TraceError("no header line", line=1)
    assembly.add(rows.take())
    columns = assembly.columns(strict=strict)
    columns.dropped = columns.dropped.merged(Dropped(bad_line=bad_lines))
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


def _add_row(rows: Rows, row: list[str], names: list[str], where: list[int], line: int) -> None:
    if len(row) != len(names):
        raise TraceError(f"{len(row)} fields; the header names {len(names)}: {','.join(names)}")
    cells = [*(cell.strip() for cell in row), ""]
    op, id_, size, time, task = (cells[place] for place in where)
    rows.add(op, id_, size, time, task, line)


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
