"""heap_1: a bump pointer."""

from __future__ import annotations

from model.base import DEFAULT_BASE_ADDRESS, InvalidFree, Model, round_down, round_up
from model.versions import Kernel, Rule


class Model1(Model):
    """heap_1: a bump pointer. No header, no free, nothing written."""

    kind = 1

    def __init__(
        self,
        size: int,
        *,
        base_address: int = DEFAULT_BASE_ADDRESS,
        word_size: int = 4,
        alignment: int = 8,
        fill: int = 0,
        kernel: Kernel | str | None = None,
    ) -> None:
        super().__init__([(base_address, size)], word_size, alignment, fill, kernel)
        # The alignment's loss is taken off whether or not there is any.
        self._limit = size - alignment
        self._first = round_up(base_address, alignment)
        if self._limit <= 0 or self._first == 0:
            raise ValueError(f"size {size} at {base_address:#x}")
        if Rule.START in self.rules:
            self._first = round_down(base_address + alignment, alignment)
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
        if address is not None and address != 0:
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
