"""What a viewer shows of a recording, and of a heap that replayed it, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtosheap.allocators import Allocator
from rtosheap.heaps.layout import Layout
from rtosheap.replays import FAILURES, Replay
from rtosheap.replays.blocks import BlockTable, allocated_bytes, block_table, failed
from rtosheap.reports._pack import pack
from rtosheap.traces import Op, Trace

#: The columns that a view is made of; it does without all but the first.
COLUMNS = ("address", "block_size", "free_size", "largest_free_block", "failure")


def recording(trace: Trace, name: str) -> dict[str, Any]:
    """What the program requested, whichever heap serves it: a block for each malloc and realloc."""
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
    than the program gave them back at, and that event; `before` are those from before the trace.
    """
    trace = replay.trace
    asks = np.flatnonzero(trace.op != Op.FREE)
    place = np.full(len(trace), -1, np.int64)
    place[asks] = np.arange(len(asks))
    every = block_table(replay, earlier=True, asked=True)
    before, table = (
        BlockTable(*(c[k] for c in every)) for k in (every.event < 0, every.event >= 0)
    )
    taken = place[table.event]
    offset, size, region = (np.zeros(len(asks), np.int64) for _ in range(3))
    offset[taken], size[taken], region[taken] = table.offset, table.size, table.region
    end = trace.ends()[table.event]
    other = np.flatnonzero(end != table.end) if replay.frees else end[:0]
    fails = np.flatnonzero(failed(replay))
    return {
        "heap": replay.heap_kind,
        "size": replay.heap.size,
        "header": replay.header_size,
        "regions": [list(one) for one in replay.regions],
        "spans": _spans(replay),
        **_padding(replay),
        "tells_taken": "block_size" in replay,
        "frees": replay.frees,
        "offset": pack(offset),
        "taken": pack(np.where(size == 0, 0, size - trace.size[asks].astype(np.int64))),
        "refused": pack(np.flatnonzero(size == 0)),
        "region": pack(region) if len(replay.regions) > 1 else None,
        "ends": [pack(taken[other]), pack(table.end[other])],
        "before": [pack(before.region), pack(before.offset), pack(before.size)],
        "free": _free(replay, table),
        "largest": _packed(replay, "largest_free_block"),
        "failed": pack(fails),
        "why": None if replay.failure is None else pack(replay.failure[fails]),
        "reasons": FAILURES,
    }


def _spans(replay: Replay) -> list[list[int]] | None:
    """Of each region, where its blocks begin and end; None where what lies between blocks may be
    something else than free.
    """
    if isinstance(replay.heap, Allocator):
        return None
    layout = Layout.of(replay.heap)
    return [
        [layout.start(base) - base, layout.end(base, size) - base] for base, size in replay.regions
    ]


def _padding(replay: Replay) -> dict[str, int]:
    """Bytes below which what lies between blocks is padding, and by which a block may begin lower
    than its columns say: newlib has up to a word before a chunk's size, and counts it to the chunk.
    """
    if isinstance(replay.heap, Allocator) or not Layout.of(replay.heap).is_newlib:
        return {"least_hole": 1, "blur": 0}
    layout = Layout.of(replay.heap)
    blur = layout.alignment - layout.header
    return {"least_hole": layout.smallest(0) - blur, "blur": blur}


def not_shown(replay: Replay) -> list[str]:
    """Why a column that could be shown is not there."""
    found = []
    for name in COLUMNS:
        try:
            replay.column(name)
        except ValueError as error:
            found.append(str(error))
    return found


def _packed(replay: Replay, column: str) -> dict[str, Any] | None:
    values = replay.get(column)
    return None if values is None else pack(values)


def _free(replay: Replay, table: BlockTable) -> dict[str, Any] | int | None:
    """The bytes that are free after each event; where the blocks alone make the difference, what is
    free when there are none. None if it is not told.
    """
    if replay.free_size is None:
        return None
    free = replay.free_size.astype(np.int64)
    total = free + allocated_bytes(replay, table)
    if total.size and (total == total[0]).all():
        return int(total[0])
    return pack(free)
