"""What `rtosheap` gives on demand, for type checkers."""

from rtosheap import (
    comparison as comparison,
)
from rtosheap import (
    corruption as corruption,
)
from rtosheap import (
    cortexm as cortexm,
)
from rtosheap import (
    data as data,
)
from rtosheap import (
    device as device,
)
from rtosheap import (
    fragmentation as fragmentation,
)
from rtosheap import (
    freertos as freertos,
)
from rtosheap import (
    heaps as heaps,
)
from rtosheap import (
    inspection as inspection,
)
from rtosheap import (
    kinds as kinds,
)
from rtosheap import (
    plot as plot,
)
from rtosheap import (
    replays as replays,
)
from rtosheap import (
    sizing as sizing,
)
from rtosheap import (
    testing as testing,
)
from rtosheap import (
    traces as traces,
)
from rtosheap.comparison import (
    Comparison as Comparison,
)
from rtosheap.comparison import (
    HeapResult as HeapResult,
)
from rtosheap.comparison import (
    compare as compare,
)
from rtosheap.heaps import (
    Block as Block,
)
from rtosheap.heaps import (
    DoubleFreeError as DoubleFreeError,
)
from rtosheap.heaps import (
    FreeBlock as FreeBlock,
)
from rtosheap.heaps import (
    Heap as Heap,
)
from rtosheap.heaps import (
    Heap1 as Heap1,
)
from rtosheap.heaps import (
    Heap2 as Heap2,
)
from rtosheap.heaps import (
    Heap3 as Heap3,
)
from rtosheap.heaps import (
    Heap4 as Heap4,
)
from rtosheap.heaps import (
    Heap5 as Heap5,
)
from rtosheap.heaps import (
    HeapCorruptionError as HeapCorruptionError,
)
from rtosheap.heaps import (
    HeapError as HeapError,
)
from rtosheap.heaps import (
    HeapStats as HeapStats,
)
from rtosheap.heaps import (
    InvalidFreeError as InvalidFreeError,
)
from rtosheap.heaps import (
    Region as Region,
)
from rtosheap.replays import (
    Pin as Pin,
)
from rtosheap.replays import (
    Replay as Replay,
)
from rtosheap.replays import (
    replay as replay,
)
from rtosheap.sizing import (
    MinimumSize as MinimumSize,
)
from rtosheap.sizing import (
    UnservableError as UnservableError,
)
from rtosheap.sizing import (
    minimum_heap_size as minimum_heap_size,
)
from rtosheap.traces import (
    Op as Op,
)
from rtosheap.traces import (
    Trace as Trace,
)
from rtosheap.traces import (
    TraceError as TraceError,
)

__version__: str

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
