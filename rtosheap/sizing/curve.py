"""How many allocations of a trace fail in a heap of which size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from rtosheap.heaps import Heap4
from rtosheap.heaps.layout import DEFAULT_BASE
from rtosheap.kinds import NAMES, HeapKind, heap_class, heap_name, layout_of, layout_of_name
from rtosheap.sizing.minimum import MinimumSize, minimum_heap_size
from rtosheap.sizing.problem import SizingProblem, UnservableError, problems_of
from rtosheap.sizing.regions import default_regions
from rtosheap.traces import Trace
from rtosheap.traces.several import Traces, as_traces, doubts_of_all, name_of_all, unique_names

_POINTS = 24


class Row(Protocol):
    """A row of a comparison, as far as it is used here."""

    @property
    def heap(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def advice_size(self) -> int | None: ...
    @property
    def regions(self) -> tuple[tuple[int, int], ...] | None: ...


class SizingCurve(NamedTuple):
    """What happens to a trace, or to several together, in heaps of one kind.

    Attributes
    ----------
    heap : str
        The heap's name.
    sizes, failures : tuple of int
        Bytes of each heap that was tried, ascending, and how many allocations failed in it, of all
        recordings together.
    minimum : int or None
        The smallest size that serves; None when none does.
    advice_size : int or None
        What "total minus minimum ever free" says, as :attr:`rtosheap.MinimumSize.advice_size`;
        None where it is not known.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> from rtosheap.plot import sizing_points
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> curve = sizing_points(trace, heaps=["heap_4"], sizes=[160, 272]).curves[0]
    >>> curve.sizes, curve.failures, curve.minimum
    ((160, 272), (1, 0), 272)
    """

    heap: str
    sizes: tuple[int, ...]
    failures: tuple[int, ...]
    minimum: int | None
    advice_size: int | None = None


class _Known(NamedTuple):
    """The smallest size of a heap, and the advised one."""

    size: int | None
    advice_size: int | None = None


class Sizing(NamedTuple):
    """What :func:`rtosheap.plot.sizing` draws.

    Attributes
    ----------
    trace_name : str
        Of several recordings, how many.
    peak_live_bytes : int
        Of the trace, or the most of several.
    curves : tuple of SizingCurve
        One for each heap.
    warnings : tuple of str
        What to know of the recording that this rests on.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> from rtosheap.plot import sizing_points
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110], meta={"name": "mine"})
    >>> points = sizing_points(trace, heaps=["heap_1", "heap_4"], sizes=[160, 272])
    >>> points.trace_name, points.peak_live_bytes, [curve.heap for curve in points.curves]
    ('mine', 130, ['heap_1', 'heap_4'])
    """

    trace_name: str
    peak_live_bytes: int
    curves: tuple[SizingCurve, ...]
    warnings: tuple[str, ...] = ()


def sizing_points(
    trace: Traces,
    *,
    heaps: Iterable[HeapKind] = NAMES,
    sizes: Iterable[int] | None = None,
    minima: Iterable[Row] | Mapping[str, int | MinimumSize | None] | None = None,
    regions: Sequence[tuple[int, int | None]] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Sizing:
    """Replay a trace in heaps of many sizes: the numbers that
    :func:`rtosheap.plot.sizing` draws.

    Parameters
    ----------
    trace : Trace or sequence of Trace
        Of several recordings the failures are added up, and the smallest size serves all.
    heaps : iterable of heap classes or names
        By default all five.
    sizes : iterable of int, optional
        Bytes of the heaps to try. By default 24 sizes in equal ratios, from half the peak of live
        bytes to somewhat above the largest minimum; and each heap's minimum, one step below, and
        the advised size.
    minima : Comparison, or mapping of str to int or MinimumSize, optional
        What :func:`rtosheap.compare` or :func:`rtosheap.minimum_heap_size` (by the
        heap's name) found already, so that it need not be computed again.
    regions : sequence of (int, int or None), optional
        heap_5's regions, of which the last is varied. By default two, the first of them half as
        large as heap_4's minimum.
    progress : callable, optional
        Called as ``progress(done, total)`` with counts of replays.

    Returns
    -------
    Sizing

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.plot import sizing_points
    >>> points = sizing_points(data.load("coap-server"), heaps=["heap_4"], sizes=[30000, 40000])
    >>> points.curves[0].failures
    (14, 0)
    """
    traces = as_traces(trace, "trace")
    kinds = {heap_name(heap): heap_class(heap) for heap in heaps}
    names = list(kinds)
    if minima is None or isinstance(minima, Mapping):
        known = {name: _as_known(minimum) for name, minimum in (minima or {}).items()}
    else:
        rows = list(minima)
        known = {row.heap: _Known(row.size, row.advice_size) for row in rows}
        regions = regions or _regions_of(rows)
    if regions is None and any(layout_of(kind).has_regions for kind in kinds.values()):
        regions = _made_up(traces, known)
    found = {name: _minimum(traces, kinds[name], known, regions) for name in names}
    peak = max(one.peak_live_bytes for one in traces)
    wanted = None if sizes is None else sorted({int(size) for size in sizes})
    grids = {name: _grid(peak, name, found, wanted) for name in names}
    total, done = sum(map(len, grids.values())), 0
    curves = []
    for name in names:
        own = regions if layout_of(kinds[name]).has_regions else None
        called = unique_names(traces)
        problems = problems_of(traces, called, kinds[name], {}, regions=own)
        tried, failures = [], []
        for size in grids[name]:
            count = _failures(problems, size - problems[0].fixed_bytes)
            if count is not None:
                tried.append(size)
                failures.append(count)
            done += 1
            if progress is not None:
                progress(done, total)
        curves.append(SizingCurve(name, tuple(tried), tuple(failures), *found[name]))
    return Sizing(name_of_all(traces), peak, tuple(curves), doubts_of_all(traces, 4))


def _regions_of(rows: Iterable[Row]) -> list[tuple[int, int | None]] | None:
    """The regions of heap_5 in a comparison, the last one open."""
    for row in rows:
        if layout_of_name(row.heap).has_regions and row.regions:
            return [*row.regions[:-1], (row.regions[-1][0], None)]
    return None


def _made_up(traces: Sequence[Trace], known: dict[str, _Known]) -> Sequence[tuple[int, int | None]]:
    name = heap_name(Heap4)
    known[name] = _minimum(traces, Heap4, known, None)
    layout = layout_of(Heap4)
    return default_regions(known[name].size or layout.largest(DEFAULT_BASE), layout)


def _minimum(
    traces: Sequence[Trace],
    heap: HeapKind,
    known: Mapping[str, _Known],
    regions: Sequence[tuple[int, int | None]] | None,
) -> _Known:
    if heap_name(heap) in known:
        return known[heap_name(heap)]
    try:
        own = regions if layout_of(heap).has_regions else None
        return _as_known(minimum_heap_size(traces, heap, regions=own))
    except UnservableError:
        return _Known(None)


def _as_known(minimum: int | MinimumSize | None) -> _Known:
    if isinstance(minimum, MinimumSize):
        return _Known(minimum.size, minimum.advice_size)
    return _Known(minimum)


def _grid(
    peak: int, name: str, found: Mapping[str, _Known], wanted: Sequence[int] | None
) -> list[int]:
    if wanted is not None:
        return list(wanted)
    low = max(peak / 2, 64.0)
    high = 1.15 * max([size for size, _ in found.values() if size] + [2 * low])
    grid = {int(size) for size in np.geomspace(low, high, _POINTS)}
    minimum, advice = found[name]
    if minimum is not None:
        grid |= {minimum, minimum - 8}
    if advice is not None:
        grid.add(advice)
    return sorted(grid)


def _failures(problems: Sequence[SizingProblem], size: int) -> int | None:
    """How many allocations fail in heaps of this size; None where there can be no such heap."""
    if not problems[0].constructible(size):
        return None
    return sum(one.replay(one.heap(size), stop=False).failures for one in problems)


for _type in (SizingCurve, Sizing, sizing_points):
    _type.__module__ = "rtosheap.sizing"  # where users import them from
