"""What was recorded and what each heap makes of it, as one file to hand on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from typing import Any

from rtosheap import __version__
from rtosheap.comparison import Comparison, HeapResult, compare
from rtosheap.comparison.versions import Versions
from rtosheap.kinds import NAMES, HeapClass, HeapKind, heap_class, heap_name, layout_of
from rtosheap.replays import Replay, replay
from rtosheap.reports._page import head_of, head_of_replay, page
from rtosheap.reports._views import COLUMNS, recording, view
from rtosheap.sizing.problem import RegionSizes, SizingProblem
from rtosheap.traces import Trace
from rtosheap.traces.several import Traces, as_traces, unique_names
from rtosheap.work import Progress

_GENERATOR = f"rtosheap {__version__}"


class HtmlReport:
    """A page of HTML that needs neither network nor server.

    Attributes
    ----------
    html : str
        The page.
    comparison : Comparison or None
        What it rests on; None for the page of one replay.

    Examples
    --------
    >>> from rtosheap import Trace, report
    >>> page = report(Trace("mm", id=[0, 1], size=[100, 20]), heaps=["heap_4"])
    >>> page.save("report.html")
    >>> page, page.comparison
    (<HtmlReport of ... characters>, <Comparison of 1 heap: heap_4, 152 bytes>)
    """

    def __init__(self, html: str, comparison: Comparison | None = None) -> None:
        whole = html.encode("utf-16", "surrogatepass")  # a file's name need be no text
        self.html, self.comparison = whole.decode("utf-16", "replace"), comparison

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file."""
        page = self.html.encode()
        with open(path, "wb") as file:
            file.write(page)

    def __repr__(self) -> str:
        return f"<HtmlReport of {len(self.html):,} characters>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts" '
            'style="width: 100%; height: 56rem; border: 0" title="heap report"></iframe>'
        )


def report(
    trace: Traces,
    *,
    heaps: Iterable[HeapKind] = NAMES,
    regions: RegionSizes | None = None,
    heap_size: int | None = None,
    title: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> HtmlReport:
    """Put all that is known of a recording into one page: a map of address against time to zoom
    into and to scrub through, tables, and the verdict.

    Parameters
    ----------
    trace : Trace or sequence of Trace
        As for :func:`rtosheap.compare`.
    heaps, regions, heap_size, progress, **options
        As for :func:`rtosheap.compare`. Each heap's map is drawn at `heap_size`, or else at the
        smallest size that serves.
    title : str, optional
        The page's; by default of the recordings' names.

    Returns
    -------
    HtmlReport

    Raises
    ------
    TypeError, ValueError
        As :func:`rtosheap.compare`.

    Examples
    --------
    >>> from rtosheap import data, report
    >>> page = report(data.load("coap-server")[:200], heaps=["heap_4"], title="CoAP server")
    >>> page.save("report.html")
    >>> page.comparison
    <Comparison of 1 heap on 'coap-server': heap_4, 9,952 bytes>
    """
    traces = as_traces(trace, "trace")
    names = unique_names(traces)
    heaps = [heaps] if isinstance(heaps, str | type) else list(heaps)
    comparison = compare(
        trace, heaps=heaps, regions=regions, heap_size=heap_size, progress=progress, **options
    )
    own = Versions(options).options
    classes = {heap_name(heap): heap_class(heap) for heap in heaps}
    rows = [(classes[row.heap], row) for row in comparison]
    days = []
    for one, name in zip(traces, names, strict=True):
        views = [view(found) for row in rows for found in _replays(one, *row, heap_size, own)]
        days.append({**recording(one, name), "views": views})
    best = "" if comparison.best is None else comparison.best.heap
    html = page(
        title=title or f"Heap report: {comparison.trace_name or 'a recording'}",
        head=head_of(comparison, _closing(comparison)),
        traces=traces,
        names=names,
        days=days,
        best=best,
        generator=_GENERATOR,
    )
    return HtmlReport(html, comparison)


def explore(replay: Replay, *, title: str | None = None) -> HtmlReport:
    """The page of one replay: see :meth:`rtosheap.Replay.explore`.

    Parameters
    ----------
    replay : Replay
    title : str, optional
        The page's; by default the recording's name, and the heap's.

    Returns
    -------
    HtmlReport

    Raises
    ------
    ValueError
        If it is not known where blocks lay.

    Examples
    --------
    >>> from rtosheap import Heap4, data, replay
    >>> from rtosheap.reports import explore
    >>> page = explore(replay(data.load("coap-server")[:200], Heap4(16384)), title="16 KiB")
    >>> page.save("replay.html")
    >>> page
    <HtmlReport of ... characters>
    """
    trace = replay.trace
    name = f"{trace.name or 'a recording'} in {replay.heap_kind}"
    html = page(
        title=title or name,
        head=head_of_replay(replay),
        traces=[trace],
        names=[trace.name],
        days=[{**recording(trace, trace.name), "views": [view(replay)]}],
        generator=_GENERATOR,
    )
    return HtmlReport(html)


def _replays(
    trace: Trace,
    kind: HeapClass,
    row: HeapResult,
    heap_size: int | None,
    options: dict[str, Any],
) -> list[Replay]:
    """The recording in the row's heap, unless there can be none of that size."""
    if row.size is None or row.regions is None:
        return []
    layout = layout_of(kind)
    own = {key: value for key, value in options.items() if key in layout.options}
    *fixed, (last, _) = row.regions
    regions = [*fixed, (last, None)] if layout.has_regions else None
    problem = SizingProblem(trace, kind, own, regions=regions)
    size = (row.size if heap_size is None else heap_size) - problem.fixed_bytes
    if not problem.constructible(size):
        return []
    return [replay(trace, problem.heap(size), record=COLUMNS)]


def _closing(comparison: Comparison) -> str:
    """The line for the firmware's configuration; where the best heap has none, another's, too."""
    best = comparison.best
    if best is None:
        return ""
    if _is_configured(best):
        return _line(best)
    others = [row for row in comparison if _is_configured(row)]
    others = [row for row in others if row.regions and not layout_of(row.heap).has_regions]
    least = min(others, key=lambda row: row.size or 0, default=None)
    return "\n".join([_line(best), *([_line(least)] if least else [])])


def _is_configured(row: HeapResult) -> bool:
    """Whether it is a heap of FreeRTOS, and takes what FreeRTOS is told."""
    return row.heap in NAMES and not layout_of(row.heap).is_newlib


def _line(row: HeapResult) -> str:
    if row.heap not in NAMES:
        return f"/* {row.heap}: {row.size} bytes */"
    layout = layout_of(row.heap)
    if layout.has_regions:
        regions = (f"    {{ ( uint8_t * ) {at:#x}, {size} }}," for at, size in row.regions or ())
        start = f"const HeapRegion_t regions[] = {{ /* {row.heap}, for vPortDefineHeapRegions() */"
        return "\n".join([start, *regions, "    { NULL, 0 }", "};"])
    if layout.is_newlib:  # it takes from sbrk, whatever FreeRTOS is told
        return f"/* {row.heap}: {row.size} bytes between the ends of sbrk's heap */"
    return f"#define configTOTAL_HEAP_SIZE ( ( size_t ) {row.size} ) /* {row.heap} */"


HtmlReport.__module__ = "rtosheap.reports"  # where users import it from
