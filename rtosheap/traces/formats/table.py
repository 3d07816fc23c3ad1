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
from rtosheap.traces.loss import Dropped
from rtosheap.traces.meta import described

NAME = "csv"
HINT = "first line names the columns op,id,size[,time[,task]]"

_NEEDED = ("op", "id", "size")
_KNOWN = (*_NEEDED, "time", "task")
_BLOCK = 1 << 16


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    names = [name.strip().strip(b'"').lower() for name in first.split(b",")]
    return b"op" in names and b"id" in names


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the rows; see :class:`~rtosheap.traces.formats.Reader`."""
    # What is not UTF-8 becomes surrogates, which no field may hold: an error with its line.
    wrapper = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        return _read_rows(wrapper, strict)
    finally:
        wrapper.detach()


def _read_rows(file: io.TextIOWrapper, strict: bool) -> Columns:
    reader = csv.reader(file, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise TraceError(f"no header line: {error}", line=1) from None
    where = _places(names)
    tasks = Tasks()
    assembly, rows, bad_lines = Assembly(tasks), Rows(tasks), 0
    while True:
        try:
            row = next(reader, None)
            if row is None:
                break
            if row:
                _add_row(rows, row, names, where, reader.line_num)
        except (TraceError, csv.Error) as error:
            if strict:
                found = error if isinstance(error, TraceError) else TraceError(str(error))
                raise found.at(line=reader.line_num, path=None) from None
            bad_lines += 1
        if len(rows) >= _BLOCK:
            assembly.add(rows.take())
    assembly.add(rows.take())
    columns = assembly.columns(strict=strict)
    columns.dropped = columns.dropped.merged(Dropped(bad_line=bad_lines))
    return columns


def _places(names: list[str]) -> list[int]:
    """Where in a row each known column stands; past its end for one that is not given."""
    for name in names:
        if name not in _KNOWN or names.count(name) > 1:
            problem = "stands twice" if name in _KNOWN else "is unknown"
            reason = f"the column {name!r} {problem}; the columns are op,id,size[,time[,task]]"
            raise TraceError(reason, line=1)
    for name in _NEEDED:
        if name not in names:
            raise TraceError(
                f"no column {name!r}; the columns are op,id,size[,time[,task]]", line=1
            )
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
