"""Modelled days replayed, here or on an executor: the same numbers whoever does it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from rtosheap.kinds import HeapClass
from rtosheap.risk.bursts import BurstModel
from rtosheap.risk.recordings import Recordings
from rtosheap.sizing.minimum import smallest_size
from rtosheap.sizing.problem import RegionSizes, SizingProblem, UnservableError
from rtosheap.traces import Trace
from rtosheap.work import Progress

Method = Callable[[tuple[Trace, ...], np.random.Generator], Trace]

#: What no size serves.
NEVER = int(np.iinfo(np.int64).max)

_CHUNK = 32  # runs that are sent at once, at the most
_TRIES = 3
_PATIENCE = 0.5  # seconds between two calls of progress


class Outcome(NamedTuple):
    """What a run, or a recording, needs."""

    size: int  #: The smallest heap that serves; of tested sizes, from which on all serve.
    failed: tuple[bool, ...]  #: For each tested size, whether it fails.


@dataclass(frozen=True)
class Plan:
    """All that a run needs but its number; it can be pickled."""

    traces: tuple[Trace, ...]
    method: Method | None
    heap: HeapClass
    options: Mapping[str, Any]
    regions: RegionSizes | None
    tested: tuple[int, ...]
    duration: int
    seed: int

    @cached_property
    def _model(self) -> BurstModel:
        return BurstModel(Recordings(self.traces))

    def problem(self, trace: Trace) -> SizingProblem:
        """The trace in a heap whose size is open."""
        return SizingProblem(trace, self.heap, self.options, regions=self.regions)

    def outcome(self, trace: Trace) -> Outcome:
        """What a trace needs."""
        problem = self.problem(trace)
        if not self.tested:
            try:
                return Outcome(smallest_size(problem), ())
            except UnservableError:
                return Outcome(NEVER, ())
        failed = tuple(not problem.serves(size) for size in self.tested)
        fails = np.flatnonzero(failed)
        after = int(fails[-1]) + 1 if len(fails) else 0
        return Outcome(self.tested[after] if after < len(self.tested) else NEVER, failed)

    def run(self, number: int) -> Outcome:
        """The run of a number: a day, and what it needs."""
        seeds = np.random.SeedSequence(self.seed, spawn_key=(number,))
        rng = np.random.default_rng(seeds)
        if self.method is None:
            return self.outcome(self._model.day(rng, self.duration))
        day = self.method(self.traces, rng)
        if not isinstance(day, Trace):
            raise TypeError(f"method returned {day!r}; it must return a Trace")
        return self.outcome(day)


class _Job(NamedTuple):
    """Runs to do; the plan is left out where the worker may have it already."""

    key: str
    plan: Plan | None
    runs: tuple[int, ...]


class _Done(NamedTuple):
    outcomes: list[Outcome] | None  #: None: the worker does not have the plan.
    error: Exception | None = None


_PLANS: OrderedDict[str, Plan] = OrderedDict()  # what this process was sent, the latest last


def _work(job: _Job) -> _Done:
    """What an executor runs. What a run raises is handed back: what remains is the worker's end."""
    if job.plan is not None:
        _PLANS[job.key] = job.plan
        while len(_PLANS) > 2:
            _PLANS.popitem(last=False)
    plan = _PLANS.get(job.key)
    if plan is None:
        return _Done(None)
    try:
        return _Done([plan.run(number) for number in job.runs])
    except Exception as error:
        return _Done(None, error)


class Lost(NamedTuple):
    """Why runs are missing."""

    reason: str
    interrupted: bool = False


def do_runs(
    plan: Plan, runs: int, executor: Executor | None, progress: Progress | None
) -> tuple[list[Outcome], Lost | None]:
    """The outcomes of all runs, by number; where some are missing, why.

    Whoever interrupts keeps what there is, if there is any.
    """
    found: dict[int, Outcome] = {}
    lost = None
    steps = _here(plan, runs) if executor is None else _Sent(plan, runs, executor).results()
    try:
        for some in steps:
            if isinstance(some, Lost):
                lost = some
            else:
                found.update(some)
            if progress is not None:
                progress(len(found), runs)
    except KeyboardInterrupt:
        if not found:
            raise
        lost = Lost("interrupted", interrupted=True)
    return [found[number] for number in sorted(found)], lost


def _here(plan: Plan, runs: int) -> Iterator[dict[int, Outcome]]:
    for number in range(runs):
        yield {number: plan.run(number)}


class _Sent:
    """Runs on an executor: each worker is sent the plan once, when it says that it lacks it."""

    def __init__(self, plan: Plan, runs: int, executor: Executor) -> None:
        self._plan, self._executor = plan, executor
        self._key = uuid4().hex
        chunk = max(1, min(_CHUNK, runs // 16))
        self._todo = [tuple(range(at, min(at + chunk, runs))) for at in range(0, runs, chunk)]
        self._tries: dict[tuple[int, ...], int] = {}
        self._waiting: dict[Future[_Done], tuple[int, ...]] = {}

    def results(self) -> Iterator[dict[int, Outcome] | Lost]:
        """What comes back, as it does."""
        try:
            for runs in self._todo:
                yield from self._submit(runs, None)
            while self._waiting:
                done, _ = wait(self._waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
                if not done:
                    yield {}
                for future in done:
                    yield from self._received(future, self._waiting.pop(future))
        finally:
            for future in self._waiting:
                future.cancel()

    def _submit(self, runs: tuple[int, ...], plan: Plan | None) -> Iterator[Lost]:
        try:
            future = self._executor.submit(_work, _Job(self._key, plan, runs))
        except Exception as error:  # whatever an executor raises that is broken
            yield Lost(f"{type(error).__name__}: {error}")
        else:
            self._waiting[future] = runs

    def _received(
        self, future: Future[_Done], runs: tuple[int, ...]
    ) -> Iterator[dict[int, Outcome] | Lost]:
        try:
            done = future.result()
        except Exception as error:  # the worker's end, not the run's
            tries = self._tries[runs] = self._tries.get(runs, 1) + 1
            if tries > _TRIES:
                yield Lost(f"{type(error).__name__}: {error}")
            else:
                yield from self._submit(runs, self._plan)
            return
        if done.error is not None:
            raise done.error
        if done.outcomes is None:
            yield from self._submit(runs, self._plan)
        else:
            yield dict(zip(runs, done.outcomes, strict=True))


def outcomes_of(plan: Plan, traces: Sequence[Trace]) -> list[Outcome]:
    """What each recording needs."""
    return [plan.outcome(trace) for trace in traces]
