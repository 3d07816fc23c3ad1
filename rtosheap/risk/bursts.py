"""Other days, put together from bursts of the recorded ones: a stationary bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.risk.groups import task_groups
from rtosheap.risk.lives import Ints
from rtosheap.risk.recordings import Recordings
from rtosheap.traces import Op, Trace
from rtosheap.traces.columns import Columns

#: A recording of a group of tasks is cut at so many of its longest idle times, at most.
BURSTS = 300
#: Bursts of a stretch, on average: a tenth of a recording.
STRETCH = BURSTS // 10


@dataclass(frozen=True)
class _Events:
    """Events in the order of their bursts: arrays of shape (n,)."""

    time: Ints  # from the start of the burst
    op: npt.NDArray[np.uint8]
    size: npt.NDArray[np.uint64]
    task: npt.NDArray[np.int32]
    life: Ints  # numbered within the burst

    def take(self, at: Ints) -> _Events:
        return _Events(self.time[at], self.op[at], self.size[at], self.task[at], self.life[at])


@dataclass(frozen=True)
class _Bursts:
    """The bursts of a group of tasks, recording by recording: arrays of shape (b,)."""

    events: _Events
    first: Ints  # event
    count: Ints  # events
    lives: Ints
    length: Ints  # from its start to the start of the next
    day: Ints
    day_first: Ints  # the first burst of its recording
    day_count: Ints  # the bursts of its recording


class BurstModel:
    """Days like the recorded ones.

    The blocks of each group of tasks (:func:`rtosheap.risk.groups.task_groups`) are cut into bursts
    at the group's longest idle times. A day is made group by group: stretches of successive bursts,
    of geometrically distributed length, begin at a moment drawn at random, follow one another, and
    go on at their recording's start where it ends. A block keeps its size and its lifetime. For
    each day the recordings are weighted anew, Dirichlet with parameters 1. Blocks that stay for
    ever come from one recording, drawn with the same weights.

    Notes
    -----
    The stationary bootstrap is that of Politis and Romano, "The stationary bootstrap", Journal of
    the American Statistical Association 89 (1994), with bursts in the place of observations; the
    weights are those of Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981).
    """

    def __init__(self, recordings: Recordings) -> None:
        self.task_names = recordings.task_names
        self.time_unit = recordings.time_unit
        self.duration = recordings.duration
        self.days = len(recordings.traces)
        self._blank = recordings.traces[0][:0]
        groups = task_groups(recordings)
        of_life = [
            groups[tasks[life.first]]
            for tasks, life in zip(recordings.tasks, recordings.lives, strict=True)
        ]
        self._stay = [_staying(recordings, day) for day in range(self.days)]
        self._groups = [
            _cut(recordings, [of == group for of in of_life]) for group in np.unique(groups)
        ]
        self._groups = [group for group in self._groups if len(group.events.time)]

    def day(self, rng: np.random.Generator, duration: int | None = None) -> Trace:
        """A day of `duration`, that of the recordings by default."""
        length = self.duration if duration is None else duration
        weights = rng.dirichlet(np.ones(self.days))
        stay = self._stay[rng.choice(self.days, p=weights)]
        parts, ids = [stay], [stay.life]
        lives = int(stay.life.max(initial=-1)) + 1
        for bursts in self._groups:
            events, life, count = _drawn(bursts, rng, weights, length)
            parts.append(events)
            ids.append(life + lives)
            lives += count
        return self._trace(parts, ids, length)

    def _trace(self, parts: list[_Events], ids: list[Ints], length: int) -> Trace:
        time = np.concatenate([part.time for part in parts])
        order = np.argsort(time, kind="stable")
        order = order[: np.searchsorted(time[order], length, side="right")]

        def column(name: str) -> npt.NDArray[Any]:
            joined: npt.NDArray[Any] = np.concatenate([getattr(part, name) for part in parts])
            return joined[order]

        known = self.task_names != ("",)
        columns = Columns(
            op=column("op"),
            id=np.concatenate(ids)[order],
            size=column("size"),
            time=time[order] if self.time_unit is not None else None,
            task_codes=column("task") if known else None,
            task_names=self.task_names[:-1] if known else (),
        )
        if columns.task_codes is not None:
            columns.task_codes[columns.task_codes == len(self.task_names) - 1] = -1
        if self.time_unit is not None:
            columns.meta = {"time_unit": self.time_unit}
        return self._blank.with_columns(columns)


def _drawn(
    bursts: _Bursts, rng: np.random.Generator, weights: npt.NDArray[np.float64], length: int
) -> tuple[_Events, Ints, int]:
    """Stretches of bursts for a day: events, their lives, and how many lives those are."""
    chance = np.cumsum(weights[bursts.day] * bursts.length)
    chance /= chance[-1]
    drawn: list[Ints] = []
    covered = 0.0
    while covered < length:
        start = np.minimum(np.searchsorted(chance, rng.random(64), "right"), len(chance) - 1)
        count = rng.geometric(1 / STRETCH, 64)
        stretch = np.repeat(np.arange(64), count)
        step = np.arange(len(stretch)) - np.repeat(np.cumsum(count) - count, count)
        first, of_day = bursts.day_first[start], bursts.day_count[start]
        some = first[stretch] + ((start - first)[stretch] + step) % of_day[stretch]
        drawn.append(some)
        covered += float(bursts.length[some].sum(dtype=np.float64))
    which = np.concatenate(drawn)
    until = np.cumsum(bursts.length[which], dtype=np.float64)  # as integers it may not fit
    which = which[: np.searchsorted(until, length, side="left") + 1]
    at = np.cumsum(bursts.length[which]) - bursts.length[which]
    count = bursts.count[which]
    burst = np.repeat(np.arange(len(which)), count)
    step = np.arange(len(burst)) - np.repeat(np.cumsum(count) - count, count)
    events = bursts.events.take(bursts.first[which][burst] + step)
    lives = np.cumsum(bursts.lives[which]) - bursts.lives[which]
    moved = _Events(events.time + at[burst], events.op, events.size, events.task, events.life)
    return moved, events.life + lives[burst], int(bursts.lives[which].sum())


def _staying(recordings: Recordings, day: int) -> _Events:
    """The events of the blocks that stay for ever."""
    lives = recordings.lives[day]
    return _events(recordings, day, np.flatnonzero(recordings.fates[day].stays[lives.of]))


def _events(recordings: Recordings, day: int, at: Ints) -> _Events:
    """Events of a recording, their lives numbered anew."""
    trace, lives = recordings.traces[day], recordings.lives[day]
    _, life = np.unique(lives.of[at], return_inverse=True)
    return _Events(
        lives.time[at], trace.op[at], trace.size[at], recordings.tasks[day][at], life.reshape(-1)
    )


def _cut(recordings: Recordings, member: list[npt.NDArray[np.bool_]]) -> _Bursts:
    """The bursts of the lives that are `member` of a group, in each recording."""
    parts = [_cut_day(recordings, day, mine) for day, mine in enumerate(member)]
    events, counts, lives, lengths = zip(*parts, strict=True)
    days = [len(length) for length in lengths]
    count = np.concatenate(counts)
    firsts = np.cumsum(days) - days
    return _Bursts(
        events=_Events(
            **{
                name: np.concatenate([getattr(part, name) for part in events])
                for name in _Events.__dataclass_fields__
            }
        ),
        first=np.cumsum(count) - count,
        count=count,
        lives=np.concatenate(lives),
        length=np.concatenate(lengths),
        day=np.repeat(np.arange(len(days)), days),
        day_first=np.repeat(firsts, days),
        day_count=np.repeat(days, days),
    )


def _cut_day(
    recordings: Recordings, day: int, member: npt.NDArray[np.bool_]
) -> tuple[_Events, Ints, Ints, Ints]:
    """A recording's events burst by burst, and each burst's events, lives and length."""
    lives, fate, trace = recordings.lives[day], recordings.fates[day], recordings.traces[day]
    mine = np.flatnonzero(member & ~fate.stays)
    birth = lives.birth[mine]
    idle = np.diff(birth)
    longest = np.argsort(-idle, kind="stable")[: BURSTS - 1]
    starts = np.concatenate([[0], np.sort(longest[idle[longest] > 0]) + 1]).astype(np.int64)
    begin = np.concatenate([[0], birth[starts[1:]]]).astype(np.int64)
    length = np.diff(np.append(begin, max(lives.duration, int(begin[-1]) + 1)))
    burst_of = np.full(len(lives.first), -1)
    burst_of[mine] = np.searchsorted(starts, np.arange(len(mine)), side="right") - 1

    at = np.flatnonzero(burst_of[lives.of] >= 0)
    late = mine[~lives.freed[mine] & (fate.end[mine] >= 0)]  # their free was not recorded
    life = np.concatenate([lives.of[at], late])
    time = np.concatenate([lives.time[at], fate.end[late]])
    tasks = recordings.tasks[day]
    op = np.concatenate([trace.op[at], np.full(len(late), Op.FREE, np.uint8)])
    size = np.concatenate([trace.size[at], np.zeros(len(late), np.uint64)])
    task = np.concatenate([tasks[at], tasks[lives.last[late]]])
    burst = burst_of[life]
    order = np.lexsort((time, burst))
    born_in = np.searchsorted(mine, life) - starts[burst]
    events = _Events(time - begin[burst], op, size, task, born_in).take(order)
    numbers = len(starts)
    counts = np.bincount(burst, minlength=numbers)
    return events, counts, np.diff(np.append(starts, len(mine))), length
