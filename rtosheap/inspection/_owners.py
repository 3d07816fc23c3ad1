"""Whose a block is: a trace of the same run names what lies in an arena."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtosheap.heaps import Heap
from rtosheap.replays import replay
from rtosheap.traces import Op, Trace


class Owner(NamedTuple):
    """What a trace knows of a block.

    Attributes
    ----------
    id, event : int
        The trace's id, and the event that allocated it.
    requested : int
        Requested bytes.
    task : str
        Who asked; ``""`` if it is not known.
    time : int or None
        When, in the trace's unit.
    age : int
        How long ago at the trace's end, in its unit of time, or in events where it has no times.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> from rtosheap.inspection import inspect
    >>> trace, heap = Trace("mmf", id=[0, 1, 0], size=[100, 24, 0]), Heap4(1024)
    >>> run = replay(trace, heap)
    >>> report = inspect(heap.memory, trace=trace)
    >>> [block.owner for block in report.blocks if block.allocated]
    [Owner(id=1, event=1, requested=24, task='', time=None, age=1)]
    """

    id: int
    event: int
    requested: int
    task: str
    time: int | None
    age: int


def owners(trace: Trace, fresh: Heap | None) -> tuple[dict[int, Owner], list[tuple[int, int, int]]]:
    """The live blocks at the trace's end by payload, and every block ever as (start, stop, event).

    The addresses are those that the recorder saw; where there are none, those of a replay in
    `fresh`, a heap of the same layout.
    """
    addresses = trace.recorded_address
    if addresses is None:
        if fresh is None:
            raise ValueError("trace has no recorded addresses, and no heap to replay it in")
        addresses = replay(trace, fresh, record=("address",)).column("address")
    ends = trace.ends()
    taken = np.flatnonzero((trace.op != Op.FREE) & (addresses != 0))
    spans = [
        (int(addresses[i]), int(addresses[i]) + int(trace.size[i]), int(i)) for i in taken.tolist()
    ]
    live = taken[ends[taken] == len(trace)]
    return {int(addresses[i]): _owner(trace, int(i)) for i in live.tolist()}, spans


def former(trace: Trace, spans: list[tuple[int, int, int]], address: int) -> Owner | None:
    """Who last had the byte at an address."""
    for start, stop, event in reversed(spans):
        if start <= address < max(stop, start + 1) + 8:
            return _owner(trace, event)
    return None


def _owner(trace: Trace, event: int) -> Owner:
    what = trace[event]
    last = trace[len(trace) - 1]
    age = len(trace) - 1 - event
    if what.time is not None and last.time is not None:
        age = last.time - what.time
    return Owner(what.id, event, what.size, what.task or "", what.time, age)


Owner.__module__ = "rtosheap.inspection"  # where users import it from
