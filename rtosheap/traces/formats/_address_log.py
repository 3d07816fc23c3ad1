"""What the readers of recorders' logs share: lines with their errors, and blocks by address."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from rtosheap.traces.columns import SIZE_MAX, Columns, Lines
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Op
from rtosheap.traces.loss import Dropped, Loss

_MALLOC, _REALLOC, _FREE = int(Op.MALLOC), int(Op.REALLOC), int(Op.FREE)
_MAX_LINE = 1 << 16
_ADDRESS = re.compile(rb"(?:0[xX])?([0-9a-fA-F]+)\Z")


class AddressLog:
    """Events of a log that names blocks by their addresses, taken one by one.

    Every block gets an id of its own. The counts of :class:`~rtosheap.traces.Loss` that follow from
    what is live are kept here; the readers add theirs.
    """

    def __init__(self) -> None:
        self.op, self.id, self.size = array("B"), array("q"), array("Q")
        self.address, self.line = array("Q"), array("q")
        self.time, self.task = array("q"), array("i")  # left empty by who has none
        self.live: dict[int, int] = {}
        self.failed = self.free_null_lines = 0
        self.foreign_frees = self.foreign_reallocs = self.implied_frees = 0
        self.split_reallocs = 0
        self.largest_failed = 0
        self.now: int | None = None
        self.who: int | None = None
        self._blocks = 0

    def _add(self, op: int, id_: int, size: int, address: int, line: int) -> None:
        self.op.append(op)
        self.id.append(id_)
        self.size.append(size)
        self.address.append(address)
        self.line.append(line)
        if self.now is not None:
            self.time.append(self.now)
        if self.who is not None:
            self.task.append(self.who)

    def malloc(self, address: int, size: int, line: int) -> None:
        """An allocation; an address of 0 says that it failed."""
        if address == 0:
            self.fail(size)
            return
        if not 0 <= size <= SIZE_MAX or not 0 < address <= SIZE_MAX:
            raise _too_large(address, size)
        if address in self.live:
            self.implied_frees += 1
            self._add(_FREE, self.live[address], 0, address, line)
        id_ = self.live[address] = self._blocks
        self._blocks = id_ + 1
        self._add(_MALLOC, id_, size, address, line)

    def fail(self, size: int) -> None:
        """A request that failed."""
        self.failed += 1
        self.largest_failed = max(self.largest_failed, size)

    def free(self, address: int, line: int) -> None:
        """A free of any address, 0 and unknown ones included."""
        if address == 0:
            self.free_null_lines += 1
            return
        id_ = self.live.pop(address, None)
        if id_ is None:
            self.foreign_frees += 1
        else:
            self._add(_FREE, id_, 0, address, line)

    def realloc(self, old: int, new: int, size: int, line: int) -> None:
        """A realloc of any address, of which `new` is the result."""
        if old == 0:
            self.malloc(new, size, line)
        elif size == 0 and new == 0:
            self.free(old, line)
        elif new == 0:
            self.fail(size)
        elif not 0 <= size <= SIZE_MAX or not 0 < new <= SIZE_MAX:
            raise _too_large(new, size)
        elif old not in self.live:
            self.foreign_reallocs += 1
            self.malloc(new, size, line)
        else:
            id_ = self.live.pop(old)
            if new in self.live:
                self.implied_frees += 1
                self._add(_FREE, self.live.pop(new), 0, new, line)
            self.live[new] = id_
            self._add(_REALLOC, id_, size, new, line)

    def columns(self, source: str, *, tasks: tuple[str, ...] = (), **counts: int) -> Columns:
        """The events as columns, with `source` in their meta; `counts` are further losses."""
        lines = Lines()
        lines.add(len(self.line), np.frombuffer(self.line, dtype=np.int64).copy())
        loss = Loss(
            failed=self.failed,
            free_null_lines=self.free_null_lines,
            foreign_frees=self.foreign_frees,
            foreign_reallocs=self.foreign_reallocs,
            implied_frees=self.implied_frees,
        )
        out = Columns(
            op=np.frombuffer(self.op, dtype=np.uint8).copy(),
            id=np.frombuffer(self.id, dtype=np.int64).copy(),
            size=np.frombuffer(self.size, dtype=np.uint64).copy(),
            addresses=np.frombuffer(self.address, dtype=np.uint64).copy(),
            meta={"source": source},
            loss=loss.merged(Loss(**counts)),
            lines=lines,
        )
        if len(self.time):
            out.time = np.frombuffer(self.time, dtype=np.int64).copy()
        if len(self.task) and tasks:
            out.task_codes = np.frombuffer(self.task, dtype=np.int32).copy()
            out.task_names = tasks
        if self.largest_failed:
            out.meta["largest_failed_request"] = str(self.largest_failed)
        return out


def _too_large(address: int, size: int) -> TraceError:
    what, number = ("address", address) if 0 <= size <= SIZE_MAX else ("size", size)
    return TraceError(f"the {what} is {number}; it must be from 0 to {SIZE_MAX}")


class LogLines:
    """The lines of a log, each handed to a function that takes it or raises a `TraceError`.

    A last line without its newline was cut off if its last word is no whole address: then it is
    left out, and `cut` is 1.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._digits = 0
        self.cut = self.bad = 0

    def _whole(self, raw: bytes) -> bool:
        """Whether a line without an end says for itself that it is complete."""
        word = raw.rstrip(b"\r").rpartition(b" ")[2]
        match = _ADDRESS.match(word)
        return raw.endswith((b")", b"<void>")) or (
            match is not None and 0 < self._digits <= len(match[1])
        )

    def saw(self, digits: int) -> None:
        """Note how many digits a whole address has."""
        self._digits = max(self._digits, digits)

    def each(self, stream: BinaryIO, take: Callable[[bytes, int], None]) -> None:
        """Call ``take(line, number)`` for every line; a line that it raises on is bad."""
        for number, raw in enumerate(stream, 1):
            try:
                if raw.endswith(b"\n"):
                    take(raw, number)
                elif self._whole(raw):
                    take(raw + b"\n", number)
                else:
                    self.cut = 1
            except TraceError as error:
                if not raw.endswith(b"\n"):
                    self.cut = 1
                elif self._strict:
                    raise error.at(line=number, path=None) from None
                else:
                    self.bad += 1

    def finish(self, columns: Columns) -> Columns:
        """Add what was left out to the columns' counts."""
        columns.dropped = columns.dropped.merged(Dropped(bad_line=self.bad))
        columns.loss = columns.loss.merged(Loss(cut_lines=self.cut))
        return columns


def bad_line(raw: bytes, right: str) -> TraceError:
    """The error for a line that should have been `right`."""
    shown = raw[:72].rstrip().decode("utf-8", "backslashreplace")
    return TraceError(f"{shown!r} is no event; it must be {right}")
