"""FreeRTOS's five heaps, byte for byte, with replay, sizing and plots."""

from rtosheap.compare import Comparison, HeapResult, compare
from rtosheap.heaps import (
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
from rtosheap.replay import Pin, Replay, replay
from rtosheap.sizing import MinimumSize, UnservableError, minimum_heap_size
from rtosheap.trace import Op, Trace, TraceError

__all__ = [
    "Block",
    "Comparison",
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
    "HeapResult",
    "HeapStats",
    "InvalidFreeError",
    "MinimumSize",
    "Op",
    "Pin",
    "Region",
    "Replay",
    "Trace",
    "TraceError",
    "UnservableError",
    "compare",
    "minimum_heap_size",
    "replay",
]
