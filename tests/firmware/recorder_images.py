"""Builds the images that record themselves, and runs them in QEMU."""

from __future__ import annotations

import subprocess
from pathlib import Path

import tools
from needs import LAST_RESORT

CSRC = Path(__file__).resolve().parents[2] / "csrc"
HERE = Path(__file__).parent
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fno-tree-loop-distribute-patterns"]
INCLUDES = [f"-I{CSRC / name}" for name in ("core", "recorder", "cortexm", "cortexm/kernel")]
INCLUDES.append(f"-I{HERE}")
CORE, DROP_IN, NEWLIB = range(3)

_WRAP = ["malloc", "free", "calloc", "realloc"]
_SOURCES = {
    CORE: ["core/heap_4.c", "cortexm/memory_functions.c"],
    DROP_IN: [
        "freertos/heap_4.c",
        "recorder/rh_recorder_freertos.c",
        "recorder/rh_recorder_wrap.c",
        "cortexm/memory_functions.c",
    ],
    NEWLIB: ["recorder/rh_recorder_wrap.c"],
}
_DEFINES = {
    CORE: [],
    DROP_IN: ["-DRHR_WRAP_FREERTOS=1", "-DRHR_LOCK()=((void)0)", "-DRHR_UNLOCK()=((void)0)"],
    NEWLIB: ["-DRHR_WRAP_MALLOC=1"],
}
_LINK = {
    CORE: ["-nostdlib"],
    DROP_IN: ["-nostdlib", "-Wl,--wrap=pvPortMalloc,--wrap=vPortFree,--wrap=pvPortCalloc"],
    NEWLIB: ["-specs=nano.specs", "-specs=nosys.specs", "-Wl," + ",".join(
        f"--wrap={name}" for name in _WRAP)],
}  # fmt: skip


def run(command, folder=None):
    """Run a tool, for what it prints; its complaints are the error."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=folder,
        stdin=subprocess.DEVNULL, timeout=LAST_RESORT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def link(sources, output, cpu, script, *more):
    """An image of these sources for a processor."""
    run([
        tools.require("arm-none-eabi-gcc"), f"-mcpu={cpu}", "-mthumb", *FLAGS, *INCLUDES, *sources,
        "-nostartfiles", f"-L{CSRC / 'cortexm'}", f"-Wl,-T,{CSRC / 'cortexm' / 'boards' / script}",
        *more, "-o", output, "-lgcc",
    ])  # fmt: skip


def compiled(source, folder, cpu, *flags):
    """An object file."""
    target = folder / f"{source.stem}.o"
    run([tools.require("arm-none-eabi-gcc"), f"-mcpu={cpu}", "-mthumb", *FLAGS, *INCLUDES, *flags,
         "-c", source, "-o", target])  # fmt: skip
    return target


def record(folder, cpu, board, script, kind, heap=4, defines=(), lto=None):
    """Build an image and run it; it leaves its files in the folder.

    `lto` names the sources that link-time optimisation is for; None: none of them.
    """
    names = [name.replace("freertos/heap_4", f"freertos/heap_{heap}") for name in _SOURCES[kind]]
    names += ["recorder/rh_recorder.c", "cortexm/startup.c", "cortexm/semihosting.c"]
    sources = [*(CSRC / name for name in names), HERE / "recorder_main.c"]
    flags = [
        f"-DRECORDED={kind}",
        f"-DRECORDED_HEAP={heap}",
        '-DRHR_CONFIG_FILE="recorder_config.h"',
        '-DTEST_CONFIG_FILE="recorder_kernel.h"',
        *(["-DRHR_WRAP_CALLOC=0"] if heap == 1 else []),
        *defines,
        *_DEFINES[kind],
        "-O2",
    ]
    linked = [*_LINK[kind]]
    if lto is not None:
        sources = [
            compiled(source, folder, cpu, *flags, *(["-flto"] if source.name in lto else []))
            for source in sources
        ]
        linked.append("-flto")
    image = folder / "image.elf"
    link(sources, image, cpu, script, *flags, *linked)
    simulate(image, board)


def simulate(image, board):
    """Run an image, which leaves its files beside itself."""
    run([tools.require("qemu-system-arm"), "-M", board, "-nographic", "-semihosting-config",
         "enable=on,target=native", "-kernel", image], image.parent)  # fmt: skip


def measured(folder, cpu, optimize):
    """An image whose recorder's functions can be called one by one."""
    image = folder / f"measured_{cpu}{optimize}.elf"
    sources = [CSRC / "recorder/rh_recorder.c", CSRC / "cortexm/startup.c",
               HERE / "recorder_measure.c"]  # fmt: skip
    defines = ["-DRHR_TICK()=recorder_tick", "-include", HERE / "recorder_tick.h"]
    link(sources, image, cpu, "microbit.ld", "-nostdlib", optimize, *defines)
    return image.read_bytes()
