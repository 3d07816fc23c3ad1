"""A whole trace through a heap, in C and without the GIL, with what happened at each event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap import _core
from rtosheap.heaps import Block, Heap
from rtosheap.trace import Op, Trace

__all__ = ["COLUMNS", "DEFAULT_COLUMNS", "FAILURES", "Pin", "Replay", "replay"]

Array = npt.NDArray[Any]

COLUMNS: tuple[str, ...] = _core.COLUMNS
"""Every column that a replay can record."""

_DTYPES: dict[str, type[np.generic]] = {
    "address": np.uint64,
    "block_size": np.uint64,
    "free_size": np.uint64,
    "largest_free_block": np.uint64,
    "free_block_count": np.uint32,
    "live_bytes": np.uint64,
    "nodes": np.uint32,
    "failed": np.bool_,
    "failure": np.uint8,
}

DEFAULT_COLUMNS: tuple[str, ...] = tuple(
    name for name in COLUMNS if name not in ("largest_free_block", "free_block_count")
)
"""What is recorded unless `record` says otherwise: all that does not walk the free list."""

FAILURES: tuple[str, ...] = _core.FAILURES
"""The meaning of the column ``failure``'s values."""


class Pin(NamedTuple):
    """A live block that lies between two holes."""

    address: int
    """Target address of the block's header."""
    size: int
    """Bytes of the block, header included."""
    requested: int | None
    """Bytes that the trace asked for; None for a block from before the trace."""
    id: int | None
    """The trace's id of the block; None for a block from before the trace."""
    event: int | None
    """The event that allocated it; None for a block from before the trace."""


class Replay(dict[str, Array]):
    """What a trace did to a heap: one column per quantity, one entry per event.

    As with a table of pandas, ``replay[name]`` is a column, iterating gives the recorded columns'
    names, and ``len(replay)`` is the number of events; ``pandas.DataFrame(replay)`` takes it as it
    is. Each column is an attribute, too, None if it was not recorded.

    Attributes
    ----------
    address : ndarray of uint64
        What malloc or realloc returned, 0 if nothing; the freed address on a free.
    block_size : ndarray of uint64
        Bytes of the block taken or given back, header and slack included.
    free_size, largest_free_block : ndarray of uint64
        After the event, in bytes.
    free_block_count : ndarray of uint32
        After the event.
    live_bytes : ndarray of uint64
        Requested bytes of live blocks after the event.
    nodes : ndarray of uint32
        Free-list entries whose size or link was read.
    failed : ndarray of bool
        An allocation that did not fit.
    failure : ndarray of uint8
        Why: 0 none, 1 exhaustion (fewer bytes free than the block needs), 2 fragmentation.
    trace : Trace
        What was replayed.
    heap : Heap
        The heap it was replayed on, in its present state.
    failures : int
        Allocations that failed.
    first_failure : int or None
        The first event that failed.
    zero_size : int
        Requests for 0 bytes; not failures.
    skipped : int
        Events on a block whose allocation had failed.
    ignored_frees : int
        Frees that heap_1 could not do.
    most_nodes : int
        The most free-list entries that one event read.
    most_nodes_event : int or None
        That event.
    """

    address: Array | None
    block_size: Array | None
    free_size: Array | None
    largest_free_block: Array | None
    free_block_count: Array | None
    live_bytes: Array | None
    nodes: Array | None
    failed: Array | None
    failure: Array | None

    def __init__(
        self,
        trace: Trace,
        heap: Heap,
        before: Heap,
        columns: dict[str, Array],
        counts: dict[str, int],
    ) -> None:
        super().__init__(columns)
        self.trace = trace
        self.heap = heap
        self._before = before
        for name in COLUMNS:
            setattr(self, name, columns.get(name))
        self.failures = counts["failures"]
        self.zero_size = counts["zero_size"]
        self.skipped = counts["skipped"]
        self.ignored_frees = counts["ignored_frees"]
        self.most_nodes = counts["most_nodes"]
        self.most_nodes_event = _event(counts["most_nodes_event"])
        self.first_failure = _event(counts["first_failure"])
        self.minimum_ever_free_size = heap.minimum_ever_free_size
        self.final_free_size = heap.free_size

    @property
    def heap_kind(self) -> str:
        """The heap's name, such as ``"heap_4"``."""
        return f"heap_{self.heap.kind}"

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """(address, size) of each region."""
        return tuple((start, end - start) for start, end in _ends(self.heap))

    @property
    def alignment(self) -> int:
        """The heap's alignment, in bytes."""
        return self.heap.alignment

    @property
    def header_size(self) -> int:
        """Bytes of a block's header: 0 for heap_1, 4 for heap_3's size field."""
        return header_size(self.heap)

    def __len__(self) -> int:
        return len(self.trace)

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __missing__(self, name: str) -> Array:
        if name in COLUMNS:
            raise KeyError(f"{name!r} was not recorded: pass record={(*self, name)!r}")
        raise KeyError(f"{name!r} is no column; there are {', '.join(COLUMNS)}")

    def column(self, name: str) -> Array:
        """The column, or ValueError that says how to have it recorded."""
        try:
            return self[name]
        except KeyError as error:
            raise ValueError(error.args[0]) from None

    def summary(self) -> list[tuple[str, str]]:
        """The counts as (name, value) pairs of text, for a table."""
        first = "none" if self.first_failure is None else f"event {self.first_failure:,}"
        rows = [
            ("heap", f"{self.heap_kind}, {self.heap.size:,} bytes"),
            ("events", f"{len(self):,}"),
            ("failures", f"{self.failures:,}"),
            ("first failure", first),
            ("minimum ever free", f"{self.minimum_ever_free_size:,} bytes"),
            ("most nodes visited", f"{self.most_nodes:,}"),
        ]
        if self.failures and self.failure is not None:
            split = int(np.count_nonzero(self.failure == 2))
            rows.insert(4, ("  for fragmentation", f"{split:,}"))
        for label, count in (
            ("zero-size requests", self.zero_size),
            ("skipped events", self.skipped),
            ("ignored frees", self.ignored_frees),
        ):
            if count:
                rows.append((label, f"{count:,}"))
        return rows

    def __repr__(self) -> str:
        return (
            f"<Replay of {len(self):,} events on {self.heap_kind} of {self.heap.size:,} bytes: "
            f"{self.failures:,} failures>"
        )

    def __str__(self) -> str:
        rows = self.summary()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _repr_html_(self) -> str:
        from rtosheap.html import table_html

        return table_html(("replay", ""), self.summary())

    def failure_reason(self, event: int) -> str:
        """Why an event failed: one of `FAILURES`, ``"none"`` if it did not."""
        _test_event(event, len(self.trace))
        return FAILURES[int(self.column("failure")[event])]

    def heap_at(self, event: int) -> Heap:
        """A heap in the state just before an event, over memory of its own.

        The trace is replayed up to there; payloads hold what they held before the replay.
        """
        _test_event(event, len(self.trace))
        heap = self._before.copy()
        _run(self.trace[:event], heap, {}, None)
        return heap

    def pins(self, event: int) -> list[Pin]:
        """The live blocks that separate the holes at a fragmentation failure.

        Parameters
        ----------
        event : int
            An event that failed for fragmentation, ``replay.failure[event] == 2``.

        Returns
        -------
        list of Pin
            In address order: the allocated blocks between the first and the last free block of
            each region. Were they gone, the holes would be one.

        Raises
        ------
        ValueError
            If the event did not fail for fragmentation.

        Examples
        --------
        >>> from rtosheap import Heap4, Trace, replay
        >>> events = [("m", 0, 100), ("m", 1, 8), ("m", 2, 100), ("f", 0), ("f", 2), ("m", 3, 200)]
        >>> result = replay(Trace.from_events(events), Heap4(256))
        >>> [pin.id for pin in result.pins(5)]
        [1]
        """
        _test_event(event, len(self.trace))
        addresses = np.zeros(event, np.uint64)
        heap = self._before.copy()
        _run(self.trace[:event], heap, {"address": addresses}, None)
        reason = self._failure_at(heap, event)
        if reason != 2:
            raise ValueError(
                f"event must be one that failed for fragmentation, "
                f"but event {event} has failure {FAILURES[reason]!r}"
            )
        owners = _owners(self.trace, addresses)
        return [_pin(block, owners, heap, self.trace) for block in _separators(heap)]

    def _failure_at(self, heap: Heap, event: int) -> int:
        """Why `event` fails; `heap` is in the state just before it, and stays so."""
        if self.failure is not None:
            return int(self.failure[event])
        failure = np.zeros(event + 1, np.uint8)
        _run(self.trace[: event + 1], self._before.copy(), {"failure": failure}, None)
        return int(failure[event])


def _event(index: int) -> int | None:
    return None if index < 0 else index


def _test_event(event: int, events: int) -> None:
    if not isinstance(event, int | np.integer):
        raise TypeError(f"event must be an int, not {event!r}")
    if not 0 <= event < events:
        raise ValueError(f"event must be from 0 up to {events - 1}, not {event}")


def _ends(heap: Heap) -> Iterator[tuple[int, int]]:
    """First address and end of each region."""
    for (address, _), view in zip(heap._regions(), heap._region_views(), strict=True):
        yield address, address + len(view)


def _separators(heap: Heap) -> Iterator[Block]:
    """The allocated blocks that have a hole before and a hole after them in their region."""
    blocks = heap.blocks()
    for start, end in _ends(heap):
        inside = [block for block in blocks if start <= block.address < end]
        holes = [i for i, block in enumerate(inside) if not block.allocated]
        if holes:
            yield from (block for block in inside[holes[0] : holes[-1]] if block.allocated)


def _owners(trace: Trace, addresses: Array) -> dict[int, int]:
    """The last event that was given each payload address."""
    given = np.flatnonzero((trace.op[: len(addresses)] != Op.FREE) & (addresses != 0))
    return dict(zip(addresses[given].tolist(), given.tolist(), strict=True))


def _payload(heap: Heap, block: Block) -> int:
    if heap.kind == 1:
        return block.address
    if heap.kind == 3:
        return -(-(block.address + 4) // 8) * 8
    return block.address + header_size(heap)


def _pin(block: Block, owners: dict[int, int], heap: Heap, trace: Trace) -> Pin:
    event = owners.get(_payload(heap, block))
    if event is None:
        return Pin(block.address, block.size, None, None, None)
    return Pin(block.address, block.size, int(trace.size[event]), int(trace.id[event]), event)


def header_size(heap: Heap) -> int:
    """Bytes of a block's header: 0 for heap_1, 4 for heap_3's size field."""
    if heap.kind == 1:
        return 0
    if heap.kind == 3:
        return 4
    return -(-2 * heap.word_size // heap.alignment) * heap.alignment


def _chosen(record: Iterable[str] | str | None) -> tuple[str, ...]:
    """The names of the columns to record, in the order of `COLUMNS`."""
    if record is None:
        return DEFAULT_COLUMNS
    names = (record,) if isinstance(record, str) else tuple(record)
    if names == ("all",):
        return COLUMNS
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise ValueError(f"record names {unknown[0]!r}; there are {', '.join(COLUMNS)}")
    return tuple(name for name in COLUMNS if name in names)


def _run(
    trace: Trace,
    heap: Heap,
    columns: dict[str, Array],
    progress: Callable[[int, int], object] | None,
) -> dict[str, int]:
    slots, count = trace.slots
    return _core.replay(heap, trace.op, slots, trace.size, count, columns, False, False, progress)


def replay(
    trace: Trace,
    heap: Heap,
    *,
    record: Iterable[str] | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Replay:
    """Run a whole trace on a heap.

    The heap is used as it is, and is left as the last event left it. FreeRTOS has no realloc: a
    realloc event is malloc, copy, free, and the old block stays when the malloc fails.

    Parameters
    ----------
    trace : Trace
        What to run.
    heap : Heap
        On what; in C, without the GIL. Meanwhile any other call on it raises RuntimeError.
    record : iterable of str, optional
        Names of the columns to record, ``"all"``, or ``()`` for none. Default: all that does not
        walk the free list at each event, `DEFAULT_COLUMNS`.
    progress : callable, optional
        Called now and then with the events done and their total. An exception from it aborts,
        and leaves the heap after the last completed event.

    Returns
    -------
    Replay
        One array per recorded column, one entry per event.

    Raises
    ------
    HeapCorruptionError
        If a header is met that is not the heap's; its ``event`` says when. The heap is then as
        it was before that event.
    ValueError
        If `record` names no column.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> result = replay(Trace.from_events([("m", 0, 100), ("f", 0)]), Heap4(1024))
    >>> result.free_size.tolist(), result.failures
    ([904, 1016], 0)
    """
    if not isinstance(trace, Trace):
        raise TypeError(f"trace must be a Trace, not {type(trace).__name__}")
    if not isinstance(heap, Heap):
        raise TypeError(f"heap must be a heap, such as Heap4(16384), not {heap!r}")
    columns = {name: np.zeros(len(trace), _DTYPES[name]) for name in _chosen(record)}
    before = heap.copy()
    counts = _run(trace, heap, columns, progress)
    for column in columns.values():
        column.flags.writeable = False
    return Replay(trace, heap, before, columns, counts)
