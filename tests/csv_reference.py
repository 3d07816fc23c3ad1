"""CSV read row by row in Python alone: slower, and plainly right."""

from __future__ import annotations

import codecs

from rtosheap.traces.columns import Tasks
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._rows import Assembly, Rows
from rtosheap.traces.formats.streams import lines
from rtosheap.traces.formats.table import _cells, _places
from rtosheap.traces.loss import Dropped

_BLOCK = 1 << 16


def read(stream, *, strict):
    """Read the rows; see :class:`~rtosheap.traces.formats.Reader`."""
    names, where = [], []
    tasks = Tasks()
    assembly, rows, bad_lines = Assembly(tasks), Rows(tasks), 0
    for number, raw in enumerate(lines(stream), 1):
        try:
            row = _cells(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw)
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


def _add_row(rows, row, names, where, line):
    if len(row) != len(names):
        raise TraceError(f"{len(row)} fields; the header names {len(names)}: {','.join(names)}")
    cells = [*(cell.strip() for cell in row), ""]
    op, id_, size, time, task = (cells[place] for place in where)
    rows.add(op, id_, size, time, task, line)
