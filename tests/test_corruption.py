"""The corruption laboratory: what it reports is what happens, and the interpreter survives it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import matplotlib as mpl
import pytest
from needs import LAST_RESORT

mpl.use("Agg")

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, HeapError, corruption, newlibs
from rtosheap._lab import Lab
from rtosheap.corruption import LEVELS, Study, Trial, inject, study
from rtosheap.corruption._faults import FAULTS, Action, Plan
from rtosheap.corruption._program import Program, Target
from rtosheap.heaps.layout import Layout

DONE, FAILED, IGNORED, DETECTED, WILD_READ, WILD_WRITE, LOOP = range(7)
BASE = 0x2000_0000
CHECKS = {"none": 0, "assertions": 1, "checked": 2}


def lab(kind: int, checks: int, canary: int = 0, word: int = 4, size: int = 1024) -> Lab:
    return target(kind, word, size).lab(checks, canary)


def target(kind: int, word: int = 4, size: int = 1024, **releases: str) -> Target:
    regions: tuple[tuple[int, int], ...] = ((BASE, size),)
    if kind == 5:
        regions = ((BASE, size // 2), (BASE + size, size // 2))
    return Target(Layout(kind, word, 8), regions, **releases)


def word(value: int) -> bytes:
    return value.to_bytes(4, "little")


@pytest.fixture(scope="module")
def result() -> Study:
    return study(trials=60)


# ---------------------------------------------------------------------- the trapping heaps

KERNELS = ("V8.2.3", "V10.4.3", "V10.4.6", "V10.5.1", "V10.6.2", "V11.1.0", "V11.3.0", "main")

COMBINATIONS = [
    (heap, checks, canary, word_size)
    for heap in (Heap1, Heap2, Heap3, Heap4, Heap5)
    for checks in (0, 1, 2)
    for canary in (0, 0x1234_5678)
    for word_size in (4, 8)
    if not (canary and heap.kind < 4) and not (word_size == 8 and heap.kind == 3)
]


@pytest.mark.parametrize(("heap", "checks", "canary", "word_size"), COMBINATIONS)
def test_without_a_fault_every_level_is_the_heap(
    heap: Any, checks: int, canary: int, word_size: int
) -> None:
    options: dict[str, Any] = {} if heap.kind == 3 else {"word_size": word_size}
    if canary:
        options["canary"] = canary
    follow(lab(heap.kind, checks, canary, word_size), twin_of(heap, options))


RELEASES = [(heap, kernel) for heap in (Heap1, Heap2, Heap4, Heap5) for kernel in KERNELS] + [
    (Heap3, one.name) for one in newlibs() if one.title == "newlib"
]


@pytest.mark.parametrize("checks", [0, 1, 2])
@pytest.mark.parametrize(("heap", "release"), RELEASES)
def test_without_a_fault_it_is_the_heap_of_a_release(heap: Any, release: str, checks: int) -> None:
    option = "newlib" if heap is Heap3 else "kernel"
    twin = twin_of(heap, {option: release})
    follow(target(heap.kind, **{option: getattr(twin, option)}).lab(checks, 0), twin)


def twin_of(heap: Any, options: dict[str, Any]) -> Any:
    if heap is Heap5:
        return Heap5([(BASE, 512), (BASE + 1024, 512)], **options)
    return heap(1024, **options)


def follow(here: Lab, twin: Any) -> None:
    """A heap of the laboratory does all that its twin does."""
    live: list[int] = []
    for step in range(300):
        if step % 3 == 2 and live and twin.kind != 1:
            address = live.pop(step * 7 % len(live))
            try:
                twin.free(address)
                right = DONE
            except HeapError:  # where the C library would go wrong
                right = IGNORED
            assert here.free(address) == (right, 0)
            continue
        size = step * 29 % 97 + 1
        got = asks(twin, size)
        end, address = here.malloc(size)
        assert end == (FAILED if got is None else DONE)
        if got is not None:
            assert address == got
            live.append(got)
    for region in twin.regions:
        assert here.read(region.address, 512) == bytes(region.memory)[:512]


def asks(twin: Any, size: int) -> int | None:
    try:
        got: int | None = twin.malloc(size)
    except HeapError:  # where the C library would go wrong
        return None
    return got


def test_a_link_out_of_the_arena_is_a_wild_read() -> None:
    for checks, canary, expected in ((0, 0, WILD_READ), (1, 0, WILD_READ), (1, 99, DETECTED)):
        here = lab(4, checks, canary)
        _, first = here.malloc(16)
        here.malloc(16)
        here.free(first)
        here.write(first - 8, word(0x2000_1000 ^ canary))
        # The first entry is too small: its link is followed.
        end, address = here.malloc(100)
        assert end == expected
        if expected == WILD_READ:
            assert address == 0x2000_1004


def test_a_size_out_of_the_arena_is_a_wild_write() -> None:
    here = lab(4, 0)
    _, first = here.malloc(16)
    here.write(first - 4, word(0x8000_2000))  # allocated, of 8 KiB
    here.malloc(16)
    assert here.free(first)[0] == DONE
    # The block that is cut leaves a remainder, whose header lies outside.
    end, address = here.malloc(900)
    assert end == DONE
    end, address = here.malloc(800)
    assert end == WILD_WRITE
    assert address >= BASE + 1024


@pytest.mark.parametrize("kind", [2, 3, 4, 5])
def test_a_list_in_a_circle_is_a_loop(kind: int) -> None:
    here = lab(kind, 0)
    blocks = [here.malloc(16)[1] for _ in range(4)]
    here.malloc(800 if kind != 5 else 300)
    here.free(blocks[0])
    here.free(blocks[2])
    start = blocks[0] - 8
    link_at = blocks[2] - (4 if kind == 3 else 8)  # newlib-nano: behind the size
    if kind == 2:
        link_at, start = blocks[0] - 8, blocks[2] - 8
    here.write(link_at, word(start))
    ends = [here.malloc(60)[0] for _ in range(3)]
    assert LOOP in ends, ends


def test_canaries_and_assertions_see_a_broken_live_header() -> None:
    for checks, expected in ((0, IGNORED), (1, DETECTED), (2, DETECTED)):
        here = lab(4, checks)
        _, first = here.malloc(16)
        here.write(first - 8, b"AAAA")
        assert here.free(first)[0] == expected


@pytest.mark.parametrize("kind", [2, 3, 4, 5])
def test_a_free_outside_is_a_wild_read_or_detected(kind: int) -> None:
    for checks, canary, expected in ((0, 0, WILD_READ), (2, 0, DETECTED), (1, 77, DETECTED)):
        if canary and kind < 4:
            continue
        assert lab(kind, checks, canary).free(0x0800_0000)[0] == expected


def test_heap_1_asserts_every_free() -> None:
    assert lab(1, 0).free(BASE)[0] == IGNORED
    assert lab(1, 1).free(BASE)[0] == DETECTED


def test_lab_refuses_what_cannot_be() -> None:
    def made(*arguments: Any, kernel: str = "main", newlib: str = "4.4.0") -> Lab:
        return Lab(*arguments, kernel, newlib)

    with pytest.raises(ValueError, match="regions"):
        made(4, 0, (), 4, 8, 0, 0, 1000, 8)
    with pytest.raises(ValueError, match="regions"):
        made(5, 0, ((BASE, 64), (BASE + 8, 64)), 4, 8, 0, 0, 1000, 8)
    with pytest.raises(ValueError, match="regions"):
        made(5, 0, ((BASE, 64), (BASE + (1 << 30), 64)), 4, 8, 0, 0, 1000, 8)
    with pytest.raises(ValueError, match="set up"):
        made(4, 0, ((BASE, 8),), 4, 8, 0, 0, 1000, 8)
    with pytest.raises(ValueError, match="heap_3"):
        made(3, 0, ((BASE, 80),), 8, 8, 0, 0, 1000, 8)
    with pytest.raises(ValueError, match="slots"):
        made(4, 0, ((BASE, 80),), 4, 8, 0, 0, 1000, -1)
    with pytest.raises(TypeError):
        made(4, 0, ((BASE, "x"),), 4, 8, 0, 0, 1000, 8)
    with pytest.raises(ValueError, match=r"no heap_4 of kernel V10 and newlib 4\.4\.0"):
        made(4, 0, ((BASE, 80),), 4, 8, 0, 0, 1000, 8, kernel="V10")
    with pytest.raises(ValueError, match="no heap_3 of kernel main and newlib 4"):
        made(3, 0, ((BASE, 80),), 4, 8, 0, 0, 1000, 8, newlib="4")
    with pytest.raises(ValueError, match="no heap_6"):
        made(6, 0, ((BASE, 80),), 4, 8, 0, 0, 1000, 8)
    here = lab(4, 0)
    with pytest.raises(ValueError, match="slot"):
        here.run(b"m", (1000).to_bytes(4, "little"), bytes(8), 0, 1, bytearray(1), None)
    with pytest.raises(ValueError, match="fit"):
        here.run(b"mm", bytes(4), bytes(8), 0, 1, bytearray(1), None)
    assert here.read(BASE + 1020, 8) is None
    assert not here.write(BASE - 1, b"x")


# ---------------------------------------------------------------------- study()


def test_every_combination_is_there_or_skipped(result: Study) -> None:
    seen = {(trial.heap, trial.level, trial.fault) for trial in result}
    assert not seen & set(result.skipped)
    assert len(seen) + len(result.skipped) == 5 * len(LEVELS) * len(corruption.FAULTS)
    assert len(result) == 60 * len(seen)
    assert {heap for heap, level, _ in result.skipped if level == "protector"} == {
        "heap_1",
        "heap_2",
        "heap_3",
    } | ({"heap_1"} if result.skipped else set())


def test_the_same_seed_gives_the_same_trials(result: Study) -> None:
    again = study("heap_4", faults="overrun", trials=60)
    assert again.trials == result.only(heap="heap_4", fault="overrun").trials
    later = study("heap_4", faults="overrun", trials=30, seed=30)
    assert later.trials == tuple(trial for trial in again if trial.seed >= 30)
    trial = again.trials[17]
    assert inject("heap_4", trial.level, "overrun", seed=trial.seed) == trial
    assert study("heap_4", faults="overrun", trials=60, seed=1000).trials != again.trials


def test_levels_have_the_same_fault(result: Study) -> None:
    injected: dict[tuple[str, str, int], set[str]] = {}
    for trial in result:
        injected.setdefault((trial.heap, trial.fault, trial.seed), set()).add(trial.injected)
    assert all(len(texts) == 1 for texts in injected.values())


def test_checked_heaps_are_never_fatal_and_do_the_program_no_more_harm(result: Study) -> None:
    for row in result.rows("heap", "level", "fault"):
        if row.level == "checked":
            assert row.fatal == 0, row
            if row.fault not in ("bit_flip", "use_after_free", "double_free"):
                assert row.harmful == 0, row
        if row.level in ("none", "canary"):
            assert row.detected == 0, row
        if row.fault in ("interior_free", "foreign_free") and row.level == "checked":
            assert (row.detected, row.delay) == (row.trials, 0.0), row
        assert row.detected + row.fatal + row.silent == row.trials


def test_protection_helps_heap_4(result: Study) -> None:
    rows = {row.level: row for row in result.only(heap=Heap4).rows("level")}
    assert rows["assertions"].detected > 200
    assert rows["protector"].detected > rows["assertions"].detected
    assert rows["protector"].fatal < rows["assertions"].fatal < rows["none"].fatal
    assert rows["checked"].detected > rows["protector"].detected


def test_all_outcomes_occur(result: Study) -> None:
    reasons = {trial.reason.split(" at ")[0] for trial in result}
    assert reasons == {"", "wild read", "wild write", "loop"}
    assert {trial.harm for trial in result} >= {None, "overlap", "overwritten"}
    for trial in result:
        assert (trial.call is None) == (trial.outcome == "silent")
        assert (trial.harm is None) == (trial.harm_call is None)
        assert (trial.reason == "") == (trial.outcome != "fatal")


def test_other_words_and_alignments() -> None:
    for word_size, alignment in ((4, 4), (8, 8), (8, 16), (4, 32)):
        small = study(trials=4, word_size=word_size, alignment=alignment, heap_size=2048, calls=60)
        assert not [trial for trial in small if trial.level == "checked" and trial.reason]


def test_a_fault_for_each_name() -> None:
    assert set(corruption.FAULTS) == set(FAULTS)
    assert Program.__doc__
    assert Plan((Action("run"),), "").actions[0].data == b""
    assert Target(Layout(4), ((BASE, 4096),)).layout.header == 8


def test_tables(result: Study) -> None:
    text = str(result)
    assert "heap_4  protector" in text
    assert len(text.splitlines()) == 1 + 3 * 3 + 2 * 5
    assert repr(result) == f"<Study of {len(result):,} trials>"
    assert result._repr_html_().count("<tr>") == len(text.splitlines())
    assert [row.level for row in result.rows("level")] == list(LEVELS)
    assert {row.heap for row in result.rows("level")} == {"all"}
    with pytest.raises(ValueError, match="by is 'colour'"):
        result.rows("colour")


def test_progress() -> None:
    seen: list[tuple[int, int]] = []
    study("heap_2", faults="overrun", trials=3, progress=lambda *now: seen.append(now))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"heaps": "heap_9"}, "heap_9"),
        ({"levels": "high"}, "levels"),
        ({"levels": []}, "levels"),
        ({"faults": "magic"}, "faults"),
        ({"trials": 0}, "trials"),
        ({"seed": "x"}, "seed"),
        ({"calls": 0}, "calls"),
        ({"heap_size": 100}, "heap_size"),
        ({"overrun": (0, 4)}, "overrun"),
        ({"overrun": (4, 2)}, "overrun"),
        ({"word_size": 2}, "word_size"),
        ({"alignment": 12}, "alignment"),
        ({"word_size": 8, "alignment": 4}, "alignment"),
    ],
)
def test_study_names_the_bad_argument(options: dict[str, Any], name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        study(**options)


def test_inject_refuses_what_does_not_exist() -> None:
    with pytest.raises(ValueError, match="heap_1 has no level"):
        inject("heap_1", "protector", "overrun")


def test_plot(result: Study) -> None:
    from matplotlib.figure import Figure

    from rtosheap.plot._corruption import corruption as plot

    axes = Figure().subplots()
    assert plot(result, axes) is axes
    assert len(axes.get_yticklabels()) == 3 * 3 + 2 * 5
    axes = plot(result.only(heap="heap_4"), Figure().subplots(), by=["level", "fault"])
    assert axes.get_yticklabels()[1].get_text() == "none, header bit flip"
    plot(result.only(heap="heap_4"), Figure().subplots())
    with pytest.raises(ValueError, match="no trials"):
        plot(Study([]), Figure().subplots())
    with pytest.raises(TypeError, match="study is"):
        plot([Trial("h", "l", "f", 0, "", "silent", None, "", None, None)])  # type: ignore[arg-type]


@pytest.mark.long
def test_the_interpreter_survives_thousands() -> None:
    code = "from rtosheap import corruption; print(len(corruption.study(trials=150, seed=10**6)))"
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == 150 * 146


def test_a_release_without_an_allocated_mark_notices_no_free() -> None:
    """Whatever is freed is taken, at every level of its own; the checks of the package see it."""
    levels = ("none", "assertions", "checked")
    old = study("heap_2", faults="double_free", kernel="10.4.6", levels=levels)
    new = study("heap_2", faults="double_free", levels=levels)
    seen = {level: old.only(level=level).rows()[0] for level in levels}
    assert seen["none"].detected == seen["assertions"].detected == 0
    at_once = [one for one in old.only(level="checked") if "again 0 calls" in one.injected]
    assert len(at_once) > 30
    assert {one.outcome for one in at_once} == {"detected"}
    assert seen["assertions"].harmful > 0
    assert new.only(level="assertions").rows()[0].detected > 0
    trial = inject("heap_2", "assertions", "double_free", seed=3, kernel="10.4.6")
    assert trial == next(one for one in old.only(level="assertions") if one.seed == 3)
    assert inject("heap_2", "assertions", "double_free", seed=3) != trial


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("heap", ["heap_1", "heap_2", "heap_4", "heap_5"])
def test_every_fault_in_every_release(heap: str, kernel: str) -> None:
    found = study(heap, kernel=kernel, trials=4)
    assert len(found) == 4 * (5 if heap in ("heap_4", "heap_5") else 3) * (
        6 if heap == "heap_1" else 8
    )
    assert not found.only(level="checked", fault="double_free").rows()[0].silent


def test_the_laboratory_names_releases_that_there_are_not() -> None:
    with pytest.raises(ValueError, match=r"kernel is 'V10\.7\.0'; no release has that name"):
        study("heap_4", kernel="V10.7.0")
    with pytest.raises(ValueError, match="newlib is '5'; no release or toolchain"):
        inject("heap_3", "none", "overrun", newlib="5")


def test_the_laboratory_refuses_a_release_that_none_of_its_heaps_has() -> None:
    with pytest.raises(TypeError, match="'kernel' is an option of none of heap_3"):
        study("heap_3", kernel="V10.3.1")
    with pytest.raises(TypeError, match="'newlib' is an option of none of heap_1, heap_4"):
        study(["heap_1", "heap_4"], newlib="4.2.0")
    with pytest.raises(TypeError, match="'newlib' is an option of none of heap_4"):
        inject("heap_4", "none", "overrun", newlib="4.2.0")
    assert study(["heap_3", "heap_4"], kernel="V10.3.1", newlib="4.1.0", trials=1)
