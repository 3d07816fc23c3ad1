"""The search for the smallest heap_2. Its sizes that serve a trace need not form one run.

Everything here is about sizes on the grid of the alignment. The arena's end belongs to one block,
called the tail: all that depends on the arena's size is how large the tail is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap._rig import Counts, Rig, UnservableError

#: Steps that the search looks to either side of what the bisection found.
WINDOW = 64
#: Steps after which it gives up to look for a run of sizes that all serve.
FARTHEST = 16 * WINDOW

_CHUNK = 1 << 16
_Bytes = npt.NDArray[np.int64]


class Found(NamedTuple):
    """The smallest size, and what is known of the larger ones."""

    size: int
    exact: bool = True
    safe_size: int | None = None  # None: `size` itself
    safe_checked_up_to: int | None = None  # None: proven for every larger size


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
    """

    def __init__(self, rig: Rig) -> None:
        address, block = self._replay(rig)
        events = np.flatnonzero(rig.blocks)
        address, block, wanted = address[events], block[events], rig.blocks[events]
        found, cut = self._follow(address, block)
        step, header = rig.alignment, rig.header
        from_tail = address == cut
        self._low: _Bytes = step + cut + wanted
        self._high: _Bytes = np.where(from_tail, self._low + 2 * header, step + cut + found)
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
    def _replay(rig: Rig) -> tuple[_Bytes, _Bytes]:
        """Offsets of the blocks from the arena's first, and their sizes: shape (n,) both."""
        # No decision depends on where the heap and its end marker lie.
        options = {key: rig.options[key] for key in rig.options if "address" not in key}
        largest = int(rig.blocks.max())
        last = (1 << (8 * rig.word_size - 1)) - 1
        size = rig.first_arena()
        while True:
            heap = rig.heap_class(size, **options)
            address, taken = (np.zeros(len(rig.trace), np.uint64) for _ in range(2))
            counts = rig.replay(heap, columns={"address": address, "block_size": taken})
            if counts.failures == 0:
                _, left, allocated = heap._blocks()[-1]
                # More than needed: then the tail was never handed out whole, and freed later.
                if not allocated and left > largest + 2 * rig.header:
                    start = heap.base_address + rig.header
                    return address.astype(np.int64) - start, taken.astype(np.int64)
            if size == last:
                raise _fails_at_largest(rig, counts)
            size = min(2 * size, last)

    def serves(self, size: int) -> bool | None:
        """Does a heap of `size` bytes serve the trace? None where this does not tell."""
        differs = (self._low <= size) & (size <= self._high)
        first = int(np.argmax(differs))
        fails = int(np.searchsorted(self._fails, size, side="right"))
        if differs[first] and first < fails:
            return None
        return fails == len(self._fails)


def search(rig: Rig, floor: int, full: bool) -> Found:
    """The smallest heap_2 from `floor` on.

    Bisection, then every size of `WINDOW` steps below and above what it found, and on above until
    as many in a row have served. `full`: every size from `floor` on.
    """
    step = rig.alignment
    rig.plan(4 + 2 * WINDOW)
    top = rig.largest // step * step
    endless = Endless(rig)
    top = min(top, endless.bound)

    def serves(size: int) -> bool:
        told = endless.serves(size)
        return rig.serves(size) if told is None else told

    if full:
        rig.plan((top - floor) // step)
        found = next((size for size in range(floor, top + 1, step) if serves(size)), None)
        if found is None:
            raise _fails_at_largest(rig, rig.replay(rig.heap(top)))
        safe = top
        while safe > found and serves(safe - step):
            safe -= step
        return Found(found, True, safe)

    if not serves(top):
        raise UnservableError(
            f"the largest {rig.name} at {rig.base:#x}, {top} bytes, fails at event "
            f"{rig.failure(top)}; whether a smaller one serves, search='full' can tell"
        )
    size, fails = top, floor - step
    while size - fails > step:
        middle = fails + (size - fails) // step // 2 * step
        if serves(middle):
            size = middle
        else:
            fails = middle
    below = size
    while below > max(floor, size - WINDOW * step):
        below -= step
        if serves(below):
            size = below
    safe = checked = size
    while checked < min(top, safe + WINDOW * step):
        checked += step
        if checked > size + FARTHEST * step:
            safe = checked = top
        elif not serves(checked):
            safe = checked + step
    return Found(size, False, safe, None if checked >= top else checked)


def _fails_at_largest(rig: Rig, counts: Counts) -> UnservableError:
    return rig.no_such_heap(counts.first_failure, "the largest heap fails there")
