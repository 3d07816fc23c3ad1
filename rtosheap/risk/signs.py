"""What in recordings makes an answer that rests on them doubtful, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy

from rtosheap.risk.groups import WINDOWS, held_in_windows, most_in_windows
from rtosheap.risk.recordings import POWER_ON, Recordings
from rtosheap.traces.doubts import doubts

#: A recording grows when its low-water marks rise by this share of its peak, and so steadily
#: (Kendall's tau) that chance would do it less often than this. A mark is that of so many windows,
#: since what lives long makes neighbours alike.
_GROWTH = 0.05
_CHANCE = 1e-4
_MARK = 4
#: A task matters when it holds this share of what is live at the peak.
_MATTERS = 0.01
#: Windows that belong to the start, which no day repeats.
_BEGUN = 2
#: A peak rests on one burst of one task when this share of what moves is the task's.
_ALONE = 0.5
_FEW = 5

Floats = npt.NDArray[np.float64]


def signs(recordings: Recordings, word_size: int) -> list[str]:
    """Warnings, the gravest first."""
    return [*_too_few(recordings), *_missing(recordings, word_size), *_behaviour(recordings)]


def _too_few(recordings: Recordings) -> Iterator[str]:
    days = len(recordings.traces)
    if days == 1:
        yield (
            "one recording: how much one day differs from another cannot be known from it, "
            "only guessed from how its hours differ"
        )
    elif days < _FEW:
        yield f"{days} recordings: how much days differ is known from few of them; record {_FEW}"


def _missing(recordings: Recordings, word_size: int) -> Iterator[str]:
    for name, trace in zip(recordings.names, recordings.traces, strict=True):
        for text in doubts(trace, word_size):
            yield f"recording {name}: {text}"
    yield from _other_builds(recordings)
    if recordings.time_unit is None:
        yield "no times: the order of the events stands for time"
    if recordings.task_names == ("",):
        yield "no task names: the whole is taken for one task, and nothing is put together anew"


def _other_builds(recordings: Recordings) -> Iterator[str]:
    """Tasks that allocate at power-on wherever they are, and are not in every recording."""
    count, days = len(recordings.task_names), len(recordings.traces)
    present, begun = np.zeros((2, days, count), np.bool_)
    for day, (tasks, life) in enumerate(zip(recordings.tasks, recordings.lives, strict=True)):
        task = tasks[life.first]
        present[day, task] = True
        begun[day, task[life.birth <= POWER_ON * life.duration]] = True
    some = present.any(axis=0) & ~present.all(axis=0) & (begun == present).all(axis=0)
    some[-1] = False  # what no task is known of
    if some.any():
        day = int(present[:, some.argmax()].argmin())
        lacking = np.flatnonzero(some & ~present[day])
        names = ", ".join(recordings.task_names[at] for at in lacking[:_FEW])
        yield (
            f"not every recording has the tasks that begin at power-on "
            f"({recordings.names[day]} lacks {names}): "
            "recordings of different builds do not belong together"
        )


def _behaviour(recordings: Recordings) -> Iterator[str]:
    blocks, size = recordings.leaks
    if blocks:
        yield (
            f"{blocks:,} blocks of kinds that are never freed, {size:,} bytes in all: a leak, "
            "if it goes on, and taken for one"
        )
    growing = [at for at in range(len(recordings.traces)) if grows(recordings, at)]
    if 2 * len(growing) > len(recordings.traces):
        yield (
            f"memory still grows at the end of {len(growing)} of {len(recordings.traces)} "
            "recordings: a leak or slow fragmentation; a longer day needs more"
        )
    held = [held_in_windows(recordings, day) for day in range(len(recordings.traces))]
    yield from _rare(recordings, held)
    yield from _alone(recordings, held)
    yield from _never_together(recordings, held)


def grows(recordings: Recordings, day: int) -> bool:
    """Do the low-water marks of a recording's live bytes rise to its end? Mann and Kendall's
    test on the windows after the first quarter, and a rise that is worth it.
    """
    life = recordings.lives[day]
    if not life.duration:
        return False
    live = recordings.traces[day].live_bytes().astype(np.float64)
    change = np.diff(live, prepend=0.0)
    low = -most_in_windows(life.time, -change, life.duration)[WINDOWS // 4 :]
    low = low.reshape(-1, _MARK).min(axis=1)
    test = scipy.stats.kendalltau(np.arange(len(low)), low)
    slope = scipy.stats.theilslopes(low).slope
    rise = slope * len(low)
    return bool(test.statistic > 0 and test.pvalue < _CHANCE and rise > _GROWTH * live.max())


def _rare(recordings: Recordings, held: list[Floats]) -> Iterator[str]:
    """Tasks that matter, and hold over half of what they ever hold once or twice only, and not
    most of the time.
    """
    peak = max(float(day.sum(axis=0).max()) for day in held)
    most = np.max([day[:, _BEGUN:].max(axis=1) for day in held], axis=0)
    times = np.zeros(len(most), np.int64)
    windows = np.zeros(len(most), np.int64)
    for day in held:
        high = day[:, _BEGUN:] > most[:, None] / 2
        times += high[:, 0] + (high[:, 1:] & ~high[:, :-1]).sum(axis=1)
        windows += high.sum(axis=1)
    seldom = (times > 0) & (times <= 2) & (2 * windows < len(held) * (WINDOWS - _BEGUN))
    rare = np.flatnonzero(seldom & (most > _MATTERS * peak))
    if len(rare):
        names = ", ".join(recordings.task_names[at] or "unknown" for at in rare[:_FEW])
        more = f" and {len(rare) - _FEW} more" if len(rare) > _FEW else ""
        yield (
            f"what {names}{more} {'holds' if len(rare) == 1 else 'hold'} at the most was seen once "
            "or twice: how often that comes, and whether it can be more, is hardly known"
        )


def _alone(recordings: Recordings, held: list[Floats]) -> Iterator[str]:
    """A peak that one task makes alone."""
    for at, day in enumerate(held):
        total = day.sum(axis=0)
        window = int(total.argmax())
        share = day[:, window] / max(float(total[window]), 1.0)
        task = int(share.argmax())
        often = (day[task] > 0.8 * day[task, window]).sum()
        if share[task] > _ALONE and often <= 2 and len(recordings.task_names) > 2:
            yield (
                f"the peak of recording {recordings.names[at]} is made by a single burst of "
                f"{recordings.task_names[task]}"
            )


def _never_together(recordings: Recordings, held: list[Floats]) -> Iterator[str]:
    """Recordings in which no two tasks ever hold memory at the same time."""
    for at, day in enumerate(held):
        active = (day > 0).any(axis=1).sum()
        if active > 1 and ((day > 0).sum(axis=0) <= 1).all():
            name = recordings.names[at]
            yield f"in recording {name} no two tasks hold memory at once; on another day they may"
