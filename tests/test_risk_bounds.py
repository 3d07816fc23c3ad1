"""What is proven and what is guaranteed: against formulas, known values and adversaries."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from risk_programs import need
from workloads import random_options, random_trace

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace
from rtosheap.risk.bounds import (
    chance_at_most,
    days_needed,
    guaranteed_size,
    interval,
    most_allowed,
)
from rtosheap.sizing.minimum import smallest_size
from rtosheap.sizing.problem import SizingProblem


@pytest.mark.parametrize("days", [1, 2, 5, 10, 59, 1000])
def test_no_failure_in_n_days(days):
    assert chance_at_most(0, days) == pytest.approx(1 - 0.05 ** (1 / days))
    assert chance_at_most(0, days, 0.99) == pytest.approx(1 - 0.01 ** (1 / days))


def test_one_day_and_fifty_nine_days():
    assert round(chance_at_most(0, 1), 2) == 0.95
    assert round(chance_at_most(0, 59), 3) == 0.050
    assert days_needed(0.05) == 59
    assert days_needed(0.01) == 299
    assert days_needed(0.5, 0.5) == 1


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.05, 0.01, 0.001, 1e-6])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_days_needed_are_the_fewest(probability, confidence):
    days = days_needed(probability, confidence)
    assert chance_at_most(0, days, confidence) <= probability * (1 + 1e-9)
    assert days == 1 or chance_at_most(0, days - 1, confidence) > probability * (1 - 1e-9)


def test_all_failed():
    assert chance_at_most(3, 3) == 1.0
    assert interval(3, 3)[1] == 1.0
    assert interval(0, 3)[0] == 0.0


def below(count, runs, chance):
    """The chance that at most so many of the runs fail."""
    terms = (math.comb(runs, i) * chance**i * (1 - chance) ** (runs - i) for i in range(count + 1))
    return sum(terms)


@pytest.mark.parametrize(("failed", "runs"), [(0, 10), (1, 10), (3, 20), (10, 10), (7, 59)])
def test_clopper_and_pearsons_definition(failed, runs):
    """At the ends what was seen, or less (more), has a chance of 2.5 %."""
    low, high = interval(failed, runs)
    if failed < runs:
        assert below(failed, runs, high) == pytest.approx(0.025)
        assert below(failed, runs, chance_at_most(failed, runs)) == pytest.approx(0.05)
    if failed:
        assert 1 - below(failed - 1, runs, low) == pytest.approx(0.025)


def test_clopper_and_pearsons_known_values():
    """0 of 10 and 1 of 10, whose ends have closed forms; 5 of 10, symmetric."""
    assert interval(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    assert interval(10, 10) == pytest.approx((0.025**0.1, 1))
    assert interval(1, 10)[0] == pytest.approx(1 - 0.975**0.1)
    low, high = interval(5, 10)
    assert low + high == pytest.approx(1)


@pytest.mark.parametrize(
    ("runs", "probability", "confidence"),
    list(itertools.product([1, 10, 300, 1000], [0.3, 0.1, 0.01, 1e-4], [0.5, 0.95])),
)
def test_most_allowed(runs, probability, confidence):
    failed = most_allowed(runs, probability, confidence)
    assert failed == -1 or chance_at_most(failed, runs, confidence) <= probability
    assert chance_at_most(failed + 1, runs, confidence) > probability


def test_most_allowed_of_a_million_runs_takes_a_few_steps():
    assert 99_000 < most_allowed(10**6, 0.1, 0.95) < 100_000


# ------------------------------------------------------------------ the guarantee


def guarantee(trace, heap=Heap4, **options):
    return guaranteed_size([SizingProblem(trace, heap, options)])


def test_the_formula():
    """One block of 8 bytes: 16 with its header, and 16 that may be left over, is 4 units of 8;
    4 (1 + 1/2 + 1/3 + 1/4) / ln 2 = 12.02, so 13 units, and the end marker.
    """
    assert guarantee(Trace("m", [0], [8])) == 13 * 8 + 8
    two = Trace("mm", id=[0, 1], size=[8, 8])
    assert guarantee(two) == math.ceil(8 * (25 / 12) / math.log(2)) * 8 + 8


def test_bytes_blocks_and_the_largest_block_are_each_the_most_of_any_recording():
    many = Trace("mmmm", id=range(4), size=[8] * 4)
    large = Trace("m", [0], [200])
    together = guaranteed_size([SizingProblem(one, Heap4, {}) for one in (many, large)])
    live, blocks, largest = 208, 4, 208
    units = (largest + 16) // 8
    harmonic = sum(1 / i for i in range(1, units + 1))
    assert together == math.ceil((live + 16 * blocks) / 8 * harmonic / math.log(2)) * 8 + 8


def test_nothing_allocated_needs_the_smallest_heap():
    trace = Trace("mm", id=[0, 1], size=[0, 0])
    assert guarantee(trace) == SizingProblem(trace, Heap4, {}).smallest


def test_large_blocks_take_no_longer():
    """Its harmonic sum has 2**50 members."""
    assert guarantee(Trace("m", [0], [2**53]), word_size=8) > 2**53


def test_where_none_is_known():
    trace = Trace("mf", id=[0, 0], size=[8, 0])
    for heap in (Heap1, Heap2, Heap3):
        assert guarantee(trace, heap) is None
    several = SizingProblem(trace, Heap5, {}, regions=[(0x1000, 512), (0x8000, None)])
    assert guaranteed_size([several]) is None
    alone = SizingProblem(trace, Heap5, {}, regions=[(0x8000, None)])
    assert guaranteed_size([alone]) == guarantee(trace)


def robson(m, n):
    """Robson's adversary: m units of 8 bytes at most, in blocks of up to n, headers included."""
    heap, events, live = Heap4(1 << 20), [], {}

    def covers(at, units, size, offset):
        return (offset - at) % size < units

    def spoiled(size, offset):
        kept = [units for at, units, _ in live.values() if covers(at, units, size, offset)]
        return sum(size - units for units in kept)

    def malloc(units):
        address = heap.malloc(units * 8 - 8)
        number = len(events)
        live[number] = ((address - 8 - heap.base_address) // 8, units, address)
        events.append(("m", number, units * 8 - 8))

    for _ in range(m // 2):
        malloc(2)  # heap_4's smallest block
    offset, size = 0, 4
    while size <= n:
        if spoiled(size, offset + size // 2) > spoiled(size, offset):
            offset += size // 2
        for number, (at, units, address) in list(live.items()):
            if not covers(at, units, size, offset):
                heap.free(address)
                events.append(("f", number))
                del live[number]
        for _ in range((m - sum(units for _, units, _ in live.values())) // size):
            malloc(size)
        size *= 2
    return Trace.from_events(events)


@pytest.mark.parametrize("n", [4, 16, 64, 256])
def test_robsons_adversary_stays_below(n):
    attack = robson(1024, n)
    assert need(attack) > 1024 * 8  # it does harm
    assert need(attack) <= guarantee(attack)


@pytest.mark.parametrize("kind", [4, 5])
def test_random_sequences_stay_below(kind):
    rng = np.random.default_rng(kind)
    tried = 0
    while tried < 300:
        trace = random_trace(rng, int(rng.integers(5, 200)))
        options = random_options(rng, kind)
        regions = None
        if kind == 5:
            regions = [(0x2000_0000 + int(rng.integers(64)), None)]
        elif options["base_address"] > 0x3000_0000:
            continue  # at the top of the memory there may be no room
        problem = SizingProblem(trace, Heap4 if kind == 4 else Heap5, options, regions=regions)
        assert smallest_size(problem) <= guaranteed_size([problem])
        tried += 1


def made(steps):
    """Mallocs of sizes, and frees of the live block at a place, counted round."""
    rows, live = [], []
    for number, (op, value) in enumerate(steps):
        if op == "m":
            rows.append(("m", number, value))
            live.append(number)
        elif live:
            rows.append(("f", live.pop(value % len(live))))
    return Trace.from_events(rows)


def test_a_search_for_harm_stays_below():
    """Sequences are made longer a step at a time, and the most harmful of six is gone on with."""
    rng = np.random.default_rng(9)
    worst = 0.0
    for _ in range(10):
        steps = [("m", 8)]
        for _ in range(40):
            tried = []
            for _ in range(6):
                step = ("m", int(rng.choice([8, 24, 56, 120])))
                if rng.random() < 0.45:
                    step = ("f", int(rng.integers(64)))
                trace = made([*steps, step])
                size, bound = need(trace), guarantee(trace)
                assert size <= bound
                tried.append((size / bound, step))
            harm, step = max(tried)
            steps.append(step)
            worst = max(worst, harm)
    assert worst > 0.1


def test_every_sequence_of_six_calls():
    """All of them with blocks of 8 or 40 bytes, of which no more than 3 live at once: none needs
    more than what is guaranteed from the most bytes, blocks and the largest block.
    """
    bound = guarantee(Trace("mmm", id=range(3), size=[40] * 3))
    tried = 0

    def extend(rows, live, left):
        nonlocal tried
        if not left:
            if rows:
                tried += 1
                assert need(Trace.from_events(rows)) <= bound
            return
        for at in range(len(live)):
            extend([*rows, ("f", live[at])], live[:at] + live[at + 1 :], left - 1)
        if len(live) < 3:
            for size in (8, 40):
                extend([*rows, ("m", left, size)], [*live, left], left - 1)

    extend([], [], 6)
    assert tried == 648
