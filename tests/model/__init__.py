"""An independent model of the five heaps, in plain Python.

Written from the rules alone and sharing nothing with the C core, so that the two can check each
other. What a heap *decides* is kept in dicts and lists; what it *writes* goes into a bytearray on
the side and is never read back, so that a wrong byte cannot hide behind a wrong decision.

Names follow the public API (``malloc``, ``free_size``, ``blocks()`` …). A block is named by the
address of its header, as in ``rtosheap``. ``nodes`` is what ``rtosheap.replay`` counts: the entries
of the free list that the last malloc or free read.

A model of an older kernel, or of another newlib, takes the rules of ``versions.py``. Where the
device would stop or go on with a damaged heap it raises a ``Fault``, and is not to be asked on.
"""

from model.base import (
    DoubleFree,
    Fault,
    HeaderOverHeader,
    InvalidFree,
    MallocAsserts,
    Model,
    ModelError,
    NullLink,
    ZeroesBeyond,
    round_up,
)
from model.heap_1 import Model1
from model.heap_2 import Model2
from model.heap_3 import Model3, ReadsAddress0, RequestWraps, StaysListed, WritesAddress4
from model.heap_4 import Model4
from model.heap_5 import Model5
from model.versions import Kernel, NanoRule, Newlib, Rule

__all__ = [
    "DoubleFree",
    "Fault",
    "HeaderOverHeader",
    "InvalidFree",
    "Kernel",
    "MallocAsserts",
    "Model",
    "Model1",
    "Model2",
    "Model3",
    "Model4",
    "Model5",
    "ModelError",
    "NanoRule",
    "Newlib",
    "NullLink",
    "ReadsAddress0",
    "RequestWraps",
    "Rule",
    "StaysListed",
    "WritesAddress4",
    "ZeroesBeyond",
    "round_up",
]
