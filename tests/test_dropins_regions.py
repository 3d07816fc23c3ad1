"""The drop-in heap_5's list of regions: where it ends, what is refused, and what its index has no
room for."""

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
#include <signal.h>
#include <stdio.h>

static jmp_buf refused;

void vAssertCalled(void) {
    longjmp(refused, 1);
}

static void written(int signal) {
    (void)signal;
    longjmp(refused, 2);
}

static uint8_t memory[4096];

int main(void) {
    const HeapRegion_t regions[] = {
        {AT, FIRST}, {memory + 2048, SECOND}, {memory + 3072, 512}, {NULL, 0}};
    const int why = setjmp(refused);
    if (why != 0) {
        puts(why == 1 ? "refused" : "written to");
        return 0;
    }
    signal(SIGSEGV, written);
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
    assert defined(tmp_path, first, second) == said


@pytest.mark.parametrize(("address", "said"), [(0, "refused"), (1, "written to")])
def test_a_region_may_begin_anywhere_but_at_zero(tmp_path: Path, address: int, said: str) -> None:
    """At 1 it is taken: this program has no memory there."""
    assert defined(tmp_path, 1024, 512, f"-DAT=(uint8_t *){address}") == said


def defined(folder: Path, first: int, second: int, *defines: str) -> str:
    """What the program says of three regions, the last of 512 bytes."""
    main, program = folder / "main.c", folder / "program"
    main.write_text(MAIN)
    source = programs.CSRC / "freertos" / "heap_5.c"
    told = ["-DTEST_ASSERT=1", f"-DFIRST={first}", f"-DSECOND={second}", *defines]
    if not any(define.startswith("-DAT=") for define in told):
        told.append("-DAT=memory")
    command = [require("gcc"), *told, *programs.WARNINGS, *programs.INCLUDES]
    programs.run([*command, source, main, "-o", program])
    return programs.run([str(program)]).strip()


@pytest.mark.parametrize(
    ("most", "size", "said"),
    [
        (3, 1024 + 2 * 512, str(1024 + 2 * 512 - 3 * 16)),
        (8, 4096, str(1024 + 2 * 512 - 3 * 16)),
        (2, 4096, "refused"),  # regions
        (1, 4096, "refused"),
        (3, 512, "refused"),  # bytes
    ],
)
def test_regions_beyond_the_index_are_refused(
    tmp_path: Path, most: int, size: int, said: str
) -> None:
    index = ["-DconfigRTOSHEAP_BOUNDED=1", f"-DconfigRTOSHEAP_BOUNDED_REGIONS={most}"]
    index.append(f"-DconfigRTOSHEAP_BOUNDED_SIZE={size}")
    assert defined(tmp_path, 1024, 512, *index) == said


@pytest.mark.parametrize("lacks", ["REGIONS", "SIZE"])
def test_an_index_needs_to_know_its_regions(tmp_path: Path, lacks: str) -> None:
    given = {"REGIONS": 3, "SIZE": 4096}
    index = [f"-DconfigRTOSHEAP_BOUNDED_{name}={given[name]}" for name in given if name != lacks]
    with pytest.raises(AssertionError, match="the index of heap_5 needs configRTOSHEAP_BOUNDED_"):
        defined(tmp_path, 1024, 512, "-DconfigRTOSHEAP_BOUNDED=1", *index)
