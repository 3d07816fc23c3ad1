"""What a module that reads or writes a format offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns
from rtosheap.traces.formats.streams import Stream


class Reader(Protocol):
    """A format that can be read.

    Attributes
    ----------
    NAME : str
        What ``format=`` calls it.
    HINT : str
        How a file of it is told, in words.

    Examples
    --------
    >>> from rtosheap.traces.formats import READERS
    >>> [(reader.NAME, reader.HINT) for reader in READERS if reader.sniff(b"m 64 0x20000008\\n")]
    [('pigweed', "lines 'm <size> <address>' and 'f <address>'")]
    """

    NAME: str
    HINT: str

    def sniff(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes is of this format."""

    def read(self, stream: Stream, *, strict: bool) -> Columns:
        """The events as they stand in the file; whether they fit together is checked later.

        Whatever is raised becomes a `TraceError`, but one of the reader's own says more.
        """


class Writer(Protocol):
    """A format that can be written.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> from rtosheap.traces.formats import WRITERS
    >>> trace = Trace("m", id=[0], size=[8], time=[5], task=["net"])
    >>> [WRITERS[suffix].lost(trace) for suffix in (".trace", ".rep")]
    [[], ['times', 'tasks']]
    """

    def lost(self, trace: TraceBase) -> Sequence[str]:
        """What of this trace the format cannot hold, in words; empty if it holds everything."""

    def write(self, trace: TraceBase, stream: BinaryIO) -> None:
        """Write the trace."""
