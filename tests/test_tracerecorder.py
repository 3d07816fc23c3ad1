"""TraceRecorder's streams and rings: recordings of the real one, and files made by its format."""

from __future__ import annotations

import csv
import gzip
import io
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import zstandard
from fuzz import fuzz_readers
from recordings import assert_numbers, events_of
from steps import steps
from trace_files import load
from tracerecorder_files import (
    FAILED,
    FREE,
    MALLOC,
    NAME,
    RUN,
    START,
    TICK,
    Event,
    Target,
    a_run,
    oracle,
)

from rtosheap import Heap4, Trace, TraceError, replay
from rtosheap.cli import main
from rtosheap.kinds import layout_of
from rtosheap.traces import TraceWarning, formats
from rtosheap.traces.doubts import doubts
from rtosheap.traces.formats import _kernel_log

FOLDER = Path(__file__).parent / "data" / "recordings"
with (FOLDER / "EXPECTED.tsv").open() as table:
    ROWS = {
        row["file"]: row
        for row in csv.DictReader(table, delimiter="\t")
        if row["file"].startswith("tracerecorder")
    }
WHOLE = {
    "tracerecorder-4.11.0-frtos-11.3.psf": "V11.3.0",
    "tracerecorder-4.6.6-frtos-10.6.psf": "V10.6.2",
}
LOSSY = "tracerecorder-4.11.0-frtos-11.3-lost.psf"
RING = "tracerecorder-4.11.0-frtos-11.3-ring.bin"

pytestmark = pytest.mark.filterwarnings("error")


def unpacked(name):
    packed = (FOLDER / f"{name}.zst").read_bytes()
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()


def truth(name):
    path = FOLDER / "truth" / f"{name.rpartition('.')[0]}.tsv.gz"
    return list(csv.DictReader(gzip.open(path, "rt"), delimiter="\t"))


# ---------------------------------------------------------------------- recordings


def test_the_recordings_that_there_are():
    assert ROWS.keys() == {*WHOLE, LOSSY, RING}
    assert {path.name for path in FOLDER.glob("*.zst")} >= {f"{name}.zst" for name in ROWS}


@pytest.mark.parametrize("name", ROWS)
def test_a_recording_comes_to_its_numbers(name):
    row, trace = ROWS[name], Trace.load(FOLDER / f"{name}.zst")
    assert_numbers(trace, row)
    loss = trace.loss
    assert loss.damaged_bytes == 0
    assert loss.rounded_sizes == trace.allocs
    assert trace.meta["heap_size"] == "40960"
    assert trace.meta["abi"] == "4-byte pointers"
    assert trace.time_unit == "us"
    named = {name for name in row["task_names"].split(",") if not name.startswith("?")}
    assert {name for name in trace.task_names if not name.startswith("?")} == named


@pytest.mark.parametrize("name", ROWS)
def test_a_recording_is_told_by_its_content(name):
    data = unpacked(name)
    assert [reader.NAME for reader in formats.READERS if reader.sniff(data[:65536])] == [
        "tracerecorder"
    ]
    assert load(data) == load(data, format="tracerecorder")
    assert load(bytes(999) + data) == load(data)
    assert load(bytes(100_001) + data, format="tracerecorder") == load(data)
    if name == RING:
        assert load(bytes(100_000) + data) == load(data)


@pytest.mark.parametrize("name", [*WHOLE, RING])
def test_a_recording_is_the_truth_event_by_event(name):
    trace, row = Trace.load(FOLDER / f"{name}.zst"), ROWS[name]
    live, right = set(), []
    for event in truth(name)[-int(row["events"]) :]:
        address = int(event["address"], 16)
        if event["op"] == "m":
            live.add(address)
        if event["op"] == "m" or address in live:
            right.append(event)
        live -= {address} if event["op"] == "f" else set()
    assert len(trace) == len(right)
    began = int(truth(name)[-int(row["events"])]["time_us"])
    unknown = 0
    for found, event in zip(events_of(trace), right, strict=True):
        op, address, size, task, time = found
        assert (op, address) == (event["op"], int(event["address"], 16))
        assert size == (int(event["logged"]) if op == "m" else 0)
        assert abs(time - int(event["time_us"]) + began) <= 4
        unknown += not task
        assert task in (event["task"].replace(" ", "_"), "")
    assert unknown <= (5 if name == RING else 0)


def test_a_recording_with_gaps_is_the_truth_but_for_what_is_lost():
    trace, by_time = Trace.load(FOLDER / f"{LOSSY}.zst"), {}
    for event in truth(LOSSY):
        size = int(event["logged"]) if event["op"] == "m" else 0
        key = event["op"], int(event["address"], 16), size
        by_time.setdefault(key, []).append(event)
    implied = unnamed = last = 0
    for op, address, size, task, time in events_of(trace):
        right = [
            event
            for event in by_time.get((op, address, size), ())
            if abs(int(event["time_us"]) - time) <= 4
        ]
        if not right:  # the free that was lost stands before the malloc that shows it
            assert op == "f"
            implied += 1
            continue
        assert len(right) == 1
        assert int(right[0]["time_us"]) >= last
        last = int(right[0]["time_us"])
        assert task in (right[0]["task"].replace(" ", "_"), "", "?200025d8")
        unnamed += task in ("", "?200025d8")
    assert implied == trace.loss.implied_frees == 11
    assert unnamed <= trace.loss.unknown_tasks
    assert "events that the recorder made and the file does not hold: 463" in doubts(trace, 4)[0]


@pytest.mark.parametrize("name", WHOLE)
def test_requests_are_as_near_as_they_can_be_and_give_the_recorded_addresses(name):
    path, kernel = FOLDER / f"{name}.zst", WHOLE[name]
    logged, trace = Trace.load(path), Trace.load(path, heap=Heap4, kernel=kernel)
    asked = [int(event["requested"]) for event in truth(name) if event["op"] == "m"]
    more = trace.size[trace.op == ord("m")].astype(np.int64) - asked
    most = 7 if kernel.startswith("V10") else 23
    assert (more.min(), more.max()) == (0, most)
    assert np.array_equal(trace.recorded_address, logged.recorded_address)
    heap = Heap4(40960, base_address=int(trace.recorded_address[0]) - 8, kernel=kernel)
    assert np.array_equal(replay(trace, heap)["address"], trace.recorded_address)
    assert f"on heap_4 of {kernel}: of each up to 7 bytes" in trace.meta["sizes"]
    assert ("up to 16 more" in trace.meta["sizes"]) == (most == 23)
    assert [text for text in doubts(trace, 4) if "sizes are the largest requests" in text]
    assert [text for text in doubts(logged, 4) if "rtosheap convert --heap" in text]


def test_frees_tell_that_a_kernel_is_an_old_one():
    old, new = (Trace.load(FOLDER / f"{name}.zst") for name in reversed(WHOLE))
    assert old.meta["sizes"].startswith("as a kernel up to V11.1 logs them")
    assert new.meta["sizes"].startswith("as the kernel logs them: the block's, or")
    with pytest.raises(TraceError, match=r"10\.6\.psf\.zst: kernel is V11\.3\.0, which logs whole"):
        Trace.load(FOLDER / "tracerecorder-4.6.6-frtos-10.6.psf.zst", heap=Heap4, kernel="V11.3.0")
    assert old.meta["largest_failed_request"] == "100008"


def test_convert_takes_the_header_off(tmp_path, capsys):
    device, out = str(FOLDER / "tracerecorder-4.11.0-frtos-11.3.psf.zst"), tmp_path / "a.trace.gz"
    assert main(["convert", device, str(out)]) == 0
    said = capsys.readouterr().out
    assert "sizes are as the kernel logs them" in said
    assert Trace.load(out).largest_request == Trace.load(device).largest_request
    # What was converted without them can still be told.
    asked = Trace.load(device, heap="heap_4", kernel="V11.3.0")
    assert Trace.load(out, heap="heap_4", kernel="V11.3.0") == asked
    how = ["--heap", "heap_4", "--kernel", "V11.3.0"]
    assert main(["convert", device, str(out), *how]) == 0
    said = capsys.readouterr().out
    assert "up to 7 bytes were not requested, nor up to 16 more that were too small" in said
    assert Trace.load(out) == asked
    assert Trace.load(out).meta["sizes"] == asked.meta["sizes"]
    for arguments, reason in (
        ((device, str(out), "--kernel", "V11.3.0"), "are those of --heap; name it"),
        ((str(out), str(out), *how), "those of the trace are the largest requests"),
        (
            (device, str(out), *how, "--alignment", "32"),
            "a block of heap_4 with an alignment of 32",
        ),
    ):
        assert main(["convert", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert reason in line


def test_a_ring_that_wrapped_says_so():
    trace = Trace.load(FOLDER / f"{RING}.zst")
    assert "end of a longer one" in trace.meta["incomplete"]
    assert any(trace.meta["incomplete"] in said for said in doubts(trace, 4))


# ---------------------------------------------------------------------- files made by the format

TARGETS = {
    **{f"format {version}": Target(version) for version in (10, 12, 13, 14)},
    "big-endian": Target(order=">"),
    "64 bits": Target(word=8),
    "64 bits, big-endian, format 10": Target(10, ">", 8),
    "64 bits, format 12": Target(12, word=8),
    "two cores": Target(cores=2),
    "four cores, 64 bits, ticks": Target(cores=4, word=8, clock=4, period=50_000),
    **{f"time {clock}": Target(clock=clock) for clock in range(2, 7)},
    "time 1, a wrap": Target(zero=(1 << 32) - 100_000),
    "time 2, a wrap": Target(clock=2, zero=(1 << 32) - 100_000),
    "time 3, ticks beyond 16 bits": Target(clock=3, zero=70_000_000),
    "time 4, ticks beyond 16 bits": Target(13, clock=4, zero=70_000_000),
    "symbols of 32 bytes": Target(10, symbol=32),
}


def agrees(trace, told, target):
    """Assert that a trace says what an oracle does."""
    first = None
    found = events_of(trace)
    assert len(found) == len(told.rows)
    for number, (got, right) in enumerate(zip(found, told.rows, strict=True)):
        assert got[:4] == right[:4], number
        first = right[4] - got[4] * target.frequency // 1_000_000 if first is None else first
        assert abs((right[4] - first) * 1_000_000 // target.frequency - got[4]) <= 1, number
    assert (trace.loss.failed, trace.loss.foreign_frees, trace.loss.implied_frees) == (
        told.failed,
        told.unknown,
        told.implied,
    )


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_streams_of_every_kind(target):
    for seed in range(3):
        events, _ = a_run(seed, target=target)
        trace = load(target.stream(events))
        assert trace.meta["source"] == f"TraceRecorder stream, format {target.version}"
        assert trace.meta["abi"] == f"{target.word}-byte pointers"
        assert trace.loss.lost_events == trace.loss.damaged_bytes == 0
        assert len(trace) > 100
        agrees(trace, oracle(events, {}), target)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_rings_of_every_kind(target):
    for seed, size in enumerate((1200, 5000, 100_000)):
        events, names = a_run(seed, target=target, backwards=True)
        data, kept = target.ring(events, size, names=names)
        trace = load(data)
        assert trace.loss.lost_events == trace.loss.damaged_bytes == 0
        assert ("incomplete" in trace.meta) == (len(kept) < len(events))
        assert len(kept) < len(events) or size > 1200
        agrees(trace, oracle(kept, names, backwards=True), target)


@pytest.mark.parametrize("target", [Target(), Target(cores=2), Target(10, ">", 8)], ids=str)
def test_lost_events_are_counted(target):
    for seed in range(10):
        rng, (events, _) = random.Random(seed), a_run(seed, target=target)
        pieces, kept, lost = target.encode(events), [], 0
        gaps = sorted(rng.sample(range(1, len(events) - 40), 4))
        spans = [(at, at + rng.choice([1, 3, 30])) for at in gaps]
        data = target.head()
        for number, event in enumerate(events):
            if any(start <= number < stop for start, stop in spans):
                lost += 1
                kept.append(None)
                continue
            kept.append(event)
            data += pieces[number]
        trace = load(data)
        assert trace.loss.lost_events == lost
        assert trace.loss.damaged_bytes == 0
        if target.cores == 1:  # else the reader learns of a gap by that core's next event
            agrees(trace, oracle(kept, {}), target)


@pytest.mark.parametrize("target", [Target(), Target(13, ">"), Target(word=8)], ids=str)
def test_reading_goes_on_behind_lost_bytes(target):
    seen = 0
    for seed in range(20):
        rng, (events, _) = random.Random(seed), a_run(seed, target=target)
        pieces, head = target.encode(events), target.head()
        starts = np.cumsum([0, *map(len, pieces)]).tolist()
        start = rng.randrange(starts[3], starts[-60])
        stop = start + rng.choice([1, 4, 10, 100, 500])
        whole = b"".join(pieces)
        trace = load(head + whole[:start] + whole[stop:])
        before = [e for e, end in zip(events, starts[1:], strict=True) if end <= start]
        behind = [e for e, at in zip(events, starts, strict=False) if at >= stop]
        lost = len(events) - len(before) - len(behind)
        # Of the last event before them the reader cannot know whether it is whole, and of halves
        # of two events, if their lengths happen to fit, not that they are no event.
        if start - starts[len(before)] < 8 and trace.loss.lost_events > lost:
            before.pop()
            lost += 1
        assert abs(trace.loss.lost_events - lost) <= 2
        if trace.loss.lost_events == lost and trace.loss.damaged_bytes:
            agrees(trace, oracle([*before, None, *behind], {}), target)
            seen += 1
    assert seen > 15


def test_an_event_that_is_longer_than_it_can_say():
    """User events may have more than 15 words, of which their number has four bits."""
    events, _ = a_run(1, target=Target())
    for size in (16, 20):
        long = Event(0xFA0, tuple(range(size)), events[99].time)
        pieces = Target().encode([*events[:100], Event(0xFA0, (), 0), *events[100:]])
        pieces[100] = Target().pack(
            f"HHI{size}I", 0xFA0 | size % 16 << 12, 106, long.time, *long.words
        )
        trace = load(Target().head() + b"".join(pieces))
        assert trace.loss.lost_events == 1
        agrees(trace, oracle([*events[:100], None, *events[100:]], {}), Target())


def test_a_few_events_at_the_end_behind_lost_bytes_cost_none_before_them():
    """Their counts are far from those before them, and nothing is left to be sure by."""
    events = [Event(START, (2,), 0)]
    events += [Event(MALLOC, (16 * n, 16), n) for n in range(1, 2001)]
    last = [Event(FREE, (16 * n, 16), 3000 + n) for n in range(1, 5)]
    behind = b"".join(Target().encode(last, 6 + 20_000))
    data = Target().stream(events) + b"\x11" * 9 + behind
    found: list[Trace] = []
    taken = steps(lambda: found.append(load(data)))
    # The event before the lost bytes is left out, since nothing says that it ends there.
    told = oracle([*events[:-1], None, *last], {})
    agrees(found[0], told, Target())
    assert found[0].loss.lost_events == 20_000 - 2000
    assert taken < 70 * len(events)


def test_a_gap_of_single_events_is_no_damage():
    """A recorder that is overrun loses an event here and there, as many as it keeps."""
    events, _ = a_run(1, target=Target())
    pieces = Target().encode(events)
    kept = [number for number in range(len(events)) if number % 3]
    trace = load(Target().head() + b"".join(pieces[number] for number in kept))
    assert trace.loss.damaged_bytes == 0
    assert trace.loss.lost_events == kept[-1] - kept[0] + 1 - len(kept)


@pytest.mark.parametrize("target", [Target(), Target(12, ">"), Target(cores=2)], ids=str)
def test_wherever_a_stream_ends_what_is_there_is_read(target):
    events, _ = a_run(3, 30, target=target)
    pieces, head = target.encode(events), target.head()
    ends = np.cumsum([len(head), *map(len, pieces)]).tolist()
    data = target.stream(events)
    for end in range(len(head), len(data)):
        whole = sum(stop <= end for stop in ends[1:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TraceWarning)  # where no call is there yet
            trace = load(data[:end])
        agrees(trace, oracle(events[:whole], {}), target)
        assert trace.loss.damaged_bytes == end - ends[whole]
    for end in range(len(head)):
        with pytest.raises(TraceError):
            load(data[:end], format="tracerecorder")


def test_a_recorder_that_is_started_again():
    target = Target()
    one, _ = a_run(1, target=target)
    other = Target(zero=5_000_000)
    two = [Event(START, (0x20018000,), 0), Event(MALLOC, (0x2000F000, 16), 0)]
    two += a_run(2, target=other)[0][1:]
    names = [(0x20018000, (1, 0, 0), 0, b"old hand")]
    again = Target(zero=5_000_000, entries=[*target.entries, *names])
    data = target.stream(one) + again.head() + b"".join(again.encode(two, 5))
    trace = load(data)
    assert "stopped and started again" in trace.meta["incomplete"]
    assert trace.loss.lost_events == 0
    assert "old_hand" in trace.task_names
    whole = load(target.stream(one))
    assert trace[: len(whole)].op.tolist() == whole.op.tolist()
    assert len(trace) > len(whole) + 100
    assert (np.diff(trace.time) >= 0).all()


def test_bytes_before_the_header():
    data = Target().stream(a_run(1, target=Target())[0])
    assert load(b"boot v1\r\n\0\0\0" + data) == load(data)


def test_the_scheduler_is_not_running_and_no_time_passes():
    """Its counter reads 0 then, which on one that counts down would be a tick's end."""
    target = Target(clock=4, period=25_000, frequency=25_000_000)
    events = [Event(MALLOC, (0x20000010 + 16 * n, 16), 24_999) for n in range(3)]
    events += [Event(TICK, (1,), 25_100), Event(FREE, (0x20000010, 16), 25_600)]
    assert target.stamp(24_999) == 0
    assert load(target.stream(events)).time.tolist() == [0, 0, 0, 1024]


def test_a_task_that_deletes_itself_is_running_until_the_next():
    end = 0x20010000
    events = [
        *(Event(NAME, (end,), 0, b"worker"), Event(RUN, (end, 1), 1)),
        *(Event(0x020, (end, 1), 2), Event(MALLOC, (0x20000010, 16), 3)),
        *(Event(RUN, (0x20010100, 1), 4), Event(FREE, (0x20000010, 16), 5)),
    ]
    assert load(Target().stream(events)).task.tolist() == ["worker", "?20010100"]


def test_a_name_that_comes_while_its_task_runs():
    end = 0x20010000
    events = [
        *(Event(RUN, (end, 1), 1), Event(MALLOC, (0x20000010, 16), 3)),
        *(Event(NAME, (end,), 4, b"a b"), Event(FREE, (0x20000010, 16), 5)),
    ]
    assert load(Target().stream(events)).task.tolist() == ["?20010000", "a_b"]


def test_a_name_that_is_no_word_is_none():
    end = 0x20010000
    text = [Event(NAME, (end,), 0, b"\x01\x02"), Event(RUN, (end, 1), 1)]
    trace = load(Target().stream([*text, Event(MALLOC, (0x20000010, 16), 3)]))
    assert trace.task.tolist() == ["?20010000"]
    assert trace.loss.unknown_tasks == 1


def test_a_counter_of_unknown_frequency_gives_ticks():
    trace = load(Target(frequency=0).stream(a_run(1, target=Target())[0]))
    assert trace.time_unit == "ticks"


def test_failures_tell_sizes_on_old_kernels():
    events = [Event(MALLOC, (0x20000010, 24), 0), Event(FAILED, (0, 0), 1)]
    meta = load(Target().stream(events)).meta
    assert meta["sizes"].startswith("as the kernel logs them")
    meta = load(Target().stream([*events, Event(FAILED, (0, 48), 2)])).meta
    assert meta["sizes"].startswith("as a kernel up to V11.1 logs them")
    assert meta["largest_failed_request"] == "48"


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("version", [0, 9, 11, 15, 0xFFFF])
@pytest.mark.parametrize("order", "<>")
def test_an_unknown_version_is_named(version, order):
    data = Target(order=order).stream(a_run(1, target=Target())[0])
    changed = data[:4] + Target(order=order).pack("H", version) + data[6:]
    for file in (changed, b"\r\n" + changed):
        with pytest.raises(TraceError, match=rf"stream of format {version}; formats 10, 12, 13"):
            load(file)


def test_no_device_has_a_million_tasks(monkeypatch):
    monkeypatch.setattr(_kernel_log, "_MOST_TASKS", 3)
    events = [Event(RUN, (16 * n,), n) for n in (1, 2, 1, 2, 3)]
    with pytest.warns(TraceWarning, match="TRC_CFG_INCLUDE_MEMMANG_EVENTS"):
        assert len(load(Target().stream(events))) == 0
    with pytest.raises(TraceError, match="tells of more than 3 tasks"):
        load(Target().stream([*events, Event(RUN, (64,), 9)]))


def test_what_a_header_may_hold():
    data = Target().stream(a_run(1, 20, target=Target())[0])
    pack = Target().pack
    for at, new, reason in (
        (6, pack("H", 0x1AA2), "kernel 0x1aa2"),
        (32, pack("I", 7), "time is of type 7"),
        (60, pack("I", 1 << 30), "ends before the events"),
        (68, pack("I", 1 << 20), "ends before the events"),
    ):
        with pytest.raises(TraceError, match=reason):
            load(data[:at] + new + data[at + len(new) :])


def test_times_that_no_64_bits_hold():
    events = [Event(MALLOC, (16 * n, 16), n << 31) for n in range(1, 9)]
    with pytest.raises(TraceError, match=f"the counter's frequency is {1 << 63} Hz"):
        load(Target(word=8, frequency=1 << 63).stream(events))
    data = Target().stream(events)
    with pytest.raises(TraceError, match="a tick has 0 steps"):
        load(data[:32] + Target().pack("II", 3, 0) + data[40:])
    assert load(Target(frequency=1).stream(events)).time[-1] == (7 << 31) * 1_000_000


def test_sizes_that_no_heap_has():
    events = [Event(MALLOC, (0x20000010, 24), 0), Event(MALLOC, (0x20000040, 23), 1)]
    data = Target().stream(events)
    with pytest.raises(TraceError, match="event 1 has size 23; a block of heap_4 with an alignm"):
        load(data, heap="heap_4")
    assert load(data, heap="heap_3").size.tolist() == [24, 23]
    assert load(data, heap="heap_3").loss.rounded_sizes == 0
    with pytest.raises(ValueError, match="kernel, word_size and alignment are those of a heap"):
        load(data, kernel="V11.3.0")
    with pytest.raises(ValueError, match="only FreeRTOS's own heaps serve"):
        load(data, heap="tlsf")
    with pytest.raises(ValueError, match="those of the trace are as requested"):
        load("# rtosheap-trace 1\nm 0 5\n", heap="heap_4")


@pytest.mark.parametrize("kernel", ["V10.4.6", "V10.5.1", "V11.1.0", "V11.2.0"])
@pytest.mark.parametrize("heap", ["heap_1", "heap_2", "heap_4", "heap_5"])
def test_requests_on_any_heap(heap, kernel):
    """The largest requests of the blocks that requests take are no less, and take the same."""
    for word, alignment in ((4, 8), (8, 8), (8, 16), (4, 4)):
        layout = layout_of(heap, {"kernel": kernel, "word_size": word, "alignment": alignment})
        requests = list(range(1, 70))
        blocks = [layout.block_size(request) for request in requests]
        target = Target(word=word)
        events = [Event(MALLOC, (16 * n, size), n) for n, size in enumerate(blocks, 1)]
        trace = load(target.stream(events), heap=heap, kernel=kernel, alignment=alignment)
        more = trace.size.astype(int) - requests
        assert (more.min(), more.max()) == (0, alignment - 1)
        assert [layout.block_size(size) for size in trace.size.tolist()] == blocks


def test_an_import_takes_as_much_for_each_of_many_events():
    """Some 26 steps of Python an event, and 47 to 63 one of the heap, however many there are."""
    data = unpacked("tracerecorder-4.11.0-frtos-11.3.psf")
    assert steps(lambda: load(data)) < 30 * 10_890
    head, events = Target().head(), Target().encode([Event(MALLOC, (8, 8), 0)] * 20_000)
    for count in (2000, 20_000):
        assert steps(lambda count=count: load(head + b"".join(events[:count]))) < 70 * count


@pytest.mark.parametrize("number", range(7))
def test_whatever_a_file_holds_it_is_read_or_refused(number):
    """Far longer runs are commands: see fuzz/RESULTS.md."""
    warnings.simplefilter("ignore", TraceWarning)
    files = [data for _, data in fuzz_readers.percepio()]
    assert len(files) == 7
    for seed in range(150):
        rng = random.Random(f"{number} {seed}")
        fuzz_readers.load(fuzz_readers.changed(rng, files[number], files), "tracerecorder", True)
