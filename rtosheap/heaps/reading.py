"""One reading of an arena's bytes: its blocks, its free list, its counters. No damage raises."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, SupportsIndex

from rtosheap.heaps._newlib import chunks
from rtosheap.heaps.free_list import FreeChain
from rtosheap.heaps.layout import Layout, up
from rtosheap.heaps.parse import ParsedRegion, find_canary, parse, span_of
from rtosheap.heaps.state import ImageState

#: Address, bytes (header included) and whether it is allocated.
Triple = tuple[int, int, bool]


class Numbers(NamedTuple):
    """What a heap counts."""

    minimum_ever_free: int
    allocations: int
    frees: int = 0
    failed: int = 0
    reached: int = 0
    """heap_3: the bytes that ``sbrk`` has handed out."""


@dataclass
class Reading:
    """An arena as it was read.

    Attributes
    ----------
    layout : Layout
        With the canary, as it was given or found.
    regions : tuple of (int, bytes)
    state : ImageState
        What was given of the heap's state outside the arena.
    blocks : list of (int, int, bool)
        In address order; what heap_1 and heap_3 have not used yet is none of them.
    free_list : list of int
        Headers in the list's order, as far as it leads.
    numbers : Numbers
        As given; where they were not, as the blocks tell.
    parsed, chain
        heap_2, heap_4, heap_5: the blocks with what is odd about them, and the list.
    fault : str
        heap_3: why the chunks make no sense; there are no blocks then.
    """

    layout: Layout
    regions: tuple[tuple[int, bytes], ...]
    state: ImageState
    blocks: list[Triple]
    free_list: list[int]
    numbers: Numbers
    parsed: list[ParsedRegion] = field(default_factory=list)
    chain: FreeChain | None = None
    fault: str = ""

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Address and bytes of each region."""
        return tuple((base, len(data)) for base, data in self.regions)

    @property
    def unused(self) -> tuple[int, int]:
        """heap_1, heap_3: address and bytes of what was never handed out."""
        ((base, size),) = self.spans
        at = base + self.numbers.reached
        if not self.layout.frees:
            at = self.layout.start(base) + sum(block for _, block, _ in self.blocks)
        return at, self.layout.end(base, size) - at

    def with_blocks(self, blocks: list[Triple], free_list: list[int]) -> Reading:
        """The same arena, its blocks seen otherwise."""
        numbers = _counted(blocks, self.state)
        return replace(self, blocks=blocks, free_list=free_list, numbers=numbers)


def read(
    layout: Layout,
    memory: Any,
    base_address: SupportsIndex,
    canary: SupportsIndex | None,
    state: ImageState | None,
) -> Reading:
    """Read the bytes of an arena; the parameters are those of :func:`~rtosheap.heaps.from_image`.

    Raises
    ------
    ValueError
        If there is no room for such a heap.
    """
    known = state or ImageState()
    regions = _regions_of(layout, memory, operator.index(base_address))
    if not layout.has_headers:
        return _without_headers(layout, regions, known)
    if canary is not None:
        known = replace(known, canary=operator.index(canary))
    base, data = regions[-1]
    word = known.canary
    if word is None:
        word = find_canary(span_of(base, data, layout), layout)
    layout = replace(layout, canary=word)
    parsed = parse([span_of(base, data, layout) for base, data in regions], layout)
    chain = FreeChain(parsed, layout, known)
    blocks = [(b.address, b.size, b.allocated) for region in parsed for b in region.blocks]
    return Reading(
        layout, regions, known, blocks, chain.order, _counted(blocks, known), parsed, chain
    )


def _regions_of(layout: Layout, memory: Any, base: int) -> tuple[tuple[int, bytes], ...]:
    """The arena as (address, bytes) pairs, whatever the heap."""
    if not layout.has_regions:
        return ((base, bytes(memoryview(memory))),)
    pairs = tuple((operator.index(at), bytes(memoryview(data))) for at, data in memory)
    if not pairs:
        raise ValueError("memory is an empty sequence; heap_5 has at least one region")
    return pairs


def _counted(blocks: Sequence[Triple], state: ImageState) -> Numbers:
    free = sum(size for _, size, allocated in blocks if not allocated)
    live = sum(allocated for _, _, allocated in blocks)
    frees = state.frees or 0
    return Numbers(
        free if state.minimum_ever_free is None else state.minimum_ever_free,
        live + frees if state.allocations is None else state.allocations,
        frees,
    )


def _without_headers(
    layout: Layout, regions: tuple[tuple[int, bytes], ...], state: ImageState
) -> Reading:
    """heap_1, which keeps nothing in its arena, and heap_3's chunks."""
    ((base, data),) = regions
    if not layout.frees:
        blocks, numbers = _handed_out(layout, base, data, state)
        return Reading(layout, regions, state, blocks, [], numbers)
    try:
        blocks, free_list, reached = chunks(base, data, state.head, state.used)
    except ValueError as error:
        return Reading(layout, regions, state, [], [], Numbers(0, 0), fault=str(error))
    live = sum(allocated for _, _, allocated in blocks)
    free = len(data) - reached + sum(size for _, size, allocated in blocks if not allocated)
    return Reading(layout, regions, state, blocks, free_list, Numbers(free, live, reached=reached))


def _handed_out(
    layout: Layout, base: int, data: bytes, state: ImageState
) -> tuple[list[Triple], Numbers]:
    """heap_1: all up to the last byte that is not 0 is one block, unless the state tells."""
    start, limit = layout.start(base), layout.usable(base, len(data))
    used = state.used
    if used is None:
        written = len(data.rstrip(b"\0")) + base - start
        used = min(up(written, layout.alignment), limit)
    blocks = [(start, used, True)] if used > 0 else []
    allocations = len(blocks) if state.allocations is None else state.allocations
    return blocks, Numbers(limit - max(used, 0), allocations)
