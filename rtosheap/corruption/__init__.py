"""The corruption laboratory: what a stray write or a wrong free does to each of the five heaps.

A random program runs on a heap. In its course one fault is injected: a flipped bit, an overrun, a
double free. Then the program goes on, and it is seen whether the heap notices, and after how many
calls. Each heap is the core's own code, compiled at each level of protection over memory that it
cannot leave: an access outside its regions ends the trial, as does a call that does not end.

>>> from rtosheap import corruption
>>> result = corruption.study("heap_4", faults="double_free", trials=50)
>>> [(row.level, row.detected, row.trials) for row in result.rows("level")][:2]
[('none', 0, 50), ('assertions', 50, 50)]
"""

from rtosheap.corruption._faults import FAULTS
from rtosheap.corruption._study import LEVELS, Row, Study, Trial
from rtosheap.corruption._trials import inject, study

__all__ = ["FAULTS", "LEVELS", "Row", "Study", "Trial", "inject", "study"]
