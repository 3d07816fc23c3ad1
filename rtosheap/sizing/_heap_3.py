"""Which sizes of a heap_3 serve a trace; from newlib 4.2.0 on they need not form one run.

What newlib's malloc does depends on the arena's size through `sbrk` alone, which grants or refuses.
So one replay, which reached R bytes and was refused at least what U would have granted, is that of
every size from R to U - 1: the trace serves in all of them, or fails in all.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

from rtosheap._core import _restore
from rtosheap.replays.run import empty_slots, run
from rtosheap.sizing.problem import SizingProblem

#: Moments of the endless replay from which others go on.
_MOMENTS = 64


class _Moment(NamedTuple):
    """The endless replay before an event."""

    event: int
    reached: int
    snapshot: dict[str, Any]
    memory: bytes
    slots: bytes


class Sizes:
    """Which sizes serve: at most one replay for each run of sizes that are alike, from the last
    moment at which they still were as the endless arena.

    Attributes
    ----------
    step : int
        Of the sizes that can differ.
    top : int
        Where an `sbrk` that is never refused ends: from there on every size serves.
    """

    def __init__(self, problem: SizingProblem) -> None:
        self._problem = problem
        self.step = problem.layout.step
        self._moments, self.top = self._replay()
        self._starts: list[int] = []  # of the runs of alike sizes that are known, ascending
        self._runs: list[tuple[int, bool]] = []  # where each ends, and whether it serves

    def grid(self, size: int) -> int:
        """The largest size at or below one that is not alike to the size before it."""
        return size - (size + self._problem.base) % self.step

    def serves(self, size: int) -> bool:
        """Does a heap of `size` bytes serve the trace?"""
        if size >= self.top:
            return True
        at = bisect_right(self._starts, size) - 1
        if at >= 0 and size < self._runs[at][0]:
            return self._runs[at][1]
        start, end, served = self._try(size)
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._runs.insert(at, (end, served))
        return served

    def _replay(self) -> tuple[list[_Moment], int]:
        problem = self._problem
        size = next((size for size, heap, _ in problem.doubling() if not heap._refused), None)
        if size is None:
            size = problem.largest
        events = len(problem.trace)
        heap, slots = problem.heap(size), empty_slots(problem.trace)
        moments: list[_Moment] = []
        for at in range(_MOMENTS):
            start, end = (events * part // _MOMENTS for part in (at, at + 1))
            if heap._refused:  # the largest heap there can be
                return moments, size
            memory = bytes(heap.memory[: heap._reached])
            moments.append(_Moment(start, heap._reached, heap._snapshot(), memory, bytes(slots)))
            run(problem.trace, heap, start=start, end=end, slots=slots)
        return moments, heap._reached

    def _try(self, size: int) -> tuple[int, int, bool]:
        """A replay in an arena of `size` bytes: the run of alike sizes, and whether they serve."""
        problem = self._problem
        moment = next(m for m in reversed(self._moments) if m.reached <= size)
        memory = bytearray(moment.memory.ljust(size, b"\0"))
        heap = _restore(problem.heap_class, (memory,), moment.snapshot)
        counts = run(
            problem.trace, heap, start=moment.event, slots=bytearray(moment.slots),
            stop_at_failure=True,
        )  # fmt: skip
        return heap._reached, heap._refused or self.top, not counts.failures
