"""Python objects with malloc and free under a replay."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import pytest
import traces
from broken_allocators import BASE, FirstFit

from rtosheap import ForeignError, Heap4, Trace, compare, minimum_heap_size, plot, replay
from rtosheap.allocators import AllocatorKind, ObjectHeap
from rtosheap.fragmentation import external_fragmentation
from rtosheap.replays import COLUMNS, Failure

MALLOCS = Trace.from_events([("m", i, 10 + i) for i in range(6)])


class OurHeap4:
    """One of ours, as an object that has nothing to do with this package."""

    alignment = 8

    def __init__(self, size: int) -> None:
        self._heap = Heap4(size)
        self.memory, self.base_address = self._heap.memory, self._heap.base_address

    def malloc(self, size: int) -> int | None:
        return self._heap.malloc(size)

    def free(self, address: int) -> None:
        self._heap.free(address)

    def usable_size(self, address: int) -> int:
        return self._heap.usable_size(address)

    def free_size(self) -> int:
        return self._heap.free_size

    def free_blocks(self) -> list[tuple[int, int]]:
        return [(address + 8, size - 8) for address, size in self._heap.free_blocks()]


class Least:
    """What is needed, and no more."""

    def __init__(self) -> None:
        self.at = 16

    def malloc(self, size: int) -> int:
        self.at += 32
        return self.at

    def free(self, address: int) -> None:
        pass


@pytest.mark.parametrize("name", ["coap-server", "lua-sched"])
def test_an_object_is_replayed_as_a_heap(name: str) -> None:
    trace = Trace.load(traces.path(name))
    failures = unknown = 0
    for size in (20 << 10, 64 << 10):
        theirs = replay(trace, OurHeap4(size), record="all")
        ours = replay(trace, Heap4(size), record="all")
        assert set(theirs) == set(COLUMNS) - {"nodes"}
        for column in set(theirs) - {"failure"}:
            found = theirs[column].copy()
            if column in ("block_size", "largest_free_block"):  # ours have their headers
                found[ours[column] > 0] += np.uint64(8)
            assert np.array_equal(found, ours[column]), (size, column)
        known = theirs["failure"] != Failure.UNKNOWN
        assert np.array_equal(theirs["failure"][known], ours["failure"][known])
        unknown += int((~known).sum())
        counts = ("failures", "first_failure", "zero_size", "skipped")
        assert all(getattr(theirs, n) == getattr(ours, n) for n in counts)
        failures += theirs.failures
    assert failures > 0
    assert unknown == {"coap-server": 0, "lua-sched": 51}[name]  # no more than headers' bytes short
    assert theirs.heap.allocator._heap.free_size == theirs["free_size"][-1]
    assert theirs.heap_at(100).free_size == ours.heap_at(100).free_size


def test_methods_decide_which_columns_there_are() -> None:
    least = replay(MALLOCS, Least())
    assert list(least) == ["address", "live_bytes", "failed"]
    assert least["address"].tolist() == [48, 80, 112, 144, 176, 208]
    with pytest.raises(ValueError, match=r"Least has no usable_size\(address\), without which"):
        replay(MALLOCS, Least(), record="block_size")
    with pytest.raises(ValueError, match="does not tell where its arena lies"):
        plot.memory_over_time(least)
    assert str(least).splitlines()[0].endswith("Least, unknown size")
    told = replay(MALLOCS, FirstFit())
    assert list(told) == ["address", "free_size", "live_bytes", "failed", "failure"]


def test_plots_and_measures_take_it() -> None:
    trace = Trace.load(traces.path("coap-server"))
    run = replay(trace, FirstFit(40 << 10), record="all")
    assert plot.memory_over_time(run).get_ylabel() == "address"
    assert plot.usage(run).get_ylabel() == "size (KiB)"
    assert external_fragmentation(run).max() > 0
    assert run.regions == ((BASE, 40 << 10),)


class OurKind(AllocatorKind):
    """The same, of a size that is open."""

    name, word_size, alignment = "ours", 4, 8

    def __call__(self, size: SupportsIndex, *, base_address: SupportsIndex = BASE) -> ObjectHeap:
        return ObjectHeap(OurHeap4(operator.index(size)))


def test_a_kind_of_them_is_sized_and_compared() -> None:
    trace = Trace.load(traces.path("coap-server"))[:40]
    size = minimum_heap_size(trace, "heap_4").size
    assert minimum_heap_size(trace, OurKind()).size == size
    ours, theirs = compare(trace, heaps=[OurKind(), "heap_4"], heap_size=size - 8)
    assert (ours.heap, ours.size, ours.failures) == ("ours", size, theirs.failures)
    assert ours.failures > 0


def test_realloc_is_its_own_or_malloc_copy_free() -> None:
    class Grows(OurHeap4):
        def realloc(self, address: int, size: int) -> int | None:
            return address if size <= self.usable_size(address) else None

    events = [("m", 0, 12), ("r", 0, 16), ("r", 0, 100), ("f", 0)]
    own, none = (replay(Trace.from_events(events), kind(256)) for kind in (Grows, OurHeap4))
    assert own["address"].tolist() == [0x2000_0008, 0x2000_0008, 0, 0x2000_0008]
    assert own.failures == 1
    assert none["address"].tolist() == [0x2000_0008, 0x2000_0020, 0x2000_0038, 0x2000_0038]


def broken(method: str, at: int, answer: Callable[[Any, Any], Any]) -> Any:
    """One whose method answers otherwise at a call."""
    calls = 0

    class Broken(OurHeap4):
        pass

    def wrong(self: Any, argument: int) -> Any:
        nonlocal calls
        calls += 1
        return (
            answer(self, argument) if calls == at + 1 else getattr(OurHeap4, method)(self, argument)
        )

    setattr(Broken, method, wrong)
    return Broken(1024)


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        (lambda heap, size: "here", "answer", r"malloc\(13\) is 'here'; it must be a positive int"),
        (lambda heap, size: 2**64, "answer", r"malloc\(13\) is 18446744073709551616; it must be l"),
        (lambda heap, size: True, "answer", r"malloc\(13\) is True"),
        (lambda heap, size: -8, "answer", r"malloc\(13\) is -8"),
        (lambda heap, size: 8.0, "answer", r"malloc\(13\) is 8.0"),
        (lambda heap, size: 0x2000_0008, "overlaps", "overlap the live block of 10 bytes at 0x2"),
        (lambda heap, size: 0x2000_03FC, "outside", "not all in the arena, 0x20000000 to 0x2000"),
        (lambda heap, size: 0x2000_0104, "misaligned", "0x20000104, which is not 8-aligned"),
    ],
)
def test_a_wrong_answer_names_the_event(answer: Any, reason: str, text: str) -> None:
    with pytest.raises(ForeignError, match=f"Broken: event 3: .*{text}") as found:
        replay(MALLOCS, broken("malloc", 3, answer))
    assert (found.value.event, found.value.reason) == (3, reason)


def test_none_and_0_are_failures() -> None:
    for nothing in (None, 0):
        result = replay(MALLOCS, broken("malloc", 3, lambda heap, size, it=nothing: it))
        assert (result.failures, result.first_failure) == (1, 3)
        assert result.failure is not None
        assert result.failure[3] == Failure.UNKNOWN


def test_a_write_into_a_payload_is_found() -> None:
    def write(heap: OurHeap4, size: int) -> int | None:
        heap.memory[8 + 2] ^= 1
        return OurHeap4.malloc(heap, size)

    with pytest.raises(ForeignError, match="byte 2 of the live block of 10 bytes") as found:
        replay(MALLOCS, broken("malloc", 3, write))
    assert found.value.reason == "payload"


def test_a_write_that_no_event_meets_is_found_at_the_end() -> None:
    def write(heap: OurHeap4, size: int) -> int | None:
        heap.memory[8 + 2] ^= 1
        return OurHeap4.malloc(heap, size)

    with pytest.raises(ForeignError, match="Broken: after the last event: byte 2") as found:
        replay(MALLOCS, broken("malloc", 5, write))
    assert found.value.event is None


def test_an_exception_of_its_own_says_when() -> None:
    def fail(heap: OurHeap4, size: int) -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError) as found:
        replay(MALLOCS, broken("malloc", 3, fail))
    assert found.value.__notes__ == ["at event 3, malloc(13)"]


def test_what_is_no_allocator_is_refused(tmp_path: Path) -> None:
    for wrong in (3, object(), Heap4, OurHeap4, None):
        with pytest.raises(TypeError, match=r"or an object that has malloc\(size\) and free"):
            replay(MALLOCS, wrong)
    with pytest.raises(ValueError, match="engine is 'list'; Least has its own"):
        replay(MALLOCS, Least(), engine="list")


def test_one_that_cannot_be_copied_is_replayed_all_the_same() -> None:
    class Once(Least):
        def __deepcopy__(self, memo: object) -> None:
            raise TypeError("there is one")

    result = replay(MALLOCS, Once())
    assert result["address"][-1] == 208
    with pytest.raises(ValueError, match=r"Once cannot be copied: its class needs copy\(\)"):
        result.heap_at(3)
    assert isinstance(result.heap, ObjectHeap)
