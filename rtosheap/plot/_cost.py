"""What calls cost: free-list entries read, or instructions where they are calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.lines import Line2D

from rtosheap.plot import _series
from rtosheap.plot._axes import (
    axes_for,
    counted,
    legend_above,
    number_text,
    plain,
    title_of,
    write_ticks,
)
from rtosheap.plot._ground import on
from rtosheap.plot._overlap import tell_apart
from rtosheap.plot._style import CYCLE
from rtosheap.replays import Replay
from rtosheap.replays.cost import Calibration
from rtosheap.traces import Op

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Runs of events that a curve is summarised to: so few that its dashes can be told.
_RUNS = 80
_ENTRIES = "free-list entries read"

Floats = npt.NDArray[np.float64]


def cost(
    replays: Replay | Sequence[Replay] | Mapping[str, Replay],
    *,
    ax: Axes | None = None,
    view: Literal["time", "distribution"] = "time",
    calibration: Calibration | None = None,
    x: _series.TimeAxis = "event",
    legend: bool = True,
) -> Axes:
    """Draw what calls cost, in free-list entries read or in instructions.

    Parameters
    ----------
    replays : Replay, sequence of Replay, or mapping of str to Replay
        With the column ``nodes`` (recorded by default). A mapping gives the lines labels.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    view : {"time", "distribution"}
        ``"time"``: the highest cost (line) and the mean (thin line) in each of 80 runs of events.
        ``"distribution"``: the share of calls that cost at least so much, on logarithmic axes;
        allocations and frees apart when there is one replay. Calls that read no entry lower the
        curve's start, and have no place on the axis. A dot marks the worst. Curves that lie on each
        other show by turns, dash by dash.
    calibration : Calibration, optional
        Costs of a given processor, to count its instructions instead of free-list entries.
    x : {"event", "time"}
        What the horizontal axis counts in the view over time.
    legend : bool
        Whether to draw a legend above the axes, which also gives the mean and the worst.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If ``nodes`` was not recorded, the trace lacks the times that are asked for, or `view` is
        neither of the two.

    Examples
    --------
    >>> from rtosheap import Heap4, data, replay
    >>> from rtosheap.plot import cost
    >>> run = replay(data.load("coap-server"), Heap4(48 * 1024))
    >>> ax = cost(run, view="distribution")
    >>> ax.get_xlabel(), ax.get_xscale()
    ('free-list entries read', 'log')
    """
    pairs = _series.labelled(replays, "replays")
    if view not in ("time", "distribution"):
        raise ValueError(f"view is {view!r}; it must be 'time' or 'distribution'")
    if calibration is not None and not isinstance(calibration, Calibration):
        raise TypeError(f"calibration is {calibration!r}; it must be a Calibration")
    costs = [_costs(run, calibration) for _, run in pairs]
    times = [_series.time_of(run.trace, x) for _, run in pairs]
    ax = axes_for(ax)
    unit = _ENTRIES if calibration is None else calibration.unit
    handles: list[Any] = []
    key: list[Any] = []
    if view == "time":
        styles = _series.styles(pairs)
        for (label, _), values, time, style in zip(pairs, costs, times, styles, strict=True):
            handles.append(_over_time(ax, time, values, label, style))
        _series.limit_time(ax, max(times, key=lambda time: time[-1]))
        _series.label_time(ax, pairs[0][1].trace, x)
        counted(ax.yaxis, unit)
        ax.set_ylim(bottom=0.0)
        if any(len(values) > _RUNS for values in costs):
            key = _widths(ax)
    else:
        for label, values, style in _groups(pairs, costs):
            handles.append(_distribution(ax, values, label, style, from_one=calibration is None))
        _log_axes(ax, unit, max((len(values) for values in costs), default=1))
    tell_apart(ax, handles)
    if legend:
        title = title_of(warnings=_series.warnings(pairs))
        legend_above(ax, [*handles, *key], title=title)
    return ax


def _costs(replay: Replay, calibration: Calibration | None) -> Floats:
    nodes = replay.column("nodes").astype(np.float64)
    if calibration is None:
        return nodes
    op = replay.trace.op
    (malloc, malloc_node), (free, free_node) = calibration.malloc, calibration.free
    constant = np.select([op == Op.MALLOC, op == Op.FREE], [malloc, free], malloc + free)
    return constant + nodes * np.where(op == Op.FREE, free_node, malloc_node)


def _summary(label: str, values: Floats) -> str:
    if not len(values):
        return f"{label} (none)"
    return f"{label}: mean {number_text(values.mean())}, most {number_text(values.max())}"


def _over_time(ax: Axes, time: Floats, values: Floats, label: str, style: _series.LineStyle) -> Any:
    at, _, mean, high = _series.envelope(time, values, _RUNS)
    how = {"drawstyle": "default"}
    line = _series.draw_line(ax, at, high, style, _THICK, label=_summary(label, values), **how)
    if len(values) > _RUNS:
        _series.draw_line(ax, at, mean, (style[0], "solid"), _THIN, **how)
    return line


#: Points: of the highest cost in a run, and of the mean.
_THICK, _THIN = 1.5, 0.6


def _widths(ax: Axes) -> list[Line2D]:
    """What thick and thin lines are, for the legend."""
    colour = on(ax, "#555555")
    return [
        Line2D([], [], color=colour, linewidth=_THICK, label="most in a run of events"),
        Line2D([], [], color=colour, linewidth=_THIN, label="mean of it"),
    ]


def _groups(
    pairs: Sequence[tuple[str, Replay]], costs: Sequence[Floats]
) -> list[tuple[str, Floats, _series.LineStyle]]:
    """Label, values and style of each curve of the distribution."""
    if len(pairs) > 1:
        labels = (label for label, _ in pairs)
        return list(zip(labels, costs, _series.styles(pairs), strict=True))
    ((label, run),), (values,) = pairs, costs
    frees = run.trace.op == Op.FREE
    return [
        (f"{label}, allocations", values[~frees], CYCLE[0]),
        (f"{label}, frees", values[frees], CYCLE[1]),
    ]


def _distribution(
    ax: Axes, values: Floats, label: str, style: _series.LineStyle, *, from_one: bool
) -> Any:
    distinct, count = np.unique(values[values > 0], return_counts=True)
    share = np.cumsum(count[::-1])[::-1] / max(len(values), 1)
    if len(distinct):  # the curve starts at 1 entry, or at the least cost
        start = 1.0 if from_one else distinct[0]
        distinct, share = np.append(start, distinct), np.append(share[0], share)
    line = _series.draw_line(ax, distinct, share, style, 1.5, drawstyle="steps-pre")
    worst = [len(distinct) - 1] if len(distinct) else []
    line.set(label=_summary(label, values), marker="o", markersize=4, markevery=worst)
    return line


def _log_axes(ax: Axes, unit: str, operations: int) -> None:
    from matplotlib.ticker import NullFormatter

    ax.set_xscale("log")
    ax.set_yscale("log")
    write_ticks(ax.xaxis, plain)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(0.5 / max(operations, 10), 1.25)
    low, high = ax.get_xlim()
    if high < 12:  # less than a decade has one labelled tick, or none
        ax.set_xlim(min(low, 0.9), 12)
    ax.set_xlabel(unit)
    verb = "read" if unit == _ENTRIES else "take"
    ax.set_ylabel(f"share of calls that {verb} at least as many")
