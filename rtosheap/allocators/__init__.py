"""Allocators beside FreeRTOS's five heaps, under the same replay."""

from rtosheap.allocators.policies import PolicyHeap
from rtosheap.heaps.policy import Policy

__all__ = ["Policy", "PolicyHeap"]
