"""find_failure(): the traces it finds are locally minimal, and fail as C in the same place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctools import run
from needs import ROOT, tool
from parts import few_of

import rtosheap
from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.testing import NoFailureFound, find_failure

CORE = ROOT / "csrc" / "core"


def fails(trace: Trace, make: Callable[[], rtosheap.Heap]) -> bool:
    return bool((replay(trace, make(), record="failure")["failure"] == 2).any())


def without(trace: Trace, index: int) -> Trace:
    kept = [event for i, event in enumerate(trace) if i != index]
    return Trace.from_events(kept, strict=False)


FACTORIES: list[Callable[[], Any]] = [
    lambda: Heap2(512),
    lambda: Heap3(512),
    lambda: Heap4(1024),
    lambda: Heap4(4096, word_size=8, base_address=0x2000_0008),
    lambda: Heap5([(0x1000_0000, 256), (0x2000_0000, 512)]),
]


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize("reallocs", few_of([False, True], [True]))
def test_find_failure_is_locally_minimal(make: Callable[[], Any], reallocs: bool) -> None:
    trace = find_failure(make, seed=7, reallocs=reallocs)
    failure = replay(trace, make())["failure"]
    assert failure[-1] == 2
    assert not np.any(failure[:-1] == 2)
    assert trace == find_failure(make, seed=7, reallocs=reallocs)
    for index in range(len(trace)):
        assert not fails(without(trace, index), make), index


def test_find_failure_gives_up_with_a_name() -> None:
    with pytest.raises(NoFailureFound, match="in 20 sequences"):
        find_failure(lambda: Heap1(512), max_examples=20)


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        ((Heap4(256),), {}, "heap_factory"),
        ((lambda: 7,), {}, "heap_factory"),
        ((lambda: Heap4(256),), {"min_size": 0}, "min_size"),
        ((lambda: Heap4(256),), {"max_size": 0}, "max_size"),
        ((lambda: Heap4(256),), {"max_examples": 0}, "max_examples"),
        ((lambda: Heap4(256),), {"max_events": 0}, "max_events"),
        ((lambda: Heap4(256),), {"seed": "x"}, "seed"),
    ],
)
def test_find_failure_names_the_bad_argument(
    arguments: Any, options: dict[str, Any], name: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        find_failure(*arguments, **options)


# ---------------------------------------------------------------------- the C that a trace prints


def run_c(trace: Trace, directory: Path, size: int) -> int:
    """What the trace as C returns on the core as firmware has it, 64-bit, over `size` bytes."""
    (directory / "trace.c").write_text(trace.to_c())
    program = directory / "program"
    run(
        [
            tool("gcc"),
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-DRH_CHECKS=1",
            f"-DARENA={size}",
            f"-I{CORE}",
            directory / "trace.c",
            ROOT / "tests" / "c" / "run_trace.c",
            CORE / "heap_4.c",
            "-o",
            program,
        ]
    )
    return int(run([program]).stdout)


@pytest.mark.parametrize("reallocs", [False, True])
def test_the_printed_c_fails_at_the_same_event(tmp_path: Path, reallocs: bool) -> None:
    def make() -> rtosheap.Heap:
        return Heap4(1024, word_size=8)

    trace = find_failure(make, seed=3, reallocs=reallocs)
    assert replay(trace, make()).first_failure == len(trace) - 1
    assert run_c(trace, tmp_path, 1024) == len(trace) - 1


def test_the_printed_c_of_every_event_kind(tmp_path: Path) -> None:
    events = [("m", 0, 40), ("m", 9, 0), ("r", 0, 80), ("r", 0, 8), ("r", 9, 5), ("f", 0)]
    events += [("f", 9), ("m", 3, 7), ("r", 3, 0), ("f", 3)]
    name = "a title */ with \\ in it"
    trace = Trace.from_events(events, meta={"name": name})
    assert run_c(trace, tmp_path, 1024) == -1
    assert run_c(Trace.from_events([]), tmp_path, 1024) == -1


@pytest.mark.parametrize("name", ["function", "malloc", "free"])
def test_to_c_names_the_bad_argument(name: str) -> None:
    trace = Trace.from_events([("m", 0, 1)])
    assert "my_name(" in trace.to_c(**{name: "my_name"})
    with pytest.raises(ValueError, match=name):
        trace.to_c(**{name: "a b"})
