"""Where a heap's bytes are over time: requested, taken and free."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.allocators import Allocator
from rtosheap.plot import _series
from rtosheap.plot._axes import (
    axes_for,
    font_size,
    height_inches,
    kib,
    legend_above,
    size_text,
    title_of,
    width_inches,
)
from rtosheap.plot._fit import settle
from rtosheap.plot._ground import around, below, blank, ink, on
from rtosheap.plot._style import ALLOCATED, FAILED, FREE, Fill
from rtosheap.replays import COLUMNS, Replay
from rtosheap.replays import blocks as _replay_blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

_REST = Fill("#56a0d3")
#: Inches from which on there is room for names beside the areas.
_WIDE = 6.0
#: Of the height, above the heap's size, for what failed.
_MARGIN = 0.05
#: Beyond this many points an area is painted, in a vector format, too.
_MOST_POINTS = 2_000


class _Area(NamedTuple):
    """Bytes of one sort, up to an edge; one without an edge reaches to the heap's size."""

    name: str
    fill: Fill | None
    edge: Floats | None


def usage(
    replay: Replay,
    *,
    ax: Axes | None = None,
    x: _series.TimeAxis = "event",
    legend: bool = True,
) -> Axes:
    """Draw where the heap's bytes are over time: requested, taken and free.

    From the bottom: live bytes as the program requested them; the rest of the allocated blocks,
    which is headers, padding and unsplit remainders (and on heap_1 what was freed); what is free in
    blocks other than the largest; and the largest free block, if it was recorded. The upper end is
    the size of the heap. A dot marks where the least was ever free; allocations that failed are
    marked above.

    A trace of more than 32,000 events is thinned to the lowest and highest values of 4,000 runs of
    events, which covers the same pixels.

    Parameters
    ----------
    replay : Replay
        With the columns ``address``, ``block_size`` and ``free_size`` (recorded by default).
        ``record="all"`` has the largest free block, too. What an allocator of your own does not
        tell is left out.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    x : {"event", "time"}
        What the horizontal axis counts: events, or the trace's own time.
    legend : bool
        Whether to name the areas, at the right or, in a narrow figure, above the axes, and to say
        above them which heap it is, of which trace, and what was ever free.

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
    areas, free, earlier = _areas(replay)
    size = sum(size for _, size in replay.regions) / 1024
    ax = axes_for(ax)
    for area in reversed(areas):  # the lower lie on the higher, without a seam
        _draw(ax, time, area)
    title = _mark_least(ax, time, free, earlier, size)
    _series.limit_time(ax, time)
    ax.set_ylim(0.0, size)
    failures = _failures(ax, time, replay, size)
    _series.label_time(ax, replay.trace, x)
    kib(ax.yaxis, "size")
    if legend:
        heap = f"{replay.heap_kind} of {size_text(1024 * size)}"
        narrow = width_inches(ax) < _WIDE
        handles = [_handle(ax, area) for area in reversed(areas)] if narrow else []
        said = title_of(heap, replay.trace.name, title, warnings=replay.warnings)
        legend_above(ax, [*handles, *failures], title=said)
        if not narrow:
            _name_areas(ax, areas, size)
    return ax


def _areas(replay: Replay) -> tuple[list[_Area], Floats | None, int | None]:
    """The areas from the bottom; bytes free, and the least of them before the trace."""
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
    asked = _replay_blocks.live_bytes(replay, blocks)
    areas = [_Area("requested", ALLOCATED, _kib(asked))]
    if "block_size" in known:
        taken = _replay_blocks.allocated_bytes(replay, blocks) + earlier
        areas.append(_Area("rest of allocated blocks", _REST, _kib(taken)))
    size = sum(size for _, size in replay.regions)
    largest = replay.largest_free_block
    if largest is not None:
        smaller = _kib(size - largest.astype(np.int64))
        areas.append(_Area("free, in smaller blocks", FREE, smaller))
    above = "free" if free is not None else "not told"
    areas.append(_Area(above if largest is None else "largest free block", None, None))
    return areas, None if free is None else _kib(free), start


def _kib(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float64) / 1024


def _draw(ax: Axes, time: Floats, area: _Area) -> None:
    if area.edge is None or area.fill is None:
        return
    kept = _series.thin(area.edge)
    edge = np.append(area.edge[kept], area.edge[-1:])  # the last value holds to the end
    places = np.append(time[kept], time[-1:] if len(area.edge) else time[:0])
    look = {**area.fill.plain(ax), "label": area.name, "rasterized": len(edge) > _MOST_POINTS}
    ax.fill_between(places, 0.0, edge, step="post", **look)


def _mark_least(
    ax: Axes, time: Floats, free: Floats | None, earlier: int | None, size: float
) -> str:
    """A dot where the least was ever free, and how much that is in words."""
    if free is None or not len(free):
        return ""
    event = int(free.argmin())
    if earlier is not None and earlier < 1024 * free[event]:
        return f"minimum ever free {size_text(earlier)} (before this)"
    ax.plot(
        time[event], size - free[event], linestyle="none", marker="o", markersize=6, zorder=4,
        color=ink(below(ax)), markeredgecolor=blank(ax), clip_on=False,
        label="minimum ever free",
    )  # fmt: skip
    return f"minimum ever free {size_text(1024 * free[event])} (dot)"


def _failures(ax: Axes, time: Floats, replay: Replay, size: float) -> list[Any]:
    if not replay.failures:
        return []
    ax.axhline(size, color=ink(below(ax)), linewidth=0.8)
    ax.set_ylim(0.0, (1 + _MARGIN) * size)
    places = np.unique(time[np.flatnonzero(_replay_blocks.failed(replay))])
    (marks,) = ax.plot(
        places,
        np.full(len(places), (1 + _MARGIN / 2) * size),
        linestyle="none",
        marker="v",
        markersize=0.5 * font_size(ax),
        color=on(ax, FAILED),
        clip_on=False,
        zorder=5,
        label=f"failed ({replay.failures:,})",
    )
    return [marks]


# ---------------------------------------------------------------------- names of areas


def _handle(ax: Axes, area: _Area) -> Any:
    from matplotlib.patches import Patch

    if area.fill is None:
        return Patch(facecolor="none", edgecolor=ink(below(ax)), linewidth=0.6, label=area.name)
    return Patch(**area.fill.plain(ax), label=area.name)


def _name_areas(ax: Axes, areas: list[_Area], size: float) -> None:
    """Each area's name at the right of it, with a line to where it ends."""
    settle(ax)
    height, font = 72 * height_inches(ax), font_size(ax)
    width = 72 * ax.get_window_extent().width / ax.figure.dpi
    ends = [area.edge[-1] for area in areas if area.edge is not None and len(area.edge)]
    edges = [0.0, *(ends or [0.0] * (len(areas) - 1)), size]
    top = ax.get_ylim()[1]
    middles = [(low + high) / 2 / top for low, high in pairwise(edges)]
    places = _apart([height * middle for middle in middles], 1.3 * font, height)
    for area, middle, place in zip(areas, middles, places, strict=True):
        colour = ink(around(ax)) if area.fill is None else area.fill.plain(ax)["facecolor"]
        ax.annotate(
            area.name,
            (1.0, middle),
            (1.0 + 1.8 * font / width, place / height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=font,
            color=ink(around(ax)),
            arrowprops={
                "arrowstyle": "-", "color": colour, "linewidth": 0.8 if area.fill is None else 2.0,
                "shrinkA": 1, "shrinkB": 0, "relpos": (0.0, 0.5),
            },
            annotation_clip=False,
        )  # fmt: skip


def _apart(places: list[float], gap: float, most: float) -> list[float]:
    """Ascending places, moved so that none is nearer to the next than `gap`, or too high."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap if found else gap / 2))
    for at in range(len(found) - 1, -1, -1):
        found[at] = min(found[at], (found[at + 1] if at + 1 < len(found) else most + gap / 2) - gap)
    return found
