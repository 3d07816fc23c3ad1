"""Fragmentation, as numbers: of a heap as it is, and over a replay.

Fractions are between 0 and 1 and not per cent, except for the measures of Johnstone and Wilson,
which are excesses over live memory and have no upper bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import sqrt
from operator import index
from typing import Literal, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from rtosheap.heaps import Heap, HeapStats
from rtosheap.heaps.layout import Layout
from rtosheap.replays import Replay
from rtosheap.replays.blocks import allocated_bytes, block_table, live_bytes
from rtosheap.replays.run import empty_slots, run

__all__ = [
    "JohnstoneWilson",
    "at_peak_live",
    "at_peak_used",
    "external_fragmentation",
    "internal_fragmentation",
    "johnstone_wilson",
    "largest_request",
    "mean_over_time",
    "peak_to_peak",
    "pigweed_fragmentation",
    "requested_sizes",
    "used_bytes",
]

Floats: TypeAlias = npt.NDArray[np.float64]
#: What time is counted in: requested bytes, as in the paper, or events.
TimeMeasure: TypeAlias = Literal["bytes", "events"]


# ---------------------------------------------------------------------- at an instant


@overload
def external_fragmentation(source: Heap | HeapStats) -> float: ...
@overload
def external_fragmentation(source: Replay) -> Floats: ...
def external_fragmentation(source: Heap | HeapStats | Replay) -> float | Floats:
    """How much of the free memory lies outside the largest free block.

    ``1 - largest_free_block / free_size``, and 0 when nothing is free: 0 when all that is free is
    one block, near 1 when it is dust. (Known in the literature as the complement of the largest
    free block's share; it says nothing about whether that dust is needed.)

    Parameters
    ----------
    source : Heap, HeapStats or Replay
        A replay must have recorded ``free_size`` and ``largest_free_block``.

    Returns
    -------
    float, or ndarray of float64, shape (n,)
        After each event, for a replay.

    Raises
    ------
    ValueError
        If the replay lacks a column.
    HeapCorruptionError
        If the heap's headers were overwritten.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> heap = Heap4(1024)
    >>> external_fragmentation(heap)
    0.0
    >>> first, second = heap.malloc(500), heap.malloc(100)
    >>> heap.free(first)
    >>> heap.stats().available, heap.stats().largest_free_block
    (904, 512)
    >>> round(external_fragmentation(heap), 3)
    0.434
    """
    if isinstance(source, Replay):
        largest = source.column("largest_free_block").astype(np.float64)
        free = source.column("free_size").astype(np.float64)
        return 1.0 - np.divide(largest, free, out=np.ones_like(free), where=free > 0)
    stats = source.stats() if isinstance(source, Heap) else source
    if not isinstance(stats, HeapStats):
        raise TypeError(f"source is {source!r}; it must be a heap, its stats() or a Replay")
    return 1.0 - stats.largest_free_block / stats.available if stats.available else 0.0


@overload
def pigweed_fragmentation(source: Heap | Iterable[int]) -> float: ...
@overload
def pigweed_fragmentation(source: Replay) -> Floats: ...
def pigweed_fragmentation(source: Heap | Replay | Iterable[int]) -> float | Floats:
    """How finely the free memory is cut up, by the sizes of all free blocks.

    ``1 - sqrt(sum(u**2)) / sum(u)``, where *u* is the inner size of each free block: its bytes
    without its header. 0 when all that is free is one block, or nothing is; of n equal blocks
    ``1 - 1 / sqrt(n)``, so that it comes near to 1 and never reaches it. Unlike
    :func:`external_fragmentation` it tells two halves from one half and dust.

    Parameters
    ----------
    source : Heap, Replay or iterable of int
        A heap, or the inner sizes of the free blocks of whatever it may be. A replay is run again,
        event by event, with a look at all blocks after each: thousands of events in a second,
        where a recorded column has millions.

    Returns
    -------
    float, or ndarray of float64, shape (n,)
        After each event, for a replay.

    Raises
    ------
    HeapCorruptionError
        If the heap's headers were overwritten.
    ValueError
        If a size is negative.

    References
    ----------
    Pigweed, ``pw::allocator::Fragmentation``, which sums inner sizes so and names as its origin:
    A. Sawicki, "A Metric for Memory Fragmentation", 2022,
    https://asawicki.info/news_1757_a_metric_for_memory_fragmentation. Of no free block the former
    says nothing: here that is 0.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> heap = Heap4(1024)
    >>> blocks = [heap.malloc(100) for _ in range(9)]
    >>> for block in blocks[::2]:
    ...     heap.free(block)
    >>> round(pigweed_fragmentation(heap), 3), round(pigweed_fragmentation([104] * 5), 3)
    (0.553, 0.553)
    """
    if isinstance(source, Replay):
        return _pigweed_after_each(source)
    if isinstance(source, Heap):
        return _pigweed(_inner_sizes(source, Layout.of(source)))
    try:
        sizes = [index(size) for size in source]
    except TypeError:
        raise TypeError(
            f"source is {source!r}; it must be a heap, a Replay, or free blocks' sizes in bytes"
        ) from None
    if min(sizes, default=0) < 0:
        raise ValueError(f"source has a block of {min(sizes)} bytes; a size is 0 or more")
    return _pigweed(sizes)


def _pigweed(sizes: list[int]) -> float:
    total = sum(sizes)
    return 1.0 - sqrt(sum(size * size for size in sizes)) / total if total else 0.0


def _inner_sizes(heap: Heap, layout: Layout) -> list[int]:
    """Of the free blocks."""
    return [
        size - layout.header_of(address, size, allocated)
        for address, size, allocated in heap._blocks(True)
        if not allocated
    ]


def _pigweed_after_each(replay: Replay) -> Floats:
    before: object = replay._before
    if not isinstance(before, Heap):
        raise ValueError("source is a replay on another allocator; its free blocks are not kept")
    trace, heap, layout = replay.trace, before.copy(), Layout.of(before)
    slots, values = empty_slots(trace), np.zeros(len(trace))
    for event in range(len(trace)):
        run(trace, heap, start=event, end=event + 1, slots=slots)
        values[event] = _pigweed(_inner_sizes(heap, layout))
    return values


@overload
def internal_fragmentation(source: Heap, *, requested: Mapping[int, int]) -> float: ...
@overload
def internal_fragmentation(source: Replay, *, requested: None = None) -> Floats: ...
def internal_fragmentation(
    source: Heap | Replay, *, requested: Mapping[int, int] | None = None
) -> float | Floats:
    """How much of the allocated blocks was not requested.

    ``1 - requested / allocated``, where *allocated* is the bytes of all allocated blocks, headers,
    padding and unsplit remainders included, and *requested* what the program requested in them;
    0 when nothing is allocated.

    Parameters
    ----------
    source : Heap or Replay
        A replay must have recorded ``address`` and ``block_size``. On heap_1, which takes nothing
        back, what the program freed counts as not requested.
    requested : mapping of int to int
        For a heap alone, which does not remember what was requested: bytes by payload address.
        Blocks that it lacks count as not requested.

    Returns
    -------
    float, or ndarray of float64, shape (n,)
        After each event, for a replay.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> heap = Heap4(1024)
    >>> round(internal_fragmentation(heap, requested={heap.malloc(20): 20}), 3)  # of 32 bytes
    0.375
    >>> run = replay(Trace("mm", id=[0, 1], size=[20, 8]), Heap4(1024))
    >>> internal_fragmentation(run).round(3)
    array([0.375, 0.417])
    """
    if isinstance(source, Replay):
        if requested is not None:
            raise TypeError("requested is for a heap alone: a replay knows what was requested")
        blocks = block_table(source)
        allocated = allocated_bytes(source, blocks).astype(np.float64)
        live = live_bytes(source, blocks).astype(np.float64)
        return 1.0 - np.divide(live, allocated, out=np.ones_like(live), where=allocated > 0)
    if not isinstance(source, Heap):
        raise TypeError(f"source is {source!r}; it must be a heap or a Replay")
    if requested is None:
        raise TypeError("requested is missing: a heap does not remember what was requested of it")
    total = sum(block.size for block in source.blocks() if block.allocated)
    return 1.0 - sum(requested.values()) / total if total else 0.0


def requested_sizes(replay: Replay, event: int = -1) -> dict[int, int]:
    """What was requested in each block that is live in the heap after an event.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``.
    event : int, default -1
        Index of the event; negative ones count from the end.

    Returns
    -------
    dict
        Requested bytes, by payload address: what :func:`internal_fragmentation` and
        :func:`rtosheap.plot.heap_map` take as `requested`.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> run = replay(Trace("mmf", id=[0, 1, 0], size=[20, 7, 0]), Heap4(1024))
    >>> {hex(address): size for address, size in requested_sizes(run).items()}
    {'0x20000028': 7}
    """
    n = len(replay.trace)
    if not -max(n, 1) <= event < max(n, 1):
        raise IndexError(f"event {event} is outside a replay of {n} events")
    blocks = block_table(replay, asked=True)
    live = np.flatnonzero(blocks.live_at(event % n if n else 0))
    addresses = replay.column("address")[blocks.event[live]].tolist()
    return dict(zip(addresses, blocks.requested[live].tolist(), strict=True))


def largest_request(heap: Heap) -> int:
    """The largest `size` for which ``heap.malloc(size)`` would succeed now; 0 when none would.

    It is computed from the largest free block by each heap's own rule, and so is less than that:
    by the header, by rounding, and on heap_1 by the last byte, which FreeRTOS never hands out.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> heap = Heap4(1024)
    >>> heap.free_size, largest_request(heap)
    (1016, 1008)
    >>> heap.malloc(1009) is None, heap.malloc(1008) is not None
    (True, True)
    """
    layout, blocks = Layout.of(heap), heap._blocks(True)
    if layout.policy is not None and layout.policy.coalesce == "deferred":
        return bisect_left(range(heap.free_size), True, key=lambda n: _fails(heap, n + 1))
    free = [size for _, size, allocated in blocks if not allocated]
    if layout.is_newlib and not layout.variant.final:
        free += [a[1] + b[1] for a, b in pairwise(blocks) if not (a[2] or b[2])]  # the last grows
    return layout.largest_request(max(free, default=0))


def _fails(heap: Heap, size: int) -> bool:
    """Would a request fail? What is free may be joined first."""
    return heap.copy().malloc(size) is None


# ---------------------------------------------------------------------- over a trace


class JohnstoneWilson(NamedTuple):
    """The four measures of :func:`johnstone_wilson`, each as a fraction of live memory.

    Attributes
    ----------
    mean_over_time, at_peak_live, at_peak_used, peak_to_peak : float
        Measures 1 to 4, as the functions of these names.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> sizes = [100, 8, 100, 8, 0, 0, 150]
    >>> run = replay(Trace("mmmmffm", id=[0, 1, 2, 3, 0, 2, 4], size=sizes), Heap4(1024))
    >>> measures = johnstone_wilson(run)
    >>> round(measures.at_peak_live, 3), round(measures.peak_to_peak, 3)
    (0.185, 0.926)
    """

    mean_over_time: float
    at_peak_live: float
    at_peak_used: float
    peak_to_peak: float


def used_bytes(replay: Replay) -> npt.NDArray[np.int64]:
    """The memory that the allocator has used up to each event, as if it grew on demand.

    For each region the distance from its start to the highest byte of any block so far, summed
    over regions: what ``sbrk`` would have had to hand out, had the arena not been there in one
    piece. It never falls: no FreeRTOS heap gives memory back.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``.

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> run = replay(Trace("mmfm", id=[0, 1, 0, 2], size=[20, 8, 0, 500]), Heap4(1024))
    >>> used_bytes(run)
    array([ 32,  48,  48, 560])
    """
    blocks = block_table(replay)
    used = np.zeros(len(replay.trace), dtype=np.int64)
    for region in range(len(replay.regions)):
        here = blocks.region == region
        reach = np.zeros_like(used)
        reach[blocks.event[here]] = blocks.offset[here] + blocks.size[here]
        used += np.maximum.accumulate(reach)
    return used


def mean_over_time(replay: Replay, *, time: TimeMeasure = "bytes") -> float:
    """Johnstone and Wilson's first measure: used over live memory, averaged over time.

    The mean over all points *t* in time of ``used(t) / live(t) - 1``. Its authors warn that it
    hides spikes: a program that for most of its run keeps little fragments little on average.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``.
    time : {"bytes", "events"}
        What time is counted in. The paper counts allocated bytes, so that each event weighs as
        much as it requests; ``"events"`` weighs each event alike. Points at which nothing is live
        have no ratio, and do not count.

    Returns
    -------
    float
        0.25 says that the allocator used a quarter more than was live; ``nan`` when nothing ever
        was.

    Raises
    ------
    ValueError
        If the replay lacks a column, or `time` is neither.

    See Also
    --------
    johnstone_wilson : all four measures, with their source.
    used_bytes : what *used* means here.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> sizes = [100, 8, 100, 8, 0, 0, 150]
    >>> run = replay(Trace("mmmmffm", id=[0, 1, 2, 3, 0, 2, 4], size=sizes), Heap4(1024))
    >>> round(mean_over_time(run), 3), round(mean_over_time(run, time="events"), 3)
    (0.7, 2.622)
    """
    if time not in ("bytes", "events"):
        raise ValueError(f"time is {time!r}; it must be 'bytes' or 'events'")
    used, live = _used_and_live(replay)
    # The trace's own sizes: a realloc is an allocation of its new size, a free takes no time.
    weight = replay.trace.size.astype(np.float64) if time == "bytes" else np.ones(len(live))
    weight = np.where(live > 0, weight, 0.0)
    if not weight.any():
        return float("nan")
    ratio = np.divide(used, live, out=np.zeros(len(live)), where=live > 0)
    return float(np.average(ratio, weights=weight)) - 1.0


def at_peak_live(replay: Replay) -> float:
    """Johnstone and Wilson's second measure: used over live memory, where most is live.

    ``used(t) / live(t) - 1`` at the first point *t* at which live memory is at its maximum. It can
    miss what fragmentation costs, since memory use often peaks later.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``.

    Returns
    -------
    float
        0.25 says a quarter more than was live; ``nan`` when nothing ever was.

    Raises
    ------
    ValueError
        If the replay lacks a column.

    See Also
    --------
    johnstone_wilson : all four measures, with their source.
    used_bytes : what *used* means here.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> sizes = [100, 8, 100, 8, 0, 0, 150]
    >>> run = replay(Trace("mmmmffm", id=[0, 1, 2, 3, 0, 2, 4], size=sizes), Heap4(1024))
    >>> int(used_bytes(run)[3]), int(run.live_bytes[3])  # where most is live
    (256, 216)
    >>> round(at_peak_live(run), 3)
    0.185
    """
    used, live = _used_and_live(replay)
    return _excess_at(used, live, live)


def at_peak_used(replay: Replay) -> float:
    """Johnstone and Wilson's third measure: used over live memory, where most is used.

    ``used(t) / live(t) - 1`` at the first point *t* at which used memory is at its maximum, which
    here is the event that last made the heap grow. Large when that happens while little is live.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``.

    Returns
    -------
    float
        0.25 says a quarter more than was live; ``nan`` when nothing ever was, ``inf`` when nothing
        is live there.

    Raises
    ------
    ValueError
        If the replay lacks a column.

    See Also
    --------
    johnstone_wilson : all four measures, with their source.
    used_bytes : what *used* means here.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> sizes = [100, 8, 100, 8, 0, 0, 150]
    >>> run = replay(Trace("mmmmffm", id=[0, 1, 2, 3, 0, 2, 4], size=sizes), Heap4(1024))
    >>> int(used_bytes(run)[6]), int(run.live_bytes[6])  # where most is used
    (416, 166)
    >>> round(at_peak_used(run), 3)
    1.506
    """
    used, live = _used_and_live(replay)
    return _excess_at(used, live, used)


def peak_to_peak(replay: Replay) -> float:
    """Johnstone and Wilson's fourth measure: most memory used over most memory live.

    ``max(used) / max(live) - 1``, where the two maxima need not be at the same point. Of the four
    it says most about the RAM that a device needs; the exact answer to that is
    :func:`rtosheap.minimum_heap_size` over the peak of live bytes.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``.

    Returns
    -------
    float
        0.25 says a quarter more than was live; ``nan`` when nothing ever was.

    Raises
    ------
    ValueError
        If the replay lacks a column.

    See Also
    --------
    johnstone_wilson : all four measures, with their source.
    used_bytes : what *used* means here.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> sizes = [100, 8, 100, 8, 0, 0, 150]
    >>> run = replay(Trace("mmmmffm", id=[0, 1, 2, 3, 0, 2, 4], size=sizes), Heap4(1024))
    >>> int(used_bytes(run).max()), int(run.live_bytes.max())
    (416, 216)
    >>> round(peak_to_peak(run), 3)
    0.926
    """
    used, live = _used_and_live(replay)
    if not live.any():
        return float("nan")
    return float(used.max() / live.max()) - 1.0


def johnstone_wilson(replay: Replay, *, time: TimeMeasure = "bytes") -> JohnstoneWilson:
    """Four measures of fragmentation over a run.

    With *live(t)* the bytes that the program has requested and not given back, and *used(t)* those
    that the allocator uses to hold them (:func:`used_bytes`), each is an excess of used over live
    memory:

    1. ``mean over t of used(t) / live(t) - 1`` (:func:`mean_over_time`);
    2. the same at the point where *live* is at its maximum (:func:`at_peak_live`);
    3. the same at the point where *used* is at its maximum (:func:`at_peak_used`);
    4. ``max(used) / max(live) - 1`` (:func:`peak_to_peak`).

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size``. Best in an arena that is large enough: a
        run with failed allocations says little.
    time : {"bytes", "events"}
        As for :func:`mean_over_time`.

    Returns
    -------
    JohnstoneWilson

    Notes
    -----
    The paper took the cost of headers and of alignment out of its main tables, to compare policies
    alone. Here they are in, as they are in a device's RAM.

    References
    ----------
    M. S. Johnstone and P. R. Wilson, "The memory fragmentation problem: solved?", Proceedings of
    the International Symposium on Memory Management (ISMM), 1998, section on how fragmentation is
    measured.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[104, 24, 0, 160])
    >>> run = replay(trace, Heap4(1024))
    >>> used_bytes(run), run.live_bytes
    (array([112, 144, 144, 312]), array([104, 128,  24, 184], dtype=uint64))
    >>> [round(measure, 3) for measure in johnstone_wilson(run)]
    [0.425, 0.696, 0.696, 0.696]
    """
    return JohnstoneWilson(
        mean_over_time(replay, time=time),
        at_peak_live(replay),
        at_peak_used(replay),
        peak_to_peak(replay),
    )


def _used_and_live(replay: Replay) -> tuple[Floats, Floats]:
    live = live_bytes(replay)
    return used_bytes(replay).astype(np.float64), live.astype(np.float64)


def _excess_at(used: Floats, live: Floats, peak_of: Floats) -> float:
    if not live.any():
        return float("nan")
    at = int(peak_of.argmax())
    return float(used[at] / live[at]) - 1.0 if live[at] else float("inf")
