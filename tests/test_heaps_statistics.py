"""What a heap says of itself: statistics, blocks, free blocks, repr."""

from __future__ import annotations

from typing import Any

import pytest
from heap_samples import ALL_HEAPS, BASE, make_heap, stray_write

import rtosheap
from rtosheap import Heap1, Heap3, Heap4, Heap5


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_numbers_agree(kind: Any) -> None:
    heap = make_heap(kind, 2048)
    live = [heap.malloc(size) for size in (10, 200, 30, 60)]
    if kind is not Heap1:
        heap.free(live[1])
    stats = heap.stats()
    assert isinstance(stats, rtosheap.HeapStats)
    free = [block for block in heap.free_blocks() if block.size]
    assert stats.available == heap.free_size == sum(block.size for block in free)
    assert stats.largest_free_block == max(block.size for block in free)
    assert stats.smallest_free_block == min(block.size for block in free)
    assert stats.free_block_count == len(heap.free_blocks())
    assert stats.minimum_ever_free == heap.minimum_ever_free_size <= heap.free_size
    assert sorted(free) == [(b.address, b.size) for b in heap.blocks() if not b.allocated]
    assert [b.address for b in heap.blocks()] == sorted(b.address for b in heap.blocks())
    heap.reset_minimum_ever_free_size()
    assert heap.minimum_ever_free_size == heap.free_size


def test_statistics_of_a_full_heap() -> None:
    heap = Heap4(256)
    assert heap.malloc(240) is not None
    assert heap.stats() == (0, 0, 2**32 - 1, 0, 0, 1, 0)
    assert Heap4(512, word_size=8).stats().smallest_free_block < 2**63


def test_heap_5_lists_its_markers() -> None:
    heap = make_heap(Heap5)
    assert [block.size for block in heap.free_blocks()] == [504, 0, 504]
    assert heap.stats().free_block_count == 3
    assert heap.stats().smallest_free_block == 504


def test_heap_3_counts_what_sbrk_has_not_reached() -> None:
    heap = Heap3(1024)
    assert heap.free_size == 1024
    address = heap.malloc(100)
    assert heap.blocks() == [(BASE, 108, True), (BASE + 108, 916, False)]
    heap.free(address)
    assert heap.free_blocks() == [(BASE, 108), (BASE + 108, 916)]
    assert heap.stats().largest_free_block == 916
    unaligned = Heap3(1024, base_address=BASE + 1)
    unaligned.malloc(8)
    assert unaligned.free_size == 1024 - 16 - 3  # the break's alignment is neither


def test_heap_1_has_one_free_block() -> None:
    heap = Heap1(64)
    heap.malloc(10)
    assert heap.blocks() == [(BASE, 16, True), (BASE + 16, 40, False)]
    assert heap.malloc(40) is None  # fits exactly, and so fails
    assert heap.malloc(32) == BASE + 16
    assert heap.malloc(1) is None
    assert heap.free_size == 8


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_repr_says_what_it_is(kind: Any) -> None:
    heap = make_heap(kind)
    assert repr(heap).startswith(f"<{kind.__name__} of 1,024 bytes at 0x20000000")
    if kind is not Heap1:
        stray_write(heap, BASE, b"\xff" * 8)
        if kind is not Heap3:
            assert "overwritten" in repr(heap)
