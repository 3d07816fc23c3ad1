"""Fragmentation over time, for one heap or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from rtosheap import fragmentation as measures
from rtosheap.plot import _series
from rtosheap.plot._axes import axes_for, legend_above, number_text, percent, title_of
from rtosheap.plot._ground import on
from rtosheap.plot._overlap import tell_apart
from rtosheap.replays import Replay
from rtosheap.replays import blocks as _replay_blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Runs of events that a curve is summarised to: so few that its dashes can be told.
_RUNS = 80
#: Per cent that the axis may reach to.
_TOPS = (5, 10, 20, 30, 40, 50, 60, 80, 100)

_LABELS = {
    "external": "external fragmentation",
    "internal": "internal fragmentation",
    "pigweed": "fragmentation, Pigweed's measure",
    "used": "memory used in excess of live",
}


def fragmentation(
    replays: Replay | Sequence[Replay] | Mapping[str, Replay],
    *,
    ax: Axes | None = None,
    measure: Literal["external", "internal", "pigweed", "used"] = "external",
    x: _series.TimeAxis = "event",
    legend: bool = True,
) -> Axes:
    """Draw a measure of fragmentation over time, for several heaps on one axis.

    Each curve is the mean over runs of events (80 of them, in a trace that has more events), with
    a band from the least to the greatest value of each run. Curves that lie on each other show by
    turns, dash by dash.

    Parameters
    ----------
    replays : Replay, sequence of Replay, or mapping of str to Replay
        One curve for each, of the heap's colour; a mapping gives them labels.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    measure : {"external", "internal", "pigweed", "used"}
        ``1 - largest free block / free bytes`` (needs ``largest_free_block`` to be recorded);
        ``1 - bytes requested / bytes in allocated blocks``; what
        :func:`rtosheap.fragmentation.pigweed_fragmentation` says of all free blocks; or
        ``used / live - 1``, with the memory used up to then as in
        :func:`rtosheap.fragmentation.used_bytes`.
    x : {"event", "time"}
        What the horizontal axis counts: events, or the trace's own time.
    legend : bool
        Whether to draw a legend above the axes, which also gives each curve's mean.

    Returns
    -------
    Axes
        y is in per cent; with ``measure="used"`` it is logarithmic.

    Raises
    ------
    ValueError
        If a column was not recorded, the trace lacks the times that are asked for, or `measure`
        is none of these.

    See Also
    --------
    rtosheap.fragmentation : the same as numbers.

    Examples
    --------
    >>> from rtosheap import Heap2, Heap4, data, replay
    >>> from rtosheap.plot import fragmentation
    >>> trace = data.load("coap-server")
    >>> runs = [replay(trace, heap(48 * 1024), record="all") for heap in (Heap2, Heap4)]
    >>> ax = fragmentation(runs)
    >>> ax.get_ylabel()
    'external fragmentation (%)'
    """
    pairs = _series.labelled(replays, "replays")
    if measure not in _LABELS:
        raise ValueError(f"measure is {measure!r}; it must be {', '.join(_LABELS)}")
    curves = [(_series.time_of(run.trace, x), 100 * _values(run, measure)) for _, run in pairs]
    ax = axes_for(ax)
    handles: list[Any] = []
    for (label, _), (time, values), style in zip(pairs, curves, _series.styles(pairs), strict=True):
        mean = (
            f"mean {number_text(float(np.nanmean(values)))} %" if _any_known(values) else "nothing"
        )
        handles.append(_curve(ax, time, values, style, f"{label} ({mean})"))
    _series.limit_time(ax, max((time for time, _ in curves), key=lambda time: time[-1]))
    _series.label_time(ax, pairs[0][1].trace, x)
    percent(ax.yaxis, _LABELS[measure])
    if measure == "used":
        ax.set_yscale("symlog", linthresh=10.0)
        percent(ax.yaxis, _LABELS[measure])
        ax.set_ylim(bottom=0.0)
    else:
        most = max(
            (float(np.nanmax(values)) for _, values in curves if _any_known(values)), default=0
        )
        ax.set_ylim(0.0, next((top for top in _TOPS if top >= most), _TOPS[-1]))
    tell_apart(ax, handles)
    if legend:
        legend_above(ax, handles, title=title_of(warnings=_series.warnings(pairs)))
    return ax


def _any_known(values: npt.NDArray[np.float64]) -> bool:
    """Whether there is any number among the values."""
    return bool(np.isfinite(values).any())


def _values(replay: Replay, measure: str) -> npt.NDArray[np.float64]:
    if measure == "external":
        return measures.external_fragmentation(replay)
    if measure == "internal":
        return measures.internal_fragmentation(replay)
    if measure == "pigweed":
        return measures.pigweed_fragmentation(replay)
    live = _replay_blocks.live_bytes(replay).astype(np.float64)
    used = measures.used_bytes(replay).astype(np.float64)
    ratio = np.full(len(live), np.nan)
    np.divide(used, live, out=ratio, where=live > 0)
    return ratio - 1.0


def _curve(ax: Axes, time: Any, values: Any, style: _series.LineStyle, label: str) -> Any:
    at, low, mean, high = _series.envelope(time, values, _RUNS)
    ax.fill_between(at, low, high, step="post", color=on(ax, style[0]), alpha=0.18, linewidth=0)
    return _series.draw_line(ax, at, mean, style, 1.5, label=label)
