"""Logs read line by line in Python alone, blocks in a dict: slower, and plainly right."""

from __future__ import annotations

import importlib.util
import sys
from array import array
from collections import Counter
from typing import BinaryIO, Self
from unittest.mock import patch

import numpy as np

from rtosheap.traces.columns import Columns, Lines, names_in_use
from rtosheap.traces.events import Op
from rtosheap.traces.formats import _address_log
from rtosheap.traces.formats._address_log import bad_line, check, whole
from rtosheap.traces.formats.streams import lines
from rtosheap.traces.loss import Dropped, Loss
from rtosheap.traces.meta import ABI

_MALLOC, _REALLOC, _FREE = int(Op.MALLOC), int(Op.REALLOC), int(Op.FREE)
__all__ = ["AddressLog", "LogReader", "bad_line", "reader", "whole"]

_MAX_32 = 2**32 - 1


class AddressLog:
    """Events of a log that names blocks by their addresses, taken one by one.

    Every block gets an id of its own. `loss` has counts by the names of
    :class:`~rtosheap.traces.Loss`; those that follow from what is live are kept here, the readers
    add theirs.
    """

    TIMED = False

    def __init__(self) -> None:
        self.op, self.id, self.size = array("B"), array("q"), array("Q")
        self.address, self.line = array("Q"), array("q")
        self.time, self.task = array("q"), array("i")  # left empty by who has none
        self.live: dict[int, int] = {}
        self.loss: Counter[str] = Counter()
        self.largest_failed = 0
        self.highest = 0  # address that was seen elsewhere than in an event
        self.freed, self.sizes, self.alike = False, [], {}
        self.now: int | None = 0 if self.TIMED else None
        self.who: int | None = None
        self._blocks = 0

    def add_kind(self, size):
        """Blocks of a size that no address names."""
        self.sizes.append(size)

    @property
    def kinds(self):
        """How many there are."""
        return len(self.sizes)

    def malloc_of(self, kind, line):
        """A block of a kind."""
        self.alike.setdefault(kind, []).append(self.add_malloc(self.sizes[kind], 0, line))

    def free_of(self, kind, line):
        """The youngest of a kind."""
        blocks = self.alike.get(kind)
        if blocks:
            self.loss["ambiguous_frees"] += len(blocks) > 1
            self.add_free(blocks.pop(), 0, line)
        else:
            self.loss["foreign_frees"] += 1

    def name_task(self, number, code):
        """Nothing: that is for C."""

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
        check(address, size)
        if address in self.live:
            self.loss["implied_frees"] += 1
            self.add_free(self.live[address], address, line)
        self.live[address] = self.add_malloc(size, address, line)

    def add_malloc(self, size: int, address: int, line: int) -> int:
        """A block's malloc; its id."""
        id_ = self._blocks
        self._blocks = id_ + 1
        self._add(_MALLOC, id_, size, address, line)
        return id_

    def add_free(self, id_: int, address: int, line: int) -> None:
        """A block's free."""
        self._add(_FREE, id_, 0, address, line)

    def fail(self, size: int) -> None:
        """A request that failed."""
        self.loss["failed"] += 1
        self.largest_failed = max(self.largest_failed, size)

    def free(self, address: int, line: int) -> None:
        """A free of any address, 0 and unknown ones included."""
        if address == 0:
            self.loss["free_null_lines"] += 1
            return
        id_ = self.live.pop(address, None)
        if id_ is None:
            self.loss["foreign_frees"] += 1
        else:
            self.add_free(id_, address, line)

    def realloc(self, old: int, new: int, size: int, line: int) -> None:
        """A realloc of any address, of which `new` is the result."""
        if old == 0:
            self.malloc(new, size, line)
        elif size == 0 and new == 0:
            self.free(old, line)
        elif new == 0:
            self.fail(size)
        elif old not in self.live:
            self.malloc(new, size, line)
            self.loss["foreign_reallocs"] += 1
        else:
            check(new, size)
            id_ = self.live.pop(old)
            if new in self.live:
                self.loss["implied_frees"] += 1
                self.add_free(self.live.pop(new), new, line)
            self.live[new] = id_
            self._add(_REALLOC, id_, size, new, line)

    def columns(self, source: str, *, tasks: tuple[str, ...] = (), **meta: str) -> Columns:
        """The events as columns, with `source` and `meta` in their meta."""
        where = Lines()
        where.add(len(self.line), np.frombuffer(self.line, dtype=np.int64))
        out = Columns(  # the arrays themselves, so that a large log is in memory only once
            op=np.frombuffer(self.op, dtype=np.uint8),
            id=np.frombuffer(self.id, dtype=np.int64),
            size=np.frombuffer(self.size, dtype=np.uint64),
            addresses=np.frombuffer(self.address, dtype=np.uint64),
            meta={"source": source},
            loss=Loss(**self.loss),
            lines=where,
        )
        if self.time:
            out.time = np.frombuffer(self.time, dtype=np.int64)
        if self.task and tasks:
            codes = np.frombuffer(self.task, dtype=np.int32)
            out.task_codes, out.task_names = names_in_use(codes, tasks)
        if self.largest_failed:
            out.meta["largest_failed_request"] = str(self.largest_failed)
        highest = int(out.addresses.max()) if len(self.address) else 0  # type: ignore[union-attr]
        if max(highest, self.highest) > _MAX_32:
            out.meta[ABI] = "8-byte pointers"
        out.meta |= meta
        return out


class LogReader(AddressLog):
    """The events of a log's lines, each handed to `take`: as the reader in use does it with those
    that are not read in C.
    """

    SILENT = _address_log.LogReader.SILENT

    def __init__(self, strict: bool) -> None:
        super().__init__()
        self.strict = strict
        self.bad = 0
        self.digits = 0

    take = _address_log.LogReader.take
    saw = _address_log.LogReader.saw
    _whole = _address_log.LogReader._whole
    _take_line = _address_log.LogReader._take_line

    def of(self, stream: BinaryIO) -> Self:
        """This reader, once it has taken every line."""
        for number, raw in enumerate(lines(stream), 1):
            self._take_line(raw, number)
        return self

    def columns(self, source: str, *, tasks: tuple[str, ...] = (), **meta: str) -> Columns:
        """The events as columns; bad lines are counted."""
        columns = super().columns(source, tasks=tasks, **meta)
        columns.dropped = Dropped(bad_line=self.bad)
        if not (len(columns.op) or columns.loss or columns.dropped):
            columns.warnings.append(self.SILENT)
        return columns


def reader(name):
    """The module of a format, which reads with the classes above."""
    package = "rtosheap.traces.formats"
    replaced = {f"{package}._address_log": sys.modules[__name__]}
    with patch.dict(sys.modules, replaced):
        sys.modules[f"{package}._serial"] = _loaded(f"{package}._serial")
        return _loaded(f"{package}.{name}")


def _loaded(name):
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
