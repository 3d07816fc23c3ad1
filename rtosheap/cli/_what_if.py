"""A comparison before and after changes of the trace."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

from rtosheap.cli import _output
from rtosheap.cli._results import working
from rtosheap.comparison import BeforeAfter, compare_what_if
from rtosheap.traces.several import Traces


def run_what_if(trace: Traces, changes: str, jobs: int, **keywords: Any) -> BeforeAfter:
    """Compare both, with a progress bar, in as many processes."""
    with working(jobs) as how:
        return compare_what_if(trace, changes, **how, **keywords)


def facts_of(both: BeforeAfter, changes: str) -> dict[str, Any]:
    """All that is known, as plain values: the comparison before, and below it that after."""
    found = both.to_dict()
    sums = {key: found[key] for key in ("set_aside_bytes", "gains", "gains_verdict")}
    return {**found["before"], "what_if": {**found["after"], "changes": changes, **sums}}


def draw(both: BeforeAfter, path: Path) -> None:
    """Both as a figure, to one scale."""
    from rtosheap.plot import comparison

    height = 1.5 + 0.6 * len(both.before)
    with _output.figure(path, size=(9, 2 * height), rows=(1, 1)) as (above, below):
        comparison(both.before, ax=above, beside=both.after)
        comparison(both.after, ax=below, beside=both.before, legend=False)
        above.set_ylabel("before")
        below.set_ylabel("after")
        above.set_xlabel("")
        title = f"what if {both.changes}; outside the heap: {both.set_aside:,} bytes"
        below.set_title(fill(title, 90), loc="left", fontsize="medium")
