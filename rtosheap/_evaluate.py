"""One heap of a comparison: what it needs for the trace, and what it does with it.

`evaluate` is what an executor runs, perhaps in another process: it and its job can be pickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtosheap._breakdown import at_peak
from rtosheap._result import HeapResult
from rtosheap._rig import Progress, RegionSizes, Rig
from rtosheap.kinds import HeapClass, HeapKind, heap_class, heap_name
from rtosheap.replay import FAILURES
from rtosheap.sizing import MinimumSize, solve
from rtosheap.trace import Trace

#: What each constructor takes besides the memory.
_OPTIONS: dict[int, frozenset[str]] = {
    1: frozenset({"base_address", "word_size", "alignment"}),
    2: frozenset({"base_address", "word_size", "alignment", "clear_on_free", "end_marker_address"}),
    3: frozenset({"base_address"}),
    4: frozenset({"base_address", "word_size", "alignment", "clear_on_free", "canary"}),
    5: frozenset({"word_size", "alignment", "clear_on_free", "canary"}),
}
_DEFAULT_BASE = 0x2000_0000
#: How far the default second region of heap_5 lies from the first, at least.
_GAP = 0x1000


@dataclass(frozen=True)
class Job:
    """What to evaluate."""

    trace: Trace
    heap: HeapClass
    regions: tuple[tuple[Any, Any], ...] | None
    heap_size: int | None
    options: Mapping[str, Any]


def jobs(
    trace: Trace,
    heaps: Iterable[HeapKind],
    *,
    regions: RegionSizes | None,
    heap_size: int | None,
    options: Mapping[str, Any],
) -> list[Job]:
    """One job per heap; what is wrong with the arguments is raised here, not in a worker."""
    if isinstance(heaps, str | type):
        heaps = [heaps]
    classes = [heap_class(heap) for heap in heaps]
    names = [heap_name(heap) for heap in classes]
    if not classes:
        raise ValueError("heaps is empty; at least one heap is needed")
    if len(set(names)) < len(names):
        raise ValueError(f"heaps is {names}; each may appear once")
    if heap_size is not None and heap_size < 1:
        raise ValueError(f"heap_size is {heap_size}; it must be a number of bytes, 1 or more")
    for option in options:
        takers = [
            name
            for name, heap in zip(names, classes, strict=True)
            if option in _OPTIONS[heap.kind] or (heap.kind == 5 and option == "base_address")
        ]
        if not takers:
            raise TypeError(f"{option!r} is an option of none of {', '.join(names)}")
    fixed = None if regions is None else tuple((address, size) for address, size in regions)
    work = [Job(trace, heap, fixed, heap_size, options) for heap in classes]
    for job in work:
        if job.heap.kind != 3 or _unsupported(job) is None:
            _rig(job, job.regions or ((_DEFAULT_BASE, None),))
    return work


def evaluate(job: Job, progress: Progress | None = None) -> HeapResult:
    """The row of one heap, but for its verdict."""
    name = heap_name(job.heap)
    error = _unsupported(job)
    if error is not None:
        return HeapResult(name, error=error)
    regions, note = job.regions, ""
    try:
        if job.heap.kind == 5 and regions is None:
            regions, note = _default_regions(job)
        rig = _rig(job, regions, progress)
        smallest = solve(rig)
    except ValueError as reason:  # `jobs` has found the arguments right: the trace is too large
        return HeapResult(name, note=note, error=str(reason))
    size = smallest.last_region_size
    counts = rig.replay(rig.heap(size))
    peak = at_peak(rig, size)
    failures, event, why = _failures(rig, job.heap_size)
    rig.finish()
    if job.heap.kind == 3 and {"word_size", "alignment"} & job.options.keys():
        note = "newlib-nano's own alignment of 8"
    if job.heap.kind == 2:
        note = _heap_2_note(smallest)
    return HeapResult(
        heap=name,
        size=smallest.size,
        ratio=smallest.ratio,
        witness=smallest.witness,
        exact=smallest.exact,
        safe_size=smallest.safe_size,
        advice_size=smallest.advice_size,
        advice_fails_at=smallest.advice_fails_at,
        breakdown=None if peak is None else peak.breakdown,
        external_fragmentation=None if peak is None else peak.external_fragmentation,
        most_nodes=counts.most_nodes,
        most_nodes_event=None if counts.most_nodes_event < 0 else counts.most_nodes_event,
        failures=failures,
        failure_event=event,
        failure_reason=why,
        regions=smallest.regions,
        note=note,
    )


def _heap_2_note(found: MinimumSize) -> str:
    """Where a heap_2 serves is not one run of sizes; what is known of it."""
    note = "smaller sizes were not all tried; " if not found.exact else ""
    where = "" if found.safe_size == found.size else f" from {found.safe_size:,} on"
    if found.safe_checked_up_to is None:
        return f"{note}every larger one{where} serves"
    return (
        f"{note}those{where} up to {found.safe_checked_up_to:,} serve, but beyond that a larger "
        "heap_2 may fail"
    )


def _rig(job: Job, regions: RegionSizes | None, progress: Progress | None = None) -> Rig:
    options = {key: job.options[key] for key in job.options if key in _OPTIONS[job.heap.kind]}
    own = regions if job.heap.kind == 5 else None
    return Rig(job.trace, job.heap, options, regions=own, progress=progress, replays=8)


def _unsupported(job: Job) -> str | None:
    word_size = job.options.get("word_size", 4)
    if job.heap.kind == 3 and word_size != 4:
        return f"newlib-nano is a 32-bit library: heap_3 has no word_size of {word_size}"
    return None


def _default_regions(job: Job) -> tuple[tuple[tuple[int, int | None], ...], str]:
    """Half of heap_4's minimum, then what is solved for; and a sentence that says so."""
    base = int(job.options.get("base_address", _DEFAULT_BASE))
    options = {key: job.options[key] for key in job.options if key in _OPTIONS[4]}
    rig = Rig(job.trace, heap_class("heap_4"), options)
    half = solve(rig).size // 2
    first = max(half // rig.alignment * rig.alignment, rig.smallest)
    second = (base + first + 2 * _GAP - 1) // _GAP * _GAP
    note = (
        f"a first region of {first:,} bytes at {base:#x}, half of heap_4's minimum; "
        f"the second, at {second:#x}, was solved for"
    )
    return ((base, first), (second, None)), note


def _failures(rig: Rig, size: int | None) -> tuple[int | None, int | None, str | None]:
    """Failures in a heap of `size` bytes: how many, the first, and its reason."""
    if size is None:
        return None, None, None
    try:
        heap = rig.heap(size - rig.fixed_bytes)
    except ValueError as error:
        return None, None, str(error)
    failure = np.zeros(len(rig.trace), np.uint8)
    counts = rig.replay(heap, stop=False, columns={"failure": failure})
    if not counts.failures:
        return 0, None, None
    return counts.failures, counts.first_failure, FAILURES[failure[counts.first_failure]]
