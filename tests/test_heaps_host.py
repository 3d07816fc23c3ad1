"""Heap3.host(): this machine's malloc as a heap."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest

import rtosheap
from rtosheap import DoubleFreeError, Heap3, InvalidFreeError


def test_host() -> None:
    heap = Heap3.host()
    address = heap.malloc(100)
    assert heap.usable_size(address) >= 100
    view = heap.view(address)
    assert len(view) == 100
    view[:] = b"\x11" * 100
    with pytest.raises(BufferError, match="still in use"):
        heap.free(address)
    view.release()
    heap.free(address)
    with pytest.raises(DoubleFreeError):
        heap.free(address)
    for wrong in (address + 1, 1, -1, 2**70):
        with pytest.raises(InvalidFreeError):
            heap.free(wrong)
    zeroed = heap.calloc(10, 10)
    assert bytes(heap.view(zeroed)) == bytes(100)
    assert heap.calloc(2**63, 4) is None
    assert heap.malloc(2**63 - 1) is None
    assert (heap.allocation_count, heap.free_count, heap.malloc_failed_count) == (2, 1, 1)
    heap.free(None)
    heap.free(0)
    assert repr(heap) == "<Heap3.host(): 1 live blocks>"


@pytest.mark.parametrize(
    "use",
    [
        lambda heap: heap.free_size,
        lambda heap: heap.minimum_ever_free_size,
        lambda heap: heap.stats(),
        lambda heap: heap.blocks(),
        lambda heap: heap.free_blocks(),
        lambda heap: heap.check(),
        lambda heap: heap.reset(),
        lambda heap: heap.copy(),
        lambda heap: heap.memory,
        lambda heap: heap.base_address,
        lambda heap: heap.size,
        lambda heap: heap.word_size,
        lambda heap: heap.alignment,
        lambda heap: heap.regions,
        lambda heap: heap.reset_minimum_ever_free_size(),
        lambda heap: pickle.dumps(heap),
        lambda heap: rtosheap.replay(rtosheap.Trace.from_events([]), heap),
    ],
)
def test_host_says_what_it_does_not_know(use: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"Heap3\.host\(\)"):
        use(Heap3.host())


def test_host_has_no_buffer() -> None:
    with pytest.raises(BufferError):
        memoryview(Heap3.host())


def test_host_frees_what_is_left() -> None:
    heap = Heap3.host()
    for _ in range(100):
        heap.malloc(1000)
    view = heap.view(heap.malloc(8))
    del heap
    gc.collect()
    view[0] = 1  # the loan keeps the heap
