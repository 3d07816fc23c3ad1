"""Prints a digest of what heap_4 and heap_5 do with each recorded trace and day: every column of
the replay, and the arena's bytes. Builds of the extension are compared by it.

    python tests/replay_digests.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import traces

from rtosheap import Heap4, Heap5, Trace, data, replay
from rtosheap.replays import COLUMNS

BASE = 0x2000_0000
FIRMWARE = ("gateway", "server", "recorder")


def recordings() -> Iterator[tuple[str, Trace]]:
    for name in traces.all_names():
        yield name, traces.load(name)
    for firmware in FIRMWARE:
        for day in data.days(firmware):
            yield str(day.name), day


def heaps(size: int, word: int) -> Iterator[Heap4 | Heap5]:
    """Of so many bytes; one that clears and has a canary, and one whose regions adjoin in part."""
    yield Heap4(size, word_size=word)
    yield Heap4(size, word_size=word, clear_on_free=True, canary=0x5EED_CA9A)
    part = size // 3
    last = BASE + size + 0x1_0000
    yield Heap5([(BASE, part), (BASE + part, part), (last, size - 2 * part)], word_size=word)


def digests(trace: Trace, word: int) -> Iterator[tuple[str, int]]:
    """And how many allocations failed."""
    peak = max(trace.peak_live_bytes, 256)
    # Where there is room for all, and where there is not.
    for size in (peak * 5 // 4 + 1024, peak * 9 // 10):
        for heap in heaps(size // 8 * 8, word):
            run = replay(trace, heap, record="all")
            digest = hashlib.sha256()
            for column in COLUMNS:
                digest.update(run[column].tobytes())
            for region in heap.regions:
                digest.update(bytes(region.memory))
            heap.check()
            yield digest.hexdigest()[:16], run.failures


def main() -> None:
    found = {}
    for name, trace in recordings():
        for word in (4, 8):
            found[f"{name} {word}"] = [len(trace), *digests(trace, word)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
