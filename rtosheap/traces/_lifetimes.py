"""Which events of a trace belong to the same block, whether they may, and what is live when.

Everything here is numpy over whole columns; no Python loop runs over the events.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.traces.columns import Columns, Int32, Int64, Links, Mask, Ops, UInt64
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Op
from rtosheap.traces.loss import Dropped


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
    sized = (columns.op == Op.FREE) & (columns.size != 0)
    if sized.any():
        at = int(sized.argmax())
        reason = f"size[{at}] is {columns.size[at]} on a free; a free has none, give 0"
        raise TraceError(reason, event=at)
    del sized
    previous, bad = link(columns.op, columns.id)
    if bad.any():
        if strict:
            at = int(bad.argmax())
            raise TraceError(describe_bad(columns.op, columns.id, previous, at), event=at)
        columns.dropped = columns.dropped.merged(count_bad(columns.op, columns.id, bad))
        columns.keep(~bad)
        previous, bad = link(columns.op, columns.id)
    if columns.time is not None:
        backwards = columns.time[1:] < columns.time[:-1]
        if backwards.any():
            if strict:
                at = int(backwards.argmax()) + 1
                now, before = columns.time[at], columns.time[at - 1]
                reason = f"event {at}: time {now} is before {before}, its predecessor's"
                raise TraceError(f"{reason}; time must not decrease", event=at)
            time = np.maximum.accumulate(columns.time)
            set_ = int((time != columns.time).sum())
            columns.time = time
            columns.dropped = columns.dropped.merged(Dropped(time_set=set_))
    columns.freeze()
    return previous


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
    n = len(op)
    index: type[np.signedinteger[Any]] = np.int32 if n < 2**31 else np.int64
    order = np.argsort(ids, kind="stable").astype(index)
    sorted_ids = ids[order]
    first = np.ones(n, dtype=np.bool_)
    np.not_equal(sorted_ids[1:], sorted_ids[:-1], out=first[1:])
    del sorted_ids
    sorted_op = op[order]

    live = sorted_op == Op.MALLOC  # after the event, in order of id
    is_realloc = sorted_op == Op.REALLOC
    if is_realloc.any():  # a realloc leaves live what is live, and nothing else
        decides = np.where(is_realloc & ~first, 0, np.arange(n, dtype=index))
        live = live[np.maximum.accumulate(decides)]
    live_before = np.zeros(n, dtype=np.bool_)
    live_before[1:] = live[:-1]
    live_before[first] = False
    bad: Mask = np.empty(n, dtype=np.bool_)
    bad[order] = live_before == (sorted_op == Op.MALLOC)

    previous: Links = np.empty(n, dtype=index)
    before = np.empty(n, dtype=index)
    before[1:] = order[:-1]
    before[first] = -1
    previous[order] = before
    return previous, bad


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
    if largest < min(4 * len(ids) + 1024, 2**31):
        slot, count = ids.astype(np.int32), largest + 1
    else:
        distinct, rank = np.unique(ids, return_inverse=True)
        slot, count = rank.astype(np.int32), len(distinct)
    slot.flags.writeable = False
    return slot, count
