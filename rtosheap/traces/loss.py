"""What is missing of a trace, counted: what its source had, and what its format could not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rtosheap.tables import record_text

_WORDS = {
    "failed": "requests that failed, which a trace leaves out",
    "free_null_lines": "calls of free(NULL), which do nothing",
    "foreign_frees": "frees of blocks that the recording does not know, left out",
    "foreign_reallocs": "reallocs of blocks that the recording does not know, taken as mallocs",
    "implied_frees": "frees that are missing: a live block's address was given out again",
    "alignments": "requests whose alignment a trace cannot hold",
    "unseen_blocks": "aligned requests that the log does not show in full, left out",
    "unreturned_calls": "calls that the log says did not return, left out",
    "split_reallocs": "frees that a malloc follows at once: they may have been one realloc",
    "ambiguous_frees": "frees of one of several equal blocks, of which the youngest was taken",
    "rounded_sizes": "sizes known by the block alone: what was requested may be smaller",
    "unknown_tasks": "events whose task's name was not recorded",
    "other_processes": "events of another process, left out",
    "lost_events": "events that the recorder made and the file does not hold",
    "damaged_bytes": "bytes that belong to no whole record, skipped",
    "cut_lines": "lines cut off where the recording begins or ends, left out",
    "runtime_blocks": "blocks of the recorder's own C++ runtime, left out",
}


_DROPPED_WORDS = {
    "unknown_id": "events on an id that was never allocated, left out",
    "double_free": "frees of an id that was already freed, left out",
    "realloc_freed": "reallocs of an id that was already freed, left out",
    "reused_live_id": "mallocs of an id that was live, left out",
    "bad_line": "lines that are no event, left out",
    "free_null": "calls of free(NULL), which do nothing",
    "past_count": "lines after as many events as the header states, left out",
    "frees_before_slice": "frees of blocks that were allocated before the slice, left out",
    "reallocs_before_slice": "reallocs of such blocks, taken as mallocs",
    "time_set": "times that were missing or ran backwards, set to their predecessor's",
}

_ALL_WORDS = {**_WORDS, **_DROPPED_WORDS}

#: Kinds that change nothing about what a heap must hold.
_HARMLESS = {
    *("free_null_lines", "free_null", "unknown_tasks", "other_processes", "time_set"),
    "runtime_blocks",
}


class Loss(NamedTuple):
    """What an import could not tell, or left out: one count per kind.

    It is true when any count is not 0. ``print(loss)`` gives a line per kind that occurred.

    Attributes
    ----------
    failed : int
        Requests that failed; a trace holds those that were served.
    free_null_lines : int
        Calls of ``free(NULL)``.
    foreign_frees : int
        Frees of blocks that were allocated before the recording, or by a call that it does not
        show, or that it shows twice (a realloc to 0 bytes and the free inside it).
    foreign_reallocs : int
        Reallocs of such blocks, which the trace holds as mallocs.
    implied_frees : int
        Frees that the recording lacks: an allocation returned the address of a live block, which
        the trace therefore frees just before.
    alignments : int
        Requests for an alignment (memalign and its kin) that the trace holds as plain mallocs.
    unseen_blocks : int
        Aligned requests that are left out since the log hides their result (ltrace).
    unreturned_calls : int
        Calls that the log says did not return, of which it may be wrong (ltrace).
    split_reallocs : int
        Frees that a malloc follows at once, in a format that writes a realloc so: the most
        reallocs that it can hold.
    ambiguous_frees : int
        Frees of one among several live blocks that the format does not tell apart; the youngest
        is taken.
    rounded_sizes : int
        Events whose size is the block's, header and padding included or taken off by estimate,
        and not what was requested.
    unknown_tasks : int
        Events of a task whose name did not come through.
    other_processes : int
        Events of processes other than the first.
    lost_events : int
        Events that the recorder counted and the file lacks.
    damaged_bytes : int
        Bytes skipped until the next whole record.
    cut_lines : int
        Lines that were cut off: the last, and the first of a serial log.
    runtime_blocks : int
        Blocks that the recorder brings into every program (heaptrack's first, of 72,704 bytes: what
        the C++ runtime takes for itself).

    Examples
    --------
    >>> print(Loss(failed=2, cut_lines=1))
    requests that failed, which a trace leaves out: 2
    lines cut off where the recording begins or ends, left out: 1
    >>> bool(Loss())
    False
    """

    failed: int = 0
    free_null_lines: int = 0
    foreign_frees: int = 0
    foreign_reallocs: int = 0
    implied_frees: int = 0
    alignments: int = 0
    unseen_blocks: int = 0
    unreturned_calls: int = 0
    split_reallocs: int = 0
    ambiguous_frees: int = 0
    rounded_sizes: int = 0
    unknown_tasks: int = 0
    other_processes: int = 0
    lost_events: int = 0
    damaged_bytes: int = 0
    cut_lines: int = 0
    runtime_blocks: int = 0

    def __bool__(self) -> bool:
        return any(self)

    def __repr__(self) -> str:
        return record_text(self, fields=[kind for kind, count in self._asdict().items() if count])

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """One line per kind that occurred: what it means, and its count."""
        return described(self, Dropped())

    def merged(self, other: Loss) -> Loss:
        """The counts of both, summed kind by kind."""
        return Loss(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, n: int) -> Loss:
        """The counts of `n` such traces."""
        return Loss(*(n * count for count in self))


class Dropped(NamedTuple):
    """What a trace does not hold although its source had it: one count per reason.

    It is true when any count is not 0.

    Attributes
    ----------
    unknown_id : int
        Frees and reallocs of an id that was never allocated (``strict=False``).
    double_free : int
        Frees of an id that was already freed (``strict=False``).
    realloc_freed : int
        Reallocs of an id that was already freed (``strict=False``).
    reused_live_id : int
        Mallocs of an id that was live (``strict=False``).
    bad_line : int
        Lines that are no event (``strict=False``), and other text among the events of a serial
        log.
    free_null : int
        ``f -1`` in a ``.rep`` file: ``free(NULL)``, which does nothing.
    past_count : int
        Lines of a ``.rep`` file after as many events as its header states.
    frees_before_slice : int
        Frees that a slice left out because their block was allocated before the slice.
    reallocs_before_slice : int
        Events kept: reallocs of such blocks, which the slice holds as mallocs.
    time_set : int
        Events kept: those whose time was missing or ran backwards, and was set to their
        predecessor's (``strict=False``).

    Examples
    --------
    >>> Dropped(double_free=2, time_set=5).events
    2
    >>> bool(Dropped())
    False
    """

    unknown_id: int = 0
    double_free: int = 0
    realloc_freed: int = 0
    reused_live_id: int = 0
    bad_line: int = 0
    free_null: int = 0
    past_count: int = 0
    frees_before_slice: int = 0
    reallocs_before_slice: int = 0
    time_set: int = 0

    @property
    def events(self) -> int:
        """How many events (or lines) are gone: all counts but those of events that were kept."""
        return sum(self) - self.reallocs_before_slice - self.time_set

    def __repr__(self) -> str:
        return record_text(self, fields=[kind for kind, count in self._asdict().items() if count])

    def __bool__(self) -> bool:
        return any(self)

    def merged(self, other: Dropped) -> Dropped:
        """The counts of both, summed field by field."""
        return Dropped(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, n: int) -> Dropped:
        """The counts of `n` such traces."""
        return Dropped(*(n * count for count in self))


def counts(loss: Loss, dropped: Dropped) -> dict[str, int]:
    """What both count, by kind, without the kinds that did not occur."""
    both = {**loss._asdict(), **dropped._asdict()}
    return {kind: count for kind, count in both.items() if count}


def from_counts(found: Mapping[str, int]) -> tuple[Loss, Dropped]:
    """The reverse of :func:`counts`; a KeyError names a kind that there is not."""
    for kind in found:
        if kind not in _WORDS and kind not in _DROPPED_WORDS:
            raise KeyError(kind)
    losses = {kind: count for kind, count in found.items() if kind in _WORDS}
    drops = {kind: count for kind, count in found.items() if kind in _DROPPED_WORDS}
    return Loss(**losses), Dropped(**drops)


def described(loss: Loss, dropped: Dropped) -> list[str]:
    """A line for each kind of either that occurred: what it means, and its count."""
    return [f"{_ALL_WORDS[kind]}: {count}" for kind, count in counts(loss, dropped).items()]


def missing(loss: Loss, dropped: Dropped) -> list[str]:
    """What is missing of a trace that a heap would have had to do, a line for each kind."""
    return [
        f"{_ALL_WORDS[kind]}: {count:,}"
        for kind, count in counts(loss, dropped).items()
        if kind not in _HARMLESS
    ]


for _type in (Dropped, Loss):
    _type.__module__ = "rtosheap.traces"  # where users import them from
