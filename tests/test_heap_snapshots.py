"""Snapshots: what one says is what comes back, and each thing that no heap can be in is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from heap_samples import ALL_HEAPS, BASE

from rtosheap import DoubleFreeError, Heap1, Heap2, Heap3, Heap4, Heap5, InvalidFreeError
from rtosheap._core import _restore

Snapshot = dict[str, Any]
COUNTERS = ("minimum_ever_free", "allocations", "frees", "failed")


def used(kind: Any) -> Any:
    """Blocks of 16 bytes and more: live, free, live, free, and what is left."""
    heap = Heap5([(BASE, 256), (BASE + 4096, 256)]) if kind is Heap5 else kind(512)
    live = [heap.malloc(size) for size in (16, 40, 16, 24, 16)]
    if kind is not Heap1:
        heap.free(live[1])
        heap.free(live[3])
    heap.malloc(10**4)
    return heap


def restored(kind: Any, snapshot: Snapshot) -> Any:
    return _restore(kind, [bytearray(view) for view in used(kind)._region_views()], snapshot)


def words(snapshot: Snapshot, name: str) -> list[int]:
    return np.frombuffer(snapshot[name], np.uint64).tolist()


def changed(snapshot: Snapshot, name: str, at: int, value: int) -> Snapshot:
    values = words(snapshot, name)
    values[at] = value % 2**64
    return with_words(snapshot, name, values)


def with_words(snapshot: Snapshot, name: str, values: list[int]) -> Snapshot:
    return {**snapshot, name: np.array(values, np.uint64).tobytes()}


def refuse(kind: Any, snapshots: list[Snapshot]) -> None:
    for snapshot in snapshots:
        with pytest.raises(ValueError, match="no heap can be in this state"):
            restored(kind, snapshot)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_what_a_snapshot_says_comes_back(kind: Any) -> None:
    heap = used(kind)
    snapshot = heap._snapshot()
    twin = restored(kind, snapshot)
    assert twin._snapshot() == snapshot
    assert (twin.blocks(), twin.free_blocks()) == (heap.blocks(), heap.free_blocks())
    assert twin.stats() == heap.stats()
    counted = [name for name in COUNTERS if kind is not Heap1 or name in ("allocations", "failed")]
    other = {name: 3 + number for number, name in enumerate(counted)}
    again = restored(kind, {**snapshot, **other})._snapshot()
    assert {name: again[name] for name in counted} == other
    for size in (0, 1, 16, 30, 200):
        assert twin.malloc(size) == heap.malloc(size)
    assert twin._snapshot() == heap._snapshot()


@pytest.mark.parametrize("kind", [Heap2, Heap3, Heap4, Heap5])
def test_what_was_ever_live_comes_back(kind: Any) -> None:
    heap = used(kind)
    live = words(heap._snapshot(), "ever")
    assert len(live) == 5
    twin = restored(kind, heap._snapshot())
    for freed in (live[1], live[3]):
        with pytest.raises(DoubleFreeError):
            twin.free(freed)
    for never in (live[0] + 8, live[1] + 8):
        with pytest.raises(InvalidFreeError) as raised:
            twin.free(never)
        assert not isinstance(raised.value, DoubleFreeError)
    for address in (live[0], live[2], live[4]):
        twin.free(address)
        heap.free(address)
    assert twin._snapshot() == heap._snapshot()


@pytest.mark.parametrize("kind", [Heap2, Heap4])
def test_one_payload_in_64_bytes_was_live(kind: Any) -> None:
    heap = kind(512)
    first, second = heap.malloc(48), heap.malloc(8)
    assert (first, second) == (BASE + 8, BASE + 64)
    heap.free(second)
    with pytest.raises(DoubleFreeError):
        restored(kind, heap._snapshot()).free(second)


def test_payloads_that_memalign_moved_come_back() -> None:
    heap = Heap3(512, base_address=BASE + 4)
    first, second = heap.memalign(16, 20), heap.malloc(20)
    memory, snapshot = bytes(heap.memory), heap._snapshot()
    assert words(snapshot, "moved") == [first] == [BASE + 16]
    for moved in ([first + 8], [second + 8], [first, second + 8]):
        with pytest.raises(ValueError, match="no heap can be in this state"):
            _restore(Heap3, [bytearray(memory)], with_words(snapshot, "moved", moved))
    twin = _restore(Heap3, [bytearray(memory)], snapshot)
    assert twin._snapshot() == snapshot
    for address in (first, second):
        twin.free(address)


@pytest.mark.parametrize(
    ("base", "size", "before", "asked"), [(BASE + 4, 64, [20], 40), (BASE, 96, [8, 8, 8], 44)]
)
def test_a_listed_block_that_is_live_comes_back(
    base: int, size: int, before: list[int], asked: int
) -> None:
    """What newlib 4.2.0 leaves behind where the list's last chunk is extended."""
    heap = Heap3(size, base_address=base, newlib="4.2.0")
    live = [heap.malloc(each) for each in before]
    for address in live[::2]:
        heap.free(address)
    assert heap.malloc(asked) == live[-1]
    memory, good = bytes(heap.memory), heap._snapshot()
    chunk = heap.blocks()[len(before) - 1].address
    assert (good["extended"], words(good, "free_list")[-1]) == (chunk, chunk)
    assert _restore(Heap3, [bytearray(memory)], good)._snapshot() == good
    bad = [{**good, "newlib": other} for other in ("4.0.0", "4.3.0")]
    bad += [{**good, "extended": other} for other in (0, base, chunk + 8) if other != chunk]
    for one in [*bad, with_words(good, "free_list", [])]:
        with pytest.raises(ValueError, match="no heap can be in this state"):
            _restore(Heap3, [bytearray(memory)], one)


@pytest.mark.parametrize("kind", [Heap2, Heap3, Heap4, Heap5])
def test_payloads_that_never_were(kind: Any) -> None:
    good = used(kind)._snapshot()
    beyond = BASE + (4096 + 256 if kind is Heap5 else 512)
    refuse(
        kind,
        [
            changed(good, "ever", 1, value)
            for value in (BASE - 8, BASE + 1, BASE + 12, beyond, 2**32 + BASE + 8, 2**64 - 8)
        ],
    )


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_blocks_that_cannot_be(kind: Any) -> None:
    good = used(kind)._snapshot()
    blocks = words(good, "blocks")
    bad = [
        *(changed(good, "blocks", 0, blocks[0] + step) for step in (-8, -4, 4, 8, 2**32)),
        *(changed(good, "blocks", 3, blocks[3] + step) for step in (-8, -4, 4, 8, 2**32)),
        *(changed(good, "blocks", 1, blocks[1] + step) for step in (-8, -4, 4, 8, 2**32)),
        *(changed(good, "blocks", 1, value) for value in (0, 4, 2**31, 2**32 - 8)),
        *(changed(good, "blocks", at, 1 - blocks[at]) for at in (2, 5, 8)),
        with_words(good, "blocks", [*blocks[:3], *blocks[6:]]),
        with_words(good, "blocks", [*blocks[:3], *blocks]),
    ]
    if kind is not Heap1:  # which has as many as it says, and then the rest
        bad += [with_words(good, "blocks", [*blocks, *blocks[-3:]])]
        bad += [with_words(good, "blocks", blocks[:-3])]
    if kind is not Heap3:  # the first of whose chunks lies where sbrk put it
        bad += [with_words(good, "blocks", blocks[3:])]
    refuse(kind, bad)


@pytest.mark.parametrize("kind", [Heap2, Heap4])
def test_blocks_outside_of_the_arena_or_between_its_steps(kind: Any) -> None:
    heap = kind(72)
    heap.malloc(8)
    good = {**heap._snapshot(), "ever": b"", "free_list": np.array([BASE], np.uint64).tobytes()}
    far = [BASE, 2**30, 1, BASE + 2**30, 16, 0]
    between = [BASE, 24, 0, BASE + 24, 20, 1, BASE + 44, 20, 1]
    for blocks in (far, between):
        with pytest.raises(ValueError, match="no heap can be in this state"):
            _restore(kind, [bytearray(72)], with_words(good, "blocks", blocks))


@pytest.mark.parametrize("kind", [Heap2, Heap3, Heap4, Heap5])
def test_free_lists_that_cannot_be(kind: Any) -> None:
    good = used(kind)._snapshot()
    entries = words(good, "free_list")
    blocks = words(good, "blocks")
    first, second = entries[:2]
    lists = [
        entries[1:],
        [*entries, first],
        [first, *entries],
        [first, first, *entries[2:]],
        [second, first, *entries[2:]],
        [blocks[0], *entries],
        [blocks[0], *entries[1:]],
        *([first + step, *entries[1:]] for step in (-8, 4, 8, 2**32)),
        *([*entries, value] for value in (0, BASE - 8, BASE + 504, 2**32 - 4, 2**32, 2**64 - 8)),
    ]
    refuse(kind, [with_words(good, "free_list", entries) for entries in lists])


def test_heap_3_and_what_sbrk_gave() -> None:
    good = used(Heap3)._snapshot()
    reached, blocks = good["reached"], words(good, "blocks")
    bad = [
        {**good, "reached": value} for value in (0, 4, reached - 4, reached + 4, 512, 516, 2**40)
    ]
    bad += [with_words(good, "blocks", blocks) | {"reached": reached + 16}]
    last = len(blocks) - 3
    bad += [changed(good, "blocks", last + 1, blocks[last + 1] + step) for step in (-4, -2, 2, 4)]
    bad += [{**with_words(good, "blocks", []), "free_list": b"", "ever": b"", "reached": 516}]
    refuse(Heap3, bad)
    nothing = {**good, "blocks": b"", "free_list": b"", "ever": b"", "reached": 0}
    heap = restored(Heap3, nothing)
    assert (heap.free_size, heap.malloc(8)) == (512, BASE + 8)


def test_heap_1_keeps_a_byte() -> None:
    """Its blocks may end just before its end, and no further: it hands out less than there is."""
    heap = Heap1(64)
    assert heap.malloc(48) is not None
    good = heap._snapshot()
    assert heap.free_size == 8
    for size in (0, 8, 16, 2**32):
        more = with_words(good, "blocks", [*words(good, "blocks"), BASE + 48, size, 1])
        with pytest.raises(ValueError, match="no heap can be in this state"):
            _restore(Heap1, [bytearray(64)], more)
    free = with_words(good, "blocks", [BASE, 48, 0])
    with pytest.raises(ValueError, match="no heap can be in this state"):
        _restore(Heap1, [bytearray(64)], free)
    assert _restore(Heap1, [bytearray(64)], good).free_size == 8


@pytest.mark.parametrize("kind", [Heap4, Heap5])
def test_with_a_canary(kind: Any) -> None:
    options: dict[str, Any] = {"canary": 0x5AFE_5AFE}
    make: Callable[[], Any] = (
        (lambda: Heap4(512, **options))
        if kind is Heap4
        else (lambda: Heap5([(BASE, 256), (BASE + 4096, 256)], **options))
    )
    heap = make()
    live = [heap.malloc(24) for _ in range(4)]
    heap.free(live[0])
    heap.free(live[2])
    snapshot = heap._snapshot()
    twin = _restore(kind, [bytearray(view) for view in heap._region_views()], snapshot)
    twin.check()
    for address in (live[1], live[3]):
        twin.free(address)
        heap.free(address)
    assert twin._snapshot() == heap._snapshot()
    twice = with_words(snapshot, "free_list", [*words(snapshot, "free_list")[:1] * 2])
    with pytest.raises(ValueError, match="no heap can be in this state"):
        _restore(kind, [bytearray(view) for view in heap._region_views()], twice)


@pytest.mark.parametrize("kind", ALL_HEAPS)
def test_what_is_not_refused_comes_back(kind: Any) -> None:
    """Every word of a snapshot a little changed: the heap is in just that state, or in none."""
    snapshot = used(kind)._snapshot()
    kept = refused = 0
    for name in ("blocks", "free_list", "ever"):
        for at, value in enumerate(words(snapshot, name)):
            for by in (-16, -8, -4, -1, 1, 4, 8, 16, 24, 1 << 31, 1 << 32):
                other = changed(snapshot, name, at, value + by)
                try:
                    heap = restored(kind, other)
                except ValueError:
                    refused += 1
                    continue
                kept += 1
                found = heap._snapshot()
                assert found["free_list"] == other["free_list"]
                if kind is not Heap1:  # which frees nothing
                    assert {*words(other, "ever")} <= {*words(found, "ever")}
                blocks = [(b.address, b.size, int(b.allocated)) for b in heap.blocks()]
                said = words(other, "blocks")
                flags = [min(flag, 1) for flag in said[2::3]]
                assert blocks[: len(flags)] == list(zip(said[::3], said[1::3], flags, strict=True))
                heap.check()
    assert refused > kept
