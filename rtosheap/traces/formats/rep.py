"""CMU malloc lab's ``.rep`` files, as they are met in the wild.

Tokens between blanks. First the lines that hold a single integer: 4 of them (suggested heap size,
ids, events, weight; or, since 2016, weight, ids, events, peak of live bytes) or 2 (ids, events).
Then the events: ``a <id> <bytes>``, ``r <id> <bytes>``, ``f <id>``. Of these

* ``f -1`` is ``free(NULL)``, which does nothing, as is ``r <id> 0`` of an id that is not live;
  ``dropped.free_null`` counts both;
* ``r`` of an id that is not live is a malloc;
* ``r <id> 0`` is a free;
* what stands past the stated number of events is left out; ``dropped.past_count`` counts it.

The header's numbers become ``meta["rep_header"]``. Written is the 2016 form, with weight 1.
"""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import ID_MAX, SIZE_MAX, Columns, Lines
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Op
from rtosheap.traces.formats._rows import number
from rtosheap.traces.formats.streams import MAX_LINE, lines, too_long
from rtosheap.traces.loss import Dropped, counts
from rtosheap.traces.meta import described

NAME = "rep"
HINT = "2 or 4 lines of one integer, then lines that begin with a, r or f"

_HEAD = re.compile(rb"\s*+(?>(?:[0-9]++[ \t\r]*+\n\s*+){2,})(?:[arf][ \t]|\Z)")
_HEADER = (
    "leading lines hold a single integer; it must be 4 (suggested heap size or weight, ids, "
    "events, weight or peak) or 2 (ids, events)"
)
_FORMS = {"a": "a <id> <bytes>", "r": "r <id> <bytes>", "f": "f <id>"}
_WIDTHS = {letter: len(form.split()) for letter, form in _FORMS.items()}
_BLOCK = 1 << 16
_HIGHEST = 10**22  # which a peak of many large blocks may come near
_ENOUGH = 4  # words of a group that is too long already


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _HEAD.match(head if head.endswith(b"\n") else head + b"\n") is not None


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    tokens = _Tokens(stream)
    header = tokens.header()
    stated = header[len(header) // 2]
    events = _Events()
    past = 0
    for word, where in tokens.groups():
        if events.seen == stated:
            past += 1
            continue
        events.seen += 1
        try:
            events.add(word, where)
        except TraceError as error:
            if strict:
                raise error.at(line=where, path=None) from None
            events.bad += 1
    columns = events.columns()
    columns.meta = {"rep_header": " ".join(map(str, header))}
    columns.dropped = Dropped(bad_line=events.bad, free_null=events.null, past_count=past)
    if events.seen < stated:
        reason = f"the header states {stated} events, the file has {events.seen}; it was cut short"
        if strict:
            raise TraceError(reason, line=tokens.number)
        columns.warnings.append(reason)
    return columns


class _Tokens:
    """The lines' tokens; `number` is that of the last line read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.number = 0
        self._stream = stream
        self._first: list[str] = []  # the fields of the line after the header

    def _fields(self) -> Iterator[list[str]]:
        for raw in lines(self._stream):
            self.number += 1
            if len(raw) > MAX_LINE:
                raise too_long().at(line=self.number, path=None)
            fields = raw.decode("ascii", "backslashreplace").split()
            if fields:
                yield fields

    def header(self) -> list[int]:
        """The leading lines that hold a single integer, 2 or 4 of them."""
        numbers: list[int] = []
        for fields in self._fields():
            if len(fields) != 1 or not fields[0].isdigit():
                self._first = fields
                break
            if len(numbers) == 4:
                raise TraceError(f"more than 4 {_HEADER}", line=self.number)
            try:
                numbers.append(number(fields[0], "number in the header", 0, _HIGHEST))
            except TraceError as error:
                raise error.at(line=self.number, path=None) from None
        if len(numbers) not in (2, 4):
            raise TraceError(f"{len(numbers)} {_HEADER}", line=max(1, self.number))
        return numbers

    def groups(self) -> Iterator[tuple[list[str], int]]:
        """Each letter with what follows it up to the next, and its line."""
        group: list[str] = []
        start = self.number
        for fields in itertools.chain([self._first], self._fields()):
            if fields and len(fields) == _WIDTHS.get(fields[0]):  # as nearly every line is
                if group:
                    yield group, start
                group, start = fields, self.number
                continue
            for word in fields:
                if group and not word.removeprefix("-").isdigit():
                    yield group, start
                    group = []
                start = start if group else self.number
                if len(group) < _ENOUGH:
                    group.append(word)
        if group:
            yield group, start


class _Events:
    """Events taken one by one, in their order, since what `r` means depends on what is live."""

    def __init__(self) -> None:
        self._op, self._id = array("B"), array("q")
        self._size, self._line = array("Q"), array("q")
        self._live: set[int] = set()
        self.seen = self.bad = self.null = 0

    def add(self, words: list[str], line: int) -> None:
        letter = words[0]
        form = _FORMS.get(letter)
        if form is None:
            raise TraceError(f"unknown event {letter[:40]!r}; it must be a, r or f")
        if len(words) != _WIDTHS[letter]:
            raise TraceError(f"{' '.join(words)[:40]!r} must be {form!r}")
        if words == ["f", "-1"]:
            self.null += 1
            return
        id_ = number(words[1], "id", 0, ID_MAX)
        size = number(words[2], "size", 0, SIZE_MAX) if letter != "f" else 0
        live = id_ in self._live
        if letter == "r" and size == 0 and not live:
            self.null += 1
            return
        if letter == "f" or (letter == "r" and size == 0):
            op = Op.FREE
            self._live.discard(id_)
        else:
            op = Op.REALLOC if letter == "r" and live else Op.MALLOC
            self._live.add(id_)
        self._op.append(op)
        self._id.append(id_)
        self._size.append(size)
        self._line.append(line)

    def columns(self) -> Columns:
        where = Lines()
        where.add(len(self._line), np.array(self._line, dtype=np.int64))
        return Columns(
            op=np.array(self._op, dtype=np.uint8),
            id=np.array(self._id, dtype=np.int64),
            size=np.array(self._size, dtype=np.uint64),
            lines=where,
        )


def lost(trace: TraceBase) -> list[str]:
    """Times, tasks, meta and what else; see :class:`~rtosheap.traces.formats.Writer`."""
    out = [] if trace.time is None else ["times"]
    out += [] if trace.task_codes is None else ["tasks"]
    out += [] if trace.recorded_address is None else ["the recorded addresses"]
    out += ["what is missing of the trace"] if counts(trace.loss, trace.dropped) else []
    keys = [key for key in described(dict(trace.meta)) if key != "rep_header"]
    out += [f"the trace's meta ({', '.join(keys)})"] if keys else []
    emptied = int(_emptied(trace).sum())
    if emptied:
        out.append(f"reallocs to 0 bytes that do not free ({emptied}, written as f and a)")
    if not _small(trace):
        out.append("ids much larger than their number (renumbered)")
    return out


def _emptied(trace: TraceBase) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    out: np.ndarray[tuple[int], np.dtype[np.bool_]] = (trace.op == Op.REALLOC) & (trace.size == 0)
    return out


def _small(trace: TraceBase) -> bool:
    return bool(np.array_equal(trace.slots.slot, trace.id))


def write(trace: TraceBase, stream: BinaryIO) -> None:
    """Write the events; see :class:`~rtosheap.traces.formats.Writer`."""
    slot, count = trace.slots
    events = len(trace) + int(_emptied(trace).sum())
    stream.write(f"1\n{count}\n{events}\n{trace.peak_live_bytes}\n".encode())
    for start in range(0, len(trace), _BLOCK):
        part = slice(start, start + _BLOCK)
        rows = zip(
            trace.op[part].tolist(), slot[part].tolist(), trace.size[part].tolist(), strict=True
        )
        stream.write("".join([_line(*row) for row in rows]).encode())


def _line(op: int, id_: int, size: int) -> str:
    if op == Op.FREE:
        return f"f {id_}\n"
    if op == Op.MALLOC:
        return f"a {id_} {size}\n"
    return f"r {id_} {size}\n" if size else f"f {id_}\na {id_} 0\n"
