"""Which sizes of a heap serve a trace, where nothing but a replay tells."""

from __future__ import annotations

from rtosheap.sizing._holes import FARTHEST, WINDOW
from rtosheap.sizing._runs import Run, Runs
from rtosheap.sizing.problem import Found, SizingProblem, bisect


def find_smallest(problem: SizingProblem, floor: int, *, full: bool) -> Found:
    """The smallest heap of those that were tried: bisection, then every size of `WINDOW` steps
    below and above what it found, and on above until as many in a row have served.

    With `full` every size from `floor` on, up to the first that serves.
    """
    step = problem.search_step
    sizes = Runs(step, problem.largest, try_one=lambda size: _run(problem, size))
    if full:
        size = floor
        while not sizes.serves(size):
            size += step
    else:
        top, _, _ = next(problem.doubling())
        size = bisect(sizes.serves, floor - step, floor + -(-(top - floor) // step) * step, step)
        below = size
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


def _run(problem: SizingProblem, size: int) -> Run:
    failed = problem.failure(size)
    return Run(size, size, -1 if failed is None else failed)
