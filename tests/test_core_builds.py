"""The C core compiles without a warning for every target, and is freestanding."""

from __future__ import annotations

import re
import subprocess
from itertools import product
from pathlib import Path

import pytest
from needs import ROOT, missing, tool
from parts import few_of

CORE = ROOT / "csrc" / "core"
HOST = ROOT / "csrc" / "host"
HEAPS = ("heap_1", "heap_2", "heap_3", "heap_4", "heap_5")
WARNINGS = (
    *("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion"),
    *("-Wcast-align", "-Wmissing-prototypes", "-Wshadow", "-Wvla"),
)
TARGETS = {
    "x86-64 gcc": ("gcc",),
    "x86-64 clang": ("clang",),
    "i386": ("gcc", "-m32"),
    "Cortex-M0": ("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb"),
    "Cortex-M4": ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
}
FIRMWARE = {
    "no checks": (),
    "assertions": ("-DRH_CHECKS=1",),
    "everything checked": ("-DRH_CHECKS=2",),
    "protector": ("-DRH_PROTECTOR=1",),
    "assertions, protector": ("-DRH_CHECKS=1", "-DRH_PROTECTOR=1"),
    "nothing kept": ("-DRH_KEEP_MINIMUM=0", "-DRH_KEEP_COUNTS=0"),
    "aligned to 16, cleared": ("-DRH_ALIGNMENT=16", "-DRH_CLEAR_ON_FREE=1"),
}


def compile_one(command: tuple[str, ...], source: Path, to: Path, *options: str) -> Path:
    """The object of one source; the compiler's words are the failure's."""
    program, *target = command
    run = subprocess.run(
        [
            tool(program),
            *target,
            *WARNINGS,
            *options,
            f"-I{CORE}",
            f"-I{HOST}",
            "-c",
            str(source),
            "-o",
            str(to),
        ],
        capture_output=True,
        text=True,
    )
    if target == ["-m32"] and "bits/libc-header-start.h" in run.stderr:
        missing("gcc-multilib")
    assert run.returncode == 0, run.stderr
    return to


#: A level each of three targets.
FEW_BUILDS = [
    ("x86-64 clang", "assertions"),
    ("i386", "everything checked"),
    ("Cortex-M0", "protector"),
]


@pytest.mark.parametrize(("target", "level"), few_of(product(TARGETS, FIRMWARE), FEW_BUILDS))
def test_the_core_as_firmware(target: str, level: str, tmp_path: Path) -> None:
    for heap in HEAPS:
        for optimize in ("-Os", "-O2"):
            compile_one(
                TARGETS[target], CORE / f"{heap}.c", tmp_path / "x.o", optimize, *FIRMWARE[level]
            )


@pytest.mark.long  # the extension is built of these in any case
@pytest.mark.parametrize(
    ("target", "checks"),
    [("x86-64 gcc", 2), ("x86-64 gcc", 0), ("x86-64 clang", 2), ("i386", 1)],
)
def test_the_core_on_a_host(target: str, checks: int, tmp_path: Path) -> None:
    options = ("-O2", "-DRH_HOSTED=1", f"-DRH_CHECKS={checks}")
    sources = sorted(HOST.glob("*.c"))
    assert len(sources) == 11
    for source in sources:
        compile_one(TARGETS[target], source, tmp_path / "x.o", *options)


@pytest.mark.parametrize("level", few_of(FIRMWARE, ["no checks", "everything checked"]))
def test_it_asks_for_nothing_and_keeps_nothing(level: str, tmp_path: Path) -> None:
    """No outside symbol but memset and memcpy (and the C library's heap for heap_3), no statics."""
    for heap in HEAPS:
        target = TARGETS["Cortex-M0"]
        to = compile_one(
            target, CORE / f"{heap}.c", tmp_path / "x.o", "-O2", "-ffreestanding", *FIRMWARE[level]
        )
        run = subprocess.run(
            [tool("arm-none-eabi-nm"), str(to)], capture_output=True, text=True, check=True
        )
        symbols = [line.split()[-2:] for line in run.stdout.splitlines()]
        outside = {name for kind, name in symbols if kind == "U"}
        allowed = {"malloc", "free"} if heap == "heap_3" else {"memset", "memcpy"}
        # The compiler's own runtime, such as a switch's helper on Armv6-M.
        assert {name for name in outside if not name.startswith("__")} <= allowed
        assert not [name for kind, name in symbols if kind in "bBdDcCsSgG"]


@pytest.mark.parametrize("checks", [0, 1, 2])
def test_headers_can_be_included_from_cpp(checks: int, tmp_path: Path) -> None:
    source = tmp_path / "x.cc"
    headers = "".join(f'#include "{heap}.h"\n' for heap in HEAPS)
    source.write_text(f'extern "C" {{\n{headers}}}\n')
    command = [tool("clang"), "-x", "c++", "-std=c++17", "-Werror", f"-DRH_CHECKS={checks}"]
    done = subprocess.run(
        [*command, f"-I{CORE}", "-fsyntax-only", str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def calls(folder: Path) -> dict[str, set[str]]:
    """Who calls whom, from the compiler's call graphs."""
    graph: dict[str, set[str]] = {}
    for path in folder.glob("*.ci"):
        for line in path.read_text().splitlines():
            edge = re.match(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', line)
            if edge:
                graph.setdefault(edge[1], set()).add(edge[2])
    return graph


def test_no_recursion_and_a_known_stack(tmp_path: Path) -> None:
    for heap in HEAPS:
        to = tmp_path / f"{heap}.o"
        options = ("-Os", "-DRH_CHECKS=2", "-fcallgraph-info", "-fstack-usage")
        compile_one(TARGETS["Cortex-M0"], CORE / f"{heap}.c", to, *options)
    usage = [line.split("\t") for p in tmp_path.glob("*.su") for line in p.read_text().splitlines()]
    assert len(usage) > 20
    assert {kind for _, _, kind in usage} == {"static"}
    assert max(int(size) for _, size, _ in usage) <= 160
    graph = calls(tmp_path)
    assert graph

    def reaches(start: str, wanted: str, seen: set[str]) -> bool:
        for callee in graph.get(start, ()):
            if callee == wanted:
                return True
            if callee not in seen:
                seen.add(callee)
                if reaches(callee, wanted, seen):
                    return True
        return False

    assert not [name for name in graph if reaches(name, name, set())]


PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "heap_2.h"
#include "heap_4.h"

/* Two heaps over native memory: allocate, free, coalesce; then a header is overwritten. */
#define RUN(heap_type, init, malloc_, free_, damage)                                            \
    do {                                                                                         \
        static _Alignas(16) unsigned char arena[1024];                                           \
        static struct heap_type heap;                                                            \
        struct rh_region region = {.base = (rh_word)(uintptr_t)arena, .size = sizeof arena};     \
        rh_word a, b, c;                                                                         \
        RECORD(region);                                                                          \
        if (init(&heap, &region, NULL) != RH_OK) return 1;                                       \
        for (int i = 0; i < 50; i++) {                                                           \
            if (malloc_(&heap, 40, &a) || malloc_(&heap, 100, &b) || malloc_(&heap, 24, &c))     \
                return 2;                                                                        \
            if (free_(&heap, a) || free_(&heap, c) || free_(&heap, b)) return 3;                 \
        }                                                                                        \
        if (free_(&heap, b) == RH_OK) return 4;                                                  \
        if (malloc_(&heap, 40, &a) != RH_OK) return 5;                                           \
        ((unsigned char *)(uintptr_t)a)[-1] ^= 0x40;                                             \
        if (damage(free_(&heap, a))) return 6;                                                   \
    } while (0)

int main(void) {
    RUN(rh_heap4, rh4_init, rh4_malloc, rh4_free, DAMAGE);
    RUN(rh_heap2, rh2_init, rh2_malloc, rh2_free, DAMAGE);
    return 0;
}
"""


@pytest.mark.parametrize("checks", [0, 1, 2])
def test_each_level_runs_over_native_memory(checks: int, tmp_path: Path) -> None:
    (tmp_path / "program.c").write_text(PROGRAM)
    record = "(region).shadow = calloc(1, rh_shadow_bytes(1024, 8))" if checks == 2 else "(void)0"
    damage = "(x) != RH_CORRUPT" if checks == 2 else "0 && (x)"
    sources = [tmp_path / "program.c", CORE / "heap_2.c", CORE / "heap_4.c"]
    program = tmp_path / "program"
    options = [f"-DRH_CHECKS={checks}", f"-DRECORD(region)={record}", f"-DDAMAGE(x)={damage}"]
    subprocess.run(
        [
            tool("gcc"),
            "-std=c11",
            "-g",
            "-fsanitize=address,undefined",
            *options,
            f"-I{CORE}",
            *map(str, sources),
            "-o",
            str(program),
        ],
        check=True,
    )
    done = subprocess.run([program], env={"ASAN_OPTIONS": "detect_leaks=0"}, check=False)
    assert done.returncode == 0
