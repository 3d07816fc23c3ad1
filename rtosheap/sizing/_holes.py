"""The search for the smallest heap where a larger one may fail: what serves is no single run."""

from __future__ import annotations

from collections.abc import Sequence

from rtosheap.sizing._runs import Run, Runs
from rtosheap.sizing.problem import Found, SizingProblem, UnservableError, bisect

#: Steps that the search looks to either side of what the bisection found.
WINDOW = 64
#: Steps after which it gives up to look for a run of sizes that all serve.
FARTHEST = 16 * WINDOW
#: How often what a size has beyond the floor is doubled by trial.
_DOUBLINGS = 20


def find_smallest(problem: SizingProblem, sizes: Runs, floor: int) -> Found:
    """The smallest heap from `floor` on that serves a trace.

    Where not all sizes are known: bisection, then every size of `WINDOW` steps below and above what
    it found, and on above until as many in a row have served.
    """
    step, top = sizes.step, sizes.top
    if sizes.complete:
        found = sizes.first_serving(floor)
        if found is None:
            raise problem.fails_at_largest(problem.replay(problem.heap(top)))
        return _found(sizes, found)
    if not sizes.serves(top):
        raise problem.unservable(
            f"the largest {problem.name} at {problem.base:#x}, {problem.largest} bytes, fails at "
            f"event {problem.failure(top)}; whether a smaller one serves, search='full' can tell"
        )
    size = bisect(sizes.serves, floor - step, top, step)
    last = min(top, size + WINDOW * step)
    while True:
        first = max(floor, size - WINDOW * step)
        sizes.look(first, last)
        run = sizes.last_serving(first, size - step)
        if run is None:
            return _found(sizes, size)
        size = last = max(floor, run.first)


def find_by_trial(problem: SizingProblem, floor: int, *, full: bool) -> Found:
    """The same where nothing but a replay tells whether a size serves, and no size proves another.

    With `full` every size from `floor` on is tried, up to the first that serves, if one is found.
    """

    def run(size: int) -> Run:
        failed = problem.failure(size)
        return Run(size, size, -1 if failed is None else failed)

    step = problem.search_step
    sizes = Runs(step, problem.largest, try_one=run)
    floor = size = max(floor - floor % step, step)
    above = _serving(problem, sizes, floor)
    if full:
        while not sizes.serves(size):
            size += step
    else:
        size = below = bisect(sizes.serves, floor - step, above, step)
        while below > max(floor, size - WINDOW * step):
            below -= step
            if sizes.serves(below):
                size = below
    safe = checked = size
    while checked < min(problem.largest - step, safe + WINDOW * step, size + FARTHEST * step):
        checked += step
        if not sizes.serves(checked):
            safe = checked + step
    return Found(size, full, safe, checked, sizes)


def _serving(problem: SizingProblem, sizes: Runs, floor: int) -> int:
    """A size on the grid from `floor` on that serves, by ever larger ones: a library may refuse an
    arena that is far larger than it need be.
    """
    room = floor // 8 // sizes.step * sizes.step
    for _ in range(_DOUBLINGS):
        size = min(floor + room, problem.largest)
        if sizes.serves(size):
            return size
        if size == problem.largest:
            break
        room = 2 * room + sizes.step
    event = problem.failure(size)
    raise problem.unservable(
        f"the largest {problem.name} tried, {size} bytes, fails at event {event}"
    )


def find_common(problems: Sequence[SizingProblem], found: Sequence[Found]) -> Found:
    """The smallest heap that serves several traces, from the largest of their own smallest on:
    every size is tried.
    """
    each = [one.sizes for one in found if one.sizes is not None]
    every = _Every(each)
    size = every.first_serving(max(one.size for one in found))
    if size is None:
        own = (f"{one.recording} in {own.size}" for one, own in zip(problems, found, strict=True))
        raise UnservableError(
            f"no {problems[0].name} of up to {every.top} bytes serves all recordings, though each "
            f"runs by itself: {', '.join(own)}"
        )
    return _found(every, size)


class _Every:
    """The sizes that serve each of several traces."""

    def __init__(self, each: Sequence[Runs]) -> None:
        self._each = each
        self.step = each[0].step
        self.top = max(one.top for one in each)
        self.complete = all(one.complete for one in each)

    def look(self, first: int, last: int) -> None:
        for one in self._each:
            one.look(first, min(last, one.top))

    def run(self, size: int) -> Run:
        """Sizes from `size` on that serve all, or of which none does."""
        serving: list[int] = []
        failing: list[int] = []
        for one in self._each:
            run = one.run(size)
            last = run.last if size <= one.top else self.top
            (serving if run.serves else failing).append(last)
        return Run(size, max(failing), 0) if failing else Run(size, min(serving), -1)

    def first_serving(self, size: int) -> int | None:
        while size <= self.top:
            if not self.complete:
                self.look(size, size + WINDOW * self.step)
            # none of them serves below what the others say, nor above its top if not there
            firsts = [
                size if size > one.top and one.serves(size) else one.first_serving(size)
                for one in self._each
            ]
            if None in firsts:
                return None
            larger = max(first for first in firsts if first is not None)
            if larger == size:
                return size
            size = larger
        return None

    def safe_from(self, size: int) -> int:
        return max(one.safe_from(size) for one in self._each)


def _found(sizes: Runs | _Every, size: int) -> Found:
    """The smallest size, and from which size on all serve."""
    step, top = sizes.step, sizes.top
    own = sizes if isinstance(sizes, Runs) else None
    if sizes.complete:
        return Found(size, True, sizes.safe_from(size), sizes=own)
    safe = checked = size
    while checked < min(top, safe + WINDOW * step):
        first = checked + step
        if first > size + FARTHEST * step:
            safe = checked = top
            break
        windows = (checked - size) // (WINDOW * step) + 1
        sizes.look(first, min(top, size + windows * WINDOW * step))
        run = sizes.run(first)
        checked = min(run.last, top, size + FARTHEST * step)
        if run.serves:
            checked = min(checked, safe + WINDOW * step)
        else:
            safe = checked + step
    return Found(size, False, safe, None if checked >= top else checked, own)
