"""heap_3, where malloc is newlib-nano's."""

from __future__ import annotations

from bisect import bisect_left

from model.base import DEFAULT_BASE_ADDRESS, Fault, InvalidFree, Model, round_up
from model.versions import NanoRule, Newlib


class ReadsAddress0(Fault):
    """READS0: the size of a chunk is read where no chunk is. Only ``sbrk`` has been asked."""


class WritesAddress4(Fault):
    """WRITES4: the head of the list stays, a word outside the arena is lost. Only ``sbrk`` has been
    asked.
    """


class StaysListed(Fault):
    """STAYS: ``address`` was handed out, and its chunk is still in the list."""

    def __init__(self, address: int) -> None:
        super().__init__(hex(address))
        self.address = address


class RequestWraps(Fault):
    """memalign without OVERFLOW: what is asked of malloc wraps. Nothing has changed."""


class Model3(Model):
    """heap_3 over newlib-nano's malloc: first fit, growing by ``sbrk``.

    Bytes that ``sbrk`` handed out only to align its break belong to no block. Undefined, and not to
    be asked for: all that follows a ``Fault``, but for what ``StaysListed`` itself left.
    """

    kind = 3
    CHUNK_HEADER = 4
    SMALLEST_CHUNK = 12

    def __init__(
        self,
        size: int,
        *,
        base_address: int = DEFAULT_BASE_ADDRESS,
        fill: int = 0,
        newlib: Newlib | str | None = None,
    ) -> None:
        super().__init__([(base_address, size)], 4, 8, fill)
        if size == 0 or base_address == 0:
            raise ValueError(f"size {size} at {base_address:#x}")
        self.newlib = newlib if isinstance(newlib, Newlib) else Newlib(newlib)
        self.nano = self.newlib.rules()
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
            if grown is None and NanoRule.EXTEND in self.nano:
                grown = self._extend_last(wanted)
            elif grown is not None:
                self._sizes[grown] = wanted
                self._write_size(grown)
            if grown is None:
                return None
            found = grown
        payload = round_up(found + self.CHUNK_HEADER, 8)
        self._write_gap(found, payload)
        if found in self._free:
            self._served((payload, found))
            raise StaysListed(payload)
        return payload, found

    def _write_gap(self, chunk: int, payload: int) -> None:
        """free finds the chunk by the negative word before a payload that is further on."""
        gap = payload - chunk - self.CHUNK_HEADER
        if gap:
            self.write_word(payload - 4, -gap & self.word_max)

    def _extend_last(self, wanted: int) -> int | None:
        """Grow the last entry up to the break, which ``sbrk`` moves by what is missing."""
        if not self._free:
            if NanoRule.READS0 in self.nano:
                raise ReadsAddress0
            return None
        last = self._free[-1]
        if not self._ends_at(last, self.base_address + self.break_offset):
            return None
        missing = wanted - self._sizes[last] + (8 if NanoRule.EIGHT in self.nano else 0)
        if self._sbrk(missing) is None:
            return None
        if NanoRule.WRITES4 in self.nano and len(self._free) == 1:
            raise WritesAddress4
        self._sizes[last] += missing
        self._write_size(last)
        if NanoRule.STAYS not in self.nano:
            del self._free[-1]
            self._write_list_link(len(self._free) - 1)
        return last

    def _cut(self, index: int, wanted: int, remainder: int) -> int:
        """Serve from entry ``index``; what stays in the list, if it can be a chunk, is its front or
        by FRONT its end.
        """
        chunk = self._free[index]
        if remainder < self.SMALLEST_CHUNK:
            del self._free[index]
            self._write_list_link(index - 1)
            return chunk
        if NanoRule.FRONT in self.nano:
            self._sizes[chunk] = wanted
            self._write_size(chunk)
            self._free[index] = chunk + wanted
            self._sizes[chunk + wanted] = remainder
            self._write_size(chunk + wanted)
            self._write_list_link(index)
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

    # The other calls of the C library.

    def calloc(self, n: int, size: int) -> int | None:
        if n * size > self.word_max:
            if NanoRule.OVERFLOW in self.nano:
                self.nodes = 0
                return self._served(None)
            n, size = 1, n * size & self.word_max
        return super().calloc(n, size)

    def realloc(self, address: int | None, size: int) -> int | None:
        """Without SHRINK as many bytes are copied as are asked for, from past the old block too: as
        far as the arena goes, since what follows it no rule says.
        """
        if not address:
            return self.malloc(size)
        self.nodes = 0
        if address not in self._live:
            raise InvalidFree(hex(address))
        if size == 0:
            self.free(address)
            return None
        usable = self.usable_size(address)
        if usable >= size and not (NanoRule.SHRINK in self.nano and usable // 2 >= size):
            return address
        moved = self.malloc(size)
        if moved is not None:
            copied = min(usable, size) if NanoRule.SHRINK in self.nano else size
            self.write(moved, self._read(address, copied))
            self.free(address)
        return moved

    def _read(self, address: int, size: int) -> bytes:
        """Bytes to be copied: nothing is decided by them."""
        at = address - self.base_address
        return bytes(self._images[0][at : at + size])

    def memalign(self, alignment: int, size: int) -> int | None:
        self.nodes = 0
        if alignment & (alignment - 1):
            return None
        alignment = max(alignment, 8)
        body = round_up(max(size, 4), 4)
        wanted = body + alignment - 8
        if size > self.word_max - 4 or wanted > self.word_max:
            if NanoRule.OVERFLOW in self.nano:
                return self._served(None)
            raise RequestWraps(hex(size))
        found = self._allocate(wanted)
        if found is not None:
            inner, chunk = found
            self._returned.add(inner)
            self._see_minimum()
            payload = round_up(chunk + self.CHUNK_HEADER, alignment)
            found = payload, self._trim(chunk, payload, body)
        return self._served(found)

    def _trim(self, chunk: int, payload: int, body: int) -> int:
        """Free what a chunk has before a payload and after its body; the chunk that is left."""
        gap = payload - chunk - self.CHUNK_HEADER
        if gap >= self.SMALLEST_CHUNK:
            chunk += gap
            self._divide(chunk - gap, chunk)
            self._release(chunk - gap)
        else:
            self._write_gap(chunk, payload)
        end = payload + body
        if chunk + self._sizes[chunk] - end > self.SMALLEST_CHUNK:
            self._divide(chunk, end)
            self._release(end)
        return chunk

    def _divide(self, chunk: int, at: int) -> None:
        self._sizes[at] = chunk + self._sizes[chunk] - at
        self._sizes[chunk] = at - chunk
        self._write_size(at)
        self._write_size(chunk)

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
