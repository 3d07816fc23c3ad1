"""Lines with all of an event, those of the text format and of CSV, a block at a time.

Lines as `Trace.save` writes them are read in C. Whatever is unusual, and so whatever is wrong, is
left to the line-by-line reader, whose word is final.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from rtosheap import _formats
from rtosheap.traces.columns import Tasks
from rtosheap.traces.formats._rows import Block, Row

_NEWLINE = 10
_SEED = int.from_bytes(os.urandom(8))  # nobody can write a file whose names collide


def read_block(
    data: bytearray,
    stop: int,
    line: int,
    tasks: Tasks,
    addressed: bool,
    unusual: Callable[[bytes, int], Row | None],
    *,
    at: int = 0,
    scan: Callable[..., tuple[int, int, int]] = _formats.scan_text,
) -> tuple[Block, int]:
    """Read whole lines, the first of them number `line`, to byte `stop`; and the next one's number.

    `unusual` reads one line by itself; None if that is no event. `scan` reads what is usual, from
    byte `at` on.
    """
    room = int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8, count=stop) == _NEWLINE))
    op, timed = np.empty(room, dtype=np.uint8), np.empty(room, dtype=np.bool_)
    id_, time, lines = (np.empty(room, dtype=np.int64) for _ in range(3))
    size, task = np.empty(room, dtype=np.uint64), np.empty(room, dtype=np.int32)
    address = np.empty(room, dtype=np.uint64) if addressed else None
    columns = (op, id_, size, time, timed, task, lines, address)

    def code_of(name: bytes) -> int | None:
        try:
            return tasks.code(name.decode())
        except ValueError:  # not a word, or not UTF-8
            return None

    count = 0
    first = line
    while at < stop:
        at, line, count = scan(data, at, stop, line, count, columns, code_of, _SEED)
        if at < stop:
            end = data.index(_NEWLINE, at) + 1
            row = unusual(bytes(data[at:end]), line)
            if row is not None:
                op[count], id_[count], size[count] = row.op, row.id, row.size
                time[count], timed[count], task[count] = row.time, row.timed, row.task
                lines[count] = line
                if address is not None and row.address is not None:
                    address[count] = row.address
                count += 1
            at, line = end, line + 1
    whole = count == line - first  # an event a line
    some, named = timed[:count].any(), (task[:count] >= 0).any()
    block = Block(
        op=op[:count],
        id=id_[:count],
        size=size[:count],
        time=time[:count] if some else None,
        timed=None if not some or timed[:count].all() else timed[:count],
        task_codes=task[:count] if named else None,
        lines=first if whole else lines[:count],
        addresses=None if address is None else address[:count],
    )
    return block, line
