"""Address against time: every block a rectangle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.plot import _series
from rtosheap.plot._address import GAP_SCALE_TEXT, AddressScale
from rtosheap.plot._axes import (
    axes_for,
    follow_ground,
    font_size,
    legend_above,
    short,
    size_text,
    title_of,
    write_ticks,
)
from rtosheap.plot._ground import AREA, below, blank, contrast, ink, is_dark, on
from rtosheap.plot._raster import corners, coverage
from rtosheap.plot._style import CATEGORIES, FAILED
from rtosheap.replays import Replay
from rtosheap.replays import blocks as _replay_blocks
from rtosheap.replays.blocks import BlockTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap

#: Beyond this many blocks the rectangles are painted into an image.
_MOST_RECTANGLES = 4_000
#: Beyond this many they are painted in a vector format, too.
_MOST_SHAPES = 1_000
_PIXELS = (640, 1280)  # rows, columns
_MARGIN = 0.05  # of the height, above the arena, for what failed
_OTHER = "other tasks"
_UNKNOWN = "no task"

Floats = npt.NDArray[np.float64]


class _Rectangles(NamedTuple):
    x0: Floats
    x1: Floats
    y0: Floats
    y1: Floats


def memory_over_time(
    replay: Replay,
    *,
    ax: Axes | None = None,
    color_by: Literal["size", "lifetime", "task"] = "size",
    x: _series.TimeAxis = "event",
    whole: bool = True,
    limits: tuple[float, float] | None = None,
    colorbar: bool = True,
    legend: bool = True,
) -> Axes:
    """Draw address against time: every block is a rectangle, from its allocation to its free.

    What is blank is free. Allocations that failed are marked above the arena, where in time they
    happened.
    With more than 4,000 blocks the picture is an image of 1,280 x 640 pixels, in which a pixel is
    as opaque as it is allocated on average, and has the mean colour of what covers it.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size`` (both recorded by default). Of an allocator
        that does not tell block sizes, rectangles are as high as what was requested.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    color_by : {"size", "lifetime", "task"}
        What the colour shows: bytes of the block, how long it lives (both logarithmic), or who
        allocated it; of the tasks the seven with most allocations have colours of their own.
    x : {"event", "time"}
        What the horizontal axis counts: events, or the trace's own time.
    whole : bool
        Whether to show the whole arena, or (False) only as far as it was ever used.
    limits : (float, float), optional
        The least and the greatest block size, or lifetime, of the colours: by default those of this
        replay. Pictures side by side have one scale with the same limits.
    colorbar : bool
        Whether to draw the colour bar beside the axes; only together with a legend.
    legend : bool
        Whether to say what the colours mean, with a colour bar or a legend of the tasks, that what
        is blank is free, and how many allocations failed.

    Returns
    -------
    Axes
        y is the address; with several regions it is the address less what the gaps before it are
        drawn shorter than they are.

    Raises
    ------
    ValueError
        If a column was not recorded, the trace lacks tasks or times that are asked for, an option
        does not exist, or `limits` are not positive and ascending.

    Examples
    --------
    >>> from rtosheap import Heap4, data, replay
    >>> from rtosheap.plot import memory_over_time
    >>> run = replay(data.load("coap-server"), Heap4(40 * 1024))
    >>> ax = memory_over_time(run)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('event', 'address')

    Two of one scale, with one colour bar:

    >>> import matplotlib.pyplot as plt
    >>> from rtosheap import Heap2
    >>> figure, axes = plt.subplots(1, 2, sharey=True, layout="constrained")
    >>> for ax, heap in zip(axes, (Heap2(40 * 1024), Heap4(40 * 1024))):
    ...     run = replay(data.load("coap-server"), heap)
    ...     ax = memory_over_time(run, ax=ax, limits=(16, 4096), colorbar=ax is axes[-1])
    ...     ax.label_outer()
    """
    if not isinstance(replay, Replay):
        raise TypeError(f"replay is {replay!r}; it must be a Replay")
    if color_by not in ("size", "lifetime", "task"):
        raise ValueError(f"color_by is {color_by!r}; it must be 'size', 'lifetime' or 'task'")
    if limits is not None and not 0 < limits[0] < limits[1]:
        raise ValueError(f"limits is {limits!r}; it must be two positive numbers, the less first")
    trace = replay.trace
    if color_by == "task" and trace.task_codes is None:
        raise ValueError("color_by is 'task', but the trace has no tasks")
    time = _series.time_of(trace, x)
    blocks = _replay_blocks.block_table(replay, earlier=True, asked=True)
    scale = AddressScale(replay.regions)
    low = scale.place(blocks.region, blocks.offset)
    rectangles = _Rectangles(
        time[np.maximum(blocks.event, 0)], time[blocks.end], low, low + blocks.size
    )
    ax = axes_for(ax)
    _series.limit_time(ax, time)
    top = _top(scale, rectangles, whole)
    _reach(ax, scale.low[0], top)
    _series.label_time(ax, trace, x)
    scale.apply(ax.yaxis)
    ax.set_ylabel("address")
    if color_by == "task":
        handles = _draw_tasks(ax, replay, blocks, rectangles)
    else:
        mapping = _draw_values(ax, _values(replay, blocks, color_by), rectangles, limits)
        if legend and colorbar:
            _draw_bar(ax, mapping, color_by)
        handles = []
    handles.append(_free(ax))
    scale.draw_gaps(ax)
    handles += _mark_failures(ax, replay, time, top)
    if legend:
        has_gap = len(scale.regions) > 1
        gap = GAP_SCALE_TEXT.format(f"{scale.UNIT:.0%} of the height") if has_gap else ""
        legend_above(ax, handles, title=title_of(gap, warnings=replay.warnings))
    return ax


def _top(scale: AddressScale, rectangles: _Rectangles, whole: bool) -> float:
    if whole or not len(rectangles.y1):
        return scale.end
    return float(rectangles.y1.max())


def _reach(ax: Axes, low: float, high: float) -> None:
    """Show all from `low` to `high`, and what other axes show that share the vertical axis."""
    others = [one for one in ax.get_shared_y_axes().get_siblings(ax) if one.has_data()]
    if others:
        low, high = min(low, ax.get_ylim()[0]), max(high, ax.get_ylim()[1])
    ax.set_ylim(low, high)


# ---------------------------------------------------------------------- colours by value


def _values(replay: Replay, blocks: BlockTable, color_by: str) -> Floats:
    if color_by == "size":
        return blocks.size.astype(np.float64)
    return np.maximum(blocks.end - np.maximum(blocks.event, 0), 1).astype(np.float64)


def _colours(ax: Axes) -> Colormap:
    """Viridis from the ground's lightness to the other end, without what would be lost there."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    ground = below(ax)
    ends = (0.0, 1.0) if is_dark(ground) else (1.0, 0.0)
    shades = mpl.colormaps["viridis"](np.linspace(*ends, 256))
    shown = [shade for shade in shades if contrast(shade[:3], ground[0]) >= AREA]
    return LinearSegmentedColormap.from_list("rtosheap", shown)


def _draw_values(
    ax: Axes, values: Floats, rectangles: _Rectangles, limits: tuple[float, float] | None
) -> ScalarMappable:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    low, high = limits or (
        (float(values.min()), float(values.max())) if len(values) else (1.0, 2.0)
    )
    mapping = ScalarMappable(LogNorm(low, max(high, 2 * low)), _colours(ax))
    if len(values) <= _MOST_RECTANGLES:
        _draw_rectangles(ax, rectangles, mapping.to_rgba(values))
    else:
        pixels = _in_pixels(ax, rectangles)
        covered = coverage(*pixels, _PIXELS)
        mean = coverage(*pixels, _PIXELS, np.log(values)) / np.maximum(covered, 1e-6)
        picture = mapping.to_rgba(np.exp(np.clip(mean, np.log(low), np.log(high))))
        _draw_picture(ax, picture, covered)
    return mapping


def _draw_bar(ax: Axes, mapping: ScalarMappable, color_by: str) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    figure: Any = ax.figure
    bar = figure.colorbar(mapping, cax=ax.inset_axes((1.02, 0.0, 0.03, 1.0)))
    label = "block size" if color_by == "size" else "lifetime (events)"
    bar.set_label(label, fontsize=font_size(ax))
    base, text = (4.0, size_text) if color_by == "size" else (10.0, short)
    follow_ground(bar.ax)
    bar.ax.yaxis.set_major_locator(LogLocator(base))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    write_ticks(bar.ax.yaxis, text)
    bar.ax.tick_params(labelsize=font_size(ax))


# ---------------------------------------------------------------------- colours by task


def _draw_tasks(ax: Axes, replay: Replay, blocks: BlockTable, rectangles: _Rectangles) -> list[Any]:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    owner, names = _owners(replay, blocks)
    colours = np.array([to_rgba(on(ax, colour, AREA)) for colour in CATEGORIES])
    if len(owner) <= _MOST_RECTANGLES:
        _draw_rectangles(ax, rectangles, colours[owner])
    else:
        pixels = _in_pixels(ax, rectangles)
        total, most = np.zeros(_PIXELS), np.zeros(_PIXELS)
        winner = np.zeros(_PIXELS, dtype=np.intp)
        for number in range(len(names)):
            mine = owner == number
            own = _Rectangles(*(side[mine] for side in pixels))
            share = coverage(*own, _PIXELS)
            total += share
            winner[share > most] = number
            np.maximum(most, share, out=most)
        _draw_picture(ax, colours[winner], total)
    return [Patch(facecolor=colours[n], label=name) for n, name in enumerate(names)]


def _owners(replay: Replay, blocks: BlockTable) -> tuple[npt.NDArray[np.intp], list[str]]:
    """A small number for the task of each block, and the tasks' names by that number."""
    codes = replay.trace.task_codes
    assert codes is not None
    mine = np.where(blocks.event >= 0, codes[np.maximum(blocks.event, 0)], -1)
    names = replay.trace.task_names
    counts = np.bincount(mine[mine >= 0], minlength=len(names))
    own = len(CATEGORIES) - (1 if (mine < 0).any() else 0)
    own = own if len(names) <= own else own - 1
    ranked = np.argsort(-counts, kind="stable")
    number = np.full(len(names) + 1, own, dtype=np.intp)  # the last entry serves code -1
    number[ranked[:own]] = np.arange(min(own, len(names)))
    labels = [names[code] for code in ranked[:own]]
    if len(names) > own:
        labels.append(_OTHER)
    if (mine < 0).any():
        number[-1] = len(labels)
        labels.append(_UNKNOWN)
    return number[mine], labels


# ---------------------------------------------------------------------- drawing


def _free(ax: Axes) -> Any:
    """The legend's key of what is blank."""
    from matplotlib.patches import Patch

    return Patch(facecolor=blank(ax), edgecolor=ink(below(ax)), linewidth=0.6, label="free")


def _draw_rectangles(ax: Axes, rectangles: _Rectangles, colours: Any) -> None:
    from matplotlib.collections import PolyCollection

    polygons: Any = corners(*rectangles)
    # The hairline keeps what is narrower than a pixel visible, and closes seams between neighbours.
    look: dict[str, Any] = {"facecolors": colours, "edgecolors": "face", "linewidths": 0.3}
    collection = PolyCollection(polygons, rasterized=len(polygons) > _MOST_SHAPES, **look)
    ax.add_collection(collection, autolim=False)


def _in_pixels(ax: Axes, rectangles: _Rectangles) -> _Rectangles:
    rows, columns = _PIXELS
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    across, up = columns / (right - left), rows / (top - bottom)
    return _Rectangles(
        (rectangles.x0 - left) * across,
        (rectangles.x1 - left) * across,
        (rectangles.y0 - bottom) * up,
        (rectangles.y1 - bottom) * up,
    )


def _draw_picture(ax: Axes, colours: Any, covered: Floats) -> None:
    picture = colours.copy()
    picture[..., 3] = np.clip(covered, 0.0, 1.0)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    ax.imshow(
        picture,
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="antialiased",
    )


def _mark_failures(ax: Axes, replay: Replay, time: Floats, top: float) -> list[Any]:
    """Marks above the arena, one legend entry for each reason."""
    if not replay.failures:
        return []
    bottom = ax.get_ylim()[0]
    ax.axhline(top, color=ink(below(ax)), linewidth=0.8)
    _reach(ax, bottom, top + _MARGIN * (top - bottom))
    found, colour = [], on(ax, FAILED)
    for reason, marker, events in _failures(replay):
        # A mark for each pixel column at most: more could not be told apart.
        places = time[events]
        left, right = ax.get_xlim()
        columns = np.unique(((places - left) / (right - left) * _PIXELS[1]).astype(np.int64))
        shown = left + (columns + 0.5) / _PIXELS[1] * (right - left)
        if len(places) <= _PIXELS[1]:
            shown = places
        (line,) = ax.plot(
            shown,
            np.full(len(shown), top + 0.5 * _MARGIN * (top - bottom)),
            linestyle="none",
            marker=marker,
            markersize=0.5 * font_size(ax),
            color=colour,
            markerfacecolor=colour if reason != "exhaustion" else "none",
            markeredgewidth=0.9,
            clip_on=False,
            label=f"failed: {reason} ({len(events):,})",
        )
        found.append(line)
    return found


def _failures(replay: Replay) -> list[tuple[str, str, npt.NDArray[np.intp]]]:
    if replay.failure is None:
        return [("any reason", "v", np.flatnonzero(_replay_blocks.failed(replay)))]
    reasons = (("fragmentation", "v", 2), ("exhaustion", "s", 1))
    found = [(name, mark, np.flatnonzero(replay.failure == code)) for name, mark, code in reasons]
    return [entry for entry in found if len(entry[2])]
