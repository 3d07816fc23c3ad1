"""TraceRecorder's snapshots, of which no recording is at hand: files made by their format."""

from __future__ import annotations

import pytest
from trace_files import load
from tracerecorder_files import FAILED, FREE, MALLOC, TICK, oracle
from tracerecorder_snapshots import SNAPSHOT, Snapshot, a_snapshot

from rtosheap import TraceError
from rtosheap.traces import formats
from rtosheap.traces.doubts import doubts

pytestmark = pytest.mark.filterwarnings("error")

KINDS = {
    "whole": (300, 5000, "<", False),
    "wrapped": (2000, 800, "<", False),
    "wrapped, 24 bits of an address": (2000, 800, "<", True),
    "big-endian": (1500, 800, ">", False),
}


def rows(trace):
    """Op, address, size, task and tick of each event."""
    columns = (trace.recorded_address, trace.size, trace.task, trace.time)
    return list(zip(map(chr, trace.op), *(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_a_snapshot_comes_to_its_events(kind, seed):
    count, slots, order, narrow = KINDS[kind]
    data, events, names = a_snapshot(seed, count, slots, order=order, narrow=narrow)
    assert [reader.NAME for reader in formats.READERS if reader.sniff(data[:65536])] == [
        "tracerecorder"
    ]
    trace = load(data)
    told = oracle(events, names, backwards=True)
    assert rows(trace) == told.rows
    assert len(trace) > 60
    assert len({event.task for event in trace}) > 3
    loss = trace.loss
    assert (loss.failed, loss.foreign_frees, loss.implied_frees) == (
        told.failed,
        told.unknown,
        told.implied,
    )
    assert trace.meta["source"] == "TraceRecorder snapshot"
    assert trace.time_unit == "ticks"
    assert ("incomplete" in trace.meta) == (kind != "whole")
    why = trace.meta.get("incomplete", "nothing")
    assert any(why in said for said in doubts(trace, 4)) == (kind != "whole")


def test_half_a_pair_at_the_oldest_end_is_no_event():
    """Whichever slot is the oldest."""
    found = set()
    for slots in range(20, 33):
        out = Snapshot(slots)
        for number in range(40):
            out.call(0x94, 0x2000_0000 + 0x1_0008 * number, 0x1_0010)
        trace = load(out.dump())
        sizes = trace.size.tolist()
        found.add(len(sizes))
        assert trace.recorded_address.tolist() == [
            0x2000_0000 + 0x1_0008 * number for number in range(40 - len(sizes), 40)
        ]
        # The extension of the oldest size may be overwritten, which does not show.
        assert set(sizes[1:]) == {0x1_0010}
        assert sizes[0] in (0x1_0010, 0x10)
    assert found == set(range(5, 9))


def test_ticks_before_the_first_that_is_told():
    out = Snapshot(100)
    out.call(0x94, 0x2000_0010, 24)
    out.slot(0x03, 0, 41)
    out.call(0x96, 0x2000_0010, 24)
    assert load(out.dump()).time.tolist() == [40, 41]


def test_a_task_that_deletes_itself_is_running_until_the_next():
    out = Snapshot(100)
    out.slot(0x06, 3)
    out.slot(0x0B, 3, out.symbol(b"worker"))
    out.call(0x94, 0x2000_0010, 24)
    out.slot(0x06, 3)
    out.call(0x96, 0x2000_0010, 24)
    out.names[3] = b"heir"
    assert load(out.dump()).task.tolist() == ["worker", "heir"]


def test_what_is_refused():
    out = Snapshot(100)
    out.call(0x94, 0x2000_0010, 24)
    with pytest.raises(TraceError, match="snapshot of version 0x1aa1, 6; that of FreeRTOS, 0x1aa1"):
        load(out.dump(minor=6))
    with pytest.raises(TraceError, match="handles of 16 bits"):
        load(out.dump(wide=1))
    data = out.dump()
    for word in (0xF0F0F0F0, 0xF1F1F1F1, 0xF2F2F2F2, 0xF3F3F3F3):
        raw = word.to_bytes(4, "little")
        with pytest.raises(TraceError, match=f"damaged snapshot.* {word:#010x}"):
            load(data.replace(raw, b"\0\1\2\3"))
    for end in range(80, len(data) - 64, 5):
        with pytest.raises(TraceError, match=r"ends before the events|version 0x0000"):
            load(data[:end], format="tracerecorder")


def test_a_copy_of_the_mark_elsewhere_is_passed_over():
    """The mark stands in the code that writes it."""
    data, _, _ = a_snapshot(1, 300, 5000)
    assert load(SNAPSHOT + bytes(40) + data) == load(data)
    assert load(bytes(100_000) + SNAPSHOT + bytes(40) + data) == load(data)


def test_the_events_of_the_oracle_are_of_every_kind():
    _, events, _ = a_snapshot(0, 2000, 800)
    assert {event.id for event in events} >= {MALLOC, FREE, FAILED, TICK}
