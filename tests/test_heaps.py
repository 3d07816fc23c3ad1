"""The heaps' Python API: construction, arguments, errors, buffers, copies, pickles."""

from __future__ import annotations

import array
import contextlib
import copy
import gc
import mmap
import pickle
import struct
import weakref
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import pytest

import rtosheap
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

BASE = 0x2000_0000
ARENA_HEAPS = (Heap1, Heap2, Heap3, Heap4)
FREEING_HEAPS = (Heap2, Heap3, Heap4, Heap5)
ALL_HEAPS = (*ARENA_HEAPS, Heap5)


def make(kind: type[Any], size: int = 1024, **options: Any) -> Any:
    """A heap of `size` bytes; heap_5 in two regions."""
    if kind is Heap5:
        return Heap5([(BASE, size // 2), (BASE + 4096, size - size // 2)], **options)
    return kind(size, **options)


def write(heap: Any, address: int, data: bytes) -> None:
    """A stray write at a target address."""
    for (start, _), view in zip(heap.regions, heap._region_views(), strict=True):
        if start <= address < start + len(view):
            view[address - start : address - start + len(data)] = data


# --- construction ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "memory",
    [
        lambda: 1024,
        lambda: np.int64(1024),
        lambda: bytearray(1024),
        lambda: memoryview(bytearray(1024)),
        lambda: np.zeros(1024, np.uint8),
        lambda: np.zeros((16, 16), np.float32),
        lambda: np.zeros((16, 16), np.float32, order="F"),
        lambda: array.array("i", range(256)),
        lambda: mmap.mmap(-1, 1024),
        lambda: memoryview(bytearray(1027))[3:],
    ],
)
@pytest.mark.parametrize("kind", ARENA_HEAPS)
def test_takes_a_size_or_any_writable_contiguous_buffer(kind: type[Any], memory: Any) -> None:
    heap = kind(memory())
    address = heap.malloc(10)
    assert heap.size == 1024
    assert BASE <= address < BASE + 1024
    heap.view(address)[:3] = b"abc"
    assert memoryview(heap)[address - BASE : address - BASE + 3].tobytes() == b"abc"


def test_uses_the_buffer_in_place() -> None:
    memory = bytearray(256)
    heap = Heap4(memory)
    assert heap.memory is memory
    assert struct.unpack_from("<II", memory, 0) == (BASE + 248, 248)
    memory[100] = 7
    assert memoryview(heap)[100] == 7


def test_shared_memory() -> None:
    shared = shared_memory.SharedMemory(create=True, size=4096)
    try:
        heap = Heap4(shared.buf)
        address = heap.malloc(8)
        heap.view(address)[:2] = b"hi"
        assert bytes(shared.buf[8:10]) == b"hi"
        del heap
        gc.collect()
    finally:
        shared.close()
        shared.unlink()


def test_pins_the_buffer_while_it_lives() -> None:
    memory = bytearray(256)
    heap = Heap4(memory)
    with pytest.raises(BufferError):
        memory.append(1)
    view = heap.view(heap.malloc(8))
    del heap
    gc.collect()
    with pytest.raises(BufferError):
        memory.append(1)
    view[0] = 1
    view.release()
    memory.append(1)


@pytest.mark.parametrize("memory", [b"constant", "text", None, 1.5, [1], object()])
def test_other_memory_is_a_type_error(memory: Any) -> None:
    with pytest.raises((TypeError, BufferError), match="memory"):
        Heap4(memory)


def test_read_only_and_strided_buffers_are_refused() -> None:
    with pytest.raises(BufferError, match="memory must be a writable contiguous buffer"):
        Heap4(bytes(1024))
    with pytest.raises((BufferError, ValueError), match="memory must be a writable contiguous"):
        Heap4(np.zeros(2048, np.uint8)[::2])


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
    while heap.malloc(8) is not None:
        pass
    heap.check()


def test_construction_writes_its_headers_and_clears_nothing_else() -> None:
    for kind in ARENA_HEAPS:
        memory = bytearray(b"\xa5" * 256)
        kind(memory)
        assert memory.count(0xA5) >= 256 - 16


# --- heap_5 ---------------------------------------------------------------------------------------


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


def test_one_buffer_may_serve_two_regions() -> None:
    memory = bytearray(1024)
    heap = Heap5([(BASE, memoryview(memory)[:512]), (BASE + 512, memoryview(memory)[512:])])
    assert heap.malloc(600) is None  # no block spans two regions
    assert heap.malloc(400) == BASE + 8
    assert heap.malloc(400) == BASE + 520


# --- malloc, calloc, free -------------------------------------------------------------------------


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_arguments(kind: Any) -> None:
    heap = make(kind)
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


class Raises:
    def __index__(self) -> int:
        raise ZeroDivisionError


@pytest.mark.parametrize("kind", [Heap1, Heap2, Heap4, Heap5])
def test_malloc_0_is_none_and_counts(kind: Any) -> None:
    heap = make(kind)
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
    heap = make(kind)
    for size in (1024, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8):
        assert heap.malloc(size) is None
    assert heap.malloc_failed_count == 5
    assert heap.stats().allocation_count == 0


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_calloc(kind: Any) -> None:
    heap = make(kind, 512)
    for view in heap._region_views():
        view[40:200] = b"\xff" * 160  # not a header's place
    heap = kind(heap.memory) if kind is not Heap5 else heap
    address = heap.calloc(5, 6)
    assert bytes(heap.view(address)[:30]) == bytes(30)
    assert heap.calloc(2**16, 2**16) is None
    assert heap.calloc(2**31, 2) is None
    assert heap.malloc_failed_count == 0  # refused before malloc


@pytest.mark.parametrize("kind", FREEING_HEAPS)
def test_free(kind: Any) -> None:
    heap = make(kind)
    free = heap.free_size
    address = heap.malloc(40)
    heap.free(None)
    assert heap.free_count == 0
    heap.free(Index(address))
    assert heap.free_size == free
    assert (heap.allocation_count, heap.free_count) == (1, 1)


@pytest.mark.parametrize("kind", FREEING_HEAPS)
@pytest.mark.parametrize(
    "wrong", [0, 1, -1, BASE, BASE + 12, 2**32 - 8, 2**32, 2**64 - 1, 2**64, -(2**70), 2**70]
)
def test_invalid_free(kind: Any, wrong: int) -> None:
    heap = make(kind)
    heap.malloc(40)
    before = heap._snapshot()
    with pytest.raises(InvalidFreeError) as raised:
        heap.free(wrong)
    assert not isinstance(raised.value, DoubleFreeError)
    assert heap._snapshot() == before


@pytest.mark.parametrize("kind", FREEING_HEAPS)
def test_double_free(kind: Any) -> None:
    heap = make(kind)
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
    heap = make(kind)
    address = heap.malloc(64)
    heap.view(address)[:8] = struct.pack("<II", 0, 0x8000_0010)
    with pytest.raises(InvalidFreeError):
        heap.free(address + 8)


def test_heap_1_cannot_free() -> None:
    heap = Heap1(1024)
    address = heap.malloc(8)
    heap.free(None)
    for wrong in (address, 0, -1):
        with pytest.raises(InvalidFreeError, match="heap_1 cannot free"):
            heap.free(wrong)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_view_and_usable_size(kind: Any) -> None:
    heap = make(kind)
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
        heap = make(kind, clear_on_free=clears)
        address = heap.malloc(24)
        view = heap.view(address)
        view[:] = b"\xee" * len(view)
        heap.free(address)
        assert any(view) is not clears


# --- looking --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_numbers_agree(kind: Any) -> None:
    heap = make(kind, 2048)
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
    heap = make(Heap5)
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
    heap = make(kind)
    assert repr(heap).startswith(f"<{kind.__name__} of 1,024 bytes at 0x20000000")
    if kind is not Heap1:
        write(heap, BASE, b"\xff" * 8)
        if kind is not Heap3:
            assert "overwritten" in repr(heap)


# --- corruption -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Heap2, Heap4, Heap5])
def test_an_overflow_is_found_and_named(kind: Any) -> None:
    heap = make(kind, 2048)
    blocks = [heap.malloc(56) for _ in range(4)]
    write(heap, blocks[1] + 56, b"\xaa")
    message = (
        f"header of the block at {blocks[2] - 8:#x} overwritten; "
        f"the block before it, at {blocks[1] - 8:#x}, ends there"
    )
    with pytest.raises(HeapCorruptionError, match=message) as raised:
        heap.check()
    assert raised.value.address == blocks[2] - 8
    assert raised.value.previous == blocks[1] - 8
    assert raised.value.rule == "overwritten"
    before = heap._snapshot()
    for operation in (
        lambda: heap.free(blocks[2]),
        lambda: heap.view(blocks[2]),
        lambda: heap.usable_size(blocks[2]),
        heap.blocks,
    ):
        with pytest.raises(HeapCorruptionError, match=message):
            operation()
    assert heap._snapshot() == before
    heap.free(blocks[0])  # does not meet it
    write(heap, blocks[1] + 56, b"\x00")
    heap.check()


@pytest.mark.parametrize("kind", [Heap2, Heap4, Heap5])
def test_malloc_meets_an_overwritten_free_block(kind: Any) -> None:
    heap = make(kind, 2048)
    write(heap, heap.free_blocks()[0].address + 5, b"\x77")
    for operation in (lambda: heap.malloc(8), heap.stats, heap.free_blocks, heap.check):
        with pytest.raises(HeapCorruptionError, match="overwritten"):
            operation()


@pytest.mark.parametrize(
    ("first", "size", "meets"),
    [
        (True, 56, False),  # the rest of 40 goes before the hole of 40: the next is not read
        (True, 40, True),  # the rest of 56 goes after it, and is compared with the damaged one
        (False, 40, True),  # the rest is compared with the damaged one at once
    ],
)
def test_heap_2_meets_what_the_rest_is_compared_with(first: bool, size: int, meets: bool) -> None:
    heap = Heap2(4096)
    holes = []
    for hole in (32, 96, 192):
        holes.append(heap.malloc(hole))
        heap.malloc(8)
    for address in holes if first else holes[1:]:
        heap.free(address)
    assert [block.size for block in heap.free_blocks()[-3:-1]] == [104, 200]
    write(heap, holes[2] - 4, b"\xc9")
    before = picture_of_state(heap)
    if not meets:
        assert heap.malloc(size) == holes[1]
        return
    with pytest.raises(HeapCorruptionError, match=f"{holes[2] - 8:#x}"):
        heap.malloc(size)
    assert picture_of_state(heap) == before


def picture_of_state(heap: Any) -> Any:
    return heap._snapshot(), bytes(memoryview(heap))


def test_an_end_marker_is_called_one() -> None:
    heap = Heap4(256)
    write(heap, BASE + 248, b"\x01")
    with pytest.raises(HeapCorruptionError, match="end marker at 0x200000f8 overwritten"):
        heap.check()


def test_heap_3_corruption() -> None:
    heap = Heap3(1024)
    blocks = [heap.malloc(16) for _ in range(4)]
    write(heap, blocks[2] - 4, b"\x01")
    with pytest.raises(HeapCorruptionError, match="overwritten"):
        heap.free(blocks[2])
    with pytest.raises(HeapCorruptionError):
        heap.check()


def test_error_classes() -> None:
    assert issubclass(DoubleFreeError, InvalidFreeError)
    assert issubclass(InvalidFreeError, HeapError)
    assert issubclass(HeapCorruptionError, HeapError)
    assert HeapError.__module__ == "rtosheap"
    assert pickle.loads(pickle.dumps(InvalidFreeError("x"))).args == ("x",)


# --- reset, copy, pickle --------------------------------------------------------------------------


def used(kind: Any) -> Any:
    """A heap with a history."""
    heap = make(kind, 4096)
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


@pytest.mark.parametrize("kind", ALL_HEAPS)
@pytest.mark.parametrize(
    "how", ["copy", "copy.copy", "deepcopy", *range(pickle.HIGHEST_PROTOCOL + 1)]
)
def test_copies_continue_identically(kind: Any, how: Any) -> None:
    heap = used(kind)
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
    heap = used(Heap4)
    write(heap, BASE + 4, b"\x99")
    twin = pickle.loads(pickle.dumps(heap))
    with pytest.raises(HeapCorruptionError, match="0x20000000"):
        twin.check()


def test_double_free_is_known_after_a_pickle() -> None:
    heap = make(Heap4)
    address = heap.malloc(8)
    heap.free(address)
    with pytest.raises(DoubleFreeError):
        pickle.loads(pickle.dumps(heap)).free(address)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_reset_sets_up_again(kind: Any) -> None:
    heap = used(kind)
    heap.reset()
    fresh = make(kind, 4096)
    assert heap._snapshot() == fresh._snapshot()
    assert heap.malloc(10) == fresh.malloc(10)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_snapshots_are_not_trusted(kind: Any) -> None:
    heap = used(kind)
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


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_garbage_collection_and_weak_references(kind: Any) -> None:
    heap = make(kind)
    reference = weakref.ref(heap)
    del heap
    gc.collect()
    assert reference() is None

    class Memory(bytearray):
        pass

    memory = Memory(1024)
    memory.heap = Heap4(memory)  # type: ignore[attr-defined]
    reference = weakref.ref(memory.heap)  # type: ignore[attr-defined]
    del memory
    gc.collect()
    assert reference() is None


def test_subclasses() -> None:
    class Mine(Heap4):
        def malloc(self, size: Any, /) -> int | None:
            return super().malloc(size + 1)

    heap = Mine(1024)
    assert heap.malloc(7) == BASE + 8
    assert type(heap.copy()) is Mine
    with pytest.raises(TypeError, match="cannot create"):
        rtosheap._core.Heap()  # type: ignore[call-arg]


# --- Heap3.host() ---------------------------------------------------------------------------------


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
    for wrong in (address + 1, 0, -1, 2**70):
        with pytest.raises(InvalidFreeError):
            heap.free(wrong)
    zeroed = heap.calloc(10, 10)
    assert bytes(heap.view(zeroed)) == bytes(100)
    assert heap.calloc(2**63, 4) is None
    assert heap.malloc(2**63 - 1) is None
    assert (heap.allocation_count, heap.free_count, heap.malloc_failed_count) == (2, 1, 1)
    heap.free(None)
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
