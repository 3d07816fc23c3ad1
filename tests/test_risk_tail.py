"""The tail of the peaks: what it is fitted to, and what it says of data whose tail is known."""

from __future__ import annotations

import numpy as np
import pytest
from parts import few_of
from risk_programs import from_lives, need
from scipy import stats

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.risk.lives import Lives
from rtosheap.risk.needs import needs_in_windows
from rtosheap.risk.tail import fit_tail
from rtosheap.sizing.minimum import smallest_size
from rtosheap.sizing.problem import SizingProblem

#: What windows need, by hand: five peaks above 50, of which two windows side by side are one.
WINDOWS = [np.array([10, 60, 80, 10, 10, 70, 10, 90.0]), np.array([0, 55, 0, 50, 65, 50, 50, 50.0])]


def test_the_threshold_leaves_the_wanted_peaks():
    """Eight are wanted at the least, and five are the most that there are."""
    tail = fit_tail(WINDOWS, [8, 8])
    assert tail is not None
    assert (tail.threshold, tail.peaks) == (50, 5)
    assert tail.rate == 5 / 16
    assert tail.weights.sum() == pytest.approx(1)
    assert len(tail.shapes) == len(tail.scales) == len(tail.weights)


def test_the_highest_threshold_of_those_that_leave_enough():
    rng = np.random.default_rng(1)
    needs = [rng.exponential(100, 64) for _ in range(5)]
    tail = fit_tail(needs, [64] * 5)
    assert tail is not None
    assert tail.peaks == 10  # two for each recording
    highest = [need.max() for need in needs]
    assert max(highest) > tail.threshold > min(highest) / 2


@pytest.mark.parametrize(
    "needs",
    [
        [np.zeros(8)],
        [np.full(8, 40.0)],
        [np.array([0, 0, 5.0, 0])],
        [np.array([1.0, 2, 3, 4, 5])],  # one peak, wherever the threshold is
    ],
)
def test_where_there_is_no_tail(needs):
    assert fit_tail(needs, [len(one) for one in needs]) is None


@pytest.fixture(scope="module")
def tail():
    rng = np.random.default_rng(3)
    needs = [1000 + rng.exponential(50, 64) for _ in range(5)]
    found = fit_tail(needs, [6400] * 5)
    assert found is not None
    return found


def test_probability_falls_with_the_size_and_rises_with_the_duration(tail):
    sizes = range(tail.threshold, tail.threshold + 600, 7)
    for duration in (1, 640, 6400, 640_000):
        chances = [tail.probability(size, duration) for size in sizes]
        for part in range(3):
            values = [chance[part] for chance in chances]
            assert values == sorted(values, reverse=True)
        assert all(low <= estimate <= high for estimate, low, high in chances)
    rising = [tail.probability(tail.threshold + 100, d).estimate for d in (1, 10, 1000, 10**6)]
    assert rising == sorted(rising)
    assert 0 < rising[0] < rising[-1] <= 1


def test_below_the_threshold_it_says_little(tail):
    at = tail.probability(tail.threshold, 6400)
    assert tail.probability(tail.threshold - 1, 6400) == (1.0, at.low, 1.0)
    assert at.estimate < 1


@pytest.mark.parametrize("probability", [0.9, 0.5, 0.1, 0.01, 1e-4, 1e-6])
@pytest.mark.parametrize("duration", [64, 6400, 640_000])
def test_size_is_the_least_of_that_probability(tail, probability, duration):
    size = tail.size(probability, duration)
    assert tail.probability(size, duration).estimate <= probability * (1 + 1e-6)
    if size > tail.threshold:
        assert tail.probability(size - 1, duration).estimate > probability * (1 - 1e-6)


def test_the_rate_is_known_from_so_many_peaks_only():
    """At the threshold every peak exceeds it: the chance of none is a Poisson process's, whose
    rate has a gamma distribution of shape 10.5 over the time recorded.
    """
    rng = np.random.default_rng(3)
    tail = fit_tail([1000 + rng.exponential(50, 64) for _ in range(5)], [6400] * 5)
    assert tail is not None
    assert tail.peaks == 10
    chance = 1 - (1 + 6400 / (5 * 6400)) ** -10.5
    assert tail.probability(tail.threshold, 6400).estimate == pytest.approx(chance)


@pytest.mark.parametrize(
    ("shape", "share", "sets", "exceeded_by"),
    few_of(
        [(-0.3, 0.12, 54, 0.01), (0.0, 0.12, 54, 0.03), (0.0, 0.3, 42, 0.06), (0.2, 0.2, 42, 0.07)],
        [(-0.3, 0.12, 54, 0.01), (0.2, 0.2, 42, 0.07)],
    ),
)
def test_it_covers_tails_that_are_known(shape, share, sets, exceeded_by):
    """Peaks of 60 sets of five recordings, two peaks each on average, above 10,000 by a generalised
    Pareto distribution: in how many sets the chance of the size that 1 day in 10, and 1 in 100,
    exceeds lies within the interval, and by how many days the size for 1 in 100 is exceeded on
    average. Where peaks exceed the threshold by twice of what is held likely beforehand, or their
    distribution has a heavy tail, both are worse than they say.
    """
    rng = np.random.default_rng([int(10 * abs(shape)), int(100 * share)])
    truth = stats.genpareto(shape, scale=share * 10_000)
    within, exceeded = {0.1: 0, 0.01: 0}, []
    for _ in range(60):
        needs = []
        for _ in range(5):
            need = rng.uniform(5_000, 9_999, 640)
            peaks = rng.poisson(2)
            need[rng.choice(np.arange(0, 640, 2), peaks, replace=False)] = 10_000 + truth.rvs(
                peaks, random_state=rng
            )
            needs.append(need)
        tail = fit_tail(needs, [640] * 5)
        assert tail is not None
        for chance in within:
            size = 10_000 + truth.isf(-np.log1p(-chance) / 2)
            _, low, high = tail.probability(size, 640)
            within[chance] += low <= chance <= high
        over = truth.sf(tail.size(0.01, 640) - 10_000)
        exceeded.append(-np.expm1(-2 * over))
    assert within[0.1] >= sets
    assert within[0.01] >= sets
    assert np.mean(exceeded) <= exceeded_by


# ------------------------------------------------------------------ what windows need


def windows_of(trace, heap=Heap4, count=4, regions=None, **options):
    problem = SizingProblem(trace, heap, options, regions=regions)
    life = Lives.of_trace(trace)
    return needs_in_windows(problem, life.time, life.duration / count, smallest_size(problem))


STEPS = from_lives(
    [("a", 0, 10, 100), ("a", 30, 10, 500), ("a", 35, 20, 100), ("a", 80, 10, 300)], end=100
)


def test_windows_by_hand():
    """In four windows of 25: 100 bytes alone, then 500 and 100, nothing, then 300 and the last 8;
    each block with its header, the highest end, and what the end of the heap takes.
    """
    needs = windows_of(STEPS)
    whole = need(STEPS)
    assert whole == 512 + 112 + 8
    assert needs.tolist() == [112 + 8, whole, 0, 312 + 8]


def test_the_largest_window_needs_what_the_whole_does():
    for heap in (Heap3, Heap4):
        assert windows_of(STEPS, heap).max() == smallest_size(SizingProblem(STEPS, heap, {}))
    regions = [(0x2000_0000, 200), (0x2001_0000, None)]
    needs = windows_of(STEPS, Heap5, regions=regions)
    assert needs.max() == smallest_size(SizingProblem(STEPS, Heap5, {}, regions=regions))


def test_regions_that_serve_all_leave_nothing_to_the_last():
    needs = windows_of(STEPS, Heap5, regions=[(0x2000_0000, 4096), (0x2001_0000, None)])
    assert needs.tolist() == [0, 0, 0, 0]


def test_high_addresses_lose_no_byte():
    plain = windows_of(STEPS, word_size=8, alignment=16)
    high = windows_of(STEPS, word_size=8, alignment=16, base_address=2**63 + 16)
    assert plain.tolist() == high.tolist()


@pytest.mark.parametrize("heap", [Heap1, Heap2])
def test_heaps_whose_need_is_no_matter_of_addresses(heap):
    assert windows_of(STEPS, heap) is None


def test_windows_of_a_recording_are_what_a_replay_shows():
    rng = np.random.default_rng(4)
    births = rng.integers(0, 1000, 300).tolist()
    lives = [("a", birth, int(rng.integers(1, 90)), int(rng.integers(1, 200))) for birth in births]
    trace = from_lives(lives, end=1000)
    result = replay(trace, Heap4(1 << 16))
    ends = result["address"].astype(int) + result["block_size"].astype(int)
    asked = trace.op == ord("m")
    time = trace.time - trace.time[0]
    window = np.minimum(time * 10 // time[-1], 9)
    needs = windows_of(trace, count=10)
    for number in range(10):
        mine = ends[asked & (window == number)]
        assert needs[number] - needs.max() == mine.max() - ends[asked].max()


def test_a_trace_of_zero_size_requests_has_no_windows():
    trace = Trace("mm", id=[0, 1], size=[0, 0], time=[0, 9])
    assert windows_of(trace).tolist() == [0, 0, 0, 0]
