"""How the smallest heap that serves a trace is found, for each of the five heaps."""

from __future__ import annotations

from typing import NamedTuple

from rtosheap._rig import Counts, Rig

#: Steps that heap_2's search looks to either side of what the bisection found.
WINDOW = 64
#: Steps after which it gives up to look for a run of sizes that all serve.
FARTHEST = 16 * WINDOW


class Found(NamedTuple):
    """The smallest size, and what is known of the larger ones."""

    size: int
    exact: bool = True
    safe_size: int | None = None  # None: `size` itself
    safe_checked_up_to: int | None = None  # None: proven for every larger size


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
        return _search_heap_2(rig, floor, full)
    if rig.kind == 3:
        return Found(_last_break(rig))
    return Found(_wilderness(rig, floor))


def _first_arena(rig: Rig) -> int:
    return min(max(4 * rig.trace.peak_live_bytes + 1024, rig.smallest), rig.largest)


def _fails_at_largest(rig: Rig, counts: Counts) -> ValueError:
    return rig.no_such_heap(counts.first_failure, "the largest heap fails there")


def _wilderness(rig: Rig, floor: int) -> int:
    """heap_4 and heap_5, by one replay in an arena whose last block never runs out.

    As long as the last free block is larger than what is cut from it, by more than two headers,
    every decision of first fit is the same whatever the arena's end. So each cut tells how low the
    end marker may lie, and the largest of these marks decides (see the notes of
    `minimum_heap_size`). In larger arenas no decision changes: they all serve.
    """
    size = _first_arena(rig)
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
            return _bisect(rig, floor - 1, size, 1)  # no room for the margin
        size = min(2 * size, rig.largest)


def _last_break(rig: Rig) -> int:
    """heap_3: where an `sbrk` that is never refused ends. Until one is refused, nothing depends on
    the arena's size.
    """
    size = _first_arena(rig)
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


def _bisect(rig: Rig, fails: int, serves: int, step: int) -> int:
    """A size that serves while one step below does not; the two given differ by whole steps."""
    while serves - fails > step:
        middle = fails + (serves - fails) // step // 2 * step
        if rig.serves(middle):
            serves = middle
        else:
            fails = middle
    return serves


def _heap_2_bound(rig: Rig) -> int | None:
    """A size from which on every heap_2 serves the trace; None if there is none.

    heap_2 never merges. Let F be the bytes that get cut from the arena's one first block while it
    is larger than every other free block, B the largest block asked for and H a header. No other
    free block is larger than B. So if what is left of the first block after all cuts, which is
    size - A - F, is larger than both B and 2H, it is the last in the list at all times and is
    split at each cut: every decision, and so F, is the same for all such sizes.
    """
    largest = int(rig.blocks.max())
    # No decision depends on where the heap and its end marker lie.
    options = {key: rig.options[key] for key in rig.options if "address" not in key}
    last = (1 << (8 * rig.word_size - 1)) - 1
    size = _first_arena(rig)
    while True:
        heap = rig.heap_class(size, **options)
        counts = rig.replay(heap)
        if counts.failures == 0:
            address, left, allocated = heap._blocks()[-1]
            # More than needed: then it was never handed out whole, with its slack, and freed.
            if not allocated and left > largest + 2 * rig.header:
                cut = int(address) - heap.base_address
                return rig.up(rig.alignment + cut + max(largest, 2 * rig.header) + 1)
        if size == last:
            return None
        size = min(2 * size, last)


def _search_heap_2(rig: Rig, floor: int, full: bool) -> Found:
    step = rig.alignment
    rig.plan(4 + WINDOW * 2)
    top = rig.largest // step * step
    bound = _heap_2_bound(rig)
    if bound is not None:
        top = min(top, bound)
    if full:
        return _scan_heap_2(rig, floor, top)
    if not rig.serves(top):
        raise ValueError(
            f"the largest {rig.name} at {rig.base:#x}, {top} bytes, fails at event "
            f"{rig.failure(top)}; whether a smaller one serves, search='full' can tell"
        )
    size = _bisect(rig, floor - step, top, step)
    below = size
    while below > max(floor, size - WINDOW * step):
        below -= step
        if rig.serves(below):
            size = below
    safe, checked = size, size
    while checked < min(top, safe + WINDOW * step):
        checked += step
        if checked > size + FARTHEST * step:
            safe = checked = top
        elif not rig.serves(checked):
            safe = checked + step
    return Found(size, False, safe, None if checked >= top else checked)


def _scan_heap_2(rig: Rig, floor: int, top: int) -> Found:
    step = rig.alignment
    rig.plan((top - floor) // step)
    size = next((n for n in range(floor, top + 1, step) if rig.serves(n)), None)
    if size is None:
        counts = rig.replay(rig.heap(top))
        raise _fails_at_largest(rig, counts)
    safe = top
    while safe > size and rig.serves(safe - step):
        safe -= step
    return Found(size, True, safe)
