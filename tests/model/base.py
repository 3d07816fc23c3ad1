"""What the five models share: memory, counters, statistics and the checks of ``free``."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TypeVar

from model.versions import Kernel

DEFAULT_BASE_ADDRESS = 0x2000_0000

Self = TypeVar("Self", bound="Model")


class ModelError(Exception):
    """What the model refuses to do."""


class InvalidFree(ModelError):
    """The address is not that of a live payload."""


class DoubleFree(InvalidFree):
    """malloc returned the address since set-up, and it is not live any more."""


class MallocAsserts(ModelError):
    """PROTASSERT: the kernel's check stops a malloc that fits nowhere. Nothing has changed."""


class Fault(ModelError):
    """The device faults, or goes on with a damaged heap: what would follow, no rule says."""


class NullLink(Fault):
    """EMPTYCRASH: statistics follow the null link of an empty free list. Nothing has changed."""


class HeaderOverHeader(Fault):
    """WRAP: a block that is smaller than the two words of its header. Nothing has changed."""


class ZeroesBeyond(Fault):
    """WRAP: a calloc whose block would be smaller than what it zeroes; the kernels that wrap
    have no calloc. Nothing has changed.
    """


def round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def round_down(value: int, step: int) -> int:
    return value // step * step


class Model(ABC):
    """What the five heaps share: memory, counters, statistics and the checks of ``free``."""

    kind: int

    def __init__(
        self,
        regions: list[tuple[int, int]],
        word_size: int,
        alignment: int,
        fill: int,
        kernel: Kernel | str | None = None,
    ) -> None:
        self.kernel = kernel if isinstance(kernel, Kernel) else Kernel(kernel)
        self.rules = self.kernel.rules(self.kind)
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
        return self._served(self._allocate(size))

    def _served(self, found: tuple[int, int] | None) -> int | None:
        """Count what an allocation gave."""
        # Outside the branch below: a refused malloc of heap_3 can waste memory.
        self._see_minimum()
        if found is None:
            self.malloc_failed_count += 1
            return None
        payload, block = found
        self._live[payload] = block
        self._returned.add(payload)
        self.allocation_count += 1
        return payload

    def _see_minimum(self) -> None:
        self.minimum_ever_free_size = min(self.minimum_ever_free_size, self.free_size)

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
        if address is None or address == 0:
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
