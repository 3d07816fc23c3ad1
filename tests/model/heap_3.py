"""heap_3, where malloc is newlib-nano's."""

from __future__ import annotations

from bisect import bisect_left

from model.base import DEFAULT_BASE_ADDRESS, Model, round_up


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
