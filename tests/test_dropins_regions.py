"""The drop-in heap_5's list of regions: where it ends, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import programs
from tools import require

MAIN = r"""
#include "FreeRTOS.h"
#include <setjmp.h>
#include <stdio.h>

static jmp_buf refused;

void vAssertCalled(void) {
    longjmp(refused, 1);
}

static uint8_t memory[4096];

int main(void) {
    const HeapRegion_t regions[] = {
        {memory, FIRST}, {memory + 2048, SECOND}, {memory + 3072, 512}, {NULL, 0}};
    if (setjmp(refused) != 0) {
        puts("refused");
        return 0;
    }
    vPortDefineHeapRegions(regions);
    printf("%d\n", (int)xPortGetFreeHeapSize());
    return 0;
}
"""


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (0, 512, "refused"),  # no region
        (1024, 0, str(1024 - 16)),  # the list ends there
        (1024, 1, "refused"),
        (1024, 2, "refused"),
        (1024, 512, str(1024 + 2 * 512 - 3 * 16)),
    ],
)
def test_only_a_size_of_zero_ends_the_regions(
    tmp_path: Path, first: int, second: int, said: str
) -> None:
    require("gcc")
    main, program = tmp_path / "main.c", tmp_path / "program"
    main.write_text(MAIN)
    source = programs.CSRC / "freertos" / "heap_5.c"
    defines = ["-DTEST_ASSERT=1", f"-DFIRST={first}", f"-DSECOND={second}"]
    programs.run(["gcc", *defines, *programs.INCLUDES, source, main, "-o", program])
    assert programs.run([str(program)]).strip() == said
