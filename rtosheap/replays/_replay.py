"""A whole trace through a heap, in C and without the GIL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rtosheap import allocators
from rtosheap.allocators import Allocator
from rtosheap.heaps import Heap
from rtosheap.replays.result import Replay
from rtosheap.replays.run import COLUMNS, DEFAULT_COLUMNS, empty_columns, run
from rtosheap.traces import Trace
from rtosheap.work import Progress, named, require


def _chosen(record: Iterable[str] | str | None, heap: Heap | Allocator) -> tuple[str, ...]:
    """The names of the columns to record, in the order of `COLUMNS`."""
    known = heap.columns if isinstance(heap, Allocator) else COLUMNS
    if record is None:
        return tuple(name for name in DEFAULT_COLUMNS if name in known)
    names = (record,) if isinstance(record, str) else tuple(record)
    if names == ("all",):
        return tuple(name for name in COLUMNS if name in known)
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise ValueError(f"record names {unknown[0]!r}; there are {', '.join(COLUMNS)}")
    for name in names:
        if isinstance(heap, Allocator) and name not in known:
            raise ValueError(f"record names {name!r}, but {heap._lacks(name)}")
    return tuple(name for name in COLUMNS if name in names)


def replay(
    trace: Trace,
    heap: Any,
    *,
    record: Iterable[str] | str | None = None,
    progress: Progress | None = None,
    engine: str | None = None,
) -> Replay:
    """Run a whole trace on a heap.

    The heap is used as it is, and is left as the last event left it. FreeRTOS has no realloc: a
    realloc event is malloc, copy, free, and the old block stays when the malloc fails.

    Parameters
    ----------
    trace : Trace
        What to run.
    heap : Heap, ForeignHeap or object
        On what; in C, without the GIL. Meanwhile any other call on it raises RuntimeError. An
        allocator of a shared library is a `ForeignHeap`; an object of Python serves that has
        ``malloc(size)`` and ``free(address)``, and the rest of `rtosheap.allocators.ObjectHeap`
        as far as it likes. What neither tells is in no column.
    record : iterable of str, optional
        Names of the columns to record, ``"all"``, or ``()`` for none. Default: all that does not
        walk the free list at each event, `DEFAULT_COLUMNS`, as far as the heap tells it.
    progress : callable, optional
        Called now and then with the events done and their total. An exception from it aborts,
        and leaves the heap after the last completed event.
    engine : {"list", "index"}, optional
        What finds the place in the free list: the list itself, of which an event reads as many
        entries as the heap does, or an index of it outside the arena, with which an event takes as
        long as the logarithm of that. What is recorded, `nodes` included, and the arena's bytes are
        the same. Default: whichever is quicker, and the list where something in the heap is
        overwritten. heap_1 has no list, and both are one.

    Returns
    -------
    Replay
        One array per recorded column, one entry per event.

    Raises
    ------
    HeapCorruptionError
        If a header is met that is not the heap's; its ``event`` says when. The heap is then as
        it was before that event.
    ForeignError
        If an allocator that is not ours does what none may; its ``event`` says when.
    ValueError
        If `record` names no column, or one that the allocator does not tell, or `engine` is none.
    MemoryError
        If what is to be recorded, or a copy of the heap as it is before, is too large; or the index
        that `engine` asks for: with an alignment of 8 it takes 5 to 16 % of the heap's size, of a
        heap_2 12 to 35 %; with one of 4, which heap_3 counts by, twice as much.

    Notes
    -----
    With the list an event meets the header of every entry that it reads. With the index it meets
    those whose bytes it uses, and no others:

    * a malloc the block that it takes, and the entry before that in the list; in heap_2 the entry
      before what is left of the block, too. One that fails, or that heap_3 serves from ``sbrk``,
      none; where heap_3 extends its last free chunk, that one, and from newlib 4.3.0 on the entry
      before it.
    * a free its block, the entry before it in the list, and, but for heap_2, the one after it where
      the two adjoin.
    * a realloc what its malloc and its free meet, and what its free would have met before.
    * the columns of statistics none.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> result = replay(Trace.from_events([("m", 0, 100), ("f", 0)]), Heap4(1024))
    >>> result.free_size.tolist(), result.failures
    ([904, 1016], 0)
    """
    if not isinstance(trace, Trace):
        raise TypeError(f"trace must be a Trace, not {type(trace).__name__}")
    if not isinstance(heap, Heap | Allocator):
        heap = allocators.ObjectHeap(heap)  # loaded when it is needed
    if isinstance(heap, Allocator) and engine is not None:
        raise ValueError(f"engine is {engine!r}; {heap.name} has its own, and it must be None")
    names = _chosen(record, heap)
    before = _copy(heap)
    with named(f"what a replay of {len(trace)} events records"):
        columns = empty_columns(names, len(trace))
        counts = run(trace, heap, columns, progress=progress, engine=engine)
    for column in columns.values():
        column.flags.writeable = False
    return Replay(trace, heap, before, columns, counts)


def _copy(heap: Heap | Allocator) -> Heap | Allocator | None:
    """One to come back to; None of an object that cannot be copied."""
    if isinstance(heap, Allocator):
        try:
            return heap.copy()
        except ValueError:
            return None
    require(heap.size, "a copy of the heap, to come back to,")
    with named(f"a copy of the heap, {heap.size} bytes,"):
        return heap.copy()
