"""Which sizes of a heap_2 serve a trace; they need not form one run.

Everything here is about sizes on the grid of the alignment.
"""

from __future__ import annotations

import numpy as np

from rtosheap import _core
from rtosheap.sizing._runs import Run, Runs
from rtosheap.sizing.problem import SizingProblem

#: A search of every size may run so many times the events of the trace, and so many more, before it
#: gives up. A size takes one time, but for what it shares with others.
TURNS, EVENTS_MORE = 4, 1 << 15
_NO_END = 1 << 62


def sizes_of(problem: SizingProblem, floor: int, *, full: bool) -> Runs:
    """Which sizes serve from `floor` on. What is known at once is all up to the smallest, and from
    the last on that fails; or nothing, where that takes too long and it need not be `full`.
    """
    search = _Search(problem, floor)
    if floor > search.largest:
        return Runs(search.step, search.largest, complete=True)
    most = _NO_END if full else TURNS * len(problem.trace) + EVENTS_MORE
    runs = search.range(floor, search.largest, most=most, ends_alone=True)
    if runs is None:
        end = search.one(search.largest)
        runs, top = [end._replace(last=end.first)], end.first
    else:
        top = search.largest
    return Runs(
        search.step,
        top,
        runs,
        complete=top == search.largest,
        try_one=search.one,
        try_all=search.beside,
    )


class _Search:
    """What the C search is given, and gives, in bytes of arenas; it counts in steps, of blocks."""

    def __init__(self, problem: SizingProblem, floor: int) -> None:
        layout, trace = problem.layout, problem.trace
        self._problem, self._floor = problem, floor
        self.step = layout.step
        self.largest = problem.largest // self.step * self.step
        wanted = (problem.blocks // self.step).astype(np.uint64)
        ends = trace.ends()
        given = np.flatnonzero((wanted != 0) & (ends < len(trace)))
        ended = np.full(len(trace), -1, np.int32)
        ended[ends[given]] = given
        self._events = wanted, ended, layout.split_above // self.step

    def range(
        self, first: int, last: int, *, most: int = _NO_END, ends_alone: bool = False
    ) -> list[Run] | None:
        """The runs of a range of sizes; None if that takes more than so many events."""
        return self._run(first, last, 0, ends_alone, most)

    def one(self, size: int) -> Run:
        """The run of one size."""
        runs = self._run(self._floor, self.largest, self._inside(size), False, _NO_END)
        assert runs is not None
        return runs[0]

    def beside(self, first: int, last: int) -> list[Run]:
        """The runs of a range of few sizes."""
        found = _core.best_fit_sizes_beside(
            *self._events, self._inside(first), self._inside(last), self._problem.rounds.search()
        )
        return self._outside(found)

    def _run(
        self, first: int, last: int, only: int, ends_alone: bool, most: int
    ) -> list[Run] | None:
        progress = self._problem.rounds.search()
        found = _core.best_fit_sizes(
            *self._events, self._inside(first), self._inside(last), only, ends_alone, most, progress
        )
        return None if found is None else self._outside(found)

    def _inside(self, size: int) -> int:
        """Of an arena, what is its blocks'."""
        return (size - self._problem.layout.least_loss(self._problem.base)) // self.step

    def _outside(self, runs: list[tuple[int, int, int]]) -> list[Run]:
        loss = self._problem.layout.least_loss(self._problem.base)
        return sorted(
            Run(first * self.step + loss, last * self.step + loss, failed)
            for first, last, failed in runs
        )
