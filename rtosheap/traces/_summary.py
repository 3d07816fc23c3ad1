"""What is known of a trace, as pairs for a table."""

from __future__ import annotations

from collections.abc import Iterator

from rtosheap.tables import counted
from rtosheap.traces.base import TraceBase
from rtosheap.traces.doubts import doubts
from rtosheap.traces.loss import counts
from rtosheap.traces.meta import STATISTICS

_MOST_TASKS = 8
_SHOWN = frozenset({"name", "time_unit", *STATISTICS})  # of the header, in other rows


def summary(trace: TraceBase) -> list[tuple[str, str]]:
    """Names and values as text. The work is numpy's, whatever the length."""
    return list(_summary(trace))


def _summary(trace: TraceBase) -> Iterator[tuple[str, str]]:
    calls = {"malloc": trace.allocs, "realloc": trace.reallocs, "free": trace.frees}
    yield "events", f"{len(trace):,}: " + ", ".join(f"{n:,} {what}" for what, n in calls.items())
    if len(trace):
        yield "peak of live bytes", f"{trace.peak_live_bytes:,}, at event {trace.peak_event:,}"
        yield "most live blocks", f"{trace.max_live_blocks:,}"
        yield "largest request", f"{trace.largest_request:,} bytes"
        blocks, size = trace.never_freed, trace.never_freed_bytes
        yield "never freed", f"{counted(blocks, 'block')}, {size:,} bytes" if blocks else "none"
    if trace.zero_size_requests:
        yield "requests of 0 bytes", f"{trace.zero_size_requests:,}"
    if trace.time is not None and len(trace):
        first, last = int(trace.time[0]), int(trace.time[-1])
        yield "time", f"{last - first:,} {trace.time_unit}, from {first:,} to {last:,}"
    if trace.task_names:
        names = ", ".join(trace.task_names[:_MOST_TASKS])
        more = len(trace.task_names) - _MOST_TASKS
        yield (
            "tasks",
            f"{len(trace.task_names):,}: {names}{f' and {more:,} more' if more > 0 else ''}",
        )
    if trace._columns.file:
        yield "file", trace._columns.file
    if trace.recorded_address is not None:
        yield "addresses", "as recorded"
    yield from ((key, value) for key, value in trace.meta.items() if key not in _SHOWN)
    lost = counts(trace.loss, trace.dropped)
    if lost:
        kinds = (f"{count:,} {kind.replace('_', ' ')}" for kind, count in lost.items())
        yield "lost, left out or mended", ", ".join(kinds)
    yield from (("warning", text) for text in doubts(trace, 4))
