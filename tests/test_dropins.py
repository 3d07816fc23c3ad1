"""The drop-in files of ``csrc/freertos``, compiled for this machine: every recorded case, at both
word sizes, with and without ``configASSERT``; and that they compile in every configuration."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import vectors
from parts import few_of

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import judge
import programs
from tools import missing, require

HOST = programs.C / "host_cases.c"
BASE = vectors.BASE
WORD_FLAGS = {4: ["-m32"], 8: ["-m64"]}


def need_word(word: int) -> None:
    command = [require("gcc"), *WORD_FLAGS[word], "-x", "c", "-", "-o", "/dev/null"]
    text = "#include <stdio.h>\nint main(void) { return 0; }\n"
    if subprocess.run(command, input=text, text=True, capture_output=True).returncode != 0:
        missing(f"gcc {WORD_FLAGS[word][0]} (apt-get install gcc-multilib)")


@pytest.fixture(scope="session")
def program(made_once):
    """Builds a program once: (word, asserts, indexed) to its path and its builds."""
    require("gcc")

    def make(word: int, asserts: bool, indexed: bool = False) -> tuple[Path, list[programs.Build]]:
        builds = programs.all_builds(word, asserts, indexed)

        def fill(folder: Path) -> None:
            need_word(word)
            sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
            if not asserts:  # then a wild free reads a header wherever it would be
                sanitize.append("-fno-sanitize=alignment")
            compiler = ["gcc", "-O1", *WORD_FLAGS[word], *(sanitize if word == 8 else [])]
            programs.compile_program(compiler, builds, [HOST], folder)

        return made_once(f"host{word}{asserts}{indexed}", fill) / "program", builds

    return make


def replay(path: Path, streams: list[programs.Stream], word: int) -> list[programs.CaseResult]:
    done = subprocess.run([path], input=programs.encode(streams, word), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert programs.hello(done.stdout, word)[0] == BASE
    return programs.decode(done.stdout, streams, word)


def hold_to_recordings(program, name: str, asserts: bool, indexed: bool) -> None:
    cases = vectors.load(name)
    if not asserts:  # then FreeRTOS takes regions that it cannot
        cases = [case for case in cases if case.init[0] != "assert"]
    word = cases[0].word
    recorded = vectors.RECORDED[name]
    assert len(cases) == (recorded.cases if asserts else recorded.images)
    path, builds = program(word, asserts, indexed)
    for fill in (False, True):
        streams = [judge.stream_of(case, builds, asserts, fill) for case in cases]
        operations = arenas = 0
        for case, got in zip(cases, replay(path, streams, word), strict=True):
            judged = judge.Judge(case, BASE, asserts)
            operations += judged.results(got)
            if case.sha256 is not None and not fill:
                judged.recorded_arenas(got)
                arenas += 1
        assert operations == recorded.operations
        assert arenas == (0 if fill else recorded.images)


@pytest.mark.parametrize("asserts", few_of([True, False], [True]), ids=["asserts", "plain"])
@pytest.mark.parametrize("name", vectors.NAMES)
def test_every_recorded_case(program, name: str, asserts: bool) -> None:
    hold_to_recordings(program, name, asserts, indexed=False)


FIRST_FIT = [name for name in vectors.NAMES if name.startswith(("heap4", "heap5"))]


@pytest.mark.long
@pytest.mark.parametrize("asserts", [True, False], ids=["asserts", "plain"])
@pytest.mark.parametrize("name", FIRST_FIT)
def test_every_recorded_case_with_the_index(program, name: str, asserts: bool) -> None:
    assert len(FIRST_FIT) == 4
    hold_to_recordings(program, name, asserts, indexed=True)


def one(program, word: int, build: programs.Build, regions, ops, canary: int = 0):
    path, builds = program(word, build.asserts)
    stream = programs.Stream(builds.index(build), regions, canary, ops=list(ops))
    return replay(path, [stream], word)[0]


@pytest.mark.parametrize("word", [4, 8])
@pytest.mark.parametrize(
    ("heap", "regions"),
    [
        pytest.param(2, [(0, 7)], id="heap_2: smaller than an alignment"),
        pytest.param(2, [(0, 15)], id="heap_2: no room for a block"),
        pytest.param(4, [(0, 8)], id="heap_4: no room for an end marker"),
        pytest.param(4, [(3, 20)], id="heap_4: no room after alignment"),
        pytest.param(1, [(0, 8)], id="heap_1: nothing but the loss"),
        pytest.param(1, [(0, 3)], id="heap_1: smaller than an alignment"),
    ],
)
def test_an_arena_too_small_is_refused(program, word: int, heap: int, regions) -> None:
    got = one(program, word, programs.Build(heap), regions, [(1, 1), (1, 0), (1, 8)])
    for result in got.results:
        assert result.address == 0
        assert result.status == programs.ASSERTED
    assert got.hook_calls == 3
    assert got.arenas[0] == bytes(regions[0][1])


@pytest.mark.parametrize("word", [4, 8])
@pytest.mark.parametrize(
    "regions",
    [
        pytest.param([(0, 256), (512, "H")], id="the last region's usable size is 0"),
        pytest.param([(0, 256), (512, "H+A/2")], id="the last region has less than a header"),
        pytest.param([(0, "H+A"), (512, 256)], id="a first region with less than a header"),
        pytest.param([(3, 4), (512, 256)], id="a region smaller than its loss by alignment"),
        pytest.param([(0, 256), (248, 256)], id="a start inside the end marker before"),
        pytest.param([(512, 256), (0, 256)], id="descending"),
        pytest.param([(0, 256), (0, 256)], id="the same twice"),
    ],
)
def test_regions_that_freertos_corrupts_are_refused(program, word: int, regions) -> None:
    header, align = {4: (8, 4), 8: (16, 8)}[word]
    sizes = {"H": header, "H+A/2": header + align // 2, "H+A": header + align}
    regions = [(offset, sizes.get(size, size)) for offset, size in regions]
    got = one(program, word, programs.Build(5, align), regions, [(1, 8), (6,)])
    assert got.init.status == programs.ASSERTED
    assert got.init.free_size == 0
    assert got.results[0].address == 0
    assert got.results[0].status == programs.ASSERTED  # malloc before a definition
    assert got.stats == [[0, 0, (1 << 8 * word) - 1, 0, 0, 0, 0]]


@pytest.mark.parametrize("heap", [4, 5])
def test_a_double_free_that_the_canary_hides_is_refused(program, heap: int) -> None:
    """Where the freed block's size was lies a link XOR the canary, with the top bit set."""
    ops = [(1, 20), (1, 20), (1, 8), (3, 8), (3, 36), (1, 24), (3, 36), (6,)]
    build = programs.Build(heap, 4, protector=True)
    got = one(program, 4, build, [(0, 512)], ops, canary=0x8000_0000)
    assert [result.status for result in got.results[:6]] == [0, 0, 0, 4, 4, 0]
    assert got.results[6].status == programs.ASSERTED
    without = one(program, 4, build, [(0, 512)], ops[:6], canary=0x8000_0000)
    assert got.arenas == without.arenas
    assert int.from_bytes(got.arenas[0][32:36], "little") >> 31  # what free took for a size


@pytest.mark.parametrize("heap", [4, 5])
def test_statistics_of_a_heap_that_was_reset(program, heap: int) -> None:
    """FreeRTOS walks a stale list there; set-up follows the reset at the start of each case."""
    path, builds = program(4, True)
    index = builds.index(programs.Build(heap))
    used = programs.Stream(index, [(0, 1024)], ops=[(1, 64), (1, 64), (3, 8)])
    again = programs.Stream(index, [(0, 1024)], ops=[(6,), (1, 64), (6,)])
    first, second = replay(path, [used, again], 4)
    if heap == 4:
        assert second.stats[0] == [0, 0, 0xFFFFFFFF, 0, 0, 0, 0]
    assert second.results[1].address == first.results[0].address
    assert second.stats[1] == [944, 944, 944, 1, 944, 1, 0]


@pytest.mark.parametrize("heap", [1, 2])
def test_statistics_for_heaps_that_have_none_in_freertos(program, heap: int) -> None:
    ops = [(6,), (1, 40), (1, 24), (3, 8), (6,), (5,), (6,)]
    got = one(program, 4, programs.Build(heap, asserts=False), [(0, 512)], ops)
    if heap == 1:
        assert got.stats[0] == [504, 504, 504, 1, 504, 0, 0]
        assert got.stats[1] == [440, 440, 440, 1, 440, 2, 0]
    else:
        assert got.stats[0] == [504, 0, 0xFFFFFFFF, 0, 504, 0, 0]  # not yet set up
        assert got.stats[1] == [472, 424, 48, 2, 424, 2, 1]
        assert got.stats[2] == [472, 424, 48, 2, 472, 2, 1]


CONFIGURATION = {
    "configAPPLICATION_ALLOCATED_HEAP": (0, 1),
    "configUSE_MALLOC_FAILED_HOOK": (0, 1),
    "configHEAP_CLEAR_MEMORY_ON_FREE": (0, 1),
    "configENABLE_HEAP_PROTECTOR": (0, 1),
    "configRTOSHEAP_STATISTICS": (0, 1),
    "configRTOSHEAP_BOUNDED": (0, 1),
    "TEST_ASSERT": (0, 1),
    "TEST_TRACE": (0, 1),
    "TEST_SCHEDULER": (0, 1),
}


def compile_dropin(compiler: list[str], heap: int, macros: dict[str, object], folder: Path) -> Path:
    source = programs.CSRC / "freertos" / f"heap_{heap}.c"
    target = folder / f"heap_{heap}.o"
    if macros.get("configRTOSHEAP_BOUNDED") and heap == 5:
        macros = macros | {"configRTOSHEAP_BOUNDED_SIZE": 65536}
        macros |= {"configRTOSHEAP_BOUNDED_REGIONS": 3}
    defines = [f"-D{name}={value}" for name, value in macros.items()]
    programs.run(
        [*compiler, *programs.WARNINGS, *programs.INCLUDES, *defines, "-c", source, "-o", target]
    )
    return target


STATES = [
    {},
    *({name: 1} for name in CONFIGURATION),
    *({name: 0} for name in CONFIGURATION),
    dict.fromkeys(CONFIGURATION, 1),
    {"configRTOSHEAP_BOUNDED": 1, "configRTOSHEAP_BOUNDED_CHUNK": 1024},
    {"portBYTE_ALIGNMENT": 16},
    {"portBYTE_ALIGNMENT": 32},
    *(
        dict(zip(("TEST_ASSERT", "configENABLE_HEAP_PROTECTOR"), pair, strict=True))
        | {"configHEAP_CLEAR_MEMORY_ON_FREE": 1, "TEST_TRACE": 1}
        for pair in itertools.product((0, 1), repeat=2)
    ),
]


@pytest.mark.long
@pytest.mark.parametrize("compiler", ["arm-none-eabi-gcc", "gcc", "clang"])
@pytest.mark.parametrize("heap", [1, 2, 3, 4, 5])
def test_compiles_in_every_configuration(tmp_path: Path, heap: int, compiler: str) -> None:
    require(compiler)
    command = [compiler, "-O2"]
    if compiler == "arm-none-eabi-gcc":
        command += ["-mcpu=cortex-m0", "-mthumb"]
    for macros in STATES:
        compile_dropin(command, heap, macros, tmp_path)


#: What a kernel's version macros say, and whether it is main, which calls itself 11.1.0.
KERNELS = {
    "V9.0.0": (90000, 0),
    "V10.0.1": (100001, 0),
    "V10.2.1": (100200, 0),
    "V10.3.1": (100301, 0),
    "V10.4.3": (100403, 0),
    "V10.4.6": (100406, 0),
    "V10.5.1": (100501, 0),
    "V10.6.2": (100602, 0),
    "V11.0.1": (110001, 0),
    "V11.1.0": (110100, 0),
    "V11.2.0": (110200, 0),
    "V11.3.0": (110300, 0),
    "main": (110100, 1),
}
STRICT = ["-Wmissing-prototypes", "-Wredundant-decls"]


def kernel_macros(kernel: str) -> dict[str, object]:
    version, is_main = KERNELS[kernel]
    return {"TEST_KERNEL": version, "TEST_KERNEL_IS_MAIN": is_main}


def compile_for_kernel(compiler: list[str], heap: int, kernel: str, folder: Path) -> Path:
    target = folder
    for every in (0, 1):
        macros = kernel_macros(kernel) | {
            "configAPPLICATION_ALLOCATED_HEAP": 1 - every,
            "configUSE_MALLOC_FAILED_HOOK": every,
            "configHEAP_CLEAR_MEMORY_ON_FREE": every,
            "configENABLE_HEAP_PROTECTOR": every,
            "configRTOSHEAP_STATISTICS": every,
            "configRTOSHEAP_BOUNDED": every,
            "TEST_ASSERT": every,
        }
        target = compile_dropin([*compiler, *STRICT], heap, macros, folder)
    return target


#: The oldest, the last without what its successor offers, and the newest.
FEW_KERNELS = ["V9.0.0", "V10.4.6", "main"]


@pytest.mark.parametrize("kernel", few_of(KERNELS, FEW_KERNELS))
def test_compiles_in_every_kernel(tmp_path: Path, kernel: str) -> None:
    """Under headers that declare what that kernel declares, without a warning."""
    for heap in range(1, 6):
        compile_for_kernel([require("gcc"), "-O1"], heap, kernel, tmp_path)


def test_refuses_a_kernel_that_is_older(tmp_path: Path) -> None:
    require("gcc")
    with pytest.raises(AssertionError, match=r"V9.0.0 is the oldest kernel"):
        compile_dropin(["gcc"], 4, {"TEST_KERNEL": 80203}, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "compiler",
    [["gcc", "-O2", "-m32"], ["arm-none-eabi-gcc", "-Os", "-mcpu=cortex-m4", "-mthumb"], ["clang"]],
    ids=" ".join,
)
def test_compiles_in_every_kernel_for_every_target(tmp_path: Path, compiler: list[str]) -> None:
    require(compiler[0])
    for kernel, heap in itertools.product(KERNELS, range(1, 6)):
        compile_for_kernel(compiler, heap, kernel, tmp_path)


def defined_in(target: Path) -> dict[str, str]:
    """The names that an object offers, and how: T or W."""
    lines = [line.split() for line in programs.run(["nm", target]).splitlines()]
    return {words[-1]: words[-2] for words in lines if words[-2] in "TW"}


@pytest.mark.parametrize("kernel", few_of(KERNELS, FEW_KERNELS))
def test_offers_what_the_kernel_declares(tmp_path: Path, kernel: str) -> None:
    """Else a name might clash with one of the application's."""
    since = {
        "vPortGetHeapStats": 100300,
        "pvPortCalloc": 100500,
        "vPortHeapResetState": 110100,
        "xPortResetHeapMinimumEverFreeHeapSize": 110100,
    }
    version, _ = KERNELS[kernel]
    macros = kernel_macros(kernel) | {"configRTOSHEAP_STATISTICS": 1}
    for heap in range(1, 6):
        names = defined_in(compile_dropin([require("gcc")], heap, macros, tmp_path))
        everything = API[heap] | MINIMUM
        assert set(names) == {name for name in everything if since.get(name, 0) <= version}
        weak = {name for name, how in names.items() if how == "W"}
        told = version != 110100
        assert weak == (set() if told else {"xPortResetHeapMinimumEverFreeHeapSize"})


def test_refuses_a_kernel_without_dynamic_allocation(tmp_path: Path) -> None:
    require("gcc")
    for heap in range(1, 6):
        with pytest.raises(AssertionError, match="configSUPPORT_DYNAMIC_ALLOCATION"):
            compile_dropin(["gcc"], heap, {"configSUPPORT_DYNAMIC_ALLOCATION": 0}, tmp_path)


# What FreeRTOS V11.3 offers for each heap.
COMMON = {"pvPortMalloc", "vPortFree", "vPortHeapResetState"}
API = {
    1: COMMON | {"xPortGetFreeHeapSize", "vPortInitialiseBlocks"},
    2: COMMON | {"xPortGetFreeHeapSize", "vPortInitialiseBlocks", "pvPortCalloc"},
    3: COMMON,
}
MINIMUM = {
    "xPortGetMinimumEverFreeHeapSize",
    "xPortResetHeapMinimumEverFreeHeapSize",
    "vPortGetHeapStats",
}
API[4] = API[2] | MINIMUM
API[5] = API[4] | {"vPortDefineHeapRegions"}


@pytest.mark.parametrize("heap", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("cpu", few_of(["cortex-m0", "cortex-m4", "cortex-m33"], ["cortex-m0"]))
def test_symbols(tmp_path: Path, heap: int, cpu: str) -> None:
    """The API is complete, and nothing is asked for but memset and memcpy."""
    compiler = [require("arm-none-eabi-gcc"), f"-mcpu={cpu}", "-mthumb"]
    for level, statistics in itertools.product(("-Os", "-O2", "-O0"), (0, 1)):
        macros = {"configAPPLICATION_ALLOCATED_HEAP": 1, "configRTOSHEAP_STATISTICS": statistics}
        target = compile_dropin([*compiler, level], heap, macros, tmp_path)
        lines = [line.split() for line in programs.run(["arm-none-eabi-nm", target]).splitlines()]
        defined = {words[-1] for words in lines if words[-2] == "T"}
        undefined = {words[-1] for words in lines if words[-2] == "U"}
        assert defined == API[heap] | (MINIMUM if statistics else set())
        allowed = {"memset", "memcpy", "ucHeap"} | ({"malloc", "free"} if heap == 3 else set())
        assert undefined <= allowed | ({"__aeabi_uidiv"} if level == "-O0" else set())


@pytest.mark.parametrize("heap", [1, 2, 3, 4, 5])
def test_privileged_sections(tmp_path: Path, heap: int) -> None:
    """With an MPU all state, and every function that the headers call so, is the kernel's."""
    compiler = [require("arm-none-eabi-gcc"), "-mcpu=cortex-m33", "-mthumb"]
    macros = {
        "PRIVILEGED_FUNCTION": '__attribute__((section("privileged_functions")))',
        "PRIVILEGED_DATA": '__attribute__((section("privileged_data")))',
        "configRTOSHEAP_STATISTICS": 1,
    }
    for level in ("-O0", "-O2", "-Os"):
        target = compile_dropin([*compiler, level], heap, macros, tmp_path)
        table = programs.run(["arm-none-eabi-objdump", "-t", target])
        for line in table.splitlines():
            words = line.split() or [""]
            if words[-1].startswith(("prv", "pvPort", "vPortFree", "vPortHeap", "xPort")):
                assert "privileged_functions" in words, line
            if words[-1] in ("xHeap", "xAllocations", "xFrees"):
                assert "privileged_data" in words, line
            if words[-1] == "ucHeap":  # heap_1's is not, in FreeRTOS either
                assert ("privileged_data" in words) == (heap != 1), line


MAIN = r"""
#include "FreeRTOS.h"
#include <string.h>

#if HEAP == 5
static uint8_t first[1024], second[2048];
#endif

int main(void) {
#if HEAP == 5
    const uint8_t *lower = first < second ? first : second;
    const HeapRegion_t regions[] = {
        {(uint8_t *)lower, lower == first ? sizeof first : sizeof second},
        {lower == first ? second : first, lower == first ? sizeof second : sizeof first},
        {NULL, 0},
    };
    vPortDefineHeapRegions(regions);
#endif
    char *p = pvPortMalloc(100);
    char *q = pvPortMalloc(200);
    if (p == NULL || q == NULL) return 1;
    memset(p, 1, 100);
    memset(q, 2, 200);
    if (p[99] != 1) return 2;
#if HEAP != 1
    vPortFree(p);
    vPortFree(q);
    vPortFree(NULL);
#endif
#if HEAP != 3
    if (xPortGetFreeHeapSize() > 4096) return 6;
#endif
#if (HEAP == 2 || HEAP >= 4) && TEST_SINCE(100500)
    if (xPortGetFreeHeapSize() < 3000) return 3;
    p = pvPortCalloc(10, 10);
    if (p == NULL || p[0] != 0 || p[99] != 0) return 4;
#endif
#if HEAP != 3
    if (pvPortMalloc(5000) != NULL) return 5;
#endif
    return 0;
}
"""


@pytest.mark.parametrize("kernel", ["V9.0.0", "V10.4.6", "V11.3.0"])
@pytest.mark.parametrize("heap", [1, 2, 3, 4, 5])
def test_as_a_kernel_compiles_it(tmp_path: Path, heap: int, kernel: str) -> None:
    """With the drop-in file's own ucHeap, and constants in the configuration."""
    require("gcc")
    macros: dict[str, object] = kernel_macros(kernel) | {
        "configTOTAL_HEAP_SIZE": 4096,
        "configHEAP_CLEAR_MEMORY_ON_FREE": 1,
    }
    target = compile_dropin(["gcc", "-O2"], heap, macros, tmp_path)
    main = tmp_path / "main.c"
    main.write_text(MAIN)
    program = tmp_path / "program"
    defines = [f"-D{name}={value}" for name, value in kernel_macros(kernel).items()]
    command = ["gcc", *programs.INCLUDES, *defines, f"-DHEAP={heap}", main, target, "-o", program]
    programs.run(command)
    assert subprocess.run([program], check=False).returncode == 0


MISUSE = r"""
#include "FreeRTOS.h"
#include <stdio.h>
#include <string.h>

static int lines[8], asserted;

void vAssertAt(int line) {
    lines[asserted++] = line;
}

#if HEAP == 5
static uint8_t memory[3072];
#endif

int main(void) {
#if HEAP == 5
    const HeapRegion_t first[] = {{memory, 1024}, {NULL, 0}};
    const HeapRegion_t second[] = {{memory + 1024, 2048}, {NULL, 0}};
    vPortDefineHeapRegions(first);
    if (asserted != 0) return 1;
    if (pvPortMalloc(100) == NULL) return 2;
    vPortDefineHeapRegions(second);
    if (asserted != TEST_ASSERT) return 3;
    asserted = 0;
    if (xPortGetFreeHeapSize() != 2048 - 2 * sizeof(size_t)) return 4;
#endif
    size_t *p = pvPortMalloc(64);
    size_t *header = p - 2;
    if (p == NULL) return 5;
#if HEAP == 5
    if ((uint8_t *)p < memory + 1024) return 6;
#endif
    const size_t size = header[1];
    header[1] = size & ~((size_t)1 << (8 * sizeof size - 1)); /* no more marked as allocated */
    vPortFree(p);
    if (asserted != TEST_ASSERT) return 7;
    header[1] = size;
    header[0] = 64; /* its link */
    vPortFree(p);
    if (asserted != 2 * TEST_ASSERT) return 8;
    if (TEST_ASSERT && lines[0] == lines[1]) return 9;
    header[0] = 0;
    vPortFree(p);
    return asserted != 2 * TEST_ASSERT;
}
"""


@pytest.mark.parametrize("asserts", [0, 1])
@pytest.mark.parametrize("heap", [2, 4, 5])
def test_each_misuse_has_an_assertion_of_its_own(tmp_path: Path, heap: int, asserts: int) -> None:
    """A block without its mark, or with a link, and regions that are defined twice."""
    require("gcc")
    config = tmp_path / "config.h"
    config.write_text(
        "extern void vAssertAt(int line);\n"
        + "#define configASSERT(x) if (!(x)) vAssertAt(__LINE__)\n" * asserts
    )
    macros: dict[str, object] = {"TEST_CONFIG_FILE": f'"{config}"'}
    target = compile_dropin(["gcc", "-O2"], heap, macros, tmp_path)
    main = tmp_path / "main.c"
    main.write_text(MISUSE)
    program = tmp_path / "program"
    defines = [f"-DHEAP={heap}", f"-DTEST_ASSERT={asserts}"]
    programs.run(["gcc", *programs.INCLUDES, *defines, main, target, "-o", program])
    assert subprocess.run([program], check=False).returncode == 0
