"""FreeRTOS's names do what the heap's own do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import rtosheap
from rtosheap import freertos
from rtosheap.freertos import Port

HEAPS = [
    rtosheap.Heap1(1024),
    rtosheap.Heap2(1024),
    rtosheap.Heap3(1024),
    rtosheap.Heap4(1024),
    rtosheap.Heap5([(0x1000_0000, 512), (0x2000_0000, 512)]),
]


@pytest.fixture(autouse=True)
def no_heap_in_use(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(freertos, "_port", None)
    return


@pytest.mark.parametrize("heap", HEAPS, ids=lambda heap: f"heap_{heap.kind}")
def test_same_as_the_heap(heap: Any) -> None:
    twin, heap = heap.copy(), heap.copy()
    with freertos.use(heap) as port:
        assert port.heap is heap
        p = freertos.pvPortMalloc(100)
        q = freertos.pvPortCalloc(4, 10)
        assert (p, q) == (twin.malloc(100), twin.calloc(4, 10))
        assert freertos.pvPortMalloc(1 << 20) is twin.malloc(1 << 20) is None
        if heap.kind != 1:
            freertos.vPortFree(p)
            twin.free(p)
        freertos.vPortFree(None)
        freertos.vPortFree(0)
        assert freertos.xPortGetFreeHeapSize() == twin.free_size
        assert freertos.xPortGetMinimumEverFreeHeapSize() == twin.minimum_ever_free_size
        stats = freertos.vPortGetHeapStats()
        assert tuple(stats) == tuple(twin.stats())
        assert stats.xNumberOfSuccessfulAllocations == 2
        freertos.xPortResetHeapMinimumEverFreeHeapSize()
        twin.reset_minimum_ever_free_size()
        assert freertos.xPortGetMinimumEverFreeHeapSize() == twin.minimum_ever_free_size
        assert bytes(heap.regions[0].memory) == bytes(twin.regions[0].memory)


def test_the_fields_are_freertos_s() -> None:
    assert freertos.HeapStats_t._fields == (
        "xAvailableHeapSpaceInBytes",
        "xSizeOfLargestFreeBlockInBytes",
        "xSizeOfSmallestFreeBlockInBytes",
        "xNumberOfFreeBlocks",
        "xMinimumEverFreeBytesRemaining",
        "xNumberOfSuccessfulAllocations",
        "xNumberOfSuccessfulFrees",
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pvPortMalloc", (1,)),
        ("pvPortCalloc", (1, 1)),
        ("vPortFree", (None,)),
        ("xPortGetFreeHeapSize", ()),
        ("xPortGetMinimumEverFreeHeapSize", ()),
        ("xPortResetHeapMinimumEverFreeHeapSize", ()),
        ("vPortGetHeapStats", ()),
    ],
)
def test_without_a_heap(name: str, arguments: tuple[Any, ...]) -> None:
    assert name in freertos.__all__
    with pytest.raises(RuntimeError, match=r"no heap is in use: call .*use\(Heap4"):
        getattr(freertos, name)(*arguments)


def test_use_stays_and_nests() -> None:
    outer, inner = rtosheap.Heap4(1024), rtosheap.Heap4(2048)
    freertos.use(outer)
    assert freertos.xPortGetFreeHeapSize() == outer.free_size
    with freertos.use(inner):
        assert freertos.xPortGetFreeHeapSize() == inner.free_size
    assert freertos.xPortGetFreeHeapSize() == outer.free_size
    with pytest.raises(KeyError), freertos.use(inner):
        raise KeyError
    assert freertos.xPortGetFreeHeapSize() == outer.free_size


def test_regions() -> None:
    memory = bytearray(256)
    freertos.vPortDefineHeapRegions([(0x1000_0000, 256), (0x2000_0000, memory), (None, 0), 5])
    assert freertos.xPortGetFreeHeapSize() == 2 * 248
    assert freertos.vPortGetHeapStats().xNumberOfFreeBlocks == 3
    with freertos.vPortDefineHeapRegions(iter([(64, 128), (0, 0)]), alignment=16) as port:
        assert port.heap.alignment == 16
    with pytest.raises(ValueError, match="ascending"):
        freertos.vPortDefineHeapRegions([(0x2000_0000, 256), (0x1000_0000, 256)])
    with pytest.raises(ValueError, match="region"):
        freertos.vPortDefineHeapRegions([])


def test_a_wrong_free_raises() -> None:
    port = Port(rtosheap.Heap4(1024))
    p = port.pvPortMalloc(8)
    port.vPortFree(p)
    with pytest.raises(rtosheap.DoubleFreeError):
        port.vPortFree(p)
    with pytest.raises(TypeError):
        port.vPortFree("NULL")  # type: ignore[arg-type]


def test_not_a_heap() -> None:
    with pytest.raises(TypeError, match="heap is 1024; it must be a heap"):
        freertos.use(1024)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        freertos.xPortGetFreeHeapSize()
