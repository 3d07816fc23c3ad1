"""The text format's plain lines, many at once.

A block of lines in which everything is as `Trace.save` writes it is read here with numpy, some
ten times faster than line by line. Whatever is unusual, and so whatever is wrong, is left to the
line-by-line reader, whose word is final.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtosheap.traces.columns import Int32, Int64, Ops, Tasks
from rtosheap.traces.events import Op
from rtosheap.traces.formats._rows import Block

_SPACE, _NEWLINE, _ZERO, _X = 32, 10, 48, 120
_MAX_DIGITS = {10: 18, 16: 15}  # what int64 holds, whatever the digits
_VALUES = np.full(256, 255, dtype=np.uint8)  # of each digit
_VALUES[list(b"0123456789abcdef")] = np.arange(16)
_MAX_TASK = 64


def scan(data: bytes, line: int, tasks: Tasks, addressed: bool = False) -> Block | None:
    """Read whole lines, the first of them number `line`; None if any of them is unusual."""
    if not data:
        return None
    chars = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero((chars == _SPACE) | (chars == _NEWLINE))
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts
    last = np.flatnonzero(chars[ends] == _NEWLINE)  # the number of each line's last field
    first = np.zeros_like(last)
    first[1:] = last[:-1] + 1
    if (lengths == 0).any() or (lengths[first] != 1).any():
        return None

    op: Ops = chars[starts[first]]
    sized = (op == Op.MALLOC) | (op == Op.REALLOC)
    addresses: Int64 | None = None
    if addressed:
        addresses = _addresses(chars, starts[last], lengths[last])
        if addresses is None:
            return None
        last = last - 1
    extra = last - first - 1 - sized  # fields after the id and, where there is one, the size
    if not (sized | (op == Op.FREE)).all() or extra.min() < 0 or extra.max() > 2:
        return None
    timed = extra >= 1
    if timed.any() and not timed.all():
        return None

    ids = _numbers(chars, starts[first + 1], lengths[first + 1])
    asked = first[sized] + 2
    sizes = _numbers(chars, starts[asked], lengths[asked])
    time: Int64 | None = None
    if timed.any():
        at = first + 2 + sized
        time = _numbers(chars, starts[at], lengths[at])
    if ids is None or sizes is None or (time is None and timed.any()):
        return None
    size = np.zeros(len(op), dtype=np.uint64)
    size[sized] = sizes.view(np.uint64)

    codes: Int32 | None = None
    named = extra == 2
    if named.any():
        found = _codes(chars, starts[last[named]], lengths[last[named]], tasks)
        if found is None:
            return None
        codes = np.full(len(op), -1, dtype=np.int32)
        codes[named] = found
    places = None if addresses is None else addresses.view(np.uint64)
    return Block(op, ids, size, time, None, codes, line, places)


def _addresses(
    chars: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp], lengths: npt.NDArray[np.intp]
) -> Int64 | None:
    """The numbers that stand there as ``0x1f``; None if one does not, or may be too large."""
    if lengths.min() < 3 or (chars[starts] != _ZERO).any() or (chars[starts + 1] != _X).any():
        return None
    return _numbers(chars, starts + 2, lengths - 2, 16)


def _numbers(
    chars: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.intp],
    lengths: npt.NDArray[np.intp],
    base: int = 10,
) -> Int64 | None:
    """The numbers that stand there; None if one does not, or may be too large."""
    values = np.zeros(len(starts), dtype=np.int64)
    width = int(lengths.max()) if len(lengths) else 0
    if width > _MAX_DIGITS[base]:
        return None
    for place in range(width):
        inside = place < lengths
        digits = _VALUES[chars[np.where(inside, starts + place, starts)]]
        if (digits >= base).any():
            return None
        values = np.where(inside, values * base + digits, values)
    return values


def _codes(
    chars: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.intp],
    lengths: npt.NDArray[np.intp],
    tasks: Tasks,
) -> list[int] | None:
    """The codes of the task names that stand there; None if one is unusual."""
    width = int(lengths.max())
    if width > _MAX_TASK:
        return None
    places = np.arange(width)
    inside = places < lengths[:, None]
    letters = chars[np.where(inside, starts[:, None] + places, starts[:, None])]
    if (letters == 0).any():
        return None
    letters = np.where(inside, letters, np.uint8(0))
    words: list[bytes] = letters.view(f"S{width}").ravel().tolist()
    try:
        code_of = {word: tasks.code(word.decode()) for word in dict.fromkeys(words)}
    except ValueError:  # not a word, or not UTF-8
        return None
    return [code_of[word] for word in words]
