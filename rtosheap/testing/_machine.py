"""A state machine that attacks any allocator."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from rtosheap.allocators import Allocator, ForeignError
from rtosheap.testing import _arguments

__all__ = ["AllocatorMachine", "AllocatorViolation"]


class AllocatorViolation(AssertionError):
    """An allocator did what no allocator may; the message says what, at which address.

    Examples
    --------
    >>> from hypothesis import settings
    >>> from hypothesis.stateful import run_state_machine_as_test
    >>> class Broken:
    ...     def malloc(self, size):
    ...         return 0x2000_0000
    ...     def free(self, address):
    ...         pass
    >>> class BrokenMachine(AllocatorMachine):
    ...     coalesces = False
    ...     def make_allocator(self):
    ...         return Broken()
    >>> try:
    ...     run_state_machine_as_test(BrokenMachine, settings=settings(derandomize=True))
    ... except AllocatorViolation as error:
    ...     print(error)
    malloc(1) returned 0x20000000, which overlaps the live block of 1 bytes at 0x20000000
    """


class _Live(NamedTuple):
    size: int
    seed: int
    cost: int | None
    """By how much the allocation lowered ``free_size``."""


class AllocatorMachine(RuleBasedStateMachine):
    """Random calls on an allocator, each followed by every check that it allows.

    Subclass it and say how to make the allocator; the subclass's ``TestCase`` is the test::

        class MyHeap(AllocatorMachine):
            def make_allocator(self):
                return MyAllocator()

        TestMyHeap = MyHeap.TestCase

    An allocator is anything with ``malloc(size)``, which returns an address, or None or 0 where
    nothing fits, and ``free(address)``; a `ForeignHeap` is one, whose process holds payloads and
    addresses to the same. Where it also has them, these are used:

    ``free_size``
        Free bytes, as an attribute or a method.
    ``blocks()``
        Every block as ``(address, size, allocated)``, free and allocated.
    ``check()``
        Raises where the allocator finds itself broken.
    ``view(address)``
        A writable buffer over the payload, for the pattern; else ``memory`` and ``base_address``
        (default 0), the arena as a buffer and the address of its first byte.

    After each call it is held that live payloads are aligned, lie in the arena and do not overlap;
    that a payload's pattern is unharmed when it is freed; that ``blocks()`` do not overlap, that
    each live payload has an allocated block of its own and no other block is allocated (none is
    lost), that free, allocated and overhead always add up to the same arena; that ``free_size``
    falls by the same number at a malloc as it rises by at the free; and, where the allocator
    coalesces, that no two free blocks adjoin, and that when everything is freed the largest block
    can be had again.

    Attributes
    ----------
    alignment : int
        Of every address that malloc returns. Default 8.
    max_size : int
        The largest request, in bytes. Default 200; best a tenth to a half of the arena.
    coalesces : bool
        Whether adjoining free blocks are merged. Default True.
    can_free : bool
        False for an allocator that never frees; ``free`` is then not called.
    exact_free_size : bool
        Whether ``free_size`` rises at a free by what it fell by at the malloc. Default True.
    raw_addresses : bool
        Whether addresses are this process's own, to be written through (ctypes). Default False.
    arena : sequence of (first address, bytes), optional
        Where payloads may lie. Default: what ``memory`` and ``base_address`` say, if they do.

    Raises
    ------
    AllocatorViolation
        An `AssertionError`: Hypothesis reports the shortest sequence of calls that it found, with
        what each returned.

    Examples
    --------
    >>> from hypothesis import settings
    >>> from hypothesis.stateful import run_state_machine_as_test
    >>> from rtosheap import Heap4
    >>> class OurHeap4(AllocatorMachine):
    ...     def make_allocator(self):
    ...         return Heap4(1024)
    >>> run_state_machine_as_test(OurHeap4, settings=settings(max_examples=10, database=None))
    """

    _largest_request: int | None = None

    alignment: int = 8
    max_size: int = 200
    coalesces: bool = True
    can_free: bool = True
    exact_free_size: bool = True
    raw_addresses: bool = False
    arena: Sequence[tuple[int, int]] | None = None

    def __init__(self) -> None:
        super().__init__()
        name = type(self).__name__
        alignment = _arguments.integer(self.alignment, f"{name}.alignment", 1)
        if alignment & (alignment - 1):
            raise ValueError(f"{name}.alignment is {alignment}; it must be a power of two")
        _arguments.integer(self.max_size, f"{name}.max_size", 1)
        for flag in ("coalesces", "can_free", "exact_free_size", "raw_addresses"):
            _arguments.boolean(getattr(self, flag), f"{name}.{flag}")
        self._live: dict[int, _Live] = {}
        self._history: list[str] = []  # the calls, as they would be written
        self._calls = 0
        self._failed = False
        self.allocator = self._made()
        self._ranges = self._arena_ranges()
        self._whole = self._largest_of_empty() if self.coalesces and self.can_free else None
        if self._whole is not None:
            self.allocator = self._made()
        self._empty_free_size = self._free_size()
        self._total = self._blocks_total()

    # ------------------------------------------------------------------ for the subclass

    def make_allocator(self) -> Any:
        """Return a new, empty allocator. To be defined by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define make_allocator()")

    def payload(self, address: int, size: int) -> memoryview | None:
        """Return the first `size` bytes of a payload, or None where they cannot be reached."""
        if self.raw_addresses:
            return memoryview((ctypes.c_char * size).from_address(address)).cast("B")
        view = getattr(self.allocator, "view", None)
        if view is not None:
            return memoryview(view(address)).cast("B")[:size]
        memory = getattr(self.allocator, "memory", None)
        if memory is None:
            return None
        start = address - getattr(self.allocator, "base_address", 0)
        return memoryview(memory).cast("B")[start : start + size]

    # ------------------------------------------------------------------ the calls

    @rule(size=st.runner().flatmap(lambda machine: machine._sizes()))
    def malloc(self, size: int) -> None:
        """Ask for a few bytes, mostly; sometimes for many."""
        self._malloc(size)

    @precondition(lambda self: self._live and self.can_free)
    @rule(pick=st.integers(0, 1 << 16))
    def free(self, pick: int) -> None:
        """Give any live block back."""
        addresses = list(self._live)
        self._free(addresses[pick % len(addresses)])

    @precondition(lambda self: self._live and self.can_free)
    @rule()
    def free_all(self) -> None:
        """Give every block back, and ask for what an empty heap can serve."""
        self._free_everything()

    # ------------------------------------------------------------------ what is held

    def check_invariants(self, *arguments: Any, **options: Any) -> None:
        """After each step, Hypothesis asks; what is printed of a failure are steps alone."""
        self._examine()
        super().check_invariants(*arguments, **options)

    def teardown(self) -> None:
        """Free what is left: all that the heap had must be there again."""
        if self.can_free and not self._failed:
            self._free_everything()

    def _violated(self, message: str) -> AllocatorViolation:
        self._failed = True
        violation = AllocatorViolation(message)
        violation.add_note("The calls:\n" + "\n".join(f"    {call}" for call in self._history))
        return violation

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What a foreign allocator does wrong is found where it is called."""
        try:
            yield
        except ForeignError as error:
            raise self._violated(str(error)) from None

    def _sizes(self) -> st.SearchStrategy[int]:
        return st.integers(1, min(48, self.max_size)) | st.integers(1, self.max_size)

    def _made(self) -> Any:
        allocator = self.make_allocator()
        for needed in ("malloc", "free"):
            if not callable(getattr(allocator, needed, None)):
                raise TypeError(
                    f"make_allocator() returned {allocator!r}, which has no {needed}(): an "
                    "allocator needs malloc(size) and free(address)"
                )
        return allocator

    def _malloc(self, size: int) -> None:
        before = self._free_size()
        address = self._call_malloc(size)
        self._calls += 1
        if not address:
            if self.exact_free_size:
                self._same_free_size(before, f"malloc({size}), which failed")
            return
        what = f"malloc({size}) returned {address:#x}"
        if address % self.alignment:
            raise self._violated(f"{what}, which is not {self.alignment}-aligned")
        if self._ranges and not any(
            start <= address and address + size <= start + length for start, length in self._ranges
        ):
            raise self._violated(f"{what}: {size} bytes there do not lie in the arena")
        for other, live in self._live.items():
            if address < other + max(live.size, 1) and other < address + size:
                raise self._violated(
                    f"{what}, which overlaps the live block of {live.size} bytes at {other:#x}"
                )
        after = self._free_size()
        cost = None if before is None or after is None else before - after
        if cost is not None and cost < size:
            raise self._violated(f"{what}, but free_size fell by {cost} only, to {after}")
        self._live[address] = _Live(size, self._calls, cost)
        view = self.payload(address, size)
        if view is not None:
            view[:] = _pattern(size, self._calls)

    def _free(self, address: int) -> None:
        live = self._live[address]
        self._unharmed(address, live)
        before = self._free_size()
        self._call_free(address)
        del self._live[address]
        after = self._free_size()
        if self.exact_free_size and before is not None and live.cost is not None:
            self._same_free_size(before + live.cost, f"free({address:#x})", before, after)

    def _free_everything(self) -> None:
        for address in list(self._live):
            self._free(address)
        self._examine()
        if self.exact_free_size and self._empty_free_size is not None:
            self._same_free_size(self._empty_free_size, "all blocks were freed")
        if self._whole:
            whole = self._call_malloc(self._whole)
            if not whole:
                raise self._violated(
                    f"all blocks were freed, but malloc({self._whole}) fails, which a new "
                    "heap serves"
                )
            self._call_free(whole)

    def _call_malloc(self, size: int) -> int | None:
        self._history.append(f"malloc({size})")
        with self._answering():
            address: int | None = self.allocator.malloc(size)
        self._history[-1] += f" = {hex(address) if address else address}"
        return address

    def _call_free(self, address: int) -> None:
        self._history.append(f"free({address:#x})")
        with self._answering():
            self.allocator.free(address)

    def _same_free_size(
        self, expected: int | None, after: str, before: int | None = None, now: int | None = None
    ) -> None:
        now = self._free_size() if now is None else now
        if expected is None or now is None or now == expected:
            return
        was = "" if before is None else f" (it was {before})"
        raise self._violated(f"{after}: free_size is {now}, not {expected}{was}")

    def _unharmed(self, address: int, live: _Live) -> None:
        view = self.payload(address, live.size)
        if view is None or bytes(view) == (wanted := _pattern(live.size, live.seed)):
            return
        at = next(i for i in range(live.size) if view[i] != wanted[i])
        raise self._violated(
            f"byte {at} of the live block of {live.size} bytes at {address:#x} was overwritten"
        )

    def _examine(self) -> None:
        check = getattr(self.allocator, "check", None)
        if callable(check):
            with self._answering():
                check()
        blocks = self._blocks()
        if blocks is None:
            return
        end = None
        was_free = False
        for address, size, allocated in blocks:
            if size <= 0:
                raise self._violated(f"the block at {address:#x} has {size} bytes")
            if end is not None and address < end:
                raise self._violated(f"the block at {address:#x} overlaps the one before it")
            if self.coalesces and was_free and not allocated and address == end:
                raise self._violated(f"two free blocks adjoin at {address:#x}")
            end, was_free = address + size, not allocated
        self._each_block_is_live(blocks)
        free = sum(size for _, size, allocated in blocks if not allocated)
        reported = self._free_size()
        if reported is not None and self.exact_free_size and free != reported:
            raise self._violated(f"free_size is {reported}, but the free blocks have {free}")
        total = self._blocks_total()
        if total != self._total:
            raise self._violated(
                f"free and allocated blocks have {total} bytes, {self._total} at first: "
                "some were lost or invented"
            )

    def _each_block_is_live(self, blocks: list[tuple[int, int, bool]]) -> None:
        """Every live payload lies in an allocated block of its own, and none is left over."""
        taken = [(address, size) for address, size, allocated in blocks if allocated]
        for (payload, live), (address, size) in zip(
            sorted(self._live.items()), taken, strict=False
        ):
            if not address <= payload or payload + live.size > address + size:
                raise self._violated(
                    f"the live block of {live.size} bytes at {payload:#x} lies in no allocated "
                    f"block; the next has {size} bytes at {address:#x}"
                )
        if len(taken) != len(self._live):
            raise self._violated(f"{len(taken)} blocks are allocated, {len(self._live)} are live")

    # ------------------------------------------------------------------ what the allocator tells

    def _free_size(self) -> int | None:
        with self._answering():
            told = getattr(self.allocator, "free_size", None)
            if callable(told):
                told = told()
        return None if told is None else int(told)

    def _blocks(self) -> list[tuple[int, int, bool]] | None:
        told: Callable[[], Any] | None = getattr(self.allocator, "blocks", None)
        if not callable(told):
            return None
        return sorted((int(a), int(size), bool(allocated)) for a, size, allocated in told())

    def _blocks_total(self) -> int | None:
        blocks = self._blocks()
        return None if blocks is None else sum(size for _, size, _ in blocks)

    def _arena_ranges(self) -> list[tuple[int, int]]:
        if self.arena is not None:
            return [(int(start), int(length)) for start, length in self.arena]
        if isinstance(self.allocator, Allocator):
            return list(self.allocator.regions)
        regions = getattr(self.allocator, "regions", None)
        if regions is not None and not callable(regions):
            return [(int(start), len(memoryview(memory).cast("B"))) for start, memory in regions]
        memory = getattr(self.allocator, "memory", None)
        if memory is None or self.raw_addresses:
            return []
        base = getattr(self.allocator, "base_address", 0)
        return [(int(base), len(memoryview(memory).cast("B")))]

    def _largest_of_empty(self) -> int:
        """The largest request that a new allocator serves, each tried on one of its own."""
        cached = type(self).__dict__.get("_largest_request")
        if cached is not None:
            return int(cached)
        served, refused = 0, self.max_size + 1
        while refused < 1 << 40 and self._made().malloc(refused):
            served, refused = refused, refused * 2
        while refused - served > 1:
            middle = (served + refused) // 2
            if self._made().malloc(middle):
                served = middle
            else:
                refused = middle
        type(self)._largest_request = served
        return served


def _pattern(size: int, seed: int) -> bytes:
    """Bytes that tell blocks apart, and their places within a block; top bits included."""
    return bytes((seed * 37 + i * 11 + 129) & 0xFF for i in range(size))
