"""How many allocations fail in a heap of which size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtosheap.plot._axes import (
    axes_for,
    is_narrow,
    legend_above,
    plain,
    short,
    size_text,
    title_of,
    write_ticks,
)
from rtosheap.plot._ground import on
from rtosheap.plot._overlap import tell_apart
from rtosheap.plot._series import draw_line
from rtosheap.plot._style import HEAP_LINES
from rtosheap.sizing.curve import Sizing, SizingCurve, sizing_points
from rtosheap.traces.several import Traces, as_traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sizing(
    data: Traces | Sizing,
    *,
    ax: Axes | None = None,
    legend: bool = True,
    **options: Any,
) -> Axes:
    """Draw how many allocations of a trace fail in a heap of which size.

    A curve for each heap; where it meets the ground, a dot and a line mark the exact smallest size
    that serves. A triangle is at the size that the common advice says, total minus minimum ever
    free, and at what fails there. The dotted line is the peak of live bytes: no heap that is
    smaller can serve. Curves that lie on each other show by turns, dash by dash.

    Parameters
    ----------
    data : Trace, sequence of Trace, or Sizing
        A trace is replayed some 24 times in each heap, and so is each of several, whose failures
        are added up; a `Sizing` (from `sizing_points`) is drawn as it is.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    legend : bool
        Whether to draw a legend above the axes, which also gives the smallest sizes.
    **options
        For traces, the options of :func:`sizing_points`.

    Returns
    -------
    Axes
        x is in KiB, logarithmic; y is logarithmic from 1 on, and shows 0.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.plot import sizing
    >>> ax = sizing(data.load("coap-server"), heaps=["heap_2", "heap_4"])
    >>> ax.get_ylabel()
    'failed allocations'
    """
    if not isinstance(data, Sizing):
        data = sizing_points(as_traces(data, "data"), **options)
    elif options:
        name = next(iter(options))
        raise TypeError(f"{name} is an option for a trace; data is {type(data).__name__}")
    ax = axes_for(ax)
    ax.set_xscale("log", base=2)
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    handles = [_draw(ax, curve, data.peak_live_bytes) for curve in data.curves]
    if data.peak_live_bytes:
        peak = ax.axvline(
            data.peak_live_bytes / 1024,
            color=on(ax, "#777777"),
            linestyle=(0, (1, 1.5)),
            linewidth=1.6,
        )
        peak.set_label(f"peak live: {size_text(data.peak_live_bytes)}")
        handles.append(peak)
    ax.set_ylim(bottom=0.0)
    tell_apart(ax, handles[: len(data.curves)])
    advised = [_advice(ax, curve) for curve in data.curves if curve.advice_size in curve.sizes]
    handles += advised[:1]
    _ticks(ax)
    ax.set_xlabel("heap size (KiB)")
    ax.set_ylabel("failed allocations")
    if legend:
        legend_above(ax, handles, title=title_of(data.trace_name, warnings=data.warnings))
    return ax


def _draw(ax: Axes, curve: SizingCurve, peak: int) -> Any:
    sizes, label = np.array(curve.sizes) / 1024, _label(ax, curve, peak)
    colour, dashes = style = HEAP_LINES[curve.heap]
    line = draw_line(ax, sizes, curve.failures, style, 1.5, label=label, drawstyle="default")
    if curve.minimum is not None:
        colour = on(ax, colour)
        place = curve.minimum / 1024
        ax.axvline(place, color=colour, linestyle=dashes, linewidth=0.7)
        ax.plot([place], [0.0], marker="o", markersize=5, color=colour, clip_on=False, zorder=4)
    return line


def _advice(ax: Axes, curve: SizingCurve) -> Any:
    at = curve.sizes.index(curve.advice_size or 0)
    (mark,) = ax.plot(
        [curve.sizes[at] / 1024],
        [curve.failures[at]],
        linestyle="none",
        marker="v",
        markersize=6,
        color=on(ax, HEAP_LINES[curve.heap][0]),
        clip_on=False,
        zorder=5,
        label="advice: total \u2212 minimum ever free",
    )
    return mark


def _label(ax: Axes, curve: SizingCurve, peak: int) -> str:
    if curve.minimum is None:
        return f"{curve.heap}: no size serves"
    ratio = f" ({curve.minimum / peak:.2f}\u00d7)" if peak and not is_narrow(ax) else ""
    return f"{curve.heap}: {size_text(curve.minimum)}{ratio}"


def _ticks(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    low, high = ax.get_xlim()
    octaves, most = np.log2(high / low), 5 if is_narrow(ax) else 9
    choices = ([1.0, 1.25, 1.5, 1.75], [1.0, 1.5], [1.0])
    subs = next((subs for subs in choices if octaves * len(subs) <= most), choices[-1])
    ax.xaxis.set_major_locator(LogLocator(2, subs=subs, numticks=most))
    ax.xaxis.set_minor_locator(NullLocator())
    write_ticks(ax.xaxis, _rounded)
    write_ticks(ax.yaxis, short)
    ax.yaxis.set_minor_formatter(NullFormatter())


def _rounded(value: float) -> str:
    return plain(round(value, 3))
