"""A Python object with ``malloc`` and ``free`` under a replay: slow, and held to the same."""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rtosheap.allocators.base import (
    EXHAUSTION,
    FRAGMENTATION,
    UNKNOWN,
    Allocator,
    ForeignError,
    counts,
    event_text,
)
from rtosheap.work import Progress

#: How often progress is told of, in events.
_EVENTS_BETWEEN = 256
_NEEDS = {
    "block_size": "usable_size(address)",
    "free_size": "free_size",
    "largest_free_block": "free_blocks() or blocks()",
    "free_block_count": "free_blocks() or blocks()",
    "failure": "free_size, free_blocks() or blocks()",
}


@dataclass
class _Slot:
    """What is known of an id."""

    state: str = "absent"
    address: int = 0
    size: int = 0
    event: int = -1


@dataclass
class _Outcome:
    address: int = 0
    block_size: int = 0
    failure: int = 0


class ObjectHeap(Allocator):
    """A Python object as a replay sees it: what ``replay(trace, object)`` makes of `object`.

    The object has ``malloc(size)``, which returns an address, or None or 0 where nothing fits, and
    ``free(address)``. What else it has decides which columns there are, and what is held:

    ``realloc(address, size)``
        Else it is malloc, copy, free.
    ``usable_size(address)``
        Bytes that may be used of a live block: ``block_size``.
    ``free_size``
        Free bytes, an attribute or a method: ``free_size``.
    ``free_blocks()`` or ``blocks()``
        ``(address, size)`` of each free block, or ``(address, size, allocated)`` of each:
        ``largest_free_block``, ``free_block_count``.
    ``memory`` and ``base_address``, or ``size`` and ``base_address``
        The arena: as a buffer, or its bytes, and the address of its first byte. Blocks must lie in
        it; without it there are no plots of addresses. The default of ``base_address`` is 0.
    ``view(address)`` or ``memory``
        A writable buffer over a payload: payloads are then filled, and read again.
    ``alignment``
        Of every address, 1 if it does not say. ``word_size``: bytes of a pointer, 4.
    ``copy()``
        One in the same state, for ``Replay.heap_at``; else it is deep-copied if it can be.
    ``name``
        What results call it; else its class's.

    Attributes
    ----------
    allocator : object
        The object itself.

    Examples
    --------
    >>> from rtosheap import Trace, replay
    >>> class Bump:
    ...     base_address, size, used = 0x2000_0000, 1024, 0
    ...     def malloc(self, size):
    ...         self.used += size
    ...         return self.base_address + self.used - size
    ...     def free(self, address):
    ...         pass
    >>> result = replay(Trace("mm", id=[0, 1], size=[40, 8]), Bump())
    >>> result.heap.columns, [hex(address) for address in result.address]
    (('address', 'live_bytes', 'failed'), ['0x20000000', '0x20000028'])
    """

    def __init__(self, allocator: Any) -> None:
        self.allocator = allocator
        for needed in ("malloc", "free"):
            if isinstance(allocator, type) or not callable(getattr(allocator, needed, None)):
                raise TypeError(
                    f"heap must be a heap, such as Heap4(16384), a ForeignHeap, or an object that "
                    f"has malloc(size) and free(address), not {allocator!r}"
                )
        name = getattr(allocator, "name", None)
        self.name = name if isinstance(name, str) else type(allocator).__name__
        memory, size = getattr(allocator, "memory", None), getattr(allocator, "size", None)
        self._memory = None if memory is None else memoryview(memory).cast("B")
        known = size if isinstance(size, int) else None
        self.size = known if self._memory is None else len(self._memory)
        self.base_address = int(getattr(allocator, "base_address", 0))
        self.alignment = int(getattr(allocator, "alignment", 1))
        self.word_size = int(getattr(allocator, "word_size", 4))
        self._has = {name for name in _OPTIONAL if getattr(allocator, name, None) is not None}
        walks = self._has & {"free_blocks", "blocks"}
        given = {
            "block_size": "usable_size" in self._has,
            "free_size": "free_size" in self._has,
            "largest_free_block": walks,
            "free_block_count": walks,
            "failure": walks or "free_size" in self._has,
        }
        self.columns = tuple(name for name in _COLUMNS if given.get(name, True))
        self._starts: list[int] = []  # of live blocks
        self._taken: dict[int, _Slot] = {}
        self._event = -1

    def _lacks(self, column: str) -> str:
        """Why there is no such column, in words."""
        if column not in _NEEDS:
            return f"no object tells {column!r} of its allocator"
        return f"{self.name} has no {_NEEDS[column]}, without which there is no {column!r}"

    def copy(self) -> Self:
        """One of a copy of the object."""
        own = getattr(self.allocator, "copy", None)
        try:
            twin = own() if callable(own) else copy.deepcopy(self.allocator)
        except Exception as error:
            raise ValueError(f"{self.name} cannot be copied: {error}; give it copy()") from error
        other = type(self)(twin)
        other._starts, other._taken = list(self._starts), copy.deepcopy(self._taken)
        return other

    def __exit__(self, *exception: object) -> None:
        """A Python object holds nothing."""

    @property
    def free_size(self) -> int | None:
        """Bytes that are free, as the object tells; None if it does not."""
        if "free_size" not in self._has:
            return None
        told = self.allocator.free_size
        return self._number(told() if callable(told) else told, "free_size")

    def __repr__(self) -> str:
        return f"<ObjectHeap of {self.allocator!r}>"

    # ------------------------------------------------------------------ a replay

    def _run(
        self,
        op: Any,
        slot: Any,
        size: Any,
        slots: int,
        columns: Mapping[str, Any],
        *,
        stop_at_failure: bool,
        progress: Progress | None,
    ) -> dict[str, int]:
        """Run events; their counts."""
        table = [_Slot() for _ in range(slots)]
        tally = counts(done=0, failures=0, zero_size=0, skipped=0, live_bytes=0, first_failure=-1)
        events = zip(op.tolist(), slot.tolist(), size.tolist(), strict=True)
        for self._event, (code, number, wanted) in enumerate(events):
            try:
                outcome = self._do(chr(code), table[number], wanted, tally)
                self._record(columns, outcome, tally["live_bytes"])
            except ForeignError:
                raise
            except Exception as error:
                error.add_note(f"at event {self._event}, {event_text(code, wanted)}")
                raise
            tally["done"] += 1
            if outcome.failure:
                tally["failures"] += 1
                if tally["first_failure"] < 0:
                    tally["first_failure"] = self._event
                if stop_at_failure:
                    break
            if progress is not None and tally["done"] % _EVENTS_BETWEEN == 0:
                progress(tally["done"], len(op))
        self._event = -1
        for live in self._taken.values():
            self._unharmed(live)
        if progress is not None:
            progress(tally["done"], len(op))
        return tally

    def _do(self, op: str, slot: _Slot, size: int, tally: dict[str, int]) -> _Outcome:
        if op == "f":
            outcome = _Outcome()
            if slot.state == "live":
                outcome = _Outcome(slot.address, self._usable(slot))
                self._release(slot, tally)
            tally["skipped"] += slot.state == "failed"
            slot.state = "absent"
            return outcome
        if op == "m" or slot.state == "zero":
            return self._allocate(slot, size, tally)
        if slot.state == "live":
            return self._reallocate(slot, size, tally)
        tally["skipped"] += 1
        return _Outcome()

    def _allocate(self, slot: _Slot, size: int, tally: dict[str, int]) -> _Outcome:
        address = self._number(self.allocator.malloc(size), f"malloc({size})", none=0)
        if address:
            return self._settle(slot, address, size, tally)
        slot.state = "failed" if size else "zero"
        tally["zero_size"] += not size
        return _Outcome(failure=self._why(size) if size else 0)

    def _reallocate(self, slot: _Slot, size: int, tally: dict[str, int]) -> _Outcome:
        self._unharmed(slot)
        old = _Slot(**vars(slot))
        kept = bytes(view[: min(size, slot.size)]) if (view := self._view(slot)) else b""
        if "realloc" not in self._has or not size:
            fresh = _Slot()
            outcome = self._allocate(fresh, size, tally)
            if not outcome.failure:
                self._release(slot, tally)
                slot.__dict__.update(vars(fresh))
                if fresh.address in self._taken:
                    self._taken[fresh.address] = slot
            return outcome
        told = self.allocator.realloc(slot.address, size)
        address = self._number(told, f"realloc({slot.address:#x}, {size})", none=0)
        if not address:
            return _Outcome(failure=self._why(size))
        self._forget(slot, tally)
        moved = self._view(_Slot("live", address, size))
        if moved is not None and bytes(moved[: len(kept)]) != kept:
            raise self._wrong("lost", f"realloc gave {address:#x}, and lost bytes of {_block(old)}")
        return self._settle(slot, address, size, tally)

    def _settle(self, slot: _Slot, address: int, size: int, tally: dict[str, int]) -> _Outcome:
        self._accept(address, size)
        slot.state, slot.address, slot.size, slot.event = "live", address, size, self._event
        self._starts.insert(bisect_left(self._starts, address), address)
        self._taken[address] = slot
        view = self._view(slot)
        if view is not None:
            view[:] = _pattern(slot)
        tally["live_bytes"] += size
        tally["zero_size"] += not size
        return _Outcome(address, self._usable(slot))

    def _release(self, slot: _Slot, tally: dict[str, int]) -> None:
        self._unharmed(slot)
        self.allocator.free(slot.address)
        self._forget(slot, tally)

    def _forget(self, slot: _Slot, tally: dict[str, int]) -> None:
        del self._starts[bisect_left(self._starts, slot.address)]
        del self._taken[slot.address]
        tally["live_bytes"] -= slot.size

    def _record(self, columns: Mapping[str, Any], outcome: _Outcome, live_bytes: int) -> None:
        values: dict[str, Callable[[], Any]] = {
            "address": lambda: outcome.address,
            "block_size": lambda: outcome.block_size,
            "free_size": lambda: self.free_size,
            "largest_free_block": lambda: max(self._hole_sizes(), default=0),
            "free_block_count": lambda: len(self._hole_sizes()),
            "live_bytes": lambda: live_bytes,
            "failed": lambda: outcome.failure != 0,
            "failure": lambda: outcome.failure,
        }
        for name, column in columns.items():
            column[self._event] = values[name]()

    # ------------------------------------------------------------------ what it tells

    def _number(self, told: Any, what: str, none: int | None = None) -> int:
        if told is None and none is not None:
            return none
        if isinstance(told, bool) or not isinstance(told, int | np.integer) or told < 0:
            right = "a positive int, or None or 0" if none is not None else "an int of 0 or more"
            raise self._wrong("answer", f"{what} is {told!r}; it must be {right}")
        if told >= 2**64:
            raise self._wrong("answer", f"{what} is {told!r}; it must be less than 2**64")
        return int(told)

    def _usable(self, slot: _Slot) -> int:
        if "usable_size" not in self._has:
            return 0
        what = f"usable_size({slot.address:#x})"
        bytes_ = self._number(self.allocator.usable_size(slot.address), what)
        if bytes_ < slot.size:
            raise self._wrong("usable_size", f"{what} is {bytes_}, of a block of {slot.size} bytes")
        return bytes_

    def _holes(self) -> list[tuple[int, int]]:
        """(address, size) of each free block."""
        if "free_blocks" in self._has:
            what, pairs = "free_blocks()", [(at, n) for at, n in self.allocator.free_blocks()]
        elif "blocks" in self._has:
            blocks = self.allocator.blocks()
            what, pairs = "blocks()", [(at, n) for at, n, allocated in blocks if not allocated]
        else:
            raise ValueError(self._lacks("free_block_count"))
        return [(self._number(at, what), self._number(n, what)) for at, n in pairs]

    def _hole_sizes(self) -> list[int]:
        return [size for _, size in self._holes()]

    def _why(self, size: int) -> int:
        """Why nothing was had of so many bytes: no more than is known."""
        walks = bool(self._has & {"free_blocks", "blocks"})
        holes = self._hole_sizes() if walks else []
        free = self.free_size
        total = sum(holes) if free is None and walks else free
        if total is not None and total < size:
            return EXHAUSTION
        return FRAGMENTATION if max(holes, default=0) < size <= sum(holes) else UNKNOWN

    # ------------------------------------------------------------------ what is held

    def _accept(self, address: int, size: int) -> None:
        what = f"it gave {size} bytes at {address:#x}"
        start, end = self.base_address, self.base_address + (self.size or 0)
        if self.size is not None and not start <= address <= address + size <= end:
            arena = f"{start:#x} to {end - 1:#x}"
            raise self._wrong("outside", f"{what}, not all in the arena, {arena}")
        if address % self.alignment:
            raise self._wrong("misaligned", f"{what}, which is not {self.alignment}-aligned")
        at = bisect_left(self._starts, address)
        for start in self._starts[max(at - 1, 0) : at + 1]:
            other = self._taken[start]
            if start < address + max(size, 1) and address < start + max(other.size, 1):
                raise self._wrong("overlaps", f"{what}, which overlap {_block(other)}")

    def _view(self, slot: _Slot) -> memoryview | None:
        if "view" in self._has:
            return memoryview(self.allocator.view(slot.address)).cast("B")[: slot.size]
        if self._memory is None or self._memory.readonly:
            return None
        start = slot.address - self.base_address
        return self._memory[start : start + slot.size]

    def _unharmed(self, slot: _Slot) -> None:
        view = self._view(slot)
        if view is None or view == (wanted := _pattern(slot)):
            return
        byte = next(i for i in range(len(wanted)) if bytes(view[i : i + 1]) != wanted[i : i + 1])
        text = f"byte {byte} of {_block(slot)} was written to, by it or before"
        raise self._wrong("payload", text)

    def _wrong(self, reason: str, text: str) -> ForeignError:
        if self._event < 0:
            return ForeignError(f"{self.name}: after the last event: {text}", reason)
        return ForeignError(f"{self.name}: event {self._event}: {text}", reason, self._event)

    def _live_blocks(self) -> list[tuple[int, int]]:
        """(address, size) of each live block, the size as it was requested."""
        return [(start, self._taken[start].size) for start in self._starts]


_OPTIONAL = ("realloc", "usable_size", "free_size", "free_blocks", "blocks", "view")
_COLUMNS = ("address", "live_bytes", "failed", *_NEEDS)


def _pattern(slot: _Slot) -> bytes:
    """Bytes that tell blocks apart, and their places within a block."""
    return bytes((slot.event * 37 + i * 11 + 129) & 0xFF for i in range(slot.size))


def _block(slot: _Slot) -> str:
    return f"the live block of {slot.size} bytes at {slot.address:#x} that event {slot.event} gave"


ObjectHeap.__module__ = "rtosheap.allocators"  # where users import it from
