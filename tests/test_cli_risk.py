"""The commands for days that nobody recorded, and for a new version: assess, check and diff."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from parts import few_of
from test_cli import one_line

from rtosheap import data
from rtosheap.comparison import difference
from rtosheap.risk import assess
from rtosheap.traces import Trace

RUNS = 40


@pytest.fixture(scope="module")
def recorded() -> list[Trace]:
    return data.days("recorder")


@pytest.fixture(scope="module")
def risk(recorded: list[Trace]) -> Any:
    return assess(recorded, "heap_4", runs=RUNS)


@pytest.mark.parametrize("command", ["assess", "check", "diff"])
def test_each_command_has_help_with_an_example(run: Any, command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert f"rtosheap {command}" in done.out.split("example")[1]
    assert f"\n    {command} " in run("--help").out


# --------------------------------------------------------------------- assess


def defined(out: str) -> int:
    """The size in the last line, which is one for FreeRTOSConfig.h."""
    line = out.splitlines()[-1]
    match = re.fullmatch(r"#define configTOTAL_HEAP_SIZE \( \( size_t \) (\d+) \) /\* .+ \*/", line)
    assert match is not None, line
    return int(match[1])


def test_assess_ends_with_the_line_that_people_need(run: Any, risk: Any, tmp_path: Path) -> None:
    done = run("assess", "recorder", "--runs", RUNS, "-o", "risk.svg")
    assert (done.status, done.err) == (0, "")
    needed = risk.size_for(1e-3)
    assert defined(done.out) == -(-needed // 1024) * 1024
    assert done.out.endswith(
        "/* 1 in 1,000 days (of 5.66 min), by 40 modelled days from 5 recordings and the "
        "tail of their peaks */\n"
    )
    assert str(risk) in done.out
    assert "40 modelled days are too few to show 1 in 1,000, which takes 2,995" in done.out
    flat = " ".join(done.out.split())
    for text in risk.assumptions:
        assert f"- {text}" in flat
    assert "What it does not cover: - what no recording shows" in flat
    assert "<svg" in (tmp_path / "risk.svg").read_text()


@pytest.mark.parametrize(
    ("step", "bytes_"), few_of([("1", 1), ("4K", 4096), ("1000", 1000)], [("4K", 4096)])
)
def test_assess_rounds_as_asked(run: Any, risk: Any, step: str, bytes_: int) -> None:
    done = run("assess", "recorder", "--runs", RUNS, "--probability", "1/50", "--round", step)
    needed = risk.size_for(0.02)
    assert defined(done.out) == -(-needed // bytes_) * bytes_
    assert "1 in 50 days" in done.out.splitlines()[-1]


def test_assess_json_with_all_options(run: Any, recorded: list[Trace]) -> None:
    arguments = ["--probability", "0.1", "--seed", "3", "--jobs", "2", "--duration", "2min"]
    done = run("assess", "recorder", "--json", "--runs", "30", "--base", "0x20000404", *arguments)
    assert (done.status, done.err) == (0, "")
    found = assess(recorded, "heap_4", runs=30, seed=3, duration="2min", base_address=0x2000_0404)
    assert {key: done.json[key] for key in found.to_dict()} == found.to_dict()
    assert done.json["size_for"] == found.size_for(0.1)
    assert done.json["rounded_size"] == -(-found.size_for(0.1) // 1024) * 1024
    assert str(done.json["rounded_size"]) in done.json["line"]
    estimate, low, high = found.probability(done.json["rounded_size"])
    assert done.json["chance"] == {"estimate": estimate, "low": low, "high": high}
    assert done.json["proven"] == found.proven(done.json["rounded_size"])
    assert len(done.json["not_covered"]) == 4


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--kernel", "V10.3.1"], {"kernel": "V10.3.1"}),
        (["--heap", "heap_3", "--newlib", "4.1.0"], {"newlib": "4.1.0"}),
        pytest.param(
            ["--heap", "heap_3", "--newlib", "4.3.0"], {"newlib": "4.3.0"}, marks=pytest.mark.long
        ),
    ],
)
def test_assess_of_a_release(run: Any, arguments: list[str], options: dict[str, str]) -> None:
    done = run(
        "assess", "recorder", "--json", "--runs", "40", "--probability", "0.1", *arguments
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    assert done.json["options"] == options


def test_assess_of_files_and_of_events(run: Any, tmp_path: Path) -> None:
    """Without times, a duration is a number of events."""
    trace = data.load("coap-server")
    trace.save(tmp_path / "day1.trace.gz")
    trace[:-1].save(tmp_path / "day2.trace")
    done = run(
        "assess", "day1.trace.gz", "day2.trace", "--runs", "30", "--duration", "300",
        "--probability", "0.1",
    )  # fmt: skip
    assert done.status == 0
    assert "/* 1 in 10 days (of 300 events), by 30 modelled days from 2 rec" in done.out
    assert "no times" in done.out


def test_assess_at_given_sizes(run: Any) -> None:
    """heap_2: nothing lies between what was tried, so that nothing is rounded."""
    sizes = "100001,120001,140001"
    done = run(
        "assess", "server", "--heap", "heap_2", "--runs", RUNS, "--probability", "0.1",
        "--sizes", sizes, "-o", "risk.png",
    )  # fmt: skip
    assert done.status == 0
    assert defined(done.out) == 120_001
    assert "there is no tail" in " ".join(done.out.split())
    assert "tail of" not in done.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("heap", "options", "line"),
    [
        ("heap_1", (), r"#define configTOTAL_HEAP_SIZE \( \( size_t \) \d+ \) /\*"),
        ("heap_3", ("--newlib", "4.1.0"), r"\d+ bytes between the ends of sbrk's heap /\*"),
        (
            "heap_5",
            ("--region", "0x10000000:8K", "--region", "0x20000000:"),
            r"\{ \( uint8_t \* \) 0x20000000, \( size_t \) \d+ \}, /\*",
        ),
    ],
)
def test_assess_of_each_other_heap(
    run: Any, recorded: list[Trace], heap: str, options: tuple[str, ...], line: str
) -> None:
    done = run(
        "assess", "recorder", "--heap", heap, "--runs", RUNS, "--probability", "0.1", *options
    )
    assert (done.status, done.err) == (0, "")
    last = done.out.splitlines()[-1]
    assert re.match(line, last), last
    regions = [(0x1000_0000, 8192), (0x2000_0000, None)] if heap == "heap_5" else None
    own = {"newlib": "4.1.0"} if heap == "heap_3" else {}
    needed = assess(recorded, heap, runs=RUNS, regions=regions, **own).size_for(0.1)
    fixed = 8192 if regions else 0
    assert str(-(-(needed - fixed) // 1024) * 1024) in last


# --------------------------------------------------------------------- interrupts


def interrupted_after(done_runs: int) -> Any:
    """`assess`, and somebody who presses Ctrl-C when so many runs are done."""

    def interrupted(*arguments: Any, progress: Any = None, **keywords: Any) -> Any:
        def stop(done: int, _: int) -> None:
            if done >= done_runs:
                raise KeyboardInterrupt

        return assess(*arguments, progress=stop, **keywords)

    return interrupted


def test_an_interrupt_keeps_what_there_is(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtosheap.cli._days.assess", interrupted_after(7))
    done = run("assess", "recorder")
    assert (done.status, done.err) == (130, "")
    assert "by 7 modelled days" in done.out.splitlines()[-1]
    assert "993 of 1,000 runs are missing (interrupted)" in done.out
    gate = run("check", "recorder", "--heap-size", "1M", "--probability", "0.1")
    assert gate.status == 130
    assert gate.out.startswith("ok: ")


def test_json_after_an_interrupt(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtosheap.cli._days.assess", interrupted_after(7))
    done = run("assess", "recorder", "--json")
    assert (done.status, done.json["interrupted"], done.json["runs_done"]) == (130, True, 7)
    gate = run("check", "recorder", "--heap-size", "1M", "--probability", "0.1", "--json")
    assert (gate.status, gate.json["interrupted"]) == (130, True)


def test_an_interrupt_that_leaves_too_little(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """heap_1 has no tail, and seven days say nothing of so rare a failure."""
    monkeypatch.setattr("rtosheap.cli._days.assess", interrupted_after(7))
    done = run("assess", "recorder", "--heap", "heap_1")
    assert (done.status, done.err) == (130, "")
    assert "(interrupted)" in done.out
    assert "#define" not in done.out


def survive() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "alive"


def test_an_interrupt_leaves_the_processes_of_the_pool_alone(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(*arguments: Any, executor: Any, **keywords: Any) -> Any:
        assert executor.submit(survive).result() == "alive"
        return assess(*arguments, executor=executor, **keywords)

    monkeypatch.setattr("rtosheap.cli._days.assess", probe)
    assert run("assess", "recorder", "--jobs", "2", "--runs", "16").status == 0


# --------------------------------------------------------------------- check


def test_check_of_the_recordings_alone(run: Any) -> None:
    done = run("check", "recorder", "--heap-size", "64K")
    assert (done.status, done.err) == (0, "")
    assert one_line(done.out) == "ok: heap_4 of 65,536 bytes serves 5 recordings\n"
    done = run("check", "recorder", "--heap-size", "56K")
    assert (done.status, done.err) == (1, "")
    assert one_line(done.out).startswith(
        "not enough: 2 of 5 recordings fail in heap_4 of 57,344 bytes, first recorder-seed002 at "
    )


def test_check_of_other_days(run: Any, risk: Any) -> None:
    needed = risk.size_for(0.01)
    model = ("--probability", "0.01", "--runs", RUNS)
    done = run("check", "recorder", "--heap-size", needed, *model)
    assert (done.status, done.err) == (0, "")
    assert one_line(done.out).startswith("ok: 1 in 1")
    assert done.out.endswith(f"for 1 in 100, {needed:,} are needed, 0 to spare\n")
    short = run("check", "recorder", "--heap-size", needed - 1, *model, "--json")
    assert short.status == 1
    assert short.json["enough"] is False
    assert short.json["why"].endswith(f"for 1 in 100, {needed:,} are needed")
    assert (short.json["heap"], short.json["heap_size"]) == ("heap_4", needed - 1)


def test_check_models_nothing_where_a_recording_fails(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtosheap.cli._days.assess", None)
    assert run("check", "recorder", "--heap-size", "56K", "--probability", "0.01").status == 1


@pytest.mark.parametrize(("size", "status"), [("120K", 0), ("101000", 1)])
def test_check_of_a_heap_that_is_tried_at_sizes(run: Any, size: str, status: int) -> None:
    heap = ("--heap", "heap_2", "--heap-size", size)
    done = run("check", "server", *heap, "--probability", "0.09", "--runs", RUNS)
    assert (done.status, done.err) == (status, "")
    one_line(done.out)


@pytest.mark.parametrize("heap", ["heap_1", "heap_2"])
@pytest.mark.parametrize("command", [["assess"], ["check", "--heap-size", "64K"]])
def test_too_few_runs_are_told_before_any_work(
    run: Any, monkeypatch: pytest.MonkeyPatch, heap: str, command: list[str]
) -> None:
    """Where there is no tail, the modelled days are all that can tell a probability."""
    monkeypatch.setattr("rtosheap.cli.assess.load_all", None)
    monkeypatch.setattr("rtosheap.cli.check.load_all", None)
    done = run(*command, "recorder", "--heap", heap, "--probability", "0.01", "--runs", "298")
    assert (done.status, done.out) == (2, "")
    expected = f"--runs is 298; to tell 1 in 100, {heap} takes 299 or more, since it has no tail"
    assert expected in one_line(done.err)


def test_runs_that_are_not_given_are_as_many_as_the_probability_takes(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fewer(*arguments: Any, runs: int, **keywords: Any) -> Any:
        asked.append(runs)
        return assess(*arguments, runs=20, **keywords)

    monkeypatch.setattr("rtosheap.cli._days.assess", fewer)
    for heap, probability in (("heap_1", "1e-3"), ("heap_1", "0.1"), ("heap_4", "1e-3")):
        run("assess", "recorder", "--heap", heap, "--probability", probability)
    assert asked == [2995, 1000, 1000]


@pytest.mark.parametrize(("last", "status"), [("80K", 0), ("44K", 1)])
def test_check_of_regions(run: Any, last: str, status: int) -> None:
    regions = ("--region", "0x10000000:8K", "--region", f"0x20000000:{last}")
    model = ("--probability", "0.1", "--runs", RUNS)
    done = run("check", "recorder", "--heap", "heap_5", *regions, *model)
    assert (done.status, done.err) == (status, "")


# --------------------------------------------------------------------- diff


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Two recordings of an old version and of a new one that holds 24 bytes more."""
    for side, size in (("old", 100), ("new", 124)):
        for day in (1, 2):
            Trace(
                "mmf", id=[0, 1, 0], size=[size, 8 * day, 0], time=[0, 5, 9],
                task=["net", "log", "net"], meta={"name": f"{side}{day}"},
            ).save(tmp_path / f"{side}{day}.trace")  # fmt: skip
    return tmp_path


def test_diff(run: Any, versions: Path) -> None:
    done = run("diff", "old1.trace", "new1.trace")
    assert (done.status, done.err) == (0, "")
    expected = difference(
        Trace.load(versions / "old1.trace"), Trace.load(versions / "new1.trace"), "heap_4"
    )
    assert done.out == f"{expected}\n"
    assert re.search(r"^net +112 +136 +\+24$", done.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("allowed", "bytes_", "status"),
    [("0", 0, 1), ("23", 23, 1), ("24", 24, 0), ("1K", 1024, 0), ("5%", 7, 1), ("50%", 72, 0)],
)
def test_diff_is_a_gate(run: Any, versions: Path, allowed: str, bytes_: int, status: int) -> None:
    sides = ("--old", "old1.trace", "old2.trace", "--new", "new1.trace", "new2.trace")
    done = run("diff", *sides, "--allow", allowed)
    assert (done.status, done.err) == (status, "")
    found = run("diff", *sides, "--allow", allowed, "--json")
    assert found.status == status
    assert (found.json["allowed"], found.json["growth"]) == (bytes_, 24)
    assert (found.json["old_size"], found.json["failed"]) == (144, status == 1)
    assert [need["name"] for need in found.json["new"]] == ["new1", "new2"]


def test_diff_the_other_way_round_is_allowed(run: Any, versions: Path) -> None:
    done = run("diff", "new1.trace", "old1.trace", "--allow", "0")
    assert done.status == 0
    assert done.out.endswith("ok: -24 bytes, of +0 that are allowed\n")


# --------------------------------------------------------------------- bad input


BAD = [
    (["assess"], "the following arguments are required: TRACE"),
    (["assess", "missing.trace"], "missing.trace: no such file, nor a bundled trace"),
    (["assess", "recorder", "--probability", "2"], "'2' is no probability; it must be between"),
    (["assess", "recorder", "--probability", "1/0"], "'1/0' is no probability"),
    (["assess", "recorder", "--runs", "0"], "'0' is no number of runs"),
    (["assess", "recorder", "--seed", "-1"], "'-1' is no seed"),
    (["assess", "recorder", "--jobs", "0"], "'0' is no number of processes"),
    (["assess", "recorder", "--duration", "7 weeks"], "duration is '7 weeks'"),
    (["assess", "coap-server", "--duration", "7d"], "but the recordings have no times"),
    (["assess", "coap-server", "recorder"], "all must have the same unit"),
    (["assess", "recorder", "--round", "0"], "it must be 1 byte or more"),
    (["assess", "recorder", "--sizes", "64K"], "sizes is [65536]; heap_4 serves in every larger"),
    (["assess", "recorder", "--sizes", "64K,x"], "'x' is no size"),
    (["assess", "recorder", "--heap", "heap_2", "--round", "1K"], "--round: only sizes that were"),
    (["assess", "recorder", "--heap", "heap_5"], "heap_5 needs its regions"),
    (["assess", "recorder", "--heap", "heap_1", "--runs", "5"], "--runs is 5; to tell 1 in 1,000"),
    (["assess", "recorder", "-o", "a.gif"], "'a.gif': a figure's name must end in"),
    (
        ["assess", "server", "--heap", "heap_2", "--runs", "40", "--probability", "0.1",
         "--sizes", "64K"],
        "none of the tested sizes",
    ),
    (["check", "recorder"], "--heap-size is needed, such as --heap-size 64K"),
    (["check", "recorder", "--heap-size", "3"], "rtosheap: "),
    (["check", "recorder", "--heap", "heap_5", "--heap-size", "1K"], "--heap-size: heap_5 has reg"),
    (["check", "recorder", "--heap", "heap_5"], "heap_5 needs its regions"),
    (["diff"], "OLD and NEW are needed"),
    (["diff", "coap-server"], "coap-server: OLD and NEW are two recordings"),
    (["diff", "a", "b", "c"], "a b c: OLD and NEW are two recordings"),
    (["diff", "--old", "a"], "OLD and NEW are needed"),
    (["diff", "a", "b", "--old", "c"], "a: give OLD and NEW, or --old and --new"),
    (["diff", "coap-server", "coap-server", "--allow", "much"], "'much' is no growth; write a"),
    (["diff", "coap-server", "coap-server", "--allow=-5%"], "'-5%' is no growth; write a"),
    (["diff", "coap-server", "coap-server", "--allow", "nan%"], "'nan%' is no growth; write a"),
    (["diff", "coap-server", "coap-server", "--allow", "inf%"], "'inf%' is no growth; write a"),
    (["diff", "coap-server", "missing.trace"], "missing.trace: no such file"),
    (["assess", "srever"], "and five days each of gateway, recorder, server"),
    (["assess", "coap-server", "recorder"], "no times (coap-server), us (recorder-seed005)"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "text"), BAD, ids=[" ".join(row[0]) for row in BAD])
def test_bad_input_is_one_line_and_status_2(run: Any, arguments: list[str], text: str) -> None:
    done = run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert one_line(done.err).startswith("rtosheap")
    assert text in done.err


def test_what_no_heap_serves(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text("# rtosheap-trace 1\nm 0 3000000000 0\nf 0 5\n")
    for command in (["assess", path], ["diff", path, path]):
        done = run(*command)
        assert done.status == 1
        assert one_line(done.err).startswith("rtosheap: event 0 requests 3000000000 bytes")


@pytest.mark.parametrize("text", ["", "f 0\n"])
def test_a_gate_for_nothing_is_bad_input(tmp_path, run, text):
    (tmp_path / "no.trace").write_text("# rtosheap-trace 1\n" + text)
    done = run("check", "no.trace", "--heap-size", "1K", *(["--no-strict"] if text else []))
    assert done.status == 2
    assert "it has no malloc" in done.err
