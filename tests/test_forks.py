"""A process that is forked while another thread replays: the child's heaps are of use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from needs import LAST_RESORT
from parts import few_of
from test_threads import HEAPS

COMMON = """
import os, sys, threading, warnings
sys.path[:0] = {path!r}
warnings.simplefilter("ignore")  # newer Pythons warn of any fork beside threads
from test_threads import HEAPS, trace_of
from rtosheap import replay

def child(work):
    "What it did in a child, as a text."
    there, here = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(there)
        try:
            answer = work()
        except BaseException as error:
            answer = f"{{type(error).__name__}}: {{error}}"
        os.write(here, answer.encode())
        os._exit(0)
    os.close(here)
    with open(there) as stream:
        answer = stream.read()
    assert os.waitpid(pid, 0)[1] == 0
    return answer

def use(heap):
    heap.check()
    blocks = heap.blocks()
    address = heap.malloc(24)
    assert address is not None
    heap.free(address)
    replay(trace_of(7, 1000), heap)
    heap.check()
    heap.reset()
    assert heap.malloc(24) is not None
    return "fine"

trace = trace_of(1, 20_000)
heap = HEAPS[{name!r}](memoryview(bytearray(9000)))
"""

BETWEEN_BATCHES = """
started, forked = threading.Event(), threading.Event()

def progress(done, total):
    started.set()
    forked.wait()

thread = threading.Thread(target=replay, args=(trace, heap), kwargs={{"progress": progress}})
thread.start()
started.wait()
answers = {{child(lambda: use(heap))}}
try:
    heap.check()
except RuntimeError as error:
    assert "busy" in str(error)
else:
    raise AssertionError("the replay is still at work here")
forked.set()
thread.join()
heap.check()
print(*answers)
"""

AT_ANY_MOMENT = """
stop = threading.Event()

def work():
    while not stop.is_set():
        replay(trace, heap, record=())
        heap.reset()

thread = threading.Thread(target=work)
thread.start()
answers = {{child(lambda: use(heap)) for _ in range(100)}}
stop.set()
thread.join()
heap.check()
print(*answers)
"""

IN_PROGRESS = """
answers = set()

def progress(done, total):
    if not answers:
        pid = os.fork()
        answers.add("child" if pid == 0 else str(pid))

try:
    replay(trace, heap, progress=progress)
    done = "all"
except RuntimeError as error:
    done = str(error)
if "child" in answers:
    assert "replay goes on in its parent" in done
    assert use(heap) == "fine"
    os._exit(0)
assert done == "all"
assert os.waitpid(int(answers.pop()), 0)[1] == 0
print(use(heap))
"""


PROGRAMS = ["BETWEEN_BATCHES", "AT_ANY_MOMENT", "IN_PROGRESS"]


@pytest.mark.parametrize("name", few_of(HEAPS, ["heap_4"]))
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_fork_during_a_replay(name: str, program: str) -> None:
    code = (COMMON + globals()[program]).format(path=[str(Path(__file__).parent)], name=name)
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "fine\n"
