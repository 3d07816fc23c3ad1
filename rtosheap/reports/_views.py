"""What a viewer shows of a recording, and of a heap that replayed it, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtosheap.heaps.layout import Layout
from rtosheap.replays import FAILURES, Replay
from rtosheap.replays.blocks import BlockTable, allocated_bytes, block_table, failed
from rtosheap.reports._pack import pack
from rtosheap.traces import Op, Trace

#: The columns that a view is made of.
COLUMNS = ("address", "block_size", "free_size", "largest_free_block", "failure")


def recording(trace: Trace, name: str) -> dict[str, Any]:
    """What the program asked for, whichever heap serves it: a block for each malloc and realloc."""
    asks = np.flatnonzero(trace.op != Op.FREE)
    codes = trace.task_codes
    return {
        "name": name,
        "events": len(trace),
        "born": pack(asks),
        "end": pack(trace.ends()[asks] - asks),
        "id": pack(trace.id[asks]),
        "asked": pack(trace.size[asks]),
        "tasks": list(trace.task_names),
        "task": None if codes is None else pack(codes[asks]),
        "time_unit": trace.time_unit,
        "time": None if trace.time is None else pack(trace.time),
    }


def view(replay: Replay) -> dict[str, Any]:
    """Where a heap put the blocks of its recording, and what was free after each event.

    A block that the heap refused has the size 0. `ends` are those blocks that end at another event
    than the program gave them back at, and that event.
    """
    trace = replay.trace
    asks = np.flatnonzero(trace.op != Op.FREE)
    place = np.full(len(trace), -1, np.int64)
    place[asks] = np.arange(len(asks))
    table = block_table(replay)
    taken = place[table.event]
    offset, size, region = (np.zeros(len(asks), np.int64) for _ in range(3))
    offset[taken], size[taken], region[taken] = table.offset, table.size, table.region
    end = trace.ends()[table.event]
    other = np.flatnonzero(end != table.end) if Layout.of(replay.heap).frees else end[:0]
    fails = np.flatnonzero(failed(replay))
    return {
        "heap": replay.heap_kind,
        "size": replay.heap.size,
        "header": replay.header_size,
        "regions": [list(one) for one in replay.regions],
        "frees": Layout.of(replay.heap).frees,
        "offset": pack(offset),
        "taken": pack(np.where(size == 0, 0, size - trace.size[asks].astype(np.int64))),
        "refused": pack(np.flatnonzero(size == 0)),
        "region": pack(region) if len(replay.regions) > 1 else None,
        "ends": [pack(taken[other]), pack(table.end[other])],
        "free": _free(replay, table),
        "largest": pack(replay.column("largest_free_block")),
        "failed": pack(fails),
        "why": pack(replay.column("failure")[fails]),
        "reasons": FAILURES,
    }


def _free(replay: Replay, table: BlockTable) -> dict[str, Any] | int:
    """The bytes that are free after each event; where the blocks alone make the difference, what is
    free when there are none.
    """
    free = replay.column("free_size").astype(np.int64)
    total = free + allocated_bytes(replay, table)
    if total.size and (total == total[0]).all():
        return int(total[0])
    return pack(free)
