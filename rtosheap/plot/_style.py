"""The colours, hatches and lines of the plots, in one place, as they are on a light ground.

Colours are of the Okabe-Ito palette, which colour-blind readers can tell apart, or of a lightness
of their own; where two could meet in greyscale, a hatch or a line style tells them apart too.
`_ground.on` says what a colour is on the axes that it is drawn on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.colors import to_hex, to_rgb, to_rgba

from rtosheap.allocators import Allocator
from rtosheap.heaps import Heap
from rtosheap.heaps.layout import Layout
from rtosheap.plot._ground import AREA, below, mix, nudged, on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How much of a hatched area its lines cover, about.
_HATCHED = 0.3


class Fill(NamedTuple):
    """How an area is drawn."""

    colour: str
    hatch: str = ""
    hatch_colour: str = "none"

    def patch(self, ax: Axes) -> dict[str, Any]:
        """Keyword arguments of a patch or a collection of polygons on these axes."""
        if not self.hatch:
            return self.plain(ax)
        return {
            "facecolor": on(ax, self.colour, 1.0),
            "hatch": self.hatch,
            "edgecolor": on(ax, self.hatch_colour),
            "linewidth": 0.0,
        }

    def plain(self, ax: Axes) -> dict[str, Any]:
        """The same without a hatch, as it is painted into an image: the mean colour."""
        colour = on(ax, self.colour, 1.0 if self.hatch else AREA)
        if self.hatch:
            hatch = to_rgba(on(ax, self.hatch_colour), _HATCHED)
            colour = to_hex(nudged(mix(hatch, to_rgb(colour)), below(ax), AREA))
        return {"facecolor": colour, "edgecolor": "none", "linewidth": 0.0}


#: What a byte of an arena can be, in the order of legends.
ALLOCATED = Fill("#2b5d8c")
PINNED = Fill("#8d77b5")
FREE = Fill("#f7ecc9", "////", "#a8955a")
HEADER = Fill("#111111")
PADDING = Fill("#e69f00", "xxxx", "#8a5f00")
OUTSIDE = Fill("#a3a3a3")

CORRUPT = "#d1350f"
FAILED = "#d1350f"
GAP_TEXT = "#555555"

#: A scale from none to much, of one hue whose lightness falls all the way.
WASTE = "Blues"
#: What there is not, on any ground.
HATCH: dict[str, Any] = {"hatch": "////", "edgecolor": "#888888", "linewidth": 0.0}

#: Where the bytes of a heap go at the peak, in the order in which they are stacked.
BREAKDOWN: dict[str, Fill] = {
    "payload": Fill("#2b5d8c"),
    "headers": Fill("#111111"),
    "padding": Fill("#e69f00", "xxxx", "#8a5f00"),
    "unsplit": Fill("#cc79a7", "||||", "#6e2f52"),
    "external": Fill("#f7ecc9", "////", "#a8955a"),
    "unreclaimed": Fill("#7fbfa5", "\\\\\\\\", "#3f7f66"),
    "fixed": Fill("#a3a3a3", "----", "#6f6f6f"),
}

#: A colour and a line style for each heap, so that each can be told by either.
HEAP_LINES: dict[str, tuple[str, Any]] = {
    "heap_1": ("#000000", (0, (1, 1.5))),
    "heap_2": ("#d55e00", (0, (5, 1.5))),
    "heap_3": ("#009e73", (0, (4, 1.2, 1, 1.2))),
    "heap_4": ("#0072b2", "solid"),
    "heap_5": ("#b0568c", (0, (6, 1, 1, 1, 1, 1))),
}

#: For several lines that are no heaps, or several replays of one heap.
CYCLE: tuple[tuple[str, Any], ...] = (
    ("#0072b2", "solid"),
    ("#d55e00", (0, (5, 1.5))),
    ("#009e73", (0, (4, 1.2, 1, 1.2))),
    ("#b0568c", (0, (2.5, 1.2))),
    ("#000000", (0, (1, 1.5))),
    ("#56b4e9", "solid"),
    ("#a07000", (0, (5, 1.5))),
)

#: Tasks and other categories: colours that differ in lightness as well.
CATEGORIES: tuple[str, ...] = (
    "#0b3c5d",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#8c2d04",
    "#f0e442",
    "#777777",
)


def heap_kind(heap: Heap | Allocator) -> str:
    """The heap's name, such as ``"heap_4"``."""
    if isinstance(heap, Allocator):
        return heap.name
    return Layout.of(heap).name
