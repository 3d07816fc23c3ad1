"""What a replay's columns say about each block: where it lay, and from which event to which.

Plots and fragmentation measures share it. Events are numbered from 0; all arrays are numpy's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.allocators import Allocator
from rtosheap.replays.result import Replay
from rtosheap.traces.events import Op

Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class BlockTable(NamedTuple):
    """Every block that a replay allocated, in the order of its events; one entry per block.

    Attributes
    ----------
    event, end : ndarray of int64
        The event that took it, and the one that gave it back; ``len(trace)`` if none did.
    region : ndarray of intp
        Index of its region in ``replay.regions``.
    offset : ndarray of int64
        Of its header, from its region's first byte.
    size, requested : ndarray of int64
        Bytes of the block, header included, and requested bytes.
    """

    event: Int64
    end: Int64
    region: npt.NDArray[np.intp]
    offset: Int64
    size: Int64
    requested: Int64

    def live_at(self, event: int) -> Bools:
        """Which blocks are live after `event`."""
        return (self.event <= event) & (self.end > event)


def failed(replay: Replay) -> Bools:
    """Which events are allocations that failed."""
    if replay.failed is not None:
        return np.asarray(replay.failed, dtype=np.bool_)
    if replay.failure is not None:
        return np.asarray(replay.failure != 0)
    if replay.failures == 0:
        return np.zeros(len(replay.trace), dtype=np.bool_)
    return np.asarray(replay.column("failed"), dtype=np.bool_)


def block_table(replay: Replay, *, earlier: bool = False, asked: bool = False) -> BlockTable:
    """Every block that the replay allocated.

    Parameters
    ----------
    replay : Replay
    earlier : bool
        Whether to put before them the blocks that were live in the heap before the trace began:
        their event is -1, and what was requested in them is taken to be all but the header.
    asked : bool
        Whether what was requested stands for the sizes of an allocator that does not tell them.

    Raises
    ------
    ValueError
        If ``address``, ``block_size`` or (where an allocation failed) ``failed`` was not recorded.
    """
    address = replay.column("address")
    event = np.flatnonzero((replay.trace.op != Op.FREE) & (address != 0))
    region, offset = _locate(replay, address[event], replay.header_size)
    requested = replay.trace.size[event].astype(np.int64)
    untold = asked and isinstance(replay.heap, Allocator)
    untold = untold and "block_size" not in replay.heap.columns
    table = BlockTable(
        event=event,
        end=_ends(replay)[event],
        region=region,
        offset=offset,
        size=requested if untold else replay.column("block_size")[event].astype(np.int64),
        requested=requested,
    )
    return _with_earlier(replay, table) if earlier else table


def _with_earlier(replay: Replay, table: BlockTable) -> BlockTable:
    before = replay._before
    if isinstance(before, Allocator):
        blocks = before._live_blocks()
    elif before is None:
        blocks = []
    else:
        blocks = [block[:2] for block in before._blocks(True) if block[2]]
    if not blocks:
        return table
    address = np.array([block[0] for block in blocks], dtype=np.uint64)
    size = np.array([block[1] for block in blocks], dtype=np.int64)
    region, offset = _locate(replay, address, 0)
    earlier = BlockTable(
        event=np.full(len(blocks), -1, dtype=np.int64),
        end=np.full(len(blocks), len(replay.trace), dtype=np.int64),
        region=region,
        offset=offset,
        size=size,
        requested=size - replay.header_size,
    )
    return BlockTable(*(np.concatenate(pair) for pair in zip(earlier, table, strict=True)))


def _locate(
    replay: Replay, address: npt.NDArray[np.uint64], header: int
) -> tuple[npt.NDArray[np.intp], Int64]:
    """The region of each address, and the offset in there of what lies `header` before it."""
    starts = np.array([start for start, _ in replay.regions], dtype=np.uint64)
    region = np.searchsorted(starts, address, side="right") - 1
    return region, (address - starts[region]).astype(np.int64) - header


def _ends(replay: Replay) -> Int64:
    """The event that gives each event's block back, in this heap."""
    if not replay.frees:
        return np.full(len(replay.trace), len(replay.trace), dtype=np.int64)
    return _program_ends(replay)


def _program_ends(replay: Replay) -> Int64:
    """The event at which the program gives each event's block back, or tries to."""
    trace, ends = replay.trace, replay.trace.ends()
    # After a realloc that failed the old block lives on, until what would have ended the new one.
    stays = np.append(failed(replay) & (trace.op == Op.REALLOC), False)
    while (again := np.flatnonzero(stays[ends])).size:
        ends[again] = ends[ends[again]]
    return ends


def allocated_bytes(replay: Replay, blocks: BlockTable | None = None) -> Int64:
    """Bytes of live blocks, headers and slack included, after each event: shape (n,)."""
    blocks = block_table(replay) if blocks is None else blocks
    return _running_sum(blocks, blocks.size, len(replay.trace))


def live_bytes(replay: Replay, blocks: BlockTable | None = None) -> Int64:
    """Requested bytes of live blocks after each event: shape (n,).

    The column of that name where it was recorded, else summed up from the blocks. On heap_1, which
    takes nothing back, a block that the program freed does not count as live.
    """
    if replay.live_bytes is not None:
        return np.asarray(replay.live_bytes).astype(np.int64)
    blocks = block_table(replay) if blocks is None else blocks
    if not replay.frees:
        blocks = blocks._replace(end=_program_ends(replay)[blocks.event])
    return _running_sum(blocks, blocks.requested, len(replay.trace))


def _running_sum(blocks: BlockTable, amount: Int64, n: int) -> Int64:
    change = np.zeros(n + 1, dtype=np.int64)
    change[blocks.event] = amount  # one block per event
    np.subtract.at(change, blocks.end, amount)
    return np.cumsum(change[:n])
