"""``cortexm.bound()``: longest paths read from machine code, and the worst that running finds."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from rtosheap import cortexm, data
from rtosheap.cli import cortexm as command
from rtosheap.cli import main
from rtosheap.cortexm import toolchain as _toolchain
from rtosheap.cortexm._code import Code, CodeError
from rtosheap.cortexm._flow import Flow, Loop, Paths, reached
from rtosheap.cortexm._lines import Lines
from rtosheap.cortexm._loops import loops_of
from rtosheap.cortexm._proof import constants
from rtosheap.cortexm._turns import Turns
from rtosheap.cortexm.images import Configuration, Kernel, image
from rtosheap.cortexm.targets import CPUS

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import require, require_module

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
CORE = ROOT / "csrc" / "core"
GCC = "arm-none-eabi-gcc"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTOSHEAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def need(toolchain: str = GCC) -> None:
    require_module("capstone", "capstone")
    require_module("unicorn", "unicorn")
    if toolchain == "zig":
        require_module("ziglang", "ziglang")
    else:
        require(toolchain)


# ------------------------------------------------------------- known longest paths


def linked(folder: Path, source: Path, *options: str) -> bytes:
    """An image of one source."""
    need()
    image = folder / "image.elf"
    told = ["-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,-Ttext=0,-e,f", *options]
    done = subprocess.run(
        [require(GCC), *told, str(source), "-o", str(image)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return image.read_bytes()


def assembled(folder: Path, functions: dict[str, str]) -> Code:
    """An image of functions in assembler."""
    text = ".syntax unified\n.thumb\n.cpu cortex-m4\n.text\n"
    for name, body in functions.items():
        text += f".global {name}\n.type {name}, %function\n.thumb_func\n{name}:\n"
        text += body.replace(";", "\n") + f"\n.size {name}, . - {name}\n.align 2\n"
    source = folder / "functions.s"
    source.write_text(text)
    return Code(linked(folder, source))


#: What a function is, and its longest path if each loop turns three times more.
KNOWN: dict[str, tuple[dict[str, str], int]] = {
    "straight": ({"f": "movs r0, #1; adds r0, #1; bx lr"}, 3),
    "the longer of two": ({"f": "cbz r0, 1f; nop; nop; bx lr; 1: bx lr"}, 4),
    "a conditional return": ({"f": "cmp r0, #0; it eq; bxeq lr; nop; bx lr"}, 5),
    "two in one IT block": ({"f": "cmp r0, #0; ite eq; moveq r0, #1; movne r0, #2; bx lr"}, 5),
    "literals are no code": ({"f": "ldr r0, =0x12345678; b 1f; .ltorg; 1: bx lr"}, 3),
    # One way in, three turns of three, and out at the end of a fourth.
    "a loop": ({"f": "movs r0, #9; 1: nop; subs r0, #1; bne 1b; bx lr"}, 1 + 4 * 3 + 1),
    # The turn is five; it is left after two or at its end.
    "left in the middle": (
        {"f": "1: cmp r0, #0; beq 2f; nop; nop; b 1b; 2: bx lr"},
        3 * 5 + 2 + 1,
    ),
    "the longest of two turns": (
        {"f": "1: cbz r0, 2f; nop; nop; nop; b 1b; 2: cbz r1, 3f; b 1b; 3: bx lr"},
        3 * 5 + 2 + 1,
    ),
    # The inner loop is 4 * 2; a turn of the outer one 1 + 8 + 2.
    "a loop in a loop": (
        {"f": "1: nop; 2: subs r0, #1; bne 2b; subs r1, #1; bne 1b; bx lr"},
        4 * (1 + 8 + 2) + 1,
    ),
    "a call": ({"f": "push {r4, lr}; bl g; bl g; pop {r4, pc}", "g": "nop; bx lr"}, 4 + 2 * 2),
    "a call in a loop": (
        {"f": "push {r4, lr}; 1: bl g; subs r4, #1; bne 1b; pop {r4, pc}", "g": "nop; bx lr"},
        1 + 4 * (3 + 2) + 1,
    ),
    "a tail call": ({"f": "nop; b.w g", "g": "nop; nop; bx lr"}, 2 + 3),
    "a return with other registers": ({"f": "push {r4, lr}; ldmia.w sp!, {r4, pc}"}, 2),
    "what does not return is no path": (
        {"f": "push {r4, lr}; cbz r0, 1f; pop {r4, pc}; 1: nop; nop; bl never", "never": "b never"},
        3,
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_longest_path(name: str, tmp_path: Path) -> None:
    functions, instructions = KNOWN[name]
    code = assembled(tmp_path, functions)
    path = Paths(code, lambda flow, loop: 3, never=["never"]).longest("f")
    assert path.instructions == instructions
    assert sum(path.times.values()) == instructions


REFUSED = {
    "entered in two places": (
        {"f": "cbz r0, 2f; 1: nop; 2: subs r1, #1; bne 1b; bx lr"},
        "two places",
    ),
    "an address unknown": ({"f": "ldr r1, [r0]; bx r1"}, "leads to an address unknown"),
    "another": ({"f": "push {lr}; blx r0; pop {pc}"}, "leads to an address unknown"),
    "recursion": ({"f": "push {r4, lr}; bl f; pop {r4, pc}"}, "f calls itself"),
    "no return": ({"f": "1: b 1b"}, "f does not return"),
    "no instruction": ({"f": "nop; .short 0xffff, 0xffff"}, "no instruction"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed(name: str, tmp_path: Path) -> None:
    functions, says = REFUSED[name]
    code = assembled(tmp_path, functions)
    with pytest.raises(CodeError, match=says):
        Paths(code, lambda flow, loop: 3).longest("f")


# ------------------------------------------------------------- loops of the source

SOURCE = """
#include "rh_loop.h"
struct node { struct node *next; int size; };
extern int f(struct node *, int);
int f(struct node *at, int size) {
    %s {
        if (at->size == size) return 1;
        at = at->next;
    }
    return 0;
}
"""


def path_of(folder: Path, loop: str, optimize: str) -> tuple[int, list[tuple[Flow, Loop, int]]]:
    source = folder / "walk.c"
    source.write_text(SOURCE % loop)
    code_and_lines = linked(folder, source, "-g", optimize, f"-I{CORE}")
    code, lines = Code(code_and_lines), Lines(code_and_lines)

    def value(expressions: Sequence[str]) -> list[int]:
        return [int(eval(e, {"__builtins__": {}})) for e in expressions]

    turns = Turns(lines, reached(code, ["f"], ()), value)
    paths = Paths(code, turns)
    return paths.longest("f").instructions, paths.loops


@pytest.mark.parametrize("optimize", ["-O0", "-Og", "-O1", "-Os", "-O2"])
def test_a_loop_is_found_by_its_line(optimize: str, tmp_path: Path) -> None:
    """So many entries cost so much more: the machine's loop is the source's."""
    short, loops = path_of(tmp_path, "RH_WHILE(at != 0, 10)", optimize)
    long, _ = path_of(tmp_path, "RH_WHILE(at != 0, 2 * 10)", optimize)
    assert [turns for _, _, turns in loops] == [10]
    flow, loop, _ = loops[0]
    assert 10 * 4 <= long - short <= 10 * len(loop.body)
    assert flow.code.name_of(loop.header) == "f"


def test_a_loop_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match=r"f at 0x\w+: the loop of .*walk\.c:6 does not say"):
        path_of(tmp_path, "while (at != 0)", "-O2")


def test_the_last_run_of_a_loop_without_condition_is_no_turn(tmp_path: Path) -> None:
    _, loops = path_of(tmp_path, "RH_WHILE(true, 10)", "-O2")
    assert [turns for _, _, turns in loops] == [9]


def test_where_loops_are(tmp_path: Path) -> None:
    source = tmp_path / "loops.c"
    source.write_text(
        "#define EACH for (;;)\n"
        "int f(int a) { // while (no)\n"
        "    RH_WHILE(g(a, 1) != 0, MOST(a, 2))\n"
        "        for (;;)\n"
        "            if (a) { a++; }\n"
        "            else a--;\n"
        "    do { a = '}'; } while (0);\n"
        "    do {\n"
        "        a--;\n"
        "    } while (a > 0);\n"
        "}\n"
    )
    found = [(s.first, s.last, s.condition, s.most) for s in loops_of(source)]
    assert found == [
        (3, 6, "g(a, 1) != 0", "MOST(a, 2)"),
        (4, 6, ";;", None),
        (8, 10, "a > 0", None),
    ]


# ------------------------------------------------------------- bounds in the source hold

#: What a loop's bound is, by its file: each is lowered by one.
LOWERED = {
    "rh_first_fit.h": (
        "RH_FF_TURNS(RH_FF_MOST_ENTRIES(heap))",
        "RH_FF_TURNS(RH_FF_MOST_BEFORE(heap))",
        "RH_WHILE(true, RH_LOOP_REGIONS(heap)",
    ),
    "heap_2.c": ("RH2_MOST_ENTRIES(heap) + 1",),
}


def longest_lists(core: Path, to: Path, two: int) -> subprocess.CompletedProcess[str]:
    """c/test_loops.c, with loops that are counted."""
    defines = ["-DRH_HOSTED=1", "-DRH_CHECK_LOOPS=1", f"-DRH_TWO_TO_A_TURN={two}"]
    source = str(ROOT / "tests" / "c" / "test_loops.c")
    told = ["-O1", "-std=c11", "-Wall", "-Wextra", "-Werror", *defines, f"-I{core}"]
    subprocess.run([require("gcc"), *told, source, "-o", str(to)], check=True)
    return subprocess.run([str(to)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("two", [0, 1])
def test_no_loop_turns_more_often_than_it_says(two: int, tmp_path: Path) -> None:
    done = longest_lists(CORE, tmp_path / "loops", two)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 133_001


@pytest.mark.parametrize("two", [0, 1])
def test_a_bound_that_is_one_too_low_is_found(two: int, tmp_path: Path) -> None:
    tried = 0
    for name, expressions in LOWERED.items():
        for expression in expressions:
            core = tmp_path / f"core_{tried}"
            core.mkdir()
            for path in CORE.iterdir():
                text = path.read_text()
                if path.name == name:
                    assert expression in text
                    text = text.replace(expression, f"{expression} - 1")
                (core / path.name).write_text(text)
            lines = [
                number
                for number, text in enumerate((core / name).read_text().splitlines(), 1)
                if expression in text
            ]  # of heap_2 one that is compiled for size, too
            done = longest_lists(core, tmp_path / "loops", two)
            assert done.returncode != 0
            told = re.search(rf"{name}:(\d+): the loop turns more than \d+ times", done.stderr)
            assert told is not None
            assert int(told[1]) in lines
            tried += 1
    assert tried == 4


# ------------------------------------------------------------- bound()

HEAPS = (("heap_1", False), ("heap_2", False), ("heap_4", False), ("heap_4", True),
         ("heap_5", False), ("heap_5", True))  # fmt: skip
SEARCH = 2_000_000


def check(result: cortexm.Bound) -> None:
    """What is found is not more than what is proven, and the path adds up to it."""
    assert 0 < result.malloc_found <= result.malloc
    assert 0 < result.free_found <= result.free
    for call in ("malloc", "free"):
        path = result.path(call)
        assert sum(step.instructions for step in path) == getattr(result, call)
        assert any(step.file.startswith("heap_") or "freertos" in step.file for step in path)


@pytest.mark.parametrize(("heap", "index"), HEAPS)
def test_found_is_no_more_than_proven(heap: str, index: bool) -> None:
    need()
    result = cortexm.bound(heap, heap_size=8192, index=index, toolchain=GCC, search=SEARCH)
    check(result)
    assert (result.heap, result.index, result.heap_size) == (heap, index, 8192)
    assert (result.index_bytes > 0) == index
    assert result.code_bytes > 100
    if not index:  # and near to it: the worst heap of a list is known
        assert result.malloc_found >= 0.96 * result.malloc
        assert result.free_found >= 0.96 * result.free


@pytest.mark.parametrize(
    ("cpu", "optimize"),
    [
        ("cortex-m0", "-O2"),
        ("cortex-m3", "-Os"),
        ("cortex-m4", "-O2"),
        ("cortex-m7", "-Os"),
        ("cortex-m33", "-O2"),
    ],
)
def test_every_processor(cpu: str, optimize: str) -> None:
    need()
    tried = 0
    for heap, index in HEAPS:
        for kernel in ({}, {"protector": heap > "heap_2", "asserts": True, "alignment": 16}):
            check(
                cortexm.bound(
                    heap, heap_size=8192, index=index, cpu=cpu, optimize=optimize,
                    toolchain=GCC, search=SEARCH, **kernel,
                )
            )  # fmt: skip
            tried += 1
    assert tried == 12


LEVELS = [("-O0", "-Og"), ("-Og", "-O3"), ("-O3", "-O0")]


@pytest.mark.parametrize(
    ("heap", "index", "optimize"),
    [(*heap, level) for heap, two in zip(HEAPS, cycle(LEVELS)) for level in two],
)
def test_every_level(heap: str, index: bool, optimize: str) -> None:
    need()
    options: dict[str, Any] = {"toolchain": GCC, "search": SEARCH, "optimize": optimize}
    check(cortexm.bound(heap, heap_size=8192, index=index, **options))


@pytest.mark.parametrize("heap", ["heap_2", "heap_4"])
def test_another_compiler(heap: str) -> None:
    need("zig")
    check(cortexm.bound(heap, heap_size=8192, toolchain="zig", search=SEARCH))


def test_clearing_is_left_out() -> None:
    need()
    plain, clearing = (
        cortexm.bound("heap_4", heap_size=8192, clear_on_free=on, toolchain=GCC, search=SEARCH)
        for on in (False, True)
    )
    check(clearing)
    assert not plain.clears
    assert clearing.clears
    assert plain.free < clearing.free < plain.free + 20
    assert "clearing the freed block, which is linear in its size" in str(clearing)
    assert "clearing" not in str(plain)


def test_a_plain_list_grows_with_the_heap_and_an_index_does_not() -> None:
    need()
    sizes = (8 << 10, 32 << 10)
    plain, indexed = (
        [cortexm.bound("heap_4", heap_size=n, index=i, toolchain=GCC, search=0) for n in sizes]
        for i in (False, True)
    )
    assert 3.8 < plain[1].malloc / plain[0].malloc < 4.2
    assert 3.8 < plain[1].free / plain[0].free < 4.2
    assert indexed[1].malloc < 1.3 * indexed[0].malloc
    assert indexed[1].free < 1.3 * indexed[0].free


@pytest.mark.parametrize("chunk", [None, 256])
def test_several_regions(chunk: int | None) -> None:
    """A region more costs some turns of a short loop, and the search fills all of them."""
    need()
    bounds = []
    for count in (1, 2, 4):
        regions = [(0x2000_0000 + i * 0x4_0000, 8192 // count) for i in range(count)]
        options: dict[str, Any] = {"index": True, "chunk": chunk, "toolchain": GCC}
        bounds.append(cortexm.bound("heap_5", regions=regions, search=SEARCH, **options))
        check(bounds[-1])
        assert bounds[-1].regions == tuple(regions)
        assert bounds[-1].heap_size == 8192
    one, two, four = bounds
    for call in ("malloc", "free"):
        costs = [getattr(b, call) for b in bounds]
        assert 0 < costs[1] - costs[0] < 50
        assert 0 < costs[2] - costs[1] < 100
        assert getattr(four, f"{call}_found") > getattr(one, f"{call}_found")
    assert one.index_bytes < two.index_bytes < four.index_bytes
    assert "heap_5 of 8,192 bytes in 4 regions with an index" in str(four)
    whole = cortexm.bound("heap_5", heap_size=8192, search=0, **options)
    assert (one.malloc, one.free) == (whole.malloc, whole.free)


def test_the_same_call_gives_the_same_numbers() -> None:
    need()
    first, again = (
        cortexm.bound("heap_4", heap_size=4096, index=True, toolchain=GCC, search=SEARCH)
        for _ in range(2)
    )
    assert first.to_dict() == again.to_dict()


@pytest.mark.parametrize("heap", ["heap_1", "heap_2", "heap_4", "heap_5"])
@pytest.mark.parametrize("optimize", ["-Os", "-O2"])
def test_lines_do_not_change_the_code(heap: str, optimize: str) -> None:
    need()
    toolchain = cortexm.find_toolchain(GCC)
    for cpu in ("cortex-m0", "cortex-m4"):
        one = Configuration(heap, CPUS[cpu], toolchain, optimize, Kernel(indexed=heap > "heap_2"))
        code, lines = Code(image(one, 8192)), Code(image(one, 8192, "-g"))
        assert code.functions == lines.functions
        assert code._segments == lines._segments


def test_arguments_are_checked() -> None:
    need()
    with pytest.raises(ValueError, match="heap is 'heap_3', the C library's; it must"):
        cortexm.bound("heap_3", heap_size=8192)
    with pytest.raises(ValueError, match="index is True, and heap 'heap_2'"):
        cortexm.bound("heap_2", heap_size=8192, index=True)
    with pytest.raises(ValueError, match="heap_size is 8; it must be"):
        cortexm.bound("heap_4", heap_size=8)
    two = [(0x2000_0000, 4096), (0x2004_0000, 4096)]
    for regions, wrong, text in (
        (two, {}, "regions are 2, and index is False: in several regions a search that walks"),
        (two, {"index": True, "chunk": 512}, "regions are 2, and chunk is 512: in several"),
        (two, {"heap": "heap_4"}, "regions are heap_5's; heap_4 has heap_size"),
        (two, {"heap_size": 8192}, "heap_size is to be given, or of heap_5 regions: one of"),
        (None, {}, "heap_size is to be given, or of heap_5 regions: one of"),
        (two[::-1], {"index": True}, "ascending"),
        ([(0x2000_0000, 32)], {}, "heap_size is 32; it must be 64 bytes or more"),
        ([*two[:1], (0x2001_0000, 64)], {"index": True}, "regions has 64 bytes at 0x20010000; the"),
        ([(0x4000, 4096)], {}, r"the image lies at 0x0 to 0xfffff: only at 0x20000000 may"),
    ):
        given: dict[str, Any] = {"heap": "heap_5", "regions": regions, **wrong}
        with pytest.raises(ValueError, match=text):
            cortexm.bound(**given)
    with pytest.raises(ValueError, match="search is -1; it must be"):
        cortexm.bound("heap_4", heap_size=8192, search=-1)
    for wrong, error, text in (
        ({"heap_size": 4096.5}, TypeError, "heap_size is 4096.5; it must be a whole number"),
        ({"alignment": 3}, ValueError, "alignment is 3; it must be 4, 8, 16 or 32"),
        ({"chunk": 1024}, ValueError, "chunk is 1024, and index is False"),
        ({"index": True, "chunk": 100}, ValueError, "chunk is 100; it must be 128 bytes or"),
        ({"index": True, "chunk": 384}, ValueError, "chunk is 384; it must be 128 bytes or"),
        ({"index": True, "heap_size": 2 << 20}, ValueError, "with this index it must be 1048576"),
    ):
        options: dict[str, Any] = {"heap_size": 8192, **wrong}
        with pytest.raises(error, match=text):
            cortexm.bound("heap_4", **options)
        with pytest.raises(error, match=text):
            cortexm.measure(data.load("coap-server"), "heap_4", **options)
    result = cortexm.bound("heap_4", heap_size=8192, toolchain=GCC, search=0)
    with pytest.raises(ValueError, match="call is 'calloc'; it must be"):
        result.path("calloc")


def test_the_most_steps_of_an_index_are_the_cores() -> None:
    stated = re.search(r"#define RH_INDEX_MOST_STEPS (\d+)", (CORE / "rh_index.h").read_text())
    assert stated is not None
    with pytest.raises(ValueError, match=f"it must be {int(stated[1]) * 32} or less"):
        cortexm.bound("heap_4", heap_size=1 << 30, alignment=32, index=True)


def test_an_expression_is_the_compilers() -> None:
    need()
    text = "const unsigned long rh_constants[] = {sizeof(int) * 3, 1 ? 7 : 8};"
    toolchain = cortexm.find_toolchain(GCC)
    flags = toolchain.flags(CPUS["cortex-m0"], "-Os")
    assert constants(_toolchain.compile_text(toolchain, flags, (), text), 2) == [12, 7]
    with pytest.raises(cortexm.ToolchainError):
        _toolchain.compile_text(toolchain, flags, (), "int f(void) { return g; }")


# ------------------------------------------------------------- the command


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    need()
    quick = functools.partial(cortexm.bound, search=0)
    monkeypatch.setattr(command, "bound", quick)
    told = ["cortexm", "--bound", "--heap", "heap_4", "--heap-size", "4K", "--cpu", "cortex-m0"]
    told += ["--toolchain", GCC]
    assert main(told) == 0
    text = capsys.readouterr().out
    assert "a heap of 4,096 bytes" in text
    assert len(re.findall(r"^  cortex-m0  heap_4 ", text, re.MULTILINE)) == 2
    assert main([*told, "--explain"]) == 0
    text = capsys.readouterr().out
    assert "the longest free of heap_4 with its index on a cortex-m0, by lines" in text
    assert re.search(r"^  heap_4\.c:\d+ +pvPortMalloc +\d+$", text, re.MULTILINE)
    assert main([*told, "--explain", "--json"]) == 0
    plain, indexed = json.loads(capsys.readouterr().out)["bounds"]
    assert (plain["index"], indexed["index"]) == (False, True)
    for row in (plain, indexed):
        for call in ("malloc", "free"):
            assert sum(s["instructions"] for s in row["paths"][call]) == row[call]


def test_the_commands_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cortexm", "--bound"]) == 2
    assert "--bound needs --heap-size, such as --heap-size 64K" in capsys.readouterr().err
    assert main(["cortexm", "--explain"]) == 2
    assert "--explain is --bound's" in capsys.readouterr().err


def test_without_a_disassembler(monkeypatch: pytest.MonkeyPatch) -> None:
    need()
    monkeypatch.setitem(sys.modules, "capstone.arm", None)
    with pytest.raises(cortexm.MachineError, match="capstone: pip install"):
        cortexm.bound("heap_4", heap_size=4096, toolchain=GCC)
