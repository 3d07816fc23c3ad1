"""Pictures of heaps and replays, with matplotlib.

Each function takes its data and an optional `ax`, draws, and returns the ``Axes`` (`animate`: the
animation). None calls ``show`` or touches pyplot's state, except that without an `ax` a new pyplot
figure is made. Addresses are in hexadecimal, sizes in KiB, time in events or the trace's own unit.
"""

from rtosheap.plot._heap_map import heap_map
from rtosheap.plot._memory_over_time import memory_over_time

__all__ = [
    "heap_map",
    "memory_over_time",
]
