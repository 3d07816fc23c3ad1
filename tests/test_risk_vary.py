"""`vary`: days that were never recorded, made of what was."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from parts import few_of
from risk_programs import DAY, from_lives, poisson
from trace_strategies import valid_traces

from rtosheap import Trace, data
from rtosheap.risk import vary
from rtosheap.risk.bursts import BurstModel
from rtosheap.risk.recordings import Recordings

FIRMWARES = ("gateway", "server", "recorder")


def lasting(trace: Trace) -> bool:
    time = range(len(trace)) if trace.time is None else trace.time
    return len(trace) > 0 and time[-1] > time[0]


@st.composite
def recordings(draw):
    """One to three recordings in one unit of time, or in none."""
    first = draw(valid_traces().filter(lasting))
    alike = valid_traces().filter(lambda one: (one.time is None) == (first.time is None))
    more = draw(st.lists(alike.filter(lasting), max_size=2))
    return [first, *more]


def lives_of(trace):
    """Each block's life: what is done to it, by whom, and when after its birth; oldest first."""
    time = list(range(len(trace))) if trace.time is None else trace.time.tolist()
    live, done = {}, []
    for at, event in zip(time, trace, strict=True):
        if event.op == "m":
            live[event.id] = (at - time[0], [])
        born, steps = live[event.id]
        steps.append((event.op, event.size, event.task or "", at - time[0] - born))
        if event.op == "f":
            done.append(live.pop(event.id))
    return [(born, tuple(steps)) for born, steps in [*done, *live.values()]]


def check_day(day, traces, duration):
    """Every block of the day lives as a recorded one did, but where the day's end comes first, or
    where the recording's end came first.
    """
    times = np.arange(len(day)) if day.time is None else day.time
    assert not len(day) or (np.diff(times) >= 0).all()
    if day.time is not None:
        assert (day.time >= 0).all()
        assert (day.time <= duration).all()
    recorded = {steps for trace in traces for _, steps in lives_of(trace)}
    begun = {steps[:n] for steps in recorded for n in range(1, len(steps) + 1)}
    ids = Counter((event.op, event.id) for event in day)
    assert all(n == 1 for (op, _), n in ids.items() if op in "mf")
    timed = traces[0].time is not None
    known = {tuple((op, size, task) for op, size, task, _ in steps) for steps in recorded}
    unended = {steps for steps in known if steps[-1][0] != "f"}
    known |= {steps[:n] for steps in known for n in range(1, len(steps))}
    for _, steps in lives_of(day):
        untimed = tuple((op, size, task) for op, size, task, _ in steps)
        freed = steps[-1][0] == "f"
        assert untimed in known or (freed and untimed[:-1] in unended)
        if timed:  # a free that was not recorded comes at a time of its own
            assert steps in begun or (freed and steps[:-1] in recorded)


@given(recordings(), st.integers(0, 2**64), st.sampled_from([None, 1, 7, 1000]))
@settings(max_examples=50)
def test_every_block_lives_as_a_recorded_one_did(traces, seed, duration):
    lengths = [
        len(one) - 1 if one.time is None else int(one.time[-1] - one.time[0]) for one in traces
    ]
    usual = int(np.median(lengths)) if duration is None else duration
    assume(usual / min(lengths) < 1000)  # else it is a day of very many events
    day = vary(traces, seed=seed, duration=duration)
    check_day(day, traces, usual)
    assert day == vary(traces, seed=seed, duration=duration)
    names = {name for trace in traces for name in trace.task_names}
    assert set(day.task_names) <= names
    if day.time is not None:
        assert day.time_unit == traces[0].time_unit


@pytest.mark.parametrize("firmware", few_of(FIRMWARES, FIRMWARES[:1]))
def test_days_of_a_firmware(firmware):
    days = data.days(firmware)
    duration = int(np.median([day.time[-1] - day.time[0] for day in days]))
    made = vary(days, seed=3)
    check_day(made, days, duration)
    assert 0.6 * duration < made.time[-1] <= duration
    assert made == vary(days, seed=3)
    assert made != vary(days, seed=4)
    assert made == vary(days, seed=np.random.default_rng(3))
    assert made == vary(days, seed=np.random.SeedSequence(3))


def mallocs(trace):
    counts = np.bincount(trace.task_codes[trace.op == ord("m")], minlength=len(trace.task_names))
    return +Counter(dict(zip(trace.task_names, counts.tolist(), strict=True)))


def test_rates_are_those_recorded():
    """How often each task allocates on 300 made days, against the recordings, each in proportion
    to its length: within 4 standard errors of the made days' mean, and 2 %.
    """
    checked = 0
    for firmware in FIRMWARES:
        days = data.days(firmware)
        lengths = [int(day.time[-1] - day.time[0]) for day in days]
        typical = float(np.median(lengths))
        counts = [mallocs(day) for day in days]
        model = BurstModel(Recordings(days))  # what `vary` makes at each call
        made = [mallocs(model.day(np.random.default_rng(seed))) for seed in range(300)]
        for task in sorted({task for count in counts for task in count}):
            recorded = np.mean(
                [n[task] * typical / length for n, length in zip(counts, lengths, strict=True)]
            )
            found = np.array([count[task] for count in made])
            error = found.std() / np.sqrt(len(found))
            assert abs(found.mean() - recorded) < 4 * error + 0.02 * recorded, (firmware, task)
            checked += 1
    assert checked == 42


def test_rates_of_a_crowd_of_bursts():
    """A task that does all it does within a hundredth of the day, at ten moments."""
    rng = np.random.default_rng(0)
    days = []
    for _ in range(3):
        lives = [("steady", at, 1_000, 16) for at in range(0, DAY, 1_000_000)]
        for at in rng.uniform(0, DAY - 300_000, 10).astype(int):
            lives += [("crowd", int(at) + 3_000 * i, 2_000, 64) for i in range(100)]
        days.append(from_lives(lives))
    made = [mallocs(vary(days, seed=seed)) for seed in range(200)]
    assert np.mean([day["steady"] for day in made]) == pytest.approx(300, rel=0.01)
    crowd = np.array([day["crowd"] for day in made])
    assert abs(crowd.mean() - 1000) < 4 * crowd.std() / np.sqrt(200)


def test_tasks_that_allocate_at_power_on_only_do_so_once():
    day = from_lives(
        [("boot", 0, 5_000, 999), ("boot", 10, 2 * DAY, 77)]
        + [("work", at, 500, 16) for at in range(0, DAY, 1_000_000)]
    )
    for seed in range(20):
        made = vary(day, seed=seed, duration="20min")
        assert mallocs(made)["boot"] == 2
        assert made.time[made.size == 999].tolist() == [0]


def test_what_stays_stays():
    """Blocks that no recording frees are there once, and are not freed."""
    lives = [("init", 5, 2 * DAY, 4000), ("late", DAY // 2, 2 * DAY, 500)]
    lives += [("work", at, 500, 16) for at in range(0, DAY, 1_000_000)]
    for seed in range(10):
        made = vary(from_lives(lives), seed=seed, duration=3 * DAY)
        for size, born in ((4000, 5), (500, DAY // 2)):
            at = np.flatnonzero(made.size == size)
            assert made.time[at].tolist() == [born]
            assert made.ends()[at].tolist() == [len(made)]


def test_a_leak_goes_on():
    lives = [("leaky", at, 2 * DAY, 40) for at in range(0, DAY, 10_000_000)]
    lives += [("work", at, 500, 16) for at in range(0, DAY, 1_000_000)]
    made = vary(from_lives(lives), seed=1, duration=10 * DAY)
    leaked = int((made.size == 40).sum())
    assert 250 <= leaked <= 350
    assert made.never_freed_bytes >= 40 * leaked


def test_a_block_that_the_recordings_end_caught_lives_as_long_as_its_like():
    """Of blocks of 64 bytes that live 10 s, one is born 4 s before the end."""
    lives = [("work", at, 10_000_000, 64) for at in range(0, DAY - 50_000_000, 20_000_000)]
    lives.append(("work", DAY - 4_000_000, 10_000_000, 64))
    made = vary(from_lives(lives), seed=5, duration=20 * DAY)
    ages = {steps[-1][3] for _, steps in lives_of(made) if steps[0][1:3] == (64, "work")}
    assert 10_000_000 in ages
    assert max(ages) == 10_000_000


def test_tasks_that_act_together_are_drawn_together():
    """Two tasks that always allocate in the same second; a third that does when it likes."""
    rng = np.random.default_rng(2)
    days = []
    for _ in range(4):
        lives = []
        for at in rng.uniform(0, DAY, 40).astype(int):
            lives += [("ask", int(at), 5_000_000, 100), ("answer", int(at) + 10, 5_000_000, 700)]
        for at in rng.uniform(0, DAY, 40).astype(int):
            lives.append(("other", int(at), 5_000_000, 33))
        days.append(from_lives([life for life in lives if life[1] < DAY - 100]))
    for seed in range(5):
        made = vary(days, seed=seed)
        asked, answered = made.time[made.size == 100], made.time[made.size == 700]
        assert len(asked) > 20
        assert np.isin(answered - 10, asked).all()
        assert not np.isin(made.time[made.size == 33] - 10, asked).any()


def test_recordings_of_different_lengths_count_by_their_weight():
    """Of the made days, on average half of the blocks come from each of two recordings, although
    one is ten times as long.
    """
    short = from_lives([("a", at, 100, 16) for at in range(0, DAY // 10, 100_000)], end=DAY // 10)
    long = from_lives([("a", at, 100, 32) for at in range(0, DAY, 100_000)])
    made = [vary([short, long], seed=seed) for seed in range(300)]
    share = np.array([(day.size == 16).sum() / (day.size != 0).sum() for day in made])
    assert abs(share.mean() - 0.5) < 4 * share.std() / np.sqrt(300)


@pytest.mark.parametrize(("duration", "units"), [("1s", 1_000_000), (17, 17), (2.6, 3)])
def test_durations(duration, units):
    day = vary(poisson(np.random.default_rng(1)), seed=0, duration=duration)
    assert day.time is not None
    assert day == vary(poisson(np.random.default_rng(1)), seed=0, duration=units)
    assert not len(day) or day.time[-1] <= units


def test_a_day_may_be_far_longer_than_the_recording():
    trace = Trace("mfm", id=[0, 0, 1], size=[8, 0, 8], time=[0, 1, 2])
    day = vary(trace, seed=1, duration=10_000)
    assert 3_000 < len(day) < 20_000


def test_large_times_do_not_overflow():
    start = -(2**62)
    times = [start, start + 1, start + 2**60, start + 2**60 + 5]
    trace = Trace("mfmf", id=[0, 0, 1, 1], size=[8, 0, 16, 0], time=times)
    for seed in range(20):
        day = vary(trace, seed=seed)
        assert set(day.size.tolist()) <= {0, 8, 16}
        assert not len(day) or (day.time.min() >= 0 and day.time.max() <= 2**60 + 5)


def test_large_sizes_are_kept():
    trace = Trace("mfm", id=[0, 0, 1], size=[2**64 - 1, 0, 2**63], time=[0, 10, 20])
    sizes = {size for seed in range(20) for size in vary(trace, seed=seed).size.tolist()}
    assert sizes == {2**64 - 1, 0, 2**63}


def test_reallocs_keep_their_steps():
    trace = Trace("mrrf", id=[0] * 4, size=[8, 80, 40, 0], time=[0, 3, 5, 9])
    made = [vary(trace, seed=seed, duration=1000) for seed in range(5)]
    whole = (("m", 8, "", 0), ("r", 80, "", 3), ("r", 40, "", 5), ("f", 0, "", 9))
    for day in made:
        lives = [steps for _, steps in lives_of(day)]
        assert whole in lives
        assert all(steps == whole[: len(steps)] for steps in lives)


def test_traces_without_times():
    trace = Trace("mmffmf", id=[0, 1, 0, 1, 2, 2], size=[8, 90, 0, 0, 16, 0])
    day = vary(trace, seed=1)
    assert day.time is None
    assert day.task_codes is None
    assert len(day) <= 7


def test_a_method_of_ones_own():
    days = [poisson(np.random.default_rng(seed)) for seed in range(2)]
    seen = []

    def method(traces, rng):
        seen.append((traces, rng.random()))
        return traces[1]

    assert vary(days, seed=7, method=method) == days[1]
    assert seen[0][0] == tuple(days)
    assert seen[0][1] == np.random.default_rng(7).random()


TIMED = Trace("mf", id=[0, 0], size=[8, 0], time=[0, 5], meta={"time_unit": "ms"})
UNTIMED = Trace("mf", id=[0, 0], size=[8, 0])
ERRORS = [
    ({"traces": []}, ValueError, r"traces is empty; at least one recording is needed"),
    ({"traces": [TIMED, "day"]}, TypeError, r"traces\[1\] is 'day'; it must be a Trace"),
    (
        {"traces": [TIMED, UNTIMED]},
        ValueError,
        r"traces are timed in ms \(.+\), no times \(.+\); all must have the same unit",
    ),
    (
        {"traces": [TIMED, Trace("m", [0], [8])]},
        ValueError,
        r"traces are timed in",
    ),
    (
        {"traces": [UNTIMED, Trace("m", [0], [8])]},
        ValueError,
        r"traces\[1\] lasts no time: no two of its events are at different times",
    ),
    ({"traces": Trace("", [], [])}, ValueError, r"traces\[0\] lasts no time"),
    (
        {"traces": Trace("mm", id=[0, 1], size=[8, 8], time=[3, 3])},
        ValueError,
        r"traces\[0\] lasts no time",
    ),
    (
        {"traces": Trace("mm", id=[0, 1], size=[8, 8], time=[-(2**62), 2**62])},
        ValueError,
        r"traces last 9223372036854775808 ticks together; it must be less than 2\*\*61",
    ),
    (
        {"method": "blocks"},
        ValueError,
        r"method is 'blocks'; it must be 'bursts' or a function",
    ),
    (
        {"method": lambda traces, rng: 5},
        TypeError,
        r"method returned 5; it must return a Trace",
    ),
    (
        {"method": lambda traces, rng: traces[0], "duration": 5},
        ValueError,
        r"duration is 5; a method that is given makes its days as long as it does",
    ),
    (
        {"duration": "a week"},
        ValueError,
        r"duration is 'a week'; it must be a number and ns, us, ms, s, min, h, d or w, such as",
    ),
    ({"duration": "-3d"}, ValueError, r"duration is '-3d'; it must be a number and"),
    (
        {"duration": 0},
        ValueError,
        r"duration is 0; it must be from 1 to 2\*\*62 in the traces' unit, ms",
    ),
    ({"duration": "1us"}, ValueError, r"duration is '1us'; it must be from 1"),
    ({"duration": float("nan")}, ValueError, r"duration is nan; it must be from 1"),
    ({"seed": None}, TypeError, "seed is None; it must be an integer, 0 or more"),
    ({"seed": -1}, ValueError, "seed is -1; it must be 0 or more"),
    ({"duration": 2**62}, ValueError, r"duration is 4611686018427387904; it must be from 1"),
    (
        {"traces": TIMED, "duration": "10w"},
        ValueError,
        r"duration is 6048000000 ms: a day would have some 2e\+09 events, of which it may have 1e",
    ),
    (
        {"traces": UNTIMED, "duration": "7d"},
        ValueError,
        r"duration is '7d', but the recordings have no times: give the number of events instead",
    ),
    (
        {"traces": UNTIMED, "duration": 0.2},
        ValueError,
        r"duration is 0.2; it must be from 1 to 2\*\*62 in the traces' unit, events",
    ),
    (
        {"traces": Trace("mf", id=[0, 0], size=[8, 0], time=[0, 5]), "duration": "7d"},
        ValueError,
        r"duration is '7d', but time is in ticks: give the number of ticks instead",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ERRORS)
def test_errors(arguments, error, message):
    arguments = {"traces": TIMED, "seed": 0, **arguments}
    with pytest.raises(error, match=message):
        vary(arguments.pop("traces"), **arguments)
