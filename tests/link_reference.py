"""What links the events of a trace, with numpy alone: slower, and plainly right."""

from __future__ import annotations

import numpy as np

from rtosheap.traces import Op, TraceError
from rtosheap.traces._lifetimes import check_time, count_bad, describe_bad


def check(columns, strict):
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
    check_time(columns, strict)
    columns.freeze()
    return previous


def link(op, ids):
    n = len(op)
    index = np.int32 if n < 2**31 else np.int64
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
    bad = np.empty(n, dtype=np.bool_)
    bad[order] = live_before == (sorted_op == Op.MALLOC)

    previous = np.empty(n, dtype=index)
    before = np.empty(n, dtype=index)
    before[1:] = order[:-1]
    before[first] = -1
    previous[order] = before
    return previous, bad


def dense(ids):
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
