"""Files that hold traces: told apart by their content, written by their suffix.

=======  ==================  =====================================================================
format   suffix              what
=======  ==================  =====================================================================
text     .trace, .trace.gz   this project's own: :mod:`rtosheap.formats.text`
npz      .npz                numpy arrays, without pickles: :mod:`rtosheap.formats.npz`
csv      .csv, .csv.gz       a table with a header line: :mod:`rtosheap.formats.table`
rep      .rep                CMU malloc lab: :mod:`rtosheap.formats.rep`
=======  ==================  =====================================================================

What recorders write is read only: :mod:`~rtosheap.formats.valgrind`,
:mod:`~rtosheap.formats.mtrace`, :mod:`~rtosheap.formats.ltrace`,
:mod:`~rtosheap.formats.heaptrack`, :mod:`~rtosheap.formats.freertos`,
:mod:`~rtosheap.formats.pigweed`, and rtosheap's own on the device,
:mod:`~rtosheap.formats.recorder`. What such a format cannot tell is counted in the trace's `loss`.

Any of them may be compressed with gzip or Zstandard.

A format is a module with a ``NAME``, a ``HINT`` that says how it is told, ``sniff(head)`` and
``read(stream, strict=...)``, listed in :data:`READERS`; if it can be written, also ``lost(trace)``
and ``write(trace, stream)``, listed in :data:`WRITERS`.
"""

from __future__ import annotations

import gzip
import io
import os
import warnings
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import zstandard

from rtosheap._columns import Columns
from rtosheap._trace_types import TraceError, TraceWarning
from rtosheap.formats import (
    freertos,
    heaptrack,
    ltrace,
    mtrace,
    npz,
    pigweed,
    recorder,
    rep,
    table,
    text,
    valgrind,
)
from rtosheap.formats._stream import describe_source, opened

if TYPE_CHECKING:
    from rtosheap.trace import Trace

__all__ = ["READERS", "WRITERS", "Reader", "Writer", "describe_source", "read", "write"]


class Reader(Protocol):
    """A format that can be read."""

    NAME: str
    HINT: str

    def sniff(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes is of this format."""

    def read(self, stream: BinaryIO, *, strict: bool) -> Columns:
        """The events as they stand in the file; whether they fit together is checked later."""


class Writer(Protocol):
    """A format that can be written."""

    def lost(self, trace: Trace) -> Sequence[str]:
        """What of this trace the format cannot hold, in words; empty if it holds everything."""

    def write(self, trace: Trace, stream: BinaryIO) -> None:
        """Write the trace."""


#: Formats, in the order in which a file is tried on them.
READERS: tuple[Reader, ...] = (
    text,
    npz,
    table,
    rep,
    recorder,
    heaptrack,
    mtrace,
    freertos,
    pigweed,
    valgrind,
    ltrace,
)

#: Formats by the suffix of a file's name.
WRITERS: dict[str, Writer] = {
    ".trace": text,
    ".trace.gz": text,
    ".npz": npz,
    ".csv": table,
    ".csv.gz": table,
    ".rep": rep,
}


def read(
    path: str | os.PathLike[str] | BinaryIO, *, format: str | None = None, strict: bool = True
) -> Columns:
    """Read a file's columns; :meth:`rtosheap.trace.Trace.load` makes a trace of them.

    Parameters
    ----------
    path, format, strict
        As for :meth:`~rtosheap.trace.Trace.load`.
    """
    names = [reader.NAME for reader in READERS]
    if format is not None and format not in names:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(names)}, or None")
    source = describe_source(path)
    try:
        with opened(path) as (stream, head):
            if format is None:
                reader, stream = _told(head, stream)
            else:
                reader = READERS[names.index(format)]
            columns = reader.read(stream, strict=strict)
    except TraceError as error:
        raise error.at(line=None, path=source) from None
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise TraceError(f"the compressed data are damaged ({error})", path=source) from error
    for warning in columns.warnings:
        text_ = f"{source}: {warning}" if source else warning
        warnings.warn(text_, TraceWarning, stacklevel=3)
    return columns


def _told(head: bytes, stream: BinaryIO) -> tuple[Reader, BinaryIO]:
    """The reader for a file, and the stream that it is to read."""
    if not head:
        raise TraceError("the file is empty; a trace of no events has at least a header")
    for reader in READERS:
        if reader.sniff(head):
            return reader, stream
    if b"\0" in head:  # memory of a device, perhaps, with a recorder's ring somewhere in it
        data = stream.read()
        if recorder.holds_ring(data):
            return recorder, io.BytesIO(data)
    hints = "; ".join(f"{reader.NAME} ({reader.HINT})" for reader in READERS)
    raise TraceError(f"begins with {head[:24]!r}, which is none of the formats: {hints}")


def write(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace in the format of its suffix: see :meth:`rtosheap.trace.Trace.save`."""
    name = os.fsdecode(path)
    suffix = next((s for s in WRITERS if name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f"path is {name!r}; its suffix must be one of {', '.join(WRITERS)}")
    writer = WRITERS[suffix]
    lost = writer.lost(trace)
    if lost:
        text_ = f"{name}: {suffix} cannot hold {'; nor '.join(lost)}"
        warnings.warn(text_, TraceWarning, stacklevel=3)
    with open(path, "wb") as file:
        if suffix.endswith(".gz"):
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                writer.write(trace, cast(BinaryIO, packed))
        else:
            writer.write(trace, file)
