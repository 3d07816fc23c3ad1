"""What holds without a model: what recordings prove, and what no order of events can exceed."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import scipy

from rtosheap.sizing.problem import SizingProblem
from rtosheap.traces import Trace


def chance_at_most(failed: int, days: int, confidence: float = 0.95) -> float:
    """The largest chance to fail of which `failed` of `days` independent days are no surprise: the
    upper Clopper-Pearson bound, which is ``1 - (1 - confidence)**(1 / days)`` where none failed.
    """
    if failed >= days:
        return 1.0
    return float(scipy.stats.beta.ppf(confidence, failed + 1, days - failed))


def days_needed(probability: float, confidence: float = 0.95) -> int:
    """How many days without a failure prove that at most this share of days fails."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-probability))


def most_allowed(runs: int, probability: float, confidence: float) -> int:
    """How many of the runs may fail for :func:`chance_at_most` to stay below a probability; -1 if
    none may, as there are too few.
    """

    def chance(failed: int) -> float:
        return chance_at_most(failed, runs, confidence)

    return bisect_right(range(runs), probability, key=chance) - 1


def interval(failed: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson interval of a share of runs."""
    outside = (1 - confidence) / 2
    low = float(scipy.stats.beta.ppf(outside, failed, runs - failed + 1)) if failed else 0.0
    high = (
        float(scipy.stats.beta.ppf(1 - outside, failed + 1, runs - failed))
        if failed < runs
        else 1.0
    )
    return low, high


def guaranteed_size(problems: Sequence[SizingProblem]) -> int | None:
    """Bytes of a heap that serves any order of mallocs and frees whose live blocks are no more,
    in bytes and in number, and whose largest block is no larger, than in these recordings; None
    where no such size is known.

    Notes
    -----
    First fit never needs more than ``n H(m) / ln 2``, where n is the most that is allocated at
    once, m the largest block and H(m) the sum 1 + 1/2 + ... + 1/m, all in units of the alignment:
    J. M. Robson, "Worst case fragmentation of first fit and best fit storage allocation
    strategies", The Computer Journal 20 (1977); as stated here, D. E. Knuth, The Art of Computer
    Programming, volume 1, section 2.5, exercise 43. A block counts with its header, rounded up,
    and with the rest that is too small to be split off: taken as what it got, it lies where first
    fit places it.
    """
    problem = problems[0]
    layout = problem.layout
    if not (layout.frees and layout.by_address) or problem.fixed:
        return None
    unit = layout.step
    rest = layout.split_above // unit * unit
    largest = max(int(one.blocks.max(initial=0)) for one in problems)
    if not largest:
        return problem.smallest
    live = max(int(one.in_use().max()) for one in problems)
    live += rest * max(_most_blocks(one.trace) for one in problems)
    harmonic = float(scipy.special.digamma((largest + rest) // unit + 1)) + np.euler_gamma
    units = math.ceil(live / unit * harmonic / math.log(2) * (1 + 1e-12))
    return max(units * unit + layout.least_loss(problem.base), problem.smallest)


def _most_blocks(trace: Trace) -> int:
    """Blocks that live at once, at the most; a realloc holds two."""
    return trace.max_live_blocks + int(trace.reallocs > 0)
