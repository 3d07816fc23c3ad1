"""One reading of an arena's bytes: its blocks, its free list, its counters. No damage raises."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, SupportsIndex

from rtosheap.heaps._newlib import chunks
from rtosheap.heaps.free_list import FreeChain
from rtosheap.heaps.layout import Layout, down, up
from rtosheap.heaps.parse import BROKEN, Parsed, ParsedRegion, Span, parse, span_of, walk
from rtosheap.heaps.state import ImageState
from rtosheap.heaps.variants import VARIANTS, Variant, newest_kernel

#: Address, bytes (header included) and whether it is allocated.
Triple = tuple[int, int, bool]

_PLAIN = "@=<>!^ 0123456789xcbB?hHiIlLqQnNefdgFDGZs"  # what the formats of plain items consist of
_FOREIGN = 1000  # the misfit of what another variant alone would write


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
        With the canary, as it was given or found, and the variant that fits best.
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
    fault, fault_at : str, int
        heap_3: why the chunks make no sense, and at which; 0 for the free list.
    misfit : int
        How much the memory is not what the variant would have left; 0 if it is sound.
    fitting : tuple of Reading
        All that fit as well, one of each variant. The first is this one, the newest.
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
    fault_at: int = 0
    misfit: int = 0
    fitting: tuple[Reading, ...] = ()

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Address and bytes of each region."""
        return tuple((base, len(data)) for base, data in self.regions)

    @property
    def kernel(self) -> str:
        """The newest release that leaves such an arena."""
        return newest_kernel(self.layout.variant, self.layout.kind)

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
    allowed: Sequence[Variant] | None = None,
) -> Reading:
    """Read the bytes of an arena; the parameters are those of :func:`~rtosheap.heaps.from_image`.

    As the variant that fits best, of those that are allowed; by default of all.

    Raises
    ------
    ValueError
        If there is no room for such a heap, or a canary is given and it has no heap protector.
    """
    known, layout = state or ImageState(), replace(layout, canary=0)
    regions = _regions_of(layout, memory, operator.index(base_address))
    if canary is not None:
        known = replace(known, canary=operator.index(canary))
    variants = VARIANTS[layout.kind] if allowed is None else allowed
    if known.canary and not any(variant.protector for variant in variants):
        raise ValueError(
            f"canary is {known.canary:#x}; it must be None or 0, for {layout.name} has no heap "
            "protector"
        )
    if not layout.has_headers:
        readings = [_without_headers(replace(layout, variant=v), regions, known) for v in variants]
        return _best(readings)
    spans = [
        [span_of(base, data, replace(layout, variant=v)) for base, data in regions]
        for v in variants
    ]
    readings = [
        _with_headers(replace(layout, variant=v), regions, known, where)
        for v, where in zip(variants, spans, strict=True)
        if not v.protector and not known.canary
    ]
    protected = [(v, where) for v, where in zip(variants, spans, strict=True) if v.protector]
    for word in _canaries(known, readings) if protected else ():
        readings += [
            _with_headers(replace(layout, variant=v, canary=word), regions, known, where)
            for v, where in protected
        ]
    return _best(readings)


def _best(readings: list[Reading]) -> Reading:
    """The newest of those that fit best."""

    def rank(reading: Reading) -> int:
        """What is passed over as one broken header may be many."""
        found = [block for region in reading.parsed for block in region.blocks]
        return reading.misfit - sum(not block.broken for block in found)

    sound = [reading for reading in readings if not reading.misfit]
    least = min(map(rank, readings))
    fitting = sound or [reading for reading in readings if rank(reading) == least]
    one_each: dict[Variant, Reading] = {}
    for reading in fitting:
        one_each.setdefault(reading.layout.variant, reading)
    return replace(fitting[0], fitting=tuple(one_each.values()))


def _canaries(known: ImageState, plain: list[Reading]) -> list[int]:
    """What the heap protector's word may be, if it has one: what is known, or else what the last
    end marker holds, whose link is zero, and where that was overwritten what most blocks say.
    """
    if known.canary is not None:
        return [known.canary] if known.canary else []
    (reading,) = plain
    if not reading.misfit:
        return []
    layout = reading.layout
    marker = reading.parsed[-1].marker
    votes: Counter[int] = Counter()
    for region in reading.parsed:
        found, following = walk(region.span, layout), None
        for address, link, _, marked in reversed(found):
            if marked or following is not None:
                votes[link if marked else link ^ (following or 0)] += 1
            following = following if marked else address
    words = [marker[0] if marker else 0, *(w for w, count in votes.most_common(1) if count > 1)]
    return [word for word in dict.fromkeys(words) if word]


def _with_headers(
    layout: Layout,
    regions: tuple[tuple[int, bytes], ...],
    known: ImageState,
    spans: list[Span],
) -> Reading:
    parsed = parse(spans, layout)
    chain = FreeChain(parsed, layout, known)
    found = [block for region in parsed for block in region.blocks]
    if not layout.variant.marked:
        for block in found:
            block.allocated = not block.broken and block.address not in chain.free
    blocks = [(b.address, b.size, b.allocated) for b in found]
    free = sum(size for _, size, allocated in blocks if not allocated)
    misfit = sum(BROKEN * b.broken + b.wrong_link + b.adjoins for b in found)
    misfit += sum(region.wrong_marker(chain.order, region is parsed[-1]) for region in parsed)
    misfit += (chain.cycle_at is not None) + (chain.astray_at is not None)
    misfit += len(chain.lost) + len(chain.unordered)
    misfit += known.free_size not in (None, free)
    if not layout.variant.marked:
        misfit += _FOREIGN * sum(b.broken and _is_marked(spans[0], b, layout) for b in found)
    return Reading(
        layout, regions, known, blocks, chain.order, _counted(blocks, known), parsed, chain,
        misfit=misfit,
    )  # fmt: skip


def _is_marked(span: Span, block: Parsed, layout: Layout) -> bool:
    """Whether the size that no block has is that of one with the allocated mark."""
    size = span.word(block.address + layout.word, layout.word) - layout.top_bit
    return size % layout.alignment == 0 and layout.header <= size <= span.end - block.address


def _regions_of(layout: Layout, memory: Any, base: int) -> tuple[tuple[int, bytes], ...]:
    """The arena as (address, bytes) pairs, whatever the heap."""
    if not layout.has_regions:
        return ((base, _plain(memory)),)
    pairs = tuple((operator.index(at), _plain(data)) for at, data in memory)
    if not pairs:
        raise ValueError("memory is an empty sequence; heap_5 has at least one region")
    return pairs


def _plain(memory: Any) -> bytes:
    """The bytes of a buffer of bytes or numbers; those of objects say nothing of a heap."""
    view = memoryview(memory)
    if view.format.strip(_PLAIN):
        raise TypeError(
            "memory must be memory of plain bytes or numbers, not of items of the format "
            f"{view.format!r}"
        )
    return bytes(view)


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
        return _handed_out(layout, regions, state)
    blocks, free_list, reached, fault, fault_at = chunks(base, data, state.head, state.used)
    live = sum(allocated for _, _, allocated in blocks)
    free = len(data) - reached + sum(size for _, size, allocated in blocks if not allocated)
    numbers = Numbers(free, live, reached=reached)
    return Reading(
        layout, regions, state, blocks, free_list, numbers, fault=fault, fault_at=fault_at
    )


def _handed_out(
    layout: Layout, regions: tuple[tuple[int, bytes], ...], state: ImageState
) -> Reading:
    """heap_1: all up to the last byte that is not 0 is one block, unless the state tells."""
    ((base, data),) = regions
    start, limit = layout.start(base), layout.usable(base, len(data))
    written, most = len(data.rstrip(b"\0")) + base - start, down(limit - 1, layout.alignment)
    used = min(up(max(written, 0), layout.alignment), most) if state.used is None else state.used
    blocks = [(start, used, True)] if used > 0 else []
    allocations = len(blocks) if state.allocations is None else state.allocations
    # What the heap cannot have handed out, nobody should have written to.
    misfit = any(data[: start - base]) + (written > used)
    misfit += 2 * (state.start not in (None, start))
    return Reading(
        layout, regions, state, blocks, [], Numbers(limit - max(used, 0), allocations),
        misfit=misfit,
    )  # fmt: skip
