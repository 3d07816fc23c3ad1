"""The five heaps side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch

from rtosheap.comparison import Comparison
from rtosheap.plot._axes import (
    axes_for,
    follow_ground,
    font_size,
    kib,
    legend_above,
    size_text,
    title_of,
)
from rtosheap.plot._ground import AREA, blank, on
from rtosheap.plot._style import BREAKDOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LABELS = {
    "payload": "asked for",
    "headers": "headers",
    "padding": "padding",
    "unsplit": "unsplit remainders",
    "external": "free at the peak",
    "unreclaimed": "freed, never reclaimed",
    "fixed": "end marker, alignment",
}
#: A bar this many times longer than the next is cut.
_CUT = 2.5


def comparison(
    result: Comparison,
    *,
    ax: Axes | None = None,
    legend: bool = True,
    beside: Comparison | None = None,
) -> Axes:
    """Draw the smallest heap of each kind that serves a trace, and where its bytes are.

    A bar for each heap is as long as the smallest arena in which the trace runs. Its parts say
    where the bytes are at the peak of live bytes. The line across is that peak: no heap can be
    smaller. At the right: the size, its ratio to the peak, and the most nodes of the free list
    that one operation visits. A bar that is more than 2.5 times as long as the next (heap_1's, as
    a rule) is cut off.

    Parameters
    ----------
    result : Comparison
        What :func:`rtosheap.compare` returns.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    legend : bool
        Whether to draw a legend above the axes.
    beside : Comparison, optional
        One that is drawn beside this on other axes: both are drawn to the same scale then, and
        this one's legend serves for both.

    Returns
    -------
    Axes
        x is in KiB.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap import compare
    >>> from rtosheap.plot import comparison
    >>> ax = comparison(compare(data.load("coap-server"), heaps=["heap_2", "heap_4"]))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['heap_2', 'heap_4']
    """
    rows = list(result)
    ax = axes_for(ax)
    sizes = _sizes(result)
    shown = (result,) if beside is None else (result, beside)
    reach = max(_reach(_sizes(one), one.peak_live_bytes) for one in shown)
    places = np.arange(len(rows))
    handles: list[Any] = []
    left = np.zeros(len(rows))
    for part, fill in BREAKDOWN.items():
        widths = np.array([_part(row, part) / 1024 for row in rows])
        if not widths.any():
            if beside is not None and any(_part(row, part) for row in beside):
                handles.append(Patch(label=_LABELS[part], **fill.patch()))
            continue
        bars = ax.barh(
            places, widths, height=0.68, left=left, label=_LABELS[part], **fill.patch(ax)
        )
        handles.append(bars)
        left += widths
    rest = np.array(sizes) / 1024 - left  # nothing, where the breakdown is whole
    if (rest > 1e-9).any():
        ax.barh(
            places, np.maximum(rest, 0.0), height=0.68, left=left, color=on(ax, "#dddddd", AREA)
        )
    ax.barh(
        places, np.array(sizes) / 1024, height=0.68, fill=False, edgecolor=on(ax, _EDGE), lw=0.6
    )
    peak = ax.axvline(
        result.peak_live_bytes / 1024, color=on(ax, _PEAK), linestyle=(0, (4, 1.5)), linewidth=1.4
    )
    peak.set_label("peak of live bytes")
    ax.set_xlim(0.0, max(reach, 1) / 1024)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(places, [row.heap for row in rows])
    ax.tick_params(axis="y", length=0)
    kib(ax.xaxis, "smallest heap that serves")
    _cut_long_bars(ax, sizes, reach)
    _write_numbers(ax, rows)
    if legend:
        legend_above(ax, [*handles, peak], title=_title(result))
    return ax


_PEAK, _EDGE = "#d1350f", "#222222"


def _part(row: Any, part: str) -> int:
    return int((row.breakdown or {}).get(part, 0))


def _title(result: Comparison) -> str | None:
    peak = f"peak of live bytes {size_text(result.peak_live_bytes)}"
    return title_of(result.trace_name, peak, warnings=result.warnings)


def _sizes(result: Comparison) -> list[int]:
    return [0 if row.size is None else row.size for row in result]


def _reach(sizes: list[int], peak: int) -> float:
    """How far the axis goes: past the longest bar, or past the second when that is cut."""
    ranked = sorted((*sizes, peak), reverse=True)
    longest = next((size for size in ranked if size * _CUT >= ranked[0]), 0)
    second = ranked[1] if len(ranked) > 1 else longest
    if second and ranked[0] > _CUT * second:
        return 1.3 * second
    return 1.04 * ranked[0]


def _cut_long_bars(ax: Axes, sizes: list[int], reach: float) -> None:
    """A blank zigzag through each bar that the axis does not show to its end."""
    for place, size in enumerate(sizes):
        if size <= reach:
            continue
        down = np.linspace(place - 0.4, place + 0.4, 9)
        across = (0.955 + 0.012 * (np.arange(9) % 2)) * reach / 1024
        ax.plot(across, down, color=blank(ax), linewidth=4.0, solid_capstyle="butt")
        for shift in (-0.007, 0.007):
            ax.plot(across + shift * reach / 1024, down, color=on(ax, _EDGE), linewidth=0.6)


def _write_numbers(ax: Axes, rows: list[Any]) -> None:
    """Size, ratio and worst cost at the right end, as labels of a second axis."""
    right = ax.secondary_yaxis("right")
    right.set_yticks(np.arange(len(rows)), [_numbers(row) for row in rows])
    right.tick_params(length=0, labelsize=0.92 * font_size(ax), pad=4)
    follow_ground(right)
    for side in (ax.spines["top"], ax.spines["right"], right.spines["right"]):
        side.set_visible(False)


def _numbers(row: Any) -> str:
    if row.size is None:
        return "no size serves"
    ratio = "" if row.ratio is None or not np.isfinite(row.ratio) else f" ({row.ratio:.2f}\u00d7)"
    return f"{size_text(row.size)}{ratio}\nup to {row.most_nodes:,} nodes"
