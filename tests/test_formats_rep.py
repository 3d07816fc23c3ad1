"""CMU's .rep: its forms and quirks, its errors, and what it cannot hold."""

from __future__ import annotations

import pytest
from trace_files import load, saved
from trace_strategies import make

from rtosheap.traces import Dropped, TraceError, TraceWarning

pytestmark = pytest.mark.filterwarnings("error")

EVENTS = "a 0 512\na 1 128\nr 0 640\nf 1\nf 0\n"


@pytest.mark.parametrize(
    "data",
    [
        "20000\n2\n5\n1\n" + EVENTS,  # old: suggested heap size, ids, events, weight
        "1\n2\n5\n768\n" + EVENTS,  # since 2016: weight, ids, events, peak
        "2\n5\n" + EVENTS,
        ("20000\n2\n5\n1\n" + EVENTS).replace("\n", "\r\n"),
        "\n 2 \n\n5\n\n" + EVENTS.replace("\n", " \n\n").replace(" ", "\t"),
        "2\n5\n" + EVENTS.replace("\n", " "),
        "2\n5\n" + EVENTS.replace(" ", "\n"),
        "2\n5\n" + EVENTS.rstrip("\n"),
    ],
)
def test_rep_in_every_form(data):
    format_ = "rep" if "a\n" in data else None
    trace = load(data.encode(), format=format_)
    assert [event[:3] for event in trace] == [
        ("m", 0, 512),
        ("m", 1, 128),
        ("r", 0, 640),
        ("f", 1, 0),
        ("f", 0, 0),
    ]
    assert not trace.dropped
    assert trace.meta["rep_header"].split()[-1 - (len(data.split("a")[0].split()) == 4)] == "5"


@pytest.mark.parametrize(
    ("lines", "events", "dropped"),
    [
        ("a 0 8|f -1|f 0", "m 0 8|f 0 0", Dropped(free_null=1)),
        ("r 3 8|r 3 9|f 3", "m 3 8|r 3 9|f 3 0", Dropped()),
        ("a 0 8|r 0 0|a 0 9", "m 0 8|f 0 0|m 0 9", Dropped()),
        ("a 0 8|r 0 0|r 0 0|r 0 7", "m 0 8|f 0 0|m 0 7", Dropped(free_null=1)),
        ("a 0 8|f 0|r 0 7|f 0|a 0 1", "m 0 8|f 0 0|m 0 7|f 0 0|m 0 1", Dropped()),
        ("a 0 0|f 0", "m 0 0|f 0 0", Dropped()),
    ],
)
def test_rep_quirks(lines, events, dropped):
    wanted = [(op, int(id_), int(size)) for op, id_, size in map(str.split, events.split("|"))]
    count = lines.count("|") + 1
    body = lines.replace("|", "\n")
    trace = load(f"9\n{count}\n{body}\n".encode())
    assert [event[:3] for event in trace] == wanted
    assert trace.dropped == dropped
    more = load(f"9\n{count}\n{body}\na 77 5\nf 9999\nnonsense\n".encode())
    assert more == trace
    assert more.dropped == dropped._replace(past_count=3)


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (f"1\n1\n1\n{10**22 + 1}\na 0 8\n", 4, f"is {10**22 + 1}; it must be from 0 to {10**22}"),
        ("1\n2\n3\na 0 8\n", 4, "3 leading lines hold a single integer; it must be 4 .* or 2"),
        ("1\n2\n3\n4\n5\na 0 8\n", 5, "more than 4 leading lines hold a single integer"),
        ("a 0 8\n", 1, "0 leading lines hold a single integer"),
        ("1\n1\nx 0 8\n", 3, "unknown event 'x'; it must be a, r or f"),
        ("1\n1\n\nm 0 8\n", 4, "unknown event 'm'; it must be a, r or f"),
        ("1\n1\na 0\n", 3, "'a 0' must be 'a <id> <bytes>'"),
        ("1\n1\nf 0 8\n", 3, "'f 0 8' must be 'f <id>'"),
        ("1\n1\na -1 8\n", 3, "the id is -1; it must be from 0"),
        ("1\n1\nr -1 8\n", 3, "the id is -1; it must be from 0"),
        ("1\n1\na 0 -8\n", 3, "the size is -8; it must be from 0"),
        ("1\n1\na 0 x\n", 3, "the size is 'x'; it must be an integer"),
        ("1\n2\na 0 8\nf 1\n", 4, "event 1: free of id 1, which was never allocated"),
        ("1\n3\na 0 8\nf 0\nf 0\n", 5, "event 2: free of id 0, which was freed by event 1"),
        ("1\n2\na 0 8\na 0 8\n", 4, "event 1: malloc of id 0, which is still live since event 0"),
        ("1\n5\na 0 8\nf 0\n", 4, "the header states 5 events, the file has 2; it was cut short"),
    ],
)
def test_rep_errors(data, line, message):
    with pytest.raises(TraceError, match=message) as caught:
        load(data.encode(), format="rep")
    assert caught.value.line == line


def test_a_peak_may_be_larger_than_64_bits():
    assert load(f"1\n1\n1\n{10**22}\na 0 8\n").meta["rep_header"] == f"1 1 1 {10**22}"


def test_rep_not_strict():
    trace = load(b"1\n5\na 0 8\nx 1 2\na 1\nf 0\nf 0\n", format="rep", strict=False)
    assert len(trace) == 2
    assert trace.dropped == Dropped(bad_line=2, double_free=1)
    with pytest.warns(TraceWarning, match="the header states 5 events, the file has 1"):
        load(b"1\n5\na 0 8\n", strict=False)


def test_rep_as_written(tmp_path):
    trace = make(("m", 0, 8), ("r", 0, 20), ("m", 2, 5), ("f", 0))
    path = saved(trace, tmp_path, "x.rep")
    assert path.read_text() == "1\n3\n4\n25\na 0 8\nr 0 20\na 2 5\nf 0\n"


def test_rep_says_what_it_loses(tmp_path):
    trace = make(("m", 10**9, 8, 1, "a"), ("r", 10**9, 0, 2), ("f", 10**9, 3), meta={"name": "x"})
    with pytest.warns(TraceWarning) as caught:
        trace.save(tmp_path / "x.rep")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert str(caught[0].message) == (
        f"{tmp_path / 'x.rep'}: .rep cannot hold times; nor tasks; nor the trace's meta (name); "
        "nor reallocs to 0 bytes that do not free (1, written as f and a); "
        "nor ids much larger than their number (renumbered)"
    )
    assert (tmp_path / "x.rep").read_text() == "1\n1\n4\n8\na 0 8\nf 0\na 0 0\nf 0\n"
