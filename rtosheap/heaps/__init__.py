"""The five heaps of FreeRTOS V11.3 over memory that you own.

An address is the one that the block has on the target; sizes are in bytes.
"""

from rtosheap.heaps.heap import (
    Block,
    DoubleFreeError,
    FreeBlock,
    Heap,
    Heap1,
    Heap2,
    Heap3,
    Heap4,
    Heap5,
    HeapCorruptionError,
    HeapError,
    HeapStats,
    InvalidFreeError,
    Region,
)
from rtosheap.heaps.image import from_image
from rtosheap.heaps.state import ImageState

__all__ = [
    "Block",
    "DoubleFreeError",
    "FreeBlock",
    "Heap",
    "Heap1",
    "Heap2",
    "Heap3",
    "Heap4",
    "Heap5",
    "HeapCorruptionError",
    "HeapError",
    "HeapStats",
    "ImageState",
    "InvalidFreeError",
    "Region",
    "from_image",
]
