"""Memory that costs what is used of it."""

from __future__ import annotations

import mmap

_LARGE = 1 << 26  # below, a bytearray is as good


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
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    try:
        return mmap.mmap(-1, size, flags=flags)
    except (OSError, OverflowError):
        raise MemoryError(f"{size:,} bytes do not fit this machine's memory") from None
