"""heap_2: best fit, and nothing is ever merged."""

from __future__ import annotations

from model.base import DEFAULT_BASE_ADDRESS, round_down, round_up
from model.headers import HeaderModel
from model.versions import Kernel, Rule


class Model2(HeaderModel):
    """heap_2: best fit over a list ordered by size. Nothing is ever merged.

    Of NODETECT no recording has a free that the newest refuses, nor an arena's bytes: here such a
    free is refused, as in Python, and an allocated block keeps the header that it had in the list.
    """

    kind = 2

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
        kernel: Kernel | str | None = None,
    ) -> None:
        super().__init__(
            [(base_address, size)], word_size, alignment, clear_on_free, None, fill, kernel
        )
        if end_marker_address is None:
            end_marker_address = round_down(base_address - 2 * word_size, word_size)
        self._terminator = end_marker_address
        self._first = round_up(base_address, alignment)
        self._limit = size - alignment
        if self._limit < self.header_size or self._first == 0:
            raise ValueError(f"size {size} at {base_address:#x}")
        if Rule.START in self.rules:
            self._first = round_down(base_address + alignment, alignment)
        self.reset()

    def reset(self) -> None:
        self._sizes = {self._first: self._limit}
        self._free = [self._first]
        self._free_size = self._limit
        self._write_size(self._first)
        self._write_list_link(0)
        self._start()

    def _may_search(self, wanted: int) -> bool:
        if Rule.STRICT in self.rules:
            return wanted < self._limit
        return super()._may_search(wanted)

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
