"""What every plot does with its axes: make them, label them, put a legend beside the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

#: Figures narrower than this get smaller text: half a page's width is about 3.3 inches.
_NARROW = 4.5


def axes_for(ax: Axes | None) -> Axes:
    """The axes to draw on: those given, or those of a new pyplot figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def root_figure(ax: Axes) -> Figure:
    """The figure that the axes are in, whatever subfigures lie between."""
    figure: Any = ax.figure
    while figure.figure is not figure and hasattr(figure.figure, "figure"):
        figure = figure.figure
    return figure  # type: ignore[no-any-return]


def font_size(ax: Axes) -> float:
    """The size of the text in points: the style's, or less in a narrow figure."""
    import matplotlib as mpl
    from matplotlib.font_manager import font_scalings

    size = mpl.rcParams["font.size"]
    if isinstance(size, str):
        size = 10 * font_scalings.get(size, 1.0)
    return float(size) * (0.78 if width_inches(ax) < _NARROW else 0.9)


def width_inches(ax: Axes) -> float:
    """The width that the axes have for themselves and their labels."""
    width = float(root_figure(ax).get_figwidth())
    spec = ax.get_subplotspec()
    if spec is None:
        return width
    return width * len(spec.colspan) / spec.get_gridspec().ncols


def set_text_sizes(ax: Axes) -> None:
    """Give ticks and axis labels the size that fits the figure."""
    size = font_size(ax)
    ax.tick_params(labelsize=size)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(size)
        axis.get_offset_text().set_fontsize(size)


def kib(ax_axis: Axis, label: str) -> None:
    """Label an axis that is in KiB."""
    ax_axis.set_label_text(f"{label} (KiB)")
    ax_axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 4, 5, 8, 10]))
    ax_axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def percent(ax_axis: Axis, label: str) -> None:
    """Label an axis that is in per cent."""
    ax_axis.set_label_text(f"{label} (%)")
    ax_axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def counted(ax_axis: Axis, label: str) -> None:
    """Label an axis of counts: whole numbers, with k and M for large ones."""
    ax_axis.set_label_text(label)
    ax_axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax_axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


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
            return f"{size / scale:.4g} {unit}"
    return f"{size:.4g} B"


def legend_above(
    ax: Axes,
    handles: Sequence[Artist | tuple[Artist, ...]],
    labels: Sequence[str],
    *,
    title: str | None = None,
) -> None:
    """Put a legend above the axes, in as many columns as fit: it never lies on the data.

    Parameters
    ----------
    ax : Axes
    handles, labels
        As for ``Axes.legend``.
    title : str, optional
        A line above the entries, flush left.
    """
    if not handles and title is None:
        return
    room = _room(ax)
    size = font_size(ax)
    for columns in range(max(len(handles), 1), 0, -1):
        legend = ax.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.15,
            borderpad=0.2,
            ncols=columns,
            frameon=False,
            fontsize=size,
            title=title,
            title_fontsize=size,
            alignment="left",
            handlelength=2.0,
            handleheight=0.9,
            handletextpad=0.5,
            columnspacing=1.1,
            labelspacing=0.25,
        )
        if columns == 1 or legend.get_window_extent().width <= room:
            return


def _room(ax: Axes) -> float:
    """Pixels from the left side of the axes to the right edge of what is theirs."""
    figure = root_figure(ax)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # only then does it know where the axes are
    box = ax.get_window_extent()
    spec = ax.get_subplotspec()
    last = spec is None or spec.is_last_col()
    edge = figure.bbox.x1 if last else box.x1
    return float(max(edge - box.x0, 0.5 * box.width))


def finite_or(value: float, otherwise: float) -> float:
    """`value`, or `otherwise` when it is not finite."""
    return value if np.isfinite(value) else otherwise
