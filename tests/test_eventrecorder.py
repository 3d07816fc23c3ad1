"""Event Recorder's logs and eventlist's lists of them: real ones, and files made by the format."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import zstandard
from recordings import assert_numbers
from steps import steps
from trace_files import load

from rtosheap import Heap4, Trace, TraceError, replay
from rtosheap.traces import TraceWarning, formats
from rtosheap.traces.doubts import doubts
from rtosheap.traces.formats.streams import MAX_LINE

FOLDER = Path(__file__).parent / "data" / "recordings"
NAME = "eventrecorder-frtos-11.3"
WHOLE = ["log", "eventlist.txt"]
#: Of the first 2,000 events of the recorder, with 137 of the heap.
CUT = ["eventlist.xml", "eventlist.json", "eventlist-noscvd.txt"]
with (FOLDER / "EXPECTED.tsv").open() as table:
    ROW = {row["file"]: row for row in csv.DictReader(table, delimiter="\t")}[f"{NAME}.log"]

pytestmark = pytest.mark.filterwarnings("error")


def path_of(form):
    return FOLDER / f"{NAME}.{form}.zst"


def unpacked(form):
    packed = path_of(form).read_bytes()
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()


def truth():
    path = FOLDER / "truth" / f"{NAME}.tsv.gz"
    return list(csv.DictReader(gzip.open(path, "rt"), delimiter="\t"))


# ---------------------------------------------------------------------- the recording


@pytest.mark.parametrize("form", WHOLE)
def test_the_recording_comes_to_its_numbers_in_every_form(form):
    trace = Trace.load(path_of(form))
    assert_numbers(trace, ROW)
    loss = trace.loss
    assert loss.damaged_bytes == loss.unknown_tasks == loss.cut_lines == 0
    assert not trace.dropped
    assert set(trace.task_names) == set(ROW["task_names"].split(","))
    assert trace.time_unit == "us"


def test_the_recording_is_the_truth_event_by_event():
    right, trace = [event for event in truth() if event["op"] != "x"], Trace.load(path_of("log"))
    assert len(trace) == len(right)
    names, off = {}, []
    for number, event in enumerate(right):
        size = int(event["logged"]) if event["op"] == "m" else 0
        assert (chr(trace.op[number]), trace.size[number]) == (event["op"], size)
        assert trace.recorded_address[number] == int(event["address"], 16)
        names.setdefault(trace.task[number], set()).add(event["task"])
        off.append(int(trace.time[number]) - int(event["time_us"]))
    assert names.pop("(startup)") == {"(startup)"}
    workers = {f"wrk{number}" for number in range(5)}  # one after the other in the same memory
    assert all(len(said) == 1 or said <= workers for said in names.values())
    assert set.union(*names.values()) == {event["task"] for event in right} - {"(startup)"}
    assert max(map(abs, off)) <= 32


@pytest.mark.parametrize("form", [*WHOLE, *CUT])
def test_all_forms_are_the_same_and_told_by_their_content(form):
    data = unpacked(form)
    trace, log = load(data), Trace.load(path_of("log"))[: 137 if form in CUT else None]
    assert trace == log == load(data, format="eventrecorder")
    assert np.array_equal(trace.recorded_address, log.recorded_address)
    told = [reader.NAME for reader in formats.READERS if reader.sniff(data[:65536])]
    assert told == ["eventrecorder"]
    assert trace.meta["source"].startswith("Event Recorder (")


def test_requests_are_as_near_as_they_can_be_and_give_the_recorded_addresses():
    trace = Trace.load(path_of("log"), heap=Heap4, kernel="V11.3.0")
    asked = [int(event["requested"]) for event in truth() if event["op"] == "m"]
    more = trace.size[trace.op == ord("m")].astype(np.int64) - asked
    assert (more.min(), more.max()) == (0, 22)
    heap = Heap4(40960, base_address=int(trace.recorded_address[0]) - 8, kernel="V11.3.0")
    assert np.array_equal(replay(trace, heap)["address"], trace.recorded_address)
    assert [said for said in doubts(trace, 4) if "sizes are the largest requests" in said]
    assert [said for said in doubts(Trace.load(path_of("log")), 4) if "convert --heap" in said]


# ---------------------------------------------------------------------- logs made by the format


def record(event, ticks, *values, interrupt=False):
    """A record of two or four values."""
    body = struct.pack(f"<QI{len(values)}I", ticks, event | interrupt << 31, *values)
    return struct.pack("<HH", {2: 2, 4: 3}[len(values)], len(body)) + body


def data_record(event, ticks, data):
    body = struct.pack("<QI", ticks, event | len(data) << 16) + data
    return struct.pack("<HH", 1, len(body)) + body


def begin(frequency=1_000_000, ticks=0):
    return record(0xFF00, ticks, 1, frequency) + record(0xFF01, ticks, 0, 0)


def rows_of(trace):
    if not len(trace):
        return []
    tasks = [""] * len(trace) if trace.task is None else trace.task.tolist()
    return list(
        zip(map(chr, trace.op), trace.size.tolist(), tasks, trace.time.tolist(), strict=True)
    )


def test_records_of_every_kind():
    log = begin(2_000_000) + data_record(0xFE00, 5, b"hello") + record(0xF400, 10, 64, 120)
    log += record(0xEF05, 10, 1, 2, 3, 4) + record(0xF00C, 20, 0x20000100, 5)
    log += record(0xF400, 30, 256, 16, interrupt=True) + record(0xF401, 40, 64, 120)
    log += (
        record(0xF400, 50, 0, 0) + data_record(0xFE00, 51, b"") + data_record(0xFE00, 51, b"abcd")
    )
    trace = load(log)
    ran = "0x20000100"
    right = [("m", 120, "(startup)", 0), ("m", 16, ran, 10), ("f", 0, ran, 15)]
    assert rows_of(trace) == right
    assert (trace.loss.failed, trace.loss.damaged_bytes) == (1, 0)


def test_an_old_kernels_sizes_show_themselves():
    log = begin() + record(0xF400, 1, 64, 104) + record(0xF401, 2, 64, 112)
    assert load(log).meta["sizes"].startswith("as a kernel up to V11.1 logs them")
    log = begin() + record(0xF400, 1, 64, 104) + record(0xF400, 1, 0, 5000)
    assert load(log).meta["sizes"].startswith("as a kernel up to V11.1 logs them")


def test_a_recorder_that_is_initialised_again_goes_on_in_time():
    log = begin() + record(0xF400, 100, 64, 16) + record(0xF00C, 500, 7, 0)
    log += begin(1_000_000, 3) + record(0xF401, 13, 64, 16) + record(0xF400, 11, 64, 16)
    assert [row[3] for row in rows_of(load(log))] == [0, 410, 410]


def test_a_clock_of_unknown_frequency_counts_ticks():
    for first in (record(0xFF01, 0, 0, 0), begin(0)):
        log = first + record(0xF400, 100, 64, 16) + begin(1000, 120) + record(0xF401, 130, 64, 16)
        trace = load(log)
        assert (trace.time_unit, trace.time.tolist()) == ("ticks", [0, 30])


def test_a_time_that_64_bits_do_not_hold():
    log = begin(1) + record(0xF400, 2**63, 64, 16)
    with pytest.raises(TraceError, match=r"the time is 9223372036854775808000000 us; it must be"):
        load(log)


def test_a_record_of_an_unknown_kind_is_an_error_that_names_it():
    log = begin() + record(0xF400, 1, 64, 16)
    bad = struct.pack("<HH", 7, 20) + bytes(20)
    with pytest.raises(TraceError, match=rf"byte {len(log)}: a record of kind 7 and 20 bytes; it"):
        load(log + bad)
    trace = load(log + bad + record(0xF401, 2, 64, 16), strict=False)
    assert (len(trace), trace.loss.damaged_bytes) == (2, len(bad))
    with pytest.raises(TraceError, match="a record of kind 2 and 19 bytes"):
        load(log + struct.pack("<HH", 2, 19) + bytes(19))


def test_wherever_a_log_ends_what_is_there_is_read():
    log = begin() + record(0xF400, 1, 64, 16) + record(0xF401, 2, 64, 16)
    for end in range(72, len(log) + 1):
        trace = load(log[:end])
        assert len(trace) == end // 24 - 2
        assert trace.loss.damaged_bytes == end % 24


def test_a_log_without_heap_events_says_what_makes_them():
    with pytest.warns(TraceWarning, match="holds no Malloc or Free"):
        assert len(load(begin())) == 0


def test_what_is_told_as_a_log():
    reader = next(r for r in formats.READERS if r.NAME == "eventrecorder")
    assert reader.sniff(begin())
    assert reader.sniff(begin()[:24])
    assert reader.sniff(begin()[:30])
    assert not reader.sniff(begin()[:20])
    assert not reader.sniff(begin()[1:])
    assert not reader.sniff(begin()[:24] + bytes(24))
    assert not reader.sniff(bytes(100))


# ---------------------------------------------------------------------- lists made by the format

RUNS = "pxCurrentTCB=0x20000100, priority=5"
EVENTS = [
    (0, "0.00000100", "FreeRTOS StreamBuffer", "TaskSwitchedIn", RUNS),
    (1, "0.00001000", "FreeRTOS StreamBuffer", "Malloc", "pvAddress=0x20001000, uiSize=120"),
    (2, "0.00002000", "0xFE", "0xFE00", 'said "<Malloc>" & more'),
    (3, "12.50002000", "FreeRTOS StreamBuffer", "Free", "pvAddress=0x20001000, uiSize=120"),
]  # fmt: skip
RIGHT = [("m", 120, "0x20000100", 0), ("f", 0, "0x20000100", 12_500_010)]


def as_text(events, end="\n   Start/Stop event statistic\n   ---\n\nEvent count\n----- -----\n"):
    wide = [max(len(event[column]) for event in events) for column in range(1, 4)]
    heads = ["Time (s)", "Component", "Event Property"]
    line = lambda *cells: " ".join(cell.ljust(w) for cell, w in zip(cells, wide, strict=True))  # noqa: E731
    out = ["   Detailed event list", "   -------------------", ""]
    out += [f"Index {line(*heads)} Value", f"----- {line(*('-' * len(h) for h in heads))} -----"]
    out += [f"{event[0]:5} {line(*event[1:4])} {event[4]}" for event in events]
    return ("\n".join(out) + "\n" + end).encode()


def as_json(events, **how):
    names = ("component", "eventProperty", "value")
    rows = [
        {"index": event[0], "time": float(event[1]), **dict(zip(names, event[2:], strict=True))}
        for event in events
    ]
    return json.dumps({"events": rows, "statistics": []}, **how).encode()


def as_xml(events, start="", between=""):
    def escaped(value):
        return value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&#34;")

    names = ("index", "time", "component", "eventProperty", "value")
    rows = [
        between.join(
            f"<{name}>{escaped(str(value))}</{name}>"
            for name, value in zip(names, event, strict=True)
        )
        for event in events
    ]
    inner = between.join(f"<events>{between}{row}{between}</events>" for row in rows)
    return f"{start}<EventsTable>{between}{inner}{between}</EventsTable>".encode()


WRITERS = {"txt": as_text, "json": as_json, "xml": as_xml}


@pytest.mark.parametrize("form", WRITERS)
def test_lists_of_every_form(form):
    trace = load(WRITERS[form](EVENTS))
    assert rows_of(trace) == RIGHT
    assert trace.meta["source"] == f"Event Recorder (eventlist's {form})"
    assert not trace.dropped


def test_lists_that_were_laid_out_otherwise():
    assert rows_of(load(as_json(EVENTS, indent=2))) == RIGHT
    assert rows_of(load(as_json(EVENTS, separators=(",", ":")))) == RIGHT
    declared = '<?xml version="1.0" encoding="utf-16"?>\n'
    assert rows_of(load(as_xml(EVENTS, declared, "\n  "))) == RIGHT
    assert rows_of(load(b"\xef\xbb\xbf" + as_xml(EVENTS))) == RIGHT
    assert rows_of(load(b"\xef\xbb\xbf" + as_json(EVENTS))) == RIGHT
    assert rows_of(load(as_text(EVENTS).replace(b"\n", b"\r\n"))) == RIGHT
    assert rows_of(load(as_text(EVENTS, end=""))) == RIGHT


def test_a_text_of_several_lines_in_a_table_is_no_event():
    said = [*EVENTS[:2], (2, "0.00002000", "0xFE", "0xFE00", "one\n\nMalloc two"), *EVENTS[3:]]
    trace = load(as_text(said))
    assert rows_of(trace) == RIGHT
    assert trace.dropped.bad_line == 1
    assert rows_of(load(as_json(said))) == rows_of(load(as_xml(said))) == RIGHT


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    "value", ["", "pvAddress=0x20001000", "x=0x1, y=4294967296", "p=0x123456789, n=1", "p=1, n=2"]
)
def test_a_call_whose_value_is_none_is_an_error_or_left_out(form, value):
    data = WRITERS[form]([*EVENTS[:3], (3, "0.5", "c", "Malloc", value), *EVENTS[3:]])
    if value == "pvAddress=0x20001000":  # a size of 0
        assert load(data).loss.implied_frees == 1
        return
    with pytest.raises(TraceError, match=f"event 3: Malloc has the value {value!r}; it must"):
        load(data)
    trace = load(data, strict=False)
    assert (rows_of(trace), trace.dropped.bad_line) == (RIGHT, 1)


@pytest.mark.parametrize(
    "bad",
    [
        *(b"7", b"[]", b"{}", b'{"index":1}', b'{"index":1,"time":"x"}', b"[" * 100_000),
        *(b'{"a":' * 100_000, b'{"index":' + b"9" * 5000 + b"}", b"nul", b'{"time":1e999}'),
        b'{"index":1,"time":NaN,"eventProperty":"a","value":"b"}',
        b'{"index":1,"time":1,"eventProperty":"a","value":["b"]}',
        b'{"index":1,"time":-1,"eventProperty":"a","value":"b"}',
        b'{"index":1,"time":1e30,"eventProperty":"a","value":"b"}',
        b"\xff\xfe",
    ],
)
def test_json_that_is_no_list_of_events(bad):
    whole = as_json(EVENTS)
    at = whole.index(b'{"index": 2')
    data = whole[:at] + bad + b", " + whole[at:]
    with pytest.raises(TraceError) as caught:
        load(data)
    assert "strict=False (--no-strict) leaves it out" in str(caught.value)
    assert len(str(caught.value)) < 400
    trace = load(data, strict=False)
    assert rows_of(trace) in (RIGHT, RIGHT[:1])
    assert trace.dropped.bad_line == 1


BOMB = (
    "<!DOCTYPE EventsTable [<!ENTITY a '0123456789'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12))
    + "]>"
)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<EventsTable>", BOMB + "<EventsTable>", "has a document type"),
        (
            "<EventsTable>",
            "<!DOCTYPE EventsTable SYSTEM 'http://a/'><EventsTable>",
            "has a document type",
        ),
        ("said", "&m;", "undefined entity"),
        ("said", "<b/>", "has the element 'b' at depth 4"),
        ("<index>2", "<other>2", "has the element 'other' at depth 3"),
        ("<index>2", "<index a='b'>2", "has the element 'index' at depth 3"),
        ("</index>", "</events>", "mismatched tag"),
        ("said", "\0", "not well-formed"),
        ("</EventsTable>", "", "no element found"),
        ("</EventsTable>", "</EventsTable><EventsTable/>", "junk after document"),
        ("<index>2", "<index>x", "'x', '0.00002000'"),
    ],
)
def test_xml_that_is_no_list_of_events(old, new, reason):
    data = as_xml(EVENTS).decode().replace(old, new).encode()
    with pytest.raises(TraceError, match=reason):
        load(data, format="eventrecorder")


def test_xml_that_was_cut_off_is_read_up_to_there():
    data = as_xml(EVENTS)
    seen = set()
    for end in range(len("<EventsTable>"), len(data)):
        with warnings.catch_warnings():  # of none that is recorded
            warnings.simplefilter("ignore", TraceWarning)
            trace = load(data[:end], strict=False)
        assert (rows_of(trace), trace.dropped.bad_line) == (RIGHT[: len(trace)], 1)
        seen.add(len(trace))
    assert seen == {0, 1, 2}


@pytest.mark.parametrize(
    "data",
    [
        as_xml(EVENTS).replace(b"said", b"x" * (2 * MAX_LINE)),
        as_xml(EVENTS).replace(b"<index>2", b"<" + b"x" * (3 * MAX_LINE)),
        as_xml(EVENTS).replace(b"<index>2", b"<index x='" + b"x" * (3 * MAX_LINE)),
        as_xml(EVENTS).replace(b"<index>2", b"<!--" + b"x" * (3 * MAX_LINE) + b"--><index>2"),
        as_text(EVENTS).replace(b"said", b"x" * (2 * MAX_LINE)),
        as_json(EVENTS).replace(b"said", b"x" * (2 * MAX_LINE)),
    ],
    ids=["text", "name", "attribute", "comment", "line", "object"],
)
def test_what_is_longer_than_a_line_may_be(data):
    with pytest.raises(TraceError, match=r"a line of more than 1,048,576 bytes"):
        load(data)


def test_a_table_that_ends_within_an_event():
    data = as_text(EVENTS, end="")
    with pytest.raises(TraceError, match="line 9: the file ends within an event"):
        load(data[:-1])
    trace = load(data[:-9], strict=False)
    assert (rows_of(trace), trace.dropped.bad_line) == (RIGHT[:1], 1)


@pytest.mark.parametrize(
    ("start", "unit"),
    [
        (begin(), record(0xF400, 1, 64, 16)),
        (begin(), struct.pack("<HH", 9, 0)),
        (as_xml(EVENTS)[:-14], b"<events></events>"),
        (as_xml(EVENTS)[:-14], b"<!---->"),
        (as_json(EVENTS)[:12], b"{},"),
        (as_json(EVENTS)[:12], b"   "),
        (as_text(EVENTS, end=""), b"1 1.0 a\n"),
        (as_text(EVENTS, end=""), b"\n\n\n"),
    ],
)
def test_no_bytes_take_more_than_their_share_of_steps(start, unit):
    def take(count):
        def read():
            with contextlib.suppress(TraceError, TraceWarning):
                load(start + unit * count, strict=False)

        return read

    few, many = steps(take(1000)), steps(take(4000))
    assert many < 4.5 * few + 20_000
