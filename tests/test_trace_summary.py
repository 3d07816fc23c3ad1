"""What a notebook shows of a trace."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any
from xml.dom.minidom import parseString

import numpy as np

from rtosheap import Trace, data


def test_the_numbers_are_the_trace_s() -> None:
    trace = data.days("server")[0]
    facts = dict(trace.summary())
    assert facts["events"] == (
        f"{len(trace):,}: {trace.allocs:,} malloc, {trace.reallocs:,} realloc, {trace.frees:,} free"
    )
    assert facts["peak of live bytes"] == (
        f"{trace.peak_live_bytes:,}, at event {trace.peak_event:,}"
    )
    assert facts["most live blocks"] == f"{trace.max_live_blocks:,}"
    assert trace.time is not None
    first, last = trace.time[[0, -1]].tolist()
    assert facts["time"] == f"{last - first:,} us, from {first:,} to {last:,}"
    assert facts["tasks"].startswith("16: init, start, ethrx, ")
    assert facts["tasks"].endswith(" and 8 more")
    assert facts["source"] == trace.meta["source"]
    assert facts["file"] == "server-001.trace.gz"
    assert "name" not in facts
    html = trace._repr_html_()
    assert ">trace server-seed001<" in html
    for name, value in facts.items():
        assert f">{name}<" in html
        assert f">{value}<" in html


def test_it_is_escaped_and_well_formed() -> None:
    trace = Trace("m", [0], [8], task=["<net>"], meta={"name": "a<b>&", "what": "<script>"})
    html = trace._repr_html_()
    parseString(html)
    for text in ("a&lt;b&gt;&amp;", "&lt;net&gt;", "&lt;script&gt;"):
        assert text in html
    assert "<script" not in html


def test_an_empty_trace_and_one_of_zeros() -> None:
    assert Trace("", [], []).summary() == [("events", "0: 0 malloc, 0 realloc, 0 free")]
    facts = dict(Trace("mf", [0, 0], [0, 0]).summary())
    assert facts["requests of 0 bytes"] == "1"
    assert facts["never freed"] == "none"
    parseString(Trace("", [], [])._repr_html_())


def test_what_is_lost_and_doubtful_is_shown() -> None:
    trace = Trace("mff", [0, 0, 0], [8, 0, 0], meta={"abi": "LP64"}, strict=False)
    facts = trace.summary()
    assert ("lost, left out or mended", "1 double free") in facts
    assert any(name == "warning" and "64-bit host" in value for name, value in facts)


def opcodes(trace: Trace) -> int:
    """How many instructions of the interpreter it takes to show a trace for the first time."""
    count = 0

    def look(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        trace._repr_html_()
    finally:
        sys.settrace(before)
    return count


def test_no_python_loop_runs_over_the_events() -> None:
    def made(blocks: int) -> Trace:
        ids = np.arange(blocks)
        ops = np.repeat(np.array([ord("m"), ord("f")], np.uint8), blocks)
        sizes = np.concatenate([ids % 100 + 1, 0 * ids])
        return Trace(ops, np.concatenate([ids, ids]), sizes, time=np.arange(2 * blocks))

    made(10)._repr_html_()  # imports
    few, many = opcodes(made(1_000)), opcodes(made(200_000))
    assert few > 100
    assert many < 2 * few
