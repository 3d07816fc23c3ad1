"""The search for the smallest heap where a larger one may fail: what serves is no single run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from rtosheap.sizing.problem import Found, Sizes, SizingProblem, UnservableError, bisect

#: Steps that the search looks to either side of what the bisection found.
WINDOW = 64
#: Steps after which it gives up to look for a run of sizes that all serve.
FARTHEST = 16 * WINDOW

_Serves: TypeAlias = Callable[[int], bool]


def find_smallest(problem: SizingProblem, sizes: Sizes, floor: int, *, full: bool) -> Found:
    """The smallest heap from `floor` on that serves a trace.

    Bisection, then every size of `WINDOW` steps below and above what it found, and on above until
    as many in a row have served. `full`: every size from `floor` on.
    """
    step, top = sizes.step, sizes.top
    if full:
        found = _first(sizes.serves, floor, top, step)
        if found is None:
            raise problem.fails_at_largest(problem.replay(problem.heap(top)))
        return _found(sizes, found, full=True)
    if not sizes.serves(top):
        raise problem.unservable(
            f"the largest {problem.name} at {problem.base:#x}, {top} bytes, fails at event "
            f"{problem.failure(top)}; whether a smaller one serves, search='full' can tell"
        )
    below = size = bisect(sizes.serves, floor - step, top, step)
    while below > max(floor, size - WINDOW * step):
        below -= step
        if sizes.serves(below):
            size = below
    return _found(sizes, size, full=False)


def find_common(problems: Sequence[SizingProblem], found: Sequence[Found], *, full: bool) -> Found:
    """The smallest heap that serves several traces, from the largest of their own smallest on:
    every size is tried.
    """
    every = _Every([one.sizes for one in found if one.sizes is not None])
    size = _first(every.serves, max(one.size for one in found), every.top, every.step)
    if size is None:
        each = (f"{one.recording} in {own.size}" for one, own in zip(problems, found, strict=True))
        raise UnservableError(
            f"no {problems[0].name} of up to {every.top} bytes serves all recordings, though each "
            f"runs by itself: {', '.join(each)}"
        )
    return _found(every, size, full=full)


class _Every:
    """The sizes that serve each of several traces."""

    def __init__(self, each: Sequence[Sizes]) -> None:
        self._each = each
        self.step = each[0].step
        self.top = max(one.top for one in each)

    def serves(self, size: int) -> bool:
        return all(one.serves(size) for one in self._each)


def _first(serves: _Serves, start: int, top: int, step: int) -> int | None:
    """The first size from `start` to `top` that serves."""
    return next((size for size in range(start, top + 1, step) if serves(size)), None)


def _found(sizes: Sizes, size: int, *, full: bool) -> Found:
    """The smallest size, and from which size on all serve."""
    step, top = sizes.step, sizes.top
    if full:
        safe = top
        while safe > size and sizes.serves(safe - step):
            safe -= step
        return Found(size, True, safe, sizes=sizes)
    safe = checked = size
    while checked < min(top, safe + WINDOW * step):
        checked += step
        if checked > size + FARTHEST * step:
            safe = checked = top
        elif not sizes.serves(checked):
            safe = checked + step
    return Found(size, False, safe, None if checked >= top else checked, sizes)
