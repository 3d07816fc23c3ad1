"""The five heaps side by side."""

from __future__ import annotations

import json
import math
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import traces
from needs import LAST_RESORT
from workloads import random_options, random_trace

import rtosheap
from rtosheap import data
from rtosheap.comparison import Comparison, HeapResult, compare, mean_ratios
from rtosheap.comparison.breakdown import PARTS
from rtosheap.kinds import NAMES, heap_class
from rtosheap.sizing import minimum_heap_size
from rtosheap.traces import Trace
from rtosheap.work import spread

QUICK = ["ash-script", "coap-server", "expat-upnp", "gif-anim", "lua-sched", "mosq-pub"]


def events(count: int = 200) -> Trace:
    return random_trace(np.random.default_rng(7), count)


# --------------------------------------------------------------------- numbers


@pytest.mark.parametrize("name", QUICK)
def test_the_breakdown_adds_up(name: str) -> None:
    for row in compare(traces.load(name)):
        check_breakdown(row, traces.load(name))


@pytest.mark.parametrize("seed", range(30))
def test_the_breakdown_adds_up_whatever_the_options(seed: int) -> None:
    rng = np.random.default_rng([5, seed])
    trace = random_trace(rng, int(rng.integers(1, 120)))
    options = random_options(rng, 1)
    options["base_address"] = 0x2000_0000 + int(rng.integers(0, 64))
    for row in compare(trace, **options):
        if not row.error:
            check_breakdown(row, trace)


def check_breakdown(row: HeapResult, trace: Trace) -> None:
    parts = row.breakdown
    assert parts is not None
    assert tuple(parts) == PARTS
    assert all(type(part) is int and part >= 0 for part in parts.values())
    assert sum(parts.values()) == row.size
    assert parts["payload"] == trace.peak_live_bytes
    assert row.external_fragmentation is not None
    assert 0 <= row.external_fragmentation < 1
    if row.heap != "heap_1":
        assert parts["unreclaimed"] == 0
    if row.heap == "heap_1":
        assert parts["headers"] == parts["unsplit"] == row.most_nodes == 0


@pytest.mark.parametrize("name", QUICK)
def test_the_peak_is_the_heap_s_own(name: str) -> None:
    """Against a heap that is driven call by call."""
    trace = traces.load(name)
    for row in compare(trace, heaps=["heap_2", "heap_4"]):
        assert row.size is not None
        assert row.breakdown is not None
        heap = heap_class(row.heap)(row.size)
        live: dict[int, int] = {}
        for event in trace[: trace.peak_event + 1]:
            if event.op == "f":
                heap.free(live.pop(event.id))
                continue
            old = live.pop(event.id, None)
            address = heap.malloc(event.size)
            if old is not None:
                heap.free(old)
            if address is not None:
                live[event.id] = address
        assert row.breakdown["external"] == heap.free_size
        assert row.breakdown["headers"] == 8 * len(live)
        free = [block.size for block in heap.free_blocks()]
        assert row.external_fragmentation == (1 - max(free) / sum(free) if free else 0)


@pytest.mark.parametrize("name", QUICK)
def test_rows_agree_with_sizing_and_replay(name: str) -> None:
    trace = traces.load(name)
    result = compare(trace, heaps=["heap_1", "heap_3", "heap_4"])
    for row in result:
        found = minimum_heap_size(trace, row.heap)
        for field in ("size", "ratio", "witness", "exact", "advice_size", "advice_fails_at"):
            assert getattr(row, field) == getattr(found, field)
        replay = rtosheap.replay(trace, heap_class(row.heap)(row.size), record=())
        assert replay.failures == 0
        assert (row.most_nodes, row.most_nodes_event) == (
            replay.most_nodes,
            replay.most_nodes_event,
        )


def test_heap_5_by_default_and_with_regions() -> None:
    trace = traces.load("coap-server")
    row = compare(trace, heaps=["heap_5"])["heap_5"]
    half = minimum_heap_size(trace, "heap_4").size // 2
    assert row.regions is not None
    assert row.regions[0] == (0x2000_0000, half // 8 * 8)
    assert f"a first region of {half // 8 * 8:,} bytes at 0x20000000, half of heap_4" in row.note
    regions = [(0x1000_0000, 5000), (0x2000_0000, None)]
    row = compare(trace, regions=regions, heaps=["heap_5"])["heap_5"]
    assert row.size == minimum_heap_size(trace, "heap_5", regions=regions).size
    assert row.note == ""


def test_best_does_not_come_from_regions_that_were_made_up() -> None:
    trace = traces.load("coap-server")
    result = compare(trace)
    assert result["heap_5"].size < result["heap_4"].size  # type: ignore[operator]
    assert result.best is result["heap_4"]
    assert "heap_4 serves coap-server with the least memory" in result.verdict
    first = result["heap_5"].regions[0]  # type: ignore[index]
    given = compare(trace, regions=[first, (0x3000_0000, None)])
    assert given.best is given["heap_5"]
    assert compare(trace, heaps=["heap_5"]).best is not None


# --------------------------------------------------------------------- at a size


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor, ProcessPoolExecutor])
def test_failures_at_a_size(executor: Any) -> None:
    trace = traces.load("coap-server")
    if executor is None:
        result = compare(trace, heap_size=33_000)
    else:
        with executor(2) as pool:
            result = compare(trace, heap_size=33_000, executor=pool)
    for row in result:
        if row.heap == "heap_5":
            assert row.regions is not None
            first, (address, _) = row.regions
            heap: Any = rtosheap.Heap5([first, (address, 33_000 - first[1])])
        else:
            heap = heap_class(row.heap)(33_000)
        replay = rtosheap.replay(trace, heap)
        assert row.failures == replay.failures
        assert row.failure_event == replay.first_failure
        assert replay.first_failure is not None
        reason = ("none", "exhaustion", "fragmentation")[replay["failure"][replay.first_failure]]
        assert row.failure_reason == reason
        assert f"{row.heap} fails {row.failures:,} time" in result.verdict
    assert "failures in 33,000" in str(result)
    assert [row.heap for row in result] == list(NAMES)


def test_a_size_that_serves_and_one_that_cannot_be() -> None:
    result = compare(events(), heap_size=1 << 20)
    assert all(row.failures == 0 and row.failure_reason is None for row in result)
    assert "heap_4 serves all" in result.verdict
    result = compare(events(), heap_size=4)
    assert all(row.failures is None and row.failure_reason for row in result)
    assert "heap_4 cannot be set up" in result.verdict


def test_an_executor_gives_the_same() -> None:
    trace = traces.load("ash-script")
    alone = compare(trace, word_size=8, alignment=16)
    with ProcessPoolExecutor(2) as executor:
        parted = compare(trace, word_size=8, alignment=16, executor=executor)
    assert parted == alone
    assert pickle.loads(pickle.dumps(alone)) == alone


# --------------------------------------------------------------------- words


def test_when_nothing_is_freed_heap_1_will_do() -> None:
    result = compare(Trace("mmm", range(3), [100, 20, 40]))
    assert result.best is result["heap_1"]
    assert "heap_1 will do" in result.verdict
    assert result["heap_1"].verdict.endswith("and will do: nothing is ever freed")


def test_verdicts_name_the_reason() -> None:
    result = compare(traces.load("frtos-cm3-mixed")[:6000], newlib="4.1.0")
    assert "it never merges what is freed" in result["heap_2"].verdict
    assert "it takes nothing back" in result["heap_1"].verdict
    assert "with the least memory" in result["heap_4"].verdict
    assert "free-list entries" in result["heap_4"].verdict
    assert 'Total minus minimum ever free" would have said' in result.verdict


def test_a_heap_that_cannot_serve_is_a_row() -> None:
    trace = Trace("mm", range(2), [100, 20])
    result = compare(trace, word_size=8)
    row = result["heap_3"]
    assert row.size is None
    assert row.error == "newlib-nano is a 32-bit library: heap_3 has no word_size of 8"
    assert row.verdict == "cannot serve this trace"
    assert "heap_3 cannot serve it" in result.verdict
    assert "heap_3: newlib-nano is a 32-bit" in str(result)

    none = compare(Trace("m", [0], [1 << 33]))
    assert none.best is None
    assert all("requests 8589934592 bytes" in row.error for row in none)
    assert none.verdict.startswith("No heap that was asked about")
    assert repr(none) == "<Comparison of 5 heaps: none serves it>"
    json.dumps(none.to_dict())
    assert none._repr_html_()

    high = compare(Trace("m" * 9, range(9), [200] * 9), base_address=(1 << 32) - 2048)
    assert high["heap_1"].error == ""
    assert high["heap_5"].error != ""


def test_a_trace_that_asks_for_nothing() -> None:
    result = compare(Trace("", [], []))
    assert [row.heap for row in result] == list(NAMES)
    assert all(row.ratio == math.inf and row.breakdown is None for row in result)
    assert "heap_1" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["heaps"][0]["ratio"] is None
    zeros = compare(Trace("mf", [0, 0], [0, 0]))
    assert all(sum((row.breakdown or {}).values()) == row.size for row in zeros)
    assert "<table>" in result._repr_html_()


# --------------------------------------------------------------------- as a container


def test_as_a_container() -> None:
    result = compare(events(), heaps=("heap_4", rtosheap.Heap2))
    assert isinstance(result, Sequence)
    assert len(result) == 2
    assert [row.heap for row in result] == ["heap_4", "heap_2"]
    assert result[0] is result["heap_4"] is result[-2]
    assert result[:1] == (result[0],)
    with pytest.raises(KeyError, match="heap_1"):
        result["heap_1"]
    # what pandas.DataFrame asks of its argument
    assert result.columns == HeapResult._fields == result[0]._fields
    assert {len(row) for row in result} == {len(result.columns)}


def test_shown_and_written() -> None:
    result = compare(traces.load("coap-server"))
    text = str(result)
    lines = text.splitlines()
    assert lines[0] == "coap-server: 1,225 events, 30,047 bytes live at the peak"
    assert max(map(len, lines)) <= 110
    for row in result:
        assert f"{row.size:,}" in text
    assert repr(result) == "<Comparison of 5 heaps on 'coap-server': best heap_4, 34,224 bytes>"
    html = result._repr_html_()
    assert html.count("<table>") == 2
    assert "34,224" in html
    written = json.loads(json.dumps(result.to_dict()))
    assert written["best"] == "heap_4"
    assert [row["heap"] for row in written["heaps"]] == list(NAMES)
    assert written["heaps"][3]["breakdown"]["headers"] == 1272


# --------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"heaps": []}, ValueError, "heaps is empty"),
        ({"heaps": ["heap_6"]}, ValueError, "heap is 'heap_6'"),
        ({"heaps": ["heap_4", rtosheap.Heap4]}, ValueError, "each may appear once"),
        ({"heap_size": 0}, ValueError, "heap_size is 0"),
        ({"canaries": 1}, TypeError, "'canaries' is an option of none of heap_1, "),
        ({"heaps": ["heap_1"], "canary": 1}, TypeError, "'canary' is an option of none of heap_1"),
        ({"alignment": 5}, ValueError, "alignment"),
        ({"word_size": 2}, ValueError, "word_size"),
        ({"regions": [(64, 1)]}, ValueError, "last size is None"),
        ({"regions": [(64, 99), (32, None)]}, ValueError, "ascending"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        compare(Trace("m", [0], [8]), **arguments)


def test_one_heap_need_not_be_in_a_list() -> None:
    assert compare(Trace("m", [0], [8]), heaps="heap_4")[0].heap == "heap_4"
    assert compare(Trace("m", [0], [8]), heaps=rtosheap.Heap4)[0].heap == "heap_4"  # type: ignore[arg-type]


def test_options_reach_the_heaps_that_have_them() -> None:
    trace = events()
    result = compare(trace, alignment=32, base_address=0x2000_0001, clear_on_free=True)
    options = {"alignment": 32, "base_address": 0x2000_0001}
    assert result["heap_4"].size == minimum_heap_size(trace, "heap_4", **options).size
    assert result["heap_1"].size == minimum_heap_size(trace, "heap_1", **options).size
    assert result["heap_3"].note == "newlib-nano's own alignment of 8"
    assert result["heap_5"].regions is not None
    assert result["heap_5"].regions[0][0] == 0x2000_0001


@pytest.mark.parametrize("parted", [False, True])
def test_progress(parted: bool) -> None:
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))

    if parted:
        with ThreadPoolExecutor(2) as executor:
            compare(events(), progress=report, executor=executor)
    else:
        compare(events(), progress=report)
    assert seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    def stop(done: int, total: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError):
        compare(events(), progress=stop)
    with pytest.raises(KeyError), ThreadPoolExecutor(2) as executor:
        compare(events(), progress=stop, executor=executor)


def test_an_executor_runs_several_tasks_for_a_heap() -> None:
    class Counting(ThreadPoolExecutor):
        tasks = 0

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            self.tasks += 1
            return super().submit(*args, **kwargs)

    for heap in NAMES:
        for heap_size, expected in ((None, 2), (40_000, 3)):
            with Counting(2) as executor:
                keywords = {"heaps": [heap], "heap_size": heap_size}
                parted = compare(events(), **keywords, executor=executor)
            assert executor.tasks == expected
            assert parted == compare(events(), **keywords)


def test_an_executor_is_given_no_more_tasks_at_once_than_it_says() -> None:
    class Few(ThreadPoolExecutor):
        at_once, given, most = 2, list[Any](), 0

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            self.given.append(super().submit(*args, **kwargs))
            self.most = max(self.most, sum(not one.done() for one in self.given[:-1]))
            return self.given[-1]

    def work(job: int, progress: Any) -> int:
        return 2 * job

    with Few(4) as executor:
        assert spread(work, list(range(20)), executor) == list(range(0, 40, 2))
    assert len(executor.given) == 20
    assert executor.most <= 1


def test_progress_moves_within_a_task() -> None:
    """Where an executor can tell, what is done of a task counts before it has ended."""
    moved, told = threading.Event(), dict[int, float]()

    class Telling(ThreadPoolExecutor):
        def report(self, task: int) -> Any:
            return lambda done, total: told.update({task: done / total})

        def share(self, task: int) -> float:
            return told.get(task, 0.0)

    def work(job: int, progress: Any) -> int:
        progress(1, 4)
        assert moved.wait(LAST_RESORT)
        return 2 * job

    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))
        if done == total * 3 // 12:
            moved.set()

    with Telling(3) as executor:
        assert spread(work, [1, 2, 3], executor, report) == [2, 4, 6]
    assert (750, 3000) in seen
    assert seen[-1] == (3000, 3000)


def test_progress_is_told_while_a_heap_is_searched() -> None:
    """Of every so many events, whatever is done with them."""
    trace, seen = traces.load("tls-client-ec"), dict[str, list[int]]()
    for heap in NAMES:
        told: list[int] = seen.setdefault(heap, [])
        compare(trace, heaps=[heap], progress=lambda done, _, told=told: told.append(done))
        assert len(told) > 100
        # a step where the plan is another; the last one says that all is done
        assert max(np.diff([0, *told[:-1]])) <= 1000 // 5


def test_a_comparison_is_frozen() -> None:
    result: Comparison = compare(Trace("m", [0], [8]))
    with pytest.raises(AttributeError):
        result.verdict = ""  # type: ignore[misc]


def test_heap_5_without_regions_says_why_it_has_none():
    trace = Trace("m", id=[0], size=[1 << 33])
    row = compare(trace, heaps=["heap_4", "heap_5"])["heap_5"]
    assert row.error.startswith("heap_5 was given no regions, and heap_4's minimum")


def test_a_heap_5_whose_first_regions_are_more_than_was_asked_about() -> None:
    """Its row says so in words of its own, and the summary what is not to blame."""
    trace = rtosheap.data.load("coap-server")
    regions = [(0x1000_0000, 800 << 10), (0x2000_0000, None)]
    result = compare(trace, heaps=["heap_5"], regions=regions, heap_size=44 << 10)
    reason = "its regions but the last have 819200 bytes"
    assert result["heap_5"].failure_reason == reason
    assert f"heap_5 cannot be set up ({reason})" in result.verdict
    found = minimum_heap_size(trace, "heap_5", regions=regions)
    assert ("needed by", "the last region itself: none smaller can be constructed") in (
        found.summary()
    )
    assert found.advice_fails_at is None


def test_the_mean_over_programs_is_geometric_and_the_least_first() -> None:
    heaps = ("heap_1", "heap_2", "heap_4")
    results = [compare(data.load(name), heaps=heaps) for name in ("coap-server", "expat-upnp")]
    means = mean_ratios(results)
    ratios = {heap: [result[heap].ratio for result in results] for heap in means}
    assert ratios["heap_4"] == [34224 / 30047, 7936 / 7479]
    for heap, (one, other) in ratios.items():
        assert means[heap] == pytest.approx((one * other) ** 0.5, rel=1e-12)
    assert list(means) == ["heap_4", "heap_2", "heap_1"]
    assert mean_ratios(iter(results)) == means


def test_a_heap_that_does_not_serve_all_programs_has_no_mean() -> None:
    huge = Trace("mm", id=[0, 1], size=[8, 2**32 - 100])
    small = Trace("m", id=[0], size=[8])
    results = [compare(small, heaps=("heap_2", "heap_4")), compare(huge, heaps="heap_2")]
    assert mean_ratios(results) == {"heap_2": None, "heap_4": None}
    assert mean_ratios(results[:1])["heap_4"] == pytest.approx(3.0)


def test_a_program_that_keeps_nothing_does_not_count_in_the_mean() -> None:
    small, none = (
        compare(trace, heaps="heap_4")
        for trace in (Trace("m", id=[0], size=[8]), Trace("", id=[], size=[]))
    )
    assert mean_ratios([small, none]) == mean_ratios([small]) == {"heap_4": pytest.approx(3.0)}
    assert mean_ratios([none]) == {"heap_4": None}
    assert mean_ratios([]) == {}


def test_one_event_of_one_byte() -> None:
    said = str(compare(Trace("m", [0], [1]), heaps=["heap_4"]))
    assert said.startswith("trace: 1 event, 1 byte live at the peak\n")
