"""The C extension: the heaps over the C core, and the replay of a trace.

What starts with an underscore is for the package alone; the classes in `rtosheap.heaps` are its
public face.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, SupportsIndex, TypeAlias, TypeVar

import numpy.typing as npt
from typing_extensions import Buffer

_Array: TypeAlias = npt.NDArray[Any]
_Memory: TypeAlias = SupportsIndex | Buffer | _Array
_H = TypeVar("_H", bound="Heap")

class HeapError(Exception): ...
class InvalidFreeError(HeapError): ...
class DoubleFreeError(InvalidFreeError): ...
class HeapAssertionError(HeapError): ...

class HeapCorruptionError(HeapError):
    address: int | None
    rule: str | None
    previous: int | None
    event: int | None

class Heap:
    kind: ClassVar[int]
    def malloc(self, size: SupportsIndex, /) -> int | None: ...
    def calloc(self, count: SupportsIndex, size: SupportsIndex, /) -> int | None: ...
    def free(self, address: SupportsIndex | None, /) -> None: ...
    def view(self, address: SupportsIndex, /) -> memoryview: ...
    def usable_size(self, address: SupportsIndex, /) -> int: ...
    def reset_minimum_ever_free_size(self) -> None: ...
    def check(self) -> None: ...
    def reset(self) -> None: ...
    def copy(self) -> Self: ...
    @property
    def free_size(self) -> int: ...
    @property
    def minimum_ever_free_size(self) -> int: ...
    @property
    def malloc_failed_count(self) -> int: ...
    @property
    def allocation_count(self) -> int: ...
    @property
    def free_count(self) -> int: ...
    @property
    def memory(self) -> Any: ...
    @property
    def base_address(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def word_size(self) -> int: ...
    @property
    def alignment(self) -> int: ...
    @property
    def clear_on_free(self) -> bool: ...
    @property
    def canary(self) -> int | None: ...
    @property
    def end_marker_address(self) -> int | None: ...
    @property
    def kernel(self) -> str | None: ...
    @property
    def newlib(self) -> str | None: ...
    @property
    def _reached(self) -> int: ...
    @property
    def _nodes(self) -> int: ...
    @property
    def _policy(self) -> tuple[str, str, str, int, str, int] | None: ...
    @property
    def _refused(self) -> int: ...
    # anyway: where the kernel's own would crash, too
    def _stats(self, anyway: bool = False, /) -> tuple[int, int, int, int, int, int, int]: ...
    # trust: from the shadow outside the arena, without a look at the arena's headers
    def _blocks(self, trust: bool = False, /) -> list[tuple[int, int, bool]]: ...
    def _free_blocks(self) -> list[tuple[int, int]]: ...
    def _regions(self) -> tuple[tuple[int, Any], ...]: ...
    def _region_views(self) -> tuple[memoryview, ...]: ...
    def _is_live(self, address: int, /) -> bool: ...
    def _snapshot(self) -> dict[str, Any]: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

# kernel and newlib: names of KERNELS and NEWLIBS; None is the newest
class Heap1(Heap):
    def __new__(
        cls,
        memory: _Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        kernel: str | None = None,
    ) -> Self: ...

class Heap2(Heap):
    def __new__(
        cls,
        memory: _Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        end_marker_address: SupportsIndex | None = None,
        kernel: str | None = None,
    ) -> Self: ...

class Heap3(Heap):
    def __new__(
        cls,
        memory: _Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        newlib: str | None = None,
    ) -> Self: ...
    @classmethod
    def host(cls) -> Self: ...
    def realloc(self, address: SupportsIndex | None, size: SupportsIndex, /) -> int | None: ...
    def memalign(self, alignment: SupportsIndex, size: SupportsIndex, /) -> int | None: ...

class Heap4(Heap):
    def __new__(
        cls,
        memory: _Memory,
        *,
        base_address: SupportsIndex = 0x2000_0000,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        canary: SupportsIndex | None = None,
        kernel: str | None = None,
    ) -> Self: ...

class Heap5(Heap):
    def __new__(
        cls,
        regions: Sequence[tuple[SupportsIndex, _Memory]],
        *,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        canary: SupportsIndex | None = None,
        kernel: str | None = None,
    ) -> Self: ...

class PolicyHeap(Heap):
    def __new__(
        cls,
        regions: Sequence[tuple[SupportsIndex, _Memory]],
        policy: tuple[str, str, str, int, str, int],
        *,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
        end_marker: SupportsIndex | None = None,
    ) -> Self: ...

def _restore(
    cls: type[_H], memories: Sequence[Buffer], snapshot: dict[str, Any] | tuple[Any, ...], /
) -> _H:
    """A heap of class `cls` over `memories` in the state of `_snapshot()`; the memory's bytes are
    taken as they are. ValueError where no heap could be in that state, TypeError for an entry of a
    wrong type. A tuple is what `_snapshot()` gave in version 1."""

# One call for everything that replays. The arrays are C-contiguous: op uint8 (b"m", b"r", b"f"),
# slot int32 (0 <= slot < slots), size uint64. columns: a writable array for each column that is to
# be recorded, by its name in COLUMNS. slots: how many ids there are, or SLOT_BYTES for each, all
# zero or what an earlier replay left there, which are written.
# engine: None, "list" or "index".
#
# Returns done, failures, zero_size, skipped, ignored_frees, live_bytes, most_nodes,
# most_nodes_event (-1: none), first_failure (-1: none), need, need_event (-1: none).
# The last two are for track_need with heap_4 or heap_5: the lowest address of the last end marker
# that serves every event, and the event that needs it.
def replay(
    heap: Heap,
    op: _Array,
    slot: _Array,
    size: _Array,
    slots: int | bytearray,
    columns: dict[str, _Array],
    stop_at_failure: bool,
    track_need: bool,
    progress: Callable[[int, int], object] | None,
    engine: str | None = None,
    /,
) -> dict[str, int]: ...

# Which sizes serve a trace, as (first size, last size, event that fails or -1) of each run of them.
#
# Of heap_2 each event wants a block, or none where `wanted` is 0, and ends the block of the event
# that `ended` says, or -1. Its sizes are counted in steps of the alignment, without what is part of
# no block. `only`, if not 0: the run of this size alone. `ends_alone`: up to the first size that
# serves, then from the largest down to the first that fails. None where the search takes more than
# `most` events.
def best_fit_sizes(
    wanted: _Array,
    ended: _Array,
    split_above: int,
    first: int,
    last: int,
    only: int,
    ends_alone: bool,
    most: int,
    progress: Callable[[int], object] | None,
    /,
) -> list[tuple[int, int, int]] | None: ...

# The same of all sizes from `first` to `last`, of which there are few.
def best_fit_sizes_beside(
    wanted: _Array,
    ended: _Array,
    split_above: int,
    first: int,
    last: int,
    progress: Callable[[int], object] | None,
    /,
) -> list[tuple[int, int, int]]: ...

# heap_3's are bytes; the heap has `last` or more, and is as new before and afterwards.
def sbrk_sizes(
    heap: Heap3,
    op: _Array,
    slot: _Array,
    size: _Array,
    slots: int,
    first: int,
    last: int,
    progress: Callable[[int], object] | None,
    /,
) -> list[tuple[int, int, int]]: ...

COLUMNS: tuple[str, ...]
"""address (u8), block_size (u8), free_size (u8), largest_free_block (u8), free_block_count (u4),
live_bytes (u8), nodes (u4), failed (?), failure (u1)."""

FAILURES: tuple[str, ...]
"""The meaning of the column failure's values."""

KERNELS: tuple[tuple[str, tuple[int, int, int, int, int]], ...]
"""The kernel's releases, the newest last, and by the heap's number - 1 what it does otherwise: the
bits of enum rh_old."""

SLOT_BYTES: int

NEWLIBS: tuple[str, ...]
"""The releases of newlib since which its malloc is another, the newest last."""
