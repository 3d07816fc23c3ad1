"""The five heaps side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch

from rtosheap.comparison import Comparison
from rtosheap.plot._axes import (
    axes_for,
    counted,
    follow_ground,
    font_size,
    kib,
    legend_above,
    row_font_size,
    size_text,
    title_of,
)
from rtosheap.plot._ground import AREA, below, blank, ink, on
from rtosheap.plot._style import BREAKDOWN
from rtosheap.tables import counted as counted_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._secondary_axes import SecondaryAxis


_LABELS = {
    "payload": "requested",
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
    smaller. A line is at the `heap_size` that was asked about, too. At the right: the size, its
    ratio to the peak, and the most free-list entries that one call reads. A bar that is more than
    2.5 times as long as the next (heap_1's, as a rule) is cut off, and says how much more there is.

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
        x is in KiB; in bytes where all that is drawn is less than 4 KiB.

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
    reach = max(_reach(one) for one in shown)
    unit = 1024 if reach >= _BYTES_BELOW else 1
    places = np.arange(len(rows))
    handles: list[Any] = []
    left = np.zeros(len(rows))
    for part, fill in BREAKDOWN.items():
        widths = np.array([_part(row, part) / unit for row in rows])
        if not widths.any():
            if beside is not None and any(_part(row, part) for row in beside):
                handles.append(Patch(label=_LABELS[part], **fill.patch(ax)))
            continue
        bars = ax.barh(
            places, widths, height=0.68, left=left, label=_LABELS[part], **fill.patch(ax)
        )
        handles.append(bars)
        left += widths
    rest = np.array(sizes) / unit - left  # nothing, where the breakdown is whole
    if (rest > 1e-9).any():
        ax.barh(
            places, np.maximum(rest, 0.0), height=0.68, left=left, color=on(ax, "#dddddd", AREA)
        )
    ax.barh(
        places, np.array(sizes) / unit, height=0.68, fill=False, edgecolor=on(ax, _EDGE), lw=0.6
    )
    marks = [_mark(ax, result.peak_live_bytes / unit, _PEAK, (0, (4, 1.5)), "peak of live bytes")]
    if result.heap_size is not None:
        label = f"heap_size: {size_text(result.heap_size)}"
        marks.append(_mark(ax, result.heap_size / unit, _EDGE, "solid", label))
    ax.set_xlim(0.0, max(reach, 1) / unit)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(places, [row.heap for row in rows])
    ax.tick_params(axis="y", length=0)
    label = "smallest heap that serves"
    if unit == 1:
        counted(ax.xaxis, f"{label} (bytes)")
    else:
        kib(ax.xaxis, label)
    _cut_long_bars(ax, sizes, reach, unit)
    numbers = _write_numbers(ax, rows)
    if legend:
        legend_above(ax, [*handles, *marks], title=_title(result))
    numbers.tick_params(labelsize=0.92 * row_font_size(ax, 2 * len(rows)))  # it may be low now
    return ax


_PEAK, _EDGE = "#d1350f", "#222222"
#: Less than that is shown in bytes.
_BYTES_BELOW = 4096


def _mark(ax: Axes, at: float, colour: str, dashes: Any, label: str) -> Any:
    line = ax.axvline(at, color=on(ax, colour), linestyle=dashes, linewidth=1.4)
    line.set_label(label)
    return line


def _part(row: Any, part: str) -> int:
    return int((row.breakdown or {}).get(part, 0))


def _title(result: Comparison) -> str | None:
    peak = f"peak of live bytes {size_text(result.peak_live_bytes)}"
    return title_of(result.trace_name, peak, warnings=result.warnings)


def _sizes(result: Comparison) -> list[int]:
    return [0 if row.size is None else row.size for row in result]


def _reach(result: Comparison) -> float:
    """How far the axis goes: past the longest bar, or past the second when that is cut."""
    ranked = sorted((*_sizes(result), result.peak_live_bytes, result.heap_size or 0), reverse=True)
    longest = next((size for size in ranked if size * _CUT >= ranked[0]), 0)
    second = ranked[1] if len(ranked) > 1 else longest
    if second and ranked[0] > _CUT * second:
        return 1.3 * second
    return 1.04 * ranked[0]


def _cut_long_bars(ax: Axes, sizes: list[int], reach: float, unit: int) -> None:
    """A blank zigzag through each bar that the axis does not show to its end, and how much more
    there is.
    """
    for place, size in enumerate(sizes):
        if size <= reach:
            continue
        down = np.linspace(place - 0.4, place + 0.4, 9)
        across = (0.955 + 0.012 * (np.arange(9) % 2)) * reach / unit
        ax.plot(across, down, color=blank(ax), linewidth=4.0, solid_capstyle="butt")
        for shift in (-0.007, 0.007):
            ax.plot(across + shift * reach / unit, down, color=on(ax, _EDGE), linewidth=0.6)
        ax.text(
            0.94 * reach / unit,
            place,
            f"+{size_text(size - reach)}",
            ha="right",
            va="center",
            fontsize=0.92 * font_size(ax),
            color=ink(below(ax)),
            bbox={"facecolor": blank(ax), "edgecolor": "none", "pad": 1.5},
        )


def _write_numbers(ax: Axes, rows: list[Any]) -> SecondaryAxis:
    """Size, ratio and worst cost at the right end, as labels of a second axis."""
    right = ax.secondary_yaxis("right")
    right.set_yticks(np.arange(len(rows)), [_numbers(row) for row in rows])
    right.tick_params(length=0, labelsize=0.92 * font_size(ax), pad=4)
    follow_ground(right)
    for side in (ax.spines["top"], ax.spines["right"], right.spines["right"]):
        side.set_visible(False)
    return right


def _numbers(row: Any) -> str:
    if row.size is None:
        return "no size serves"
    ratio = "" if row.ratio is None or not np.isfinite(row.ratio) else f" ({row.ratio:.2f}\u00d7)"
    entries = f"\nreads up to {counted_text(row.most_nodes, 'entry')}" if row.most_nodes else ""
    return f"{size_text(row.size)}{ratio}{entries}"
