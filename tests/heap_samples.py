"""The kinds of heaps, small ones of each, and all that can be seen of one."""

from __future__ import annotations

from typing import Any

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5

BASE = 0x2000_0000
ARENA_HEAPS = (Heap1, Heap2, Heap3, Heap4)
FREEING_HEAPS = (Heap2, Heap3, Heap4, Heap5)
ALL_HEAPS = (*ARENA_HEAPS, Heap5)


def make_heap(kind: type[Any], size: int = 1024, **options: Any) -> Any:
    """A heap of `size` bytes; heap_5 in two regions."""
    if kind is Heap5:
        return Heap5([(BASE, size // 2), (BASE + 4096, size - size // 2)], **options)
    return kind(size, **options)


def stray_write(heap: Any, address: int, data: bytes) -> None:
    """A stray write at a target address."""
    for (start, _), view in zip(heap.regions, heap._region_views(), strict=True):
        if start <= address < start + len(view):
            view[address - start : address - start + len(data)] = data


def used_heap(kind: Any) -> Any:
    """A heap with a history."""
    heap = make_heap(kind, 4096)
    live = [heap.malloc(size) for size in (10, 200, 30, 60, 500, 1, 90)]
    if kind is not Heap1:
        for address in live[::2]:
            heap.free(address)
    heap.malloc(10**6)
    view = heap.view(live[3])
    view[:] = b"\x5a" * len(view)
    return heap


def picture(heap: Any) -> Any:
    """All that can be seen of a heap."""
    return (
        heap._snapshot(),
        [bytes(view) for view in heap._region_views()],
        heap.blocks(),
        heap.free_blocks(),
        heap.stats(),
        heap.malloc_failed_count,
    )
