"""What each byte of an arena is: allocated, free, header, padding, or none of the heap's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtosheap.heaps import Heap, HeapCorruptionError
from rtosheap.plot._rows import Spans
from rtosheap.plot._style import ALLOCATED, FREE, HEADER, OUTSIDE, PADDING, Fill
from rtosheap.replay import header_size

if TYPE_CHECKING:
    from rtosheap._replay_blocks import BlockTable


class Layer(NamedTuple):
    """Bytes of one sort."""

    label: str
    fill: Fill
    spans: Spans


def region_sizes(heap: Heap) -> list[tuple[int, int]]:
    """Address and size of each region."""
    views = heap._region_views()
    regions = zip(heap._regions(), views, strict=True)
    return [(address, len(view)) for (address, _), view in regions]


def locate(regions: Sequence[tuple[int, int]], address: int) -> tuple[int, int] | None:
    """The region that holds an address, and the offset in there; None when none does."""
    for index, (start, size) in enumerate(regions):
        if start <= address < start + size:
            return index, address - start
    return None


def layers(heap: Heap, requested: Mapping[int, int] | None = None) -> list[Layer]:
    """The arena's bytes by sort, from the record that no stray write can reach.

    What `OUTSIDE` has lies below the other layers: the whole of each region.
    """
    regions = region_sizes(heap)
    parts: dict[str, list[tuple[int, int, int]]] = {
        name: [] for name in ("allocated", "free", "header", "padding")
    }
    region = 0
    for address, size, allocated in heap._blocks(True):
        while address >= sum(regions[region]):
            region += 1
        offset = address - regions[region][0]
        header = _header_of(heap, address, size, allocated)
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


def corrupt_headers(heap: Heap) -> list[int]:
    """Addresses of the headers that were overwritten, ascending.

    That which `check` names, and those whose words cannot be what the heap wrote: a size other
    than the record's, an allocated block's link, a link to what is no free block. A heap with
    newlib-nano's headers shows the first alone.
    """
    try:
        heap.check()
    except HeapCorruptionError as error:
        found = set() if error.address is None else {error.address}
    else:
        return []
    if heap.kind in (2, 4, 5):
        found.update(_wrong_words(heap))
    return sorted(found)


def _wrong_words(heap: Heap) -> list[int]:
    regions, views, word = region_sizes(heap), heap._region_views(), heap.word_size
    blocks = heap._blocks(True)
    top_bit, canary = 1 << (8 * word - 1), heap.canary or 0
    targets = {address for address, _, allocated in blocks if not allocated}
    targets |= {_end_marker(heap, start, size) for start, size in regions}
    wrong = []
    for address, size, allocated in blocks:
        place = locate(regions, address)
        assert place is not None
        region, offset = place
        words = bytes(views[region][offset : offset + 2 * word])
        link = int.from_bytes(words[:word], "little") ^ canary
        written = int.from_bytes(words[word:], "little")
        if written != size | (top_bit if allocated else 0) or (
            link != 0 if allocated else link not in targets
        ):
            wrong.append(address)
    return wrong


def _end_marker(heap: Heap, start: int, size: int) -> int:
    if heap.kind == 2:
        return heap.end_marker_address or 0
    return (start + size - header_size(heap)) // heap.alignment * heap.alignment


def _header_of(heap: Heap, address: int, size: int, allocated: bool) -> int:
    if heap.kind != 3:
        return header_size(heap)
    # newlib-nano: a size, and up to the 8-aligned payload; what sbrk has not reached has none.
    return min(size, -(-(address + 4) // 8) * 8 - address) if allocated else min(size, 8)


def _columns(rows: Sequence[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    if not rows:
        return [], [], []
    region, offset, size = zip(*rows, strict=True)
    return list(region), list(offset), list(size)
