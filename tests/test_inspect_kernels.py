"""Arenas of every kernel version: sound ones are called sound, damaged ones name the block."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import arena_damage
import profiles
import pytest
from parts import few_of

from rtosheap import Heap1, Heap2, Heap3, Heap4, HeapCorruptionError
from rtosheap.heaps import ImageState
from rtosheap.inspection import Report, inspect

#: Arenas of each file: its cases without those whose regions were refused; with the protector one
#: for each manner of storing links.
ARENAS = {
    "absorb_heap5_w32": 64, "absorb_heap5_w64": 24,
    "early_heap1_w32": 60, "early_heap1_w64": 20,
    "early_heap2_w32": 68, "early_heap2_w64": 28,
    "early_heap4_w32": 64, "early_heap4_w64": 24,
    "early_heap5_w32": 63, "early_heap5_w64": 24,
    "mincap_heap4_w32": 89, "mincap_heap4_w64": 33,
    "mincap_heap5_w32": 116, "mincap_heap5_w64": 38,
    "pad_heap2_w32": 68, "pad_heap2_w64": 28,
    "pad_heap4_w32": 64, "pad_heap4_w64": 24,
    "pad_heap5_w32": 61, "pad_heap5_w64": 24,
    "padearly_heap2_w32": 68, "padearly_heap2_w64": 28,
    "padnodetect_heap2_w32": 68, "padnodetect_heap2_w64": 28,
    "protassert_heap5_w32": 58, "protassert_heap5_w64": 20,
}  # fmt: skip


def look(image: profiles.Image, memory: Any = None, state: ImageState | None = None) -> Report:
    memory = image.memory if memory is None else memory
    return inspect(memory, f"heap_{image.heap}", state=state, **image.options)


def is_guess(image: profiles.Image, state: ImageState | None) -> bool:
    """Whether nothing says what is free."""
    return image.heap == 2 and image.kernel != "V10.5.0 or later" and state is None


# ---------------------------------------------------------------------- sound


@pytest.mark.parametrize("name", few_of(profiles.NAMES, profiles.FEW))
@pytest.mark.parametrize("written", [False, True], ids=["untouched", "written"])
def test_sound_arenas_are_called_sound(name: str, written: bool) -> None:
    """By themselves, and with what an ELF tells."""
    seen = 0
    for image in profiles.images(name, written=written):
        for state in (None, image.state):
            report = look(image, state=state)
            where = f"{image.case}, {image.kernel}: {report}"
            assert report.damage == (), where
            assert "damage: none" in str(report)
            assert any(kernel.startswith(image.kernel) for kernel in report.kernels), where
            assert report.to_dict()["kernels"] == list(report.kernels)
            if image.blocks is not None:
                blocks = [(b.address, b.size, b.allocated) for b in report.blocks]
                if is_guess(image, state):
                    said = any("is a guess" in note for note in report.notes)
                    assert said == (not report.kernels[0].startswith("V10.5.0 or later"))
                    blocks = [block[:2] for block in blocks]
                    assert blocks == [block[:2] for block in image.blocks]
                else:
                    assert blocks == image.blocks, where
            elif state is not None:
                assert report.blocks[0].address == (state.start or 0), where
        seen += 1
    assert seen == ARENAS[name]


def test_all_profiles_are_tried() -> None:
    assert sum(profiles.RECORDED.values()) == 1_152
    assert sum(ARENAS.values()) == 1_254


# ---------------------------------------------------------------------- damaged


class Block(NamedTuple):
    address: int
    size: int
    allocated: bool
    payload: int


class Wound(NamedTuple):
    """An arena with bytes overwritten, and which block did it."""

    image: profiles.Image
    way: str
    memory: Any
    culprit: int


def wounds(name: str, most: int) -> Iterator[Wound]:
    """Each way, at one pair of blocks that adjoin, in each arena of no more bytes; without what
    leaves no trace, beside the header or in a link that may be any, and without what runs into the
    header after that.
    """
    for image in profiles.images(name, written=True):
        word, align = image.options["word_size"], image.options["alignment"]
        header = -(-2 * word // align) * align
        regions = [(image.options.get("base_address", 0), image.memory)]
        if image.heap == 5:
            regions = image.memory
        if sum(len(data) for _, data in regions) > most:
            continue
        blocks = [Block(*block, block[0] + header) for block in image.blocks or ()]
        pairs = [
            (a, b)
            for a, b in itertools.pairwise(blocks)
            if a.allocated and a.size > header and a.address + a.size == b.address
        ]
        rng = random.Random(image.case)
        unmarked = image.heap == 2 and image.kernel != "V10.5.0 or later"
        for way, write in arena_damage.WAYS.items() if pairs else ():
            a, b = rng.choice(pairs)
            at, what, culprit = write(a, b)
            if way == "zeros":
                at = max(a.payload, b.address - 8)
                what = bytes(b.address + 2 * word - at)
            if way.startswith("an underflow"):
                if not b.allocated or header != 2 * word:
                    continue
            elif len(what) > max(b.size, 2 * word) or (
                unmarked and b.allocated and at + len(what) <= b.address + word
            ):
                continue
            yield Wound(image, way, overwritten(image, regions, at, what), culprit)


def overwritten(image: profiles.Image, regions: Any, at: int, what: bytes) -> Any:
    changed = [(base, bytearray(data)) for base, data in regions]
    base, data = next(r for r in changed if r[0] <= at < r[0] + len(r[1]))
    data[at - base : at - base + len(what)] = what
    del data[len(dict(regions)[base]) :]
    return changed if image.heap == 5 else data


def check_wounds(name: str, most: int) -> int:
    tried = 0
    for wound in wounds(name, most):
        report = look(wound.image, wound.memory, wound.image.state)
        assert report.damage, wound
        first = report.damage[0]
        where = f"{wound.image.case}, {wound.image.kernel}, {wound.way}: {report.damage}"
        assert first.culprit == wound.culprit, where
        assert f"{first.address:#010x}" in first.message
        assert f"suspected: {first.suspicion}" in str(report)
        tried += 1
    return tried


HEADED = [name for name in profiles.NAMES if "heap1" not in name]
#: Wounds in arenas of up to 600 bytes, and in all.
WOUNDS = {
    "absorb_heap5_w32": (171, 458), "absorb_heap5_w64": (35, 174),
    "early_heap2_w32": (107, 372), "early_heap2_w64": (41, 133),
    "early_heap4_w32": (112, 459), "early_heap4_w64": (37, 173),
    "early_heap5_w32": (141, 432), "early_heap5_w64": (26, 170),
    "mincap_heap4_w32": (172, 638), "mincap_heap4_w64": (81, 202),
    "mincap_heap5_w32": (268, 830), "mincap_heap5_w64": (92, 320),
    "pad_heap2_w32": (137, 425), "pad_heap2_w64": (25, 129),
    "pad_heap4_w32": (127, 445), "pad_heap4_w64": (57, 160),
    "pad_heap5_w32": (178, 432), "pad_heap5_w64": (9, 147),
    "padearly_heap2_w32": (89, 334), "padearly_heap2_w64": (39, 105),
    "padnodetect_heap2_w32": (99, 337), "padnodetect_heap2_w64": (58, 121),
    "protassert_heap5_w32": (133, 406), "protassert_heap5_w64": (27, 149),
}  # fmt: skip


@pytest.mark.parametrize("name", few_of(HEADED, profiles.FEW[1:]))
def test_damaged_arenas_name_the_block(name: str) -> None:
    assert check_wounds(name, 600) == WOUNDS[name][0]


@pytest.mark.long
@pytest.mark.parametrize("name", HEADED)
def test_damaged_arenas_of_any_size_name_the_block(name: str) -> None:
    assert check_wounds(name, 1 << 20) == WOUNDS[name][1]


# ---------------------------------------------------------------------- a live heap


@pytest.mark.parametrize(
    ("name", "cls", "kernel"),
    [
        ("early_heap1_w32", Heap1, "V10.4.5 or earlier"),
        ("early_heap2_w32", Heap2, "V10.4.5 or earlier"),
        ("padnodetect_heap2_w64", Heap2, "V10.4.6"),
        ("mincap_heap4_w32", Heap4, "V11.0.0 to V11.1.0"),
    ],
)
def test_a_live_heap_is_its_kernels(name: str, cls: Any, kernel: str) -> None:
    """An arena that the newest would not have left is refused by its kernel's name, and as damaged
    if it is damaged; with that kernel it lives on, as inspection has it.
    """
    told = 0
    for image in profiles.images(name, written=True):
        if image.kernel != kernel:
            continue
        report = look(image, state=image.state)
        if not report.kernels[0].startswith(kernel):
            continue  # it fits the newest as well
        with pytest.raises(ValueError, match=f"that heap_[124] of {re.escape(kernel)} .*left"):
            cls.from_image(image.memory, state=image.state, **image.options)
        release = report.heap.kernel
        assert release in kernel
        heap = cls.from_image(image.memory, state=image.state, kernel=release, **image.options)
        assert heap.kernel == release
        assert heap.blocks() == report.heap.blocks()
        assert bytes(heap.copy().memory) == bytes(image.memory)
        told += 1
    assert told >= 20
    if cls is Heap1:
        return
    wound = next(w for w in wounds(name, 1 << 20) if w.image.kernel == kernel and w.way == "zeros")
    with pytest.raises(HeapCorruptionError):
        cls.from_image(wound.memory, state=wound.image.state, **wound.image.options)


def test_other_releases_that_fit_are_told() -> None:
    """With no allocated block, nothing tells of the mark; with an unaligned arena, where it begins
    does not.
    """
    fresh = inspect(Heap2(256).memory, Heap2)
    assert [kernel.split(" (")[0] for kernel in fresh.kernels] == ["V10.5.0 or later", "V10.4.6"]
    assert "kernel          V10.5.0 or later\n  or as well      V10.4.6 (no allocated" in str(fresh)
    unaligned = Heap2(256, base_address=0x2000_0004)
    assert [k.split(" (")[0] for k in inspect(unaligned.memory, Heap2, base_address=0x2000_0004)
            .kernels] == ["V10.5.0 or later", "V10.4.6", "V10.4.5 or earlier"]  # fmt: skip


def test_the_canary_of_a_heap_whose_end_marker_was_overwritten() -> None:
    heap = Heap4(1024, canary=0xDEADBEEF)
    held = [heap.malloc(24) for _ in range(6)]
    heap.free(held[1])
    heap.free(held[3])
    rest = heap.malloc(heap.stats().largest_free_block - 8)
    heap.view(rest)[:] = b"z" * len(heap.view(rest))
    memory = bytearray(heap.memory)
    memory[-8:-4] = b"zzzz"
    report = inspect(memory)
    assert report.canary == 0xDEADBEEF
    assert [(d.kind, d.culprit) for d in report.damage] == [("end marker", rest - 8)]


@pytest.mark.parametrize("known", [False, True])
def test_heap_3_the_word_before_a_payload(known: bool) -> None:
    """Where a payload does not follow the size, free finds the chunk by the word between."""
    base = 0x2000_0000
    heap = Heap3(1024, base_address=base)
    payloads = [heap.malloc(size) for size in (20, 40, 24, 12)]
    heap.free(payloads[1])
    assert payloads[0] == base + 8
    head = heap.free_blocks()[0].address if known else None
    for count in range(1, 5):
        memory = bytearray(heap.memory)
        memory[8 - count : 8] = b"\x11\x22\x33\x44"[:count]
        report = inspect(memory, Heap3, base_address=base, state=ImageState(head=head))
        (damage,) = report.damage
        assert (damage.culprit, damage.how, damage.past) == (base, "underflow", count)
        assert "malloc leaves fc ff ff ff there" in damage.message
        assert report.heap is not None
        with pytest.raises(HeapCorruptionError):
            report.heap.check()
    assert inspect(heap.memory, Heap3, base_address=base).damage == ()
