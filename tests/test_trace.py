"""Trace itself: its columns, checks and numbers, against a plain Python reference."""

from __future__ import annotations

import copy
import doctest
import pickle

import numpy as np
import pytest
import traces
from hypothesis import given
from trace_strategies import loose_events, make, reference, valid_traces

import rtosheap.traces
import rtosheap.traces.events
from rtosheap.traces import Dropped, Event, Op, Trace, TraceError

# ---------------------------------------------------------------------- construction


@pytest.mark.parametrize(
    "op",
    [
        "mrf",
        b"mrf",
        ["m", "r", "f"],
        ("m", "r", "f"),
        [b"m", b"r", b"f"],
        [Op.MALLOC, Op.REALLOC, Op.FREE],
        [109, 114, 102],
        np.array(["m", "r", "f"]),
        np.array([b"m", b"r", b"f"]),
        np.array(["m", "r", "f"], dtype=object),
        np.array(["m", "r", "f"], dtype="U5"),
        np.array([109, 114, 102], dtype=np.uint8),
        np.array([109, 114, 102], dtype=np.int64),
    ],
    ids=repr,
)
def test_op_in_every_form(op):
    trace = Trace(op, [3, 3, 3], [10, 20, 0])
    assert trace.op.tolist() == [109, 114, 102]
    assert trace.op.dtype == np.uint8
    assert list(trace) == [Event("m", 3, 10), Event("r", 3, 20), Event("f", 3, 0)]


def test_columns_have_their_types():
    trace = Trace("m", np.array([3], np.int16), [2**64 - 1], time=[-5], task=["a"])
    assert (trace.id.dtype, trace.size.dtype) == (np.int64, np.uint64)
    assert trace.time is not None
    assert trace.time.dtype == np.int64
    assert trace.task_codes is not None
    assert trace.task_codes.dtype == np.int32
    assert trace.task is not None
    assert trace.task.dtype == object
    assert trace.size.tolist() == [2**64 - 1]


@pytest.mark.parametrize("writeable", [True, False])
def test_columns_are_the_traces_own(writeable):
    op, ids = np.array([109], np.uint8), np.array([1], np.int64)
    size, time = np.array([8], np.uint64), np.array([4], np.int64)
    given_ = [op, ids, size, time]
    views = [column[:] for column in given_]  # a read-only view of what others may write to
    for view in views:
        view.flags.writeable = writeable
    trace = Trace(views[0], views[1], views[2], time=views[3])
    for column in given_:
        column[0] = 102
    assert list(trace) == [Event("m", 1, 8, 4)]
    for column in (trace.op, trace.id, trace.size, trace.time):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0


def test_a_read_only_array_is_not_copied():
    ids = np.arange(3)
    ids.flags.writeable = False
    assert np.shares_memory(Trace("mmm", ids, [1, 2, 3]).id, ids)


def test_empty():
    trace = Trace([], [], [], time=[], task=[])
    assert len(trace) == 0
    assert list(trace) == []
    assert trace.time is None
    assert trace.task is None
    assert (trace.peak_live_bytes, trace.peak_event, trace.max_live_blocks) == (0, -1, 0)
    assert (trace.largest_request, trace.never_freed, trace.never_freed_bytes) == (0, 0, 0)
    assert trace.live_bytes().tolist() == trace.ends().tolist() == []
    assert trace.slots.count == 0
    assert trace[:] == trace + trace == trace.repeat(3) == trace


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("mx", [1, 2], [8, 8]), {}, r"op\[1\] is '?.*x'?\)?; it must be 'm' \(malloc\)"),
        (([109, 300], [1, 2], [8, 8]), {}, r"op\[1\] is (np.int64\()?300"),
        ((["m", "mm"], [1, 2], [8, 8]), {}, r"op\[1\] is .*'mm'"),
        (("m", [-1], [8]), {}, r"id\[0\] is -1; it must be from 0 to 2\*\*63 - 1"),
        (("m", [2**63], [8]), {}, r"id\[0\] is 9223372036854775808; it must be from 0"),
        (("mm", [0, 2**70], [8, 8]), {}, r"id\[1\] is 1180591620717411303424"),
        (("m", [1], [-8]), {}, r"size\[0\] is -8; it must be from 0 to 2\*\*64 - 1"),
        (("m", [1], [2**64]), {}, r"size\[0\] is 18446744073709551616"),
        (("mm", [1, 2], [2**64 - 1, -1]), {}, r"size\[1\] is -1"),
        (("m", [[1]], [8]), {}, "id must have one dimension, not 2"),
        (("m", [1, 2], [8]), {}, "id has 2 entries, op has 1"),
        (("m", [1], []), {}, "size has 0 entries, op has 1"),
        (("m", [1], [8]), {"time": [1, 2]}, "time has 2 entries, op has 1"),
        (("m", [1], [8]), {"time": [2**63]}, r"time\[0\] is .* from -9223372036854775808"),
        (("m", [1], [8]), {"task": ["", ""]}, "task has 2 entries, op has 1"),
        (("m", [1], [8]), {"task": ["a b"]}, r"task\[0\]: task 'a b' is not a word"),
        (("m", [1], [8]), {"task": ["a\0"]}, r"task\[0\]: task 'a\\x00' is not a word"),
        (("m", [1], [8]), {"task": ["\ud800"]}, r"task\[0\]: .* is not a word"),
        (("mf", [1, 1], [8, 8]), {}, r"size\[1\] is 8 on a free; a free has none, give 0"),
        (("m", [1], [8]), {"meta": {"a b": "c"}}, "meta key 'a b' is not a word"),
        (("m", [1], [8]), {"meta": {"a:": "c"}}, "meta key 'a:' is not a word"),
        (("m", [1], [8]), {"meta": {"a": "b\nc"}}, r"meta\['a'\] is 'b\\nc'; it must be one line"),
        (("m", [1], [8]), {"meta": {"a": " b"}}, r"meta\['a'\] is ' b'; it must be one line"),
        (("m", [1], [8]), {"meta": {"untimed": "x"}}, "meta key 'untimed' is the text format's"),
        (("mm", [1, 2], [8, 8]), {"time": [5, 4]}, "event 1: time 4 is before 5, its pred"),
    ],
)
def test_bad_values(arguments, options, message):
    with pytest.raises(TraceError, match=message):
        Trace(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("m", np.array([1.0]), [8]), {}, "id must hold integers, not float64"),
        (("m", [1.0], [8]), {}, r"id\[0\] is 1.0; it must be an integer"),
        (("m", ["1"], [8]), {}, r"id\[0\] is '1'; it must be an integer"),
        (("m", [1], [None]), {}, r"size\[0\] is None; it must be an integer"),
        (("m", [True], [8]), {}, r"id\[0\] is True; it must be an integer"),
        (("m", 1, [8]), {}, "id must be an array or a sequence, not int"),
        ((iter("m"), [1], [8]), {}, "op must be an array or a sequence"),
        (("m", [1], [8]), {"task": 5}, "task must be an array or a sequence, not int"),
        (("m", [1], [8]), {"task": [5]}, r"task\[0\] is 5; it must be a str"),
        (("m", [1], [8]), {"meta": {"a": 5}}, "meta value 5 of 'a' is not a str"),
        (("m", [1], [8]), {"meta": {5: "a"}}, "meta key 5 of 5 is not a str"),
    ],
)
def test_bad_types(arguments, options, message):
    with pytest.raises(TypeError, match=message):
        Trace(*arguments, **options)


@pytest.mark.parametrize(
    ("op", "ids", "event", "message"),
    [
        ("mf", [1, 2], 1, "event 1: free of id 2, which was never allocated; an id is live from"),
        ("r", [7], 0, "event 0: realloc of id 7, which was never allocated"),
        ("mff", [1, 1, 1], 2, "event 2: free of id 1, which was freed by event 1"),
        ("mmfr", [1, 2, 1, 1], 3, "event 3: realloc of id 1, which was freed by event 2"),
        ("mrm", [1, 1, 1], 2, "event 2: malloc of id 1, which is still live since event 1"),
    ],
)
def test_events_that_cannot_be(op, ids, event, message):
    with pytest.raises(TraceError, match=message) as caught:
        Trace(op, ids, [0] * len(op))
    assert caught.value.event == event
    assert len(Trace(op, ids, [0] * len(op), strict=False)) == len(op) - 1


@given(loose_events())
def test_loose_and_strict_against_the_reference(events):
    kept, bad, live_bytes, ends, blocks, live = reference(events)
    trace = Trace.from_events([Event(*event) for event in events], strict=False)
    assert [tuple(event[:3]) for event in trace] == kept
    assert {k: v for k, v in trace.dropped._asdict().items() if v} == dict(bad)
    assert trace.dropped.events == sum(bad.values()) == len(events) - len(trace)
    assert bool(trace.dropped) == bool(bad)
    if bad:
        with pytest.raises(TraceError) as caught:
            Trace.from_events([Event(*event) for event in events])
        first = caught.value.event
        assert reference(events[:first])[1] == {}
        assert reference(events[: first + 1])[1] != {}
    else:
        assert Trace.from_events([Event(*event) for event in events]) == trace

    assert trace.live_bytes().tolist() == live_bytes
    assert trace.ends().tolist() == ends
    assert trace.max_live_blocks == blocks
    assert trace.peak_live_bytes == max(live_bytes, default=0)
    assert trace.peak_event == (live_bytes.index(max(live_bytes)) if kept else -1)
    assert trace.never_freed == len(live)
    assert trace.never_freed_bytes == sum(live.values())
    assert trace.largest_request == max((size for _, _, size in kept), default=0)
    assert trace.zero_size_requests == sum(op != "f" and not size for op, _, size in kept)
    assert (trace.allocs, trace.reallocs, trace.frees) == tuple(
        sum(event[0] == op for event in kept) for op in "mrf"
    )
    slot, total = trace.slots
    assert slot.dtype == np.int32
    assert len({*zip(slot.tolist(), trace.id.tolist(), strict=True)}) == len({*trace.id.tolist()})
    assert all(0 <= s < total for s in slot.tolist())


def test_loose_times_are_raised_to_their_predecessors():
    trace = Trace("mmmm", range(4), [1] * 4, time=[5, 3, 4, 9], strict=False)
    assert trace.time is not None
    assert trace.time.tolist() == [5, 5, 5, 9]
    assert trace.dropped == Dropped(time_set=2)
    assert trace.dropped
    assert trace.dropped.events == 0


def test_an_event_left_out_does_not_move_the_times_of_others():
    trace = Trace("mfm", [0, 9, 1], [1, 0, 1], time=[1, 99, 2], strict=False)
    assert trace.time is not None
    assert trace.time.tolist() == [1, 2]
    assert trace.dropped == Dropped(unknown_id=1)


def test_tasks_left_out_are_forgotten():
    trace = Trace("mfm", [0, 9, 1], [1, 0, 1], task=["a", "b", "c"], strict=False)
    assert trace.task_names == ("a", "c")
    assert trace.task is not None
    assert trace.task.tolist() == ["a", "c"]


# ---------------------------------------------------------------------- numbers at the edges


def test_sums_beyond_63_bits():
    big = 2**64 - 1
    trace = make(("m", 0, big), ("m", 1, big), ("f", 0), ("r", 1, 5))
    assert trace.peak_live_bytes == 2 * big
    assert trace.peak_event == 1
    assert trace.never_freed_bytes == 5
    with pytest.raises(OverflowError, match=f"a peak of {2 * big} live bytes exceeds int64"):
        trace.live_bytes()


def test_sums_that_only_look_too_large():
    half = 2**62
    trace = make(("m", 0, half), ("f", 0), ("m", 0, half), ("f", 0), ("m", 0, half))
    assert trace.live_bytes().tolist() == [half, 0, half, 0, half]
    assert trace.live_bytes().dtype == np.int64


def test_realloc_to_zero_stays_live():
    trace = make(("m", 5, 8), ("r", 5, 0), ("r", 5, 3), ("f", 5))
    assert trace.live_bytes().tolist() == [8, 0, 3, 0]
    assert trace.max_live_blocks == trace.zero_size_requests == 1


def test_a_trace_of_zeros_peaks_at_its_first_event():
    assert make(("m", 0, 0), ("m", 1, 0)).peak_event == 0


@pytest.mark.parametrize("step", [1, 10**9, 2**55])
def test_slots(step):
    ids = np.array([3, 1, 2, 1, 3]) * step
    slot, total = Trace("mmmff", ids, [1, 1, 1, 0, 0]).slots
    small = 3 * step < 4 * 5 + 1024
    assert slot.tolist() == ([3, 1, 2, 1, 3] if small else [2, 0, 1, 0, 2])
    assert total == (4 if small else 3)
    assert not slot.flags.writeable


# ---------------------------------------------------------------------- from_events


@given(valid_traces())
def test_from_events_round_trip(trace):
    assert Trace.from_events(list(trace)) == trace
    assert Trace.from_events(iter(trace)) == trace


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([("x", 1)], r"event 0 is \('x', 1\); it must be \('m', id, size\[, time\[, task\]\]\)"),
        ([("m", 1, 8), ("m", 1)], r"event 1 is \('m', 1\); it must be"),
        ([("f", 1, 2, "a", 5)], "event 0 is"),
        ([()], r"event 0 is \(\); it must be"),
        ([5], "event 0 is 5; it must be"),
        ([("m", 1, 8), ("m", 2, 8, 7)], "event 1 has a time, unlike those before"),
        ([("m", 1, 8, 7), ("m", 2, 8)], "event 1 has no time, unlike those before"),
    ],
)
def test_from_events_errors(events, message):
    with pytest.raises(TraceError, match=message):
        Trace.from_events(events)


def test_from_events_takes_ops_and_tasks_without_times():
    trace = make((Op.MALLOC, 1, 8, None, "a"), (Op.FREE, 1))
    assert trace.time is None
    assert trace.task is not None
    assert trace.task.tolist() == ["a", ""]


# ---------------------------------------------------------------------- equality, copies, names


def test_equality():
    a = make(("m", 0, 8, 1, "x"))
    assert a == make(("m", 0, 8, 1, "x"), meta={"name": "other"})
    assert a != make(("m", 0, 8, 1, "x"), meta={"time_unit": "ms"})
    for other in (("m", 1, 8, 1, "x"), ("m", 0, 9, 1, "x"), ("m", 0, 8, 2, "x"), ("m", 0, 8)):
        assert a != make(other)
    assert a != make(("m", 0, 8, 1, "y"))
    assert a != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


@given(valid_traces())
def test_copies(trace):
    for other in (pickle.loads(pickle.dumps(trace)), copy.copy(trace), copy.deepcopy(trace)):
        assert other == trace
        assert other.meta == trace.meta
        assert other.dropped == trace.dropped
        assert not other.op.flags.writeable
        assert not other.size.flags.writeable
        assert other.live_bytes().tolist() == trace.live_bytes().tolist()


def test_pickles_carry_a_version():
    trace = make(("m", 0, 8))
    state = trace.__getstate__()
    with pytest.raises(ValueError, match="a pickled trace of version 7; this reads version 1"):
        Trace.__new__(Trace).__setstate__({**state, "version": 7})


def test_errors_and_events_pickle():
    error = TraceError("why", event=1, line=2, path="p")
    other = pickle.loads(pickle.dumps(error))
    assert (str(other), other.event, other.line, other.path) == ("p, line 2: why", 1, 2, "p")
    event = Event("m", 1, 2)
    assert pickle.loads(pickle.dumps(event)) == event


def test_meta_cannot_be_changed():
    meta = {"name": "x"}
    trace = make(("m", 0, 8), meta=meta)
    meta["name"] = "y"
    assert trace.meta == {"name": "x"}
    with pytest.raises(TypeError):
        trace.meta["name"] = "z"


def test_repr():
    assert repr(make(("m", 0, 8))) == "<Trace: 1 events (1 malloc, 0 realloc, 0 free)>"
    assert repr(make(meta={"name": "x"})).startswith("<Trace 'x': 0 events")


@pytest.mark.parametrize("name", traces.all_names())
def test_recorded_traces_are_what_their_headers_say(name):
    trace = traces.load(name)
    found = {
        "events": len(trace),
        "allocs": trace.allocs,
        "frees": trace.frees,
        "reallocs": trace.reallocs,
        "peak_live_bytes": trace.peak_live_bytes,
        "max_live_blocks": trace.max_live_blocks,
        "never_freed": trace.never_freed,
        "never_freed_bytes": trace.never_freed_bytes,
        "zero_size_requests": trace.zero_size_requests,
        "largest_request": trace.largest_request,
    }
    assert {key: int(trace.meta[key]) for key in found} == found
    assert not trace.dropped
    assert trace.name == name


@pytest.mark.parametrize(
    "module", [rtosheap.traces, rtosheap.traces.errors], ids=lambda m: m.__name__
)
def test_examples(module):
    assert doctest.testmod(module).failed == 0
