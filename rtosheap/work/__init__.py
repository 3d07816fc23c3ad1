"""Long work: its progress in parts, and jobs spread over any executor."""

from rtosheap.work.memory import named, require, zeroed
from rtosheap.work.progress import Progress, Rounds, part
from rtosheap.work.spread import spread

__all__ = ["Progress", "Rounds", "named", "part", "require", "spread", "zeroed"]
