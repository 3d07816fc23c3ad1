"""The five heaps side by side, on one trace: which serves it, in how little, and at what cost."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, islice
from textwrap import fill
from typing import TYPE_CHECKING, Any, overload

from rtosheap.comparison import _tables, _verdict
from rtosheap.comparison.evaluate import jobs
from rtosheap.comparison.result import HeapResult
from rtosheap.comparison.versions import VersionResult, Versions, run_jobs
from rtosheap.html import table_html
from rtosheap.kinds import NAMES, HeapKind
from rtosheap.sizing.problem import RegionSizes
from rtosheap.tables import counted, plain_table
from rtosheap.traces import Trace
from rtosheap.traces.doubts import says_incomplete
from rtosheap.traces.several import (
    Traces,
    as_traces,
    doubts_of_all,
    lost_of_all,
    name_of_all,
    unique_names,
)
from rtosheap.work import Progress

if TYPE_CHECKING:
    from concurrent.futures import Executor

_WIDTH = 96  # of the texts below the tables


@dataclass(frozen=True, repr=False)
class Comparison(Sequence[HeapResult]):
    """What :func:`compare` returns: a sequence of :class:`HeapResult`, one per heap.

    ``pandas.DataFrame(comparison)`` takes it as it is; ``comparison["heap_4"]`` finds a row by its
    heap's name; ``print(comparison)`` shows tables and the verdict.

    Attributes
    ----------
    results : tuple of HeapResult
        In the order in which the heaps were asked for.
    trace_name : str
        The trace's name, ``""`` if it has none; of several, how many recordings.
    events : int
        Length of the trace; of several, of all together.
    peak_live_bytes : int
        Most bytes that are live at once in the trace, or in any of several, as requested.
    heap_size : int or None
        The size at which failures were counted.
    columns : tuple of str
        The names of a row's fields.
    best : HeapResult or None
        The heap that serves the trace with the least memory (the first of them, if they tie); None
        if none serves it. heap_5 comes last where its regions were not given: half of memory that
        need not be split says little.
    verdict : str
        What it all means, in words.
    warnings : tuple of str
        What to know of the recording that this rests on.
    loss : tuple of (str, int)
        What is missing of it, each kind and its count: those of :class:`rtosheap.traces.Loss` and
        :class:`rtosheap.traces.Dropped` that occurred.
    recordings : tuple of str
        The names of several recordings, made unique; empty for a trace that was given alone.
    versions : tuple of VersionResult
        Where releases were named, what each of them makes of it, heap by heap; else empty.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> result = compare(trace, heaps=["heap_1", "heap_4"], heap_size=256)
    >>> result
    <Comparison of 2 heaps: best heap_1, 249 bytes>
    >>> [(row.heap, row.size, row.failures) for row in result]
    [('heap_1', 249, 0), ('heap_4', 272, 1)]
    >>> print(result.verdict)
    heap_1 serves the trace with the least memory: 249 bytes, ... In 256 bytes: heap_1 serves all;
    heap_4 fails 1 time, first at event 3 (fragmentation).
    """

    results: tuple[HeapResult, ...]
    trace_name: str
    events: int
    peak_live_bytes: int
    heap_size: int | None
    best: HeapResult | None
    verdict: str
    warnings: tuple[str, ...] = ()
    loss: tuple[tuple[str, int], ...] = ()
    recordings: tuple[str, ...] = ()
    versions: tuple[VersionResult, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a row's fields."""
        return HeapResult._fields

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[HeapResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, key: int | str) -> HeapResult: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[HeapResult, ...]: ...
    def __getitem__(self, key: int | str | slice) -> HeapResult | tuple[HeapResult, ...]:
        if not isinstance(key, str):
            return self.results[key]
        for row in self.results:
            if row.heap == key:
                return row
        raise KeyError(key)

    @property
    def exact(self) -> bool:
        """Whether every size is the smallest that serves, and nothing is missing of the trace."""
        complete = not says_incomplete(self.warnings)
        return complete and all(row.exact for row in self.results if row.size is not None)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json.dumps`` takes; a ratio of inf is None."""
        best = self.best
        several = {"recordings": list(self.recordings)} if self.recordings else {}
        return {
            "trace": self.trace_name,
            **several,
            "events": self.events,
            "peak_live_bytes": self.peak_live_bytes,
            "heap_size": self.heap_size,
            "heaps": [row.to_dict() for row in self.results],
            "best": None if best is None else best.heap,
            "verdict": self.verdict,
            "exact": self.exact,
            "warnings": list(self.warnings),
            "loss": dict(self.loss),
            **({"versions": [one._asdict() for one in self.versions]} if self.versions else {}),
        }

    def _tables(self) -> list[_tables.Table]:
        found = _tables.tables(self.results, self.heap_size, self.recordings)
        return [*found, *_tables.of_versions(self.versions, self.heap_size)]

    def _texts(self) -> list[str]:
        warnings = [f"Warning: {text}." for text in self.warnings]
        return [*self._remarks(), self.verdict, *warnings]

    def _remarks(self) -> list[str]:
        return _tables.remarks(self.results)

    def _headline(self) -> str:
        name = self.trace_name or "trace"
        events, peak = counted(self.events, "event"), counted(self.peak_live_bytes, "byte")
        return f"{name}: {events}, {peak} live at the peak"

    def __repr__(self) -> str:
        name = f" on {self.trace_name!r}" if self.trace_name else ""
        best = self.best
        heaps = counted(len(self), "heap")
        if best is None or best.size is None:
            return f"<Comparison of {heaps}{name}: none serves it>"
        which = f"best {best.heap}" if len(self) > 1 else best.heap
        return f"<Comparison of {heaps}{name}: {which}, {best.size:,} bytes>"

    def __str__(self) -> str:
        tables = (plain_table(*table, rule=True) for table in self._tables())
        texts = self._texts()
        wrapped = (fill(text, _WIDTH, break_on_hyphens=False) for text in texts)
        return "\n\n".join([self._headline(), *tables, *wrapped])

    def _repr_html_(self) -> str:
        tables = "".join(table_html(*table) for table in self._tables())
        texts = self._texts()
        paragraphs = "".join(f"<p>{escape(text)}</p>" for text in texts)
        return f"<div><p>{escape(self._headline())}</p>{tables}{paragraphs}</div>"


def compare(
    trace: Traces,
    *,
    heaps: Iterable[HeapKind] = NAMES,
    regions: RegionSizes | None = None,
    heap_size: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Put the heaps side by side: what each needs for a trace, and what it does with it.

    Parameters
    ----------
    trace : Trace or sequence of Trace
        What the program requests. Several are recordings of the same program, each from its start:
        each heap is as large as serves every one of them.
    heaps : iterable of type or str
        Which heaps, as classes or names; all five by default.
    regions : sequence of (int, int or None), optional
        heap_5's regions, the last size None, as for
        :func:`rtosheap.minimum_heap_size`. By default a first region of half of heap_4's
        minimum, and a second one, some way after it, that is solved for.
    heap_size : int, optional
        Bytes of a heap in which to count failures as well (heap_5: of all regions together).
    executor : concurrent.futures.Executor, optional
        Runs several tasks for each heap. By default all run here, one after the other.
    progress : callable, optional
        Called as ``progress(done, total)`` from time to time, in parts of the work. An exception
        that it raises ends the comparison.
    **options
        What the heaps' constructors take. Each heap gets those that it has: `word_size` and
        `alignment` do not concern heap_3, which is newlib-nano's malloc and 32-bit. `kernel` and
        `newlib` may be several releases: the rows are those of the first, and the verdict says
        what the others make of it; where one is named, the newest is put beside it.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError
        For what is no trace, or an option that none of the heaps has.
    ValueError
        For an argument that is wrong; no recording, or one twice. A heap that cannot serve the
        trace is no error: its row says why in `error`.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> trace = Trace("mmfmfm", id=[0, 1, 0, 2, 1, 3], size=[100, 20, 0, 110, 0, 120])
    >>> result = compare(trace, heaps=["heap_1", "heap_4"])
    >>> [(row.heap, row.size) for row in result]
    [('heap_1', 369), ('heap_4', 272)]
    >>> result["heap_4"].breakdown["headers"]
    16
    >>> result.best.heap
    'heap_4'
    """
    traces = as_traces(trace, "trace")
    alone = isinstance(trace, Trace)
    names = ("",) if alone else unique_names(traces)
    versions = Versions(options)
    options = versions.options
    work = jobs(traces, names, heaps, regions=regions, heap_size=heap_size, options=options)
    others = [versions.jobs(job) for job in work]
    done = iter(run_jobs([*work, *chain.from_iterable(others)], executor, progress))
    results = [row for row, _ in islice(done, len(work))]
    of_versions = [
        one
        for job, row, more in zip(work, results, others, strict=True)
        for one in versions.results(job, row, list(islice(done, len(more))))
    ]
    word_size = operator.index(options.get("word_size", 4))
    least = _verdict.best(results, regions_given=regions is not None)
    rows = _verdict.judged(results, least, traces)
    return Comparison(
        results=rows,
        trace_name=name_of_all(traces),
        events=sum(map(len, traces)),
        peak_live_bytes=max(one.peak_live_bytes for one in traces),
        heap_size=heap_size,
        best=next((row for row in rows if least is not None and row.heap == least.heap), None),
        verdict=_verdict.overall(results, least, traces, heap_size, of_versions, word_size),
        warnings=doubts_of_all(traces, word_size),
        loss=lost_of_all(traces),
        recordings=() if alone else names,
        versions=tuple(of_versions),
    )


Comparison.__module__ = "rtosheap.comparison"  # where users import it from, and pickles find it
