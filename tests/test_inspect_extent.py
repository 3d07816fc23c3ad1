"""What is said of a heap that lies somewhere in the memory, or ends before it, to the byte."""

from __future__ import annotations

from typing import Any

import pytest

from rtosheap import Heap4
from rtosheap.inspection import Report, inspect

BASE = 0x2000_0000
SIZES = (24, 40, 8, 60, 16, 30, 12, 20)
OPTIONS: list[dict[str, Any]] = [{}, {"word_size": 8}, {"alignment": 16}, {"canary": 0xDEADBEEF}]


def heap_of(
    size: int = 400,
    base: int = BASE,
    count: int = 6,
    free: tuple[int, ...] = (1, 4),
    **options: Any,
) -> Heap4:
    """Blocks of letters, some of them free."""
    heap = Heap4(size, base_address=base, **options)
    live = [heap.malloc(asked) for asked in SIZES[:count]]
    for number, payload in enumerate(live):
        heap.view(payload)[:] = bytes([0x41 + number]) * len(heap.view(payload))
    for number in free:
        heap.free(live[number])
    return heap


def look(memory: bytes | bytearray, base: int = BASE, **options: Any) -> Report:
    told = {key: value for key, value in options.items() if key != "canary"}
    return inspect(memory, Heap4, base_address=base, **told)


def in_words(size: int, at: int = BASE) -> tuple[str]:
    return (f"heap_4 in {size:,} bytes at {at:#010x}",)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("fill", [b"\0", b"\xa5"])
def test_a_heap_within_the_memory(options: dict[str, Any], fill: bytes) -> None:
    """Wherever it lies."""
    step = options.get("alignment", 8)
    memory, cases = bytes(heap_of(**options).memory), 0
    for before in range(step, 68, step):
        for behind in range(step, 68, 4):
            around = fill * before + memory + fill * behind
            assert look(around, BASE - before, **options).would_fit == in_words(400)
            cases += 1
    assert cases == {8: 8 * 15, 16: 4 * 13}[step]


@pytest.mark.parametrize(("first", "second"), [(6, 8), (8, 6), (6, 6)])
def test_of_two_heaps_the_longer_one(first: int, second: int) -> None:
    """Of two as long the first."""
    one, other = heap_of(400, count=first), heap_of(480, BASE + 0x400, second)
    memory = (
        b"\xa5" * 16 + bytes(one.memory).ljust(0x400, b"\xa5") + bytes(other.memory) + bytes(16)
    )
    expected = in_words(480, BASE + 0x400) if second > first else in_words(400)
    assert look(memory, BASE - 16).would_fit == expected


def test_a_heap_within_the_memory_that_has_no_free_block() -> None:
    """Any zeros would be the end of such a one."""
    full = heap_of(free=())
    full.malloc(full.free_size - 8)
    assert full.free_size == 0
    around = b"\xa5" * 16 + bytes(full.memory) + b"\xa5" * 16
    assert look(around, BASE - 16).would_fit == ()


@pytest.mark.parametrize("canary", [0, 0xDEADBEEF])
def test_the_links_of_a_heap_within_the_memory(canary: int) -> None:
    """An allocated block's is 0, in some releases with the canary; with another it is none."""
    heap = heap_of(canary=canary)
    first, *_, last = heap.blocks()
    assert first.allocated
    assert not last.allocated
    for link, whole in ((0, True), (canary, True), (1, False), (canary ^ 1, False)):
        memory = bytearray(heap.memory)
        memory[:4] = link.to_bytes(4, "little")
        report = look(b"\xa5" * 16 + memory + b"\xa5" * 16, BASE - 16)
        second = list(heap.blocks())[1].address
        other = in_words(400 - (second - BASE), second)
        assert report.would_fit == (in_words(400) if whole else other)


@pytest.mark.parametrize("size", [248, 256, 264, 512, 768, 904, 992, 1000, 1008, 2000, 2008])
def test_a_heap_that_ends_in_zeros(size: int) -> None:
    """Its last header may as well be one that became zeros, unless its size is round."""
    heap = heap_of(size, count=4, free=(1,))
    report = look(bytes(heap.memory) + bytes(128))
    is_round = size in (256, 512, 768, 1000, 2000)
    assert report.would_fit == (in_words(size) if is_round else ())


@pytest.mark.parametrize("ending", [b"\1\0", b"\0\1", b"\0\0"])
def test_zeros_that_begin_with_the_last_header(ending: bytes) -> None:
    """Then they are the end of a heap whatever its size."""
    heap = heap_of(400)
    memory = bytearray(heap.memory)
    memory[390:392] = ending
    report = look(memory + bytes(128))
    assert report.would_fit == (in_words(400) if ending[1] else ())
