"""A device's memory becomes a heap: the arena's bytes, and the state that lies outside it.

:meth:`Heap4.from_image <rtosheap.Heap4.from_image>` and its kin build a live heap;
:func:`rtosheap.inspect.inspect` reports on an arena that may be damaged.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeVar

import numpy as np

from rtosheap import _core
from rtosheap._core import HeapCorruptionError
from rtosheap._image_parse import Geometry, Region, find_canary, parse, span_of, up

__all__ = ["ImageState", "from_image"]

_H = TypeVar("_H", bound=_core.Heap)
_Regions = Sequence[tuple[int, bytes]]


@dataclass(frozen=True)
class ImageState:
    """What a heap keeps outside its arena; None where it is not known.

    What is not known is reconstructed from the blocks, as far as they tell.

    Attributes
    ----------
    head : int, optional
        The link of the free list's start (FreeRTOS's ``xStart``, newlib's ``__malloc_free_list``),
        as it is stored: with a heap protector, XOR the canary.
    end_marker : int, optional
        Address of heap_2's ``xEnd``.
    free_size, minimum_ever_free, allocations, frees : int, optional
        The counters.
    canary : int, optional
        ``xHeapCanary``.
    used : int, optional
        heap_1: ``xNextFreeByte``, the bytes handed out; heap_3: the bytes that ``sbrk`` handed out.
    """

    head: int | None = None
    end_marker: int | None = None
    free_size: int | None = None
    minimum_ever_free: int | None = None
    allocations: int | None = None
    frees: int | None = None
    canary: int | None = None
    used: int | None = None

    def known(self) -> tuple[str, ...]:
        """Names of what is known."""
        return tuple(name for name, value in vars(self).items() if value is not None)


def from_image(
    cls: type[_H],
    memory: Any,
    *,
    base_address: SupportsIndex = 0x2000_0000,
    word_size: SupportsIndex = 4,
    alignment: SupportsIndex = 8,
    clear_on_free: bool = False,
    canary: SupportsIndex | None = None,
    state: ImageState | None = None,
) -> _H:
    """Build a live heap from the bytes of an arena; the ``from_image`` of the five classes.

    Parameters
    ----------
    cls : type
        `Heap1` … `Heap5`.
    memory : bytes-like, or for heap_5 a sequence of (address, bytes-like)
        The arena, which is copied.
    base_address, word_size, alignment, clear_on_free
        As for the class.
    canary : int, optional
        The heap protector's word; by default what `state` or the end marker says.
    state : ImageState, optional
        What the device kept outside the arena. By default, and where it says nothing, it is
        reconstructed: the free list from the blocks, the minimum ever free as what is free now,
        the allocations as the live blocks. heap_1 keeps nothing in its arena: without `state.used`
        all up to the last byte that is not 0 counts as one block.

    Raises
    ------
    HeapCorruptionError
        If the arena is damaged: :func:`rtosheap.inspect.inspect` says how.
    ValueError
        If no arena of this kind can be so.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> device = Heap4(1024)
    >>> p = device.malloc(100)
    >>> heap = Heap4.from_image(bytes(device.memory))
    >>> heap.blocks() == device.blocks(), heap.free(p)
    (True, None)
    """
    word, align = operator.index(word_size), operator.index(alignment)
    state = state or ImageState()
    regions = regions_of(cls.kind, memory, operator.index(base_address))
    if cls.kind in (1, 3):
        blocks, free_list, numbers = unheaded(cls.kind, regions[0], align, state)
        return restored(cls, regions, word, align, clear_on_free, False, 0, numbers, blocks,
                         free_list)  # fmt: skip
    if canary is not None:
        state = with_canary(state, operator.index(canary))
    geometry = geometry_of(cls.kind, regions, word, align, state)
    parsed = parse([span_of(base, data, geometry) for base, data in regions], geometry)
    chain = FreeChain(parsed, geometry, state)
    blocks = [(b.address, b.size, b.allocated) for region in parsed for b in region.blocks]
    _raise_for_damage(parsed, chain)
    available = sum(size for _, size, allocated in blocks if not allocated)
    if state.free_size is not None and state.free_size != available:
        raise HeapCorruptionError(
            f"the free blocks hold {available} bytes, the heap's counter says {state.free_size}"
        )
    live = sum(allocated for _, _, allocated in blocks)
    frees = state.frees or 0
    allocations = live + frees if state.allocations is None else state.allocations
    minimum = available if state.minimum_ever_free is None else state.minimum_ever_free
    numbers = (minimum, allocations, frees, 0, 0)
    protected = bool(geometry.canary)
    extra = geometry.canary if protected else (chain.end_marker or 0 if cls.kind == 2 else 0)
    heap = restored(
        cls, regions, word, align, clear_on_free, protected, extra, numbers, blocks, chain.order
    )
    heap.check()
    return heap


def regions_of(kind: int, memory: Any, base: int) -> list[tuple[int, bytes]]:
    """The arena as (address, bytes) pairs, whatever the heap."""
    if kind != 5:
        return [(base, bytes(memoryview(memory)))]
    pairs = [(operator.index(at), bytes(memoryview(data))) for at, data in memory]
    if not pairs:
        raise ValueError("memory is an empty sequence; heap_5 has at least one region")
    return pairs


def geometry_of(kind: int, regions: _Regions, word: int, align: int, state: ImageState) -> Geometry:
    """The geometry, with the canary as the state or the last end marker says."""
    if word not in (4, 8):
        raise ValueError(f"word_size is {word}; it must be 4 or 8")
    if align not in (4, 8, 16, 32) or align < word:
        raise ValueError(
            f"alignment is {align}; it must be 4, 8, 16 or 32, and no less than a word"
        )
    plain = Geometry(kind, word, align, 0)
    if state.canary is not None:
        return Geometry(kind, word, align, state.canary)
    base, data = regions[-1]
    return Geometry(kind, word, align, find_canary(span_of(base, data, plain), plain))


def with_canary(state: ImageState, canary: int) -> ImageState:
    """The state with another canary."""
    return ImageState(**{**vars(state), "canary": canary})


class FreeChain:
    """The free list, followed from its head as far as it leads.

    Attributes
    ----------
    order : list of int
        The entries in the list's order (heap_5's inner markers included).
    broken : set of int
        Blocks whose headers lead nowhere: the list may lead to them, and ends there.
    lost : list of int
        Free blocks that the list does not reach.
    cycle_at : int or None
        The entry whose link leads back.
    astray_at : int or None
        The entry whose link leads to no entry; 0 for the head.
    end_marker : int or None
        heap_2: where the last entry links to.
    unordered : list of int
        heap_2: entries that are smaller than the one before.
    """

    def __init__(self, regions: list[Region], geometry: Geometry, state: ImageState) -> None:
        blocks = {b.address: b for region in regions for b in region.blocks}
        links = {b.address: b.link for b in blocks.values() if not b.allocated and not b.broken}
        self.free = dict(links)
        self.broken = {b.address for b in blocks.values() if b.broken}
        for region in regions[:-1]:
            if region.marker is not None:
                links[region.span.end] = region.marker[0]
        self.order: list[int] = []
        self.cycle_at: int | None = None
        self.astray_at: int | None = None
        self.unordered: list[int] = []
        self.end_marker = state.end_marker
        end = regions[-1].span.end
        if geometry.kind == 2:
            self._find_marker(regions[0])
            end = self.end_marker or 0
        entry, before = self._head(regions, geometry, state), 0
        seen: set[int] = set()
        while entry != end:
            if entry in seen:
                self.cycle_at = before
                break
            if entry in self.broken:
                break
            if entry not in links:
                self.astray_at = before
                break
            if geometry.kind == 2 and before and blocks[entry].size < blocks[before].size:
                self.unordered.append(entry)
            seen.add(entry)
            self.order.append(entry)
            before, entry = entry, links[entry]
        self.lost = [address for address in self.free if address not in seen]
        self.before_lost = before

    def _head(self, regions: list[Region], geometry: Geometry, state: ImageState) -> int:
        if state.head is not None:
            return state.head ^ geometry.canary
        if geometry.kind == 2:  # what no entry links to
            heads = [address for address in self.free if address not in set(self.free.values())]
            return heads[0] if heads else min(self.free, default=self.end_marker or 0)
        first = min(self.free, default=regions[-1].span.end)
        for region in regions[:-1]:  # its marker stands before it, unless it was absorbed
            if region.span.end < first and region.marker and region.marker[1] == 0:
                ahead = [r.span.end for r in regions if r.span.end > region.span.end]
                if region.marker[0] in (first, *ahead):
                    return region.span.end
        return first

    def _find_marker(self, region: Region) -> None:
        """heap_2: the end marker is the one address outside that a free block links to."""
        if self.end_marker is not None:
            return
        span = region.span
        outside = [
            x for x in self.free.values() if not span.base <= x < span.base + len(span.memory)
        ]
        if outside:
            self.end_marker = max(set(outside), key=outside.count)


def _raise_for_damage(regions: list[Region], chain: FreeChain) -> None:
    def fail(address: int, what: str) -> None:
        error = HeapCorruptionError(f"the header at {address:#010x} {what}")
        error.address = address
        raise error

    for region in regions:
        for block in region.blocks:
            if block.broken:
                fail(block.address, "holds a size that leads to no other header")
            if block.wrong_link:
                fail(block.address, f"holds the link {block.link:#x}, which is not its own")
            if block.adjoins:
                fail(block.address, "is that of a free block before another free block")
        if region.marker is not None:
            link, size = region.marker
            listed = region is regions[-1] or region.span.end in chain.order
            if not listed:
                continue  # absorbed: what it holds is what it held then
            if size != 0 or (link not in region.marker_links):
                fail(region.span.end, "is no end marker: it holds a wrong size or link")
    if chain.cycle_at is not None:
        fail(chain.cycle_at, "links back: the free list is a cycle")
    if chain.astray_at is not None:
        fail(chain.astray_at, "links to no free block")
    if chain.lost:
        fail(chain.lost[0], "is that of a free block that the free list does not reach")
    if chain.unordered:
        fail(chain.unordered[0], "is out of the free list's order")


def unheaded(
    kind: int, region: tuple[int, bytes], align: int, state: ImageState
) -> tuple[list[tuple[int, int, bool]], list[int], tuple[int, int, int, int, int]]:
    """Blocks, free list and numbers of heap_1 and heap_3."""
    from rtosheap._image_nano import chunks

    base, data = region
    if kind == 1:
        start, limit = up(base, align), len(data) - align
        used = state.used
        if used is None:
            used = min(up(len(data.rstrip(b"\0")) + base - start, align), limit)
        blocks = [(start, used, True)] if used > 0 else []
        count = 1 if blocks else 0
        allocations = state.allocations if state.allocations is not None else count
        return blocks, [], (limit - max(used, 0), allocations, 0, 0, 0)
    blocks, free_list, reached = chunks(base, data, state.head, state.used)
    live = sum(allocated for _, _, allocated in blocks)
    free = len(data) - reached + sum(size for _, size, allocated in blocks if not allocated)
    return blocks, free_list, (free, live, 0, 0, reached)


def restored(
    cls: type[_H],
    regions: _Regions,
    word: int,
    alignment: int,
    clear_on_free: bool,
    protected: bool,
    extra: int,
    numbers: tuple[int, int, int, int, int],
    blocks: list[tuple[int, int, bool]],
    free_list: list[int],
) -> _H:
    """A heap in the state that the numbers and lists describe, over copies of the bytes."""
    header = up(2 * word, alignment)
    offset = {1: 0, 3: 4}.get(cls.kind, header)
    ever = [
        up(address + offset, 8) if cls.kind == 3 else address + offset
        for address, _, allocated in blocks
        if allocated
    ]
    addresses = tuple(base for base, _ in regions)
    if cls.kind == 2 and not extra:
        extra = down_to_word(addresses[0] - 2 * word, word)
    counters = ("minimum_ever_free", "allocations", "frees", "failed", "reached")
    snapshot = {
        "version": 2,
        "kind": cls.kind,
        "word_size": word,
        "alignment": alignment,
        "clear_on_free": clear_on_free,
        "canary": extra if protected else None,
        "end_marker_address": extra if cls.kind == 2 else None,
        "addresses": addresses,
        **dict(zip(counters, numbers, strict=True)),
        "blocks": np.array(blocks, dtype=np.uint64).tobytes(),
        "free_list": np.array(free_list, dtype=np.uint64).tobytes(),
        "ever": np.array(ever, dtype=np.uint64).tobytes(),
    }
    return _core._restore(cls, tuple(bytearray(data) for _, data in regions), snapshot)


def down_to_word(address: int, word: int) -> int:
    """An address rounded down to a word."""
    return address & ~(word - 1)
