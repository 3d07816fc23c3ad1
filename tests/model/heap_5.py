"""heap_5: first fit with coalescing, over several regions."""

from __future__ import annotations

from bisect import bisect_left

from model.base import NullLink, round_down, round_up
from model.headers import HeaderModel
from model.versions import Kernel, Rule

MOST_TICKS = 0xFFFF_FFFF  # portMAX_DELAY, with ticks of 32 bits


class Model5(HeaderModel):
    """heap_5: first fit over a list ordered by address, with coalescing, over several regions.

    The end marker of each region but the last is an entry of the list, of size 0.
    """

    kind = 5

    def __init__(
        self,
        regions: list[tuple[int, int]],
        *,
        word_size: int = 4,
        alignment: int = 8,
        clear_on_free: bool = False,
        canary: int | None = None,
        fill: int = 0,
        kernel: Kernel | str | None = None,
    ) -> None:
        super().__init__(regions, word_size, alignment, clear_on_free, canary, fill, kernel)
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
        elif Rule.ABSORB in self.rules:
            del self._free[index]
            self._insert(remainder)
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

    def stats(self) -> tuple[int, int, int, int, int, int, int]:
        if Rule.EMPTYCRASH in self.rules and not self._free:
            raise NullLink
        free, largest, smallest, *rest = super().stats()
        if Rule.MINCAP in self.rules:
            smallest = min(smallest, MOST_TICKS)
        return (free, largest, smallest, *rest)

    def _ends_at(self, block: int, address: int) -> bool:
        return block + self._sizes[block] == address

    def _swallow(self, block: int, neighbour: int) -> None:
        self._sizes[block] += self._sizes.pop(neighbour)
        self._write_size(block)

    def blocks(self) -> list[tuple[int, int, bool]]:
        return [block for block in super().blocks() if block[0] not in self._markers]
