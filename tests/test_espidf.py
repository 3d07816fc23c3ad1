"""What ESP-IDF's host tool prints of a heap trace, in the form of its documentation's sample."""

from __future__ import annotations

import pytest
from trace_files import load

from rtosheap import TraceError
from rtosheap.traces import formats

pytestmark = pytest.mark.filterwarnings("error")

HEAD = """\
Parse trace from 'heap.svdat'...
Stop parsing trace. (Timeout 0.000000 sec while reading 1 bytes!)
Process events from '['heap.svdat']'...
"""
EVENTS = """\
[0.002244575] HEAP: Allocated 1 bytes @ 0x3ffaffd8 from task "alloc" on core 0 by:
/home/user/projects/main/main.c:47
/home/user/projects/port.c:355 (discriminator 1)

[0.002405000] LOG: I (264) example: Task[0x3ffb6cf4]: allocated 2 bytes @ 0x3ffaffe0
[0.002563725] HEAP: Freed bytes @ 0x3ffaffd8 from task "the freer" on core 1 by:
/home/user/projects/main/main.c:31 (discriminator 9)

[10.1] HEAP: Allocated 2500 bytes @ 0x3ffaffd8 from task "alloc" on core 0 by:

"""
TAIL = """\
Processing completed.
Processed 1027 events
=============== LOG TRACE REPORT ===============
Processed 1 log messages.
=============== HEAP TRACE REPORT ===============
Processed 3 heap events.
[10.1] HEAP: Allocated 2500 bytes @ 0x3ffaffd8 from task "alloc" on core 0 by:

Found 2500 leaked bytes in 1 blocks.
"""


def test_a_printed_heap_trace():
    trace = load(HEAD + EVENTS + TAIL)
    assert [tuple(event) for event in trace] == [
        ("m", 0, 1, 2_244_575, "alloc"),
        ("f", 0, 0, 2_563_725, "the_freer"),
        ("m", 1, 2500, 10_100_000_000, "alloc"),
    ]
    assert trace.recorded_address.tolist() == [0x3FFAFFD8] * 3
    assert (trace.time_unit, trace.meta["source"]) == ("ns", "ESP-IDF heap trace")
    assert not trace.loss
    assert not trace.dropped


@pytest.mark.parametrize(
    "text", [EVENTS, HEAD + EVENTS + TAIL, (HEAD + EVENTS).replace("\n", "\r\n")]
)
def test_it_is_told_by_its_content(text):
    told = [reader.NAME for reader in formats.READERS if reader.sniff(text.encode())]
    assert told == ["espidf"]
    assert len(load(text)) == 3


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Allocated 1 bytes", "Allocated one byte", "is no event; it must be '.SECONDS. HEAP"),
        ("@ 0x3ffaffd8", "@ 0x123456789", "is no event"),
        ("[10.1]", "[0.001]", "the time is 1000000 ns, after 2563725; times must not decrease"),
    ],
)
def test_bad_lines_are_errors_or_left_out(old, new, reason):
    text = HEAD + EVENTS.replace(old, new, 1) + TAIL
    with pytest.raises(TraceError, match=reason) as caught:
        load(text)
    assert caught.value.line in (4, 12)
    assert load(text, strict=False).dropped.bad_line == 1


def test_calls_that_it_does_not_explain_and_tasks_without_a_name():
    lines = EVENTS.splitlines(keepends=True)
    trace = load("".join([lines[5], lines[0], lines[0].replace("alloc", "\1")]), strict=False)
    assert (trace.loss.foreign_frees, trace.loss.implied_frees) == (1, 0)
    assert trace.dropped.bad_line == 2  # times that go back
    trace = load("".join([lines[0], lines[0].replace('"alloc"', '"\1"')]))
    assert (trace.loss.implied_frees, trace.loss.unknown_tasks) == (1, 1)
