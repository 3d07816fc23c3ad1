"""Every sequence of operations over a tiny arena, up to a depth.

The C driver (c/exhaustive.c) compares the core with a model of its own after every operation:
1,270,470 sequences of up to 8 operations for heap_2, 1,279,697 for heap_4, 1,203,646 for heap_5
with 32-bit words; of up to 7 for heap_2 of V10.4.2 (1,657,560) and heap_5 of V10.6.2 (189,992). The
independent Python model, which also knows every byte, goes to depth 5, for older kernels to 4.
Depth 10 (about 54 million sequences a heap) takes half a minute and is run by hand:

    python tests/test_exhaustive.py 10 > tests/exhaustive-results.txt
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ctools import WARNINGS, run
from model import MallocAsserts, Model2, Model4, Model5, NullLink
from needs import ROOT, tool

from rtosheap import Heap2, Heap4, Heap5, HeapAssertionError, HeapError

BASE = 0x2000_0000
SEQUENCES = {  # up to depth 8, by kind and word
    (2, 4): 1_270_470,
    (2, 8): 1_291_964,
    (4, 4): 1_279_697,
    (4, 8): 1_245_551,
    (5, 4): 1_203_646,
    (5, 8): 1_197_868,
}
SEQUENCES_OF_FIVE = {2: 4_956, 4: 4_962, 5: 4_880}
#: Of older kernels the two heaps that differ most, by kind and word, up to depth 7.
OLD = {2: "V10.4.2", 5: "V10.6.2"}
SEQUENCES_OF_OLD = {(2, 4): 1_657_560, (2, 8): 1_675_713, (5, 4): 189_992, (5, 8): 189_542}

#: With the Python model, for each profile.
SEQUENCES_OF_FOUR = {
    (2, "V10.4.2"): 807, (2, "V10.4.5"): 775, (2, "V10.4.6"): 775, (2, "V10.6.2"): 775,
    (4, "V10.4.6"): 807, (4, "V10.5.1"): 775, (4, "V11.1.0"): 807, (4, "V11.2.0"): 807,
    (5, "V10.4.6"): 802, (5, "V10.5.1"): 679, (5, "V10.6.2"): 802, (5, "V11.2.0"): 802,
    (5, "V11.3.0"): 802,
}  # fmt: skip


def explorer(*options: str) -> Path:
    """The C driver, over a core with these options."""
    program = Path(tempfile.mkdtemp()) / "exhaustive"
    host = ROOT / "csrc" / "host"
    sources = [host / name for name in ("core_w32.c", "core_w64.c", "ops.c", "versions.c")]
    told = ["-O2", "-DRH_HOSTED=1", "-DRH_CHECKS=2", "-DRH_CHECK_LOOPS=1", "-DRH_POLICIES=0"]
    told += options
    told += [f"-I{host.parent / 'core'}", f"-I{host}"]
    source = ROOT / "tests" / "c" / "exhaustive.c"
    run([tool("gcc"), *WARNINGS, *told, source, *sources, "-o", program])
    return program


driver = cache(explorer)


def explore(kind: int, depth: int, word: int, *kernel: str) -> int:
    return int(run([driver(), kind, depth, word, *kernel]).stdout)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "word"), SEQUENCES)
def test_every_sequence_of_eight(kind: int, word: int) -> None:
    assert explore(kind, 8, word) == SEQUENCES[kind, word]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "word"), SEQUENCES_OF_OLD)
def test_every_sequence_of_seven_of_an_old_kernel(kind: int, word: int) -> None:
    assert explore(kind, 7, word, OLD[kind]) == SEQUENCES_OF_OLD[kind, word]


def pair(kind: int, kernel: str | None) -> tuple[Any, Any]:
    """A heap and its model, with all that can be left behind in the arena."""
    options: dict[str, Any]
    if kind == 2:
        return Heap2(88, kernel=kernel), Model2(88, kernel=kernel)
    if kind == 4:
        options = {"canary": 0x8765_4321, "kernel": kernel}
        return Heap4(88, **options), Model4(88, **options)
    regions = [(BASE, 48), (BASE + 0x100, 53)]
    options = {"canary": kernel and 0x8765_4321, "kernel": kernel}
    return Heap5(regions, **options), Model5(regions, **options)  # type: ignore[arg-type]


def same(heap: Any, model: Any) -> None:
    assert heap.free_size == model.free_size
    try:
        stats = model.stats()
    except NullLink:
        with pytest.raises(HeapError):
            heap.stats()
    else:
        assert tuple(heap.stats()) == stats
    assert [tuple(block) for block in heap.blocks()] == model.blocks()
    assert [tuple(block) for block in heap.free_blocks()] == model.free_blocks()
    assert [bytes(region.memory) for region in heap.regions] == model.regions_bytes()
    heap.check()


def malloc(heap: Any, size: int) -> int | str | None:
    try:
        return heap.malloc(size)  # type: ignore[no-any-return]
    except (HeapAssertionError, MallocAsserts):
        return "assert"


def descend(heap: Any, model: Any, depth: int) -> int:
    """The number of sequences of up to `depth` operations from here on."""
    if depth == 0:
        return 0
    count = 0
    for size in (1, 8, 16, 32):
        a, b = heap.copy(), model.copy()
        assert malloc(a, size) == malloc(b, size)
        same(a, b)
        count += 1 + descend(a, b, depth - 1)
    for address in model.live_addresses():
        a, b = heap.copy(), model.copy()
        a.free(address)
        b.free(address)
        same(a, b)
        count += 1 + descend(a, b, depth - 1)
    return count


@pytest.mark.parametrize("kind", SEQUENCES_OF_FIVE)
def test_every_sequence_of_five_with_the_python_model(kind: int) -> None:
    assert descend(*pair(kind, None), 5) == SEQUENCES_OF_FIVE[kind]


@pytest.mark.parametrize(("kind", "kernel"), SEQUENCES_OF_FOUR)
def test_every_sequence_of_four_of_older_kernels(kind: int, kernel: str) -> None:
    assert descend(*pair(kind, kernel), 4) == SEQUENCES_OF_FOUR[kind, kernel]


if __name__ == "__main__":
    for word_bytes in (4, 8):
        for heap_kind in (2, 4, 5):
            found = explore(heap_kind, int(sys.argv[1]), word_bytes)
            print(f"heap_{heap_kind}, {8 * word_bytes}-bit: every sequence of up to", end=" ")
            print(f"{sys.argv[1]} operations, {found:,} of them: no difference")
