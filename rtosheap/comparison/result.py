"""One heap's row in a comparison."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from rtosheap.tables import record_text


class RecordingResult(NamedTuple):
    """What one heap makes of one of several recordings.

    Attributes
    ----------
    name : str
        The recording's, made unique.
    size, witness : int or None
        The smallest heap that serves it by itself, and the event that needs its last byte.
    most_nodes, most_nodes_event : int or None
        In the smallest heap that serves all; see :class:`HeapResult`.
    advice_fails_at : int or None
        The first event that fails where "total minus minimum ever free" of all is followed.
    failures, failure_event, failure_reason
        In a heap of the size that was asked about; see :class:`HeapResult`.

    Examples
    --------
    >>> from rtosheap import Trace, compare
    >>> monday = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110], meta={"name": "monday"})
    >>> tuesday = Trace("mfm", id=[0, 0, 1], size=[200, 0, 90], meta={"name": "tuesday"})
    >>> row = compare([monday, tuesday], heaps=["heap_4"])["heap_4"]
    >>> [(one.name, one.size, one.witness) for one in row.recordings]
    [('monday', 272, 3), ('tuesday', 216, 0)]
    """

    name: str
    size: int | None = None
    witness: int | None = None
    most_nodes: int | None = None
    most_nodes_event: int | None = None
    advice_fails_at: int | None = None
    failures: int | None = None
    failure_event: int | None = None
    failure_reason: str | None = None


class HeapResult(NamedTuple):
    """What one heap makes of a trace, or of several recordings together.

    Of several, `size` serves each of them; `breakdown` and what belongs to it are those of the one
    that decides; what is counted is the sum, and what is the most is that of all; and an event is
    one of the first recording that it can be said of, as `recordings` tell.

    Where `error` says that the heap cannot serve the trace, most other fields are None.

    Attributes
    ----------
    heap : str
        ``"heap_1"`` … ``"heap_5"``.
    size : int or None
        Bytes of the smallest heap that serves the trace; heap_5: of all its regions.
    ratio : float or None
        `size` over the peak of live bytes; inf if that is 0.
    witness : int or None
        The event that needs the last byte.
    exact : bool or None
        False for heap_2, whose sizes were not all tried.
    safe_size : int or None
        From this size on, every larger one serves too.
    advice_size, advice_fails_at : int or None
        What "total minus minimum ever free" recommends, and the first event that fails there.
    breakdown : dict of str to int, or None
        Where the bytes of the smallest heap are at the peak of live bytes. They add up to `size`:
        ``payload`` (as requested), ``padding`` (up to the alignment), ``headers``, ``unsplit``
        (remainders too small to be split off), ``external`` (free), ``unreclaimed`` (freed, but
        heap_1 keeps it) and ``fixed`` (end markers, and what alignment costs the whole heap).
    external_fragmentation : float or None
        There and then: 1 - largest free block / free bytes; 0 if nothing is free.
    most_nodes, most_nodes_event : int or None
        The most free-list entries that one event read in the smallest heap, and that event: what
        its slowest call costs.
    failures : int or None
        Allocations that failed in a heap of the size that was asked about.
    failure_event : int or None
        The first of them.
    failure_reason : str or None
        ``"exhaustion"`` or ``"fragmentation"``, or why there can be no heap of that size.
    regions : tuple of (int, int), or None
        Address and size of each region of the smallest heap.
    note : str
        What to know of how this row came about.
    error : str
        Why the heap cannot serve the trace; ``""`` if it can.
    verdict : str
        What it means, in words.
    recording : str or None
        Of several recordings, the name of the one that decides: whose event `witness` is.
    recordings : tuple of RecordingResult
        What the heap makes of each of several recordings; empty for a trace that was given alone.

    Examples
    --------
    >>> from rtosheap import Trace, compare
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> row = compare(trace, heaps=["heap_4"])["heap_4"]
    >>> row.size, row.witness, row.breakdown["external"]
    (272, 3, 112)
    >>> print(row.verdict)
    serves in 272 bytes, 2.092 times the peak of live bytes; one call reads up to 2 free-list
    entries
    """

    heap: str
    size: int | None = None
    ratio: float | None = None
    witness: int | None = None
    exact: bool | None = None
    safe_size: int | None = None
    advice_size: int | None = None
    advice_fails_at: int | None = None
    breakdown: dict[str, int] | None = None
    external_fragmentation: float | None = None
    most_nodes: int | None = None
    most_nodes_event: int | None = None
    failures: int | None = None
    failure_event: int | None = None
    failure_reason: str | None = None
    regions: tuple[tuple[int, int], ...] | None = None
    note: str = ""
    error: str = ""
    verdict: str = ""
    recording: str | None = None
    recordings: tuple[RecordingResult, ...] = ()

    def __repr__(self) -> str:
        return record_text(self, addresses=("regions",))

    @property
    def failing(self) -> tuple[RecordingResult, ...]:
        """Of several recordings those that fail at the size that was asked about."""
        return tuple(one for one in self.recordings if one.failures)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json.dumps`` takes; a ratio of inf is None."""
        row = self._asdict()
        if self.ratio is not None and not math.isfinite(self.ratio):
            row["ratio"] = None
        if self.regions is not None:
            row["regions"] = [list(region) for region in self.regions]
        row["recordings"] = [one._asdict() for one in self.recordings]
        if not self.recordings:
            del row["recording"], row["recordings"]
        return row


for _type in (HeapResult, RecordingResult):
    _type.__module__ = "rtosheap.comparison"  # where users import them from, and pickles find them
