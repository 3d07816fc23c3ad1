"""Every sequence of operations over a tiny arena, up to a depth.

The C driver (c/exhaustive.c) compares the core with a model of its own after every operation:
1,270,470 sequences of up to 8 operations for heap_2, 1,279,697 for heap_4, 1,203,646 for heap_5
with 32-bit words. The independent Python model, which also knows every byte, goes to depth 5.
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
from model import Model2, Model4, Model5
from needs import ROOT, tool

from rtosheap import Heap2, Heap4, Heap5

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


@cache
def driver() -> Path:
    program = Path(tempfile.mkdtemp()) / "exhaustive"
    host = ROOT / "csrc" / "host"
    sources = [host / name for name in ("core_w32.c", "core_w64.c", "ops.c")]
    options = ["-O2", "-DRH_HOSTED=1", "-DRH_CHECKS=2", f"-I{host.parent / 'core'}", f"-I{host}"]
    source = ROOT / "tests" / "c" / "exhaustive.c"
    run([tool("gcc"), *WARNINGS, *options, source, *sources, "-o", program])
    return program


def explore(kind: int, depth: int, word: int) -> int:
    return int(run([driver(), kind, depth, word]).stdout)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "word"), SEQUENCES)
def test_every_sequence_of_eight(kind: int, word: int) -> None:
    assert explore(kind, 8, word) == SEQUENCES[kind, word]


def pair(kind: int) -> tuple[Any, Any]:
    """A heap and its model, with all that can be left behind in the arena."""
    if kind == 2:
        return Heap2(88), Model2(88)
    if kind == 4:
        return Heap4(88, canary=0x8765_4321), Model4(88, canary=0x8765_4321)
    regions = [(BASE, 48), (BASE + 0x100, 53)]
    return Heap5(regions), Model5(regions)  # type: ignore[arg-type]


def same(heap: Any, model: Any) -> None:
    assert heap.free_size == model.free_size
    assert tuple(heap.stats()) == model.stats()
    assert [tuple(block) for block in heap.blocks()] == model.blocks()
    assert [tuple(block) for block in heap.free_blocks()] == model.free_blocks()
    assert [bytes(region.memory) for region in heap.regions] == model.regions_bytes()
    heap.check()


def descend(heap: Any, model: Any, depth: int) -> int:
    """The number of sequences of up to `depth` operations from here on."""
    if depth == 0:
        return 0
    count = 0
    for size in (1, 8, 16, 32):
        a, b = heap.copy(), model.copy()
        assert a.malloc(size) == b.malloc(size)
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
    assert descend(*pair(kind), 5) == SEQUENCES_OF_FIVE[kind]


if __name__ == "__main__":
    for word_bytes in (4, 8):
        for heap_kind in (2, 4, 5):
            found = explore(heap_kind, int(sys.argv[1]), word_bytes)
            print(f"heap_{heap_kind}, {8 * word_bytes}-bit: every sequence of up to", end=" ")
            print(f"{sys.argv[1]} operations, {found:,} of them: no difference")
