"""What an inspection says of releases whose arenas it cannot tell apart, on small arenas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import profiles
import pytest
from test_inspect_releases import DEPENDS, RELEASES, grouped, look, outcome

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.heaps import ImageState
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.variants import VARIANTS
from rtosheap.inspection import Damage, Report, inspect
from rtosheap.inspection._depends import _differences, _Outcome
from rtosheap.inspection.report import Found

BASE = 0x2000_0000


def concluded(
    live: int = 0, free: int = 1, *, layout: Layout | None = None, **changed: Any
) -> tuple[Report, Layout]:
    """A report on some blocks of 24 bytes, the live ones first."""
    layout = layout or Layout(4)
    blocks = tuple(
        Found(BASE + 24 * at, BASE + 24 * at + 8, 24, at < live) for at in range(live + free)
    )
    plain = Report(layout.name, ((BASE, 1024),), blocks, (), 16, None, 0)
    return replace(plain, **changed), layout


def told(*each: tuple[Report, Layout]) -> dict[str, dict[str, Any]]:
    """What is said to depend, where each is what a release of its own has."""
    names = ["V11.3.0", "V11.2.0", "V11.1.0", "V10.3.1"]
    outcomes = [
        _Outcome((name,), report, layout)
        for name, (report, layout) in zip(names, each, strict=False)
    ]
    return {one.conclusion: dict(one.cases) for one in _differences(outcomes)}


def test_what_is_the_same_for_all_does_not_depend() -> None:
    assert told(concluded(3)) == {}
    assert told(concluded(3), concluded(3), concluded(3)) == {}


def test_the_blocks_that_are_allocated() -> None:
    """The first four are named."""
    found = told(concluded(4), concluded(5, 0), concluded(0, 5))
    first = "0x20000000, 0x20000018, 0x20000030, 0x20000048"
    assert found["allocated"] == {
        "V11.3.0": f"4 blocks, 96 bytes: {first}",
        "V11.2.0": f"5 blocks, 120 bytes: {first}, …",
        "V11.1.0": "nothing",
    }
    assert found["free_size"] == {"V11.3.0": 24, "V11.2.0": 0, "V11.1.0": 120}
    assert found["free_block_count"] == {"V11.3.0": 1, "V11.2.0": 0, "V11.1.0": 5}
    assert found["largest_free_block"] == {"V11.3.0, V11.1.0": 24, "V11.2.0": 0} or found[
        "largest_free_block"
    ] == {"V11.1.0, V11.3.0": 24, "V11.2.0": 0}
    assert {*found} == {"allocated", "free_size", "free_block_count", "largest_free_block"}


def test_the_damage_and_the_canary() -> None:
    hurt = (Damage("link", BASE + 24, "one"), Damage("lost", BASE, "two"))
    found = told(concluded(2), concluded(2, damage=hurt), concluded(2, canary=7))
    assert found == {
        "damage": {"V11.1.0, V11.3.0": "none", "V11.2.0": "2, the first at 0x20000018"},
        "canary": {"V11.2.0 to V11.3.0": 0, "V11.1.0": 7},
    }


def test_whether_heap_2_notices_a_second_free() -> None:
    marked = next(variant for variant in VARIANTS[2] if variant.marked)
    plain = next(variant for variant in VARIANTS[2] if not variant.marked)
    layouts = [replace(Layout(2), variant=variant) for variant in (marked, plain)]
    found = told(*(concluded(2, layout=layout) for layout in layouts))
    assert found == {"second free": {"V11.3.0": "noticed", "V11.2.0": "not noticed"}}
    four = [replace(Layout(4), variant=variant) for variant in VARIANTS[4][:2]]
    assert told(*(concluded(2, layout=layout) for layout in four)) == {}


def test_what_the_heaps_would_do() -> None:
    """Of a heap that is whole, each request that may tell is tried."""
    heaps = [Heap4(512), Heap4(1024), Heap4(512)]
    whole = [concluded(2, heap=heap, largest_request=496) for heap in heaps]
    found = told(*whole)
    free = {512: 504, 1024: 1016}
    assert found == {
        "malloc(497)": {
            "V11.1.0, V11.3.0": "NULL",
            "V11.2.0": "0x20000008, which takes 512 bytes",
        },
        "statistics": {
            "V11.1.0, V11.3.0": "smallest_free_block 504",
            "V11.2.0": "smallest_free_block 1,016",
        },
    }
    assert free[1024] == heaps[1].free_size  # nothing was taken
    hurt = (Damage("link", BASE, "one"),)
    damaged = [concluded(2, heap=heap, damage=hurt) for heap in heaps]
    assert told(*damaged) == {}
    # Of the largest request of any release one byte more:
    more = [concluded(2, heap=heaps[1], largest_request=size) for size in (1008, 600)]
    assert {*told(*more)} == {"largest_request"}


@pytest.mark.parametrize("name", DEPENDS)
def test_what_depends_in_one_arena(name: str) -> None:
    """Every release by itself says so."""
    image = next(iter(profiles.images(name, written=True)))
    whole = look(image)
    alone = {release: look(image, kernel=release) for release in RELEASES}
    alone = {release: report for release, report in alone.items() if not report.is_none}
    found = {one.conclusion: dict(one.cases) for one in whole.depends}
    largest = max(report.largest_request for report in alone.values())
    word, align = image.options["word_size"], image.options["alignment"]
    expected = {"largest_request": {name: r.largest_request for name, r in alone.items()}}
    for size in (align, largest + 1, 2 ** (8 * word) - 1):
        expected[f"malloc({size})"] = {
            release: outcome(report.heap, size)  # type: ignore[misc]
            for release, report in alone.items()
        }
    for what, each in expected.items():
        assert found.get(what, {}) == grouped(each)


@pytest.mark.parametrize("cls", [Heap2, Heap4, Heap5])
@pytest.mark.parametrize("canary", [0, 0xDEADBEEF])
def test_a_heap_with_no_room_serves_no_request(cls: Any, canary: int) -> None:
    options = {"canary": canary} if canary and cls is not Heap2 else {}
    heap = cls([(BASE, 256)], **options) if cls is Heap5 else cls(256, **options)
    while heap.malloc(1) is not None:
        pass
    memory = [(BASE, heap.regions[0].memory)] if cls is Heap5 else heap.memory
    report = inspect(memory, cls)
    assert (report.largest_request, report.free_size) == (0, 0)
    assert report.damage == ()


def test_a_heap_3_that_is_full_serves_no_request() -> None:
    for size in (400, 404, 408):
        heap = Heap3(size)
        while heap.malloc(1) is not None:
            pass
        state = ImageState(used=heap._reached, head=0)
        report = inspect(heap.memory, Heap3, state=state)
        assert report.largest_request == 0
        for one in report.depends:
            (odd,) = [name for name, case in one.cases if case != "NULL"]
            assert odd == "newlib 4.2.0"  # and not up to some date
        assert "malloc(8)" in {one.conclusion for one in report.depends}


def test_a_heap_1_that_is_full_serves_no_request() -> None:
    heap = Heap1(64)
    heap.malloc(56)
    for used, hurt in ((48, []), (56, ["counter"]), (64, ["counter"])):  # it never takes the last
        report = inspect(heap.memory, Heap1, state=ImageState(used=used))
        assert report.largest_request == 0
        assert [damage.kind for damage in report.damage] == hurt


@pytest.mark.parametrize("canary", [1, 0xDEADBEEF])
def test_what_the_heap_protector_does_depends(canary: int) -> None:
    """A request that fits no free block asserts, in the releases that have it so."""
    heap = Heap5([(BASE, 400)], canary=canary)
    live = [heap.malloc(40) for _ in range(4)]
    heap.free(live[1])
    report = inspect([(BASE, heap.regions[0].memory)], Heap5)
    assert report.canary == canary
    (only,) = report.depends
    cases = (("main", "NULL"), ("V11.2.0 to V11.3.0", "asserts"))
    assert (only.conclusion, only.cases) == (f"malloc({report.largest_request + 1})", cases)


def test_what_depends_on_newlib() -> None:
    """Named by its releases, without their dates."""
    heap = Heap3(400, base_address=BASE)
    live = [heap.malloc(40) for _ in range(4)]
    heap.free(live[1])
    state = ImageState(used=4 * 48, head=live[1] - 8)
    report = inspect(heap.memory, Heap3, base_address=BASE, state=state)
    (only,) = report.depends
    places = ("0x20000038", "0x20000058")  # the front of the free chunk, or its end
    names = ("newlib 4.2.0 or later", "newlib 4.1.0 or earlier")
    assert only.conclusion == "malloc(8)"
    assert only.cases == tuple(
        (name, f"{place}, which takes 16 bytes") for name, place in zip(names, places, strict=True)
    )
