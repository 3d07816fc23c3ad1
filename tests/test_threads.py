"""Threads: a heap in use says so, a scribbler cannot mislead one, and many heaps share nothing."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import LAST_RESORT
from parts import few_of

from rtosheap import Heap2, Heap3, Heap4, Heap5, InvalidFreeError, Trace, replay

#: What two threads on one heap have to see before the test ends, however long that takes.
ENOUGH = {"replays": 20, "calls": 200, "refused": 200}


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


class Duel:
    """A thread that replays on a heap, and one that calls it; who comes second is refused."""

    def __init__(self, heap: Any, trace: Trace) -> None:
        self.heap, self.trace = heap, trace
        self.counts = dict.fromkeys(ENOUGH, 0)
        self.problems: list[BaseException] = []
        self.stop = threading.Event()
        self.served = threading.Semaphore(0)  # a call; else the replays would leave it no turn

    def replays(self) -> None:
        replay(self.trace, self.heap, record=())
        self.heap.reset()
        self.counts["replays"] += 1
        assert self.served.acquire(timeout=LAST_RESORT)

    def calls(self) -> None:
        address = self.heap.malloc(24)
        with contextlib.suppress(InvalidFreeError):  # the other one has reset the heap
            self.heap.free(address)
        self.heap.check()
        self.heap.stats()
        self.counts["calls"] += 1
        self.served.release()

    def until_enough(self, turn: Callable[[], None]) -> None:
        try:
            while not self.stop.is_set():
                try:
                    turn()
                except RuntimeError as error:
                    if "the heap is busy" not in str(error):
                        raise
                    self.counts["refused"] += 1
                if all(self.counts[what] >= enough for what, enough in ENOUGH.items()):
                    break
        except BaseException as error:
            self.problems.append(error)
        finally:
            self.stop.set()
            self.served.release()


@pytest.mark.parametrize("name", HEAPS)
def test_two_threads_on_one_heap_never_corrupt_it(name: str) -> None:
    """Both replay and call; whoever comes second gets its RuntimeError."""
    heap = HEAPS[name](memoryview(bytearray(9000)))
    duel = Duel(heap, trace_of(1, 20_000))
    threads = [
        threading.Thread(target=duel.until_enough, args=(turn,))
        for turn in (duel.replays, duel.calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not duel.problems
    heap.check()
    assert all(duel.counts[what] >= enough for what, enough in ENOUGH.items()), duel.counts


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
            place = rng.randrange(9000 - 8)
            memory[place : place + 8] = rng.randbytes(8)

thread = threading.Thread(target=scribble)
thread.start()
turns = corrupt = 0
while turns < 60 or not corrupt:  # a busy machine may keep the scribbler waiting
    turns += 1
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


@pytest.mark.parametrize("name", few_of(HEAPS, ["heap_4"]))
def test_a_scribbler_never_makes_the_replay_leave_the_arena(name: str) -> None:
    code = SCRIBBLER.format(path=[str(Path(__file__).parent)], name=name)
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
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
