"""The extension's heaps of older kernels, and heap_3 of every newlib, against the recordings."""

from __future__ import annotations

from typing import Any

import profiles
import pytest
import vectors
from parts import few_of
from test_conformance import make_heap
from test_model_profiles import SERVING, serves

import rtosheap

REFUSALS = vectors.Refusals(
    regions=ValueError,
    free=(rtosheap.InvalidFreeError,),
    malloc=(rtosheap.HeapAssertionError,),
    stats=(rtosheap.HeapError,),
)
FAULTS: dict[str, type[Exception]] = {
    "reads address 0": rtosheap.HeapError,
    "writes address 4": rtosheap.HeapError,
}


@pytest.mark.parametrize("name", profiles.NAMES)
def test_heap_follows_the_profiles(name: str) -> None:
    """Under the first and under the last release that a profile describes."""
    for kernel in profiles.kernels(name):
        made: list[Any] = []

        def make(case: vectors.Case, kernel: str = kernel, made: list[Any] = made) -> Any:
            made.append(make_heap(case, kernel=kernel))
            assert made[-1].kernel == kernel
            return made[-1]

        compared = [vectors.run_case(case, make, REFUSALS) for case in profiles.cases(name)]
        assert len(compared) == profiles.RECORDED[name]
        assert sum(compared) == profiles.OPERATIONS[name]
        for heap in made:
            heap.check()


@pytest.mark.parametrize("name", few_of(vectors.RECORDED_NANO, vectors.FEW_NANO))
def test_heap3_follows_every_newlib(name: str) -> None:
    recorded = vectors.RECORDED_NANO[name]
    cases = vectors.load_nano(name)
    for newlib in vectors.newlibs_of(name, cases):

        def make(case: vectors.NanoCase, newlib: str | None = newlib) -> rtosheap.Heap3:
            return rtosheap.Heap3(case.size, base_address=case.address, newlib=newlib)

        compared = [vectors.run_nano_case(case, make, faults=FAULTS) for case in cases]
        assert len(compared) == recorded.cases
        assert sum(compared) == recorded.operations


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(("heap", "kernel"), [(1, "V10.4.6"), (2, "V11.0.0"), (4, "V11.3.0")])
def test_the_first_release_with_the_newest_heap(heap: int, kernel: str, bits: int) -> None:
    """The newest kernel's recordings, arenas included, hold for it."""
    name = f"heap{heap}_w{bits}"
    compared = [
        vectors.run_case(case, lambda case: make_heap(case, kernel=kernel), REFUSALS)
        for case in vectors.load(name)
    ]
    assert len(compared) == vectors.RECORDED[name].cases
    assert sum(compared) == vectors.RECORDED[name].operations


@pytest.mark.parametrize("newlib", SERVING)
def test_serving_is_not_monotone(newlib: str) -> None:
    """A smaller arena may serve by growing its last chunk where a larger one has no room to."""
    sizes = range(80, 112, 4)
    assert [n for n in sizes if serves(rtosheap.Heap3(n, newlib=newlib))] == SERVING[newlib]


@pytest.mark.parametrize("word_size", [4, 8])
def test_a_calloc_of_a_size_that_wraps(word_size: int) -> None:
    """heap_2 up to V10.4.2: malloc gives a header; calloc would zero what is not its own."""
    heap = rtosheap.Heap2(256, word_size=word_size, kernel="V10.4.2")
    largest = (1 << 8 * word_size) - 1
    header = 2 * word_size
    assert heap.calloc(1, largest - header + 1) is None  # it wraps to 0
    for below in range(header - 1):
        with pytest.raises(rtosheap.HeapError, match="calloc"):
            heap.calloc(1, largest - below)
    assert heap.calloc(2, largest) is None
    assert len(heap.blocks()) == 1
    address = heap.malloc(largest)
    assert heap.usable_size(address) == 0
    heap.check()


def test_a_chunk_that_is_handed_out_twice() -> None:
    """4.2.0: what the device would take from a live block is an error that names the bug."""
    heap = rtosheap.Heap3(64, base_address=0x2000_0004, newlib="4.2.0")
    heap.free(heap.malloc(20))
    extended = heap.malloc(40)
    assert extended == 0x2000_0008
    with pytest.raises(rtosheap.HeapError, match=r"4\.2\.0"):
        heap.malloc(4)
    heap.check()


def test_what_is_freed_beside_a_chunk_that_is_handed_out_twice() -> None:
    """4.2.0: it, and the one before it, meet the live block in the list; others do not."""
    heap = rtosheap.Heap3(92, base_address=0x2000_0004, newlib="4.2.0")
    first, before, last = (heap.malloc(size) for size in (12, 12, 20))
    heap.free(last)
    assert heap.malloc(36) == last  # extended
    was = bytes(heap.memory)
    for address in (before, last):
        with pytest.raises(rtosheap.HeapError, match=r"4\.2\.0"):
            heap.free(address)
        assert heap.memory == was
        heap.check()
    heap.free(first)
    assert [block.allocated for block in heap.blocks()][:3] == [False, True, True]
