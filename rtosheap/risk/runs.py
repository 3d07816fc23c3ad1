"""Modelled days replayed, here or on an executor: the same numbers whoever does it."""

from __future__ import annotations

import os
import platform
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from threading import get_ident
from typing import Any, NamedTuple, TypeAlias
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
        return self.outcome(made_by(self.method, self.traces, rng))


def made_by(method: Method, traces: tuple[Trace, ...], rng: np.random.Generator) -> Trace:
    """What a method that was given returns."""
    day = method(traces, rng)
    if not isinstance(day, Trace):
        raise TypeError(f"method returned {day!r}; it must return a Trace")
    return day


@dataclass(frozen=True)
class _Job:
    """Runs to do; the plan is left out where the worker may have it already."""

    key: str  # of the plan
    number: int  # no two jobs are equal, lest one be answered with what another gave
    plan: Plan | None
    runs: tuple[int, ...]

    def __dask_tokenize__(self) -> tuple[str, int]:
        return self.key, self.number  # else Dask pickles the plan to tell jobs apart


_Process: TypeAlias = tuple[str, int]


class _Done(NamedTuple):
    process: _Process
    thread: int
    outcomes: list[Outcome] | None  #: None: the process does not have the plan.
    error: Exception | None = None


_PLANS: OrderedDict[str, Plan] = OrderedDict()  # what this process was sent, the latest last


def _work(job: _Job) -> _Done:
    """What an executor runs. What a run raises is handed back: what remains is the worker's end."""
    if job.plan is not None:
        _PLANS[job.key] = job.plan
        while len(_PLANS) > 2:
            _PLANS.popitem(last=False)
    plan = _PLANS.get(job.key)
    here = (platform.node(), os.getpid())
    if plan is None:
        return _Done(here, get_ident(), None)
    try:
        return _Done(here, get_ident(), [plan.run(number) for number in job.runs])
    except MemoryError:
        raise  # another worker may have more
    except Exception as error:
        return _Done(here, get_ident(), None, error)


class Lost(NamedTuple):
    """Why runs are missing."""

    reason: str
    interrupted: bool = False  #: Somebody wanted no more of them.


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
        with closing(steps):
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


_Steps: TypeAlias = Generator[dict[int, Outcome] | Lost, None, None]


def _here(plan: Plan, runs: int) -> _Steps:
    for number in range(runs):
        yield {number: plan.run(number)}


class _Sent:
    """Runs on an executor, of which nothing is known but that it takes jobs.

    A process that was given a job and lacks the plan says so, and then the plan is sent, once;
    until it has come, no more is asked of the executor than what the others are busy with.
    """

    def __init__(self, plan: Plan, runs: int, executor: Executor) -> None:
        self._plan, self._executor = plan, executor
        self._key = uuid4().hex
        self._numbers = count()
        chunk = max(1, min(_CHUNK, runs // 16))
        #: Runs, and the process that lacks the plan, where one said so.
        self._todo: deque[tuple[tuple[int, ...], _Process | None]] = deque(
            (tuple(range(at, min(at + chunk, runs))), None) for at in range(0, runs, chunk)
        )
        self._waiting: dict[Future[_Done], tuple[tuple[int, ...], _Process | None]] = {}
        self._lacking: set[_Process] = set()  # to which the plan is under way
        self._able: set[tuple[_Process, int]] = set()  # threads that have done runs
        self._held = False  # a process asked again for the plan that is under way to it
        self._failed: Counter[int] = Counter()  # how often each run was lost

    def results(self) -> _Steps:
        """What comes back, as it does."""
        try:
            while self._todo or self._waiting:
                try:
                    self._submit()
                except Exception as error:  # whatever an executor raises that is broken
                    self._todo.clear()
                    yield Lost(_said(error))
                done, _ = wait(self._waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
                if not done:
                    yield {}
                for future in done:
                    yield from self._received(future, *self._waiting.pop(future))
        finally:
            for future in self._waiting:
                future.cancel()

    def _submit(self) -> None:
        """Jobs without the plan: one for each thread, and, unless some process lacks it, as many
        and one more to find others by.
        """
        able = len(self._able)
        most = 0 if self._held else able if self._lacking else 2 * able + 1
        bare = sum(to is None for _, to in self._waiting.values())
        while self._todo and (self._todo[0][1] is not None or bare < most):
            runs, to = self._todo.popleft()
            plan = None if to is None else self._plan
            job = _Job(self._key, next(self._numbers), plan, runs)
            self._waiting[self._executor.submit(_work, job)] = (runs, to)
            bare += to is None

    def _received(
        self, future: Future[_Done], runs: tuple[int, ...], to: _Process | None
    ) -> Iterator[dict[int, Outcome] | Lost]:
        if to is not None:
            self._lacking.discard(to)
        held, self._held = self._held, False
        try:
            done = future.result()
        except Exception as error:  # the worker's end, not the run's
            # One by one from here on, so that no run is lost for another's sake.
            self._failed.update(runs)
            again = [number for number in runs if self._failed[number] < _TRIES]
            self._todo.extend(((number,), None) for number in again)
            if len(again) < len(runs):
                yield Lost(_said(error))
            return
        if done.error is not None:
            raise done.error
        if done.outcomes is not None:
            self._able.add((done.process, done.thread))
            yield dict(zip(runs, done.outcomes, strict=True))
        elif done.process in self._lacking:
            self._held = True
            self._todo.append((runs, None))
        else:
            self._held = held
            self._lacking.add(done.process)
            self._todo.appendleft((runs, done.process))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
