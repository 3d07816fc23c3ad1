"""What is asked for, taken and free, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtosheap.allocators import Allocator
from rtosheap.plot import _series
from rtosheap.plot._axes import axes_for, kib, legend_above, title_of
from rtosheap.plot._ground import on
from rtosheap.plot._style import FAILED
from rtosheap.replays import COLUMNS, Replay
from rtosheap.replays import blocks as _replay_blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

#: Colour, line style and width of each line, in the order of the legend.
_LINES: dict[str, tuple[str, Any, float]] = {
    "asked for": ("#0b3c5d", "solid", 1.4),
    "in allocated blocks": ("#56a0d3", "solid", 1.4),
    "free": ("#e69f00", (0, (5, 1.5)), 1.2),
    "largest free block": ("#8a5f00", (0, (1, 1.2)), 1.4),
    "minimum ever free": ("#000000", (0, (4, 1.2, 1, 1.2)), 1.0),
}


def usage(
    replay: Replay,
    *,
    ax: Axes | None = None,
    x: _series.TimeAxis = "event",
    legend: bool = True,
) -> Axes:
    """Draw what is asked for, taken and free over time.

    Lines: live bytes as the program asked for them; bytes in allocated blocks, headers, padding and
    unsplit remainders included (what is between the two is shaded); free bytes; the largest free
    block, if it was recorded; the least that was ever free so far. A dotted line across says how
    large the heap is. Allocations that failed are marked at the bottom.

    A trace of more than 32,000 events is thinned to the lowest and highest values of 4,000 runs of
    events, which covers the same pixels.

    Parameters
    ----------
    replay : Replay
        With the columns ``address``, ``block_size`` and ``free_size`` (recorded by default).
        ``record="all"`` has the largest free block, too. Lines that an allocator of your own does
        not tell are left out.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    x : {"event", "time"}
        What the horizontal axis counts: events, or the trace's own time.
    legend : bool
        Whether to draw a legend above the axes.

    Returns
    -------
    Axes
        y is in KiB.

    Raises
    ------
    ValueError
        If a column was not recorded, or the trace lacks the times that are asked for.

    Examples
    --------
    >>> from rtosheap import Heap4, data, replay
    >>> from rtosheap.plot import usage
    >>> ax = usage(replay(data.load("coap-server"), Heap4(40 * 1024), record="all"))
    >>> ax.get_ylabel()
    'size (KiB)'
    """
    if not isinstance(replay, Replay):
        raise TypeError(f"replay is {replay!r}; it must be a Replay")
    time = _series.time_of(replay.trace, x)
    columns = _columns(replay)
    ax = axes_for(ax)
    handles = [_line(ax, time, values, name) for name, values in columns.items()]
    if "in allocated blocks" in columns:
        _shade(ax, time, columns["asked for"], columns["in allocated blocks"])
    size = sum(size for _, size in replay.regions) / 1024
    handles.append(
        ax.axhline(
            size, color=on(ax, "#777777"), linestyle=(0, (1, 2.5)), linewidth=1.0, label="heap size"
        )
    )
    handles += _failures(ax, time, replay)
    _series.limit_time(ax, time)
    ax.set_ylim(0.0, size * 1.04)
    _series.label_time(ax, replay.trace, x)
    kib(ax.yaxis, "size")
    if legend:
        legend_above(ax, handles, title=title_of(warnings=replay.warnings))
    return ax


def _columns(replay: Replay) -> dict[str, Floats]:
    """The lines' values in KiB."""
    if isinstance(replay.heap, Allocator):
        known = replay.heap.columns
        blocks = _replay_blocks.block_table(replay, asked=True)
        earlier = sum(size for _, size in replay._before._live_blocks()) if replay._before else 0
        free = replay.column("free_size") if "free_size" in known else None
        start = None
    else:
        known = COLUMNS
        blocks = _replay_blocks.block_table(replay)
        earlier = sum(size for _, size, allocated in replay._before._blocks(True) if allocated)
        free, start = replay.column("free_size"), replay._before.minimum_ever_free_size
    taken = _replay_blocks.allocated_bytes(replay, blocks) + earlier
    columns = {
        "asked for": _replay_blocks.live_bytes(replay, blocks),
        "in allocated blocks": taken if "block_size" in known else None,
        "free": free,
        "largest free block": replay.largest_free_block,
        "minimum ever free": None if free is None else _least(free, start),
    }
    return {
        name: np.asarray(values, dtype=np.float64) / 1024
        for name, values in columns.items()
        if values is not None
    }


def _least(free: Any, start: int | None) -> Any:
    least = np.minimum.accumulate(free) if len(free) else free
    return least if start is None else np.minimum(least, start)


def _line(ax: Axes, time: Floats, values: Floats, name: str) -> Any:
    colour, dashes, width = _LINES[name]
    kept = _series.thin(values)
    drawn = np.append(values[kept], values[-1:])  # the last value holds to the end
    places = np.append(time[kept], time[-1:] if len(values) else time[:0])
    return _series.draw_line(ax, places, drawn, (colour, dashes), width, label=name)


def _shade(ax: Axes, time: Floats, low: Floats, high: Floats) -> None:
    kept = np.union1d(_series.thin(low), _series.thin(high))
    ax.fill_between(
        time[kept],
        low[kept],
        high[kept],
        step="post",
        color=on(ax, "#56a0d3"),
        alpha=0.25,
        linewidth=0,
    )


def _failures(ax: Axes, time: Floats, replay: Replay) -> list[Any]:
    if not replay.failures:
        return []
    places = np.unique(time[np.flatnonzero(_replay_blocks.failed(replay))])
    (marks,) = ax.plot(
        places,
        np.zeros(len(places)),
        linestyle="none",
        marker="^",
        markersize=5,
        color=on(ax, FAILED),
        clip_on=False,
        zorder=5,
        label=f"failed ({replay.failures:,})",
    )
    return [marks]
