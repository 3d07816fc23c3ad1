"""How the smallest heap that serves a trace is found, for each of the five heaps."""

from __future__ import annotations

from rtosheap.sizing import _heap_2
from rtosheap.sizing.problem import Found, SizingProblem


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
    if problem.layout.by_size:
        return _heap_2.find_smallest(problem, floor, full)
    return Found(_last_break(problem))


def _wilderness(problem: SizingProblem, floor: int) -> int:
    """heap_4 and heap_5, by one replay in an arena whose last block never runs out.

    As long as the last free block is larger than what is cut from it, by more than two headers,
    every decision of first fit is the same whatever the arena's end. So each cut tells how low the
    end marker may lie, and the largest of these marks decides (see the notes of
    `minimum_heap_size`). In larger arenas no decision changes: they all serve.
    """
    layout, size = problem.layout, problem.first_arena()
    while True:
        heap = problem.heap(size)
        counts = problem.replay(heap, track_need=True)
        if counts.failures == 0:
            if counts.need_event < 0:
                return problem.smallest  # heap_5: what comes before the last region serves it all
            end = problem.base + size - layout.header
            margin = counts.need_largest + 3 * layout.header + layout.alignment
            if counts.need + margin <= end:
                return counts.need + layout.header - problem.base
        if size == problem.largest:
            if counts.failures:
                raise problem.fails_at_largest(counts)
            return _bisect(problem, floor - 1, size)  # no room for the margin
        size = min(2 * size, problem.largest)


def _last_break(problem: SizingProblem) -> int:
    """heap_3: where an `sbrk` that is never refused ends. Until one is refused, nothing depends on
    the arena's size.
    """
    size = problem.first_arena()
    while True:
        heap = problem.heap(size)
        counts = problem.replay(heap)
        if counts.failures == 0:
            break
        if size == problem.largest:
            raise problem.fails_at_largest(counts)
        size = min(2 * size, problem.largest)
    address, _, allocated = heap._blocks()[-1]
    reached = size if allocated else int(address) - problem.base
    # A last free chunk is the rest that sbrk has not reached, unless it has reached the very end.
    return reached if problem.serves(reached) else size


def _bisect(problem: SizingProblem, fails: int, serves: int) -> int:
    """The smallest size that serves, between one that does not and one that does."""
    while serves - fails > 1:
        middle = (fails + serves) // 2
        if problem.serves(middle):
            serves = middle
        else:
            fails = middle
    return serves
