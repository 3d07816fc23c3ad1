"""What the recorder on the device wrote (``csrc/recorder``): a stream, or a ring found in a dump.

The header ``rh_recorder.h`` says what the records look like. Every record carries a check of 16
bits and the number of its event modulo 64, and every 64 events the whole number: what is damaged is
skipped to the next record, and what is missing is counted in ``loss.lost_events``. A stream that
begins in the middle, as that of a ring does, is read from its first whole record on.
"""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np

from rtosheap import _formats
from rtosheap.traces.columns import Columns, Tasks, names_in_use, valid_task
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import AddressLog, check
from rtosheap.traces.loss import Loss

NAME = "recorder"
HINT = "a stream of rtosheap's own recorder, or a dump with its ring"

_RING = b"RHRING1\0"
_NAMES = 254
_MEANINGS = {
    0: "as requested",
    1: "rounded up to the alignment",
    2: "the block's, without its header",
    3: "the block's, without its header and what was too small to split off",
}
_SEED = int.from_bytes(os.urandom(8))


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _formats.find_sync(head) is not None or holds_ring(head)


def holds_ring(data: bytes) -> bool:
    """Whether a recorder's ring lies somewhere in the memory."""
    return _RING in data


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    data = unrolled(stream.read())
    if _formats.find_sync(data) is None:
        raise TraceError("holds no whole sync record, without which no address is known")
    log, names = _Log(), _Names()
    base, shift, meaning, beyond = log.read_records(data, names.key_of)
    if beyond is not None:
        check(base + (beyond << shift), 0)
    columns = log.columns(
        "rtosheap recorder",
        tasks=None,
        time_unit="ticks",
        sizes=_MEANINGS.get(meaning, "unknown"),
        base_address=f"{base:#x}",
    )
    columns.lines = None
    names.give_to(columns)
    return columns


def unrolled(data: bytes) -> bytes:
    """The bytes of the ring in a dump, the oldest first; a plain stream as it is."""
    at = data.find(_RING)
    while at >= 0:
        size, put, laps = (_word(data, at + 8 + 4 * i) for i in range(3))
        start = at + len(_RING) + 12
        if 0 < size <= len(data) - start and put < size:
            ring = data[start : start + size]
            return ring[put:] + ring[:put] if laps else ring[:put]
        at = data.find(_RING, at + 1)
    return data


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


class _Log(AddressLog):
    TIMED = TASKED = True


class _Names:
    """The tasks' names, by keys: their numbers, or others for numbers that were given out again."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._keys: dict[int, int] = {}

    def key_of(self, task: int, name: bytes) -> int:
        """Note a task's name; another one than before is that of a task that came later."""
        text = name.decode("utf-8", "replace")
        if self._names.get(self._keys.get(task, task), text) != text:
            self._keys[task] = _NAMES + 1 + len(self._names)
        key = self._keys.get(task, task)
        self._names[key] = text
        return key

    def give_to(self, columns: Columns) -> None:
        """Put names in the place of keys."""
        assert columns.task_codes is not None
        keys = columns.task_codes.view(np.uint32).astype(np.int64)
        numbers = np.empty_like(keys)
        used = np.frombuffer(_formats.rank(keys, numbers, _SEED), dtype=np.int64).tolist()
        tasks = Tasks()
        codes = np.array([self._code(key, tasks) for key in used], dtype=np.int32)
        unknown = np.array([key != 0 and key not in self._names for key in used], dtype=np.int64)
        counts = np.bincount(numbers, minlength=len(used))
        columns.loss = columns.loss.merged(Loss(unknown_tasks=int(unknown @ counts)))
        columns.task_codes, columns.task_names = names_in_use(codes[numbers], tasks.names)

    def _code(self, key: int, tasks: Tasks) -> int:
        name = "_".join(self._names.get(key, f"task{key}" if key else "").split())
        return tasks.code(name) if name == "" or valid_task(name) else -1
