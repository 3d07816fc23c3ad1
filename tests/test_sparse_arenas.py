"""Two sparse gigabytes under a heap cost what is used of them, whatever is set up over them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from needs import LAST_RESORT

#: What a 32-bit heap can have, in pages.
SIZE = 2**31 - 2**12
#: All that a set-up and a few calls may touch: pages, and where the machine has them huge ones.
MEBIBYTES = 48

PROGRAM = """
import mmap, re, resource, sys
from pathlib import Path
from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, _core

name, size, word = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

memory = memoryview(mmap.mmap(-1, size))
pieces = [memory[: size // 2], memory[size // 2 :]] if name == "Heap5" else [memory]
options = {} if name == "Heap3" else {"word_size": word}
kind = globals()[name]
before = peak()
if name == "Heap5":
    heap = kind([(2**16, pieces[0]), (2**31, pieces[1])], **options)
else:
    heap = kind(memory, **options)

def use():
    addresses = [heap.malloc(100) for _ in range(100)]
    large = heap.malloc(size // 3)
    assert None not in [*addresses, large]
    if name != "Heap1":
        heap.free(addresses[3])
        heap.free(large)
    heap.check()

use()
for _ in range(3):
    heap.reset()
    use()
again = _core._restore(kind, pieces, heap._snapshot())
assert again.free_size == heap.free_size
heap = again
use()
print((peak() - before) // 1024)
"""


@pytest.mark.parametrize(
    ("name", "word"),
    [("Heap1", 4), ("Heap2", 4), ("Heap3", 4), ("Heap4", 4), ("Heap5", 4), ("Heap4", 8)],
)
def test_two_sparse_gigabytes_cost_what_is_used(name: str, word: int) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, name, str(SIZE), str(word)],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) < MEBIBYTES
