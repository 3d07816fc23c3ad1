"""Files: what is written is read again, what is wrong is said, and nothing is lost in silence."""

from __future__ import annotations

import doctest
import gzip
import importlib
import io
import pickle
import warnings

import numpy as np
import pytest
import traces
from hypothesis import given
from hypothesis import strategies as st
from trace_strategies import make, valid_traces

from rtosheap import formats
from rtosheap._columns import Tasks
from rtosheap.formats import _scan, text
from rtosheap.trace import Dropped, Event, Trace, TraceError, TraceWarning

MAGIC = b"# rtosheap-trace 1\n"
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=9)
KEYS = WORDS.filter(lambda key: ":" not in key and key not in ("untimed", "events"))
META = st.dictionaries(KEYS, st.one_of(st.just(""), WORDS, WORDS.map(lambda w: f"{w}: {w}  #{w}")))


def load(data, **options):
    """A trace read from bytes; a warning is an error unless the test expects it."""
    return Trace.load(io.BytesIO(data), **options)


def saved(trace, folder, name):
    path = folder / name
    trace.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


pytestmark = pytest.mark.filterwarnings("error")


# ---------------------------------------------------------------------- round trips


@given(valid_traces(), META, st.sampled_from([".trace", ".trace.gz", ".npz"]))
def test_exact_round_trip(folder, trace, meta, suffix):
    trace = Trace(trace.op, trace.id, trace.size, time=trace.time, task=trace.task, meta=meta)
    path = saved(trace, folder, "exact" + suffix)
    found = Trace.load(path)
    assert found == trace
    assert list(found) == list(trace)
    assert found.meta == meta
    assert list(found.meta) == list(meta)
    assert not found.dropped
    first = path.read_bytes()
    found.save(path)
    assert path.read_bytes() == first


@given(valid_traces(), st.sampled_from([".csv", ".csv.gz"]))
def test_csv_round_trip(folder, trace, suffix):
    found = Trace.load(saved(trace, folder, "table" + suffix))
    assert found == trace
    assert not found.dropped


@given(valid_traces())
def test_rep_round_trip(folder, trace):
    emptied = (trace.op == ord("r")) & (trace.size == 0)
    small = bool((trace.slots.slot == trace.id).all())
    plain = trace.time is None and trace.task is None and not emptied.any() and small
    path = folder / "lab.rep"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace.save(path)
    assert bool(caught) != plain
    found = Trace.load(path)
    assert not found.dropped
    assert found.never_freed == trace.never_freed
    assert found.peak_live_bytes == trace.peak_live_bytes
    assert found.max_live_blocks == trace.max_live_blocks
    assert len(found) == len(trace) + emptied.sum()
    if plain:
        assert found == trace


@pytest.mark.parametrize("name", ["lua-sched", "frtos-cm3-mixed", "duk-sort", "gif-anim"])
@pytest.mark.parametrize("suffix", [".trace", ".npz", ".csv.gz", ".rep"])
def test_recorded_traces_survive_every_format(tmp_path, name, suffix):
    trace = traces.load(name)
    if suffix in (".csv.gz", ".rep"):
        with pytest.warns(TraceWarning, match=r"cannot hold the trace's meta \(name, source"):
            trace.save(tmp_path / ("x" + suffix))
    else:
        trace.save(tmp_path / ("x" + suffix))
    assert Trace.load(tmp_path / ("x" + suffix)) == trace


@pytest.mark.parametrize("name", traces.all_names())
def test_recorded_traces_are_written_as_they_were_read(tmp_path, name):
    traces.load(name).save(tmp_path / "x.trace")
    with gzip.open(traces.path(name)) as file:
        assert (tmp_path / "x.trace").read_bytes() == file.read()


def test_large_traces_cross_the_blocks(tmp_path):
    n = 150_000
    ids = np.arange(n) // 2
    op, size = np.where(np.arange(n) % 2, 102, 109), np.where(np.arange(n) % 2, 0, ids * 10**6)
    task = np.array(["a", "", "net"])[ids % 3]
    trace = Trace(op, ids, size, time=np.arange(n) * 1000, task=task)
    assert Trace.from_events(iter(trace)) == trace
    for suffix in (".trace", ".csv", ".npz"):
        assert Trace.load(saved(trace, tmp_path, "x" + suffix)) == trace
    lines = (tmp_path / "x.trace").read_bytes().split(b"\n")
    lines[100_000] = b"# a remark, so that this block is read line by line"
    lines[140_000] = b"q"
    with pytest.raises(TraceError, match=r"line 140001: unknown event 'q'"):
        load(b"\n".join(lines))
    lines[140_000] = b"f 12 9" + b"0" * 9  # an odd number of lines: free of a freed id
    with pytest.raises(TraceError, match=r"line 140001: event 139998: free of id 12, which was"):
        load(b"\n".join(lines))


@given(valid_traces())
def test_fast_and_slow_reading_agree(folder, trace):
    data = saved(trace, folder, "agree.trace").read_bytes()
    header, events = data[: len(MAGIC)], data[len(MAGIC) :]
    if events and trace.id.max() < 10**18 and not set(events) & set(b"-#"):
        assert _scan.scan(events, 2, Tasks()) is not None
    slow = load(header + events.replace(b" ", b"\t").replace(b"\n", b" \n\n"))
    assert slow == load(data) == load(data.replace(b"\n", b"\r\n"))


@given(st.binary(max_size=60), st.booleans())
def test_whatever_the_bytes_there_is_a_trace_or_a_trace_error(data, magic):
    for format_ in (None, "text", "csv", "rep", "npz"):
        for strict in (True, False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TraceWarning)
                try:
                    trace = load(MAGIC + data if magic else data, format=format_, strict=strict)
                except TraceError:
                    continue
                Trace.from_events(list(trace))


FIELDS = st.sampled_from(
    ["m", "r", "f", "0", "1", "2", "-1", "x", "9" * 20, "9" * 30, "a", "#", ""]
)


@given(st.lists(st.lists(FIELDS, max_size=5).map(" ".join), max_size=8))
def test_loose_reading_counts_every_line(lines):
    data = MAGIC + "".join(line + "\n" for line in lines).encode()
    trace = load(data, strict=False)
    said = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len(trace) + trace.dropped.events == len(said)
    if not trace.dropped:
        assert load(data) == trace
        return
    with pytest.raises(TraceError) as caught:
        load(data)
    assert caught.value.line is not None
    assert lines[caught.value.line - 2] in said


# ---------------------------------------------------------------------- the text format


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
        gzip.compress(MAGIC + b"m 1 8\nf 1\n"),
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
        (b"m 1 8\n" + b"m" * 2_200_000, 3, "a line of more than 65536 bytes"),
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


# ---------------------------------------------------------------------- sources, sniffing, suffixes


def test_formats_are_told_by_content(tmp_path):
    trace = make(("m", 1, 8), ("f", 1))
    for suffix in formats.WRITERS:
        data = saved(trace, tmp_path, "x" + suffix).read_bytes()
        head = gzip.decompress(data) if suffix.endswith(".gz") else data
        told = [reader.NAME for reader in formats.READERS if reader.sniff(head)]
        assert len(told) == 1
        assert (
            formats.WRITERS[suffix].__name__
            == {r.NAME: r.__name__ for r in formats.READERS}[told[0]]
        )
        (tmp_path / "anything").write_bytes(data)
        assert Trace.load(tmp_path / "anything") == trace
        assert Trace.load(str(tmp_path / "anything"), format=told[0]) == trace
        assert load(data) == trace


class Drip:
    """A file object that can be neither sought nor read in large pieces."""

    def __init__(self, data):
        self.data = data

    def read(self, size=-1):
        size = min(3, size) if size >= 0 else 3
        out, self.data = self.data[:size], self.data[size:]
        return out


@pytest.mark.parametrize("suffix", formats.WRITERS)
def test_file_objects(tmp_path, suffix):
    trace = make(("m", 1, 8), ("f", 1))
    path = saved(trace, tmp_path, "x" + suffix)
    assert Trace.load(Drip(path.read_bytes())) == trace
    with open(path, "rb") as file:
        assert Trace.load(file) == trace
        assert not file.closed
    data = b"skipped" + path.read_bytes()
    stream = io.BytesIO(data)
    stream.seek(7)
    assert Trace.load(stream) == trace
    assert not stream.closed


def test_file_objects_name_themselves_in_errors(tmp_path):
    path = tmp_path / "bad.trace"
    path.write_bytes(MAGIC + b"q\n")
    with open(path, "rb") as file, pytest.raises(TraceError, match=r"bad\.trace, line 2: unknown"):
        Trace.load(file)
    with pytest.raises(TraceError, match=r"^line 2: unknown"):
        load(MAGIC + b"q\n")


def test_bad_sources(tmp_path):
    with pytest.raises(TypeError, match="path is 5; it must be a path or a binary file object"):
        Trace.load(5)
    with pytest.raises(TypeError, match="opened as text; open it in binary mode, 'rb'"):
        Trace.load(io.StringIO("x"))
    with pytest.raises(FileNotFoundError):
        Trace.load(tmp_path / "absent.trace")
    with pytest.raises(IsADirectoryError):
        Trace.load(tmp_path)
    with pytest.raises(ValueError, match="format is 'xml'; it must be one of text, npz, csv, rep"):
        load(MAGIC, format="xml")


def test_unknown_content(tmp_path):
    path = tmp_path / "x.trace"
    path.write_bytes(b"m 1 8\nf 1\n")
    with pytest.raises(
        TraceError, match=r"none of the formats: text .*; npz .*; csv .*; rep "
    ) as e:
        Trace.load(path)
    assert str(e.value).startswith(f"{path}: begins with b'm 1 8\\nf 1\\n', which is none")
    path.write_bytes(b"")
    with pytest.raises(TraceError, match=r"x\.trace: the file is empty"):
        Trace.load(path)
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(TraceError, match=r"x\.trace: the file is empty"):
        Trace.load(path)


def test_damaged_gzip():
    data = gzip.compress(MAGIC + b"".join(b"m %d 8\n" % k for k in range(20_000)))
    for bad in (data[:-20], data[: len(data) // 2], data[:8], data[:-8] + bytes(8)):
        for strict in (True, False):
            with pytest.raises(TraceError, match="the compressed data are damaged"):
                load(bad, strict=strict)


@pytest.mark.parametrize("name", ["x", "x.txt", "x.gz", "x.npz.gz", ".trac"])
def test_unknown_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match=r"its suffix must be one of \.trace, \.trace\.gz, \.npz"):
        make(("m", 1, 8)).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_suffixes_of_any_case_and_paths_of_any_type(tmp_path):
    trace = make(("m", 1, 8))
    trace.save(str(tmp_path / "X.TRACE.GZ"))
    assert (tmp_path / "X.TRACE.GZ").read_bytes().startswith(b"\x1f\x8b")
    assert Trace.load(str(tmp_path / "X.TRACE.GZ")) == trace


def test_writing_again_gives_the_same_bytes(tmp_path):
    for suffix in formats.WRITERS:
        trace = make(("m", 1, 8), ("f", 1))
        a = saved(trace, tmp_path, "a" + suffix).read_bytes()
        assert a == saved(trace, tmp_path, "b" + suffix).read_bytes()


@pytest.mark.parametrize("name", ["", ".text", ".npz", ".table", ".rep", "._assemble"])
def test_examples(name):
    assert doctest.testmod(importlib.import_module("rtosheap.formats" + name)).failed == 0


def test_loading_is_fast_enough(tmp_path):
    """A guard against a return to reading line by line: 300,000 lines in well under a second."""
    import time

    n = 300_000
    trace = Trace(np.full(n, ord("m")), np.arange(n), np.arange(n) % 5000)
    path = saved(trace, tmp_path, "x.trace")
    start = time.process_time()
    assert len(Trace.load(path)) == n
    assert time.process_time() - start < 1.0
    assert text.sniff(path.read_bytes()[:30])
