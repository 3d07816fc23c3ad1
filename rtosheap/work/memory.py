"""Memory that costs what is used of it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LARGE = 1 << 26  # below, a bytearray is as good
_PRIVATE = {
    "flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
} if hasattr(mmap, "MAP_PRIVATE") else {}  # fmt: skip


def zeroed(size: int) -> int | mmap.mmap:
    """What a heap of so many bytes is constructed over: memory whose pages exist when they are
    first written, if it is large.

    Raises
    ------
    MemoryError
        This machine does not have the address space.
    """
    if size < _LARGE:
        return size
    try:
        return mmap.mmap(-1, size, **_PRIVATE)
    except (OSError, OverflowError):
        raise MemoryError(f"{size:,} bytes do not fit this machine's memory") from None


@contextmanager
def named(what: str) -> Iterator[None]:
    """Where memory does not suffice, the error says for what."""
    try:
        yield
    except MemoryError:
        raise MemoryError(f"{what} does not fit this machine's memory") from None


def require(size: int, what: str) -> None:
    """Raise before so much is written to that the system would end the process, without a word.

    Raises
    ------
    MemoryError
        If the system says that it has fewer than `size` bytes left, and `size` is large.
    """
    left = _available()
    if size >= _LARGE and left is not None and size > left:
        raise MemoryError(f"{what} takes {size:,} bytes; {left:,} bytes of memory are left")


def _available() -> int | None:
    """Bytes that can be written to before something has to give way; None if nobody says."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
