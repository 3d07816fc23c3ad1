"""The change that gives some blocks a heap of their own: `Trace.what_if` knows it as ``region``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from rtosheap.heaps import Heap4
from rtosheap.sizing.minimum import minimum_heap_size
from rtosheap.traces import Trace
from rtosheap.traces.base import TraceBase
from rtosheap.traces.changes import Which, parse_which, register, split

_Trace = TypeVar("_Trace", bound=TraceBase)


@dataclass(frozen=True)
class Apart:
    """Some blocks have a heap_4 of their own, as small as serves them.

    Attributes
    ----------
    which : Which
        Those blocks.

    Examples
    --------
    >>> log = Trace("mmf", id=[0, 1, 1], size=[2048, 20, 0], task=["main", "net", "net"])
    >>> Apart(Which(task="net")).apply(log)
    (<Trace: 1 events (1 malloc, 0 realloc, 0 free)>, 40)
    """

    which: Which = field(default_factory=Which)

    def __str__(self) -> str:
        return f"region:{self.which}"

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        kept, apart = split(trace, self.which.events(trace))
        own = Trace(apart.op, apart.id, apart.size)
        return kept, minimum_heap_size(own, Heap4).size if len(own) else 0


register("region", lambda words: Apart(parse_which(words)), "region:CONDITION …")
