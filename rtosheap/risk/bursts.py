"""Other days, put together from bursts of the recorded ones: a stationary bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.risk.groups import task_groups
from rtosheap.risk.lives import Ints
from rtosheap.risk.recordings import POWER_ON, Recordings
from rtosheap.traces import Op, Trace
from rtosheap.traces.columns import Columns

#: A recording of a group of tasks is cut at so many of its longest idle times, at most.
BURSTS = 300
#: How much of a recording a stretch is, on average.
STRETCH = 0.1
#: Events of a day, at the most: some ten gigabytes while it is made.
_MOST = 10**8


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
    """The bursts of a group of tasks, recording by recording: arrays of shape (b,) unless stated.

    Attributes
    ----------
    begin : ndarray
        When each begins, in its recording.
    first, count, lives : ndarray
        Its first event, its events, its lives.
    day_first, day_count : ndarray, shape (days,)
        The first burst of each recording, and how many it has.
    durations : ndarray, shape (days,)
        Of the recordings.
    """

    events: _Events
    begin: Ints
    first: Ints
    count: Ints
    lives: Ints
    day_first: Ints
    day_count: Ints
    durations: Ints

    def before(self, day: Ints, time: Ints) -> Ints:
        """How many bursts of each of these recordings, again and again, begin before a time."""
        times, rest = np.divmod(time, self.durations[day])
        ends = np.cumsum(self.durations + 1)  # one day lies behind the other
        start = ends - self.durations - 1
        everyday = np.repeat(start, self.day_count) + self.begin
        within = np.searchsorted(everyday, start[day] + rest, side="left") - self.day_first[day]
        return times * self.day_count[day] + within


class BurstModel:
    """Days like the recorded ones.

    The blocks of each group of tasks (:func:`rtosheap.risk.groups.task_groups`) are cut into bursts
    at the group's longest idle times. A day is made group by group, of stretches that follow one
    another. A stretch begins at any moment of a recording, lasts a geometrically distributed time,
    and goes on at its recording's start where that ends; whatever burst begins within it is taken
    whole. So each burst comes as often as it was recorded, however the bursts crowd. A block keeps
    its size and its lifetime. For each day the recordings are weighted anew, Dirichlet with
    parameters 1. Blocks that stay for ever, and those of tasks that allocate at power-on only, come
    from one recording, drawn with the same weights, at their time.

    Notes
    -----
    The stationary bootstrap is that of Politis and Romano, "The stationary bootstrap", Journal of
    the American Statistical Association 89 (1994), with moments of time for observations; the
    weights are those of Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981).
    """

    def __init__(self, recordings: Recordings) -> None:
        self.task_names = recordings.task_names
        self.time_unit = recordings.time_unit
        self.duration = recordings.duration
        self.days = len(recordings.traces)
        self._blank = recordings.traces[0][:0]
        self._rate = float(np.mean([len(one.of) / one.duration for one in recordings.lives]))
        groups = task_groups(recordings)
        groups[_at_power_on(recordings)] = -1
        of_life = [
            groups[tasks[life.first]]
            for tasks, life in zip(recordings.tasks, recordings.lives, strict=True)
        ]
        self._once = [
            _events(recordings, day, np.flatnonzero((fate.stays | (of < 0))[life.of]))
            for day, (life, fate, of) in enumerate(
                zip(recordings.lives, recordings.fates, of_life, strict=True)
            )
        ]
        self._groups = [
            _cut(recordings, [of == group for of in of_life])
            for group in np.unique(groups[groups >= 0])
        ]
        self._groups = [group for group in self._groups if len(group.begin)]

    def day(self, rng: np.random.Generator, duration: int | None = None) -> Trace:
        """A day of `duration`, that of the recordings by default."""
        length = self.duration if duration is None else duration
        if length * self._rate > _MOST:
            raise ValueError(
                f"duration is {length} {self.time_unit or 'events'}: a day would have some "
                f"{length * self._rate:.0e} events, of which it may have {_MOST:.0e}"
            )
        weights = rng.dirichlet(np.ones(self.days))
        once = self._once[rng.choice(self.days, p=weights)]
        parts, ids = [once], [once.life]
        lives = int(once.life.max(initial=-1)) + 1
        for bursts in self._groups:
            events, life, count = _drawn(bursts, rng, weights, length, STRETCH * self.duration)
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
    bursts: _Bursts,
    rng: np.random.Generator,
    weights: npt.NDArray[np.float64],
    length: int,
    mean: float,
) -> tuple[_Events, Ints, int]:
    """Stretches of bursts for a day: events, their lives, and how many lives those are."""
    lasts = np.array([], np.int64)
    while lasts.sum(dtype=np.float64) < length:
        lasts = np.append(lasts, rng.geometric(1 / max(mean, 1), 64))
    lasts = lasts[: np.searchsorted(np.cumsum(lasts, dtype=np.float64), length, side="left") + 1]
    offset = np.cumsum(lasts) - lasts
    lasts[-1] = length - offset[-1]
    day = rng.choice(len(weights), len(lasts), p=weights)
    start = rng.integers(0, bursts.durations[day])
    low, high = bursts.before(day, start), bursts.before(day, start + lasts)

    stretch, number = _ranges(high - low)
    number += low[stretch]
    of_day = bursts.day_count[day][stretch]
    times, burst = number // of_day, bursts.day_first[day][stretch] + number % of_day
    at = (offset - start)[stretch] + times * bursts.durations[day][stretch] + bursts.begin[burst]

    which, number = _ranges(bursts.count[burst])
    events = bursts.events.take(bursts.first[burst][which] + number)
    lives = np.cumsum(bursts.lives[burst]) - bursts.lives[burst]
    moved = _Events(events.time + at[which], events.op, events.size, events.task, events.life)
    return moved, events.life + lives[which], int(bursts.lives[burst].sum())


def _ranges(counts: Ints) -> tuple[Ints, Ints]:
    """For ranges of so many: which range each member is of, and its number in it."""
    of = np.repeat(np.arange(len(counts)), counts)
    return of, np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)


def _at_power_on(recordings: Recordings) -> npt.NDArray[np.bool_]:
    """Which tasks allocate at power-on only, what stays aside: shape (tasks,)."""
    late = np.zeros(len(recordings.task_names), np.bool_)
    for tasks, life, fate in zip(recordings.tasks, recordings.lives, recordings.fates, strict=True):
        after = ~fate.stays & (life.birth > POWER_ON * life.duration)
        late[tasks[life.first[after]]] = True
    return ~late


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
    events, begins, counts, lives = zip(*parts, strict=True)
    days = np.array([len(begin) for begin in begins])
    count = np.concatenate(counts)
    return _Bursts(
        events=_Events(
            **{
                name: np.concatenate([getattr(part, name) for part in events])
                for name in _Events.__dataclass_fields__
            }
        ),
        begin=np.concatenate(begins),
        first=np.cumsum(count) - count,
        count=count,
        lives=np.concatenate(lives),
        day_first=np.cumsum(days) - days,
        day_count=days,
        durations=np.array([life.duration for life in recordings.lives]),
    )


def _cut_day(
    recordings: Recordings, day: int, member: npt.NDArray[np.bool_]
) -> tuple[_Events, Ints, Ints, Ints]:
    """A recording's events burst by burst, and when each burst begins, its events and lives."""
    lives, fate, trace = recordings.lives[day], recordings.fates[day], recordings.traces[day]
    mine = np.flatnonzero(member & ~fate.stays)
    birth = lives.birth[mine]
    idle = np.diff(birth, prepend=-(2**62))  # the first begins a burst
    among_equals = np.random.default_rng(0).permutation(len(idle))  # lest the first be cut alone
    longest = np.lexsort((among_equals, -idle))[:BURSTS]
    starts = np.sort(longest[idle[longest] > 0])
    begin = birth[starts]
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
    return events, begin, counts, np.diff(np.append(starts, len(mine)))
