"""What replay() documents, in plain Python."""

from __future__ import annotations

from typing import Any

from rtosheap import Op, Trace


class OneByOne:
    """What replay() documents, as single calls on a heap. `apart`: a realloc is a malloc, a copy
    and a free on heap_3, too.
    """

    def __init__(self, heap: Any, *, apart: bool = False) -> None:
        self.heap = heap
        self.by_call = heap.newlib is not None and not apart
        self.blocks: dict[int, Any] = {}  # id -> (address, size), "failed" or "zero"
        self.live_bytes = 0
        self.counts = dict.fromkeys(("failures", "zero_size", "skipped", "ignored_frees"), 0)

    def call(self, op: int, block: int, size: int) -> tuple[int, int]:
        """The address and the failure of an event."""
        if op == Op.MALLOC:
            return self.malloc(block, size)
        if op == Op.REALLOC:
            return self.realloc(block, size)
        return self.free(block), 0

    def addresses(self, trace: Trace) -> list[int]:
        """The addresses of a whole trace."""
        events = zip(trace.op.tolist(), trace.id.tolist(), trace.size.tolist(), strict=True)
        return [self.call(*event)[0] for event in events]

    def malloc(self, block: int, size: int) -> tuple[int, int]:
        needed = self.heap.free_size
        address = self.heap.malloc(size)
        if address is None and size == 0:
            self.blocks[block] = "zero"
            self.counts["zero_size"] += 1
            return 0, 0
        if address is None:
            self.blocks.setdefault(block, "failed")
            self.counts["failures"] += 1
            return 0, 2 if self.fits(size, needed) else 1
        self.counts["zero_size"] += size == 0
        self.blocks[block] = (address, size)
        self.live_bytes += size
        return address, 0

    def fits(self, size: int, free: int) -> bool:
        """Are there enough free bytes for the block?"""
        heap = self.heap
        if heap.kind == 1:
            return False
        if heap.kind == 3:
            return max(12, -(-size // 4) * 4 + 8) <= free
        step = heap.alignment
        header = -(-2 * heap.word_size // step) * step
        return bool(-(-(size + header) // step) * step <= free)

    def free(self, block: int) -> int:
        state = self.blocks.pop(block)
        if state == "failed":
            self.counts["skipped"] += 1
        if isinstance(state, str):
            return 0
        self.release(*state)
        return int(state[0])

    def release(self, address: int, size: int) -> None:
        self.live_bytes -= size
        if self.heap.kind == 1:
            self.counts["ignored_frees"] += 1
        else:
            self.heap.free(address)

    def realloc(self, block: int, size: int) -> tuple[int, int]:
        state = self.blocks[block]
        if state == "failed":
            self.counts["skipped"] += 1
            return 0, 0
        if state == "zero":
            del self.blocks[block]
            return self.malloc(block, size)
        if self.by_call:
            return self.realloc_by_call(block, *state, size)
        address, failure = self.malloc(block, size)
        if failure:
            return 0, failure
        if address:
            kept = min(size, state[1])
            self.heap.view(address)[:kept] = bytes(self.heap.view(state[0])[:kept])
        self.release(*state)
        return address, 0

    def realloc_by_call(self, block: int, old: int, before: int, size: int) -> tuple[int, int]:
        """The C library's own."""
        needed = self.heap.free_size
        address = self.heap.realloc(old, size)
        if address is None and size != 0:
            self.counts["failures"] += 1
            return 0, 2 if self.fits(size, needed) else 1
        self.live_bytes += size - before
        self.counts["zero_size"] += size == 0
        self.blocks[block] = (address, size) if size else "zero"
        return address or 0, 0
