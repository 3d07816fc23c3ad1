"""Which sizes of a heap_2 serve a trace; they need not form one run.

Everything here is about sizes on the grid of the alignment. The arena's end belongs to one block,
called the tail: all that depends on the arena's size is how large the tail is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtosheap.replays.run import empty_columns
from rtosheap.sizing.problem import SizingProblem

_CHUNK = 1 << 16
_Bytes = npt.NDArray[np.int64]


class Endless:
    """One replay in an arena whose tail never runs out, and what it says of smaller arenas.

    Let C be the bytes cut from the tail before an event. In an arena of S bytes that has behaved
    in the same way so far, the tail has S - A - C bytes. A malloc of a block of B bytes that the
    endless arena served

    * from a free block of c bytes is served alike, unless the tail has B bytes or more and c or
      fewer: S between A + C + B and A + C + c. Then the tail is the better fit (or an equal one);
    * from the tail is served alike if more than 2H bytes are left of it: S above A + C + B + 2H.
      Below A + C + B it fails, as no other free block was large enough. Between the two the tail
      is handed out whole, and from then on the two arenas differ.

    So the first event that is not served alike tells whether S fails; if there is none, S serves.
    Where that event only differs, nothing is known, and S has to be replayed. From A + F + the
    largest c, B or 2H (F: all bytes cut) on, every size serves.

    Where the largest heap that there can be is not that large, its replay is the endless one until
    its tail is no more than the largest B + 2H; of what comes later nothing is known at any size.
    """

    def __init__(self, problem: SizingProblem) -> None:
        address, block, endless = self._replay(problem)
        events = np.flatnonzero(problem.blocks)
        address, block, wanted = address[events], block[events], problem.blocks[events]
        found, cut = self._follow(address, block)
        step, split_above = problem.layout.step, problem.layout.split_above
        from_tail = address == cut
        self._low: _Bytes = step + cut + wanted
        self._high: _Bytes = np.where(from_tail, self._low + split_above, step + cut + found)
        unknown = cut >= endless
        self._low[unknown], self._high[unknown] = 0, problem.largest
        self._fails = np.maximum.accumulate(np.where(from_tail, self._low, 0))
        #: From here on every size serves.
        self.bound = int(self._high.max()) // step * step + step

    @staticmethod
    def _follow(address: _Bytes, block: _Bytes) -> tuple[_Bytes, _Bytes]:
        """For each allocation the size of the free block that served it, and what had been cut
        from the tail before: shape (n,) both.
        """
        found, cut = np.zeros_like(address), np.zeros_like(address)
        sizes: dict[int, int] = {}  # of the blocks that were ever cut, by address
        tail = 0
        for start in range(0, len(address), _CHUNK):
            part = slice(start, start + _CHUNK)
            sources, tails = [], []
            for at, taken in zip(address[part].tolist(), block[part].tolist(), strict=True):
                tails.append(tail)
                source = sizes.get(at, 0)
                sources.append(source)
                if at == tail:
                    tail += taken
                elif taken < source:
                    sizes[at + taken] = source - taken
                sizes[at] = taken
            found[part], cut[part] = sources, tails
        return found, cut

    @staticmethod
    def _replay(problem: SizingProblem) -> tuple[_Bytes, _Bytes, int]:
        """Offsets of the blocks from the arena's first, and their sizes: shape (n,) both; and up to
        how many bytes cut from the tail this was as in an endless arena.
        """
        # No decision depends on where the heap and its end marker lie.
        options = {key: problem.options[key] for key in problem.options if "address" not in key}
        anywhere = SizingProblem(problem.trace, problem.heap_class, options)
        largest = int(problem.blocks.max())
        last = problem.layout.top_bit - 1
        size = problem.first_arena()
        while True:
            heap = anywhere.heap(size)
            columns = empty_columns(("address", "block_size"), len(problem.trace))
            counts = problem.replay(heap, columns)
            if counts.failures == 0:
                first, (at, left, allocated) = heap._blocks()[0][0], heap._blocks()[-1]
                most = largest + problem.layout.split_above
                # More than needed: then the tail was never handed out whole, and freed later.
                if (not allocated and left > most) or size == last:
                    address, block = (column.astype(np.int64) for column in columns.values())
                    offset = first + problem.layout.header
                    return address - offset, block, at + left - first - most
            if size == last:
                raise problem.fails_at_largest(counts)
            size = min(2 * size, last)

    def serves(self, size: int) -> bool | None:
        """Does a heap of `size` bytes serve the trace? None where this does not tell."""
        differs = (self._low <= size) & (size <= self._high)
        first = int(np.argmax(differs))
        fails = int(np.searchsorted(self._fails, size, side="right"))
        if differs[first] and first < fails:
            return None
        return fails == len(self._fails)


class Sizes:
    """Which sizes of a heap_2 serve a trace; see :class:`rtosheap.sizing._holes.Sizes`."""

    def __init__(self, problem: SizingProblem) -> None:
        self._problem, self._endless = problem, Endless(problem)
        self.step = problem.layout.step
        self.top = min(problem.largest // self.step * self.step, self._endless.bound)

    def serves(self, size: int) -> bool:
        """Does a heap of `size` bytes serve the trace?"""
        told = self._endless.serves(size)
        return self._problem.serves(size) if told is None else told
