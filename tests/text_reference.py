"""The text format read with numpy and Python alone: slower, and plainly right."""

from __future__ import annotations

import numpy as np

from rtosheap.traces import Dropped, Op
from rtosheap.traces.columns import Tasks
from rtosheap.traces.formats._rows import Assembly, Block, Rows
from rtosheap.traces.formats.streams import MAX_LINE, too_long
from rtosheap.traces.formats.text import Header
from rtosheap.traces.formats.text import _Lines as LinesOfAnyForm

_READ_BLOCK = 1 << 20
_SPACE, _NEWLINE, _ZERO, _X = 32, 10, 48, 120
_MAX_DIGITS = {10: 18, 16: 15}  # what int64 holds, whatever the digits
_VALUES = np.full(256, 255, dtype=np.uint8)  # of each digit
_VALUES[list(b"0123456789abcdef")] = np.arange(16)
_MAX_TASK = 64


def read(stream, *, strict):
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    header = Header(stream, strict)
    tasks = Tasks()
    assembly = Assembly(tasks)
    bad_lines, seen = header.bad_lines, 0
    line, rest = header.next_line, header.rest
    while True:
        more = stream.read(_READ_BLOCK)
        data = rest + more
        cut = data.rfind(b"\n") + 1 if more else len(data)
        data, rest = data[:cut], data[cut:]
        if len(rest) > MAX_LINE:
            raise too_long().at(line=line + data.count(b"\n"), path=None)
        if data and not data.endswith(b"\n"):
            data += b"\n"
        block = scan(data.replace(b"\r\n", b"\n"), line, tasks, header.addressed)
        if block is None:
            block, bad = _read_lines(data, line, tasks, header.addressed, strict)
            bad_lines += bad
            seen += bad
        assembly.add(block)
        seen += len(block.op)
        line += data.count(b"\n")
        if not more:
            break

    columns = assembly.columns(strict=strict)
    columns.meta = header.meta
    columns.loss = header.loss
    columns.dropped = columns.dropped.merged(Dropped(bad_line=bad_lines)).merged(header.dropped)
    if header.untimed:
        columns.time = None
    stated = header.meta.get("events", str(seen))
    if stated != str(seen):
        columns.warnings.append(
            f"the header says events: {stated}, the file has {seen}; it may have been cut short"
        )
    return columns


def _read_lines(data, line, tasks, addressed, strict):
    """Read whole lines one by one; the events, and how many bad lines were left out."""
    rows, lines = Rows(tasks), LinesOfAnyForm(tasks, addressed, strict)
    for number, raw in enumerate(data.split(b"\n")[:-1], line):
        row = lines.read(raw, number)
        if row is not None:
            rows.append(row, number)
    return rows.take(), lines.bad


def scan(data, line, tasks, addressed=False):
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

    op = chars[starts[first]]
    sized = (op == Op.MALLOC) | (op == Op.REALLOC)
    addresses = None
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
    time = None
    if timed.any():
        at = first + 2 + sized
        time = _numbers(chars, starts[at], lengths[at])
    if ids is None or sizes is None or (time is None and timed.any()):
        return None
    size = np.zeros(len(op), dtype=np.uint64)
    size[sized] = sizes.view(np.uint64)

    codes = None
    named = extra == 2
    if named.any():
        found = _codes(chars, starts[last[named]], lengths[last[named]], tasks)
        if found is None:
            return None
        codes = np.full(len(op), -1, dtype=np.int32)
        codes[named] = found
    places = None if addresses is None else addresses.view(np.uint64)
    return Block(op, ids, size, time, None, codes, line, places)


def _addresses(chars, starts, lengths):
    """The numbers that stand there as ``0x1f``; None if one does not, or may be too large."""
    if lengths.min() < 3 or (chars[starts] != _ZERO).any() or (chars[starts + 1] != _X).any():
        return None
    return _numbers(chars, starts + 2, lengths - 2, 16)


def _numbers(chars, starts, lengths, base=10):
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


def _codes(chars, starts, lengths, tasks):
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
    words = letters.view(f"S{width}").ravel().tolist()
    try:
        code_of = {word: tasks.code(word.decode()) for word in dict.fromkeys(words)}
    except ValueError:  # not a word, or not UTF-8
        return None
    return [code_of[word] for word in words]
