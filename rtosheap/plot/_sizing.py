"""How many allocations fail in a heap of which size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rtosheap._rig import Rig, UnservableError
from rtosheap.compare import Comparison
from rtosheap.kinds import NAMES, HeapKind, heap_class, heap_name
from rtosheap.plot._axes import (
    axes_for,
    is_narrow,
    legend_above,
    plain,
    set_text_sizes,
    short,
    size_text,
)
from rtosheap.plot._style import HEAP_LINES
from rtosheap.sizing import MinimumSize, minimum_heap_size
from rtosheap.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Without `regions`, where heap_5 has its first, and how far from it the second is: as in compare.
_BASE, _GAP = 0x2000_0000, 0x1000
_POINTS = 24


class SizingCurve(NamedTuple):
    """What happens to a trace in heaps of one kind.

    Attributes
    ----------
    heap : str
        The heap's name.
    sizes, failures : tuple of int
        Bytes of each heap that was tried, ascending, and how many allocations failed in it.
    minimum : int or None
        The smallest size that serves; None when none does.
    """

    heap: str
    sizes: tuple[int, ...]
    failures: tuple[int, ...]
    minimum: int | None


class Sizing(NamedTuple):
    """What :func:`sizing` draws.

    Attributes
    ----------
    trace_name : str
    peak_live_bytes : int
        Of the trace.
    curves : tuple of SizingCurve
    """

    trace_name: str
    peak_live_bytes: int
    curves: tuple[SizingCurve, ...]


def sizing_points(
    trace: Trace,
    *,
    heaps: Iterable[HeapKind] = NAMES,
    sizes: Iterable[int] | None = None,
    minima: Comparison | Mapping[str, int | MinimumSize | None] | None = None,
    regions: Sequence[tuple[int, int | None]] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Sizing:
    """Replay a trace in heaps of many sizes: the numbers that :func:`sizing` draws.

    Parameters
    ----------
    trace : Trace
    heaps : iterable of heap classes or names
        By default all five.
    sizes : iterable of int, optional
        Bytes of the heaps to try. By default 24 sizes in equal ratios, from half the peak of live
        bytes to somewhat above the largest minimum; and each heap's minimum and one step below.
    minima : Comparison, or mapping of str to int or MinimumSize, optional
        What :func:`rtosheap.compare.compare` or :func:`rtosheap.sizing.minimum_heap_size` (by the
        heap's name) found already, so that it need not be computed again.
    regions : sequence of (int, int or None), optional
        heap_5's regions, of which the last is varied. By default two, the first of them half as
        large as heap_4's minimum.
    progress : callable, optional
        Called as ``progress(done, total)`` with counts of replays.

    Returns
    -------
    Sizing

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.plot import sizing_points
    >>> points = sizing_points(data.load("coap-server"), heaps=["heap_4"], sizes=[30000, 40000])
    >>> points.curves[0].failures
    (14, 0)
    """
    if not isinstance(trace, Trace):
        raise TypeError(f"trace is {trace!r}; it must be a Trace")
    names = [heap_name(heap) for heap in heaps]
    if isinstance(minima, Comparison):
        known: dict[str, Any] = {row.heap: row.size for row in minima}
        regions = regions or _regions_of(minima)
    else:
        known = dict(minima or {})
    if "heap_5" in names and regions is None:
        regions = _default_regions(trace, known)
    found = {name: _minimum(trace, name, known, regions) for name in names}
    wanted = None if sizes is None else sorted({int(size) for size in sizes})
    grids = {name: _grid(trace, name, found, wanted) for name in names}
    total, done = sum(map(len, grids.values())), 0
    curves = []
    for name in names:
        rig = Rig(trace, heap_class(name), {}, regions=regions if name == "heap_5" else None)
        tried, failures = [], []
        for size in grids[name]:
            count = _failures(rig, size - rig.fixed_bytes)
            if count is not None:
                tried.append(size)
                failures.append(count)
            done += 1
            if progress is not None:
                progress(done, total)
        curves.append(SizingCurve(name, tuple(tried), tuple(failures), found[name]))
    return Sizing(trace.name, trace.peak_live_bytes, tuple(curves))


def _regions_of(result: Comparison) -> list[tuple[int, int | None]] | None:
    """The regions of heap_5 in a comparison, the last one open."""
    for row in result:
        if row.heap == "heap_5" and row.regions:
            return [*row.regions[:-1], (row.regions[-1][0], None)]
    return None


def _default_regions(trace: Trace, known: dict[str, Any]) -> list[tuple[int, int | None]]:
    if "heap_4" not in known:
        known["heap_4"] = _minimum(trace, "heap_4", known, None)
    minimum = _as_size(known["heap_4"]) or 2 * trace.peak_live_bytes
    first = max(minimum // 2 // 8 * 8, 64)
    second = (_BASE + first + 2 * _GAP - 1) // _GAP * _GAP
    return [(_BASE, first), (second, None)]


def _minimum(
    trace: Trace,
    name: str,
    known: Mapping[str, Any],
    regions: Sequence[tuple[int, int | None]] | None,
) -> int | None:
    if name in known:
        return _as_size(known[name])
    try:
        return minimum_heap_size(trace, name, regions=regions if name == "heap_5" else None).size
    except UnservableError:
        return None


def _as_size(minimum: int | MinimumSize | None) -> int | None:
    return minimum.size if isinstance(minimum, MinimumSize) else minimum


def _grid(
    trace: Trace, name: str, found: Mapping[str, int | None], wanted: Sequence[int] | None
) -> list[int]:
    if wanted is not None:
        return list(wanted)
    low = max(trace.peak_live_bytes / 2, 64.0)
    high = 1.15 * max([size for size in found.values() if size] + [2 * low])
    grid = {int(size) for size in np.geomspace(low, high, _POINTS)}
    minimum = found[name]
    if minimum is not None:
        grid |= {minimum, minimum - 8}
    return sorted(grid)


def _failures(rig: Rig, size: int) -> int | None:
    """How many allocations fail in a heap of this size; None where there can be no such heap."""
    if size <= 0 or not rig.constructible(size):
        return None
    return rig.replay(rig.heap(size), stop=False).failures


def sizing(
    data: Trace | Sizing,
    *,
    ax: Axes | None = None,
    legend: bool = True,
    **options: Any,
) -> Axes:
    """Draw how many allocations of a trace fail in a heap of which size.

    A curve for each heap; where it meets the ground, a dot and a line mark the exact smallest size
    that serves. The dotted line is the peak of live bytes: no heap that is smaller can serve.

    Parameters
    ----------
    data : Trace or Sizing
        A trace is replayed some 24 times in each heap; a `Sizing` (from `sizing_points`) is drawn
        as it is.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    legend : bool
        Whether to draw a legend above the axes, which also gives the smallest sizes.
    **options
        For a trace, the options of :func:`sizing_points`.

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
    if isinstance(data, Trace):
        data = sizing_points(data, **options)
    elif options:
        name = next(iter(options))
        raise TypeError(f"{name} is an option for a trace; data is {type(data).__name__}")
    if not isinstance(data, Sizing):
        raise TypeError(f"data is {data!r}; it must be a Trace or a Sizing")
    ax = axes_for(ax)
    set_text_sizes(ax)
    ax.set_xscale("log", base=2)
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    handles, labels = [], []
    for curve in data.curves:
        handles.append(_draw(ax, curve))
        labels.append(_label(ax, curve, data.peak_live_bytes))
        handles[-1].set_label(labels[-1])
    if data.peak_live_bytes:
        peak = ax.axvline(
            data.peak_live_bytes / 1024, color="#777777", linestyle=(0, (1, 1.5)), linewidth=1.6
        )
        handles.append(peak)
        labels.append(f"peak live: {size_text(data.peak_live_bytes)}")
    ax.set_ylim(bottom=0.0)
    _ticks(ax)
    ax.set_xlabel("heap size (KiB)")
    ax.set_ylabel("failed allocations")
    if legend:
        legend_above(ax, handles, labels, title=data.trace_name or None)
    return ax


def _draw(ax: Axes, curve: SizingCurve) -> Any:
    colour, dashes = HEAP_LINES[curve.heap]
    (line,) = ax.plot(
        np.array(curve.sizes) / 1024,
        curve.failures,
        color=colour,
        linestyle=dashes,
        linewidth=1.5,
    )
    if curve.minimum is not None:
        place = curve.minimum / 1024
        ax.axvline(place, color=colour, linestyle=dashes, linewidth=0.7, alpha=0.8)
        ax.plot([place], [0.0], marker="o", markersize=5, color=colour, clip_on=False, zorder=4)
    return line


def _label(ax: Axes, curve: SizingCurve, peak: int) -> str:
    if curve.minimum is None:
        return f"{curve.heap}: no size serves"
    ratio = f" ({curve.minimum / peak:.2f}\u00d7)" if peak and not is_narrow(ax) else ""
    return f"{curve.heap}: {size_text(curve.minimum)}{ratio}"


def _ticks(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = ax.get_xlim()
    octaves, most = np.log2(high / low), 5 if is_narrow(ax) else 9
    choices = ([1.0, 1.25, 1.5, 1.75], [1.0, 1.5], [1.0])
    subs = next((subs for subs in choices if octaves * len(subs) <= most), choices[-1])
    ax.xaxis.set_major_locator(LogLocator(2, subs=subs, numticks=most))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(round(value, 3))))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())
