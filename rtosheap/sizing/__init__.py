"""How large must a heap be? The smallest arena in which traces run without a failure."""

from typing import TYPE_CHECKING

from rtosheap.faces import lazily
from rtosheap.sizing.minimum import MinimumSize, OwnMinimum, minimum_heap_size
from rtosheap.sizing.problem import UnservableError

if TYPE_CHECKING:
    from rtosheap.sizing.apart import Apart
    from rtosheap.sizing.curve import Sizing, SizingCurve, sizing_points

__getattr__ = lazily(
    __name__, Apart="apart", Sizing="curve", SizingCurve="curve", sizing_points="curve"
)
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
