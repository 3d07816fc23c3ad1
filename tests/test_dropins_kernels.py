"""The drop-in files under the headers of every kernel since V9.0.0, linked and run: the same heap,
and no name that an application of that kernel may have taken."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from rtosheap import Heap, Heap1, Heap2, Heap4, Heap5

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import programs
from parts import few_of
from test_dropins import FEW_KERNELS, KERNELS, STRICT, WORD_FLAGS, kernel_macros, need_word
from tools import require

HEAPS = {1: Heap1, 2: Heap2, 3: None, 4: Heap4, 5: Heap5}
BASE = 0x2000_0000
SIZE = 4096  # firmware/c/kernel_config.h
REGIONS = "d 0 1024 2048 2048"
SIZES = (1, 8, 24, 40, 100, 250, 5000)


def application(folder: Path, heap: int, word: int, kernel: str, asserts: int = 1) -> Path:
    """kernel_main.c over a drop-in file."""
    command = [require("gcc"), *WORD_FLAGS[word], "-O1", *programs.WARNINGS, *STRICT]
    macros = kernel_macros(kernel) | {"TEST_HEAP": heap, "TEST_LINES": asserts}
    macros |= {"TEST_CONFIG_FILE": '"kernel_config.h"'}
    defines = [f"-D{name}={value}" for name, value in macros.items()]
    program = folder / "program"
    sources = [programs.C / "kernel_main.c", programs.CSRC / "freertos" / f"heap_{heap}.c"]
    programs.run([*command, *programs.INCLUDES, *defines, *map(str, sources), "-o", program])
    return program


def answers_of(program: Path, calls: list[str]) -> list[str]:
    done = subprocess.run([program], input="\n".join(calls), text=True, capture_output=True)
    assert done.returncode == 0
    return done.stdout.splitlines()


class Script:
    """Calls, and what the application must print of them, as the heap in Python tells."""

    def __init__(self, heap: int, word: int, kernel: str) -> None:
        version, is_main = KERNELS[kernel]
        self.version = 999999 if is_main else version
        self.number = heap
        self.heap: Heap | None
        if heap == 5:
            self.heap = Heap5([(BASE, 1024), (BASE + 2048, 2048)], word_size=word)
        elif heap == 3:
            self.heap = None
        else:
            self.heap = HEAPS[heap](SIZE, base_address=BASE, word_size=word)
        self.calls: list[str] = []
        self.answers: list[str] = []
        self.had: list[int] = []
        self.live: list[int] = []
        self.frees = 0

    def add(self, call: str, address: int | None = None) -> None:
        """A call that all have, and what is free after it."""
        self.calls.append(call)
        if call[0] in "mc" and address is None:
            self.answers.append("hook")
        elif call[0] in "mc":
            self.live.append(len(self.had))
            self.had.append(address)
        offset = -1 if address is None else address - BASE
        free = (0, 0)
        if self.heap is not None:
            free = self.heap.free_size, self.heap.minimum_ever_free_size
        self.answers.append("{} {} {}".format(offset, *free))

    def malloc(self, size: int) -> None:
        self.add(f"m {size}", BASE if self.heap is None else self.heap.malloc(size))

    def free(self, k: int) -> None:
        self.live.remove(k)
        self.frees += 1
        if self.heap is not None:
            self.heap.free(self.had[k])
        self.add(f"f {k}")

    def stats(self) -> None:
        self.calls.append("s")
        numbers = (0, 0, 0, 0, 0, len(self.had), self.frees)  # heap_3 counts, and knows no more
        numbers = numbers if self.heap is None else tuple(self.heap.stats())
        self.answers.append(" ".join(map(str, numbers)))

    def begin(self) -> None:
        if self.number == 5:
            self.add(REGIONS)
        self.malloc(8)  # before it heap_4 is not set up

    def some(self, chance: random.Random, count: int) -> None:
        """Any calls that the kernel declares, and this heap has."""
        for _ in range(count):
            kind = chance.choice("mmmmsr" if self.number == 1 else "mmmmffcsr")
            size = chance.choice((1, 2, 3, 5) if self.number == 1 else SIZES)
            if kind == "m":
                self.malloc(size)
            elif kind == "f" and self.live:
                self.free(chance.choice(self.live))
            elif kind == "c" and self.version >= 100501 and self.heap is not None:
                self.add(f"c 3 {size}", self.heap.calloc(3, size))
            elif kind == "r" and self.version >= 110200:
                if self.heap is not None:
                    self.heap.reset_minimum_ever_free_size()
                self.add("r")
            elif kind == "s" and self.version >= 100301:
                self.stats()

    def reset(self) -> None:
        """And what allocates first, which sets heap_4 and heap_5 up again."""
        self.calls.append("z")
        self.live.clear()
        if self.heap is not None:
            self.heap.reset()
        whole = 0 if self.heap is None or self.number > 3 else self.heap.free_size
        self.answers.append(f"-1 {whole} {whole}")
        self.begin()

    def own(self) -> int:
        """How many names the application may have of its own, and has."""
        later = (100301, 100406, 100501, 110100, 110200)
        lacking = sum(self.version < since for since in later)
        lacking += self.version >= 100406  # a stack's malloc is no heap's
        lacking += self.version >= 100501 and self.number in (1, 3)
        return lacking + (self.number != 5) + (self.number == 3)


@pytest.mark.parametrize("kernel", few_of(KERNELS, FEW_KERNELS))
@pytest.mark.parametrize("heap", HEAPS)
@pytest.mark.parametrize("word", few_of([4, 8], [8]))
def test_the_same_heap_under_every_kernel(
    tmp_path: Path, word: int, heap: int, kernel: str
) -> None:
    """An application links that has what the kernel or its heap lacks of its own, by the names of
    later kernels; it reaches these, and all the rest behaves as in Python."""
    need_word(word)
    script, chance = Script(heap, word, kernel), random.Random(17)
    script.begin()
    script.some(chance, 200)
    if script.version >= 110100:
        script.reset()
        script.some(chance, 50)
    script.answers.append(f"own {script.own()}")
    assert len(script.calls) > 120
    assert answers_of(application(tmp_path, heap, word, kernel), script.calls) == script.answers


def test_how_many_programs_there_are() -> None:
    assert len(KERNELS) * len(HEAPS) * len(WORD_FLAGS) == 130


@pytest.mark.parametrize("asserts", [0, 1])
def test_regions_defined_twice(tmp_path: Path, asserts: int) -> None:
    """An assertion, as in FreeRTOS. Where that returns, the heap is what a first definition makes:
    of regions that are none, or refused, one without memory."""
    need_word(8)
    program = application(tmp_path, 5, 8, "V11.3.0", asserts)
    before = [REGIONS, "m 100", "m 1500", "m 40", "f 0"]
    after = ["s", "m 100", "m 300", "m 5000", "s", "r", "m 8", "s"]
    sets = [REGIONS, "d 2048 512 3000 1000", "d 0 512", "d 0 0"]
    if asserts:
        sets.append("d 1024 512 0 512")  # descending
    for again in sets:
        calls = [again, *after]
        first = answers_of(program, calls)
        second = answers_of(program, [*before, *calls])[len(before) :]
        if asserts:
            assert second.pop(0).startswith("assert")
        assert second == first
    assert len(sets) == 4 + asserts


OVERWRITTEN = r"""
#include "FreeRTOS.h"
#include <string.h>

int main(void) {
#if TEST_HEAP == 5
    static uint8_t memory[4096];
    const HeapRegion_t regions[] = {{memory, sizeof memory}, {NULL, 0}};
    vPortDefineHeapRegions(regions);
#endif
    uint8_t *first = pvPortMalloc(64), *second = pvPortMalloc(64);
    memset(first, 7, 64);
    memset(second, 7, 64);
    ((size_t *)first)[-1] = TEST_SIZE | (size_t)1 << (8 * sizeof(size_t) - 1);
    vPortFree(first);
    for (int i = 0; i < 64; i++)
        if (first[i] != (TEST_SIZE > 16 && i < TEST_SIZE - 16 ? 0 : 7) || second[i] != 7) return 1;
    return 0;
}
"""


@pytest.mark.parametrize("heap", few_of([2, 4, 5], [4]))
def test_a_size_that_is_none_clears_nothing(tmp_path: Path, heap: int) -> None:
    """With clear-on-free and without configASSERT, as in FreeRTOS."""
    main, program = tmp_path / "main.c", tmp_path / "program"
    main.write_text(OVERWRITTEN)
    source = programs.CSRC / "freertos" / f"heap_{heap}.c"
    for size in (0, 4, 8, 15, 16, 24, 80):
        defines = [f"-DTEST_HEAP={heap}", f"-DTEST_SIZE={size}"]
        defines.append("-DconfigHEAP_CLEAR_MEMORY_ON_FREE=1")
        command = [require("gcc"), "-O1", *programs.WARNINGS, *programs.INCLUDES, *defines]
        programs.run([*command, main, source, "-o", program])
        assert subprocess.run([program]).returncode == 0, size
