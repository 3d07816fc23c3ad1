"""Warnings: for each a recording that asks for it, and one that differs in that alone."""

from __future__ import annotations

import numpy as np
import pytest
from risk_programs import DAY, START, alike, from_lives, poisson

from rtosheap import Heap4, Trace, data
from rtosheap.risk import assess
from rtosheap.risk.recordings import Recordings
from rtosheap.risk.signs import grows, signs
from rtosheap.traces.loss import Loss

#: Work of two tasks that nothing is to be said of, several times in each window.
STEADY = START + [("work", at, 900_000, 200) for at in range(500_000, DAY, 1_000_000)]
STEADY += [("more", at, 900_000, 300) for at in range(700_000, DAY, 1_000_000)]


def said(*lives, **options):
    """What is said of five recordings, each with these blocks."""
    return signs(Recordings([from_lives(STEADY + list(more), **options) for more in lives]), 4)


FIVE = [[]] * 5


def test_nothing_is_said_of_five_steady_recordings():
    assert said(*FIVE) == []


def test_one_recording():
    (text,) = said([])
    assert text == (
        "one recording: how much one day differs from another cannot be known from it, only "
        "guessed from how its hours differ"
    )


@pytest.mark.parametrize("days", [2, 3, 4])
def test_few_recordings(days):
    assert said(*FIVE[:days]) == [
        f"{days} recordings: how much days differ is known from few of them; record 5"
    ]


def test_no_task_names():
    whole = from_lives(STEADY)
    bare = Trace(whole.op, whole.id, whole.size, time=whole.time, meta=whole.meta)
    assert signs(Recordings([bare] * 5), 4) == [
        "no task names: the whole is taken for one task, and nothing is put together anew"
    ]


def test_no_times():
    whole = from_lives(STEADY)
    bare = Trace(whole.op, whole.id, whole.size, task=whole.task)
    texts = signs(Recordings([bare] * 5), 4)
    assert "no times: the order of the events stands for time" in texts


def test_losses():
    """Of one of five recordings events were lost."""
    whole = from_lives(STEADY, name="cut")
    whole._columns.loss = Loss(lost_events=7, cut_lines=1)
    texts = signs(Recordings([whole] + [from_lives(STEADY)] * 4), 4)
    assert texts == [
        "recording cut: the recording is not complete, so that this holds for what was recorded "
        "only: events that the recorder made and the file does not hold: 7; lines cut off where "
        "the recording begins or ends, left out: 1"
    ]


def test_events_that_were_left_out():
    whole = from_lives(STEADY)
    op = np.append(whole.op, [ord("f")] * 3).astype(np.uint8)
    ids = np.append(whole.id, [1 << 40, 1 << 41, 1 << 42])
    part = Trace(
        op,
        ids,
        np.append(whole.size, np.zeros(3, np.uint64)),
        time=np.append(whole.time, [DAY] * 3),
        task=np.append(whole.task, [""] * 3),
        meta=whole.meta,
        strict=False,
    )
    assert signs(Recordings([from_lives(STEADY)] * 4 + [part]), 4) == [
        "recording number 5: the recording is not complete, so that this holds for what was "
        "recorded only: events on an id that was never allocated, left out: 3"
    ]


# ------------------------------------------------------------------ growth


def test_recordings_of_different_builds():
    """A task that one of three recordings lacks, where it is there from power-on on: not one that
    is created when it is asked for.
    """
    base = [*START, ("work", 0, 400, 160), ("work", DAY // 2, 400, 160)]
    added = [*base, ("new", 9, 50, 40), ("new", DAY // 3, 50, 40)]
    later = [*base, ("seldom", 9, 50, 40)]
    days = [from_lives(base, name="old"), from_lives(added, name="a"), from_lives(added, name="b")]
    assert (
        "not every recording has the tasks that begin at power-on (old lacks new): recordings of "
        "different builds do not belong together"
    ) in signs(Recordings(days), 4)
    seldom = [("seldom", DAY // 3, 50, 40)]
    same = [from_lives(base), from_lives(later), from_lives([*base, *seldom])]
    assert not any("build" in text for text in signs(Recordings(same), 4))
    mixed = [*data.days("gateway")[:1], *data.days("server")[:1]]
    assert any("different builds" in text for text in signs(Recordings(mixed), 4))


@pytest.mark.parametrize("firmware", ["gateway", "server", "recorder"])
def test_recorded_days_are_of_one_build(firmware):
    assert not any("build" in text for text in signs(Recordings(data.days(firmware)), 4))


def test_a_leak():
    """A block of 40 bytes every 10 s is never freed; where one in five recordings frees them, it is
    no leak.
    """
    leak = [("leaky", at, 2 * DAY, 40) for at in range(0, DAY, 10_000_000)]
    texts = said(*[leak] * 5)
    # 28 of the 30 of each, after its first tenth or before
    assert any(
        text.startswith("150 blocks of kinds that are never freed, 6,000 bytes in all: a leak")
        for text in texts
    )
    freed = [("leaky", at, 1_000, 40) for at in range(0, DAY, 10_000_000)]
    assert not any("leak, if" in text for text in said(leak, leak, leak, leak, freed))
    few = leak[:4]  # within the first tenth, and one after it
    assert not any("leak, if" in text for text in said(*[few] * 5))


def test_growth():
    """Blocks of sizes that differ, each kept: no kind of block, and memory grows. Where all grow up
    to a third of the day and no more, or two of five recordings do, nothing is said.
    """
    grow = [("cache", at, 2 * DAY, 100 + at // 1_000_000) for at in range(0, DAY, 5_000_000)]
    message = (
        "memory still grows at the end of 5 of 5 recordings: a leak or slow fragmentation; a "
        "longer day needs more"
    )
    assert message in said(*[grow] * 5)
    early = [life for life in grow if life[1] < DAY / 5]
    assert not any("grows" in text for text in said(*[early] * 5))
    assert not any("grows" in text for text in said(grow, grow, [], [], []))
    assert any("grows at the end of 3 of 5" in text for text in said(grow, grow, grow, [], []))


def test_growth_that_is_hardly_any():
    """2 % of the peak."""
    grow = [("cache", at, 2 * DAY, 1) for at in range(0, DAY, 2_000_000)]
    assert not any("grows" in text for text in said(*[grow] * 5))


@pytest.mark.parametrize("firmware", ["gateway", "server", "recorder"])
def test_recorded_days_do_not_grow(firmware):
    recordings = Recordings(data.days(firmware))
    assert not any(grows(recordings, day) for day in range(5))


def test_chance_is_not_taken_for_growth():
    days = [poisson(np.random.default_rng([1, seed])) for seed in range(60)]
    recordings = Recordings(days)
    assert not any(grows(recordings, day) for day in range(60))


# ------------------------------------------------------------------ what was seen seldom


def test_what_was_seen_once_or_twice():
    update = [("update", DAY // 2, 5_000_000, 3000)]
    message = (
        "what update holds at the most was seen once or twice: how often that comes, and whether "
        "it can be more, is hardly known"
    )
    assert message in said(update, [], [], [], [])
    assert message in said(update, update, [], [], [])
    assert message not in said(update, update, update, [], [])


def test_several_that_were_seen_once_or_twice():
    seven = [(f"t{n}", DAY // 10 * (n + 2), 5_000_000, 3000) for n in range(7)]
    assert any("what t0, t1, t2, t3, t4 and 2 more hold" in text for text in said(seven, *FIVE[1:]))


def test_what_is_seldom_and_small_does_not_matter():
    update = [("update", DAY // 2, 5_000_000, 2)]
    assert said(update, [], [], [], []) == []


def test_a_peak_made_by_a_single_burst():
    burst = [("cmd", DAY // 2 + n, 3_000_000, 600) for n in range(5)]
    texts = said(burst, *FIVE[1:])
    assert "the peak of recording number 1 is made by a single burst of cmd" in texts
    often = [("cmd", DAY // 10 * k + n, 3_000_000, 600) for k in range(2, 7) for n in range(5)]
    assert not any("single burst" in text for text in said(often, *FIVE[1:]))


def test_recordings_whose_bursts_never_overlap():
    turns = [("a", at, 1_000_000, 900) for at in range(0, DAY, 20_000_000)]
    turns += [("b", at + 10_000_000, 1_000_000, 900) for at in range(0, DAY, 20_000_000)]
    apart = [from_lives(START + turns, name="apart")] * 5
    text = "in recording apart (number 1) no two tasks hold memory at once; on another day they may"
    assert text in signs(Recordings(apart), 4)
    meeting = [*turns, ("b", 20_000_000, 1_000_000, 900)]
    together = [from_lives(START + meeting)] * 5
    assert not any("at once" in text for text in signs(Recordings(together), 4))


# ------------------------------------------------------------------ an assessment of itself


def warnings(days, **options):
    return assess(days, Heap4, runs=20, **options).warnings


def test_the_models_disagree():
    """Three tasks in step, which the modelled days draw apart."""
    lives = list(START)
    for n, task in enumerate("abcd"):
        lives += [(task, at + n * 2_000_000, 1_000_000, 3000) for at in range(0, DAY, 9_000_000)]
    apart = warnings(alike(from_lives(lives), 5))
    assert any(text.startswith("the models disagree: 1 day in 100 exceeds") for text in apart)
    like = warnings([poisson(np.random.default_rng(seed)) for seed in range(5)])
    assert not any("disagree" in text for text in like)


def test_a_day_that_is_longer_than_any_recording():
    days = [poisson(np.random.default_rng(seed)) for seed in range(5)]
    text = "a day is longer than any recording (5 min): what comes more seldom is not known"
    assert text in warnings(days, duration="16min")
    assert text not in warnings(days, duration="14min")


def test_days_that_no_size_serves():
    """64 KiB are left to the address's end, and on some days four blocks meet."""
    trace = from_lives([("a", at, 30, 20_000) for at in range(0, 100, 15)], end=100)
    found = assess(alike(trace, 2), Heap4, runs=20, base_address=0xFFFF_0000)
    never = int((found.sizes == 2**63 - 1).sum())
    assert never > 0
    assert f"no size serves {never} of 20 modelled days" in found.warnings
