"""SystemView's recordings: one of the real recorder, and files made by its format."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import random
from pathlib import Path

import numpy as np
import pytest
import zstandard
from recordings import assert_numbers, events_of
from steps import steps
from systemview_files import (
    BASE,
    CREATED,
    ENDED,
    EXTENDED,
    HEAP,
    IDLE,
    INIT,
    OTHERS,
    OVERFLOW,
    PRINT,
    RUNS,
    SYNC,
    Target,
    a_run,
    leb,
    text,
)
from trace_files import load

from rtosheap import Heap4, Trace, TraceError, replay
from rtosheap.traces import Loss, TraceWarning, formats
from rtosheap.traces.doubts import doubts

FOLDER = Path(__file__).parent / "data" / "recordings"
NAME = "systemview-frtos-11.3-shift2.rtt.bin"
PATH = FOLDER / f"{NAME}.zst"
DATA = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(PATH.read_bytes())).read()
#: What Espressif's tools write before the same bytes.
SVDAT = b"""\
;
; Version\t\tSEGGER SystemViewer V2.42
; Author\t\trtosheap test data
;
"""
with (FOLDER / "EXPECTED.tsv").open() as table:
    ROW = {row["file"]: row for row in csv.DictReader(table, delimiter="\t")}[NAME]

pytestmark = pytest.mark.filterwarnings("error")


def truth():
    path = FOLDER / "truth" / "systemview-frtos-11.3-shift2.tsv.gz"
    return list(csv.DictReader(gzip.open(path, "rt"), delimiter="\t"))


def agrees(trace, rows):
    """Assert that a trace holds these events, its times counted from the first."""
    found = events_of(trace)
    assert [row[:4] for row in found] == [row[:4] for row in rows]
    assert [row[4] for row in found] == [row[4] - rows[0][4] for row in rows]


# ---------------------------------------------------------------------- the recording


def test_the_recording_comes_to_its_numbers():
    trace = Trace.load(PATH)
    assert_numbers(trace, ROW)
    loss = trace.loss
    assert loss.damaged_bytes == loss.unknown_tasks == 0
    assert loss.rounded_sizes == trace.allocs
    assert set(trace.task_names) == set(ROW["task_names"].split(","))
    assert trace.meta["heap_size"] == "40960"
    assert trace.meta["base_address"] == hex(HEAP)


def test_the_recording_is_the_truth_event_by_event():
    right = [event for event in truth() if event["op"] != "x"]
    found = events_of(Trace.load(PATH))
    assert len(found) == len(right)
    off = []
    for (op, address, size, task, time), event in zip(found, right, strict=True):
        assert (op, address) == (event["op"], int(event["address"], 16))
        assert size == (int(event["logged"]) if op == "m" else 0)
        assert task == event["task"].replace(" ", "_")
        off.append(time - int(event["time_us"]))
    assert np.abs(np.array(off) - np.median(off)).max() <= 32


def test_an_svdat_file_is_the_same():
    assert load(SVDAT + DATA) == load(DATA)
    part = DATA[:20_000]
    right = load(part)
    for header in (SVDAT.replace(b"\n", b"\r\n"), SVDAT + b"\nOffset 0\n;\n", b";\n"):
        trace = load(header + part, format="systemview")
        assert (trace, trace.loss, trace.meta) == (right, right.loss, right.meta)


@pytest.mark.parametrize("before", [b"", SVDAT, b"\0", b"\x11\x05" * 400])
def test_the_recording_is_told_by_its_content(before):
    head = (before + DATA)[:65536]
    told = [reader.NAME for reader in formats.READERS if reader.sniff(head)]
    assert told == ["systemview"]


def test_requests_are_as_near_as_they_can_be_and_give_the_recorded_addresses():
    trace = Trace.load(PATH, heap=Heap4, kernel="V11.3.0")
    asked = [int(event["requested"]) for event in truth() if event["op"] == "m"]
    more = trace.size[trace.op == ord("m")].astype(np.int64) - asked
    assert (more.min(), more.max()) == (0, 23)
    heap = Heap4(40960, base_address=HEAP, kernel="V11.3.0")
    assert np.array_equal(replay(trace, heap)["address"], trace.recorded_address)
    assert [said for said in doubts(trace, 4) if "sizes are the largest requests" in said]
    assert [said for said in doubts(Trace.load(PATH), 4) if "rtosheap convert --heap" in said]


# ---------------------------------------------------------------------- files made by the format


@pytest.mark.parametrize("shift", [0, 2, 3])
@pytest.mark.parametrize("frequency", [1_000_000, 1_562_500, 168_000_000])
def test_packets_of_every_kind(shift, frequency):
    for seed in range(3):
        target = Target(shift, frequency)
        target.sync()
        target.define()
        rows = a_run(target, random.Random(seed), 400)
        trace = load(bytes(target.data))
        times = [row[4] * 10**6 // frequency for row in rows]
        agrees(trace, [(*row[:4], time) for row, time in zip(rows, times, strict=True)])
        assert trace.loss == Loss(rounded_sizes=trace.allocs)
        assert trace.meta["heap_size"] == "40960"
        assert trace.meta["base_address"] == hex(HEAP >> shift << shift)


@pytest.mark.parametrize("kind", range(len(OTHERS)))
def test_a_packet_that_says_nothing_is_skipped(kind):
    target = Target()
    target.sync()
    target.packet(*OTHERS[kind])
    target.alloc(HEAP, 64)
    target.packet(*OTHERS[kind])
    target.free(HEAP)
    assert [row[0] for row in events_of(load(bytes(target.data)))] == ["m", "f"]


def test_lost_packets_are_counted_and_the_task_is_not_known_behind_them():
    seen = 0
    for seed in range(20):
        target = Target()
        target.sync()
        rows = a_run(target, random.Random(seed), 600, full=0.05)
        trace = load(bytes(target.data))
        assert trace.loss.lost_events == target.lost
        assert trace.loss.damaged_bytes == trace.loss.implied_frees == 0
        assert trace.loss.unknown_tasks == sum(row[3] == "" for row in rows)
        agrees(trace, rows)
        seen += target.losses
        assert "events that the recorder made and the file does not hold" in doubts(trace, 4)[0]
    assert seen > 200


def test_the_count_of_lost_packets_leaves_out_the_first_of_each_loss():
    target = Target()
    target.sync()
    target.alloc(HEAP, 64)
    for drops in (0, 0, 9, 9, 12):  # 1, 1, 10, 1 and 4 packets
        target.packet(OVERFLOW, leb(drops))
        target.packet(3, b"")
    assert load(bytes(target.data)).loss.lost_events == 17


def test_calls_that_the_recording_does_not_explain():
    target = Target()
    target.sync()
    target.alloc(HEAP, 64)
    target.alloc(HEAP, 80)  # its free was lost
    target.free(HEAP + 800)
    target.alloc(0, 0)
    target.alloc(0, 4096)
    target.free(0)
    trace = load(bytes(target.data))
    loss = trace.loss
    assert [row[:3] for row in events_of(trace)] == [
        ("m", HEAP, 64),
        ("f", HEAP, 0),
        ("m", HEAP, 80),
    ]
    assert (loss.implied_frees, loss.foreign_frees, loss.failed, loss.free_null_lines) == (
        *(1, 1, 2, 1),
    )
    assert trace.meta["largest_failed_request"] == "4096"
    assert trace.meta["sizes"].startswith("as a kernel up to V11.1 logs them")


def test_a_task_beyond_the_eighth_is_called_by_its_address():
    target = Target(2)
    target.sync()
    for number in range(10):
        target.task(CREATED, 0x20000400 + 0x80 * number)
        if number < 8:
            target.info(0x20000400 + 0x80 * number, b"task %d" % number)
        else:
            target.packet(PRINT, text(b"Could not record task") + leb(2) + leb(0))
    for number in range(10):
        target.task(RUNS, 0x20000400 + 0x80 * number)
        target.alloc(HEAP + 0x1000 + 64 * number, 64)
    trace = load(bytes(target.data))
    assert trace.task.tolist() == [*(f"task_{n}" for n in range(8)), "?20000800", "?20000880"]
    assert trace.loss.unknown_tasks == 2


def test_a_task_has_the_name_that_its_id_has_at_the_time():
    target, task = Target(), 0x20000800
    target.sync()
    target.task(CREATED, task)
    target.info(task, b"first")
    target.task(RUNS, task)
    target.alloc(HEAP, 16)
    target.task(ENDED, task)
    target.alloc(HEAP + 16, 16)  # of the task that ends
    target.packet(IDLE, b"")
    target.alloc(HEAP + 32, 16)
    target.packet(ENDED, leb(target.id(task)))
    target.task(RUNS, task)  # as another, whose name is not known
    target.alloc(HEAP + 48, 16)
    target.task(CREATED, task)
    target.info(task, b"third")
    target.alloc(HEAP + 64, 16)
    target.info(task, b"third")
    target.alloc(HEAP + 80, 16)
    trace = load(bytes(target.data))
    names = ["first", "first", "IDLE", "?20000800", "third", "third"]
    assert trace.task.tolist() == names


def test_the_memory_of_post_mortem_mode_begins_within_a_packet():
    """A sync and an init packet are repeated; reading begins at the first whole one."""
    for seed in range(10):
        rng, target = random.Random(seed), Target(2 * (seed % 2))
        rows, starts = [], []
        target.sync()
        for _ in range(5):
            starts.append((len(target.data), len(rows)))
            target.sync()
            rows += a_run(target, rng, 60)
        at, first = starts[1]
        data = bytes(target.data)[rng.randrange(starts[0][0] + 30, at) :]
        trace = load(data, strict=True)
        skipped = len(data) - (len(target.data) - at)  # a time of 0 may end the last of them
        assert skipped - trace.loss.damaged_bytes in (0, 1)
        assert "the end of a longer one" in trace.meta["incomplete"]
        assert any(trace.meta["incomplete"] in said for said in doubts(trace, 4))
        mallocs = [row[1:3] for row in rows[first:] if row[0] == "m"]
        assert [row[1:3] for row in events_of(trace) if row[0] == "m"] == mallocs
        assert "(startup)" not in (trace.task_names or ())


def test_what_is_damaged_is_skipped_to_the_next_sync_and_else_an_error():
    target = Target()
    target.sync()
    target.alloc(HEAP, 64)
    before, bad = bytes(target.data), b"\xff" * 6
    target.data += bad
    with pytest.raises(TraceError, match=rf"byte {len(before)}: a number of more than five bytes"):
        load(bytes(target.data))
    trace = load(bytes(target.data), strict=False)
    assert (len(trace), trace.loss.damaged_bytes) == (1, 6)
    target.sync()
    target.free(HEAP)
    trace = load(bytes(target.data))
    assert (len(trace), trace.loss.damaged_bytes) == (2, 6)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"\xff\xff\xff\xff\xff\x01\x00", "a number of more than five bytes"),
        (b"\x06\xff\xff\xff\xff\x7f\x00", "a number of more than 32 bits"),
        (b"\x1f\x02\x03\xff\x7f\x01\x01", "a packet of 2 bytes, too few for its kind"),
        (b"\x28\xff\xff\xff\xff\x0f" + b"\x01" * 5000, "a packet that does not end"),
        (b"\x80\x00\x00", "a packet of kind 0"),
        (b"\x18\x04\x01\x01\x01\x20\x00", "a clock of 1 Hz and ids shifted by 32"),
        (b"\x18\x04\x00\x01\x01\x02\x00", "a clock of 0 Hz and ids shifted by 2"),
    ],
)
def test_packets_that_cannot_be(bad, reason):
    target = Target()
    target.sync()
    with pytest.raises(TraceError, match=rf"byte {len(target.data)}: {reason}, and no sync"):
        load(bytes(target.data) + bad)


def test_wherever_a_stream_ends_what_is_there_is_read():
    target = Target()
    target.sync()
    rows = a_run(target, random.Random(5), 60)
    data, last = bytes(target.data), 0
    for end in range(len(data) - 400, len(data)):
        trace = load(data[:end])
        found = events_of(trace)
        assert [row[:4] for row in found] == [row[:4] for row in rows[: len(found)]]
        assert trace.loss.damaged_bytes < 320
        assert len(found) >= last
        last = len(found)
    assert last == len(rows)


def test_a_recording_without_heap_events_says_what_makes_them():
    target = Target()
    target.sync()
    target.packet(512, b"\1\2")
    with pytest.warns(TraceWarning, match=r"SEGGER_SYSVIEW_HeapAlloc.*sysviewtrace_proc\.py -p"):
        assert len(load(bytes(target.data))) == 0


def test_a_recording_without_a_sync_or_an_init_packet():
    with pytest.raises(TraceError, match="holds no sync of SystemView"):
        load(b"\x03\x05" * 50, format="systemview")
    target = Target()
    target.alloc(HEAP, 64)
    with pytest.raises(TraceError, match="no init packet before the first ids"):
        load(SYNC + bytes(target.data), format="systemview")


def test_ids_wrap_at_32_bits():
    target = Target()
    target.sync()
    target.alloc(BASE - 0x1000, 64)
    assert load(bytes(target.data)).recorded_address.tolist() == [BASE - 0x1000]


def test_a_time_that_64_bits_do_not_hold():
    target = Target(frequency=1)
    target.sync()
    target.now = 2**32 - 1
    target.alloc(HEAP, 16)
    assert load(bytes(target.data)).time.tolist() == [0]
    for number in range(1, 3000):
        target.now += 2**32 - 1
        target.alloc(HEAP + 64 * number, 16)
    with pytest.raises(TraceError, match=r"the time is \d+; it must be below 2\*\*63"):
        load(bytes(target.data))


def test_two_sessions_with_clocks_of_their_own_follow_each_other():
    target = Target(frequency=1_000_000)
    target.sync()
    target.now = 500
    target.alloc(HEAP, 16)
    target.frequency = 2_000_000
    target.sync()
    target.now += 1000
    target.free(HEAP)
    assert load(bytes(target.data)).time.tolist() == [0, 500]


@pytest.mark.parametrize(
    "unit",
    [b"\0", SYNC + b"\x18", b"\x03\0", b"\x01" * 3, b"\x1f\x02\x05\x00", b"\x04\x80", b"\x3b\x0a"],
)
def test_no_bytes_take_more_than_their_share_of_steps(unit):
    target = Target()
    target.sync()
    start = bytes(target.data)

    def take(count):
        def read():
            with contextlib.suppress(TraceError, TraceWarning):
                load(start + unit * count, format="systemview", strict=False)

        return read

    few, many = steps(take(2000)), steps(take(8000))
    assert many < 4.5 * few + 20_000


def test_init_packets_of_other_kinds_are_no_sync():
    def init(*numbers, more=b""):
        body = b"".join(map(leb, numbers)) + more
        return SYNC + leb(INIT) + leb(len(body)) + body + b"\0"

    right = (1_000_000, 25_000_000, BASE, 0)
    reader = next(r for r in formats.READERS if r.NAME == "systemview")
    assert reader.sniff(init(*right))
    assert reader.sniff(b"\x05" + init(*right))
    assert not reader.sniff(init(*right)[1:])
    assert not reader.sniff(init(0, *right[1:]))
    assert not reader.sniff(init(*right[:3], 9))
    assert not reader.sniff(init(*right, more=b"\1"))
    assert not reader.sniff(SYNC + leb(EXTENDED) + init(*right)[11:])
    assert not reader.sniff(bytes(70_000))
