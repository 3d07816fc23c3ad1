"""Anybody's allocator from a shared library, in a process of its own."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, SupportsIndex, TypeAlias

import numpy as np

from rtosheap.allocators import _foreign_wire as wire
from rtosheap.allocators._foreign_process import Options
from rtosheap.allocators._foreign_runner import bits_of
from rtosheap.allocators._foreign_session import Batch, Session
from rtosheap.allocators.base import Allocator, AllocatorKind, counts
from rtosheap.heaps import FreeBlock, InvalidFreeError
from rtosheap.heaps.layout import DEFAULT_BASE
from rtosheap.work import Progress

Checks: TypeAlias = Literal["payloads", "addresses"] | None
LibraryPath: TypeAlias = str | os.PathLike[str]

_MOST_ALIGNMENT = 4096
#: The functions without which there is no such column.
_FUNCTIONS = {
    "block_size": ("usable_size",),
    "free_size": ("free_size",),
    "largest_free_block": ("walk",),
    "free_block_count": ("walk",),
    "failure": ("free_size", "walk"),
}
_ALWAYS = ("address", "live_bytes", "failed")


@dataclass(frozen=True)
class ForeignKind(AllocatorKind):
    """A shared library's allocator, of a size that is open: called with a size, it makes one.

    ``ForeignHeap.of()`` makes it. It can be pickled and compared.

    Attributes
    ----------
    options : object
        The library, and how it is held, as ``ForeignHeap.of()`` was told.

    Examples
    --------
    ``libmine.so`` is an allocator with headers of 16 bytes, as in a 64-bit program:

    >>> from rtosheap import ForeignHeap, Trace, minimum_heap_size
    >>> kind = ForeignHeap.of("libmine.so")
    >>> minimum_heap_size(Trace("mm", id=[0, 1], size=[40, 8]), kind).size
    96
    """

    options: Options

    @property
    def name(self) -> str:  # type: ignore[override]
        """What results call it."""
        return self.options.name

    @property
    def word_size(self) -> int:  # type: ignore[override]
        """Bytes of the library's pointers."""
        return bits_of(self.options.library) // 8

    @property
    def alignment(self) -> int:  # type: ignore[override]
        """What every address is a multiple of."""
        return self.options.alignment

    def __call__(
        self, size: SupportsIndex, *, base_address: SupportsIndex = DEFAULT_BASE
    ) -> ForeignHeap:
        return ForeignHeap(self.options, size, base_address)

    def __repr__(self) -> str:
        return f"ForeignHeap.of({str(self.options.library)!r}, name={self.name!r})"


class ForeignHeap(Allocator):
    """An allocator that is not ours, from a shared library, in a process of its own.

    The library has the functions that ``csrc/foreign/rh_foreign.h`` declares; the README says how
    to make one of TLSF, o1heap, umm_malloc or your own. It runs under :func:`rtosheap.replay` at
    the speed of C, or call by call. A crash, an endless loop, a block that overlaps another, a
    write into another block's payload are a :class:`ForeignError` that names the event, whatever
    it does; this process is not touched.

    A library that was built with ``-m32`` has the layout of a 32-bit target. Addresses are the
    target's; in its process the arena lies at the same address where that is possible.

    Attributes
    ----------
    name : str
        What results call it.
    size, base_address : int
        Bytes of the arena, and its address on the target.
    alignment : int
        What every address is a multiple of.
    word_size : {4, 8}
        Bytes of the library's pointers.
    columns : tuple of str
        What a replay on it can record.

    See Also
    --------
    ForeignHeap.load : one over an arena of a size.
    ForeignHeap.of : a kind of heap, whose size is open.

    Examples
    --------
    ``libmine.so`` is an allocator with headers of 16 bytes, as in a 64-bit program:

    >>> from rtosheap import ForeignHeap, Trace, replay
    >>> with ForeignHeap.load("libmine.so", 1024) as heap:
    ...     p = heap.malloc(100)
    ...     result = replay(Trace("mm", id=[0, 1], size=[40, 8000]), heap)
    >>> hex(p), result.failures
    ('0x20000010', 1)
    """

    size: int

    def __init__(
        self, options: Options, size: SupportsIndex, base_address: SupportsIndex = DEFAULT_BASE
    ) -> None:
        self._options = options
        self.name = options.name
        self.size = _integer(size, "size", 1, 1 << 48)
        self.base_address = _integer(base_address, "base_address", 1, (1 << 48) - self.size)
        self.alignment = options.alignment
        self.word_size = bits_of(options.library) // 8
        self._lock = threading.Lock()
        self._pending: BaseException | None = None  # raised once all is noted
        self._live: dict[int, tuple[int, int]] = {}  # slot and size by address
        self._unused: list[int] = []  # slots
        self._session = Session(options, self.size, self.base_address)
        has = self._session.has
        self._functions = frozenset(f for f in wire.CALLS[3:] if has(f))
        self.columns = tuple(
            name
            for name in wire.COLUMNS
            if name in _ALWAYS or self._functions.intersection(_FUNCTIONS[name])
        )

    @classmethod
    def load(
        cls,
        library: LibraryPath,
        size: SupportsIndex,
        *,
        base_address: SupportsIndex = DEFAULT_BASE,
        alignment: SupportsIndex = 8,
        checks: Checks = "payloads",
        timeout: float = 10.0,
        name: str | None = None,
        cc: str | None = None,
    ) -> ForeignHeap:
        """The allocator of a library over an arena.

        Parameters
        ----------
        library : path
            The shared library, of this processor or, on one of 64 bits, built with ``-m32``.
        size : int
            Bytes of the arena.
        base_address : int
            Its address on the target. The library sees one that is aligned alike.
        alignment : int
            What every address that it returns is a multiple of: a power of two up to 4096.
        checks : {"payloads", "addresses", None}
            What is held: that every block lies in the arena, is aligned and overlaps no other
            (``"addresses"``); and besides that no payload is written to, nor what lies beside the
            arena (``"payloads"``), for which payloads are filled and read. Pages that trap lie
            around the arena in any case.
        timeout : float
            Seconds for one event, after which it is taken to hang.
        name : str, optional
            What results call it. Default: the file's name without ``lib`` and suffix.
        cc : str, optional
            The C compiler for the program that runs it, compiled once; by default the
            environment's ``CC``, or ``cc``. ``"gcc -fsanitize=address"`` is for a library that is
            built so.

        Raises
        ------
        ValueError
            An argument that cannot be; a library that lacks a function that is needed, or whose
            init returns false for the size.
        ForeignError
            If it cannot be loaded, or crashes or hangs at that.
        RuntimeError
            If the program that runs it does not compile.
        """
        kind = cls.of(
            library, name=name, alignment=alignment, checks=checks, timeout=timeout, cc=cc
        )
        return kind(size, base_address=base_address)

    @staticmethod
    def of(
        library: LibraryPath,
        *,
        name: str | None = None,
        alignment: SupportsIndex = 8,
        checks: Checks = "payloads",
        timeout: float = 10.0,
        cc: str | None = None,
    ) -> ForeignKind:
        """A library's allocator as a kind of heap: a callable that takes the size.

        Parameters are those of :meth:`load`. The value has a name, and can be pickled.
        """
        path = Path(library).absolute()
        bits_of(path)  # it is there
        aligned = _integer(alignment, "alignment", 1, _MOST_ALIGNMENT)
        if aligned & (aligned - 1):
            raise ValueError(f"alignment is {aligned}; it must be a power of two")
        if checks not in wire.CHECKS:
            raise ValueError(f"checks is {checks!r}; it must be 'payloads', 'addresses' or None")
        if not timeout > 0:
            raise ValueError(f"timeout is {timeout!r}; it must be a number of seconds above 0")
        chosen = name or path.name.split(".")[0].removeprefix("lib") or path.name
        return ForeignKind(Options(path, chosen, aligned, checks, float(timeout), cc))

    # ------------------------------------------------------------------ as a heap

    def malloc(self, size: SupportsIndex) -> int | None:
        """A block's address, or None where none can be had."""
        return self._allocate(ord("m"), size)

    def memalign(self, alignment: SupportsIndex, size: SupportsIndex) -> int | None:
        """The address of a block that is a multiple of a power of two.

        Raises
        ------
        ValueError
            If the library lacks ``rh_foreign_aligned``, or `alignment` is no power of two.
        """
        self._require("aligned", "memalign()")
        wanted = _integer(alignment, "alignment", 1, 1 << 31)
        if wanted & (wanted - 1):
            raise ValueError(f"alignment is {wanted}; it must be a power of two")
        return self._allocate(wire.OP_ALIGNED + wanted.bit_length() - 1, size)

    def realloc(self, address: SupportsIndex | None, size: SupportsIndex) -> int | None:
        """The block with another size, moved or not; None where there is no room.

        Without ``rh_foreign_realloc`` it is malloc, copy, free.
        """
        if address is None:
            return self.malloc(size)
        wanted = _integer(size, "size", 0, 2**64 - 1)
        with self._alone():
            slot, _ = self._known(address)
            given, failed = self._one(ord("r"), slot, wanted)
            if given or not failed:
                del self._live[operator.index(address)]
            if given:
                self._live[given] = (slot, wanted)
            return given or None

    def free(self, address: SupportsIndex | None) -> None:
        """Give a live block back; None is none.

        Raises
        ------
        InvalidFreeError
            If it is not live. The library is not called then.
        """
        if address is None:
            return
        with self._alone():
            slot, _ = self._known(address)
            self._one(ord("f"), slot, 0)
            del self._live[operator.index(address)]
            self._unused.append(slot)

    def usable_size(self, address: SupportsIndex) -> int:
        """Bytes that may be used of a live block.

        Raises
        ------
        ValueError
            If the library lacks ``rh_foreign_usable_size``.
        InvalidFreeError
            If it is not live.
        """
        self._require("usable_size", "usable_size()")
        with self._alone():
            slot, _ = self._known(address)
            batch = _batch(ord("u"), slot, 0)
            told = np.zeros(1, np.uint64)
            self._session.run(batch, {"block_size": told}, replays=False, keep=False)
            return int(told[0])

    @property
    def free_size(self) -> int | None:
        """Bytes that are free, as the library counts them; None if it does not tell."""
        if "free_size" not in self._functions:
            return None
        with self._alone():
            return self._session.ask(b"q").told("free_size")

    def free_blocks(self) -> list[FreeBlock]:
        """Address and size of each free block, in the order in which the library walks them.

        Raises
        ------
        ValueError
            If it lacks ``rh_foreign_walk``.
        """
        self._require("walk", "free_blocks()")
        with self._alone():
            return [FreeBlock(*pair) for pair in self._session.free_blocks()]

    def check(self) -> None:
        """Raise ForeignError if a live payload, or what lies beside the arena, was written to."""
        with self._alone():
            self._session.check()

    def reset(self) -> None:
        """Begin anew, in a new process, whatever became of the old one."""
        with self._alone():
            self._session.close()
            self._session = Session(self._options, self.size, self.base_address)
            self._live, self._unused = {}, []

    def copy(self) -> Self:
        """One in the same state: a process of its own, which is asked the same once more."""
        other = object.__new__(type(self))
        with self._alone():
            other.__dict__.update(self.__dict__)
            other._lock = threading.Lock()
            other._live, other._unused = dict(self._live), list(self._unused)
            other._session = self._session.copy()
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError("a ForeignHeap has a process and cannot be pickled; ForeignHeap.of() can")

    def close(self) -> None:
        """End the process. It begins again if the heap is used again."""
        self._session.close()

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def output(self) -> str:
        """The end of what the library printed."""
        with self._alone():
            return self._session.process().output()

    def __repr__(self) -> str:
        return f"<ForeignHeap {self.name} of {self.size} bytes at {self.base_address:#x}>"

    # ------------------------------------------------------------------ under a replay

    def _lacks(self, column: str) -> str:
        """Why there is no such column, in words."""
        if column not in _FUNCTIONS:
            return f"no library tells {column!r} of its allocator"
        functions = " and ".join(f"rh_foreign_{name}" for name in _FUNCTIONS[column])
        return f"{self.name} lacks {functions}, without which there is no {column!r}"

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
        with self._alone():
            session, first = self._session, self._session.slots
            moved = slot if first == 0 else slot + np.int32(first)
            batch = Batch(op, moved, size)
            session.slots += slots
            ran = session.run(batch, columns, stop_at_failure=stop_at_failure, progress=progress)
            self._note_live(batch.part(0, ran.done), ran.columns)
            self._pending = ran.interrupt
        return counts(
            done=ran.done,
            failures=ran.failures,
            zero_size=ran.zero_size,
            skipped=ran.skipped,
            live_bytes=ran.live_bytes,
            first_failure=ran.first_failure,
        )

    def _note_live(self, batch: Batch, columns: Mapping[str, Any]) -> None:
        """The blocks that a run left live can be freed by a call."""
        done = len(batch.op)
        address, failed = columns["address"][:done], columns["failed"][:done]
        acted = np.flatnonzero(~failed)
        last = np.full(int(batch.slot.max()) + 1 if done else 0, -1, np.int64)
        last[batch.slot[acted]] = acted  # the last one stays
        last = last[last >= 0]
        kept = last[(batch.op[last] != ord("f")) & (address[last] != 0)]
        for event in kept.tolist():
            self._live[int(address[event])] = (int(batch.slot[event]), int(batch.size[event]))

    def _holes(self) -> list[tuple[int, int]]:
        """(address, size) of each free block."""
        return [(address, size) for address, size in self.free_blocks()]

    def _live_blocks(self) -> list[tuple[int, int]]:
        """(address, size) of each live block, the size as it was requested."""
        return [(address, size) for address, (_, size) in sorted(self._live.items())]

    # ------------------------------------------------------------------ one call

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"{self!r} is at work in another call")
        try:
            yield
        finally:
            self._lock.release()
        pending, self._pending = self._pending, None
        if pending is not None:
            raise pending

    def _require(self, function: str, what: str) -> None:
        if function not in self._functions:
            raise ValueError(f"{self.name} lacks rh_foreign_{function}, which {what} needs")

    def _known(self, address: SupportsIndex) -> tuple[int, int]:
        try:
            return self._live[operator.index(address)]
        except KeyError:
            raise InvalidFreeError(f"{address:#x} is no live block of {self.name}") from None

    def _allocate(self, op: int, size: SupportsIndex) -> int | None:
        wanted = _integer(size, "size", 0, 2**64 - 1)
        with self._alone():
            if not self._unused:
                self._unused.append(self._session.slots)
                self._session.slots += 1
            address, _ = self._one(op, self._unused[-1], wanted)
            if not address:
                return None
            self._live[address] = (self._unused.pop(), wanted)
            return address

    def _one(self, op: int, slot: int, size: int) -> tuple[int, bool]:
        ran = self._session.run(_batch(op, slot, size), {}, replays=False)
        if ran.interrupt is not None and not ran.done:
            raise ran.interrupt
        self._pending = ran.interrupt
        return int(ran.columns["address"][0]), bool(ran.columns["failed"][0])


def _batch(op: int, slot: int, size: int) -> Batch:
    return Batch(np.array([op], np.uint8), np.array([slot], np.int32), np.array([size], np.uint64))


def _integer(value: SupportsIndex, name: str, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be an int") from None
    if not low <= number <= high:
        raise ValueError(f"{name} is {number}; it must be from {low} to {high}")
    return number


for _public in (ForeignHeap, ForeignKind):
    _public.__module__ = "rtosheap.allocators"  # where users import it from
