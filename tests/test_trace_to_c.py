"""The C that a trace prints: what it takes on a device, and that it does what the trace does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from ctools import run
from needs import ROOT, tool

from rtosheap import Heap4, Trace, data, minimum_heap_size, replay
from rtosheap.cortexm import CPUS
from rtosheap.cortexm._footprint import sections_of
from rtosheap.cortexm.machine import Machine
from rtosheap.device import read_firmware
from rtosheap.testing import find_failure

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import require_module

CSRC = ROOT / "csrc"
CORE = CSRC / "core"
C99 = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
ROW = re.compile(r"    (?P<op>[MFR])\((?P<place>\d+)(, (?P<size>\d+))?(, (?P<kept>\d+))?\), /\*")
#: What needs each part of what is printed.
EDGES = {
    "nothing": [],
    "one": [("m", 5, 12)],
    "again": [("m", 0, 8), ("f", 0), ("m", 1, 16), ("f", 1)],
    "zero": [("m", 0, 0), ("m", 1, 4), ("f", 0), ("f", 1)],
    "reallocs": [("m", 0, 100), ("m", 1, 8), ("r", 0, 20), ("r", 0, 0), ("r", 0, 300), ("f", 0)],
    "long": [("m", 0, 1 << 29), ("m", 1, (1 << 32) - 1), ("r", 0, 8)],
}


def trace_of(name: str) -> Trace:
    return Trace.from_events(EDGES[name]) if name in EDGES else data.load(name)


def write(trace: Trace, folder: Path) -> Path:
    (folder / "trace.c").write_text(trace.to_c())
    return folder / "trace.c"


def on_host(trace: Trace, folder: Path, size: int, compiler: str = "gcc") -> int:
    """What it returns on the core as firmware has it, 64-bit, over `size` bytes."""
    source, program = write(trace, folder), folder / "program"
    run([tool(compiler), *C99, "-c", source, "-o", folder / "trace.o"])
    run(
        [
            *(tool(compiler), "-std=c11", "-DRH_CHECKS=1", f"-DARENA={size}", f"-I{CORE}"),
            *(folder / "trace.o", ROOT / "tests" / "c" / "run_trace.c", CORE / "heap_4.c"),
            *("-o", program),
        ]
    )
    return int(run([program]).stdout)


def object_on(cpu: str, source: Path, *flags: str) -> Path:
    made = source.with_suffix(".o")
    run([tool("arm-none-eabi-gcc"), *CPUS[cpu].flags, *flags, *C99, "-c", source, "-o", made])
    return made


def on_target(trace: Trace, folder: Path, size: int, cpu: str) -> int:
    """What it returns on the drop-in heap_4 with `size` bytes, in the emulator."""
    require_module("unicorn", "unicorn")
    made, script = object_on(cpu, write(trace, folder), "-Os"), folder / "memory.ld"
    script.write_text(
        "MEMORY\n{\n    ROM (rx) : ORIGIN = 0, LENGTH = 1M\n"
        "    RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 1M\n}\n"
        f"rh_arena_bytes = {size};\n" + (CSRC / "cortexm" / "sections.ld").read_text()
    )
    parts = ("startup.c", "measure_main.c", "memory_functions.c")
    run(
        [
            *(tool("arm-none-eabi-gcc"), *CPUS[cpu].flags, "-Os", "-std=c11", "-ffreestanding"),
            *("-fno-tree-loop-distribute-patterns", f"-DconfigTOTAL_HEAP_SIZE={size}"),
            *(
                "-DMEASURED_HEAP=4",
                "-DconfigAPPLICATION_ALLOCATED_HEAP=1",
                f"-I{CSRC / 'cortexm' / 'kernel'}",
                f"-I{CSRC / 'cortexm'}",
            ),
            *(made, CSRC / "freertos" / "heap_4.c", *(CSRC / "cortexm" / part for part in parts)),
            *("-nostartfiles", "-nostdlib", f"-Wl,-T,{script}", "-lgcc", "-o", folder / "image"),
        ]
    )
    machine = Machine((folder / "image").read_bytes(), CPUS[cpu], [(0x2000_0000, 1 << 20)])
    result = machine.call("run_trace").result
    return result - (1 << 32) if result >> 31 else result


@pytest.mark.parametrize("reallocs", [False, True])
def test_it_fails_at_the_same_event(tmp_path: Path, reallocs: bool) -> None:
    def make() -> Heap4:
        return Heap4(1024, word_size=8)

    trace = find_failure(make, seed=3, reallocs=reallocs)
    assert replay(trace, make()).first_failure == len(trace) - 1
    assert on_host(trace, tmp_path, 1024) == len(trace) - 1


def test_every_event_kind_and_a_hostile_title(tmp_path: Path) -> None:
    events = [("m", 0, 40), ("m", 9, 0), ("r", 0, 80), ("r", 0, 8), ("r", 9, 5), ("f", 0)]
    events += [("f", 9), ("m", 3, 7), ("r", 3, 0), ("f", 3)]
    trace = Trace.from_events(events, meta={"name": "a title */ with \\ in it"})
    assert on_host(trace, tmp_path, 1024) == -1


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", EDGES)
def test_every_part_of_it_is_c99_without_a_warning(
    tmp_path: Path, compiler: str, name: str
) -> None:
    trace = trace_of(name)
    failed = replay(trace, Heap4(4096, word_size=8)).first_failure
    assert on_host(trace, tmp_path, 4096, compiler) == (-1 if failed is None else failed)


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
def test_host_and_device_end_at_the_same_event(tmp_path: Path, cpu: str) -> None:
    cases = 0
    for name in ("coap-server", "lua-sched", "lwip-3cli"):
        trace = data.load(name)
        least = minimum_heap_size(trace, Heap4)
        for size in (least.size, least.size - 8):
            failed = replay(trace, Heap4(size)).first_failure
            assert (failed is None) == (size == least.size)
            assert on_target(trace, tmp_path, size, cpu) == (-1 if failed is None else failed)
            cases += 1
    assert cases == 6


@pytest.mark.parametrize("name", ["lwip-3cli", "mosq-broker", *EDGES])
def test_a_block_has_the_place_of_one_that_is_gone(name: str) -> None:
    trace = trace_of(name)
    rows = list(ROW.finditer(trace.to_c()))
    taken: dict[int, int] = {}  # place, bytes
    most = 0
    for event, row in zip(trace, rows, strict=True):
        place = int(row["place"])
        assert row["op"].lower() == event.op
        if event.op == "f":
            del taken[place]
            continue
        assert (place in taken) == (event.op == "r")
        assert int(row["size"]) == event.size
        if event.op == "r":
            assert int(row["kept"]) == min(taken[place], event.size)
        taken[place] = event.size
        most = max(most, len(taken))
    assert most == trace.max_live_blocks
    declared = re.findall(r"static void \*run_trace_blocks\[(\d+)\];", trace.to_c())
    assert declared == ([str(most)] if most else [])


def test_it_fits_a_device(tmp_path: Path) -> None:
    trace = data.load("lwip-3cli")
    assert (len(trace), trace.max_live_blocks, trace.reallocs) == (17288, 202, 0)
    made = object_on("cortex-m4", write(trace, tmp_path), "-Os").read_bytes()
    code, initialised, bss = sections_of(made)
    assert (initialised, bss) == (0, 4 * 202)
    table = next(part for part in read_firmware(made).sections if part.name == ".rodata")
    assert table.size == 4 * 17288
    assert code - table.size <= 120  # the loop: 88 bytes from gcc 12.2


def test_larger_sizes_than_the_device_can_say_do_not_compile(tmp_path: Path) -> None:
    source = write(Trace.from_events([("m", 0, 1 << 32)]), tmp_path)
    run([tool("gcc"), *C99, "-c", source, "-o", tmp_path / "host.o"])
    with pytest.raises(pytest.fail.Exception, match="more bytes than size_t can say"):
        object_on("cortex-m4", source)


@pytest.mark.parametrize("name", ["function", "malloc", "free"])
def test_to_c_names_the_bad_argument(name: str) -> None:
    trace = Trace.from_events([("m", 0, 1)])
    assert "my_name(" in trace.to_c(**{name: "my_name"})
    with pytest.raises(ValueError, match=name):
        trace.to_c(**{name: "a b"})
