"""The buffer under a heap: which serve, how long it is held, and what keeps a heap alive."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import struct
import weakref
from functools import partial
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import pytest
from heap_samples import ALL_HEAPS, ARENA_HEAPS, BASE, make_heap
from parts import few_of

from rtosheap import Heap4, Heap5, Trace, _core
from rtosheap.inspection import inspect


@pytest.mark.parametrize(
    "memory",
    [
        lambda: 1024,
        lambda: np.int64(1024),
        lambda: bytearray(1024),
        lambda: memoryview(bytearray(1024)),
        lambda: np.zeros(1024, np.uint8),
        lambda: np.zeros((16, 16), np.float32),
        lambda: np.zeros((16, 16), np.float32, order="F"),
        lambda: array.array("i", range(256)),
        lambda: mmap.mmap(-1, 1024),
        lambda: memoryview(bytearray(1027))[3:],
    ],
)
@pytest.mark.parametrize("kind", ARENA_HEAPS)
def test_takes_a_size_or_any_writable_contiguous_buffer(kind: type[Any], memory: Any) -> None:
    heap = kind(memory())
    address = heap.malloc(10)
    assert heap.size == 1024
    assert BASE <= address < BASE + 1024
    heap.view(address)[:3] = b"abc"
    assert memoryview(heap)[address - BASE : address - BASE + 3].tobytes() == b"abc"


@pytest.mark.parametrize(
    "memory",
    [
        lambda: np.array([None] * 100, dtype=object),
        lambda: (ctypes.py_object * 100)(),
        lambda: (ctypes.c_void_p * 100)(),
        lambda: np.zeros(100, [("number", "i4"), ("object", "O")]),
        lambda: np.zeros(100, "U4"),
    ],
)
@pytest.mark.parametrize("kind", [*ARENA_HEAPS, Heap5])
def test_memory_that_holds_pointers_is_nobodys_arena(kind: type[Any], memory: Any) -> None:
    given = memory()
    argument = [(BASE, given)] if kind is Heap5 else given
    for take in (kind, kind.from_image, partial(inspect, heap=kind)):
        with pytest.raises(
            TypeError, match="must be memory of plain bytes or numbers, not of items"
        ):
            take(argument)


def test_a_replay_writes_to_no_objects() -> None:
    trace = Trace("m", id=[0], size=[8])
    objects = np.array([None], dtype=object)
    for size, columns in ((objects, {}), (trace.size, {"address": objects})):
        with pytest.raises(TypeError, match="must be memory of plain bytes or numbers"):
            _core.replay(
                Heap4(256), trace.op, trace.slots.slot, size, 1, columns, False, False, None
            )
    assert objects[0] is None


def test_uses_the_buffer_in_place() -> None:
    memory = bytearray(256)
    heap = Heap4(memory)
    assert heap.memory is memory
    assert struct.unpack_from("<II", memory, 0) == (BASE + 248, 248)
    memory[100] = 7
    assert memoryview(heap)[100] == 7


def test_shared_memory() -> None:
    shared = shared_memory.SharedMemory(create=True, size=4096)
    try:
        heap = Heap4(shared.buf)
        address = heap.malloc(8)
        heap.view(address)[:2] = b"hi"
        assert bytes(shared.buf[8:10]) == b"hi"
        del heap
        gc.collect()
    finally:
        shared.close()
        shared.unlink()


def test_pins_the_buffer_while_it_lives() -> None:
    memory = bytearray(256)
    heap = Heap4(memory)
    with pytest.raises(BufferError):
        memory.append(1)
    view = heap.view(heap.malloc(8))
    del heap
    gc.collect()
    with pytest.raises(BufferError):
        memory.append(1)
    view[0] = 1
    view.release()
    memory.append(1)


@pytest.mark.parametrize("memory", [b"constant", "text", None, 1.5, [1], object()])
def test_other_memory_is_a_type_error(memory: Any) -> None:
    with pytest.raises((TypeError, BufferError), match="memory"):
        Heap4(memory)


def test_read_only_and_strided_buffers_are_refused() -> None:
    with pytest.raises(BufferError, match="memory must be a writable contiguous buffer"):
        Heap4(bytes(1024))
    with pytest.raises((BufferError, ValueError), match="memory must be a writable contiguous"):
        Heap4(np.zeros(2048, np.uint8)[::2])


def test_one_buffer_may_serve_two_regions() -> None:
    memory = bytearray(1024)
    heap = Heap5([(BASE, memoryview(memory)[:512]), (BASE + 512, memoryview(memory)[512:])])
    assert heap.malloc(600) is None  # no block spans two regions
    assert heap.malloc(400) == BASE + 8
    assert heap.malloc(400) == BASE + 520


@pytest.mark.parametrize("kind", few_of(ALL_HEAPS, ALL_HEAPS[-1:]))
def test_garbage_collection_and_weak_references(kind: Any) -> None:
    heap = make_heap(kind)
    reference = weakref.ref(heap)
    del heap
    gc.collect()
    assert reference() is None

    class Memory(bytearray):
        pass

    memory = Memory(1024)
    memory.heap = Heap4(memory)  # type: ignore[attr-defined]
    reference = weakref.ref(memory.heap)  # type: ignore[attr-defined]
    del memory
    gc.collect()
    assert reference() is None
