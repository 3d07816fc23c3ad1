"""Property-based testing of heaps: strategies, a state machine for any allocator, failure search.

Needs Hypothesis: ``pip install hypothesis``.

>>> from hypothesis import given
>>> from rtosheap import replay
>>> from rtosheap.testing import heaps, traces
>>> @given(heap=heaps(), trace=traces(max_events=20))
... def test_replay_leaves_the_heap_sound(heap, trace):
...     replay(trace, heap)
...     heap.check()
>>> test_replay_leaves_the_heap_sound()
"""

try:
    import hypothesis as _hypothesis  # noqa: F401
except ImportError as error:  # pragma: no cover
    raise ImportError("rtosheap.testing needs Hypothesis: pip install hypothesis") from error

from rtosheap.testing._find import NoFailureFound, find_failure
from rtosheap.testing._heaps import heaps, sizes
from rtosheap.testing._machine import AllocatorMachine, AllocatorViolation
from rtosheap.testing._traces import FREE_ORDERS, SIZE_DISTRIBUTIONS, traces

__all__ = [
    "FREE_ORDERS",
    "SIZE_DISTRIBUTIONS",
    "AllocatorMachine",
    "AllocatorViolation",
    "NoFailureFound",
    "find_failure",
    "heaps",
    "sizes",
    "traces",
]
