"""Which release left an arena: by name, by what fits, and what others would mean."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import profiles
import pytest
from parts import few_of
from test_inspect_kernels import ARENAS, HEADED, WOUNDS, wounds

from rtosheap import (
    Heap1,
    Heap2,
    Heap3,
    Heap4,
    Heap5,
    HeapAssertionError,
    HeapError,
    kernels,
    newlibs,
)
from rtosheap.heaps import ImageState
from rtosheap.heaps.releases import said
from rtosheap.inspection import Report, inspect

BASE = 0x2000_0400
RELEASES = [kernel.name for kernel in kernels()]
NEWLIBS = list(dict.fromkeys(one.newlib for one in newlibs() if one.newlib))
#: By behaviour, the releases of newlib; a date is of no use in a text.
RELEASES_OF = {
    name: [
        one.name
        for one in newlibs()
        if (one.title, one.newlib) == ("newlib", name) and one.name.count(".") < 3
    ]
    for name in NEWLIBS
}
NEWLIB_RELEASES = [name for names in RELEASES_OF.values() for name in names]
#: Where the arena itself has the heap protector, which releases left it.
PROTECTED = {
    "V11.0.0 to V11.1.0": ("V11.0.0", "V11.1.0"),
    "V11.2.0 or later": ("V11.2.0", "V11.3.0"),
}


def all_of(name: str) -> list[str]:
    """The releases that a file holds for; its arenas, those without statistics too."""
    first, last = profiles.kernels(name)
    if name.startswith("early"):
        first = RELEASES[0]
    return RELEASES[RELEASES.index(first) : RELEASES.index(last) + 1]


def releases_of(name: str, image: profiles.Image) -> list[str]:
    """The releases that an image of a file is of, by the data's README."""
    found = all_of(name)
    if image.kernel in PROTECTED:
        low, high = PROTECTED[image.kernel]
        within = RELEASES[RELEASES.index(low) : RELEASES.index(high) + 1]
        found = [release for release in found if release in within]
    return found


def look(image: profiles.Image, **options: Any) -> Report:
    options = {"state": image.state, **image.options, **options}
    return inspect(options.pop("memory", image.memory), f"heap_{image.heap}", **options)


# ---------------------------------------------------------------------- by name


@pytest.mark.parametrize("name", few_of(profiles.NAMES, profiles.FEW))
def test_arenas_by_their_kernels_name(name: str) -> None:
    """Each of the releases that a file holds for is named for some of its arenas."""
    seen, named = 0, set[str]()
    for image in profiles.images(name, written=True):
        releases = releases_of(name, image)
        release = releases[seen % len(releases)]
        report = look(image, kernel=release)
        where = f"{image.case} of {release}: {report}"
        assert report.damage == (), where
        assert report.depends == (), where
        assert [kernel.split(" (")[0].split(",")[0] for kernel in report.kernels] == [release]
        assert f"{release} was named: other kernels' arenas do not count" in report.notes
        assert report.heap is not None
        assert report.heap.kernel == release, where
        if image.blocks is not None:
            free = [size for _, size, live in image.blocks if not live]
            assert report.free_size == sum(free), where
            assert report.largest_free_block == max(free, default=0), where
            assert report.free_block_count == len(free), where
        seen += 1
        named.add(release)
    assert seen == ARENAS[name]
    assert named == set(all_of(name))


#: Arenas of each file that fit the kernels of one range alone; heap_4 and heap_5 without the
#: protector fit all.
UNIQUE = {
    "early_heap1_w32": 48, "early_heap1_w64": 16,
    "early_heap2_w32": 47, "early_heap2_w64": 18,
    "mincap_heap4_w32": 50, "mincap_heap4_w64": 16,
    "mincap_heap5_w32": 112, "mincap_heap5_w64": 38,
    "pad_heap2_w32": 66, "pad_heap2_w64": 24,
    "padearly_heap2_w32": 40, "padearly_heap2_w64": 11,
    "padnodetect_heap2_w32": 40, "padnodetect_heap2_w64": 16,
    "protassert_heap5_w32": 57, "protassert_heap5_w64": 18,
}  # fmt: skip


def others(name: str) -> Iterator[tuple[profiles.Image, Report, str]]:
    """The arenas that fit one kernel alone, each with a release that did not leave it."""
    rng = random.Random(1)
    for image in profiles.images(name, written=True):
        alone = look(image)
        if len(alone.kernels) > 1 or alone.kernels[0] == profiles.UNPROTECTED:
            continue
        right = alone.kernels[0].split(" (")[0]
        wrong = [r for r in RELEASES if r not in expanded(right)]
        yield image, alone, rng.choice(wrong)


@cache
def expanded(text: str) -> list[str]:
    """The releases that a text means."""
    for start in range(len(RELEASES)):
        for stop in range(start + 1, len(RELEASES) + 1):
            if said(RELEASES[start:stop]) == text:
                return RELEASES[start:stop]
    raise AssertionError(text)


@pytest.mark.parametrize("name", few_of(UNIQUE, [name for name in profiles.FEW if name in UNIQUE]))
def test_another_kernels_name_is_told(name: str) -> None:
    seen = 0
    for image, alone, wrong in others(name):
        report = look(image, kernel=wrong)
        (damage,) = report.damage
        assert damage.kind == "no such heap"
        assert f"this is no heap_{image.heap} of {wrong}: " in damage.message
        assert f"heap_{image.heap} of {alone.kernels[0]}" in report.would_fit
        assert report.heap is None
        seen += 1
    assert seen == UNIQUE[name]


@pytest.mark.parametrize("name", few_of(HEADED, profiles.FEW[1:]))
def test_damaged_arenas_of_a_kernel_that_is_named(name: str) -> None:
    """The block is named as it is where the kernel is not."""
    seen = 0
    for wound in wounds(name, 600):
        release = releases_of(name, wound.image)[-1]
        report = look(wound.image, memory=wound.memory, kernel=release)
        where = f"{wound.image.case}, {release}, {wound.way}: {report}"
        assert report.damage[0].culprit == wound.culprit, where
        seen += 1
    assert seen == WOUNDS[name][0]


def test_names_that_are_none() -> None:
    memory = Heap4(256).memory
    for options, said_ in [
        ({"kernel": "V10.3.9"}, "the nearest are 'V10.3.1' and 'V10.4.0'"),
        ({"releases": ["V10.3.0", "V99"]}, "kernel is 'V99'; no release has that name"),
        ({"releases": "V12"}, "kernel is 'V12'; no release has that name"),
    ]:
        with pytest.raises(ValueError, match=said_):
            inspect(memory, **options)
    with pytest.raises(ValueError, match=r"newlib is '9\.9'"):
        inspect(Heap3(256).memory, Heap3, newlib="9.9")
    with pytest.raises(TypeError, match="heap_3 has no option kernel"):
        inspect(memory, Heap3, kernel="V10.3.1")
    with pytest.raises(TypeError, match="heap_4 has no option newlib"):
        inspect(memory, Heap4, newlib="4.4.0")


def test_a_canary_of_a_kernel_without_the_protector() -> None:
    """However it is known: a kernel before V11.0.0 has none."""
    memory = Heap4(512, canary=0xDEADBEEF).memory
    for options in ({}, {"canary": 0xDEADBEEF}, {"state": ImageState(canary=0xDEADBEEF)}):
        report = inspect(memory, kernel="V10.6.2", **options)
        assert report.would_fit == (
            "heap_4 of V11.2.0 or later (the heap protector)",
            "heap_4 of V11.0.0 to V11.1.0 (the heap protector, links of allocated blocks plain "
            "zero)",
        )  # fmt: skip
        assert "this is no heap_4 of V10.6.2: " in report.damage[0].message


# ---------------------------------------------------------------------- what depends on it


def used(cls: Any, seed: int, **options: Any) -> Any:
    """A heap after a while, with its live payloads written."""
    if cls is Heap5:
        heap = Heap5([(0x1000_0000, 512), (BASE, 1024)], **options)
    else:
        heap = cls(1024, base_address=BASE + 4 * (seed == 3), **options)
    rng, live = random.Random(seed), list[int]()
    for _ in range(40 * seed):
        if live and rng.random() < 0.45 and cls is not Heap1:
            heap.free(live.pop(rng.randrange(len(live))))
            continue
        try:
            p = heap.malloc(rng.choice([8, 20, 24, 40, 64]))
        except HeapError:  # what an old newlib or an assertion does here, the device does not live
            continue
        if p is not None:
            heap.view(p)[:] = bytes(rng.choices(range(1, 256), k=len(heap.view(p))))
            live.append(p)
    return heap


def image(heap: Any) -> Any:
    if heap.kind == 5:
        return [(region.address, bytes(region.memory)) for region in heap.regions]
    return bytes(heap.memory)


def options_of(heap: Any) -> dict[str, Any]:
    """What an ELF would tell of it, and where it lies."""
    end = {"end_marker": heap.end_marker_address} if heap.kind == 2 else {}
    free = heap.free_blocks() if heap.kind != 1 else []
    if heap.kind == 1:
        end["used"] = heap.size - heap.alignment - heap.free_size
    elif heap.kind == 3:
        end["used"] = heap._snapshot()["reached"]
        listed = [block.address for block in free if block.address < BASE + end["used"]]
        end["head"] = listed[0] if listed else 0
    elif heap.kind == 2:
        end["head"] = free[0].address if free else heap.end_marker_address
    options = {"state": ImageState(**end)}
    return options if heap.kind == 5 else {"base_address": heap.base_address, **options}


def serves(heap: Any, size: int) -> bool:
    try:
        return heap.copy().malloc(size) is not None
    except HeapError:
        return False


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("cls", "options"),
    [(Heap1, {}), (Heap2, {}), (Heap2, {"word_size": 8}), (Heap4, {}), (Heap4, {"canary": 0xBEEF}),
     (Heap5, {}), (Heap5, {"canary": 0xBEEF, "word_size": 8})],
    ids=str,
)  # fmt: skip
def test_the_largest_request_of_every_release(cls: Any, options: Any, seed: int) -> None:
    seen = 0
    for release in RELEASES:
        if "canary" in options and RELEASES.index(release) < RELEASES.index("V11.0.0"):
            continue
        heap = used(cls, seed, kernel=release, **options)
        where = {key: value for key, value in options.items() if key == "word_size"}
        report = inspect(image(heap), cls, kernel=release, **where, **options_of(heap))
        assert report.damage == (), report
        assert report.free_size == heap.free_size
        size = report.largest_request
        assert not size or serves(heap, size), (release, report)
        assert not serves(heap, size + 1), (release, report)
        seen += 1
    assert seen == (6 if "canary" in options else 28)


def test_a_canary_that_is_none_of_an_arena_without_the_protector() -> None:
    heap = Heap4(256, kernel="V10.5.1")
    heap.malloc(20)
    report = inspect(heap.memory, Heap4, kernel="V10.5.1", canary=5)
    assert "this release has no heap protector, and a canary is known" in report.damage[0].message
    assert report.would_fit == ("heap_4 with no canary",)


def test_newlib_is_called_what_it_was_called() -> None:
    """And a release that behaves as the one before it is in no gap between two others."""
    heap = Heap3(512, newlib="4.1.0")
    first, _ = heap.malloc(30), heap.malloc(30)
    heap.free(first)
    named = inspect(heap.memory, Heap3, newlib="4.1.0")
    assert "newlib 4.1.0 was named, which behaves as 4.0.0" in named.notes
    (depends,) = inspect(heap.memory, Heap3).depends
    assert [release for release, _ in depends.cases] == [
        "newlib 4.2.0 or later",
        "newlib 4.1.0 or earlier",
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_request_of_every_newlib(seed: int) -> None:
    for newlib in NEWLIBS:
        heap = used(Heap3, seed, newlib=newlib)
        if not seed:
            heap.malloc(8)
        report = inspect(image(heap), Heap3, newlib=newlib, **options_of(heap))
        assert report.damage == (), report
        assert report.heap is not None
        assert report.heap.newlib == newlib
        assert f"newlib {newlib} was named" in report.notes
        size = report.largest_request
        assert not size or serves(heap, size), (newlib, report)
        assert not serves(heap, size + 1), (newlib, report)
    assert len(NEWLIBS) == 6


def conclusions(report: Report) -> dict[str, Any]:
    names = ("largest_request", "free_size", "largest_free_block", "free_block_count", "canary")
    return {name: getattr(report, name) for name in names}


def grouped(by_release: dict[str, Any]) -> dict[str, Any]:
    """What is so for which releases, in words; empty if it is the same for all."""
    groups: dict[Any, list[str]] = {}
    for release, value in by_release.items():
        groups.setdefault(value, []).append(release)
    return {said(names): value for value, names in groups.items()} if len(groups) > 1 else {}


def outcome(heap: Any, size: int) -> str:
    """What a malloc does, in the words of a report."""
    trial = heap.copy()
    try:
        address = trial.malloc(size)
    except HeapAssertionError:
        return "asserts"
    except HeapError as error:
        return str(error)
    taken = heap.free_size - trial.free_size
    return "NULL" if address is None else f"{address:#010x}, which takes {taken:,} bytes"


#: Conclusions that depend on the release, in every thirteenth arena of a file, by itself and with
#: what an ELF tells.
DEPENDS = {
    "absorb_heap5_w32": 20, "absorb_heap5_w64": 8,
    "early_heap1_w32": 11,
    "early_heap2_w32": 26, "early_heap2_w64": 12,
    "early_heap4_w32": 20, "early_heap4_w64": 8,
    "early_heap5_w32": 18, "early_heap5_w64": 8,
    "mincap_heap4_w32": 14, "mincap_heap4_w64": 2,
    "mincap_heap5_w32": 6, "mincap_heap5_w64": 2,
    "pad_heap2_w32": 12, "pad_heap2_w64": 6,
    "pad_heap4_w32": 18, "pad_heap4_w64": 6,
    "pad_heap5_w32": 14, "pad_heap5_w64": 6,
    "padearly_heap2_w32": 33, "padearly_heap2_w64": 14,
    "padnodetect_heap2_w32": 5, "padnodetect_heap2_w64": 4,
    "protassert_heap5_w32": 6, "protassert_heap5_w64": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", few_of([*HEADED, "early_heap1_w32"], profiles.FEW))
def test_what_depends_is_what_differs_between_the_releases(name: str) -> None:
    """Of each release that fits, named, and of all at once."""
    seen = told = 0
    for image in [*profiles.images(name, written=True)][::13]:
        for state in (None, image.state):
            whole = look(image, state=state)
            named = {release: look(image, state=state, kernel=release) for release in RELEASES}
            alone = {release: report for release, report in named.items() if not report.is_none}
            assert not any(report.damage for report in alone.values())
            found = {one.conclusion: dict(one.cases) for one in whole.depends}
            for what, value in conclusions(whole).items():
                each = {release: conclusions(report)[what] for release, report in alone.items()}
                assert value in each.values()
                assert found.get(what, {}) == grouped(each)
            largest = max(report.largest_request for report in alone.values())
            word, align = image.options["word_size"], image.options["alignment"]
            for size in (align, largest + 1, 2 ** (8 * word) - 1):
                each = {release: outcome(report.heap, size) for release, report in alone.items()}
                assert found.get(f"malloc({size})", {}) == grouped(each)
            for one in whole.depends:
                assert f"  {one}" in whole.lines()
            assert whole.to_dict()["depends"] == [
                {
                    "conclusion": what,
                    "cases": [{"releases": r, "value": v} for r, v in cases.items()],
                }
                for what, cases in found.items()
            ]
            seen, told = seen + 1, told + len(found)
    assert seen == 2 * -(-ARENAS[name] // 13)
    assert told == DEPENDS[name]


@pytest.mark.parametrize("seed", range(1, 4))
def test_what_depends_on_newlib(seed: int) -> None:
    heap = used(Heap3, seed, newlib="4.4.0")
    where = options_of(heap)
    whole = inspect(image(heap), Heap3, **where)
    assert whole.heap is not None
    assert whole.heap.newlib == "4.4.0"
    found = {one.conclusion: dict(one.cases) for one in whole.depends}
    alone = {name: inspect(image(heap), Heap3, newlib=name, **where) for name in NEWLIBS}
    assert not any(report.depends for report in alone.values())
    largest = max(report.largest_request for report in alone.values())
    expected = {
        "largest_request": {name: report.largest_request for name, report in alone.items()},
        f"malloc({largest + 1})": {n: outcome(r.heap, largest + 1) for n, r in alone.items()},
        "malloc(8)": {name: outcome(report.heap, 8) for name, report in alone.items()},
    }
    for what, each in expected.items():
        groups: dict[Any, list[str]] = {}
        for name, value in each.items():
            groups.setdefault(value, []).append(name)
        cases = {
            f"newlib {said([r for n in names for r in RELEASES_OF[n]], NEWLIB_RELEASES)}": value
            for value, names in groups.items()
        }
        assert found.get(what, {}) == (cases if len(cases) > 1 else {})
    assert found


def test_what_symbols_tell_of_a_damaged_arena() -> None:
    """It is read as one of the releases that they allow."""
    heap = Heap4(512)
    held = [heap.malloc(24) for _ in range(6)]
    heap.free(held[3])
    memory = bytearray(heap.memory)
    memory[-8:-4] = b"zzzz"  # the end marker's link, which would be the protector's word
    report = inspect(memory, releases=["V10.3.1", "V10.4.0"])
    assert report.kernels == ("V10.3.1 to V10.4.0",)
    assert [damage.kind for damage in report.damage][-1] == "end marker"
    assert report.canary == 0


@pytest.mark.parametrize("cls", [Heap1, Heap2, Heap3])
def test_a_canary_of_a_heap_that_has_none_is_refused(cls: Any) -> None:
    heap = cls(256)
    said = f"canary is 0x1; it must be None or 0, for heap_{heap.kind} has no heap protector"
    for given in ({"canary": 1}, {"state": ImageState(canary=1)}):
        with pytest.raises(ValueError, match=said):
            inspect(heap.memory, cls, **given)
        with pytest.raises(ValueError, match=said):
            cls.from_image(heap.memory, **given)
    assert inspect(heap.memory, cls, canary=0).damage == inspect(heap.memory, cls).damage
