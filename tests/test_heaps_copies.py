"""Reset, copies, pickles, subclasses: a heap that goes on as another did."""

from __future__ import annotations

import contextlib
import copy
import pickle
from typing import Any

import numpy as np
import pytest
from heap_samples import ALL_HEAPS, BASE, make_heap, picture, stray_write, used_heap

import rtosheap
from rtosheap import DoubleFreeError, Heap2, Heap4, Heap5, HeapCorruptionError, HeapError


@pytest.mark.parametrize("kind", ALL_HEAPS)
@pytest.mark.parametrize(
    "how", ["copy", "copy.copy", "deepcopy", *range(pickle.HIGHEST_PROTOCOL + 1)]
)
def test_copies_continue_identically(kind: Any, how: Any) -> None:
    heap = used_heap(kind)
    twin = {
        "copy": lambda: heap.copy(),
        "copy.copy": lambda: copy.copy(heap),
        "deepcopy": lambda: copy.deepcopy(heap),
    }.get(how, lambda: pickle.loads(pickle.dumps(heap, how)))()
    assert type(twin) is type(heap)
    assert picture(twin) == picture(heap)
    for size in (5, 50, 500, 17):
        assert twin.malloc(size) == heap.malloc(size)
    assert picture(twin) == picture(heap)
    twin.reset()
    assert heap.allocation_count > 0  # its memory is its own


def test_a_copy_keeps_the_damage() -> None:
    heap = used_heap(Heap4)
    stray_write(heap, BASE + 4, b"\x99")
    twin = pickle.loads(pickle.dumps(heap))
    with pytest.raises(HeapCorruptionError, match="0x20000000"):
        twin.check()


def test_double_free_is_known_after_a_pickle() -> None:
    heap = make_heap(Heap4)
    address = heap.malloc(8)
    heap.free(address)
    with pytest.raises(DoubleFreeError):
        pickle.loads(pickle.dumps(heap)).free(address)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_reset_sets_up_again(kind: Any) -> None:
    heap = used_heap(kind)
    heap.reset()
    fresh = make_heap(kind, 4096)
    assert heap._snapshot() == fresh._snapshot()
    assert heap.malloc(10) == fresh.malloc(10)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_snapshots_are_not_trusted(kind: Any) -> None:
    heap = used_heap(kind)
    memories = [bytearray(view) for view in heap._region_views()]
    good = heap._snapshot()
    rng = np.random.default_rng(kind.kind)
    for _ in range(300):
        bad = dict(good)
        place = list(good)[int(rng.integers(1, len(good)))]
        if isinstance(bad[place], bytes) and bad[place]:
            data = bytearray(bad[place])
            for _ in range(int(rng.integers(1, 4))):
                data[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
            bad[place] = bytes(data)
        elif isinstance(bad[place], tuple):
            bad[place] = tuple(int(rng.integers(0, 2**33)) for _ in bad[place])
        elif isinstance(bad[place], int):
            bad[place] = int(rng.integers(0, 70))
        try:
            restored = rtosheap._core._restore(kind, memories, bad)
        except (ValueError, TypeError, OverflowError):
            continue
        for size in (5, 50, 500):
            with contextlib.suppress(HeapError):
                restored.malloc(size)
        restored._blocks(True)


def test_restore_refuses_what_is_no_snapshot() -> None:
    heap = Heap4(256)
    snapshot = heap._snapshot()
    for arguments in (
        (int, [bytearray(256)], snapshot),
        (Heap2, [bytearray(256)], snapshot),
        (Heap4, [], snapshot),
        (Heap4, [bytearray(8)], snapshot),
        (Heap4, [bytearray(256)], ()),
        (Heap4, [bytearray(256)], {}),
        (Heap4, [bytearray(256)], {**snapshot, "version": 99}),
    ):
        with pytest.raises((TypeError, ValueError)):
            rtosheap._core._restore(*arguments)


@pytest.mark.parametrize("offset", [0, 8, 500])
def test_two_regions_of_a_snapshot_share_no_memory(offset: int) -> None:
    heap = Heap5([(BASE, 512), (BASE + 4096, 512)])
    heap.malloc(100)
    memory = memoryview(bytearray(512 + offset))
    with pytest.raises(ValueError, match=r"^memories\[0\] and memories\[1\] share memory$"):
        rtosheap._core._restore(Heap5, [memory[:512], memory[offset:]], heap._snapshot())
    apart = memoryview(bytearray(1024))
    restored = rtosheap._core._restore(Heap5, [apart[512:], apart[:512]], heap._snapshot())
    assert restored.free_size == heap.free_size


def test_subclasses() -> None:
    class Mine(Heap4):
        def malloc(self, size: Any, /) -> int | None:
            return super().malloc(size + 1)

    heap = Mine(1024)
    assert heap.malloc(7) == BASE + 8
    assert type(heap.copy()) is Mine
    with pytest.raises(TypeError, match="cannot create"):
        rtosheap._core.Heap()  # type: ignore[call-arg]
