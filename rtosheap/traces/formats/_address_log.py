"""What the readers of recorders' logs share: lines with their errors, and blocks by address."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import BinaryIO, ClassVar, Self

import numpy as np

from rtosheap import _formats
from rtosheap.traces.columns import SIZE_MAX, Columns, Lines, names_in_use
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats.streams import BLANK, MAX_LINE, read_lines, too_long
from rtosheap.traces.loss import Dropped, Loss
from rtosheap.traces.meta import ABI

_ADDRESS = re.compile(rb"(?:0[xX])?([0-9a-fA-F]++)\Z")
_DIGITS = 20  # of the largest number of 64 bits

_MAX_32 = 2**32 - 1
_SEED = int.from_bytes(os.urandom(8))  # nobody can write a file whose addresses collide
_TYPES = {
    "op": np.uint8,
    "id": np.int64,
    "size": np.uint64,
    "address": np.uint64,
    "line": np.int64,
    "time": np.int64,
    "task": np.int32,
}


class AddressLog(_formats.Log):
    """Events of a log that names blocks by their addresses, taken one by one.

    Every block gets an id of its own. What follows from what is live is counted in C; in `loss`, by
    the names of :class:`~rtosheap.traces.Loss`, the readers add theirs.
    """

    TIMED: ClassVar = False  # whether events have times, and tasks
    TASKED: ClassVar = False

    def __new__(cls, *_: object) -> Self:
        """An empty log."""
        return super().__new__(cls, _SEED, timed=cls.TIMED, tasked=cls.TASKED)

    def __init__(self) -> None:
        self.loss: Counter[str] = Counter()
        self._largest_failed = 0

    def malloc(self, address: int, size: int, line: int) -> None:
        """An allocation; an address of 0 says that it failed."""
        if address <= SIZE_MAX and size <= SIZE_MAX:
            super().malloc(address, size, line)
        elif address == 0:
            self.fail(size)
        else:
            check(address, size)

    def fail(self, size: int) -> None:
        """A request that failed."""
        super().fail(min(size, SIZE_MAX))
        self._largest_failed = max(self._largest_failed, size)

    def free(self, address: int, line: int) -> None:
        """A free of any address, 0 and unknown ones included."""
        if address <= SIZE_MAX:
            super().free(address, line)
        else:
            self.loss["foreign_frees"] += 1

    def realloc(self, old: int, new: int, size: int, line: int) -> None:
        """A realloc of any address, of which `new` is the result."""
        if max(old, new, size) <= SIZE_MAX:
            super().realloc(old, new, size, line)
        elif new == 0 and size == 0:
            self.free(old, line)
        elif new == 0:
            self.fail(size)
        else:
            check(new, size)
            self.malloc(new, size, line)
            self.loss["foreign_reallocs"] += 1

    def columns(self, source: str, *, tasks: tuple[str, ...] | None = (), **meta: str) -> Columns:
        """The events as columns, with `source` and `meta` in their meta; can be called once.

        Without `tasks`, their codes are left to the caller.
        """
        counts = self.counts()
        found = {
            name: np.frombuffer(data, _TYPES[name]) for name, data in self.take_columns().items()
        }
        where = Lines()
        where.add(len(found["line"]), found["line"])
        out = Columns(
            op=found["op"],
            id=found["id"],
            size=found["size"],
            time=found.get("time"),
            addresses=found["address"],
            meta={"source": source},
            loss=Loss(**(self.loss + Counter(counts))),
            lines=where,
        )
        if tasks is None:
            out.task_codes = found["task"]
        elif tasks:
            out.task_codes, out.task_names = names_in_use(found["task"], tasks)
        largest_failed = max(self._largest_failed, self.largest_failed)
        if largest_failed:
            out.meta["largest_failed_request"] = str(largest_failed)
        highest = int(found["address"].max()) if len(found["address"]) else 0
        if max(highest, self.highest) > _MAX_32:
            out.meta[ABI] = "8-byte pointers"
        out.meta |= meta
        return out


def check(address: int, size: int) -> None:
    """Raise unless 64 bits hold them."""
    for what, number in (("size", size), ("address", address)):
        if not 0 <= number <= SIZE_MAX:
            raise TraceError(f"the {what} is {number}; it must be from 0 to {SIZE_MAX}")


class LogReader(AddressLog):
    """The events of a log's lines: those as they are usually written in C, the rest by `take`.

    A last line without its newline was cut off if its last word is no whole address: then it is
    left out, and counted.
    """

    #: What a user is told of a log without any call.
    SILENT: ClassVar = "holds no call of malloc or free"

    def __init__(self, strict: bool) -> None:
        super().__init__()
        self.strict = strict
        self.bad = 0

    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take whole lines from byte `at` on, up to an unusual one or to `end`. For the subclass.

        The first is number `line`; where and which the next one is.
        """
        return at, line

    def take(self, raw: bytes, number: int) -> None:
        """Take a line, or raise a `TraceError`, which makes it a bad one. For the subclass."""
        raise NotImplementedError

    def _whole(self, raw: bytes) -> bool:
        """Whether a line without an end says for itself that it is complete."""
        word = raw.rstrip(b"\r").rpartition(b" ")[2]
        match = _ADDRESS.match(word)
        return raw.endswith((b")", b"<void>")) or (
            match is not None and 0 < self.digits <= len(match[1])
        )

    def saw(self, digits: int) -> None:
        """Note how many digits a whole address has."""
        self.digits = max(self.digits, digits)

    def of(self, stream: BinaryIO) -> Self:
        """This reader, once it has taken every line."""
        read_lines(stream, self._take_lines, self._take_line)
        return self

    def _take_lines(self, data: bytearray, at: int, stop: int, line: int) -> int:
        """Take whole lines, of which the first is number `line`; the next one's number."""
        while at < stop:
            at, line = self.scan(data, at, stop, line)
            if at < stop:
                end = data.index(b"\n", at) + 1
                self._take_line(bytes(data[at:end]), line)
                at, line = end, line + 1
        return line

    def _take_line(self, raw: bytes, number: int) -> None:
        try:
            if len(raw) > MAX_LINE:
                raise too_long()
            if raw.endswith(b"\n"):
                self.take(raw, number)
            elif self._whole(raw):
                self.take(raw + b"\n", number)
            elif raw.strip(BLANK):
                self.loss["cut_lines"] += 1
        except TraceError as error:
            if not raw.endswith(b"\n") and len(raw) <= MAX_LINE:
                self.loss["cut_lines"] += 1
            elif self.strict:
                raise error.at(line=number, path=None) from None
            else:
                self.bad += 1

    def columns(self, source: str, *, tasks: tuple[str, ...] | None = (), **meta: str) -> Columns:
        """The events as columns; bad lines are counted."""
        columns = super().columns(source, tasks=tasks, **meta)
        columns.dropped = Dropped(bad_line=self.bad)
        if not (len(columns.op) or columns.loss or columns.dropped):
            columns.warnings.append(self.SILENT)
        return columns


def bad_line(raw: bytes, right: str) -> TraceError:
    """The error for a line that should have been `right`."""
    shown = raw[:72].rstrip().decode("utf-8", "backslashreplace")
    return TraceError(
        f"{shown!r} is no event; it must be {right}; strict=False (--no-strict) leaves it out"
    )


def whole(digits: bytes, base: int = 10) -> int:
    """The number that digits spell; a `ValueError` if they do not, or are too many."""
    if len(digits) > _DIGITS or not digits.isalnum():
        raise TraceError(f"{digits[:_DIGITS]!r} is no number of 64 bits")
    return int(digits, base)
