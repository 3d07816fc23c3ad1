"""The extension's heaps against the recordings: same results, same lists, same bytes."""

from __future__ import annotations

from typing import Any

import pytest
import vectors

import rtosheap


def make_heap(case: vectors.Case, **more: Any) -> Any:
    address, size = case.target_regions[0]
    common: dict[str, Any] = {"word_size": case.word, "alignment": case.align, **more}
    if case.heap == 1:
        return rtosheap.Heap1(size, base_address=address, **common)
    common["clear_on_free"] = case.clear_on_free
    if case.heap == 2:
        return rtosheap.Heap2(
            size, base_address=address, end_marker_address=case.end_marker, **common
        )
    common["canary"] = case.canary
    if case.heap == 4:
        return rtosheap.Heap4(size, base_address=address, **common)
    return rtosheap.Heap5(case.target_regions, **common)


def make_heap3(case: vectors.NanoCase) -> rtosheap.Heap3:
    return rtosheap.Heap3(case.size, base_address=case.address, newlib="3.3.0")


@pytest.mark.parametrize("name", vectors.NAMES)
def test_heap_follows_the_vectors(name: str) -> None:
    refusals = vectors.Refusals(regions=ValueError, free=(rtosheap.InvalidFreeError,))
    compared = [vectors.run_case(case, make_heap, refusals) for case in vectors.load(name)]
    assert len(compared) == vectors.RECORDED[name].cases
    assert sum(compared) == vectors.RECORDED[name].operations


def test_heap3_follows_newlib_nano() -> None:
    compared = [vectors.run_nano_case(case, make_heap3) for case in vectors.load_nano()]
    assert len(compared) == vectors.NANO_CASES
    assert sum(compared) == vectors.NANO_OPERATIONS


@pytest.mark.parametrize("name", vectors.LOG_EVENTS)
def test_heap4_follows_a_running_kernel(name: str) -> None:
    log = vectors.load_log(name)
    heap = rtosheap.Heap4(
        log.size, base_address=log.base_address, word_size=log.word, alignment=log.align
    )
    assert vectors.run_log(log, heap) == vectors.LOG_EVENTS[name]
    heap.check()
