"""How large the holes are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtosheap.allocators import Allocator
from rtosheap.fragmentation import largest_request
from rtosheap.heaps import Heap
from rtosheap.plot import _arena
from rtosheap.plot._axes import axes_for, font_size, is_narrow, kib, legend_above, size_text
from rtosheap.plot._ground import below, blank, ink, on
from rtosheap.plot._style import FREE, heap_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Room for so many bars, so that one block is a bar and not all of the picture.
_LEAST_BARS = 8


def free_blocks(heap: Heap | Allocator, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Draw the sizes of the free blocks as a distribution.

    A bar for each power of two says how many bytes lie in free blocks of at least this and less
    than twice this size; the number above it, in how many blocks. The axis reaches to the size of
    the heap. The line is the largest request that would succeed now: bars to its left serve smaller
    requests only.

    Parameters
    ----------
    heap : Heap or ForeignHeap
        Of the latter what its walk says, and no line. A heap may be corrupt: the blocks are those
        of the shadow outside the arena. heap_5's markers of size 0 are left out; what heap_1 and
        heap_3 have not reached yet is one block.
    ax : Axes, optional
        Where to draw; by default on a new figure.
    legend : bool
        Whether to draw a legend above the axes.

    Returns
    -------
    Axes
        x is the block size in bytes (header included), logarithmic; y is in KiB.

    Raises
    ------
    TypeError
        If `heap` is no heap.

    See Also
    --------
    rtosheap.fragmentation.largest_request : that number.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.plot import free_blocks
    >>> heap = Heap4(4096)
    >>> blocks = [heap.malloc(size) for size in (40, 200, 40, 700, 40)]
    >>> heap.free(blocks[1]); heap.free(blocks[3])
    >>> ax = free_blocks(heap)
    >>> ax.get_xlabel()
    'size of free block'
    """
    if not isinstance(heap, Heap | Allocator):
        raise TypeError(f"heap is {heap!r}; it must be a heap, such as Heap4(16384)")
    sizes = np.array([size for size in _arena.free_sizes(heap) if size], dtype=int)
    ax = axes_for(ax)
    power = np.frexp(sizes.astype(np.float64))[1] - 1
    first, last = (int(power.min()), int(power.max())) if len(power) else (3, 9)
    counts = np.bincount(power - first, minlength=last - first + 1)
    total = np.bincount(power - first, sizes / 1024, minlength=last - first + 1)
    middles = np.arange(first, last + 1) + 0.5
    bars = ax.bar(middles, total, width=0.9, label="bytes free (above: blocks)", **FREE.patch(ax))
    for bar in bars:
        bar.set(linewidth=0.8, edgecolor=on(ax, "#8a7a3d"))
    highest = float(total.max()) if len(sizes) else 1.0
    for middle, height, count in zip(middles, total, counts, strict=True):
        if count:
            ax.annotate(
                f"{count:,}",
                (middle, height),
                xytext=(0, 1.5),
                textcoords="offset points",
                ha="center",
                va="bottom",
                color=ink(below(ax)),
                fontsize=0.9 * font_size(ax),
                bbox={"facecolor": blank(ax), "edgecolor": "none", "pad": 0.6},
                zorder=3,
            )
    handles: list[Any] = [bars]
    request = largest_request(heap) if isinstance(heap, Heap) else 0
    if request:
        line = ax.axvline(
            np.log2(request), color=on(ax, "#0b3c5d"), linestyle=(0, (5, 1.5)), linewidth=1.5
        )
        line.set_label(f"largest request that would succeed: {request:,} B")
        handles.append(line)
    ax.set_ylim(0.0, 1.12 * highest)
    low = min(first, int(np.log2(request))) if request else first
    high = max(last + 1, (_arena.size_of(heap) - 1).bit_length())  # no block is larger
    low = max(min(low, high - _LEAST_BARS), 0)
    ax.set_xlim(low - 0.15, high + 0.15)
    _size_ticks(ax, low, high)
    ax.set_xlabel("size of free block")
    kib(ax.yaxis, "free in blocks of this size")
    if legend:
        size, free = size_text(_arena.size_of(heap)), size_text(_free(heap, sizes))
        title = (
            f"{heap_kind(heap)} of {size}: {free} free, "
            f"in {len(sizes):,} block{'' if len(sizes) == 1 else 's'}"
        )
        legend_above(ax, handles, title=title)
    return ax


def _free(heap: Heap | Allocator, sizes: Any) -> int:
    return heap.free_size if isinstance(heap, Heap) else int(sizes.sum())


def _size_ticks(ax: Axes, first: int, last: int) -> None:
    step = -(-(last - first + 1) // (5 if is_narrow(ax) else 8))
    ticks = list(range(first, last + 1, step))
    ax.set_xticks(ticks, [size_text(1 << tick) for tick in ticks])
