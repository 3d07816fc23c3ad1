"""A trace's columns, which cannot be written to, as a sequence of events.

:class:`TraceBase` is all of :class:`~rtosheap.traces.Trace` but what needs files, C or changes, so
that those can be written in terms of it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from rtosheap.traces import _lifetimes, _splice
from rtosheap.traces.columns import (
    ID_MAX,
    SIZE_MAX,
    TIME_MAX,
    TIME_MIN,
    Columns,
    Int32,
    Int64,
    Links,
    Ops,
    UInt64,
    check_timed,
    integer_column,
    op_column,
    task_column,
    unzip_events,
)
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Event, Op, Slots
from rtosheap.traces.loss import Dropped, Loss
from rtosheap.traces.meta import check_meta

_ITER_BLOCK = 1 << 16
#: What a file's name ends with that says how it holds a trace, and not which.
_SUFFIXES = re.compile(r"(?<=.)(\.(trace|npz|csv|rep|log|txt|bin))?(\.(gz|zst))?$", re.IGNORECASE)
_WHILE_LOADING = ("lines", "warnings")  # parts of Columns that a trace forgets


class _Peaks(NamedTuple):
    live_bytes: int
    event: int
    blocks: int


class TraceBase:
    """Columns whose events fit together; see :class:`rtosheap.traces.Trace`."""

    __slots__ = ("_columns", "_links", "_peaks", "_slots")

    _columns: Columns
    _links: Links | None
    _peaks: _Peaks | None
    _slots: Slots | None

    def __init__(
        self,
        op: Any,
        id: Any,
        size: Any,
        *,
        time: Any = None,
        task: Any = None,
        meta: Mapping[str, str] | None = None,
        strict: bool = True,
    ) -> None:
        columns = Columns(
            op=op_column(op),
            id=integer_column(id, "id", 0, ID_MAX, np.int64),
            size=integer_column(size, "size", 0, SIZE_MAX, np.uint64),
        )
        if time is not None:
            columns.time = integer_column(time, "time", TIME_MIN, TIME_MAX, np.int64)
        lengths = {name: len(column) for name, column in columns.arrays().items()}
        if task is not None:
            codes, columns.task_names = task_column(task)
            columns.task_codes = codes if columns.task_names else None
            lengths["task"] = len(codes)
        for name, length in lengths.items():
            if length != len(columns.op):
                raise TraceError(f"{name} has {length} entries, op has {len(columns.op)}")
        columns.meta = dict(meta or {})
        check_meta(columns.meta)
        self._adopt(columns, strict)

    def _adopt(self, columns: Columns, strict: bool) -> None:
        """Take columns of the right types over, once their events are found to fit together."""
        self._forget(columns)
        self._links = _lifetimes.check(columns, strict)

    def _forget(self, columns: Columns) -> None:
        columns.lines, columns.warnings = None, []
        self._columns, self._links, self._peaks, self._slots = columns, None, None, None

    def with_columns(self, columns: Columns) -> Self:
        """A trace of other columns, which are known to fit together; they are frozen here."""
        columns.freeze()
        trace = type(self).__new__(type(self))
        trace._forget(columns)
        return trace

    # ------------------------------------------------------------------ other ways to make one

    @classmethod
    def from_events(
        cls,
        events: Iterable[tuple[Any, ...]],
        *,
        meta: Mapping[str, str] | None = None,
        strict: bool = True,
    ) -> Self:
        """Make a trace of tuples.

        Parameters
        ----------
        events : iterable of tuple
            ``("m", id, size[, time[, task]])``, the same with ``"r"``, and
            ``("f", id[, time[, task]])``; or :class:`Event`, as iterating over a trace gives them.
            Either all events have a time, or none has.
        meta, strict
            As for :class:`Trace`.

        Examples
        --------
        >>> from rtosheap import Trace
        >>> trace = Trace.from_events([("m", 0, 64, 5, "idle"), ("r", 0, 80, 6), ("f", 0, 9)])
        >>> [event.task for event in trace]
        ['idle', '', '']
        >>> Trace.from_events(list(trace)) == trace
        True
        """
        op, ids, sizes, times, tasks = unzip_events(events)
        timed = check_timed(times)
        return cls(
            op, ids, sizes, time=times if timed else None, task=tasks, meta=meta, strict=strict
        )

    # ------------------------------------------------------------------ columns

    @property
    def op(self) -> Ops:
        """What each event does, as :class:`Op` codes: ndarray of uint8, shape (n,)."""
        return self._columns.op

    @property
    def id(self) -> Int64:
        """The block of each event: ndarray of int64, shape (n,)."""
        return self._columns.id

    @property
    def size(self) -> UInt64:
        """Requested bytes, 0 on a free: ndarray of uint64, shape (n,)."""
        return self._columns.size

    @property
    def time(self) -> Int64 | None:
        """When, in :attr:`time_unit`: ndarray of int64, shape (n,); None when it is not known."""
        return self._columns.time

    @property
    def task(self) -> npt.NDArray[np.object_] | None:
        """Who, ``""`` where it is not known: ndarray of str objects, shape (n,), made anew at each
        call; None when no event's task is known. :attr:`task_codes` is cheaper.
        """
        if self.task_codes is None:
            return None
        names = np.array([*self.task_names, ""], dtype=object)  # -1 takes the last
        tasks: npt.NDArray[np.object_] = names[self.task_codes]
        tasks.flags.writeable = False
        return tasks

    @property
    def task_codes(self) -> Int32 | None:
        """Who, as indices into :attr:`task_names`, -1 where it is not known: ndarray of int32,
        shape (n,); None when no event's task is known.
        """
        return self._columns.task_codes

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in the order in which they first appear."""
        return self._columns.task_names

    @property
    def slots(self) -> Slots:
        """Small numbers instead of ids: the ids themselves where they are small already
        (below ``4 * n + 1024``), else their ranks. ``slot, count = trace.slots``.
        """
        if self._slots is None:
            self._slots = Slots(*_lifetimes.dense(self.id))
        return self._slots

    @property
    def meta(self) -> Mapping[str, str]:
        """What is known of the trace, by key; cannot be changed."""
        return MappingProxyType(self._columns.meta)

    @property
    def name(self) -> str:
        """``meta["name"]``, or the name of the file that it was loaded from, without suffixes such
        as ``.trace`` and ``.gz``, or ``""``.
        """
        return self._columns.meta.get("name", "") or _SUFFIXES.sub("", self._columns.file)

    @property
    def time_unit(self) -> str:
        """``meta["time_unit"]``, or ``"ticks"``."""
        return self._columns.meta.get("time_unit", "ticks")

    @property
    def dropped(self) -> Dropped:
        """What this trace lacks of what it was read from or cut out of, by reason."""
        return self._columns.dropped

    @property
    def loss(self) -> Loss:
        """What the recorder's format could not tell, by kind; false for a trace that was not
        imported, or of which nothing was lost. ``print(trace.loss)`` explains it.
        """
        return self._columns.loss

    @property
    def recorded_address(self) -> UInt64 | None:
        """Where the recorder saw each event's block: ndarray of uint64, shape (n,); on a free, the
        freed address. None when nobody recorded that, and for what is put together.
        """
        return self._columns.addresses

    # ------------------------------------------------------------------ counts

    @property
    def allocs(self) -> int:
        """Number of mallocs."""
        return int(np.count_nonzero(self.op == Op.MALLOC))

    @property
    def reallocs(self) -> int:
        """Number of reallocs."""
        return int(np.count_nonzero(self.op == Op.REALLOC))

    @property
    def frees(self) -> int:
        """Number of frees."""
        return int(np.count_nonzero(self.op == Op.FREE))

    @property
    def never_freed(self) -> int:
        """Number of blocks that are live after the last event."""
        return self.allocs - self.frees

    @property
    def never_freed_bytes(self) -> int:
        """Bytes of the blocks that are live after the last event."""
        last = np.flatnonzero(self.ends() == len(self))
        return sum(self.size[last].tolist())

    @property
    def zero_size_requests(self) -> int:
        """Number of mallocs and reallocs of 0 bytes."""
        return int(np.count_nonzero((self.size == 0) & (self.op != Op.FREE)))

    @property
    def largest_request(self) -> int:
        """Bytes of the largest malloc or realloc; 0 when there is none."""
        return int(self.size.max()) if len(self) else 0

    @property
    def peak_live_bytes(self) -> int:
        """Most bytes that were live at once, as requested."""
        return self._peak().live_bytes

    @property
    def peak_event(self) -> int:
        """Index of the event at which live bytes first reach their peak; -1 for an empty trace."""
        return self._peak().event

    @property
    def max_live_blocks(self) -> int:
        """Most blocks that were live at once, those of 0 bytes included."""
        return self._peak().blocks

    def _peak(self) -> _Peaks:
        if self._peaks is None:
            live = _lifetimes.live_bytes(self.op, self.size, self._previous())
            event = int(live.argmax()) if len(self) else -1
            peak = int(live[event]) if len(self) else 0
            del live
            blocks = _lifetimes.live_blocks(self.op)
            self._peaks = _Peaks(peak, event, int(blocks.max()) if len(self) else 0)
        return self._peaks

    # ------------------------------------------------------------------ per event

    def live_bytes(self) -> Int64:
        """Requested bytes of live blocks after each event.

        Returns
        -------
        ndarray of int64, shape (n,)

        Raises
        ------
        OverflowError
            If the peak does not fit 63 bits.
        """
        live = _lifetimes.live_bytes(self.op, self.size, self._previous())
        if live.dtype == object:
            if self.peak_live_bytes > np.iinfo(np.int64).max:
                raise OverflowError(f"a peak of {self.peak_live_bytes} live bytes exceeds int64")
            live = live.astype(np.int64)
        return live

    def ends(self) -> Int64:
        """The event at which each event's block ends.

        Returns
        -------
        ndarray of int64, shape (n,)
            For a malloc or a realloc, the index of the event that frees or reallocates what it
            gave, or ``len(trace)`` if none does; for a free, -1.

        Examples
        --------
        >>> from rtosheap import Trace
        >>> Trace("mrmf", id=[0, 0, 1, 0], size=[8, 16, 8, 0]).ends()
        array([ 1,  3,  4, -1])
        """
        n = len(self)
        ends = np.where(self.op == Op.FREE, np.int64(-1), np.int64(n))
        later = np.flatnonzero(self.op != Op.MALLOC)
        ends[self._previous()[later]] = later
        return ends

    def _previous(self) -> Links:
        if self._links is None:
            self._links, _ = _lifetimes.link(self.op, self.id)
        return self._links

    def _live_ids(self) -> Int64:
        """The ids that are live after the last event, ascending."""
        ids: Int64 = np.sort(self.id[self.ends() == len(self)])
        return ids

    # ------------------------------------------------------------------ as a sequence

    def __len__(self) -> int:
        return len(self._columns.op)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Event: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Event | Self:
        """One event, or the events of a slice as a trace of their own.

        A slice must have step 1. Frees of blocks that were allocated before the slice are left
        out of it, reallocs of such blocks become mallocs; ``dropped.frees_before_slice`` and
        ``dropped.reallocs_before_slice`` count them, on top of what this trace's own `dropped`
        says.

        Examples
        --------
        >>> from rtosheap import Trace
        >>> trace = Trace("mmrf", id=[0, 1, 0, 1], size=[8, 8, 16, 0])
        >>> late = trace[2:]
        >>> list(late), late.dropped.frees_before_slice, late.dropped.reallocs_before_slice
        ([Event(op='m', id=0, size=16, time=None, task=None)], 1, 1)
        """
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                raise ValueError(f"slice step is {step}; a trace can be cut with step 1 only")
            previous = self._previous()[start : max(start, stop)]
            return self.with_columns(_splice.cut(self._columns, previous, start, stop))
        try:
            at = operator.index(key)
        except TypeError:
            kind = type(key).__name__
            raise TypeError(f"index is {key!r}; it must be an int or a slice, not {kind}") from None
        if not -len(self) <= at < len(self):
            raise IndexError(f"index {at} is outside a trace of {len(self)} events")
        at %= len(self)
        return next(self._events(at, at + 1))

    def __iter__(self) -> Iterator[Event]:
        for start in range(0, len(self), _ITER_BLOCK):
            yield from self._events(start, start + _ITER_BLOCK)

    def _events(self, start: int, stop: int) -> Iterator[Event]:
        block = self._columns
        ops = [chr(code) for code in block.op[start:stop].tolist()]
        times: list[Any] = [None] * len(ops)
        tasks: list[Any] = [None] * len(ops)
        if block.time is not None:
            times = block.time[start:stop].tolist()
        if block.task_codes is not None:
            names = (*block.task_names, "")
            tasks = [names[code] for code in block.task_codes[start:stop].tolist()]
        ids, sizes = block.id[start:stop].tolist(), block.size[start:stop].tolist()
        return map(Event, ops, ids, sizes, times, tasks)

    def __add__(self, other: TraceBase) -> Self:
        """This trace, and then the other.

        Ids of `other` that are still live at the end of this trace are renumbered, so that what
        is never freed stays live. If both have times, those of `other` are shifted by as much as
        is needed for time not to run backwards, if at all. `meta` keeps what both agree on, and
        both ``abi``; `loss` and `dropped` are summed.

        Raises
        ------
        ValueError
            If only one of the two has times, or their units differ.

        Examples
        --------
        >>> from rtosheap import Trace
        >>> leak = Trace("m", id=[0], size=[8])
        >>> (leak + leak).id, (leak + leak).never_freed
        (array([0, 1]), 2)
        """
        if not isinstance(other, TraceBase):
            return NotImplemented
        return self.with_columns(
            _splice.concatenate(self._columns, other._columns, self._live_ids())
        )

    def repeat(self, n: SupportsIndex) -> Self:
        """The trace `n` times over, for runs longer than what was recorded.

        Blocks that are never freed stay live from copy to copy: their ids are renumbered in each,
        so leaks accumulate, as they would in a device that goes on. Times go on from copy to copy.

        Parameters
        ----------
        n : int
            How many copies, 0 or more.

        Examples
        --------
        >>> from rtosheap import Trace
        >>> trace = Trace("mmf", id=[0, 1, 0], size=[100, 8, 0])
        >>> trace.repeat(10).never_freed, trace.repeat(10).peak_live_bytes
        (10, 180)
        """
        try:
            copies = operator.index(n)
        except TypeError:
            raise TypeError(f"n is {n!r}; it must be an integer") from None
        if copies < 0:
            raise ValueError(f"n is {copies}; it must be 0 or more")
        return self.with_columns(_splice.repeat(self._columns, copies, self._live_ids()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TraceBase):
            return NotImplemented
        a, b = self._columns, other._columns
        return (
            np.array_equal(a.op, b.op)
            and np.array_equal(a.id, b.id)
            and np.array_equal(a.size, b.size)
            and _same(a.time, b.time)
            and (a.time is None or self.time_unit == other.time_unit)
            and a.task_names == b.task_names
            and _same(a.task_codes, b.task_codes)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        counts = f"{self.allocs} malloc, {self.reallocs} realloc, {self.frees} free"
        return f"<Trace{name}: {len(self)} events ({counts})>"

    # ------------------------------------------------------------------ pickle, copy

    def __getstate__(self) -> dict[str, Any]:
        columns = self._columns
        state = {
            **vars(columns),
            "version": 2,
            "meta": dict(columns.meta),
            "dropped": columns.dropped._asdict(),
            "loss": columns.loss._asdict(),
        }
        return {name: value for name, value in state.items() if name not in _WHILE_LOADING}

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.get("version")
        if version == 1:  # a Columns, as it is
            columns: Columns = state["columns"]
        elif version == 2:
            parts = {name: value for name, value in state.items() if name != "version"}
            parts |= {"dropped": Dropped(**state["dropped"]), "loss": Loss(**state["loss"])}
            columns = Columns(**parts)
        else:
            raise ValueError(f"a pickled trace of version {version!r}; this reads version 1 or 2")
        columns.freeze()
        self._forget(columns)


def _same(a: Any, b: Any) -> bool:
    return (a is None) == (b is None) and (a is None or np.array_equal(a, b))
