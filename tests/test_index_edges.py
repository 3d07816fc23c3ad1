"""The index at its limits: as large as its nodes, leaves and words can tell, heap and blocks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ctools import WARNINGS, run
from needs import ROOT, tool
from parts import few_of

from rtosheap import cortexm

sys.path.insert(0, str(ROOT / "tests" / "firmware"))

from tools import require_module

CALLS = 2000
#: Bytes of a word, of the heap, of the alignment, and what else the index is told.
HEAPS = {
    "1 MiB, a node's most": (8, 1 << 20, 8, []),
    "1 MiB, chunks of 32 places": (8, 1 << 20, 8, ["-DRH_INDEX_CHUNK=256"]),
    "1 MiB, chunks of 1 KiB": (8, 1 << 20, 8, ["-DRH_INDEX_CHUNK=1024"]),
    "512 KiB in words of 4": (4, 1 << 19, 4, []),
    "half of a node's most": (8, 65534 * 8, 8, []),
    "1 MiB, wide": (8, 1 << 20, 8, ["-DRH_INDEX_WIDE=1"]),
    "the last place is the array's": (4, 1600000, 4, ["-DRH_INDEX_WIDE=1"]),
    "two words of words of words": (4, 3000000, 4, ["-DRH_INDEX_WIDE=1"]),
    "four words of words of words": (4, 7000000, 4, ["-DRH_INDEX_WIDE=1"]),
}


@pytest.mark.parametrize("case", few_of(HEAPS, ["the last place is the array's"]))
def test_a_large_heap_with_an_index_serves_what_the_list_serves(case: str, tmp_path: Path) -> None:
    word, size, alignment, more = HEAPS[case]
    printed = []
    index = ["-DRH_INDEX=1", f"-DRH_INDEX_SIZE={size}", "-DRH_INDEX_REGIONS=2", *more]
    for options in ([], index):
        told = [*WARNINGS, "-O1", "-g", "-DRH_HOSTED=1", f"-DRH_WORD_BYTES={word}", *options]
        told += ["-DRH_CHECK_LOOPS=1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
        to = tmp_path / "test_index_edges"
        source = ROOT / "tests" / "c" / "test_index_edges.c"
        run([tool("gcc"), *told, f"-I{ROOT / 'csrc' / 'core'}", source, "-o", to])
        printed.append(run([to, size, alignment, CALLS]).stdout)
    assert printed[0] == printed[1]
    served, calls = printed[0].split(",")[0].split(" of ")
    assert int(calls) == CALLS
    assert int(served) > CALLS // 5


@pytest.mark.parametrize("chunk", [128, 256, 512, 1024])
def test_a_drop_in_file_with_an_index_has_no_warning(chunk: int, tmp_path: Path) -> None:
    csrc = ROOT / "csrc"
    told = [*WARNINGS, "-O2", "-mcpu=cortex-m4", "-mthumb", f"-I{csrc / 'cortexm' / 'kernel'}"]
    told += ["-DconfigRTOSHEAP_BOUNDED=1", f"-DconfigRTOSHEAP_BOUNDED_CHUNK={chunk}"]
    source = csrc / "freertos" / "heap_4.c"
    run([tool("arm-none-eabi-gcc"), *told, "-c", source, "-o", tmp_path / "heap_4.o"])


def test_the_index_needs_no_run_time_library_of_clang(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("capstone", "unicorn", "ziglang"):
        require_module(package, package)
    monkeypatch.setenv("RTOSHEAP_CACHE", str(tmp_path))
    sized = cortexm.bound(
        "heap_4", heap_size=4096, cpu="cortex-m0", index=True, toolchain="zig", search=0
    )
    assert sized.index_bytes > 0


@pytest.mark.parametrize("link", ["zero", "itself"])
def test_an_index_asserts_what_it_follows_beyond_the_list(link: str, tmp_path: Path) -> None:
    told = [*WARNINGS, "-DRH_INDEX=1", "-DRH_INDEX_SIZE=4096", "-DRH_CHECKS=1"]
    source, to = ROOT / "tests" / "c" / "test_index_links.c", tmp_path / "test_index_links"
    run([tool("gcc"), *told, f"-I{ROOT / 'csrc' / 'core'}", source, "-o", to])
    assert run([to, link]).stdout == "1\n"


#: What is forged, and where it is: see the source.
WILD = ("block", "below", "above", "link", "after", "whole")


@pytest.mark.parametrize("size", few_of([8192, 20000], [20000]))  # which is no power of two
@pytest.mark.parametrize("chunk", [128, 1024])
def test_a_forged_header_leads_nowhere_outside_the_index(
    chunk: int, size: int, tmp_path: Path
) -> None:
    """With assertions it is found."""
    source, to = ROOT / "tests" / "c" / "test_index_wild.c", tmp_path / "test_index_wild"
    told = [*WARNINGS, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    told += ["-DRH_INDEX=1", "-DRH_INDEX_REGIONS=2", f"-DRH_INDEX_SIZE={size}"]
    told += [f"-DRH_INDEX_CHUNK={chunk}", f"-I{ROOT / 'csrc' / 'core'}"]
    # With large chunks these are walked past, as in the list alone.
    walked = {("above", 0), ("after", 1)} if chunk == 1024 else set()
    tried = 0
    for checks in (0, 1):
        run([tool("gcc"), *told, f"-DRH_CHECKS={checks}", source, "-o", to])
        for what in WILD:
            if (what, checks) not in walked:
                assert run([to, what]).stdout == f"{checks} {checks}\n", (what, checks)
                tried += 1
    assert tried == 12 - len(walked)


@pytest.mark.parametrize("index", [0, 1])
def test_an_entry_whose_link_is_written_is_checked(index: int, tmp_path: Path) -> None:
    source, to = ROOT / "tests" / "c" / "test_index_before.c", tmp_path / "test_index_before"
    told = [*WARNINGS, f"-DRH_INDEX={index}", "-DRH_INDEX_SIZE=4096", "-g", "-fsanitize=address"]
    run([tool("gcc"), *told, f"-I{ROOT / 'csrc' / 'core'}", source, "-o", to])
    assert run([to]).stdout == "1 1 1 1\n"
