"""What `rtosheap.traces` does for each event of a trace, over C-contiguous, aligned arrays."""

from collections.abc import Callable
from typing import Any

def find_no_op(op: Any, /) -> int | None:
    """The first of the uint8 letters that is none of m, r and f."""

def link(
    op: Any, id: Any, size: Any, previous: Any, bad: Any | None, room: int, /
) -> tuple[int, int]:
    """Link events (uint8 op, int64 id below `room`, uint64 size) to those before them on their ids.

    Writes `previous`, int32 for fewer than 2**31 events and else int64: the event before it on the
    same id, or -1; and `bad` (bool, all False), if given: events that cannot be. Returns the first
    free that has a size and the first event that cannot be, -1 where there is none.
    """

def rank(id: Any, rank: Any, seed: int, /) -> bytes:
    """Number int64 ids in the order of their first appearance, into int64 `rank`; the ids by
    number, as the bytes of int64. The seed changes nothing but what would collide.
    """

def scan_text(
    data: Any,
    at: int,
    end: int,
    line: int,
    count: int,
    columns: tuple[Any, ...],
    code_of: Callable[[bytes], int | None],
    seed: int,
    /,
) -> tuple[int, int, int]:
    """Read lines of the text format that are as they are usually written, up to one that is not.

    From byte `at` of `data` on, where line number `line` begins, to `end`, after a newline; into
    writable columns op (uint8), id (int64), size (uint64), time (int64), timed (bool), task
    (int32), lines (int64) and address (uint64; None where lines have none), of which `count`
    entries are taken. `code_of` says the code of a task's name, None if it is not usual. Returns
    at, line and count as they are then; `at` is `end` when all lines are read.
    """
