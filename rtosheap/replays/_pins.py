"""The live blocks that stand between holes, and what a trace knows of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rtosheap.allocators import Allocator
from rtosheap.heaps import Block, Heap
from rtosheap.heaps.layout import Layout, region_spans
from rtosheap.replays.run import Array
from rtosheap.tables import record_text
from rtosheap.traces import Op
from rtosheap.traces.base import TraceBase


class Pin(NamedTuple):
    """A live block that lies between two holes.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> trace = Trace("mmmffm", id=[0, 1, 2, 0, 2, 3], size=[100, 8, 100, 0, 0, 200])
    >>> replay(trace, Heap4(256)).pins(5)
    [Pin(address=0x20000070, size=16, requested=8, id=1, event=1)]
    """

    address: int
    """Target address of the block's header; of an allocator that is not ours, of its payload."""
    size: int
    """Bytes of the block, header included; of an allocator that is not ours, requested."""
    requested: int | None
    """Bytes that the trace requested; None for a block from before the trace."""
    id: int | None
    """The trace's id of the block; None for a block from before the trace."""
    event: int | None
    """The event that allocated it; None for a block from before the trace."""

    def __repr__(self) -> str:
        return record_text(self, addresses=("address",))


def pins_of(heap: Heap | Allocator, trace: TraceBase, addresses: Array) -> list[Pin]:
    """The blocks that separate a heap's holes; `addresses` are what the events so far gave."""
    given = _last_given(trace, addresses)
    if isinstance(heap, Allocator):
        blocks = heap._known_blocks()
        return [_pin(b, given.get(b.address), trace) for b in _separators(blocks, heap.regions)]
    layout, blocks = Layout.of(heap), heap.blocks()
    return [
        _pin(block, given.get(layout.payload(block.address)), trace)
        for block in _separators(blocks, region_spans(heap))
    ]


def _separators(blocks: list[Block], regions: Iterable[tuple[int, int]]) -> Iterator[Block]:
    """The allocated blocks that have a hole before and a hole after them in their region."""
    for start, size in regions:
        inside = [block for block in blocks if start <= block.address < start + size]
        holes = [i for i, block in enumerate(inside) if not block.allocated]
        if holes:
            yield from (block for block in inside[holes[0] : holes[-1]] if block.allocated)


def _last_given(trace: TraceBase, addresses: Array) -> dict[int, int]:
    """The last event that was given each payload address, and 0 where there was no room."""
    given = np.flatnonzero(trace.op[: len(addresses)] != Op.FREE)
    return dict(zip(addresses[given].tolist(), given.tolist(), strict=True))


def _pin(block: Block, event: int | None, trace: TraceBase) -> Pin:
    if event is None:
        return Pin(block.address, block.size, None, None, None)
    return Pin(block.address, block.size, int(trace.size[event]), int(trace.id[event]), event)


Pin.__module__ = "rtosheap.replays"  # where users import it from
