"""The five heaps side by side, on one trace or several: which serves, in how little, how fast."""

from typing import TYPE_CHECKING

from rtosheap.comparison.comparison import Comparison, compare
from rtosheap.comparison.difference import Difference, difference
from rtosheap.comparison.result import HeapResult, RecordingResult
from rtosheap.comparison.versions import VersionResult
from rtosheap.faces import lazily

if TYPE_CHECKING:
    from rtosheap.comparison.before_after import BeforeAfter, HeapGain, compare_what_if
    from rtosheap.comparison.means import mean_ratios

__getattr__ = lazily(
    __name__,
    BeforeAfter="before_after",
    HeapGain="before_after",
    compare_what_if="before_after",
    mean_ratios="means",
)
__all__ = [
    "BeforeAfter",
    "Comparison",
    "Difference",
    "HeapGain",
    "HeapResult",
    "RecordingResult",
    "VersionResult",
    "compare",
    "compare_what_if",
    "difference",
    "mean_ratios",
]
