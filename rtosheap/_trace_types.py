"""The small types around a trace: what an event is, and what can be wrong with one.

They are public as part of :mod:`rtosheap.trace`; they lie apart so that the readers in
:mod:`rtosheap.formats` need not import :class:`~rtosheap.trace.Trace` itself.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Dropped", "Event", "Op", "Slots", "TraceError", "TraceWarning"]


class Op(enum.IntEnum):
    """What an event does: the ASCII code of its letter in the text format.

    Examples
    --------
    >>> Op(ord("m"))
    <Op.MALLOC: 109>
    >>> Op.FREE.letter
    'f'
    """

    MALLOC = ord("m")
    REALLOC = ord("r")
    FREE = ord("f")

    @property
    def letter(self) -> str:
        """The letter: ``"m"``, ``"r"`` or ``"f"``."""
        return chr(self.value)


class Event(NamedTuple):
    """One event of a trace, as indexing and iteration give it.

    Attributes
    ----------
    op : str
        ``"m"`` (malloc), ``"r"`` (realloc) or ``"f"`` (free).
    id : int
        The block.
    size : int
        Bytes asked for; 0 on a free.
    time : int or None
        In the trace's ``time_unit``; None when the trace has no times.
    task : str or None
        Who called; ``""`` when this event's task is unknown, None when the trace has no tasks.
    """

    op: str
    id: int
    size: int
    time: int | None = None
    task: str | None = None


class Dropped(NamedTuple):
    """What a trace does not hold although its source had it: one count per reason.

    It is true when any count is not 0.

    Attributes
    ----------
    unknown_id : int
        Frees and reallocs of an id that was never allocated (``strict=False``).
    double_free : int
        Frees of an id that was already freed (``strict=False``).
    realloc_freed : int
        Reallocs of an id that was already freed (``strict=False``).
    reused_live_id : int
        Mallocs of an id that was live (``strict=False``).
    bad_line : int
        Lines that are no event (``strict=False``).
    free_null : int
        ``f -1`` in a ``.rep`` file: ``free(NULL)``, which does nothing.
    past_count : int
        Lines of a ``.rep`` file after as many events as its header states.
    frees_before_slice : int
        Frees that a slice left out because their block was allocated before the slice.
    reallocs_before_slice : int
        Events kept: reallocs of such blocks, which the slice holds as mallocs.
    time_set : int
        Events kept: those whose time was missing or ran backwards, and was set to their
        predecessor's (``strict=False``).

    Examples
    --------
    >>> Dropped(double_free=2, time_set=5).events
    2
    >>> bool(Dropped())
    False
    """

    unknown_id: int = 0
    double_free: int = 0
    realloc_freed: int = 0
    reused_live_id: int = 0
    bad_line: int = 0
    free_null: int = 0
    past_count: int = 0
    frees_before_slice: int = 0
    reallocs_before_slice: int = 0
    time_set: int = 0

    @property
    def events(self) -> int:
        """How many events (or lines) are gone: all counts but those of events that were kept."""
        return sum(self) - self.reallocs_before_slice - self.time_set

    def __bool__(self) -> bool:
        return any(self)

    def merged(self, other: Dropped) -> Dropped:
        """The counts of both, summed field by field."""
        return Dropped(*(a + b for a, b in zip(self, other, strict=True)))


class Slots(NamedTuple):
    """Small numbers for a trace's ids, for tables indexed by block.

    Attributes
    ----------
    slot : ndarray of int32, shape (n,)
        One number per event, from 0 to ``count - 1``; the same for the same id.
    count : int
        How many slots a table needs.
    """

    slot: npt.NDArray[np.int32]
    count: int  # type: ignore[assignment]  # tuple.count is of no use here


class TraceError(ValueError):
    """A trace, or a file that should hold one, is not valid.

    Parameters
    ----------
    reason : str
        What is wrong, and what would be right.
    event : int, optional
        Index of the event concerned.
    line : int, optional
        Number of the line concerned, from 1.
    path : str, optional
        The file.

    Attributes
    ----------
    reason, event, line, path
        As given.

    Examples
    --------
    >>> print(TraceError("no such op", line=3, path="a.trace"))
    a.trace, line 3: no such op
    """

    def __init__(
        self,
        reason: str,
        *,
        event: int | None = None,
        line: int | None = None,
        path: str | None = None,
    ) -> None:
        self.reason = reason
        self.event = event
        self.line = line
        self.path = path
        where = [] if path is None else [path]
        where += [] if line is None else [f"line {line}"]
        super().__init__(f"{', '.join(where)}: {reason}" if where else reason)

    def at(self, *, line: int | None, path: str | None) -> TraceError:
        """The same error with the place filled in where it was not known."""
        return TraceError(
            self.reason,
            event=self.event,
            line=line if self.line is None else self.line,
            path=path if self.path is None else self.path,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"event": self.event, "line": self.line, "path": self.path}
        return _rebuild_error, (self.reason, state)


def _rebuild_error(reason: str, place: dict[str, Any]) -> TraceError:
    return TraceError(reason, **place)


class TraceWarning(UserWarning):
    """Something about a trace is lost or doubtful, though it can be read or written."""


for _type in (Op, Event, Dropped, Slots, TraceError, TraceWarning):
    _type.__module__ = "rtosheap.trace"  # where users import them from, and pickles find them
