"""The most that malloc and free can cost, against the size of the heap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from rtosheap.cortexm import Bound, Measurement
from rtosheap.plot._axes import axes_for, legend_above, plain, size_text, write_ticks
from rtosheap.plot._ground import on
from rtosheap.plot._style import CYCLE
from rtosheap.traces import Op

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OPS = {"malloc": Op.MALLOC, "free": Op.FREE}
#: How each of the three is drawn: line, marker, and whether the marker is filled.
_Style: TypeAlias = tuple[Any, str, bool]
_PROVEN: _Style = ("-", "o", True)
_FOUND: _Style = ("--", "o", False)
_TYPICAL: _Style = (":", "s", True)


def bound(
    bounds: Bound | Iterable[Bound],
    measurements: Iterable[Measurement] = (),
    *,
    call: str = "malloc",
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the most that a call can cost, against the size of the heap.

    A colour for each heap, with and without its index (and for each processor and level, where
    there are several). The solid line is what is proven, the broken one the worst that was found,
    and the dotted one what is typical: the median over a trace.

    Parameters
    ----------
    bounds : Bound or iterable of Bound
        Of `rtosheap.cortexm.bound`, for several sizes.
    measurements : iterable of Measurement, optional
        Of `rtosheap.cortexm.measure`: what is typical.
    call : {"malloc", "free"}
        Which call.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    legend : bool
        Whether to draw a legend above the axes.

    Returns
    -------
    Axes
        x is the size of the heap, y instructions; both are logarithmic.

    Raises
    ------
    TypeError
        `bounds` are none, or `measurements` are none.
    ValueError
        There are no bounds, or the call is neither.

    Examples
    --------
    >>> from rtosheap import cortexm, plot
    >>> sizes = (1024, 4096)
    >>> bounds = [cortexm.bound("heap_4", heap_size=size, search=0) for size in sizes]
    >>> ax = plot.bound(bounds, call="free")
    >>> ax.get_ylabel(), [label.get_text() for label in ax.get_xticklabels()]
    ('instructions of a free', ['1 KiB', '4 KiB'])
    """
    given = [bounds] if isinstance(bounds, Bound) else list(bounds)
    measured = list(measurements)
    for one in given:
        if not isinstance(one, Bound):
            raise TypeError(f"bounds has {one!r}; it must be of rtosheap.cortexm.bound")
    for run in measured:
        if not isinstance(run, Measurement):
            raise TypeError(f"measurements has {run!r}; it must be of rtosheap.cortexm.measure")
    if not given:
        raise ValueError("bounds is empty; it must have one or more of rtosheap.cortexm.bound")
    if call not in _OPS:
        raise ValueError(f"call is {call!r}; it must be 'malloc' or 'free'")
    ax = axes_for(ax)
    names = _names([*given, *measured])
    handles = []
    for number, name in enumerate(dict.fromkeys(names.values())):
        own = sorted((b for b in given if names[id(b)] == name), key=lambda b: b.heap_size)
        runs = sorted((m for m in measured if names[id(m)] == name), key=_size)
        colour = CYCLE[number % len(CYCLE)][0]
        sizes = [b.heap_size for b in own]
        ax.plot(sizes, [getattr(b, call) for b in own], linewidth=1.5, **_look(ax, colour, _PROVEN))
        ax.plot(
            sizes,
            [getattr(b, f"{call}_found") for b in own],
            linewidth=1.5,
            **_look(ax, colour, _FOUND),
        )
        typical = [run.percentile(_OPS[call], 50) for run in runs]
        ax.plot([_size(run) for run in runs], typical, linewidth=1.5, **_look(ax, colour, _TYPICAL))
        handles.append(_handle(ax, colour, name, ("-", "", True)))
    _scale(ax, [b.heap_size for b in given] + [_size(run) for run in measured], call)
    handles += [_handle(ax, "#777777", "proven", _PROVEN), _handle(ax, "#777777", "found", _FOUND)]
    if measured:
        handles.append(_handle(ax, "#777777", "typical", _TYPICAL))
    if legend:
        builds = {f"{one.cpu} {one.optimize}" for one in given}
        legend_above(
            ax, handles, title=", ".join([*sorted(builds)[: len(builds) == 1], given[0].compiler])
        )
    return ax


def _names(results: Sequence[Bound | Measurement]) -> dict[int, str]:
    """What the legend calls each."""
    builds = {(result.cpu, result.optimize) for result in results}
    names = {}
    for result in results:
        build = f", {result.cpu} {result.optimize}" if len(builds) > 1 else ""
        names[id(result)] = f"{result.heap}{' with an index' if result.index else ''}{build}"
    return names


def _size(run: Measurement) -> int:
    return int(run.replay.heap.size)


def _look(ax: Axes, colour: str, style: _Style) -> dict[str, Any]:
    line, marker, filled = style
    colour = on(ax, colour)
    face = colour if filled else "none"
    return {
        "color": colour, "linestyle": line, "marker": marker, "markersize": 4,
        "markerfacecolor": face,
    }  # fmt: skip


def _handle(ax: Axes, colour: str, label: str, style: _Style) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **_look(ax, colour, style))


def _scale(ax: Axes, sizes: Sequence[int], call: str) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ticks = sorted(set(sizes))
    ticks = ticks[:: -(-len(ticks) // 8)]
    ax.set_xticks(ticks, [size_text(size) for size in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("heap size")
    ax.set_ylabel(f"instructions of a {call}")
    write_ticks(ax.yaxis, plain)
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", color=on(ax, "#999999"), alpha=0.3, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
