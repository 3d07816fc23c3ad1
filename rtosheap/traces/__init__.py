"""What a program asked of its allocator, event by event, and the files that hold it.

A :class:`Trace` is a column store: one numpy array each for what an event does, on which block,
for how many bytes and, where known, when and in which task. Files are read and written by
:mod:`rtosheap.traces.formats`; :mod:`rtosheap.traces.changes` are the changes of `Trace.what_if`.
"""

from rtosheap.traces.errors import TraceError, TraceWarning
from rtosheap.traces.events import Event, Op, Slots
from rtosheap.traces.loss import Dropped, Loss
from rtosheap.traces.trace import Trace

__all__ = ["Dropped", "Event", "Loss", "Op", "Slots", "Trace", "TraceError", "TraceWarning"]
