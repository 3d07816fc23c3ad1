"""CSV, .npz and CMU's .rep: their forms, their errors, and what they cannot hold."""

from __future__ import annotations

import gzip
import io
import json
import pickle

import numpy as np
import pytest
from trace_strategies import make

from rtosheap import formats
from rtosheap.trace import Dropped, Event, Trace, TraceError, TraceWarning

pytestmark = pytest.mark.filterwarnings("error")


def load(data, **options):
    return Trace.load(io.BytesIO(data), **options)


def saved(trace, folder, name):
    path = folder / name
    trace.save(path)
    return path


# ---------------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    "data",
    [
        b"op,id,size\nm,1,8\nf,1,0\n",
        b"op,id,size\r\nm,1,8\r\nf,1,\r\n",
        b"Size, OP ,Id\n8,m,1\n\n ,f, 1",
        b'\xef\xbb\xbf"op","id","size"\n"m","1","8"\n"f","1","0"\n',
        b"op,id,size,time,task\nm,1,8,,\nf,1,0,,\n",
        gzip.compress(b"op,id,size\nm,1,8\nf,1,0\n"),
    ],
)
def test_csv_in_every_form(data):
    trace = load(data)
    assert list(trace) == [Event("m", 1, 8), Event("f", 1, 0)]


def test_csv_with_times_and_tasks(tmp_path):
    trace = make(("m", 1, 8, 5, 'a"b,c'), ("f", 1, 6))
    path = saved(trace, tmp_path, "x.csv")
    assert path.read_text() == 'op,id,size,time,task\nm,1,8,5,"a""b,c"\nf,1,0,6,\n'
    assert Trace.load(path) == trace
    assert load(b"task,time,op,id,size\na,5,m,1,8\n")[0] == Event("m", 1, 8, 5, "a")
    assert load(b"op,id,size,task\nm,1,8,a\n")[0] == Event("m", 1, 8, None, "a")


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"op,id\nm,1\n", 1, r"no column 'size'; the columns are op,id,size\[,time\[,task\]\]"),
        (b"op,id,size,color\n", 1, "the column 'color' is unknown; the columns are op,id,size"),
        (b"op,id,size,id\n", 1, "the column 'id' stands twice"),
        (b"op,id,size\nm,1\n", 2, "2 fields; the header names 3: op,id,size"),
        (b"op,id,size\nm,1,8,9\n", 2, "4 fields; the header names 3"),
        (b"op,id,size\n\nmalloc,1,8\n", 3, "unknown event 'malloc'; it must be m, r or f"),
        (b"op,id,size\nm,,8\n", 2, "the id is ''; it must be an integer"),
        (b"op,id,size\nm,1,\n", 2, "the size is ''; it must be an integer"),
        (b"op,id,size\nm,1,8\nf,1,8\n", 3, "the size is 8 on a free; a free has none"),
        (b"op,id,size\nm,1,8\nf,2,\n", 3, "event 1: free of id 2, which was never"),
        (b"op,id,size,time\nm,1,8,5\nm,2,8,\n", 3, "event 1 has no time, unlike those before"),
        (b"op,id,size,time\nm,1,8,5\nm,2,8,1\n", 3, "event 1: time 1 is before 5"),
        (b"op,id,size,task\nm,1,8,a b\n", 2, "task 'a b' is not a word"),
        (b"op,id,size,task\nm,1,8,\xff\n", 2, "is not a word"),
        (b'op,id,size\nm,1,"8\n', 2, "unexpected end of data"),
    ],
)
def test_csv_errors(data, line, message):
    with pytest.raises(TraceError, match=message) as caught:
        load(data)
    assert caught.value.line == line
    if line > 1:
        assert load(data, strict=False).dropped


def test_csv_lost():
    lost = formats.WRITERS[".csv"].lost
    assert lost(make(("m", 1, 8), meta={"events": "1"})) == []
    assert lost(make(("m", 1, 8), meta={"a": "1", "b": "2"})) == ["the trace's meta (a, b)"]


# ---------------------------------------------------------------------- npz


def npz(**changes):
    """The bytes of a small .npz, with arrays changed, or left out where they are None."""
    arrays = {
        "rtosheap_trace": np.array(1),
        "op": np.array([109, 102], np.uint8),
        "id": np.array([1, 1]),
        "size": np.array([8, 0], np.uint64),
        "meta": np.frombuffer(b"{}", np.uint8),
    }
    arrays.update(changes)
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return file.getvalue()


def as_bytes(text_):
    return np.frombuffer(text_.encode(), np.uint8)


def test_npz_is_read():
    assert list(load(npz())) == [Event("m", 1, 8), Event("f", 1, 0)]
    named = {"task_codes": np.array([2, -1]), "task_names": as_bytes("a\nb\nc")}
    trace = load(npz(**named))
    assert trace.task_names == ("c",)  # only what is in use
    assert trace[0].task == "c"
    assert load(gzip.compress(npz())) == load(npz())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rtosheap_trace": None}, "holds no array 'rtosheap_trace', so it was not written by"),
        ({"rtosheap_trace": np.array(2)}, "the version is 2; this reads version 1"),
        ({"rtosheap_trace": np.array([1, 1])}, "the version is .*; this reads version 1"),
        ({"op": None}, "holds no array 'op'"),
        ({"op": np.array([109, 7], np.uint8)}, r"op\[1\] is .*7\)?; it must be 'm'"),
        ({"id": np.array([1.0, 1.0])}, "id must hold integers, not float64"),
        ({"id": np.array([1, -1])}, r"id\[1\] is -1; it must be from 0"),
        ({"size": np.array([8, 4])}, r"size\[1\] is 4 on a free"),
        ({"size": np.array([8])}, "the arrays differ in length: {'op': 2, 'id': 2, 'size': 1}"),
        ({"time": np.array([8])}, "the arrays differ in length: .*'time': 1"),
        ({"time": np.array([8, 7])}, "event 1: time 7 is before 8"),
        ({"id": np.array([1, 2])}, "event 1: free of id 2, which was never allocated"),
        ({"id": np.array([[1, 2]])}, "id must have one dimension"),
        ({"id": np.array([1, None], dtype=object)}, "is no .npz file of plain arrays"),
        ({"meta": as_bytes("[]")}, r"meta is \[\]; it must be an object"),
        ({"meta": as_bytes("{")}, "an array is not as Trace.save writes it"),
        ({"meta": as_bytes('{"a": 5}')}, "meta value 5 of 'a' is not a str"),
        ({"task_codes": np.array([0, 0])}, "an array is not as Trace.save writes it: 'task_names'"),
        (
            {"task_codes": np.array([0, 1]), "task_names": as_bytes("a")},
            r"task_codes\[1\] is 1; it must be from -1 to 0",
        ),
        (
            {"task_codes": np.array([0, 1]), "task_names": as_bytes("a\na")},
            "task_names holds a name twice",
        ),
        (
            {"task_codes": np.array([0, 1]), "task_names": as_bytes("a\nb c")},
            "task_names holds 'b c', which is not a word",
        ),
    ],
)
def test_npz_errors(tmp_path, changes, message):
    path = tmp_path / "bad.npz"
    path.write_bytes(npz(**changes))
    with pytest.raises(TraceError, match=message) as caught:
        Trace.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_npz_that_is_cut_or_garbled():
    data = npz()
    with pytest.raises(TraceError, match=r"is no \.npz file of plain arrays"):
        load(data[:-50])
    with pytest.raises(TraceError, match=r"is no \.npz file of plain arrays"):
        load(data[:40] + b"garbage" + data[47:])
    with pytest.raises(TraceError, match=r"is no \.npz file of plain arrays"):
        load(pickle.dumps([1]), format="npz")


def test_npz_holds_no_pickles(tmp_path):
    trace = make(("m", 1, 8, 5, "zäh"), meta={"name": "ü"})
    path = saved(trace, tmp_path, "x.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert all(array.dtype.kind in "iu" for array in dict(archive).values())
        assert json.loads(archive["meta"].tobytes()) == {"name": "ü"}


# ---------------------------------------------------------------------- .rep


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
        ("1\n2\n3\na 0 8\n", 4, "3 leading lines hold a single integer; it must be 4 .* or 2"),
        ("1\n2\n3\n4\n5\na 0 8\n", 6, "5 leading lines hold a single integer"),
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
