"""What a heap is built from: its size, its options, its regions; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from heap_samples import ALL_HEAPS, ARENA_HEAPS, BASE

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (Heap1, {"clear_on_free": True}, "clear_on_free"),
        (Heap1, {"canary": 1}, "canary"),
        (Heap2, {"canary": 1}, "canary"),
        (Heap3, {"word_size": 4}, "word_size"),
        (Heap3, {"alignment": 8}, "alignment"),
        (Heap4, {"end_marker_address": 4}, "end_marker_address"),
        (Heap4, {"bogus": 4}, "bogus"),
    ],
)
def test_an_option_that_a_heap_does_not_have(kind: Any, options: Any, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        kind(1024, **options)


@pytest.mark.parametrize("kind", [Heap1, Heap2, Heap4])
def test_options_are_keyword_only(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind(1024, BASE)


def test_attributes() -> None:
    heap = Heap4(
        1024, base_address=BASE + 4, word_size=8, alignment=16, clear_on_free=True, canary=5
    )
    assert heap.base_address == BASE + 4
    assert (heap.size, heap.word_size, heap.alignment) == (1024, 8, 16)
    assert heap.clear_on_free
    assert heap.canary == 5
    assert Heap4(1024).canary is None
    assert Heap2(1024).end_marker_address == BASE - 8
    assert Heap2(1024, base_address=BASE + 3, word_size=8).end_marker_address == BASE - 16
    assert [kind.kind for kind in ALL_HEAPS] == [1, 2, 3, 4, 5]
    with pytest.raises(AttributeError):
        heap.size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        (Heap1, 7, {}),
        (Heap1, 0, {}),
        (Heap2, 15, {}),
        (Heap2, 31, {"alignment": 16}),
        (Heap3, 11, {}),
        (Heap4, 15, {}),
        (Heap4, 16, {"base_address": BASE + 1}),
        (Heap4, 0, {}),
        (Heap4, 31, {"word_size": 8}),
    ],
)
def test_too_small_for_the_bookkeeping(kind: Any, size: int, options: Any) -> None:
    with pytest.raises(ValueError, match=rf"memory of {size} bytes .*too small"):
        kind(size, **options)


@pytest.mark.parametrize(("kind", "size"), [(Heap1, 8), (Heap2, 16), (Heap3, 12), (Heap4, 16)])
def test_smallest_heaps_fail_politely(kind: Any, size: int) -> None:
    heap = kind(size)
    assert heap.malloc(100) is None
    heap.check()
    assert heap.malloc_failed_count == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_address": 0}, "base_address must be above 0"),
        ({"base_address": -1}, "base_address must not be negative, got -1"),
        ({"base_address": 2**32}, "base_address must be at most 4294967295"),
        ({"base_address": 2**32 - 1000}, "past the range of 4-byte words"),
        ({"alignment": 12}, "alignment must be 4, 8, 16 or 32 with word_size=4, not 12"),
        ({"alignment": 64}, "alignment must be 4, 8, 16 or 32 with word_size=4, not 64"),
        ({"alignment": 4, "word_size": 8}, "alignment must be 8, 16 or 32 with word_size=8"),
        ({"alignment": 0}, "alignment must be"),
        ({"word_size": 2}, "word_size must be 4 or 8, not 2"),
        ({"canary": 2**32}, "canary must be at most 4294967295"),
        ({"canary": -1}, "canary must not be negative"),
    ],
)
def test_bad_options_name_themselves(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Heap4(1024, **arguments)


@pytest.mark.parametrize("option", ["base_address", "word_size", "alignment", "canary"])
def test_options_are_ints(option: str) -> None:
    with pytest.raises(TypeError, match=f"{option} must be an int, not str"):
        Heap4(1024, **{option: "4"})


@pytest.mark.parametrize("kind", ARENA_HEAPS)
@pytest.mark.parametrize("size", [-1, 2**31, 2**32, 2**64, 2**100])
def test_impossible_sizes(kind: Any, size: int) -> None:
    with pytest.raises(ValueError, match="memory"):
        kind(size)


@pytest.mark.parametrize("marker", [0, BASE, BASE + 1020, BASE - 2, BASE - 4, 2**32])
def test_end_marker_must_lie_outside(marker: int) -> None:
    with pytest.raises(ValueError, match="end_marker_address"):
        Heap2(1024, end_marker_address=marker)


@pytest.mark.parametrize("base", [1, 4, 7, 8, 9, 16])
def test_heap_2_at_the_bottom_of_memory(base: int) -> None:
    heap = Heap2(256, base_address=base)
    assert heap.end_marker_address not in range(base, base + 256)
    assert heap.malloc(8) is not None
    heap.check()


@pytest.mark.parametrize("kind", ARENA_HEAPS)
def test_up_to_the_last_address(kind: Any) -> None:
    heap = kind(1024, base_address=2**32 - 1024)
    live = []
    while (address := heap.malloc(8)) is not None:
        live.append(address)
    heap.check()
    assert heap.free_size < 24
    while live and kind is not Heap1:
        heap.free(live.pop())  # what is free ends at 2**32, which words of 4 bytes have as 0
        heap.check()


def test_a_heap_1_without_a_byte() -> None:
    heap = Heap1(8)
    assert (heap.free_size, heap.blocks(), heap.free_blocks()) == (0, [], [])
    assert heap.stats().free_block_count == 0
    assert heap.malloc(1) is None
    heap.check()


@pytest.mark.parametrize("kind", ARENA_HEAPS)
@pytest.mark.parametrize("size", [264, 1000])
def test_on_both_sides_of_the_top_bit(kind: Any, size: int) -> None:
    heap = kind(size, base_address=0x7FFF_FF80)
    twin = kind(size, base_address=BASE)
    while (address := heap.malloc(16)) is not None:
        assert address - heap.base_address == twin.malloc(16) - BASE
    assert twin.malloc(16) is None
    heap.check()


def test_construction_writes_its_headers_and_clears_nothing_else() -> None:
    for kind in ARENA_HEAPS:
        memory = bytearray(b"\xa5" * 256)
        kind(memory)
        assert memory.count(0xA5) >= 256 - 16


@pytest.mark.parametrize(
    ("regions", "error", "message"),
    [
        ([], ValueError, "at least one"),
        ([(BASE, 100), (BASE + 50, 100)], ValueError, r"regions\[1\].*overlaps"),
        ([(BASE + 1000, 100), (BASE, 100)], ValueError, r"regions\[1\]"),
        ([(BASE, 100), (BASE, 100)], ValueError, r"regions\[1\]"),
        ([(0, 100)], ValueError, "above 0"),
        ([(BASE, 10)], ValueError, r"regions\[0\] of 10 bytes .*too small"),
        ([(BASE, 8)], ValueError, "too small"),  # usable size 0 in the last region
        ([(BASE, 100), (BASE + 1000, 8)], ValueError, r"regions\[1\].*too small"),
        ([(BASE, 12), (BASE + 1000, 100)], None, ""),  # usable size 0, not the last: fine
        ([(BASE + 1, 3), (BASE + 1000, 100)], ValueError, r"regions\[0\].*too small"),
        ([(BASE, 100, 3)], TypeError, r"regions\[0\] must be a pair"),
        ([BASE], TypeError, r"regions\[0\] must be a pair"),
        (["ab"], TypeError, r"regions\[0\] must be a pair"),
        (17, TypeError, "regions must be a sequence"),
        ([("a", 100)], TypeError, r"the address of regions\[0\] must be an int"),
        ([(BASE, "a")], TypeError, r"the memory of regions\[0\]"),
        ([(BASE, -5)], ValueError, r"the memory of regions\[0\]"),
        ([(2**32 - 50, 100)], ValueError, "past the range"),
    ],
)
def test_regions(regions: Any, error: Any, message: str) -> None:
    if error is None:
        Heap5(regions).check()
        return
    with pytest.raises(error, match=message):
        Heap5(regions)


def test_regions_as_given() -> None:
    memory = np.zeros(512, np.uint8)
    heap = Heap5(((BASE, 256), [BASE + 4096, memory]))
    assert heap.regions[0].address == BASE
    assert isinstance(heap.regions[0].memory, bytearray)
    assert heap.regions[1] == (BASE + 4096, memory)
    assert heap.size == 768
    with pytest.raises(BufferError, match="several regions"):
        memoryview(heap)
    assert bytes(memoryview(Heap5([(BASE, 64)])))
