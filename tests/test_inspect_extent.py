"""What is said of a heap that lies somewhere in the memory, or ends before it, to the byte."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from rtosheap import Heap2, Heap4
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.reading import read
from rtosheap.inspection import Report, inspect
from rtosheap.inspection._extent import elsewhere

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


@pytest.mark.parametrize(
    ("size", "larger"), [(512, True), (513, False), (8, False), (65_536, False)]
)
def test_a_size_that_leads_out_of_the_memory(size: int, larger: bool) -> None:
    """It may be right, in a larger heap, if a block can have it."""
    heap = heap_of(400)
    memory = bytearray(heap.memory)
    header = list(heap.blocks())[3].address - BASE
    memory[header : header + 8] = b"\1\1\1\1" + size.to_bytes(4, "little")
    (damage,) = look(memory).damage
    assert damage.address == BASE + header
    assert ("the heap is larger than these 400 bytes" in damage.suspicion) == larger


# --- against a search of all that may be, in random heaps ----------------------------------------

ARENAS: list[dict[str, Any]] = [*OPTIONS, {"canary": 0xDEADBEEF, "kernel": "V11.1.0"}]


def told_of(memory: bytes, layout: Layout, base: int = BASE) -> tuple[str, ...]:
    """What it is said to be with other bounds."""
    return tuple(elsewhere(read(layout, memory, base, layout.canary, None)))


def random_heap(
    choose: random.Random,
    base: int = BASE,
    fill: bytes = b"A",
    full: bool = False,
    **options: Any,
) -> Heap4:
    """Some blocks that are full of letters, some of them freed, or all that there is allocated."""
    heap = Heap4(choose.randrange(256, 576, 16), base_address=base, **options)
    live = [heap.malloc(choose.choice((1, 16, 40, 72, 100))) for _ in range(choose.randrange(3, 9))]
    for payload in filter(None, live):
        heap.view(payload)[:] = fill * len(heap.view(payload))
        if choose.random() < 0.35 and not full:
            heap.free(payload)
    if full and heap.free_size:
        heap.malloc(heap.free_size - Layout.of(heap).header)
    return heap


def first_bytes(heap: Heap4, layout: Layout, count: int) -> tuple[str, ...]:
    """What so many of them should be said to be, by the heap's own list of its blocks."""
    end = layout.end(BASE, count)
    blocks = list(heap.blocks())
    last = next((at for at, block in enumerate(blocks) if block.address + block.size > end), None)
    if last is None:
        return ()
    cut, free = blocks[last], [block for block in blocks[: last + 1] if not block.allocated]
    after = next((block.address for block in blocks[last + 1 :] if not block.allocated), None)
    after = layout.end(BASE, len(heap.memory)) if after is None else after
    if cut.address == end:  # its header is where the end marker should be
        return (more(after, layout),) if cut.allocated and free else ()
    goes_on = cut.address + cut.size
    if goes_on - end < 64:
        return ()
    if not free:
        return (more(goes_on, layout),)
    exact = not cut.allocated and after == goes_on
    return (more(after, layout).replace(" or more", "") if exact else more(after, layout),)


def more(end: int, layout: Layout) -> str:
    return f"heap_4 in {end - BASE + layout.header:,} bytes or more at {BASE:#010x}"


def test_the_first_bytes_of_random_heaps() -> None:
    choose, counts = random.Random(1), Counter[int]()
    for options in ARENAS * 6:
        heap = random_heap(choose, **options)
        layout, memory = Layout.of(heap), bytes(heap.memory)
        for count in range(48, len(memory) - layout.header + 1, layout.word):
            expected = first_bytes(heap, layout, count)
            assert told_of(memory[:count], layout) == expected
            counts[len(expected) and 1 + ("more" in expected[0])] += 1
    assert counts == {0: 1242, 1: 591, 2: 559}


def chains(memory: bytes, layout: Layout, base: int) -> Iterator[tuple[int, int, int]]:
    """Blocks, address and end marker of each chain of headers with the links of a heap that has a
    free block.
    """
    word, top = layout.word, layout.top_bit
    last = base + len(memory) - 2 * word

    def read_at(at: int) -> int:
        return int.from_bytes(memory[at - base : at - base + word], "little")

    for first in range(base, last + 1, layout.alignment):
        at, links = first, []
        while (size := read_at(at + word)) % top and at + size % top <= last:
            links.append((at, read_at(at), size >= top))
            at += size % top
            if at % layout.alignment:
                break
        if at % layout.alignment or size:
            continue
        end, canary, following = at, read_at(at), at
        for at, link, live in reversed(links):
            if link not in (0, canary) if live else link ^ canary != following:
                break
            following = following if live else at
        else:
            if following != end:
                yield len(links), first, end


def expected_within(memory: bytes, layout: Layout, base: int) -> tuple[str, ...]:
    """The longest of them, if half of all headers are its own; of two the first."""
    region = read(layout, memory, base, None, None).parsed[0]
    found = sorted(chains(memory, layout, base), key=lambda it: (-it[0], it[1]))
    headers = sum(not block.broken for block in region.blocks)
    if not found or found[0][2] == region.span.end or 2 * found[0][0] < headers:
        return ()
    _, first, end = found[0]
    return in_words(end + layout.header - first, first)


def test_random_heaps_in_other_memory() -> None:
    choose, counts = random.Random(2), Counter[bool]()
    for options in ARENAS * 30:
        memory, base = b"", BASE - 4096
        for _ in range(choose.randrange(1, 4)):
            memory += choose.choice((b"\xa5", b"\0")) * choose.randrange(32, 128, 32)
            full = choose.random() < 0.4  # no chain of its own
            heap = random_heap(choose, base + len(memory), full=full, **options)
            part = bytearray(heap.memory)
            if choose.random() < 0.3:
                part[choose.choice(list(heap.blocks())).address - heap.base_address] ^= 1
            memory += part
        memory += b"\xa5" * choose.choice((0, 16, 40))
        layout = Layout.of(heap)
        expected = expected_within(memory, layout, base)
        assert tuple(elsewhere(read(layout, memory, base, None, None))) == expected
        counts[bool(expected)] += 1
    assert counts == {True: 96, False: 54}


def test_a_heap_has_half_of_the_headers_in_the_memory() -> None:
    counts, junk, layout = Counter[bool](), b"\xa5" * 32, Layout(4)
    for other, own in itertools.product(range(1, 9), range(1, 5)):
        heap = Heap4(24 * own + 8, base_address=BASE + 32)
        full = Heap4(24 * other + 8, base_address=BASE + 24 * own + 72)
        assert None not in [full.malloc(16) for _ in range(other)]
        assert None not in [heap.malloc(16) for _ in range(own - 1)]
        memory = b"".join((junk, heap.memory, junk, full.memory))
        expected = expected_within(memory, layout, BASE)
        assert told_of(memory, layout) == expected
        counts[bool(expected)] += 1
    assert counts == {True: 20, False: 12}


TWOS: list[dict[str, Any]] = [{}, {"word_size": 8}, {"alignment": 4}]


def random_heap_2(choose: random.Random, fill: bytes = b"A", **options: Any) -> Heap2:
    heap = Heap2(choose.choice((256, 264, 504, 800, 1000)), base_address=BASE, **options)
    sizes = (1, 16, 40, 72, 100, 160)
    live = [heap.malloc(choose.choice(sizes)) for _ in range(choose.randrange(2, 12))]
    live.append(heap.malloc(heap.free_size // 2))
    for payload in filter(None, live):
        heap.view(payload)[:] = fill * len(heap.view(payload))
        if choose.random() < 0.5:
            heap.free(payload)
    return heap


def test_the_first_bytes_of_random_heaps_2() -> None:
    """A last block that goes on for 64 bytes tells where the heap ends at the least. Left out is
    where those before it could be a heap by themselves, of some release.
    """
    choose, counts = random.Random(3), Counter[tuple[bool, bool]]()
    for options in TWOS * 6:
        heap = random_heap_2(choose, **options)
        layout, memory = Layout.of(heap), bytes(heap.memory)
        for count in range(48, len(memory), layout.word):
            end, blocks = layout.end(BASE, count), list(heap.blocks())
            whole = [block for block in blocks if block.address + block.size <= end]
            at = sum(block.size for block in whole)
            if whole:
                alone = read(layout, memory[: min(count, at + layout.alignment)], BASE, 0, None)
                marker = (alone.chain and alone.chain.end_marker) or 0
                if not alone.misfit and not BASE <= marker < BASE + count:
                    continue
            expected: tuple[str, ...] = ()
            live = False
            if len(whole) < len(blocks) and BASE + at < end:
                size, live = at + blocks[len(whole)].size, blocks[len(whole)].allocated
                if BASE + size - end >= 64:
                    size += layout.alignment
                    expected = (f"heap_2 in {size:,} bytes or more at {BASE:#010x}",)
            assert told_of(memory[:count], layout) == expected
            counts[bool(expected), live] += 1
    assert counts == {
        (False, False): 529, (False, True): 107, (True, False): 555, (True, True): 34
    }  # fmt: skip


@pytest.mark.parametrize("fill", [b"A", b"\0"])
def test_what_follows_random_heaps(fill: bytes) -> None:
    """The heap ends before it if no header follows, and what follows is no zeros, or its last block
    ends in no zero, or its size is round.
    """
    choose, counts = random.Random(4), Counter[tuple[int, bool]]()
    fours = [(random_heap, options) for options in ARENAS]
    for made, options in [*fours, *((random_heap_2, options) for options in TWOS)] * 16:
        heap = made(choose, fill=fill, **options)
        layout, size = Layout.of(heap), len(heap.memory)
        memory, last = bytes(heap.memory), list(heap.blocks())[-1]
        live = ((layout.live_link or 0) ^ layout.canary).to_bytes(layout.word, "little")
        live += layout.live_size(128).to_bytes(layout.word, "little")
        other = b"\xa5" * 32 + live.ljust(128, b"A")
        other += bytes(layout.header if layout.by_address else layout.alignment)
        zeros, junk = bytes(160), b"\xa5" * 160
        tail = choose.choice((zeros, junk, zeros[:40] + junk[40:], other))
        ends = last.address + last.size - BASE
        sharp, is_round = memory[ends - 1] != 0, size % 256 == 0 or size % 1000 == 0
        if layout.by_address:  # what is in the place of the end marker is sure to be none
            told = tail[-1] != 0 or layout.canary != 0
            told = told or (heap.free_size > 0 and (sharp or is_round))
        else:
            told = is_round or (sharp and layout.alignment == 8 > layout.word)
        told = told and tail is not other
        expected = (f"heap_{heap.kind} in {size:,} bytes at {BASE:#010x}",) if told else ()
        assert told_of(memory + tail, layout) == expected
        counts[heap.kind, told] += 1
    assert counts.total() == 128
    assert min(counts[kind, told] for kind in (2, 4) for told in (True, False)) >= 10


def test_a_heap_that_begins_before_the_memory() -> None:
    """Even by a byte: what is left of it is told, from its second block on."""
    heap = heap_of(400)
    second = list(heap.blocks())[1].address
    memory = bytes(heap.memory)[1:] + b"\xa5" * 16
    assert look(memory, BASE + 1).would_fit == in_words(400 - (second - BASE), second)
