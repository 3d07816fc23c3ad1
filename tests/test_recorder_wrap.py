"""The recorder that the linker puts before a heap, on this machine: each call is recorded once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import recorder_reference as wire
import tools

HERE, RECORDER = recorder_images.HERE, recorder_images.CSRC / "recorder"
FLAGS = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Wconversion", "-Wshadow",
         "-Werror", "-Wno-unused-result", f"-I{RECORDER}"]  # fmt: skip
WRAP = "-Wl,--wrap=pvPortMalloc,--wrap=vPortFree,--wrap=pvPortCalloc"
LOCK = ["-DRHR_WRAP_FREERTOS=1", "-DRHR_LOCK()=((void)0)", "-DRHR_UNLOCK()=((void)0)"]
SPARE, P, NEXT = 8 * 16, 8 * 32, 8 * 64  # from the first block on


def compiled(folder, name, source, *flags):
    target = folder / f"{name}.o"
    recorder_images.run([tools.require("gcc"), *FLAGS, *flags, "-c", source, "-o", target])
    return target


@pytest.mark.parametrize("apart", [False, True], ids=["calloc beside malloc", "calloc apart"])
def test_each_call_is_recorded_once(apart, tmp_path):
    """Wherever a heap's calloc is, and whatever a malloc-failed hook does meanwhile."""
    heap = HERE / "wrap_heap.c"
    objects = [
        compiled(tmp_path, "heap", heap, *(["-DCALLOC_APART"] if apart else [])),
        compiled(tmp_path, "main", HERE / "wrap_host.c"),
        compiled(tmp_path, "recorder", RECORDER / "rh_recorder.c"),
        compiled(tmp_path, "wrap", RECORDER / "rh_recorder_wrap.c", *LOCK),
    ]
    if apart:
        objects.append(compiled(tmp_path, "calloc", heap, "-DCALLOC_ONLY"))
    program = tmp_path / "program"
    recorder_images.run([tools.require("gcc"), WRAP, *objects, "-o", program])
    data = subprocess.run([program], capture_output=True, check=True).stdout
    found = list(wire.records(data))
    base = found[0].address
    events = [
        (r.kind, r.size, (r.address << 3 if r.short else r.address and r.address - base))
        for r in found[1:]
    ]
    assert events == [
        ("m", 16, SPARE),
        ("m", 24, P),
        ("m", 0, 8 * 48),
        ("f", 0, 8 * 48),
        ("x", 2000, 0),
        ("x", 2000, 0),
        ("f", 0, SPARE),  # by the hook
        ("x", 3000, 0),
        ("m", 32, NEXT),  # by the hook
        ("x", 4000, 0),
        ("m", 32, NEXT + 8 * 16),
        ("x", 5000, 0),
        ("x", 2**64 - 1, 0),
        ("f", 0, P),
    ]


@pytest.mark.parametrize("family", ["-DSTART_MALLOC", "-USTART_MALLOC"])
@pytest.mark.parametrize("reaches", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_program_starts_where_both_its_calls_reach_the_recorder(family, reaches, tmp_path):
    malloc, free = reaches
    program = tmp_path / "program"
    recorder_images.run([
        tools.require("gcc"), *FLAGS, family, f"-DMALLOC_REACHES={malloc}",
        f"-DFREE_REACHES={free}", HERE / "wrap_reached.c", "-o", program,
    ])  # fmt: skip
    recorder_images.run([program])
