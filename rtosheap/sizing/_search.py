"""How the smallest heap that serves a trace, or several, is found, for each of the five heaps."""

from __future__ import annotations

from collections.abc import Sequence

from rtosheap.sizing import _heap_2, _heap_3, _holes
from rtosheap.sizing.problem import Found, SizingProblem, bisect


def find_smallest(problem: SizingProblem, *, full: bool) -> Found:
    """The smallest heap in which the trace runs without a failed allocation.

    Raises
    ------
    ValueError
        If no heap of this kind can serve the trace.
    """
    floor = problem.check_possible()
    if not problem.asks().any():
        return Found(problem.smallest)
    if not problem.layout.frees:
        return Found(floor)  # nothing is ever given back: the bound is what is needed
    if problem.layout.by_address:
        return Found(_wilderness(problem, floor))
    if problem.layout.needs_trial:
        return _holes.find_by_trial(problem, floor, full=full)
    if problem.layout.by_size:
        if problem.largest_request(floor) < problem.trace.largest_request:
            floor += problem.layout.step  # an older kernel's block is less than all there is
        sizes = _heap_2.sizes_of(problem, floor, full=full)
        return _holes.find_smallest(problem, sizes, floor)
    if not problem.layout.monotone:
        return _holes.find_smallest(problem, _heap_3.sizes_of(problem, floor), floor)
    return Found(_last_break(problem))


def find_common(problems: Sequence[SizingProblem], found: Sequence[Found]) -> Found:
    """The smallest heap in which each of several traces runs; `found` are their own smallest.

    Raises
    ------
    ValueError
        If no heap of this kind serves them all.
    """
    if len(found) == 1:
        return found[0]
    if all(one.sizes is None for one in found):
        return Found(max(one.size for one in found))
    return _holes.find_common(problems, found)


def _wilderness(problem: SizingProblem, floor: int) -> int:
    """heap_4 and heap_5, by one replay in an arena whose last block never runs out.

    As long as the last free block is never handed out whole, every decision of first fit is the
    same whatever the arena's end. So each cut tells how low the end marker may lie, and the largest
    of these marks decides (see the notes of `minimum_heap_size`); it is this arena's own where the
    block was handed out whole. In larger arenas no decision changes: they all serve.
    """
    layout = problem.layout
    for size, _, counts in problem.doubling(track_need=True):
        if counts.need_event < 0:
            return problem.smallest  # heap_5: what comes before the last region serves it all
        if counts.need < layout.end(problem.base, size):
            return counts.need + layout.header - problem.base
    return bisect(problem.serves, floor - 1, problem.largest)  # even there it was handed out whole


def _last_break(problem: SizingProblem) -> int:
    """heap_3 up to newlib 4.1.0: where an `sbrk` that is never refused ends. Until one is refused,
    nothing depends on the arena's size.
    """
    size, heap, _ = next(problem.doubling())
    address, _, allocated = heap._blocks()[-1]
    reached = size if allocated else int(address) - problem.base
    # A last free chunk is the rest that sbrk has not reached, unless it has reached the very end.
    return reached if problem.serves(reached) else size
