"""Several recordings of the same firmware as one: their tasks, their clock, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.risk.lives import Ints, Lives, Mask
from rtosheap.traces import Trace
from rtosheap.traces.several import as_traces, unique_names

#: A kind of block (task and size) that no recording frees is a leak if, past the first `_START` of
#: a recording, more than `_LATE` of it are born, over more than `_SPREAD` of the recording.
_START = 0.1
_LATE = 2
_SPREAD = 0.25
#: The share of a recording that counts as power-on.
POWER_ON = 0.01
_LONGEST = 2**61  # so that sums of two of them fit an int64


@dataclass(frozen=True)
class Fate:
    """What becomes of a recording's lives: arrays of shape (k,).

    Attributes
    ----------
    stays : ndarray of bool
        Never freed, as nothing like it ever is: no day is without it.
    end : ndarray of int64
        When the life ends, in the recording's time; -1 where it never does. Where the recording
        ends first: at the median age of those of its task, of sizes within a factor of two, that
        grew older.
    """

    stays: Mask
    end: Ints


class Recordings:
    """Recordings that are taken together.

    Raises
    ------
    ValueError
        If they are measured in different units, some have times and others have none, or one
        lasts no time, or too long a time for sums of it.
    """

    def __init__(self, traces: Trace | Sequence[Trace]) -> None:
        self.traces = as_traces(traces, distinct=False)
        units = {
            "no times" if trace.time is None else trace.time_unit: name
            for trace, name in zip(self.traces, self.names, strict=True)
        }
        if len(units) > 1:
            said = ", ".join(f"{unit} ({name})" for unit, name in sorted(units.items()))
            raise ValueError(f"traces are timed in {said}; all must have the same unit")
        first = self.traces[0]
        self.time_unit = None if first.time is None else first.time_unit
        self.lives = [Lives.of_trace(trace) for trace in self.traces]
        for at, life in enumerate(self.lives):
            if not life.duration:
                raise ValueError(
                    f"traces[{at}] lasts no time: no two of its events are at different times "
                    f"({self.names[at]})"
                )
        together = sum(life.duration for life in self.lives)
        if together >= _LONGEST:
            raise ValueError(
                f"traces last {together} {self.time_unit} together; it must be less than 2**61"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What to call each."""
        return unique_names(self.traces)

    @property
    def duration(self) -> int:
        """The median of the recordings' durations."""
        return int(np.median([life.duration for life in self.lives]))

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The tasks of all recordings, in order of appearance; ``""`` where one is not known."""
        names = {name: None for trace in self.traces for name in trace.task_names}
        return (*names, "")

    @cached_property
    def tasks(self) -> list[npt.NDArray[np.int32]]:
        """For each recording, each event's index into `task_names`: shape (n,)."""
        code = {name: at for at, name in enumerate(self.task_names)}
        found = []
        for trace in self.traces:
            table = np.array([code[name] for name in (*trace.task_names, "")], np.int32)
            codes = trace.task_codes
            found.append(np.full(len(trace), -1, np.int32) if codes is None else codes)
            found[-1] = table[found[-1]]
        return found

    @cached_property
    def fates(self) -> list[Fate]:
        """What becomes of each recording's lives."""
        exact, similar = self._kinds(lambda size: size), self._kinds(_magnitude)
        leaks = self._leaking(exact)
        lifetimes = _Lifetimes(np.concatenate(similar), self.lives)
        fates = []
        for life, kind, class_ in zip(self.lives, exact, similar, strict=True):
            end = np.where(life.freed, life.time[life.last], -1)
            open_ = ~life.freed & ~leaks[kind] & lifetimes.known[class_]
            for at in np.flatnonzero(open_):
                age = int(life.age[at])
                end[at] = life.birth[at] + lifetimes.beyond(int(class_[at]), age)
            fates.append(Fate(~life.freed & ~leaks[kind] & ~open_, end))
        return fates

    def _kinds(self, of_size: Callable[[Any], Any]) -> list[Ints]:
        """For each recording, a number for each life's task and something of its size."""
        keys = [
            np.stack(
                [tasks[life.first].astype(np.uint64), of_size(life.size).astype(np.uint64)], axis=1
            )
            for tasks, life in zip(self.tasks, self.lives, strict=True)
        ]
        _, kinds = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
        ends = np.cumsum([len(key) for key in keys])[:-1]
        return np.split(kinds.reshape(-1).astype(np.int64), ends)

    def _leaking(self, kinds: list[Ints]) -> Mask:
        """Which kinds are taken for leaks: shape (kinds,)."""
        count = max(int(kind.max(initial=-1)) for kind in kinds) + 1
        freed = np.zeros(count, np.bool_)
        leaks = np.zeros(count, np.bool_)
        for life, kind in zip(self.lives, kinds, strict=True):
            freed[kind[life.freed]] = True
            late = np.flatnonzero(~life.freed & (life.birth > _START * life.duration))
            born, of = life.birth[late], kind[late]
            first = np.full(count, np.iinfo(np.int64).max)
            last = np.zeros(count, np.int64)
            np.minimum.at(first, of, born)
            np.maximum.at(last, of, born)
            several = np.bincount(of, minlength=count) > _LATE
            leaks |= several & (last - np.minimum(first, last) > _SPREAD * life.duration)
        return leaks & ~freed

    @property
    def leaks(self) -> tuple[int, int]:
        """Blocks taken for leaks, and their bytes, over all recordings."""
        blocks = size = 0
        for life, fate in zip(self.lives, self.fates, strict=True):
            leaked = (fate.end < 0) & ~fate.stays
            blocks += int(leaked.sum())
            size += sum(life.size[leaked].tolist())
        return blocks, size


def _magnitude(size: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same number for sizes from one power of two to the next."""
    return np.frexp(size.astype(np.float64))[1] + 1


class _Lifetimes:
    """How old the blocks of each kind became that were freed."""

    def __init__(self, kinds: Ints, lives: list[Lives]) -> None:
        freed = np.concatenate([life.freed for life in lives])
        ages = np.concatenate([life.age for life in lives])[freed]
        order = np.lexsort((ages, kinds[freed]))
        self._ages = ages[order]
        count = int(kinds.max(initial=-1)) + 1
        self._bounds = np.searchsorted(kinds[freed][order], np.arange(count + 1))
        self.known = np.diff(self._bounds) > 0

    def beyond(self, kind: int, age: int) -> int:
        """The median of those that grew older than `age`; the next moment if none did."""
        ages = self._ages[self._bounds[kind] : self._bounds[kind + 1]]
        older = ages[np.searchsorted(ages, age, side="right") :]
        return int(older[len(older) // 2]) if len(older) else age + 1
