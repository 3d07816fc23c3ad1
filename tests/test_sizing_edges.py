"""The smallest heaps of traces that lead to an edge: of the address space, or of an arena."""

from __future__ import annotations

import numpy as np
import pytest
from test_sizing_parts import problem_of
from workloads import random_trace

from rtosheap.replays import replay
from rtosheap.sizing import UnservableError, _heap_2, _heap_3, minimum_heap_size
from rtosheap.traces import Trace

#: Bytes that no heap of words of 4 bytes reaches.
TOP = 1 << 31


def climbing(times: int, step: int = 8) -> Trace:
    """Each request is larger than all free blocks, so that heap_2 cuts every one from its tail."""
    ids = np.repeat(np.arange(times), 2)
    sizes = np.where(np.arange(2 * times) % 2 == 0, step * (1 + ids), 0)
    return Trace("mf" * times, ids, sizes)


# --------------------------------------------------------------------- heap_2


@pytest.mark.parametrize("size", [TOP // 2 - 96, TOP // 2, 1_200_000_000, TOP - 48])
def test_a_heap_2_of_more_than_half_of_what_there_can_be(size: int) -> None:
    """No arena is so large that its tail would never run out."""
    block = size + 8
    found = minimum_heap_size(Trace("m", [0], [size]), "heap_2")
    assert (found.size, found.witness) == (block + 8, 0)
    small = Trace("mmfm", [0, 1, 0, 2], [24, size - 64, 0, 16])
    found = minimum_heap_size(small, "heap_2")
    assert (found.size, found.witness) == (size - 64 + 8 + 32 + 8, 1)
    more = Trace("mfm", [0, 0, 1], [size - 8, 0, size])  # what is free is too small by one step
    if 2 * block > TOP:
        with pytest.raises(UnservableError) as error:
            minimum_heap_size(more, "heap_2")
        assert str(error.value) == (
            f"event 2 asks for {size} bytes and cannot be served: the largest heap fails there, "
            f"and a heap_2 at 0x20000000, with words of 4 bytes, has {TOP - 1} bytes at the most"
        )
    else:
        assert minimum_heap_size(more, "heap_2").size == 2 * block


@pytest.mark.parametrize("live", [0, 1])
@pytest.mark.parametrize("times", range(12, 34))
def test_a_heap_2_whose_tail_runs_out_in_an_arena_of_four_times_the_peak(
    times: int, live: int
) -> None:
    """What is told of any size is what a replay there shows."""
    climb = climbing(times)
    more = Trace("m" * live, [times] * live, [8] * live)
    trace = Trace([*climb.op, *more.op], [*climb.id, *more.id], [*climb.size, *more.size])
    problem = problem_of(trace, 2)
    sizes = _heap_2.Sizes(problem)
    endless = _heap_2.Endless(problem)
    told = 0
    for size in range(problem.smallest // 8 * 8 + 8, endless.bound + 80, 8):
        served = replay(trace, problem.heap(size)).failures == 0
        assert sizes.serves(size) is served
        assert endless.serves(size) in (served, None)
        told += endless.serves(size) is not None
    cut = sum(8 + 8 * (1 + n) for n in range(times))
    assert endless.bound <= cut + 64
    assert told >= cut // 8 - 6 * times


# --------------------------------------------------------------------- heap_3


@pytest.mark.parametrize("events", [63, 64, 65, 1000])
def test_a_heap_3_is_not_replayed_from_its_start_for_each_size(events: int) -> None:
    trace = random_trace(np.random.default_rng(events), events)
    sizes = _heap_3.Sizes(problem_of(trace, 3))
    starts = [moment.event for moment in sizes._moments]
    assert starts[0] == 0
    assert max(np.diff([*starts, events])) <= -(-events // 64)


# --------------------------------------------------------------------- heap_4 and heap_5


@pytest.mark.parametrize("slack", range(0, 40, 8))
@pytest.mark.parametrize("kind", [4, 5])
def test_the_last_block_was_handed_out_whole_and_came_back(kind: int, slack: int) -> None:
    """The arena that is tried first has just enough for the last of many small blocks."""
    for count in range(60, 110):
        sizes = [1] * count + [100 + slack, 0]
        trace = Trace("m" * (count + 1) + "f", [*range(count), count, count], sizes)
        regions = [(0x2000_0000, None)] if kind == 5 else None
        found = minimum_heap_size(trace, f"heap_{kind}", regions=regions)
        block = -(-(100 + slack) // 8) * 8 + 8
        assert found.size == 16 * count + block + 8
        assert found.witness == count
