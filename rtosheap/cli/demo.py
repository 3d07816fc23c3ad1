"""``rtosheap demo``: a bundled recorded trace through all five heaps."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtosheap import data
from rtosheap.cli import _arguments, _output
from rtosheap.cli._results import facts_of, print_failure, run_compare
from rtosheap.comparison import Comparison
from rtosheap.heaps import Heap4
from rtosheap.kinds import heap_name
from rtosheap.replays import Replay, replay
from rtosheap.traces import Trace

ABOUT = "Run a bundled recorded trace through all five heaps: a table, a picture, a verdict."
EXAMPLE = """\
example:
  rtosheap demo
  rtosheap demo --trace sqlite-log -o sqlite.svg
"""
_TRACE = "lwip-3cli"
_ABOUT = {
    "lwip-3cli": "lwIP with all its pools on malloc: HTTP-like TCP and UDP echo, 3 client threads",
}
_FIGURE = Path("rtosheap-demo.png")


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument(
        "--trace",
        choices=data.names(),
        default=_TRACE,
        metavar="NAME",
        help=f"which: {', '.join(data.names())} (default: %(default)s)",
    )
    _arguments.add_jobs(parser)
    _arguments.add_json(parser)
    _arguments.add_figure(parser, f"the picture (default: {_FIGURE} in the current directory)")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    trace = data.load(args.trace)
    path = args.output or _FIGURE
    result = run_compare(trace, args.jobs)
    advised = _advised(trace, result)
    _draw(trace, result, advised, path)
    if args.json:
        advised_facts = None if advised is None else facts_of(advised)
        about = {**result.to_dict(), "meta": dict(trace.meta)}
        _output.print_json({**about, "heap_4_as_advised": advised_facts, "figure": str(path)})
        return 0
    _print(trace, result, advised)
    print(f"\nfigure: {path}")
    return 0


def _advised(trace: Trace, result: Comparison) -> Replay | None:
    """The trace in a heap_4 as large as the common advice says; None where there is none."""
    size = result[heap_name(Heap4)].advice_size
    try:
        return None if size is None else replay(trace, Heap4(size))
    except ValueError:
        return None


def _print(trace: Trace, result: Comparison, advised: Replay | None) -> None:
    print(f"A recorded trace: {trace.name}")
    print(f"  {_ABOUT.get(trace.name) or trace.meta.get('workload', '')}")
    print(f"  {trace.meta.get('source', '')}; its input was written for the recording\n")
    print(result)
    if advised is None:
        return
    print(
        f"\nheap_4 in {advised.heap.size:,} bytes, which is its total minus its minimum ever free "
        f"when there is plenty: {advised.failures:,} allocations fail."
    )
    print_failure(facts_of(advised)["first_failure"])


def _draw(trace: Trace, result: Comparison, advised: Replay | None, path: Path) -> None:
    """The comparison; heap_4 at its smallest, over time; and heap_4 a little smaller than that,
    where it fails."""
    from rtosheap.plot import comparison, heap_map, usage

    smallest = result[heap_name(Heap4)].size
    if smallest is None:  # not so for any trace that is bundled
        smallest = 4 * trace.peak_live_bytes
    fails = advised is not None and advised.failures > 0
    rows = (3.2, 3.2, 3.8) if fails else (3.2, 3.2)
    with _output.figure(path, size=(10, sum(rows) + 2), rows=rows) as axes:
        comparison(result, ax=axes[0])
        usage(replay(trace, Heap4(smallest), record="all"), ax=axes[1])
        titles = ["The smallest heap of each kind", "heap_4 in its smallest size"]
        if fails and advised is not None:
            heap_map(advised, ax=axes[2])
            titles.append(
                f"heap_4 in {advised.heap.size:,} bytes, as advised, just before it fails "
                f"at event {advised.first_failure:,}"
            )
        for ax, title in zip(axes, titles, strict=True):
            ax.set_title(title, loc="left", fontweight="bold")
