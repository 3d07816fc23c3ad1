"""The addresses that a recorder saw: kept by text and .npz, and missed aloud by what cannot."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats_npz import npz
from trace_files import MAGIC, load, saved
from trace_strategies import valid_traces

from rtosheap.cli import main
from rtosheap.traces import Trace, TraceError, TraceWarning
from rtosheap.traces.columns import Tasks
from rtosheap.traces.formats import _plain_lines

pytestmark = pytest.mark.filterwarnings("error")

LOG = Path(__file__).parent / "data" / "freertos-logs" / "cm3-mode0.log.gz"
ADDRESSED = MAGIC + b"# addressed: yes\n"
WHERE = st.one_of(st.integers(0, 2**32), st.sampled_from([2**60 - 1, 2**60, 2**64 - 1]))


def with_addresses(trace, where):
    column = np.array(where, dtype=np.uint64)
    return trace.with_columns(replace(trace._columns, addresses=column))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("addresses")


def test_text_is_as_documented(tmp_path):
    trace = with_addresses(Trace("mf", [7, 7], [100, 0], time=[5, 6], task=["idle", ""]), [32, 32])
    lines = saved(trace, tmp_path, "x.trace").read_text().splitlines()
    assert lines == [
        "# rtosheap-trace 1",
        "# addressed: the last field is where the block was recorded",
        "m 7 100 5 idle 0x20",
        "f 7 6 0x20",
    ]


@given(st.data(), valid_traces(), st.sampled_from([".trace", ".trace.gz", ".npz"]))
def test_round_trip(folder, data, trace, suffix):
    trace = with_addresses(trace, data.draw(st.lists(WHERE, min_size=len(trace),
                                                     max_size=len(trace))))  # fmt: skip
    found = Trace.load(saved(trace, folder, "x" + suffix))
    assert found == trace
    assert found.meta == trace.meta
    if len(trace):
        assert found.recorded_address.dtype == np.uint64
        assert found.recorded_address.tolist() == trace.recorded_address.tolist()


@given(st.data(), valid_traces())
def test_fast_and_slow_reading_agree(folder, data, trace):
    trace = with_addresses(
        trace,
        data.draw(st.lists(st.integers(0, 2**60 - 1), min_size=len(trace), max_size=len(trace))),
    )
    raw = saved(trace, folder, "agree.trace").read_bytes()
    events = b"".join(line for line in raw.splitlines(True) if not line.startswith(b"#"))
    header = raw[: len(raw) - len(events)]
    if events and trace.id.max() < 10**18 and b"-" not in events:
        block, _ = _plain_lines.read_block(
            events, len(events), 2, Tasks(), True, None
        )  # none is unusual
        assert len(block.op) == len(trace)
    slow = load(header + events.replace(b" ", b"\t").replace(b"\n", b" \n\n"))
    fast = load(raw)
    assert slow == fast == trace
    assert len(trace) == 0 or slow.recorded_address.tolist() == fast.recorded_address.tolist()


@pytest.mark.parametrize("suffix", [".trace", ".trace.gz", ".npz"])
def test_convert_keeps_a_recordings_addresses(suffix, tmp_path, capsys):
    out = tmp_path / f"x{suffix}"
    assert main(["convert", str(LOG), str(out)]) == 0
    assert "43,660 events" in capsys.readouterr().out
    found, recorded = Trace.load(out), Trace.load(LOG)
    assert np.array_equal(found.recorded_address, recorded.recorded_address)
    assert found == recorded


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".rep"])
def test_what_cannot_hold_them_says_so(suffix, tmp_path):
    trace = with_addresses(Trace("m", [7], [100]), [32])
    with pytest.warns(TraceWarning, match="cannot hold the recorded addresses"):
        trace.save(tmp_path / f"x{suffix}")
    Trace("m", [7], [100]).save(tmp_path / f"x{suffix}")  # nothing to warn of


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"m 1 8", "line 3: the line ends with '8'; it must be an address, such as 0x20000008"),
        (b"m 1 8 0x", "ends with '0x'"),
        (b"m 1 8 0x" + b"1" * 17, "ends with '0x111"),
        (b"m 1 8 x20", "ends with 'x20'"),
        (b"m 1 8 0x2g", "ends with '0x2g'"),
        (b"m 1 0x20", "too few fields"),
        (b"0x20", "unknown event ''"),
        (b"m 1 8 1 a b 0x20", "too many fields"),
    ],
)
def test_a_wrong_line_is_named(line, message):
    with pytest.raises(TraceError, match=message):
        load(ADDRESSED + line + b"\n")
    loose = load(ADDRESSED + line + b"\nm 2 16 0x20\n", strict=False)
    assert (len(loose), loose.dropped.bad_line) == (1, 1)
    assert loose.recorded_address.tolist() == [32]


def test_what_is_left_out_takes_its_address_along():
    found = load(ADDRESSED + b"m 1 8 0x20\nf 2 0x30\nf 1 0x20\n", strict=False)
    assert found.recorded_address.tolist() == [32, 32]
    with pytest.raises(TraceError, match="'addressed' is the text format's own"):
        Trace("m", [0], [1], meta={"addressed": "x"})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.array([1]), "the arrays differ in length"),
        (np.array([-1, 1]), r"recorded_address\[0\] is -1; it must be from 0 to 2\*\*64 - 1"),
        (np.array([0.5, 1]), "recorded_address must hold integers, not float64"),
    ],
)
def test_a_wrong_array_is_named(column, message):
    with pytest.raises(TraceError, match=message):
        load(npz(recorded_address=column))


def test_slices_keep_them_and_sums_do_not():
    trace = load(ADDRESSED + b"m 1 8 0x20\nf 1 0x20\n")
    assert trace[:1].recorded_address.tolist() == [32]
    assert (trace + trace).recorded_address is None
    assert trace.repeat(2).recorded_address is None
    file = io.BytesIO(ADDRESSED)
    assert Trace.load(file).recorded_address is None
