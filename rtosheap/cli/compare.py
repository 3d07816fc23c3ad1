"""``rtosheap compare``: the five heaps side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import add_traces, label_of, load_one_or_all
from rtosheap.cli._results import run_compare
from rtosheap.comparison import Comparison
from rtosheap.kinds import NAMES
from rtosheap.traces import Trace
from rtosheap.traces.several import set_aside

ABOUT = "Put the five heaps side by side: how small each can be, where its bytes go, its cost."
EXAMPLE = """\
examples:
  rtosheap compare lwip-3cli
  rtosheap compare day*.trace.gz --heap-size 64K
  rtosheap compare my.trace --heap-size 64K --jobs 4 -o heaps.svg
  rtosheap compare my.trace --kernel V10.3.1 --kernel V10.5.1 --newlib arm-gnu-10.3-2021.10
  rtosheap compare my.trace --what-if 'static:size>=1K;round:32'
  rtosheap compare my.trace --heap heap_4 --heap heap_5 --region 0x10000000:8K --region 0x20000000:
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    add_traces(parser)
    _arguments.add_heaps(parser, "FreeRTOS's five")
    _arguments.add_heap_size(
        parser,
        "count failures in heaps of this size as well, such as 64K; the exit status is then that "
        "of the heaps named by --heap, or else of the best",
    )
    _arguments.add_what_if(parser, "compare the trace as it would be, too")
    _arguments.add_options(parser, solved=True, releases=True)
    _arguments.add_jobs(parser)
    _arguments.add_json(parser)
    _arguments.add_figure(parser, "the comparison")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    heaps = args.heaps or list(NAMES)
    regions = _arguments.regions(args, heaps, solved=True)
    traces = load_one_or_all(args.traces, args)
    changed = None if args.what_if is None else changed_by(args.what_if, traces)
    keywords = {
        "heaps": heaps,
        "regions": regions,
        "heap_size": args.heap_size,
        **_arguments.options(args),
    }
    before = run_compare(traces, args.jobs, **keywords)
    after = None if changed is None else run_compare(changed, args.jobs, **keywords)
    result = before if after is None else after
    if args.output is not None:
        draw(result, args.output)
    if args.json:
        shown = {**before.to_dict(), "trace": label_of(traces, args.traces)}
        if after is not None and changed is not None:
            shown["what_if"] = {**after.to_dict(), "changes": args.what_if, **outside(changed)}
        _output.print_json(shown)
        return status(result, all_count=args.heaps is not None)
    print(before)
    if after is not None and changed is not None:
        print(f"\n\nwhat if {args.what_if}\n\n{after}")
        print(f"\n{outside(changed)['set_aside_bytes']:,} bytes are needed outside the heap.")
    if args.output is not None:
        print(f"\nfigure: {args.output}")
    return status(result, all_count=args.heaps is not None)


def changed_by(changes: str, traces: Trace | list[Trace]) -> Trace | list[Trace]:
    """A trace, or each of several, with changes."""
    if isinstance(traces, Trace):
        return traces.what_if(changes)
    return [trace.what_if(changes) for trace in traces]


def outside(changed: Trace | list[Trace]) -> dict[str, int]:
    """What changed traces need outside the heap: the one that needs most."""
    return {"set_aside_bytes": set_aside([changed] if isinstance(changed, Trace) else changed)}


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


def draw(result: Comparison, path: Path) -> None:
    """The comparison as a figure."""
    from rtosheap.plot import comparison

    with _output.figure(path, size=(9, 1.5 + 0.6 * len(result))) as (ax,):
        comparison(result, ax=ax)
