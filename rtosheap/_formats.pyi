"""What `rtosheap.traces` does for each event of a trace, over C-contiguous, aligned arrays."""

from collections.abc import Callable
from typing import Any, Self

def find_no_op(op: Any, /) -> int | None:
    """The first of the uint8 letters that is none of m, r and f."""

def find_sync(data: Any, /) -> int | None:
    """Where the first sync record of a recorder's stream begins."""

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

def scan_csv(
    order: bytes,
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
    """The same of rows of CSV, whose cells have this order: 0 op, 1 id, 2 size, 3 time, 4 task."""

class Log:
    """The events of a log that names blocks by their addresses; all numbers fit into 64 bits.

    A `scan_` method takes a format's lines that are as they are usually written, up to one that is
    not: from byte `at` of `data` on, where line number `line` begins, to `end`, after a newline.
    It returns at and line as they are then; `at` is `end` when all lines are taken.
    """

    largest_failed: int
    #: How many kinds of blocks are known that no address names.
    kinds: int
    #: The largest address that was seen elsewhere than in an event.
    highest: int
    #: Whether the last event was a free, of a log that splits reallocs.
    freed: bool
    #: The next event's time and task.
    now: int
    who: int
    #: Of the longest address that was seen.
    digits: int

    def __new__(cls, seed: int, *, timed: bool = False, tasked: bool = False) -> Self: ...
    def malloc(self, address: int, size: int, line: int, /) -> None: ...
    def free(self, address: int, line: int, /) -> None: ...
    def realloc(self, old: int, new: int, size: int, line: int, /) -> None: ...
    def fail(self, size: int, /) -> None: ...
    def add_kind(self, size: int, /) -> None:
        """Blocks of a size that no address names: kind number `kinds`."""

    def malloc_of(self, kind: int, line: int, /) -> None: ...
    def free_of(self, kind: int, line: int, /) -> None:
        """The youngest of the kind."""

    def name_task(self, number: int, code: int, /) -> None:
        """Make the task of a number known."""

    def counts(self) -> dict[str, int]:
        """How often each loss was met, by the names of `rtosheap.traces.Loss`."""

    def take_columns(self) -> dict[str, bytes]:
        """The columns, each without padding, after which the log has no events.

        op (uint8), id (int64), size, address (uint64), line (int64); time (int64) and task (int32)
        of a log that has them.
        """

    def scan_valgrind(
        self, data: Any, at: int, end: int, line: int, process: bytes, /
    ) -> tuple[int, int]:
        """Those of `process`, which is what each line begins with; others' are counted."""

    def scan_freertos(
        self, data: Any, at: int, end: int, line: int, sized: bool, /
    ) -> tuple[int, int]:
        """Those of a log that has begun; `sized`: whether its lines say what was requested."""

    def scan_pigweed(self, data: Any, at: int, end: int, line: int, /) -> tuple[int, int]: ...
    def scan_mtrace(self, data: Any, at: int, end: int, line: int, /) -> tuple[int, int]:
        """Those that do not stand within a realloc, which is two lines."""

    def scan_heaptrack(
        self, data: Any, at: int, end: int, line: int, interpreted: bool | None, /
    ) -> tuple[int, int]:
        """Those behind the first; events once one has told whether the log is `interpreted`."""

    def scan_ltrace(self, data: Any, at: int, end: int, line: int, /) -> tuple[int, int]:
        """While no call is interrupted: calls of tasks that are known, or of none."""

    def read_records(
        self, data: Any, key_of: Callable[[int, bytes], int], /
    ) -> tuple[int, int, int, int | None]:
        """Read all of a recorder's stream, into a log with times and tasks.

        `key_of` says what the tasks of a number are to be from their name on. Returns the base, the
        shift and the meaning of sizes as the last sync has them, and None; or where the stream has
        a block that no address of 64 bits names, what its record says in place of one.
        """
