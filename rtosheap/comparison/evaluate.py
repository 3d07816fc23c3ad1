"""One heap of a comparison: what it needs for the trace, and what it does with it.

`evaluate` is what an executor runs, perhaps in another process, all of it or a part: it and its job
can be pickled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rtosheap.comparison.breakdown import at_peak
from rtosheap.comparison.result import HeapResult, RecordingResult
from rtosheap.heaps import Heap4, Heap5
from rtosheap.heaps.layout import DEFAULT_BASE
from rtosheap.kinds import HeapClass, HeapKind, heap_class, heap_name, layout_of
from rtosheap.replays.run import Array, Counts, empty_columns
from rtosheap.sizing.minimum import Advice, MinimumSize, advise, smallest_size, solve
from rtosheap.sizing.problem import (
    Failures,
    RegionSizes,
    SizingProblem,
    UnservableError,
    problems_of,
)
from rtosheap.sizing.regions import default_regions
from rtosheap.traces import Trace
from rtosheap.work import Progress

#: The work of one heap, in parts that know nothing of one another.
PARTS = ("minimum", "advice", "failures")


@dataclass(frozen=True)
class Job:
    """What to evaluate; a trace that was given alone has no name.

    `beside` are the options of the heap beside which this one is put, another release's.
    """

    traces: tuple[Trace, ...]
    names: tuple[str, ...]
    heap: HeapClass
    regions: tuple[tuple[Any, Any], ...] | None
    heap_size: int | None
    options: Mapping[str, Any]
    beside: Mapping[str, Any] | None = None


def jobs(
    traces: tuple[Trace, ...],
    names: tuple[str, ...],
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
    kinds = [heap_name(heap) for heap in classes]
    if not classes:
        raise ValueError("heaps is empty; at least one heap is needed")
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"heaps is {kinds}; each may appear once")
    if heap_size is not None and heap_size < 1:
        raise ValueError(f"heap_size is {heap_size}; it must be a number of bytes, 1 or more")
    for option in options:
        if not any(option in _taken(heap) for heap in classes):
            raise TypeError(f"{option!r} is an option of none of {', '.join(kinds)}")
    fixed = None if regions is None else tuple((address, size) for address, size in regions)
    work = [Job(traces, names, heap, fixed, heap_size, options) for heap in classes]
    for job in work:
        if _unsupported(job) is None:
            _problems(job, job.regions or ((DEFAULT_BASE, None),))  # raises for what is wrong
    return work


def evaluate(
    job: Job, progress: Progress | None = None, parts: Collection[str] = PARTS
) -> HeapResult:
    """The row of one heap, but for its verdict; or what some parts of the work say of it."""
    name = heap_name(job.heap)
    error = _unsupported(job)
    if error is not None:
        return HeapResult(name, error=error)
    regions: RegionSizes | None = job.regions
    note = ""
    try:
        if regions is None and layout_of(job.heap).has_regions:
            regions, note = _made_up(job)
        problems = _problems(job, regions, progress)
        found = [_PARTS[part](job, problems) for part in PARTS if part in parts]
    except ValueError as reason:  # `jobs` has found the arguments right: the trace is too large
        return HeapResult(name, note=note, error=str(reason))
    problems[0].rounds.finish()
    row = joined(found)
    return row._replace(note="; ".join(filter(None, (note, row.note))))


def joined(rows: Sequence[HeapResult]) -> HeapResult:
    """One row of what the parts of the work say; an error is that of the first."""
    first = rows[0]
    if first.error:
        return first
    recordings = tuple(_merged(one) for one in zip(*(row.recordings for row in rows), strict=True))
    return _merged(rows)._replace(recordings=recordings)


_Row = TypeVar("_Row", HeapResult, RecordingResult)


def _merged(rows: Sequence[_Row]) -> _Row:
    """What the first of the rows that says something says, field by field."""
    known = {
        field: value
        for row in reversed(rows)
        for field, value in row._asdict().items()
        if value != row._field_defaults.get(field)
    }
    return rows[0]._replace(**known)


def _minimum(job: Job, problems: Sequence[SizingProblem]) -> HeapResult:
    """The smallest heap, and what happens in it."""
    smallest = solve(problems, advice=Advice(None, (None,) * len(problems)))
    size, layout = smallest.last_region_size, problems[0].layout
    counts = [problem.counts(size) for problem in problems]
    most = max(counts, key=lambda one: one.most_nodes)
    decides = next((one for one in problems if one.recording == smallest.recording), problems[0])
    peak = at_peak(decides, size)
    note = ""
    if {"word_size", "alignment"} & job.options.keys() - layout.options:
        own = "newlib-nano" if layout.is_newlib else layout.name
        note = f"{own}'s own alignment of {layout.alignment}"
    if not layout.monotone and not (smallest.exact and smallest.safe_size == smallest.size):
        note = "; ".join(filter(None, (note, _note_on_larger(smallest))))
    return HeapResult(
        heap=smallest.heap,
        size=smallest.size,
        ratio=smallest.ratio,
        witness=smallest.witness,
        exact=smallest.exact,
        safe_size=smallest.safe_size,
        breakdown=None if peak is None else peak.breakdown,
        external_fragmentation=None if peak is None else peak.external_fragmentation,
        most_nodes=most.most_nodes if layout.is_known else None,
        most_nodes_event=_event(most),
        regions=smallest.regions,
        note=note,
        recording=smallest.recording,
        recordings=tuple(
            RecordingResult(
                own.name,
                own.size,
                own.witness,
                count.most_nodes if layout.is_known else None,
                _event(count),
            )
            for own, count in zip(smallest.recordings, counts, strict=False)  # none if given alone
        ),
    )


def _advice(job: Job, problems: Sequence[SizingProblem]) -> HeapResult:
    """What "total minus minimum ever free" recommends."""
    size, fails = advise(problems)
    return HeapResult(
        heap_name(job.heap),
        advice_size=size,
        advice_fails_at=next((event for event in fails if event is not None), None),
        recordings=tuple(
            RecordingResult(problem.recording, advice_fails_at=event)
            for problem, event in zip(problems, fails, strict=True)
            if problem.recording
        ),
    )


def _failures(job: Job, problems: Sequence[SizingProblem]) -> HeapResult:
    """What fails in a heap of the size that was asked about."""
    failed = [
        Failures() if job.heap_size is None else problem.failures(job.heap_size)
        for problem in problems
    ]
    first = next((one for one in failed if one.times), failed[0])
    return HeapResult(
        heap_name(job.heap),
        failures=None if first.times is None else sum(one.times or 0 for one in failed),
        failure_event=first.first,
        failure_reason=first.reason,
        recordings=tuple(
            RecordingResult(
                problem.recording,
                failures=one.times,
                failure_event=one.first,
                failure_reason=one.reason,
            )
            for problem, one in zip(problems, failed, strict=True)
            if problem.recording
        ),
    )


_PARTS = {"minimum": _minimum, "advice": _advice, "failures": _failures}


class Moved(NamedTuple):
    """How far the blocks of a heap lie elsewhere than in another."""

    share: float  #: Of the allocations.
    shift: int  #: Bytes by which the others lie higher.


def moved(job: Job, row: HeapResult) -> Moved | None:
    """How the blocks lie to those of the heap beside which this one is put, both of the row's size;
    None where there is none.
    """
    if job.beside is None or row.regions is None:
        return None
    *fixed, (last, size) = row.regions
    pair = (_problems(one, (*fixed, (last, None))) for one in (job, _beside(job)))
    apart, served = [], []
    for here, there in zip(*pair, strict=True):
        mine, theirs = (_addresses(problem, size)[here.asks()] for problem in (here, there))
        apart.append(mine - theirs)
        served.append((mine != 0) & (theirs != 0))
    every, both = np.concatenate(apart), np.concatenate(served)
    shift = int(every[both][0]) if both.any() else 0
    return Moved(float(np.mean((every != shift) | ~both)) if every.size else 0.0, shift)


def _addresses(problem: SizingProblem, size: int) -> Array:
    columns = empty_columns(["address"], len(problem.trace))
    if problem.constructible(size):
        problem.replay(problem.heap(size), columns, stop=False)
    return columns["address"].astype(np.int64)


def _beside(job: Job) -> Job:
    return job if job.beside is None else replace(job, options=job.beside, beside=None)


def _event(counts: Counts) -> int | None:
    """The event that read the most."""
    return None if counts.most_nodes_event < 0 else counts.most_nodes_event


def _note_on_larger(found: MinimumSize) -> str:
    """Where such a heap serves is not one run of sizes; what is known of it."""
    note = "smaller sizes were not all tried; " if not found.exact else ""
    where = "" if found.safe_size == found.size else f" from {found.safe_size:,} on"
    if found.safe_checked_up_to is None:
        return f"{note}every larger one{where} serves"
    return (
        f"{note}those{where} up to {found.safe_checked_up_to:,} serve, but beyond that a larger "
        f"{found.heap} may fail"
    )


def _taken(heap: HeapClass) -> frozenset[str]:
    """The options that a heap gets: heap_5 makes its default regions of a base address."""
    layout = layout_of(heap)
    return layout.options | ({"base_address"} if layout.has_regions else frozenset())


def _options(job: Job, heap: HeapClass) -> dict[str, Any]:
    own = layout_of(heap).options
    return {key: value for key, value in job.options.items() if key in own}


def _problems(
    job: Job, regions: RegionSizes | None, progress: Progress | None = None
) -> list[SizingProblem]:
    own = regions if layout_of(job.heap).has_regions else None
    options = _options(job, job.heap)
    return problems_of(
        job.traces, job.names, job.heap, options, regions=own, progress=progress, replays=8
    )


def _unsupported(job: Job) -> str | None:
    layout = layout_of(job.heap)
    word_size = job.options.get("word_size", layout.word)
    if "word_size" in layout.options or word_size == layout.word:
        return None
    if layout.is_newlib:
        return f"newlib-nano is a 32-bit library: heap_3 has no word_size of {word_size}"
    return f"{layout.name} is built for words of {layout.word} bytes, not {word_size}"


def _made_up(job: Job) -> tuple[RegionSizes, str]:
    """The default regions, and a sentence that says so."""
    base = int(job.options.get("base_address", DEFAULT_BASE))
    problems = problems_of(job.traces, job.names, Heap4, _options(_beside(job), Heap4))
    try:
        regions = default_regions(smallest_size(*problems), problems[0].layout, base)
    except UnservableError as error:
        name = heap_name(Heap5)
        raise UnservableError(
            f"{name} was given no regions, and {problems[0].name}'s minimum, from which they would "
            f"be made, does not exist: {error}"
        ) from None
    (_, first), (second, _) = regions
    note = (
        f"a first region of {first:,} bytes at {base:#x}, half of heap_4's minimum; "
        f"the second, at {second:#x}, was solved for"
    )
    return regions, note
