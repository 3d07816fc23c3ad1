"""The search for a short sequence of events that ends in fragmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
from hypothesis import Phase, find, settings, target
from hypothesis.errors import NoSuchExample

from rtosheap import allocators
from rtosheap.allocators import Allocator
from rtosheap.heaps import Heap
from rtosheap.replays import replay
from rtosheap.testing import _arguments
from rtosheap.testing._traces import traces
from rtosheap.traces import Event, Trace

__all__ = ["NoFailureFound", "find_failure"]

_FRAGMENTATION = 2
_PIECES = "free_block_count"


class NoFailureFound(LookupError):
    """No sequence of events was found that fails for fragmentation.

    Examples
    --------
    >>> from rtosheap import Heap1
    >>> try:
    ...     find_failure(lambda: Heap1(256), max_examples=10, seed=1)
    ... except NoFailureFound as error:
    ...     print(error)
    no failure for fragmentation in 10 sequences of up to 40 events on <Heap1 of 256 bytes ...>
    """


def find_failure(
    heap_factory: Callable[[], Any],
    *,
    max_events: int = 40,
    max_size: int | None = None,
    min_size: int = 1,
    reallocs: bool = False,
    max_examples: int = 1000,
    seed: int | None = None,
) -> Trace:
    """Find a short sequence of events after which an allocation fails although enough is free.

    The last event of the trace is that allocation: it requests no more bytes than are free, but no
    free block is large enough (``replay(...).failure[-1] == 2``). The trace is locally minimal:
    without any one of its events (and, with a malloc, the later events on its block) nothing fails
    for fragmentation.

    Parameters
    ----------
    heap_factory : callable
        Returns a new heap: one of the five, a `ForeignHeap` whose library has ``rh_foreign_walk``,
        or an object with ``malloc``, ``free`` and ``free_blocks`` or ``blocks``. Called once for
        each sequence that is tried.
    max_events : int
        The longest sequence to try.
    max_size, min_size : int
        Bytes of a request. Default of `max_size`: two thirds of what is free in the heap.
    reallocs : bool
        Whether events may be reallocs.
    max_examples : int
        How many sequences to try before giving up.
    seed : int, optional
        Makes the search reproducible.

    Returns
    -------
    Trace
        It replays: ``replay(trace, heap_factory())``; ``print(trace.to_c())`` prints it as C.

    Raises
    ------
    NoFailureFound
        A `LookupError`: none of `max_examples` sequences fails so (heap_1 never does).
    ValueError, TypeError
        An argument that cannot be; the message names it.

    Examples
    --------
    >>> from rtosheap import Heap4, replay
    >>> trace = find_failure(lambda: Heap4(256), seed=1)
    >>> replay(trace, Heap4(256)).failure[-1]
    np.uint8(2)
    """
    if not callable(heap_factory):
        raise TypeError(
            f"heap_factory is {heap_factory!r}; it must be callable, as lambda: Heap4(256)"
        )
    first = heap_factory()
    smallest = _arguments.integer(min_size, "min_size", 1)
    largest = max(_free(first) * 2 // 3, smallest) if max_size is None else max_size
    used = "free_size" if isinstance(first, Heap) else "live_bytes"  # which every allocator has
    examples = _arguments.integer(max_examples, "max_examples", 1)
    if seed is not None:
        _arguments.integer(seed, "seed", 0)
    strategy = traces(max_events=max_events, max_size=largest, min_size=smallest, reallocs=reallocs)

    def fails(trace: Trace) -> bool:
        result = replay(trace, heap_factory(), record=("failure", used))
        failure = result["failure"]
        if len(trace):
            # The search is drawn to heaps that are cut into many pieces, and full.
            target(float(_pieces(result.heap)), label="free blocks")
            least, most = float(result[used].min()), float(result[used].max())
            target(-least if used == "free_size" else most, label="used")
        return bool((failure == _FRAGMENTATION).any())

    chosen = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],  # what is found is made minimal below
    )
    try:
        found = find(
            strategy, fails, settings=chosen, random=None if seed is None else Random(seed)
        )
    except NoSuchExample:
        raise NoFailureFound(
            f"no failure for fragmentation in {examples} sequences of up to {max_events} events "
            f"on {first!r}"
        ) from None
    return _minimal(found, heap_factory)


def _free(heap: Any) -> int:
    """Bytes that are free in a new heap; an error that says why if none can be searched."""
    if isinstance(heap, Heap):
        return heap.free_size
    try:
        foreign = heap if isinstance(heap, Allocator) else allocators.ObjectHeap(heap)
    except TypeError:
        raise TypeError(
            f"heap_factory returned {heap!r}; it must return a heap, such as Heap4(256)"
        ) from None
    if _PIECES not in foreign.columns:
        raise ValueError(f"what fails for fragmentation is not known: {foreign._lacks(_PIECES)}")
    return sum(size for _, size in foreign._holes())


def _pieces(heap: Any) -> int:
    return len(heap._holes()) if isinstance(heap, Allocator) else heap.stats().free_block_count


def _minimal(trace: Trace, heap_factory: Callable[[], Any]) -> Trace:
    """Leave events out and make sizes smaller for as long as one allocation still fails."""
    events = _cut(list(trace), heap_factory)
    while True:
        fewer = _fewer(events, heap_factory)
        events = _smaller(fewer, heap_factory)
        if events == fewer:
            return _numbered(events, heap_factory)


def _fewer(events: list[Event], heap_factory: Callable[[], Any]) -> list[Event]:
    for shorter in _without_one(events):
        cut = _cut(shorter, heap_factory)
        if cut:
            return _fewer(cut, heap_factory)
    return events


def _smaller(events: list[Event], heap_factory: Callable[[], Any]) -> list[Event]:
    for i, event in enumerate(events):
        too_small, size = 0, event.size
        while size - too_small > 1:
            middle = (too_small + size) // 2
            tried = [*events[:i], event._replace(size=middle), *events[i + 1 :]]
            if len(_cut(tried, heap_factory)) == len(events):
                events, size = tried, middle
            else:
                too_small = middle
    return events


def _cut(events: list[Event], heap_factory: Callable[[], Any]) -> list[Event]:
    """The events up to the first that fails for fragmentation; none if none does."""
    if not events:
        return []
    result = replay(Trace.from_events(events), heap_factory(), record="failure")
    at = np.flatnonzero(result["failure"] == _FRAGMENTATION)
    return events[: int(at[0]) + 1] if len(at) else []


def _without_one(events: list[Event]) -> Iterator[list[Event]]:
    """Each sequence with one event left out; without its malloc a block has no other event.

    Ids are not used again in the traces that are searched.
    """
    for i, left_out in enumerate(events):
        rest = events[:i] + events[i + 1 :]
        if left_out.op == "m":
            rest = [event for event in rest if event.id != left_out.id]
        if left_out.op == "f" and any(event.id == left_out.id for event in events[i + 1 :]):
            continue
        yield rest


def _numbered(events: list[Event], heap_factory: Callable[[], Any]) -> Trace:
    numbers: dict[int, int] = {}
    for event in events:
        numbers.setdefault(event.id, len(numbers))
    renamed = [
        ("f", numbers[event.id]) if event.op == "f" else (event.op, numbers[event.id], event.size)
        for event in events
    ]
    name = f"fragmentation on {heap_factory()!r}"
    return Trace.from_events(renamed, meta={"name": name})
