"""A recording as lives of blocks: each from its malloc to its free, with its reallocs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.traces import Op, Trace

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lives:
    """The lives of a trace's blocks, in order of birth: arrays of shape (k,) unless stated.

    Attributes
    ----------
    trace : Trace
    of : ndarray, shape (n,)
        The life that each event belongs to.
    first, last : ndarray
        The events that begin each life, and the last that is known of it.
    """

    trace: Trace
    of: Ints
    first: Ints
    last: Ints

    @classmethod
    def of_trace(cls, trace: Trace) -> Lives:
        """The lives of a trace."""
        order = np.argsort(trace.id, kind="stable")
        of = np.empty(len(trace), np.int64)
        of[order] = np.cumsum(trace.op[order] == Op.MALLOC) - 1
        first = np.flatnonzero(trace.op == Op.MALLOC)
        number = np.empty(len(first), np.int64)
        number[of[first]] = np.arange(len(first))
        of = number[of]
        last = np.empty(len(first), np.int64)
        last[of] = np.arange(len(trace))  # of several, the last one stays
        return cls(trace, of, first, last)

    @cached_property
    def time(self) -> Ints:
        """When each event happens, counted from the first, shape (n,): in the trace's unit, or
        in events where it has no times.
        """
        time = self.trace.time
        n = len(self.trace)
        return np.arange(n) if time is None else time - (time[0] if n else 0)

    @property
    def duration(self) -> int:
        """From the first event to the last."""
        time = self.trace.time
        if not len(self.trace):
            return 0
        return len(self.trace) - 1 if time is None else int(time[-1]) - int(time[0])

    @cached_property
    def freed(self) -> Mask:
        """Which lives end within the recording."""
        freed: Mask = self.trace.op[self.last] == Op.FREE
        return freed

    @property
    def birth(self) -> Ints:
        """When each life begins."""
        return self.time[self.first]

    @property
    def age(self) -> Ints:
        """How long each life is; where its end is not known, how old it was at the end."""
        return np.where(self.freed, self.time[self.last], self.duration) - self.birth

    @property
    def size(self) -> npt.NDArray[Any]:
        """Bytes that each life is born with."""
        return self.trace.size[self.first]
