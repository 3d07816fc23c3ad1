"""The one call of the C replay: its columns and counts, by name."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap import _core
from rtosheap.allocators import Allocator
from rtosheap.allocators.base import UNKNOWN
from rtosheap.traces.base import TraceBase
from rtosheap.work import Progress

Array = npt.NDArray[Any]

COLUMNS: tuple[str, ...] = _core.COLUMNS
"""Every column that a replay can record."""

#: Bytes that the C replay keeps of an id.
_SLOT: int = _core.SLOT_BYTES

_DTYPES: dict[str, type[np.generic]] = {
    "address": np.uint64,
    "block_size": np.uint64,
    "free_size": np.uint64,
    "largest_free_block": np.uint64,
    "free_block_count": np.uint32,
    "live_bytes": np.uint64,
    "nodes": np.uint32,
    "failed": np.bool_,
    "failure": np.uint8,
}

DEFAULT_COLUMNS: tuple[str, ...] = tuple(
    name for name in COLUMNS if name not in ("largest_free_block", "free_block_count")
)
"""What is recorded unless `record` says otherwise: all that does not walk the free list."""


class Failure(enum.IntEnum):
    """Why an allocation failed: the values of the column ``failure``.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> result = replay(trace, Heap4(256))
    >>> Failure(result.failure[3])
    <Failure.FRAGMENTATION: 2>
    """

    NONE = 0
    """It did not, or it was no allocation."""
    EXHAUSTION = 1
    """Fewer bytes were free than the block needs."""
    FRAGMENTATION = 2
    """Enough bytes were free, but no free block was large enough."""
    ASSERTION = 3
    """The kernel asserts there, or the C library goes wrong: the device would stop or misbehave."""
    UNKNOWN = UNKNOWN
    """Of an allocator that is not ours: as many bytes were free as were requested. Whether in
    pieces that are too small it does not tell, or it refused one that has as many."""


FAILURES: tuple[str, ...] = (*_core.FAILURES, "unknown")
"""The meaning of the column ``failure``'s values."""


class Counts(NamedTuple):
    """What a replay counts; an event is -1 where there is none.

    The last two are counted with `track_need`, for heap_4 and heap_5: the lowest address of the
    last end marker that serves every event, and the event that needs it.
    """

    done: int
    failures: int
    zero_size: int
    skipped: int
    ignored_frees: int
    live_bytes: int
    most_nodes: int
    most_nodes_event: int
    first_failure: int
    need: int
    need_event: int


def run(
    trace: TraceBase,
    heap: _core.Heap | Allocator,
    columns: Mapping[str, Array] | None = None,
    *,
    start: int = 0,
    end: int | None = None,
    slots: bytearray | None = None,
    stop_at_failure: bool = False,
    track_need: bool = False,
    progress: Progress | None = None,
    engine: str | None = None,
) -> Counts:
    """Replay the events from `start` on and before `end` on a heap, filling the arrays of
    `columns`. The counts are of these events.

    `slots` is what a replay keeps of each id: of :func:`empty_slots`, for one that another takes
    up where it ended. `engine`: as :func:`replay` has it.
    """
    slot, count = trace.slots
    if isinstance(heap, Allocator):
        if slots is not None or track_need or engine is not None:
            raise TypeError(f"{heap.name} has no slots, need or engine")
        told = heap._run(
            trace.op[start:end],
            slot[start:end],
            trace.size[start:end],
            count,
            dict(columns or {}),
            stop_at_failure=stop_at_failure,
            progress=progress,
        )
        return Counts(**told)
    return Counts(
        **_core.replay(
            heap,
            trace.op[start:end],
            slot[start:end],
            trace.size[start:end],
            count if slots is None else slots,
            dict(columns or {}),
            stop_at_failure,
            track_need,
            progress,
            engine,
        )
    )


def empty_slots(trace: TraceBase) -> bytearray:
    """What a replay keeps of each id of a trace, before its first event."""
    return bytearray(_SLOT * trace.slots[1])


def empty_columns(names: Iterable[str], events: int) -> dict[str, Array]:
    """An array for each column, all zero."""
    return {name: np.zeros(events, _DTYPES[name]) for name in names}
