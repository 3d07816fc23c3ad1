"""Traces cut and put together: slices, sums and repetitions, on their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.traces.columns import ID_MAX, TIME_MAX, Columns, Int32, Int64, Links, Tasks
from rtosheap.traces.events import Op
from rtosheap.traces.loss import Dropped
from rtosheap.traces.meta import ABI, ALL_COUNTED, INCOMPLETE, described
from rtosheap.traces.sizes import REQUESTED, SIZES, join_meanings


def cut(columns: Columns, previous: Links, start: int, stop: int) -> Columns:
    """Events `start` to `stop`; `previous` is theirs, in the numbering of the whole."""
    window = slice(start, max(start, stop))
    op = columns.op[window]
    older = (previous < start) & (op != Op.MALLOC)
    reallocs, kept = older & (op == Op.REALLOC), ~older | (op != Op.FREE)
    whole = len(op) == len(columns.op)
    parts = {name: column[window] for name, column in columns.arrays().items()}
    parts["op"] = np.where(reallocs, np.uint8(Op.MALLOC), op)
    out = replace(
        columns,
        **parts,
        meta=dict(columns.meta) if whole else described(columns.meta),
        dropped=columns.dropped.merged(
            Dropped(
                frees_before_slice=len(op) - int(kept.sum()),
                reallocs_before_slice=int(reallocs.sum()),
            )
        ),
    )
    out.keep(kept)
    return out


def concatenate(a: Columns, b: Columns, live: Int64) -> Columns:
    """`a` and then `b`; `live` are the ids live at the end of `a`, ascending."""
    dropped, loss = a.dropped.merged(b.dropped), a.loss.merged(b.loss)
    if len(a.op) == 0 or len(b.op) == 0:
        some, none = (b, a) if len(a.op) == 0 else (a, b)
        meta, joined = dict(some.meta), joined_meta(a.meta, b.meta)
        if INCOMPLETE in joined:
            meta[INCOMPLETE] = joined[INCOMPLETE]
        if (none.loss or none.dropped) and ALL_COUNTED not in joined:
            meta.pop(ALL_COUNTED, None)
        return replace(some, meta=meta, dropped=dropped, loss=loss)

    ids_a, ids_b = a.id, b.id
    taken = np.intersect1d(live, ids_b)
    free_id = max(int(ids_a.max()), int(ids_b.max())) + 1
    if free_id + len(taken) - 1 > ID_MAX:
        distinct, ranks = np.unique(np.concatenate([ids_a, ids_b]), return_inverse=True)
        ids_a, ids_b = ranks[: len(ids_a)], ranks[len(ids_a) :]
        taken, free_id = np.searchsorted(distinct, taken), len(distinct)
    names, codes = _joined_tasks(a, b)
    return Columns(
        op=np.concatenate([a.op, b.op]),
        id=np.concatenate([ids_a, _renumbered(ids_b, taken, free_id)]),
        size=np.concatenate([a.size, b.size]),
        time=_joined_times(a, b),
        task_codes=codes,
        task_names=names,
        meta=joined_meta(a.meta, b.meta),
        dropped=dropped,
        loss=loss,
    )


def repeat(columns: Columns, copies: int, live: Int64) -> Columns:
    """`columns`, `copies` times over; `live` are the ids live at its end, ascending."""
    if copies == 1:
        return replace(columns, meta=dict(columns.meta))
    n = len(columns.op)
    meta = described(columns.meta)
    if "name" in meta:
        meta["name"] += f" * {copies}"

    ids = columns.id
    free_id = int(ids.max()) + 1 if n else 0
    if free_id + copies * len(live) - 1 > ID_MAX:
        distinct, ids = np.unique(ids, return_inverse=True)
        live, free_id = np.searchsorted(distinct, live), len(distinct)
    all_ids = np.tile(ids, copies)
    leaks = np.flatnonzero(np.isin(ids, live))
    rank = np.searchsorted(live, ids[leaks])
    for copy in range(1, copies if len(leaks) else 1):
        all_ids[copy * n + leaks] = free_id + (copy - 1) * len(live) + rank

    whole = columns.arrays().items()
    parts: dict[str, Any] = {
        name: np.tile(column, copies) for name, column in whole if name not in ("id", "addresses")
    }
    if columns.time is not None:
        span = int(columns.time[-1]) - int(columns.time[0]) if n else 0
        last = int(columns.time[-1]) + (copies - 1) * span if n else 0
        if last > TIME_MAX:
            raise OverflowError(f"the last of {copies} copies would end at time {last}, past int64")
        parts["time"] += np.repeat(np.arange(copies, dtype=np.int64) * span, n)
    parts |= {"dropped": columns.dropped.times(copies), "loss": columns.loss.times(copies)}
    return replace(columns, **parts, id=all_ids, addresses=None, meta=meta)


def _renumbered(ids: Int64, taken: npt.NDArray[np.int64], free_id: int) -> Int64:
    """Ids with those that are `taken` (ascending) replaced by `free_id` and what follows it."""
    if len(taken) == 0:
        return ids
    out = ids.copy()
    events = np.flatnonzero(np.isin(ids, taken))
    out[events] = free_id + np.searchsorted(taken, ids[events])
    return out


def _joined_times(a: Columns, b: Columns) -> Int64 | None:
    if a.time is None and b.time is None:
        return None
    if a.time is None or b.time is None:
        raise ValueError(
            f"the {'second' if a.time is not None else 'first'} trace has no times, the other has; "
            "both must have them, or neither"
        )
    units = [columns.meta.get("time_unit", "ticks") for columns in (a, b)]
    if units[0] != units[1]:
        raise ValueError(f"the traces' time units differ: {units[0]!r} and {units[1]!r}")
    shift = max(0, int(a.time[-1]) - int(b.time[0]))
    last = int(b.time[-1]) + shift
    if last > TIME_MAX:
        raise OverflowError(f"the second trace would end at time {last}, past int64")
    shifted = b.time.view(np.uint64) + np.uint64(shift)  # the sum fits, the shift need not
    return np.concatenate([a.time, shifted.view(np.int64)])


def _joined_tasks(a: Columns, b: Columns) -> tuple[tuple[str, ...], Int32 | None]:
    if a.task_codes is None and b.task_codes is None:
        return (), None
    tasks = Tasks()
    parts = []
    for columns in (a, b):
        if columns.task_codes is None:
            parts.append(np.full(len(columns.op), -1, dtype=np.int32))
        else:
            codes = [tasks.code(name) for name in columns.task_names]
            parts.append(np.array([*codes, -1], dtype=np.int32)[columns.task_codes])
    return tasks.names, np.concatenate(parts)


def joined_meta(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """The header of two traces that are put together."""
    meta = {key: value for key, value in described(a).items() if b.get(key) == value}
    if "name" in a and "name" in b:
        meta["name"] = f"{a['name']} + {b['name']}"
    abis = dict.fromkeys(part for one in (a, b) for part in one.get(ABI, "").split(" + ") if part)
    if abis:
        meta[ABI] = " + ".join(abis)
    if SIZES in a or SIZES in b:
        meta[SIZES] = join_meanings(*(one.get(SIZES, REQUESTED) for one in (a, b)))
    reasons = sorted({reason for one in (a, b) for reason in one.get(INCOMPLETE, "").split("; ")})
    if any(reasons):
        meta[INCOMPLETE] = "; ".join(filter(None, reasons))
    return meta
