"""Strategies for constructed heaps, and for the sizes that matter to a heap as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from rtosheap.allocators import AllocatorKind, PolicyHeap
from rtosheap.heaps import Heap
from rtosheap.heaps.layout import DEFAULT_BASE, Layout, up
from rtosheap.heaps.releases import NEWEST_KERNEL, find_kernel
from rtosheap.heaps.toolchains import NEWEST_NEWLIB, find_newlib
from rtosheap.kinds import NAMES, FreertosClass, HeapKind, heap_class, layout_of
from rtosheap.testing import _arguments

__all__ = ["heaps", "sizes"]

_REGIONS_MAX = 8


def heaps(
    kinds: Sequence[HeapKind] | HeapKind = NAMES,
    *,
    sizes: tuple[int, int] = (256, 4096),
    word_sizes: Sequence[int] = (4, 8),
    alignments: Sequence[int] = (8, 4, 16, 32),
    regions: tuple[int, int] = (1, _REGIONS_MAX),
    unaligned: bool = True,
    canaries: bool = True,
    clear_on_free: bool = True,
    kernels: Sequence[str] | str = (NEWEST_KERNEL,),
    newlibs: Sequence[str] | str = (NEWEST_NEWLIB,),
) -> st.SearchStrategy[Heap]:
    """Constructed heaps, empty, over memory of their own.

    Shrinks to the first of `kinds`, `word_sizes`, `alignments`, `kernels` and `newlibs`, to the
    smallest arena, to one region that starts at 0x2000_0000, and to no canary.

    Parameters
    ----------
    kinds : sequence of str or type
        Which heaps: ``"heap_1"`` … ``"heap_5"`` or `Heap1` … `Heap5`, a policy's name or
        ``PolicyHeap.of(…)``; one alone serves too.
        heap_3 comes with a word of 4 and an alignment of 8 only, whatever else is asked for.
    sizes : (int, int)
        Fewest and most bytes of the arena; of all regions together for heap_5.
    word_sizes : sequence of {4, 8}
    alignments : sequence of {4, 8, 16, 32}
        Those smaller than the word are left out where the word is 8.
    regions : (int, int)
        Fewest and most regions of heap_5, from 1 to 8.
    unaligned : bool
        Whether regions may start at addresses that are not aligned.
    canaries : bool
        Whether heap_4 and heap_5 may have the heap protector's canary.
    clear_on_free : bool
        Whether heap_2, heap_4 and heap_5 may clear a payload when it is freed.
    kernels, newlibs : sequence of str
        The releases whose heaps these are, as for the constructors; one alone serves too. By
        default the newest.

    Raises
    ------
    ValueError, TypeError
        An argument that cannot be, or `sizes` too small for the bookkeeping that the others ask
        for; the message names the argument.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(heaps("heap_4", sizes=(256, 1024)), lambda heap: True)
    <Heap4 of 256 bytes at 0x20000000: 248 free in 1 block, largest 248>
    """
    chosen = [kinds] if isinstance(kinds, str | type | AllocatorKind) else list(kinds)
    if not chosen:
        raise ValueError("kinds is empty; it must name at least one heap")
    classes = [_class(kind) for kind in chosen]
    least_size, most_size = _arguments.interval(sizes, "sizes", 1, 1 << 24)
    words = _arguments.choices(word_sizes, "word_sizes", (4, 8))
    aligned = _arguments.choices(alignments, "alignments", (4, 8, 16, 32))
    few, many = _arguments.interval(regions, "regions", 1, _REGIONS_MAX)
    flags = [_arguments.boolean(unaligned, "unaligned"), _arguments.boolean(canaries, "canaries")]
    flags.append(_arguments.boolean(clear_on_free, "clear_on_free"))
    releases = {
        "kernel": _releases(kernels, "kernels", lambda name: find_kernel(name).name),
        "newlib": _releases(newlibs, "newlibs", find_newlib),
    }
    layouts: list[list[tuple[Any, Layout]]] = []  # of each kind
    for cls in classes:
        fitting = Layout.existing(cls.kind, words, aligned, layout_of(cls).policy)
        if not fitting:
            raise ValueError(
                f"alignments is {aligned!r}; none goes with word_sizes {words!r}: "
                "an alignment must be no smaller than the word"
            )
        layouts.append([(cls, layout) for layout in fitting])
    for _, layout in (pair for of_kind in layouts for pair in of_kind):
        needed = _least(layout) * (few if layout.has_regions else 1)
        if most_size < needed:
            raise ValueError(
                f"sizes is {(least_size, most_size)!r}; {layout.name} with a word of "
                f"{layout.word}, an alignment of {layout.alignment} and regions {(few, many)!r} "
                f"needs {needed} bytes"
            )
    return _heaps(layouts, (least_size, most_size), (few, many), releases, *flags)


def _class(kind: HeapKind) -> FreertosClass | type[PolicyHeap]:
    chosen = heap_class(kind)
    if isinstance(chosen, AllocatorKind):
        raise TypeError(f"kinds names {chosen!r}, which is none of this package's heaps")
    return chosen


def _releases(
    given: Sequence[str] | str, argument: str, find: Callable[[str], str]
) -> tuple[str, ...]:
    """The releases by the names that the heaps know them by."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{argument} is {given!r}; it must be a sequence of str")
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names:
        raise ValueError(f"{argument} is empty; it must name at least one release")
    return tuple(map(find, names))


def _least(layout: Layout) -> int:
    """Bytes with room for a region's alignment loss, its end marker and one small block."""
    if layout.is_buddy:
        return layout.smallest(DEFAULT_BASE) + 2 * layout.alignment
    return 2 * up(2 * layout.word, layout.alignment) + 2 * layout.alignment


@st.composite
def _heaps(
    draw: st.DrawFn,
    layouts: list[list[tuple[Any, Layout]]],
    sizes: tuple[int, int],
    regions: tuple[int, int],
    releases: Mapping[str, Sequence[str]],
    unaligned: bool,
    canaries: bool,
    clear_on_free: bool,
) -> Heap:
    cls, layout = draw(st.sampled_from(draw(st.sampled_from(layouts))))
    alignment, least = layout.alignment, _least(layout)
    start = DEFAULT_BASE + (draw(st.integers(0, alignment - 1)) if unaligned else 0)
    options: dict[str, Any] = {
        option: draw(st.sampled_from(names))
        for option, names in releases.items()
        if option in layout.options
    }
    if "word_size" in layout.options:
        options |= {"word_size": layout.word, "alignment": alignment}
    if "clear_on_free" in layout.options and clear_on_free:
        options["clear_on_free"] = draw(st.booleans())
    if "canary" in layout.options and canaries:
        options["canary"] = draw(st.none() | st.integers(1, 2 * layout.top_bit - 1))
    if not layout.has_regions:
        size = draw(st.integers(max(sizes[0], least), sizes[1]))
        heap: Heap = cls(size, base_address=start, **options)
        return heap
    count = draw(st.integers(regions[0], min(regions[1], sizes[1] // least)))
    spare = sizes[1] - count * least
    wanted = max(sizes[0] - count * least, 0)
    parts: list[tuple[int, int]] = []
    for left in reversed(range(count)):
        extra = draw(st.integers(0 if left else min(wanted, spare), spare))
        spare -= extra
        wanted = max(wanted - extra, 0)
        gap = draw(st.sampled_from([0, alignment, 1, 0x1000])) if parts else 0
        start += gap if unaligned else gap // alignment * alignment
        parts.append((start, least + extra))
        start += least + extra
        if not unaligned:
            start = -(-start // alignment) * alignment
    many: Heap = cls(parts, **options)
    return many


def sizes(heap: Heap) -> st.SearchStrategy[int]:
    """The sizes at which `heap`, as it is now, decides differently.

    They are 0, 1, the alignment and its neighbours, what exactly fills each free block, what
    leaves a remainder just below, at and above the threshold of a split, the free size, and the
    values around the word's top bit and its maximum. All can be given to ``heap.malloc``.

    Shrinks to smaller sizes.

    Raises
    ------
    TypeError
        `heap` is no heap.
    HeapCorruptionError
        If the free list was overwritten.

    Examples
    --------
    >>> from hypothesis import find
    >>> from rtosheap import Heap4
    >>> heap = Heap4(256)
    >>> find(sizes(heap), lambda size: size > 1 and heap.copy().malloc(size) is None)
    241
    """
    if not isinstance(heap, Heap):
        raise TypeError(f"heap is {heap!r}; it must be a heap, such as Heap4(16384)")
    layout = Layout.of(heap)
    header, alignment, top = layout.overhead, layout.alignment, layout.top_bit
    largest = 2 * top - 1
    found = {0, 1, alignment - 1, alignment, alignment + 1, header, heap.free_size}
    blocks = {block.size for block in heap.free_blocks() if block.size}
    for block in sorted(blocks)[:3] + sorted(blocks)[-3:]:
        for kept in (0, 2 * header - alignment, 2 * header, 2 * header + alignment):
            exact = block - header - kept
            found |= {exact - 1, exact, exact + 1}
    for end in (top, largest):
        found |= {end - header - alignment, end - header, end - header + 1, end - 1, end, end + 1}
    return st.sampled_from(sorted(size for size in found if 0 <= size <= largest))
