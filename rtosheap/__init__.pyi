"""What `rtosheap` gives on demand, for type checkers."""

from rtosheap import allocators as allocators
from rtosheap import comparison as comparison
from rtosheap import corruption as corruption
from rtosheap import cortexm as cortexm
from rtosheap import data as data
from rtosheap import device as device
from rtosheap import fragmentation as fragmentation
from rtosheap import freertos as freertos
from rtosheap import heaps as heaps
from rtosheap import inspection as inspection
from rtosheap import kinds as kinds
from rtosheap import plot as plot
from rtosheap import replays as replays
from rtosheap import reports as reports
from rtosheap import risk as risk
from rtosheap import sizing as sizing
from rtosheap import testing as testing
from rtosheap import traces as traces
from rtosheap.allocators import ForeignError, ForeignHeap, PolicyHeap
from rtosheap.comparison import Comparison, HeapResult, compare
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
    HeapAssertionError,
    HeapCorruptionError,
    HeapError,
    HeapStats,
    InvalidFreeError,
    Region,
    kernels,
    newlibs,
)
from rtosheap.replays import Pin, Replay, replay
from rtosheap.reports import HtmlReport, report
from rtosheap.risk import Risk, assess, vary
from rtosheap.sizing import MinimumSize, UnservableError, minimum_heap_size
from rtosheap.traces import Op, Trace, TraceError

__version__: str

__all__ = [
    "Block",
    "Comparison",
    "DoubleFreeError",
    "ForeignError",
    "ForeignHeap",
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
    "HeapResult",
    "HeapStats",
    "HtmlReport",
    "InvalidFreeError",
    "MinimumSize",
    "Op",
    "Pin",
    "PolicyHeap",
    "Region",
    "Replay",
    "Risk",
    "Trace",
    "TraceError",
    "UnservableError",
    "assess",
    "compare",
    "kernels",
    "minimum_heap_size",
    "newlibs",
    "replay",
    "report",
    "vary",
]
