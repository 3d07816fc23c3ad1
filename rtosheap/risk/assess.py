"""From recordings to the next day: how big must a heap be, and how sure is that?"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from rtosheap.heaps.layout import Layout
from rtosheap.kinds import HeapKind, heap_class
from rtosheap.risk.bounds import guaranteed_size
from rtosheap.risk.bursts import BurstModel
from rtosheap.risk.duration import in_units, spoken
from rtosheap.risk.groups import WINDOWS
from rtosheap.risk.lives import Lives
from rtosheap.risk.needs import needs_in_windows
from rtosheap.risk.recordings import Recordings
from rtosheap.risk.result import Day, Risk
from rtosheap.risk.runs import NEVER, Lost, Method, Outcome, Plan, do_runs, made_by
from rtosheap.risk.signs import signs
from rtosheap.risk.tail import Tail, fit_tail
from rtosheap.sizing.minimum import smallest_size, solve
from rtosheap.sizing.problem import RegionSizes
from rtosheap.traces import Trace
from rtosheap.traces.several import as_traces, lost_of_all, origin_of_all
from rtosheap.work import Progress

#: What is tried where only given sizes can be: shares of what the largest recording needs.
_TESTED = np.linspace(0.9, 1.6, 15)
#: From this ratio on the two models disagree.
_DISAGREE = 1.25


def vary(
    traces: Trace | Sequence[Trace],
    *,
    seed: int | np.random.SeedSequence | np.random.Generator,
    method: str | Method = "bursts",
    duration: int | float | str | None = None,
) -> Trace:
    """Make another day of the same device, out of recorded ones.

    Parameters
    ----------
    traces : Trace or sequence of Trace
        Recordings of the same firmware.
    seed : int, SeedSequence or Generator
        The same seed gives the same day.
    method : {"bursts"} or callable, default "bursts"
        ``"bursts"``: see the notes. A function ``(traces, rng) -> Trace`` replaces it.
    duration : int, float or str, optional
        How long the day is: a number in the traces' unit, or such as ``"7d"``. By default the
        median of the recordings. A `method` of your own knows it by itself.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        For traces that cannot be taken together, an unknown method, or a bad duration.
    TypeError
        For what is no trace, also if `method` returned it.

    Notes
    -----
    A stationary bootstrap (Politis and Romano 1994) of bursts. Tasks act together when the memory
    they hold rises and falls together (Spearman's rank correlation, over 64 windows of each
    recording, of 0.35 and of four standard errors); each such group is cut into bursts at its
    longest idle times, 300 at the most in a recording. Stretches of a recording, a tenth of it on
    average and geometrically distributed, begin at moments drawn at random and follow one another
    until the day is full; a burst that begins in a stretch comes whole. So each comes as often as
    it was recorded. Each block keeps its size and its lifetime, its reallocs included. The
    recordings are weighted anew for each day (Dirichlet: Rubin's Bayesian bootstrap, 1981). Tasks
    that allocate within the first hundredth of each recording only are taken as they were in one
    of them.

    A block whose end was not recorded lives as long as the median of those of its task, and of
    sizes within the same power of two, that grew older, or to the recording's end if none did.
    Blocks like which none is ever freed come from one recording, at their time. But where more
    than two of the same task and size are born after a recording's first tenth, over more than a
    quarter of it, and none is freed in any recording, they are taken for a leak, which goes on.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> day = Trace("mfmf", id=[0, 0, 1, 1], size=[8, 0, 16, 0], time=[0, 5, 9, 12])
    >>> other = vary(day, seed=1)
    >>> set(other.size.tolist()) <= {0, 8, 16}
    True
    >>> other == vary(day, seed=1)
    True
    """
    recordings = Recordings(traces)
    rng = _generator(seed)
    length = None if duration is None else in_units(duration, recordings.time_unit)
    if _named(method) is None:
        columns = BurstModel(recordings).day(rng, length)._columns
        meta = {**columns.meta, **origin_of_all(recordings.traces)}
        return recordings.traces[0].with_columns(replace(columns, meta=meta))
    if duration is not None:
        raise ValueError(
            f"duration is {duration!r}; a method that is given makes its days as long as it does"
        )
    assert callable(method)
    return made_by(method, recordings.traces, rng)


def assess(
    traces: Trace | Sequence[Trace],
    heap: HeapKind,
    *,
    runs: int = 1000,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
    duration: int | float | str | None = None,
    method: str | Method = "bursts",
    sizes: Sequence[int] | None = None,
    regions: RegionSizes | None = None,
    **options: Any,
) -> Risk:
    """How big must a heap be for a day that nobody has recorded, and how sure is that?

    Parameters
    ----------
    traces : Trace or sequence of Trace
        Recordings ("days") of the same firmware: the same build, from power-on.
    heap : type or str
        The kind of heap: a class such as `Heap4`, or its name, such as ``"heap_4"``.
    runs : int, default 1000
        How many days are modelled.
    seed : int, default 0
        The same seed gives the same numbers, whatever the executor.
    executor : concurrent.futures.Executor, optional
        Does the runs, some at a time: a process pool, or Dask's ``Client.get_executor()``. By
        default all run here. The recordings are sent to each worker once.
    progress : callable, optional
        Called as ``progress(done, runs)``. KeyboardInterrupt keeps the runs that are done, and the
        result says so: `interrupted`.
    duration : int, float or str, optional
        How long a day is to be: a number in the traces' unit, or such as ``"7d"``. By default the
        median of the recordings. A `method` of your own makes its days as long as it does, and
        the tail alone knows of `duration`.
    method : {"bursts"} or callable, default "bursts"
        How a day is made; see :func:`vary`.
    sizes : sequence of int, optional
        For heap_2 and, from newlib 4.2.0 on, heap_3, which may fail in more memory and serve in
        less: the sizes to try, in bytes.
        By default 15 from 0.9 to 1.6 times what the largest recording needs.
    regions : sequence of (int, int or None), optional
        heap_5's regions, as for :func:`rtosheap.minimum_heap_size`.
    **options
        What the heap's constructor takes.

    Returns
    -------
    Risk

    Raises
    ------
    ValueError
        An argument is wrong.
    UnservableError
        A `ValueError`: no heap of this kind serves one of the recordings.
    TypeError
        For an option that the heap does not have.

    See Also
    --------
    vary : one such day.
    rtosheap.minimum_heap_size : what the recordings themselves need.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace
    >>> day = Trace("mmffmf", id=[0, 1, 0, 1, 2, 2], size=[8, 90, 0, 0, 16, 0],
    ...             time=[0, 10, 50, 60, 80, 90])
    >>> risk = assess(day, Heap4, runs=100)
    >>> risk.days[0].size, round(risk.proven(128), 2), risk.guaranteed_size
    (128, 0.95, 736)
    """
    recordings = Recordings(as_traces(traces))
    chosen = heap_class(heap)
    _check_executor(executor)
    count = _whole(runs, "runs", 1)
    length = recordings.duration if duration is None else in_units(duration, recordings.time_unit)
    plan = Plan(
        traces=recordings.traces,
        method=_named(method),
        heap=chosen,
        options=dict(options),
        regions=None if regions is None else tuple(regions),
        tested=(),
        duration=length,
        seed=_whole(seed, "seed", 0),
    )
    layout = plan.problem(recordings.traces[0]).layout
    plan = _with_tested(plan, layout, sizes)
    outcomes = [plan.outcome(trace) for trace in recordings.traces]
    if not plan.tested:
        _servable(plan, outcomes)
    tail = None if plan.tested else _tail(plan, recordings, [one.size for one in outcomes])
    guarantee = guaranteed_size([plan.problem(trace) for trace in recordings.traces])
    done, lost = do_runs(plan, count, executor, progress)
    if not done:
        raise RuntimeError(f"all {count:,} runs were lost: {lost.reason if lost else 'no reason'}")
    risk = Risk(
        heap=layout.name,
        options=plan.options,
        regions=tuple(plan.regions or ()),  # type: ignore[arg-type]
        days=tuple(map(_day, recordings.names, recordings.traces, recordings.lives, outcomes)),
        duration=length,
        time_unit=recordings.time_unit,
        sizes=np.sort(np.array([one.size for one in done], np.int64)),
        tested=plan.tested,
        failed=np.array([one.failed for one in done], np.int64).sum(axis=0),
        tail=tail,
        guaranteed_size=guarantee,
        seed=plan.seed,
        runs=count,
        assumptions=(),
        warnings=(),
        interrupted=lost is not None and lost.interrupted,
        loss=lost_of_all(recordings.traces),
    )
    return replace(
        risk,
        assumptions=tuple(_assumptions(risk, layout, modelled=plan.method is None)),
        warnings=(*_doubts(risk, lost), *signs(recordings, layout.word)),
    )


def _named(method: str | Method) -> Method | None:
    if callable(method):
        return method
    if method != "bursts":
        raise ValueError(f"method is {method!r}; it must be 'bursts' or a function")
    return None


def _generator(seed: Any) -> np.random.Generator:
    known = isinstance(seed, np.random.SeedSequence | np.random.Generator)
    return np.random.default_rng(seed if known else _whole(seed, "seed", 0))


def _check_executor(executor: Any) -> None:
    if executor is not None and (
        isinstance(executor, type) or not callable(getattr(executor, "submit", None))
    ):
        raise TypeError(f"executor is {executor!r}; it must be a concurrent.futures.Executor")


def _whole(value: Any, name: str, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be an integer, {least} or more") from None
    if number < least:
        raise ValueError(f"{name} is {number}; it must be {least} or more")
    return number


def _with_tested(plan: Plan, layout: Layout, sizes: Sequence[int] | None) -> Plan:
    """The plan with the sizes that are tried, where given sizes are all that can be."""
    if layout.monotone:
        if sizes is not None:
            raise ValueError(
                f"sizes is {list(sizes)}; {layout.name} serves in every larger heap too, so that "
                "each run finds its smallest size: leave sizes out"
            )
        return plan
    if sizes is None:
        largest = max(solve([plan.problem(trace)]).safe_size for trace in plan.traces)
        step = layout.step
        found = {int(share * largest) // step * step for share in _TESTED}
    else:
        try:
            given = list(sizes)
        except TypeError:
            raise TypeError(f"sizes is {sizes!r}; it must be a sequence of integers") from None
        found = {_whole(size, f"sizes[{at}]", 1) for at, size in enumerate(given)}
        if not found:
            raise ValueError("sizes is empty; at least one size is needed")
    return replace(plan, tested=tuple(sorted(found)))


def _tail(plan: Plan, recordings: Recordings, sizes: list[int]) -> Tail | None:
    """The tail of what the recordings' windows need; None for a heap that has none."""
    window = recordings.duration / WINDOWS
    needs = []
    for trace, life, size in zip(recordings.traces, recordings.lives, sizes, strict=True):
        need = needs_in_windows(plan.problem(trace), life.time, window, size)
        if need is None:
            return None
        needs.append(need)
    return fit_tail(needs, [life.duration for life in recordings.lives])


def _servable(plan: Plan, outcomes: list[Outcome]) -> None:
    """Raise for a recording that no size serves, as `minimum_heap_size` does."""
    for trace, outcome in zip(plan.traces, outcomes, strict=True):
        if outcome.size == NEVER:
            smallest_size(plan.problem(trace))


def _day(name: str, trace: Trace, life: Lives, outcome: Outcome) -> Day:
    size = None if outcome.size == NEVER else outcome.size
    return Day(name, size, len(trace), life.duration, trace.peak_live_bytes, outcome.failed)


def _assumptions(risk: Risk, layout: Layout, *, modelled: bool) -> Iterator[str]:
    days = f"{len(risk.days)} recording{'s' if len(risk.days) > 1 else ''}"
    yield (
        f"proven: the {days} and the next day are independent days of the same device; nothing else"
    )
    if modelled:
        yield (
            "modelled days: what a task, or tasks that act together, did in a stretch of a "
            "recording it may do at any time, whatever the others do; blocks keep their sizes and "
            "lifetimes"
        )
    else:
        yield "modelled days: those of the method that was given"
    if risk.tail is not None:
        yield (
            f"tail: the {risk.tail.peaks} peaks above {risk.tail.threshold:,} bytes come "
            "independently, at a constant rate, and exceed it by a generalised Pareto "
            "distribution, whose shape and scale are known beforehand to some degree"
        )
    elif risk.tested:
        yield (
            f"{layout.name} may fail in more memory and serve in less: days are tried at "
            f"{len(risk.tested)} sizes, and what lies between is not known; there is no tail"
        )
    elif layout.frees:
        yield "no tail: the recordings have too few peaks that differ to tell one from"
    else:
        yield f"no tail: {layout.name} gives nothing back, so that its need has no peaks"
    if risk.guaranteed_size is not None:
        yield (
            "guaranteed: any order of events whose live blocks are no more, in bytes and in "
            "number, and whose largest is no larger than the recorded ones (Robson's bound for "
            "first fit); large, since nothing a program does to the order can exceed it"
        )
    else:
        yield f"guaranteed: no bound is known for {layout.name} here"


def _doubts(risk: Risk, lost: Lost | None) -> Iterator[str]:
    missing = risk.runs - len(risk.sizes)
    if missing and lost is not None:
        yield f"{missing:,} of {risk.runs:,} runs are missing ({lost.reason})"
    never = int((risk.sizes == NEVER).sum())
    if never:
        what = "no tested size serves" if risk.tested else "no size serves"
        yield f"{what} {never:,} of {len(risk.sizes):,} modelled days"
    if risk.tail is None:
        return
    by_runs = int(np.quantile(risk.sizes, 0.99, method="higher"))
    by_tail = risk.tail.size(0.01, risk.duration)
    if by_runs < NEVER and max(by_runs, by_tail) > _DISAGREE * min(by_runs, by_tail):
        yield (
            f"the models disagree: 1 day in 100 exceeds {by_runs:,} bytes by the modelled days, "
            f"{by_tail:,} by the tail; the larger counts"
        )
    longest = max(day.duration for day in risk.days)
    if risk.duration > 3 * longest:
        each = spoken(longest, risk.time_unit)
        yield f"a day is longer than any recording ({each}): what comes more seldom is not known"
