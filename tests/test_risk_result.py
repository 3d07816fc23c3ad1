"""`Risk`'s methods, against values by hand."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from risk_programs import poisson

from rtosheap import Heap2, Heap4
from rtosheap.risk import Day, Risk, Tail, assess
from rtosheap.risk.bounds import interval
from rtosheap.risk.runs import NEVER


def risk(sizes=range(1000, 2000), days=(1500, 1600, 1700, 1400), tail=None, fails=None, **changes):
    """A risk by hand: 1,000 modelled days that need 1,000 to 1,999 bytes, four recordings."""
    failed = fails or [()] * len(days)
    given = {
        "heap": "heap_4",
        "options": {"clear_on_free": True, "canary": None},
        "regions": (),
        "days": tuple(
            Day("day", size, 10, 60_000_000, 900, tuple(map(bool, fail)))
            for size, fail in zip(days, failed, strict=True)
        ),
        "duration": 60_000_000,
        "time_unit": "us",
        "sizes": np.array(sizes, np.int64),
        "tested": (),
        "failed": np.array([], np.int64),
        "tail": tail,
        "guaranteed_size": 9000,
        "seed": 0,
        "runs": 1000,
        "assumptions": ("proven: nothing",),
        "warnings": ("few days",),
    }
    return Risk(**{**given, **changes})


#: Peaks of 500 above 1,500 on average, one in two days, exponential.
TAIL = Tail(1500, 50, 0.5 / 60_000_000, np.array([0.0]), np.array([500.0]), np.array([1.0]))


def at_four_sizes(failed=(900, 100, 120, 0), days=((1, 0, 1, 0), (0, 0, 0, 0))):
    """heap_2 at four sizes: how many modelled days fail at each, and which recordings."""
    tried = (100, 200, 300, 400, None)
    return risk(
        heap="heap_2",
        tested=tried[:-1],
        failed=np.array(failed),
        sizes=[400] * (1000 - failed[-1]) + [NEVER] * failed[-1],
        guaranteed_size=None,
        days=[tried[max(np.flatnonzero(day), default=-1) + 1] for day in days],
        fails=days,
    )


# ------------------------------------------------------------------ proven


def test_proven():
    assert risk().proven(1700) == pytest.approx(1 - 0.05**0.25)
    assert risk().proven(10**6, 0.99) == pytest.approx(1 - 0.01**0.25)
    assert risk().proven(1399) == 1.0
    one_failed = risk().proven(1699)
    assert (1 - one_failed) ** 4 + 4 * one_failed * (1 - one_failed) ** 3 == pytest.approx(0.05)


def test_days_needed():
    assert Risk.days_needed(0.05) == 59
    assert risk().days_needed(0.5, 0.5) == 1


# ------------------------------------------------------------------ the models


@pytest.mark.parametrize(("size", "failed"), [(999, 1000), (1000, 999), (1899, 100), (1999, 0)])
def test_probability_is_the_share_of_the_modelled_days(size, failed):
    estimate, low, high = risk(days=[1000]).probability(size)
    if size >= 1000:
        assert estimate == max(failed / 1000, 0.0)
    assert (low, high) == interval(failed, 1000)


def test_probability_where_the_recordings_fail_more_often():
    """Two of four at 1,550 bytes, where of ten thousand modelled days none fails."""
    found = risk(sizes=[1000] * 1000).probability(1550)
    assert found.estimate == 2 / 5
    assert found.low == 0
    assert found.high == 2 / 5


def test_probability_where_the_tail_decides():
    with_tail = risk(sizes=[1000] * 1000, days=[1000], tail=TAIL)
    found = with_tail.probability(2000)
    assert found.estimate == TAIL.probability(2000, 60_000_000).estimate
    assert found.estimate == pytest.approx(1 - (1 + np.exp(-1) / 100) ** -50.5)
    assert found.low == 0
    assert found.high == TAIL.probability(2000, 60_000_000).high


def test_the_interval_spans_both_models():
    found = risk(tail=TAIL).probability(1800)
    runs, tail = interval(199, 1000), TAIL.probability(1800, 60_000_000)
    assert found.low == min(runs[0], tail.low)
    assert found.high == max(runs[1], tail.high)
    assert found.estimate == max(0.199, tail.estimate)


def test_size_for_by_the_modelled_days():
    """The upper bound of 0 of 1,000 is 0.3 %, of 82 is 9.8 %."""
    alone = risk(days=[1000])
    for probability in (0.3, 0.1, 0.01, 0.003):
        size = alone.size_for(probability)
        failed = 1999 - size
        assert interval(failed, 1000, 0.9)[1] <= probability  # two-sided 90 % is one-sided 95 %
        assert interval(failed + 1, 1000, 0.9)[1] > probability
    assert alone.size_for(0.003) == 1999
    assert alone.size_for(0.01, confidence=0.5) < alone.size_for(0.01)


def test_size_for_is_no_less_than_the_recordings():
    """Of four, none may fail for 1 in 10, one for 1 in 4, two for 1 in 2."""
    low = risk(sizes=[1000] * 1000)
    assert [low.size_for(p) for p in (0.01, 0.19, 0.21, 0.41, 0.61, 0.81)] == [
        1700,
        1700,
        1600,
        1500,
        1400,
        1000,
    ]


def test_size_for_where_the_tail_decides():
    high = risk(sizes=[1000] * 1000, days=[1000], tail=TAIL)
    assert high.size_for(0.001) == TAIL.size(0.001, 60_000_000)
    assert high.size_for(1e-9) == TAIL.size(1e-9, 60_000_000)


def test_size_for_of_too_few_runs():
    few = risk(sizes=[1000] * 10, days=[900])
    with pytest.raises(
        ValueError,
        match=r"probability is 0.01; 10 runs say nothing of it with "
        r"confidence 0.95: at least 299 are needed",
    ):
        few.size_for(0.01)
    assert risk(sizes=range(1000, 1010), days=[900], tail=TAIL).size_for(0.2) == max(
        1009, TAIL.size(0.2, 60_000_000)
    )


def test_no_size_is_enough():
    never = risk(sizes=[1000] * 900 + [NEVER] * 100)
    for ask in (lambda: never.size_for(0.01), lambda: never.quantile(0.95)):
        with pytest.raises(
            ValueError,
            match="no size is enough: a heap_4 there has 2,147,483,647 bytes at the most, and so "
            "many days need more",
        ):
            ask()
    assert never.size_for(0.19) == 1700
    assert never.probability(NEVER - 1).estimate == 0.1
    assert never.to_dict()["sizes"][-1] is None


@pytest.mark.parametrize(
    ("changes", "largest"),
    [
        ({}, 2**31 - 1),
        ({"options": {"base_address": 0xFFFF_F000}}, 4096),
        ({"options": {"word_size": 8}}, 2**63 - 1),
        ({"heap": "heap_5", "regions": ((0, 4000), (0xFFFF_F000, None))}, 4000 + 4096),
    ],
)
def test_no_size_is_said_that_the_heap_cannot_have(changes, largest):
    """A heavy tail, of shape 0.5: what so few days exceed is more than there can be."""
    heavy = Tail(1500, 50, 0.5 / 60_000_000, *np.array([[0.5], [500.0], [1.0]]))
    found = risk(sizes=[1000], days=[1400], tail=heavy, **changes)
    assert found.size_for(0.5) <= found.size_for(0.1) < 4096
    with pytest.raises(ValueError, match=f"no size is enough: .* has {largest:,} bytes"):
        found.size_for(1e-36)
    assert ("modelled, 1 in 10 days", f"{found.size_for(0.1):,} bytes") in found.summary()


@pytest.mark.parametrize("size", [float("nan"), 1500.0, "64K", None])
def test_sizes_are_whole_bytes(size):
    for ask in (risk().probability, risk(tail=TAIL).probability, risk().proven):
        with pytest.raises(TypeError, match=f"size is {size!r}; it must be an integer, in bytes"):
            ask(size)


def test_any_size_has_a_probability():
    assert risk().size_for(np.float32(0.25)) == risk().size_for(0.25)
    for one in (risk(), risk(tail=TAIL)):
        assert one.probability(-5) == (1.0, one.probability(0).low, 1.0)
        assert one.probability(2**200).estimate == 0
        assert one.probability(np.int64(1500)) == one.probability(1500)


def test_quantiles():
    alone = risk()
    assert alone.quantile(0.99) == 1990
    assert alone.quantile(0.5) == 1500
    assert alone.quantile(0.01) == 1009
    both = risk(tail=TAIL)
    assert both.quantile(0.99) == max(1990, TAIL.size(0.01, 60_000_000))
    assert both.quantile(0.01) == min(1009, TAIL.size(0.99, 60_000_000))


@pytest.mark.parametrize("q", [0, 1, -1, 2, float("nan")])
def test_shares_are_checked(q):
    for name, ask in {
        "q": risk().quantile,
        "probability": risk().size_for,
        "confidence": lambda q: risk().size_for(0.1, q),
    }.items():
        with pytest.raises(ValueError, match=f"{name} is {q}; it must be between 0 and 1"):
            ask(q)
        with pytest.raises(TypeError, match=f"{name} is '1%'; it must be a number between 0 and"):
            ask("1%")
    for ask in (lambda: risk().proven(5, q), lambda: Risk.days_needed(0.1, q)):
        with pytest.raises(ValueError, match=f"confidence is {q}; it must be between 0 and 1"):
            ask()


def test_sizes_and_probabilities_agree():
    """On an assessment: larger sizes fail less, rarer failures need more, and what is needed for a
    probability is not exceeded with a larger one.
    """
    found = assess([poisson(np.random.default_rng(seed)) for seed in range(3)], Heap4, runs=200)
    probabilities = (0.9, 0.5, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5)
    sizes = [found.size_for(p) for p in probabilities]
    assert sizes == sorted(sizes)
    for p, size in zip(probabilities, sizes, strict=True):
        assert found.probability(size).estimate <= p * (1 + 1e-6)
    grid = range(found.sizes[0] - 100, found.sizes[-1] + 5000, 50)
    estimates = np.array([found.probability(size) for size in grid])
    assert (np.diff(estimates, axis=0) <= 1e-12).all()
    assert (estimates[:, 1] <= estimates[:, 0]).all()
    assert (estimates[:, 0] <= estimates[:, 2]).all()
    quantiles = [found.quantile(q) for q in (0.01, 0.1, 0.4, 0.5, 0.9, 0.99)]
    assert quantiles == sorted(quantiles)


# ------------------------------------------------------------------ tested sizes


def test_at_tested_sizes():
    few = at_four_sizes()
    assert few.probability(100).estimate == 0.9
    assert few.probability(200).estimate == 0.1
    assert few.probability(300).estimate == max(0.12, 1 / 3)
    assert few.probability(400) == (0.0, *interval(0, 1000))
    assert few.proven(400) == pytest.approx(1 - 0.05**0.5)
    assert few.proven(200) == pytest.approx(1 - 0.05**0.5)
    assert few.proven(300) > few.proven(200)


def test_size_for_at_tested_sizes():
    """At 300 bytes more fail than at 200: what serves must serve at every larger size too."""
    few = at_four_sizes()
    assert few.size_for(0.11) == 400
    assert few.size_for(0.5) == 200 or few.size_for(0.5) == 300
    assert few.size_for(0.003) == 400


def test_tested_sizes_that_are_too_small():
    failing = at_four_sizes(failed=(900, 700, 600, 500), days=((1, 1, 1, 1), (0, 0, 0, 0)))
    message = "none of the tested sizes, 100 to 400 bytes, is enough; give larger ones as `sizes`"
    for ask in (lambda: failing.size_for(0.01), lambda: failing.quantile(0.9)):
        with pytest.raises(ValueError, match=message):
            ask()
    assert failing.largest_recorded is None


def test_sizes_between_the_tested_ones():
    for ask in (at_four_sizes().probability, at_four_sizes().proven):
        with pytest.raises(
            ValueError,
            match=r"size is 250; heap_2 may fail in more memory and serve"
            r" in less, so that only the tested sizes are known, of which the "
            r"nearest are \[100, 200, 300\]",
        ):
            ask(250)


# ------------------------------------------------------------------ shown


def test_table():
    text = str(risk())
    assert "4 days of 60 s: 1,400 to 1,700 bytes" in text
    assert "1,700 bytes: at most 53% of such days fail" in text
    assert "modelled, 1 in 10 days" in text
    assert ("modelled", "1,000 days of 60 s") in risk().summary()
    assert ("modelled", "1,000 days of 7 d") in risk(duration=7 * 86_400_000_000).summary()
    assert "9,000 bytes" in text
    assert "Warning: few days." in text
    assert "proven" in repr(risk())
    assert "few days" in risk()._repr_html_()
    assert max(map(len, text.splitlines())) < 100


def test_tables_of_what_is_missing():
    one = risk(days=[1500], guaranteed_size=None, sizes=[1000] * 5, runs=5)
    text = str(one)
    assert "1 day of 60 s: 1,500 bytes" in text
    assert "none known" in text
    assert "1 in 1,000" not in text  # five runs say nothing of it
    none = at_four_sizes(failed=(900, 700, 600, 500), days=((1, 1, 1, 1),))
    assert "no tested size serves" in str(none)
    assert "1 day " in str(none)
    assert "proven" not in str(none)


def test_as_plain_values():
    for one in (risk(tail=TAIL), at_four_sizes(), risk(options={"base_address": np.int64(64)})):
        plain = one.to_dict()
        assert json.loads(json.dumps(plain)) == plain
    assert risk(tail=TAIL).to_dict()["tail"] == {
        "threshold": 1500,
        "peaks": 50,
        "rate": 0.5 / 60_000_000,
    }
    assert risk().to_dict()["options"] == {"clear_on_free": 1, "canary": None}
    old = assess(poisson(np.random.default_rng(0)), Heap4, runs=2, kernel="V10.3.1")
    assert json.loads(json.dumps(old.to_dict()))["options"] == {"kernel": "V10.3.1"}
    assert old.size_for(0.1) <= old.size_for(0.01)


@pytest.mark.parametrize("heap", [Heap2, Heap4])
def test_pickles(heap):
    found = assess(poisson(np.random.default_rng(0)), heap, runs=2)
    copy = pickle.loads(pickle.dumps(found))
    assert copy.to_dict() == found.to_dict()
    assert str(copy) == str(found)
