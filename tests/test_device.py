"""A device's memory and its firmware's ELF: segments, symbols, types, and what is damaged."""

from __future__ import annotations

import io
import random
import struct
import sys
from pathlib import Path
from typing import Any

import intel_hex
import pytest
from needs import ROOT
from parts import few_of

from rtosheap import Heap1, Heap4, Heap5, Trace, device, replay
from rtosheap.cli import main
from rtosheap.device import Elf, Memory, load_dump, load_memory, load_symbols
from rtosheap.heaps import ImageState

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

BASE = 0x2000_0000
CSRC = ROOT / "csrc"
M4 = ("cortex-m4", "mps2-an386", "mps2.ld")
LINKED = ("-nostdlib", "-static", "-no-pie", "-Wl,-e,0,--unresolved-symbols=ignore-all")


@pytest.fixture(autouse=True)
def _library() -> None:
    tools.require_module("elftools", "pyelftools")


def compiled(path: Path, source: str | Path, *flags: str, gcc: str = "arm-none-eabi-gcc") -> Elf:
    """An object file of a source, or of a C text; ``*LINKED`` makes it an image."""
    if isinstance(source, str):
        path.with_suffix(".c").write_text(source)
        source = path.with_suffix(".c")
    arch = ("-mcpu=cortex-m4", "-mthumb") if gcc.startswith("arm") else ()
    includes = [f"-I{CSRC}", f"-I{CSRC / 'cortexm' / 'kernel'}"]
    how = () if "-nostdlib" in flags else ("-c",)
    recorder_images.run(
        [tools.require(gcc), *arch, "-O2", "-std=c11", *includes, source, *how, *flags, "-o", path]
    )
    return Elf(path.read_bytes(), path.name)


# ---------------------------------------------------------------------- the drop-ins' struct

FIRST_FIT = ["head.next", "head.size", "end", "free_size", "minimum_ever_free", "allocations",
             "frees"]  # fmt: skip


def fields(heap: int, asserts: bool, more: bool) -> list[str]:
    """The words of xHeap in their order, as csrc declares them; `more`: a canary, statistics."""
    if heap == 1:
        return ["start", "limit", "used", *(["allocations"] if more else [])]
    if heap == 2:
        counted = ["minimum_ever_free", "allocations", "frees"] if more else []
        return ["head.next", "head.size", "tail.next", "tail.size", "free_size", *counted]
    names = list(FIRST_FIT)
    if asserts:
        names.insert(3, "lowest")
    return [*names, *(["canary"] if more else [])]


@pytest.mark.parametrize("heap", few_of([1, 2, 4, 5], [2, 5]))
@pytest.mark.parametrize(("compiler", "word"), [("arm-none-eabi-gcc", 4), ("gcc", 8)])
def test_the_members_of_each_drop_in(heap: int, compiler: str, word: int, tmp_path: Path) -> None:
    source = CSRC / "freertos" / f"heap_{heap}.c"
    for number in range(4):
        asserts, more = bool(number & 1), bool(number & 2)
        elf = compiled(
            tmp_path / "heap.elf",
            source,
            "-g",
            f"-DTEST_ASSERT={int(asserts)}",
            f"-DconfigENABLE_HEAP_PROTECTOR={int(more)}",
            f"-DconfigRTOSHEAP_STATISTICS={int(more)}",
            *LINKED,
            gcc=compiler,
        )
        assert elf.word == word
        found = elf.members("xHeap")
        assert found is not None
        expected = {n: (word * i, word) for i, n in enumerate(fields(heap, asserts, more))}
        assert {name: at for name, at in found.items() if name not in ("head", "tail")} == expected
        if heap != 1:
            assert found["head"] == (0, 2 * word)


def test_without_debug_information(tmp_path: Path) -> None:
    source = CSRC / "freertos" / "heap_4.c"
    elf = compiled(tmp_path / "heap.o", source, "-g0")
    assert elf.members("xHeap") is None
    symbols = load_symbols(tmp_path / "heap.o")
    assert symbols.members == {}
    assert "no debug information for xHeap: build with -g" in symbols.notes[0]
    compiled(tmp_path / "heap.o", source, "-g")
    symbols = load_symbols(tmp_path / "heap.o")
    assert symbols.members["free_size"] == (12, 4)
    assert symbols.notes == ()


def test_an_xheap_of_somebody_else(tmp_path: Path) -> None:
    compiled(tmp_path / "other.o", "struct { int a, b; } xHeap;", "-g")
    assert "is not the struct" in load_symbols(tmp_path / "other.o").notes[0]


def recorded(folder: Path, heap: int, *defines: str) -> Path:
    folder.mkdir()
    recorder_images.record(folder, *M4, recorder_images.DROP_IN, heap, defines)
    return folder


@pytest.mark.parametrize("heap", few_of([1, 2, 4], [4]))
def test_nothing_is_guessed_without_it(
    heap: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same RAM with and without -g: the same code, and a state, or none and a note."""
    whole, bare = recorded(tmp_path / "g", heap), recorded(tmp_path / "g0", heap, "-g0")
    images = [Elf((folder / "image.elf").read_bytes()) for folder in (whole, bare)]
    assert images[0].segments == images[1].segments

    def look(folder: Path) -> device.Dump:
        return load_dump(folder / "ram.bin", heap, base=BASE, elf=folder / "image.elf")

    found, guess = look(whole), look(bare)
    assert found.memory == guess.memory
    parts = {1: {"used"}, 2: {"head", "end_marker", "free_size"}}
    four = {"head", "free_size", "minimum_ever_free", "allocations", "frees"}
    assert set(found.state.known()) == parts.get(heap, four)
    drop_in = "xHeap is rtosheap's drop-in file's, which is the newest kernel's heap"
    assert (found.notes, found.releases) == ((drop_in,), ("main",))
    assert guess.releases == ()
    assert guess.state == ImageState()
    for folder, note in [(whole, False), (bare, True)]:
        arguments = [str(folder / "ram.bin"), "--base", hex(BASE), "--heap", f"heap_{heap}"]
        status = main(["inspect", *arguments, "--elf", str(folder / "image.elf")])
        text = capsys.readouterr().out
        assert (status, "note: the ELF has no debug information for xHeap" in text) == (0, note)


def test_heap_1_with_statistics(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "a", 1, "-DconfigRTOSHEAP_STATISTICS=1")
    dump = load_dump(folder / "ram.bin", 1, base=BASE, elf=folder / "image.elf")
    model = Heap1(6144)
    replay(Trace.load(folder / "wrapped.bin"), model)
    assert dump.state == ImageState(
        used=model.size - model.alignment - model.free_size, allocations=model.allocation_count
    )


# ---------------------------------------------------------------------- types

TYPES = """
#include <stdint.h>
typedef struct { uint8_t *at; uint32_t size; } Region_t;
typedef const volatile Region_t Kept_t;
enum kind { A, B };
struct whole {
    uint8_t bytes[5];
    Kept_t regions[2];
    uint16_t grid[2][3];
    struct { int32_t inner; };
    union { uint32_t word; uint8_t byte; } either;
    struct whole *next;
    enum kind kind;
    unsigned flag : 3;
    const char name[];
};
struct whole many = {{0}};
Kept_t list[3];
int plain;
"""
MEMBERS = {
    "bytes": (0, 5),
    "regions": (8, 16), "regions[0]": (8, 8), "regions[0].at": (8, 4), "regions[0].size": (12, 4),
    "regions[1]": (16, 8), "regions[1].at": (16, 4), "regions[1].size": (20, 4),
    "grid": (24, 12), "inner": (36, 4),
    "either": (40, 4), "either.word": (40, 4), "either.byte": (40, 1),
    "next": (44, 4), "kind": (48, 1), "name": (50, 0),
}  # fmt: skip


DESCRIBED = ["-g", "-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-g3", "-g -gz"]


@pytest.mark.parametrize(
    ("flags", "link"),
    [
        *((flags, link) for flags in DESCRIBED for link in ((), LINKED)),
        ("-g -flto", LINKED),  # of these an object file is none that is finished
        ("-gdwarf-4 -fdebug-types-section", LINKED),
    ],
    ids=str,
)
def test_types(flags: str, link: tuple[str, ...], tmp_path: Path) -> None:
    elf = compiled(tmp_path / "types.elf", TYPES, *flags.split(), *link)
    assert elf.members("many") == MEMBERS
    assert elf.members("list") == {
        f"[{i}]{part}": (8 * i + at, size)
        for i in range(3)
        for part, at, size in [("", 0, 8), (".at", 0, 4), (".size", 4, 4)]
    }
    assert elf.members("plain") is None
    assert elf.members("nowhere") is None


def test_types_by_clang(tmp_path: Path) -> None:
    tools.require_module("ziglang", "ziglang")
    source, path = tmp_path / "types.c", tmp_path / "types.o"
    source.write_text(TYPES)
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi"]
    for flags in (["-gdwarf-4"], ["-gdwarf-5"]):
        recorder_images.run([*zig, "-mcpu=cortex_m4", *flags, "-c", source, "-o", path])
        found = Elf(path.read_bytes()).members("many")
        assert found is not None
        assert {k: v for k, v in found.items() if k not in ("kind", "name")} == {
            k: v for k, v in MEMBERS.items() if k not in ("kind", "name")
        }


def test_of_two_variables_the_one_at_the_address(tmp_path: Path) -> None:
    compiled(tmp_path / "a.o", "static volatile struct { int first; } x; int f(void) "
             "{ return x.first; }", "-g")  # fmt: skip
    compiled(tmp_path / "b.o", "static volatile struct { char c; int second; } x; int g(void) "
             "{ return x.second; }", "-g")  # fmt: skip
    image = tmp_path / "image.elf"
    ld = tools.require("arm-none-eabi-gcc").removesuffix("gcc") + "ld"
    recorder_images.run([ld, "-e", "0", tmp_path / "a.o", tmp_path / "b.o", "-o", image])
    elf = Elf(image.read_bytes())
    where = [symbol.value for symbol in elf.symbols or () if symbol.name == "x"]
    found = [elf.members("x", address) for address in where]
    assert found == [{"first": (0, 4)}, {"c": (0, 1), "second": (4, 4)}]
    assert elf.members("x", 0x1234) is None


# ---------------------------------------------------------------------- segments and symbols


def test_load_addresses_and_addresses(tmp_path: Path) -> None:
    """Initial values lie in ROM, the variable in RAM; a function's symbol says Thumb."""
    source = tmp_path / "a.c"
    source.write_text(
        "extern int rh_entry(void);\nint initial = 0x11223344;\nint bss;\n"
        "int counted(void) { static int calls = 5; return calls++ + initial + bss; }\n"
        "int main(void) { return counted(); }\nvoid vAssertCalled(void) {}\n"
        "void *memset(void *a, int b, unsigned n) { (void)b; (void)n; return a; }\n"
        "void *memcpy(void *a, const void *b, unsigned n) { (void)b; (void)n; return a; }\n"
    )
    image = tmp_path / "image.elf"
    recorder_images.link([CSRC / "cortexm/startup.c", source], image, M4[0], M4[2], "-nostdlib",
                         "-Os", "-Wno-builtin-declaration-mismatch")  # fmt: skip
    elf = device.read_firmware(image.read_bytes())
    ram = [part for part in elf.segments if part.address >= BASE]
    assert len(ram) == 1
    assert ram[0].load_address < 1 << 20
    assert (0x11223344).to_bytes(4, "little") in ram[0].data
    symbols = {symbol.name: symbol for symbol in elf.symbols or ()}
    assert symbols["main"].value & 1
    assert symbols["initial"][1:] == (symbols["initial"].value, 4, "object")
    table = load_symbols(image).table
    assert table["initial"] == symbols["initial"][1:3]
    assert "main" not in table
    (static,) = (name for name in symbols if name.startswith("calls."))
    assert table["calls"] == symbols[static][1:3]
    memory = load_memory(image)
    assert memory.word(symbols["initial"].value, 4) == 0x11223344


def test_sections(tmp_path: Path) -> None:
    elf = compiled(tmp_path / "a.o", "int a[3] = {1}; int b[5]; const int c = 2;")
    sections = {part.name: part[1:5] for part in elf.sections}
    assert sections[".data"] == (12, True, True, False)
    assert sections[".bss"] == (20, True, True, True)
    assert sections[".rodata"] == (4, True, False, False)
    assert not sections[".symtab"][1]


def test_undefined_symbols_are_left_out(tmp_path: Path) -> None:
    elf = compiled(tmp_path / "a.o", "extern int elsewhere; int *here = &elsewhere;")
    names = [symbol.name for symbol in elf.symbols or ()]
    assert "here" in names
    assert "elsewhere" not in names


def test_a_stripped_file_and_none(tmp_path: Path) -> None:
    compiled(tmp_path / "a.o", "int a;")
    strip = tools.require("arm-none-eabi-gcc").replace("gcc", "strip")
    recorder_images.run([strip, tmp_path / "a.o"])
    with pytest.raises(ValueError, match=r"a\.o: has no symbols"):
        load_symbols(tmp_path / "a.o")
    (tmp_path / "b").write_bytes(b"MZ")
    with pytest.raises(ValueError, match="b: no ELF file"):
        load_symbols(tmp_path / "b")


def test_without_pyelftools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elftools.elf.elffile", None)
    with pytest.raises(ValueError, match=r"dump\.elf: .*pip install pyelftools"):
        Elf(b"\x7fELF", "dump.elf")


# ---------------------------------------------------------------------- damage


def read_all(data: bytes) -> None:
    """Every part of a file that may be damaged: a ValueError with its name, or what it holds."""

    def attempt(part: Any) -> None:
        try:
            part()
        except ValueError as error:
            assert str(error).startswith("damaged.elf: a damaged ELF file")  # noqa: PT017

    try:
        elf = Elf(data, "damaged.elf")
    except ValueError as error:
        assert str(error).startswith("damaged.elf: a damaged ELF file")  # noqa: PT017
        return
    attempt(lambda: elf.segments)
    attempt(lambda: elf.sections)
    attempt(lambda: elf.symbols)
    attempt(lambda: elf.members("xHeap"))


WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF0, 0xFFFF_FFFF)


def damaged(data: bytes, rng: random.Random, places: list[tuple[int, int]]) -> bytes:
    """A file with some bytes changed, mostly where they matter, or cut short."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        start, end = rng.choice([*places, (0, len(data))])
        at = rng.randrange(start, end)
        if rng.random() < 0.5:
            changed[at] = rng.randrange(256)
        else:
            at &= ~3
            changed[at : at + 4] = struct.pack("<I", rng.choice([*WORDS, rng.randrange(len(data))]))
    return bytes(changed[: rng.randrange(len(data))] if rng.random() < 0.05 else changed)


def places_of(data: bytes) -> dict[str, tuple[int, int]]:
    """The parts of a 32-bit file that lead to others: headers, tables, debug information."""
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(io.BytesIO(data))
    parts = {"header": (0, 52), "sections": (elf["e_shoff"], len(data))}
    if elf["e_phnum"]:
        parts["segments"] = (elf["e_phoff"], elf["e_phoff"] + 32 * elf["e_phnum"])
    names = (".debug_info", ".debug_abbrev", ".debug_str", ".symtab", ".strtab", ".rel.debug_info")
    for name in names:
        part = elf.get_section_by_name(name)
        if part is not None:
            parts[name] = (part["sh_offset"], part["sh_offset"] + part["sh_size"])
    return parts


SMALL = """
typedef unsigned word;
struct header { word next, size; };
struct heap { struct header head; word end, free_size, frees; struct header spare[2]; };
static volatile struct heap xHeap;
int main(void) { return xHeap.free_size != 0; }
"""


@pytest.mark.parametrize(
    "flags",
    few_of(
        [
            (("-g", *LINKED),),
            (("-gdwarf-2", *LINKED),),
            (("-gdwarf-4", "-fdebug-types-section", *LINKED),),
            (("-g", "-gz", *LINKED),),
            (("-g",),),
        ],
        [(("-g", *LINKED),)],
    ),
    ids=" ".join,
)
def test_whatever_is_damaged_it_is_read_or_refused(flags: tuple[str, ...], tmp_path: Path) -> None:
    elf = compiled(tmp_path / "small.elf", SMALL, *flags)
    assert (elf.members("xHeap") or {})["spare[1].size"] == (32, 4)
    data = (tmp_path / "small.elf").read_bytes()
    rng, places = random.Random(1), list(places_of(data).values())
    for _ in range(500):
        read_all(damaged(data, rng, places))


def test_debug_information_that_is_damaged_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "heap.o"
    compiled(path, CSRC / "freertos" / "heap_4.c", "-g")
    data = bytearray(path.read_bytes())
    data[places_of(bytes(data))[".debug_info"][0] + 4] = 77  # its version
    path.write_bytes(data)
    symbols = load_symbols(path)
    assert "xHeap" in symbols
    assert symbols.members == {}
    assert "debug information cannot be read" in symbols.notes[0]


# ---------------------------------------------------------------------- raw, hex, and the dump


def test_intel_hex(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    text = intel_hex.dump(0xFFF8, bytes(range(32))).splitlines()
    text[-1:-1] = intel_hex.dump(BASE, b"elsewhere").splitlines()[:-1]
    path.write_text("\r\n\r\n".join([*text, "what follows the end"]))
    memory = load_memory(path)
    assert memory.pieces == ((0xFFF8, bytes(range(32))), (BASE, b"elsewhere"))
    assert memory.read(0xFFFF, 2) == b"\x07\x08"
    assert memory.read(BASE - 1, 2) is None
    path.write_text(":020000021000EC\n:0100000055AA\n:00000001FF\n")  # a segment's address
    assert load_memory(path).pieces == ((0x1_0000, b"\x55"),)
    path.write_text(":0100000055AA\nno record\n:00000001FF\n")
    with pytest.raises(ValueError, match=r"a\.hex, line 2: no record"):
        load_memory(path)


def test_raw_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b":not hex")
    assert load_memory(path, base=16).pieces == ((16, b":not hex"),)
    assert load_memory(path, base=16).word(20, 4) == int.from_bytes(b" hex", "little")
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        load_memory(path, base=0)


def test_a_dump_without_an_elf(tmp_path: Path) -> None:
    raw, text = tmp_path / "a.bin", tmp_path / "a.hex"
    heap = Heap4(512)
    raw.write_bytes(heap.memory)
    memory = bytes(heap.memory)
    assert load_dump(raw, 4, base=BASE) == device.Dump(memory, BASE, 4, ImageState())
    part = load_dump(raw, 4, base=BASE, arena=(BASE + 256, 128), word_size=8)
    assert part == device.Dump(memory[256:384], BASE + 256, 8, ImageState())
    regions = [(BASE, 64), (BASE + 128, 64)]
    many = load_dump(raw, 5, base=BASE, regions=regions)
    assert many.memory == [(at, memory[at - BASE :][:64]) for at, _ in regions]
    with pytest.raises(ValueError, match=f"does not hold 1024 bytes at {BASE:#x}; it holds"):
        load_dump(raw, 4, base=BASE, arena=(BASE, 1024))
    with pytest.raises(ValueError, match="has no size"):
        load_dump(raw, 4, base=BASE, arena=(BASE, None))
    lines = intel_hex.dump(0, b"1234").splitlines()
    text.write_text("\n".join([*lines[:-1], intel_hex.dump(BASE, b"5678")]))
    with pytest.raises(ValueError, match=r"the dump holds 2 pieces of memory; say which"):
        load_dump(text, 4)


def test_notes_of_an_arena() -> None:
    symbols = device.Symbols({"ucHeap": (BASE, 64), "xHeap": (0, 28)}, 4, notes=("why",))
    memory = Memory(((0, bytes(64)), (BASE, bytes(64))))
    for kind in (1, 2, 4, 5):
        arena = device.find_arena(memory, symbols, kind)
        assert (arena.notes, arena.state) == (("why",), ImageState())
    assert device.find_arena(memory, symbols, 3).notes == ()


# ---------------------------------------------------------------------- heap_5's regions

REGIONS = """
#include <stddef.h>
#include <stdint.h>
typedef struct HeapRegion { uint8_t *pucStartAddress; size_t xSizeInBytes; } HeapRegion_t;
const HeapRegion_t *volatile taken;
void vPortDefineHeapRegions(const HeapRegion_t *regions) { taken = regions; }
"""
ENTRIES = "{ { (uint8_t *)0x20000000, 0x400 }, { (uint8_t *)0x20001000, 0x200 }, { NULL, 0 } }"
CALL = "int main(void) { vPortDefineHeapRegions(%s); return 0; }\n"


def regions_of(tmp_path: Path, text: str, *flags: str) -> tuple[str, list[tuple[int, int]]]:
    """What is found in an image of a program, with a dump that holds the regions."""
    path = tmp_path / "image.elf"
    compiled(path, REGIONS + text, *flags, *LINKED)
    memory = Memory(((BASE, bytes(0x400)), (BASE + 0x1000, bytes(0x200))))
    return device.find_regions(memory, path)


@pytest.mark.parametrize("flags", [("-g",), ("-g", "-gdwarf-4"), ("-g0",)], ids=str)
@pytest.mark.parametrize(
    "text",
    [
        f"const HeapRegion_t xBoard[] = {ENTRIES};\n" + CALL % "xBoard",
        f"HeapRegion_t xBoard[] = {ENTRIES};\n" + CALL % "xBoard",
        f"int main(void) {{ static const HeapRegion_t xBoard[] = {ENTRIES};\n"
        "vPortDefineHeapRegions(xBoard); return 0; }",
    ],
    ids=["a constant", "a variable", "in a function"],
)
def test_the_array_of_regions(text: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """By its type, and without debug information by what it holds."""
    name, found = regions_of(tmp_path, text, *flags, "-fno-inline")
    assert (name, found) == ("xBoard", [(BASE, 0x400), (BASE + 0x1000, 0x200)])


def test_other_arrays_of_regions(tmp_path: Path) -> None:
    two = f"const HeapRegion_t a[] = {ENTRIES}, b[] = {ENTRIES};\n"
    with pytest.raises(ValueError, match=r"image\.elf has several arrays .*: a, b"):
        regions_of(tmp_path, two, "-g")
    with pytest.raises(ValueError, match=r"no array of HeapRegion_t: .* not constants"):
        regions_of(tmp_path, "int main(void) { return 0; }", "-g")
    empty = "HeapRegion_t xFilled[3];\n" + CALL % "xFilled"
    with pytest.raises(ValueError, match="no bytes of xFilled"):
        regions_of(tmp_path, empty, "-g")


def test_a_dump_of_a_heap_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heap = Heap5([(BASE, 0x400), (BASE + 0x1000, 0x200)])
    held = [heap.malloc(100) for _ in range(4)]
    heap.free(held[1])
    first, last = (bytes(region.memory) for region in heap.regions)
    dump, image = tmp_path / "ram.bin", tmp_path / "image.elf"
    dump.write_bytes(first + bytes(0xC00) + last)
    compiled(image, REGIONS + f"const HeapRegion_t xBoard[] = {ENTRIES};\n" + CALL % "xBoard",
             "-g", *LINKED)  # fmt: skip
    assert main(["inspect", str(dump), "--heap", "heap_5", "--elf", str(image)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("heap_5, 1,024 bytes at 0x20000000, 512 bytes at 0x20001000\n")
    assert f"note: the regions are those of xBoard in {image}" in text
    for arguments, said in [
        ([], "--region is missing, once for each of heap_5's regions; or give --elf"),
        (["--arena", "0x20000000:1K"], "--region is missing"),
        (["--elf", str(image), "--arena", "0x20000000:1K"], "--arena: heap_5 has regions"),
        (["--region", "0x20000000:"], "has no size"),
    ]:
        assert main(["inspect", str(dump), "--heap", "heap_5", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert main(["inspect", str(dump), "--region", "0x20000000:1K"]) == 2
    assert "--region is for heap_5; heap_4 has one arena" in capsys.readouterr().err


def test_the_start_of_a_kernels_heap_1() -> None:
    table = {"ucHeap": (BASE, 64), "pucAlignedHeap": (BASE - 8, 4), "xNextFreeByte": (BASE - 4, 4)}
    words = (BASE + 8).to_bytes(4, "little") + (24).to_bytes(4, "little")
    memory = Memory(((BASE - 8, words + bytes(64)),))
    arena = device.find_arena(memory, device.Symbols(table, 4), 1)
    assert arena.state == ImageState(used=24, start=BASE + 8)
    fresh = Memory(((BASE - 8, bytes(72)),))
    assert device.find_arena(fresh, device.Symbols(table, 4), 1).state == ImageState(used=0)


@pytest.mark.parametrize(
    ("step", "changed"),
    few_of([(181, 60), (37, 300)], [(181, 60)]),
    ids=["few files", "many files"],
)
def test_every_reader_refuses_damaged_files_by_name(
    step: int, changed: int, tmp_path: Path
) -> None:
    """Cut at many lengths, and changed: from none comes more than a ValueError."""
    whole, path = tmp_path / "small.elf", tmp_path / "damaged.elf"
    text = REGIONS + f"const HeapRegion_t xBoard[] = {ENTRIES};\n" + CALL % "xBoard"
    compiled(whole, text, "-g", *LINKED)
    data = whole.read_bytes()
    rng, places = random.Random(2), list(places_of(data).values())
    files = [data[:length] for length in range(0, len(data), step)]
    files += [damaged(data, rng, places) for _ in range(changed)]
    refused = 0
    memory = Memory(((BASE, bytes(0x400)),))
    for content in files:
        path.write_bytes(content)
        for read in (
            lambda: load_memory(path, base=0),
            lambda: load_symbols(path),
            lambda: load_dump(path, 4, base=BASE, elf=path),
            lambda: device.find_regions(memory, path),
        ):
            try:
                read()
            except ValueError as error:
                assert "damaged.elf" in str(error) or "ucHeap" in str(error)  # noqa: PT017
                refused += 1
    assert refused > len(files)
