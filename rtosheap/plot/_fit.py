"""Axes that make room for what is written round them, where no layout engine does.

In a plain ``plt.subplots(2, 2)`` matplotlib places axes without asking what stands beside them.
Axes of ours then shrink, whenever they are drawn, until their labels, legend and title lie within
their own cell of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Between what belongs to axes and the end of their cell, in inches.
_MARGIN = 0.04
#: Of its cell, what axes keep at least, whatever is written round them.
_LEAST = 0.25
_ROUNDS = 4


def keep_in_cell(ax: Axes) -> None:
    """Let axes stay within their cell, if they are of a grid and have no locator of their own."""
    if ax.get_subplotspec() is not None and ax.get_axes_locator() is None:
        locator: Any = _InCell(ax)
        ax.set_axes_locator(locator)


def settle(ax: Axes) -> None:
    """Place axes as they will be drawn, as far as that is known."""
    figure: Any = ax.figure
    root = figure.figure
    if root.get_layout_engine() is not None:
        root.draw_without_rendering()
    else:
        locator: Any = ax.get_axes_locator()
        ax.apply_aspect(locator(ax, None) if locator else None)


def cell_of(ax: Axes) -> Bbox:
    """The part of the figure that belongs to axes, in pixels: up to the middle of the gaps of their
    grid, and to the edges of the figure.
    """
    figure: Any = ax.figure
    spec = ax.get_subplotspec()
    if spec is None:
        return Bbox(figure.bbox.get_points())
    grid = spec.get_gridspec()
    bottoms, tops, lefts, rights = (list(side) for side in grid.get_grid_positions(figure))
    inner = hasattr(grid, "get_topmost_subplotspec")  # a grid in a cell of another
    across = _bounds(lefts, rights, inner=inner)
    up = _bounds(bottoms[::-1], tops[::-1], inner=inner)
    rows = len(bottoms)
    low, high = rows - spec.rowspan.stop, rows - spec.rowspan.start
    shares = Bbox.from_extents(
        across[spec.colspan.start], up[low], across[spec.colspan.stop], up[high]
    )
    return Bbox(shares.transformed(figure.transSubfigure).get_points())


def _bounds(starts: Sequence[float], ends: Sequence[float], *, inner: bool) -> list[float]:
    middles = [(end + start) / 2 for end, start in zip(ends, starts[1:], strict=False)]
    first, last = (starts[0], ends[-1]) if inner else (0.0, 1.0)
    return [first, *middles, last]


class _InCell:
    """The place of axes: their own, less what would lie in a neighbour's cell."""

    def __init__(self, ax: Axes) -> None:
        self._ax = ax

    def get_subplotspec(self) -> Any:
        """Whose layout this is, for ``tight_layout``."""
        return self._ax.get_subplotspec()

    def __call__(self, ax: Axes, renderer: Any) -> Bbox:
        """In the figure's coordinates."""
        figure: Any = ax.figure
        own = ax.get_position(original=True)
        if figure.figure.get_layout_engine() is not None:
            return own
        cell, place = cell_of(ax), own
        try:
            for _ in range(_ROUNDS):  # what shrinks may get other ticks
                _move(ax, place, "both")
                _shorten(ax.xaxis.label, 0, cell, renderer)
                _shorten(ax.yaxis.label, 1, cell, renderer)
                taken = ax.get_tightbbox(renderer, call_axes_locator=False, for_layout_only=True)
                less = _less(ax, place, cell, taken)
                if less is None:
                    break
                place = less
        finally:
            _move(ax, own, "original")
        return place


def _move(ax: Axes, place: Bbox, which: Literal["both", "original"]) -> None:
    ax.set_position(place, which=which)
    ax.set_in_layout(True)  # set_position takes axes out of it


def _less(ax: Axes, place: Bbox, cell: Bbox, taken: Any) -> Bbox | None:
    """The place without what of the taken room lies outside the cell; None if nothing does."""
    figure: Any = ax.figure
    box = place.transformed(figure.transSubfigure)
    margin = _MARGIN * figure.dpi
    before = np.clip(cell.min + margin - taken.min, 0.0, None)
    after = np.clip(taken.max - cell.max + margin, 0.0, None)
    asked = before + after
    if asked.max() < 0.5:
        return None
    spare = np.array(box.size) - _LEAST * np.array(cell.size)
    given = np.clip(spare, 0.0, asked) / np.maximum(asked, 1e-9)
    shrunk = Bbox([box.min + given * before, box.max - given * after])
    return Bbox(shrunk.transformed(figure.transSubfigure.inverted()).get_points())


def _shorten(label: Any, side: int, cell: Bbox, renderer: Any) -> None:
    """Write a label smaller that is longer than its cell: other axes do not help it."""
    box = label.get_window_extent(renderer)
    middle = (box.min[side] + box.max[side]) / 2
    room = 2 * min(middle - cell.min[side], cell.max[side] - middle)
    if 0 < room < box.size[side]:
        label.set_fontsize(label.get_fontsize() * room / box.size[side])
