"""What Python and a foreign allocator's process write for one another: csrc/foreign/shared.h."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Arrays begin here, the words lie before.
ARRAYS_AT = 4096
#: Python's words.
ASKED = (
    "stop",
    "events",
    "first",
    "slots",
    "columns",
    "watch",
    "stop_at_failure",
    "live_bytes",
    "bytes",
    "told_bytes",
)
#: The columns, in their order, with the sizes of their entries.
COLUMNS: dict[str, type[np.generic]] = {
    "address": np.uint64,
    "block_size": np.uint64,
    "free_size": np.uint64,
    "largest_free_block": np.uint64,
    "live_bytes": np.uint64,
    "free_block_count": np.uint32,
    "failed": np.bool_,
    "failure": np.uint8,
}
#: The process's words.
TOLD = (
    "done",
    "call",
    "complaint",
    "address",
    "size",
    "other",
    "other_size",
    "other_event",
    "other_slot",
    "byte",
    "word",
    "functions",
    "failures",
    "zero_size",
    "skipped",
    "live_bytes",
    "first_failure",
    "free_size",
    "largest_free_block",
    "free_block_count",
    *(f"sum_{name}" for name in COLUMNS),
    "check",
)
WATCH_NOTHING = 2**64 - 1
WATCH_MARGINS = 2**64 - 2
NONE = 2**64 - 1
OP_ALIGNED = 0x80
#: Their functions, by the numbers of ``enum rh_call``.
CALLS = (
    "",
    "load",
    "init",
    "malloc",
    "free",
    "realloc",
    "aligned",
    "usable_size",
    "free_size",
    "walk",
)
#: What is complained of, by the numbers of ``enum rh_complaint``.
COMPLAINTS = (
    "",
    "load",
    "lacks",
    "memory",
    "init",
    "outside",
    "misaligned",
    "overlaps",
    "payload",
    "margin",
    "lost",
    "usable_size",
    "free_size",
    "walk",
    "harness",
)
CHECKS = (None, "addresses", "payloads")

Words = npt.NDArray[np.uint64]


def up8(number: int) -> int:
    return (number + 7) & ~7


def asked_bytes(events: int) -> int:
    """Bytes of Python's file for so many events."""
    return ARRAYS_AT + up8(events) + up8(4 * events) + 8 * events


def told_bytes(names: list[str], events: int) -> int:
    """Bytes of the process's file for these columns."""
    return ARRAYS_AT + sum(up8(np.dtype(COLUMNS[name]).itemsize * events) for name in names)


def put_events(memory: Any, op: Any, slot: Any, size: Any) -> None:
    """Write events into Python's file."""
    at, n = ARRAYS_AT, len(op)
    for values, dtype in ((op, np.uint8), (slot, np.int32), (size, np.uint64)):
        np.frombuffer(memory, dtype, n, at)[:] = values
        at += up8(np.dtype(dtype).itemsize * n)


def columns_in(memory: Any, names: list[str], events: int) -> dict[str, npt.NDArray[Any]]:
    """The columns in the process's file, which are in the order of `COLUMNS`."""
    at, found = ARRAYS_AT, {}
    for name in names:
        found[name] = np.frombuffer(memory, COLUMNS[name], events, at)
        at += up8(found[name].nbytes)
    return found


def sum_of(values: npt.NDArray[Any]) -> int:
    """A sum that tells whether entries were overwritten: each times an odd number of its own."""
    weights = np.arange(1, 2 * len(values), 2, dtype=np.uint64)
    return int(np.sum(values.astype(np.uint64) * weights))


def is_sealed(words: Words) -> bool:
    """Whether the process's words are what it wrote last."""
    return int(words[-1]) == ~sum_of(words[:-1]) & NONE
