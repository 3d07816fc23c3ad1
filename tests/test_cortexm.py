"""``rtosheap.cortexm``: measurements, footprints, the bars, and the command."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts import few_of

from rtosheap import Heap4, Op, Trace, cortexm, data, plot, replay
from rtosheap.cli import cortexm as command
from rtosheap.cortexm import toolchain as _toolchain
from rtosheap.cortexm.machine import Machine, MachineError, cost_of
from rtosheap.cortexm.targets import CPUS
from rtosheap.device import read_firmware

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import missing, require, require_module

ROOT = Path(__file__).parents[1]
TOOLCHAINS = ("arm-none-eabi-gcc", "zig")
HEAPS = ("heap_1", "heap_2", "heap_4", "heap_5")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTOSHEAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(params=few_of(TOOLCHAINS, TOOLCHAINS[:1]))
def toolchain(request: pytest.FixtureRequest) -> str:
    need(request.param)
    return str(request.param)


def need(toolchain: str) -> None:
    require_module("unicorn", "unicorn")
    if toolchain == "zig":
        require_module("ziglang", "ziglang")
    else:
        require(toolchain)


# ------------------------------------------------------------------- measure


MEASURED = [(toolchain, heap) for toolchain in TOOLCHAINS for heap in HEAPS]


@pytest.mark.parametrize(("compiler", "heap"), few_of(MEASURED, [*MEASURED[:4], ("zig", "heap_4")]))
def test_measures_a_trace(compiler: str, heap: str) -> None:
    """The image's addresses and bytes are the Python heap's, or measure() raises."""
    need(compiler)
    run = cortexm.measure(data.load("coap-server"), heap, cpu="cortex-m0", toolchain=compiler)
    mallocs = run.instructions[run.trace.op == Op.MALLOC]
    assert mallocs.min() > 10
    assert run.replay.failures == 0
    assert run.compiler == cortexm.find_toolchain(compiler).version
    assert any("m0" in flag for flag in run.flags)
    fit = run.fit(Op.MALLOC)
    if heap == "heap_1":
        assert fit.per_node == 0
        assert fit.worst_error == 0
        assert not run.of(Op.FREE).size
    else:
        assert 4 <= fit.per_node <= 6
        assert 3 <= run.fit(Op.FREE).per_node <= 6
        assert fit.worst_error < 30


def test_heap_3_is_newlib_s() -> None:
    need("arm-none-eabi-gcc")
    run = cortexm.measure(data.load("coap-server"), "heap_3", toolchain="arm-none-eabi-gcc")
    assert run.fit(Op.MALLOC).per_node > 5
    need("zig")
    with pytest.raises(cortexm.ToolchainError, match="newlib"):
        cortexm.measure(data.load("coap-server"), "heap_3", toolchain="zig")


def test_the_same_call_gives_the_same_numbers(tmp_path: Path, toolchain: str) -> None:
    first, again = (
        cortexm.measure(data.load("lua-sched"), Heap4, toolchain=toolchain) for _ in range(2)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTOSHEAP_CACHE", str(tmp_path))  # built again
        third = cortexm.measure(data.load("lua-sched"), Heap4, toolchain=toolchain)
    assert np.array_equal(first.instructions, again.instructions)
    assert np.array_equal(first.instructions, third.instructions)
    assert list(tmp_path.glob("*.elf"))


def test_every_cpu(toolchain: str) -> None:
    trace = data.load("coap-server")
    for cpu in cortexm.CPUS:
        run = cortexm.measure(trace, cpu=cpu, heap_size=1 << 17, toolchain=toolchain)
        assert 30 < run.percentile(Op.MALLOC, 50) < 90
        assert (run.least_cycles is not None) == (cpu in ("cortex-m0", "cortex-m0plus"))


@pytest.mark.parametrize("options", [{"protector": True}, {"asserts": True}, {"alignment": 16}])
def test_options(options: dict[str, Any]) -> None:
    need("arm-none-eabi-gcc")
    trace = data.load("coap-server")
    plain = cortexm.measure(trace, cpu="cortex-m3")
    run = cortexm.measure(trace, cpu="cortex-m3", **options)
    assert not np.array_equal(run.instructions, plain.instructions)


def test_clearing_costs_by_the_byte() -> None:
    need("arm-none-eabi-gcc")
    trace = Trace.from_events([("m", 0, 1000), ("m", 1, 8), ("f", 0), ("f", 1)])
    run = cortexm.measure(trace, heap_size=4096, clear_on_free=True)
    large, small = run.instructions[2:4]
    assert large > small + 1000


def test_regions_elsewhere() -> None:
    need("arm-none-eabi-gcc")
    regions = [(0x1000_0000, 8192), (0x2000_0000, 16384), (0x2002_0000, 65536)]
    run = cortexm.measure(data.load("coap-server"), "heap_5", regions=regions)
    assert run.replay.failures == 0
    assert len(np.unique(run.replay.column("address") >> np.uint64(24))) > 1
    with pytest.raises(ValueError, match="regions has 4096 bytes at 0x20010000; the image lies at"):
        cortexm.measure(
            data.load("coap-server"), "heap_5", regions=[*regions[:2], (0x2001_0000, 4096)]
        )


def test_failures_are_measured_too() -> None:
    need("arm-none-eabi-gcc")
    run = cortexm.measure(data.load("lwip-3cli"), "heap_4", heap_size=24 << 10)
    assert run.replay.failures > 0
    failed = run.replay.column("address") == 0
    skipped = run.instructions == 0
    assert np.all(failed[skipped])
    assert run.to_dict()["failures"] == run.replay.failures


def test_bounds_of_cycles() -> None:
    need("arm-none-eabi-gcc")
    trace = data.load("coap-server")
    m0, plus = (cortexm.measure(trace, cpu=cpu) for cpu in ("cortex-m0", "cortex-m0plus"))
    for run in (m0, plus):
        assert run.least_cycles is not None
        assert run.most_cycles is not None
        assert np.all(run.least_cycles >= run.instructions)
        assert np.all(run.least_cycles <= run.most_cycles)
        assert np.all(run.most_cycles <= 4 * run.instructions)
        assert "Technical Reference Manual" in run.to_dict()["cycles_source"]
    assert plus.most_cycles.sum() < m0.most_cycles.sum()


@pytest.mark.parametrize(
    ("code", "instructions", "least", "most"),
    [
        ("7047", 1, 3, 3),  # bx lr
        ("fff7fefe", 1, 4, 4),  # bl
        ("70b5", 1, 5, 5),  # push {r4, r5, r6, lr}
        ("70bd", 1, 8, 8),  # pop {r4, r5, r6, pc}
        ("30bc", 1, 3, 3),  # pop {r4, r5}
        ("4368", 1, 2, 2),  # ldr r3, [r0, #4]
        ("014b", 1, 2, 2),  # ldr r3, [pc, #4]
        ("0ec3", 1, 4, 4),  # stmia r3!, {r1, r2, r3}
        ("fcd1", 1, 1, 3),  # bne
        ("fce7", 1, 3, 3),  # b
        ("4843", 1, 1, 32),  # muls
        ("0f30", 1, 1, 1),  # adds r0, #15
        ("6047", 1, 3, 3),  # bx r12
        ("9f46", 1, 3, 3),  # mov pc, r3
        ("1c46", 1, 1, 1),  # mov r4, r3
    ],
)
def test_cost_of_instructions(code: str, instructions: int, least: int, most: int) -> None:
    cost = cost_of(bytes.fromhex(code), CPUS["cortex-m0"].timing)
    assert cost == (instructions, least, most)


def test_an_instruction_in_an_it_block_counts_either_way() -> None:
    """Both ways through `it eq; addeq`, and the return: what passes the processor is three."""
    require_module("unicorn", "unicorn")
    need("arm-none-eabi-gcc")
    code = bytes.fromhex("002808bf01307047")  # cmp r0, #0; it eq; addeq r0, #1; bx lr
    assert cost_of(code, None).instructions == 4
    image = bytearray(_tiny_image(code))
    machine = Machine(bytes(image), CPUS["cortex-m4"], [(0x2000_0000, 4096)])
    machine.symbols["function"] = 0x81
    assert machine.call("function", 0)[:2] == (1, 4)
    assert machine.call("function", 7)[:2] == (7, 4)


def _tiny_image(function: bytes) -> bytes:
    """An image whose reset handler returns, with a function at 0x80."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.s"
        source.write_text(
            ".syntax unified\n.thumb\n.cpu cortex-m4\n.section .text\n.global rh_exit\n"
            ".word 0x20001000, 0x41\n.org 0x40\nbx lr\n.org 0x60\n.thumb_func\nrh_exit: b rh_exit\n"
            f".org 0x80\n.byte {', '.join(map(str, function))}\n"
        )
        image = Path(folder) / "a.elf"
        gcc = require("arm-none-eabi-gcc")
        flags = ["-mcpu=cortex-m4", "-nostdlib", "-Wl,-Ttext=0", "-Wl,-e,0"]
        subprocess.run([gcc, *flags, source, "-o", image], check=True)
        return image.read_bytes()


def test_the_plot_takes_a_measurement() -> None:
    need("arm-none-eabi-gcc")
    run = cortexm.measure(data.load("coap-server"))
    calibration = run.calibration
    assert calibration.unit == "instructions on a Cortex-M4 (-O2)"
    ax = plot.cost(run.replay, calibration=calibration, view="distribution")
    assert "instructions" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cpu": "cortex-a53"}, "cpu is 'cortex-a53'"),
        ({"heap": "heap_6"}, "heap_6"),
        ({"optimize": "-O9"}, "optimize is '-O9'"),
        ({"toolchain": "tcc"}, "toolchain is 'tcc'"),
        ({"regions": [(0x2000_0000, 4096)]}, "regions are heap_5's"),
        ({"heap": "heap_5", "regions": [(0x2000_0000, 64)], "heap_size": 64}, "both given"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    need("arm-none-eabi-gcc")
    with pytest.raises(ValueError, match=message):
        cortexm.measure(data.load("coap-server"), **arguments)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_toolchain, "_FINDERS", {"arm-none-eabi-gcc": lambda: None})
    with pytest.raises(cortexm.ToolchainError, match="pip install unicorn ziglang"):
        cortexm.measure(data.load("coap-server"))


def test_without_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    need("arm-none-eabi-gcc")
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(MachineError, match="pip install unicorn ziglang"):
        cortexm.measure(data.load("coap-server"))


def test_an_elf_file_of_another_kind() -> None:
    with pytest.raises(ValueError, match="Arm ELF"):
        read_firmware(b"\x7fELF\x02\x01" + bytes(60))


# ----------------------------------------------------------------- footprint


def test_footprint(toolchain: str) -> None:
    rows = cortexm.footprint(cpu="cortex-m4", toolchain=toolchain)
    heaps = ["heap_1", "heap_2", "heap_3", "heap_4", "heap_5"]
    if toolchain == "zig":
        heaps.remove("heap_3")
    assert [row.heap for row in rows[::2]] == heaps
    assert [row.optimize for row in rows[:2]] == ["-Os", "-O2"]
    by_heap = {row.heap: row for row in rows if row.optimize == "-Os"}
    assert by_heap["heap_1"].flash < by_heap["heap_4"].flash < by_heap["heap_5"].flash < 800
    assert all(row.ram <= 40 for row in rows)  # no arena is counted
    assert rows == cortexm.footprint(cpu="cortex-m4", toolchain=toolchain)


def test_footprint_of_one() -> None:
    need("arm-none-eabi-gcc")
    (row,) = cortexm.footprint(heap=Heap4, cpu="cortex-m0", optimize="-Os")
    assert (row.heap, row.cpu, row.optimize) == ("heap_4", "cortex-m0", "-Os")
    (larger,) = cortexm.footprint(heap=Heap4, cpu="cortex-m0", optimize="-Os", protector=True)
    assert larger.flash > row.flash


# ---------------------------------------------------------------------- bars


@pytest.mark.long
@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m0"])
def test_never_larger_nor_slower_than_freertos(cpu: str) -> None:
    """The figures of FreeRTOS's files with gcc 12.2 stand in the benchmark."""
    need("arm-none-eabi-gcc")
    version = cortexm.find_toolchain("arm-none-eabi-gcc").version
    if " 12.2." not in version:
        missing(f"arm-none-eabi-gcc 12.2, whose figures the bars are (this is {version})")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("cortexm")
    sys.path.pop(0)
    rows = benchmark.rows_for(cpu, "arm-none-eabi-gcc")
    assert sum(row["bar"] is not None for row in rows) == 4
    assert [excess for row in rows for excess in row["excesses"]] == []
    if cpu == "cortex-m4":
        assert_table(rows, benchmark.Costs)


def assert_table(rows: list[dict[str, Any]], costs: Any) -> None:
    """csrc/README.md's table is what the benchmark counts."""
    text = (ROOT / "csrc" / "README.md").read_text()
    shown = 0
    for row in rows:
        if row["bar"] is None:
            continue
        past, free = (
            f"{costs.fixed(row[key]):g} + {costs.per_node(row[key]):g} k" if row[key] else None
            for key in ("malloc_past", "free")
        )
        cells = [row["heap"], row["malloc"], past or row["malloc"], free or "\N{EN DASH}"]
        cells.append(" / ".join(str(size) for size in row["bytes_called"].values()))
        assert f"| {' | '.join(map(str, cells))} |" in text
        shown += 1
    assert shown == 4


# ------------------------------------------------------------------- command


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    import argparse

    parser = argparse.ArgumentParser()
    command.add(parser)
    status: int = command.run(parser.parse_args(arguments))
    return status, capsys.readouterr().out


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    need("arm-none-eabi-gcc")
    status, text = run_command(capsys, "--cpu", "cortex-m0", "--heap", "heap_4")
    assert status == 0
    assert "instructions (not cycles)" in text
    assert "flash -Os" in text


def test_command_json(capsys: pytest.CaptureFixture[str]) -> None:
    need("arm-none-eabi-gcc")
    status, text = run_command(capsys, "lua-sched", "--heap=heap_2", "--heap-size=64K", "--json")
    assert status == 1  # something failed
    found = json.loads(text)
    assert found["trace"] == "lua-sched"
    assert [m["cpu"] for m in found["measurements"]] == ["cortex-m0", "cortex-m4"]
    assert all(row["flash"] > 0 for row in found["footprints"])


def test_command_without_a_compiler(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_toolchain, "_FINDERS", {"arm-none-eabi-gcc": lambda: None})
    with pytest.raises(ValueError, match="no compiler"):  # the command line makes it one line
        run_command(capsys)


# ------------------------------------------------------------- results by hand


def test_counts_of_a_board_make_a_measurement() -> None:
    trace = Trace("mmmff", id=[0, 1, 2, 0, 2], size=[100, 24, 24, 0, 0])
    run = replay(trace, Heap4(1024), record=("address", "nodes"))
    costs = np.array([[70, 71, 69, 52, 58], [80] * 5, [90] * 5], np.uint32)
    options: dict[str, Any] = {"heap": "heap_4", "compiler": "gcc 13", "optimize": "-Os"}
    made = cortexm.Measurement(run, costs, cpu=CPUS["cortex-m0"], **options)
    assert (made.cpu, made.compiler, made.optimize) == ("cortex-m0", "gcc 13", "-Os")
    assert made.to_dict()["malloc"]["most_cycles_between"] == [80, 90]
    assert cortexm.Measurement(run, costs, cpu=CPUS["cortex-m4"], **options).most_cycles is None
    with pytest.raises(ValueError, match=r"costs has the shape \(3, 4\); it must be \(3, 5\)"):
        cortexm.Measurement(run, costs[:, :4], cpu=CPUS["cortex-m4"], **options)


def test_a_bound_is_plain_values() -> None:
    def made(**changed: Any) -> cortexm.Bound:
        numbers = {"malloc": 90, "free": 80, "malloc_found": 85, "free_found": 79, "calls": 12}
        regions = ((0x1000_0000, 1024), (0x2000_0000, 4096))
        facts = {"heap": "heap_5", "cpu": "cortex-m4", "optimize": "-O2", "regions": regions}
        return cortexm.Bound(**{**facts, **numbers, **changed})

    one = made()
    assert one.heap_size == 5120
    assert pickle.loads(pickle.dumps(one)) == one != made(free=81)
    assert json.loads(json.dumps(one.to_dict()))["regions"] == [list(r) for r in one.regions]
    assert one.path("malloc") == []
