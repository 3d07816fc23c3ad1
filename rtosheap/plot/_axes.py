"""What every plot does with its axes: make them, label them, put a legend beside the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.colors import to_rgb
from matplotlib.font_manager import font_scalings
from matplotlib.text import Text
from matplotlib.ticker import Formatter, MaxNLocator
from matplotlib.transforms import Bbox, TransformedBbox

from rtosheap import tables
from rtosheap.plot._fit import cell_of, keep_in_cell, settle
from rtosheap.plot._ground import AREA, LINE, Ground, around, below, blank, contrast, ink, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._secondary_axes import SecondaryAxis
    from matplotlib.axis import Axis

#: Figures narrower than this get smaller text: half a page's width is about 3.3 inches.
_NARROW = 4.5
#: Of a cell's height, what a legend may take before it is written smaller.
_LEGEND_SHARE, _SMALLER = 0.2, 0.85


def axes_for(ax: Axes | None) -> Axes:
    """The axes to draw on, with text that fits the figure: those given, or those of a new pyplot
    figure.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(layout="constrained")[1]
    follow_ground(ax)
    keep_in_cell(ax)
    size = font_size(ax)
    ax.tick_params(labelsize=size)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(size)
        axis.get_offset_text().set_fontsize(size)
    return ax


def follow_ground(ax: Axes | SecondaryAxis) -> None:
    """Text and frame as the style sheet has them, where they can be seen: a figure or axes whose
    ground was set by hand may need others.
    """
    outside, inside = around(ax), below(ax)
    for axis in (ax.xaxis, ax.yaxis):
        tick = axis.get_major_ticks(1)[0]
        axis.set_tick_params(
            which="both",
            color=_seen(outside, tick.tick1line.get_color()),
            labelcolor=readable(outside, tick.label1.get_color()),
        )
        for text in (axis.label, axis.get_offset_text()):
            text.set_color(readable(outside, text.get_color()))
    for child in ax.get_children():
        if isinstance(child, Text) and child not in ax.texts:  # a title
            child.set_color(readable(outside, child.get_color()))
    for spine in ax.spines.values():
        spine.set_edgecolor(_seen(inside, spine.get_edgecolor()))


def _seen(ground: Ground, colour: Any) -> str:
    """A frame's colour: as faint as the style sheet has its frames, and no fainter."""
    sheet, frame = mpl.rcParams["axes.facecolor"], mpl.rcParams["axes.edgecolor"]
    return readable(ground, colour, min(LINE, contrast(to_rgb(sheet), to_rgb(frame))))


def font_size(ax: Axes) -> float:
    """The size of the text in points: the style's, or less in a narrow figure."""
    size = mpl.rcParams["font.size"]
    if isinstance(size, str):
        size = 10 * font_scalings.get(size, 1.0)
    return float(size) * (0.72 if is_narrow(ax) else 0.9)


def row_font_size(ax: Axes, lines: int) -> float:
    """The size of text of which so many lines stand above each other along the axes."""
    settle(ax)
    return min(font_size(ax), 72 * height_inches(ax) / (1.25 * lines))


def is_narrow(ax: Axes) -> bool:
    """Whether there is room for little text only."""
    return width_inches(ax) < _NARROW


def height_inches(ax: Axes) -> float:
    """The height of the axes."""
    figure: Any = ax.figure
    return float(ax.get_window_extent().height / figure.dpi)


def width_inches(ax: Axes) -> float:
    """The width that the axes have for themselves and their labels."""
    figure: Any = ax.figure  # a Figure or a SubFigure
    width = float(figure.bbox.width / figure.dpi)
    spec = ax.get_subplotspec()
    if spec is None:
        return width
    return width * len(spec.colspan) / spec.get_gridspec().ncols


def write_ticks(ax_axis: Axis, text: Callable[[float], str]) -> None:
    """Label an axis by a function of the value, which a pickled figure keeps."""
    ax_axis.set_major_formatter(_Written(text))


class _Written(Formatter):
    def __init__(self, text: Callable[[float], str]) -> None:
        self._text = text

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self._text(x)


def kib(ax_axis: Axis, label: str) -> None:
    """Label an axis that is in KiB."""
    ax_axis.set_label_text(f"{label} (KiB)")
    ax_axis.set_major_locator(
        MaxNLocator(nbins=5 if is_narrow(ax_axis.axes) else 6, steps=[1, 2, 2.5, 4, 5, 8, 10])
    )
    write_ticks(ax_axis, plain)


def percent(ax_axis: Axis, label: str) -> None:
    """Label an axis that is in per cent."""
    ax_axis.set_label_text(f"{label} (%)")
    write_ticks(ax_axis, plain)


def counted(ax_axis: Axis, label: str) -> None:
    """Label an axis of counts: whole numbers, in k or M where the axis reaches far."""
    ax_axis.set_label_text(label)
    bins = 4 if is_narrow(ax_axis.axes) else 6
    ax_axis.set_major_locator(MaxNLocator(nbins=bins, integer=True, steps=[1, 2, 2.5, 5, 10]))
    ax_axis.set_major_formatter(_Counts())


class _Counts(Formatter):
    def __call__(self, x: float, pos: int | None = None) -> str:
        axis: Any = self.axis
        reach = max(map(abs, axis.get_view_interval()))
        for unit, scale in (("M", 1e6), ("k", 1e3)):
            if reach >= 2 * scale and x:
                return f"{x / scale:.10g}{unit}"
        return plain(x)


def plain(value: float) -> str:
    """A number without an exponent and without needless zeros: 0.25, 16, 1,024."""
    return f"{value:,.10g}"


def short(value: float) -> str:
    """A count, with k or M where that is shorter: 950, 12k, 1.5M."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:,.6g}"


def size_text(size: float) -> str:
    """A number of bytes for people: 96 B, 4 KiB, 1.5 MiB."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{number_text(size / scale)} {unit}"
    return f"{size:.0f} B"


def number_text(value: float) -> str:
    """A number to three digits, or more where it is whole."""
    return f"{value:,.0f}" if value >= 100 or value % 1 == 0 else f"{value:.3g}"


def legend_above(ax: Axes, handles: Sequence[Any], *, title: str | None = None) -> None:
    """Put a legend above the axes, in as many columns as fit: it never lies on the data.

    It gets an axes of its own, a child of `ax`, which layouts make room for and above which
    matplotlib puts a title.

    Parameters
    ----------
    ax : Axes
    handles
        As for ``Axes.legend``; each is named by its own label.
    title : str, optional
        A line above the entries, flush left; broken at its commas when it is too long.
    """
    if not handles and title is None:
        return
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure: Any = ax.figure
    axes_space: Any = ax.transAxes
    room = _room(ax)
    above = figure.dpi_scale_trans + ScaledTranslation(0.0, 1.0, axes_space)
    place = blended_transform_factory(axes_space, above)  # x: the axes' width, y: inches
    strip = ax.inset_axes((0.0, 0.0, 1.0, 0.1), transform=place)
    strip.set_axis_off()
    strip.set_label(LEGEND_LABEL)
    legend = _widest_legend(ax, strip, handles, title, room)
    legend.set_in_layout(False)  # its strip is; a wide legend must not make the axes narrow
    height = legend.get_window_extent().height / figure.dpi
    locator: Any = _Above(ax, height, place)
    strip.set_axes_locator(locator)


def title_of(*parts: str, warnings: Sequence[str]) -> str | None:
    """What a legend's title says, and how much there is to know of the recording."""
    count = tables.counted(len(warnings), "warning") if warnings else ""
    return ", ".join(filter(None, [*parts, count])) or None


#: The label of the child axes that holds a legend.
LEGEND_LABEL = "rtosheap legend"


class _Above:
    """The place of a legend's strip, which is a child of the axes."""

    def __init__(self, ax: Axes, height: float, place: Any) -> None:
        self._ax, self._height, self._place = ax, height, place

    def __call__(self, _axes: Any, _renderer: Any) -> Any:
        figure: Any = self._ax.figure
        to_figure = self._place - figure.transSubfigure
        return TransformedBbox(Bbox.from_bounds(0.0, 0.0, 1.0, self._height), to_figure)


def _widest_legend(
    ax: Axes, strip: Axes, handles: Sequence[Any], title: str | None, room: float
) -> Any:
    """In as many columns as fit, and smaller where it would take much of the cell, or its width."""
    most = _LEGEND_SHARE * cell_of(ax).height
    for size in (font_size(ax), _SMALLER * font_size(ax)):
        for columns in range(max(len(handles), 1), 0, -1):
            legend = _legend(ax, strip, handles, title, room, size, columns)
            if legend.get_window_extent().width <= room:
                break
        box = legend.get_window_extent()
        if box.width > room:
            legend = _legend(ax, strip, handles, title, room, size * room / box.width, 1)
        if box.height <= most:
            break
    return legend


def _legend(
    ax: Axes,
    strip: Axes,
    handles: Sequence[Any],
    title: str | None,
    room: float,
    size: float,
    columns: int,
) -> Any:
    inside, outside = below(ax), around(ax)
    framed = contrast(inside[0], outside[0]) > AREA  # else a key could be lost
    colour = ink(inside if framed else outside)
    legend: Any = strip.legend(
        handles,
        [str(handle.get_label()) for handle in handles],
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        borderaxespad=0.0,
        borderpad=0.25,
        ncols=columns,
        frameon=framed,
        facecolor=blank(ax),
        edgecolor="none",
        framealpha=1.0,
        labelcolor=colour,
        fontsize=size,
        title=title,
        title_fontsize=size,
        alignment="left",
        handlelength=1.8,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=1.1,
        labelspacing=0.25,
    )
    heading = legend.get_title()
    heading.set_color(colour)
    if title is not None:
        _break_lines(heading, title, 0.94 * room)
    return legend


def _break_lines(text: Text, words: str, room: float) -> None:
    """Write something into so many pixels, broken at commas where a line is too long."""
    lines: list[str] = []
    for given in words.split("\n"):
        first, *rest = given.split(", ")
        lines.append(first)
        for part in rest:
            text.set_text(f"{lines[-1]}, {part}")
            if text.get_window_extent().width <= room:
                lines[-1] = text.get_text()
            else:
                lines[-1] += ","
                lines.append(part)
    text.set_text("\n".join(lines))


def _room(ax: Axes) -> float:
    """Pixels from the left side of the axes to the right end of their cell."""
    settle(ax)  # only then is it known where the axes are
    box = ax.get_window_extent()
    return float(max(0.95 * (cell_of(ax).x1 - box.x0), 0.5 * box.width))
