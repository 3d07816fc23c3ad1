"""What a foreign allocator may do wrong: an error that names the event, and nothing left behind."""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
import traces
from ctools import run
from foreign_libraries import BITS, FOREIGN, SOURCES, library
from needs import LAST_RESORT, tool
from parts import few_of

from rtosheap import ForeignError, ForeignHeap, Trace, replay
from rtosheap.allocators._foreign_process import Process
from rtosheap.allocators._foreign_wire import CALLS, TOLD

#: At the sixth malloc, by fault: the reason, and what the message says.
FAULTS = {
    "CRASH": ("crash", "rh_foreign_malloc died of SIGSEGV"),
    "LOOP": ("stuck", "rh_foreign_malloc made no progress for 7200 s"),
    "SLEEP": ("stuck", "rh_foreign_malloc made no progress for 7200 s"),
    "EXIT": ("exit", r"rh_foreign_malloc ended the process: exit\(7\)"),
    "ABORT": ("crash", "died of SIGABRT.*\nIt printed: block list corrupt"),
    "MISALIGNED": ("misaligned", "15 bytes at 0x200000b4, an address that is not 8-aligned"),
    "OVERLAP": ("overlaps", "overlap the live block of 14 bytes at 0x20000090 that event 4 gave"),
    "OUTSIDE": (
        "outside",
        "15 bytes at 0x20000ff8, not all in the arena, 0x20000000 to",
    ),
    "FOREIGN": ("outside", "not all in the arena"),
    "NEIGHBOUR": (
        "payload",
        "byte 3 of the live block of 14 bytes at 0x20000090 that event 4 gave",
    ),
    "GUARD": ("crash", "rh_foreign_malloc died of SIGSEGV"),
    "USABLE": ("usable_size", "rh_foreign_usable_size said 1 of 15 bytes at 0x200000b0"),
    "FREE_SIZE": ("free_size", "rh_foreign_free_size said 4097, in an arena of 4096 bytes"),
    "WALK": ("walk", "rh_foreign_walk visited a free block of"),
}
EVENTS = [("m", i, 10 + i) for i in range(20)] + [("f", i) for i in range(0, 20, 2)]
TRACE = Trace.from_events(EVENTS)


def children() -> set[int]:
    """Processes of this one, the dead that nobody has waited for included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(number) for number in (task / "children").read_text().split()}
    return found


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Holds that no process, descriptor or file is left that was not there before."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    gc.collect()
    before = children(), len(descriptors())
    yield
    gc.collect()
    assert children() <= before[0]
    assert len(descriptors()) <= before[1]
    assert not list(temporary.iterdir())


def is_in(process: Process, call: str, done: int) -> bool:
    return (process.told("call"), process.told("done")) == (CALLS.index(call), done)


def hours_pass(monkeypatch: pytest.MonkeyPatch, call: str, done: int) -> None:
    """Whenever a process that is in this call, after so many events, is looked at."""
    clock = [0.0]

    def now(process: Process) -> float:
        clock[0] += 2 * LAST_RESORT * is_in(process, call, done)
        return clock[0]

    monkeypatch.setattr(Process, "_now", now)


@contextmanager
def interrupted_at(heap: ForeignHeap, reached: Callable[[Process], bool]) -> Iterator[None]:
    """Control-C, when the heap's process has come so far."""
    process, over = heap._session.process(), threading.Event()

    def wait() -> None:
        while not over.is_set() and not reached(process):
            time.sleep(0.001)
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


#: Each fault in one width, the widths in turn.
FEW_FAULTS = list(zip(FAULTS, cycle(BITS)))


@pytest.mark.parametrize(("fault", "bits"), few_of(product(FAULTS, BITS), FEW_FAULTS))
def test_a_fault_is_an_error_that_names_the_event(
    tmp_path: Path, left_behind: None, monkeypatch: pytest.MonkeyPatch, fault: str, bits: int
) -> None:
    built = library(tmp_path, "simple.c", "TELLS", f"FAULT={fault}", "FAULT_AT=5", bits=bits)
    heap = ForeignHeap.load(built, 4096, timeout=LAST_RESORT)
    reason, text = FAULTS[fault]
    if reason == "stuck":
        hours_pass(monkeypatch, "malloc", 5)
    message = rf"tried: event 5, malloc\(15\): (.|\n)*{text}"
    with pytest.raises(ForeignError, match=message) as found:
        replay(TRACE, heap, record="all")
    assert (found.value.event, found.value.reason) == (5, reason)
    with pytest.raises(ForeignError, match="it came to its end before: tried: event 5") as again:
        heap.malloc(8)
    assert again.value.reason == "ended"
    heap.reset()
    assert heap.malloc(8) == 0x2000_0010
    del heap, found, again


def test_faults_are_tried_all() -> None:
    text = (Path(__file__).parent / "foreign" / "simple.c").read_text()
    listed = text.split("enum {")[1].split("}")[0].replace(",", " ").split("/*")[0].split()
    assert {*FAULTS, "NO_FAULT", "MARGIN", "RECORDS", "CUT", "LATE"} == set(listed)


def test_a_write_is_found_where_it_was_done(tmp_path: Path, left_behind: None) -> None:
    """Though the block lives on to the end of the trace, many events later."""
    built = library(tmp_path, "simple.c", "FAULT=LATE", "FAULT_AT=5")
    trace = Trace.from_events(EVENTS[:20] + [("m", 30, 8), ("f", 30)] * 5)
    with pytest.raises(ForeignError, match=r"event 5, .* event 4 gave was written to$") as found:
        replay(trace, ForeignHeap.load(built, 4096))
    assert found.value.event == 5
    replay(trace, ForeignHeap.load(built, 4096, checks="addresses"))


def test_a_write_before_the_replay_is_no_event_of_it(tmp_path: Path) -> None:
    built = library(tmp_path, "simple.c", "FAULT=LATE", "FAULT_AT=2")
    heap = ForeignHeap.load(built, 4096)
    for size in (8, 9, 10):
        heap.malloc(size)
    with pytest.raises(ForeignError, match="before the first event: byte 3 of") as found:
        replay(TRACE, heap)
    assert found.value.event is None


def test_what_lies_beside_the_arena_is_watched(tmp_path: Path, left_behind: None) -> None:
    """The page does not end with the arena."""
    built = library(tmp_path, "simple.c", "FAULT=MARGIN", "FAULT_AT=5")
    with pytest.raises(ForeignError, match=r"event 5, .*: 0x20000ff0, beside the arena,") as found:
        replay(TRACE, ForeignHeap.load(built, 4080))
    assert (found.value.event, found.value.reason) == (5, "margin")


def test_of_all_that_it_prints_the_end_is_kept(tmp_path: Path, left_behind: None) -> None:
    """What it writes to lies in memory: gigabytes must not."""
    heap = ForeignHeap.load(library(tmp_path), 4096)
    output = heap._session.process()._output
    os.write(output, b"a line\n" * 1_000_000 + b"the last\n")
    heap.malloc(8)
    assert os.fstat(output).st_size == 2000
    os.write(output, b"after it\n")
    assert heap.output.endswith("a line\nthe last\nafter it")
    del heap


#: The words of the records, and one of the columns that lie behind them.
WORDS = ["513", *map(str, range(len(TOLD)))]


@pytest.mark.parametrize("word", few_of(WORDS, ["513", str(TOLD.index("complaint")), *WORDS[1::8]]))
def test_results_that_were_overwritten_are_none(
    tmp_path: Path, left_behind: None, word: str
) -> None:
    """An entry of a column, or a word of those that lie before: an error, or it is written anew."""
    built = library(tmp_path, "simple.c", "FAULT=RECORDS", "FAULT_AT=5", f"RECORD={word}")
    sound = replay(TRACE, ForeignHeap.load(library(tmp_path, name="sound.so"), 4096))
    heap = ForeignHeap.load(built, 4096, alignment=8)
    if word in ("513", str(TOLD.index("complaint"))):
        with pytest.raises(ForeignError, match="the records of the run itself were overwritten"):
            replay(TRACE, heap)
    else:
        result = replay(TRACE, heap)
        assert all((result[name] == sound[name]).all() for name in sound)
        assert result.summary()[1:] == sound.summary()[1:]


def test_what_is_shared_cannot_be_cut_off(tmp_path: Path, left_behind: None) -> None:
    """Who reads beyond a file's end dies of it: the interpreter would."""
    built = library(tmp_path, "simple.c", "FAULT=CUT", "FAULT_AT=5")
    sound = replay(TRACE, ForeignHeap.load(library(tmp_path, name="sound.so"), 4096))
    result = replay(TRACE, ForeignHeap.load(built, 4096))
    assert all((result[name] == sound[name]).all() for name in sound)


def test_realloc_that_loses_bytes(tmp_path: Path, left_behind: None) -> None:
    built = library(tmp_path, "simple.c", "REALLOCATES", "LOSES")
    trace = Trace.from_events([("m", 0, 20), ("m", 1, 8), ("r", 0, 200)])
    with pytest.raises(ForeignError, match=r"event 2, .* lost byte 0 of the live block") as found:
        replay(trace, ForeignHeap.load(built, 4096))
    assert (found.value.event, found.value.reason) == (2, "lost")


def test_a_call_that_goes_wrong_names_itself(tmp_path: Path, left_behind: None) -> None:
    heap = ForeignHeap.load(library(tmp_path, "simple.c", "FAULT=CRASH", "FAULT_AT=1"), 4096)
    heap.malloc(8)
    with pytest.raises(ForeignError, match=r"tried: malloc\(77\): rh_foreign_malloc died") as found:
        heap.malloc(77)
    assert found.value.event is None
    built = library(tmp_path, "simple.c", "TELLS", "FAULT=USABLE", "FAULT_AT=0")
    heap = ForeignHeap.load(built, 4096)
    address = heap.malloc(8)
    with pytest.raises(ForeignError, match="tried: usable_size: rh_foreign_usable_size said 1 of"):
        heap.usable_size(address)


def test_what_it_prints_is_kept_and_goes_nowhere(
    tmp_path: Path, left_behind: None, capfd: pytest.CaptureFixture[str]
) -> None:
    heap = ForeignHeap.load(library(tmp_path, "simple.c", "PRINTS"), 4096)
    replay(TRACE, heap)
    text = heap.output
    assert text.startswith("hello from init\nand from stderr\nmalloc 10\n")
    assert text.endswith("malloc 29")
    many = Trace("mf" * 100_000, id=[0] * 200_000, size=[8, 0] * 100_000)
    replay(many, heap)  # it may print more than is kept
    assert len(heap.output) < 3000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("__builtin_trap();", "loading it died of SIG"),
        ("for (;;) continue;", "loading it made no progress for 7200 s"),
    ],
)
def test_a_constructor_that_goes_wrong(
    tmp_path: Path, left_behind: None, monkeypatch: pytest.MonkeyPatch, code: str, text: str
) -> None:
    source = tmp_path / "begins.c"
    source.write_text(f"__attribute__((constructor)) static void begin(void) {{ {code} }}\n")
    built = tmp_path / "begins.so"
    run([tool("gcc"), "-shared", "-fPIC", source, "-o", built])
    hours_pass(monkeypatch, "load", 0)
    with pytest.raises(ForeignError, match=text):
        ForeignHeap.load(built, 4096, timeout=LAST_RESORT)


def test_an_interrupt_of_a_call_loses_no_block(
    tmp_path: Path, left_behind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heap = ForeignHeap.load(library(tmp_path, "simple.c", "TELLS"), 1 << 20)
    heap.malloc(8)
    ask = Process.ask

    def interrupted(process: Process, *arguments: Any) -> BaseException:
        ask(process, *arguments)
        return KeyboardInterrupt()

    with monkeypatch.context() as patched:
        patched.setattr(Process, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            heap.malloc(8)
    assert [size for _, size in heap._live_blocks()] == [8, 8]
    heap.free(0x2000_0030)
    assert heap.copy().free_size == heap.free_size == (1 << 20) - 32
    del heap


def test_an_interrupt_ends_a_load(
    tmp_path: Path, left_behind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(process: Process) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(Process, "_now", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ForeignHeap.load(library(tmp_path), 4096)


def test_where_nobody_waits_for_children(tmp_path: Path) -> None:
    """With SIGCHLD ignored the system itself takes notice of a child's end."""
    built = library(tmp_path, "simple.c", "FAULT=CRASH", "FAULT_AT=1")
    code = (
        "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from rtosheap import ForeignError, ForeignHeap\n"
        f"heap = ForeignHeap.load({str(built)!r}, 4096)\nheap.malloc(8)\n"
        "try:\n    heap.malloc(9)\nexcept ForeignError as error:\n    print(error)\n"
    )
    done = run([sys.executable, "-c", code])
    assert done.stdout.startswith("tried: malloc(9): rh_foreign_malloc ")


def test_a_library_that_cannot_be_loaded(tmp_path: Path, left_behind: None) -> None:
    source = tmp_path / "lacks.c"
    source.write_text("extern int not_there(void);\nint calls(void) { return not_there(); }\n")
    built = tmp_path / "lacks.so"
    run([tool("gcc"), "-shared", "-fPIC", source, "-o", built])
    with pytest.raises(ForeignError, match=r"lacks cannot be loaded: .*not_there"):
        ForeignHeap.load(built, 4096)


def test_heaps_that_are_used_and_forgotten(tmp_path: Path, left_behind: None) -> None:
    built, others = library(tmp_path, "simple.c", "TELLS"), children()
    heap = ForeignHeap.load(built, 4096)
    result = replay(TRACE, heap)
    assert len(children() - others) == 1
    at = result.heap_at(10)
    at.malloc(8)
    assert len(children() - others) == 2
    at.close()
    assert len(children() - others) == 1


def test_an_interrupt_ends_a_replay_after_an_event(tmp_path: Path, left_behind: None) -> None:
    """Control-C at a long replay; the heap is as the last event left it."""
    heap = ForeignHeap.load(library(tmp_path, "simple.c", "TELLS"), 1 << 20)
    replay(Trace.from_events([("m", i, 8) for i in range(3000)]), heap)  # walked over from now on
    n = 100_000
    trace = Trace("mf" * n, id=[0] * (2 * n), size=[8, 0] * n)
    with interrupted_at(heap, lambda process: 3000 > process.told("done") > 100):  # noqa: SIM117
        with pytest.raises(KeyboardInterrupt):
            replay(trace, heap, record="all")
    heap.check()
    assert heap.free_size in {(1 << 20) - 32 * 3000 - gone for gone in (0, 32)}
    assert heap.copy().free_size == heap.free_size
    del heap


def test_an_interrupt_ends_an_endless_loop(tmp_path: Path, left_behind: None) -> None:
    built, others = library(tmp_path, "simple.c", "FAULT=LOOP", "FAULT_AT=5"), children()
    heap = ForeignHeap.load(built, 4096, timeout=LAST_RESORT)
    with interrupted_at(heap, lambda process: is_in(process, "malloc", 5)):  # noqa: SIM117
        with pytest.raises(KeyboardInterrupt):
            replay(TRACE, heap)
    assert not children() - others
    assert heap.malloc(8) == 0x2000_0010  # as it was before
    del heap


def test_a_process_that_ends_takes_its_allocators_along(tmp_path: Path) -> None:
    """Killed in the midst of an endless loop, which cannot see it."""
    built = library(tmp_path, "simple.c", "FAULT=LOOP", "FAULT_AT=0")
    code = (
        "import sys\nfrom rtosheap import ForeignHeap\n"
        f"heap = ForeignHeap.load({str(built)!r}, 4096, timeout=7200)\n"
        "print(heap._session.process().pid, flush=True)\nheap.malloc(8)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as python:
        assert python.stdout is not None
        pid = int(python.stdout.readline())
        handle = os.pidfd_open(pid)
        python.send_signal(signal.SIGKILL)
        python.wait()
    try:
        assert select.select([handle], [], [], LAST_RESORT)[0]
    finally:
        os.close(handle)


def test_what_runs_it_is_sound_itself(
    tmp_path: Path, left_behind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sanitized: recorded traces, in arenas at odd places, with realloc, copies, walks, checks."""
    monkeypatch.setenv("RTOSHEAP_CACHE", str(tmp_path / "cache"))
    cc = f"{tool('gcc')} -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    events = 0
    for source in ("our_heap_4.c", "simple.c"):
        built = library(tmp_path, source, "TELLS", "REALLOCATES", name=f"lib{source}.so")
        for base, size in ((0x2000_0008, 20_000), (0x1000, 40_000), (0x7FFF_F000, 4096)):
            for checks in ("payloads", "addresses", None):
                heap = ForeignHeap.load(
                    built,
                    size,
                    base_address=base,
                    checks=checks,  # type: ignore[arg-type]
                    cc=cc,
                )
                for name in ("coap-server", "png-decode"):
                    trace = Trace.load(traces.path(name))
                    replay(trace, heap, record="all")
                    events += len(trace)
                heap.copy().check()
                heap.free_blocks()
    assert events == 18 * (1_225 + 294)


@pytest.mark.parametrize("end", ["close", "crash"])
def test_what_it_has_started_ends_with_it(tmp_path: Path, left_behind: None, end: str) -> None:
    source = tmp_path / "forks.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        "__attribute__((constructor)) static void begin(void) {\n"
        "    const int child = fork();\n    if (child == 0) pause();\n"
        '    printf("%d\\n", child);\n}\n'
        f'#include "{SOURCES / "bump.c"}"\n'
        "int boom(void) { return *(volatile int *volatile)8; }\n"
        "void rh_foreign_walk(rh_foreign_visitor visit, void *context) {\n"
        "    visit(context, (size_t)boom(), 0, context);\n}\n"
    )
    built = tmp_path / "forks.so"
    run([tool("gcc"), "-shared", "-fPIC", f"-I{FOREIGN}", source, "-o", built])
    heap = ForeignHeap.load(built, 4096)
    handle = os.pidfd_open(int(heap.output))
    if end == "close":
        heap.close()
    else:
        with pytest.raises(ForeignError, match="rh_foreign_walk died of SIGSEGV"):
            heap.free_blocks()
    assert select.select([handle], [], [], LAST_RESORT)[0]
    os.close(handle)
    del heap


def test_a_fork_does_not_speak_for_its_parent(tmp_path: Path, left_behind: None) -> None:
    heap = ForeignHeap.load(library(tmp_path), 4096)
    child = os.fork()
    if child == 0:
        try:
            heap.malloc(8)
        except RuntimeError as error:
            os._exit(0 if "was forked" in str(error) else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert heap.malloc(8) == 0x2000_0010
    del heap


def test_more_descriptors_than_1024(tmp_path: Path, left_behind: None) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096 <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    many = [os.dup(0) for _ in range(1100)]
    try:
        assert ForeignHeap.load(library(tmp_path), 4096).malloc(8) == 0x2000_0010
    finally:
        for descriptor in many:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_threads_do_not_speak_at_once(tmp_path: Path, left_behind: None) -> None:
    heap = ForeignHeap.load(library(tmp_path), 4096)

    def inside(done: int, total: int) -> None:
        with pytest.raises(RuntimeError, match="is at work in another call"):
            heap.malloc(8)

    replay(TRACE, heap, progress=inside)
