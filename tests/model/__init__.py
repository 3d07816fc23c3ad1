"""An independent model of the five heaps, in plain Python.

Written from the rules alone and sharing nothing with the C core, so that the two can check each
other. What a heap *decides* is kept in dicts and lists; what it *writes* goes into a bytearray on
the side and is never read back, so that a wrong byte cannot hide behind a wrong decision.

Names follow the public API (``malloc``, ``free_size``, ``blocks()`` …). A block is named by the
address of its header, as in ``rtosheap``. ``nodes`` is what ``rtosheap.replay`` counts: the entries
of the free list that the last malloc or free read.
"""

from model.base import DoubleFree, InvalidFree, Model, ModelError, round_up
from model.heap_1 import Model1
from model.heap_2 import Model2
from model.heap_3 import Model3
from model.heap_4 import Model4
from model.heap_5 import Model5

__all__ = [
    "DoubleFree",
    "InvalidFree",
    "Model",
    "Model1",
    "Model2",
    "Model3",
    "Model4",
    "Model5",
    "ModelError",
    "round_up",
]
