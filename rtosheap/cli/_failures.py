"""What an exception of a command is to its user: an exit status, and a line."""

from __future__ import annotations

import zlib
from concurrent.futures.process import BrokenProcessPool

from rtosheap.heaps import HeapError
from rtosheap.sizing import UnservableError

_BAD_INPUT = (
    ValueError,
    TypeError,
    OverflowError,
    OSError,
    EOFError,
    MemoryError,
    HeapError,
    zlib.error,
)


def told(error: Exception) -> tuple[int, str] | None:
    """The exit status and what there is to complain of; None if the error is the program's own."""
    if isinstance(error, UnservableError):
        return 1, str(error)
    if isinstance(error, BrokenProcessPool):
        return 2, "a process of --jobs was killed, as one is when memory runs out"
    return (2, _describe(error)) if isinstance(error, _BAD_INPUT) else None


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError) and not str(error):
        return "out of memory"
    return str(error) or type(error).__name__
