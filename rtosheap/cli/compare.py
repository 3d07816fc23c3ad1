"""``rtosheap compare``: the five heaps side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from textwrap import fill
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import add_traces, label_of, load_one_or_all
from rtosheap.cli._results import run_compare, run_what_if
from rtosheap.comparison import BeforeAfter, Comparison
from rtosheap.kinds import NAMES

ABOUT = "Put the five heaps side by side: how small each can be, where its bytes go, its cost."
EXAMPLE = (
    """\
examples:
  rtosheap compare lwip-3cli
  rtosheap compare day*.trace.gz --heap-size 64K
  rtosheap compare my.trace --heap-size 64K --jobs 4 -o heaps.svg
  rtosheap compare my.trace --kernel V10.3.1 --kernel V10.5.1 --newlib arm-gnu-10.3-2021.10
  rtosheap compare my.trace --what-if 'static:size>=1K;round:32'
  rtosheap compare my.trace --heap heap_4 --heap heap_5 --region 0x10000000:8K --region 0x20000000:
  rtosheap compare my.trace --what-if 'region:task=net' -o before-and-after.png

"""
    + _arguments.CHANGES
)


def add(parser: Any) -> None:
    """Add its arguments."""
    add_traces(parser)
    _arguments.add_heaps(parser, "FreeRTOS's five")
    _arguments.add_heap_size(
        parser,
        "count failures in heaps of this size as well, such as 64K; the exit status is then that "
        "of the heaps named by --heap, or else of the best",
    )
    _arguments.add_what_if(
        parser, "one table instead, before and after changes of the trace, and whether they gain"
    )
    _arguments.add_options(parser, solved=True, releases=True)
    _arguments.add_jobs(parser)
    _arguments.add_json(parser)
    _arguments.add_figure(parser, "the comparison (with --what-if, before and after)")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    heaps = args.heaps or list(NAMES)
    regions = _arguments.regions(args, heaps, solved=True)
    traces = load_one_or_all(args.traces, args)
    keywords = {
        "heaps": heaps,
        "regions": regions,
        "heap_size": args.heap_size,
        **_arguments.options(args),
    }
    both = None
    if args.what_if is None:
        before = result = run_compare(traces, args.jobs, **keywords)
    else:
        both = run_what_if(traces, args.what_if, args.jobs, **keywords)
        before, result = both.before, both.after
    if args.output is not None:
        draw(before, args.output, both)
    if args.json:
        shown = {**before.to_dict(), "trace": label_of(traces, args.traces)}
        if both is not None:
            found = both.to_dict()
            shown["what_if"] = {
                **found["after"],
                "changes": args.what_if,
                **{key: found[key] for key in ("set_aside_bytes", "gains", "gains_verdict")},
            }
        _output.print_json(shown)
    else:
        print(before if both is None else both)
        if args.output is not None:
            print(f"\nfigure: {args.output}")
    return status(result, all_count=args.heaps is not None)


def status(result: Comparison, *, all_count: bool) -> int:
    """1 if no heap can serve the trace, or one that counts failed at the size that was asked about:
    each of them, if they were asked for, else the best.
    """
    if result.best is None:
        return 1
    rows = result if all_count else [result.best]
    return (
        1
        if any(row.failures or (row.failures is None and row.failure_reason) for row in rows)
        else 0
    )


def draw(result: Comparison, path: Path, both: BeforeAfter | None = None) -> None:
    """The comparison as a figure; with a change, before and after it on one scale."""
    from rtosheap.plot import comparison

    height = 1.5 + 0.6 * len(result)
    if both is None:
        with _output.figure(path, size=(9, height)) as (ax,):
            comparison(result, ax=ax)
        return
    with _output.figure(path, size=(9, 2 * height), rows=(1, 1)) as (above, below):
        comparison(both.before, ax=above, beside=both.after)
        comparison(both.after, ax=below, beside=both.before, legend=False)
        above.set_ylabel("before")
        below.set_ylabel("after")
        above.set_xlabel("")
        title = f"what if {both.changes}; outside the heap: {both.set_aside:,} bytes"
        below.set_title(fill(title, 90), loc="left", fontsize="medium")
