"""How large must a heap be? The smallest arena in which traces run without a failure."""

from rtosheap.sizing.apart import Apart
from rtosheap.sizing.curve import Sizing, SizingCurve, sizing_points
from rtosheap.sizing.minimum import MinimumSize, OwnMinimum, minimum_heap_size
from rtosheap.sizing.problem import UnservableError

__all__ = [
    "Apart",
    "MinimumSize",
    "OwnMinimum",
    "Sizing",
    "SizingCurve",
    "UnservableError",
    "minimum_heap_size",
    "sizing_points",
]
