"""Addresses on an axis: hexadecimal ticks, and regions as strips with the gaps between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import Locator

from rtosheap.plot._axes import font_size, height_inches, size_text, write_ticks
from rtosheap.plot._ground import TEXT, blank, on
from rtosheap.plot._style import GAP_TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

#: A gap between two regions is drawn one unit high for each factor of this in its bytes.
GAP_BASE = 256
GAP_SCALE_TEXT = "gaps: logarithmic, {} for each factor of " + str(GAP_BASE)


def gap_units(size: int) -> float:
    """How high a gap of `size` bytes is drawn, in units: 0 for regions that adjoin."""
    return math.log(size, GAP_BASE) if size > 1 else 0.0


def write_gap(ax: Axes, x: float, y: float, gap: int, points: float, **more: Any) -> None:
    """Write into a gap how large it is, if there is room: it is drawn so many points high."""
    size = min(0.85 * font_size(ax), 0.9 * points)
    if size > 4:
        text = f"gap of {size_text(gap)}"
        ax.text(
            x,
            y,
            text,
            ha="center",
            va="center",
            fontsize=size,
            color=on(ax, GAP_TEXT, TEXT),
            **more,
        )


def hexadecimal(address: int) -> str:
    """``0x20000400``."""
    return f"0x{address:08x}"


def power_of_two_step(span: float, most: int) -> int:
    """The smallest power of two of which at most `most` fit into `span`."""
    return 1 << max(0, math.ceil(math.log2(max(span, 1.0) / most)))


class AddressScale:
    """Where the addresses of one or several regions lie on an axis.

    With one region the position of an address is the address. With several, positions are lower
    by what the gaps before are drawn shorter than they are.

    Parameters
    ----------
    regions : sequence of (int, int)
        Address and size of each, ascending.
    """

    #: The height of one unit of a gap, as a share of all regions' bytes.
    UNIT = 0.03

    def __init__(self, regions: Sequence[tuple[int, int]]) -> None:
        self.regions = tuple(regions)
        total = sum(size for _, size in regions)
        # Addresses past 2**52 are no exact floats: count from the first region then.
        self._origin = 0 if regions[-1][0] + regions[-1][1] < 1 << 52 else regions[0][0]
        self.low: list[float] = []
        position = float(regions[0][0] - self._origin)
        for index, (start, size) in enumerate(regions):
            if index:
                before, length = regions[index - 1]
                position += gap_units(start - before - length) * self.UNIT * total
            self.low.append(position)
            position += size
        self.end = position

    @property
    def span(self) -> float:
        """From the first position to the last."""
        return self.end - self.low[0]

    def place(
        self, region: npt.NDArray[np.intp], offset: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """The positions of bytes that lie `offset` into a region."""
        return np.asarray(self.low, dtype=np.float64)[region] + offset

    def address(self, position: float) -> int:
        """The address at a position; one in a gap is that of the region below it."""
        index = max(0, int(np.searchsorted(self.low, position, side="right")) - 1)
        return self.regions[index][0] + round(position - self.low[index])

    def ticks(self, most: int, low: float, high: float) -> list[float]:
        """Positions of at most about `most` round addresses, in every region that is seen."""
        seen = [
            (start, size, at)
            for (start, size), at in zip(self.regions, self.low, strict=True)
            if at < high and at + size > low
        ]
        span = sum(min(high, at + size) - max(low, at) for _, size, at in seen)
        step = power_of_two_step(span, max(most, 1))
        ticks: list[float] = []
        for start, size, at in seen:
            first = start + max(0, math.ceil(low - at))
            last = start + min(size, math.floor(high - at))
            round_ones = [
                float(at + a - start) for a in range(-(-first // step) * step, last + 1, step)
            ]
            if not round_ones or round_ones[0] - (at + first - start) > 0.6 * step:
                round_ones.insert(0, float(at + first - start))  # every region shows an address
            ticks += round_ones
        return ticks

    def apply(self, axis: Axis) -> None:
        """Give an axis ticks at round addresses, in hexadecimal."""
        axis.set_major_locator(_RoundAddresses(self))
        write_ticks(axis, self.label_at)

    def label_at(self, value: float) -> str:
        """The address that is drawn at `value`."""
        return hexadecimal(self.address(value))

    def draw_gaps(self, ax: Axes) -> None:
        """Blank the gaps between regions, and write into each how large it is."""
        edge = on(ax, GAP_TEXT)
        for index in range(1, len(self.regions)):
            start, size = self.regions[index - 1]
            bottom, top = self.low[index - 1] + size, self.low[index]
            if top <= bottom:
                ax.axhline(top, color=edge, linewidth=0.8)
                continue
            ax.axhspan(bottom, top, facecolor=blank(ax), edgecolor=edge, linewidth=0.6, zorder=3)
            points = (top - bottom) / self.span * 0.8 * height_inches(ax) * 72  # about
            gap, across = self.regions[index][0] - start - size, ax.get_yaxis_transform()
            write_gap(ax, 0.5, (bottom + top) / 2, gap, points, transform=across, zorder=4)


class _RoundAddresses(Locator):
    def __init__(self, scale: AddressScale) -> None:
        self._scale = scale

    def __call__(self) -> Any:
        axis: Any = self.axis
        low, high = sorted(axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        axis: Any = self.axis
        most = int(np.clip(axis.get_tick_space() / 1.3, 2, 9)) if axis is not None else 8
        return self._scale.ticks(most, vmin, vmax)
