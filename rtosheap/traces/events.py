"""What an event of a trace is."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


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
        Requested bytes; 0 on a free.
    time : int or None
        In the trace's ``time_unit``; None when the trace has no times.
    task : str or None
        Who called; ``""`` when this event's task is unknown, None when the trace has no tasks.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> Trace("mf", id=[7, 7], size=[100, 0], task=["net", "net"])[0]
    Event(op='m', id=7, size=100, time=None, task='net')
    """

    op: str
    id: int
    size: int
    time: int | None = None
    task: str | None = None


class Slots(NamedTuple):
    """Small numbers for a trace's ids, for tables indexed by block.

    Attributes
    ----------
    slot : ndarray of int32, shape (n,)
        One number per event, from 0 to ``count - 1``; the same for the same id.
    count : int
        How many slots a table needs.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> trace = Trace("mmf", id=[9_000_000, 70, 9_000_000], size=[8, 16, 0])
    >>> trace.slots
    Slots(slot=array([1, 0, 1], dtype=int32), count=2)
    """

    slot: npt.NDArray[np.int32]
    count: int  # type: ignore[assignment]  # tuple.count is of no use here


for _type in (Op, Event, Slots):
    _type.__module__ = "rtosheap.traces"  # where users import them from, and pickles find them
