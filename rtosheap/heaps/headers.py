"""Which headers of a live heap were overwritten."""

from __future__ import annotations

from rtosheap.heaps.heap import Heap, HeapCorruptionError
from rtosheap.heaps.layout import Layout, locate, region_spans


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
    if Layout.of(heap).has_headers:
        found.update(_wrong_words(heap))
    return sorted(found)


def _wrong_words(heap: Heap) -> list[int]:
    layout, regions, views = Layout.of(heap), region_spans(heap), heap._region_views()
    word = layout.word
    blocks = heap._blocks(True)
    targets = {address for address, _, allocated in blocks if not allocated}
    if layout.by_address:
        targets |= {layout.end(start, size) for start, size in regions}
    else:
        targets.add(heap.end_marker_address or 0)
    wrong = []
    for address, size, allocated in blocks:
        place = locate(regions, address)
        assert place is not None
        region, offset = place
        words = bytes(views[region][offset : offset + 2 * word])
        link = int.from_bytes(words[:word], "little") ^ layout.canary
        written = int.from_bytes(words[word:], "little")
        if written != size | (layout.top_bit if allocated else 0) or (
            link != 0 if allocated else link not in targets
        ):
            wrong.append(address)
    return wrong
