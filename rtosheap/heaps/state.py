"""What a heap keeps outside its arena, as far as a dump of the device tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageState:
    """What a heap keeps outside its arena; None where it is not known.

    What is not known is reconstructed from the blocks, as far as they tell.

    Attributes
    ----------
    head : int, optional
        The link of the free list's start (FreeRTOS's ``xStart``, newlib's ``__malloc_free_list``),
        as it is stored: with a heap protector, XOR the canary.
    end_marker : int, optional
        Address of heap_2's ``xEnd``.
    free_size, minimum_ever_free, allocations, frees : int, optional
        The counters.
    canary : int, optional
        ``xHeapCanary``.
    used : int, optional
        heap_1: ``xNextFreeByte``, the bytes handed out; heap_3: the bytes that ``sbrk`` handed out.
    start : int, optional
        heap_1: ``pucAlignedHeap``, where the first block begins.

    Examples
    --------
    >>> from rtosheap import Heap1
    >>> heap = Heap1(64)
    >>> p = heap.malloc(10)
    >>> device = Heap1.from_image(heap.memory, state=ImageState(used=16))  # heap_1 has no headers
    >>> device.free_size, heap.free_size
    (40, 40)
    """

    head: int | None = None
    end_marker: int | None = None
    free_size: int | None = None
    minimum_ever_free: int | None = None
    allocations: int | None = None
    frees: int | None = None
    canary: int | None = None
    used: int | None = None
    start: int | None = None

    def known(self) -> tuple[str, ...]:
        """Names of what is known."""
        return tuple(name for name, value in vars(self).items() if value is not None)
