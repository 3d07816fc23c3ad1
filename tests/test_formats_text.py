"""The text format: as documented, in every form, and with what is wrong in it."""

from __future__ import annotations

import gzip
import pickle

import pytest
from trace_files import MAGIC, load, saved
from trace_strategies import make

from rtosheap.traces import Dropped, Event, Trace, TraceError, TraceWarning

pytestmark = pytest.mark.filterwarnings("error")


def test_text_is_as_documented(tmp_path):
    trace = make(
        ("m", 7, 100, 5, "idle"),
        ("r", 7, 0, 5),
        ("f", 7, 6, "tcpip"),
        meta={"name": "x", "note": ""},
    )
    path = saved(trace, tmp_path, "x.trace")
    assert path.read_text() == (
        "# rtosheap-trace 1\n# name: x\n# note:\nm 7 100 5 idle\nr 7 0 5\nf 7 6 tcpip\n"
    )


def test_text_with_tasks_but_no_times(tmp_path):
    trace = make(("m", 7, 8, None, "idle"), ("f", 7), meta={"time_unit": "ms"})
    path = saved(trace, tmp_path, "x.trace")
    lines = path.read_text().splitlines()
    assert lines[2:] == ["# untimed: the times below are not known", "m 7 8 0 idle", "f 7 0"]
    found = Trace.load(path)
    assert found == trace
    assert found.time is None
    assert found.meta == {"time_unit": "ms"}


@pytest.mark.parametrize(
    "data",
    [
        MAGIC + b"m 1 8\nf 1\n",
        MAGIC + b"m 1 8\nf 1",
        MAGIC + b"\n  \n# name: x\nm 1 8\n#f 1\n# name: y\n\nf 1\n\n",
        MAGIC.replace(b"\n", b"\r\n") + b"m 1 8\r\nf 1\r\n",
        b"\xef\xbb\xbf" + MAGIC + b" m\t1  008 \n f 1",
        gzip.compress(MAGIC + b"m 1 8\nf 1\n", mtime=0),
    ],
)
def test_text_in_every_form(data):
    assert list(load(data)) == [Event("m", 1, 8), Event("f", 1, 0)]


def test_text_header():
    data = (
        MAGIC
        + b"#name:x y\n#  time_unit: ms \n# a remark\n# url http://a\n#k:\n# \nm 1 8\n# z: 1\n"
    )
    trace = load(data)
    assert trace.meta == {"time_unit": "ms", "k": ""}  # a key is followed by a blank or nothing
    assert trace.time_unit == "ms"
    assert load(MAGIC).meta == {}
    assert len(load(MAGIC + b"# name: x")) == 0


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (b"x 1 8", 2, "unknown event 'x'; a line begins with m, r or f"),
        (b"m 1 8\nmalloc 1 8", 3, "unknown event 'malloc'"),
        (b"m 5", 2, r"too few fields in 'm 5'; it must be 'm <id> <size> \[<time> \[<task>\]\]'"),
        (b"m", 2, "too few fields in 'm'"),
        (b"m 1 8\n\n#\nf", 5, r"too few fields in 'f'; it must be 'f <id> \[<time>"),
        (b"m 1 8 5 a b", 2, "too many fields in 'm 1 8 5 a b'; it must be 'm <id>"),
        (b"m 1 8 5 a\nf 1 6 a b", 3, "too many fields in 'f 1 6 a b'; it must be 'f <id>"),
        (b"m a 8", 2, "the id is 'a'; it must be an integer"),
        (b"m 1 8.5", 2, "the size is '8.5'; it must be an integer"),
        (b"m 1 0x10", 2, "the size is '0x10'; it must be an integer"),
        (b"m 1 1_0", 2, "the size is '1_0'; it must be an integer"),
        (b"m 1 +1", 2, r"the size is '\+1'; it must be an integer"),
        ("m 1 \u0661".encode(), 2, "the size is '\u0661'; it must be an integer"),
        (b"m -1 8", 2, "the id is -1; it must be from 0 to 9223372036854775807"),
        (b"m 1 -8", 2, "the size is -8; it must be from 0 to 18446744073709551615"),
        (b"m 1 18446744073709551616", 2, "the size is 18446744073709551616; it must be from 0"),
        (b"m 1 " + b"9" * 5000, 2, "the size is a number of 5000 characters; it must be from 0"),
        (b"m 1 " + b"x" * 5000, 2, r"the size is 'x{24}\.\.\.'; it must be an integer"),
        (b"m 9223372036854775808 8", 2, "the id is 9223372036854775808; it must be from 0"),
        (b"m 1 8 5.5", 2, "the time is '5.5'; it must be an integer"),
        (b"m 1 8 99999999999999999999", 2, "the time is 99999999999999999999; it must be from"),
        (b"m 1 8 5 a\x01", 2, r"task 'a\\x01' is not a word of printable characters"),
        (b"m 1 8 5 \xff", 2, r"b'm 1 8 5 \\xff' is not UTF-8"),
        (b"m 1 8 5\n\nm 2 8 4", 4, "event 1: time 4 is before 5, its predecessor's; time must not"),
        (b"m 1 8 5\nm 2 8", 3, "event 1 has no time, unlike those before; give every event a"),
        (b"m 1 8\nm 2 8 4", 3, "event 1 has a time, unlike those before; give every event a"),
        (b"m 1 8\n\nf 2", 4, "event 1: free of id 2, which was never allocated"),
        (b"m 1 8\nf 1\nf 1", 4, "event 2: free of id 1, which was freed by event 1"),
        (b"m 1 8\nm 1 8", 3, "event 1: malloc of id 1, which is still live since event 0"),
        (b"# a: 1\n# a: 2\nm 1 8", 3, "the key 'a' stands in the header twice; give it once"),
        (b"# a: \xff\nm 1 8", 2, r"b'# a: \\xff' is not UTF-8"),
        (b"m 1 8\n" + b"m" * 2_200_000, 3, "a line of more than 1,048,576 bytes"),
    ],
)
def test_text_errors(tmp_path, lines, line, message):
    path = tmp_path / "bad.trace"
    path.write_bytes(MAGIC + lines + b"\n")
    with pytest.raises(TraceError, match=message) as caught:
        Trace.load(path)
    assert (caught.value.line, caught.value.path) == (line, str(path))
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    pickle.loads(pickle.dumps(caught.value))
    if b"mmm" not in lines:
        assert Trace.load(path, strict=False).dropped


@pytest.mark.parametrize(
    ("lines", "dropped", "length"),
    [
        (b"m 1 8\nq\nm\nf 1\n", Dropped(bad_line=2), 2),
        (b"m 1 8\nm 1 9\nf 1\nf 1\nr 1 2\nf 3\n", Dropped(1, 1, 1, 1), 2),
        (b"m 1 8 5\nm 2 8 4\nm 3 8\nm 4 8 7\n", Dropped(time_set=2), 4),
        (b"m 1 8\nm 2 8\nm 3 8 7\nm 4 8\n", Dropped(time_set=3), 4),
        (b"# a: 1\n# a: 2\n# \xff: 1\nm 1 8", Dropped(bad_line=2), 1),
    ],
)
def test_text_not_strict(lines, dropped, length):
    trace = load(MAGIC + lines, strict=False)
    assert trace.dropped == dropped
    assert len(trace) == length
    if trace.time is not None:
        assert trace.time.tolist() in ([5, 5, 5, 7], [7, 7, 7, 7])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"# rtosheap-trace 2\nm 1 8\n", "line 1: the version is '2'; this reads version 1"),
        (b"# rtosheap-trace\nm 1 8\n", "line 1: the version is ''; this reads version 1"),
        (b"# rtosheap-trace 1.5\n", "line 1: the version is '1.5'; this reads version 1"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_text_version(data, message, strict):
    with pytest.raises(TraceError, match=message):
        load(data, strict=strict)


def test_text_without_its_first_line():
    with pytest.raises(TraceError, match="line 1: begins with b'm 1 8'; it must be '# rtosheap-"):
        load(b"m 1 8\nf 1\n", format="text")


def test_a_file_that_was_cut_short_warns(tmp_path):
    path = tmp_path / "cut.trace"
    path.write_bytes(MAGIC + b"# events: 3\nm 1 8\nf 1\n")
    with pytest.warns(TraceWarning, match=r"cut.trace: the header says events: 3, the file has 2"):
        Trace.load(path)
