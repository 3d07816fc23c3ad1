"""What a replay runs besides the heaps of this package: somebody else's allocator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self, SupportsIndex

from rtosheap import _core
from rtosheap.builds import csrc
from rtosheap.heaps import Block, HeapError
from rtosheap.work import Progress

#: Why an allocation failed, as the column ``failure`` has it: 0 if it did not.
EXHAUSTION: int = _core.FAILURES.index("exhaustion")
FRAGMENTATION: int = _core.FAILURES.index("fragmentation")
UNKNOWN = len(_core.FAILURES)


def include() -> str:
    """The folder of ``rh_foreign.h``, which an adapter of an allocator includes.

    Returns
    -------
    str
        For the compiler's ``-I``.

    Examples
    --------
    >>> print(f"cc -shared -fPIC -I{include()} adapter.c -o libmine.so")
    cc -shared -fPIC -I...foreign adapter.c -o libmine.so
    """
    return str(csrc() / "foreign")


class ForeignError(HeapError):
    """An allocator that is not ours did what none may: crashed, hung, gave what it cannot give.

    Attributes
    ----------
    event : int or None
        The event of the trace at which it happened; None outside a replay.
    reason : str
        What happened, in a word: ``"crash"``, ``"exit"``, ``"stuck"`` (no progress for too long);
        ``"outside"``, ``"misaligned"``, ``"overlaps"`` (a block that it gave); ``"payload"``,
        ``"margin"`` (what it wrote to: a live block, or beside the arena); ``"lost"`` (what
        realloc should have kept); ``"usable_size"``, ``"free_size"``, ``"walk"`` (what they told);
        ``"answer"`` (what a Python object returned); ``"load"``; ``"harness"`` (the records
        of the run itself were overwritten); ``"ended"`` (it had happened before).

    Examples
    --------
    >>> from rtosheap import ForeignError, Trace, replay
    >>> class Broken:
    ...     def malloc(self, size):
    ...         return 0x2000_0000
    ...     def free(self, address):
    ...         pass
    >>> try:
    ...     replay(Trace("mm", id=[0, 1], size=[40, 8]), Broken())
    ... except ForeignError as error:
    ...     print(error.reason, error.event)
    overlaps 1
    """

    def __init__(self, message: str, reason: str = "", event: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.event = reason, event


class AllocatorKind(ABC):
    """A kind of allocator that is not ours, of a size that is open: it makes one of a size.

    It serves where a kind of heap is an argument. Nothing is known of how it lays out its arena.

    Attributes
    ----------
    name : str
        What results call it.
    word_size : int
        Bytes of a pointer.
    alignment : int
        Of what malloc returns, in bytes.

    Examples
    --------
    An allocator that is a Python object is sized and compared by a kind of its own:

    >>> from rtosheap import Trace, minimum_heap_size
    >>> from rtosheap.allocators import AllocatorKind, ObjectHeap
    >>> class Bump:
    ...     def __init__(self, size, base_address):
    ...         self.size, self.base_address, self.used = size, base_address, 0
    ...     def malloc(self, size):
    ...         if self.used + size > self.size:
    ...             return None
    ...         self.used += size
    ...         return self.base_address + self.used - size
    ...     def free(self, address):
    ...         pass
    >>> class BumpKind(AllocatorKind):
    ...     name, word_size, alignment = "bump", 4, 1
    ...     def __call__(self, size, *, base_address=0x2000_0000):
    ...         return ObjectHeap(Bump(size, base_address))
    >>> minimum_heap_size(Trace("mfm", id=[0, 0, 1], size=[40, 0, 20]), BumpKind()).size
    60
    """

    name: str
    word_size: int
    alignment: int

    @abstractmethod
    def __call__(self, size: SupportsIndex, *, base_address: SupportsIndex = ...) -> Allocator:
        """One over an arena of a size; ValueError where there can be none."""


class Allocator(ABC):
    """An allocator that is not ours, over one arena: a `ForeignHeap` or an `ObjectHeap`.

    Attributes
    ----------
    name : str
        What results call it.
    size : int or None
        Bytes of the arena, None if it is not known.
    base_address : int
        Address of its first byte on the target.
    alignment : int
        Of what malloc returns.
    word_size : int
        Bytes of a pointer.
    columns : tuple of str
        What a replay on it can record.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.allocators import ObjectHeap
    >>> heap = ObjectHeap(Heap4(1024))
    >>> heap.name, heap.free_size, heap.columns[:4]
    ('Heap4', 1016, ('address', 'live_bytes', 'failed', 'block_size'))
    """

    name: str
    size: int | None
    base_address: int
    alignment: int
    word_size: int
    columns: tuple[str, ...]

    @abstractmethod
    def _lacks(self, column: str) -> str:
        """Why there is no such column, in words."""

    @abstractmethod
    def copy(self) -> Self:
        """One in the same state, or ValueError if there can be none."""

    @abstractmethod
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
        """Run events; their counts, as `_core.replay` has them."""

    @property
    @abstractmethod
    def free_size(self) -> int | None:
        """Bytes that are free, None if it does not tell."""

    @abstractmethod
    def _holes(self) -> list[tuple[int, int]]:
        """(address, size) of each free block, or ValueError if it does not tell."""

    @abstractmethod
    def _live_blocks(self) -> list[tuple[int, int]]:
        """(address, size) of each live block, the size as it was requested."""

    def _known_blocks(self) -> list[Block]:
        """The free and the live blocks, in address order."""
        free = [Block(*hole, False) for hole in self._holes()]
        return sorted([*free, *(Block(*block, True) for block in self._live_blocks())])

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *exception: object) -> None:
        """Give back what it holds of this machine."""

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """(address, size) of the arena; ValueError if it is not known."""
        if self.size is None:
            raise ValueError(
                f"{self.name} does not tell where its arena lies: it has no memory, and no size "
                "and base_address"
            )
        return ((self.base_address, self.size),)


def counts(**known: int) -> dict[str, int]:
    """The counts of a replay; what has no meaning here is none."""
    nothing = {"ignored_frees": 0, "most_nodes": 0, "need": 0}
    return {**nothing, "most_nodes_event": -1, "need_event": -1, **known}


def event_text(op: int, size: int) -> str:
    """An event in words."""
    if op >= 0x80:
        return f"memalign({1 << (op & 0x7F)}, {size})"
    texts = {"m": f"malloc({size})", "r": f"realloc to {size} bytes", "f": "free"}
    return texts.get(chr(op), "usable_size")
