"""Files: what is written is read again, formats are told apart, and nothing is lost in silence."""

from __future__ import annotations

import doctest
import gzip
import importlib
import io
import warnings

import numpy as np
import pytest
import traces
from hypothesis import given
from hypothesis import strategies as st
from steps import steps
from trace_files import MAGIC, load, saved
from trace_strategies import make, valid_traces

from rtosheap.traces import Trace, TraceError, TraceWarning, formats
from rtosheap.traces.columns import Tasks
from rtosheap.traces.formats import _plain_lines, text

pytestmark = pytest.mark.filterwarnings("error")

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=9)
KEYS = WORDS.filter(lambda key: ":" not in key and key not in ("untimed", "addressed", "events"))
META = st.dictionaries(KEYS, st.one_of(st.just(""), WORDS, WORDS.map(lambda w: f"{w}: {w}  #{w}")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


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
        block, _ = _plain_lines.read_block(
            events, len(events), 2, Tasks(), False, None
        )  # none is unusual
        assert len(block.op) == len(trace)
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
    with pytest.raises(TraceError) as e:
        Trace.load(path)
    assert str(e.value) == (
        f"{path}: begins with b'm 1 8\\nf 1\\n', which is none of the formats; "
        f"format= (--format) forces one: {', '.join(formats.NAMES)}"
    )
    assert len(str(e.value)) < 250 + len(str(path))
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


@pytest.mark.parametrize("name", ["", ".text", ".npz", ".table", ".rep", "._rows"])
def test_examples(name):
    assert doctest.testmod(importlib.import_module("rtosheap.traces.formats" + name)).failed == 0


def test_loading_is_not_line_by_line(tmp_path):
    """Of 300,000 lines, numpy takes all but the few thousand steps that their blocks need."""
    n = 300_000
    trace = Trace(np.full(n, ord("m")), np.arange(n), np.arange(n) % 5000)
    path = saved(trace, tmp_path, "x.trace")
    assert len(Trace.load(path)) == n
    assert steps(lambda: Trace.load(path)) < n // 10
    assert text.sniff(path.read_bytes()[:30])
