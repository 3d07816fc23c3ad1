"""From the fields of lines to columns: numbers with their errors, and blocks of events joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rtosheap.traces.columns import (
    ID_MAX,
    SIZE_MAX,
    TIME_MAX,
    TIME_MIN,
    Columns,
    Int32,
    Int64,
    Lines,
    Mask,
    Ops,
    Tasks,
    UInt64,
)
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Op
from rtosheap.traces.loss import Dropped

_LETTERS = {op.letter: int(op) for op in Op}
_TOO_LONG = 24


def number(text: str, what: str, low: int, high: int) -> int:
    """The integer that a field spells in ASCII digits.

    Raises
    ------
    TraceError
        If it is not one, or outside [low, high].
    """
    if len(text) < 18 and text.isdigit() and text.isascii():
        value = int(text)
        if low <= value <= high:
            return value
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdigit()):
        shown = text if len(text) <= _TOO_LONG else text[:_TOO_LONG] + "..."
        raise TraceError(f"the {what} is {shown!r}; it must be an integer")
    spelled = digits.lstrip("0")  # int() refuses thousands of digits, zeros or not
    value = high + 1
    if len(spelled) < _TOO_LONG:
        value = int(spelled or "0") * (-1 if text.startswith("-") else 1)
    if not low <= value <= high:
        shown = text if len(text) <= _TOO_LONG else f"a number of {len(text)} characters"
        raise TraceError(f"the {what} is {shown}; it must be from {low} to {high}")
    return value


@dataclass
class Block:
    """Some consecutive events of a file."""

    op: Ops
    id: Int64
    size: UInt64
    time: Int64 | None  # None: no event has one
    timed: Mask | None  # None: all have one, or none has
    task_codes: Int32 | None  # None: no event's task is known
    lines: int | Int64  # of the first event, the others following; or of each
    addresses: UInt64 | None = None  # None: no event has one


class Row(NamedTuple):
    """One event, its fields checked."""

    op: int
    id: int
    size: int
    time: int  # 0 without one
    timed: bool
    task: int
    address: int | None


def row_of(
    tasks: Tasks, op: str, id: str, size: str, time: str, task: str, address: int | None = None
) -> Row:
    """One event of its fields; ``""`` stands for what is not given.

    Raises
    ------
    TraceError
        If a field is wrong.
    """
    code = _LETTERS.get(op)
    if code is None:
        raise TraceError(f"unknown event {op!r}; it must be m, r or f")
    id_ = number(id, "id", 0, ID_MAX)
    asked = 0 if not size and op == "f" else number(size, "size", 0, SIZE_MAX)
    now = number(time, "time", TIME_MIN, TIME_MAX) if time else 0
    if op == "f" and asked != 0:
        raise TraceError(f"the size is {size} on a free; a free has none")
    try:
        task_code = tasks.code(task)
    except ValueError as error:
        raise TraceError(str(error)) from None
    return Row(code, id_, asked, now, bool(time), task_code, address)


class Rows:
    """Events taken one by one, field by field."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._op: list[int] = []
        self._id: list[int] = []
        self._size: list[int] = []
        self._time: list[int] = []
        self._timed: list[bool] = []
        self._task: list[int] = []
        self._lines: list[int] = []
        self._addresses: list[int] = []

    def __len__(self) -> int:
        return len(self._op)

    def add(
        self,
        op: str,
        id: str,
        size: str,
        time: str,
        task: str,
        line: int,
        address: int | None = None,
    ) -> None:
        """Take one event; ``""`` stands for what is not given. All have an address, or none has.

        Raises
        ------
        TraceError
            If a field is wrong, in which case the event is not taken.
        """
        self.append(row_of(self._tasks, op, id, size, time, task, address), line)

    def append(self, row: Row, line: int) -> None:
        """Take one event whose fields are checked."""
        self._op.append(row.op)
        self._id.append(row.id)
        self._size.append(row.size)
        self._time.append(row.time)
        self._timed.append(row.timed)
        self._task.append(row.task)
        self._lines.append(line)
        if row.address is not None:
            self._addresses.append(row.address)

    def take(self) -> Block:
        """The events since the last call, as columns."""
        timed, codes = np.array(self._timed, dtype=np.bool_), np.array(self._task, dtype=np.int32)
        block = Block(
            op=np.array(self._op, dtype=np.uint8),
            id=np.array(self._id, dtype=np.int64),
            size=np.array(self._size, dtype=np.uint64),
            time=np.array(self._time, dtype=np.int64) if timed.any() else None,
            timed=None if timed.all() or not timed.any() else timed,
            task_codes=codes if (codes >= 0).any() else None,
            lines=np.array(self._lines, dtype=np.int64),
            addresses=np.array(self._addresses, dtype=np.uint64) if self._addresses else None,
        )
        self.__init__(self._tasks)  # type: ignore[misc]
        return block


class Assembly:
    """Blocks of events, joined into columns at the end."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._blocks: list[Block] = []
        self._lines = Lines()

    def add(self, block: Block) -> None:
        """Append a block."""
        if len(block.op):
            self._blocks.append(block)
            self._lines.add(len(block.op), block.lines)

    def columns(self, *, strict: bool) -> Columns:
        """All blocks' events; can be called once.

        Raises
        ------
        TraceError
            If some events have a time and others have none, and `strict` is set. Otherwise those
            without one get that of the last event before them that has one, or else of the first.
        """
        timed = self._timed()
        out = Columns(
            op=self._joined("op", np.uint8, 0),
            id=self._joined("id", np.int64, 0),
            size=self._joined("size", np.uint64, 0),
            lines=self._lines,
        )
        if timed is None or timed.any():
            out.time = self._joined("time", np.int64, 0)
        if self._blocks and self._blocks[0].addresses is not None:
            out.addresses = self._joined("addresses", np.uint64, 0)
        if any(block.task_codes is not None for block in self._blocks):
            out.task_codes = self._joined("task_codes", np.int32, -1)
            out.task_names = self._tasks.names
        if out.time is not None and timed is not None:
            if strict:
                at = int((timed != timed[0]).argmax())
                what = "has a time" if timed[at] else "has no time"
                reason = f"event {at} {what}, unlike those before; give every event a time, or none"
                raise TraceError(reason, event=at, line=self._lines.of(at))
            first = int(timed.argmax())
            out.time[~timed] = TIME_MIN  # which the check of the trace raises, and counts
            out.time[:first] = out.time[first]
            out.dropped = Dropped(time_set=first)
        return out

    def _timed(self) -> Mask | None:
        """Which events have a time; None when all have."""
        if all(block.time is not None and block.timed is None for block in self._blocks):
            return None
        if all(block.time is None for block in self._blocks):
            return np.zeros(1, dtype=np.bool_)
        parts = [
            block.timed
            if block.timed is not None
            else np.full(len(block.op), block.time is not None, dtype=np.bool_)
            for block in self._blocks
        ]
        return np.concatenate(parts)

    def _joined(self, name: str, dtype: type[np.generic], missing: int) -> Any:
        parts = []
        for block in self._blocks:
            part = getattr(block, name)
            size = len(block.op)
            parts.append(np.full(size, missing, dtype=dtype) if part is None else part)
            if name != "op":
                setattr(block, name, None)  # so that a large trace is in memory only once
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)
