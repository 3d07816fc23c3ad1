"""A stray write into an arena: which call meets it, what it says, and that nothing changes."""

from __future__ import annotations

from typing import Any

import pytest
from heap_samples import BASE, make_heap, stray_write

from rtosheap import Heap2, Heap3, Heap4, Heap5, HeapCorruptionError


@pytest.mark.parametrize("kind", [Heap2, Heap4, Heap5])
def test_an_overflow_is_found_and_named(kind: Any) -> None:
    heap = make_heap(kind, 2048)
    blocks = [heap.malloc(56) for _ in range(4)]
    stray_write(heap, blocks[1] + 56, b"\xaa")
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
    stray_write(heap, blocks[1] + 56, b"\x00")
    heap.check()


@pytest.mark.parametrize("kind", [Heap2, Heap4, Heap5])
def test_malloc_meets_an_overwritten_free_block(kind: Any) -> None:
    heap = make_heap(kind, 2048)
    stray_write(heap, heap.free_blocks()[0].address + 5, b"\x77")
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
    stray_write(heap, holes[2] - 4, b"\xc9")
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
    stray_write(heap, BASE + 248, b"\x01")
    with pytest.raises(HeapCorruptionError, match="end marker at 0x200000f8 overwritten"):
        heap.check()


def test_heap_3_corruption() -> None:
    heap = Heap3(1024)
    blocks = [heap.malloc(16) for _ in range(4)]
    stray_write(heap, blocks[2] - 4, b"\x01")
    with pytest.raises(HeapCorruptionError, match="overwritten"):
        heap.free(blocks[2])
    with pytest.raises(HeapCorruptionError):
        heap.check()


@pytest.mark.parametrize("kind", [Heap2, Heap4, Heap5])
@pytest.mark.parametrize("word", [4, 8])
@pytest.mark.parametrize("at", [0, 1])
def test_both_words_are_shown(kind: Any, word: int, at: int) -> None:
    """What the header holds, and what the heap wrote there."""
    heap = make_heap(kind, 2048, word_size=word)
    blocks = [heap.malloc(56) for _ in range(3)]
    header, mark = 2 * word, 1 << (8 * word - 1)
    wrong = 0x1122_3344
    stray_write(heap, blocks[1] - header + at * word, wrong.to_bytes(word, "little"))
    expected = [0, (56 + header) | mark]
    found = [wrong if i == at else expected[i] for i in range(2)]
    shown = " ".join(f"{value:#010x}" for value in found)
    right = " ".join(f"{value:#010x}" for value in expected)
    with pytest.raises(HeapCorruptionError) as raised:
        heap.free(blocks[1])
    assert str(raised.value).endswith(f"it holds {shown} for {right}")
    assert raised.value.address == blocks[1] - header
    assert raised.value.previous == blocks[0] - header
