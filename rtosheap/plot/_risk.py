"""How likely another day fails, in a heap of which size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtosheap.plot._axes import axes_for, is_narrow, kib, legend_above, size_text, write_ticks
from rtosheap.plot._ground import below, ink, on
from rtosheap.risk import Risk
from rtosheap.risk.bounds import interval
from rtosheap.risk.duration import spoken
from rtosheap.traces.doubts import says_incomplete

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

_RUNS, _TAIL, _CHOSEN = "#1f7fbf", "#d55e00", "#009e73"
#: Places at which a curve is computed, at the most.
_PLACES = 160
#: No chance smaller than this is shown, and none above 1.
_LEAST, _MOST = 1e-9, 1.35
#: What the axis shows below the least chance that is told apart, as a factor.
_BELOW = 0.3


def risk(
    risk: Risk,
    *,
    ax: Axes | None = None,
    legend: bool = True,
    size: int | None = None,
    probability: float | None = None,
) -> Axes:
    """Draw how likely another day fails, in a heap of which size.

    Three answers, never mixed. Two models: the share of the modelled days that fail, with its
    Clopper-Pearson band, and the tail of the recorded peaks, with its 95 % band; the higher one
    counts. What the recordings prove without any model, at 95 % confidence. And the size that is
    guaranteed to serve whatever order the program finds, which as a rule lies far beyond the axis:
    an arrow says where. The recorded days are ticks at the bottom.

    Parameters
    ----------
    risk : Risk
        What :func:`rtosheap.assess` returns.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    legend : bool
        Whether to draw a legend above the axes.
    size : int, optional
        A size to mark, in bytes.
    probability : float, optional
        Instead: mark the size for this probability, ``risk.size_for(probability)``.

    Returns
    -------
    Axes
        x is in KiB; y is the chance that a day fails, logarithmic.

    Raises
    ------
    TypeError
        `risk` is none, or both `size` and `probability` are given.
    ValueError
        `size` is not positive, or none of the sizes that were tried; or there is none for this
        `probability`.

    Examples
    --------
    >>> from rtosheap import assess, data
    >>> from rtosheap.plot import risk
    >>> ax = risk(assess(data.days("recorder"), "heap_4", runs=20), probability=0.01)
    >>> ax.get_xlabel()
    'heap size (KiB)'
    """
    if not isinstance(risk, Risk):
        raise TypeError(f"risk is {risk!r}; it must be what rtosheap.assess returns")
    chosen = _chosen(risk, size, probability)
    ax = axes_for(ax)
    ax.set_yscale("log")
    floor = _floor(risk, probability, chosen)
    low, high = _reach(risk, floor, chosen)
    end = 2 * high  # for whoever widens the axis
    handles = [_draw_tried(ax, risk, floor)] if risk.tested else [_draw_runs(ax, risk, low, end)]
    if risk.tail is not None:
        inside, outside = np.linspace(low, high, _PLACES), np.linspace(high, end, _PLACES // 4)
        handles.append(_draw_tail(ax, risk, np.append(inside, outside)))
    handles += _draw_recorded(ax, risk, low, end)
    if chosen is not None:
        handles.append(_mark(ax, risk, chosen, probability))
    ax.set_xlim(low / 1024, high / 1024)
    ax.set_ylim(floor, _MOST)
    handles += _draw_guarantee(ax, risk)
    kib(ax.xaxis, "heap size")
    _odds(ax, risk)
    if legend:
        legend_above(ax, handles, title=_title(risk))
    return ax


# ---------------------------------------------------------------------- what is shown


def _chosen(risk: Risk, size: int | None, probability: float | None) -> int | None:
    """The size to mark."""
    if size is not None and probability is not None:
        raise TypeError(f"size is {size} and probability {probability}; give one of them")
    if probability is not None:
        return risk.size_for(probability)
    if size is not None:
        if size < 1:
            raise ValueError(f"size is {size}; it must be 1 byte or more")
        risk.probability(size)  # raises where only some sizes were tried, and this is none
    return size


def _floor(risk: Risk, probability: float | None, chosen: int | None) -> float:
    """The least chance that the axis shows."""
    told = [1 / max(len(risk.sizes), 100)]
    if probability is not None:
        told.append(probability)
    if chosen is not None:
        told.append(risk.probability(chosen).estimate or 1.0)
    return max(_BELOW * min(told), _LEAST)


def _reach(risk: Risk, floor: float, chosen: int | None) -> tuple[float, float]:
    """From where on nearly no day is served, to where the models leave the axis, in bytes."""
    if risk.tested:
        shown = [float(size) for size in risk.tested]
    else:
        finite = risk.sizes[risk.sizes < np.iinfo(np.int64).max]
        shown = [float(size) for size in finite[[len(finite) // 50, -1]]] if len(finite) else [0.0]
    if risk.tail is not None:
        shown.append(float(risk.tail.size(min(2 * floor, 0.5), risk.duration)))
    shown += [float(day.size) for day in risk.days if day.size is not None]
    shown += [float(chosen)] if chosen is not None else []
    margin = 0.04 * max(max(shown) - min(shown), 256)
    return max(min(shown) - margin, 0.0), max(shown) + margin


def _draw_runs(ax: Axes, risk: Risk, low: float, high: float) -> Any:
    """The share of the modelled days that fail, in steps, and its band."""
    runs = len(risk.sizes)
    steps = np.unique(risk.sizes[(risk.sizes > low) & (risk.sizes < high)])
    if len(steps) > _PLACES:  # the rarest are drawn each, since they stand out
        steps = np.unique(np.append(steps[:: -(-len(steps) // _PLACES)], steps[-_PLACES // 4 :]))
    edges = np.append(low, steps) / 1024
    failed = runs - np.searchsorted(risk.sizes, np.append(low, steps), side="right")
    band = np.array([interval(int(count), runs) for count in failed])
    lowest = np.maximum(band[:, 0], _LEAST)
    ax.fill_between(
        edges, lowest, band[:, 1], step="post", color=on(ax, _RUNS), alpha=0.25, linewidth=0
    )  # fmt: skip
    if not failed[-1]:  # how often another day may fail where none of these did
        beyond = [edges[-1], high / 1024]
        ax.plot(
            beyond, [band[-1, 1]] * 2, color=on(ax, _RUNS), linestyle=(0, (1, 1.5)), linewidth=1.0
        )
    share = np.maximum(failed / runs, _LEAST)
    (line,) = ax.plot(edges, share, color=on(ax, _RUNS), linewidth=1.7, drawstyle="steps-post")
    line.set_label(f"{runs:,} modelled days")
    return line


def _draw_tried(ax: Axes, risk: Risk, floor: float) -> Any:
    """The share that fails at each size that was tried; an open mark stands for none of them."""
    runs = len(risk.sizes)
    places = np.array(risk.tested) / 1024
    share = risk.failed / runs
    band = np.array([interval(int(count), runs) for count in risk.failed])
    ax.vlines(
        places, np.maximum(band[:, 0], _LEAST), band[:, 1], color=on(ax, _RUNS), linewidth=1.4
    )
    none = share == 0
    ax.plot(
        places[none], band[none, 1], linestyle="none", marker="v", markersize=5,
        markerfacecolor="none", markeredgecolor=on(ax, _RUNS),
    )  # fmt: skip
    (marks,) = ax.plot(
        places[~none], np.maximum(share[~none], floor),
        linestyle="none", marker="o", markersize=4.5, color=on(ax, _RUNS),
    )  # fmt: skip
    marks.set_label(f"{runs:,} modelled days (open: none fails)")
    return marks


def _draw_tail(ax: Axes, risk: Risk, places: Floats) -> Any:
    tail = risk.tail
    assert tail is not None
    places = np.append(max(tail.threshold, places[0]), places[places > tail.threshold])
    found = np.array([tail.probability(size, risk.duration) for size in places])
    found = np.maximum(found, _LEAST)
    ax.fill_between(
        places / 1024, found[:, 1], found[:, 2], color=on(ax, _TAIL), alpha=0.2, linewidth=0
    )  # fmt: skip
    (line,) = ax.plot(
        places / 1024, found[:, 0], color=on(ax, _TAIL), linestyle=(0, (5, 1.5)), linewidth=1.7
    )
    line.set_label(f"tail of the {tail.peaks:,} highest peaks")
    return line


def _draw_recorded(ax: Axes, risk: Risk, low: float, high: float) -> list[Any]:
    """The recorded days as ticks, and what they prove as steps."""
    colour = ink(below(ax))
    sizes = [day.size for day in risk.days if day.size is not None]
    steps = risk.tested or sorted(set(sizes))
    edges = [low, *steps, high]
    proven = [1.0, *(risk.proven(size) for size in steps)]
    proven.append(proven[-1])
    (line,) = ax.plot(
        np.array(edges) / 1024, proven,
        color=colour, linestyle=(0, (1, 1.5)), linewidth=1.5, drawstyle="steps-post",
    )  # fmt: skip
    line.set_label("proven by these, at most")
    (ticks,) = ax.plot(
        np.array(sizes) / 1024, np.full(len(sizes), 0.02),
        linestyle="none", marker="|", markersize=11, markeredgewidth=1.8, color=colour,
        transform=ax.get_xaxis_transform(), zorder=4,
    )  # fmt: skip
    ticks.set_label(f"{len(risk.days):,} recorded day{'' if len(risk.days) == 1 else 's'}")
    return [ticks, line]


def _mark(ax: Axes, risk: Risk, size: int, probability: float | None) -> Any:
    """A line at the size, down from a dot at the chance that the models see there."""
    chance = risk.probability(size).estimate
    place = size / 1024
    line = ax.axvline(place, color=on(ax, _CHOSEN), linewidth=1.5)
    if probability is not None:
        ax.plot(
            [0.0, 1.0], [probability] * 2,
            color=on(ax, _CHOSEN), linewidth=0.8, transform=ax.get_yaxis_transform(),
        )  # fmt: skip
    if chance > 0:
        ax.plot([place], [chance], marker="o", markersize=6, color=on(ax, _CHOSEN), zorder=5)
    said = f"{size:,} bytes"
    line.set_label(said if probability is None else f"{said} for {_in(probability)}")
    return line


def _draw_guarantee(ax: Axes, risk: Risk) -> list[Any]:
    """A line, or an arrow to where it lies beyond the axis, which would squeeze all else."""
    guaranteed, colour = risk.guaranteed_size, ink(below(ax))
    if guaranteed is None:
        return []
    low, high = (1024 * end for end in ax.get_xlim())
    if low <= guaranteed <= high:
        shown = ax.axvline(guaranteed / 1024, color=colour, linewidth=1.2)
    else:
        (shown,) = ax.plot(
            [1.0], [0.0], transform=ax.transAxes, clip_on=False, zorder=6,
            linestyle="none", marker=">", markersize=8, color=colour,
        )  # fmt: skip
    shown.set_label(f"guaranteed from {size_text(guaranteed)} on")
    return [shown]


# ---------------------------------------------------------------------- what is written


def _odds(ax: Axes, risk: Risk) -> None:
    """The vertical axis: 1 in 10, 1 in 100 and so on."""
    from matplotlib.ticker import LogLocator, NullFormatter

    day = spoken(risk.duration, risk.time_unit)
    what = "days" if is_narrow(ax) else f"days (of {day})"
    ax.set_ylabel(f"{what} that fail")
    ax.yaxis.set_major_locator(LogLocator(10, numticks=5 if is_narrow(ax) else 8))
    write_ticks(ax.yaxis, _in)
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", which="major", linewidth=0.5, alpha=0.35)
    ax.set_axisbelow(True)


def _in(chance: float) -> str:
    """A chance as people say it: 1 in 1,000."""
    if chance >= 1:
        return "all"
    return f"1 in {1 / chance:,.10g}" if 1 / chance < 1e6 else f"{chance:.0e}"


def _title(risk: Risk) -> str:
    longest = max(day.duration for day in risk.days)
    text = f"{risk.heap}, days of {spoken(risk.duration, risk.time_unit)}, 95 % bands"
    if risk.duration > 1.5 * longest:
        text += f", recorded days of {spoken(longest, risk.time_unit)}"
    return f"{text}, of what was recorded only" if says_incomplete(risk.warnings) else text
