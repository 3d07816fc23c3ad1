"""CSV: its forms, its errors, and what it cannot hold."""

from __future__ import annotations

import gzip

import pytest
from trace_files import load, saved
from trace_strategies import make

from rtosheap.traces import Event, Trace, TraceError, formats

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    "data",
    [
        b"op,id,size\nm,1,8\nf,1,0\n",
        b"op,id,size\r\nm,1,8\r\nf,1,\r\n",
        b"Size, OP ,Id\n8,m,1\n\n ,f, 1",
        b'\xef\xbb\xbf"op","id","size"\n"m","1","8"\n"f","1","0"\n',
        b"op,id,size,time,task\nm,1,8,,\nf,1,0,,\n",
        gzip.compress(b"op,id,size\nm,1,8\nf,1,0\n", mtime=0),
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
