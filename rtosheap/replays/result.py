"""What a trace did to a heap: a column for each quantity, an entry for each event."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from rtosheap.allocators import Allocator
from rtosheap.heaps import Heap
from rtosheap.heaps.layout import Layout, region_spans
from rtosheap.html import table_html
from rtosheap.replays._addresses import AddressCheck, compare_addresses
from rtosheap.replays._pins import Pin, pins_of
from rtosheap.replays.run import COLUMNS, FAILURES, Array, Counts, Failure, empty_columns, run
from rtosheap.tables import pairs
from rtosheap.traces import Trace
from rtosheap.traces.doubts import doubts


class Replay(dict[str, Array]):
    """What a trace did to a heap: one column per quantity, one entry per event.

    As with a table of pandas, ``replay[name]`` is a column, iterating gives the recorded columns'
    names, and ``len(replay)`` is the number of events; ``pandas.DataFrame(replay)`` takes it as it
    is. Each column, of shape ``(len(replay),)``, is an attribute, too, None if it was not recorded.

    Attributes
    ----------
    address : ndarray of uint64
        What malloc or realloc returned, 0 if nothing; the freed address on a free.
    block_size : ndarray of uint64
        Bytes of the block taken or given back, header and slack included; of an allocator that is
        not ours what can be used of it, as its ``usable_size`` says.
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
        Why: 0 none, 1 exhaustion (fewer bytes free than the block needs), 2 fragmentation. Of an
        allocator that is not ours: fewer bytes free than were requested; free blocks that have as
        many together, but none alone; 4 neither is known.
    trace : Trace
        What was replayed.
    heap : Heap or Allocator
        The heap it was replayed on, in its present state; of a Python object the `ObjectHeap`.
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
    most_nodes : int or None
        The most free-list entries that one event read; None where that is not known.
    most_nodes_event : int or None
        That event.
    minimum_ever_free_size, final_free_size : int or None
        In bytes; None of an allocator that does not tell.

    Examples
    --------
    >>> from rtosheap import Heap4, Trace, replay
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> result = replay(trace, Heap4(256))
    >>> result
    <Replay of 4 events on heap_4 of 256 bytes: 1 failures>
    >>> result["free_size"], result.failure_reason(3)
    (array([136, 104, 216, 216], dtype=uint64), 'fragmentation')
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
        heap: Heap | Allocator,
        before: Heap | Allocator | None,
        columns: dict[str, Array],
        counts: Counts,
    ) -> None:
        super().__init__(columns)
        self.trace = trace
        self.heap: Any = heap
        self._before: Any = before
        for name in COLUMNS:
            setattr(self, name, columns.get(name))
        self.failures = counts.failures
        self.zero_size = counts.zero_size
        self.skipped = counts.skipped
        self.ignored_frees = counts.ignored_frees
        self.most_nodes = None if isinstance(heap, Allocator) else counts.most_nodes
        self.most_nodes_event = _event(counts.most_nodes_event)
        self.first_failure = _event(counts.first_failure)
        self.minimum_ever_free_size = _minimum_ever(heap, self.free_size)
        self.final_free_size = heap.free_size

    @property
    def heap_kind(self) -> str:
        """The heap's name, such as ``"heap_4"``."""
        name = self.heap.name if isinstance(self.heap, Allocator) else Layout.of(self.heap).name
        return str(name)

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """(address, size) of each region."""
        if not isinstance(self.heap, Allocator):
            return tuple(region_spans(self.heap))
        regions: tuple[tuple[int, int], ...] = self.heap.regions
        return regions

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of the recording that this rests on."""
        return doubts(self.trace, self.heap.word_size)

    @property
    def alignment(self) -> int:
        """The heap's alignment, in bytes."""
        return int(self.heap.alignment)

    @property
    def header_size(self) -> int:
        """Bytes of a block's header: 0 for heap_1, 4 for heap_3's size field. What an allocator
        that is not ours keeps before a block is not known, and not part of it.
        """
        return 0 if isinstance(self.heap, Allocator) else Layout.of(self.heap).header

    @property
    def frees(self) -> bool:
        """Whether the heap takes anything back."""
        return isinstance(self.heap, Allocator) or Layout.of(self.heap).frees

    def __len__(self) -> int:
        return len(self.trace)

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __missing__(self, name: str) -> Array:
        if name in COLUMNS and isinstance(self.heap, Allocator) and name not in self.heap.columns:
            raise KeyError(self.heap._lacks(name))
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
            ("heap", f"{self.heap_kind}, {self._size_text()}"),
            ("events", f"{len(self):,}"),
            ("failures", f"{self.failures:,}"),
            ("first failure", first),
        ]
        if self.minimum_ever_free_size is not None:
            rows.append(("minimum ever free", f"{self.minimum_ever_free_size:,} bytes"))
        if self.most_nodes is not None:
            rows.append(("most entries read", f"{self.most_nodes:,}"))
        if self.failures and self.failure is not None:
            split = int(np.count_nonzero(self.failure == Failure.FRAGMENTATION))
            unknown = int(np.count_nonzero(self.failure == Failure.UNKNOWN))
            if unknown:
                rows.insert(4, ("  for what is not known", f"{unknown:,}"))
            if unknown < self.failures:
                rows.insert(4, ("  for fragmentation", f"{split:,}"))
        for label, count in (
            ("zero-size requests", self.zero_size),
            ("skipped events", self.skipped),
            ("ignored frees", self.ignored_frees),
        ):
            if count:
                rows.append((label, f"{count:,}"))
        return [*rows, *(("warning", text) for text in self.warnings)]

    def __repr__(self) -> str:
        name = f"{self.trace.name!r}, " if self.trace.name else ""
        return (
            f"<Replay of {name}{len(self):,} events on {self.heap_kind} of {self._size_text()}: "
            f"{self.failures:,} failures>"
        )

    def _size_text(self) -> str:
        size = self.heap.size
        return "unknown size" if size is None else f"{size:,} bytes"

    def __str__(self) -> str:
        return pairs(self.summary())

    def _repr_html_(self) -> str:
        return table_html((f"replay {self.trace.name}".rstrip(), ""), self.summary())

    def failure_reason(self, event: int) -> str:
        """Why an event failed: one of `FAILURES`, ``"none"`` if it did not."""
        _test_event(event, len(self.trace))
        return FAILURES[int(self.column("failure")[event])]

    def heap_at(self, event: int) -> Any:
        """A heap in the state just before an event, over memory of its own.

        The trace is replayed up to there; payloads hold what they held before the replay. A
        `ForeignHeap` has a process of its own.

        Raises
        ------
        ValueError
            If it is a Python object that cannot be copied.
        """
        _test_event(event, len(self.trace))
        return self._run_to(event)[0]

    def _run_to(self, event: int, *names: str, beyond: int = 0) -> tuple[Any, dict[str, Array]]:
        """A heap in the state just before an event, and columns up to there."""
        if self._before is None:
            raise ValueError(f"{self.heap_kind} cannot be copied: its class needs copy()")
        heap, columns = self._before.copy(), empty_columns(names, event + beyond)
        run(self.trace, heap, columns, end=event + beyond)
        return heap, columns

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
        heap, columns = self._run_to(event, "address")
        reason = self._failure_at(event)
        if reason != Failure.FRAGMENTATION:
            raise ValueError(
                f"event must be one that failed for fragmentation, "
                f"but event {event} has failure {FAILURES[reason]!r}"
            )
        return pins_of(heap, self.trace, columns["address"])

    def check_addresses(self) -> AddressCheck:
        """Whether every block lies where the device had it.

        Raises
        ------
        ValueError
            If the trace has no recorded addresses, or the column ``address`` was not recorded.

        Examples
        --------
        >>> import io
        >>> from rtosheap import Heap4, Trace, replay
        >>> log = b"M 0x20000408 100 112 0\\nF 0x20000408 112 1\\n=2 0 900 1016\\n"
        >>> trace = Trace.load(io.BytesIO(log))
        >>> check = replay(trace, Heap4(1024, base_address=0x2000_0400)).check_addresses()
        >>> check.compared, check.equal
        (2, 2)
        >>> hex(replay(trace, Heap4(1024)).check_addresses().offset)
        '0x400'
        """
        return compare_addresses(self.trace, self.column("address"))

    def explore(self) -> Any:
        """A page of the replay, which a notebook shows: the map of address against time, to zoom
        into and to scrub through, with what lies below it, as far as it was recorded.

        Returns
        -------
        HtmlReport
            ``.save(path)`` writes it to a file, which needs neither network nor server.

        Raises
        ------
        ValueError
            If it is not known where blocks lay: ``address`` or ``block_size`` was not recorded, or
            the allocator does not tell where its arena is.
        """
        return import_module("rtosheap.reports").explore(self)

    def _failure_at(self, event: int) -> int:
        """Why `event` fails."""
        if self.failure is not None:
            return int(self.failure[event])
        if isinstance(self.heap, Allocator) and "failure" not in self.heap.columns:
            raise ValueError(self.heap._lacks("failure"))
        return int(self._run_to(event, "failure", beyond=1)[1]["failure"][event])


def _minimum_ever(heap: Heap | Allocator, free_size: Array | None) -> int | None:
    """Of an allocator that is not ours: after an event of this replay."""
    if not isinstance(heap, Allocator):
        return heap.minimum_ever_free_size
    return int(free_size.min()) if free_size is not None and len(free_size) else None


def _event(index: int) -> int | None:
    return None if index < 0 else index


def _test_event(event: int, events: int) -> None:
    if not isinstance(event, int | np.integer):
        raise TypeError(f"event must be an int, not {event!r}")
    if not 0 <= event < events:
        raise ValueError(f"event must be from 0 up to {events - 1}, not {event}")


Replay.__module__ = "rtosheap.replays"  # where users import it from
