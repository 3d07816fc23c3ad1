"""Files that hold traces: told apart by their content, written by their suffix.

=======  ==================  =====================================================================
format   suffix              what
=======  ==================  =====================================================================
text     .trace, .trace.gz   this project's own: :mod:`rtosheap.traces.formats.text`
npz      .npz                numpy arrays, without pickles: :mod:`rtosheap.traces.formats.npz`
csv      .csv, .csv.gz       a table with a header line: :mod:`rtosheap.traces.formats.table`
rep      .rep                CMU malloc lab: :mod:`rtosheap.traces.formats.rep`
=======  ==================  =====================================================================

What recorders write is read only: :mod:`~rtosheap.traces.formats.valgrind`,
:mod:`~rtosheap.traces.formats.mtrace`, :mod:`~rtosheap.traces.formats.ltrace`,
:mod:`~rtosheap.traces.formats.heaptrack`, :mod:`~rtosheap.traces.formats.freertos`,
:mod:`~rtosheap.traces.formats.pigweed`, :mod:`~rtosheap.traces.formats.tracerecorder`,
:mod:`~rtosheap.traces.formats.systemview`, :mod:`~rtosheap.traces.formats.eventrecorder`,
:mod:`~rtosheap.traces.formats.espidf`, and rtosheap's own on the device,
:mod:`~rtosheap.traces.formats.recorder`. What such a format cannot tell is counted in the trace's
`loss`.

Any of them may be compressed with gzip or Zstandard. What a file may hold once it is unpacked is
limited (the `max_bytes` of :meth:`rtosheap.Trace.load`), and so is a line, to 1 MiB.

A format is a module with a ``NAME``, a ``HINT`` that says how it is told, ``sniff(head)`` and
``read(stream, strict=...)``, listed in :data:`READERS`; if it can be written, also ``lost(trace)``
and ``write(trace, stream)``, listed in :data:`WRITERS`.
"""

from rtosheap.traces.formats.base import Reader, Writer
from rtosheap.traces.formats.files import NAMES, READERS, WRITERS, read, write
from rtosheap.traces.formats.streams import describe_source

__all__ = [
    "NAMES",
    "READERS",
    "WRITERS",
    "Reader",
    "Writer",
    "describe_source",
    "read",
    "write",
]
