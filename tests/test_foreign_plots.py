"""What is drawn and measured of allocators that are not ours, and what says that it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import traces
from foreign_libraries import library

from rtosheap import ForeignHeap, Heap4, Trace, fragmentation, plot, replay
from rtosheap.allocators import ObjectHeap
from rtosheap.replays import Replay

mpl.use("Agg")
SIZE = 40 << 10


def replayed(folder: Path, source: str, *defines: str) -> Replay:
    trace = Trace.load(traces.path("coap-server"))
    heap = ForeignHeap.load(library(folder, source, *defines, bits=32), SIZE)
    return replay(trace, heap, record="all")


@pytest.fixture
def told(tmp_path: Path) -> Replay:
    return replayed(tmp_path, "our_heap_4.c")


@pytest.fixture
def untold(tmp_path: Path) -> Replay:
    return replayed(tmp_path, "bump.c")


def labels(ax: Any) -> list[str]:
    (legend,) = [axes.get_legend() for axes in ax.child_axes if axes.get_legend()]
    return [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]


def test_all_is_drawn_of_one_that_tells(told: Replay) -> None:
    assert plot.memory_over_time(told).get_ylabel() == "address"
    assert plot.usage(told).texts[-1].get_text() == "largest free block"
    assert plot.fragmentation(told).lines
    assert plot.fragmentation([told, replay(told.trace, Heap4(SIZE), record="all")]).lines
    assert plot.animate(told) is not None
    heap = told.heap_at(600)
    assert labels(plot.heap_map(heap))[0].startswith("tried of 40 KiB: ")
    assert labels(plot.free_blocks(heap))[0].startswith("tried of 40 KiB: ")


def test_measures_are_those_of_our_own(told: Replay) -> None:
    ours = replay(told.trace, Heap4(SIZE), record="all")
    assert fragmentation.requested_sizes(told, 600) == fragmentation.requested_sizes(ours, 600)
    free = ours["free_size"].astype(float)
    expected = 1 - (ours["largest_free_block"] - 8.0) / free  # without its header
    assert np.allclose(fragmentation.external_fragmentation(told), expected)
    inner = fragmentation.internal_fragmentation(told)
    assert 0 < inner.max() < fragmentation.internal_fragmentation(ours).max()


def test_what_is_not_told_is_left_out_or_named(untold: Replay) -> None:
    assert plot.memory_over_time(untold).get_ylabel() == "address"
    assert [text.get_text() for text in plot.usage(untold).texts] == ["requested", "not told"]
    assert plot.animate(untold) is not None
    for draw, function in (
        (lambda: plot.fragmentation(untold), "rh_foreign_walk"),
        (lambda: plot.heap_map(untold.heap), "rh_foreign_walk"),
        (lambda: plot.free_blocks(untold.heap), "rh_foreign_walk"),
        (lambda: plot.cost(untold), "no library tells 'nodes'"),
        (lambda: fragmentation.internal_fragmentation(untold), "rh_foreign_usable_size"),
        (lambda: fragmentation.johnstone_wilson(untold), "rh_foreign_usable_size"),
    ):
        with pytest.raises(ValueError, match=function):
            draw()


def test_an_object_that_tells_is_drawn() -> None:
    class Told:
        def __init__(self) -> None:
            self.heap = Heap4(SIZE)
            self.malloc, self.free, self.size = self.heap.malloc, self.heap.free, SIZE
            self.base_address = self.heap.base_address
            self.free_blocks = self.heap.free_blocks

    result = replay(Trace.load(traces.path("coap-server")), Told(), record="all")
    assert isinstance(result.heap, ObjectHeap)
    assert plot.heap_map(result.heap).get_ylabel() == "address"
    assert plot.memory_over_time(result).get_ylabel() == "address"
