"""Which tasks act together: those whose memory rises and falls together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from rtosheap.risk.lives import Ints
from rtosheap.risk.recordings import Recordings

#: Windows that a recording is cut into.
WINDOWS = 64
#: The rank correlation from which two tasks count as acting together, and how many standard errors
#: of uncorrelated series it must be, too.
_CORRELATED = 0.35
_SIGNIFICANT = 4.0

Floats = npt.NDArray[np.float64]


def task_groups(recordings: Recordings) -> Ints:
    """A number for each task, the same for tasks that act together: shape (tasks,).

    Two tasks act together when the most that each holds in a window of time is correlated
    (Spearman's rank correlation over the windows of each recording, averaged over the
    recordings); so do their groups.
    """
    count = len(recordings.task_names)
    total = np.zeros((count, count))
    weight = np.zeros((count, count))
    for day in range(len(recordings.traces)):
        held = held_in_windows(recordings, day)[:, 2:]  # without the start
        moving = held.max(axis=1) > held.min(axis=1)
        if moving.sum() < 2:
            continue
        ranks = scipy.stats.rankdata(held[moving], axis=1)
        both = np.ix_(moving, moving)
        total[both] += np.corrcoef(ranks) * held.shape[1]
        weight[both] += held.shape[1]
    correlation = total / np.maximum(weight, 1)
    least = np.maximum(_CORRELATED, _SIGNIFICANT / np.sqrt(np.maximum(weight, 1)))
    groups = np.arange(count)
    for a, b in zip(*np.nonzero(np.triu(correlation > least, 1)), strict=True):
        groups[groups == groups[b]] = groups[a]
    return groups


def held_in_windows(recordings: Recordings, day: int) -> Floats:
    """The most bytes that each task's blocks have in each window: shape (tasks, WINDOWS).

    A block counts for the task that it was allocated by; what stays for ever does not count.
    """
    life, fate = recordings.lives[day], recordings.fates[day]
    task = recordings.tasks[day][life.first]
    held = np.zeros((len(recordings.task_names), WINDOWS))
    for code in np.unique(task):
        mine = (task == code) & ~fate.stays
        ends = fate.end[mine]
        freed = (ends >= 0) & (ends <= life.duration)
        size = life.size[mine].astype(np.float64)
        when = np.concatenate([life.birth[mine], ends[freed]])
        change = np.concatenate([size, -size[freed]])
        held[code] = most_in_windows(when, change, life.duration)
    return held


def most_in_windows(when: Ints, change: Floats, duration: int) -> Floats:
    """The largest running sum in each of WINDOWS equal windows, what a window begins with
    included: shape (WINDOWS,).
    """
    order = np.argsort(when, kind="stable")
    level = np.cumsum(change[order])
    edges = np.linspace(0, duration, WINDOWS + 1)[:-1]
    begins = np.searchsorted(when[order], edges, side="left")
    at_start = np.concatenate([[0.0], level])[begins]
    window = np.searchsorted(edges, when[order], side="right") - 1
    most: Floats = at_start
    np.maximum.at(most, window, level)
    return most
