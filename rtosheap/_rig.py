"""A trace and a heap whose size is open: replays of the one in the other, at any size.

This is what sizing a heap is built from. With heap_5 the size that is open is that of the last
region.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from rtosheap import _core
from rtosheap.kinds import HeapClass, heap_name
from rtosheap.trace import Op, Trace

Progress: TypeAlias = Callable[[int, int], object]
RegionSizes: TypeAlias = Sequence[tuple[SupportsIndex, SupportsIndex | None]]

#: No heap needs more than this for its bookkeeping: 31 bytes lost, two headers of 32, 32 of slack.
_PROBE = 256


class Counts(NamedTuple):
    """What `_core.replay` returns, by its names."""

    done: int
    failures: int
    zero_size: int
    skipped: int
    ignored_frees: int
    live_bytes: int
    most_nodes: int
    most_nodes_event: int
    first_failure: int
    need: int
    need_event: int
    need_largest: int


class UnservableError(ValueError):
    """No heap of this kind serves the trace, however large."""

    __module__ = "rtosheap.sizing"  # where users import it from


class Rig:
    """Replays a trace in heaps of one kind and any size.

    Attributes
    ----------
    kind : int
        1 to 5.
    smallest, largest : int
        Bytes of the smallest and the largest heap (heap_5: last region) that can be constructed.
    base, word_size, alignment, header, lost : int
        Of the heap (heap_5: of its last region): first address; bytes of a word, of an alignment
        step, of a block's header, and before the first aligned address.
    blocks : ndarray of int64 or object, shape (n,)
        Bytes of the smallest block that can serve each malloc and realloc; 0 where there is none.
    """

    def __init__(
        self,
        trace: Trace,
        heap: HeapClass,
        options: Mapping[str, Any],
        *,
        regions: RegionSizes | None = None,
        progress: Progress | None = None,
        replays: int = 5,
    ) -> None:
        if not isinstance(trace, Trace):
            raise TypeError(f"trace is {trace!r}; it must be a Trace")
        self.trace, self.options = trace, dict(options)
        self.heap_class: Any = heap
        self.name, self.kind = heap_name(heap), heap.kind
        self.fixed: tuple[tuple[int, int], ...] = ()
        last = None
        if self.kind == 5:
            self.fixed, last = _split_regions(regions)
        elif regions is not None:
            raise ValueError(f"regions is {regions!r}; {self.name} has none, only heap_5 does")
        self.fixed_bytes = sum(size for _, size in self.fixed)
        self._last = last
        slot, slots = trace.slots
        self._trace = (trace.op, slot, trace.size, slots)
        self._known: dict[int, int | None] = {}
        self._progress, self._replays, self._planned = progress, 0, replays
        self.smallest = self._find_smallest()
        probe = self.heap(self.smallest)
        self.base: int = probe.base_address if last is None else last
        self.word_size: int = probe.word_size
        self.alignment: int = probe.alignment
        self.header = 0 if self.kind == 1 else 4 if self.kind == 3 else self.up(2 * self.word_size)
        self.lost = -self.base % (4 if self.kind == 3 else self.alignment)
        self.largest = self._find_largest(probe)
        self.blocks = self._minimal_blocks()

    # ------------------------------------------------------------------ heaps

    def heap(self, size: int) -> Any:
        """A heap of `size` bytes; ValueError where there can be none."""
        try:
            if self._last is not None:
                return self.heap_class([*self.fixed, (self._last, size)], **self.options)
            return self.heap_class(size, **self.options)
        except MemoryError:
            raise MemoryError(
                f"a {self.name} of {size} bytes, to replay the trace in, does not fit this "
                "machine's memory"
            ) from None

    def _find_smallest(self) -> int:
        for size in range(1, _PROBE):
            try:
                self.heap(size)
            except ValueError:
                continue
            return size
        self.heap(_PROBE)  # what is wrong has nothing to do with the size; this says what it is
        return _PROBE

    def _find_largest(self, probe: Any) -> int:
        top_bit = 1 << (8 * self.word_size - 1)
        largest = min(top_bit - 1 - self.fixed_bytes, 2 * top_bit - self.base)
        marker = self.options.get("end_marker_address")
        if marker is not None and operator.index(marker) >= self.base:
            largest = min(largest, operator.index(marker) - self.base)
        return max(largest, self.smallest)

    def up(self, size: int) -> int:
        """The next multiple of the alignment."""
        return -(-size // self.alignment) * self.alignment

    def limit(self, size: int) -> int:
        """The largest request that a heap of `size` bytes can serve, alone."""
        if self.kind == 1:
            return (size - self.alignment - 1) // self.alignment * self.alignment
        if self.kind == 3:
            return (size - self.lost) // 4 * 4 - 8
        if self.kind == 2:
            room = size - self.alignment
        else:
            room = max(self._usable(*region) for region in (*self.fixed, (self.base, size)))
        return room // self.alignment * self.alignment - self.header

    def fixed_loss(self, size: int) -> int:
        """Bytes of a heap of `size` bytes that can never be part of a block."""
        if self.kind in (1, 2):
            return self.alignment
        if self.kind == 3:
            return self.lost
        regions = (*self.fixed, (self.base, size))
        return sum(n - self._usable(base, n) for base, n in regions)

    def _usable(self, base: int, size: int) -> int:
        """What heap_4 and heap_5 have for blocks, between alignment loss and end marker."""
        end = base + size - self.header
        return end - end % self.alignment - (base + -base % self.alignment)

    # ------------------------------------------------------------------ what the trace asks for

    def asks(self) -> npt.NDArray[np.bool_]:
        """Which events ask for memory: shape (n,). Only heap_3 serves a request of 0 bytes."""
        asks: npt.NDArray[np.bool_] = self.trace.op != Op.FREE
        return asks if self.kind == 3 else asks & (self.trace.size != 0)

    def _minimal_blocks(self) -> npt.NDArray[Any]:
        size, largest = self.trace.size, self.trace.largest_request
        step = 4 if self.kind == 3 else self.alignment
        # int64 while the bytes of all events together fit it
        kind = np.int64 if (largest + 3 * step) * max(len(size), 1) < 2**62 else object
        blocks = size.astype(kind)
        if self.kind in (2, 4, 5):
            blocks += self.header
        blocks += -blocks % step
        if self.kind == 3:
            blocks = np.maximum(blocks + 8, 12)
        blocks[~self.asks()] = 0
        return blocks

    def in_use(self) -> npt.NDArray[Any]:
        """Bytes of blocks that live at once while each event happens, at least: shape (n,). A
        realloc holds its old block and its new one; heap_1 gives none back.
        """
        if self.kind == 1:
            total: npt.NDArray[Any] = np.cumsum(self.blocks)
            return total
        ends = self.trace.ends()
        ended = np.flatnonzero((ends >= 0) & (ends < len(ends)))
        freed = np.zeros_like(self.blocks)
        freed[ends[ended]] = self.blocks[ended]
        in_use: npt.NDArray[Any] = np.cumsum(self.blocks - freed) + freed
        return in_use

    def check_possible(self) -> int:
        """Raise ValueError if no heap of this kind can serve the trace, however large.

        Returns
        -------
        int
            A size below which no heap serves it; 0 for heap_5.
        """
        limit = self.limit(self.largest)
        over = np.flatnonzero(self.trace.size > max(limit, 0))
        where = f"at {self.base:#x}, with words of {self.word_size} bytes"
        if over.size:
            event = int(over[0])
            raise UnservableError(
                f"event {event} asks for {int(self.trace.size[event])} bytes; the most that a "
                f"{self.name} {where}, can ever serve is {limit}"
            )
        in_use = self.in_use()
        most = int(in_use.max()) if len(in_use) else 0
        floor = {
            1: most + self.alignment + 1,
            2: most + self.alignment,
            3: most + self.lost,
            4: most + self.lost + self.header,
            5: 0,
        }[self.kind]
        room = self.largest + self.fixed_bytes
        if floor > self.largest or most > room:
            event = int(np.argmax(in_use > room - (floor - most if self.kind != 5 else 0)))
            raise self.no_such_heap(event, f"{int(in_use[event])} bytes of blocks are live then")
        return max(floor, self.smallest) if most else self.smallest

    def no_such_heap(self, event: int, why: str) -> UnservableError:
        """The error for a trace that no heap serves."""
        part = f"{self.name}'s last region" if self.kind == 5 else self.name
        return UnservableError(
            f"event {event} asks for {int(self.trace.size[event])} bytes and cannot be served: "
            f"{why}, and a {part} at {self.base:#x}, with words of {self.word_size} bytes, has "
            f"{self.largest} bytes at the most"
        )

    # ------------------------------------------------------------------ replays

    def first_arena(self) -> int:
        """A size to begin with where an arena that does not run out is wanted."""
        return min(max(4 * self.trace.peak_live_bytes + 1024, self.smallest), self.largest)

    def replay(
        self,
        heap: Any,
        *,
        stop: bool = True,
        track_need: bool = False,
        columns: dict[str, npt.NDArray[Any]] | None = None,
        end: int | None = None,
    ) -> Counts:
        """Replay the events before `end` in a fresh heap, up to the first failure unless `stop` is
        False.
        """
        op, slot, sizes = (column[:end] for column in self._trace[:3])
        slots = self._trace[3]
        report = self._start_progress()
        return Counts(
            **_core.replay(heap, op, slot, sizes, slots, columns or {}, stop, track_need, report)
        )

    def _start_progress(self) -> Progress | None:
        progress = self._progress
        if progress is None:
            return None
        before, events = self._replays * len(self.trace), len(self.trace)
        self._replays += 1
        self._planned = max(self._planned, self._replays)
        total = self._planned * events

        def report(done: int, _: int) -> object:
            return progress(before + done, total)

        return report

    def plan(self, replays: int) -> None:
        """For the progress: how many replays are to be expected from here on."""
        self._planned = self._replays + replays

    def finish(self) -> None:
        """Tell the progress that all is done."""
        if self._progress is not None:
            total = max(self._planned, 1) * len(self.trace)
            self._progress(total, total)

    def failure(self, size: int) -> int | None:
        """The first event that fails in a heap of `size` bytes, None if all are served. A heap
        that cannot be constructed fails at the first allocation.
        """
        if size not in self._known:
            try:
                heap = self.heap(size)
            except ValueError:
                asks = self.asks()
                self._known[size] = int(np.argmax(asks)) if asks.any() else None
            else:
                counts = self.replay(heap)
                self._known[size] = counts.first_failure if counts.failures else None
        return self._known[size]

    def constructible(self, size: int) -> bool:
        """Can a heap of `size` bytes be constructed?"""
        try:
            self.heap(size)
        except ValueError:
            return False
        return True

    def serves(self, size: int) -> bool:
        """Does the whole trace run in a heap of `size` bytes?"""
        return self.failure(size) is None


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
