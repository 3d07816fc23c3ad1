"""Which events of a trace belong to the same block, whether they may, and what is live when.

Events are linked in C, and all else is numpy over whole columns; no Python loop runs over events.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap import _formats
from rtosheap.traces.columns import Columns, Int32, Int64, Links, Mask, Ops, UInt64
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Op
from rtosheap.traces.loss import Dropped

_PLAIN: tuple[Any, ...] = ("C_CONTIGUOUS", "ALIGNED")
_SEED = int.from_bytes(os.urandom(8))  # nobody can write a file whose ids collide


def check(columns: Columns, strict: bool) -> Links:
    """Check that the events of typed columns fit together, and freeze them.

    Returns
    -------
    ndarray of signed integers, shape (n,)
        The `previous` of :func:`link`.

    Raises
    ------
    TraceError
        If they do not, and `strict` is set; otherwise `columns` is repaired and its `dropped`
        says how. A free with a size is an error in any case.
    """
    previous, sized, at = _linked(columns.op, columns.id, columns.size, None)
    if sized >= 0:
        reason = f"size[{sized}] is {columns.size[sized]} on a free; a free has none, give 0"
        raise TraceError(reason, event=sized)
    if at >= 0:
        if strict:
            raise TraceError(describe_bad(columns.op, columns.id, previous, at), event=at)
        _, bad = link(columns.op, columns.id)
        columns.dropped = columns.dropped.merged(count_bad(columns.op, columns.id, bad))
        columns.keep(~bad)
        previous, _ = link(columns.op, columns.id)
    check_time(columns, strict)
    columns.freeze()
    return previous


def check_time(columns: Columns, strict: bool) -> None:
    """That time does not decrease: an error if `strict` is set, and otherwise it is made so."""
    if columns.time is None:
        return
    backwards = columns.time[1:] < columns.time[:-1]
    if not backwards.any():
        return
    if strict:
        at = int(backwards.argmax()) + 1
        now, before = columns.time[at], columns.time[at - 1]
        reason = f"event {at}: time {now} is before {before}, its predecessor's"
        raise TraceError(f"{reason}; time must not decrease", event=at)
    time = np.maximum.accumulate(columns.time)
    set_ = int((time != columns.time).sum())
    columns.time = time
    columns.dropped = columns.dropped.merged(Dropped(time_set=set_))


def link(op: Ops, ids: Int64) -> tuple[Links, Mask]:
    """Find each event's predecessor on the same block, and the events that have no right to be.

    Returns
    -------
    previous : ndarray of signed integers, shape (n,)
        For a realloc or a free, the event that made the block what it is (malloc or realloc);
        for a malloc, the event on its id before it. -1 where there is none.
    bad : ndarray of bool, shape (n,)
        Frees and reallocs of an id that is not live, and mallocs of one that is. As these change
        nothing about what is live, an event is judged as if those before it were left out.
    """
    bad: Mask = np.zeros(len(op), dtype=np.bool_)
    previous, _, _ = _linked(op, ids, np.zeros(len(op), dtype=np.uint64), bad)
    return previous, bad


def _linked(op: Ops, ids: Int64, size: UInt64, bad: Mask | None) -> tuple[Links, int, int]:
    """The predecessors, the first free with a size, the first bad event; -1 where there is none."""
    n = len(op)
    previous: Links = np.empty(n, dtype=np.int32 if n < 2**31 else np.int64)
    room = int(ids.max()) + 1 if n else 0
    if not _is_small(room, n):
        ids, distinct = ranked(ids)
        room = len(distinct)
    op, size = np.require(op, requirements=_PLAIN), np.require(size, requirements=_PLAIN)
    ids = np.require(ids, requirements=_PLAIN)
    sized, at = _formats.link(op, ids, size, previous, bad, room)
    return previous, sized, at


def _is_small(room: int, n: int) -> bool:
    """Whether a table of all ids from 0 on takes no more memory than one of those that occur."""
    return room <= min(4 * n + 1024, 2**31)


def ranked(ids: Int64) -> tuple[Int64, Int64]:
    """Numbers for ids in the order of their first appearance, and the ids by number."""
    rank = np.empty(len(ids), dtype=np.int64)
    ids = np.require(ids, requirements=_PLAIN)
    distinct = np.frombuffer(_formats.rank(ids, rank, _SEED), dtype=np.int64)
    return rank, distinct


def describe_bad(op: Ops, ids: Int64, previous: Links, at: int) -> str:
    """Why the event `at`, the first that `link` found bad, cannot stand; in words."""
    what = {Op.MALLOC: "malloc", Op.REALLOC: "realloc", Op.FREE: "free"}[Op(int(op[at]))]
    before, head = int(previous[at]), f"event {at}: {what} of id {ids[at]}"
    if before < 0:
        return f"{head}, which was never allocated; an id is live from its 'm' to its 'f'"
    if what == "malloc":
        return f"{head}, which is still live since event {before}; free it first, or use another id"
    return f"{head}, which was freed by event {before}; an id is live from its 'm' to its 'f'"


def count_bad(op: Ops, ids: Int64, bad: Mask) -> Dropped:
    """How many events `link` found bad, by reason."""
    bad_ids = np.unique(ids[bad])
    related = np.flatnonzero(np.isin(ids, bad_ids))
    first_malloc = np.full(len(bad_ids), len(op))
    mallocs = related[op[related] == Op.MALLOC]
    np.minimum.at(first_malloc, np.searchsorted(bad_ids, ids[mallocs]), mallocs)
    events = np.flatnonzero(bad)
    known = first_malloc[np.searchsorted(bad_ids, ids[events])] < events
    codes = op[events]
    return Dropped(
        unknown_id=int((~known).sum()),
        double_free=int(((codes == Op.FREE) & known).sum()),
        realloc_freed=int(((codes == Op.REALLOC) & known).sum()),
        reused_live_id=int((codes == Op.MALLOC).sum()),
    )


def live_bytes(op: Ops, size: UInt64, previous: Links) -> npt.NDArray[Any]:
    """Requested bytes of live blocks after each event: int64, or Python ints where that may
    not be enough.
    """
    wide = float(size.sum(dtype=np.float64)) >= 2.0**62
    change: npt.NDArray[Any] = size.astype(object if wide else np.int64)
    ended = np.flatnonzero(op != Op.MALLOC)
    change[ended] -= size[previous[ended]].astype(change.dtype)
    return np.cumsum(change, out=change)


def live_blocks(op: Ops) -> npt.NDArray[Any]:
    """How many blocks are live after each event."""
    change = (op == Op.MALLOC).astype(np.int32 if len(op) < 2**31 else np.int64)
    change -= op == Op.FREE
    return np.cumsum(change, out=change)


def dense(ids: Int64) -> tuple[Int32, int]:
    """Small numbers for ids, and how many: the ids themselves if they are small, else ranks."""
    if len(ids) == 0:
        return np.zeros(0, dtype=np.int32), 0
    largest = int(ids.max())
    if _is_small(largest + 1, len(ids)):
        slot, count = ids.astype(np.int32), largest + 1
    else:
        rank, distinct = ranked(ids)
        by_size = np.empty(len(distinct), dtype=np.int32)
        by_size[np.argsort(distinct)] = np.arange(len(distinct), dtype=np.int32)
        slot, count = by_size[rank], len(distinct)
    slot.flags.writeable = False
    return slot, count
