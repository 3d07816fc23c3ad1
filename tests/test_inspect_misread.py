"""What is no such heap is told so, with what would fit; and what is certain of damage."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from functools import cache
from typing import Any

import profiles
import pytest
from parts import few_of

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.heaps import ImageState
from rtosheap.inspection import Report, inspect

BASE = 0x2000_0400
SMALL = 1500  # bytes of the recorded arenas that are tried


def used(cls: Any, seed: int = 1, size: int = 4096, **options: Any) -> Any:
    """A heap after a while."""
    heap = cls(size, base_address=BASE, **options)
    rng, live = random.Random(seed), []
    for _ in range(200):
        if live and rng.random() < 0.48:
            heap.free(live.pop(rng.randrange(len(live))))
        elif (p := heap.malloc(rng.choice([8, 20, 24, 40, 64, 100]))) is not None:
            heap.view(p)[:] = bytes(rng.choices(range(1, 256), k=len(heap.view(p))))
            live.append(p)
    return heap


KINDS = [
    (cls, options)
    for cls in (Heap2, Heap4)
    for options in ({}, {"word_size": 8}, {"alignment": 16}, {"alignment": 4})
] + [(Heap4, {"canary": 0xDEADBEEF}), (Heap4, {"word_size": 8, "canary": 0xDEADBEEF})]


def check_none(report: Report, *fits: str) -> None:
    """It is said, with each of these among what would fit, and nobody is blamed."""
    text = str(report)
    assert report.is_none, text
    assert "damage: none" not in text
    assert "overflow" not in text
    (only,) = report.damage
    assert only.kind == "no such heap"
    assert (only.culprit, only.how, report.blocks, report.heap) == (None, "", (), None)
    assert f"this is no {report.kind}: " in text
    for fit in fits:
        assert any(fit in found for found in report.would_fit), (fit, text)
        assert fit in only.message
    assert report.to_dict()["would_fit"] == list(report.would_fit)


@pytest.mark.parametrize(("cls", "options"), KINDS, ids=str)
def test_wrong_arguments(cls: Any, options: dict[str, int]) -> None:
    """Each wrong by itself; what would fit is what is right."""
    heap = used(cls, **options)
    memory, name = bytes(heap.memory), f"heap_{heap.kind}"
    right = {key: value for key, value in options.items() if key != "canary"}
    assert inspect(memory, cls, base_address=BASE, **right).damage == ()
    for base in (0x2000_0000, BASE + 64, 0x1000_0000):
        told = inspect(memory, cls, base_address=base, **right)
        check_none(told, f"{name} at the base address {BASE:#x}")
    other = 12 - right.get("word_size", 4)
    wrong = {**right, "word_size": other, "alignment": max(8, right.get("alignment", 8))}
    told = inspect(memory, cls, base_address=BASE, **wrong)
    check_none(told, f"{name} with words of {12 - other} bytes")
    told = inspect(memory, cls, base_address=BASE, **{**right, "alignment": 32})
    check_none(told, f"{name} with an alignment of {right.get('alignment', 8)}")
    swapped = Heap4 if cls is Heap2 else Heap2
    check_none(inspect(memory, swapped, base_address=BASE, **right), name)
    check_none(inspect(memory, Heap3, base_address=BASE), name)


@pytest.mark.parametrize(("cls", "options"), KINDS, ids=str)
def test_wrong_sizes(cls: Any, options: dict[str, int]) -> None:
    heap = used(cls, **options)
    memory, name = bytes(heap.memory), f"heap_{heap.kind}"
    right = {key: value for key, value in options.items() if key != "canary"}
    where = f"bytes at {BASE:#x}" if cls is Heap4 else f"bytes or more at {BASE:#x}"
    for less in (512, 1024, 2048):
        told = inspect(memory[:-less], cls, base_address=BASE, **right)
        check_none(told, where)
        assert cls is Heap2 or told.would_fit[0].startswith(f"{name} in 4,096 bytes")
    for more in (bytes(512), b"\x55" * 512, bytes(64) + b"\x55" * 64, bytes(4096)):
        told = inspect(memory + more, cls, base_address=BASE, **right)
        check_none(told, f"{name} in 4,096 bytes at {BASE:#x}")
    if cls is Heap4:
        around = b"\x55" * 512 + memory + b"\x33" * 1024
        told = inspect(around, cls, base_address=BASE - 512, **right)
        check_none(told, f"{name} in 4,096 bytes at {BASE:#x}")


def test_a_wrong_canary() -> None:
    memory = used(Heap4, canary=0xDEADBEEF).memory
    check_none(inspect(memory, base_address=BASE, canary=0xC0FFEE), "the canary 0xdeadbeef")
    check_none(inspect(memory, base_address=BASE, canary=0), "the canary 0xdeadbeef")
    check_none(inspect(used(Heap4).memory, base_address=BASE, canary=0xC0FFEE), "no canary")


def test_a_wrong_head_is_no_wrong_canary() -> None:
    heap = used(Heap4, canary=0xDEADBEEF)
    for canary in (None, 0xDEADBEEF):
        state = ImageState(canary=canary, head=BASE + 8)
        told = inspect(heap.memory, base_address=BASE, state=state)
        assert not told.is_none
        assert told.damage[0].kind == "head", told


def test_a_header_of_zeros_alone_is_no_heap_of_eight_bytes() -> None:
    told = inspect(bytes(8) + b"\x55" * 504, base_address=BASE)
    check_none(told)
    assert told.would_fit == ()


def test_a_heap_may_be_64_times_as_large_as_what_was_read() -> None:
    for size, fits in ((4104, True), (4112, False)):
        heap = Heap4(size, base_address=BASE)
        heap.view(heap.malloc(size - 32))[:] = b"\x55" * (size - 16)
        told = inspect(bytes(heap.memory)[:64], base_address=BASE)
        assert any(f"in {size:,} bytes" in text for text in told.would_fit) == fits, told


def test_a_block_of_heap_2_does_not_link_into_itself() -> None:
    for link, fits in ((BASE + 64, False), (BASE + 504, False), (BASE + 512, True)):
        header = link.to_bytes(4, "little") + (512).to_bytes(4, "little")
        told = inspect(header + b"\x55" * 56, Heap2, base_address=BASE)
        assert any("heap_2 in 520 bytes or more" in text for text in told.would_fit) == fits, told


def test_of_two_heaps_in_the_memory_the_first_is_told() -> None:
    memory = b"\x55" * 512
    for base in (BASE + 512, BASE + 512 + 1024 + 256):
        heap = Heap4(1024, base_address=base)
        heap.malloc(100)
        memory += bytes(heap.memory) + b"\x55" * 256
    told = inspect(memory, base_address=BASE)
    check_none(told, f"heap_4 in 1,024 bytes at {BASE + 512:#010x}")


def test_nothing_but_zeros() -> None:
    for heap in (Heap2, Heap3, Heap4):
        for word in (4, 8) if heap is not Heap3 else (4,):
            told = inspect(bytes(1024), heap, word_size=word)
            check_none(told)
            assert "all its 1,024 bytes are 0" in told.damage[0].message
    check_none(inspect([(BASE, bytes(1024)), (BASE + 2048, bytes(512))], Heap5))
    # Those that leave nothing in a fresh arena:
    assert inspect(bytes(1024), Heap1).damage == ()
    assert inspect(bytes(1024), Heap3, state=ImageState(used=0)).damage == ()


def test_heap_1_shows_no_damage_and_says_so() -> None:
    report = inspect(random.Random(1).randbytes(512), Heap1)
    assert any("no damage shows" in note for note in report.notes)
    told = inspect(bytes(100), Heap1, state=ImageState(used=200)).damage
    assert [item.kind for item in told] == ["counter"]


def test_no_bytes_that_are_no_heap() -> None:
    rng = random.Random(4)
    for heap in (Heap2, Heap3, Heap4):
        for _ in range(40):
            told = inspect(rng.randbytes(rng.choice([256, 1024])), heap)
            assert told.is_none, told


def test_one_region_of_a_heap_5() -> None:
    heap = Heap5([(BASE, 1024), (BASE + 4096, 512)])
    heap.malloc(100)
    first, last = (bytes(region.memory) for region in heap.regions)
    check_none(inspect(first, Heap4, base_address=BASE), "one region of a heap_5")
    assert inspect(last, Heap4, base_address=BASE + 4096).damage == ()


# ---------------------------------------------------------------------- older kernels' arenas


@cache
def small(*kinds: int) -> list[profiles.Image]:
    names = [name for name in profiles.NAMES if any(f"heap{kind}_" in name for kind in kinds)]
    images = (image for name in names for image in profiles.images(name, written=True))
    return [image for image in images if image.heap == 5 or len(image.memory) <= SMALL]


def without(image: profiles.Image, *names: str) -> dict[str, int]:
    return {key: value for key, value in image.options.items() if key not in names}


@pytest.mark.long
def test_another_address_in_every_kernel() -> None:
    """The links tell the address, if there are any."""
    tried: Counter[int] = Counter()
    missed = 0
    for image in small(4, 5):
        if all(live for _, _, live in image.blocks or ()):
            continue
        if image.heap == 5:
            base = image.memory[0][0]
            moved = [(at + 0x400, data) for at, data in image.memory]
            told = inspect(moved, Heap5, **image.options)
        else:
            base = image.options["base_address"]
            told = inspect(image.memory, Heap4, base_address=base + 0x400,
                           **without(image, "base_address"))  # fmt: skip
        check_none(told)
        missed += not any(f"{base:#x}" in fit for fit in told.would_fit)
        tried[image.heap] += 1
    assert tried == ADDRESSES
    assert missed == 2  # one link alone, that fits elsewhere too


@pytest.mark.parametrize("wrong", [0x2000_0000, 0x2020_2000, 0x3000_0000])
def test_two_links_that_read_as_text_tell_the_address(wrong: int) -> None:
    heap = Heap2(2048, base_address=0x2020_2020)
    live = [heap.malloc(24) for _ in range(6)]
    heap.free(live[0])
    heap.free(live[2])
    told = inspect(heap.memory, Heap2, base_address=wrong)
    check_none(told)
    assert told.would_fit == ("heap_2 at the base address 0x20202020",)


def test_links_that_count_from_the_heap_tell_no_address() -> None:
    """No heap lies at address 0."""
    heap = Heap4(512, base_address=0x2000_0000)
    live = [heap.malloc(24) for _ in range(6)]
    for address in live[::2]:
        heap.free(address)
    memory = bytearray(heap.memory)
    for block in heap.free_blocks():
        at = block.address - 0x2000_0000
        link = int.from_bytes(memory[at : at + 4], "little") - 0x2000_0000
        memory[at : at + 4] = link.to_bytes(4, "little")
    assert inspect(memory, Heap4).would_fit == ()


def test_a_heap_in_a_payload_is_not_the_heap_where_one_header_is_damaged() -> None:
    """The chain that comes to the memory's own end is longer."""
    base = 0x2000_0000
    heap = Heap4(1024, base_address=base)
    first, second, *rest = [heap.malloc(size) for size in (24, 200, 24, 24, 24, 24)]
    heap.free(rest[1])
    inner = Heap4(192, base_address=second)
    inner.free([inner.malloc(24) for _ in range(4)][1])
    memory = bytearray(heap.memory)
    memory[second - base : second - base + 192] = inner.memory
    memory[:8] = b"\xa5" * 8
    told = inspect(memory, Heap4, base_address=base)
    assert told.would_fit == ()
    assert [damage.address for damage in told.damage] == [base] == [first - 8]


@pytest.mark.long
def test_another_word_and_heap_3_in_every_kernel() -> None:
    tried: Counter[int] = Counter()
    for image in small(2, 4):
        base, word = image.options["base_address"], image.options["word_size"]
        other = {"word_size": 12 - word, "alignment": max(8, image.options["alignment"])}
        name = f"heap_{image.heap}"
        check_none(inspect(image.memory, name, base_address=base, **other), f"words of {word}")
        check_none(inspect(image.memory, Heap3, base_address=base), name)
        tried[image.heap] += 1
    assert tried == SMALL_ARENAS


def test_another_kind_in_every_kernel() -> None:
    """With a free block: without one heap_4's bytes are heap_2's of V10.5 or later."""
    tried: Counter[int] = Counter()
    for image in small(2, 4):
        if any(not live for _, _, live in image.blocks or ()):
            other = "heap_4" if image.heap == 2 else "heap_2"
            told = inspect(image.memory, other, **image.options)
            check_none(told, f"heap_{image.heap}")
            tried[image.heap] += 1
    assert tried == FREE_ARENAS


ADDRESSES = Counter({4: 98, 5: 458})
SMALL_ARENAS = Counter({2: 261, 4: 168})
FREE_ARENAS = Counter({2: 157, 4: 98})

# ---------------------------------------------------------------------- certain, and suspected


@pytest.mark.parametrize("options", [{}, {"word_size": 8}, {"canary": 0xDEADBEEF}], ids=str)
def test_a_size_that_grew_blames_nobody(options: dict[str, int]) -> None:
    """A size word that is 8 too large: between which headers the chain is broken is certain."""
    heap = used(Heap4, **options)
    word, tried = heap.word_size, 0
    for block in heap.blocks():
        memory = bytearray(heap.memory)
        at = block.address - BASE + word
        size = int.from_bytes(memory[at : at + word], "little") + 8
        memory[at : at + word] = size.to_bytes(word, "little")
        report = inspect(memory, base_address=BASE, word_size=word)
        (found,) = [damage for damage in report.damage if damage.kind == "header"]
        assert found.address == block.address
        assert (found.culprit, found.how) == (None, "")
        assert found.suspicion.startswith("nobody in particular: the size changed")
        after = block.address + block.size
        ends = f"the chain of headers is broken between {block.address:#010x} and {after:#010x}"
        # In a free block an old header may be taken for the next.
        assert ends in found.message or not block.allocated
        assert f"is broken between {block.address:#010x} and " in found.message
        assert f"the size {block.size + 8:,} leads" in found.message
        assert found.message + "\n    suspected: nobody" in str(report)
        tried += 1
    assert tried > 15


def test_what_the_first_bytes_alone_would_be_is_noted() -> None:
    """The zeros may be an overflow's, or those behind a smaller arena."""
    heap = Heap4(1000, base_address=BASE)
    p, _ = heap.malloc(24), heap.malloc(40)
    heap.free(p)
    memory = bytearray(heap.memory)
    memory[72:96] = bytes(24)  # over the end of the second block, and the header of the rest
    report = inspect(memory, base_address=BASE)
    assert [(d.kind, d.culprit) for d in report.damage][:1] == [("header", BASE + 32)]
    assert "its first 88 bytes are a sound heap_4 by themselves" in report.notes


# ---------------------------------------------------------------------- what cannot be known

#: What of another size is made of an arena.
SIZED = {
    "shorter": lambda memory: memory[:-8],
    "half": lambda memory: memory[: len(memory) // 2],
    "zeros behind it": lambda memory: memory + bytes(64),
    "bytes behind it": lambda memory: memory + b"\x55" * 64,
    "anything behind it": lambda memory: memory + random.Random(1).randbytes(len(memory)),
}
#: How many are called damaged, and in how many of these a block is suspected without the word that
#: the size may be wrong: nearly all of them have a heap protector's word that was cut off.
SAID = {"shorter": (235, 3), "half": (194, 4), "zeros behind it": (251, 0),
        "bytes behind it": (210, 0), "anything behind it": (233, 0)}  # fmt: skip


@pytest.mark.parametrize("way", few_of(SIZED, ["shorter", "bytes behind it"]))
def test_a_wrong_size_that_may_be_damage_is_told_as_either(way: str) -> None:
    damaged = silent = tried = 0
    for image in small(2, 4):
        if len(image.memory) < 100:
            continue
        memory = SIZED[way](bytes(image.memory))
        report = inspect(memory, f"heap_{image.heap}", **image.options)
        tried += 1
        if image.heap == 2 and not report.is_none:
            assert any("whether its size is right, nothing tells" in note for note in report.notes)
        if report.is_none or not report.damage:
            continue
        damaged += 1
        named = [item for item in report.damage if item.culprit is not None]
        silent += any("; or nobody wrote it, and the heap " not in d.suspicion for d in named)
    assert tried == 393
    assert (damaged, silent) == SAID[way]


def test_where_the_size_is_known_nothing_is_said_of_it() -> None:
    """An ELF tells it."""
    heap = used(Heap4)
    memory = bytearray(heap.memory)
    memory[-8:] = b"overflow"
    last = heap.blocks()[-1].address
    unknown = inspect(memory, base_address=BASE).damage
    known = inspect(memory, base_address=BASE, state=ImageState(free_size=heap.free_size)).damage
    assert [(d.kind, d.culprit) for d in unknown] == [(d.kind, d.culprit) for d in known]
    assert known[0].culprit == last
    assert unknown[0].suspicion == (
        known[0].suspicion + "; or nobody wrote it, and the heap has another size than these "
        "4,096 bytes"
    )


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("what", [b"\xff" * 4, bytes(4), b"\x07\0\0\0", b"abcd"])
def test_a_chunk_of_heap_3_that_leads_nowhere(what: bytes, known: bool) -> None:
    """Chunks that go on behind it make it damage; all others are as they were."""
    heap = used(Heap3, newlib="3.3.0")
    blocks = heap.blocks()
    tried = 0
    for before, hurt in itertools.pairwise(blocks[:-4]):
        memory = bytearray(heap.memory)
        at = hurt.address - BASE
        memory[at : at + 4] = what
        state = ImageState(used=blocks[-1].address - BASE) if known else None
        report = inspect(memory, Heap3, base_address=BASE, state=state)
        (damage,) = report.damage
        assert (damage.kind, damage.address, damage.found) == ("header", hurt.address, what)
        assert f"chunks go on at {hurt.address + hurt.size:#x}, " in damage.message
        assert damage.culprit is None
        assert f"the chunk at {before.address:#010x} before it was" in damage.suspicion
        assert [(b.address, b.size) for b in report.blocks] == [b[:2] for b in blocks]
        assert [b.address for b in report.blocks if b.broken] == [hurt.address]
        assert report.heap is None
        with pytest.raises(ValueError, match="which leads nowhere; chunks go on at"):
            Heap3.from_image(memory, base_address=BASE, state=state)
        tried += 1
    assert tried == 4


def test_what_lies_behind_the_chunks_of_heap_3() -> None:
    """Anything may, in memory that was never handed out."""
    heap = used(Heap3)
    report = inspect(heap.memory, Heap3, base_address=BASE)
    assert not any("leads anywhere" in note for note in report.notes)
    end = heap.blocks()[-1].address - BASE
    for tail in (b"\x55" * 2048, random.Random(1).randbytes(2048)):
        memory = heap.memory[:-2048] + tail
        report = inspect(memory, Heap3, base_address=BASE)
        assert report.damage == ()
        said = f"from {BASE + end:#010x} on no size leads anywhere, but not all is 0: "
        assert any(note.startswith(said) for note in report.notes)
        known = inspect(memory, Heap3, base_address=BASE, state=ImageState(used=end))
        assert known.damage == known.notes[1:] == ()


def test_a_free_list_of_heap_3_that_leads_nowhere() -> None:
    heap = used(Heap3)
    state = ImageState(used=heap.blocks()[-1].address - BASE, head=BASE + 4)
    report = inspect(heap.memory, Heap3, base_address=BASE, state=state)
    assert [(item.kind, item.address) for item in report.damage] == [("head", 0)]
    assert len(report.blocks) == len(heap.blocks())


# ---------------------------------------------------------------------- any bytes


def test_a_last_block_that_is_smaller_than_a_header() -> None:
    """heap_2's last block may have any size, but not less than its header's."""
    memory = bytes(8) + b"\x18" + bytes(26)
    assert inspect(memory, Heap2, word_size=8, base_address=0x1000).is_none


def test_small_memories_of_any_bytes() -> None:
    rng, tried = random.Random(3), 0
    for _ in range(4000):
        heap = rng.choice([Heap1, Heap2, Heap3, Heap4, Heap5])
        word = 4 if heap is Heap3 else rng.choice([4, 8])
        align = 8 if heap is Heap3 else rng.choice([a for a in (4, 8, 16, 32) if a >= word])
        data = bytes(rng.choice([0, 0, 0, 1, 8, 16, 24, 0x80, 0x20, 255])
                     for _ in range(rng.randrange(80)))  # fmt: skip
        base = rng.choice([0x1000, 0x2000_0000]) + rng.randrange(8)
        memory = [(base, data)] if heap is Heap5 else data
        where = {} if heap is Heap5 else {"base_address": base}
        try:
            report = inspect(memory, heap, word_size=word, alignment=align, **where)
        except ValueError as error:
            assert "memory has" in str(error)  # noqa: PT017
            continue
        assert str(report)
        tried += 1
    assert tried > 1000


@pytest.mark.parametrize("shift", [-512, -256, -248, -8, 8, 248, 256, 512])
def test_a_terminator_moves_a_link_by_less_than_256(shift: int) -> None:
    """One link that ends in a byte of 0 tells of another address only from there on."""
    heap = Heap4(2048 + 8, base_address=BASE)
    payload = heap.malloc(100)
    heap.view(payload)[:] = b"\x5a" * len(heap.view(payload))
    assert heap.memory[112:116] == (BASE + 2048).to_bytes(4, "little")
    report = inspect(heap.memory, base_address=BASE + shift)
    moved = f"heap_4 at the base address {BASE:#010x}"
    assert (moved in report.would_fit) is (abs(shift) >= 256)


@pytest.mark.parametrize("far", [1 << 20, -(1 << 20)])
def test_an_end_marker_of_heap_2_lies_near(far: int) -> None:
    """Within a mebibyte of the heap, where two links alone tell of it."""
    for by, fits in ((0, False), (8, False), (-8, True)):
        marker = BASE + far + (by if far > 0 else -by)
        heap = Heap2(256, base_address=BASE, end_marker_address=marker)
        live = [heap.malloc(24), heap.malloc(30)]
        heap.free(live[0])
        report = inspect(heap.memory, Heap4, base_address=BASE)
        assert report.would_fit == (("heap_2",) if fits else ())


def test_the_link_that_an_allocated_block_of_an_old_heap_2_should_have() -> None:
    """Any entry's address may stand there, and else none should."""
    heap = Heap2(256, base_address=BASE, kernel="V10.3.1")
    live = [heap.malloc(24) for _ in range(4)]
    heap.free(live[1])
    third = list(heap.blocks())[2].address
    for at, right in (
        (BASE + 16, True),
        (BASE + 248, True),
        (BASE + 256, False),
        (BASE + 2, False),
    ):
        memory = bytearray(heap.memory)
        header = at.to_bytes(4, "little") + (5).to_bytes(4, "little")
        memory[third - BASE : third - BASE + 8] = header
        (damage,) = inspect(memory, Heap2, base_address=BASE).damage
        assert (damage.kind, damage.address) == ("header", third)
        link = (at if right else 0).to_bytes(4, "little")
        assert damage.expected == link + (32).to_bytes(4, "little")


def test_what_is_shown_of_a_chunk_near_the_beginning() -> None:
    """All bytes from the first on."""
    heap = Heap3(256, base_address=BASE)
    for _ in range(4):
        heap.malloc(8)
    memory = bytearray(heap.memory)
    memory[16:20] = b"\1\2\3\4"
    state = ImageState(used=64, head=0)
    (damage,) = inspect(memory, Heap3, base_address=BASE, state=state).damage
    assert (damage.address, damage.found) == (BASE + 16, b"\1\2\3\4")
    assert damage.shown == memory[:20]


def test_a_link_of_zeros_where_no_end_marker_is_known() -> None:
    """What it should be nobody knows: a byte of it at the least was written."""
    heap = Heap2(256, base_address=BASE)
    for _ in range(4):
        heap.malloc(24)
    last, before = list(heap.blocks())[::-1][:2]
    memory = bytearray(heap.memory)
    memory[last.address - BASE : last.address - BASE + 4] = bytes(4)
    (damage,) = inspect(memory, Heap2, base_address=BASE).damage
    assert (damage.kind, damage.address, damage.past) == ("link", last.address, 1)
    assert (damage.culprit, damage.found) == (before.address, damage.expected)


@pytest.mark.parametrize("cls", [Heap2, Heap4])
def test_three_chunks_tell_of_a_heap_3(cls: Any) -> None:
    """Any two words look like a chunk, or two."""
    for count in range(1, 5):
        heap = Heap3(512, base_address=BASE)
        for payload in [heap.malloc(40) for _ in range(count)]:
            heap.view(payload)[:] = b"A" * len(heap.view(payload))
        report = inspect(heap.memory, cls, base_address=BASE)
        assert report.would_fit == (("heap_3",) if count > 2 else ())


def test_a_link_that_no_program_has_moves_nothing() -> None:
    """From 47 bits on it was written over."""
    heap = Heap4(2048 + 16, base_address=1 << 46, word_size=8)
    payload = heap.malloc(100)
    heap.view(payload)[:] = b"\x5a" * len(heap.view(payload))
    at = next(block.address for block in heap.blocks() if not block.allocated) - (1 << 46)
    for link, fits in ((1 << 47, False), ((1 << 47) - 2048, True)):
        memory = bytearray(heap.memory)
        memory[at : at + 8] = link.to_bytes(8, "little")
        report = inspect(memory, base_address=1 << 46, word_size=8)
        assert any("at the base address" in fit for fit in report.would_fit) == fits
