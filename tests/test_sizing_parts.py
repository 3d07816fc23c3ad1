"""The parts of the search for the smallest heap, each against what it is said to find."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from parts import few_of
from workloads import random_options, random_trace

from rtosheap.heaps import Heap2, Heap4, Heap5
from rtosheap.heaps.layout import Layout, up
from rtosheap.kinds import heap_class
from rtosheap.replays import replay
from rtosheap.sizing import (
    UnservableError,
    _heap_2,
    _heap_3,
    _holes,
    minimum_heap_size,
)
from rtosheap.sizing._runs import Run, Runs
from rtosheap.sizing.curve import sizing_points
from rtosheap.sizing.problem import Found, SizingProblem, bisect, problems_of
from rtosheap.sizing.regions import default_regions
from rtosheap.traces import Trace

BASE = 0x2000_0000
TOP = 1 << 32


def problem_of(trace: Trace, kind: int, regions: Any = None, **options: Any) -> SizingProblem:
    return SizingProblem(trace, heap_class(f"heap_{kind}"), options, regions=regions)


def test_bisect_finds_the_first_and_asks_no_more_than_it_must() -> None:
    tried = 0
    for step, fails, steps in itertools.product((1, 3, 8), (-8, 0, 24), range(1, 40)):
        size = fails + steps * step
        for first in range(fails + step, size + 1, step):
            asked: list[int] = []

            def serves(at: int, first: int = first, asked: list[int] = asked) -> bool:
                asked.append(at)
                return at >= first

            assert bisect(serves, fails, size, step) == first
            assert len(asked) <= (steps - 1).bit_length()
            assert all(fails < at < size and (at - fails) % step == 0 for at in asked)
            tried += 1
    assert tried == 9 * sum(range(1, 40))


# --------------------------------------------------------------------- sizes with holes


class Some(Runs):
    """Sizes of which some serve: those that are given, and all from `run` to `top` but `fails`."""

    def __init__(
        self,
        serving: Iterable[int],
        run: int,
        top: int,
        fails: Iterable[int] = (),
        *,
        complete: bool = False,
    ) -> None:
        self.serving, self.run_of_all, self.failing = set(serving), run, set(fails)
        self.asked: list[int] = []
        known = [self._one(size) for size in range(800, top + 1, 8)] if complete else []
        super().__init__(8, top, known, complete=complete, try_one=self._one, try_all=self._range)

    def _one(self, size: int) -> Run:
        self.asked.append(size)
        serves = size in self.serving or (size >= self.run_of_all and size not in self.failing)
        return Run(size, size, -1 if serves else 0)

    def _range(self, first: int, last: int) -> list[Run]:
        return [self._one(size) for size in range(first, last + 1, 8)]


def found(sizes: Some, floor: int = 800) -> tuple[Any, ...]:
    result = _holes.find_smallest(problem_of(FAILS, 2), sizes, floor)
    assert result.sizes is sizes
    assert result.exact is sizes.complete
    return result.size, result.safe_size, result.safe_checked_up_to


FAILS = Trace("m", [0], [1000])
RUN, FAR = 40_000, 80_000


@pytest.mark.parametrize(
    ("below", "size"),
    [((), 0), ((64,), -64), ((65,), 0), ((64, 128), -128), ((64, 129), -64), ((1, 65), -65)],
)
def test_as_many_sizes_below_are_tried_as_are_said(below: tuple[int, ...], size: int) -> None:
    sizes = Some([RUN - 8 * at for at in below], RUN, FAR)
    assert found(sizes)[0] == RUN + 8 * size


def test_no_size_below_the_floor_is_tried() -> None:
    floor = RUN - 80
    for serving in ([floor], [floor - 8], []):
        sizes = Some(serving, RUN, FAR)
        assert found(sizes, floor)[0] == (floor if floor in serving else RUN)
        assert min(sizes.asked) == floor
    assert found(Some([], 0, FAR), floor)[0] == floor


def test_the_bisection_begins_between_the_size_below_the_floor_and_the_largest() -> None:
    middle = 792 + (FAR - 792) // 8 // 2 * 8
    for serving, size in ((middle, middle), (middle + 8, FAR), (middle - 8, FAR)):
        assert found(Some([serving], FAR, FAR))[0] == size


@pytest.mark.parametrize(
    ("fails", "top", "safe", "checked"),
    [
        ((), 1000, 0, 64),
        ((64,), 1000, 65, 129),
        ((65,), 1000, 0, 64),
        ((1, 2), 1000, 3, 67),
        ((), 65, 0, 64),
        ((), 64, 0, None),
        ((), 63, 0, None),
        ((60,), 124, 61, None),
        ((60,), 125, 61, None),
        ((60,), 126, 61, 125),
        ((*range(64, 900, 64), 959), 2000, 960, 1024),
        ((*range(64, 1000, 64),), 2000, 2000, None),
        ((*range(64, 900, 64), 959, 1024), 2000, 2000, None),
    ],
)
def test_as_many_sizes_above_are_tried_as_are_said(
    fails: tuple[int, ...], top: int, safe: int, checked: int | None
) -> None:
    sizes = Some([], RUN, RUN + 8 * top, [RUN + 8 * at for at in fails])
    upto = None if checked is None else RUN + 8 * checked
    assert found(sizes) == (RUN, RUN + 8 * safe, upto)


@pytest.mark.parametrize("serving", [(), (800,), (1600,), (RUN - 8,), (1600, 2400)])
def test_where_every_size_is_known(serving: tuple[int, ...]) -> None:
    sizes = Some(serving, RUN, FAR, complete=True)
    safe = RUN - 8 if RUN - 8 in serving else RUN
    assert found(sizes) == (min([*serving, RUN]), safe, None)
    assert found(Some(serving, FAR, FAR, complete=True))[0] == min([*serving, FAR])


def test_where_not_even_the_largest_serves() -> None:
    with pytest.raises(UnservableError) as error:
        found(Some([], FAR, 504))
    assert str(error.value) == (
        f"the largest heap_2 at 0x20000000, {(1 << 31) - 1} bytes, fails at event 0; whether a "
        "smaller one serves, search='full' can tell"
    )
    with pytest.raises(UnservableError) as error:
        found(Some([], FAR, 504, complete=True))
    assert str(error.value) == (
        "event 0 requests 1000 bytes and cannot be served: the largest heap fails there, and a "
        f"heap_2 at 0x20000000, with words of 4 bytes, has {(1 << 31) - 1} bytes at the most"
    )


@pytest.mark.parametrize("complete", [True, False])
def test_the_smallest_that_serves_several(complete: bool) -> None:
    problems = problems_of([FAILS, FAILS], ["monday", "tuesday"], Heap2, {})

    def common(one: Some, two: Some) -> Found:
        each = [Found(800, sizes=one), Found(1200, sizes=two)]
        return _holes.find_common(problems, each)

    both = common(
        Some([800], 2000, 4000, complete=complete), Some([1200], 3000, 5000, complete=complete)
    )
    assert (both.size, both.safe, both.exact) == (3000, 3000, complete)
    both = common(
        Some([800, 1200], 2000, 4000, complete=complete),
        Some([1200], 3000, 5000, complete=complete),
    )
    assert both.size == 1200
    with pytest.raises(UnservableError) as error:
        common(
            Some([800], 9000, 4000, complete=complete), Some([1200], 9000, 4800, complete=complete)
        )
    assert str(error.value) == (
        "no heap_2 of up to 4800 bytes serves all recordings, though each runs by itself: monday "
        "in 800, tuesday in 1200"
    )


@pytest.mark.parametrize("seed", range(20))
def test_what_is_known_of_sizes_in_whatever_order(seed: int) -> None:
    """Ranges that are looked at, and runs that reach over what is known already."""
    rng = np.random.default_rng(seed)
    bounds = np.unique(rng.integers(0, 90, 12)).tolist()
    true = [
        Run(8 * first, 8 * last - 8, int(rng.integers(-1, 2)))
        for first, last in itertools.pairwise([0, *bounds[1:], 100])
    ]

    def one(size: int) -> Run:
        return next(run for run in true if run.first <= size <= run.last)

    def many(first: int, last: int) -> list[Run]:
        looked.append((first, last))
        cut = ((max(run.first, first), min(run.last, last), run.failed) for run in true)
        return [Run(a, b, failed) for a, b, failed in cut if a <= b]

    looked: list[tuple[int, int]] = []
    runs = Runs(8, 792, try_one=one, try_all=many)
    for _ in range(60):
        first, last = sorted((8 * rng.integers(0, 100, 2)).tolist())
        if rng.random() < 0.5:
            runs.look(first, last)
            before = len(looked)
            runs.look(first, last)
            assert len(looked) == before
        assert runs.serves(first) == (one(first).failed < 0)
        assert runs._starts == sorted({run.first for run in runs._runs})
        assert all(a.last < b.first for a, b in itertools.pairwise(runs._runs))
        serving = [size for size in range(first, 800, 8) if one(size).failed < 0]
        assert runs.first_serving(first) == (serving[0] if serving else None)
    assert looked
    failing = [run.last for run in true if run.failed >= 0]
    assert Runs(8, 792, true, complete=True).safe_from(80) == max(80, *(at + 8 for at in failing))


# --------------------------------------------------------------------- heap_2 and heap_3


def failures_of(problem: SizingProblem, sizes: range) -> list[int]:
    """The first event that fails in a heap of each size, -1 where none does."""
    return [-1 if (event := problem.failure(size)) is None else event for size in sizes]


def listed(runs: Iterable[Run], sizes: range) -> list[int | None]:
    """The same, of runs; None where they say nothing."""
    known = list(runs)
    return [
        next((run.failed for run in known if run.first <= size <= run.last), None) for size in sizes
    ]


@pytest.mark.parametrize("seed", few_of(range(80), range(25)))
def test_which_sizes_of_a_heap_2_serve(seed: int) -> None:
    """In all of a range, in its ends, and in one alone: what a replay in each of them says."""
    rng = np.random.default_rng([202, seed])
    trace = random_trace(rng, int(rng.integers(2, 140)), largest=int(rng.integers(20, 200)))
    options = {**random_options(rng, 2), "base_address": BASE + int(rng.integers(0, 9))}
    options["kernel"] = str(rng.choice(["V8.2.3", "V9.0.0", "V10.4.3", "V11.3.0"]))
    problem = problem_of(trace, 2, **options)
    floor, step = problem.check_possible(), problem.layout.step
    floor += step * (problem.largest_request(floor) < trace.largest_request)
    search = _heap_2._Search(problem, floor)
    runs = search.range(floor, search.largest)
    assert runs is not None
    sizes = range(floor, min(runs[-1].first + 9 * step, search.largest), step)
    expected = failures_of(problem, sizes)
    assert listed(runs, sizes) == expected
    assert (runs[0].first, runs[-1].last) == (floor, search.largest)
    assert all(a.last + step == b.first for a, b in itertools.pairwise(runs))

    serving = [size for size, failed in zip(sizes, expected, strict=True) if failed < 0]
    failing = [size for size, failed in zip(sizes, expected, strict=True) if failed >= 0]
    ends = search.range(floor, search.largest, ends_alone=True)
    assert ends is not None
    told = listed(ends, sizes)
    assert all(own in (None, event) for own, event in zip(told, expected, strict=True))
    assert None not in told[: sizes.index(serving[0]) + 1]
    if failing:
        assert None not in told[sizes.index(failing[-1]) :]

    for size in rng.choice(list(sizes), 5).tolist():
        run = search.one(size)
        assert run.first <= size <= run.last
        alike = range(run.first, min(run.last, sizes[-1]) + 1, step)
        assert set(failures_of(problem, alike)) == {run.failed}
        first = int(rng.integers(0, len(sizes)))
        part = range(sizes[first], sizes[-1] + 1, step)
        assert listed(search.range(part[0], part[-1]) or [], part) == expected[first:]


def test_a_search_that_takes_too_long_gives_up() -> None:
    trace = random_trace(np.random.default_rng(7), 400)
    problem = problem_of(trace, 2)
    search = _heap_2._Search(problem, problem.check_possible())
    told: list[int] = []
    problem.rounds.search = lambda: told.append  # type: ignore[method-assign, assignment]
    assert search.range(search._floor, search.largest) is not None
    events = told[-1]
    assert search.range(search._floor, search.largest, most=events - 1) is None
    assert search.range(search._floor, search.largest, most=events + 1) is not None
    assert told[-2] == events - 1


@pytest.mark.parametrize("newlib", ["4.2.0", "4.3.0", "4.4.0"])
@pytest.mark.parametrize("seed", few_of(range(40), range(10)))
def test_which_sizes_of_a_heap_3_serve(seed: int, newlib: str) -> None:
    rng = np.random.default_rng([303, seed])
    trace = random_trace(rng, int(rng.integers(2, 200)), largest=int(rng.integers(20, 120)))
    options = {"base_address": BASE + seed % 5, "newlib": newlib}
    problem = problem_of(trace, 3, **options)
    floor = problem.check_possible()
    sizes = _heap_3.sizes_of(problem, floor)
    heap = problem.heap(sizes.top)
    assert replay(trace, heap).failures == 0
    assert (heap._reached, heap._refused) == (sizes.top, 0)
    tried = range(floor, sizes.top + 20)
    assert [sizes.run(size).failed for size in tried] == failures_of(problem, tried)
    assert sizes.complete


@pytest.mark.parametrize("newlib", ["4.2.0", "4.3.0", "4.4.0"])
def test_heap_3s_chunks_are_extended_in_some_sizes(newlib: str) -> None:
    """The search goes on from a copy: its sizes fail at later events than the one that extends."""
    told = 0
    for seed in range(12):
        trace = random_trace(np.random.default_rng([304, seed]), 200, largest=90)
        problem = problem_of(trace, 3, newlib=newlib)
        floor = problem.check_possible()
        sizes = _heap_3.sizes_of(problem, floor)
        for size in range(floor, sizes.top):
            heap = problem.heap(size)
            counts = problem.replay(heap)
            told += bool(heap._refused and heap._refused > size) and counts.done < len(trace)
    assert told > 100


# --------------------------------------------------------------------- what a trace asks for


@pytest.mark.parametrize(("word", "alignment"), [(4, 4), (4, 8), (4, 32), (8, 8), (8, 16)])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_the_blocks_of_requests(kind: int, word: int, alignment: int) -> None:
    options = {} if kind == 3 else {"word_size": word, "alignment": alignment}
    regions = [(BASE, None)] if kind == 5 else None
    trace = Trace("m" * 80, range(80), range(80))
    problem = problem_of(trace, kind, regions, **options)
    heap = problem.heap(20_000)
    addresses = [heap.malloc(size) for size in range(80)]
    taken = {block.address: block.size for block in heap.blocks() if block.allocated}
    live = [at for at in addresses if at is not None]
    if kind == 1:
        sizes = [b - a for a, b in itertools.pairwise(live)]
        assert problem.blocks.tolist() == [0, *sizes, up(79, alignment)]
    else:
        assert problem.blocks.tolist() == [*([0] if kind != 3 else []), *taken.values()]
    assert problem.asks().tolist() == [at is not None for at in addresses]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_the_bytes_that_are_live_at_once(kind: int, seed: int) -> None:
    trace = random_trace(np.random.default_rng([404, seed]), 80)
    problem = problem_of(trace, kind, [(BASE, None)] if kind == 5 else None)
    live: dict[int, int] = {}
    expected, given = [], 0
    for event, block in zip(trace, problem.blocks.tolist(), strict=True):
        given += block
        own = block - 4 if kind == 3 and event.op == "r" and block else block
        old = live.pop(event.id, 0)
        kept = 0 if kind == 3 else old  # newlib's realloc may leave a block where it is
        expected.append(given if kind == 1 else sum(live.values()) + kept + own)
        live[event.id] = own
    assert problem.in_use().tolist() == expected


@pytest.mark.parametrize(("word", "alignment"), [(4, 4), (4, 8), (4, 32), (8, 8)])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_the_largest_request_and_what_is_lost(kind: int, word: int, alignment: int) -> None:
    options: dict[str, Any] = {} if kind == 3 else {"word_size": word, "alignment": alignment}
    for base, extra in itertools.product((BASE, BASE + 1, BASE + 5), (0, 1, 7, 33, 100)):
        fixed = [(0x1000_0003, 150 + extra)] if extra % 2 else []
        regions = [*fixed, (base, None)] if kind == 5 else None
        own = options if kind == 5 else {**options, "base_address": base}
        problem = problem_of(FAILS, kind, regions, **own)
        size = problem.smallest + extra
        with pytest.raises(ValueError, match=r"."):
            problem.heap(problem.smallest - 1)
        serving = [n for n in range(1, 400) if problem.heap(size).malloc(n) is not None]
        assert problem.largest_request(size) == max(serving, default=0)
        lost = size + problem.fixed_bytes - problem.heap(size).free_size
        if kind == 3:  # what aligns the first chunk counts as free
            lost = -base % 4
        assert problem.lost(size) == lost


@pytest.mark.parametrize("kind", [1, 2, 4, 3])
def test_what_the_address_space_just_holds(kind: int) -> None:
    """Of many blocks of the same size: as many as fit, and the event that is one too many."""
    for room in range(4000, 4048, 8):
        base = TOP - room
        lost = {1: 9, 2: 8, 3: 0, 4: 8}[kind]
        block = {1: 200, 2: 208, 3: 208, 4: 208}[kind]
        fits = (room - lost) // block
        trace = Trace("m" * fits, range(fits), [200] * fits)
        found = minimum_heap_size(trace, f"heap_{kind}", base_address=base)
        assert found.size <= room
        more = Trace("m" * (fits + 3), range(fits + 3), [200] * (fits + 3))
        live = (fits + 1) * block
        with pytest.raises(UnservableError) as error:
            minimum_heap_size(more, f"heap_{kind}", base_address=base)
        assert str(error.value) == (
            f"event {fits} requests 200 bytes and cannot be served: {live} bytes of blocks are "
            f"live then, and a heap_{kind} at {base:#x}, with words of 4 bytes, has {room} bytes "
            "at the most"
        )


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_nothing_fits_the_smallest_memory(kind: int) -> None:
    smallest = problem_of(FAILS, kind).smallest
    for nothing in (Trace("", [], []), Trace("mf", [0, 0], [0, 0])):
        if len(nothing) == 0 or kind != 3:  # of which 0 bytes are a block
            found = minimum_heap_size(nothing, f"heap_{kind}", base_address=TOP - smallest)
            assert (found.size, found.witness) == (smallest, None)


def test_ever_larger_heaps() -> None:
    trace = Trace("mm", [0, 1], [100, 50])
    for room in (1000, 1624, 1625, 3247, 3248, 3249, 10_000):
        sizes = [size for size, *_ in problem_of(trace, 4, base_address=TOP - room).doubling()]
        expected = [min(4 * 150 + 1024, room)]
        while expected[-1] < room:
            expected.append(min(2 * expected[-1], room))
        assert sizes == expected
    many = problem_of(Trace("m" * 2000, range(2000), [1] * 2000), 4)
    assert [size for size, *_ in itertools.islice(many.doubling(), 2)] == [36_096, 72_192]


def test_what_fails_in_a_heap_of_a_size() -> None:
    trace = Trace("mmmm", range(4), [100, 900, 20, 900])
    problem = problem_of(trace, 4)
    assert problem.failures(5000) == (0, None, None)
    assert problem.failures(200) == (2, 1, "exhaustion")
    assert problem.failures(8)[:2] == (None, None)
    assert "8" in str(problem.failures(8).reason)
    several = problem_of(trace, 5, [(0x1000_0000, 200), (BASE, None)])
    assert several.failures(200) == (None, None, "its regions but the last have 200 bytes")
    assert several.failures(201).times is None
    assert several.failures(200 + 64) == (2, 1, "exhaustion")
    assert several.fixed_failure() == 1
    assert problem_of(Trace("m", [0], [8]), 5, [(64, 200), (BASE, None)]).fixed_failure() is None


# --------------------------------------------------------------------- the advice


def expected_advice(traces: list[Trace], kind: int, fixed: list[Any], smallest: int) -> int:
    """Total minus minimum ever free, from the heaps themselves."""

    def tried(total: int) -> list[Any] | None:
        heaps = []
        for trace in traces:
            try:
                own = total - sum(size for _, size in fixed)
                heap = Heap5([*fixed, (BASE, own)]) if fixed else heap_class(f"heap_{kind}")(own)
            except ValueError:
                return None
            if replay(trace, heap).failures:
                return None
            heaps.append(heap)
        return heaps

    total = max(1, *(2 * trace.peak_live_bytes for trace in traces), 1)
    while (heaps := tried(total)) is None:
        total *= 2
    assert total >= smallest
    return total - min(heap.minimum_ever_free_size for heap in heaps)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_the_advice_of_random_traces(kind: int, seed: int) -> None:
    rng = np.random.default_rng([505, kind, seed])
    traces = [random_trace(rng, int(rng.integers(1, 60))) for _ in range(1 + seed % 3)]
    fixed = [(0x1000_0000, 64 + 8 * seed)] if kind == 5 else []
    regions = [*fixed, (BASE, None)] if fixed else None
    result = minimum_heap_size(traces, f"heap_{kind}", regions=regions)
    assert result.advice_size == expected_advice(traces, kind, fixed, result.size)


def test_the_advice_where_twice_the_peak_is_more_than_there_can_be() -> None:
    trace = Trace("m", [0], [900])
    for kind in (1, 2, 3, 4):
        result = minimum_heap_size(trace, f"heap_{kind}", base_address=TOP - 1500)
        heap = heap_class(f"heap_{kind}")(result.size, base_address=TOP - 1500)
        replay(trace, heap)
        assert result.advice_size == result.size - heap.minimum_ever_free_size


# --------------------------------------------------------------------- the curve


@pytest.mark.parametrize(
    ("minimum", "layout", "first", "second"),
    [
        (10_000, Layout(4), 5000, BASE + 0x3000),
        (10_015, Layout(4), 5000, BASE + 0x3000),
        (10_016, Layout(4), 5008, BASE + 0x3000),
        (8192, Layout(4), 4096, BASE + 0x2000),
        (8208, Layout(4), 4104, BASE + 0x3000),
        (10, Layout(4), 16, BASE + 0x2000),
        (10, Layout(5, 8, 32), 64, BASE + 0x2000),
    ],
)
def test_regions_that_were_not_given(minimum: int, layout: Layout, first: int, second: int) -> None:
    assert default_regions(minimum, layout) == ((BASE, first), (second, None))
    moved = default_regions(minimum, layout, BASE + 0x4000)
    assert moved == ((BASE + 0x4000, first), (second + 0x4000, None))


@pytest.mark.parametrize("size", [20, 32, 33, 150])
def test_the_sizes_of_a_curve(size: int) -> None:
    """24 in equal ratios from half the peak, at least 64, to 1.15 times the largest minimum; and
    the smallest that serves, one below it, and the advised one.
    """
    trace = Trace("mmf", [0, 1, 1], [size, size, 0], meta={"name": "some"})
    seen: list[tuple[int, int]] = []
    points = sizing_points(
        trace, heaps=["heap_1", "heap_4"], progress=lambda done, total: seen.append((done, total))
    )
    assert (points.trace_name, points.peak_live_bytes) == ("some", 2 * size)
    found = {f"heap_{k}": minimum_heap_size(trace, f"heap_{k}") for k in (1, 4)}
    minima = {name: one.size for name, one in found.items()}
    low = max(float(size), 64.0)
    high = 1.15 * max(*minima.values(), 2 * low)
    total = 0
    for curve in points.curves:
        own, advice = minima[curve.heap], found[curve.heap].advice_size
        assert curve.advice_size == advice
        sizes = {int(at) for at in np.geomspace(low, high, 24)} | {own, own - 8, advice}
        total += len(sizes)
        assert curve.minimum == own
        assert curve.sizes == tuple(sorted(sizes))
        heaps = [heap_class(curve.heap)(at) for at in curve.sizes]
        assert curve.failures == tuple(replay(trace, heap).failures for heap in heaps)
        assert [at >= own for at in curve.sizes] == [count == 0 for count in curve.failures]
    assert seen == [(n, total) for n in range(1, total + 1)]


def test_a_curve_takes_the_minima_and_regions_that_it_is_given() -> None:
    trace = Trace("mm", [0, 1], [100, 100])
    known = {"heap_4": minimum_heap_size(trace, Heap4), "heap_1": None, "heap_2": 320}
    points = sizing_points(trace, heaps=[*known], minima=known)
    assert [curve.minimum for curve in points.curves] == [232, None, 320]
    assert {232, 224} <= {*points.curves[0].sizes}
    assert {320, 312} <= {*points.curves[2].sizes}
    assert len(points.curves[1].sizes) == 24
    assert points.curves[0].sizes[-1] == int(1.15 * 320)
    regions = [(0x1000_0000, 64), (BASE, None)]
    (curve,) = sizing_points(
        trace, heaps=[Heap5], regions=regions, sizes=[64, 79, 80, 295, 296]
    ).curves
    assert (curve.sizes, curve.failures) == ((80, 295, 296), (2, 1, 0))
    assert curve.minimum == 64 + 232
    (curve,) = sizing_points(trace, heaps=[Heap5], sizes=[1000]).curves
    own = minimum_heap_size(trace, Heap5, regions=default_regions(232, Layout(4)))
    assert curve.minimum == own.size
