"""Every number and word of a report, against what was put into the arena."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from test_inspect import BASE, DAMAGE, Patient, image, used

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.heaps import ImageState
from rtosheap.inspection import Damage, Owner, Report, inspect
from rtosheap.inspection._owners import former, owners
from rtosheap.inspection.report import Dependence, Found

OPTIONS: list[dict[str, Any]] = [{}, {"word_size": 8}, {"alignment": 16}, {"alignment": 4}]
SOUND = [(cls, options) for cls in (Heap2, Heap4, Heap5) for options in OPTIONS]
SOUND += [(Heap4, {"canary": 0xDEADBEEF}), (Heap5, {"word_size": 8, "canary": 0xDEADBEEF})]


def words_of(report: Report, heap: Any, blocks: list[tuple[int, int, bool]]) -> list[str]:
    """The lines of a report on a sound heap, but for notes and what depends on the release."""
    regions = [(BASE, heap.size)]
    if heap.kind == 5:
        regions = [(region.address, len(region.memory)) for region in heap.regions]
    taken = [size for _, size, allocated in blocks if allocated]
    free = [size for _, size, allocated in blocks if not allocated]
    fragmentation = 100 * (1 - max(free) / sum(free)) if free else 0
    where = ", ".join(f"{size:,} bytes at 0x{base:08x}" for base, size in regions)
    lines = [
        f"heap_{heap.kind}, {where}",
        f"  allocated       {len(taken)} blocks, {sum(taken):,} bytes",
        f"  free            {len(free)} blocks, {sum(free):,} bytes, largest {max(free):,}",
        f"  fragmentation   {fragmentation:.1f}% external",
        f"  largest request {report.largest_request:,} bytes",
    ]
    if heap.canary:
        lines.append(f"  heap protector  canary 0x{heap.canary:x}")
    lines += ["damage: none", "blocks:"]
    for at, size, allocated in blocks:
        lines.append(f"  0x{at:08x} {size:8,} {'allocated' if allocated else 'free'}")
    return lines


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("cls", "options"), SOUND, ids=str)
def test_a_sound_heap_in_numbers_and_words(cls: Any, options: dict[str, Any], seed: int) -> None:
    heap, _ = used(cls, seed, **options)
    own = {key: value for key, value in options.items() if key != "canary"}
    where = {} if cls is Heap5 else {"base_address": BASE}
    known = {"free_size": heap.free_size, "allocations": heap.allocation_count}
    report = inspect(image(heap), cls, state=ImageState(**known), **where, **own)
    blocks = [(block.address, block.size, block.allocated) for block in heap.blocks()]
    header = max(2 * heap.word_size, heap.alignment)
    assert report.kind == f"heap_{heap.kind}"
    assert [(b.address, b.size, b.allocated) for b in report.blocks] == blocks
    assert all(b.payload == b.address + header for b in report.blocks)
    assert not any(b.broken or b.owner for b in report.blocks)
    free = [size for _, size, allocated in blocks if not allocated]
    stats = heap.stats()
    assert (report.free_size, report.free_block_count) == (heap.free_size, len(free))
    assert (report.largest_free_block, report.damage) == (stats.largest_free_block, ())
    assert report.external_fragmentation == 1 - max(free) / sum(free)
    assert report.canary == (heap.canary or 0)
    assert report.taken == ("free_size", "allocations")
    assert report.reconstructed == ("head", "minimum_ever_free")
    assert (report.former_owner, report.would_fit, report.is_none) == ({}, (), False)
    assert report.heap is not None
    assert report.heap.blocks() == heap.blocks()
    assert [b for b in report.lines() if b in words_of(report, heap, blocks)] == words_of(
        report, heap, blocks
    )
    assert "  from the image  free_size, allocations" in report.lines()
    assert "  reconstructed   head, minimum_ever_free" in report.lines()
    for at, size, _ in blocks:
        for byte in (at, at + size - 1):
            found = report.block_at(byte)
            assert found is not None
            assert found.address == at
    assert report.block_at(blocks[0][0] - 1) is None
    plain = json.loads(json.dumps(report.to_dict()))
    for name in ("free_size", "largest_free_block", "free_block_count", "largest_request"):
        assert plain[name] == getattr(report, name)
    assert plain["blocks"][-1] == vars(report.blocks[-1])
    assert plain["regions"] == [{"address": at, "size": size} for at, size in report.regions]
    assert (plain["damage"], plain["canary"]) == ([], report.canary)


MESSAGES = {
    "_one_byte": [
        "the header at 0x20000420 holds 21 00 00 00 30 00 00 80: the link leads to 0x00000021; it "
        "should be 00 00 00 00, as that of an allocated block",
        "the block at 0x20000400 before it was probably written 1 byte past its end",
    ],
    "_whole_header": [
        "the header at 0x200004d8 holds 6f 76 65 72 66 6c 6f 77: the size 2,003,790,950 leads "
        "2,003,789,126 bytes past the last block, but the next header that fits is at 0x200004f8, "
        "32 bytes on: the chain of headers is broken between 0x200004d8 and 0x200004f8",
        "the block at 0x20000468 before it was probably written at least 8 bytes past its end",
    ],
    "_into_a_free_block": [
        "the header at 0x200004f8 holds 61 62 63 64 65 66 00 00: the size 26,213 leads 24,421 "
        "bytes past the last block, but the next header that fits is at 0x20000540, 72 bytes on: "
        "the chain of headers is broken between 0x200004f8 and 0x20000540",
        "the block at 0x200004d8 before it was probably written 6 bytes past its end",
        "2 free block(s) that the free list does not reach: 0x20000570, 0x200005d0",
    ],
    "_terminator": [
        "the header at 0x20000450 holds 00 04 00 20 18 00 00 00: the link leads to 0x20000400; it "
        "should be 0x200004f8, the next free block",
        "the block at 0x20000420 before it was probably written 1 byte past its end",
        "3 free block(s) that the free list does not reach: 0x200004f8, 0x20000570, 0x200005d0",
    ],
    "_zeros": [
        "the header at 0x20000550 holds 00 00 00 00 00 00 00 00: the size 0 is less than a "
        "header's, but the next header that fits is at 0x20000570, 32 bytes on: the chain of "
        "headers is broken between 0x20000550 and 0x20000570",
        "the block at 0x20000540 before it was probably written at least 8 bytes past its end; or "
        "nobody wrote it, and the heap is smaller than these 2,048 bytes",
    ],
    "_last_block": [
        "the end marker at 0x20000bf8 holds 7a 7a 00 00 00 00 00 00; it should hold 00 00 00 00 "
        "00 00 00 00",
        "the block at 0x200005d0 before it was probably written 2 bytes past its end; or nobody "
        "wrote it, and the heap has another size than these 2,048 bytes",
    ],
    "_underflow": [
        "the header at 0x200004d8 holds 00 00 00 00 20 99 98 97: the size 395,876,640 leads "
        "395,874,816 bytes past the last block, but the next header that fits is at 0x200004f8, "
        "32 bytes on: the chain of headers is broken between 0x200004d8 and 0x200004f8",
        "its own block was probably written 3 bytes before its start",
    ],
    "_stale_pointer": [
        "the header at 0x20000540 holds 6c 61 74 65 10 00 00 80: the link leads to 0x6574616c; it "
        "should be 00 00 00 00, as that of an allocated block",
        "the block at 0x200004f8 before it, which is free (written through a stale pointer) was "
        "probably written 4 bytes past its end",
    ],
}


def words_about(report: Report) -> list[str]:
    """What is said of the damage."""
    told = [text for item in report.damage for text in (item.message, item.suspicion)]
    return [text for text in told if text]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_in_numbers_and_words(damage: Any) -> None:
    patient = Patient()
    whole = bytes(patient.memory)
    culprit, how, past = damage(patient)
    if damage.__name__ == "_last_block":
        whole = bytes(patient.heap.memory)
    report = inspect(patient.memory, Heap4, base_address=BASE)
    first = report.damage[0]
    assert (first.culprit, first.how, first.past) == (culprit, how, past)
    at = first.address - BASE
    assert first.found == patient.memory[at : at + 8]
    assert first.expected == whole[at : at + 8]
    before, after = (0, 24) if how == "underflow" else (16, 8)
    assert first.shown == patient.memory[at - before : at + after]
    assert first.message.startswith(
        f"the {'end marker' if first.kind == 'end marker' else 'header'} at 0x{first.address:08x} "
        f"holds {first.found.hex(' ')}"
    )
    if damage.__name__ in MESSAGES:
        assert words_about(report) == MESSAGES[damage.__name__]
    blocks = {block.address: block for block in report.blocks}
    assert [block.address for block in report.blocks if block.broken] == (
        [] if first.kind == "end marker" else [first.address]
    )
    assert [(b.address, b.size, b.allocated) for b in patient.heap.blocks()] == [
        (b.address, b.size, b.allocated) for b in blocks.values()
    ]
    text = "".join(chr(byte) if " " <= chr(byte) <= "~" else "." for byte in first.shown)
    lines = report.lines()
    where = lines.index(f"  {first.message}")
    assert lines[where - 1] == "damage:"
    assert lines[where + 1] == f"    suspected: {first.suspicion}"
    assert lines[where + 2] == f"    {first.shown.hex(' ')}  {text}"
    if first.kind != "end marker":
        broken = blocks[first.address]
        state = "allocated" if broken.allocated else "free"
        assert f"  0x{broken.address:08x} {broken.size:8,} {state} BROKEN HEADER" in lines
    plain = report.to_dict()["damage"][0]
    assert plain == {
        **vars(first),
        "found": first.found.hex(),
        "expected": first.expected.hex(),
        "shown": first.shown.hex(),
        "owner": None,
    }


def free_of(patient: Patient) -> list[int]:
    return [block.address for block in patient.heap.free_blocks()]


def linked(*, lost: int) -> tuple[list[str], list[int]]:
    """A heap_4 of many holes, of which `lost` are no more in the list: what is said, and they."""
    heap = Heap4(2048, base_address=BASE)
    live = [heap.malloc(16) for _ in range(20)]
    for p in live[::2]:
        heap.free(p)
    free = [block.address for block in heap.free_blocks()]
    memory = bytearray(heap.memory)
    at = free[0] - BASE
    memory[at : at + 4] = free[1 + lost].to_bytes(4, "little")
    return words_about(inspect(memory, base_address=BASE)), free[1 : 1 + lost]


@pytest.mark.parametrize("lost", [1, 3, 4, 5, 9])
def test_free_blocks_that_are_lost_are_counted_and_four_are_named(lost: int) -> None:
    words, free = linked(lost=lost)
    named = ", ".join(f"0x{at:08x}" for at in free[:4]) + (", …" if lost > 4 else "")
    assert words[-1] == f"{lost} free block(s) that the free list does not reach: {named}"


def test_what_is_said_of_lists() -> None:
    patient = Patient()
    free = free_of(patient)
    patient.write(free[2], free[1].to_bytes(4, "little"))
    report = inspect(patient.memory, base_address=BASE)
    assert report.damage[0].culprit is None  # a link to another free block is nobody's overflow
    assert [(d.kind, d.address) for d in report.damage] == [
        ("link", free[2]), ("cycle", free[2]), ("lost", free[3])
    ]  # fmt: skip
    assert report.damage[1].message == (
        f"the free list is a cycle: it turns back at 0x{free[2]:08x}"
    )
    sound = Patient()
    (astray, lost) = inspect(
        sound.memory, base_address=BASE, state=ImageState(head=BASE + 4)
    ).damage
    assert (astray.kind, astray.address) == ("head", 0)
    assert astray.message == "the free list's head leads to no free block"
    assert (lost.kind, lost.address) == ("lost", free[0])
    free_size = sound.heap.free_size
    wrong = ImageState(free_size=free_size + 8)
    (counter,) = inspect(sound.memory, base_address=BASE, state=wrong).damage
    assert counter.message == (
        f"the free blocks hold {free_size} bytes, the heap's counter says {free_size + 8}"
    )
    assert (counter.kind, counter.address, counter.shown) == ("counter", 0, b"")


def test_free_blocks_side_by_side() -> None:
    patient = Patient()
    memory = patient.memory
    at = patient.header(1) - BASE  # before the free block number 2
    free = free_of(patient)
    memory[at : at + 4] = free[0].to_bytes(4, "little")
    memory[at + 7] = 0
    (damage,) = inspect(memory, base_address=BASE, state=ImageState(head=patient.header(1))).damage
    assert (damage.kind, damage.address) == ("not coalesced", BASE + at)
    assert damage.message == (
        f"the block at 0x{BASE + at:08x} is free and so is the block after it; they were not "
        "coalesced"
    )
    assert damage.found == damage.expected == memory[at : at + 8]


# ---------------------------------------------------------------------- whose a block is


@pytest.mark.parametrize("times", [None, [1, 2, 4, 8, 16, 32]])
def test_whose_blocks_are_and_were(times: list[int] | None) -> None:
    trace = Trace("mmfmrf", [0, 1, 0, 2, 1, 2], [24, 16, 0, 8, 40, 0], time=times,
                  task=["a", "b", "a", "c", "b", "c"])  # fmt: skip
    heap = Heap4(1024, base_address=BASE)
    addresses = replay(trace, heap, record=("address",))["address"].tolist()
    live, spans = owners(trace, Heap4(1024, base_address=BASE))
    mine = Owner(1, 4, 40, "b", None if times is None else 16, 1 if times is None else 16)
    assert live == {addresses[4]: mine}
    sizes = [24, 16, None, 8, 40]
    assert spans == [
        (addresses[i], addresses[i] + size, i) for i, size in enumerate(sizes) if size is not None
    ]
    p = addresses[4]
    assert former(trace, spans, p) == former(trace, spans, p + 47) == mine
    assert former(trace, spans, p + 48) != mine
    only = [(100, 116, 0), (200, 200, 1)]
    told = [former(trace, only, at) for at in (99, 100, 123, 124, 199, 200, 208, 209)]
    assert [who and who.event for who in told] == [None, 0, 0, None, None, 1, 1, None]


def test_a_block_of_its_own_owner_in_words() -> None:
    who = Owner(3, 7, 20, "net", 5, 9)
    blocks = (
        Found(BASE, BASE + 8, 32, True, owner=who),
        Found(BASE + 32, BASE + 40, 1024, False),
        Found(BASE + 1056, BASE + 1064, 16, False, broken=True),
    )
    hurt = Damage("link", BASE, "bad", culprit=BASE, shown=bytes([31, 32, 65, 126, 127, 128]))
    past = Damage("link", BASE, "worse", culprit=BASE + 32)
    known = {BASE + 32: who._replace(task="")}
    report = Report("heap_4", ((BASE, 1080),), blocks, (hurt, past), 1016, None, 0,
                    former_owner=known, kernels=tuple("abcdef"), notes=("so",),
                    depends=(Dependence("largest_request", (("V1", 1234), ("V2", "no"))),),
                    )  # fmt: skip
    assert (report.free_size, report.free_block_count, report.largest_free_block) == (1024, 1, 1024)
    assert report.external_fragmentation == 0
    assert report.lines() == [
        "heap_4, 1,080 bytes at 0x20000400",
        "  allocated       1 blocks, 32 bytes",
        "  free            1 blocks, 1,024 bytes, largest 1,024",
        "  fragmentation   0.0% external",
        "  largest request 1,016 bytes",
        "  kernel          a",
        "  or as well      b",
        "  or as well      c",
        "  or as well      d",
        "  note: so",
        "damage:",
        "  bad",
        "    that block is net's, 20 bytes requested by event 7, 9 ago",
        "    1f 20 41 7e 7f 80  . A~..",
        "  worse",
        "    that block is 20 bytes requested by event 7, 9 ago",
        "depends on the release:",
        "  largest request: 1,234 with V1; no with V2",
        "blocks:",
        "  0x20000400       32 allocated  net's, 20 bytes requested by event 7, 9 ago",
        "  0x20000420    1,024 free",
        "  0x20000820       16 free BROKEN HEADER",
    ]
    none = Report("heap_2", ((BASE, 8),), (), (Damage("no such heap", BASE, "why"),), 0, None, 0)
    assert none.lines() == ["heap_2, 8 bytes at 0x20000400", "  why"]
    assert (none.free_size, none.largest_free_block, none.external_fragmentation) == (0, 0, 0)


@pytest.mark.parametrize("live", [0, 1, 4, 5, 6])
def test_a_heap_1_in_numbers(live: int) -> None:
    heap = Heap1(256, base_address=BASE)
    for _ in range(live):
        heap.malloc(8)
    report = inspect(heap.memory, Heap1, base_address=BASE, state=ImageState(used=8 * live))
    assert sum(b.allocated for b in report.blocks) == (live > 0)
    assert report.free_size == 256 - 8 - 8 * live
    assert report.largest_request == max(size for size in range(300) if heap.copy().malloc(size))


@pytest.mark.parametrize("newlib", ["3.3.0", "4.2.0", "newest"])
def test_a_heap_3_in_numbers(newlib: str) -> None:
    options = {} if newlib == "newest" else {"newlib": newlib}
    heap = Heap3(2048, base_address=BASE, **options)
    live = [heap.malloc(size) for size in (10, 20, 30, 40, 50)]
    heap.free(live[1])
    heap.free(live[3])
    chunks = [(b.address, b.size, b.allocated) for b in heap.blocks()]
    report = inspect(heap.memory, Heap3, base_address=BASE, **options)
    assert [(b.address, b.size, b.allocated) for b in report.blocks] == chunks
    assert [b.payload for b in report.blocks if b.allocated] == [live[i] for i in (0, 2, 4)]
    assert report.free_size == heap.free_size
    assert (report.reconstructed, report.taken) == (("head", "used"), ())
    fits = [size for size in range(2100) if heap.copy().malloc(size) is not None]
    assert report.largest_request == max(fits)


# ---------------------------------------------------------------------- memory that is cut


def of_seven(cls: Any, **options: Any) -> Any:
    """A heap whose blocks end at 32, 80 (free), 288, 400 (free), 432, 1040, 1248; then free."""
    heap = cls(2048, base_address=BASE, **options)
    live = [heap.malloc(size) for size in (24, 40, 200, 100, 24, 600, 200)]
    for p in live:
        heap.view(p)[:] = b"\x5a" * len(heap.view(p))
    for at in (1, 3):
        heap.free(live[at])
    assert [b.address + b.size - BASE for b in heap.blocks()] == [
        32, 80, 288, 400, 432, 1040, 1248, 2040
    ]  # fmt: skip
    return heap


#: What the first bytes of it are, from each of these counts on. A block that ends 64 bytes or more
#: behind the memory tells of a larger heap; a free one's link tells where the next free one lies,
#: or the end marker.
CUT: dict[Any, list[tuple[int, str]]] = {
    Heap4: [
        (304, "heap_4 in 1,256 bytes or more"), (352, "header"),
        (408, "heap_4 in 1,256 bytes or more"), (416, "header"),
        (440, "heap_4 in 1,256 bytes or more"), (992, "header"),
        (1048, "heap_4 in 1,256 bytes or more"), (1200, "header"), (1256, "end marker"),
        (1264, "heap_4 in 2,048 bytes"), (1992, "header"), (2048, ""),
    ],
    Heap2: [
        (292, "link"), (300, "heap_2 in 408 bytes or more"), (348, "header"),
        (404, "heap_2 with an alignment of 4"), (408, ""), (412, "header"),
        (416, "heap_2 with an alignment of 16"), (420, "header"),
        (436, "heap_2 with an alignment of 4"), (440, ""), (444, "header"),
        (448, "heap_2 with an alignment of 16"), (452, "header"),
        (1044, "heap_2 with an alignment of 4"), (1048, ""), (1052, "header"),
        (1056, "heap_2 with an alignment of 16"), (1060, "header"), (1252, "link"),
        (1260, "heap_2 in 2,048 bytes or more"), (1988, "header"),
        (2044, "heap_2 with an alignment of 4"), (2048, ""),
    ],
}  # fmt: skip


@pytest.mark.parametrize("cls", [Heap4, Heap2])
def test_what_the_first_bytes_of_a_heap_are(cls: Any) -> None:
    memory = bytes(of_seven(cls, **({"canary": 0xDEADBEEF} if cls is Heap4 else {})).memory)
    expected, step = CUT[cls], 8 if cls is Heap4 else 4
    told = ""
    changes = []
    for count in range(expected[0][0], 2048 + step, step):
        report = inspect(memory[:count], cls, base_address=BASE)
        kind = report.damage[0].kind if report.damage else ""
        now = report.would_fit[0].split(" at 0x")[0] if report.would_fit else kind
        assert report.is_none == bool(report.would_fit)
        if now != told:
            changes.append((count, now))
        told = now
    assert changes == expected


@pytest.mark.parametrize("fill", [b"\0", b"\x5a"])
def test_what_begins_with_a_heap(fill: bytes) -> None:
    for cls in (Heap4, Heap2):
        heap = of_seven(cls)
        for more in range(8 if cls is Heap4 else 12, 96, 4):
            report = inspect(bytes(heap.memory) + fill * more, cls, base_address=BASE)
            assert report.would_fit == (f"{report.kind} in 2,048 bytes at 0x20000400",)
            assert report.damage[0].address == BASE
            assert report.damage[0].message.endswith(f"; what would fit: {report.would_fit[0]}")


def test_what_was_found_stays_as_it_is() -> None:
    report = inspect(of_seven(Heap4).memory, base_address=BASE)
    assert report.depends
    for what in (report, report.blocks[0], report.depends[0], Damage("link", 0, "")):
        with pytest.raises(FrozenInstanceError):
            what.kind = what.address = what.conclusion = 0  # type: ignore[union-attr, misc, assignment]


@pytest.mark.parametrize("sizes", [[10, 20], [0, 8, 1, 24]])
def test_the_blocks_of_heap_1_that_a_trace_names(sizes: list[int]) -> None:
    trace = Trace("m" * len(sizes), range(len(sizes)), sizes)
    heap = Heap1(256, base_address=BASE)
    replay(trace, heap)
    used = 256 - 8 - heap.free_size
    state = ImageState(used=used)
    report = inspect(heap.memory, Heap1, base_address=BASE, trace=trace, state=state)
    at, expected = BASE, []
    for event, size in enumerate(sizes):
        if size:
            block = -(-size // 8) * 8
            who = Owner(event, event, size, "", None, len(sizes) - 1 - event)
            expected.append(Found(at, at, block, True, owner=who))
            at += block
    assert report.blocks == (*expected, Found(at, at, heap.free_size, False))
    assert (
        report.notes[-1] == f"{len(expected)} of {len(expected)} allocated blocks are the trace's"
    )
    assert at == BASE + used


@pytest.mark.parametrize(
    ("told", "doubt"),
    [
        ((), ()),
        (("main",), ()),
        (("V11.3.0", "main"), ()),
        (("V10.3.1",), ("main was named, but the symbols are those of V10.3.1",)),
    ],
)
def test_the_release_that_was_named(told: tuple[str, ...], doubt: tuple[str, ...]) -> None:
    memory = of_seven(Heap4).memory
    report = inspect(memory, base_address=BASE, kernel="main", releases=told)
    assert report.notes == ("main was named: other kernels' arenas do not count", *doubt)
