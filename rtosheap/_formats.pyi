"""What `rtosheap.traces` does for each event of a trace, over C-contiguous, aligned arrays."""

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
