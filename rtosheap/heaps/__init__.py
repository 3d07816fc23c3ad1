"""The five heaps of FreeRTOS, of any release since V8.2.3, over memory that you own.

An address is the one that the block has on the target; sizes are in bytes.
"""

from typing import TYPE_CHECKING

from rtosheap.faces import lazily
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
    HeapAssertionError,
    HeapCorruptionError,
    HeapError,
    HeapStats,
    InvalidFreeError,
    Region,
)
from rtosheap.heaps.releases import Kernel, kernels
from rtosheap.heaps.toolchains import Toolchain, newlibs

if TYPE_CHECKING:
    from rtosheap.heaps.image import from_image
    from rtosheap.heaps.state import ImageState

__getattr__ = lazily(__name__, ImageState="state", from_image="image")
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
    "HeapAssertionError",
    "HeapCorruptionError",
    "HeapError",
    "HeapStats",
    "ImageState",
    "InvalidFreeError",
    "Kernel",
    "Region",
    "Toolchain",
    "from_image",
    "kernels",
    "newlibs",
]
