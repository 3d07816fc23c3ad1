"""Traces from bytes and to files, as the tests of formats read and write them."""

from __future__ import annotations

import io

from rtosheap.traces import Trace

MAGIC = b"# rtosheap-trace 1\n"


def load(data, **options):
    """A trace read from bytes, or from text as UTF-8."""
    return Trace.load(io.BytesIO(data.encode() if isinstance(data, str) else data), **options)


def saved(trace, folder, name):
    """The path of a file in which the trace was saved."""
    path = folder / name
    trace.save(path)
    return path
