"""`Layout` against the heaps themselves: what it says of them is what they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtosheap.heaps.layout import ALIGNMENTS, OPTIONS, WORD_SIZES, Layout, locate, region_spans
from rtosheap.kinds import CLASSES, layout_of

LAYOUTS = [
    layout for kind in range(1, 6) for layout in Layout.existing(kind, WORD_SIZES, ALIGNMENTS)
]
BASES = [0x2000_0000, 0x2000_0001, 0x2000_0004, 0x2000_0013, 0x2000_001F, 0x1008]


def construct(layout: Layout, base: int, size: int) -> Any:
    given = {"word_size": layout.word, "alignment": layout.alignment, "base_address": base}
    options = {name: value for name, value in given.items() if name in layout.options}
    heap: Any = CLASSES[layout.name]
    return heap([(base, size)] if layout.has_regions else size, **options)


def named(layout: Layout) -> str:
    return f"{layout.name}, word {layout.word}, alignment {layout.alignment}"


def test_every_layout_is_here() -> None:
    assert len(LAYOUTS) == 4 * 7 + 1


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
@pytest.mark.parametrize("base", BASES, ids=hex)
def test_a_heap_can_be_constructed_from_the_smallest_size_on(layout: Layout, base: int) -> None:
    smallest = layout.smallest(base)
    for size in range(1, smallest):
        with pytest.raises(ValueError, match="bytes"):
            construct(layout, base, size)
    for size in range(smallest, smallest + 2 * layout.alignment):
        assert Layout.of(construct(layout, base, size)) == layout


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
@pytest.mark.parametrize("base", BASES, ids=hex)
def test_the_largest_request_is_served_and_nothing_larger(layout: Layout, base: int) -> None:
    smallest = layout.smallest(base)
    for size in [*range(smallest, smallest + 200), 1000, 4093, 4096]:
        largest = layout.largest_request(layout.usable(base, size))
        assert construct(layout, base, size).malloc(largest + 1) is None
        if largest:
            assert construct(layout, base, size).malloc(largest) is not None


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
def test_blocks_are_as_large_and_lie_where_it_says(layout: Layout) -> None:
    requests = [*range(1, 100), 1000]
    for base in BASES:
        heap = construct(layout, base, 64 * 1024)
        payloads = [heap.malloc(request) for request in requests]
        blocks = [block for block in heap.blocks() if block.allocated]
        if layout.is_newlib or not layout.frees:
            assert blocks[0].address == layout.start(base)
        assert min(block.address for block in blocks) >= layout.start(base)
        assert max(block.address + block.size for block in blocks) <= layout.end(base, 64 * 1024)
        assert [layout.payload(block.address) for block in blocks] == sorted(payloads)
        assert sorted(block.size for block in blocks) == sorted(map(layout.block_size, requests))
        assert region_spans(heap) == [(base, 64 * 1024)]
        assert heap.size - layout.usable(base, heap.size) >= layout.least_loss(base) - 1


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
def test_sizes_of_an_array_are_those_of_its_items(layout: Layout) -> None:
    requests = [0, 1, 7, 8, 9, 100, (1 << 40) + 3]
    expected = [layout.block_size(request) for request in requests]
    assert layout.block_size(np.array(requests, dtype=np.int64)).tolist() == expected
    assert layout.block_size(np.array(requests, dtype=object)).tolist() == expected


@pytest.mark.parametrize("layout", [each for each in LAYOUTS if each.has_headers], ids=named)
def test_a_rest_is_split_off_when_it_is_larger_than_said(layout: Layout) -> None:
    step, smallest = layout.step, layout.block_size(1)
    for rest in range(0, 4 * layout.header, step):
        heap = construct(layout, 0x2000_0000, 64 * 1024)
        hole, fence = heap.malloc(smallest + rest - layout.header), heap.malloc(1)
        heap.free(hole)
        assert heap.malloc(1) == hole
        assert fence is not None
        block = next(b for b in heap.blocks() if layout.payload(b.address) == hole)
        assert (block.size == smallest) == (rest == 0 or rest > layout.split_above)
        assert (block.size == smallest) == (rest == 0 or rest >= layout.least_rest)


def test_options_are_the_constructors() -> None:
    for name, heap in CLASSES.items():
        for option in set().union(*OPTIONS.values()):
            taken = option in layout_of(name).options
            memory: Any = [(0x2000_0000, 256)] if layout_of(name).has_regions else 256
            value = {"word_size": 4, "alignment": 8, "base_address": 0x2000_0000}.get(option)
            make = lambda: heap(memory, **{option: False if value is None else value})  # noqa: B023, E731
            if option in ("canary", "end_marker_address", "kernel", "newlib"):
                make = lambda: heap(memory, **{option: None})  # noqa: B023, E731
            if taken:
                make()
            else:
                with pytest.raises(TypeError):
                    make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 5), "word_size is 5; it must be 4 or 8"),
        ((4, 8, 4), "alignment is 4; it must be 4, 8, 16 or 32, and no less than a word"),
        ((4, 4, 24), "alignment is 24"),
        ((3, 8, 8), "word_size is 8 and alignment 8; newlib-nano's malloc"),
    ],
)
def test_what_does_not_exist_is_named(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(*arguments)


def test_locate_names_the_region_and_the_offset() -> None:
    regions = [(0x1000, 16), (0x2000, 8)]
    assert [locate(regions, at) for at in (0x1000, 0x100F, 0x1010, 0x2007, 0x2008)] == [
        (0, 0),
        (0, 15),
        None,
        (1, 7),
        None,
    ]
