"""The command line: what it prints, draws and returns."""

from __future__ import annotations

import io
import operator
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from parts import few_of

import rtosheap.data
from rtosheap.cli import _output, _workers
from rtosheap.cli._arguments import parse_size
from rtosheap.sizing import minimum_heap_size
from rtosheap.traces import Trace

TRACE = "coap-server"  # bundled, and quick


def tiny(path: Path, text: str = "m 0 100\nm 1 8\nm 2 100\nf 0\nf 2\nm 3 200\n") -> Path:
    """A trace that fails for fragmentation in 256 bytes."""
    path.write_text("# rtosheap-trace 1\n" + text)
    return path


# --------------------------------------------------------------------- help


@pytest.mark.parametrize("command", ["demo", "compare", "size", "replay", "convert"])
def test_each_command_has_help_with_an_example(run: Any, command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert f"rtosheap {command}" in done.out.split("example")[1]
    if command not in ("demo", "convert"):
        for name in rtosheap.data.names():
            assert name in done.out.replace("-\n" + " " * 24, "-")


@pytest.mark.parametrize("command", ["compare", "report", "convert", "inspect", "cortexm"])
def test_sentences_of_help_fit_the_terminal(run: Any, monkeypatch: Any, command: str) -> None:
    """What is indented stays as it is, for it is copied."""
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run(command, "--help").out
    monkeypatch.setenv("COLUMNS", "200")
    wide = run(command, "--help").out
    assert max(len(line) for line in narrow.splitlines() if line[:1] != " ") <= 80
    examples = [line for line in wide.splitlines() if line.startswith("  rtosheap ")]
    assert examples
    assert set(examples) <= set(narrow.splitlines())


def test_help_names_all_commands(run: Any) -> None:
    done = run("--help")
    assert done.status == 0
    for command in ("demo", "compare", "size", "replay", "convert"):
        assert f"\n    {command} " in done.out
    assert run("--version").out.startswith("rtosheap ")


def test_python_m_rtosheap() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rtosheap", "size", TRACE], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "34,224 bytes" in done.stdout


# --------------------------------------------------------------------- size


def test_size(run: Any) -> None:
    done = run("size", TRACE)
    assert (done.status, done.err) == (0, "")
    assert "heap_4 for coap-server (1,225 events)" in done.out
    assert "needed by                      event 1,028, realloc(512)" in done.out


@pytest.mark.parametrize("heap", ["heap_1", "heap_2", "heap_3", "heap_4"])
def test_size_json(run: Any, heap: str) -> None:
    found = minimum_heap_size(rtosheap.data.load(TRACE), heap)
    written = run("size", TRACE, "--heap", heap, "--json").json
    assert {key: written[key] for key in found.to_dict()} == found.to_dict()
    assert written["witness_event"]["op"] in "mr"


def test_size_options(run: Any) -> None:
    done = run(
        "size", TRACE, "--json", "--word-size", "8", "--alignment", "16", "--base", "0x20000001"
    )
    options = {"word_size": 8, "alignment": 16, "base_address": 0x2000_0001}
    found = minimum_heap_size(rtosheap.data.load(TRACE), "heap_4", **options)
    assert done.json["size"] == found.size
    assert done.json["options"] == options
    full = run("size", TRACE, "--heap", "heap_2", "--full", "--json")
    assert full.json["exact"] is True


def test_size_of_regions(run: Any) -> None:
    done = run(
        "size", TRACE, "--heap", "heap_5", "--region", "0x10000000:8K", "--region", "0x20000000:"
    )
    assert done.status == 0
    assert "0x10000000: 8,192, 0x20000000: " in done.out


def test_size_of_what_nothing_serves(run: Any, tmp_path: Path) -> None:
    done = run("size", tiny(tmp_path / "a.trace", "m 0 3000000000\n"))
    assert done.status == 1
    assert one_line(done.err).startswith("rtosheap: event 0 requests 3000000000 bytes")


def test_an_empty_trace(run: Any, tmp_path: Path) -> None:
    done = run("size", tiny(tmp_path / "a.trace", ""))
    assert done.status == 0
    assert "none smaller can be constructed" in done.out
    assert run("compare", tmp_path / "a.trace").status == 0
    assert run("replay", tmp_path / "a.trace", "--heap-size", "1K").status == 0


# --------------------------------------------------------------------- compare


def test_compare(run: Any, tmp_path: Path) -> None:
    done = run("compare", TRACE, "-o", tmp_path / "heaps.svg")
    assert (done.status, done.err) == (0, "")
    assert "heap_4 serves coap-server with the least memory" in done.out
    assert "<svg" in (tmp_path / "heaps.svg").read_text()


def test_compare_json_and_jobs(run: Any) -> None:
    done = run("compare", TRACE, "--json", "--jobs", "2", "--heap", "heap_4", "--heap", "heap_1")
    assert done.status == 0
    assert [row["heap"] for row in done.json["heaps"]] == ["heap_4", "heap_1"]


@pytest.mark.parametrize(("size", "status"), [("33K", 1), ("1M", 0)])
def test_compare_at_a_size(run: Any, size: str, status: int) -> None:
    done = run("compare", TRACE, "--heap-size", size, "--json")
    assert done.status == status
    assert done.json["heap_size"] == parse_size(size)


def test_compare_is_a_gate_for_the_heaps_that_are_named(run: Any) -> None:
    """heap_1 fails at any size of interest; it counts only if it is asked for."""
    assert run("compare", TRACE, "--heap-size", "44K").status == 0
    assert run("compare", TRACE, "--heap-size", "44K", "--heap", "heap_4").status == 0
    named = ("--heap", "heap_4", "--heap", "heap_1")
    assert run("compare", TRACE, "--heap-size", "44K", *named).status == 1


def test_compare_when_no_heap_serves(run: Any, tmp_path: Path) -> None:
    done = run("compare", tiny(tmp_path / "a.trace", "m 0 3000000000\n"))
    assert done.status == 1
    assert "can serve this trace" in done.out


# --------------------------------------------------------------------- replay


def test_replay(run: Any, tmp_path: Path) -> None:
    done = run("replay", tiny(tmp_path / "a.trace"), "--heap-size", "256")
    assert (done.status, done.err) == (1, "")
    assert "The first failure is malloc(200) at event 5, by fragmentation" in done.out
    assert "1 live blocks lie between the holes" in done.out
    served = run("replay", tmp_path / "a.trace", "--heap-size", "1K")
    assert served.status == 0


def test_replay_json(run: Any, tmp_path: Path) -> None:
    done = run("replay", tiny(tmp_path / "a.trace"), "--heap-size", "0x100", "--json")
    assert done.status == 1
    failure = done.json["first_failure"]
    assert (failure["event"], failure["reason"]) == (5, "fragmentation")
    assert failure["largest_free_block"] == 120
    assert [pin["id"] for pin in failure["pins"]] == [1]


@pytest.mark.parametrize("heap", few_of(["heap_1", "heap_2", "heap_3", "heap_4"], ["heap_4"]))
@pytest.mark.parametrize("plot", ["usage", "heap_map"])
def test_replay_figures(run: Any, tmp_path: Path, heap: str, plot: str) -> None:
    figure = tmp_path / "a.png"
    for size in ("100K", "20K"):
        done = run(
            "replay", TRACE, "--heap", heap, "--heap-size", size, "--plot", plot, "-o", figure
        )
        assert done.status == (size == "20K")
        assert figure.read_bytes().startswith(b"\x89PNG")
        figure.unlink()


LOG = Path(__file__).parent / "data" / "freertos-logs" / "cm3-mode0.log.gz"


def test_replay_checks_addresses(run: Any, tmp_path: Path) -> None:
    """Those of a kernel's own heap_4, from its log and from what `convert` made of that."""
    for out in ("kernel.trace.gz", "kernel.npz"):
        assert run("convert", LOG, out).status == 0
    where = ["--heap-size", "48K", "--base", "0x2024a180", "--check-addresses"]
    for trace in (LOG, "kernel.trace.gz", "kernel.npz"):
        done = run("replay", trace, *where)
        assert done.status == 0
        assert done.out.endswith("\nAddresses: 43,660 compared, 43,660 equal.\n")
    addresses = run("replay", LOG, *where, "--json").json["addresses"]
    assert addresses == {"compared": 43_660, "equal": 43_660, "first_difference": None}
    assert "addresses" not in run("replay", LOG, *where[:-1], "--json").json


def test_replay_names_the_first_address_that_differs(run: Any, tmp_path: Path) -> None:
    elsewhere = run("replay", LOG, "--heap-size", "48K", "--check-addresses")
    assert elsewhere.status == 1
    assert elsewhere.out.endswith(
        "Addresses: 43,660 compared, 0 equal.\n"
        "The first difference is at event 0, a malloc: recorded 0x2024a188, replayed 0x20000008.\n"
        "All lie 0x24a180 higher in the recording: is that where the heap is (--base, or heap_5's "
        "--region)?\n"
    )
    text = "# addressed: yes\nm 0 8 0x20000008\nm 1 8 0x20000020\nf 1 0x20000020\n"
    one = run("replay", tiny(tmp_path / "a.trace", text), "--heap-size", "1K", "--check-addresses")
    assert one.status == 1
    assert one.out.endswith(
        "Addresses: 3 compared, 1 equal.\n"
        "The first difference is at event 1, a malloc: recorded 0x20000020, replayed 0x20000018.\n"
    )
    found = run("replay", "a.trace", "--heap-size", "1K", "--check-addresses", "--json")
    assert found.status == 1
    assert found.json["addresses"] == {
        "compared": 3,
        "equal": 1,
        "first_difference": {
            "event": 1,
            "op": "m",
            "recorded": 0x2000_0020,
            "replayed": 0x2000_0018,
            "offset": None,
        },
    }
    lower = ["--base", "0x20000010", "--heap-size", "1K", "--check-addresses"]
    only = tiny(tmp_path / "b.trace", "# addressed: yes\nm 0 8 0x20000008\n")
    assert "All lie 0x10 lower in the recording" in run("replay", only, *lower).out


def test_replay_of_a_failure_has_no_address(run: Any, tmp_path: Path) -> None:
    text = "# addressed: yes\nm 0 8 0x20000008\nm 1 4000 0x20000018\n"
    done = run("replay", tiny(tmp_path / "a.trace", text), "--heap-size", "1K", "--check-addresses")
    assert done.status == 1
    assert "at event 1, a malloc: recorded 0x20000018, replayed 0x00000000." in done.out


def test_replay_in_regions(run: Any) -> None:
    regions = ["--region", "0x10000000:8K", "--region", "0x20000000:64K"]
    done = run("replay", TRACE, "--heap", "heap_5", *regions, "--json")
    assert done.status == 0
    assert done.json["regions"] == [[0x1000_0000, 8192], [0x2000_0000, 65536]]


def test_a_first_event_that_fails(run: Any, tmp_path: Path) -> None:
    trace = tiny(tmp_path / "a.trace", "m 0 1000\n")
    out = ["-o", tmp_path / "a.pdf", "--plot", "heap_map"]
    done = run("replay", trace, "--heap-size", "64", *out)
    assert done.status == 1
    assert "by exhaustion" in done.out
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


# --------------------------------------------------------------------- convert, demo


@pytest.mark.parametrize("suffix", [".trace", ".trace.gz", ".npz", ".csv", ".rep"])
def test_convert(run: Any, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"a{suffix}"
    done = run("convert", TRACE, out)
    assert done.status == 0
    assert done.out == f"{out}: 1,225 events\n"
    assert done.err == "" or one_line(done.err).startswith("rtosheap: warning: ")
    assert (Trace.load(out).size == rtosheap.data.load(TRACE).size).all()


def test_demo(run: Any, tmp_path: Path) -> None:
    done = run("demo")
    assert (done.status, done.err) == (0, "")
    for heap in ("heap_1", "heap_2", "heap_3", "heap_4", "heap_5"):
        assert f"\n{heap} " in done.out
    assert "heap_3 serves lwip-3cli with the least memory: 50,840 bytes" in done.out
    assert "The first failure is malloc(1,532) at event 11,752, by fragmentation" in done.out
    assert (tmp_path / "rtosheap-demo.png").stat().st_size > 20_000


@pytest.mark.long
def test_demo_of_another_trace(run: Any, tmp_path: Path) -> None:
    done = run("demo", "--trace", TRACE, "-o", "other.svg", "--json", "--jobs", "2")
    assert done.status == 0
    assert done.json["best"] == "heap_4"
    assert done.json["heap_4_as_advised"]["first_failure"]["event"] == 978
    assert (tmp_path / "other.svg").exists()
    served = run("demo", "--trace", "expat-upnp")  # where the advice serves
    assert served.status == 0
    assert "0 allocations fail" in served.out


# --------------------------------------------------------------------- bad input


def one_line(text: str) -> str:
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return text


BAD = [
    (["sizes"], "invalid choice: 'sizes'"),
    (["size"], "the following arguments are required: TRACE"),
    (["size", "missing.trace"], "missing.trace: no such file, nor a bundled trace; those are "),
    (["size", "."], ".: Is a directory"),
    (["size", "bad.trace"], "bad.trace, line 2"),
    (["size", "cut.trace.gz"], "cut.trace.gz"),
    (["size", "noise"], "noise"),
    (["size", TRACE, "--heap", "heap_6"], "'heap_6'; it must be one of"),
    (["size", TRACE, "--heap", "heap_5"], "heap_5 needs its regions"),
    (["size", TRACE, "--region", "0x100:"], "heap_5 and policies; heap_4 has one region"),
    (["size", TRACE, "--heap", "heap_5", "--region", "0x100:1K"], "exactly the last one"),
    (["size", TRACE, "--heap", "heap_5", "--region", "0x100"], "'0x100' is no region"),
    (["size", TRACE, "--heap", "heap_5", "--region", "x:1K"], "'x' is no address"),
    (["size", TRACE, "--heap", "heap_5", "--base", "1", "--region", "1:"], "--base: heap_5's"),
    (["size", TRACE, "--heap", "heap_3", "--word-size", "8"], "--word-size: heap_3 is newlib-nan"),
    (["size", TRACE, "--base", "-1"], "'-1' is no address"),
    (["size", TRACE, "--base", "0"], "base_address"),
    (["size", TRACE, "--word-size", "8", "--alignment", "4"], "alignment"),
    (["size", TRACE, "--alignment", "7"], "invalid choice: "),
    (["replay", TRACE], "--heap-size is needed for heap_4"),
    (["replay", TRACE, "--heap-size", "99K", "--check-addresses"], "no recorded addresses; the"),
    (["replay", TRACE, "--heap-size", "16Q"], "'16Q' is no size; write bytes"),
    (["replay", TRACE, "--heap-size", "0"], "it must be 1 byte or more"),
    (["replay", TRACE, "--heap-size", "3"], "rtosheap: "),
    (["replay", TRACE, "--heap-size", "3G"], "rtosheap: "),
    (["replay", TRACE, "--heap", "heap_5", "--heap-size", "4K"], "--heap-size: heap_5 has regions"),
    (["replay", TRACE, "--heap", "heap_5"], "heap_5 needs its regions"),
    (["replay", TRACE, "--heap", "heap_5", "--region", "9:"], "--region 0x9: has no size"),
    (["compare", TRACE, "--jobs", "0"], "'0' is no number of processes"),
    (["compare", TRACE, "-o", "a.gif"], "'a.gif': a figure's name must end in .png, .svg or .pdf"),
    (["compare", TRACE, "--heap", "heap_4", "-o", "no/such/a.png"], "no/such/a.png: No such file"),
    (["compare", TRACE, "--heap", "heap_4", "--heap", "heap_4"], "each may appear once"),
    (["convert", TRACE, "a.foo"], "its suffix must be one of"),
    (["convert", TRACE, "no/such/a.trace"], "no/such/a.trace: No such file"),
    (["demo", "--trace", "no"], "invalid choice: 'no'"),
]


@pytest.mark.parametrize(("arguments", "text"), BAD, ids=[" ".join(row[0]) for row in BAD])
def test_bad_input_is_one_line_and_status_2(
    run: Any, tmp_path: Path, arguments: list[str], text: str
) -> None:
    tiny(tmp_path / "bad.trace", "m 0\n")
    (tmp_path / "cut.trace.gz").write_bytes(rtosheap.data.path(TRACE).read_bytes()[:500])
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    done = run(*arguments)
    assert done.status == 2
    assert done.out == ""
    assert one_line(done.err).startswith("rtosheap")
    assert text in done.err


def test_no_strict_counts_what_it_leaves_out(run: Any, tmp_path: Path) -> None:
    trace = tiny(tmp_path / "a.trace", "m 0 8\nf 5\nf 0\nf 0\nnonsense\n")
    assert run("size", trace).status == 2
    done = run("size", trace, "--no-strict")
    assert done.status == 0
    assert "1 unknown id, 1 double free, 1 bad line" in one_line(done.err)


def test_standard_input(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tiny(tmp_path / "a.trace").read_bytes()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    assert run("size", "-", "--json").json["size"] == 344


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16K", 16 * 1024),
        ("16k", 16 * 1024),
        ("16 KiB", 16 * 1024),
        ("16KB", 16 * 1024),
        ("2M", 2 << 20),
        ("1G", 1 << 30),
        ("100", 100),
        ("0100", 100),
        ("0x4000", 0x4000),
        ("10_000", 10_000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


# --------------------------------------------------------------------- processes and terminals


def test_an_interrupt(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rtosheap.cli.size.minimum_heap_size", interrupt)
    done = run("size", TRACE)
    assert (done.status, done.err) == (130, "rtosheap: interrupted\n")


def test_a_reader_that_goes_away() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rtosheap", "size", TRACE, "--json"],
            stdout=writing,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_bar_on_a_terminal_else_lines(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    told: list[Any] = []

    def find(*_: Any, progress: Any, **__: Any) -> Any:
        if progress is not None:
            progress(1, 2)
        told.append(progress)
        return minimum_heap_size(Trace("m", [0], [8]), "heap_4")

    monkeypatch.setattr("rtosheap.cli.size.minimum_heap_size", find)
    assert run("size", TRACE).status == 0
    assert isinstance(told[0], _output.Lines)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run("size", TRACE).status == 0
    assert told[-1] is not None
    assert not isinstance(told[-1], _output.Lines)


def test_lines_that_say_how_far_a_command_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    report = _output.Lines("comparing", clock=lambda: now[0])
    for second in range(31):
        now[0] = 100.0 + second
        report(second, 40)
        report(second, 40)
    assert capsys.readouterr().err == "comparing: 25%\ncomparing: 50%\ncomparing: 75%\n"


def test_processes_tell_how_much_of_their_tasks_is_done() -> None:
    with _workers.workers(2) as pool:
        for task, done in ((0, 1), (3, 2), (255, 3)):
            report = pool.report(task)
            assert pool.share(task) == 0
            for so_far in (done, done - 1):  # what is to be done may turn out to be more
                assert pool.submit(operator.call, report, so_far, 4).result() is None
            assert pool.share(task) == done / 4
        assert (pool.report(256), pool.share(256)) == (None, 0.0)
