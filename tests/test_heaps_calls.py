"""malloc, calloc, free, view: their arguments, results and errors."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import pytest
from heap_samples import ALL_HEAPS, BASE, FREEING_HEAPS, make_heap

from rtosheap import (
    DoubleFreeError,
    Heap1,
    Heap2,
    Heap3,
    Heap4,
    Heap5,
    HeapCorruptionError,
    HeapError,
    InvalidFreeError,
)


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Raises:
    def __index__(self) -> int:
        raise ZeroDivisionError


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_arguments(kind: Any) -> None:
    heap = make_heap(kind)
    assert heap.malloc(Index(8)) is not None
    assert heap.malloc(True) is not None
    for bad in ("8", 8.0, None, b"8"):
        with pytest.raises(TypeError, match="size must be an int"):
            heap.malloc(bad)
    with pytest.raises(ValueError, match="size must not be negative, got -1"):
        heap.malloc(-1)
    for big in (2**32, 2**64, 2**100):
        with pytest.raises(OverflowError, match="size must fit the target's size_t"):
            heap.malloc(big)
    with pytest.raises(OverflowError, match="count"):
        heap.calloc(2**32, 1)
    with pytest.raises(ValueError, match="size must not be negative"):
        heap.calloc(1, -1)
    with pytest.raises(TypeError, match="2 arguments"):
        heap.calloc(1)
    with pytest.raises(TypeError, match="address must be an int"):
        heap.free("x")
    with pytest.raises(ZeroDivisionError):
        heap.malloc(Raises())
    assert heap.malloc_failed_count == 0


@pytest.mark.parametrize("kind", [Heap1, Heap2, Heap4, Heap5])
def test_malloc_0_is_none_and_counts(kind: Any) -> None:
    heap = make_heap(kind)
    before = heap.free_size
    assert heap.malloc(0) is None
    assert heap.calloc(0, 5) is None
    assert heap.malloc_failed_count == 2
    assert heap.free_size == before


def test_malloc_0_on_heap_3_is_a_block() -> None:
    heap = Heap3(1024)
    address = heap.malloc(0)
    assert address is not None
    heap.free(address)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_too_large_is_none(kind: Any) -> None:
    heap = make_heap(kind)
    for size in (1024, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8):
        assert heap.malloc(size) is None
    assert heap.malloc_failed_count == 5
    assert heap.stats().allocation_count == 0


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_calloc(kind: Any) -> None:
    heap = make_heap(kind, 512)
    for view in heap._region_views():
        view[40:200] = b"\xff" * 160  # not a header's place
    heap = kind(heap.memory) if kind is not Heap5 else heap
    address = heap.calloc(5, 6)
    assert bytes(heap.view(address)[:30]) == bytes(30)
    assert heap.calloc(2**16, 2**16) is None
    assert heap.calloc(2**31, 2) is None
    # refused before malloc, of which newlib tells nobody
    assert heap.malloc_failed_count == (2 if heap.kind == 3 else 0)


@pytest.mark.parametrize("kind", FREEING_HEAPS)
def test_free(kind: Any) -> None:
    heap = make_heap(kind)
    free = heap.free_size
    address = heap.malloc(40)
    left = heap.free_size
    for null in (None, 0, Index(0)):
        assert heap.free(null) is None
    assert (heap.free_count, heap.free_size) == (0, left)
    heap.free(Index(address))
    assert heap.free_size == free
    assert (heap.allocation_count, heap.free_count) == (1, 1)


@pytest.mark.parametrize("kind", FREEING_HEAPS)
@pytest.mark.parametrize(
    "wrong", [1, -1, BASE, BASE + 12, 2**32 - 8, 2**32, 2**64 - 1, 2**64, -(2**70), 2**70]
)
def test_invalid_free(kind: Any, wrong: int) -> None:
    heap = make_heap(kind)
    heap.malloc(40)
    before = heap._snapshot()
    with pytest.raises(InvalidFreeError) as raised:
        heap.free(wrong)
    assert not isinstance(raised.value, DoubleFreeError)
    assert heap._snapshot() == before


@pytest.mark.parametrize("kind", FREEING_HEAPS)
def test_double_free(kind: Any) -> None:
    heap = make_heap(kind)
    first, second = heap.malloc(40), heap.malloc(40)
    heap.free(second)
    heap.free(first)
    before = heap._snapshot()
    for address in (first, second):
        with pytest.raises(DoubleFreeError, match=f"{address:#x}"):
            heap.free(address)
    assert heap._snapshot() == before
    heap.reset()
    with pytest.raises(InvalidFreeError) as raised:
        heap.free(first)
    assert not isinstance(raised.value, DoubleFreeError)  # set up anew: never returned


@pytest.mark.parametrize("kind", FREEING_HEAPS)
def test_a_forged_header_is_no_block(kind: Any) -> None:
    heap = make_heap(kind)
    address = heap.malloc(64)
    heap.view(address)[:8] = struct.pack("<II", 0, 0x8000_0010)
    with pytest.raises(InvalidFreeError):
        heap.free(address + 8)


def test_heap_1_cannot_free() -> None:
    heap = Heap1(1024)
    address = heap.malloc(8)
    heap.free(None)
    heap.free(0)
    for wrong in (address, 1, -1):
        with pytest.raises(InvalidFreeError, match="heap_1 cannot free"):
            heap.free(wrong)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_view_and_usable_size(kind: Any) -> None:
    heap = make_heap(kind)
    address = heap.malloc(13)
    view = heap.view(address)
    assert len(view) == heap.usable_size(address) >= 13
    assert not view.readonly
    assert view.format == "B"
    view[:] = b"\xee" * len(view)
    heap.check()
    for method in (heap.view, heap.usable_size):
        for wrong in (address + 8, 0, -1, 2**70):
            with pytest.raises(InvalidFreeError, match="not the address of a live block"):
                method(wrong)
        with pytest.raises(TypeError, match="address must be an int"):
            method("x")


@pytest.mark.parametrize("kind", [Heap2, Heap4, Heap5])
def test_clear_on_free(kind: Any) -> None:
    for clears in (False, True):
        heap = make_heap(kind, clear_on_free=clears)
        address = heap.malloc(24)
        view = heap.view(address)
        view[:] = b"\xee" * len(view)
        heap.free(address)
        assert any(view) is not clears


def test_error_classes() -> None:
    assert issubclass(DoubleFreeError, InvalidFreeError)
    assert issubclass(InvalidFreeError, HeapError)
    assert issubclass(HeapCorruptionError, HeapError)
    assert HeapError.__module__ == "rtosheap"
    assert pickle.loads(pickle.dumps(InvalidFreeError("x"))).args == ("x",)
