"""Neighbouring sizes of a heap_2 that are tried side by side, against trying each of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctools import WARNINGS, run
from needs import ROOT, tool
from parts import few_of
from workloads import random_options, random_trace

from rtosheap import Trace, _core
from rtosheap.kinds import heap_class
from rtosheap.sizing import _heap_2
from rtosheap.sizing.problem import SizingProblem

FAR = 2**62


def failures(runs: list[tuple[int, int, int]]) -> dict[int, int]:
    """The event that fails in each size; -1: none does."""
    return {size: failed for first, last, failed in runs for size in range(first, last + 1)}


@pytest.mark.parametrize("seed", few_of(range(60), range(20)))
def test_each_size_is_what_a_replay_in_it_says(seed: int) -> None:
    rng = np.random.default_rng([606, seed])
    trace = random_trace(rng, int(rng.integers(2, 140)), largest=int(rng.integers(20, 200)))
    options = {**random_options(rng, 2), "kernel": str(rng.choice(["V8.2.3", "V11.3.0"]))}
    problem = SizingProblem(trace, heap_class("heap_2"), options)
    floor, step = problem.check_possible(), problem.layout.step
    floor += step * (problem.largest_request(floor) < trace.largest_request)
    sizes = range(floor, min(floor + 90 * step, problem.largest), step)
    runs = _heap_2._Search(problem, floor).beside(sizes[0], sizes[-1])
    told = {size: run.failed for run in runs for size in range(run.first, run.last + 1, step)}
    events = {size: problem.failure(size) for size in sizes}
    assert told == {size: -1 if event is None else event for size, event in events.items()}


def test_sizes_that_part_in_all_ways() -> None:
    """Of many kinds of traces, against the search that runs one part after the other."""
    compared = apart = 0
    for seed in range(1500):
        rng = np.random.default_rng([707, seed])
        trace = random_trace(rng, int(rng.integers(20, 250)), largest=int(rng.integers(2, 60)))
        wanted = (trace.size * (trace.op != ord("f"))).astype(np.uint64)
        ends = trace.ends()
        given = np.flatnonzero((wanted != 0) & (ends < len(trace)))
        ended = np.full(len(trace), -1, np.int32)
        ended[ends[given]] = given
        first = 1 + int(rng.integers(0, 2 * trace.peak_live_bytes + 2))
        last = first + int(rng.choice([0, 1, 60, 300]))
        split = int(rng.integers(0, 5))
        beside = _core.best_fit_sizes_beside(wanted, ended, split, first, last, None)
        alone = _core.best_fit_sizes(wanted, ended, split, first, last, 0, False, FAR, None)
        assert alone is not None
        assert failures(beside) == failures(alone), seed
        assert sum(b - a + 1 for a, b, _ in beside) == last - first + 1
        compared += last - first + 1
        apart += len(beside) > 3
    assert compared > 100_000
    assert apart > 300


def test_progress_is_the_events_once_whatever_the_sizes() -> None:
    trace = random_trace(np.random.default_rng(8), 30_000, largest=60)
    problem = SizingProblem(trace, heap_class("heap_2"), {})
    told: list[int] = []
    problem.rounds.search = lambda: told.append  # type: ignore[method-assign, assignment]
    floor = problem.check_possible()
    search = _heap_2._Search(problem, floor)
    search.beside(floor, floor + 128 * search.step)
    assert told == sorted(told)
    assert len(trace) == told[-1]
    assert len(told) > 2


#: 3,000 sizes in 1,500 parts, while 3,000 blocks are free.
APART = """
import resource
import numpy as np
from rtosheap import _core
blocks, sizes = 3000, 1500
wanted = np.r_[np.arange(1, blocks + 1) * 2, np.zeros(blocks), np.arange(sizes) * 2 + 1]
ended = np.r_[np.full(blocks, -1), np.arange(blocks), np.full(sizes, -1)]
arrays = wanted.astype(np.uint64), ended.astype(np.int32)
cut = blocks * (blocks + 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
runs = _core.best_fit_sizes_beside(*arrays, 0, cut + 1, cut + 2 * sizes, None)
print(len(runs), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_parts_keep_what_they_have_otherwise_and_no_more() -> None:
    runs, kilobytes = map(int, run([sys.executable, "-c", APART]).stdout.split())
    assert runs > 1400
    assert kilobytes < 20_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_memory_that_ends_is_said(seed: int, tmp_path: Path) -> None:
    host, to = ROOT / "csrc" / "host", tmp_path / "test_side_by_side"
    told = [*WARNINGS, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    source = ROOT / "tests" / "c" / "test_side_by_side.c"
    run([tool("gcc"), *told, f"-I{host}", source, "-o", to])
    allocations, runs, serving = map(int, run([to, seed]).stdout.split()[::2][:3])
    assert allocations > 100
    assert runs > 50
    assert 300 < serving < 500


@pytest.mark.parametrize("ended", [[-1, 1], [-1, 2], [1, -1], [0, -1]])
def test_what_ends_is_an_earlier_block(ended: list[int]) -> None:
    arrays = np.array([3, 0], np.uint64), np.array(ended, np.int32)
    for call in calls(*arrays, 0, 5, 9):
        with pytest.raises(ValueError, match="ended has an entry that is no earlier event"):
            call()
    twice = np.array([3, 0, 0], np.uint64), np.array([-1, 0, 0], np.int32)
    for call in calls(*twice, 0, 5, 9):
        with pytest.raises(ValueError, match="whose block has not ended"):
            call()


@pytest.mark.parametrize(("first", "last"), [(9, 5), (0, 2**63)])
def test_sizes_that_are_no_range(first: int, last: int) -> None:
    for call in calls(np.zeros(1, np.uint64), np.zeros(1, np.int32), 0, first, last):
        with pytest.raises(ValueError, match=f"sizes are from {first} to {last}"):
            call()


def test_arrays_of_another_shape() -> None:
    wanted, ended = np.zeros(3, np.uint64), np.full(3, -1, np.int32)
    for arrays in ((wanted, ended[:2]), (ended, ended), (wanted, wanted)):
        for call in calls(*arrays, 0, 5, 9):
            with pytest.raises(ValueError, match="must be an aligned array"):
                call()


def test_what_progress_raises_ends_the_search() -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    trace = Trace("m", [0], [8])
    problem = SizingProblem(trace, heap_class("heap_2"), {})
    problem.rounds.search = lambda: stop  # type: ignore[method-assign, assignment, return-value]
    search = _heap_2._Search(problem, problem.check_possible())
    with pytest.raises(KeyboardInterrupt):
        search.beside(search._floor, search._floor)


def calls(wanted: Any, ended: Any, split: int, first: int, last: int) -> list[Any]:
    """Both searches of these arrays."""
    arrays = wanted, ended, split, first, last
    return [
        lambda: _core.best_fit_sizes_beside(*arrays, None),
        lambda: _core.best_fit_sizes(*arrays, 0, False, FAR, None),
    ]
