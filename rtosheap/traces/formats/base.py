"""What a module that reads or writes a format offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns
from rtosheap.traces.formats.streams import Stream


class Reader(Protocol):
    """A format that can be read."""

    NAME: str
    HINT: str

    def sniff(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes is of this format."""

    def read(self, stream: Stream, *, strict: bool) -> Columns:
        """The events as they stand in the file; whether they fit together is checked later.

        Whatever is raised becomes a `TraceError`, but one of the reader's own says more.
        """


class Writer(Protocol):
    """A format that can be written."""

    def lost(self, trace: TraceBase) -> Sequence[str]:
        """What of this trace the format cannot hold, in words; empty if it holds everything."""

    def write(self, trace: TraceBase, stream: BinaryIO) -> None:
        """Write the trace."""
