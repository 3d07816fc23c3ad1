"""The smallest heaps of traces that lead to an edge: of the address space, or of an arena."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from ctools import run
from test_sizing_parts import problem_of
from workloads import random_trace

from rtosheap import compare
from rtosheap.heaps import Heap4, Heap5
from rtosheap.heaps.layout import Layout
from rtosheap.replays import replay
from rtosheap.sizing import UnservableError, _heap_2, minimum_heap_size
from rtosheap.sizing.curve import sizing_points
from rtosheap.sizing.minimum import smallest_size
from rtosheap.sizing.regions import default_regions
from rtosheap.traces import Trace
from rtosheap.traces.changes import parse_what_if

#: Bytes that no heap of words of 4 bytes reaches, and where their addresses end.
TOP, END = 1 << 31, 1 << 32


def climbing(times: int, step: int = 8) -> Trace:
    """Each request is larger than all free blocks, so that heap_2 cuts every one from its tail."""
    ids = np.repeat(np.arange(times), 2)
    sizes = np.where(np.arange(2 * times) % 2 == 0, step * (1 + ids), 0)
    return Trace("mf" * times, ids, sizes)


# --------------------------------------------------------------------- heap_2


@pytest.mark.parametrize("word", [4, 8])
@pytest.mark.parametrize(("kernel", "more"), [("V9.0.0", 1), ("V10.4.2", 1), ("V11.3.0", 0)])
def test_a_heap_2_all_of_which_one_block_would_take(kernel: str, more: int, word: int) -> None:
    """In an older kernel no block is the whole arena."""
    options: dict[str, Any] = {"word_size": word, "alignment": 8, "kernel": kernel}
    header = Layout.from_options(2, options).header
    for size in (8 - 1, 40 - 1):
        found = minimum_heap_size(Trace("mf", [0, 0], [size, 0]), "heap_2", **options)
        assert (found.size, found.exact) == (8 + header + size + 1 + 8 * more, True)


@pytest.mark.parametrize("size", [TOP // 2 - 96, TOP // 2, 1_200_000_000, TOP - 48])
def test_a_heap_2_of_more_than_half_of_what_there_can_be(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No arena is so large that its tail would never run out."""
    block = size + 8
    found = minimum_heap_size(Trace("m", [0], [size]), "heap_2")
    assert (found.size, found.witness) == (block + 8, 0)
    small = Trace("mmfm", [0, 1, 0, 2], [24, size - 64, 0, 16])
    found = minimum_heap_size(small, "heap_2")
    assert (found.size, found.witness) == (size - 64 + 8 + 32 + 8, 1)
    # What is free is too small by one step, but where the tail was handed out whole.
    more = Trace("mfm", [0, 0, 1], [size - 8, 0, size])
    found = minimum_heap_size(more, "heap_2")
    assert (found.size, found.exact) == (block + 8, True)
    monkeypatch.setattr(_heap_2, "EVENTS_MORE", 0)
    monkeypatch.setattr(_heap_2, "TURNS", 0)
    if 2 * block > TOP:
        with pytest.raises(UnservableError) as error:
            minimum_heap_size(more, "heap_2")
        assert str(error.value) == (
            f"the largest heap_2 at 0x20000000, {TOP - 1} bytes, fails at event 2; whether a "
            "smaller one serves, search='full' can tell"
        )
    else:
        assert minimum_heap_size(more, "heap_2").size == 2 * block


#: Holes of 2,400 sizes and a request between every two: each cuts sizes off that then wait.
CUTTING = """
import resource
from rtosheap import Trace, minimum_heap_size
rows = [("m", at, size) for k in range(2400) for at, size in ((2 * k, 64 * k + 56), (2 * k + 1, 8))]
rows += [("f", 2 * k) for k in range(2400)]
for k in range(2400):
    rows += [("m", 5000, 64 * k + 24), ("f", 5000)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(minimum_heap_size(Trace.from_events(rows), "heap_2").size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_search_of_sizes_that_all_differ_keeps_little_of_them() -> None:
    """Not a copy of all blocks for each."""
    size, kilobytes = map(int, run([sys.executable, "-c", CUTTING]).stdout.split())
    assert size == 32 * 2400 * 2401 + 2400 * 16 + 16
    assert kilobytes < 100_000


@pytest.mark.parametrize("less", [8, 1 << 28, (1 << 28) + 100])
def test_a_heap_2_whose_tail_is_less_than_a_free_block_in_the_largest(less: int) -> None:
    """There the tail is the better fit for the second; in smaller heaps the free block serves."""
    first, second = 1_200_000_000, (TOP - 1_200_000_000) - 8 - less
    found = minimum_heap_size(Trace("mfm", [0, 0, 1], [first, 0, second // 8 * 8]), "heap_2")
    assert (found.size, found.witness) == (first + 16, 0)


@pytest.mark.parametrize("more", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("times", range(20, 40, 4))
@pytest.mark.parametrize("full", [True, False])
def test_a_heap_2_whose_tail_runs_out_in_an_arena_of_four_times_the_peak(
    times: int, more: int | None, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told of any size is what a replay there shows. At the end a block comes and goes that
    the last one may hold where that took all that was left.
    """
    monkeypatch.setattr(_heap_2, "EVENTS_MORE", 0)
    monkeypatch.setattr(_heap_2, "TURNS", 0)
    trace = climbing(times)
    if more is not None:
        sizes = [*trace.size.tolist(), 8 * (times + more), 0]
        trace = Trace("mf" * (times + 1), [*trace.id.tolist(), times, times], sizes)
    problem = problem_of(trace, 2)
    floor = problem.check_possible()
    sizes = _heap_2.sizes_of(problem, floor, full=full)
    assert sizes.complete is full
    told = 0
    for size in range(floor, floor + 4 * trace.peak_live_bytes, 8):
        assert sizes.serves(size) is (replay(trace, problem.heap(size)).failures == 0)
        told += 1
    assert told >= 50


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


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_the_smallest_size_alone(kind: int) -> None:
    trace = random_trace(np.random.default_rng([606, kind]), 60)
    regions = [(0x1000_0000, 96), (0x2000_0000, None)] if kind == 5 else None
    found = minimum_heap_size(trace, f"heap_{kind}", regions=regions)
    assert smallest_size(problem_of(trace, kind, regions)) == found.size


@pytest.mark.parametrize(("kind", "lost", "block"), [(1, 9, 200), (2, 8, 208), (4, 8, 208)])
@pytest.mark.parametrize("count", [4, 7])
def test_memory_that_just_holds_a_trace(kind: int, lost: int, block: int, count: int) -> None:
    room = count * block + lost
    base = END - room
    for step in (0, 8):
        trace = Trace("m" * count, range(count), [200] * count)
        if base % 8 == 0 and not step:
            found = minimum_heap_size(trace, f"heap_{kind}", base_address=base)
            assert found.size == room
        more = Trace("m" * (count + 2), range(count + 2), [200] * (count + 2))
        with pytest.raises(UnservableError) as error:
            minimum_heap_size(more, f"heap_{kind}", base_address=base + step)
        event = count - (step > 0)
        assert str(error.value).startswith(
            f"event {event} requests 200 bytes and cannot be served: {(event + 1) * block} bytes "
        )


def test_what_all_regions_together_just_hold_is_tried() -> None:
    """How the blocks fall to them nothing tells: of 416 bytes in 416 the markers are too much."""
    regions: list[tuple[int, int | None]] = [(0x1000_0000, 208), (END - 208, None)]
    for count, why in ((4, "the largest heap fails there"), (5, "520 bytes of blocks are live")):
        trace = Trace("m" * count, range(count), [96] * count)
        with pytest.raises(UnservableError, match=why):
            minimum_heap_size(trace, "heap_5", regions=regions)


def test_two_blocks_that_together_are_more_than_64_bits_hold() -> None:
    asked = (1 << 62) - 1
    trace = Trace("mm", [0, 1], [asked, asked])
    for kind in (1, 2, 4):
        block = (1 << 62) + (0 if kind == 1 else 16)
        with pytest.raises(UnservableError) as error:
            minimum_heap_size(trace, f"heap_{kind}", word_size=8)
        assert f"event 1 requests {asked} bytes and cannot be served: {2 * block} bytes of" in str(
            error.value
        )


def test_the_smallest_size_alone_is_not_searched_for_at_every_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    real = _heap_2.sizes_of
    monkeypatch.setattr(
        _heap_2, "sizes_of", lambda *args, full: asked.append(full) or real(*args, full=full)
    )
    smallest_size(problem_of(Trace("mmfm", [0, 1, 0, 2], [100, 20, 0, 110]), 2))
    assert asked == [False]


# --------------------------------------------------------------------- curves, and what is apart


def test_a_curve_takes_the_regions_of_a_comparison_unless_it_is_given_others() -> None:
    trace = Trace("mm", [0, 1], [100, 100])
    own: list[tuple[int, int | None]] = [(0x1000_0000, 128), (0x2000_0000, None)]
    other: list[tuple[int, int | None]] = [(0x1000_0000, 64), (0x2000_0000, None)]
    rows = compare(trace, regions=own)
    for given, expected in ((None, own), (other, other)):
        points = sizing_points(
            trace, heaps=["heap_5"], minima=rows, regions=given, sizes=range(150, 400, 10)
        )
        (curve,) = points.curves
        assert curve.minimum == rows["heap_5"].size
        first, last = expected[0][1], expected[1][0]
        assert first is not None
        sizes = [size for size in range(150, 400, 10) if size >= first + 16]
        assert curve.sizes == tuple(sizes)
        heaps = [Heap5([(0x1000_0000, first), (last, size - first)]) for size in sizes]
        assert curve.failures == tuple(replay(trace, heap).failures for heap in heaps)
    without = compare(trace, heaps=["heap_4", "heap_1"])
    (curve,) = sizing_points(trace, heaps=["heap_5"], minima=without).curves
    size = without["heap_4"].size
    assert size is not None
    regions = default_regions(size, Layout(4))
    assert curve.minimum == minimum_heap_size(trace, Heap5, regions=regions).size


def test_of_a_heap_smaller_than_nothing_there_is_no_point() -> None:
    trace = Trace("m", [0], [8])
    regions: list[tuple[int, int | None]] = [(0x1000_0000, 64), (0x2000_0000, None)]
    for kind in (1, 2, 3, 4, 5):
        own = regions if kind == 5 else None
        (curve,) = sizing_points(
            trace, heaps=[f"heap_{kind}"], sizes=[-(1 << 40), -1, 0, 64, 200], regions=own
        ).curves
        assert curve.sizes == ((200,) if kind == 5 else (64, 200))


def test_what_goes_to_a_heap_of_its_own_needs_its_smallest_heap() -> None:
    trace = Trace("mm", [0, 1], [100, 24])
    for text, size in (
        ("region:size>=50", minimum_heap_size(Trace("m", [0], [100]), Heap4).size),
        ("region:size>=500", 0),
    ):
        (change,) = parse_what_if(text)
        kept, own = change.apply(trace)
        assert own == size
        assert len(kept) == 2 - (size > 0)


# --------------------------------------------------------------------- the advice


@pytest.mark.parametrize("fixed", [0, 64, 720])
@pytest.mark.parametrize("room", [1624, 2480, 3128, 3136, 3144, 3192, 3200, 3208, 4000])
def test_the_advice_near_the_end_of_the_addresses(room: int, fixed: int) -> None:
    """Measured in twice the peak, doubled until it serves: 3,200 bytes; where that is more than
    there can be, in the smallest that serves.
    """
    trace = Trace("m" * 100, range(100), [1] * 100)
    base = END - room
    first = [(0x1000_0000, fixed)] if fixed else []

    def heap_of(total: int) -> Any:
        if fixed:
            return Heap5([*first, (base, total - fixed)])
        return Heap4(total, base_address=base)

    if fixed:
        found = minimum_heap_size(trace, "heap_5", regions=[*first, (base, None)])
    else:
        found = minimum_heap_size(trace, "heap_4", base_address=base)
    measured = heap_of(3200 if 3200 - fixed <= room else found.size)
    assert replay(trace, measured).failures == 0
    assert found.advice_size == measured.size - measured.minimum_ever_free_size


@pytest.mark.parametrize("fixed", [160, 600, 900])
def test_the_advice_counts_all_regions(fixed: int) -> None:
    """Of twice the peak, the last region has what the first leaves."""
    regions: list[tuple[int, int | None]] = [(0x1000_0000, fixed), (0x2000_0000, None)]
    trace = Trace("mm", [0, 1], [500, 500])
    found = minimum_heap_size(trace, "heap_5", regions=regions)
    total = 2000
    while replay(trace, heap := Heap5([regions[0], (0x2000_0000, total - fixed)])).failures:  # type: ignore[list-item]
        total *= 2
    assert found.advice_size == total - heap.minimum_ever_free_size
