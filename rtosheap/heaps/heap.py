"""The classes of the five heaps."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Self, SupportsIndex

from rtosheap import _core
from rtosheap._core import DoubleFreeError as DoubleFreeError
from rtosheap._core import HeapAssertionError as HeapAssertionError
from rtosheap._core import HeapCorruptionError as HeapCorruptionError
from rtosheap._core import HeapError as HeapError
from rtosheap._core import InvalidFreeError as InvalidFreeError
from rtosheap.heaps.releases import NEWEST_KERNEL, find_kernel
from rtosheap.heaps.toolchains import NEWEST_NEWLIB, find_newlib
from rtosheap.html import heap_html
from rtosheap.tables import record_text


class HeapStats(NamedTuple):
    """What ``vPortGetHeapStats`` reports: the fields of ``HeapStats_t``, in its order.

    Examples
    --------
    >>> heap = Heap4(1024)
    >>> p, q = heap.malloc(100), heap.malloc(200)
    >>> heap.free(p)
    >>> stats = heap.stats()
    >>> stats.available, stats.largest_free_block, stats.free_block_count
    (808, 696, 2)
    """

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
    """A block as it lies in the arena.

    Examples
    --------
    >>> heap = Heap4(1024)
    >>> p = heap.malloc(100)
    >>> heap.blocks()[0]
    Block(address=0x20000000, size=112, allocated=True)
    """

    address: int
    """Target address of the header (heap_1, which has none: of the payload)."""
    size: int
    """Bytes, header included."""
    allocated: bool
    """False for a free block."""

    def __repr__(self) -> str:
        return record_text(self, addresses=("address",))


class FreeBlock(NamedTuple):
    """An entry of the free list.

    Examples
    --------
    >>> heap = Heap4(1024)
    >>> p = heap.malloc(100)
    >>> heap.free_blocks()
    [FreeBlock(address=0x20000070, size=904)]
    """

    address: int
    """Target address of the header."""
    size: int
    """Bytes, header included; 0 for a region's marker in heap_5's list."""

    def __repr__(self) -> str:
        return record_text(self, addresses=("address",))


class Region(NamedTuple):
    """A region of memory that a heap manages.

    Examples
    --------
    >>> heap = Heap5([(0x1000_0000, 1024), (0x2000_0000, bytearray(4096))])
    >>> heap.regions[1]
    Region(address=0x20000000, memory=<bytearray of 4,096 bytes>)
    """

    address: int
    """Target address of the first byte."""
    memory: Any
    """The buffer, as it was given."""

    def __repr__(self) -> str:
        try:
            what = f"<{type(self.memory).__name__} of {memoryview(self.memory).nbytes:,} bytes>"
        except TypeError:  # no buffer
            what = repr(self.memory)
        return f"Region(address={self.address:#x}, memory={what})"


class Heap(_core.Heap):
    """What the five heaps have in common. Construct one of them, not this.

    Examples
    --------
    >>> heaps: list[Heap] = [Heap1(1024), Heap3(1024), Heap4(1024)]
    >>> for heap in heaps:
    ...     p = heap.malloc(100)
    ...     print(heap)
    <Heap1 of 1,024 bytes at 0x20000000: 912 free in 1 block, largest 912>
    <Heap3 of 1,024 bytes at 0x20000000: 916 free in 1 block, largest 916>
    <Heap4 of 1,024 bytes at 0x20000000: 904 free in 1 block, largest 904>
    """

    __slots__ = ()

    def stats(self) -> HeapStats:
        """The seven numbers of ``vPortGetHeapStats``, here for every heap.

        Raises
        ------
        HeapCorruptionError
            If a header of the free list was overwritten.
        HeapError
            Where this kernel's ``vPortGetHeapStats`` follows a null link: heap_4 and heap_5 of
            V10.3.0 to V10.4.6, while no block is free. A device faults there, or reads what lies
            at address 0.

        Examples
        --------
        >>> Heap4(1024).stats().free_block_count
        1
        """
        return HeapStats._make(self._stats())

    def _numbers(self) -> HeapStats:
        """The same of any kernel, one whose own statistics would crash included."""
        return HeapStats._make(self._stats(True))

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
        name = self._title()
        try:
            stats = self._numbers()
            word = f", {8 * self.word_size}-bit" if self.word_size != 4 else ""
            version = self._version()
            return (
                f"<{name} of {self.size:,} bytes at {self.base_address:#010x}{word}{version}: "
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

    def _title(self) -> str:
        return type(self).__name__

    def _version(self) -> str:
        """What is said of a heap that is not the newest's."""
        if self.newlib not in (None, NEWEST_NEWLIB):
            return f", newlib {self.newlib}"
        return f", {self.kernel}" if self.kernel not in (None, NEWEST_KERNEL) else ""

    def _repr_html_(self) -> str | None:
        try:
            return heap_html(self)
        except (HeapError, NotImplementedError, RuntimeError):
            return None  # the plain text says why


def _from_image(cls: Any, memory: Any, options: dict[str, Any]) -> Any:
    return import_module("rtosheap.heaps.image").from_image(cls, memory, **options)


class _InOneArena(Heap):
    __slots__ = ()

    @classmethod
    def from_image(cls, memory: Any, **options: Any) -> Self:
        """A live heap from a device's memory: see :func:`rtosheap.heaps.from_image`."""
        heap: Self = _from_image(cls, memory, options)
        return heap


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
    kernel : str, optional
        The release of the FreeRTOS kernel, ``"V10.3.1"``: from V8.2.3 on, by tag or by a name of
        long-term support; None and ``"main"`` are the newest. `rtosheap.kernels` lists them with
        what they do otherwise.

    Raises
    ------
    ValueError
        If the memory is too small, or reaches past the word's range, or no release has that name.

    Examples
    --------
    >>> heap = Heap1(64)
    >>> hex(heap.malloc(10)), hex(heap.malloc(10)), heap.free_size
    ('0x20000000', '0x20000010', 24)
    """

    __slots__ = ()

    def __new__(
        cls,
        memory: _core._Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        kernel: str | None = None,
    ) -> Self:
        return super().__new__(
            cls,
            memory,
            base_address=base_address,
            word_size=word_size,
            alignment=alignment,
            kernel=find_kernel(kernel).name,
        )


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
    kernel : str, optional
        As for `Heap1`; calloc and clearing, which came with V10.5.0, work with all of them. Up to
        V10.4.2 the size of a block may wrap, so that a request near the
        largest ``size_t`` is given a block of a header alone, as on the device; where it wraps to
        less than that, malloc raises HeapError: the device would damage its list. Up to V10.4.6
        the device notices no double free; here it is a DoubleFreeError all the same.

    Examples
    --------
    >>> heap = Heap2(256)
    >>> a, b = heap.malloc(16), heap.malloc(16)
    >>> heap.free(a); heap.free(b)
    >>> [block.size for block in heap.free_blocks()]    # not merged
    [24, 24, 200]
    """

    __slots__ = ()

    def __new__(
        cls,
        memory: _core._Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        end_marker_address: SupportsIndex | None = None,
        kernel: str | None = None,
    ) -> Self:
        return super().__new__(
            cls,
            memory,
            base_address=base_address,
            word_size=word_size,
            alignment=alignment,
            clear_on_free=clear_on_free,
            end_marker_address=end_marker_address,
            kernel=find_kernel(kernel).name,
        )


class Heap3(_core.Heap3, _InOneArena):
    """heap_3: the C library's malloc; here newlib-nano's inside an arena.

    What ``sbrk`` has not reached yet counts as free. The target is 32-bit, the alignment 8.

    Parameters
    ----------
    memory, base_address
        As for `Heap1`; the arena in which ``sbrk`` grows.
    newlib : str, optional
        Which newlib's: a release, ``"4.4.0"``, or a toolchain, ``"arm-gnu-10.3-2021.10"``;
        `rtosheap.newlibs` lists them. Default: the newest. Where 4.2.0 and 4.3.0 would hand out
        memory twice or touch address 0, a call raises HeapError and says so.

    Examples
    --------
    >>> heap = Heap3(1024)
    >>> hex(heap.malloc(10)), heap.free_size
    ('0x20000008', 1004)
    >>> Heap3(1024, newlib="arm-gnu-10.3-2021.10").newlib
    '4.2.0'
    """

    __slots__ = ()

    def __new__(
        cls,
        memory: _core._Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        newlib: str | None = None,
    ) -> Self:
        return super().__new__(cls, memory, base_address=base_address, newlib=find_newlib(newlib))


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
    kernel : str, optional
        As for `Heap1`. What a release has not (calloc and clearing before V10.5.0, statistics
        before V10.3.0, the heap protector before V11.0.0, the reset of the minimum ever free before
        V11.2.0) works here with all of them. Ticks are taken to have 32 bits, where it matters.

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

    def __new__(
        cls,
        memory: _core._Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        canary: SupportsIndex | None = None,
        kernel: str | None = None,
    ) -> Self:
        return super().__new__(
            cls,
            memory,
            base_address=base_address,
            word_size=word_size,
            alignment=alignment,
            clear_on_free=clear_on_free,
            canary=canary,
            kernel=find_kernel(kernel).name,
        )


class Heap5(_core.Heap5, Heap):
    """heap_5: heap_4 over several regions.

    Parameters
    ----------
    regions : sequence of (address, size or buffer)
        Ascending, not overlapping.
    word_size, alignment
        As for `Heap1`.
    clear_on_free, canary, kernel
        As for `Heap4`. From V11.0.0 to V11.3.0 and with a canary, a malloc that fits no free block
        raises HeapAssertionError, and nothing changes: the device would stop in its
        ``configASSERT``.

    Examples
    --------
    >>> heap = Heap5([(0x1000_0000, 1024), (0x2000_0000, bytearray(4096))])
    >>> hex(heap.malloc(2000)), [block.size for block in heap.free_blocks()]
    ('0x20000008', [1016, 0, 2080])
    """

    __slots__ = ()

    def __new__(
        cls,
        regions: Sequence[tuple[SupportsIndex, _core._Memory]],
        *,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        canary: SupportsIndex | None = None,
        kernel: str | None = None,
    ) -> Self:
        return super().__new__(
            cls,
            regions,
            word_size=word_size,
            alignment=alignment,
            clear_on_free=clear_on_free,
            canary=canary,
            kernel=find_kernel(kernel).name,
        )

    @classmethod
    def from_image(cls, regions: Any, **options: Any) -> Self:
        """A live heap from a device's memory: see :func:`rtosheap.heaps.from_image`."""
        heap: Self = _from_image(cls, regions, options)
        return heap


for _type in (HeapStats, Block, FreeBlock, Region, Heap, Heap1, Heap2, Heap3, Heap4, Heap5):
    _type.__module__ = "rtosheap.heaps"  # where users import them from, and pickles find them
