"""The arena as rows of address space, drawn once."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.allocators import Allocator
from rtosheap.fragmentation import largest_request, requested_sizes
from rtosheap.heaps import Heap
from rtosheap.heaps.headers import corrupt_headers
from rtosheap.heaps.layout import Layout, locate, region_spans
from rtosheap.plot import _arena
from rtosheap.plot._address import GAP_SCALE_TEXT, hexadecimal, power_of_two_step, write_gap
from rtosheap.plot._axes import axes_for, height_inches, is_narrow, legend_above, size_text
from rtosheap.plot._ground import blank, on
from rtosheap.plot._raster import coverage
from rtosheap.plot._rows import ROW_HEIGHT, Rows, Spans
from rtosheap.plot._style import CORRUPT, FAILED, GAP_TEXT, HEADER, heap_kind
from rtosheap.replays import Replay
from rtosheap.replays import blocks as _replay_blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

#: Beyond this many pieces a map is painted into an image instead of drawn piece by piece.
_MOST_PIECES = 20_000
_COLUMNS = 1024
_ROW_PIXELS = 6  # of which the last is blank


def heap_map(
    heap: Heap | Allocator | Replay,
    *,
    ax: Axes | None = None,
    event: int | None = None,
    request: int | None = None,
    requested: Mapping[int, int] | None = None,
    row_bytes: int | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the arena as rows of address space, the lowest address first.

    Allocated and free memory, headers and padding differ in colour and in hatch or lightness; grey
    is what belongs to no block: alignment loss and end markers. heap_5's regions are strips of
    their own, and the gaps between them are drawn to a logarithmic scale, which the legend states.
    Blocks are drawn from the shadow outside the arena, so that a corrupt heap can be drawn too:
    overwritten headers are marked with a cross.

    Of a replay, the map shows the heap as it was just before an event, with its padding. Where that
    event is an allocation that failed, or a heap is given a `request` that does not fit, the
    largest hole is framed, and what would serve is told. Where enough is free in all, the pins have
    a colour of their own: the allocated blocks between the holes, as `Replay.pins` lists them.

    Parameters
    ----------
    heap : Heap, ForeignHeap or Replay
        Of a `ForeignHeap` what was requested in live blocks, and what its walk says is free.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    event : int, optional
        Of a replay: before which event; by default the first that failed, or the end if none did.
    request : int, optional
        Bytes of an allocation that fails; by default those of a replay's failed event.
    requested : mapping of int to int, optional
        Bytes requested, by payload address. A heap does not remember them; given them, what was
        not requested in a block is drawn as padding (unsplit remainders included).
        :func:`rtosheap.fragmentation.requested_sizes` has them for a replay, of which they are
        known.
    row_bytes : int, optional
        Bytes per row, a power of two. By default there are at most 24 rows.
    legend : bool
        Whether to say above the axes what the colours mean, and the heap's numbers.

    Returns
    -------
    Axes
        x is the offset in a row, in bytes; y counts rows from the top.

    Raises
    ------
    TypeError
        If `heap` is neither a heap nor a replay, or `event` is given without a replay.
    ValueError
        If `request` is negative, `row_bytes` is no power of two or makes more than 1,024 rows, an
        allocator that is not ours does not tell its free blocks, a column was not recorded, or
        there is no such event.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.plot import heap_map
    >>> heap = Heap4(16 * 1024)
    >>> blocks = [heap.malloc(size) for size in (100, 2000, 30, 4000)]
    >>> heap.free(blocks[1])
    >>> ax = heap_map(heap)
    >>> ax.get_xlabel()
    'offset in a row of 1 KiB'

    Why did the first allocation fail?

    >>> from rtosheap import data, replay
    >>> ax = heap_map(replay(data.load("coap-server"), Heap4(28 * 1024)))
    """
    if isinstance(heap, Replay):
        heap, asked, failed = _before(heap, event)
        requested = asked if requested is None else requested
        request = failed if request is None else request
    elif event is not None:
        raise TypeError(f"event is {event}, but heap is {heap!r}; only a replay has events")
    if not isinstance(heap, Heap | Allocator):
        raise TypeError(f"heap is {heap!r}; it must be a heap, such as Heap4(16384), or a replay")
    hole = None if request is None else _largest_hole(heap, request)
    layers = _arena.layers(heap, requested, pins=hole is not None and hole.pins)
    rows = Rows(region_spans(heap) if isinstance(heap, Heap) else heap.regions, row_bytes)
    ax = axes_for(ax)
    painted = sum(len(layer.spans.size) for layer in layers) > _MOST_PIECES
    if painted:
        paint(ax, rows, layers)
    else:
        _draw_pieces(ax, rows, layers)
        if not isinstance(heap, Heap) or not Layout.of(heap).header:
            _part_blocks(ax, rows, layers[1])
    corrupt = corrupt_headers(heap) if isinstance(heap, Heap) else []
    marks = _mark(ax, rows, corrupt)
    set_up_axes(ax, rows)
    frame = None if hole is None or not hole.size else _frame(ax, rows, hole)
    if legend:
        shown = [layer for layer in layers if len(layer.spans.size)]
        handles = keys(ax, [*shown[1:], *shown[:1]], painted=painted)
        if corrupt:
            handles.append(marks)
        if frame is not None:
            handles.append(frame)
        title = _title(heap, corrupt) + ("" if hole is None else hole.text) + gap_text(rows)
        legend_above(ax, handles, title=title)
    return ax


class _Hole(NamedTuple):
    """The largest of the holes, none of which serves a request."""

    address: int
    size: int
    pins: bool
    """Whether enough is free in all."""
    text: str


def _before(replay: Replay, event: int | None) -> tuple[Any, dict[int, int], int | None]:
    """The heap before an event, what was requested in it, and what of the event failed."""
    event = replay.first_failure if event is None else operator.index(event)
    if event is None:
        return replay.heap, requested_sizes(replay), None
    heap = replay.heap_at(event)
    asked = requested_sizes(replay, event - 1) if event else {}
    failed = bool(_replay_blocks.failed(replay)[event])
    return heap, asked, int(replay.trace.size[event]) if failed else None


def _largest_hole(heap: Heap | Allocator, request: int) -> _Hole | None:
    """None where the request would succeed."""
    if request < 0:
        raise ValueError(f"request is {request}; it must be 0 or more bytes")
    holes = _arena.holes(heap)
    address, size = max(holes, key=lambda hole: hole[1], default=(0, 0))
    most = largest_request(heap) if isinstance(heap, Heap) else size
    if request <= most:
        return None
    text = f"\n{request:,} bytes do not fit: at most {most:,} would, {request - most:,} fewer"
    return _Hole(address, size, sum(free for _, free in holes) >= request, text)


def _frame(ax: Axes, rows: Rows, hole: _Hole) -> Any:
    """A frame round the hole, in each row that it lies in; returns the legend's."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    place = locate(rows.regions, hole.address)
    assert place is not None
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": on(ax, FAILED), "linewidth": 1.8}
    polygons: Any = rows.polygons(rows.split(Spans.of([place[0]], [place[1]], [hole.size])))
    ax.add_collection(PolyCollection(polygons, zorder=4, clip_on=False, **look), autolim=False)
    return Patch(label=f"largest hole ({size_text(hole.size)})", **look)


def keys(ax: Axes, layers: Sequence[_arena.Layer], *, painted: bool) -> list[Any]:
    """Handles of a legend, of layers that are drawn or (`painted`) are parts of an image."""
    from matplotlib.patches import Patch

    looks = [layer.fill.plain(ax) if painted else layer.fill.patch(ax) for layer in layers]
    return [Patch(**look, label=layer.label) for look, layer in zip(looks, layers, strict=True)]


def set_up_axes(ax: Axes, rows: Rows) -> None:
    """Limits, ticks and labels."""
    ax.set_xlim(0, rows.row_bytes)
    ax.set_ylim(rows.height - (1 - ROW_HEIGHT), 0)
    step = power_of_two_step(rows.row_bytes, 2 if is_narrow(ax) else 4)
    ticks = range(0, rows.row_bytes + 1, step)
    ax.set_xticks(list(ticks), [f"+0x{tick:x}" if tick else "0" for tick in ticks])
    rows.apply(ax.yaxis)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"offset in a row of {size_text(rows.row_bytes)}")
    ax.set_ylabel("address")
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    _draw_gaps(ax, rows)


def _draw_gaps(ax: Axes, rows: Rows) -> None:
    row = 0.75 * height_inches(ax) * 72 / rows.height  # in points, with room left for a legend
    for top, bottom, gap in rows.gaps:
        above = top - (1 - ROW_HEIGHT)  # where the last row ends
        if not gap:
            ax.axhline((above + bottom) / 2, color=on(ax, GAP_TEXT), linewidth=0.8)
        else:
            write_gap(ax, rows.row_bytes / 2, (above + bottom) / 2, gap, (bottom - above) * row)


def paint(ax: Axes, rows: Rows, layers: Sequence[_arena.Layer]) -> list[AxesImage]:
    """Draw layers as one image per region; the first layer is what lies below the others."""
    images = []
    for region, picture in enumerate(pictures(ax, rows, layers)):
        first, past = rows.region_rows(region)
        top, bottom = float(rows.tops[first]), float(rows.tops[past - 1]) + 1.0
        images.append(
            ax.imshow(
                picture,
                extent=(0, rows.row_bytes, bottom, top),
                aspect="auto",
                interpolation="antialiased",
            )
        )
    return images


def pictures(ax: Axes, rows: Rows, layers: Sequence[_arena.Layer]) -> list[npt.NDArray[np.float64]]:
    """One image per region, RGBA: each pixel the mean of its bytes' colours."""
    columns = min(_COLUMNS, rows.row_bytes)
    below, *above = layers
    extent = _shares(rows, below, columns)
    rest = extent.copy()
    colours = np.zeros((*extent.shape, 3))
    for layer in above:
        share = _shares(rows, layer, columns)
        colours += share[..., None] * _rgb(layer.fill.plain(ax)["facecolor"])
        rest -= share
    colours += np.maximum(rest, 0.0)[..., None] * _rgb(below.fill.plain(ax)["facecolor"])
    colours /= np.maximum(extent, 1e-9)[..., None]
    found = []
    for region in range(len(rows.regions)):
        first, past = rows.region_rows(region)
        picture = np.concatenate([colours[first:past], extent[first:past, :, None]], axis=2)
        tall = np.repeat(np.clip(picture, 0.0, 1.0), _ROW_PIXELS, axis=0)
        tall[_ROW_PIXELS - 1 :: _ROW_PIXELS, :, 3] = 0.0
        found.append(tall)
    return found


def _shares(rows: Rows, layer: _arena.Layer, columns: int) -> npt.NDArray[np.float64]:
    pieces = rows.split(layer.spans)
    scale = columns / rows.row_bytes
    left, right = (side.astype(np.float64) * scale for side in pieces[1:])
    top = pieces.row.astype(np.float64)
    shape = (len(rows.addresses), columns)
    return coverage(left, right, top, top + 1.0, shape)


def _rgb(colour: str) -> npt.NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def _draw_pieces(ax: Axes, rows: Rows, layers: Sequence[_arena.Layer]) -> None:
    from matplotlib.collections import PolyCollection

    for layer in layers:
        polygons: Any = rows.polygons(rows.split(layer.spans))
        if len(polygons):
            collection = PolyCollection(polygons, **layer.fill.patch(ax))
            if layer.fill is HEADER:  # a hairline, so that none is lost between two pixels
                collection.set(edgecolor=on(ax, layer.fill.colour), linewidth=0.25)
            ax.add_collection(collection, autolim=False)


def _part_blocks(ax: Axes, rows: Rows, layer: _arena.Layer) -> None:
    """heap_1 has no headers that would part its blocks."""
    spans = layer.spans
    starts = rows.split(spans._replace(size=np.ones_like(spans.size)))
    tops = rows.tops[starts.row]
    ax.vlines(starts.left, tops, tops + ROW_HEIGHT, colors=blank(ax), linewidth=0.7)


def _mark(ax: Axes, rows: Rows, addresses: Sequence[int]) -> Any:
    from matplotlib import patheffects
    from matplotlib.lines import Line2D

    found = [locate(rows.regions, address) for address in addresses]
    points = [rows.point(*place) for place in found if place is not None]
    marks = Line2D(
        [x for x, _ in points],
        [y + ROW_HEIGHT / 2 for _, y in points],
        label=f"corrupt ({len(addresses)})",
        linestyle="none",
        marker="X",
        markersize=9,
        color=on(ax, CORRUPT),
        markeredgecolor=blank(ax),
        markeredgewidth=0.9,
        clip_on=False,
        zorder=5,
        path_effects=[patheffects.withStroke(linewidth=2.5, foreground=blank(ax))],
    )
    if points:  # an empty line has an extent, which layouts would make room for
        ax.add_line(marks)
    return marks


def gap_text(rows: Rows) -> str:
    """What the heights of gaps mean, where there is one."""
    has_gap = any(gap for _, _, gap in rows.gaps)
    return "\n" + GAP_SCALE_TEXT.format("a row") if has_gap else ""


def _title(heap: Heap | Allocator, corrupt: Sequence[int]) -> str:
    free = _arena.free_sizes(heap)
    title = (
        f"{heap_kind(heap)} of {size_text(_arena.size_of(heap))}: {size_text(sum(free))} free, "
        f"largest block {size_text(max(free, default=0))}"
    )
    if corrupt:
        title += f"\nfirst corrupt header at {hexadecimal(corrupt[0])}"
    return title
