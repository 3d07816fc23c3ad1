"""How the smallest heap that serves a trace is found, for each of the five heaps."""

from __future__ import annotations

from rtosheap import _heap_2
from rtosheap._heap_2 import Found
from rtosheap._rig import Counts, Rig, UnservableError


def find_smallest(rig: Rig, *, full: bool) -> Found:
    """The smallest heap in which the trace runs without a failed allocation.

    Raises
    ------
    ValueError
        If no heap of this kind can serve the trace.
    """
    floor = rig.check_possible()
    if not rig.asks().any():
        return Found(rig.smallest)
    if rig.kind == 1:
        return Found(floor)  # nothing is ever given back: the bound is what is needed
    if rig.kind == 2:
        return _heap_2.search(rig, floor, full)
    if rig.kind == 3:
        return Found(_last_break(rig))
    return Found(_wilderness(rig, floor))


def _fails_at_largest(rig: Rig, counts: Counts) -> UnservableError:
    return rig.no_such_heap(counts.first_failure, "the largest heap fails there")


def _wilderness(rig: Rig, floor: int) -> int:
    """heap_4 and heap_5, by one replay in an arena whose last block never runs out.

    As long as the last free block is larger than what is cut from it, by more than two headers,
    every decision of first fit is the same whatever the arena's end. So each cut tells how low the
    end marker may lie, and the largest of these marks decides (see the notes of
    `minimum_heap_size`). In larger arenas no decision changes: they all serve.
    """
    size = rig.first_arena()
    while True:
        heap = rig.heap(size)
        counts = rig.replay(heap, track_need=True)
        if counts.failures == 0:
            if counts.need_event < 0:
                return rig.smallest  # heap_5: what comes before the last region serves it all
            end = rig.base + size - rig.header
            margin = counts.need_largest + 3 * rig.header + rig.alignment
            if counts.need + margin <= end:
                return counts.need + rig.header - rig.base
        if size == rig.largest:
            if counts.failures:
                raise _fails_at_largest(rig, counts)
            return _bisect(rig, floor - 1, size)  # no room for the margin
        size = min(2 * size, rig.largest)


def _last_break(rig: Rig) -> int:
    """heap_3: where an `sbrk` that is never refused ends. Until one is refused, nothing depends on
    the arena's size.
    """
    size = rig.first_arena()
    while True:
        heap = rig.heap(size)
        counts = rig.replay(heap)
        if counts.failures == 0:
            break
        if size == rig.largest:
            raise _fails_at_largest(rig, counts)
        size = min(2 * size, rig.largest)
    address, _, allocated = heap._blocks()[-1]
    reached = size if allocated else int(address) - rig.base
    # A last free chunk is the rest that sbrk has not reached, unless it has reached the very end.
    return reached if rig.serves(reached) else size


def _bisect(rig: Rig, fails: int, serves: int) -> int:
    """The smallest size that serves, between one that does not and one that does."""
    while serves - fails > 1:
        middle = (fails + serves) // 2
        if rig.serves(middle):
            serves = middle
        else:
            fails = middle
    return serves
