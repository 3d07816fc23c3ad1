"""An arena as rows of address space: which part of which row each byte is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import Locator

from rtosheap.plot._address import gap_units, hexadecimal
from rtosheap.plot._axes import write_ticks
from rtosheap.plot._raster import corners

if TYPE_CHECKING:
    from matplotlib.axis import Axis

Int64 = npt.NDArray[np.int64]

#: What of a row's height is drawn; the rest parts it from the next.
ROW_HEIGHT = 0.84
_MOST_ROWS = 24


class Pieces(NamedTuple):
    """Parts of blocks, none of which crosses the end of a row."""

    row: Int64
    left: Int64
    right: Int64


class Spans(NamedTuple):
    """Ranges of bytes: the region, the first byte's offset in it, and how many."""

    region: Int64
    offset: Int64
    size: Int64

    @classmethod
    def of(cls, region: object, offset: object, size: object) -> Spans:
        """Of anything that makes arrays; ranges of no bytes are left out."""
        spans = cls(*(np.asarray(part, dtype=np.int64) for part in (region, offset, size)))
        kept = spans.size > 0
        return cls(*(part[kept] for part in spans))


class Rows:
    """Rows of equal length over one or several regions, the lowest address first.

    A row starts at a multiple of its length, so that addresses can be read off it; the first and
    last row of a region can be partly empty. Gaps between regions take `gap_units` rows.

    Parameters
    ----------
    regions : sequence of (int, int)
        Address and size of each, ascending.
    row_bytes : int, optional
        A row's length, a power of two; chosen so that there are at most 24 when not given.
    """

    def __init__(self, regions: Sequence[tuple[int, int]], row_bytes: int | None = None) -> None:
        self.regions = tuple(regions)
        self.row_bytes = self._fitting() if row_bytes is None else self._valid(row_bytes)
        self.first: list[int] = []  # of each region, the index of its first row
        self.addresses: list[int] = []  # of each row
        tops: list[float] = []
        self.gaps: list[tuple[float, float, int]] = []  # from, to, and bytes
        y = 0.0
        for index, (start, size) in enumerate(regions):
            if index:
                before, length = regions[index - 1]
                gap = start - before - length
                height = gap_units(gap) + 1 - ROW_HEIGHT
                self.gaps.append((y, y + height, gap))
                y += height
            self.first.append(len(self.addresses))
            for address in range(start - start % self.row_bytes, start + size, self.row_bytes):
                self.addresses.append(address)
                tops.append(y)
                y += 1.0
        self.tops = np.array(tops)
        self.height = y

    def _fitting(self) -> int:
        row_bytes = 32
        while sum(self._rows_of(*region, row_bytes) for region in self.regions) > _MOST_ROWS:
            if row_bytes > max(size for _, size in self.regions):
                break  # more regions than rows
            row_bytes *= 2
        return row_bytes

    @staticmethod
    def _rows_of(start: int, size: int, row_bytes: int) -> int:
        return -(-(start % row_bytes + size) // row_bytes)

    def _valid(self, row_bytes: int) -> int:
        if row_bytes < 8 or row_bytes & (row_bytes - 1):
            raise ValueError(f"row_bytes is {row_bytes}; it must be a power of two from 8 on")
        rows = sum(self._rows_of(*region, row_bytes) for region in self.regions)
        if rows > 1024:
            raise ValueError(f"row_bytes is {row_bytes}, which makes {rows:,} rows; 1,024 is most")
        return row_bytes

    def region_rows(self, region: int) -> tuple[int, int]:
        """The index of a region's first row, and of the first one past it."""
        last = self.first[region + 1] if region + 1 < len(self.first) else len(self.addresses)
        return self.first[region], last

    def split(self, spans: Spans) -> Pieces:
        """Cut ranges of bytes at the ends of rows."""
        lead = np.array([start % self.row_bytes for start, _ in self.regions], dtype=np.int64)
        low = spans.offset + lead[spans.region]
        first, last = low // self.row_bytes, (low + spans.size - 1) // self.row_bytes
        count = last - first + 1
        which = np.repeat(np.arange(len(low)), count)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        row = first[which] + nth
        left = np.maximum(low[which] - row * self.row_bytes, 0)
        right = np.minimum((low + spans.size)[which] - row * self.row_bytes, self.row_bytes)
        return Pieces(np.array(self.first, dtype=np.int64)[spans.region[which]] + row, left, right)

    def point(self, region: int, offset: int) -> tuple[float, float]:
        """Where one byte is drawn: x, and the top of its row."""
        row, x = divmod(offset + self.regions[region][0] % self.row_bytes, self.row_bytes)
        return float(x), float(self.tops[self.first[region] + row])

    def polygons(self, pieces: Pieces) -> npt.NDArray[np.float64]:
        """The pieces' corners: shape (n, 4, 2)."""
        top = self.tops[pieces.row]
        return corners(pieces.left, pieces.right, top, top + ROW_HEIGHT)

    def label_rows(self, most: int) -> list[int]:
        """At most about `most` rows, spread out, and first of all the first of each region."""
        apart = self.height / max(most, 1)
        step = 1
        while step < apart:
            step *= 2
        chosen: list[int] = []
        for row in self.first:
            if not chosen or self.tops[row] - self.tops[chosen[-1]] >= apart:
                chosen.append(row)
        starts = self.tops[chosen]
        for region in range(len(self.regions)):
            first, past = self.region_rows(region)
            chosen += [
                row
                for row in range(first + step, past, step)
                if np.abs(starts - self.tops[row]).min() >= min(apart, step)
            ]
        return sorted(chosen)

    def apply(self, axis: Axis) -> None:
        """Label rows with their first address, as many as there is room for."""
        axis.set_major_locator(_RowCentres(self))
        write_ticks(axis, self.label_at)

    def label_at(self, y: float) -> str:
        """The address at which the row that is drawn at `y` begins."""
        row = int(np.searchsorted(self.tops, y, side="right")) - 1
        return hexadecimal(self.addresses[max(row, 0)])


class _RowCentres(Locator):
    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __call__(self) -> Any:
        return self.tick_values(0.0, 1.0)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        axis: Any = self.axis
        most = int(1.5 * axis.get_tick_space())  # which leaves a blank line between two ticks
        return self._rows.tops[self._rows.label_rows(most)] + ROW_HEIGHT / 2
