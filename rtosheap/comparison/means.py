"""Many comparisons in one number for each heap."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from statistics import geometric_mean

from rtosheap.comparison.comparison import Comparison

__all__ = ["mean_ratios"]


def mean_ratios(comparisons: Iterable[Comparison]) -> dict[str, float | None]:
    """What each heap needs over several programs: the geometric mean of its ratios.

    A ratio is the smallest heap over the peak of live bytes; a geometric mean says of two heaps the
    same whichever of them is taken as 1.

    Parameters
    ----------
    comparisons : iterable of Comparison
        What :func:`rtosheap.compare` returns for each program. One in which nothing is ever live
        has no ratio, and does not count.

    Returns
    -------
    dict of str to float or None
        By the heap's name, the least first. Last, with None, those that do not serve all of the
        programs, or were not compared on all of them: their mean would be of other programs.

    References
    ----------
    P. J. Fleming and J. J. Wallace, "How not to lie with statistics: the correct way to summarize
    benchmark results", CACM 29, 1986.

    Examples
    --------
    >>> from rtosheap import compare, data
    >>> heaps = ["heap_2", "heap_4", "best-fit"]
    >>> means = mean_ratios(
    ...     compare(data.load(name), heaps=heaps) for name in ("coap-server", "lua-sched")
    ... )
    >>> {heap: round(mean, 3) for heap, mean in means.items()}
    {'best-fit/address/coalescing': 1.134, 'heap_4': 1.138, 'heap_2': 1.269}
    """
    given = list(comparisons)
    counted = [one for one in given if one.peak_live_bytes]
    ratios: dict[str, list[float]] = {row.heap: [] for one in given for row in one}
    for row in (row for one in counted for row in one):
        if row.ratio is not None:
            ratios[row.heap].append(row.ratio)
    means = {
        heap: geometric_mean(found) if found and len(found) == len(counted) else None
        for heap, found in ratios.items()
    }
    return dict(sorted(means.items(), key=lambda item: inf if item[1] is None else item[1]))
