"""FreeRTOS's five heaps, byte for byte, with replay, sizing and plots."""

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
from rtosheap.trace import Op, Trace, TraceError

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
    "InvalidFreeError",
    "Op",
    "Pin",
    "Region",
    "Replay",
    "Trace",
    "TraceError",
    "replay",
]
