"""The model of older kernels and newer newlibs against the recordings, and each rule by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import profiles
import pytest
import vectors
from model import (
    HeaderOverHeader,
    InvalidFree,
    Kernel,
    MallocAsserts,
    Model,
    Model1,
    Model2,
    Model3,
    Model4,
    Model5,
    ModelError,
    NanoRule,
    Newlib,
    NullLink,
    ReadsAddress0,
    RequestWraps,
    Rule,
    StaysListed,
    WritesAddress4,
    ZeroesBeyond,
)
from parts import few_of
from test_model import break_offset, make_model

from rtosheap import Heap5, Trace, replay

REFUSALS = vectors.Refusals(
    regions=ValueError, free=(InvalidFree,), malloc=(MallocAsserts,), stats=(NullLink,)
)
FAULTS: dict[str, type[Exception]] = {
    "extended": StaysListed,
    "reads address 0": ReadsAddress0,
    "writes address 4": WritesAddress4,
}
#: The rules of each profile, beside PLAINLINK, which no recording shows.
RULES = {
    ("early", 1): {Rule.START},
    ("early", 2): {Rule.START, Rule.WRAP, Rule.STRICT, Rule.NODETECT},
    ("padearly", 2): {Rule.START, Rule.PAD, Rule.NODETECT},
    ("padnodetect", 2): {Rule.PAD, Rule.NODETECT},
    ("pad", 2): {Rule.PAD},
    ("early", 4): {Rule.MINCAP, Rule.EMPTYCRASH},
    ("pad", 4): {Rule.PAD, Rule.MINCAP},
    ("mincap", 4): {Rule.MINCAP},
    ("early", 5): {Rule.ABSORB, Rule.MINCAP, Rule.EMPTYCRASH},
    ("pad", 5): {Rule.PAD, Rule.ABSORB, Rule.MINCAP},
    ("absorb", 5): {Rule.ABSORB, Rule.MINCAP},
    ("mincap", 5): {Rule.MINCAP, Rule.PROTASSERT},
    ("protassert", 5): {Rule.PROTASSERT},
}
BASE = vectors.BASE
NEWER = [name for name in vectors.RECORDED_NANO if "_3.3.0" not in name]


def follow(case: vectors.Case, kernel: Kernel) -> int:
    return vectors.run_case(case, lambda case: make_model(case, kernel), REFUSALS)


def follow_nano(case: vectors.NanoCase, newlib: Newlib) -> int:
    return vectors.run_nano_case(
        case,
        lambda case: Model3(case.size, base_address=case.address, newlib=newlib),
        break_of=break_offset,
        faults=FAULTS,
    )


# ---------------------------------------------------------------------- the recordings


@pytest.mark.parametrize("name", few_of(profiles.NAMES, profiles.FEW))
def test_model_follows_the_profiles(name: str) -> None:
    """Under the first and under the last release that a profile describes."""
    for kernel in profiles.kernels(name):
        compared = [follow(case, Kernel(kernel)) for case in profiles.cases(name)]
        assert len(compared) == profiles.RECORDED[name]
        assert sum(compared) == profiles.OPERATIONS[name]


def test_all_profiles_are_followed() -> None:
    assert sum(profiles.RECORDED.values()) == 1_152
    assert sum(profiles.OPERATIONS.values()) == 144_634


@pytest.mark.parametrize("name", few_of(vectors.RECORDED_NANO, vectors.FEW_NANO))
def test_model_follows_every_newlib(name: str) -> None:
    recorded = vectors.RECORDED_NANO[name]
    cases = vectors.load_nano(name)
    for newlib in vectors.newlibs_of(name, cases):
        compared = [follow_nano(case, Newlib(newlib)) for case in cases]
        assert len(compared) == recorded.cases
        assert sum(compared) == recorded.operations


# ---------------------------------------------------------------------- a rule left out


def differs(cases: Iterable[Any], run: Callable[[Any], object]) -> bool:
    for case in cases:
        try:
            run(case)
        except (AssertionError, ModelError):
            return True
    return False


def is_seen(rule: Rule, name: str) -> bool:
    """Whether a file's cases can show a rule."""
    if rule in (Rule.NODETECT, Rule.PLAINLINK):
        return False  # no free that asserts, no arena
    if rule is Rule.MINCAP:  # with ticks of 32 bits; where the list was empty, early ones crash
        return name.endswith("w64") and not name.startswith("early")
    return (rule, name) != (Rule.EMPTYCRASH, "early_heap5_w64")  # where the list is never empty


@pytest.mark.parametrize("name", few_of(profiles.NAMES, profiles.FEW))
def test_a_rule_left_out_is_missed(name: str) -> None:
    kernel = Kernel(profiles.kernels(name)[1])
    cases = profiles.cases(name)
    rules = kernel.rules(cases[0].heap)
    assert rules
    for rule in rules:
        wrong = kernel.without(rule)
        assert differs(cases, lambda case, wrong=wrong: follow(case, wrong)) == is_seen(rule, name)


@pytest.mark.parametrize("name", few_of(NEWER, vectors.FEW_NANO))
def test_a_rule_of_newlib_left_out_is_missed(name: str) -> None:
    cases = vectors.load_nano(name)
    newlib = Newlib(cases[0].version)
    calls = {NanoRule.SHRINK, NanoRule.OVERFLOW}
    for rule in newlib.rules():
        wrong = newlib.without(rule)
        expected = "calls" in name or rule not in calls
        assert differs(cases, lambda case, wrong=wrong: follow_nano(case, wrong)) == expected, rule


def test_every_rule_is_some_profiles() -> None:
    assert set.union(*RULES.values()) == set(Rule) - {Rule.PLAINLINK}


# ---------------------------------------------------------------------- releases


@pytest.mark.parametrize(("profile", "heap"), RULES)
def test_the_rules_of_a_profile(profile: str, heap: int) -> None:
    for kernel in profiles.KERNELS[profile, heap]:
        assert Kernel(kernel).rules(heap) - {Rule.PLAINLINK} == RULES[profile, heap]
        assert Kernel(kernel.removeprefix("V")).rules(heap) == Kernel(kernel).rules(heap)


@pytest.mark.parametrize(
    ("heap", "first"), [(1, "V10.4.6"), (2, "V11.0.0"), (4, "V11.3.0"), (5, None)]
)
def test_the_newest(heap: int, first: str | None) -> None:
    for kernel in (first, None, "main"):
        assert Kernel(kernel).rules(heap) == set()


def test_releases_without_statistics() -> None:
    for heap in (4, 5):
        assert Kernel("V10.2.1").rules(heap) == Kernel("V8.2.3").rules(heap)
        of_statistics = {Rule.EMPTYCRASH, Rule.MINCAP}
        assert Kernel("V8.2.3").rules(heap) == Kernel("V10.3.0").rules(heap) - of_statistics


@pytest.mark.parametrize("name", ["V8.2.2", "V11.3.1", "V11.4", "newest", "", "V10", "V10.x.1"])
def test_names_of_no_kernel(name: str) -> None:
    with pytest.raises(ValueError, match="no release"):
        Model4(256, kernel=name)


def test_newlibs_that_are_alike() -> None:
    for one, other in [("4.0.0", "4.1.0"), ("4.2.0", "4.2.0.20211231"), ("4.4.0", "4.6.0")]:
        assert Newlib(one).rules() == Newlib(other).rules()
    for newest in (None, "main"):
        assert Newlib(newest).rules() == Newlib("4.4.0").rules()


@pytest.mark.parametrize("name", ["3.2.0", "4.7.0", "", "4"])
def test_names_of_no_newlib(name: str) -> None:
    with pytest.raises(ValueError, match="no release"):
        Model3(256, newlib=name)


# ---------------------------------------------------------------------- what no recording shows


def model_after(case: vectors.Case, kernel: str, end_marker: int | None) -> Model:
    """The model that a case leaves."""
    made: list[Any] = []

    def make(case: vectors.Case) -> Model:
        made.append(make_model(case, kernel, end_marker))
        return made[0]

    vectors.run_case(case, make, REFUSALS)
    return made[0]  # type: ignore[no-any-return]


#: Headers in the arenas of each file.
HEADERS = {
    "absorb_heap5_w32": 998, "absorb_heap5_w64": 487,
    "early_heap2_w32": 1_291, "early_heap2_w64": 293,
    "early_heap4_w32": 1_050, "early_heap4_w64": 270,
    "early_heap5_w32": 1_036, "early_heap5_w64": 374,
    "mincap_heap4_w32": 969, "mincap_heap4_w64": 203,
    "mincap_heap5_w32": 1_646, "mincap_heap5_w64": 694,
    "pad_heap2_w32": 1_332, "pad_heap2_w64": 394,
    "pad_heap4_w32": 847, "pad_heap4_w64": 299,
    "pad_heap5_w32": 955, "pad_heap5_w64": 395,
    "padearly_heap2_w32": 1_392, "padearly_heap2_w64": 396,
    "padnodetect_heap2_w32": 1_028, "padnodetect_heap2_w64": 359,
    "protassert_heap5_w32": 829, "protassert_heap5_w64": 420,
}  # fmt: skip


@pytest.mark.parametrize("name", few_of(HEADERS, profiles.FEW[1:]))
def test_headers_are_those_of_the_arenas_that_are_built(name: str) -> None:
    """Marks and links of allocated blocks: here by the model, there from the final state. Where no
    block is marked, nothing says what its link is.
    """
    cases = {case.id: case for case in profiles.cases(name)}
    compared = 0
    for image in profiles.images(name, written=False):
        if not image.is_set_up:
            continue
        kernel = "V11.1.0" if image.kernel.startswith("V11.0.0") else profiles.kernels(name)[1]
        model = model_after(cases[image.case], kernel, image.state.end_marker)
        length = 2 * model.word_size
        regions = image.memory if image.heap == 5 else [(model.region_list[0][0], image.memory)]
        for (start, built), own in zip(regions, model.regions_bytes(), strict=True):
            for address, _, allocated in model.blocks():
                if start <= address < start + len(built):
                    known = length // 2 if allocated and Rule.NODETECT in model.rules else 0
                    at = slice(address - start + known, address - start + length)
                    assert own[at] == built[at], f"{image.case}, {image.kernel}: {address:#x}"
                    compared += 1
    assert compared == HEADERS[name]


def test_the_mark_of_heap_2() -> None:
    """NODETECT: the second word of an allocated block's header is its size alone."""
    for kernel, word in [("V10.4.6", 24), ("V10.5.0", 24 | 1 << 31)]:
        model = Model2(256, kernel=kernel)
        assert model.malloc(8) == BASE + 8
        assert int.from_bytes(model.regions_bytes()[0][4:8], "little") == word


def test_the_smallest_block_of_early_statistics() -> None:
    """MINCAP, of a list that holds a marker alone."""
    for kernel, smallest in [("V10.4.6", (1 << 32) - 1), (None, (1 << 64) - 1)]:
        model = Model5([(BASE, 128), (BASE + 256, 128)], word_size=8, kernel=kernel)
        assert [model.malloc(96), model.malloc(96)] == [BASE + 16, BASE + 272]
        assert model.stats() == (0, 0, smallest, 1, 0, 2, 0)


def test_a_block_smaller_than_its_header() -> None:
    """WRAP: with an alignment of 4 a header is of two alignments, and a size may wrap to one."""
    model = Model2(256, alignment=4, kernel="V10.4.2")
    with pytest.raises(HeaderOverHeader):
        model.malloc(0xFFFF_FFF9)
    assert model.malloc(0xFFFF_FFFD) == BASE + 12  # wraps to two


def test_a_calloc_of_a_size_that_wraps() -> None:
    """WRAP: malloc gives a header, and none of what calloc would zero is its block's."""
    for model in (Model2(256, kernel="V10.4.2"), Model2(256, word_size=8, kernel="V10.4.2")):
        for below in range(model.header_size - 1):
            with pytest.raises(ZeroesBeyond):
                model.calloc(1, model.word_max - below)
        assert model.calloc(1, model.word_max - model.header_size + 1) is None  # wraps to 0
        assert model.calloc(2, model.word_max) is None  # the product does not fit the word
        assert model.blocks() == [(BASE + 8, 248, False)]


# ---------------------------------------------------------------------- the smallest examples


def offsets(model: Model, *sizes: int) -> list[int | None]:
    results = [model.malloc(size) for size in sizes]
    return [None if result is None else result - BASE for result in results]


def test_start() -> None:
    assert offsets(Model1(128, kernel="V10.4.5"), 8) == [8]
    assert offsets(Model1(128, kernel="V10.4.6"), 8) == [0]


def test_pad() -> None:
    for kernel, second, free in [("V10.5.1", 32, 968), ("V10.6.0", 24, 984)]:
        model = Model4(1024, kernel=kernel)
        assert offsets(model, 8, 8) == [8, second]
        assert model.free_size == free
    for kernel, offset, free in [("V10.5.1", None, 120), ("V10.6.0", 8, 0)]:
        model = Model4(128, kernel=kernel)
        assert offsets(model, 112) == [offset]
        assert model.free_size == free
    for size, kernel, free in [(8, "V10.6.2", 1000), (5, "V10.6.2", 1008), (8, "V11.0.0", 1008)]:
        model2 = Model2(1032, kernel=kernel)
        model2.malloc(size)
        assert model2.free_size == free


def test_strict_and_wrap() -> None:
    early, newest = Model2(1032, kernel="V10.4.2"), Model2(1032)
    assert [offsets(early, 1016), offsets(newest, 1016)] == [[None], [8]]
    early, newest = Model2(1032, kernel="V10.4.2"), Model2(1032)
    assert offsets(early, 0xFFFF_FFFF, 8) == [16, 24]
    assert offsets(newest, 0xFFFF_FFFF, 8) == [None, 8]
    assert [early.free_size, newest.free_size] == [1000, 1008]


def test_absorb() -> None:
    regions = [(BASE, 256), (BASE + 1024, 256)]
    for kernel, count in [("V10.6.2", 2), ("V11.0.0", 3)]:
        model = Model5(regions, kernel=kernel)
        assert model.stats()[3] == 3
        model.malloc(16)
        assert model.stats()[3] == count


def test_the_insertion_of_a_remainder_reads_entries() -> None:
    """In the releases that insert it: those before it, and a marker that it takes in."""
    regions = [(BASE, 256), (BASE + 1024, 512)]
    trace = Trace("mm", [0, 1], [16, 232])  # beside the marker; in the second region
    for kernel, expected in [("V10.6.2", [1 + 1, 2 + 1]), ("V11.0.0", [1, 3])]:
        model, counted = Model5(regions, kernel=kernel), []
        for size in trace.size.tolist():
            model.malloc(size)
            counted.append(model.nodes)
        assert counted == expected
        run = replay(trace, Heap5(regions, kernel=kernel), record=["nodes"])
        assert run.nodes is not None
        assert run.nodes.tolist() == expected


def test_protassert() -> None:
    regions = [(BASE, 256), (BASE + 1024, 256)]
    model = Model5(regions, canary=0x8765_4321, kernel="V11.3.0")
    before = model.regions_bytes()
    with pytest.raises(MallocAsserts):
        model.malloc(300)
    with pytest.raises(MallocAsserts):
        model.calloc(3, 100)
    assert model.regions_bytes() == before
    assert model.malloc_failed_count == 0
    assert model.malloc(600) is None  # more than is free in all: a plain failure
    assert model.malloc_failed_count == 1
    assert Model5(regions, canary=0x8765_4321).malloc(300) is None
    assert Model5(regions, kernel="V11.3.0").malloc(300) is None


def test_emptycrash() -> None:
    for kernel in ("V10.2.1", "V10.3.0", "V10.4.6", "V10.5.0"):
        model = Model4(128, kernel=kernel)
        assert model.malloc(104 if kernel == "V10.5.0" else 112) is not None
        if kernel in ("V10.3.0", "V10.4.6"):
            with pytest.raises(NullLink):
                model.stats()
        else:
            assert model.stats()[:2] == (0, 0)


# ---------------------------------------------------------------------- newlib's examples


def test_an_extended_chunk_is_handed_out_twice() -> None:
    model = Model3(64, base_address=BASE + 4, newlib="4.2.0")
    assert offsets(model, 20) == [8]
    model.free(BASE + 8)
    with pytest.raises(StaysListed) as caught:
        model.malloc(40)
    assert caught.value.address == BASE + 8
    assert (BASE + 4, 56) in model.free_blocks()
    assert offsets(Model3(64, base_address=BASE + 4, newlib="4.4.0"), 20, 40) == [8, None]


#: The sizes from 80 to 108, in steps of 4, that serve eight operations.
SERVING = {"3.3.0": [96, 100, 104, 108], "4.4.0": [88, 92, 104, 108]}


def serves(heap: Any) -> bool:
    live = [heap.malloc(44)]
    heap.free(live[0])
    live += [heap.malloc(size) for size in (8, 36, 20)]
    heap.free(live[2])
    heap.free(live[1])
    live.append(heap.malloc(44))
    return None not in live


@pytest.mark.parametrize("newlib", SERVING)
def test_serving_is_not_monotone(newlib: str) -> None:
    sizes = range(80, 112, 4)
    assert [size for size in sizes if serves(Model3(size, newlib=newlib))] == SERVING[newlib]


def test_memalign_whose_request_wraps() -> None:
    for n in (0xFFFF_FFFB, 0xFFFF_FFFF):
        assert Model3(256, newlib="4.0.0").memalign(16, n) is None
        with pytest.raises(RequestWraps):
            Model3(256, newlib="3.3.0").memalign(16, n)
