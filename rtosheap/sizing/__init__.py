"""How large must a heap be? The smallest arena in which a trace runs without a failure."""

from rtosheap.sizing.apart import Apart
from rtosheap.sizing.curve import Sizing, SizingCurve, sizing_points
from rtosheap.sizing.minimum import MinimumSize, minimum_heap_size
from rtosheap.sizing.problem import UnservableError

__all__ = [
    "Apart",
    "MinimumSize",
    "Sizing",
    "SizingCurve",
    "UnservableError",
    "minimum_heap_size",
    "sizing_points",
]
