"""Allocators beside FreeRTOS's five heaps, under the same replay: any policy, shared libraries, and
Python objects.
"""

from typing import TYPE_CHECKING

from rtosheap.allocators.base import Allocator, AllocatorKind, ForeignError, include
from rtosheap.allocators.policies import PolicyHeap
from rtosheap.faces import lazily
from rtosheap.heaps.policy import Policy

if TYPE_CHECKING:
    from rtosheap.allocators.foreign import ForeignHeap, ForeignKind
    from rtosheap.allocators.objects import ObjectHeap

__getattr__ = lazily(__name__, ForeignHeap="foreign", ForeignKind="foreign", ObjectHeap="objects")
__all__ = [
    "Allocator",
    "AllocatorKind",
    "ForeignError",
    "ForeignHeap",
    "ForeignKind",
    "ObjectHeap",
    "Policy",
    "PolicyHeap",
    "include",
]
