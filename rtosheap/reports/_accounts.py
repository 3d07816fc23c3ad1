"""Who has the memory: each task's account, and what was never given back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.traces import Op, Trace

#: More blocks than that are counted, not listed.
_MOST_LISTED = 100
_UNKNOWN = "not known"


class Account(NamedTuple):
    """What one task did, in bytes as requested."""

    task: str
    allocations: int
    at_peak: int  #: Bytes live at the event at which most are, of all tasks.
    most: int  #: The most bytes of its own that were ever live at once.
    kept: int  #: Blocks that were never given back.
    kept_bytes: int


class Kept(NamedTuple):
    """A block that was never given back."""

    id: int
    size: int
    task: str
    event: int


def accounts(trace: Trace) -> list[Account]:
    """An account for each task that allocates, the one with most bytes at the peak first. A block
    belongs to who allocated it, whoever frees it.
    """
    asks, ends, size = _blocks(trace)
    codes = np.zeros(len(trace), np.int64) if trace.task_codes is None else trace.task_codes
    names = trace.task_names or ("",)
    found = []
    for code in np.unique(codes[asks]):
        own = codes[asks] == code
        change = np.zeros(len(trace) + 1, np.uint64)
        np.add.at(change, asks[own], size[own])
        np.subtract.at(change, ends[own], size[own])
        live = np.cumsum(change[:-1])
        kept = own & (ends == len(trace))
        found.append(
            Account(
                names[code] or _UNKNOWN,
                int(own.sum()),
                int(live[trace.peak_event]),
                int(live.max()),
                int(kept.sum()),
                int(size[kept].sum()),
            )
        )
    return sorted(found, key=lambda one: (-one.at_peak, -one.most, one.task))


def never_freed(trace: Trace) -> tuple[list[Kept], int]:
    """The largest blocks that were never given back, and how many there are in all."""
    asks, ends, size = _blocks(trace)
    kept = np.flatnonzero(ends == len(trace))
    largest = kept[np.lexsort((asks[kept], ~size[kept]))][:_MOST_LISTED]
    tasks = trace.task
    listed = [
        Kept(
            int(trace.id[asks[at]]),
            int(size[at]),
            "" if tasks is None else str(tasks[asks[at]]),
            int(asks[at]),
        )
        for at in largest
    ]
    return listed, len(kept)


def _blocks(trace: Trace) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """The event that requests each block, the one that ends it, and its bytes."""
    asks = np.flatnonzero(trace.op != Op.FREE)
    return asks, trace.ends()[asks], trace.size[asks]
