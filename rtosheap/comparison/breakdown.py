"""Where a heap's bytes are at the peak of live bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rtosheap.fragmentation import external_fragmentation
from rtosheap.replays.run import empty_columns
from rtosheap.sizing.problem import SizingProblem
from rtosheap.traces.events import Op

#: What a byte of a heap can be, in this order.
PARTS = ("payload", "padding", "headers", "unsplit", "external", "unreclaimed", "fixed")


class Peak(NamedTuple):
    """A heap at the peak of live bytes."""

    breakdown: dict[str, int]
    external_fragmentation: float


def at_peak(problem: SizingProblem, size: int) -> Peak | None:
    """Replay up to the peak of live bytes, in a heap of `size` bytes that serves the trace.

    Returns
    -------
    Peak or None
        The bytes of each of `PARTS`, which add up to `size` (and the fixed regions); and the share
        of the free bytes that lies outside the largest free block. None for an empty trace, and of
        an allocator of which nothing is known.
    """
    end = problem.trace.peak_event + 1
    if end == 0 or not problem.layout.is_known:
        return None
    columns = empty_columns(("block_size",), end)
    heap, layout = problem.heap(size), problem.layout
    problem.replay(heap, columns, end=end)

    block = columns["block_size"]
    taken = (problem.trace.op[:end] != Op.FREE) & (block != 0)
    live = taken & (problem.trace.ends()[:end] >= end)
    asked = _total(problem.trace.size[:end][live])
    # newlib's realloc leaves a block where it is while that suffices, if with less around it
    least = problem.blocks[:end][live].astype(block.dtype)  # else both become floats
    wanted = _total(np.minimum(least, block[live]))
    given = _total(block[live])
    headers = layout.header * int(np.count_nonzero(live))
    stats = heap._numbers()
    parts = dict.fromkeys(PARTS, 0)
    parts["payload"] = asked
    parts["headers"] = headers
    parts["padding"] = wanted - asked - headers
    parts["unsplit"] = given - wanted
    parts["external"] = stats.available
    if not layout.frees:
        parts["unreclaimed"] = _total(block[taken]) - given
    # heap_3 loses nothing to alignment before its first sbrk
    parts["fixed"] = problem.lost(size) if taken.any() or not layout.serves_zero else 0
    return Peak(parts, external_fragmentation(stats))


def _total(values: Any) -> int:
    return sum(values.tolist())
