"""What must not matter does not: where the base is, where the buffer lies, who replays."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_reference import OneByOne
from vectors import region_bytes

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.testing import heaps, traces

SETTINGS = settings(max_examples=120)


def picture(heap: Any, base: int = 0) -> Any:
    """All that can be seen of a heap, relative to a base."""
    return (
        [(address - base, size, allocated) for address, size, allocated in heap.blocks()],
        [(address - base, size) for address, size in heap.free_blocks()],
        heap.stats(),
        heap.malloc_failed_count,
    )


@given(heap=heaps(), trace=traces(max_size=400))
@SETTINGS
def test_a_replay_is_the_same_calls(heap: Any, trace: Trace) -> None:
    twin = heap.copy()
    result = replay(trace, heap)
    assert result["address"].tolist() == OneByOne(twin).addresses(trace)
    assert picture(heap) == picture(twin)
    assert region_bytes(heap) == region_bytes(twin)


@given(
    cls=st.sampled_from([Heap1, Heap2, Heap3, Heap4]),
    shift=st.integers(-(1 << 20), 1 << 20),
    offset=st.integers(0, 31),
    trace=traces(max_size=300),
)
@SETTINGS
def test_the_base_address_does_not_matter(cls: Any, shift: int, offset: int, trace: Trace) -> None:
    here, there = 0x2000_0000 + offset, 0x2000_0000 + offset + 32 * shift
    a, b = cls(2048, base_address=here), cls(2048, base_address=there)
    first, second = replay(trace, a)["address"], replay(trace, b)["address"]
    served = first != 0
    assert (served == (second != 0)).all()
    assert (first[served] - np.uint64(here) == second[served] - np.uint64(there)).all()
    assert picture(a, here) == picture(b, there)


@given(
    kind=st.sampled_from([1, 2, 3, 4, 5]),
    host=st.integers(0, 15),
    trace=traces(max_size=300),
)
@SETTINGS
def test_the_host_buffer_need_not_be_aligned(kind: int, host: int, trace: Trace) -> None:
    buffer = bytearray(2100)
    memory = memoryview(buffer)[host : host + 2000]
    if kind == 5:
        a: Any = Heap5([(0x1000, memory[:701]), (0x2000, memory[701:])])
        b: Any = Heap5([(0x1000, 701), (0x2000, 1299)])
    else:
        cls: Any = (Heap1, Heap2, Heap3, Heap4)[kind - 1]
        a, b = cls(memory), cls(2000)
    assert (replay(trace, a)["address"] == replay(trace, b)["address"]).all()
    assert picture(a) == picture(b)
    assert region_bytes(a) == region_bytes(b)
    assert not any(buffer[:host])
    assert not any(buffer[host + 2000 :])


@given(
    heap=heaps(),
    before=traces(max_size=300),
    after=traces(max_size=300),
    protocol=st.integers(2, pickle.HIGHEST_PROTOCOL),
)
@SETTINGS
def test_copies_and_pickles_go_on_identically(
    heap: Any, before: Trace, after: Trace, protocol: int
) -> None:
    replay(before, heap)
    twins = [
        heap.copy(),
        pickle.loads(pickle.dumps(heap, protocol)),
        pickle.loads(pickle.dumps(heap.copy())),
    ]
    expected = replay(after, heap)
    for twin in twins:
        result = replay(after, twin)
        for column in ("address", "free_size", "nodes", "failure"):
            assert (result[column] == expected[column]).all()
        assert picture(twin) == picture(heap)
        assert region_bytes(twin) == region_bytes(heap)


def headers(heap: Any) -> list[bytes]:
    """The bytes of the first block's header and the end marker of each region."""
    width = 2 * heap.word_size
    parts = []
    for region in heap.regions:
        memory = bytes(region.memory)
        start = -region.address % heap.alignment
        end = (region.address + len(memory) - max(width, heap.alignment)) // heap.alignment
        end = end * heap.alignment - region.address
        parts += [memory[start : start + width], memory[end : end + width]]
    return parts


@given(heap=heaps(["heap_4", "heap_5"], regions=(1, 1)), trace=traces(max_size=400, reallocs=False))
@SETTINGS
def test_a_heap_that_frees_everything_is_as_at_first(heap: Any, trace: Trace) -> None:
    blocks, first = heap.blocks(), headers(heap)
    result = replay(trace, heap)
    live = {}
    for event, address in zip(trace, result["address"].tolist(), strict=True):
        if event.op == "m" and address:
            live[event.id] = address
        elif event.op == "f":
            live.pop(event.id, None)
    for address in live.values():
        heap.free(address)
    assert heap.blocks() == blocks
    assert headers(heap) == first


@given(
    sizes=st.lists(st.integers(1, 100), min_size=2, max_size=30),
    order=st.randoms(use_true_random=False),
)
@SETTINGS
def test_regions_come_back_whole_in_any_order(sizes: list[int], order: Any) -> None:
    heap = Heap5([(0x1000_0000, 600), (0x2000_0000, 1000), (0x3000_0000, 400)])
    whole = [block.size for block in heap.blocks()]
    live = [address for size in sizes if (address := heap.malloc(size)) is not None]
    order.shuffle(live)
    for address in live:
        heap.free(address)
    assert [block.size for block in heap.blocks()] == whole
    assert heap.free_size == sum(whole)


@given(heap=heaps(["heap_2", "heap_3", "heap_4", "heap_5"]), trace=traces(max_size=300))
@SETTINGS
def test_what_is_refused_changes_nothing(heap: Any, trace: Trace) -> None:
    replay(trace, heap)
    before = picture(heap), region_bytes(heap)
    for address in (heap.base_address - 8, heap.base_address + 3, 1, 1 << 31):
        with pytest.raises(Exception, match=r"\w"):
            heap.free(address)
    assert (picture(heap), region_bytes(heap)) == before
