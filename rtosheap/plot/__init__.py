"""Pictures of heaps and replays, with matplotlib.

Each function takes its data and an optional `ax`, draws, and returns the ``Axes`` (`animate`: the
animation). None calls ``show`` or touches pyplot's state, except that without an `ax` a new pyplot
figure is made. Addresses are in hexadecimal, sizes in KiB, time in events or the trace's own unit.

A legend lies above its axes and counts as part of them. A figure of several plots is best made with
``layout="constrained"``, which aligns them; without a layout engine each shrinks, when it is drawn,
until all that is written round it lies within its own cell of the grid. Colours follow the ground
that the axes have when they are drawn on, the style sheet's or your own.
"""

from rtosheap.plot._animate import animate
from rtosheap.plot._bound import bound
from rtosheap.plot._comparison import comparison
from rtosheap.plot._corruption import corruption
from rtosheap.plot._cost import cost
from rtosheap.plot._fragmentation import fragmentation
from rtosheap.plot._free_blocks import free_blocks
from rtosheap.plot._heap_map import heap_map
from rtosheap.plot._memory_over_time import memory_over_time
from rtosheap.plot._policies import policies
from rtosheap.plot._risk import risk
from rtosheap.plot._sizing import sizing
from rtosheap.plot._usage import usage
from rtosheap.replays import Calibration
from rtosheap.sizing import Sizing, SizingCurve, sizing_points

__all__ = [
    "Calibration",
    "Sizing",
    "SizingCurve",
    "animate",
    "bound",
    "comparison",
    "corruption",
    "cost",
    "fragmentation",
    "free_blocks",
    "heap_map",
    "memory_over_time",
    "policies",
    "risk",
    "sizing",
    "sizing_points",
    "usage",
]
