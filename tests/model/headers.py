"""The heaps that put a header before each payload: heap_2, heap_4 and heap_5."""

from __future__ import annotations

from abc import abstractmethod

from model.base import HeaderOverHeader, MallocAsserts, Model, ZeroesBeyond, round_down, round_up
from model.versions import Kernel, Rule


class HeaderModel(Model):
    """heap_2, heap_4 and heap_5: a header of link and size before each payload, and a free list."""

    def __init__(
        self,
        regions: list[tuple[int, int]],
        word_size: int,
        alignment: int,
        clear_on_free: bool,
        canary: int | None,
        fill: int,
        kernel: Kernel | str | None,
    ) -> None:
        super().__init__(regions, word_size, alignment, fill, kernel)
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
        marked = allocated and Rule.NODETECT not in self.rules
        top = self.top_bit if marked else 0
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

    def _block_size(self, size: int) -> int:
        if Rule.PAD in self.rules:
            return round_down(size, self.alignment) + self.alignment + self.header_size
        if Rule.WRAP in self.rules:
            modulus = self.word_max + 1
            return round_up((size + self.header_size) % modulus, self.alignment) % modulus
        return round_up(size + self.header_size, self.alignment)

    def _may_search(self, wanted: int) -> bool:
        """The tests before the search: nothing is visited when one fails."""
        return wanted < self.top_bit and wanted <= self._free_size

    def _allocate(self, size: int) -> tuple[int, int] | None:
        wanted = self._block_size(size)
        if size == 0 or wanted == 0 or not self._may_search(wanted):
            return None
        if wanted < 2 * self.word_size:
            raise HeaderOverHeader(hex(size))
        index = self._search(wanted)
        if index is None:
            if Rule.PROTASSERT in self.rules and self.canary is not None:
                raise MallocAsserts(hex(size))
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
        if Rule.NODETECT not in self.rules:
            self.write_word(block, self._allocated_link())
        self._free_size -= self._sizes[block]
        return block + self.header_size, block

    def _allocated_link(self) -> int:
        return 0 if Rule.PLAINLINK in self.rules else self.canary or 0

    def calloc(self, n: int, size: int) -> int | None:
        wraps = Rule.WRAP in self.rules and n * size + self.header_size > self.word_max
        if wraps and n * size <= self.word_max and self._block_size(n * size):
            raise ZeroesBeyond(f"{n} * {size}")
        return super().calloc(n, size)

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
