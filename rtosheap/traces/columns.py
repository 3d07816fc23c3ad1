"""The columns of a trace, made from what a caller gives, each entry checked by itself.

Whether the events fit together is for :mod:`rtosheap.traces._lifetimes` to say.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rtosheap import _formats
from rtosheap.traces.errors import TraceError
from rtosheap.traces.events import Event, Op
from rtosheap.traces.loss import Dropped, Loss
from rtosheap.traces.meta import encodes

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Ops = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
#: Event numbers: int32 while they fit, to halve the memory of a large trace.
Links: TypeAlias = npt.NDArray[np.signedinteger[Any]]

ID_MAX = 2**63 - 1
SIZE_MAX = 2**64 - 1
_TASK_BLOCK = 1 << 16
TIME_MIN, TIME_MAX = -(2**63), 2**63 - 1


_ARRAYS = ("op", "id", "size", "time", "task_codes", "addresses")


class Lines:
    """The line on which each event of a file stands, kept as runs of consecutive lines."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int | Int64]] = []
        self._count = 0

    def add(self, count: int, lines: int | Int64) -> None:
        """Append `count` events: from line `lines` on, one a line, or on the lines it lists."""
        self._runs.append((self._count, lines))
        self._count += count

    def of(self, event: int) -> int | None:
        """The line of an event, from 1; None if it is not known."""
        if not 0 <= event < self._count:
            return None
        starts = [start for start, _ in self._runs]
        start, lines = self._runs[int(np.searchsorted(starts, event, side="right")) - 1]
        return lines + event - start if isinstance(lines, int) else int(lines[event - start])

    def keep(self, mask: Mask) -> None:
        """Leave out the events whose mask is False."""
        ends = [*(start for start, _ in self._runs[1:]), self._count]
        every = [
            np.arange(lines, lines + end - start) if isinstance(lines, int) else lines
            for (start, lines), end in zip(self._runs, ends, strict=True)
        ]
        kept = np.concatenate(every)[mask]
        self._runs, self._count = [], 0
        self.add(len(kept), kept)


@dataclass
class Columns:
    """A trace as a reader hands it over: typed columns whose events are not yet checked."""

    op: Ops
    id: Int64
    size: UInt64
    time: Int64 | None = None
    task_codes: Int32 | None = None
    task_names: tuple[str, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)
    dropped: Dropped = field(default_factory=Dropped)
    loss: Loss = field(default_factory=Loss)
    #: Where a recorder saw each event's block; None where nobody recorded that.
    addresses: UInt64 | None = None
    #: The name of the file that it was read from; "" where there is none.
    file: str = ""
    #: While loading: where each event stands, and what the user should be told.
    lines: Lines | None = None
    warnings: list[str] = field(default_factory=list)

    def arrays(self) -> dict[str, Any]:
        """The columns that are known, by name."""
        found = {name: getattr(self, name) for name in _ARRAYS}
        return {name: column for name, column in found.items() if column is not None}

    def freeze(self) -> None:
        """Make every column read-only, and leave out those that say nothing."""
        if self.task_codes is None or not self.task_names:
            self.task_codes, self.task_names = None, ()
        if len(self.op) == 0:
            self.time, self.task_codes, self.task_names = None, None, ()
            self.addresses = None
        for column in self.arrays().values():
            column.flags.writeable = False

    def keep(self, mask: Mask) -> None:
        """Leave out the events whose mask is False."""
        if not mask.all():
            for name, column in self.arrays().items():
                setattr(self, name, column[mask])
        if self.task_codes is not None:
            self.task_codes, self.task_names = names_in_use(self.task_codes, self.task_names)


def frozen(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A contiguous array that nobody can write to; a copy, unless it is one already."""
    out = np.ascontiguousarray(array, dtype=dtype)
    link: Any = out
    while isinstance(link, np.ndarray) and not link.flags.writeable:
        link = link.base
    if link is None or isinstance(link, bytes):
        return out
    if out is array or out.base is not None:
        out = out.copy()
    out.flags.writeable = False
    return out


def op_column(op: Any) -> Ops:
    """The `op` argument as uint8 codes, each of them an :class:`Op`."""
    if isinstance(op, (bytes, bytearray)):
        array = np.frombuffer(bytes(op), dtype=np.uint8)
    else:
        array = _one_dimensional(list(op) if isinstance(op, str) else op, "op")
    codes = _letters(array)
    if codes.dtype != np.uint8:
        wide = codes
        codes = wide.astype(np.uint8)
        codes[codes != wide] = 0
    else:
        codes = np.ascontiguousarray(codes)
    at = _formats.find_no_op(codes)
    if at is not None:
        raise TraceError(
            f"op[{at}] is {array[at]!r}; it must be 'm' (malloc), 'r' (realloc) or 'f' (free)",
            event=at,
        )
    return frozen(codes, np.uint8)


def _letters(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Codes of a column of letters or codes; what is neither becomes 0."""
    kind = array.dtype.kind
    if array.size == 0:
        return np.zeros(0, dtype=np.uint8)
    if kind in "iu":
        return array
    if kind == "S" and array.dtype.itemsize == 1:
        return np.ascontiguousarray(array).view(np.uint8)
    if kind == "U" and array.dtype.itemsize == 4 and array.dtype.isnative:
        return np.ascontiguousarray(array).view(np.uint32)
    codes = {code.letter: code.value for code in Op}
    codes_of: dict[Any, int] = {**codes, **{letter.encode(): n for letter, n in codes.items()}}
    codes_of.update({code: code.value for code in Op})
    return np.array([codes_of.get(item, 0) if _hashable(item) else 0 for item in array], np.uint8)


def _hashable(item: Any) -> bool:
    return isinstance(item, (str, bytes, int))


def integer_column(values: Any, name: str, low: int, high: int, dtype: npt.DTypeLike) -> Any:
    """The argument `name` as a column of integers from `low` to `high`."""
    array = _one_dimensional(values, name)
    if array.size == 0:
        return frozen(np.zeros(0, dtype=dtype), dtype)
    if array.dtype.kind not in "iu":
        if isinstance(values, np.ndarray) and array.dtype.kind != "O":
            raise TypeError(f"{name} must hold integers, not {array.dtype}")
        array = np.array(_exact_integers(values, name), dtype=object)
    bad = _outside(array, low, high)
    if bad.any():
        at = int(bad.argmax())
        raise TraceError(
            f"{name}[{at}] is {array[at]}; it must be from {low} to {_power(high)}", event=at
        )
    return frozen(array.astype(dtype, copy=False), dtype)


def _exact_integers(values: Iterable[Any], name: str) -> list[int]:
    out = []
    for at, value in enumerate(values):
        try:
            if isinstance(value, (bool, np.bool_)):
                raise TypeError
            out.append(operator.index(value))
        except TypeError:
            raise TypeError(f"{name}[{at}] is {value!r}; it must be an integer") from None
    return out


def _outside(array: npt.NDArray[Any], low: int, high: int) -> Mask:
    """Where integers lie outside [low, high], whatever the array's own width and sign."""
    out = np.zeros(len(array), dtype=np.bool_)
    info = None if array.dtype.kind == "O" else np.iinfo(array.dtype)
    if info is None or info.min < low:
        out |= np.asarray(array < low, dtype=np.bool_)
    if info is None or info.max > high:
        out |= np.asarray(array > high, dtype=np.bool_)
    return out


def _power(bound: int) -> str:
    exponent = (bound + 1).bit_length() - 1
    return f"2**{exponent} - 1" if exponent > 30 and bound + 1 == 1 << exponent else str(bound)


def _one_dimensional(values: Any, name: str) -> npt.NDArray[Any]:
    if not isinstance(values, (np.ndarray, Sequence)) and not hasattr(values, "__array__"):
        raise TypeError(f"{name} must be an array or a sequence, not {type(values).__name__}")
    array = np.asarray(values)
    if array.ndim != 1:
        raise TraceError(f"{name} must have one dimension, not {array.ndim}")
    return array


def valid_task(name: str) -> bool:
    """Whether a name can stand in a trace: a word, without blanks, that UTF-8 can hold."""
    return encodes(name) and name.isprintable() and name.split() == [name]


class Tasks:
    """Numbers task names in the order in which they first appear; ``""`` is -1, unknown."""

    def __init__(self) -> None:
        self._code_of: dict[str, int] = {"": -1}

    @property
    def names(self) -> tuple[str, ...]:
        """The names, by code."""
        return tuple(self._code_of)[1:]

    def codes(self, names: Iterable[str]) -> list[int]:
        """The codes of names that have one, or a `KeyError`."""
        code_of = self._code_of
        return [code_of[name] for name in names]

    def code(self, name: str) -> int:
        """The code of a name, or a `ValueError` if it is not a word."""
        code = self._code_of.get(name)
        if code is None:
            if not valid_task(name):
                raise ValueError(f"task {name!r} is not a word of printable characters, no blanks")
            code = self._code_of[name] = len(self._code_of) - 1
        return code


def task_column(task: Any) -> tuple[Int32, tuple[str, ...]]:
    """The `task` argument as codes and names; no names when no event's task is known."""
    if not isinstance(task, (list, tuple)):  # of which numpy would cut off trailing NULs
        task = _one_dimensional(task, "task")
    tasks = Tasks()
    codes = np.empty(len(task), dtype=np.int32)
    for start in range(0, len(task), _TASK_BLOCK):
        part = task[start : start + _TASK_BLOCK]
        names = part.tolist() if isinstance(part, np.ndarray) else part
        codes[start : start + len(names)] = _task_codes(names, start, tasks)
    codes.flags.writeable = False
    return codes, tasks.names


def _task_codes(names: Sequence[Any], start: int, tasks: Tasks) -> list[int]:
    """Codes of names of which the first is number `start`."""
    try:
        return tasks.codes(names)
    except (KeyError, TypeError):  # a new name, or no name
        pass
    out = []
    for at, name in enumerate(names, start):
        name = "" if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"task[{at}] is {name!r}; it must be a str, '' where it is not known")
        try:
            out.append(tasks.code(name))
        except ValueError as error:
            raise TraceError(f"task[{at}]: {error}", event=at) from None
    return out


def names_in_use(codes: Int32, names: tuple[str, ...]) -> tuple[Int32 | None, tuple[str, ...]]:
    """Codes renumbered by first appearance, and only the names in use."""
    used, first = np.unique(codes, return_index=True)
    order = [int(code) for code in used[np.argsort(first)] if code >= 0]
    if not order:
        return None, ()
    if order == list(range(len(names))):
        return codes, names
    renumber = np.full(len(names) + 1, -1, dtype=np.int32)
    renumber[order] = np.arange(len(order), dtype=np.int32)
    return renumber[codes], tuple(names[code] for code in order)


def unzip_events(
    events: Iterable[Any],
) -> tuple[list[Any], list[Any], list[Any], list[Any], list[str] | None]:
    """Columns op, id, size, time, task of event tuples; times None where not given."""
    op, ids, sizes, times, tasks = [], [], [], [], []
    for at, event in enumerate(events):
        if isinstance(event, Event):
            code, id_, size, time, task = event
        else:
            try:
                code, *rest = event
            except (TypeError, ValueError):
                rest = []
                code = event
            if isinstance(code, int) and code in tuple(Op):
                code = Op(code).letter
            fixed = {"m": 2, "r": 2, "f": 1}.get(code if isinstance(code, str) else "")
            if fixed is None or not fixed <= len(rest) <= fixed + 2:
                raise TraceError(
                    f"event {at} is {event!r}; it must be ('m', id, size[, time[, task]]), "
                    "the same with 'r', or ('f', id[, time[, task]])",
                    event=at,
                )
            id_, size = rest[0], rest[1] if fixed == 2 else 0
            time, task = [*rest[fixed:], None, None][:2]
        op.append(code)
        ids.append(id_)
        sizes.append(size)
        times.append(time)
        tasks.append(task or "")
    return op, ids, sizes, times, tasks if any(tasks) else None


def check_timed(times: list[Any]) -> bool:
    """Whether all events have a time; raises unless all or none do."""
    timed = bool(times) and times[0] is not None
    for at, time in enumerate(times):
        if (time is not None) != timed:
            has = "a time" if time is not None else "no time"
            reason = f"event {at} has {has}, unlike those before; give every event a time, or none"
            raise TraceError(f"{reason} (a free is ('f', id[, time[, task]]))", event=at)
    return timed
