"""Which releases of the kernel an ELF's symbols allow, and what an inspection makes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from test_device import LINKED, compiled, recorder_images, tools

from rtosheap import Heap2, Heap4, device, kernels
from rtosheap.device import Memory, Symbols, load_symbols
from rtosheap.heaps.releases import said

BASE = 0x2000_0400
RELEASES = [kernel.name for kernel in kernels()]


def since(release: str, name: str) -> bool:
    return RELEASES.index(release) >= RELEASES.index(name)


def names_of(release: str, heap: int, protector: bool = False) -> list[str]:
    """The private variables of a kernel's heap."""
    if heap == 1:
        return ["ucHeap", "pucAlignedHeap", "xNextFreeByte"]
    if heap == 2:
        return ["ucHeap", "xStart", "xEnd", "xFreeBytesRemaining", "xHeapHasBeenInitialised"]
    names = ["xStart", "pxEnd", "xFreeBytesRemaining", "xMinimumEverFreeBytesRemaining"]
    if since(release, "V10.3.0"):
        names += ["xNumberOfSuccessfulAllocations", "xNumberOfSuccessfulFrees"]
    if not since(release, "V10.5.0"):
        names.append("xBlockAllocatedBit")
    if protector:
        names.append("xHeapCanary")
    if heap == 5 and since(release, "V11.0.0"):
        names += ["pucHeapHighAddress", "pucHeapLowAddress"]
    return [*names, "ucHeap"] if heap == 4 else names


def functions_of(release: str, heap: int) -> set[str]:
    """The functions of a kernel's heap that not all have."""
    found = {"vPortHeapResetState": "V11.1.0"}
    if heap in (4, 5):
        found["vPortGetHeapStats"] = "V10.3.0"
        found["xPortResetHeapMinimumEverFreeHeapSize"] = "V11.2.0"
    return {name for name, first in found.items() if since(release, first)}


def told(names: Any, heap: int, functions: Any = ()) -> device.Arena:
    table = {name: (16 * i, 4) for i, name in enumerate(names)}
    symbols = Symbols(table, 4, functions=frozenset(functions))
    return device.find_arena(Memory(()), symbols, heap, base=BASE, size=1024)


# ---------------------------------------------------------------------- by the names alone


@pytest.mark.parametrize("heap", [1, 2, 4, 5])
@pytest.mark.parametrize("called", [False, True])
def test_no_release_is_left_out_of_its_own_names(heap: int, called: bool) -> None:
    """Whatever part of them the linker, the compiler or `strip` left."""
    tried = 0
    for release in RELEASES:
        for protector in (False, True)[: 1 + (heap > 3 and since(release, "V11.0.0"))]:
            names = names_of(release, heap, protector)
            functions = functions_of(release, heap) if called else set[str]()
            for part in ([], names, *([n for n in names if n != gone] for gone in names)):
                if "xBlockAllocatedBit" in names and "xBlockAllocatedBit" not in part and part:
                    continue  # allocating reads it, so that it stays where the others do
                for kept in {frozenset(functions), frozenset()}:
                    arena = told(part, heap, kept)
                    assert not arena.releases or release in arena.releases, (release, part, kept)
                    tried += 1
    assert tried > 28


@pytest.mark.parametrize(
    ("heap", "release", "protector", "said_", "why"),
    [
        (4, "V9.0.0", False, "V10.4.6 or earlier", "xBlockAllocatedBit); no "),
        (4, "V10.3.1", False, "V10.3.0 to V10.4.6",
         "xNumberOfSuccessfulAllocations, xNumberOfSuccessfulFrees, xBlockAllocatedBit"),
        (5, "V10.4.6", False, "V10.3.0 to V10.4.6", "xBlockAllocatedBit"),
        (4, "V10.5.1", False, "V10.5.0 or later", "no xBlockAllocatedBit beside them"),
        (5, "V10.6.2", False, "V10.5.0 or later", "no xBlockAllocatedBit beside them"),
        (4, "V11.1.0", False, "V10.5.0 or later", "no xBlockAllocatedBit beside them"),
        (4, "V11.1.0", True, "V11.0.0 or later", "xHeapCanary"),
        (5, "V11.1.0", False, "V11.0.0 or later", "pucHeapHighAddress, pucHeapLowAddress"),
    ],
)  # fmt: skip
def test_what_the_variables_say(
    heap: int, release: str, protector: bool, said_: str, why: str
) -> None:
    arena = told(names_of(release, heap, protector), heap)
    assert said(arena.releases) == said_
    (note,) = arena.notes
    assert note.startswith(f"the ELF's symbols say: {said_} (")
    assert why.removesuffix("; no ") in note


def test_what_the_functions_say() -> None:
    for heap, release, said_ in [
        (1, "V11.2.0", "V11.1.0 or later"), (2, "V11.3.0", "V11.1.0 or later"),
        (4, "V10.4.2", "V10.3.0 to V10.4.6"), (4, "V11.1.0", "V11.1.0 or later"),
        (5, "main", "V11.2.0 or later"),
    ]:  # fmt: skip
        arena = told(names_of(release, heap), heap, functions_of(release, heap))
        assert said(arena.releases) == said_
    assert told([], 4, {"vPortGetHeapStats"}).releases[0] == "V10.3.0"
    assert told([], 2, {"vPortGetHeapStats"}).releases == ()  # heap_2 has none: somebody else's
    assert told([], 4, {"pvPortCalloc"}).releases == ()  # which many an application has


def test_symbols_that_do_not_tell() -> None:
    for heap in (1, 2):
        arena = told(names_of("V10.3.1", heap), heap)
        assert arena.releases == ()
        assert arena.notes == ("the ELF's symbols do not say which release of the kernel it is",)
    assert told([], 4).releases == ()
    arena = told(["xBlockAllocatedBit", "xHeapCanary"], 4)
    assert arena.releases == ()
    assert "are of no one release (xHeapCanary, xBlockAllocatedBit)" in arena.notes[0]
    arena = told(["FreeRTOSDebugConfig"], 4)
    assert "carries NXP's FreeRTOSDebugConfig, 4 bytes at 0x00000000" in arena.notes[1]
    assert told(["__malloc_free_list"], 3) == device.Arena(3, BASE, 1024, 4, arena.state)


# ---------------------------------------------------------------------- what compilers leave

HEAP = """
#include <stddef.h>
static size_t xFreeBytesRemaining, xMinimumEverFreeBytesRemaining;
#if COUNTERS
static size_t xNumberOfSuccessfulAllocations, xNumberOfSuccessfulFrees;
#define COUNT(x) x++
#else
#define COUNT(x)
#endif
#if BIT
static size_t xBlockAllocatedBit;
#else
#define xBlockAllocatedBit ((size_t)1 << 31)
#endif
unsigned char ucHeap[1024];
static size_t taken;
static void set_up(void) {
#if BIT
    xBlockAllocatedBit = (size_t)1 << 31;
#endif
    xMinimumEverFreeBytesRemaining = xFreeBytesRemaining = sizeof ucHeap;
}
void *pvPortMalloc(size_t size) {
    if (!xFreeBytesRemaining) set_up();
    if ((size & xBlockAllocatedBit) || size > xFreeBytesRemaining) return 0;
    size_t *block = (size_t *)(ucHeap + taken);
    taken += size;
    *block = size | xBlockAllocatedBit;
    xFreeBytesRemaining -= size;
    if (xFreeBytesRemaining < xMinimumEverFreeBytesRemaining)
        xMinimumEverFreeBytesRemaining = xFreeBytesRemaining;
    COUNT(xNumberOfSuccessfulAllocations);
    return block;
}
void vPortFree(void *block) {
    size_t size = *(size_t *)block;
    if (!(size & xBlockAllocatedBit)) return;
    xFreeBytesRemaining += size & ~xBlockAllocatedBit;
    COUNT(xNumberOfSuccessfulFrees);
}
size_t xPortGetMinimumEverFreeHeapSize(void) { return xMinimumEverFreeBytesRemaining; }
#if COUNTERS
void vPortGetHeapStats(size_t *stats) {
    stats[0] = xNumberOfSuccessfulAllocations;
    stats[1] = xNumberOfSuccessfulFrees;
}
#endif
"""
PROGRAM = """
#include <stddef.h>
void *pvPortMalloc(size_t);
void vPortFree(void *);
size_t xPortGetMinimumEverFreeHeapSize(void);
volatile size_t size;
int main(void) {
    for (;;) {
        vPortFree(pvPortMalloc(size));
#if ASKS
        size = xPortGetMinimumEverFreeHeapSize();
#endif
    }
}
void _start(void) { main(); }
"""
#: By a release, whether its heap_4 has the counters and the bit.
BUILT = {"V10.2.1": (0, 1), "V10.3.1": (1, 1), "V10.5.1": (1, 0)}
SECTIONS = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")


def defines(release: str) -> list[str]:
    counters, bit = BUILT[release]
    return [f"-DCOUNTERS={counters}", f"-DBIT={bit}"]


def arena_of(path: Path) -> device.Arena:
    symbols = load_symbols(path)
    return device.find_arena(Memory(()), symbols, 4, base=BASE, size=1024)


@pytest.mark.parametrize("release", BUILT)
@pytest.mark.parametrize(
    "flags",
    [("-O0",), ("-O1",), ("-Os",), ("-O3",), ("-O2", "-flto"), ("-O2", *SECTIONS),
     ("-Os", "-flto", *SECTIONS)],
    ids=" ".join,
)  # fmt: skip
def test_what_gcc_leaves(release: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """Of a program that asks for no statistics."""
    entry = ("-Wl,-e,_start", "-nostdlib", "-static", "-no-pie")
    how = ("-DASKS=0", *flags, *defines(release), *entry)
    compiled(tmp_path / "a.elf", HEAP + PROGRAM, *how)
    arena = arena_of(tmp_path / "a.elf")
    assert release in arena.releases
    left = {"V10.2.1": "V10.4.6 or earlier", "V10.3.1": "V10.3.0 to V10.4.6"}
    assert said(arena.releases) == left.get(release, "V10.5.0 or later")
    assert ("; no xNumberOf" in arena.notes[0]) == (release == "V10.2.1")


@pytest.mark.parametrize("release", BUILT)
@pytest.mark.parametrize("asks", [0, 1])
@pytest.mark.parametrize("flags", [("-O1",), ("-O3",), ("-O2", "-flto")], ids=" ".join)
def test_what_clang_leaves(release: str, asks: int, flags: tuple[str, ...], tmp_path: Path) -> None:
    """With -flto not the counters of a program that never asks: that they are gone says nothing."""
    tools.require_module("ziglang", "ziglang")
    path = tmp_path / "a.elf"
    for name, text in [("heap.c", HEAP), ("main.c", PROGRAM)]:
        (tmp_path / name).write_text(text)
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi"]
    how = ["-mcpu=cortex_m4", "-nostdlib", f"-DASKS={asks}", *flags, *defines(release)]
    recorder_images.run([*zig, *how, tmp_path / "heap.c", tmp_path / "main.c", "-o", path])
    arena = arena_of(path)
    gone = "-flto" in flags and not asks
    left = {
        "V10.2.1": "V10.4.6 or earlier",
        "V10.3.1": "V10.4.6 or earlier" if gone else "V10.3.0 to V10.4.6",
        "V10.5.1": "" if gone else "V10.5.0 or later",
    }
    assert said(arena.releases) == left[release]
    assert not arena.releases or release in arena.releases


# ---------------------------------------------------------------------- the command line


def firmware(path: Path, release: str, heap: int, protector: bool = False) -> Path:
    """An ELF with the private names of a kernel's heap; none of them lies in the dump."""
    text = "".join(f"unsigned {name};\n" for name in names_of(release, heap, protector))
    compiled(path, text, "-g0", *LINKED)
    return path


def dumped(path: Path, heap: Any) -> list[str]:
    path.write_bytes(heap.memory)
    where = f"{heap.base_address:#x}"
    return [str(path), "--base", where, "--arena", f"{where}:{len(heap.memory)}"]


def worn(cls: Any, **options: Any) -> Any:
    heap = cls(1024, base_address=BASE, **options)
    held = [heap.malloc(24) for _ in range(6)]
    for p in held[::2]:
        heap.free(p)
    return heap


def test_an_elf_narrows_it_down(tmp_path: Path, run: Any) -> None:
    where = dumped(tmp_path / "ram.bin", worn(Heap4))
    alone = run("inspect", *where, "--json").json
    assert alone["kernels"] == ["any release, without the heap protector"]
    assert alone["depends"][0] == {
        "conclusion": "largest_request",
        "cases": [
            {"releases": "V10.4.6 or earlier, V10.6.0 or later", "value": 816},
            {"releases": "V10.5.0 to V10.5.1", "value": 815},
        ],
    }
    for release, kernel, count in [
        ("V10.3.1", "V10.3.0 to V10.4.6", 0),
        ("V10.5.1", "V10.5.0 or later, without the heap protector", 1),
    ]:
        elf = firmware(tmp_path / "image.elf", release, 4)
        found = run("inspect", *where, "--elf", elf, "--json")
        assert found.status == 0
        assert found.json["kernels"] == [kernel]
        assert len(found.json["depends"]) == count
        assert any(note.startswith(f"the ELF's symbols say: {kernel.partition(',')[0]} (")
                   for note in found.json["notes"])  # fmt: skip
    text = run("inspect", *where, "--elf", elf).out
    line = "largest request: 816 with V10.6.0 or later; 815 with V10.5.0 to V10.5.1"
    assert f"\ndepends on the release:\n  {line}\nblocks:\n" in text


def test_what_does_not_agree_is_told(tmp_path: Path, run: Any) -> None:
    """And the sound heap inspected all the same."""
    where = dumped(tmp_path / "ram.bin", worn(Heap4, canary=0xDEADBEEF))
    elf = firmware(tmp_path / "image.elf", "V10.3.1", 4)
    found = run("inspect", *where, "--elf", elf, "--json")
    assert found.status == 0
    assert found.json["kernels"] == ["V11.2.0 or later (the heap protector)"]
    assert (
        "the symbols are those of V10.3.0 to V10.4.6, the arena is of V11.2.0 or later (the heap "
        "protector): the arena is believed"
    ) in found.json["notes"]
    found = run("inspect", *where, "--elf", elf, "--kernel", "V11.3.0", "--json")
    assert found.status == 0
    assert found.json["kernels"] == ["V11.3.0 (the heap protector)"]
    assert (
        "V11.3.0 was named, but the symbols are those of V10.3.0 to V10.4.6" in found.json["notes"]
    )
    found = run("inspect", *where, "--elf", elf, "--kernel", "V10.3.1")
    assert found.status == 1
    assert "this is no heap_4 of V10.3.1: " in found.out
    assert "what would fit: heap_4 of V11.2.0 or later (the heap protector)" in found.out


def test_a_kernel_on_the_command_line(tmp_path: Path, run: Any) -> None:
    where = dumped(tmp_path / "ram.bin", worn(Heap2, kernel="V10.4.6"))
    found = run("inspect", *where, "--heap", "heap_2", "--kernel", "10.4.6", "--json")
    assert (found.status, found.json["damage"], found.json["depends"]) == (0, [], [])
    assert found.json["kernels"] == ["V10.4.6 (no allocated mark)"]
    assert "V10.4.6 was named: other kernels' arenas do not count" in found.json["notes"]
    found = run("inspect", *where, "--heap", "heap_2", "--kernel", "V11.0.0")
    assert found.status == 1
    assert "this is no heap_2 of V11.0.0: " in found.out
    for arguments, error in [
        (["--heap", "heap_2", "--kernel", "V10.4.9"], "the nearest are 'V10.4.6' and 'V10.5.0'"),
        (["--heap", "heap_3", "--kernel", "V10.4.6"], "--kernel: heap_3 is the C library's malloc"),
        (["--heap", "heap_4", "--newlib", "4.4.0"], "--newlib: heap_3 alone is the C library's"),
        (["--heap", "heap_3", "--newlib", "9"], "newlib is '9'"),
    ]:
        found = run("inspect", *where, *arguments)
        assert found.status == 2
        assert error in found.err
