"""The CMake package: used as a subdirectory, fetched, and cross-compiled; and the README's C."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from programs import CSRC, ROOT, run
from tools import require

pytestmark = pytest.mark.long

README = (CSRC / "README.md").read_text()
TEN_LINES = re.search(r"```c\n(.*?)```", README, re.DOTALL)[1]

SUBDIRECTORY = f'add_subdirectory("{CSRC}" rtosheap)\n'
FETCHED = f"""\
include(FetchContent)
FetchContent_Declare(rtosheap SOURCE_DIR "{ROOT}" SOURCE_SUBDIR csrc)
FetchContent_MakeAvailable(rtosheap)
"""


def project(folder: Path, how: str, source: str, heap: int) -> Path:
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(user LANGUAGES C)\n"
        + how
        + "add_executable(program main.c)\n"
        + f"target_link_libraries(program PRIVATE rtosheap::heap_{heap})\n"
    )
    (folder / "main.c").write_text(source)
    return folder


def configure_and_build(folder: Path, *options: str, target: str = "all") -> Path:
    cmake = require("cmake")
    build = folder / "build"
    run([cmake, "-S", folder, "-B", build, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror", *options])
    run([cmake, "--build", build, "--target", target])
    return build


def test_the_readme_has_ten_lines_of_c() -> None:
    body = TEN_LINES[TEN_LINES.index("int main") :].splitlines()
    assert len(body) <= 10


@pytest.mark.parametrize("how", [SUBDIRECTORY, FETCHED], ids=["add_subdirectory", "FetchContent"])
def test_the_readme_runs_as_a_project(tmp_path: Path, how: str) -> None:
    require("gcc")
    build = configure_and_build(project(tmp_path / "user", how, TEN_LINES, 4))
    assert subprocess.run([build / "program"], check=False).returncode == 0


@pytest.mark.parametrize(
    "options",
    [
        ("-DRTOSHEAP_CHECKS=1", "-DRTOSHEAP_PROTECTOR=ON", "-DRTOSHEAP_ALIGNMENT=16"),
        ("-DRTOSHEAP_CLEAR_ON_FREE=ON", "-DCMAKE_BUILD_TYPE=MinSizeRel"),
    ],
)
def test_options_reach_library_and_user(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Both compile the same structures: else the program's would be too small."""
    require("gcc")
    build = configure_and_build(project(tmp_path / "user", SUBDIRECTORY, TEN_LINES, 4), *options)
    assert subprocess.run([build / "program"], check=False).returncode == 0


INDEXED = r"""
#include "heap_4.h"

static unsigned char arena[ARENA];
static struct rh_heap4 heap;

int main(void) {
    struct rh_region region = {.base = (rh_word)(uintptr_t)arena, .size = sizeof arena};
    rh_word first, second;
    if (sizeof heap.index < RH_INDEX_BYTES(16384) || sizeof heap.index > 2000) return 1;
    if (rh4_init(&heap, &region, NULL) != RH_OK) return 2;
    if (rh4_malloc(&heap, 100, &first) != RH_OK || rh4_malloc(&heap, 100, &second) != RH_OK)
        return 3;
    if (rh4_free(&heap, first) != RH_OK || heap.index.groups[0] == 0) return 4;
    return rh4_malloc(&heap, 10, &second) != RH_OK || second != first ? 5 : 0;
}
"""


@pytest.mark.parametrize(("arena", "ends"), [(16384, 0), (4000, 0), (20000, 2)])
def test_an_index(tmp_path: Path, arena: int, ends: int) -> None:
    """Library and program have it; an arena that it has no room for is refused."""
    require("gcc")
    source = INDEXED.replace("ARENA", str(arena))
    folder = project(tmp_path / "user", SUBDIRECTORY, source, 4)
    build = configure_and_build(folder, "-DRTOSHEAP_INDEX_SIZE=16384")
    assert subprocess.run([build / "program"], check=False).returncode == ends


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m33"])
def test_libraries_for_a_cortex_m(tmp_path: Path, cpu: str) -> None:
    require("arm-none-eabi-gcc")
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(user LANGUAGES C)\n" + SUBDIRECTORY
    )
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={CSRC / 'cmake' / 'arm-none-eabi.cmake'}"
    build = configure_and_build(
        folder, toolchain, f"-DRTOSHEAP_CPU={cpu}", "-DCMAKE_BUILD_TYPE=MinSizeRel"
    )
    for heap in range(1, 6):
        library = build / "rtosheap" / f"librtosheap_heap_{heap}.a"
        symbols = run(["arm-none-eabi-nm", "-u", library]).split()
        outside = {name for name in symbols if name not in ("U", "") and not name.endswith(":")}
        assert outside <= {"memset", "memcpy"} | ({"malloc", "free"} if heap == 3 else set())
        attributes = run(["arm-none-eabi-readelf", "-A", library])
        assert attributes.count("Microcontroller") == 1  # one object: a Cortex-M's
