"""The stack that the drop-in files take, by gcc's -fcallgraph-info=su, at every level of
optimisation: frames of the functions that call one another are added up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from needs import missing

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import require

pytestmark = pytest.mark.long

CSRC = Path(__file__).parents[1] / "csrc"
HEAPS = ("heap_1", "heap_2", "heap_4", "heap_5")
CALLS = ("pvPortMalloc", "vPortFree")
LEVELS = ("-O0", "-Og", "-Os", "-O2")
# 1.5 times what FreeRTOS's heap_4 has at -O0, its malloc alone, without what that calls, and its
# free: 64 and 48 bytes.
MOST = (96, 72)
# Once, by the malloc that sets the heap up.
MOST_SETUP = 176
INDEXED = ("BOUNDED=1", "BOUNDED_SIZE=65536", "BOUNDED_REGIONS=1")
MOST_INDEXED = {"-O0": (344, 360), "-Og": (100, 124), "-Os": (72, 72), "-O2": (76, 76)}


class Stack:
    """What a drop-in file's functions take."""

    def __init__(self, heap: str, cpu: str, level: str, folder: Path, options: tuple[str, ...]):
        flags = [f"-mcpu={cpu}", "-mthumb", level, "-std=c11", "-fcallgraph-info=su"]
        flags += [f"-I{CSRC / 'cortexm/kernel'}", f"-I{CSRC}", "-DconfigTOTAL_HEAP_SIZE=65536"]
        flags += [f"-DconfigRTOSHEAP_{option}" for option in options]
        target = folder / "heap.o"
        source = CSRC / "freertos" / f"{heap}.c"
        command = [require("arm-none-eabi-gcc"), *flags, "-c", source, "-o", target]
        subprocess.run(command, check=True)
        told = target.with_suffix(".ci").read_text()
        nodes = re.findall(r'node: \{ title: "([^"]*)" label: "[^"]*?(\d+) bytes \(', told)
        edges = re.findall(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', told)
        self.frames = {_name(title): int(size) for title, size in nodes}
        self.calls: dict[str, set[str]] = {name: set() for name in self.frames}
        for caller, callee in edges:
            self.calls[_name(caller)].add(_name(callee))

    def deepest(self, function: str, never: str = "") -> int:
        """Of a function with those that it calls; what the kernel and the C library take is
        theirs."""
        inside = [
            self.deepest(callee, never)
            for callee in self.calls.get(function, ())
            if callee in self.frames and callee != never
        ]
        return self.frames[function] + max(inside, default=0)


def _name(title: str) -> str:
    return title.rsplit(":", 1)[-1]


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize("heap", HEAPS)
def test_stack(heap: str, cpu: str, tmp_path: Path) -> None:
    for level in LEVELS:
        stack = Stack(heap, cpu, level, tmp_path, ())
        for call, most in zip(CALLS, MOST, strict=True):
            assert 0 <= stack.deepest(call, never="prvHeapInit") <= most, (level, call)
        assert stack.deepest(CALLS[0]) <= MOST_SETUP, level
        assert stack.frames[CALLS[0]] > 0  # what there always is: a return address


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize("heap", ["heap_4", "heap_5"])
def test_stack_with_an_index(heap: str, cpu: str, tmp_path: Path) -> None:
    for level in LEVELS:
        stack = Stack(heap, cpu, level, tmp_path, INDEXED)
        for call, most in zip(CALLS, MOST_INDEXED[level], strict=True):
            assert 0 < stack.deepest(call, never="prvHeapInit") <= most, (level, call)
        if level == "-O0":  # the functions called are among them
            assert stack.deepest(CALLS[0]) > stack.frames[CALLS[0]]


def table(folder: Path) -> list[str]:
    """csrc/README.md's rows."""
    rows = []
    for heap in HEAPS:
        for options in ((), INDEXED) if heap > "heap_2" else ((),):
            row = [heap + (", indexed" if options else "")]
            for level in LEVELS:
                stack = Stack(heap, "cortex-m4", level, folder, options)
                row.append(", ".join(str(stack.deepest(c, "prvHeapInit")) for c in CALLS))
            rows.append(f"| {' | '.join(row)} |")
    return rows


def test_the_table_of_the_readme(tmp_path: Path) -> None:
    version = subprocess.check_output([require("arm-none-eabi-gcc"), "-dumpversion"], text=True)
    if not version.startswith("12.2."):
        missing(f"arm-none-eabi-gcc 12.2, whose figures the table has (this is {version})")
    text = (CSRC / "README.md").read_text()
    rows = table(tmp_path)
    assert len(rows) == 6
    assert "\n".join(rows) in text
