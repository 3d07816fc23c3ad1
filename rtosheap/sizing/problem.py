"""A trace and a heap whose size is open: replays of the one in the other, at any size.

This is what sizing a heap is built from. With heap_5 the size that is open is that of the last
region.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from rtosheap import _core
from rtosheap.heaps.layout import DEFAULT_BASE, Layout
from rtosheap.kinds import HeapClass, layout_of, policy_class
from rtosheap.replays.run import FAILURES, Array, Counts, empty_columns, run
from rtosheap.sizing._runs import Runs
from rtosheap.traces import Op, Trace
from rtosheap.work import Progress, Rounds, named, zeroed

RegionSizes: TypeAlias = Sequence[tuple[SupportsIndex, SupportsIndex | None]]

#: No heap needs more than this for its bookkeeping: 31 bytes lost, two headers of 32, 32 of slack.
_AMPLE = 256


class UnservableError(ValueError):
    """No heap of this kind serves the trace, however large.

    Examples
    --------
    >>> from rtosheap import Trace, UnservableError, minimum_heap_size
    >>> try:
    ...     minimum_heap_size(Trace("m", id=[0], size=[2**31]), "heap_4")
    ... except UnservableError as error:
    ...     print(error)
    event 0 requests 2147483648 bytes; the most that a heap_4 at 0x20000000, with words of 4 bytes,
    can ever serve is 2147483624
    """


class Found(NamedTuple):
    """The smallest size, and what is known of the larger ones."""

    size: int
    exact: bool = True
    safe_size: int | None = None  # None: `size` itself
    safe_checked_up_to: int | None = None  # None: proven for every larger size
    sizes: Runs | None = None  # None: every larger size serves

    @property
    def safe(self) -> int:
        """From this size on every larger one serves."""
        return self.size if self.safe_size is None else self.safe_size


class Failures(NamedTuple):
    """What failed in a heap of a size: how many allocations, the first of them, and why."""

    times: int | None = None  # None: there can be no such heap, for that reason
    first: int | None = None
    reason: str | None = None


class _Tried(NamedTuple):
    """A replay up to its first failure, and the least that was ever free until then."""

    counts: Counts
    least_free: int | None  # None: it does not tell


class SizingProblem:
    """Replays a trace in heaps of one kind and any size.

    Attributes
    ----------
    recording : str
        What to call the trace among several; ``""`` where it is alone.
    layout : Layout
        Of the heaps.
    smallest, largest : int
        Bytes of the smallest and the largest heap (heap_5: last region) that can be constructed.
    base : int
        First address of the heap (heap_5: of its last region).
    """

    def __init__(
        self,
        trace: Trace,
        heap: HeapClass,
        options: Mapping[str, Any],
        *,
        regions: RegionSizes | None = None,
        recording: str = "",
    ) -> None:
        if not isinstance(trace, Trace):
            raise TypeError(f"trace is {trace!r}; it must be a Trace")
        heap, self.options = policy_class(heap, options)
        self.trace, self.recording = trace, recording
        self.layout = layout = layout_of(heap)
        self.name = layout.name
        self.heap_class: Any = heap
        self.fixed: tuple[tuple[int, int], ...] = ()
        self._last: int | None = None
        if layout.has_regions or (regions is not None and layout.may_have_regions):
            self.fixed, self._last = _split_regions(regions)
        elif regions is not None:
            raise ValueError(
                f"regions is {regions!r}; {self.name} has none, only heap_5 and policies do"
            )
        self.fixed_bytes = sum(size for _, size in self.fixed)
        self.layout, self.base = self._found_layout()
        self.smallest = self.layout.smallest(self.base)
        if self.layout.is_known:
            self.heap(self.smallest)  # what is wrong with the options has nothing to do with sizes
        self.largest = self._largest()
        self._tried: dict[int, _Tried | None] = {}
        self.rounds = Rounds()

    # ------------------------------------------------------------------ heaps

    def heap(self, size: int) -> Any:
        """A heap of `size` bytes; ValueError where there can be none."""
        with named(f"a {self.name} of {size} bytes, to replay the trace in,"):
            if not self.layout.is_known:
                return self.heap_class(size, **self.options)
            if self._last is not None:
                regions = [(address, zeroed(own)) for address, own in self.fixed]
                return self._over([*regions, (self._last, zeroed(size))])
            return self.heap_class(zeroed(size), **self.options)

    def _over(self, regions: Sequence[tuple[int, Any]]) -> Any:
        return self.heap_class(regions=regions, **self.options)

    def constructible(self, size: int) -> bool:
        """Can a heap of `size` bytes be constructed?"""
        try:
            self.heap(size)
        except ValueError:
            return False
        return True

    def _found_layout(self) -> tuple[Layout, int]:
        base = self.options.get("base_address", DEFAULT_BASE) if self._last is None else self._last
        try:
            return layout_of(self.heap_class, self.options), operator.index(base)
        except (TypeError, ValueError):
            self.heap(_AMPLE)  # the constructor says it better
            raise

    def _largest(self) -> int:
        marker = self.options.get("end_marker_address")
        largest = self.layout.largest(self.base, None if marker is None else operator.index(marker))
        largest = min(largest, self.layout.top_bit - 1 - self.fixed_bytes)
        return max(largest, self.smallest)

    def largest_request(self, size: int) -> int:
        """The largest request that a heap of `size` bytes can serve, alone."""
        usable = self._usable(size)
        return max(self.layout.largest_request(free, sum(usable)) for free in usable)

    def lost(self, size: int) -> int:
        """Bytes of a heap of `size` bytes and its fixed regions that can be part of no block."""
        return size + self.fixed_bytes - sum(self._usable(size))

    def _usable(self, size: int) -> list[int]:
        """Bytes that can be part of a block, of each region."""
        return [self.layout.usable(*region) for region in (*self.fixed, (self.base, size))]

    # ------------------------------------------------------------------ what the trace requests

    def asks(self) -> npt.NDArray[np.bool_]:
        """Which events request memory: shape (n,)."""
        op = self.trace.op
        asks = (op != Op.FREE) & (self.trace.size != 0)
        if self.layout.serves_zero:  # but realloc to nothing frees
            asks = asks | (op == Op.MALLOC)
        return np.asarray(asks, np.bool_)

    @cached_property
    def blocks(self) -> npt.NDArray[Any]:
        """Bytes of the smallest block that can serve each malloc and realloc: int64 or object, of
        shape (n,); 0 where there is none.
        """
        size = self.trace.size
        # int64 while the bytes of all events together fit it, with as many again for headers
        most = self.trace.largest_request * len(size)
        blocks: npt.NDArray[Any] = self.layout.block_size(
            size.astype(np.int64 if most < 2**62 else object)
        )
        blocks[~self.asks()] = 0
        return blocks

    def in_use(self) -> npt.NDArray[Any]:
        """Bytes of blocks that live at once while each event happens, at least: shape (n,). A
        realloc holds its old block and its new one; heap_1 gives none back.
        """
        if not self.layout.frees:
            total: npt.NDArray[Any] = np.cumsum(self.blocks)
            return total
        blocks = self.blocks
        if self.layout.is_newlib:
            # Its realloc may leave a block where it is, with a word less than malloc would take.
            moved = (self.trace.op == Op.REALLOC) & (blocks != 0)
            blocks = blocks - self.layout.word * moved
        ends = self.trace.ends()
        ended = np.flatnonzero((ends >= 0) & (ends < len(ends)))
        freed = np.zeros_like(blocks)
        freed[ends[ended]] = blocks[ended]
        in_use: npt.NDArray[Any] = np.cumsum(blocks - freed)
        return in_use if self.layout.is_newlib else in_use + freed

    def check_possible(self) -> int:
        """Raise UnservableError if no heap of this kind can serve the trace, however large.

        Returns
        -------
        int
            A size below which no heap serves it; 0 for heap_5.
        """
        limit = self.largest_request(self.largest)
        over = np.flatnonzero(self.trace.size > limit)
        if over.size:
            event = int(over[0])
            raise self.unservable(
                f"event {event} requests {int(self.trace.size[event])} bytes; the most that a "
                f"{self.name} at {self.base:#x}, with words of {self.layout.word} bytes, can ever "
                f"serve is {limit}"
            )
        in_use = self.in_use()
        most = int(in_use.max()) if len(in_use) else 0
        if not most:
            return self.smallest
        several = self._last is not None  # how the blocks fall to the regions is not known
        own = 0 if several else self.layout.least_loss(self.base)  # besides its blocks
        room = self.largest + self.fixed_bytes - own
        if most > room:
            event = int(np.argmax(in_use > room))
            raise self.no_such_heap(event, f"{int(in_use[event])} bytes of blocks are live then")
        return self.smallest if several else max(most + own, self.smallest)

    def unservable(self, why: str) -> UnservableError:
        """The error for a trace that no heap serves, with its name among several."""
        return UnservableError(f"{self.recording}: {why}" if self.recording else why)

    def no_such_heap(self, event: int, why: str) -> UnservableError:
        """The error for an event that no heap serves."""
        part = self.name if self._last is None else f"{self.name}'s last region"
        return self.unservable(
            f"event {event} requests {int(self.trace.size[event])} bytes and cannot be served: "
            f"{why}, and a {part} at {self.base:#x}, with words of {self.layout.word} bytes, has "
            f"{self.largest} bytes at the most"
        )

    def fails_at_largest(self, counts: Counts) -> UnservableError:
        """The error where the largest heap was tried, and failed."""
        return self.no_such_heap(counts.first_failure, "the largest heap fails there")

    # ------------------------------------------------------------------ replays

    @property
    def search_step(self) -> int:
        """Bytes between the sizes that a search tries: heap_2's lie on the alignment's grid."""
        return self.layout.step if self.layout.by_size or self.layout.needs_trial else 1

    def first_arena(self) -> int:
        """A size to begin with where an arena that does not run out is wanted."""
        return min(max(4 * self.trace.peak_live_bytes + 1024, self.smallest), self.largest)

    def doubling(self, *, track_need: bool = False) -> Iterator[tuple[int, Any, Counts]]:
        """Replays without a failure in ever larger heaps, the last of them the largest: its size,
        the heap afterwards, and the counts.

        Raises
        ------
        UnservableError
            If the largest one fails.
        """
        size = self.first_arena()
        while True:
            heap = self.heap(size)
            counts = self.replay(heap, track_need=track_need)
            if not counts.failures:
                yield size, heap, counts
            elif size == self.largest:
                raise self.fails_at_largest(counts)
            if size == self.largest:
                return
            size = min(2 * size, self.largest)

    def replay(
        self,
        heap: Any,
        columns: Mapping[str, Array] | None = None,
        *,
        stop: bool = True,
        track_need: bool = False,
        end: int | None = None,
    ) -> Counts:
        """Replay the events before `end` in a fresh heap, up to the first failure unless `stop` is
        False.
        """
        return run(
            self.trace,
            heap,
            columns,
            end=end,
            stop_at_failure=stop,
            track_need=track_need,
            progress=self.rounds.next(),
        )

    def failure(self, size: int) -> int | None:
        """The first event that fails in a heap of `size` bytes, None if all are served. A heap
        that cannot be constructed fails at the first allocation.
        """
        tried = self._try(size)
        if tried is not None:
            return tried.counts.first_failure if tried.counts.failures else None
        asks = self.asks()
        return int(np.argmax(asks)) if asks.any() else None

    def counts(self, size: int) -> Counts:
        """What a replay in a heap of `size` bytes, which there can be, counts up to the first
        failure.
        """
        tried = self._try(size)
        assert tried is not None
        return tried.counts

    def minimum_ever_free(self, size: int) -> int | None:
        """The least that was ever free in such a heap, until the first failure; None where it does
        not tell.
        """
        tried = self._try(size)
        assert tried is not None
        return tried.least_free

    def _try(self, size: int) -> _Tried | None:
        """A replay in a heap of `size` bytes, run once; None if there can be none."""
        if size not in self._tried:
            try:
                heap = self.heap(size)
            except ValueError:
                self._tried[size] = None
            else:
                self._tried[size] = self._run(heap)
        return self._tried[size]

    def _run(self, heap: Any) -> _Tried:
        if isinstance(heap, _core.Heap):
            return _Tried(self.replay(heap), heap.minimum_ever_free_size)
        columns = empty_columns({"free_size"}.intersection(heap.columns), len(self.trace))
        with heap:
            counts = self.replay(heap, columns)
        free = columns.get("free_size", np.empty(0, np.uint64))[: counts.done]
        return _Tried(counts, int(free.min()) if len(free) else None)

    def fixed_failure(self) -> int | None:
        """The first event that fails in heap_5's fixed regions alone, None if they serve all."""
        counts = self.replay(self._over(self.fixed))
        return counts.first_failure if counts.failures else None

    def serves(self, size: int) -> bool:
        """Does the whole trace run in a heap of `size` bytes?"""
        return self.failure(size) is None

    def failures(self, size: int) -> Failures:
        """All that fails in a heap of `size` bytes, its fixed regions included."""
        if self.fixed and size <= self.fixed_bytes:
            return Failures(reason=f"its regions but the last have {self.fixed_bytes} bytes")
        try:
            heap = self.heap(size - self.fixed_bytes)
        except ValueError as error:
            return Failures(reason=str(error))
        known = () if self.layout.is_known or "failure" in heap.columns else ("failed",)
        columns = empty_columns(known or ("failure",), len(self.trace))
        with nullcontext() if self.layout.is_known else heap:
            counts = self.replay(heap, columns, stop=False)
        if not counts.failures:
            return Failures(0)
        first = counts.first_failure
        why = FAILURES[columns["failure"][first]] if "failure" in columns else None
        return Failures(counts.failures, first, why)


def problems_of(
    traces: Sequence[Trace],
    names: Sequence[str],
    heap: HeapClass,
    options: Mapping[str, Any],
    *,
    regions: RegionSizes | None = None,
    progress: Progress | None = None,
    replays: int = 5,
) -> list[SizingProblem]:
    """One problem for each trace, with its name, in heaps of one kind; their progress is one."""
    found = [
        SizingProblem(trace, heap, options, regions=regions, recording=name)
        for trace, name in zip(traces, names, strict=True)
    ]
    rounds = Rounds(progress, max(map(len, traces)), replays * len(found))
    for problem in found:
        problem.rounds = rounds
    return found


def bisect(serves: Callable[[int], bool], fails: int, size: int, step: int = 1) -> int:
    """The smallest size that serves, in steps between one that does not and `size`, which does."""
    while size - fails > step:
        middle = fails + (size - fails) // step // 2 * step
        if serves(middle):
            size = middle
        else:
            fails = middle
    return size


def _split_regions(regions: RegionSizes | None) -> tuple[tuple[tuple[int, int], ...], int]:
    """The fixed regions, and the last one's address."""
    hint = "a sequence of (address, size), where the last size is None: it is solved for"
    if regions is None:
        raise TypeError(f"regions is None; heap_5 needs {hint}")
    try:
        pairs = [(operator.index(address), size) for address, size in regions]
        fixed = tuple((address, operator.index(size)) for address, size in pairs[:-1])  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"regions is {regions!r}; it must be {hint}") from None
    if not pairs or pairs[-1][1] is not None:
        raise ValueError(f"regions is {regions!r}; it must be {hint}")
    return fixed, pairs[-1][0]


UnservableError.__module__ = "rtosheap.sizing"  # where users import it from
