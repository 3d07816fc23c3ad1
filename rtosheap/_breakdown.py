"""Where a heap's bytes are at the peak of live bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rtosheap._rig import Rig
from rtosheap.fragmentation import external_fragmentation

#: What a byte of a heap can be, in this order.
PARTS = ("payload", "padding", "headers", "unsplit", "external", "unreclaimed", "fixed")


class Peak(NamedTuple):
    """A heap at the peak of live bytes."""

    breakdown: dict[str, int]
    external_fragmentation: float


def at_peak(rig: Rig, size: int) -> Peak | None:
    """Replay up to the peak of live bytes, in a heap of `size` bytes that serves the trace.

    Returns
    -------
    Peak or None
        The bytes of each of `PARTS`, which add up to `size` (and the fixed regions); and the share
        of the free bytes that lies outside the largest free block. None for an empty trace.
    """
    end = rig.trace.peak_event + 1
    if end == 0:
        return None
    address, block = np.zeros(end, np.uint64), np.zeros(end, np.uint64)
    heap = rig.heap(size)
    rig.replay(heap, columns={"address": address, "block_size": block}, end=end)

    taken = (rig.trace.op[:end] != ord("f")) & (block != 0)
    live = taken & (rig.trace.ends()[:end] >= end)
    asked = _total(rig.trace.size[:end][live])
    wanted = _total(rig.blocks[:end][live])
    given = _total(block[live])
    headers = rig.header * int(np.count_nonzero(live))
    stats = heap.stats()
    parts = dict.fromkeys(PARTS, 0)
    parts["payload"] = asked
    parts["headers"] = headers
    parts["padding"] = wanted - asked - headers
    parts["unsplit"] = given - wanted
    parts["external"] = stats.available
    if rig.kind == 1:
        parts["unreclaimed"] = _total(block[taken]) - given
    parts["fixed"] = rig.fixed_loss(size) if rig.kind != 3 or taken.any() else 0
    return Peak(parts, external_fragmentation(stats))


def _total(values: Any) -> int:
    return sum(values.tolist())
