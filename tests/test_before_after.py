"""Before and after a change: one table, its sum, and words that agree with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.dom.minidom import parseString

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from rtosheap import compare, data, plot
from rtosheap.comparison import BeforeAfter, Comparison, HeapResult, compare_what_if
from rtosheap.kinds import NAMES
from rtosheap.traces import Trace, _change, changes

LOG = Trace(
    "mmmmff",
    [0, 1, 2, 3, 1, 2],
    [2000, 100, 20, 300, 0, 0],
    task=["main", "net", "net", "ui", "net", "net"],
    meta={"name": "<log>"},
)


def comparison(sizes: list[int | None]) -> Comparison:
    rows = tuple(HeapResult(heap, size=size) for heap, size in zip(NAMES, sizes, strict=False))
    served = [row for row in rows if row.size is not None]
    best = min(served, key=lambda row: row.size or 0, default=None)
    return Comparison(rows, "log", 1, 1, None, best, "")


SIZES = st.none() | st.integers(1000, 1010) | st.integers(1, 10**6)


@given(st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=5), st.integers(0, 20))
def test_the_words_are_those_of_the_table(
    sizes: list[tuple[int | None, int | None]], outside: int
) -> None:
    before, after = (comparison([pair[at] for pair in sizes]) for at in (0, 1))
    result = BeforeAfter("round:8", before, after, outside)
    first, _, best = result.verdict.partition("The best heap")
    kinds = {"a gain for": 1, "a loss for": -1, "no difference for": 0}
    said: dict[str, int] = {}
    sign = 0
    for word in re.findall(rf"{'|'.join(kinds)}|heap_\d \([\d,]+ byte|heap_\d", first):
        if word in kinds:
            sign = kinds[word]
        elif "(" in word:
            heap, _, count = word.removesuffix(" byte").partition(" (")
            said[heap] = sign * int(count.replace(",", ""))
        elif not sign:
            said.setdefault(word, 0)
    gains = {row.heap: row.gain for row in result.rows() if row.gain is not None}
    for row in result.rows():
        if row.gain is None:
            said.pop(row.heap, None)
            assert f"{row.heap}" in first
            assert "can serve" in first
        else:
            assert row.before == (row.after or 0) + outside + row.gain
    assert said == gains
    if best and before.best and after.best:
        assert before.best.size is not None
        assert after.best.size is not None
        difference = before.best.size - after.best.size - outside
        assert ("a gain of" in best, "a loss of" in best) == (difference > 0, difference < 0)
        assert f"in all: {'the same' if not difference else 'a '}" in best
    assert ", 0.0%" not in result.verdict
    str(result)


def test_text_html_and_json_agree() -> None:
    result = compare_what_if(LOG, "static:size>=1K", "round:32", heaps=["heap_4", "heap_2"])
    row = result.rows()[0]
    assert row.outside == 2000
    assert row.total == (row.after or 0) + 2000
    texts = [f"{value:,}" for value in (row.before, row.after, row.outside, row.total, row.gain)]
    html = result._repr_html_()
    parseString(html)
    assert "&lt;log&gt;" in html
    line = next(line for line in str(result).splitlines() if line.startswith("heap_4"))
    for text in texts:
        assert text in line
        assert f">{text}<" in html
    assert result.verdict in " ".join(str(result).split())
    shown = json.loads(json.dumps(result.to_dict()))
    assert shown["gains"][0] == {
        "heap": "heap_4", "before": row.before, "after": row.after, "outside": 2000,
        "total": row.total, "gain_bytes": row.gain, "gain_ratio": row.gain_ratio,
    }  # fmt: skip
    assert shown["gains_verdict"] == result.verdict
    assert repr(result) == "<BeforeAfter of 2 heaps on '<log>': static:size>=1024; round:32>"


def test_a_change_of_a_changed_trace_counts_its_own_bytes() -> None:
    result = compare_what_if(LOG.what_if("static:size>=1K"), "static:task=ui", heaps=["heap_4"])
    assert (result.changes, result.set_aside) == ("static:task=ui", 300)


def test_a_best_heap_that_another_undercuts_is_said_to_be_of_one_region() -> None:
    result = compare_what_if(data.load("coap-server"), "round:16")
    assert result.before["heap_5"].size < result.before["heap_4"].size  # type: ignore[operator]
    assert "The best heap in one region before it is heap_4, with 34,224 bytes" in result.verdict
    assert "in one region" not in compare_what_if(LOG, "round:16", heaps=["heap_4"]).verdict


def test_one_heap_is_not_the_best() -> None:
    alone = repr(compare(LOG, heaps=["heap_4"]))
    assert alone.startswith("<Comparison of 1 heap on '<log>': heap_4, ")


def test_both_are_drawn_to_one_scale() -> None:
    both = compare_what_if(data.load("coap-server"), "static:size>=1K", heaps=["heap_1", "heap_4"])
    first = plot.comparison(both.before, beside=both.after)
    second = plot.comparison(both.after, beside=both.before, legend=False)
    assert first.get_xlim() == second.get_xlim()
    even = Trace("mm", [0, 1], [96, 96])
    padded = compare_what_if(even, "round:9", heaps=["heap_4"])
    ax = plot.comparison(padded.before, beside=padded.after)
    legend = {text.get_text() for text in ax.get_figure().findobj(Text)}
    assert padded.before[0].breakdown["padding"] == 0  # type: ignore[index]
    assert "padding" in legend
    alone = plot.comparison(both.after)
    assert alone.get_xlim()[1] <= second.get_xlim()[1]


def test_days_are_counted_together() -> None:
    days = data.days("server")[:2]
    result = compare_what_if(days, "pool:size<=64", heaps=["heap_4"], heap_size=60_000)
    most = max(int(day.what_if("pool:size<=64").meta["set_aside_bytes"]) for day in days)
    assert result.rows()[0].outside == most
    assert "2 recordings, what if pool:size<=64" in str(result)
    assert "failures in 60,000" in str(result)
    assert "a loss for heap_4" in result.verdict


def test_progress_is_that_of_both() -> None:
    seen: list[tuple[int, int]] = []
    compare_what_if(
        data.load("coap-server"), "round:8", heaps=["heap_4"],
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_on_the_command_line(run: Any, tmp_path: Path, jobs: str) -> None:
    figure = tmp_path / "both.svg"
    words = ("compare", "coap-server", "--what-if", "static:size>=1K", "--jobs", jobs)
    done = run(*words, "-o", str(figure))
    result = compare_what_if(data.load("coap-server"), "static:size>=1K")
    assert done.out == f"{result}\n\nfigure: {figure}\n"
    assert figure.stat().st_size > 10_000
    shown = run(*words, "--json").json["what_if"]
    assert shown["heaps"] == result.to_dict()["after"]["heaps"]
    assert (shown["changes"], shown["set_aside_bytes"]) == ("static:size>=1K", 4096)
    assert shown["gains"] == result.to_dict()["gains"]


@pytest.mark.parametrize("command", ["compare", "convert"])
def test_help_states_the_grammar(run: Any, command: str) -> None:
    text = run(command, "--help").out
    grammar = text[text.index("\nCHANGES, ") :]
    assert max(map(len, grammar.splitlines())) <= 80
    changes.parse_what_if("region:size<=9")  # registers itself
    for word in _change._PARSERS:
        assert re.search(rf"^  {word}(?=[: ])", grammar, re.MULTILINE), word
    examples = re.findall(r"^  \'(.*?)\'", grammar, re.MULTILINE)
    assert len(examples) >= 5
    for example in [*examples, "round:32,task=net"]:
        assert changes.parse_what_if(example)
        assert example in text
