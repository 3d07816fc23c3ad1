"""What each byte of an arena is: allocated, free, header, padding, or none of the heap's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rtosheap.allocators import Allocator
from rtosheap.heaps import Heap
from rtosheap.heaps.layout import Layout, region_spans
from rtosheap.plot._rows import Spans
from rtosheap.plot._style import ALLOCATED, FREE, HEADER, OUTSIDE, PADDING, PINNED, Fill
from rtosheap.replays.blocks import BlockTable

_PINNED = "pins: allocated between holes"


class Layer(NamedTuple):
    """Bytes of one sort."""

    label: str
    fill: Fill
    spans: Spans


def layers(
    heap: Heap | Allocator, requested: Mapping[int, int] | None = None, *, pins: bool = False
) -> list[Layer]:
    """The arena's bytes by sort, from the record that no stray write can reach.

    What `OUTSIDE` has lies below the other layers: the whole of each region. With `pins`, the
    allocated blocks between the holes of a region are a layer of their own.
    """
    if isinstance(heap, Allocator):
        return _known_layers(heap, pins)
    regions, layout = region_spans(heap), Layout.of(heap)
    parts: dict[str, list[tuple[int, int, int]]] = {
        name: [] for name in ("allocated", "pinned", "free", "header", "padding")
    }
    region, blocks = 0, heap._blocks(True)
    pinned = between_holes(blocks, regions) if pins else set()
    for address, size, allocated in blocks:
        while address >= sum(regions[region]):
            region += 1
        offset = address - regions[region][0]
        header = layout.header_of(address, size, allocated)
        parts["header"].append((region, offset, header))
        payload = size - header
        if allocated and requested is not None:
            used = min(requested.get(address + header, 0), payload)
            parts["padding"].append((region, offset + header + used, payload - used))
            payload = used
        name = "pinned" if address in pinned else "allocated" if allocated else "free"
        parts[name].append((region, offset + header, payload))
    found = {name: Spans.of(*_columns(rows)) for name, rows in parts.items()}
    return [
        whole_regions(regions),
        Layer("allocated", ALLOCATED, found["allocated"]),
        Layer(_PINNED, PINNED, found["pinned"]),
        Layer("free", FREE, found["free"]),
        Layer("padding", PADDING, found["padding"]),
        Layer("header", HEADER, found["header"]),
    ]


def between_holes(
    blocks: Iterable[tuple[int, int, bool]], regions: Iterable[tuple[int, int]]
) -> set[int]:
    """Addresses of the allocated blocks between the first and the last hole of each region."""
    found: set[int] = set()
    for start, size in regions:
        inside = [block for block in blocks if start <= block[0] < start + size]
        holes = [at for at, block in enumerate(inside) if not block[2]]
        if holes:
            found |= {block[0] for block in inside[holes[0] : holes[-1]] if block[2]}
    return found


def _known_layers(heap: Allocator, pins: bool) -> list[Layer]:
    """Of an allocator that is not ours: what was requested, and what it says is free."""
    blocks = heap._known_blocks()
    pinned = between_holes(blocks, heap.regions) if pins else set()

    def spans(allocated: bool, *, pins: bool = False) -> Spans:
        these = [
            block
            for block in blocks
            if block.allocated == allocated and (block.address in pinned) == pins
        ]
        offsets = [block.address - heap.base_address for block in these]
        return Spans.of([0] * len(these), offsets, [block.size for block in these])

    return [
        whole_regions(heap.regions)._replace(label="not told"),
        Layer("allocated", ALLOCATED, spans(True)),
        Layer(_PINNED, PINNED, spans(True, pins=True)),
        Layer("free", FREE, spans(False)),
    ]


def holes(heap: Heap | Allocator) -> list[tuple[int, int]]:
    """Address and bytes of each free block; ValueError if the allocator does not tell."""
    if isinstance(heap, Allocator):
        return list(heap._holes())
    return [(address, size) for address, size, allocated in heap._blocks(True) if not allocated]


def free_sizes(heap: Heap | Allocator) -> list[int]:
    """Bytes of each free block; ValueError if the allocator does not tell."""
    return [size for _, size in holes(heap)]


def size_of(heap: Heap | Allocator) -> int:
    """Bytes of the arena."""
    return heap.size if isinstance(heap, Heap) else sum(size for _, size in heap.regions)


def whole_regions(regions: Sequence[tuple[int, int]]) -> Layer:
    """Every region from its first byte to its last."""
    sizes = [size for _, size in regions]
    spans = Spans.of(range(len(regions)), np.zeros(len(regions)), sizes)
    return Layer("no block", OUTSIDE, spans)


def replay_layers(
    regions: Sequence[tuple[int, int]], header: int, blocks: BlockTable, event: int
) -> list[Layer]:
    """The same after an event of a replay, of which the blocks alone are known.

    What is not allocated counts as free.
    """
    live = blocks.live_at(event)
    region, offset, size = blocks.region[live], blocks.offset[live], blocks.size[live]
    used = np.minimum(blocks.requested[live], size - header)
    everything = whole_regions(regions)._replace(label="free", fill=FREE)
    return [
        everything,
        Layer("allocated", ALLOCATED, Spans.of(region, offset + header, used)),
        Layer("padding", PADDING, Spans.of(region, offset + header + used, size - header - used)),
        Layer("header", HEADER, Spans.of(region, offset, np.full(len(size), header))),
    ]


def _columns(rows: Sequence[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    if not rows:
        return [], [], []
    region, offset, size = zip(*rows, strict=True)
    return list(region), list(offset), list(size)
