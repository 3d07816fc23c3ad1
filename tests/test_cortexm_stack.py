"""The stack that the drop-in files take, by -fstack-usage, at every level of optimisation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import require

CSRC = Path(__file__).parents[1] / "csrc"
HEAPS = ("heap_1", "heap_2", "heap_4", "heap_5")
LEVELS = ("-O0", "-Og", "-Os", "-O2")
# Of pvPortMalloc, with the core's malloc where it is a call of its own, and of vPortFree. What
# optimises stays within 1.5 times FreeRTOS's heap_4 at -O0, 64 and 48 bytes.
MOST = (96, 72)
MOST_O0 = {"heap_1": (80, 16), "heap_2": (328, 184), "heap_4": (264, 256), "heap_5": (264, 256)}


def frames(heap: str, cpu: str, level: str, folder: Path) -> tuple[int, int]:
    flags = [f"-mcpu={cpu}", "-mthumb", level, "-std=c11", "-fstack-usage"]
    flags += [f"-I{CSRC / 'cortexm/kernel'}", f"-I{CSRC}", "-DconfigTOTAL_HEAP_SIZE=65536"]
    target = folder / "heap.o"
    source = CSRC / "freertos" / f"{heap}.c"
    command = [require("arm-none-eabi-gcc"), *flags, "-c", source, "-o", target]
    subprocess.run(command, check=True)
    found = {}
    for line in target.with_suffix(".su").read_text().splitlines():
        where, size, _ = line.split("\t")
        found[where.rsplit(":", 1)[1]] = int(size)
    malloc = found["pvPortMalloc"] + found.get(f"rh{heap[-1]}_malloc", 0)
    return malloc, found["vPortFree"]


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize("heap", HEAPS)
def test_stack(heap: str, cpu: str, tmp_path: Path) -> None:
    for level in LEVELS:
        most = MOST_O0[heap] if level == "-O0" else MOST
        found = frames(heap, cpu, level, tmp_path)
        assert found[0] <= most[0], level
        assert found[1] <= most[1], level
