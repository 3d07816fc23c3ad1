"""An independent model of the five heaps, in plain Python.

Written from the rules alone and sharing nothing with the C core, so that the two can check each
other. What a heap *decides* is kept in dicts and lists; what it *writes* goes into a bytearray on
the side and is never read back, so that a wrong byte cannot hide behind a wrong decision.

Names follow the public API (``malloc``, ``free_size``, ``blocks()`` …). A block is named by the
address of its header, as in ``rtosheap``. ``nodes`` is what ``rtosheap.replay`` counts: the entries
of the free list that the last malloc or free read.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from bisect import bisect_left
from typing import TypeVar

DEFAULT_BASE_ADDRESS = 0x2000_0000

Self = TypeVar("Self", bound="Model")


class ModelError(Exception):
    """What the model refuses to do."""


class InvalidFree(ModelError):
    """The address is not that of a live payload."""


class DoubleFree(InvalidFree):
    """malloc returned the address since set-up, and it is not live any more."""


def round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def round_down(value: int, step: int) -> int:
    return value // step * step


class Model(ABC):
    """What the five heaps share: memory, counters, statistics and the checks of ``free``."""

    def __init__(
        self, regions: list[tuple[int, int]], word_size: int, alignment: int, fill: int
    ) -> None:
        if word_size not in (4, 8):
            raise ValueError(f"word_size {word_size}")
        if alignment not in (4, 8, 16, 32) or alignment < word_size:
            raise ValueError(f"alignment {alignment} with word_size {word_size}")
        limit = 1 << (8 * word_size)
        for address, size in regions:
            if size < 0 or size >= limit // 2:
                raise ValueError(f"size {size}")
            if address < 0 or address + size > limit:
                raise ValueError(f"address {address:#x} with size {size}")
        self.region_list = list(regions)
        self.word_size = word_size
        self.alignment = alignment
        self.word_max = limit - 1
        self.top_bit = limit // 2
        self._images = [bytearray([fill]) * size for _, size in regions]

    def _start(self) -> None:
        """Begin to count. The last step of every set-up, when the free list exists."""
        self.malloc_failed_count = 0
        self.allocation_count = 0
        self.free_count = 0
        self.nodes = 0
        self._live: dict[int, int] = {}  # payload address -> block address
        self._returned: set[int] = set()  # every payload address that malloc gave since set-up
        self.minimum_ever_free_size = self.free_size

    # What differs from heap to heap.

    @abstractmethod
    def reset(self) -> None:
        """Set up again. Writes the heap's headers and leaves every other byte."""

    @property
    @abstractmethod
    def free_size(self) -> int: ...

    @abstractmethod
    def _allocate(self, size: int) -> tuple[int, int] | None:
        """Return (payload, block) addresses, and set ``nodes``."""

    @abstractmethod
    def _release(self, block: int) -> None:
        """Take back a live block, and set ``nodes``."""

    @abstractmethod
    def blocks(self) -> list[tuple[int, int, bool]]: ...

    @abstractmethod
    def free_blocks(self) -> list[tuple[int, int]]: ...

    @abstractmethod
    def usable_size(self, address: int) -> int: ...

    # The public operations.

    def malloc(self, size: int) -> int | None:
        self.nodes = 0
        found = self._allocate(size)
        # Outside the branch below: a refused malloc of heap_3 can waste memory.
        self.minimum_ever_free_size = min(self.minimum_ever_free_size, self.free_size)
        if found is None:
            self.malloc_failed_count += 1
            return None
        payload, block = found
        self._live[payload] = block
        self._returned.add(payload)
        self.allocation_count += 1
        return payload

    def calloc(self, n: int, size: int) -> int | None:
        self.nodes = 0
        if n * size > self.word_max:
            return None  # refused before malloc is entered, so that no failure is counted
        payload = self.malloc(n * size)
        if payload is not None:
            self.write(payload, bytes(n * size))
        return payload

    def free(self, address: int | None) -> None:
        self.nodes = 0
        if address is None:
            return
        if address not in self._live:
            if address in self._returned:
                raise DoubleFree(hex(address))
            raise InvalidFree(hex(address))
        self._release(self._live.pop(address))
        self.free_count += 1

    def reset_minimum_ever_free_size(self) -> None:
        self.minimum_ever_free_size = self.free_size

    def stats(self) -> tuple[int, int, int, int, int, int, int]:
        sizes = [size for _, size in self.free_blocks()]
        # heap_5's markers have size 0: they are counted, but are nobody's smallest block.
        return (
            self.free_size,
            max(sizes, default=0),
            min((size for size in sizes if size), default=self.word_max),
            len(sizes),
            self.minimum_ever_free_size,
            self.allocation_count,
            self.free_count,
        )

    def live_addresses(self) -> list[int]:
        return sorted(self._live)

    def dead_addresses(self) -> list[int]:
        """Addresses that malloc returned and that are not live now."""
        return sorted(self._returned.difference(self._live))

    def copy(self: Self) -> Self:
        return copy.deepcopy(self)

    # The image. Nothing above reads it.

    def regions_bytes(self) -> list[bytes]:
        return [bytes(image) for image in self._images]

    def write(self, address: int, data: bytes) -> None:
        """Write bytes at a target address: the heap's own and, in a test, the application's."""
        for (start, size), image in zip(self.region_list, self._images, strict=True):
            if start <= address and address + len(data) <= start + size:
                image[address - start : address - start + len(data)] = data
                return
        raise AssertionError(f"the model writes outside the arena: {address:#x}+{len(data)}")

    def write_word(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(self.word_size, "little"))


class Model1(Model):
    """heap_1: a bump pointer. No header, no free, nothing written."""

    def __init__(
        self,
        size: int,
        *,
        base_address: int = DEFAULT_BASE_ADDRESS,
        word_size: int = 4,
        alignment: int = 8,
        fill: int = 0,
    ) -> None:
        super().__init__([(base_address, size)], word_size, alignment, fill)
        # The alignment's loss is taken off whether or not there is any.
        self._limit = size - alignment
        self._first = round_up(base_address, alignment)
        if self._limit <= 0 or self._first == 0:
            raise ValueError(f"size {size} at {base_address:#x}")
        self.reset()

    def reset(self) -> None:
        self._used = 0
        self._block_sizes: dict[int, int] = {}
        self._start()

    @property
    def free_size(self) -> int:
        return self._limit - self._used

    def _allocate(self, size: int) -> tuple[int, int] | None:
        rounded = round_up(size, self.alignment)
        # Strictly less: FreeRTOS never hands out the last byte.
        if size == 0 or rounded > self.word_max or self._used + rounded >= self._limit:
            return None
        address = self._first + self._used
        self._used += rounded
        self._block_sizes[address] = rounded
        return address, address

    def free(self, address: int | None) -> None:
        self.nodes = 0
        if address is not None:
            raise InvalidFree(hex(address))

    def _release(self, block: int) -> None:
        raise AssertionError("heap_1 frees nothing")

    def blocks(self) -> list[tuple[int, int, bool]]:
        allocated = [(address, size, True) for address, size in self._block_sizes.items()]
        return allocated + [(address, size, False) for address, size in self.free_blocks()]

    def free_blocks(self) -> list[tuple[int, int]]:
        return [(self._first + self._used, self.free_size)] if self.free_size else []

    def usable_size(self, address: int) -> int:
        return self._block_sizes[self._live[address]]


class _HeaderModel(Model):
    """heap_2, heap_4 and heap_5: a header of link and size before each payload, and a free list."""

    def __init__(
        self,
        regions: list[tuple[int, int]],
        word_size: int,
        alignment: int,
        clear_on_free: bool,
        canary: int | None,
        fill: int,
    ) -> None:
        super().__init__(regions, word_size, alignment, fill)
        self.header_size = round_up(2 * word_size, alignment)
        self.clear_on_free = clear_on_free
        self.canary = canary
        self._terminator = 0  # the end marker, to which the last listed block links
        self._sizes: dict[int, int] = {}  # block address -> size
        self._free: list[int] = []  # block addresses in list order
        self._free_size = 0

    @property
    def free_size(self) -> int:
        return self._free_size

    def _write_size(self, block: int, *, allocated: bool = False) -> None:
        top = self.top_bit if allocated else 0
        self.write_word(block + self.word_size, self._sizes[block] | top)

    def _write_link(self, block: int, link: int) -> None:
        self.write_word(block, link ^ (self.canary or 0))

    def _write_list_link(self, index: int) -> None:
        """Write the link of the list's entry ``index``; the head, at -1, is no arena memory."""
        if index >= 0:
            following = self._free[index + 1 : index + 2]
            self._write_link(self._free[index], following[0] if following else self._terminator)

    def _search(self, wanted: int) -> int | None:
        """The first entry that is large enough. It is read, and so is all that comes before it."""
        for index, block in enumerate(self._free):
            if self._sizes[block] >= wanted:
                self.nodes += index + 1
                return index
        self.nodes += len(self._free)
        return None

    def _allocate(self, size: int) -> tuple[int, int] | None:
        wanted = round_up(size + self.header_size, self.alignment)
        # The test against the free size comes before the search: nothing is visited when it fails.
        if size == 0 or wanted >= self.top_bit or wanted > self._free_size:
            return None
        index = self._search(wanted)
        if index is None:
            return None
        block = self._free[index]
        remainder = self._sizes[block] - wanted
        if remainder > 2 * self.header_size:
            self._sizes[block] = wanted
            self._sizes[block + wanted] = remainder
            self._write_size(block + wanted)
            self._take(index, block + wanted)
        else:
            self._take(index, None)
        self._write_size(block, allocated=True)
        self._write_link(block, 0)
        self._free_size -= self._sizes[block]
        return block + self.header_size, block

    @abstractmethod
    def _take(self, index: int, remainder: int | None) -> None:
        """Unlist entry ``index`` and list the remainder that was split from it, if any."""

    @abstractmethod
    def _insert(self, block: int) -> None:
        """List a block that was freed."""

    def _release(self, block: int) -> None:
        size = self._sizes[block]
        self._write_size(block)
        if self.clear_on_free:
            self.write(block + self.header_size, bytes(size - self.header_size))
        self._free_size += size
        self._insert(block)

    def blocks(self) -> list[tuple[int, int, bool]]:
        live = set(self._live.values())
        return [(block, self._sizes[block], block in live) for block in sorted(self._sizes)]

    def free_blocks(self) -> list[tuple[int, int]]:
        return [(block, self._sizes[block]) for block in self._free]

    def usable_size(self, address: int) -> int:
        return self._sizes[self._live[address]] - self.header_size


class Model2(_HeaderModel):
    """heap_2: best fit over a list ordered by size. Nothing is ever merged."""

    def __init__(
        self,
        size: int,
        *,
        base_address: int = DEFAULT_BASE_ADDRESS,
        word_size: int = 4,
        alignment: int = 8,
        clear_on_free: bool = False,
        end_marker_address: int | None = None,
        fill: int = 0,
    ) -> None:
        super().__init__([(base_address, size)], word_size, alignment, clear_on_free, None, fill)
        if end_marker_address is None:
            end_marker_address = round_down(base_address - 2 * word_size, word_size)
        self._terminator = end_marker_address
        self._first = round_up(base_address, alignment)
        self._limit = size - alignment
        if self._limit < self.header_size or self._first == 0:
            raise ValueError(f"size {size} at {base_address:#x}")
        self.reset()

    def reset(self) -> None:
        self._sizes = {self._first: self._limit}
        self._free = [self._first]
        self._free_size = self._limit
        self._write_size(self._first)
        self._write_list_link(0)
        self._start()

    def _take(self, index: int, remainder: int | None) -> None:
        del self._free[index]
        self._write_list_link(index - 1)
        if remainder is not None:
            self._insert(remainder)

    def _insert(self, block: int) -> None:
        # Before the first entry that is not smaller: among equals the newest is first.
        size = self._sizes[block]
        index = next(
            (i for i, entry in enumerate(self._free) if self._sizes[entry] >= size),
            len(self._free),
        )
        # The entry that stops the walk was compared too, unless that was the end marker.
        self.nodes += min(index + 1, len(self._free))
        self._free.insert(index, block)
        self._write_list_link(index)
        self._write_list_link(index - 1)


class Model5(_HeaderModel):
    """heap_5: first fit over a list ordered by address, with coalescing, over several regions.

    The end marker of each region but the last is an entry of the list, of size 0.
    """

    def __init__(
        self,
        regions: list[tuple[int, int]],
        *,
        word_size: int = 4,
        alignment: int = 8,
        clear_on_free: bool = False,
        canary: int | None = None,
        fill: int = 0,
    ) -> None:
        super().__init__(regions, word_size, alignment, clear_on_free, canary, fill)
        if not regions:
            raise ValueError("no region")
        self._spans: list[tuple[int, int]] = []  # first block and end marker of each region
        raw_end = 0
        for index, (address, size) in enumerate(regions):
            first = round_up(address, alignment)
            end = round_down(address + size - self.header_size, alignment)
            usable = end - first
            is_last = index == len(regions) - 1
            if address < raw_end or first == 0:
                raise ValueError(f"region {index} at {address:#x}")
            if usable < self.header_size and (usable != 0 or is_last):
                raise ValueError(f"region {index} of size {size}")
            self._spans.append((first, end))
            raw_end = address + size
        self._terminator = self._spans[-1][1]
        self._markers: set[int] = {end for _, end in self._spans[:-1]}
        self.reset()

    def reset(self) -> None:
        self._sizes = {}
        self._free = []
        for first, end in self._spans:
            # A region of usable size 0 is nothing but its marker.
            self._sizes[first] = end - first
            self._free.append(first)
            if end != self._terminator and end != first:
                self._sizes[end] = 0
                self._free.append(end)
        self._free_size = sum(self._sizes.values())
        for index, block in enumerate(self._free):
            self._write_size(block)
            self._write_list_link(index)
        self.write_word(self._terminator + self.word_size, 0)
        self._write_link(self._terminator, 0)
        self._start()

    def _take(self, index: int, remainder: int | None) -> None:
        if remainder is None:
            del self._free[index]
        else:
            self._free[index] = remainder
            self._write_list_link(index)
        self._write_list_link(index - 1)

    def _insert(self, block: int) -> None:
        # A freed header has its link still at zero, and keeps it when the preceding block
        # swallows it: then it is never written again.
        index = bisect_left(self._free, block)
        self.nodes += index
        if index > 0 and self._ends_at(self._free[index - 1], block):
            index -= 1
            self._swallow(self._free[index], block)
        else:
            self._free.insert(index, block)
            self._write_list_link(index - 1)
        following = self._free[index + 1 : index + 2]
        if following and self._ends_at(self._free[index], following[0]):
            self.nodes += 1
            del self._free[index + 1]
            self._swallow(self._free[index], following[0])
        self._write_list_link(index)

    def _ends_at(self, block: int, address: int) -> bool:
        return block + self._sizes[block] == address

    def _swallow(self, block: int, neighbour: int) -> None:
        self._sizes[block] += self._sizes.pop(neighbour)
        self._write_size(block)

    def blocks(self) -> list[tuple[int, int, bool]]:
        return [block for block in super().blocks() if block[0] not in self._markers]


class Model4(Model5):
    """heap_4: what heap_5 is with one region. Set up by construction, not by the first malloc."""

    def __init__(
        self,
        size: int,
        *,
        base_address: int = DEFAULT_BASE_ADDRESS,
        word_size: int = 4,
        alignment: int = 8,
        clear_on_free: bool = False,
        canary: int | None = None,
        fill: int = 0,
    ) -> None:
        super().__init__(
            [(base_address, size)],
            word_size=word_size,
            alignment=alignment,
            clear_on_free=clear_on_free,
            canary=canary,
            fill=fill,
        )


class Model3(Model):
    """heap_3 over newlib-nano's malloc: first fit, cut from the end, growing by ``sbrk``.

    Bytes that ``sbrk`` handed out only to align its break belong to no block.
    """

    CHUNK_HEADER = 4
    SMALLEST_CHUNK = 12

    def __init__(
        self, size: int, *, base_address: int = DEFAULT_BASE_ADDRESS, fill: int = 0
    ) -> None:
        super().__init__([(base_address, size)], 4, 8, fill)
        if size == 0 or base_address == 0:
            raise ValueError(f"size {size} at {base_address:#x}")
        self.base_address = base_address
        self.size = size
        self.reset()

    def reset(self) -> None:
        self.break_offset = 0
        self._sizes: dict[int, int] = {}
        self._free: list[int] = []
        self._start()

    @property
    def free_size(self) -> int:
        return sum(size for _, size in self.free_blocks())

    def _sbrk(self, size: int) -> int | None:
        if self.break_offset + size > self.size:
            return None
        address = self.base_address + self.break_offset
        self.break_offset += size
        return address

    def _grow(self, size: int) -> int | None:
        address = self._sbrk(size)
        if address is None:
            return None
        aligned = round_up(address, 4)
        # When the second call fails, what the first one gave is lost.
        if aligned != address and self._sbrk(aligned - address) is None:
            return None
        return aligned

    def _write_size(self, chunk: int) -> None:
        self.write_word(chunk, self._sizes[chunk])

    def _write_list_link(self, index: int) -> None:
        if index >= 0:
            following = self._free[index + 1 : index + 2]
            self.write_word(self._free[index] + 4, following[0] if following else 0)

    def _allocate(self, size: int) -> tuple[int, int] | None:
        wanted = (round_up(size, 4) + 8) & self.word_max
        if wanted >= self.top_bit or wanted < size:
            return None
        wanted = max(wanted, self.SMALLEST_CHUNK)
        for index, chunk in enumerate(self._free):
            remainder = self._sizes[chunk] - wanted
            if remainder >= 0:
                self.nodes += index + 1
                found = self._cut(index, wanted, remainder)
                break
        else:
            self.nodes += len(self._free)
            grown = self._grow(wanted)
            if grown is None:
                return None
            found = grown
            self._sizes[found] = wanted
            self._write_size(found)
        payload = round_up(found + self.CHUNK_HEADER, 8)
        if payload != found + self.CHUNK_HEADER:
            # Padding: free finds the chunk's start by this negative offset.
            self.write_word(found + 4, -4 & self.word_max)
        return payload, found

    def _cut(self, index: int, wanted: int, remainder: int) -> int:
        """Serve from entry ``index``: from its end if what stays at the front can be a chunk."""
        chunk = self._free[index]
        if remainder < self.SMALLEST_CHUNK:
            del self._free[index]
            self._write_list_link(index - 1)
            return chunk
        self._sizes[chunk] = remainder
        self._write_size(chunk)
        cut = chunk + remainder
        self._sizes[cut] = wanted
        self._write_size(cut)
        return cut

    def _release(self, block: int) -> None:
        index = bisect_left(self._free, block)
        self.nodes += index
        if index > 0 and self._ends_at(self._free[index - 1], block):
            # The freed chunk's own header is not touched.
            index -= 1
            self._swallow(self._free[index], block)
            self._swallow_following(index)
        else:
            self._free.insert(index, block)
            self._swallow_following(index)
            self._write_size(block)
            self._write_list_link(index)
            self._write_list_link(index - 1)

    def _swallow_following(self, index: int) -> None:
        following = self._free[index + 1 : index + 2]
        if following and self._ends_at(self._free[index], following[0]):
            self.nodes += 1
            del self._free[index + 1]
            self._swallow(self._free[index], following[0])
            self._write_list_link(index)

    def _ends_at(self, chunk: int, address: int) -> bool:
        return chunk + self._sizes[chunk] == address

    def _swallow(self, chunk: int, neighbour: int) -> None:
        self._sizes[chunk] += self._sizes.pop(neighbour)
        self._write_size(chunk)

    def _rest(self) -> list[tuple[int, int]]:
        """What ``sbrk`` has not reached."""
        if self.break_offset == self.size:
            return []
        return [(self.base_address + self.break_offset, self.size - self.break_offset)]

    def blocks(self) -> list[tuple[int, int, bool]]:
        live = set(self._live.values())
        chunks = [(chunk, self._sizes[chunk], chunk in live) for chunk in sorted(self._sizes)]
        return chunks + [(address, size, False) for address, size in self._rest()]

    def free_blocks(self) -> list[tuple[int, int]]:
        return [(chunk, self._sizes[chunk]) for chunk in self._free] + self._rest()

    def usable_size(self, address: int) -> int:
        chunk = self._live[address]
        return chunk + self._sizes[chunk] - address
