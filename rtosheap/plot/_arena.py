"""What each byte of an arena is: allocated, free, header, padding, or none of the heap's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rtosheap.heaps import Heap
from rtosheap.heaps.layout import Layout, region_spans
from rtosheap.plot._rows import Spans
from rtosheap.plot._style import ALLOCATED, FREE, HEADER, OUTSIDE, PADDING, Fill
from rtosheap.replays.blocks import BlockTable


class Layer(NamedTuple):
    """Bytes of one sort."""

    label: str
    fill: Fill
    spans: Spans


def layers(heap: Heap, requested: Mapping[int, int] | None = None) -> list[Layer]:
    """The arena's bytes by sort, from the record that no stray write can reach.

    What `OUTSIDE` has lies below the other layers: the whole of each region.
    """
    regions, layout = region_spans(heap), Layout.of(heap)
    parts: dict[str, list[tuple[int, int, int]]] = {
        name: [] for name in ("allocated", "free", "header", "padding")
    }
    region = 0
    for address, size, allocated in heap._blocks(True):
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
        parts["allocated" if allocated else "free"].append((region, offset + header, payload))
    found = {name: Spans.of(*_columns(rows)) for name, rows in parts.items()}
    return [
        whole_regions(regions),
        Layer("allocated", ALLOCATED, found["allocated"]),
        Layer("free", FREE, found["free"]),
        Layer("padding", PADDING, found["padding"]),
        Layer("header", HEADER, found["header"]),
    ]


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
