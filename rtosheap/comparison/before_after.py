"""The heaps side by side before and after a change of the trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import fill
from typing import Any, NamedTuple

from rtosheap.comparison._releases import of_releases
from rtosheap.comparison._tables import Table, remarks
from rtosheap.comparison.comparison import Comparison, compare
from rtosheap.html import table_html
from rtosheap.tables import counted, listed, percent, plain_table
from rtosheap.traces import Trace
from rtosheap.traces.changes import Change, as_changes
from rtosheap.traces.several import Traces, as_traces, renamed, set_aside, unique_names
from rtosheap.work import Progress, part

_WIDTH = 96  # of the texts below the table


class HeapGain(NamedTuple):
    """What a change makes of one heap, in bytes.

    Attributes
    ----------
    heap : str
    before, after : int or None
        The smallest heap that serves, without and with the change; None where none does.
    outside : int
        What the change needs outside the heap.

    Examples
    --------
    >>> gain = HeapGain("heap_4", before=2136, after=80, outside=2048)
    >>> gain.total, gain.gain
    (2128, 8)
    """

    heap: str
    before: int | None
    after: int | None
    outside: int

    @property
    def total(self) -> int | None:
        """After the change, the heap and what lies outside it."""
        return None if self.after is None else self.after + self.outside

    @property
    def gain(self) -> int | None:
        """How many bytes less that is than before; negative for a loss."""
        total = self.total
        return None if self.before is None or total is None else self.before - total

    @property
    def gain_ratio(self) -> float | None:
        """The same as a share of what it was before."""
        return None if self.gain is None or not self.before else self.gain / self.before

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            **self._asdict(),
            "total": self.total,
            "gain_bytes": self.gain,
            "gain_ratio": self.gain_ratio,
        }


@dataclass(frozen=True, repr=False)
class BeforeAfter:
    """The five heaps before and after a change; ``print()`` shows one table, and whether it is a
    gain.

    Attributes
    ----------
    changes : str
        What was changed.
    before, after : Comparison
        The heaps side by side, without and with it.
    set_aside : int
        Bytes that the change needs outside the heap, to be added to each size after it; of several
        recordings, what the one needs that needs most.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmmf", id=[0, 1, 2, 1], size=[2048, 20, 30, 0])
    >>> result = compare_what_if(log, "static:size>=1K", heaps=["heap_4"])
    >>> result.set_aside, result.rows()
    (2048, [HeapGain(heap='heap_4', before=2136, after=80, outside=2048)])
    >>> print(result.verdict)
    It is a gain for heap_4 (8 bytes, 0.4%), with what then lies outside the heap.
    """

    changes: str
    before: Comparison
    after: Comparison
    set_aside: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of the recording that this rests on."""
        return tuple(dict.fromkeys((*self.before.warnings, *self.after.warnings)))

    def rows(self) -> list[HeapGain]:
        """What the change makes of each heap."""
        pairs = zip(self.before, self.after, strict=True)
        return [HeapGain(old.heap, old.size, new.size, self.set_aside) for old, new in pairs]

    @property
    def verdict(self) -> str:
        """Whether it is a gain, in words."""
        rows = self.rows()
        texts = [*_gains(rows), *_best(self)]
        return " ".join([*texts, *of_releases(self.after.versions)])

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "what_if": self.changes,
            "set_aside_bytes": self.set_aside,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "gains": [row.to_dict() for row in self.rows()],
            "gains_verdict": self.verdict,
        }

    def _title(self) -> str:
        name = self.before.trace_name or "trace"
        outside = counted(self.set_aside, "byte")
        return f"{name}, what if {self.changes}; outside the heap then: {outside}"

    def _table(self) -> Table:
        headers = ["heap", "before", "after", "outside", "after + outside", "gain", "gain, %"]
        rows: list[list[object]] = [
            [
                row.heap,
                row.before,
                row.after,
                row.outside,
                row.total,
                row.gain,
                None if row.gain_ratio is None else round(100 * row.gain_ratio, 1) + 0.0,
            ]
            for row in self.rows()
        ]
        if self.before.heap_size is not None:
            headers += [f"failures in {self.before.heap_size:,}", "failures after"]
            for cells, old, new in zip(rows, self.before, self.after, strict=True):
                cells += [old.failures, new.failures]
        return headers, rows

    def _texts(self) -> list[str]:
        notes = [f"before: {text}" for text in remarks(self.before)]
        notes += [f"after: {text}" for text in remarks(self.after)]
        warnings = [f"Warning: {text}." for text in self.warnings]
        return [*notes, self.verdict, *warnings]

    def __repr__(self) -> str:
        name = f" on {self.before.trace_name!r}" if self.before.trace_name else ""
        heaps = counted(len(self.before), "heap")
        return f"<BeforeAfter of {heaps}{name}: {self.changes}>"

    def __str__(self) -> str:
        texts = [fill(text, _WIDTH, break_on_hyphens=False) for text in self._texts()]
        return "\n\n".join(
            [self._title(), plain_table(*self._table(), digits=1, rule=True), *texts]
        )

    def _repr_html_(self) -> str:
        paragraphs = "".join(f"<p>{escape(text)}</p>" for text in self._texts())
        return f"<div><p>{escape(self._title())}</p>{table_html(*self._table())}{paragraphs}</div>"


_GAINS = {1: "is a gain", -1: "is a loss", 0: "makes no difference"}


def _gains(rows: Sequence[HeapGain]) -> list[str]:
    """For which heaps it is a gain, and for which a loss."""
    texts = []
    found: dict[str, list[str]] = {what: [] for what in _GAINS.values()}
    for row in rows:
        if row.gain is not None:
            way = (row.gain > 0) - (row.gain < 0)
            found[_GAINS[way]].append(row.heap if not row.gain else f"{row.heap} ({_amount(row)})")
    parts = [f"{what} for {listed(heaps)}" for what, heaps in found.items() if heaps]
    if parts:
        outside = ", with what then lies outside the heap" if rows[0].outside else ""
        texts.append(f"It {listed(parts)}{outside}.")
    for served, when in (((False, True), "only after"), ((True, False), "only before"),
                         ((False, False), "neither before nor after")):  # fmt: skip
        heaps = [r.heap for r in rows if (r.before is not None, r.after is not None) == served]
        texts += [f"{listed(heaps)} can serve {when} it."] if heaps else []
    return texts


def _amount(row: HeapGain) -> str:
    """How much a gain or a loss is."""
    size = abs(row.gain or 0)
    share = percent(size, row.before or 1)
    return counted(size, "byte") + (f", {share}" if share else "")


def _best(result: BeforeAfter) -> list[str]:
    """What the best heap of several needs, before and after."""
    old, new = result.before.best, result.after.best
    if len(result.before) == 1 or old is None or new is None:
        return []
    row = HeapGain(new.heap, old.size, new.size, result.set_aside)
    # heap_5 counts last where its regions were made up, though it may need less
    rows = [*((r, old) for r in result.before), *((r, new) for r in result.after)]
    undercut = any(r.size is not None and r.size < (best.size or 0) for r, best in rows)
    where = " in one region" if undercut else ""
    before, after = counted(row.before or 0, "byte"), counted(row.total or 0, "byte")
    change = f"a {'gain' if (row.gain or 0) > 0 else 'loss'} of {_amount(row)}"
    return [
        f"The best heap{where} before it is {old.heap}, with {before}; after it {new.heap}, with "
        f"{after} in all: {change if row.gain else 'the same'}."
    ]


def compare_what_if(
    trace: Traces, *changes: Change | str, progress: Progress | None = None, **options: Any
) -> BeforeAfter:
    """The heaps before and after changes.

    Parameters
    ----------
    trace : Trace or sequence of Trace
        What the program requests; of several recordings each is changed.
    *changes
        As for :meth:`rtosheap.Trace.what_if`.
    progress : callable, optional
        As for :func:`rtosheap.compare`.
    **options
        For :func:`rtosheap.compare`.

    Returns
    -------
    BeforeAfter

    Examples
    --------
    >>> from rtosheap import data
    >>> log = data.load("tls-client-rsa-resume")
    >>> result = compare_what_if(log, "static:size>=16K", heaps=["heap_4"])
    >>> row = result.rows()[0]
    >>> row.before, row.after, row.outside, row.gain
    (49592, 16136, 33434, 22)
    >>> print(result.verdict)
    It is a gain for heap_4 (22 bytes), with what then lies outside the heap.
    """
    given = as_changes(changes)
    changed: Traces
    if isinstance(trace, Trace):
        changed = trace.what_if(*given)
    else:
        trace = as_traces(trace, "trace")
        # by names of their own, lest a change that leaves nothing make them one
        names = unique_names(trace)
        changed = [
            renamed(one.what_if(*given), name) for one, name in zip(trace, names, strict=True)
        ]
    return BeforeAfter(
        "; ".join(map(str, given)),
        compare(trace, progress=part(progress, 0, 2), **options),
        compare(changed, progress=part(progress, 1, 2), **options),
        set_aside(as_traces(changed)) - set_aside(as_traces(trace)),
    )


HeapGain.__module__ = "rtosheap.comparison"  # where users import it from
