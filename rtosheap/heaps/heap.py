"""The classes of the five heaps."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from rtosheap import _core
from rtosheap._core import DoubleFreeError as DoubleFreeError
from rtosheap._core import HeapCorruptionError as HeapCorruptionError
from rtosheap._core import HeapError as HeapError
from rtosheap._core import InvalidFreeError as InvalidFreeError
from rtosheap.heaps.image import from_image
from rtosheap.html import heap_html


class HeapStats(NamedTuple):
    """What ``vPortGetHeapStats`` reports: the fields of ``HeapStats_t``, in its order."""

    available: int
    """Free bytes, headers included."""
    largest_free_block: int
    """Bytes of the largest free block, 0 if none is free."""
    smallest_free_block: int
    """Bytes of the smallest free block; the largest ``size_t`` if none is free."""
    free_block_count: int
    """Entries of the free list; heap_5's zero-sized region markers count."""
    minimum_ever_free: int
    """The least that ``available`` was after a malloc."""
    allocation_count: int
    """Successful allocations since set-up."""
    free_count: int
    """Blocks freed since set-up."""


class Block(NamedTuple):
    """A block as it lies in the arena."""

    address: int
    """Target address of the header (heap_1, which has none: of the payload)."""
    size: int
    """Bytes, header included."""
    allocated: bool
    """False for a free block."""


class FreeBlock(NamedTuple):
    """An entry of the free list."""

    address: int
    """Target address of the header."""
    size: int
    """Bytes, header included; 0 for a region's marker in heap_5's list."""


class Region(NamedTuple):
    """A region of memory that a heap manages."""

    address: int
    """Target address of the first byte."""
    memory: Any
    """The buffer, as it was given."""


class Heap(_core.Heap):
    """What the five heaps have in common. Construct one of them, not this."""

    __slots__ = ()

    def stats(self) -> HeapStats:
        """The seven numbers of ``vPortGetHeapStats``, here for every heap.

        Raises
        ------
        HeapCorruptionError
            If a header of the free list was overwritten.

        Examples
        --------
        >>> Heap4(1024).stats().free_block_count
        1
        """
        return HeapStats._make(self._stats())

    def blocks(self) -> list[Block]:
        """Every block, free or allocated, in address order.

        heap_1 and heap_3 show what they have not used yet as a last free block.

        Raises
        ------
        HeapCorruptionError
            If a header was overwritten.

        Examples
        --------
        >>> heap = Heap4(1024)
        >>> p = heap.malloc(100)
        >>> [(hex(b.address), b.size, b.allocated) for b in heap.blocks()]
        [('0x20000000', 112, True), ('0x20000070', 904, False)]
        """
        return [Block._make(block) for block in self._blocks()]

    def free_blocks(self) -> list[FreeBlock]:
        """The free list in its own order: heap_2 by size, the others by address.

        heap_5's zero-sized region markers are entries of its list, and are here.

        Raises
        ------
        HeapCorruptionError
            If a header of the list was overwritten.
        """
        return [FreeBlock._make(block) for block in self._free_blocks()]

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, ascending; one, but for heap_5."""
        return tuple(Region._make(region) for region in self._regions())

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            stats = self.stats()
            word = f", {8 * self.word_size}-bit" if self.word_size != 4 else ""
            return (
                f"<{name} of {self.size:,} bytes at {self.base_address:#010x}{word}: "
                f"{stats.available:,} free in {stats.free_block_count:,} "
                f"block{'' if stats.free_block_count == 1 else 's'}, "
                f"largest {stats.largest_free_block:,}>"
            )
        except HeapCorruptionError as error:
            return f"<{name} of {self.size:,} bytes at {self.base_address:#010x}: {error}>"
        except NotImplementedError:
            live = self.allocation_count - self.free_count
            return f"<{name}.host(): {live:,} live blocks>"
        except RuntimeError:
            return f"<{name}: busy>"

    def _repr_html_(self) -> str | None:
        try:
            return heap_html(self)
        except (HeapError, NotImplementedError, RuntimeError):
            return None  # the plain text says why


class _InOneArena(Heap):
    __slots__ = ()

    @classmethod
    def from_image(cls, memory: Any, **options: Any) -> Self:
        """A live heap from a device's memory: see :func:`rtosheap.heaps.from_image`."""
        return from_image(cls, memory, **options)


class Heap1(_core.Heap1, _InOneArena):
    """heap_1: allocates, never frees.

    Parameters
    ----------
    memory
        A size in bytes, or any writable contiguous buffer, which is pinned and used in place.
        ``size - alignment`` bytes are managed, and the last of them is never handed out, as on
        the device.
    base_address : int, default 0x2000_0000
        Target address of the first byte; need not be aligned.
    word_size : {4, 8}
        The target's ``sizeof(size_t)``.
    alignment : {4, 8, 16, 32}
        ``portBYTE_ALIGNMENT``; no smaller than `word_size`.

    Raises
    ------
    ValueError
        If the memory is too small, or reaches past the word's range.

    Examples
    --------
    >>> heap = Heap1(64)
    >>> hex(heap.malloc(10)), hex(heap.malloc(10)), heap.free_size
    ('0x20000000', '0x20000010', 24)
    """

    __slots__ = ()


class Heap2(_core.Heap2, _InOneArena):
    """heap_2: best fit over a list in the order of sizes, without coalescing.

    Parameters
    ----------
    memory, base_address, word_size, alignment
        As for `Heap1`; ``size - alignment`` bytes are managed.
    clear_on_free : bool
        ``configHEAP_CLEAR_MEMORY_ON_FREE``: zero a payload when it is freed.
    end_marker_address : int, optional
        Where the end marker of the free list would lie, to which the last listed block links;
        outside the arena. Default: just below it (at the top of memory, where there is nothing
        below).

    Examples
    --------
    >>> heap = Heap2(256)
    >>> a, b = heap.malloc(16), heap.malloc(16)
    >>> heap.free(a); heap.free(b)
    >>> [block.size for block in heap.free_blocks()]    # not merged
    [24, 24, 200]
    """

    __slots__ = ()


class Heap3(_core.Heap3, _InOneArena):
    """heap_3: the C library's malloc; here newlib-nano's (3.3.0) inside an arena.

    What ``sbrk`` has not reached yet counts as free. The target is 32-bit, the alignment 8.

    Parameters
    ----------
    memory, base_address
        As for `Heap1`; the arena in which ``sbrk`` grows.

    Examples
    --------
    >>> heap = Heap3(1024)
    >>> hex(heap.malloc(10)), heap.free_size
    ('0x20000008', 1004)
    """

    __slots__ = ()


class Heap4(_core.Heap4, _InOneArena):
    """heap_4: first fit over a list in address order, with coalescing.

    Parameters
    ----------
    memory, base_address, word_size, alignment
        As for `Heap1`.
    clear_on_free : bool
        ``configHEAP_CLEAR_MEMORY_ON_FREE``: zero a payload when it is freed.
    canary : int, optional
        The heap protector's word: links are stored XOR it.

    Examples
    --------
    >>> heap = Heap4(16 * 1024)
    >>> p = heap.malloc(100)
    >>> hex(p), heap.usable_size(p)
    ('0x20000008', 104)
    >>> heap.free(p)
    >>> heap.free_size
    16376
    """

    __slots__ = ()


class Heap5(_core.Heap5, Heap):
    """heap_5: heap_4 over several regions.

    Parameters
    ----------
    regions : sequence of (address, size or buffer)
        Ascending, not overlapping.
    word_size, alignment
        As for `Heap1`.
    clear_on_free, canary
        As for `Heap4`.

    Examples
    --------
    >>> heap = Heap5([(0x1000_0000, 1024), (0x2000_0000, bytearray(4096))])
    >>> hex(heap.malloc(2000)), [block.size for block in heap.free_blocks()]
    ('0x20000008', [1016, 0, 2080])
    """

    __slots__ = ()

    @classmethod
    def from_image(cls, regions: Any, **options: Any) -> Self:
        """A live heap from a device's memory: see :func:`rtosheap.heaps.from_image`."""
        return from_image(cls, regions, **options)


for _type in (HeapStats, Block, FreeBlock, Region, Heap, Heap1, Heap2, Heap3, Heap4, Heap5):
    _type.__module__ = "rtosheap.heaps"  # where users import them from, and pickles find them
