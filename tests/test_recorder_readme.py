"""csrc/README.md on the recorder, followed to the letter: its CMake, its C, its commands."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from parts import few_of

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

from rtosheap import Trace
from rtosheap.cli import main
from rtosheap.traces import Loss

CSRC, HERE = recorder_images.CSRC, recorder_images.HERE
SECTION = (CSRC / "README.md").read_text().split("## Recording what a device allocates")[1]
SECTION = SECTION.split("\n## ")[0]

PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(user LANGUAGES C)
set(RTOSHEAP {root})
add_compile_options(-Wall -Wextra -Werror -O2 -fno-tree-loop-distribute-patterns {lto})
add_library(platform OBJECT {cortexm}/startup.c {cortexm}/semihosting.c
                            {cortexm}/memory_functions.c {root}/csrc/freertos/heap_4.c)
target_include_directories(platform PRIVATE {cortexm} {cortexm}/kernel)
target_compile_definitions(platform PRIVATE configAPPLICATION_ALLOCATED_HEAP=1
                                            configTOTAL_HEAP_SIZE=40*1024)
target_compile_options(platform PRIVATE -fno-lto)
add_executable(firmware {here}/readme_main.c recording.c $<TARGET_OBJECTS:platform>)
target_include_directories(firmware PRIVATE {cortexm} {here}/tasks)
target_compile_definitions(firmware PRIVATE TEST_MAJOR=11 TEST_MINOR=2
                                            INCLUDE_xTaskGetCurrentTaskHandle=1)
target_link_options(firmware PRIVATE {lto} -nostdlib -L{cortexm} -T{cortexm}/boards/mps2.ld)
target_link_libraries(firmware PRIVATE gcc)
"""


def fenced(language):
    return re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture(scope="module", params=few_of(["", "-flto"], [""]), ids=["plain", "lto"])
def device(request, tmp_path_factory):
    """A folder with the image of a program that has recorded itself, and its RAM."""
    cmake, folder = tools.require("cmake"), tmp_path_factory.mktemp("user")
    tools.require("arm-none-eabi-gcc")
    (cmake_lines,) = fenced("cmake")
    project = PROJECT.format(root=CSRC.parent, cortexm=CSRC / "cortexm", here=HERE,
                             lto=request.param)  # fmt: skip
    (folder / "CMakeLists.txt").write_text(project + cmake_lines)
    (folder / "recording.c").write_text(fenced("c")[0])
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={CSRC / 'cmake' / 'arm-none-eabi.cmake'}"
    build = folder / "build"
    recorder_images.run([cmake, "-S", folder, "-B", build, toolchain, "-DRTOSHEAP_CPU=cortex-m4"])
    recorder_images.run([cmake, "--build", build])
    recorder_images.simulate(build / "firmware", "mps2-an386")
    return build


def test_what_was_recorded(device):
    trace = Trace.load(device / "ram.bin")
    assert len(trace) + trace.loss.failed == 700
    assert trace.loss == Loss(failed=trace.loss.failed)
    assert trace.task_names == ("sensor", "network")
    assert trace.meta["sizes"] == "as requested"


def test_its_commands_replay_to_the_devices_addresses(device, monkeypatch, capsys):
    monkeypatch.chdir(device)
    commands = [shlex.split(line, comments=True)[1:] for line in fenced("sh")[0].splitlines()]
    assert [command[0] for command in commands] == ["convert", "replay"]
    nm = tools.require("arm-none-eabi-gcc").replace("gcc", "nm")
    listed = recorder_images.run([nm, "firmware"])
    (address,) = re.findall(r"^(\w+) . ucHeap$", listed, re.MULTILINE)
    commands[1] = [word.replace("0x20000400", f"0x{address}") for word in commands[1]]
    for command in commands:
        assert main(command) == 0
    count = len(Trace.load("device.trace.gz"))
    assert f"Addresses: {count:,} compared, {count:,} equal." in capsys.readouterr().out
    assert count > 650


def test_its_figures():
    """What the text says of the formats is what the headers have."""
    header = (CSRC / "recorder" / "rh_recorder.h").read_text()
    names = {"RHR_ROUNDED", "RHR_WANTED", "RHR_BLOCK", "RHR_REQUESTED"}
    assert names <= set(re.findall(r"RHR_\w+", SECTION)) & set(re.findall(r"RHR_\w+", header))
    assert "address (20 bits), size (12 bits)" in header  # 2**20 addresses, 8 bytes apart: 8 MiB
    assert "#define RHR_SHIFT 3" in header
    for name in re.findall(r"`(rh_\w+\.[ch])`", SECTION):
        assert (CSRC / "recorder" / name).exists(), name
