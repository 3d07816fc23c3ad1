"""The index of heap_4 and heap_5: with it all that is seen of a heap is what the list alone gives,
to the last byte of the arena."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest
import traces
from ctools import WARNINGS, run
from needs import LAST_RESORT, ROOT, tool
from test_exhaustive import SEQUENCES, explorer

import rtosheap._lab

C = ROOT / "tests" / "c"
CORE = ROOT / "csrc" / "core"
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]

#: Frees are counted, by whether their heap had an index.
COUNTED = ["-include", str(C / "index_counts.h"), str(C / "index_counts.c")]


def counted(file: Path) -> tuple[int, int]:
    """Frees of heaps with an index, and without one."""
    lines = [line.split() for line in file.read_text().splitlines()]
    assert lines
    return sum(int(line[0]) for line in lines), sum(int(line[1]) for line in lines)


# ------------------------------------------------------------- random operations in C

#: Builds of the index that differ in what is compiled, by name: its sizes, and how it compares.
NARROW = ["-DRH_INDEX_WIDE=0"]
WIDE = ["-DRH_INDEX_WIDE=1"]
LANES = [*NARROW, "-include", str(C / "index_simd.h")]
GEOMETRIES = {
    "16 places": NARROW,
    "16 places, in lanes": LANES,
    "16 places, wide": WIDE,
    "16 places, two near": [*WIDE, "-DRH_INDEX_NEAR=2"],
    "32 places": [*NARROW, "-DRH_INDEX_CHUNK=RH_INDEX_STEP*32"],
    "32 places, three near": [*LANES, "-DRH_INDEX_CHUNK=RH_INDEX_STEP*32", "-DRH_INDEX_NEAR=3"],
    "64 places, in lanes": [*LANES, "-DRH_INDEX_CHUNK=RH_INDEX_STEP*64"],
    "512 bytes, one near": [*WIDE, "-DRH_INDEX_CHUNK=512", "-DRH_INDEX_NEAR=1"],
    "1024 bytes": [*WIDE, "-DRH_INDEX_CHUNK=1024"],
    "1024 bytes, none near": [*WIDE, "-DRH_INDEX_CHUNK=1024", "-DRH_INDEX_NEAR=0"],
}
#: What is tried without asking for it: (word, checks, geometry).
TELLING = [(4, 2, "16 places, in lanes")]
#: Each geometry twice, so that each word and each level of checks have several of them.
MATRIX = list(zip(cycle((4, 8)), cycle((0, 1, 2)), [*GEOMETRIES, *reversed(GEOMETRIES)]))
#: Heaps that c/test_index.c tries, each with so many calls.
HEAPS = {4: 10, 8: 8}


def random_calls(to: Path, word: int, checks: int, *options: str) -> Path:
    """c/test_index.c, whose loops are counted."""
    told = [*WARNINGS, "-Wno-conversion", "-Wno-sign-conversion", "-Wno-maybe-uninitialized"]
    told += ["-DRH_HOSTED=1", "-DRH_CHECK_LOOPS=1", f"-I{CORE}"]
    told += [f"-DRH_WORD_BYTES={word}", f"-DRH_CHECKS={checks}", *options]
    run([tool("gcc"), "-g", *told, C / "test_index.c", "-o", to])
    return to


def indexed(to: Path, word: int, checks: int, *options: str) -> Path:
    index = ["-DRH_INDEX=1", "-DRH_INDEX_SIZE=520000", "-DRH_INDEX_REGIONS=8"]
    return random_calls(to, word, checks, *index, *options)


def printed(program: Path, word: int, calls: int, seed: int, step: int) -> str:
    """The digests, of as many calls as were asked for."""
    text = run([program, calls, seed, step]).stdout
    assert re.fullmatch(
        rf"(\d [0-9a-f]{{16}}\n){{{HEAPS[word]}}}{HEAPS[word] * calls} calls\n", text
    )
    return text


@cache
def of_the_list(word: int, checks: int, calls: int, seed: int, folder: Path) -> str:
    program = random_calls(folder / f"list_{word}_{checks}", word, checks, "-O2")
    return printed(program, word, calls, seed, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@pytest.mark.parametrize(("word", "checks", "geometry"), TELLING)
def test_random_calls(word: int, checks: int, geometry: str, folder: Path) -> None:
    program = indexed(folder / "index", word, checks, "-O1", *SANITIZED, *GEOMETRIES[geometry])
    expected = of_the_list(word, checks, 4000, 1, folder)
    assert printed(program, word, 4000, 1, 7) == expected


@pytest.mark.long
@pytest.mark.parametrize(("word", "checks", "geometry"), MATRIX)
def test_random_calls_in_every_build(word: int, checks: int, geometry: str, folder: Path) -> None:
    program = indexed(folder / "index", word, checks, "-O1", *SANITIZED, *GEOMETRIES[geometry])
    expected = of_the_list(word, checks, 20_000, 2, folder)
    assert printed(program, word, 20_000, 2, 11) == expected


@pytest.mark.long
@pytest.mark.parametrize("geometry", ["16 places, in lanes", "1024 bytes"])
def test_ten_million_random_calls(geometry: str, folder: Path) -> None:
    calls = 1_000_000
    assert calls * HEAPS[4] == 10**7
    program = indexed(folder / "index", 4, 0, "-O2", *GEOMETRIES[geometry])
    assert printed(program, 4, calls, 3, 1009) == of_the_list(4, 0, calls, 3, folder)


def test_another_first_fit_is_noticed(folder: Path) -> None:
    """Calls of another seed, or one call less, print something else."""
    program = random_calls(folder / "list", 4, 0, "-O1")
    texts = {
        printed(program, 4, calls, seed, 1) for calls, seed in ((999, 1), (1000, 1), (1000, 2))
    }
    assert len(texts) == 3


# ------------------------------------------------------------- every sequence of operations

TINY = {
    "none near": ["-DRH_INDEX_NEAR=0"],
    "one near": ["-DRH_INDEX_NEAR=1"],
    "two near": ["-DRH_INDEX_NEAR=2"],
    "32 places, none near": ["-DRH_INDEX_CHUNK=RH_INDEX_STEP*32", "-DRH_INDEX_NEAR=0"],
    "32 places, two near": ["-DRH_INDEX_CHUNK=RH_INDEX_STEP*32", "-DRH_INDEX_NEAR=2"],
    "64 places": ["-DRH_INDEX_CHUNK=RH_INDEX_STEP*64"],
    "in lanes, one near": ["-include", str(C / "index_simd.h"), "-DRH_INDEX_NEAR=1"],
}
FIRST_FIT = [(kind, word) for kind, word in SEQUENCES if kind != 2]


@cache
def tiny(geometry: str) -> Path:
    index = ["-DRH_INDEX=1", "-DRH_INDEX_SIZE=512", "-DRH_INDEX_REGIONS=2", *COUNTED]
    index.append("-Wno-type-limits")  # half of one near entry is none
    return explorer(*index, *TINY[geometry])


def sequences(geometry: str, kind: int, depth: int, word: int, folder: Path) -> int:
    """How many, all of them with an index."""
    counts = folder / f"{geometry} {kind} {depth} {word}"
    found = run([tiny(geometry), kind, depth, word], env={"RTOSHEAP_INDEX_COUNTS": str(counts)})
    indexed, plain = counted(counts)
    assert indexed > int(found.stdout) // 4
    assert plain == 0
    return int(found.stdout)


@pytest.mark.long
@pytest.mark.parametrize(
    ("geometry", "kind", "word"),
    [(name, *heap) for name, heap in zip([*TINY, *TINY], cycle(FIRST_FIT))],
)
def test_every_sequence_of_eight(geometry: str, kind: int, word: int, folder: Path) -> None:
    assert sequences(geometry, kind, 8, word, folder) == SEQUENCES[kind, word]


# ------------------------------------------------------------- the extension with an index

#: Builds of the extension: all of the index's sizes that differ in kind.
EXTENSIONS = {
    "16 places": [],
    "1024 bytes": ["-DRH_INDEX_CHUNK=1024"],
    "512 bytes, none near": ["-DRH_INDEX_CHUNK=512", "-DRH_INDEX_NEAR=0"],
}


class Held(NamedTuple):
    """What a file of tests must have done at least."""

    passed: int
    frees: int  # of heaps with an index
    plain: int = 0  # of others, at most: of kernels that absorb markers, or of more regions


#: What holds the heaps to recordings, and to the model.
HELD = {
    "test_conformance.py": Held(11, 124_621),
    "test_conformance_kernels.py": Held(45, 84_659, 26_448),
    "test_replay.py": Held(149, 100_000),
    "test_stateful.py": Held(6, 50, 10_000),
    "test_heap_snapshots.py": Held(38, 1000),
    "test_metamorphic.py": Held(7, 1000),
}


@pytest.fixture(scope="module")
def extension(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, whose extension has the index."""
    to = tmp_path_factory.mktemp("extension")
    shutil.copytree(ROOT / "rtosheap", to / "rtosheap", ignore=shutil.ignore_patterns("*.so"))
    lab = Path(rtosheap._lab.__file__)
    shutil.copy(lab, to / "rtosheap" / lab.name)
    index = ["-DRH_INDEX=1", "-DRH_INDEX_SIZE=(1<<20)", "-DRH_INDEX_REGIONS=8"]
    index += ["-DRH_INDEX_WIDE=1", *EXTENSIONS[request.param], *COUNTED]
    csrc = ROOT / "csrc"
    told = ["-shared", "-fPIC", "-O2", "-std=c11", "-pthread", "-DPy_LIMITED_API=0x030B0000"]
    told += ["-DRH_HOSTED=1", "-DRH_CHECKS=2", "-DRH_POLICIES=0"]
    told += [f"-I{CORE}", f"-I{csrc / 'host'}"]
    told += ["-isystem", sysconfig.get_paths()["include"]]
    sources = [*(csrc / "python").glob("*.c"), *(csrc / "host").glob("*.c")]
    run([tool("gcc"), *told, *index, *sources, "-o", to / "rtosheap" / "_core.abi3.so"])
    return to


def python(package: Path | None, *arguments: str) -> tuple[str, int, int]:
    """What Python printed in the tests' folder, on that package, and what was counted."""
    environment = dict(os.environ)
    counts = None if package is None else package / "counts"
    if package is not None and counts is not None:
        counts.unlink(missing_ok=True)
        environment |= {"PYTHONPATH": str(package), "RTOSHEAP_INDEX_COUNTS": str(counts)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=C.parent, env=environment, timeout=LAST_RESORT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return (done.stdout, *((0, 0) if counts is None else counted(counts)))


#: All of these on one build, and on the others those that are quick.
QUICK = ("test_conformance.py", "test_replay.py")
BUILDS = [(build, name) for build in EXTENSIONS for name in HELD]


@pytest.mark.long
@pytest.mark.parametrize(
    ("extension", "name"),
    [(build, name) for build, name in BUILDS if build == "16 places" or name in QUICK],
    indirect=["extension"],
)
def test_what_holds_the_heaps_to_recordings(extension: Path, name: str) -> None:
    pytest_run = ("-m", "pytest", "-p", "no:cacheprovider", "-m", "", "-q", name)
    text, indexed, plain = python(extension, *pytest_run)
    passed = re.search(r"^(\d+) passed", text, re.MULTILINE)
    assert passed is not None
    assert "skipped" not in text
    assert int(passed[1]) >= HELD[name].passed, "the file has more tests than ran"
    assert indexed >= HELD[name].frees
    assert plain <= HELD[name].plain


@pytest.fixture(scope="module")
def replays_of_the_list() -> dict[str, list[object]]:
    text, _, _ = python(None, "replay_digests.py")
    found: dict[str, list[object]] = json.loads(text)
    return found


@pytest.mark.long
@pytest.mark.parametrize("extension", EXTENSIONS, indirect=True)
def test_all_traces_and_days(extension: Path, replays_of_the_list: dict[str, list[object]]) -> None:
    text, indexed, plain = python(extension, "replay_digests.py")
    found = json.loads(text)
    assert found == replays_of_the_list
    assert len(found) == 2 * (len(traces.EVENTS) + 15)
    assert {len(row) for row in found.values()} == {1 + 2 * 3}
    assert sum(row[0] for row in found.values()) == 2_677_468  # events, each in six heaps
    assert indexed > 7_000_000
    assert plain == 0
