"""The engines of a replay, at length: all traces and days, and random events in C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import traces
from ctools import WARNINGS
from ctools import run as run_program
from needs import ROOT, tool
from replay_digests import recordings
from test_engines import BASE, held

from rtosheap import Heap2, Heap3, Heap4, Heap5, Trace

# ------------------------------------------------------------- traces and days


def heaps(size: int, word: int) -> Iterator[Callable[[], Any]]:
    """Of so many bytes, every kind that has a list."""
    part = size // 3
    regions = [(BASE, part), (BASE + part, part), (BASE + size + 0x1_0000, size - 2 * part)]
    yield lambda: Heap2(size, word_size=word)
    yield lambda: Heap4(size, word_size=word, clear_on_free=True, canary=0x5EED_CA9A)
    yield lambda: Heap5(regions, word_size=word)
    if word == 4:
        yield lambda: Heap3(size)
        yield lambda: Heap3(size, newlib="3.3.0")


def replayed(trace: Trace, words: tuple[int, ...], spaces: tuple[int, ...]) -> int:
    """How many events of all kinds and sizes the engines were held to."""
    peak = max(trace.peak_live_bytes, 256)
    events = 0
    for word in words:
        for space in spaces:
            for make in heaps((peak * space // 100 + 1024) // 8 * 8, word):
                held(trace, make)
                events += len(trace)
    return events


#: How many blocks their lists have, and how they fail.
TELLING = {"lwip-3cli": 17_288, "cbor-msgs": 97_725, "sqlite-log-nola64": 11_889}


@pytest.mark.parametrize("name", TELLING)
def test_a_trace(name: str) -> None:
    assert replayed(traces.load(name), (4, 8), (85,)) == TELLING[name] * (3 + 5)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_all_traces_and_days(part: int) -> None:
    """Where there is room for all, and where there is not."""
    every = list(recordings())
    assert len(every) == len(traces.EVENTS) + 15
    assert sum(len(trace) for _, trace in every) == 1_338_734
    for _, trace in every[part::4]:
        assert replayed(trace, (4, 8), (85, 125)) == len(trace) * (3 + 5) * 2


# ------------------------------------------------------------- random events in C

SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
#: Heaps that c/test_engines.c tries, each with so many events: kinds, words, versions.
TRIED = 7 * 5


def random_events(to: Path, *options: str) -> Path:
    host = ROOT / "csrc" / "host"
    names = ("ops.c", "replay.c", "versions.c", "core_w32.c", "core_w64.c")
    sources = [ROOT / "tests" / "c" / "test_engines.c", *(host / name for name in names)]
    told = [*WARNINGS, "-DRH_HOSTED=1", "-DRH_CHECKS=2", "-DRH_POLICIES=0", "-Wl,--wrap=calloc"]
    told += [f"-I{ROOT / 'csrc' / 'core'}", f"-I{host}"]
    run_program([tool("gcc"), "-g", *told, *options, *sources, "-o", to])
    return to


@pytest.mark.long
def test_random_events(tmp_path: Path) -> None:
    program = random_events(tmp_path / "program", *SANITIZED)
    printed = run_program([program, 10_000, 1]).stdout
    assert printed == f"{TRIED * 10_000} events, {TRIED * 10_000} indexed\n"
    # Without memory for the index, or for the sizes that heap_2's has, the list goes on.
    indexed = []
    for allocations in range(6):
        printed = run_program([program, 2000, 2, allocations]).stdout.split()
        assert printed[:2] == [str(TRIED * 2000), "events,"]
        indexed.append(int(printed[2]))
    assert indexed[0] == 0
    assert indexed == sorted(indexed)
    assert 0 < indexed[1] < indexed[-1]


@pytest.mark.long
def test_ten_million_random_events(tmp_path: Path) -> None:
    program = random_events(tmp_path / "program", "-O2")
    assert TRIED * 300_000 > 10**7
    printed = run_program([program, 300_000, 3]).stdout
    assert printed == f"{TRIED * 300_000} events, {TRIED * 300_000} indexed\n"
