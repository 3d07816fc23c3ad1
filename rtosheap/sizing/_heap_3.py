"""Which sizes of a heap_3 serve a trace; from newlib 4.2.0 on they need not form one run."""

from __future__ import annotations

from rtosheap import _core
from rtosheap.sizing._runs import Run, Runs
from rtosheap.sizing.problem import SizingProblem


def sizes_of(problem: SizingProblem, floor: int) -> Runs:
    """Which sizes serve from `floor` on: all up to where an `sbrk` that is never refused ends, from
    which on every one serves.
    """
    top = next((heap._reached for _, heap, _ in problem.doubling() if not heap._refused), None)
    if top is None:  # in the largest heap that there can be it was refused, too
        top = problem.largest
    trace = problem.trace
    slot, slots = trace.slots
    found = _core.sbrk_sizes(
        problem.heap(top), trace.op, slot, trace.size, slots, floor, top, problem.rounds.search()
    )
    return Runs(1, top, [Run(*run) for run in found], complete=True)
