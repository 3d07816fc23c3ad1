"""A device's memory becomes a live heap: the ``from_image`` of the five classes."""

from __future__ import annotations

from typing import Any, SupportsIndex, TypeVar

import numpy as np

from rtosheap._core import Heap, HeapCorruptionError, _restore
from rtosheap.heaps.free_list import FreeChain
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.reading import Reading, read
from rtosheap.heaps.releases import find_kernel
from rtosheap.heaps.state import ImageState
from rtosheap.heaps.toolchains import find_newlib
from rtosheap.heaps.variants import variants_of

_H = TypeVar("_H", bound=Heap)


def from_image(
    cls: type[_H],
    memory: Any,
    *,
    base_address: SupportsIndex = 0x2000_0000,
    word_size: SupportsIndex = 4,
    alignment: SupportsIndex = 8,
    clear_on_free: bool = False,
    canary: SupportsIndex | None = None,
    state: ImageState | None = None,
    kernel: str | None = None,
    newlib: str | None = None,
) -> _H:
    """Build a live heap from the bytes of an arena; the ``from_image`` of the five classes.

    Parameters
    ----------
    cls : type
        `Heap1` … `Heap5`.
    memory : bytes-like, or for heap_5 a sequence of (address, bytes-like)
        The arena, which is copied.
    base_address, word_size, alignment, clear_on_free
        As for the class.
    canary : int, optional
        The heap protector's word; by default what `state` or the end marker says.
    state : ImageState, optional
        What the device kept outside the arena. By default, and where it says nothing, it is
        reconstructed: the free list from the blocks, the minimum ever free as what is free now,
        the allocations as the live blocks. heap_1 keeps nothing in its arena: without `state.used`
        all up to the last byte that is not 0 counts as one block.
    kernel, newlib : str, optional
        As for the classes; by default the newest.

    Raises
    ------
    HeapCorruptionError
        If the arena is damaged: :func:`rtosheap.inspection.inspect` says how.
    ValueError
        If no arena of this kind can be so, or it is another kernel's: the error says which.
    TypeError
        For a kernel of heap_3, which has a newlib, or a newlib of another heap.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> device = Heap4(1024)
    >>> p = device.malloc(100)
    >>> heap = Heap4.from_image(bytes(device.memory))
    >>> heap.blocks() == device.blocks(), heap.free(p)
    (True, None)
    """
    layout = Layout.from_options(cls.kind, {"word_size": word_size, "alignment": alignment})
    layout.check_versions(kernel, newlib)
    allowed = None if kernel is None else variants_of(kernel, layout.kind)
    reading = read(layout, memory, base_address, canary, state, allowed)
    if reading.fault:
        raise ValueError(reading.fault)
    if reading.chain is not None:
        _raise_for_damage(reading, reading.chain)
    release = find_kernel(kernel).name
    if reading.layout.variant not in variants_of(release, layout.kind):
        raise ValueError(
            f"memory is an arena that {layout.name} of {reading.layout.variant} left; say so by "
            f"kernel={reading.kernel!r}, or its release"
        )
    heap = restored(cls, reading, clear_on_free=clear_on_free, kernel=release, newlib=newlib)
    if reading.chain is not None:
        heap.check()
    return heap


def _raise_for_damage(reading: Reading, chain: FreeChain) -> None:
    def fail(address: int, what: str) -> None:
        error = HeapCorruptionError(f"the header at {address:#010x} {what}")
        error.address = address
        raise error

    for region in reading.parsed:
        for block in region.blocks:
            if block.broken:
                fail(block.address, "holds a size that leads to no other header")
            if block.wrong_link:
                fail(block.address, f"holds the link {block.link:#x}, which is not its own")
            if block.adjoins:
                fail(block.address, "is that of a free block before another free block")
        if region.wrong_marker(chain.order, region is reading.parsed[-1]):
            fail(region.span.end, "is no end marker: it holds a wrong size or link")
    if chain.cycle_at is not None:
        fail(chain.cycle_at, "links back: the free list is a cycle")
    if chain.astray_at is not None:
        fail(chain.astray_at, "links to no free block")
    if chain.lost:
        fail(chain.lost[0], "is that of a free block that the free list does not reach")
    if chain.unordered:
        fail(chain.unordered[0], "is out of the free list's order")
    available = sum(size for _, size, allocated in reading.blocks if not allocated)
    counter = reading.state.free_size
    if counter is not None and counter != available:
        raise HeapCorruptionError(
            f"the free blocks hold {available} bytes, the heap's counter says {counter}"
        )


def restored(
    cls: type[_H],
    reading: Reading,
    *,
    clear_on_free: bool = False,
    kernel: str | None = None,
    newlib: str | None = None,
) -> _H:
    """A heap as it was read, over copies of the bytes; of the newest release that leaves such an
    arena, unless one is named.

    Raises
    ------
    ValueError
        If no heap could be so.
    """
    layout, chain = reading.layout, reading.chain
    addresses = tuple(base for base, _ in reading.regions)
    marker = None
    if "end_marker_address" in layout.options:
        marker = (chain and chain.end_marker) or layout.end_marker(addresses[0])
    payloads = [layout.payload(at) for at, _, allocated in reading.blocks if allocated]
    snapshot = {
        "version": 3,
        "kind": layout.kind,
        "word_size": layout.word,
        "alignment": layout.alignment,
        "clear_on_free": bool(clear_on_free),
        "canary": layout.canary or None,
        "end_marker_address": marker,
        "addresses": addresses,
        **reading.numbers._asdict(),
        "blocks": _words(reading.blocks),
        "free_list": _words(reading.free_list),
        "ever": _words(payloads),
        "kernel": None if layout.is_newlib else kernel or reading.kernel,
        "newlib": find_newlib(newlib) if layout.is_newlib else None,
        "extended": 0,
        "moved": b"",
    }
    return _restore(cls, tuple(bytearray(data) for _, data in reading.regions), snapshot)


def _words(numbers: Any) -> bytes:
    return np.array(numbers, dtype=np.uint64).tobytes()
