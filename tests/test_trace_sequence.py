"""A trace as a sequence: indices, slices, sums and repetitions, which stay valid traces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_strategies import make, valid_traces

from rtosheap.traces import Dropped, Event, Trace


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
