"""Which format a file is in, and the reading and writing of files."""

from __future__ import annotations

import gzip
import io
import os
import warnings
from typing import BinaryIO, cast

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError, TraceWarning
from rtosheap.traces.formats import (
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
from rtosheap.traces.formats.base import Reader, Writer
from rtosheap.traces.formats.streams import Stream, describe_source, opened

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

#: What the formats are called.
NAMES = tuple(reader.NAME for reader in READERS)

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
    path: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    strict: bool = True,
    max_bytes: int | None = None,
) -> Columns:
    """Read a file's columns; :meth:`rtosheap.Trace.load` makes a trace of them.

    Parameters
    ----------
    path, format, strict, max_bytes
        As for :meth:`rtosheap.Trace.load`.
    """
    if format is not None and format not in NAMES:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(NAMES)}, or None")
    if max_bytes is not None and not (isinstance(max_bytes, int) and max_bytes > 0):
        raise ValueError(f"max_bytes is {max_bytes!r}; it must be an int above 0, or None")
    with opened(path, max_bytes) as (stream, head):
        if format is None:
            reader, source = _told(head, stream)
        else:
            reader, source = READERS[NAMES.index(format)], stream
        columns = reader.read(source, strict=strict)
    name = describe_source(path)
    for warning in columns.warnings:
        text_ = f"{name}: {warning}" if name else warning
        warnings.warn(text_, TraceWarning, stacklevel=3)
    return columns


def _told(head: bytes, stream: Stream) -> tuple[Reader, Stream]:
    """The reader for a file, and the stream that it is to read."""
    if not head:
        raise TraceError("the file is empty; a trace of no events has at least a header")
    for reader in READERS:
        if reader.sniff(head):
            return reader, stream
    if b"\0" in head:  # memory of a device, perhaps, with a recorder's ring somewhere in it
        data = stream.read()
        if recorder.holds_ring(data):
            return recorder, Stream(io.BytesIO(data), len(data))
    raise TraceError(
        f"begins with {head[:24]!r}, which is none of the formats; "
        f"format= (--format) forces one: {', '.join(NAMES)}"
    )


def write(trace: TraceBase, path: str | os.PathLike[str]) -> None:
    """Write a trace in the format of its suffix: see :meth:`rtosheap.Trace.save`."""
    name = os.fsdecode(path)
    suffix = next((s for s in WRITERS if name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f"path is {name!r}; its suffix must be one of {', '.join(WRITERS)}")
    writer = WRITERS[suffix]
    lost = writer.lost(trace)
    if lost:
        text_ = f"{name}: {suffix} cannot hold {'; nor '.join(lost)}"
        warnings.warn(text_, TraceWarning, stacklevel=3)
    try:
        with open(path, "wb") as file:
            if suffix.endswith(".gz"):
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    writer.write(trace, cast(BinaryIO, packed))
            else:
                writer.write(trace, file)
    except OSError as error:
        error.filename = error.filename or name  # a full disk is not said to be that of any file
        raise
