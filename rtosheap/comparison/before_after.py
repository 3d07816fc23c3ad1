"""The heaps side by side before and after a change of the trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtosheap.comparison.comparison import Comparison, compare
from rtosheap.tables import plain_table
from rtosheap.traces import Trace
from rtosheap.traces.changes import Change
from rtosheap.traces.several import Traces, as_traces, renamed, set_aside, unique_names


@dataclass(frozen=True)
class BeforeAfter:
    """The five heaps before and after a change.

    Attributes
    ----------
    changes : str
        What was changed.
    before, after : Comparison
        The heaps side by side, without and with it.
    set_aside : int
        Bytes that the change needs outside the heap, to be added to each size after it; of several
        recordings, what the one needs that needs most.
    """

    changes: str
    before: Comparison
    after: Comparison
    set_aside: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of the recording that this rests on."""
        return tuple(dict.fromkeys((*self.before.warnings, *self.after.warnings)))

    def rows(self) -> list[tuple[str, int | None, int | None, int | None]]:
        """Per heap: its name, the minimum before, after, and after with what is set aside."""
        out = []
        for old, new in zip(self.before, self.after, strict=True):
            total = None if new.size is None else new.size + self.set_aside
            out.append((old.heap, old.size, new.size, total))
        return out

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "what_if": self.changes,
            "set_aside_bytes": self.set_aside,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }

    def __str__(self) -> str:
        rows = [
            (*row, None if row[1] is None or row[3] is None else row[1] - row[3])
            for row in self.rows()
        ]
        headers = ("heap", "before", "after", "with aside", "saved")
        title = f"what if {self.changes} (sets aside {self.set_aside:,} bytes)"
        texts = (f"Warning: {text}." for text in self.warnings)
        return "\n\n".join([f"{title}\n{plain_table(headers, rows)}", *texts])


def compare_what_if(trace: Traces, *changes: Change | str, **options: Any) -> BeforeAfter:
    """The heaps before and after changes.

    Parameters
    ----------
    trace : Trace or sequence of Trace
        What the program asks for; of several recordings each is changed.
    *changes
        As for :meth:`rtosheap.Trace.what_if`.
    **options
        For :func:`rtosheap.compare`.
    """
    if isinstance(trace, Trace):
        changed: Traces = trace.what_if(*changes)
    else:
        trace = as_traces(trace, "trace")
        # by names of their own, lest a change that leaves nothing make them one
        names = unique_names(trace)
        changed = [
            renamed(one.what_if(*changes), name) for one, name in zip(trace, names, strict=True)
        ]
    every = as_traces(changed)
    return BeforeAfter(
        every[0].meta["what_if"],
        compare(trace, **options),
        compare(changed, **options),
        set_aside(every),
    )
