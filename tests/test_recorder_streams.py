"""The recorder on this machine: its stream, whole, cut and with bytes missing, becomes a trace."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import recorder_reference as wire
import traces
from recorder_device import BASE, build
from trace_files import load
from trace_strategies import triples

from rtosheap import Heap4, Heap5, Trace, TraceError, replay
from rtosheap.traces import Loss


@pytest.fixture(scope="module", params=["", "-DRHR_CALLERS=1"], ids=["plain", "callers"])
def device(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return build("", tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("size", [1, 19, 20])
def test_a_ring_without_room_keeps_nothing_and_says_so(plain, size):
    plain.start(ring=4096)  # memory with room behind the ring
    plain.start_ring(size)
    assert not plain.ring_started()
    for i in range(100):
        plain.event("m", BASE + 8 * i, 100)
    assert plain.bytes() == bytes(4096)


def test_the_smallest_ring_is_a_ring(plain):
    plain.start(ring=4096)
    plain.start_ring(21)
    assert plain.ring_started()
    plain.event("m", BASE + 8, 100)
    assert plain.bytes()[21:] == bytes(4096 - 21)


def test_a_ring_starts_in_memory_that_holds_anything(plain):
    plain.start(ring=4096)
    plain.start_ring(4096, fill=0xFF)
    header = plain.bytes()[:20]
    assert (header[:8], np.frombuffer(header[8:], "<u4").tolist()) == (b"RHRING1\0", [4076, 0, 0])


@pytest.mark.parametrize("data", [b"RHE1" + b"x" * 20, b"RHE1" * 3000, b"RHE1", b"xRHE1" * 9])
def test_marks_without_a_sync_are_no_stream(data):
    with pytest.raises(TraceError, match="no whole sync record"):
        Trace.load(io.BytesIO(data), format="recorder")


# ---------------------------------------------------------------------- whole streams


def test_a_recorded_trace_comes_back(device):
    trace = traces.load("frtos-cm3-mixed")
    device.start()
    device.record(trace, Heap4(48 << 10))
    found = load(device.bytes())
    assert found.loss == Loss()
    assert found.op.tobytes() == trace.op.tobytes()
    assert found.size.tolist() == trace.size.tolist()
    assert trace.time is None or found.time.tolist() == trace.time.tolist()
    again = replay(found, Heap4(48 << 10), record=("address",))["address"]
    assert np.array_equal(again, found.recorded_address)


def test_bytes_per_event(plain):
    """7 for a free, 8 for a malloc, and what syncs, names and long pauses cost."""
    trace = traces.load("frtos-cm3-mixed")
    plain.start()
    plain.record(trace, Heap4(48 << 10))
    assert 7.5 < len(plain.bytes()) / len(trace) < 8.5
    one_by_one = list(wire.records(plain.bytes()))
    own = [record.length for record in one_by_one if record.kind in "mf" and record.short]
    assert 7.4 < sum(own) / len(own) < 7.6


def test_reallocs_large_sizes_and_far_addresses(device):
    device.start()
    device.event("m", BASE + 8, 5000)
    device.event("m", BASE + 0x1000_0008, 10)
    device.event("m", BASE + 0x1000_0104, 10)  # not a multiple of 8
    device.event("m", BASE - 64, 4096)
    device.event("r", BASE + 0x4000, 70_000, BASE + 8)
    device.event("m", 0, 1 << 20)
    device.event("r", 0, 1 << 21, BASE + 0x4000)
    device.event("f", 0)
    device.event("r", 0, 0, BASE + 0x4000)
    found = load(device.bytes())
    assert triples(found) == [
        ("m", 0, 5000), ("m", 1, 10), ("m", 2, 10), ("m", 3, 4096), ("r", 0, 70_000), ("f", 0, 0)
    ]  # fmt: skip
    where = [BASE + 8, BASE + 0x1000_0008, BASE + 0x1000_0104, BASE - 64, BASE + 0x4000]
    assert found.recorded_address.tolist() == [*where, BASE + 0x4000]
    assert found.loss == Loss(failed=2)
    assert found.meta["largest_failed_request"] == str(1 << 21)


def test_time_and_tasks(device):
    device.start()
    times = [5, 5, 20, 21, 37, 1000, 100_000, 100_016, 100_031]
    tasks = ["a", "b", "", "a", "c d", "b", "a", "a", "b"]
    for i, (tick, task) in enumerate(zip(times, tasks, strict=True)):
        device.event("m", BASE + 64 * i, 8, tick=tick, task=task)
    found = load(device.bytes())
    assert found.time.tolist() == times
    assert found.task.tolist() == [task.replace(" ", "_") for task in tasks]


def test_more_tasks_than_the_table_has(device):
    device.start()
    for i in range(20):
        device.event("m", BASE + 64 * i, 8, task=f"task-number-{i:02}-of-many")
    found = load(device.bytes())
    assert found.task.tolist() == [f"task-number-{i:02}-o" for i in range(14)] + [""] * 6


def test_a_forgotten_tasks_handle_is_used_again(device):
    device.start()
    for i in range(14):
        device.event("m", BASE + 64 * i, 8, task=f"t{i}")
    device.forget("t3")
    device.event("m", BASE + 6400, 8, task="new")
    assert load(device.bytes()).task.tolist() == [f"t{i}" for i in range(14)] + ["new"]


def test_a_new_task_may_have_a_forgotten_ones_handle(device):
    device.start()
    device.event("m", BASE, 8, task="one")
    device.event("m", BASE + 64, 8, task="two")
    device.forget("one")
    device.rename("one", "new")
    device.event("m", BASE + 128, 8, task="new")
    device.event("m", BASE + 192, 8, task="two")
    found = list(wire.records(device.bytes()))
    assert [(r.task, r.name) for r in found if r.kind == "n"] == [
        (1, "one"),
        (2, "two"),
        (1, "new"),
    ]
    assert load(device.bytes()).task.tolist() == ["one", "two", "new", "two"]


def test_a_name_ends_at_its_zero_alone(device):
    device.start()
    device.event("m", BASE, 8, task="a\x01b")
    device.event("m", BASE + 64, 8, task="c")
    assert [r.name for r in wire.records(device.bytes()) if r.kind == "n"] == ["a\x01b", "c"]


def test_the_clock_may_wrap(device):
    device.start()
    for i, tick in enumerate([2**32 - 20, 2**32 - 3, 2, 40]):
        device.event("m", BASE + 64 * i, 8, tick=tick)
    assert load(device.bytes()).time.tolist() == [2**32 - 20, 2**32 - 3, 2**32 + 2, 2**32 + 40]


def test_what_sizes_mean(device):
    device.start(meaning=2, overhead=8)
    device.event("m", BASE + 8, 112)
    found = load(device.bytes())
    assert found.size.tolist() == [104]
    assert found.loss == Loss(rounded_sizes=1)
    device.start(meaning=1, overhead=8)
    device.event("m", BASE + 8, 112)
    assert load(device.bytes()).size.tolist() == [112]


def test_callers_are_recorded(tmp_path):
    device = build("-DRHR_CALLERS=1", tmp_path)
    for _ in range(2):
        device.start()
        device.event("u", BASE, 8)
        device.event("m", BASE + 64, 8)
        found = [record for record in wire.records(device.bytes()) if record.kind == "c"]
        assert [record.address for record in found] == [0, 0xCA11E4]


def test_regions_of_heap_5_record_like_others(plain):
    regions = [(0x1000_0000, 4096), (BASE, 65536)]
    plain.start(base=0x1000_0000)
    plain.record(traces.load("coap-server"), Heap5(regions))
    found = load(plain.bytes())
    again = replay(found, Heap5(regions), record=("address",))["address"]
    assert np.array_equal(again, found.recorded_address)


# ---------------------------------------------------------------------- what is lost


def stream(device, events=4000):
    """A stream, and where each record lies in it."""
    device.start()
    device.record(traces.load("lua-json")[:events], Heap4(256 << 10))
    data, at, out = device.bytes(), 0, []
    for record in wire.records(data):
        out.append((at, record))
        at += record.length
    assert at == len(data)
    return data, out


@pytest.mark.parametrize("seed", range(5))
def test_one_byte_in_a_hundred_is_missing(device, seed):
    """It imports without an error, and loses no more than the damaged records."""
    data, where = stream(device)
    rng = random.Random(seed)
    gone = {at for at in range(len(data)) if rng.random() < 0.01}
    found = load(bytes(byte for at, byte in enumerate(data) if at not in gone))
    damaged = sum(any(at + i in gone for i in range(record.length)) for at, record in where)
    assert 0.4 * damaged < found.loss.lost_events <= damaged
    # nothing is made up: what came through is what was recorded, in its order
    events = [(r.kind, r.size, r.address) for _, r in where if r.kind in "mfrx"]
    seen = [
        (r.kind, r.size, r.address)
        for r in wire.records(bytes(b for at, b in enumerate(data) if at not in gone))
        if r.kind in "mfrx"
    ]
    everything = iter(events)
    assert all(event in everything for event in seen)
    assert len(seen) >= len(events) - damaged


def test_noise_between_records(device):
    data, _ = stream(device, 500)
    whole = load(data)
    rng = random.Random(3)
    noisy = rng.randbytes(500) + data[:2000] + rng.randbytes(999) + data[2000:] + rng.randbytes(50)
    found = load(noisy)
    assert len(found) >= len(whole) - 2
    assert found.loss.damaged_bytes >= 1500


def test_a_long_gap_is_counted(device):
    data, where = stream(device)
    events = [at for at, record in where if record.kind in "mfrx"]
    found = load(data[: events[500]] + data[events[1500] :])
    assert found.loss.lost_events == 1000
    assert found.loss.damaged_bytes == 0


def test_a_stream_that_begins_and_ends_in_the_middle(device):
    data, where = stream(device)
    events = [at for at, record in where if record.kind in "mfrx"]
    found = load(data[events[100] + 3 : events[900] + 2])
    assert found.loss.lost_events == 101
    assert found.loss.foreign_frees > 0


def test_the_time_before_the_first_whole_one(device):
    device.start()
    for i in range(200):
        device.event("m", BASE + 64 * i, 8, tick=1000 + 3 * i)
    data = device.bytes()
    starts = [record for record in wire.records(data) if record.kind in "mfrx"]
    assert len(starts) == 200
    late = data[len(data) // 8 :]
    found = load(late)
    assert found.time.tolist() == [1000 + 3 * i for i in range(200 - len(found), 200)]


def test_a_device_that_starts_anew(device):
    device.start()
    for i in range(70):
        device.event("m", BASE + 64 * i, 8, tick=i)
    first = device.bytes()
    device.start()
    for i in range(70):
        device.event("m", BASE + 64 * i, 8, tick=i)
    found = load(first + device.bytes())
    assert len(found) == found.allocs == 140
    assert found.loss == Loss()
    assert (np.diff(found.time) >= 0).all()


def test_a_ring(device):
    for events, ring in [(50, 4096), (4000, 4096), (4000, 1001)]:
        device.start(ring=ring + 20 if ring % 4 else ring)
        trace = traces.load("lua-json")[:events]
        device.record(trace, Heap4(256 << 10))
        dump = random.Random(1).randbytes(333) + device.bytes() + bytes(100)
        found = load(dump)
        assert found.loss.lost_events == (0 if events == 50 else found.loss.lost_events)
        count = len(found) + found.loss.foreign_frees
        assert found.loss.lost_events + count == len(trace)
        late = load(bytes(200_001) + dump)  # somewhere in a device's whole memory
        assert late == found


def test_whatever_a_capture_holds_it_is_read_or_refused(plain):
    data, _ = stream(plain, 300)
    rng = random.Random(5)
    for _ in range(100):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 5, 50])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        start, end = sorted(rng.randrange(len(data)) for _ in range(2))
        try:
            trace = load(bytes(changed[start:end]))
        except TraceError:
            continue
        assert trace.time is None or (np.diff(trace.time) >= 0).all()


def test_no_sync_no_trace(device):
    device.start()
    device.event("m", BASE, 8)
    with pytest.raises(TraceError, match="none of the formats"):
        load(device.bytes()[28:])
    with pytest.raises(TraceError, match="no whole sync"):
        Trace.load(io.BytesIO(device.bytes()[28:]), format="recorder")
