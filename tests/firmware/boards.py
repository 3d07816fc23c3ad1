"""Images for QEMU's boards: built once, run on streams of cases."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import programs
from needs import LAST_RESORT
from tools import require

from rtosheap.cortexm.targets import BOARDS, CPUS, Board

IMAGE = [
    programs.CORTEXM / "startup.c",
    programs.CORTEXM / "semihosting.c",
    programs.C / "cases_main.c",
]
SUPPORT = [*IMAGE, programs.CORTEXM / "memory_functions.c"]
NANO_SUPPORT = [*IMAGE, programs.C / "newlib_judge.c"]
_OWN_MEMSET = ["-ffreestanding", "-fno-tree-loop-distribute-patterns"]


def board_of(cpu: str) -> Board:
    return BOARDS[CPUS[cpu].board]


def build(cpu: str, builds: Sequence[programs.Build], folder: Path) -> Path:
    """An image with these builds of the drop-in files."""
    gcc = require("arm-none-eabi-gcc")
    cortexm = programs.CORTEXM
    nano = any(b.heap == 3 for b in builds)
    script = ["-nostartfiles", f"-L{cortexm}", "-T", cortexm / "boards" / board_of(cpu).script]
    return programs.compile_program(
        [gcc, *CPUS[cpu].flags, "-O2", *([] if nano else _OWN_MEMSET)],
        builds,
        NANO_SUPPORT if nano else SUPPORT,
        folder,
        [*script, "-specs=nano.specs"] if nano else [*script, "-nostdlib", "-lgcc"],
    )


def run(cpu: str, program: Path, streams: Sequence[programs.Stream]) -> bytes:
    """What the image wrote."""
    qemu = require("qemu-system-arm")
    folder = program.parent
    (folder / "cases.in").write_bytes(programs.encode(streams, 4))
    (folder / "cases.out").unlink(missing_ok=True)
    command = [qemu, "-M", CPUS[cpu].board, "-nographic", "-kernel", program.name]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(
        [*command, *semihosting],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert done.returncode == 0, f"{cpu}: the image stopped: {done.stdout}{done.stderr}"
    output = (folder / "cases.out").read_bytes()
    address, size = programs.hello(output, 4)
    assert (address, size) == (board_of(cpu).arena_address, board_of(cpu).arena_size)
    return output
