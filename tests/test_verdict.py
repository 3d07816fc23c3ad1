"""What a comparison says never contradicts its rows: each claim is parsed out of the words and
derived again from the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtosheap import compare, data
from rtosheap.comparison import HeapResult
from rtosheap.comparison._verdict import best, judged, overall
from rtosheap.comparison.breakdown import PARTS
from rtosheap.kinds import NAMES
from rtosheap.traces import Trace

#: 100 bytes are live at the peak; one has a free.
KEEPS = Trace("m", [0], [100], meta={"name": "program"})
FREES = Trace("mmf", [0, 1, 0], [60, 40, 0], meta={"name": "program"})
_BESIDE = (
    r"(?:(?P<share>[\d.]+)% (?P<way>more|less)|(?P<bytes>[\d,]+) bytes? (?P<by>more|less)"
    r"|(?P<times>[\d,.]+) times as much|(?P<same>as much))"
)
_NUMBER = r"[\d,]+"


def number(text: str) -> int:
    return int(text.replace(",", ""))


def check_beside(found: re.Match[str], size: int, least: int) -> None:
    """What is said of a size beside another is so, and is not said of one where it is nothing."""
    if found["same"]:
        assert size == least
    elif found["times"]:
        assert float(found["times"].replace(",", "")) == pytest.approx(size / least, abs=0.051)
        assert size >= 2 * least
    elif found["bytes"]:
        sign = 1 if found["by"] == "more" else -1
        assert size - least == sign * number(found["bytes"]) != 0
    else:
        share, sign = float(found["share"]), 1 if found["way"] == "more" else -1
        assert sign * share / 100 == pytest.approx((size - least) / least, abs=0.00051)
        assert share > 0
        assert sign > 0 or share < 100


def check_standing(text: str, row: HeapResult, rows: Sequence[HeapResult], given: bool) -> None:
    """How the best one is said to stand."""
    sizes = {one.heap: one.size for one in rows if one.size is not None}
    made_up = {heap for heap in sizes if heap == "heap_5" and not given}
    assert row.size is not None
    if "with the least memory" in text:
        assert len(sizes) > 1
        one_region = "with the least memory in one region" in text
        beside = sizes.keys() - made_up if one_region else sizes.keys()
        assert all(row.size <= sizes[heap] for heap in beside)
        assert not one_region or min(sizes.values()) < row.size
    else:
        assert len(sizes) == 1
    found = re.search(rf"(?:in|memory:|region:) ({_NUMBER}) bytes?", text)
    assert found is not None
    assert number(found[1]) == row.size


def check(
    rows: Sequence[HeapResult], verdict: str, size: int | None, given: bool, peak: int
) -> None:
    """All that is said in the verdict, and in those of the rows."""
    sizes = {row.heap: row.size for row in rows}
    served = {heap: found for heap, found in sizes.items() if found is not None}
    if not served:
        assert verdict.startswith("No heap that was asked about")
        assert all(row.verdict.startswith("cannot serve") for row in rows)
        return
    first = re.match(r"(Only )?(\S+) serves .*?\.(?= |$)", verdict)
    assert first is not None
    least = next(row for row in rows if row.heap == first[2])
    assert least.size is not None
    check_standing(first[0], least, rows, given)
    assert (first[1] is not None) == (len(served) == 1 < len(rows))
    ratio = re.search(r"([\d.]+) times the peak of ([\d,]+) live byte", first[0])
    assert (ratio is None) == (peak == 0)
    if ratio is not None:
        assert float(ratio[1]) == pytest.approx(least.size / peak, abs=0.00051)
        assert number(ratio[2]) == peak

    spoken = {
        found["heap"]: found
        for found in re.finditer(rf"(?P<heap>heap_\d) (?:needs )?{_BESIDE}", verdict)
    }
    assert spoken.keys() == served.keys() - {least.heap}
    for heap, found in spoken.items():
        check_beside(found, served[heap], least.size)
    assert list(spoken) == sorted(spoken, key=lambda heap: served[heap])
    failing = set(re.findall(r"(heap_\d) cannot serve it", verdict))
    assert failing == sizes.keys() - served.keys()

    for row in rows:
        if row.size is None:
            assert row.verdict.startswith("cannot serve")
        elif row.heap == least.heap:
            check_standing(row.verdict, row, rows, given)
        else:
            beside = re.match(rf"needs {_BESIDE} (?:than|as) {least.heap}", row.verdict)
            assert beside is not None
            check_beside(beside, row.size, least.size)
        reads = re.search(rf"one call reads up to ({_NUMBER}) free-list entr(y|ies)", row.verdict)
        assert (reads is not None) == bool(row.size is not None and row.most_nodes)
        if reads is not None:
            assert number(reads[1]) == row.most_nodes
        if "never merges" in row.verdict:
            assert row.size is not None
            assert row.size > least.size

    check_peak(verdict, least)
    check_reads(verdict, rows)
    check_advice(verdict, least, peak)
    check_at_size(verdict, rows, size)


def check_peak(verdict: str, least: HeapResult) -> None:
    found = re.search(
        rf"({_NUMBER}) bytes? of it(?: \(([\d.]+)%\))? w\w+ not requested, the largest part of "
        rf"that ([^.(]+) \(({_NUMBER})\)",
        verdict,
    )
    parts = {} if least.breakdown is None else dict(least.breakdown)
    parts.pop("payload", 0)
    assert (found is None) == (not sum(parts.values()) or not least.size)
    if found is not None:
        assert least.size is not None
        assert number(found[1]) == sum(parts.values())
        assert number(found[4]) == max(parts.values())
        if found[2] is not None:
            share = sum(parts.values()) / least.size
            assert float(found[2]) / 100 == pytest.approx(share, abs=0.00051)
            assert (float(found[2]) == 100) == (share == 1)


def check_reads(verdict: str, rows: Sequence[HeapResult]) -> None:
    found = re.search(r"One call reads up to (.*?)\.(?: |$)", verdict)
    words = "" if found is None else found[1]
    pairs = re.findall(rf"({_NUMBER})(?: free-list entr\w+)? in (heap_\d)", words)
    said = {heap: number(count) for count, heap in pairs}
    assert said == {row.heap: row.most_nodes for row in rows if row.most_nodes}


def check_advice(verdict: str, least: HeapResult, peak: int) -> None:
    found = re.search(
        rf"would have said ({_NUMBER}) bytes? for (\S+), which (serves|fails)", verdict
    )
    assert (found is None) == (least.advice_size is None or not peak)
    if found is not None:
        assert (number(found[1]), found[2]) == (least.advice_size, least.heap)
        assert (found[3] == "fails") == (least.advice_fails_at is not None)


def check_at_size(verdict: str, rows: Sequence[HeapResult], size: int | None) -> None:
    _, begin, said = verdict.partition(f"In {size:,} bytes: " if size is not None else "\0")
    fails = {heap: number(n) for heap, n in re.findall(rf"(\S+) fails ({_NUMBER}) time", said)}
    fails |= dict.fromkeys(re.findall(r"(\S+) serves all", said), 0)
    counted = {row.heap: row.failures for row in rows if row.failures is not None}
    assert fails == (counted if size is not None else {})
    assert bool(begin) or not fails


SIZES = st.one_of(
    st.integers(100, 110),
    st.integers(100, 400),
    st.integers(1_000_000, 1_000_008),
    st.integers(1, 10**9),
)


@st.composite
def results(draw: Any) -> list[HeapResult]:
    """Rows as they might be, of one heap or several."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    rows = []
    for name in names:
        size = draw(st.none() | SIZES)
        if size is None:
            rows.append(HeapResult(name, error="that"))
            continue
        free = draw(st.integers(0, min(size, 100)))
        headers = draw(st.integers(0, size - free))
        parts = dict.fromkeys(PARTS, 0) | {"external": free, "headers": headers}
        parts["payload"] = size - free - headers
        failures = draw(st.none() | st.integers(0, 3))
        rows.append(
            HeapResult(
                name,
                size=size,
                ratio=size / 100,
                exact=draw(st.booleans()),
                safe_size=draw(st.none() | st.just(size)),
                advice_size=draw(st.none() | st.just(size) | SIZES),
                advice_fails_at=draw(st.none() | st.integers(0, 3)),
                breakdown=draw(st.none() | st.just(parts)),
                most_nodes=draw(st.none() | st.integers(0, 2000)),
                failures=failures,
                failure_event=0 if failures else None,
                failure_reason="exhaustion" if failures else None,
                note="made up" if name == "heap_5" else "",
            )
        )
    return rows


@given(results(), st.booleans(), st.sampled_from([KEEPS, FREES]), st.none() | st.just(4096))
def test_no_verdict_contradicts_made_up_rows(
    rows: list[HeapResult], regions_given: bool, trace: Trace, size: int | None
) -> None:
    if regions_given:
        rows = [row._replace(note="") for row in rows]
    least = best(rows, regions_given=regions_given)
    verdict = overall(rows, least, [trace], size)
    check(judged(rows, least, [trace]), verdict, size, regions_given, 100)


def check_compared(given: Any, **options: Any) -> None:
    result = compare(given, **options)
    size, regions = options.get("heap_size"), "regions" in options
    check(result.results, result.verdict, size, regions, result.peak_live_bytes)
    if result.best is not None:
        first = re.match(r"(?:Only )?(\S+) serves", result.verdict)
        assert first is not None
        assert first[1] == result.best.heap


@pytest.mark.parametrize("name", data.names())
def test_no_verdict_contradicts_its_table(name: str) -> None:
    trace = data.load(name)
    check_compared(trace, heap_size=trace.peak_live_bytes * 5 // 4)


@pytest.mark.parametrize("heap", NAMES)
def test_one_heap_is_never_the_least(heap: str) -> None:
    trace = data.load("coap-server")
    check_compared(trace, heaps=[heap])
    assert "least" not in compare(trace, heaps=[heap]).verdict


def test_in_given_regions_heap_5_counts_as_the_others() -> None:
    regions = [(0x1000_0000, 5000), (0x2000_0000, None)]
    check_compared(data.load("coap-server"), regions=regions)


@pytest.mark.parametrize("firmware", ["gateway", "recorder", "server"])
def test_no_verdict_of_several_days_contradicts_its_table(firmware: str) -> None:
    check_compared(data.days(firmware), heap_size=60_000)


def test_two_days_in_words() -> None:
    check_compared([KEEPS, FREES], heap_size=128)


def test_what_serves_alone_and_what_takes_nothing_back() -> None:
    only = compare(KEEPS, word_size=8, heaps=["heap_3", "heap_1"])
    assert only.verdict.startswith("Only heap_1 serves program in ")
    assert "Nothing is ever freed, so heap_1 will do" in only.verdict
    assert "But it takes nothing back." in compare(FREES, heaps=["heap_1"]).verdict
