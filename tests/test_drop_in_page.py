"""docs/drop-in.md: each way into a build is tried, with arm-none-eabi-gcc and a stand-in for a
kernel; the image has that heap alone, and of wrong builds the linker says what the page says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from how_tos import DOCS, Block, blocks, written
from needs import LAST_RESORT, ROOT
from parts import few_of

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from recorder_images import CSRC, run
from tools import require

PAGE = "drop-in.md"
CORTEXM = CSRC / "cortexm"
CPU = ["-mcpu=cortex-m4", "-mthumb"]
FLAGS = [
    *CPU, "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-ffunction-sections", "-fdata-sections",
    "-fno-tree-loop-distribute-patterns",
]  # fmt: skip
LINK = [
    *CPU, "-nostdlib", f"-L{CORTEXM}", f"-T{CORTEXM / 'boards' / 'mps2.ld'}",
    "-Wl,-Map=firmware.map",
]  # fmt: skip
MEMMANG = "portable/MemMang/heap_4.c"
#: A kernel's own heap, as far as it is one, and what uses it.
OWN_HEAP = """\
#include "FreeRTOS.h"
static uint8_t ucHeap[configTOTAL_HEAP_SIZE];
static uint8_t *xStart = ucHeap;
void *pvPortMalloc(size_t xWantedSize) { return (xStart += xWantedSize) - xWantedSize; }
void vPortFree(void *pv) { (void)pv; }
"""
TASKS = '#include "FreeRTOS.h"\nvoid *pvTaskCreate(void);\n' + (
    "void *pvTaskCreate(void) { return pvPortMalloc(100); }\n"
)
MAIN = "void *pvTaskCreate(void);\nint main(void) { return pvTaskCreate() == 0; }\n"
#: What a project has beside the page's lines: the kernel's CMake, and one as STM32CubeMX makes it.
KERNEL_CMAKE = f"""\
if(FREERTOS_HEAP STREQUAL "4")
    set(heap {MEMMANG})
else()
    set(heap ${{FREERTOS_HEAP}})
endif()
add_library(freertos_kernel STATIC tasks.c ${{heap}})
target_include_directories(freertos_kernel PUBLIC include)
"""
CUBEMX_CMAKE = f"""\
set(SOURCE ${{CMAKE_CURRENT_SOURCE_DIR}}/../../Middlewares/Third_Party/FreeRTOS/Source)
add_library(stm32cubemx INTERFACE)
target_include_directories(stm32cubemx INTERFACE ${{SOURCE}}/include)
add_library(FreeRTOS OBJECT)
target_sources(FreeRTOS PRIVATE ${{SOURCE}}/tasks.c ${{SOURCE}}/{MEMMANG})
target_link_libraries(FreeRTOS PUBLIC stm32cubemx)
target_link_libraries(firmware FreeRTOS gcc)
"""
PROJECT = f"""\
cmake_minimum_required(VERSION 3.22)
project(firmware LANGUAGES C)
add_compile_options({" ".join(FLAGS)})
add_executable(firmware main.c {CORTEXM}/startup.c {CORTEXM}/memory_functions.c)
target_include_directories(firmware PRIVATE {CORTEXM})
target_link_options(firmware PRIVATE {" ".join(LINK)})
"""
#: As older ones make it, with all in one library that compiles nothing itself.
CUBEMX_OLDER_CMAKE = f"""\
set(SOURCE ${{CMAKE_CURRENT_SOURCE_DIR}}/../../Middlewares/Third_Party/FreeRTOS/Source)
add_library(stm32cubemx INTERFACE)
target_include_directories(stm32cubemx INTERFACE ${{SOURCE}}/include)
target_sources(stm32cubemx INTERFACE ${{SOURCE}}/tasks.c ${{SOURCE}}/{MEMMANG})
target_link_libraries(firmware stm32cubemx gcc)
"""
#: The variables and rules that a project's Makefile has, as STM32CubeMX calls them.
MAKE_HEAD = f"""\
CC = arm-none-eabi-gcc
SOURCE = Middlewares/Third_Party/FreeRTOS/Source
C_SOURCES = main.c $(SOURCE)/tasks.c $(SOURCE)/{MEMMANG} \\
  {CORTEXM}/startup.c {CORTEXM}/memory_functions.c
"""
MAKE_REST = f"""
OBJECTS = $(addprefix build/,$(notdir $(C_SOURCES:.c=.o)))
vpath %.c $(sort $(dir $(C_SOURCES)))
firmware.elf: $(OBJECTS)
\t$(CC) $(OBJECTS) {" ".join(LINK)} -lgcc -o $@
build/%.o: %.c
\t@mkdir -p build
\t$(CC) -c {" ".join(FLAGS)} -I{CORTEXM} -I$(SOURCE)/include $< -o $@
"""


def only(language: str, word: str) -> Block:
    """The page's block in which a word stands."""
    (block,) = [block for block in blocks(PAGE, language) if word in block.text]
    return block


def lay_out_kernel(folder: Path) -> Path:
    (folder / MEMMANG).parent.mkdir(parents=True)
    (folder / MEMMANG).write_text(OWN_HEAP)
    (folder / "tasks.c").write_text(TASKS)
    shutil.copytree(CORTEXM / "kernel", folder / "include")
    return folder


def tried(command: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=LAST_RESORT, check=False
    )


def cmake(folder: Path, lines: str, main: str = MAIN) -> subprocess.CompletedProcess[str]:
    """Configure and build; the image is firmware.elf."""
    (folder / "main.c").write_text(main)
    (folder / "CMakeLists.txt").write_text(lines)
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={CSRC / 'cmake' / 'arm-none-eabi.cmake'}"
    program = require("cmake")
    run([program, "-S", folder, "-B", folder / "build", toolchain, "-DRTOSHEAP_CPU=cortex-m4"])
    done = tried([program, "--build", folder / "build"], folder)
    if done.returncode == 0:
        shutil.copy(folder / "build" / "firmware", folder / "firmware.elf")
    return done


def by_the_kernels_cmake(folder: Path) -> subprocess.CompletedProcess[str]:
    kernel = lay_out_kernel(folder / "FreeRTOS-Kernel")
    (kernel / "CMakeLists.txt").write_text(KERNEL_CMAKE)
    linked = "target_link_libraries(firmware freertos_kernel gcc)\n"
    return cmake(folder, PROJECT + only("cmake", "FREERTOS_HEAP").text + linked)


def by_stm32cubemx_cmake(
    folder: Path, made: str = CUBEMX_CMAKE, lines: str = ""
) -> subprocess.CompletedProcess[str]:
    lay_out_kernel(folder / "Middlewares" / "Third_Party" / "FreeRTOS" / "Source")
    (folder / "cmake" / "stm32cubemx").mkdir(parents=True)
    (folder / "cmake" / "stm32cubemx" / "CMakeLists.txt").write_text(made)
    lines = lines or only("cmake", "HEADER_FILE_ONLY").text
    return cmake(folder, PROJECT + "add_subdirectory(cmake/stm32cubemx)\n" + lines)


def by_stm32cubemx_older_cmake(folder: Path) -> subprocess.CompletedProcess[str]:
    lines = only("cmake", "HEADER_FILE_ONLY").text
    for change in (("TARGET_DIRECTORY FreeRTOS ", ""), ("(FreeRTOS PRIVATE", "(firmware PRIVATE")):
        assert change[0] in lines
        lines = lines.replace(*change)
    return by_stm32cubemx_cmake(folder, CUBEMX_OLDER_CMAKE, lines=lines)


def by_make(folder: Path) -> subprocess.CompletedProcess[str]:
    require("make")
    lay_out_kernel(folder / "Middlewares" / "Third_Party" / "FreeRTOS" / "Source")
    (folder / "main.c").write_text(MAIN)
    lines = only("make", "C_SOURCES").text
    (folder / "Makefile").write_text(MAKE_HEAD + lines + MAKE_REST)
    return tried(["make"], folder)


def by_stm32cubeide(folder: Path, excluded: bool = True) -> subprocess.CompletedProcess[str]:
    """What the IDE compiles: all C of the project's folders that is not excluded."""
    (folder.parent / "rtosheap").symlink_to(ROOT)
    source = folder / "Middlewares" / "Third_Party" / "FreeRTOS" / "Source"
    lay_out_kernel(source)
    written(folder, only("c", "heap_4_rtosheap.c"))
    (folder / "Core" / "Src" / "main.c").write_text(MAIN)
    parts = [*(folder / "Core").rglob("*.c"), source / "tasks.c"]
    parts += [] if excluded else [source / MEMMANG]
    parts += [CORTEXM / "startup.c", CORTEXM / "memory_functions.c"]
    gcc, include = require("arm-none-eabi-gcc"), source / "include"
    run([gcc, "-c", *FLAGS, f"-I{CORTEXM}", f"-I{include}", *parts], folder)
    return tried([gcc, *folder.glob("*.o"), *LINK, "-lgcc", "-o", "firmware.elf"], folder)


def file_of(place: str) -> str:
    """The file of a line, whatever way led to it."""
    return os.path.realpath(place.partition(":")[0])


WAYS = {
    "STM32CubeIDE": by_stm32cubeide,
    "FREERTOS_HEAP": by_the_kernels_cmake,
    "STM32CubeMX's CMake": by_stm32cubemx_cmake,
    "STM32CubeMX's older CMake": by_stm32cubemx_older_cmake,
    "make": by_make,
}


@pytest.mark.parametrize("way", few_of(WAYS, ["STM32CubeIDE"]))
def test_the_image_has_that_heap_alone(way: str, tmp_path: Path) -> None:
    """And the page's commands say so."""
    require("arm-none-eabi-gcc")
    folder = tmp_path / "project"
    folder.mkdir()
    done = WAYS[way](folder)
    assert done.returncode == 0, done.stdout + done.stderr
    asking = only("sh", "arm-none-eabi-nm")
    said = tried(["bash", "-euo", "pipefail", "-c", asking.text], folder)
    assert said.returncode == 0, said.stderr
    printed = [line.split() for line in said.stdout.splitlines()]
    (promised,) = [block for block in blocks(PAGE, "text") if "xHeap" in block.text]
    expected = [line.split() for line in promised.lines]
    # Addresses are this image's own; sizes, kinds, names and the file are the page's.
    assert [line[1:] for line in printed[:2]] == [line[1:] for line in expected[:2]]
    (mine, pages) = ([*line[1:3], file_of(line[3])] for line in (printed[2], expected[2]))
    assert mine == pages
    linked = next(path for path in folder.rglob("firmware.map")).read_text()
    assert re.findall(r"^ \.bss\.ucHeap\s+0x\w+\s+0x2000 .*heap_4", linked, re.MULTILINE)
    assert linked.count(".bss.ucHeap") == 1


@pytest.mark.long
def test_the_kernels_own_heap_left_in_is_a_link_error(tmp_path: Path) -> None:
    said = "multiple definition of `pvPortMalloc'"
    ide, cubemx = tmp_path / "ide" / "project", tmp_path / "cubemx"
    for folder in (ide, cubemx):
        folder.mkdir(parents=True)
    assert said in by_stm32cubeide(ide, excluded=False).stderr
    lines = only("cmake", "HEADER_FILE_ONLY").text.replace("HEADER_FILE_ONLY ON", "SKIP OFF")
    done = by_stm32cubemx_cmake(cubemx, lines=lines)
    assert said in done.stdout + done.stderr
    assert said.replace("`", "'") in (DOCS / PAGE).read_text()


@pytest.mark.long
@pytest.mark.parametrize(
    ("defines", "more", "said"),  # no error is said: then two heaps, or one, in the program
    [
        (["configAPPLICATION_ALLOCATED_HEAP=1"], "", "undefined reference to 'ucHeap'"),
        (
            ["configENABLE_HEAP_PROTECTOR=1"],
            "",
            "undefined reference to 'vApplicationGetRandomHeapCanary'",
        ),
        (
            ["configSUPPORT_DYNAMIC_ALLOCATION=0"],
            "",
            "This file must not be used if configSUPPORT_DYNAMIC_ALLOCATION is 0",
        ),
        ([], "uint8_t ucHeap[8192];", None),
        (["configAPPLICATION_ALLOCATED_HEAP=1"], "uint8_t ucHeap[8192];", None),
    ],
)
def test_what_goes_wrong(tmp_path: Path, defines: list[str], more: str, said: str | None) -> None:
    main = tmp_path / "main.c"
    main.write_text(
        f'#include "FreeRTOS.h"\n{more}\nint main(void) {{ return pvPortMalloc(1) == 0; }}\n'
    )
    command = [require("gcc"), f"-I{CORTEXM / 'kernel'}", *(f"-D{define}" for define in defines)]
    done = tried([*command, main, CSRC / "freertos" / "heap_4.c", "-o", "program"], tmp_path)
    if said is not None:
        assert done.returncode != 0
        assert said in re.sub("[`\u2018\u2019]", "'", done.stderr)
        assert said in (DOCS / PAGE).read_text()
        return
    assert done.returncode == 0, done.stderr
    arenas = run(["nm", tmp_path / "program"]).count(" ucHeap\n")
    assert arenas == (1 if defines else 2)


@pytest.mark.parametrize("checks", [0, 1, 2])
def test_the_core_without_a_kernel(tmp_path: Path, checks: int) -> None:
    code = only("c", "rh4_malloc").text
    if checks == 2:
        code = code.replace("region.size =", "region.shadow = shadow;\n        region.size =")
        code = code.replace(
            "static struct", "static unsigned char shadow[17 * 1024];\nstatic struct", 1
        )
    (tmp_path / "example.c").write_text(
        code + "int main(void) { char *p = allocate(100), *q = allocate(50); p[99] = q[49] = 1;"
        " release(p); release(NULL); return allocate(100) != p; }\n"
    )
    core = CSRC / "core"
    flags = ["-std=c11", "-Wall", "-Werror", f"-DRH_CHECKS={checks}", f"-I{core}"]
    flags += ["-o", tmp_path / "program"]
    run([require("gcc"), *flags, tmp_path / "example.c", core / "heap_4.c"])
    run([tmp_path / "program"])


@pytest.mark.long
def test_its_commands_and_its_cmake(tmp_path: Path) -> None:
    require("arm-none-eabi-gcc")
    code = only("c", "rh4_malloc").text
    (tmp_path / "allocate.c").write_text(code)
    compiling = only("sh", "-c allocate.c")
    done = tried(["bash", "-euo", "pipefail", "-c", compiling.text], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"allocate.o", "heap_4.o"} <= {path.name for path in tmp_path.iterdir()}
    folder = tmp_path / "project"
    folder.mkdir()
    main = code + "int main(void) { release(allocate(100)); return 0; }\n"
    done = cmake(folder, PROJECT + only("cmake", "rtosheap::heap_4").text, main)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_block_is_in_some_test() -> None:
    """Of commands, C, CMake and make."""
    words = {
        "c": ["heap_4_rtosheap.c", "rh4_malloc"],
        "cmake": ["FREERTOS_HEAP", "HEADER_FILE_ONLY", "rtosheap::heap_4"],
        "make": ["C_SOURCES"],
        "sh": ["arm-none-eabi-nm -S", "-c allocate.c"],
    }
    for language, each in words.items():
        assert len(blocks(PAGE, language)) == len(each)
        for word in each:
            only(language, word)


def test_macros_that_the_page_names_are_there() -> None:
    sources = [path for name in ("core", "freertos") for path in (CSRC / name).glob("*.[ch]")]
    known = set(re.findall(r"\w+", "".join(path.read_text() for path in sources)))
    named = set(re.findall(r"\b(?:config[A-Z]|RH_)\w+", (DOCS / PAGE).read_text()))
    assert len(named) > 12
    assert named <= known | {"RTOSHEAP_CHECKS"}
