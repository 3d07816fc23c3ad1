"""A replay as a trace for ui.perfetto.dev: counters, failures, and a lane for each task."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

import numpy as np

from rtosheap.replays.blocks import failed
from rtosheap.replays.result import Replay
from rtosheap.replays.run import FAILURES
from rtosheap.traces import Op

#: Counters by their names there, and the columns that they show.
COUNTERS = {
    "free bytes": "free_size",
    "largest free block": "largest_free_block",
    "live bytes": "live_bytes",
}
#: Microseconds, which such a trace counts, in a unit of time; an event without a time takes one.
_MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_PROCESS = 1


def write_perfetto(replay: Replay, file: TextIO) -> None:
    """Write a replay in the JSON format of Chrome's traces, which ui.perfetto.dev opens.

    A counter has a value where it changes; an allocation that failed is an instant of the whole
    trace; each task has a lane, on which what it requests and gives back are instants. Times are
    the trace's own, in its unit (a tick is taken for a microsecond); without times, an event is a
    microsecond.

    Parameters
    ----------
    replay : Replay
        With the columns ``free_size``, ``largest_free_block`` and ``live_bytes``, as far as they
        were recorded, and ``failure`` where an allocation failed.
    file : text file
        Where to write.

    Examples
    --------
    >>> import json
    >>> from rtosheap import Heap4, Trace, replay
    >>> result = replay(Trace("mf", id=[0, 0], size=[100, 0]), Heap4(1024))
    >>> with open("replay.json", "w") as file:
    ...     write_perfetto(result, file)
    >>> json.loads(open("replay.json").read())["traceEvents"][2]
    {'pid': 1, 'ph': 'C', 'name': 'free bytes', 'ts': 0.0, 'args': {'bytes': 904}}
    """
    file.write('{"displayTimeUnit":"ms","traceEvents":[\n')
    events = chain(_names(replay), _counters(replay), _failures(replay), _lanes(replay))
    for number, event in enumerate(events):
        file.write((",\n" if number else "") + json.dumps({"pid": _PROCESS, **event}))
    file.write("\n]}\n")


def _times(replay: Replay) -> list[float]:
    trace = replay.trace
    if trace.time is None:
        return [float(event) for event in range(len(trace))]
    unit = _MICROSECONDS.get(trace.time_unit, 1.0)
    return [float(one) for one in (trace.time - trace.time[:1]) * unit]


def _names(replay: Replay) -> Iterator[dict[str, Any]]:
    heap = f"{replay.heap_kind} of {replay.heap.size:,} bytes"
    name = f"{replay.trace.name}: {heap}" if replay.trace.name else heap
    yield {"ph": "M", "name": "process_name", "args": {"name": name}}
    for lane, task in enumerate(_tasks(replay)):
        yield {"ph": "M", "name": "thread_name", "tid": lane + 1, "args": {"name": task}}


def _tasks(replay: Replay) -> list[str]:
    return [name or "no task" for name in replay.trace.task_names] or ["program"]


def _counters(replay: Replay) -> Iterator[dict[str, Any]]:
    times = _times(replay)
    for name, column in COUNTERS.items():
        values = replay.get(column)
        if values is None:
            continue
        changes = np.flatnonzero(np.diff(values.astype(np.int64), prepend=np.int64(-1)))
        for event in changes.tolist():
            args = {"bytes": int(values[event])}
            yield {"ph": "C", "name": name, "ts": times[event], "args": args}


def _failures(replay: Replay) -> Iterator[dict[str, Any]]:
    times, trace = _times(replay), replay.trace
    for event in np.flatnonzero(failed(replay)).tolist():
        args: dict[str, Any] = {"event": event, "bytes": int(trace.size[event])}
        if replay.failure is not None:
            args["why"] = FAILURES[int(replay.failure[event])]
        yield {"ph": "i", "s": "p", "name": "failed", "ts": times[event], "args": args}


def _lanes(replay: Replay) -> Iterator[dict[str, Any]]:
    times, trace = _times(replay), replay.trace
    words = {Op.MALLOC: "malloc", Op.REALLOC: "realloc", Op.FREE: "free"}
    lanes = np.zeros(len(trace), np.int64) if trace.task_codes is None else trace.task_codes
    columns = (trace.op.tolist(), trace.id.tolist(), trace.size.tolist(), lanes.tolist())
    for event, (op, block, size, lane) in enumerate(zip(*columns, strict=True)):
        args = {"block": block} if op == Op.FREE else {"block": block, "bytes": size}
        yield {
            "ph": "i",
            "s": "t",
            "tid": lane + 1,
            "name": words[Op(op)],
            "ts": times[event],
            "args": args,
        }
