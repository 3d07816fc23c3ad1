"""heap_5's regions where none were given."""

from __future__ import annotations

from rtosheap.heaps.layout import DEFAULT_BASE, Layout, down, up

#: How far the second region lies from the first, at least, and what its address is a multiple of.
_GAP = 0x1000


def default_regions(
    minimum: int, layout: Layout, base: int = DEFAULT_BASE
) -> tuple[tuple[int, int], tuple[int, None]]:
    """Half of heap_4's minimum at `base`, and a second region some way behind, to be solved for."""
    first = max(down(minimum // 2, layout.alignment), layout.smallest(base))
    return (base, first), (up(base + first + _GAP, _GAP), None)
