"""Several recordings at once: sizing and comparison against one by one, and against every size."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from parts import few_of
from test_sizing import KINDS, first_failure, make, random_regions, serves
from workloads import random_options, random_trace

from rtosheap import compare, data, minimum_heap_size, plot
from rtosheap.comparison import compare_what_if
from rtosheap.heaps import Heap2, Heap4
from rtosheap.sizing import MinimumSize, UnservableError, _heap_2, sizing_points
from rtosheap.traces import Dropped, Loss, Trace
from rtosheap.traces.several import renamed, unique_names
from rtosheap.work import Rounds

NAMES = tuple(f"heap_{kind}" for kind in KINDS)
#: Bytes above the largest own minimum that are tried one by one.
ABOVE = 1200


def recordings(rng: np.random.Generator, largest: int = 200) -> list[Trace]:
    """Two to four random workloads."""
    return [
        renamed(random_trace(rng, int(rng.integers(1, 110)), largest=largest), f"day{at}")
        for at in range(int(rng.integers(2, 5)))
    ]


def below_the_top(options: dict[str, Any]) -> dict[str, Any]:
    """The same without an address space that ends soon."""
    if options.get("base_address", 0) > 0x3000_0000:
        options["base_address"] -= 0x8000
    return options


@pytest.mark.parametrize("seed", few_of(range(30), range(10)))
@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_that_serves_all(kind: int, seed: int) -> None:
    """Every smaller size fails for one of them, each result is what the recording alone has."""
    rng = np.random.default_rng([44, kind, seed])
    traces = recordings(rng)
    options = below_the_top(random_options(rng, kind))
    regions = random_regions(rng, options) if kind == 5 else None
    how: dict[str, Any] = {"regions": regions, "search": "full" if kind == 2 else None, **options}
    each = [minimum_heap_size(trace, f"heap_{kind}", **how) for trace in traces]
    found = minimum_heap_size(traces, f"heap_{kind}", **how)

    largest = max(own.size for own in each)
    if kind != 2:
        assert found.size == found.safe_size == largest
    assert found.exact
    step = options["alignment"] if kind == 2 else 1
    size = found.last_region_size
    start = 8 if kind == 2 else 1

    def all_serve(tried: int) -> bool:
        return all(serves(trace, kind, tried, options, regions) for trace in traces)

    assert all_serve(size)
    assert not any(all_serve(tried) for tried in range(-(-start // step) * step, size, step))
    check_own(found, traces, each)
    check_decides(found, traces, kind, options, regions, size - step)
    check_advice(found, traces, kind, options)


def check_own(found: MinimumSize, traces: list[Trace], each: list[MinimumSize]) -> None:
    assert [one.name for one in found.recordings] == [trace.name for trace in traces]
    for one, own in zip(found.recordings, each, strict=True):
        assert (one.size, one.witness, one.safe_size) == (own.size, own.witness, own.safe_size)
        assert one.peak_live_bytes == own.peak_live_bytes
        assert one.size <= found.size
    assert found.peak_live_bytes == max(own.peak_live_bytes for own in each)
    assert (found.options, found.regions[:-1]) == (each[0].options, each[0].regions[:-1])


def check_decides(
    found: MinimumSize, traces: list[Trace], kind: int, options: Any, regions: Any, below: int
) -> None:
    """The first that fails one step below, and its event."""
    try:
        heaps = [make(kind, below, options, regions) for _ in traces]
    except ValueError:
        assert found.witness is None
        return
    fails = [first_failure(trace, heap) for trace, heap in zip(traces, heaps, strict=True)]
    at = next(index for index, event in enumerate(fails) if event is not None)
    assert (found.recording, found.witness) == (traces[at].name, fails[at])


def check_advice(found: MinimumSize, traces: list[Trace], kind: int, options: Any) -> None:
    """Each recording in a heap of the size that the advice says."""
    if kind == 5:
        return
    try:
        heaps = [make(kind, found.advice_size, options) for _ in traces]
    except ValueError:
        return
    fails = [first_failure(trace, heap) for trace, heap in zip(traces, heaps, strict=True)]
    assert [one.advice_fails_at for one in found.recordings] == fails
    assert found.advice_fails_at == next((event for event in fails if event is not None), None)


@pytest.mark.parametrize("seed", range(40))
def test_heap_2_serves_all_from_the_safe_size_on(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng([45, seed])
    traces = recordings(rng, largest=int(rng.integers(20, 400)))
    options = below_the_top(random_options(rng, 2))
    step = options["alignment"]

    def all_serve(size: int) -> bool:
        return all(serves(trace, 2, size, options, None) for trace in traces)

    full = minimum_heap_size(traces, Heap2, search="full", **options)
    assert full.safe_checked_up_to is None
    assert full.safe_size >= max(one.safe_size for one in full.recordings)
    assert all(map(all_serve, range(full.safe_size, full.safe_size + ABOVE, step)))
    assert full.safe_size == full.size or not all_serve(full.safe_size - step)

    assert not any(map(all_serve, range(full.size - 64 * step, full.size, step)))
    assert minimum_heap_size(traces, Heap2, **options) == full

    monkeypatch.setattr(_heap_2, "EVENTS_MORE", 0)
    monkeypatch.setattr(_heap_2, "TURNS", 0)
    quick = minimum_heap_size(traces, Heap2, **options)
    assert not quick.exact
    assert quick.size >= max(full.size, *(one.size for one in quick.recordings))
    assert not any(map(all_serve, range(quick.size - 64 * step, quick.size, step)))
    end = quick.safe_checked_up_to or quick.safe_size + 64 * step
    assert all(map(all_serve, range(quick.safe_size, end + 1, step)))


def test_heap_2_may_need_more_for_all_than_for_any() -> None:
    """A recording that runs in 1 size and fails in a larger one; another that needs the larger."""
    tried = 0
    for seed in range(200):
        trace = random_trace(np.random.default_rng([2, seed]), 100)
        alone = minimum_heap_size(trace, Heap2, search="full")
        holes = [
            size
            for size in range(alone.size, alone.safe_size, 8)
            if not serves(trace, 2, size, {}, None)
        ]
        for hole in holes[:2]:
            other = Trace("m", [0], [hole - 16], meta={"name": "other"})
            assert minimum_heap_size(other, Heap2).size == hole
            after = next(n for n in range(hole, hole + 9999, 8) if serves(trace, 2, n, {}, None))
            for search in ("full", None):
                found = minimum_heap_size([trace, other], Heap2, search=search)
                assert found.size == after > hole == max(one.size for one in found.recordings)
                assert found.recording == "number 1"
                assert found.safe_size == alone.safe_size
            tried += 1
    assert tried >= 10


def test_one_in_a_list_is_that_one() -> None:
    for trace in (data.load("coap-server"), Trace("m", [0], [8])):
        for heap in NAMES[:4]:
            alone, listed = minimum_heap_size(trace, heap), minimum_heap_size([trace], heap)
            assert alone.recordings == ()
            assert alone.recording is None
            expected = alone.to_dict()
            found = listed.to_dict()
            assert {key: found[key] for key in expected} == expected
            assert found["recording"] == (trace.name or "number 1")
            assert found["recordings"][0]["size"] == alone.size
        row = compare([trace], heaps=["heap_4"], heap_size=600)["heap_4"].to_dict()
        expected = compare(trace, heaps=["heap_4"], heap_size=600)["heap_4"].to_dict()
        assert {key: row[key] for key in expected} == expected
        assert set(row) - set(expected) == {"recording", "recordings"}


def test_recordings_that_ask_for_nothing() -> None:
    nothing = Trace("", [], [], meta={"name": "nothing"})
    some = Trace("m", [0], [100], meta={"name": "some"})
    for heap in NAMES[:4]:
        found = minimum_heap_size([nothing, some], heap)
        assert (found.size, found.recording) == (minimum_heap_size(some, heap).size, "some")
        least = minimum_heap_size([nothing, Trace("", [], [])], heap)
        assert (least.witness, least.size) == (None, minimum_heap_size(nothing, heap).size)


# --------------------------------------------------------------------- what it says


def test_what_is_shown_names_the_recording() -> None:
    days = data.days("server")
    found = minimum_heap_size(days, Heap4)
    assert dict(found.summary())["needed by"] == "event 17,691 of server-seed002"
    assert dict(found.summary())["each by itself"] == "57,216 to 72,824 bytes (5 recordings)"
    assert "which fails in 1 of 5 recordings, first at event 17,687 of server-seed002" in repr(
        found
    )
    lines = found.table().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [day.name for day in days]
    assert [line.endswith("decides") for line in lines] == [False, False, True, False, False, False]
    assert found._repr_html_().count("<table") == 2
    again = json.loads(json.dumps(found.to_dict()))
    assert again["recording"] == "server-seed002"
    assert [one["size"] for one in again["recordings"]] == [57216, 72824, 62728, 59264, 60512]


def test_names_are_unique() -> None:
    days = [Trace("m", [0], [8 * at], meta={"name": "day"}) for at in (1, 2)]
    days += [Trace("m", [0], [80]), Trace("m", [0], [8], meta={"name": "day (number 1)"})]
    names = unique_names(days)
    assert len(set(names)) == 4
    assert names[1:3] == ("day (number 2)", "number 3")
    found = minimum_heap_size(days, Heap4)
    assert tuple(one.name for one in found.recordings) == names
    assert found.recording == "number 3"


def with_loss(trace: Trace, name: str) -> Trace:
    columns = trace._columns
    other = Trace(trace.op, trace.id, trace.size, meta={"name": name})._columns
    del columns
    other.loss, other.dropped = Loss(), Dropped(double_free=2)
    return Trace("m", [0], [8]).with_columns(other)


def test_warnings_say_whose_they_are() -> None:
    good = Trace("m", [0], [100], meta={"name": "good"})
    bad = with_loss(good, "bad")
    host = Trace("m", [0], [90], meta={"name": "host", "abi": "LP64"})
    traces = [good, bad, host]
    found = minimum_heap_size(traces, Heap4)
    assert [text.split(":")[0] for text in found.warnings] == ["bad", "host"]
    assert found.warnings[0].startswith("bad: the recording is not complete")
    assert "64-bit host" in found.warnings[1]
    assert not found.exact
    assert dict(found.loss) == {"double_free": 2}
    result = compare(traces, heaps=["heap_4"])
    assert (result.warnings, result.loss) == (found.warnings, found.loss)
    assert sizing_points(traces, heaps=["heap_4"], sizes=[512]).warnings == found.warnings
    assert minimum_heap_size([good, host], Heap4).exact


# --------------------------------------------------------------------- compare


@pytest.mark.parametrize("seed", range(12))
def test_compare_agrees_with_sizing_and_with_each_alone(seed: int) -> None:
    rng = np.random.default_rng([47, seed])
    traces = recordings(rng)
    size = int(rng.integers(200, 1500))
    result = compare(traces, heap_size=size, regions=[(0x1000_0000, 100), (0x2000_0000, None)])
    alone = [
        compare(t, heap_size=size, regions=[(0x1000_0000, 100), (0x2000_0000, None)])
        for t in traces
    ]
    assert result.recordings == tuple(trace.name for trace in traces)
    assert result.events == sum(map(len, traces))
    for row in result:
        options = (
            {"regions": [(0x1000_0000, 100), (0x2000_0000, None)]} if row.heap == "heap_5" else {}
        )
        found = minimum_heap_size(traces, row.heap, **options)
        for field in ("size", "witness", "recording", "exact", "safe_size", "advice_size"):
            assert getattr(row, field) == getattr(found, field)
        own = [other[row.heap] for other in alone]
        assert [one.size for one in row.recordings] == [other.size for other in own]
        assert row.size == max(o.size for o in own) or row.heap == "heap_2"
        check_failures(row, own)
        most = max(one.most_nodes for one in row.recordings)
        assert row.most_nodes == most
        assert sum(row.breakdown.values()) == row.size
        at = [one.name for one in row.recordings].index(row.recording)
        assert row.breakdown["payload"] == traces[at].peak_live_bytes


def check_failures(row: Any, own: list[Any]) -> None:
    """At the size that was asked about: what each has alone, added up."""
    for one, other in zip(row.recordings, own, strict=True):
        assert (one.failures, one.failure_event) == (other.failures, other.failure_event)
    if row.failures is None:
        assert all(other.failures is None for other in own)
        return
    assert row.failures == sum(other.failures for other in own)
    failing = [other for other in own if other.failures]
    assert len(row.failing) == len(failing)
    if failing:
        assert row.failure_event == failing[0].failure_event
        assert row.failure_reason == failing[0].failure_reason


def test_a_comparison_of_several_in_words_and_tables() -> None:
    days = data.days("server")[:3]
    result = compare(days, heap_size=62_000)
    text = str(result)
    assert text.startswith("3 recordings: 62,225 events, 64,039 bytes live at the peak")
    assert "smallest by itself" in text
    flat = " ".join(result.verdict.split())
    assert "serves 3 recordings with the least memory" in flat
    assert "server-seed002 decides." in flat
    assert "heap_4 fails " in flat
    assert "in 2 of 3 recordings, first in server-seed002 at event" in flat
    assert result.to_dict()["recordings"] == [day.name for day in days]
    assert json.loads(json.dumps(result.to_dict()))["heaps"][3]["recording"] == "server-seed002"
    plot.comparison(result)


def test_where_one_of_them_cannot_be_served() -> None:
    small = Trace("m", [0], [8], meta={"name": "small"})
    huge = Trace("m", [0], [1 << 33], meta={"name": "huge"})
    with pytest.raises(UnservableError, match=r"^huge: event 0 requests 8589934592 bytes"):
        minimum_heap_size([small, huge], Heap4)
    result = compare([small, huge])
    assert result.best is None
    assert all("huge: event 0 requests" in row.error for row in result)
    assert "can serve all 2 recordings" in result.verdict
    str(result)


def test_what_if_of_several() -> None:
    a = Trace("mm", [0, 1], [1000, 50], meta={"name": "a"})
    b = Trace("mm", [0, 1], [2000, 70], meta={"name": "b"})
    result = compare_what_if([a, b], "static:size>=1000", heaps=["heap_4"])
    assert result.set_aside == 2000
    after = compare(
        [a.what_if("static:size>=1000"), b.what_if("static:size>=1000")], heaps=["heap_4"]
    )
    assert result.rows()[0][2] == after["heap_4"].size
    assert result.before["heap_4"].recording == "b"
    nothing = compare_what_if([a, b], "static:size>=1", heaps=["heap_4"])
    assert nothing.after.events == 0


def test_sizing_points_add_up() -> None:
    days = data.days("server")[:2]
    sizes = [40_000, 60_000, 80_000]
    both = sizing_points(days, heaps=["heap_4"], sizes=sizes).curves[0]
    each = [sizing_points(day, heaps=["heap_4"], sizes=sizes).curves[0] for day in days]
    assert both.failures == tuple(
        sum(pair) for pair in zip(*(one.failures for one in each), strict=True)
    )
    assert both.minimum == max(one.minimum for one in each)
    points = sizing_points(days, heaps=["heap_5"])
    assert points.trace_name == "2 recordings"
    assert plot.sizing(days, heaps=["heap_4"], sizes=sizes).get_xlabel() == "heap size (KiB)"


# --------------------------------------------------------------------- arguments

DAY = Trace("mf", [0, 0], [8, 0], meta={"name": "day"})
BAD = [
    ([], ValueError, r"trace is empty; at least one recording is needed"),
    ([DAY, 5], TypeError, r"trace\[1\] is 5; it must be a Trace"),
    (7, TypeError, r"trace is 7; it must be a Trace or a sequence of them"),
    ([DAY, DAY], ValueError, r"trace\[1\] is trace\[0\] again, <Trace 'day': 2 events .*once"),
    ([DAY, renamed(DAY, "day")], ValueError, r"give each recording once"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "text"), BAD)
def test_bad_recordings(given: Any, error: type[Exception], text: str) -> None:
    for call in (
        lambda: minimum_heap_size(given, Heap4),
        lambda: compare(given),
        lambda: sizing_points(given),
    ):
        with pytest.raises(error, match=text):
            call()


def test_two_days_that_happen_to_be_alike_are_two() -> None:
    assert minimum_heap_size([DAY, renamed(DAY, "other")], Heap4).recordings[1].name == "other"


def test_progress_goes_to_its_end() -> None:
    told: list[tuple[int, int]] = []
    days = data.days("server")[:2]
    minimum_heap_size(days, Heap2, progress=lambda *both: told.append(both))
    assert told[-1][0] == told[-1][1]
    assert all(done <= total for done, total in told)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_progress_expects_five_replays_of_each(count: int) -> None:
    days = [Trace("m" * n, range(n), [8] * n) for n in range(30 - count, 30)]
    seen: list[tuple[int, int]] = []
    minimum_heap_size(days, Heap4, progress=lambda done, total: seen.append((done, total)))
    assert seen[0][1] == 5 * count * 29


def test_progress_learns_how_much_a_search_takes() -> None:
    """As long as that is not known, as much again as is done is expected."""
    seen: list[tuple[int, int]] = []
    rounds = Rounds(lambda done, total: seen.append((done, total)), 100, 3)
    rounds.next()(100, 100)  # type: ignore[misc]
    search = rounds.search()
    assert search is not None
    for done in (50, 200, 201, 700, 710):
        search(done)
    rounds.next()(40, 100)  # type: ignore[misc]
    rounds.finish()
    assert seen == [
        (100, 300), (150, 300), (300, 300), (301, 800), (800, 800), (810, 1800), (940, 1800),
        (1800, 1800),
    ]  # fmt: skip
    assert Rounds().search() is None
