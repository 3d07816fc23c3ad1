"""``rtosheap compare``: the five heaps side by side."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import add_traces, label_of, load_one_or_all
from rtosheap.cli._results import run_compare
from rtosheap.comparison import Comparison
from rtosheap.kinds import NAMES
from rtosheap.traces import Trace

ABOUT = "Put the five heaps side by side: how small each can be, where its bytes go, its cost."
EXAMPLE = (
    """\
examples:
  rtosheap compare lwip-3cli
  rtosheap compare day*.trace.gz --heap-size 64K
  rtosheap compare my.trace --heap-size 64K --jobs 4 -o heaps.svg
  rtosheap compare my.trace --kernel V10.3.1 --kernel V10.5.1
  rtosheap compare my.trace --heap heap_3 --newlib arm-gnu-10.3-2021.10
  rtosheap compare my.trace --what-if 'static:size>=1K;round:32'
  rtosheap compare my.trace --heap heap_5 \\
      --region 0x10000000:8K --region 0x20000000:
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
    if args.what_if is not None:
        return _what_if(args, traces, **keywords)
    result = run_compare(traces, args.jobs, **keywords)
    if args.output is not None:
        draw(result, args.output)
    if args.json:
        _output.print_json({**result.to_dict(), "trace": label_of(traces, args.traces)})
    else:
        _print(result, args)
    return status(result, all_count=args.heaps is not None)


def _what_if(args: argparse.Namespace, traces: Trace | list[Trace], **keywords: Any) -> int:
    """Run it before and after changes."""
    what_if = import_module("rtosheap.cli._what_if")
    both = what_if.run_what_if(traces, args.what_if, args.jobs, **keywords)
    if args.output is not None:
        what_if.draw(both, args.output)
    if args.json:
        name = label_of(traces, args.traces)
        _output.print_json({**what_if.facts_of(both, args.what_if), "trace": name})
    else:
        _print(both, args)
    return status(both.after, all_count=args.heaps is not None)


def _print(result: object, args: argparse.Namespace) -> None:
    print(result)
    if args.output is not None:
        print(f"\nfigure: {args.output}")


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
