"""Opening what may be a path or a file object, plain or compressed, and looking at its head."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import zstandard

_HEAD = 1 << 16
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class _Filled(io.RawIOBase):
    """A raw stream over any object with `read`, whose reads are short at the end only."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        done, view = 0, memoryview(buffer)
        while done < len(view):
            data = self._file.read(len(view) - done)
            if not data:
                break
            view[done : done + len(data)] = data
            done += len(data)
        return done


def describe_source(path: Any) -> str | None:
    """The name that an error should give a file; None if it has none."""
    name = getattr(path, "name", None) if hasattr(path, "read") else path
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else None


@contextlib.contextmanager
def opened(path: str | os.PathLike[str] | BinaryIO) -> Iterator[tuple[BinaryIO, bytes]]:
    """A buffered stream of the uncompressed bytes, and up to the first 64 KiB of them."""
    with contextlib.ExitStack() as stack:
        if hasattr(path, "read"):
            file: Any = path
            if isinstance(file, io.TextIOBase) or not isinstance(file.read(0), bytes):
                raise TypeError(f"path is {path!r}, opened as text; open it in binary mode, 'rb'")
        elif isinstance(path, (str, bytes, os.PathLike)):
            file = stack.enter_context(open(path, "rb"))
        else:
            raise TypeError(f"path is {path!r}; it must be a path or a binary file object")
        stream = io.BufferedReader(_Filled(file), _HEAD)
        if stream.peek(1).startswith(_GZIP):
            unpacked: Any = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            stream = io.BufferedReader(_Filled(unpacked), _HEAD)
        elif stream.peek(4).startswith(_ZSTD):
            plain = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
            stream = io.BufferedReader(_Filled(stack.enter_context(plain)), _HEAD)
        yield stream, stream.peek(1)
