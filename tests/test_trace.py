"""Trace itself: its columns, checks and numbers, against a plain Python reference."""

from __future__ import annotations

import copy
import doctest
import pickle

import numpy as np
import pytest
import traces
from hypothesis import given
from hypothesis import strategies as st
from trace_strategies import loose_events, make, reference, valid_traces

import rtosheap._trace_types
import rtosheap.trace
from rtosheap.trace import Dropped, Event, Op, Trace, TraceError

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


# ---------------------------------------------------------------------- as a sequence


def test_index_and_iteration():
    trace = make(("m", 3, 10, 5, "a"), ("f", 3, 7))
    assert trace[0] == trace[-2] == Event("m", 3, 10, 5, "a")
    assert trace[np.int8(1)] == Event("f", 3, 0, 7, "")
    assert list(trace) == [trace[0], trace[1]]
    assert type(trace[0].id) is type(trace[0].time) is int
    for index in (2, -3):
        with pytest.raises(IndexError, match=f"index {index} is outside a trace of 2 events"):
            trace[index]
    with pytest.raises(TypeError, match=r"index is 1.5; it must be an int or a slice, not float"):
        trace[1.5]
    with pytest.raises(ValueError, match="slice step is 2; a trace can be cut with step 1 only"):
        trace[::2]


@given(valid_traces(), st.integers(-50, 50), st.integers(-50, 50))
def test_slices(trace, start, stop):
    events = list(trace)[start:stop]
    part = trace[start:stop]
    born, expected, frees, reallocs = set(), [], 0, 0
    for event in events:
        if event.op == "m":
            born.add(event.id)
        elif event.id not in born:
            if event.op == "f":
                frees += 1
                continue
            reallocs += 1
            born.add(event.id)
            event = event._replace(op="m")
        expected.append(event)
        if event.op == "f":
            born.discard(event.id)
    if part.task is None:
        expected = [event._replace(task=None) for event in expected]
    assert list(part) == expected
    assert part.dropped == Dropped(frees_before_slice=frees, reallocs_before_slice=reallocs)
    assert part == Trace.from_events(expected)  # valid on its own
    assert part.live_bytes().tolist() == Trace.from_events(expected).live_bytes().tolist()


def test_a_slice_of_a_slice_adds_up_what_was_dropped():
    trace = make(("m", 0, 1), ("m", 1, 1), ("f", 0), ("f", 1))
    assert trace[1:][1:].dropped.frees_before_slice == 2


def test_statistics_go_when_events_do():
    meta = {"name": "x", "source": "s", "events": "2", "peak_live_bytes": "8"}
    trace = make(("m", 0, 8), ("f", 0), meta=meta)
    assert trace[:].meta == meta
    assert trace[:1].meta == trace[1:].meta == {"name": "x", "source": "s"}
    assert trace.repeat(1).meta == meta
    assert trace.repeat(3).meta == {"name": "x * 3", "source": "s"}
    other = make(("m", 0, 8), meta={"name": "y", "source": "s", "events": "2"})
    assert (trace + other).meta == {"name": "x + y", "source": "s"}


@given(valid_traces(), valid_traces())
def test_sum(a, b):
    if (a.time is None) != (b.time is None) and len(a) and len(b):
        with pytest.raises(ValueError, match="trace has no times, the other has; both must"):
            a + b
        return
    both = a + b
    assert len(both) == len(a) + len(b)
    assert both.never_freed == a.never_freed + b.never_freed
    assert both.never_freed_bytes == a.never_freed_bytes + b.never_freed_bytes
    assert both.live_bytes().tolist() == [
        *a.live_bytes().tolist(),
        *(b.live_bytes() + a.never_freed_bytes).tolist(),
    ]
    assert Trace.from_events(list(both)) == both  # passes all checks
    assert both[: len(a)] == a or both.id.max() < len(both)  # renumbered only when ids run out
    if both.time is not None:
        steps = [np.diff(t.time) if t.time is not None else [] for t in (a, b)]
        found = np.diff(both.time)
        if len(a) and len(b):
            assert found[: len(a) - 1].tolist() == list(steps[0])
            assert found[len(a) :].tolist() == list(steps[1])
    names = [(*t.task_names, "") for t in (a, b, both)]
    codes = [t.task_codes if t.task_codes is not None else [-1] * len(t) for t in (a, b, both)]
    tasks = [[n[c] for c in cs] for n, cs in zip(names, codes, strict=True)]
    assert tasks[2] == tasks[0] + tasks[1]


def test_sum_of_the_halves_of_a_trace_without_blocks_across_is_the_trace():
    a = make(("m", 0, 8, 10), ("f", 0, 11), ("m", 0, 9, 20), ("f", 0, 30))
    assert a[:2] + a[2:] == a


def test_sum_times():
    a, b = make(("m", 0, 8, 100)), make(("m", 1, 8, 3), ("m", 2, 8, 5))
    assert (a + b).time.tolist() == [100, 100, 102]
    assert (b + a).time.tolist() == [3, 5, 100]
    ms = make(("m", 0, 8, 100), meta={"time_unit": "ms"})
    assert ms.time_unit == "ms"
    assert a.time_unit == "ticks"
    with pytest.raises(ValueError, match="the traces' time units differ: 'ticks' and 'ms'"):
        a + ms
    late = make(("m", 0, 8, -(2**63)), ("m", 1, 8, 5))
    assert (make(("m", 9, 8, 2**62)) + late[:1]).time.tolist() == [2**62, 2**62]
    with pytest.raises(OverflowError, match=r"the second trace would end at time .*, past int64"):
        make(("m", 9, 8, 2**62)) + late
    with pytest.raises(TypeError):
        a + 1


def test_sum_when_ids_run_out():
    top = 2**63 - 1
    a = make(("m", top, 8), ("m", 0, 4))
    both = a + make(("m", top, 16), ("f", top))
    assert both.id.tolist() == [1, 0, 2, 2]
    assert make(("m", top, 8)).repeat(3).id.tolist() == [0, 1, 2]


@given(valid_traces(), st.integers(0, 4))
def test_repeat(trace, n):
    many = trace.repeat(n)
    assert len(many) == n * len(trace)
    assert many.never_freed == n * trace.never_freed
    assert Trace.from_events(list(many)) == many
    live = trace.live_bytes()
    expected = [live + copy * trace.never_freed_bytes for copy in range(n)]
    assert many.live_bytes().tolist() == (np.concatenate(expected).tolist() if n else [])
    if n == 1:
        assert many == trace
    if n == 2:
        assert many.live_bytes().tolist() == (trace + trace).live_bytes().tolist()
    if many.time is not None and trace.time is not None:
        assert many.time.tolist() == sorted(many.time.tolist())
        assert many.time[-1] == trace.time[-1] + (n - 1) * (trace.time[-1] - trace.time[0])


def test_repeat_uses_few_ids():
    trace = make(("m", 0, 8), ("f", 0), ("m", 1, 8)).repeat(100)
    assert trace.slots.count == 101
    assert trace.max_live_blocks == 100


def test_repeat_arguments():
    trace = make(("m", 0, 8, 0), ("m", 1, 8, 2**62))
    with pytest.raises(ValueError, match="n is -1; it must be 0 or more"):
        trace.repeat(-1)
    with pytest.raises(TypeError, match=r"n is 1.5; it must be an integer"):
        trace.repeat(1.5)
    with pytest.raises(OverflowError, match="the last of 3 copies would end at time"):
        trace.repeat(3)


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


@pytest.mark.parametrize("module", [rtosheap.trace, rtosheap._trace_types], ids=str)
def test_examples(module):
    assert doctest.testmod(module).failed == 0
