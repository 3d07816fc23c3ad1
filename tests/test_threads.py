"""Threads: the core shares nothing, a heap in use says so, and a scribbler cannot mislead one.

The shorter thread tests of replay() lie in test_replay.py.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctools import WARNINGS, run
from needs import ROOT, tool

from rtosheap import Heap2, Heap3, Heap4, Heap5, HeapError, Trace, replay

HOST = ROOT / "csrc" / "host"
SECONDS = 3.0


def test_the_core_under_threads_and_thread_sanitizer(tmp_path: Path) -> None:
    program = tmp_path / "threads"
    sources = [HOST / name for name in ("core_w32.c", "core_w64.c", "ops.c", "replay.c")]
    here = ROOT / "tests" / "c"
    run(
        [
            *(tool("clang"), "-g", "-O1", "-fsanitize=thread", *WARNINGS, "-pthread"),
            *('-DRH_CONFIG_FILE="threads_config.h"', f"-I{here}", f"-I{ROOT / 'csrc' / 'core'}"),
            *(f"-I{HOST}", here / "threads.c", *sources, "-o", program),
        ]
    )
    done = run([program], env={"TSAN_OPTIONS": "halt_on_error=1"})
    assert int(done.stdout) > 0  # the scribblers were seen
    assert "WARNING: ThreadSanitizer" not in done.stderr


def trace_of(seed: int, events: int = 40_000) -> Trace:
    rng = random.Random(seed)
    live: list[int] = []
    rows: list[Any] = []
    for number in range(events):
        if live and (len(live) > 60 or rng.random() < 0.45):
            rows.append(("f", live.pop(rng.randrange(len(live)))))
        else:
            live.append(number)
            rows.append(("m", number, rng.randint(1, 200)))
    return Trace.from_events(rows)


HEAPS = {
    "heap_2": lambda memory: Heap2(memory),
    "heap_3": lambda memory: Heap3(memory),
    "heap_4": lambda memory: Heap4(memory, canary=0x55AA_1234),
    "heap_5": lambda memory: Heap5(
        [(0x1000_0000, memory[:4000]), (0x2000_0000, memory[4000:])],
    ),
}


@pytest.mark.parametrize("name", HEAPS)
def test_two_threads_on_one_heap_never_corrupt_it(name: str) -> None:
    """Both replay and call; whoever comes second gets its RuntimeError."""
    heap = HEAPS[name](memoryview(bytearray(9000)))
    trace = trace_of(1, 20_000)
    counts = {"busy": 0, "done": 0}
    problems: list[BaseException] = []
    stop = threading.Event()

    def replays() -> None:
        while not stop.is_set():
            try:
                replay(trace, heap, record=())
                heap.reset()
                counts["done"] += 1
            except RuntimeError:
                counts["busy"] += 1

    def calls() -> None:
        while not stop.is_set():
            try:
                heap.malloc(24)
                heap.check()
                heap.stats()
                counts["done"] += 1
            except RuntimeError:
                counts["busy"] += 1
            except HeapError as error:
                problems.append(error)
                return

    threads = [threading.Thread(target=function) for function in (replays, calls)]
    for thread in threads:
        thread.start()
    stop.wait(SECONDS / 4)
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
    heap.check()
    assert counts["busy"] > 0
    assert counts["done"] > 0


SCRIBBLER = """
import random, sys, threading
sys.path[:0] = {path!r}
from test_threads import HEAPS, trace_of
from rtosheap import HeapCorruptionError, replay

guard = 4096
whole = bytearray(9000 + 2 * guard)
memory = memoryview(whole)[guard:-guard]
trace = trace_of(2)
stop = threading.Event()

def scribble():
    rng = random.Random(3)
    while not stop.is_set():
        for _ in range(100):
            memory[rng.randrange(9000)] = rng.randrange(256)

thread = threading.Thread(target=scribble)
thread.start()
corrupt = 0
for turn in range(60):
    heap = HEAPS[{name!r}](memory)
    try:
        replay(trace, heap, record=())
    except HeapCorruptionError as error:
        assert error.event is not None
        corrupt += 1
stop.set()
thread.join()
assert not any(whole[:guard]) and not any(whole[-guard:]), "left the arena"
print(corrupt)
"""


@pytest.mark.parametrize("name", HEAPS)
def test_a_scribbler_never_makes_the_replay_leave_the_arena(name: str) -> None:
    code = SCRIBBLER.format(path=[str(Path(__file__).parent)], name=name)
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 0


def test_many_heaps_in_many_threads() -> None:
    trace = trace_of(4, 10_000)
    expected = replay(trace, Heap4(16384))["address"]
    results: list[Any] = []

    def work() -> None:
        results.append(replay(trace, Heap4(16384))["address"])

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16
    assert all(np.array_equal(result, expected) for result in results)
