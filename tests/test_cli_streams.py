"""The command line where its streams are closed or full, is interrupted, or memory runs out."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from needs import LAST_RESORT
from parts import few_of

from rtosheap import Heap4, Trace, data, minimum_heap_size, replay
from rtosheap.cli import main
from rtosheap.kinds import NAMES, heap_class
from rtosheap.sizing.problem import SizingProblem
from rtosheap.work import memory

TRACE = "coap-server"
RTOSHEAP = [sys.executable, "-P", "-m", "rtosheap"]
#: As a shell runs it: what is printed is kept until the end, or until there is much of it.
BUFFERED = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
UNBUFFERED = {**BUFFERED, "PYTHONUNBUFFERED": "1"}

CLOSED = "rtosheap: standard output is closed; there is nowhere to print to\n"
FULL = "rtosheap: standard output: No space left on device\n"


def shell(redirected: str, *arguments: str, env: dict[str, str] = BUFFERED) -> Any:
    """What a command line does with its streams redirected so."""
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", *RTOSHEAP, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=LAST_RESORT)


COMMANDS = (
    ["size", TRACE],
    ["size", TRACE, "--json"],
    ["compare", TRACE, "--heap", "heap_4"],
    ["replay", TRACE, "--heap-size", "46K"],
    ["convert", TRACE, "a.trace"],
    ["--help"],
    ["--version"],
)


@pytest.mark.parametrize("env", [BUFFERED, UNBUFFERED], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", few_of(COMMANDS, [["size", TRACE], ["--help"]]), ids=" ".join)
@pytest.mark.parametrize("redirected", [">&-", ">/dev/full"])
def test_standard_output_that_takes_nothing(
    redirected: str,
    command: list[str],
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = shell(redirected, *command, env=env)
    if redirected == ">/dev/full" and env is UNBUFFERED:  # a print fails, and not the last flush
        assert (done.returncode, done.stderr) == (2, "rtosheap: No space left on device\n")
        return
    said = CLOSED if redirected == ">&-" else FULL
    assert (done.returncode, done.stderr) == (2, said)


def test_more_output_than_is_kept(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    pinned = "".join(f"m {i} 8\nm {1000 + i} 8\n" for i in range(500))
    freed = "".join(f"f {i}\n" for i in range(500))
    trace.write_text(f"# rtosheap-trace 1\n{pinned}{freed}m 5000 5000\n")
    command = ["replay", str(trace), "--heap-size", "20K", "--json"]
    assert len(shell("", *command).stdout) > 20_000
    done = shell(">/dev/full", *command)
    assert (done.returncode, done.stderr) == (2, "rtosheap: No space left on device\n")


def test_standard_input_that_is_closed() -> None:
    done = shell("<&-", "size", "-")
    assert (done.returncode, done.stderr) == (2, "rtosheap: -: standard input is closed\n")
    assert shell("<&-", "size", TRACE).returncode == 0


@pytest.mark.parametrize(
    "redirected",
    few_of(
        ["2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full"], ["2>/dev/full", ">&- 2>&-"]
    ),
)
def test_an_error_that_nobody_can_hear(redirected: str) -> None:
    done = shell(redirected, "size", "missing.trace")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    assert shell(redirected, "size").returncode == 2


@pytest.mark.parametrize(
    "suffix", few_of([".trace", ".trace.gz", ".npz", ".csv", ".rep"], [".trace", ".npz"])
)
def test_a_file_on_a_full_disk_is_named(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"full{suffix}").symlink_to("/dev/full")
    done = shell("", "convert", TRACE, str(tmp_path / f"full{suffix}"))
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == f"rtosheap: {tmp_path}/full{suffix}: No space left on device"


# ---------------------------------------------------------------------- interrupts


@pytest.mark.parametrize(
    "interrupt", few_of([os.kill, os.killpg], [os.killpg]), ids=["one", "group"]
)
def test_an_interrupt_of_several_processes(
    interrupt: Callable[[int, int], None], tmp_path: Path
) -> None:
    """Ctrl-C goes to all of a terminal's group; in both cases the workers end without a word."""
    trace = tmp_path / "long.trace"
    data.load(TRACE).repeat(3000).save(trace)  # longer than this test takes to see the workers
    run = subprocess.Popen(
        [*RTOSHEAP, "compare", str(trace), "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    last_resort = threading.Timer(LAST_RESORT, run.kill)
    last_resort.start()
    try:
        while run.poll() is None and not _at_work(run.pid, 2):
            pass
        workers = _children(run.pid)
        interrupt(run.pid, signal.SIGINT)
        out, error = run.communicate()
    finally:
        last_resort.cancel()
    assert (run.returncode, out, error) == (130, "", "rtosheap: interrupted\n")
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


#: An interrupt in a hook of fork(), whose exceptions Python drops.
FORKING = """
import os, signal, sys
from rtosheap.cli import main

def interrupt():
    if not forked:
        os.kill(os.getpid(), signal.SIGINT)
    forked.append(1)

forked = []
os.register_at_fork(after_in_parent=interrupt)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "command", [["compare", TRACE], ["assess", "gateway"]], ids=["compare", "assess"]
)
def test_an_interrupt_while_processes_start(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, *command, "--jobs", "2"],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "rtosheap: interrupted\n")


LOADING = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "rtosheap.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
import rtosheap.__main__
"""


def test_an_interrupt_while_modules_are_loaded() -> None:
    """Ends the command without a word, unless it is to ignore interrupts, as under nohup."""
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    ignored = LOADING.replace("class", "signal.signal(signal.SIGINT, signal.SIG_IGN)\nclass")
    done = subprocess.run([sys.executable, "-c", ignored], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    command = LOADING.replace("rtosheap.cli", "rtosheap.cli.size")
    command = command.replace("import rtosheap.__main__", "import rtosheap.cli\n")
    command += "sys.exit(rtosheap.cli.main(['size', 'coap-server']))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "rtosheap: interrupted\n")
    raising = "import signal, rtosheap.__main__; signal.raise_signal(signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", raising], capture_output=True, text=True)
    assert done.stderr.endswith("KeyboardInterrupt\n")


def _at_work(pid: int, count: int) -> bool:
    """Whether a process has so many children that do not catch SIGINT."""
    masks = [_caught(child) for child in _children(pid)]
    return sum(not mask >> (signal.SIGINT - 1) & 1 for mask in masks) == count


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _caught(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))


def test_a_worker_that_was_killed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr("rtosheap.cli.compare.run_compare", killed)
    assert main(["compare", TRACE, "--jobs", "2"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "rtosheap: a process of --jobs was killed, as one is when memory runs out\n"
    )


# ---------------------------------------------------------------------- memory

GIB = 1 << 30


def limited(*arguments: str) -> Any:
    """A command line with 4 GiB of addresses."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB))

    return subprocess.run(
        [*RTOSHEAP, *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=LAST_RESORT,
    )


@pytest.fixture
def large(tmp_path: Path) -> str:
    path = tmp_path / "large.trace"
    path.write_text("# rtosheap-trace 1\nm 0 2000000000\nm 1 2000000000\n")
    return str(path)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["size"], "a heap_4 of 16000001024 bytes, to replay the trace in,"),
        (["compare", "--heap", "heap_2"], "a heap_2 of 4000000040 bytes"),
        (
            ["compare", "--jobs", "2", "--heap", "heap_4"],
            "a heap_4 of ",  # whichever of its tasks finds that first
        ),
        (["replay", "--heap-size", "6G"], "a heap_4 of 6442450944 bytes"),
        (
            ["replay", "--heap", "heap_5", "--region", "0x1000:3G", "--region", "0x200000000:3G"],
            "a heap_5 of 6442450944 bytes",
        ),
    ],
)
def test_what_is_too_large_is_named(large: str, command: list[str], what: str) -> None:
    name, *options = command
    done = limited(name, large, "--word-size", "8", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rtosheap: {what}")
    assert done.stderr.endswith("does not fit this machine's memory\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("heap", few_of(NAMES, [name for name in NAMES if name != "heap_3"]))
def test_a_large_heap_to_search_in_lies_in_memory_that_is_taken_when_used(heap: str) -> None:
    regions = [(0x2000_0000, None)] if heap == "heap_5" else None
    problem = SizingProblem(Trace("m", [0], [8]), heap_class(heap), {}, regions=regions)
    assert isinstance(problem.heap(memory._LARGE).memory, mmap.mmap)
    assert isinstance(problem.heap(memory._LARGE - 1).memory, bytearray)
    found = minimum_heap_size(Trace("mm", [0, 1], [memory._LARGE] * 2), heap, regions=regions)
    assert found.exact
    assert 0 < found.size - 2 * memory._LARGE < 64


def test_memory_that_is_not_written_to_takes_no_room() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    arena: Any = memory.zeroed(GIB)
    assert (len(arena), arena[0], arena[GIB // 2], arena[GIB - 1]) == (GIB, 0, 0, 0)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GIB // 4
    with pytest.raises(MemoryError):
        memory.zeroed(1 << 62)
    with pytest.raises(MemoryError):
        memory.zeroed(1 << 70)


def test_a_copy_that_would_end_the_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_available", lambda: 10_000_000)
    trace = Trace("m", [0], [8])
    assert replay(trace, Heap4(memory._LARGE - 1)).failures == 0  # small: it is tried
    with pytest.raises(MemoryError, match="a copy of the heap, to come back to, takes 67,108,864"):
        replay(trace, Heap4(memory._LARGE))
    monkeypatch.setattr(memory, "_available", lambda: None)
    assert replay(trace, Heap4(memory._LARGE)).failures == 0


def test_what_the_system_says_is_left() -> None:
    left = memory._available()
    assert left is not None
    assert 0 < left < 1 << 50


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "rtosheap.cli._arguments._loaded",
            f"the trace {TRACE} does not fit this machine's memory",
        ),
        ("rtosheap.cli.size.minimum_heap_size", "out of memory"),
    ],
)
def test_no_error_of_memory_is_nameless(
    place: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(place, fail)
    assert main(["size", TRACE]) == 2
    assert capsys.readouterr().err == f"rtosheap: {said}\n"
