"""Lines that lie on each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Points = npt.NDArray[np.float64]

#: Lines are one to the eye where no point of either is farther from the other, in points (1/72
#: inch): about the width of one.
_NEAR = 1.5
#: Of a line's points, so many are looked at.
_LOOKED_AT = 300
#: A turn of all, in widths of a line: so short that a legend's key shows each line's dash.
_PERIOD = 8.0


def tell_apart(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Let lines that lie on each other show by turns: each is dashed where the others are not.

    To be called when the limits of the axes are set.
    """
    figure: Any = ax.figure
    near = _NEAR * figure.dpi / 72
    drawn = [_points(ax, line) for line in lines]
    groups: list[list[int]] = []
    for number, points in enumerate(drawn):
        for group in groups:
            if _alike(drawn[group[0]], points, near):
                group.append(number)
                break
        else:
            groups.append([number])
    for group in groups:
        dash = _PERIOD / len(group)
        for turn, number in enumerate(group if len(group) > 1 else ()):
            lines[number].set_linestyle((turn * dash, (dash, _PERIOD - dash)))
            lines[number].set_dash_capstyle("butt")


def _points(ax: Axes, line: Line2D) -> Points:
    """Where a line bends, in pixels."""
    points = np.asarray(ax.transData.transform(line.get_xydata()), dtype=np.float64)
    return points[np.isfinite(points).all(axis=1)]


def _alike(one: Points, other: Points, near: float) -> bool:
    if not len(one) or not len(other):
        return False
    return bool(_distance(one, other) <= near and _distance(other, one) <= near)


def _distance(points: Points, line: Points) -> float:
    """How far the farthest of the points is from a line."""
    points = points[np.linspace(0, len(points) - 1, _LOOKED_AT).astype(int)][:, None]
    start, along = line[:-1], np.diff(line, axis=0)
    if not len(along):
        start, along = line, np.zeros_like(line)
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((points - start) * along).sum(axis=2) / length, 0.0, 1.0)
    apart = points - start - share[..., None] * along
    return float(np.sqrt((apart**2).sum(axis=2).min(axis=1)).max())
