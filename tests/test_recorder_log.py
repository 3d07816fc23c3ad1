"""A FreeRTOS kernel's heap as text: what csrc/recorder/rh_log.h prints, and what is made of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from trace_files import load
from trace_strategies import triples

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

from rtosheap import Trace, TraceError
from rtosheap.cli import main
from rtosheap.traces import Loss, TraceWarning, formats
from rtosheap.traces.formats import freertos

END = "=0 0 0 0\n"


def simulated_log(folder, heap):
    """What an image prints with a drop-in heap, of 3,000 calls."""
    csrc, here = recorder_images.CSRC, recorder_images.HERE
    sources = [csrc / f"freertos/heap_{heap}.c", here / "log_main.c"]
    sources += [csrc / "cortexm" / name for name in ("startup.c", "semihosting.c")]
    recorder_images.link(
        sources, folder / "image.elf", "cortex-m4", "mps2.ld", "-O2", "-specs=nano.specs",
        "-specs=nosys.specs", '-DTEST_CONFIG_FILE="log_kernel.h"',
    )  # fmt: skip
    recorder_images.simulate(folder / "image.elf", "mps2-an386")
    return folder / "heap.log"


def host_log(folder, calls, *flags):
    """What the macros print in some kernel, for lines of calls."""
    program = folder / "log"
    recorder_images.run([
        tools.require("gcc"), "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror",
        f"-I{recorder_images.CSRC / 'recorder'}", f"-I{recorder_images.HERE / 'tasks'}",
        "-DTEST_MAJOR=10", "-DTEST_MINOR=4", "-DportBYTE_ALIGNMENT=8", *flags,
        recorder_images.HERE / "log_host.c", "-o", program,
    ])  # fmt: skip
    done = subprocess.run([program], input=calls, capture_output=True, text=True, check=True)
    return done.stdout


def test_what_a_device_prints_replays_to_its_addresses(tmp_path, capsys):
    log = simulated_log(tmp_path, 4)
    trace = Trace.load(log)
    assert trace.allocs > 1300
    assert trace.loss == Loss(failed=trace.loss.failed, rounded_sizes=trace.allocs)
    assert trace.loss.failed > 10
    assert trace.meta["sizes"] == "the block's, without its header"
    converted = tmp_path / "heap.trace"
    assert main(["convert", str(log), str(converted)]) == 0
    capsys.readouterr()
    check = ["--heap-size", "6K", "--check-addresses"]
    for path in (log, converted):
        assert main(["replay", str(path), *check]) == 0
        said = capsys.readouterr().out
        assert f"Addresses: {len(trace):,} compared, {len(trace):,} equal." in said
    assert trace.time[-1] > 2500
    lines = log.read_text().splitlines(keepends=True)
    frees = [i for i, line in enumerate(lines) if line.startswith("F")]
    cut = [line for i, line in enumerate(lines) if i not in frees[100:110]]
    assert load("".join(cut)).loss.lost_events == 10


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "M 0x20000008 <=96 112 7"),  # two words of 8 bytes
        (["-UportBYTE_ALIGNMENT", "-DportBYTE_ALIGNMENT=32"], "M 0x20000008 <=80 112 7"),
        (["-DRHL_HEADER=8"], "M 0x20000008 <=104 112 7"),
        (["-DRHL_HEADER=0"], "M 0x20000008 <=112 112 7"),
        (["-DRHL_TICK()=99"], "M 0x20000008 <=96 112 99"),
        (["-DRHL_PRINTF(...)=printf(__VA_ARGS__)", "-include", "stdio.h"],
         "M 0x20000008 <=96 112 7"),
    ],
)  # fmt: skip
def test_a_line(flags, line, tmp_path):
    assert host_log(tmp_path, "m 20000008 112 7\n", *flags) == line + "\n"


def test_what_an_old_kernel_tells_of_failures(tmp_path):
    calls = "m 20000008 112 7\nm 0 5008 8\nm 0 0 9\nf 20000008 120 10\n"
    text = host_log(tmp_path, calls, "-DRHL_HEADER=8")
    assert text.splitlines()[1:] == ["X 0x0 <=5000 5008 8", "X 0x0 <=0 0 9", "F 0x20000008 120 10"]
    found = load(text + "=2 2 1 1\n")
    assert triples(found) == [("m", 0, 104), ("f", 0, 0)]
    assert found.loss == Loss(failed=2, rounded_sizes=1)
    assert found.meta["largest_failed_request"] == "5000"
    assert found.time.tolist() == [7, 10]


@pytest.mark.parametrize(
    ("line", "size", "rounded"),
    [
        ("M 0x10 100 112 0", 100, 0),
        ("M 0x10 <=104 112 0", 104, 1),
        ("M 0x10 112 0", 104, 1),
        ("M 0x10 0 0", 0, 1),
        ("M 0xffffffff 112 0", 104, 1),
        ("M 0x100000000 112 0", 96, 1),
        ("M 0x55bd5dcd5330 248 0", 232, 1),
    ],
)
def test_the_size_of_a_line(line, size, rounded):
    text = f"{line}\n=1 0 0 0\n"
    assert [reader.NAME for reader in formats.READERS if reader.sniff(text.encode())] == [
        freertos.NAME
    ]
    found = load(text)
    assert found.size.tolist() == [size]
    assert found.loss == Loss(rounded_sizes=rounded)
    assert ("sizes" in found.meta) == bool(rounded)


OTHERS = ("0x10 <=", "0x10 <=1 2", "0x10 =1 2 3", "0x10 1", "0x10 < =1 2 3", "0x10 1 2 3 4")


@pytest.mark.parametrize("line", [*(f"M {rest}" for rest in OTHERS), "F 0x10 <=1 2 3"])
def test_a_line_of_another_form_is_named(line):
    with pytest.raises(TraceError, match=r"line 2: .* it must be 'M 0xADDR \[REQUESTED\] BLOCK"):
        load(f"M 0x20 1 2 3\n{line}\n{END}")


@pytest.mark.parametrize("first", ["M 0x20 1 16 3", "M 0x20 <=8 16 3", "M 0x20 16 3", "X 0x0 16 3"])
def test_a_number_that_is_missing_is_no_other_form(first):
    other = "M 0x40 16 4" if first.count(" ") == 4 else "M 0x40 8 16 4"
    with pytest.raises(TraceError, match=r"line 3: .* with REQUESTED in all lines or in none"):
        load(f"{first}\nF 0x20 16 3\n{other}\n{END}")


CALLS = "M 0x10 5 16 1\nX 0x0 99 0 2\nX 0x0 98 0 3\nX 0x0 97 0 4\nF 0x10 16 5\n"


@pytest.mark.parametrize(
    ("total", "lost"),
    [(2, 0), (5, 0), (3, 1), (4, 2), (6, 4), (1, 0), (172, 170)],
)
def test_a_total_may_count_requests_that_failed(total, lost):
    found = load(CALLS + f"={total} 3 0 0\n")
    assert found.loss == Loss(failed=3, lost_events=lost)


def test_a_free_that_is_missing_is_lost_though_it_is_implied():
    found = load("M 0x10 5 16 1\nM 0x10 6 16 2\n=3 0 0 0\n")
    assert triples(found) == [("m", 0, 5), ("f", 0, 0), ("m", 1, 6)]
    assert found.loss == Loss(implied_frees=1, lost_events=1)


def test_convert_says_what_lines_it_reads(capsys):
    assert main(["convert", "--help"]) == 0
    said = capsys.readouterr().out
    lines = {line.split("   ")[0].strip() for line in said.splitlines()}
    assert lines > {
        "M 0xADDR REQUESTED BLOCK TICK",
        "F 0xADDR BLOCK TICK",
        "X 0x0 REQUESTED 0 TICK",
    }


def test_a_log_without_a_total_does_not_know():
    with pytest.warns(TraceWarning, match="whether the log was cut short is not known"):
        assert load("M 0x10 5 16 1\n").loss == Loss()
