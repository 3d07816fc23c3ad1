"""No content of an arena crashes the interpreter: 100,000 random corruptions over all heaps.

They run in a subprocess under faulthandler. Each ends in results or in HeapErrors, and whatever
the heap did in between, a block that it handed out lies in its regions and overlaps no other.
"""

from __future__ import annotations

import ast
import os
import pickle
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import LAST_RESORT

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, HeapError, Trace, replay

BASE = 0x2000_0000
WORDS = (0, 8, 0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFF8, BASE, BASE + 8, BASE - 8, 0x4141_4141)


def build(rng: random.Random) -> Any:
    """A heap with some history."""
    kind = rng.randint(1, 5)
    options: dict[str, Any] = {}
    size = rng.randint(200, 1500)
    if kind != 3:
        options["word_size"] = rng.choice((4, 8))
        options["alignment"] = rng.choice([a for a in (4, 8, 16) if a >= options["word_size"]])
    if kind in (2, 4, 5):
        options["clear_on_free"] = rng.random() < 0.3
    if kind >= 4 and rng.random() < 0.3:
        options["canary"] = rng.getrandbits(8 * options["word_size"])
    if kind == 5:
        parts = [(BASE + i * 0x1000, bytearray(size // 2 + i)) for i in range(rng.randint(1, 3))]
        return Heap5(parts, **options)
    cls: Any = (Heap1, Heap2, Heap3, Heap4)[kind - 1]
    return cls(bytearray(size), base_address=BASE + rng.randint(0, 20), **options)


def scribble(rng: random.Random, heap: Any) -> None:
    memory = rng.choice(heap.regions).memory
    at = rng.randrange(len(memory))
    what = rng.randrange(5)
    if what == 0:
        memory[at] ^= 1 << rng.randrange(8)
    elif what == 1:
        memory[at] = rng.randrange(256)
    elif what == 2:
        at = at // 4 * 4
        data = rng.choice(WORDS).to_bytes(4, "little") * rng.randint(1, 4)
        memory[at : at + len(data)] = data[: len(memory) - at]
    elif what == 3:
        other = rng.randrange(len(memory) - 8)
        data = bytes(memory[other : other + 8])  # a header of another block
        memory[at : at + 8] = data[: len(memory) - at]
    else:
        count = min(rng.randint(1, 200), len(memory) - at)
        memory[at : at + count] = rng.randbytes(count)


def held(heap: Any, live: dict[int, int], address: int, size: int) -> None:
    assert any(
        region.address <= address and address + size <= region.address + len(region.memory)
        for region in heap.regions
    )
    for other, length in live.items():
        assert address + size <= other or other + length <= address


def attack(seed: int) -> str:
    """One corruption of one heap, and what its calls said."""
    rng = random.Random(seed)
    heap = build(rng)
    live: dict[int, int] = {}
    errors: Counter[str] = Counter()

    def call(function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except HeapError as error:
            errors[type(error).__name__] += 1
            return error

    def step() -> None:
        if live and rng.random() < 0.45:
            address = rng.choice(list(live))
            if not isinstance(call(heap.free, address), HeapError):
                del live[address]
            return
        size = rng.choice((1, 8, 24, 60, 200))
        address = call(heap.malloc, size)
        if isinstance(address, int):
            held(heap, live, address, size)
            live[address] = size

    for _ in range(rng.randint(0, 12)):
        step()
    scribble(rng, heap)
    for _ in range(8):
        step()
    for looked in (heap.check, heap.stats, heap.blocks, heap.free_blocks, heap.copy):
        if rng.random() < 0.3:
            call(looked)
    if live and rng.random() < 0.3:
        address = rng.choice(list(live))
        call(heap.view, address)
        call(heap.usable_size, address)
    if rng.random() < 0.1:
        repr(heap)
        heap._repr_html_()
        call(lambda: pickle.loads(pickle.dumps(heap)))
    if rng.random() < 0.1:
        n = 30
        ops = "m" * n + "f" * n
        sizes = np.array([rng.randint(1, 60) for _ in range(n)] + [0] * n)
        trace = Trace(ops, id=[*range(n), *range(n)], size=sizes)
        call(replay, trace, heap)
    call(heap.reset)
    heap.check()
    return "corrupt" if errors["HeapCorruptionError"] else "refused" if errors else "fine"


def main(first: int, last: int) -> None:
    outcomes = Counter(attack(seed) for seed in range(first, last))
    print(dict(outcomes))


@pytest.mark.long
def test_a_hundred_thousand_corruptions() -> None:
    command = [sys.executable, "-X", "faulthandler", __file__]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    runs = [
        subprocess.Popen(
            [*command, str(first), str(first + 50_000)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        for first in (0, 50_000)
    ]
    for process in runs:
        out, err = process.communicate(timeout=LAST_RESORT)
        assert process.returncode == 0, err[-3000:]
        outcomes = ast.literal_eval(out)
        assert sum(outcomes.values()) == 50_000
        assert outcomes["corrupt"] > 4_000  # that many seeds write where a call then looks
        assert outcomes["fine"] > 30_000


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
