"""Where there is no memory for what a policy heap keeps outside its arena, it says so."""

from __future__ import annotations

import subprocess
import sys

import pytest
from needs import LAST_RESORT
from parts import few_of

PROGRAM = """
import re, resource, sys
from pathlib import Path
from rtosheap import PolicyHeap

policy = sys.argv[1]
size = 4 * 2**20
memory = bytearray(size)
hard = resource.getrlimit(resource.RLIMIT_AS)[1]

def limit(more):
    used = int(re.search(r"VmSize:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + more, hard))

def runs_out(function):
    # with ever more memory, until there is enough
    said = []
    for more in range(0, 2**26, 2**16):
        limit(more)
        try:
            made = function()
        except MemoryError as error:
            said.append(str(error))
        else:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
            return said, made
    raise AssertionError("there is never enough")

def use(heap):
    addresses = [heap.malloc(size) for size in (100, 20, 300, 40, 7)]
    heap.free(addresses[1])
    heap.free(addresses[2])
    heap.check()
    return addresses

said, heap = runs_out(lambda: PolicyHeap.of(policy)(memory))
assert any("there is no memory for an index of 4194304 bytes" in text for text in said), said
addresses = use(heap)

said, again = runs_out(heap.copy)
assert len(said) > 0
assert again._snapshot() == heap._snapshot()
again.check()

# A reset without memory for another index takes the one that there is.
limit(0)
heap.reset()
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
heap.check()
assert use(heap) == addresses
print("whole")
"""


POLICIES = [
    "first-fit/address",
    "next-fit/lifo",
    "best-fit/address",
    "best-fit/fifo",
    "best-fit/size/non-coalescing",
    "tlsf",
    "buddy/lifo",
]


@pytest.mark.parametrize("policy", few_of(POLICIES, ["best-fit/fifo", "tlsf"]))
def test_without_memory_for_the_index(policy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, policy],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr
