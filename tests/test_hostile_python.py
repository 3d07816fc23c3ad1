"""Python code that runs where one does not expect it cannot break a heap or the interpreter."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from needs import LAST_RESORT
from parts import few_of

from rtosheap import (
    Heap2,
    Heap3,
    Heap4,
    Heap5,
    HeapCorruptionError,
    InvalidFreeError,
    Trace,
    _core,
    replay,
)


class FreesWhenCollected:
    """A cycle whose finaliser uses the heap that is being looked at."""

    def __init__(self, heap: Any, addresses: list[int]) -> None:
        self.heap, self.addresses, self.me = heap, addresses, self

    def __del__(self) -> None:
        for address in self.addresses:
            self.heap.free(address)
        self.heap.reset()


@pytest.fixture
def frozen() -> Iterator[None]:
    """A collection looks at what the test makes, and not at all that there is."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("kind", few_of([Heap2, Heap3, Heap4], [Heap4]))
@pytest.mark.parametrize("look", ["blocks", "free_blocks", "stats", "copy", "_snapshot"])
def test_a_finaliser_during_a_look(kind: Any, look: str) -> None:
    threshold = gc.get_threshold()
    for first in range(1, 12):
        heap = kind(1 << 16)
        addresses = [heap.malloc(16) for _ in range(800)]
        for address in addresses[::2]:
            heap.free(address)
        gc.disable()
        FreesWhenCollected(heap, addresses[1::2])
        gc.set_threshold(first * 97, 1, 1)
        gc.enable()
        try:
            getattr(heap, look)()
        finally:
            gc.set_threshold(*threshold)
        gc.collect()
        heap.check()
        assert len(heap.blocks()) <= 2


class FreesOne:
    """A cycle whose finaliser frees a block, if it still can."""

    def __init__(self, heap: Any, address: int) -> None:
        self.heap, self.address, self.me = heap, address, self

    def __del__(self) -> None:
        with contextlib.suppress(BufferError):
            self.heap.free(self.address)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("heap", [Heap3.host, lambda: Heap4(1 << 16)], ids=["host", "heap_4"])
def test_a_finaliser_during_a_view(heap: Any) -> None:
    """A view is of a block that is live, or there is none."""
    threshold = gc.get_threshold()
    seen = set()
    for first in range(1, 60):
        used = heap()
        address = used.malloc(64)
        gc.collect()
        gc.disable()
        FreesOne(used, address)
        gc.set_threshold(first, 1, 1)
        gc.enable()
        view = None
        try:
            view = used.view(address)
        except InvalidFreeError:
            pass
        finally:
            gc.set_threshold(*threshold)
        if view is None:
            seen.add("freed before")
            continue
        seen.add("viewed")
        if isinstance(used, Heap3):  # the block is lent out, and nobody can free it
            view[:] = b"x" * len(view)
            with pytest.raises(BufferError):
                used.free(address)
        del view
        gc.collect()
    assert "viewed" in seen


def test_slots_that_change_during_a_replay() -> None:
    events = 20_000
    op = np.full(events, ord("m"), np.uint8)
    slot = np.zeros(events, np.int32)
    size = np.zeros(events, np.uint64)

    def progress(done: int, total: int) -> None:
        slot[:] = 2**30

    heap = Heap4(1024)
    with pytest.raises(ValueError, match=r"event \d+ is none: operation 109, slot 1073741824 of 1"):
        _core.replay(heap, op, slot, size, 1, {}, False, False, progress)
    heap.check()
    assert heap.malloc(8) is not None


@pytest.mark.parametrize(("op", "slot"), [(ord("m"), 1), (ord("m"), -1), (ord("x"), 0), (0, 0)])
def test_events_that_are_none(op: int, slot: int) -> None:
    arrays = np.array([op], np.uint8), np.array([slot], np.int32), np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="event 0 is none"):
        _core.replay(Heap4(1024), *arrays, 1, {}, False, False, None)


def test_arrays_of_another_shape() -> None:
    op, slot, size = np.zeros(3, np.uint8), np.zeros(3, np.int32), np.zeros(3, np.uint64)
    odd = np.zeros(13, np.uint8)[1:].view(np.int32)
    for arrays in ((op, slot[:2], size), (op, size, size), (slot, slot, size), (op, odd, size)):
        with pytest.raises(ValueError, match="must be an aligned array"):
            _core.replay(Heap4(1024), *arrays, 1, {}, False, False, None)
    with pytest.raises((BufferError, ValueError)):
        _core.replay(Heap4(64), op, slot[::-1], size, 1, {}, False, False, None)
    with pytest.raises(ValueError, match="slots"):
        _core.replay(Heap4(1024), op, slot, size, -1, {}, False, False, None)
    with pytest.raises(TypeError):
        _core.replay(Heap4(1024), op, slot, size, "x", {}, False, False, None)  # type: ignore[arg-type]


class Slow:
    """A truth value that is told when another thread's replay has started."""

    def __init__(self, started: threading.Event) -> None:
        self.started = started

    def __bool__(self) -> bool:
        assert self.started.wait(LAST_RESORT)
        return False


def test_two_replays_at_once_are_none() -> None:
    heap = Heap4(1 << 16)
    events = 20_000
    op = np.where(np.arange(events) % 2 == 0, ord("m"), ord("f")).astype(np.uint8)
    slot, size = np.zeros(events, np.int32), np.full(events, 8, np.uint64)
    started, refused = threading.Event(), threading.Event()

    def progress(done: int, total: int) -> None:
        started.set()
        assert refused.wait(LAST_RESORT)  # the replay is at work for as long as that takes

    def other() -> None:
        _core.replay(heap, op, slot, size, 1, {}, False, False, progress)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="busy"):
            _core.replay(heap, op, slot, size, 1, {}, Slow(started), False, None)  # type: ignore[arg-type]
    finally:
        refused.set()
        thread.join()
    heap.check()


def test_a_heap_that_is_being_made_is_busy() -> None:
    seen = []

    class Peeks:
        def __index__(self) -> int:
            for thing in gc.get_objects():
                if isinstance(thing, _core.Heap) and id(thing) not in known:
                    for call in (lambda t=thing: t.malloc(8), lambda t=thing: t.free(8)):
                        with pytest.raises(RuntimeError):
                            call()
                    seen.append(thing)
            return 4

    gc.collect()
    known = {id(thing) for thing in gc.get_objects() if isinstance(thing, _core.Heap)}
    Heap4(1024, word_size=Peeks())
    assert seen


@pytest.mark.parametrize("size", [10**5000, 2**70], ids=["huge", "large"])
def test_ints_of_thousands_of_digits(size: int) -> None:
    heap = Heap4(1024)
    with pytest.raises(OverflowError, match=r"more than 64 bits|got 1180591620717411303424"):
        heap.malloc(size)
    with pytest.raises(ValueError, match="negative"):
        heap.malloc(-size)
    for address in (size, -size):
        with pytest.raises(InvalidFreeError):
            heap.free(address)
        with pytest.raises(InvalidFreeError):
            heap.view(address)
    with pytest.raises(ValueError, match="memory"):
        Heap4(size)
    with pytest.raises(ValueError, match="canary"):
        Heap4(1024, canary=size)


def test_a_size_too_large_for_the_word_is_not_asked_of_the_memory() -> None:
    with pytest.raises(ValueError, match=r"memory must be a size from 0 up to 2147483647"):
        Heap4(np.int64(1 << 40))


def test_index_is_called_once() -> None:
    class Counts:
        calls = 0

        def __index__(self) -> int:
            self.calls += 1
            return 0x1234 + self.calls

    wrong = Counts()
    with pytest.raises(InvalidFreeError, match="0x00001235"):
        Heap4(1024).free(wrong)
    assert wrong.calls == 1


def test_regions_that_share_memory() -> None:
    memory = bytearray(1024)
    with pytest.raises(ValueError, match=r"regions\[0\] and regions\[1\] share memory"):
        Heap5([(0x1000, memory), (0x2000, memory)])
    whole = memoryview(memory)
    with pytest.raises(ValueError, match="share memory"):
        Heap5([(0x1000, whole[:600]), (0x2000, whole[500:])])
    Heap5([(0x1000, whole[:500]), (0x2000, whole[500:])]).check()


def test_a_host_heap_in_a_cycle_with_its_view() -> None:
    class Mine(Heap3):
        pass

    heap = Mine.host()
    heap.view_of_mine = heap.view(heap.malloc(8))  # type: ignore[attr-defined]
    import weakref

    reference = weakref.ref(heap)
    del heap
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("word", [0, 4])
@pytest.mark.parametrize("kind", [Heap2, Heap3, Heap4])
def test_a_realloc_that_meets_damage_changes_nothing(kind: Any, word: int) -> None:
    """Its malloc is served by a hole before the damaged one, its free would meet that."""
    heap = kind(4096)
    layout = [
        ("m", 0, 32),
        ("m", 1, 8),
        ("m", 2, 48),
        ("m", 3, 8),
        ("m", 4, 96),
        ("f", 0),
        ("f", 2),
    ]
    padding = [("m", 9, 8), ("f", 9)] * ((4096 - len(layout) - 1) // 2) + [("m", 8, 8)]
    trace = Trace.from_events([*padding, *layout, ("r", 4, 24)])
    assert len(trace) == 4097
    before = []

    def progress(done: int, total: int) -> None:
        assert done == 4096
        memory = memoryview(heap)
        memory[second.address - heap.base_address + word] ^= 0x10
        before.append(bytes(memory))

    twin = kind(4096)
    replay(trace[:4096], twin)
    state = twin._snapshot()
    first, second = [block for block in twin.blocks() if not block.allocated][:2]
    assert first.size < second.size < 104
    with pytest.raises(HeapCorruptionError, match=r"at event 4096"):
        replay(trace, heap, progress=progress)
    assert bytes(memoryview(heap)) == before[0]
    assert heap._snapshot() == state
