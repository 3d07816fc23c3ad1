"""Which sizes of a heap serve, where a larger one may fail: runs of sizes that end alike."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Run(NamedTuple):
    """Sizes from `first` to `last`, in all of which the same event fails, or none (-1)."""

    first: int
    last: int
    failed: int

    @property
    def serves(self) -> bool:
        """Does the trace run in them?"""
        return self.failed < 0


class Runs:
    """What is known of the sizes.

    Parameters
    ----------
    step : int
        Bytes between the sizes that are looked at.
    top : int
        If any larger size serves, all of them do.
    runs : iterable of Run
        Ascending.
    complete : bool
        Are the smallest that serves, and the largest that fails, among them?
    try_one : callable, optional
        ``try_one(size)`` is the run of a size, of which nothing is known yet.
    try_all : callable, optional
        ``try_all(first, last)`` are the runs of a range, of which nothing need be known.
    """

    def __init__(
        self,
        step: int,
        top: int,
        runs: Iterable[Run] = (),
        *,
        complete: bool = False,
        try_one: Callable[[int], Run] | None = None,
        try_all: Callable[[int, int], list[Run]] | None = None,
    ) -> None:
        self.step, self.top, self.complete = step, top, complete
        self._runs = list(runs)
        self._starts = [run.first for run in self._runs]
        self._try_one, self._try_all = try_one, try_all

    def run(self, size: int) -> Run:
        """The run of a size; of one of more than `top` bytes, the last."""
        size = min(size, self.top)
        known = self._known(size)
        if known is None:
            assert self._try_one is not None
            known = self._try_one(size)
            at = bisect_right(self._starts, size)
            if at > 0:  # what is known already stays
                known = known._replace(first=max(known.first, self._runs[at - 1].last + self.step))
            if at < len(self._runs):
                known = known._replace(last=min(known.last, self._starts[at] - self.step))
            self._put(at, at, [known])
        return known

    def serves(self, size: int) -> bool:
        """Does a heap of `size` bytes serve?"""
        return self.run(size).serves

    def look(self, first: int, last: int) -> None:
        """Learn of all sizes from `first` to `last`, at once."""
        while first <= last and (run := self._known(first)) is not None:
            first = run.last + self.step
        while first <= last and (run := self._known(last)) is not None:
            last = run.first - self.step
        if first <= last and self._try_all is not None:
            at, end = (bisect_right(self._starts, size) for size in (first, last))
            self._put(at, end, self._try_all(first, last))

    def first_serving(self, size: int) -> int | None:
        """The smallest size from `size` on that serves; None if none up to `top` does."""
        while size <= self.top:
            run = self.run(size)
            if run.serves:
                return size
            size = run.last + self.step
        return None

    def last_serving(self, first: int, last: int) -> Run | None:
        """The run of the largest size from `first` to `last` that serves; None if none does."""
        while last >= first:
            run = self.run(last)
            if run.serves:
                return run
            last = run.first - self.step
        return None

    def safe_from(self, size: int) -> int:
        """The size from which on every one serves, if not `size` already."""
        failing = (run.last for run in reversed(self._runs) if not run.serves)
        return max(size, next(failing, size - self.step) + self.step)

    def _known(self, size: int) -> Run | None:
        at = bisect_right(self._starts, size) - 1
        return self._runs[at] if at >= 0 and size <= self._runs[at].last else None

    def _put(self, at: int, end: int, runs: list[Run]) -> None:
        self._runs[at:end] = runs
        self._starts[at:end] = [run.first for run in runs]
