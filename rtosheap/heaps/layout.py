"""What a heap looks like: its headers, its rounding, where in memory its blocks lie, its options.

All that differs from kind to kind in numbers is here; how a kind chooses a block is in the C core.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtosheap._core import Heap
from rtosheap.heaps.policy import Policy
from rtosheap.heaps.releases import find_kernel
from rtosheap.heaps.variants import NEWEST, Variant, variant_of

#: What each constructor takes besides the memory, by the heap's number.
OPTIONS: dict[int, frozenset[str]] = {
    0: frozenset({"base_address"}),
    1: frozenset({"base_address", "word_size", "alignment", "kernel"}),
    2: frozenset(
        {"base_address", "word_size", "alignment", "clear_on_free", "end_marker_address", "kernel"}
    ),
    3: frozenset({"base_address", "newlib"}),
    4: frozenset({"base_address", "word_size", "alignment", "clear_on_free", "canary", "kernel"}),
    5: frozenset({"word_size", "alignment", "clear_on_free", "canary", "kernel"}),
    6: frozenset({"base_address", "word_size", "alignment", "clear_on_free"}),
}
#: Address of the first byte, unless another is given.
DEFAULT_BASE = 0x2000_0000
WORD_SIZES = (4, 8)
ALIGNMENTS = (4, 8, 16, 32)

#: newlib-nano's chunks: bytes of the size field, of the least chunk, and the step of their sizes.
_SIZE_FIELD, _LEAST_CHUNK, _CHUNK_STEP = 4, 12, 4


def up(number: int, alignment: int) -> int:
    """The multiple of a power of two at or above a number."""
    return (number + alignment - 1) & ~(alignment - 1)


def down(number: int, alignment: int) -> int:
    """The multiple of a power of two at or below a number."""
    return number & ~(alignment - 1)


@dataclass(frozen=True)
class Layout:
    """What a heap of a kind looks like on a target; heap_3 is newlib-nano's malloc, 32-bit.

    Attributes
    ----------
    kind : int
        The heap's number, 1 to 5; 6 for a `PolicyHeap`; 0 for an allocator of which nothing is
        known.
    word : {4, 8}
        Bytes of a word.
    alignment : {4, 8, 16, 32}
        Of what malloc returns; no smaller than a word.
    canary : int
        The heap protector's word, 0 without one.
    variant : Variant
        Which releases' arenas.
    policy : Policy or None
        Of a `PolicyHeap`.
    called : str
        Of an allocator of which nothing is known, its name.

    Raises
    ------
    ValueError
        For a word or an alignment that does not exist.
    """

    kind: int
    word: int = 4
    alignment: int = 8
    canary: int = 0
    variant: Variant = NEWEST
    policy: Policy | None = None
    called: str = ""

    def __post_init__(self) -> None:
        if not self.is_known:
            return
        if self.word not in WORD_SIZES:
            raise ValueError(f"word_size is {self.word}; it must be 4 or 8")
        if self.alignment not in ALIGNMENTS or self.alignment < self.word:
            raise ValueError(
                f"alignment is {self.alignment}; it must be 4, 8, 16 or 32, and no less than a word"
            )
        if self.kind == 3 and (self.word, self.alignment) != (4, 8):
            raise ValueError(
                f"word_size is {self.word} and alignment {self.alignment}; newlib-nano's malloc, "
                "which heap_3 is, has 4 and 8"
            )

    @classmethod
    def of(cls, heap: Heap) -> Layout:
        """The layout of a heap."""
        variant = variant_of(heap.kind, heap.kernel, heap.newlib, heap.canary is not None)
        policy = None if heap._policy is None else Policy.of_key(heap._policy)
        return cls(heap.kind, heap.word_size, heap.alignment, heap.canary or 0, variant, policy)

    @classmethod
    def from_options(
        cls, kind: int, options: Mapping[str, Any], policy: Policy | None = None
    ) -> Layout:
        """The layout of a heap that is constructed with these options."""
        canary = options.get("canary")
        kernel = find_kernel(options.get("kernel")).name
        newlib = options.get("newlib")
        return cls(
            kind,
            operator.index(options.get("word_size", 4)),
            operator.index(options.get("alignment", 8)),
            operator.index(canary or 0),
            variant_of(kind, kernel, newlib, canary is not None),
            policy,
        )

    @classmethod
    def existing(
        cls,
        kind: int,
        words: Sequence[int],
        alignments: Sequence[int],
        policy: Policy | None = None,
    ) -> list[Layout]:
        """The layouts that there are of a kind, out of these words and alignments."""
        if kind == 3:
            return [cls(kind)]
        return [cls(kind, w, a, policy=policy) for w in words for a in alignments if a >= w]

    def check_versions(self, kernel: object, newlib: object) -> None:
        """TypeError for a kernel of heap_3, which has a newlib, or a newlib of another heap."""
        if (kernel if self.is_newlib else newlib) is not None:
            raise TypeError(f"{self.name} has no option {'kernel' if self.is_newlib else 'newlib'}")

    # ------------------------------------------------------------------ what a heap of the kind has

    @property
    def name(self) -> str:
        """``"heap_1"`` … ``"heap_5"``, a policy's, or an allocator's own."""
        if not self.is_known:
            return self.called
        return f"heap_{self.kind}" if self.policy is None else self.policy.name

    @property
    def options(self) -> frozenset[str]:
        """What the constructor takes besides the memory."""
        return OPTIONS[self.kind]

    @property
    def frees(self) -> bool:
        """Whether it takes anything back."""
        return self.kind != 1

    @property
    def has_headers(self) -> bool:
        """Whether each block begins with a link and a size, whose top bit says "allocated"."""
        return self.kind in (2, 4, 5, 6)

    @property
    def by_address(self) -> bool:
        """Whether its list of such blocks is in address order and ends in a marker in the arena."""
        return self.kind in (4, 5)

    @property
    def is_known(self) -> bool:
        """Whether anything is known of how it lays out its arena: not of an allocator that is not
        ours.
        """
        return self.kind != 0

    @property
    def ends_in_marker(self) -> bool:
        """Whether a header marks the end of its blocks."""
        return self.by_address or (self.policy is not None and self.policy.coalesce != "never")

    @property
    def is_buddy(self) -> bool:
        """Whether sizes and places are powers of two."""
        return self.policy is not None and self.policy.fit == "buddy"

    @property
    def by_size(self) -> bool:
        """Whether its list is in the order of sizes; a larger heap may then fail where a smaller
        one serves.
        """
        return self.kind == 2

    @property
    def monotone(self) -> bool:
        """Whether a heap larger than one that serves a trace serves it, too."""
        if self.needs_trial:
            return False
        return not self.by_size and (not self.is_newlib or self.variant.final)

    @property
    def needs_trial(self) -> bool:
        """Whether nothing but a replay tells if a size serves."""
        return self.policy is not None or not self.is_known

    @property
    def has_regions(self) -> bool:
        """Whether its memory is several regions."""
        return self.kind == 5

    @property
    def may_have_regions(self) -> bool:
        """Whether its memory may be several regions."""
        return self.has_regions or self.policy is not None

    @property
    def is_newlib(self) -> bool:
        """Whether it is the C library's malloc, newlib-nano's."""
        return self.kind == 3

    @property
    def serves_zero(self) -> bool:
        """Whether a request for 0 bytes gives a block."""
        return self.kind == 3

    # ------------------------------------------------------------------ a block

    @property
    def header(self) -> int:
        """Bytes of a block's header: 0 for heap_1, 4 for heap_3's size field."""
        if self.kind in (0, 1):
            return 0
        return _SIZE_FIELD if self.kind == 3 else up(2 * self.word, self.alignment)

    @property
    def overhead(self) -> int:
        """Bytes that a block has at least, besides the request rounded up to `step`."""
        return 2 * _SIZE_FIELD if self.kind == 3 else self.header

    @property
    def step(self) -> int:
        """What sizes and addresses of blocks are multiples of."""
        return _CHUNK_STEP if self.kind == 3 else self.alignment

    @property
    def split_above(self) -> int:
        """A rest of more than so many bytes is split off."""
        if self.policy is not None and self.policy.split is not None:
            return self.policy.split
        return _LEAST_CHUNK - 1 if self.kind == 3 else 2 * self.header

    @property
    def least_rest(self) -> int:
        """Bytes of the smallest rest that is split off, but at heap_2's unaligned end."""
        return up(self.split_above + 1, self.step)

    @property
    def top_bit(self) -> int:
        """The bit of a size that says that the block is allocated."""
        return 1 << (8 * self.word - 1)

    @property
    def live_link(self) -> int | None:
        """The link of an allocated block, without the canary; None where any link may stand."""
        if not self.variant.marked:
            return None
        return self.canary if self.variant.plain else 0

    def live_size(self, size: int) -> int:
        """The word that says the size of an allocated block."""
        return size | self.top_bit if self.variant.marked else size

    def payload(self, block: int) -> int:
        """What malloc returned for the block at an address."""
        return up(block + self.header, self.alignment) if self.kind == 3 else block + self.header

    def header_of(self, block: int, size: int, allocated: bool) -> int:
        """Bytes of a block that are not payload, padding included where it has none of its own."""
        if self.kind != 3:
            return self.header
        # What sbrk has not reached has none.
        return min(size, self.payload(block) - block if allocated else 2 * _SIZE_FIELD)

    def block_size(self, request: Any) -> Any:
        """Bytes of the smallest block that serves a request: of an int, or of each in an array."""
        if self.variant.pads:
            return request - request % self.alignment + self.alignment + self.header
        if not self.is_known:
            return request
        if self.is_buddy:
            return _power(_rounded(request + self.header, self.alignment))
        if self.kind != 3:
            return _rounded(request + self.header, self.alignment)
        chunk = _rounded(request, _CHUNK_STEP) + self.overhead
        return (
            max(chunk, _LEAST_CHUNK) if isinstance(chunk, int) else np.maximum(chunk, _LEAST_CHUNK)
        )

    def largest_in(self, block: Any) -> Any:
        """The largest request that such a block is the smallest for: of an int, or of each in an
        array; of a block that there is not, a number that has another.
        """
        request = block - self.overhead
        return request - 1 if self.variant.pads else request

    def largest_request(self, free: int, usable: int | None = None) -> int:
        """The largest request that a free block of so many bytes serves, in an arena of so many
        usable ones; 0 if it serves none.
        """
        if self.kind == 1:  # used + size must stay below the limit
            free -= 1
        if self.variant.strict and usable is not None:  # a block must be less than that
            free = min(free, usable - 1)
        if self.is_buddy and free > 0:
            free = 1 << (free.bit_length() - 1)
        if self.policy is not None and self.policy.fit == "good":
            free = self._least_of_class(free)
        if not self.is_known:
            return free
        largest = down(free, self.step) - self.overhead
        if self.variant.pads:  # one less than a multiple, which would take another
            largest = down(largest, self.alignment) - 1
        return max(largest, 0)

    def _least_of_class(self, size: int) -> int:
        """Bytes of the smallest block in the class of one: a larger request looks further up."""
        assert self.policy is not None
        assert self.policy.classes is not None
        steps = size // self.step
        shift = max(steps.bit_length() - self.policy.classes.bit_length(), 0)
        return (steps >> shift << shift) * self.step

    # ------------------------------------------------------------------ a region

    def start(self, base: int) -> int:
        """Address of the first block in a region that starts at `base`."""
        if not self.is_known:
            return base
        if self.variant.higher:
            return down(base + self.step, self.step)
        return up(base, self.step)

    def end(self, base: int, size: int) -> int:
        """Where the blocks of a region of `size` bytes end; heap_4, heap_5: its end marker."""
        if self.kind in (0, 3):
            return base + size
        start, end = self.start(base), down(base + size - self.header, self.alignment)
        if not self.ends_in_marker:
            end = start + size - self.alignment
        return start + down(end - start, self._least_buddy) if self.is_buddy else end

    @property
    def _least_buddy(self) -> int:
        """Bytes of the smallest block of a buddy system."""
        least: int = _power(self.header + self.alignment)
        return least

    def usable(self, base: int, size: int) -> int:
        """Bytes of a region that can be part of a block."""
        return self.end(base, size) - self.start(base)

    def smallest(self, base: int) -> int:
        """Bytes of the smallest heap (heap_5: last region) at `base`: it has room for a block."""
        lost = self.start(base) - base
        if self.kind in (0, 1):
            return self.alignment
        if self.is_buddy:
            room = self.header if self.ends_in_marker else self.alignment - lost
            return lost + self._least_buddy + room
        if not self.ends_in_marker and self.kind != 3:
            return self.alignment + self.header
        return lost + (_LEAST_CHUNK if self.kind == 3 else 2 * self.header)

    def least_loss(self, base: int) -> int:
        """Bytes that a heap at `base` needs besides its blocks, at least."""
        if self.kind == 1:
            return self.alignment + 1  # its last byte is never handed out
        if not self.ends_in_marker and self.kind not in (0, 3):
            return self.alignment
        return self.start(base) - base + (self.header if self.ends_in_marker else 0)

    def largest(self, base: int, end_marker: int | None = None) -> int:
        """Bytes of the largest heap at `base`, below the top bit and within the word's range.

        `end_marker` is heap_2's, which no arena may reach.
        """
        largest = min(self.top_bit - 1, 2 * self.top_bit - base)
        if end_marker is not None and end_marker >= base:
            largest = min(largest, end_marker - base)
        return largest

    def end_marker(self, base: int) -> int:
        """Where heap_2's end marker lies unless it is told: just below the arena, or at the top of
        memory where nothing lies below.
        """
        last = 2 * self.top_bit - 1
        marker = down((base - 2 * self.word) & last, self.word)
        return marker or down(last, 2 * self.word)


def region_spans(heap: Heap) -> list[tuple[int, int]]:
    """Address and bytes of each region of a heap."""
    views = heap._region_views()
    return [(at, len(view)) for (at, _), view in zip(heap._regions(), views, strict=True)]


def locate(regions: Sequence[tuple[int, int]], address: int) -> tuple[int, int] | None:
    """The region that holds an address, and the offset in there; None when none does."""
    for index, (start, size) in enumerate(regions):
        if start <= address < start + size:
            return index, address - start
    return None


def _rounded(number: Any, step: int) -> Any:
    return number + -number % step


def _power(number: Any) -> Any:
    """The power of two at or above a number, or each in an array."""
    if isinstance(number, int):
        return 1 << (number - 1).bit_length()
    if number.dtype == object:
        return np.array([_power(int(one)) for one in number], object)
    sizes, places = np.unique(number, return_inverse=True)
    return np.array([_power(int(size)) for size in sizes], np.int64)[places]
