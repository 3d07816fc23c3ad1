"""Which format a file is in, and the reading and writing of files."""

from __future__ import annotations

import gzip
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, BinaryIO, cast

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError, TraceWarning
from rtosheap.traces.formats.base import Reader, Writer
from rtosheap.traces.formats.streams import (
    Stream,
    Unprefixed,
    compile_prefix,
    describe_source,
    opened,
)

#: Formats, in the order in which a file is tried on them, and the module of each.
READER_MODULES = {
    "text": "text",
    "npz": "npz",
    "csv": "table",
    "rep": "rep",
    "recorder": "recorder",
    "tracerecorder": "tracerecorder",
    "systemview": "systemview",
    "eventrecorder": "eventrecorder",
    "espidf": "espidf",
    "heaptrack": "heaptrack",
    "mtrace": "mtrace",
    "freertos": "freertos",
    "pigweed": "pigweed",
    "valgrind": "valgrind",
    "ltrace": "ltrace",
}

#: What the formats are called.
NAMES = tuple(READER_MODULES)

#: The module that writes a format, by the suffix of a file's name.
WRITER_MODULES = {
    ".trace": "text",
    ".trace.gz": "text",
    ".npz": "npz",
    ".csv": "table",
    ".csv.gz": "table",
    ".rep": "rep",
}


def _load(module: str) -> Any:
    return import_module(f"rtosheap.traces.formats.{module}")


class Readers(Sequence[Reader]):
    """The formats, each loaded when it is taken."""

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [_load(READER_MODULES[name]) for name in NAMES[at]]
        return _load(READER_MODULES[NAMES[at]])

    def __len__(self) -> int:
        return len(NAMES)


class Writers(Mapping[str, Writer]):
    """Formats by the suffix of a file's name, each loaded when it is taken."""

    def __getitem__(self, suffix: str) -> Writer:
        writer: Writer = _load(WRITER_MODULES[suffix])
        return writer

    def __iter__(self) -> Iterator[str]:
        return iter(WRITER_MODULES)

    def __len__(self) -> int:
        return len(WRITER_MODULES)


READERS, WRITERS = Readers(), Writers()


def read(
    path: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,
    strict: bool = True,
    prefix: str | None = None,
    max_bytes: int | None = None,
) -> Columns:
    """Read a file's columns; :meth:`rtosheap.Trace.load` makes a trace of them.

    Parameters
    ----------
    path, format, strict, prefix, max_bytes
        As for :meth:`rtosheap.Trace.load`.

    Returns
    -------
    Columns
        Arrays of shape (n,) for n events, as they stand in the file: `op`, `id`, `size`, and what
        else it has. Whether they fit together is not checked.

    Raises
    ------
    TraceError, ValueError, OSError
        As :meth:`rtosheap.Trace.load`.

    Examples
    --------
    >>> import io
    >>> columns = read(io.BytesIO(b"# rtosheap-trace 1\\nm 7 100\\nf 8\\n"))
    >>> columns.id, columns.size
    (array([7, 8]), array([100,   0], dtype=uint64))
    """
    if format is not None and format not in NAMES:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(NAMES)}, or None")
    if max_bytes is not None and not (isinstance(max_bytes, int) and max_bytes > 0):
        raise ValueError(f"max_bytes is {max_bytes!r}; it must be an int above 0, or None")
    pattern = None if prefix is None else compile_prefix(prefix)
    with opened(path, max_bytes) as (stream, head):
        lines = None if pattern is None else Unprefixed(stream, pattern)
        if lines is not None:
            stream = Stream(lines, max_bytes)
            head = stream.peek(1)
        if format is None:
            reader, source = _told(head, stream)
        else:
            reader, source = READERS[NAMES.index(format)], stream
        columns = reader.read(source, strict=strict)
    if lines is not None and not lines.found:
        columns.warnings.append(f"no line begins with the prefix {prefix!r}")
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
    if b"\0" in head:  # memory of a device, perhaps, with a recorder's buffer somewhere in it
        data, recorder, percepio = stream.read(), _load("recorder"), _load("tracerecorder")
        for reader, holds in ((recorder, recorder.holds_ring), (percepio, percepio.holds_dump)):
            if holds(data):
                return reader, Stream(io.BytesIO(data), len(data))
    raise TraceError(
        f"begins with {head[:24]!r}, which is none of the formats; "
        f"format= (--format) forces one: {', '.join(NAMES)}"
    )


def write(trace: TraceBase, path: str | os.PathLike[str]) -> None:
    """Write a trace in the format of its suffix: see :meth:`rtosheap.Trace.save`.

    Parameters
    ----------
    trace : Trace
    path : path
        The file; its suffix is one of `WRITERS`.

    Raises
    ------
    ValueError
        If no format has that suffix.
    OSError
        If the file cannot be written.

    Warns
    -----
    TraceWarning
        Of what the format cannot hold.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> write(Trace("mf", id=[7, 7], size=[100, 0]), "mine.csv")
    >>> print(open("mine.csv").read())
    op,id,size
    m,7,100
    f,7,0
    """
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
