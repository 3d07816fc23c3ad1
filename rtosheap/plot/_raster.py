"""Millions of rectangles as one picture, exactly: how much of each pixel they cover.

A rectangle's share of a pixel is the product of its shares in x and in y, and each of those is a
difference of two ramps. So a rectangle adds to the second difference of the picture at 16 pixels
at most, whatever its size, and two cumulative sums give the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def corners(x0: Any, x1: Any, y0: Any, y1: Any) -> Floats:
    """The corners of rectangles, by their sides: shape (n, 4, 2)."""
    out = np.empty((len(x0), 4, 2))
    out[:, 0, 0] = out[:, 3, 0] = x0
    out[:, 1, 0] = out[:, 2, 0] = x1
    out[:, 0, 1] = out[:, 1, 1] = y0
    out[:, 2, 1] = out[:, 3, 1] = y1
    return out


def coverage(
    x0: Floats,
    x1: Floats,
    y0: Floats,
    y1: Floats,
    shape: tuple[int, int],
    weight: Floats | None = None,
) -> Floats:
    """The area of each pixel that rectangles cover, each counted `weight` times.

    Parameters
    ----------
    x0, x1, y0, y1 : ndarray of float64, shape (n,)
        The rectangles' sides in pixels; ``x0 <= x1``, ``y0 <= y1``. What lies outside the picture
        is left out.
    shape : (int, int)
        Rows (y) and columns (x).
    weight : ndarray of float64, shape (n,), optional

    Returns
    -------
    ndarray of float64, shape `shape`
        1 where rectangles that do not overlap cover all of a pixel.
    """
    rows, columns = shape
    width = columns + 2  # the ramp of an edge at the far side ends past it
    picture = np.zeros((rows + 2) * width)
    for x, x_sign in ((x0, 1.0), (x1, -1.0)):
        for column, x_part in _taps(x, columns):
            for y, y_sign in ((y0, 1.0), (y1, -1.0)):
                for row, y_part in _taps(y, rows):
                    amount = x_part * y_part * (x_sign * y_sign)
                    if weight is not None:
                        amount *= weight
                    picture += np.bincount(row * width + column, amount, minlength=len(picture))
    square = picture.reshape(rows + 2, width)
    np.cumsum(square, axis=0, out=square)
    np.cumsum(square, axis=1, out=square)
    return square[:rows, :columns]


def _taps(edge: Floats, count: int) -> list[tuple[npt.NDArray[np.intp], Floats]]:
    """The two pixels between which an edge's ramp rises, with how much it rises at each."""
    inside = np.clip(edge, 0.0, float(count))
    pixel = inside.astype(np.intp)
    fraction = inside - pixel
    return [(pixel, 1.0 - fraction), (pixel + 1, fraction)]
