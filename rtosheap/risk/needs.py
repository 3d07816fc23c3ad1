"""What each stretch of a recording needs: the series whose peaks the tail is about."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtosheap.replays.run import empty_columns
from rtosheap.sizing.problem import SizingProblem
from rtosheap.traces import Op

Floats = npt.NDArray[np.float64]


def needs_in_windows(
    problem: SizingProblem,
    time: npt.NDArray[np.int64],
    window: float,
    smallest: int,
) -> Floats | None:
    """Bytes of the heap that the allocations of each window need, in a heap that never runs out.

    Parameters
    ----------
    problem : SizingProblem
    time : ndarray of int64, shape (n,)
        When each event happens, from 0 on.
    window : float
        The length of a window.
    smallest : int
        What the whole needs: the largest of the windows.

    Returns
    -------
    ndarray of float64, shape (windows,), or None
        0 where nothing was allocated. None for heaps where what is needed is no matter of the
        highest address: heap_1, which gives nothing back, and heap_2.
    """
    if not (problem.layout.by_address or problem.layout.is_newlib):
        return None
    columns = empty_columns(("address", "block_size"), len(time))
    size = max(4 * smallest, problem.first_arena())
    heap = problem.heap(min(size, problem.largest))
    if problem.replay(heap, columns).failures:
        return None
    in_last = (problem.trace.op != Op.FREE) & (columns["address"] >= problem.base)
    end = (columns["address"] - problem.base + columns["block_size"])[in_last].astype(np.float64)
    count = max(int(time[-1] / window), 1)
    needs = np.zeros(count)
    np.maximum.at(needs, np.minimum((time[in_last] / window).astype(np.int64), count - 1), end)
    if not len(end):
        return needs
    return np.where(needs > 0, needs - needs.max() + smallest, 0.0)
