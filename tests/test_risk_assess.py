"""`assess`: its arguments, what it puts together, and recordings of every odd kind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from parts import few_of
from risk_programs import DAY, alike, from_lives, need, poisson

from rtosheap import (
    Heap1,
    Heap2,
    Heap3,
    Heap4,
    Heap5,
    Trace,
    UnservableError,
    data,
    minimum_heap_size,
)
from rtosheap.risk import Risk, assess, vary
from rtosheap.risk.runs import NEVER

DAYS = [poisson(np.random.default_rng(seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def risk():
    return assess(DAYS, Heap4, runs=50)


def test_what_was_recorded(risk):
    assert [day.size for day in risk.days] == [need(day) for day in DAYS]
    assert risk.largest_recorded == max(map(need, DAYS))
    assert [day.events for day in risk.days] == list(map(len, DAYS))
    assert [day.duration for day in risk.days] == [DAY] * 3
    assert [day.peak_live_bytes for day in risk.days] == [day.peak_live_bytes for day in DAYS]
    assert (risk.heap, risk.runs, risk.seed, risk.duration) == ("heap_4", 50, 0, DAY)
    assert risk.time_unit == "us"
    assert risk.tested == ()


def test_a_run_is_a_day_of_vary():
    """The run of a number draws from the seed's child of that number."""
    sizes = assess(DAYS, Heap4, runs=5, seed=11).sizes
    seeds = np.random.SeedSequence(11).spawn(5)
    assert sizes.tolist() == sorted(need(vary(DAYS, seed=seed)) for seed in seeds)


def test_assumptions_are_said_of_each_answer(risk):
    starts = [text.partition(":")[0] for text in risk.assumptions]
    assert starts == ["proven", "modelled days", "tail", "guaranteed"]
    assert f"the {risk.tail.peaks} peaks above {risk.tail.threshold:,} bytes" in risk.assumptions[2]


def test_a_name_and_a_class_of_heap_are_the_same(risk):
    assert assess(DAYS, "heap_4", runs=50).to_dict() == risk.to_dict()


def test_one_trace_or_a_sequence_of_one():
    assert assess(DAYS[0], Heap4, runs=5).to_dict() == assess(DAYS[:1], Heap4, runs=5).to_dict()


@pytest.mark.parametrize("seed", [0, 1, 2**200])
def test_seeds(seed):
    one, other = (assess(DAYS[:1], Heap4, runs=5, seed=seed) for _ in range(2))
    assert one.to_dict() == other.to_dict()


def test_a_single_run(risk):
    one = assess(DAYS, Heap4, runs=1)
    assert len(one.sizes) == 1
    assert one.size_for(0.01) >= max(one.sizes[0], risk.largest_recorded)
    assert "heap_4" in str(one)


def test_a_longer_day_needs_more(risk):
    longer = assess(DAYS, Heap4, runs=50, duration="50min")
    assert longer.duration == 10 * DAY
    assert np.median(longer.sizes) > np.median(risk.sizes)
    for size in (risk.largest_recorded, risk.sizes[-1], risk.sizes[-1] + 1000):
        assert longer.probability(size).estimate >= risk.probability(size).estimate


def test_a_shorter_day_needs_no_more(risk):
    shorter = assess(DAYS, Heap4, runs=50, duration=DAY // 100)
    assert np.median(shorter.sizes) < np.median(risk.sizes)


def test_steady_growth_is_told_from_a_rare_peak():
    """A leak of 40 bytes every 10 s: ten days need 270 blocks more, 48 bytes each."""
    lives = [("leaky", at, 2 * DAY, 40) for at in range(0, DAY, 10_000_000)]
    lives += [("work", at, 500, 160) for at in range(0, DAY, 1_000_000)]
    day, ten = (
        assess(alike(from_lives(lives), 2), Heap4, runs=40, duration=duration)
        for duration in (None, 10 * DAY)
    )
    grown = float(np.median(ten.sizes) - np.median(day.sizes))
    assert grown == pytest.approx(270 * 48, rel=0.1)
    assert any("a leak, if it goes on" in text for text in ten.warnings)


# ------------------------------------------------------------------ the heaps


def test_heap_1(risk):
    found = assess(DAYS, Heap1, runs=20)
    assert [day.size for day in found.days] == [minimum_heap_size(d, Heap1).size for d in DAYS]
    assert (found.tail, found.guaranteed_size) == (None, None)
    assert "no tail: heap_1 gives nothing back, so that its need has no peaks" in found.assumptions
    assert "guaranteed: no bound is known for heap_1 here" in found.assumptions
    assert len(found.sizes) == 20


def test_heap_2_is_tried_at_given_sizes():
    largest = max(minimum_heap_size(day, Heap2).safe_size for day in DAYS)
    found = assess(DAYS, Heap2, runs=20)
    assert len(found.tested) == 15
    assert found.tested[0] < largest < found.tested[-1]
    assert all(size % 8 == 0 for size in found.tested)
    assert len(found.failed) == 15
    for day, trace in zip(found.days, DAYS, strict=True):
        serves = [minimum_heap_size(trace, Heap2).safe_size <= size for size in found.tested]
        assert all(not fails for fails, good in zip(day.failed, serves, strict=True) if good)
    assert (found.tail, found.guaranteed_size) == (None, None)
    assert any("heap_2 may fail in more memory and serve in less" in t for t in found.assumptions)


def test_heap_2_at_sizes_of_ones_own():
    found = assess(DAYS, Heap2, runs=20, sizes=[64_000, 100, 64_000])
    assert found.tested == (100, 64_000)
    assert found.failed.tolist() == [20, 0]
    assert [day.size for day in found.days] == [64_000] * 3
    assert found.size_for(0.2) == 64_000
    hopeless = assess(DAYS, Heap2, runs=20, sizes=[100])
    assert "no tested size serves 20 of 20 modelled days" in hopeless.warnings
    assert hopeless.sizes.tolist() == [NEVER] * 20


def test_heap_3():
    old = {"newlib": "4.1.0"}
    found = assess(DAYS, Heap3, runs=20, **old)
    own = [minimum_heap_size(day, Heap3, **old).size for day in DAYS]
    assert [day.size for day in found.days] == own
    assert found.tail is not None
    assert found.guaranteed_size is None


def test_heap_3_that_may_fail_in_more_memory():
    found = assess(DAYS, Heap3, runs=20)
    assert found.tested
    first, last = found.tested[0], found.tested[-1]
    assert ("tried at", f"15 sizes, {first:,} to {last:,} bytes") in found.summary()
    assert found.tail is None
    assert len(found.failed) == len(found.tested)


def test_heap_5():
    regions = [(0x2000_0000, 4096), (0x2001_0000, None)]
    found = assess(DAYS, Heap5, runs=20, regions=regions)
    assert [day.size for day in found.days] == [
        minimum_heap_size(day, Heap5, regions=regions).size for day in DAYS
    ]
    assert found.regions == tuple(regions)
    assert found.guaranteed_size is None
    assert found.tail is not None


def test_heap_5_whose_fixed_regions_serve_all():
    regions = [(0x2000_0000, 1 << 20), (0x2020_0000, None)]
    found = assess(DAYS, Heap5, runs=20, regions=regions)
    assert len(set(found.sizes.tolist())) == 1
    assert found.tail is None
    assert any(
        text.startswith("no tail: the recordings have too few") for text in found.assumptions
    )
    assert found.size_for(0.2) == found.sizes[0] == found.largest_recorded


@pytest.mark.parametrize("options", [{"word_size": 8}, {"alignment": 32}, {"canary": 0x1234}])
def test_options(options):
    found = assess(DAYS, Heap4, runs=5, **options)
    assert found.days[0].size == minimum_heap_size(DAYS[0], Heap4, **options).size
    assert found.options == options
    assert found.guaranteed_size > found.size_for(0.01)


# ------------------------------------------------------------------ odd recordings

ODD = {
    "one event at each end": Trace("mm", id=[0, 1], size=[8, 8], time=[0, 7]),
    "two events without times": Trace("mf", id=[0, 0], size=[8, 0]),
    "never freed": Trace("mmmm", id=range(4), size=[8, 16, 24, 32], time=[0, 3, 5, 9]),
    "zero sizes": Trace("mmf", id=[0, 1, 0], size=[0, 0, 0], time=[0, 3, 5]),
    "zero sizes among others": Trace("mmff", id=[0, 1, 0, 1], size=[0, 40, 0, 0], time=range(4)),
    "reallocs": Trace("mrrmf", id=[0, 0, 0, 1, 0], size=[8, 90, 4, 8, 0], time=[0, 1, 5, 7, 9]),
    "a realloc to nothing": Trace("mrf", id=[0, 0, 0], size=[8, 0, 0], time=[0, 1, 5]),
    "ids used again": Trace("mfmfm", id=[3] * 5, size=[8, 0, 16, 0, 8], time=[0, 1, 5, 6, 9]),
    "equal times": Trace("mmfmf", id=[0, 1, 0, 2, 1], size=[8, 8, 0, 8, 0], time=[0, 0, 0, 4, 4]),
    "times below zero": Trace("mfm", id=[0, 0, 1], size=[8, 0, 9], time=[-90, -5, -1]),
    "long times": Trace("mfm", id=[0, 0, 1], size=[8, 0, 9], time=[-(2**57), 5, 2**57]),
    "a task for some": Trace("mfm", id=[0, 0, 1], size=[8, 0, 9], task=["a", "", ""]),
    "one task": Trace("mfm", id=[0, 0, 1], size=[8, 0, 9], task=["a"] * 3, time=[0, 4, 9]),
    "a task that only frees": Trace("mf", id=[0, 0], size=[8, 0], task=["a", "b"], time=[0, 4]),
    "large": Trace("mfm", id=[0, 0, 1], size=[2**20, 0, 2**19], time=[0, 4, 9]),
}


ODD_DAYS = [
    (name, duration)
    for name in ODD
    for duration in (None, 1, 3, 100)
    if name != "long times" or duration is None
]


@pytest.mark.parametrize(
    ("name", "duration"), few_of(ODD_DAYS, [day for day in ODD_DAYS if day[1] is None])
)
def test_odd_recordings(name, duration):
    for days in ([ODD[name]], alike(ODD[name], 3)):
        found = assess(days, Heap4, runs=10, duration=duration)
        assert len(found.sizes) == 10
        assert found.size_for(0.3) <= found.size_for(0.29)
        assert 0 <= found.probability(found.largest_recorded).estimate <= 1
        assert str(found)
        assert repr(found)
        assert found.to_dict()
        for heap in (Heap1, Heap2, Heap3):
            assert len(assess(days, heap, runs=3, duration=duration).sizes) == 3
        assert isinstance(found, Risk)


def test_a_request_that_no_heap_serves():
    trace = Trace("mm", id=[0, 1], size=[8, 2**63], time=[0, 4])
    for options in ({}, {"word_size": 8}):
        with pytest.raises(UnservableError, match="event 1 requests 9223372036854775808 bytes"):
            assess(trace, Heap4, runs=2, **options)


# ------------------------------------------------------------------ errors

ERRORS = [
    ({"runs": 0}, ValueError, "runs is 0; it must be 1 or more"),
    ({"runs": 2.5}, TypeError, "runs is 2.5; it must be an integer, 1 or more"),
    ({"seed": None}, TypeError, "seed is None; it must be an integer, 0 or more"),
    ({"executor": 3}, TypeError, "executor is 3; it must be a concurrent.futures.Executor"),
    ({"executor": ThreadPoolExecutor}, TypeError, "executor is <class .*; it must be a conc"),
    (
        {"traces": [DAYS[0], DAYS[1], DAYS[0]]},
        ValueError,
        r"traces\[2\] is traces\[0\] again, .*; give each recording once",
    ),
    ({"duration": [5]}, TypeError, r"duration is \[5\]; it must be a number, or a text such as"),
    ({"duration": 10**400}, ValueError, "duration is 1000.*; it must be from 1"),
    ({"seed": -1}, ValueError, "seed is -1; it must be 0 or more"),
    ({"traces": []}, ValueError, "traces is empty"),
    ({"traces": 5}, TypeError, "traces is 5; it must be a Trace or a sequence of them"),
    ({"heap": "heap_9"}, ValueError, "heap_9"),
    ({"method": "other"}, ValueError, "method is 'other'; it must be 'bursts' or a function"),
    ({"duration": "soon"}, ValueError, "duration is 'soon'"),
    ({"duration": -5}, ValueError, "duration is -5; it must be from 1"),
    ({"duration": None, "colour": 1}, TypeError, "colour"),
    ({"word_size": 5}, ValueError, "word_size must be 4 or 8, not 5"),
    (
        {"sizes": [64]},
        ValueError,
        r"sizes is \[64\]; heap_4 serves in every larger heap too, so that each run finds its "
        "smallest size: leave sizes out",
    ),
    ({"heap": Heap2, "sizes": []}, ValueError, "sizes is empty; at least one size is needed"),
    ({"heap": Heap2, "sizes": [9, 0]}, ValueError, r"sizes\[1\] is 0; it must be 1 or more"),
    ({"heap": Heap2, "sizes": 64}, TypeError, "sizes is 64; it must be a sequence of integers"),
    ({"heap": Heap2, "sizes": ["64K"]}, TypeError, r"sizes\[0\] is '64K'; it must be an integer"),
    ({"heap": Heap5}, TypeError, "regions is None; heap_5 needs"),
    ({"regions": [(0, None)]}, ValueError, "heap_4 has none, only heap_5 and policies do"),
    ({"method": lambda traces, rng: None}, TypeError, "method returned None; it must return a"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ERRORS)
def test_errors(arguments, error, message):
    arguments = {"traces": DAYS[:1], "heap": Heap4, "runs": 2, **arguments}
    with pytest.raises(error, match=message):
        assess(arguments.pop("traces"), arguments.pop("heap"), **arguments)


def test_a_method_of_ones_own():
    found = assess(DAYS, Heap4, runs=30, method=lambda traces, rng: traces[int(rng.integers(3))])
    assert set(found.sizes.tolist()) == {need(day) for day in DAYS}
    assert "modelled days: those of the method that was given" in found.assumptions


@pytest.mark.parametrize("firmware", ["gateway", "server", "recorder"])
def test_five_days_of_a_firmware(firmware):
    found = assess(data.days(firmware), Heap4, runs=100)
    largest = found.largest_recorded
    assert found.sizes[0] < largest
    assert largest <= found.size_for(0.1) < found.size_for(0.01) < 1.5 * largest
    assert found.size_for(0.001) < found.guaranteed_size
    assert found.proven(largest) == pytest.approx(1 - 0.05**0.2)
