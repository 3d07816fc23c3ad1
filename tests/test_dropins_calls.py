"""Single calls of the drop-in files, each in a program of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import programs
from tools import require

PRODUCTS = r"""
#include <stdio.h>
#include "freertos/heap_4.c"

int main(void) {
    size_t numbers[128];
    int count = 0, wrong = 0;
    for (int bit = 0; bit < 32; bit++) {
        numbers[count++] = ((size_t)1 << bit) - 1;
        numbers[count++] = (size_t)1 << bit;
        numbers[count++] = ((size_t)1 << bit) + 1;
        numbers[count++] = SIZE_MAX / (((size_t)1 << bit) + 1);
    }
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            const int fits = (uint64_t)numbers[i] * numbers[j] <= SIZE_MAX;
            wrong += (prvProductFits(numbers[i], numbers[j]) != pdFALSE) != fits;
        }
    printf("%d %d %d\n", (int)sizeof(size_t), count * count, wrong);
    return 0;
}
"""

HEAP_3 = r"""
#include "FreeRTOS.h"
#include <stdio.h>
#include <string.h>

int main(void) {
    HeapStats_t stats;
    memset(&stats, 0x55, sizeof stats);
    vPortFree(pvPortMalloc(10));
    (void)pvPortMalloc(20);
    vPortGetHeapStats(&stats);
    printf("%zu %zu %zu %zu %zu %zu %zu\n", stats.xAvailableHeapSpaceInBytes,
           stats.xSizeOfLargestFreeBlockInBytes, stats.xSizeOfSmallestFreeBlockInBytes,
           stats.xNumberOfFreeBlocks, stats.xMinimumEverFreeBytesRemaining,
           stats.xNumberOfSuccessfulAllocations, stats.xNumberOfSuccessfulFrees);
    return 0;
}
"""

HEAP_1 = r"""
#include "FreeRTOS.h"
#include <stdio.h>

int main(void) {
    HeapStats_t stats;
    (void)pvPortMalloc(64);
    vPortGetHeapStats(&stats);
    printf("%zu %zu %zu %d\n", stats.xAvailableHeapSpaceInBytes,
           stats.xSizeOfLargestFreeBlockInBytes, stats.xNumberOfFreeBlocks,
           stats.xSizeOfSmallestFreeBlockInBytes == SIZE_MAX);
    return 0;
}
"""

FORGED = r"""
#include "FreeRTOS.h"
#include <setjmp.h>
#include <stdio.h>

#define TOP ((size_t)1 << (8 * sizeof(size_t) - 1))

static jmp_buf refused;
static size_t memory[512];

void vAssertCalled(void) {
    longjmp(refused, 1);
}

void vApplicationGetRandomHeapCanary(size_t *canary) {
    *canary = TOP | 1;
}

int main(void) {
    const HeapRegion_t regions[] = {{(uint8_t *)(memory + 128), 1024}, {NULL, 0}};
    vPortDefineHeapRegions(regions);
    size_t *p = pvPortMalloc(64);
    for (int i = 0; i < 2; i++) /* the header of what could be given back */
        memory[64 + i] = p[i - 2];
    if (setjmp(refused) == 0) {
        vPortFree(memory + 66);
        puts("taken");
        return 0;
    }
    puts("refused");
    vPortFree(p);
    return 0;
}
"""


def said_by(text: str, heap: int | None, folder: Path, compiler: list[str], **macros: int) -> str:
    """What a program with a drop-in file prints; without the number, it includes the file."""
    require(compiler[0])
    main, program = folder / "main.c", folder / "program"
    main.write_text(text)
    sources = [] if heap is None else [programs.CSRC / "freertos" / f"heap_{heap}.c"]
    defines = [f"-D{name}={value}" for name, value in macros.items()]
    command = [*compiler, *programs.INCLUDES, *defines, main, *sources, "-o", program]
    programs.run(command)
    return programs.run([str(program)]).strip()


@pytest.mark.parametrize("compiler", [["gcc"], ["clang", "-D__ARM_ARCH_6M__=1"]], ids=["", "6-M"])
def test_which_products_fit(tmp_path: Path, compiler: list[str]) -> None:
    """clang for an ARMv6-M, which calculates in halves, and every other."""
    said = said_by(PRODUCTS, None, tmp_path, [*compiler, "-m32"], configTOTAL_HEAP_SIZE=1024)
    assert said == "4 16384 0"


def test_heap_3_counts_calls_and_knows_no_more(tmp_path: Path) -> None:
    assert said_by(HEAP_3, 3, tmp_path, ["gcc"], configRTOSHEAP_STATISTICS=1) == "0 0 0 0 0 2 1"


@pytest.mark.parametrize(
    ("size", "said"), [(137, "65 65 1 0"), (73, "1 1 1 0"), (16, "8 8 1 0"), (8, "0 0 0 1")]
)
def test_the_last_bytes_of_heap_1(tmp_path: Path, size: int, said: str) -> None:
    macros = {"configTOTAL_HEAP_SIZE": size, "configRTOSHEAP_STATISTICS": 1}
    assert said_by(HEAP_1, 1, tmp_path, ["gcc"], **macros) == said


def test_what_lies_below_the_regions_is_not_freed(tmp_path: Path) -> None:
    """Not even where a header like a block's stands."""
    macros = {"TEST_ASSERT": 1, "configENABLE_HEAP_PROTECTOR": 1}
    assert said_by(FORGED, 5, tmp_path, ["gcc"], **macros) == "refused"
