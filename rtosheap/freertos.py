"""FreeRTOS's own names over a heap of rtosheap, for code that is ported to or from firmware.

A program on FreeRTOS has one heap, and its functions say nothing of which. So it is here: set the
heap up with :func:`use` or :func:`vPortDefineHeapRegions`, and then call.

>>> from rtosheap import Heap4
>>> from rtosheap.freertos import pvPortMalloc, use, vPortFree, xPortGetFreeHeapSize
>>> with use(Heap4(16 * 1024)):
...     p = pvPortMalloc(100)
...     vPortFree(p)
...     xPortGetFreeHeapSize()
16376

The heap that is in use belongs to the process, as on a device; threads share it. :class:`Port` has
the same functions as methods, for more than one heap at a time. Pointers are target addresses;
``NULL`` is None. A wrong ``vPortFree`` raises where FreeRTOS asserts.
"""

# The names are FreeRTOS's, and so is their spelling.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, SupportsIndex

from rtosheap.heaps import Heap, Heap5

__all__ = [
    "HeapStats_t",
    "Port",
    "pvPortCalloc",
    "pvPortMalloc",
    "use",
    "vPortDefineHeapRegions",
    "vPortFree",
    "vPortGetHeapStats",
    "xPortGetFreeHeapSize",
    "xPortGetMinimumEverFreeHeapSize",
    "xPortResetHeapMinimumEverFreeHeapSize",
]


class HeapStats_t(NamedTuple):
    """What ``vPortGetHeapStats`` fills in, under FreeRTOS's names. Sizes are in bytes, headers
    included.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     stats = vPortGetHeapStats()
    >>> stats.xAvailableHeapSpaceInBytes, stats.xNumberOfFreeBlocks
    (1016, 1)
    """

    xAvailableHeapSpaceInBytes: int
    xSizeOfLargestFreeBlockInBytes: int
    xSizeOfSmallestFreeBlockInBytes: int
    xNumberOfFreeBlocks: int
    xMinimumEverFreeBytesRemaining: int
    xNumberOfSuccessfulAllocations: int
    xNumberOfSuccessfulFrees: int


class Port:
    """FreeRTOS's heap functions as methods, over one heap.

    Parameters
    ----------
    heap : Heap
        The heap they work on.

    Attributes
    ----------
    heap : Heap
        As given.

    Raises
    ------
    TypeError
        If `heap` is not a heap.

    Examples
    --------
    >>> from rtosheap import Heap2
    >>> port = Port(Heap2(1024))
    >>> port.pvPortMalloc(2000) is None, port.xPortGetFreeHeapSize()
    (True, 1016)
    """

    __slots__ = ("heap",)

    def __init__(self, heap: Heap) -> None:
        if not isinstance(heap, Heap):
            raise TypeError(f"heap is {heap!r}; it must be a heap, such as Heap4(16 * 1024)")
        self.heap = heap

    def pvPortMalloc(self, xWantedSize: SupportsIndex) -> int | None:
        """The payload's address, or None where it does not fit or 0 bytes are requested."""
        return self.heap.malloc(xWantedSize)

    def pvPortCalloc(self, xNum: SupportsIndex, xSize: SupportsIndex) -> int | None:
        """The address of ``xNum * xSize`` zeroed bytes, or None where that does not fit."""
        return self.heap.calloc(xNum, xSize)

    def vPortFree(self, pv: SupportsIndex | None) -> None:
        """Give a block back. None and 0 are ``NULL``, and ignored.

        Raises
        ------
        InvalidFreeError
            Where FreeRTOS asserts: not the address of a live block. heap_1 frees nothing.
        """
        self.heap.free(pv)

    def xPortGetFreeHeapSize(self) -> int:
        """Free bytes, headers included."""
        return self.heap.free_size

    def xPortGetMinimumEverFreeHeapSize(self) -> int:
        """The least that the free size ever was. Here for every heap."""
        return self.heap.minimum_ever_free_size

    def xPortResetHeapMinimumEverFreeHeapSize(self) -> None:
        """Let the minimum start again from the present free size."""
        self.heap.reset_minimum_ever_free_size()

    def vPortGetHeapStats(self) -> HeapStats_t:
        """The statistics, returned instead of filled in. Here for every heap."""
        return HeapStats_t._make(self.heap.stats())


class _Used:
    """What `use` returns: a context manager that puts the heap back that was in use before."""

    __slots__ = ("_before", "port")

    def __init__(self, port: Port, before: Port | None) -> None:
        self.port, self._before = port, before

    def __enter__(self) -> Port:
        return self.port

    def __exit__(self, *error: object) -> None:
        global _port
        _port = self._before


_port: Port | None = None


def use(heap: Heap) -> _Used:
    """Make a heap the one that this module's functions work on.

    It stays so until the next `use`; as a context manager, until the end of the ``with``, which
    brings back what was in use before.

    Parameters
    ----------
    heap : Heap
        Any of the five.

    Raises
    ------
    TypeError
        If `heap` is not a heap.

    Examples
    --------
    >>> from rtosheap import Heap1
    >>> with use(Heap1(1024)) as port:
    ...     hex(pvPortMalloc(10)), port.heap.free_size
    ('0x20000000', 1000)
    """
    global _port
    used = _Used(Port(heap), _port)
    _port = used.port
    return used


def vPortDefineHeapRegions(pxHeapRegions: Iterable[tuple[Any, Any]], **options: Any) -> _Used:
    """Make a new heap_5 over these regions the one in use.

    Parameters
    ----------
    pxHeapRegions : iterable of (address, size or buffer)
        Ascending. FreeRTOS's end of the array, ``(NULL, 0)``, may stand there and ends it.
    **options
        What `Heap5` takes besides.

    Returns
    -------
    context manager
        As :func:`use`.

    Raises
    ------
    ValueError
        Where FreeRTOS asserts, and for regions too small to hold a block.

    Examples
    --------
    >>> with vPortDefineHeapRegions([(0x1000_0000, 1024), (0x2000_0000, 4096), (None, 0)]):
    ...     xPortGetFreeHeapSize()
    5104
    """
    regions: list[tuple[Any, Any]] = []
    for address, memory in pxHeapRegions:
        if (address is None or address == 0) and isinstance(memory, int) and memory == 0:
            break
        regions.append((address, memory))
    return use(Heap5(regions, **options))


def _current() -> Port:
    if _port is None:
        raise RuntimeError(
            "no heap is in use: call rtosheap.freertos.use(Heap4(16 * 1024)), or "
            "vPortDefineHeapRegions(regions) for heap_5, first"
        )
    return _port


def pvPortMalloc(xWantedSize: SupportsIndex) -> int | None:
    """See :meth:`Port.pvPortMalloc`. Like all functions here: RuntimeError if no heap is in use.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     hex(pvPortMalloc(100)), pvPortMalloc(1000) is None
    ('0x20000008', True)
    """
    return _current().pvPortMalloc(xWantedSize)


def pvPortCalloc(xNum: SupportsIndex, xSize: SupportsIndex) -> int | None:
    """See :meth:`Port.pvPortCalloc`.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)) as port:
    ...     p = pvPortCalloc(4, 2)
    ...     list(port.heap.view(p))
    [0, 0, 0, 0, 0, 0, 0, 0]
    """
    return _current().pvPortCalloc(xNum, xSize)


def vPortFree(pv: SupportsIndex | None) -> None:
    """See :meth:`Port.vPortFree`.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     p = pvPortMalloc(100)
    ...     vPortFree(p)
    ...     vPortFree(p)
    Traceback (most recent call last):
        ...
    rtosheap.DoubleFreeError: free(0x20000008): the block was freed before, and ...
    """
    _current().vPortFree(pv)


def xPortGetFreeHeapSize() -> int:
    """See :meth:`Port.xPortGetFreeHeapSize`.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     p = pvPortMalloc(100)
    ...     xPortGetFreeHeapSize()
    904
    """
    return _current().xPortGetFreeHeapSize()


def xPortGetMinimumEverFreeHeapSize() -> int:
    """See :meth:`Port.xPortGetMinimumEverFreeHeapSize`.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     vPortFree(pvPortMalloc(100))
    ...     xPortGetFreeHeapSize(), xPortGetMinimumEverFreeHeapSize()
    (1016, 904)
    """
    return _current().xPortGetMinimumEverFreeHeapSize()


def xPortResetHeapMinimumEverFreeHeapSize() -> None:
    """See :meth:`Port.xPortResetHeapMinimumEverFreeHeapSize`.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     vPortFree(pvPortMalloc(100))
    ...     xPortResetHeapMinimumEverFreeHeapSize()
    ...     xPortGetMinimumEverFreeHeapSize()
    1016
    """
    _current().xPortResetHeapMinimumEverFreeHeapSize()


def vPortGetHeapStats() -> HeapStats_t:
    """See :meth:`Port.vPortGetHeapStats`.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> with use(Heap4(1024)):
    ...     p, q = pvPortMalloc(100), pvPortMalloc(100)
    ...     vPortFree(p)
    ...     stats = vPortGetHeapStats()
    >>> stats.xNumberOfFreeBlocks, stats.xSizeOfLargestFreeBlockInBytes
    (2, 792)
    """
    return _current().vPortGetHeapStats()
