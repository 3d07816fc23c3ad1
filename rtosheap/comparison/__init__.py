"""The five heaps side by side, on one trace: which serves it, in how little, and at what cost."""

from rtosheap.comparison.before_after import BeforeAfter, compare_what_if
from rtosheap.comparison.comparison import Comparison, compare
from rtosheap.comparison.difference import Difference, difference
from rtosheap.comparison.result import HeapResult

__all__ = [
    "BeforeAfter",
    "Comparison",
    "Difference",
    "HeapResult",
    "compare",
    "compare_what_if",
    "difference",
]
