"""The five heaps side by side, on one trace: which serves it, in how little, and at what cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from textwrap import fill
from typing import Any, overload

from rtosheap import _verdict
from rtosheap._evaluate import Job, evaluate, jobs
from rtosheap._result import HeapResult
from rtosheap._rig import Progress, RegionSizes
from rtosheap.kinds import NAMES, HeapKind
from rtosheap.trace import Trace

__all__ = ["Comparison", "HeapResult", "compare"]

_WIDTH = 96  # of the texts below the tables
_PATIENCE = 0.5  # seconds between two calls of progress, where an executor is at work
_UNIT = 1000  # what one heap counts in the progress


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
        The trace's name, ``""`` if it has none.
    events : int
        Length of the trace.
    peak_live_bytes : int
        Most bytes that are live at once in the trace, as requested.
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
    """

    results: tuple[HeapResult, ...]
    trace_name: str
    events: int
    peak_live_bytes: int
    heap_size: int | None
    best: HeapResult | None
    verdict: str

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

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json.dumps`` takes; a ratio of inf is None."""
        best = self.best
        return {
            "trace": self.trace_name,
            "events": self.events,
            "peak_live_bytes": self.peak_live_bytes,
            "heap_size": self.heap_size,
            "heaps": [row.to_dict() for row in self.results],
            "best": None if best is None else best.heap,
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        name = f" on {self.trace_name!r}" if self.trace_name else ""
        best = self.best
        if best is None or best.size is None:
            return f"<Comparison of {len(self)} heaps{name}: none serves it>"
        return f"<Comparison of {len(self)} heaps{name}: best {best.heap}, {best.size:,} bytes>"

    def __str__(self) -> str:
        tables = (_plain_table(*table) for table in _verdict.tables(self))
        texts = [*_verdict.remarks(self.results), self.verdict]
        wrapped = (fill(text, _WIDTH, break_on_hyphens=False) for text in texts)
        return "\n\n".join([_verdict.headline(self), *tables, *wrapped])

    def _repr_html_(self) -> str:
        from html import escape

        from rtosheap.html import table_html

        tables = "".join(table_html(*table) for table in _verdict.tables(self))
        texts = [*_verdict.remarks(self.results), self.verdict]
        paragraphs = "".join(f"<p>{escape(text)}</p>" for text in texts)
        return f"<div><p>{escape(_verdict.headline(self))}</p>{tables}{paragraphs}</div>"


def compare(
    trace: Trace,
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
    trace : Trace
        What the program asks for.
    heaps : iterable of type or str
        Which heaps, as classes or names; all five by default.
    regions : sequence of (int, int or None), optional
        heap_5's regions, the last size None, as for
        :func:`rtosheap.sizing.minimum_heap_size`. By default a first region of half of heap_4's
        minimum, and a second one, some way after it, that is solved for.
    heap_size : int, optional
        Bytes of a heap in which to count failures as well (heap_5: of all regions together).
    executor : concurrent.futures.Executor, optional
        Runs one task per heap. By default all run here, one after the other.
    progress : callable, optional
        Called as ``progress(done, total)`` from time to time, in parts of the work. An exception
        that it raises ends the comparison.
    **options
        What the heaps' constructors take. Each heap gets those that it has: `word_size` and
        `alignment` do not concern heap_3, which is newlib-nano's malloc and 32-bit.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError
        For an option that none of the heaps has.
    ValueError
        For an argument that is wrong. A heap that cannot serve the trace is no error: its row says
        why in `error`.

    Examples
    --------
    >>> from rtosheap.trace import Trace
    >>> trace = Trace("mmfmfm", id=[0, 1, 0, 2, 1, 3], size=[100, 20, 0, 110, 0, 120])
    >>> result = compare(trace, heaps=["heap_1", "heap_4"])
    >>> [(row.heap, row.size) for row in result]
    [('heap_1', 369), ('heap_4', 272)]
    >>> result["heap_4"].breakdown["headers"]
    16
    >>> result.best.heap
    'heap_4'
    """
    work = jobs(trace, heaps, regions=regions, heap_size=heap_size, options=options)
    if executor is None:
        results = [evaluate(job, _part(progress, i, len(work))) for i, job in enumerate(work)]
    else:
        results = _spread(work, executor, progress)
    least = _verdict.best(results, regions_given=regions is not None)
    rows = _verdict.judged(results, least, trace)
    return Comparison(
        results=rows,
        trace_name=trace.name,
        events=len(trace),
        peak_live_bytes=trace.peak_live_bytes,
        heap_size=heap_size,
        best=next((row for row in rows if least is not None and row.heap == least.heap), None),
        verdict=_verdict.overall(results, least, trace, heap_size),
    )


def _part(progress: Progress | None, index: int, count: int) -> Progress | None:
    """One heap's share of the whole progress."""
    if progress is None:
        return None
    whole = progress

    def report(done: int, total: int) -> object:
        return whole(index * _UNIT + done * _UNIT // max(total, 1), count * _UNIT)

    return report


def _spread(work: Sequence[Job], executor: Executor, progress: Progress | None) -> list[HeapResult]:
    futures: list[Future[HeapResult]] = [executor.submit(evaluate, job) for job in work]
    waiting: set[Future[HeapResult]] = set(futures)
    try:
        while waiting:
            done, waiting = wait(waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if progress is not None:
                progress((len(futures) - len(waiting)) * _UNIT, len(futures) * _UNIT)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]


def _plain_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [list(headers), *([_text(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
