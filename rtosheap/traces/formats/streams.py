"""Opening what may be a path or a file object, plain or compressed, and looking at its head."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import os
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import zstandard

from rtosheap.traces.errors import TraceError

#: Bytes that a file may hold, if nothing else is asked for.
MAX_BYTES = 1 << 30
#: How often its own size a packed file may hold, and what it may hold in any case.
MAX_RATIO, ALWAYS = 32, 1 << 26
#: Bytes of the longest line that is read whole.
MAX_LINE = 1 << 20
#: Bytes of a line among which a prefix is looked for, so that no line takes long.
MAX_PREFIX = 200

#: What is raised where compressed data are damaged.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)

_HEAD = 1 << 16
#: Bytes of a zstd file that are unpacked at once: to 8 MiB at most.
_PIECE = 256
#: What a shell of Windows makes of a program's output that it writes to a file.
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
#: What a line consists of that says nothing.
BLANK = b" \t\r\n\v\f\0"
#: What tells a terminal a colour, or to clear a line or the screen.
CONTROL = rb"\x1b\[[0-?]{0,16}+[ -/]{0,4}+[@-~]"
_CONTROLS = re.compile(rb"(?>(?:%b)*)" % CONTROL)
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class _Filled(io.RawIOBase):
    """A raw stream over any object with `read`, whose reads are short at the end only."""

    def __init__(self, file: Any, limit: int | None, packed: BinaryIO | None) -> None:
        self._file = file
        self._limit = limit
        self._packed = packed
        self._count = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._count

    def _fill(self, view: memoryview) -> int:
        if hasattr(self._file, "readinto"):
            return self._file.readinto(view) or 0
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)

    def limit(self, packed: int | None) -> int:
        """The most that may be read in all, of what takes `packed` bytes in its file."""
        if self._limit is not None:
            return self._limit
        if packed is None:
            return MAX_BYTES
        return min(MAX_BYTES, max(ALWAYS, MAX_RATIO * packed))

    def readinto(self, buffer: Any) -> int:
        done, view = 0, memoryview(buffer)
        while done < len(view):
            count = self._fill(view[done:])
            if not count:
                break
            done += count
        self._count += done
        limit = self.limit(None if self._packed is None else self._packed.tell())
        if self._count > limit:
            raise too_large(limit)
        return done


class Stream(io.BufferedReader):
    """A file's bytes, unpacked: no more than a limit come out of it, or a `TraceError`.

    Parameters
    ----------
    file
        Anything with `read`.
    limit
        The most; None: `MAX_BYTES`, and of what comes out of a packed file `MAX_RATIO` times its
        size, or `ALWAYS` if that is more.
    packed
        The packed file that `file` unpacks.
    """

    def __init__(self, file: Any, limit: int | None = None, packed: BinaryIO | None = None) -> None:
        self._filled = _Filled(file, limit, packed)
        self._packed = packed
        super().__init__(self._filled, _HEAD)

    def check_unpacked(self, size: int) -> None:
        """Raise if the archive that was read from here holds too much."""
        limit = self._filled.limit((self._packed or self).tell())
        if size > limit:
            raise too_large(limit)


def compile_prefix(prefix: str) -> re.Pattern[str]:
    """The regular expression of a prefix; a `ValueError` if it is none."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix is {prefix!r}; it must be a str, a regular expression")
    try:
        return re.compile(prefix)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"prefix is {prefix!r}: no regular expression: {error}") from None


class _Pieces(ABC):
    """Bytes that come piece by piece, of any size; anything with `read`, for a `Stream`."""

    def __init__(self) -> None:
        self._ready = io.BytesIO()

    def read(self, size: int) -> bytes:
        """No more than so many bytes; none at the end."""
        while not (data := self._ready.read(size)):
            piece = self._more()
            if piece is None:
                break
            self._ready = io.BytesIO(piece)
        return data

    @abstractmethod
    def _more(self) -> bytes | None:
        """What comes next; None at the end."""


class Unprefixed(_Pieces):
    """Lines without what stands before each of them.

    Parameters
    ----------
    stream
        The lines.
    prefix
        Is taken off a line that begins with it, behind what a terminal was told (colours, say).
        It is looked for in the first `MAX_PREFIX` bytes.

    Attributes
    ----------
    found : int
        How many lines began so.
    """

    def __init__(self, stream: BinaryIO, prefix: re.Pattern[str]) -> None:
        super().__init__()
        self.found = 0
        self._stream, self._prefix = stream, prefix
        self._begins = True  # a line, with what is read next

    def _more(self) -> bytes | None:
        raw = self._stream.readline(MAX_LINE)
        if not raw:
            return None
        begins, self._begins = self._begins, raw.endswith(b"\n")
        return self._without(raw) if begins else raw

    def _without(self, raw: bytes) -> bytes:
        controls = _CONTROLS.match(raw)
        start = controls.end() if controls else 0
        head = raw[start : start + MAX_PREFIX].rstrip(b"\r\n")
        match = self._prefix.match(head.decode("utf-8", "surrogateescape"))
        if match is None:
            return raw
        self.found += 1
        return raw[start + len(match[0].encode("utf-8", "surrogateescape")) :]


class _Unpacked(_Pieces):
    """What frames of zstd hold; an `EOFError` where one is cut short."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._packed = packed
        self._frame: Any = None
        self._rest = b""

    def _more(self) -> bytes | None:
        raw = self._rest or self._packed.read(_PIECE)
        if not raw:
            if self._frame is not None:
                raise EOFError("the file ends within a frame of zstd")
            return None
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        piece: bytes = self._frame.decompress(raw)
        self._rest = b""
        if self._frame.eof:
            self._rest, self._frame = self._frame.unused_data, None
        return piece


class _Recoded(_Pieces):
    """Text of another encoding as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def _more(self) -> bytes | None:
        raw = self._stream.read(_HEAD)
        piece = self._decoder.decode(raw, final=not raw).encode()
        return piece if raw or piece else None


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16, if a file begins with its mark and then has, for the most part, ASCII."""
    encoding = _WIDE.get(head[:2])
    if encoding is None:
        return None
    text = head[2:402].decode(encoding, "replace")
    plain = sum(sign.isascii() and (sign.isprintable() or sign.isspace()) for sign in text)
    return encoding if text and plain > 0.8 * len(text) else None


def too_large(limit: int) -> TraceError:
    """The error for a file that holds more than may be read of it."""
    return TraceError(
        f"holds more than {limit:,} bytes once unpacked, the most that is read of a file of its "
        "size; max_bytes= (--max-bytes) sets another limit"
    )


def read_lines(
    stream: BinaryIO,
    whole: Callable[[bytearray, int, int, int], int],
    single: Callable[[bytes, int], object],
    line: int = 1,
) -> None:
    """Read all lines, of which the first is number `line`, a block at a time.

    ``whole(data, at, end, line)`` takes those of a block and returns the next one's number,
    ``single(raw, line)`` one that has no end, or of one longer than `MAX_LINE` so many bytes and
    one more.
    """
    buffer = bytearray(MAX_LINE + _HEAD)
    kept = 0
    while more := _fill(stream, buffer, kept):
        end = kept + more
        cut = buffer.rfind(b"\n", kept, end) + 1
        if cut:
            at = 0
            if buffer.find(b"\n", 0, MAX_LINE) < 0:  # no other line of a block can be too long
                at = buffer.index(b"\n") + 1
                single(bytes(buffer[: MAX_LINE + 1]), line)
                line += 1
            line = whole(buffer, at, cut, line)
            buffer[: end - cut] = buffer[cut:end]
        kept = end - cut
        if kept > MAX_LINE:
            single(bytes(buffer[: MAX_LINE + 1]), line)
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            kept, line = 0, line + 1
    if kept:
        single(bytes(buffer[:kept]), line)


def _fill(stream: BinaryIO, buffer: bytearray, at: int) -> int:
    """Read a block to byte `at` of the buffer; how much that was."""
    with memoryview(buffer) as view:
        count: int = stream.readinto(view[at : at + _HEAD])  # type: ignore[attr-defined]
    return count


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines with their ends. Of one longer than `MAX_LINE`, so many bytes and one more."""
    while raw := stream.readline(MAX_LINE + 1):
        yield raw
        while len(raw) > MAX_LINE and not raw.endswith(b"\n"):
            raw = stream.readline(MAX_LINE + 1)


def too_long() -> TraceError:
    """The error for a line that is longer than any is."""
    return TraceError(f"a line of more than {MAX_LINE:,} bytes")


def describe_source(path: Any) -> str | None:
    """The name that an error should give a file; None if it has none.

    Parameters
    ----------
    path : path or file object

    Returns
    -------
    str or None

    Examples
    --------
    >>> import io
    >>> describe_source(b"mine.trace"), describe_source(io.BytesIO())
    ('mine.trace', None)
    """
    name = getattr(path, "name", None) if hasattr(path, "read") else path
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else None


@contextlib.contextmanager
def contained(source: str | None, read: Sequence[Stream] = ()) -> Iterator[None]:
    """The boundary: whatever a file's content leads to is a `TraceError` that names the file.

    What the readers do not foresee gets the place as well, from the stream that was `read` last.
    Errors of the system stay what they are.
    """
    try:
        yield
    except TraceError as error:
        raise error.at(line=None, path=source) from error.__cause__
    except DAMAGED as error:
        raise TraceError(f"the compressed data are damaged ({error})", path=source) from error
    except OSError:
        raise
    except MemoryError as error:
        raise TraceError("takes more memory than there is", path=source) from error
    except Exception as error:
        place = f" up to byte {read[-1].tell():,}" if read else ""
        reason = f"cannot be read{place}: {type(error).__name__}: {error}"
        raise TraceError(reason, path=source) from error


@contextlib.contextmanager
def opened(
    path: str | os.PathLike[str] | BinaryIO, limit: int | None = None
) -> Iterator[tuple[Stream, bytes]]:
    """A buffered stream of the unpacked bytes, and up to the first 64 KiB of them, `contained`."""
    if hasattr(path, "read"):
        if isinstance(path, io.TextIOBase) or not isinstance(path.read(0), bytes):
            raise TypeError(f"path is {path!r}, opened as text; open it in binary mode, 'rb'")
    elif not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path is {path!r}; it must be a path or a binary file object")
    streams: list[Stream] = []
    with contained(describe_source(path), streams), contextlib.ExitStack() as stack:
        file: Any = path
        if not hasattr(file, "read"):
            file = stack.enter_context(open(file, "rb"))
        stream = Stream(file, limit)
        if stream.peek(1).startswith(_GZIP):
            packed: Any = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            stream = Stream(packed, limit, stream)
        elif stream.peek(4).startswith(_ZSTD):
            stream = Stream(_Unpacked(stream), limit, stream)
        if stream.peek(3).startswith(codecs.BOM_UTF8):
            stream.read(3)
        encoding = _wide_encoding(stream.peek(1))
        if encoding is not None:
            stream.read(2)
            stream = Stream(_Recoded(stream, encoding), limit)
        streams.append(stream)
        yield stream, stream.peek(1)
