"""How far long work has come, where its parts do not know of one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Called as ``progress(done, total)`` from time to time; an exception that it raises ends the work.
Progress: TypeAlias = Callable[[int, int], object]

#: What one of several parts counts in the whole.
UNIT = 1000


def part(progress: Progress | None, index: int, count: int) -> Progress | None:
    """The progress of part `index` of `count` equal ones, as a share of the whole."""
    if progress is None:
        return None
    whole = progress
    most = 0

    def report(done: int, total: int) -> object:
        nonlocal most  # what is to be done may turn out to be more
        most = max(most, done * UNIT // max(total, 1))
        return whole(index * UNIT + most, count * UNIT)

    return report


class Rounds:
    """The progress of equal rounds whose number is learnt on the way.

    Parameters
    ----------
    progress : callable or None
        Told of all rounds together.
    length : int
        What one round counts.
    planned : int
        How many are expected.
    """

    def __init__(self, progress: Progress | None = None, length: int = 0, planned: int = 0) -> None:
        self._progress, self._length = progress, length
        self._begun, self._planned = 0, planned

    def next(self) -> Progress | None:
        """The progress of the next round."""
        progress = self._progress
        if progress is None:
            return None
        before = self._begun * self._length
        self._begun += 1
        self._planned = max(self._planned, self._begun)
        total = self._planned * self._length

        def report(done: int, _: int) -> object:
            return progress(before + done, total)

        return report

    def search(self) -> Callable[[int], object] | None:
        """The progress of work whose rounds are learnt on the way: what to call with how much of
        it is done. As long as none are planned, as much again is expected.
        """
        progress = self._progress
        if progress is None:
            return None
        begun = self._begun

        def report(done: int) -> object:
            self._begun = begun + -(-done // max(self._length, 1))
            while self._planned < self._begun:
                self._planned = 2 * self._begun
            return progress(begun * self._length + done, self._planned * self._length)

        return report

    def plan(self, rounds: int) -> None:
        """So many are to be expected from here on."""
        self._planned = self._begun + rounds

    def finish(self) -> None:
        """All is done."""
        if self._progress is not None:
            total = max(self._planned, 1) * self._length
            self._progress(total, total)
