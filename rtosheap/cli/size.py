"""``rtosheap size``: the smallest heap that serves a trace, or several."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import add_traces, label_of, load_one_or_all, needed_regions
from rtosheap.sizing import MinimumSize, minimum_heap_size
from rtosheap.traces import Trace

ABOUT = "Find the smallest heap in which traces run without a failed allocation."
EXAMPLE = """\
examples:
  rtosheap size lwip-3cli
  rtosheap size day*.trace.gz
  rtosheap size my.trace --heap heap_4 --base 0x20000404 --alignment 8
  rtosheap size my.trace --heap heap_5 --region 0x10000000:8K --region 0x20000000:
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    add_traces(parser)
    _arguments.add_heap(parser)
    _arguments.add_options(parser, solved=True)
    parser.add_argument(
        "--full",
        action="store_true",
        help="heap_2: try every size, however long it takes, since a larger heap_2 may fail where "
        "a smaller one serves",
    )
    _arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    regions = needed_regions(args)
    options = _arguments.options(args, args.heap)
    traces = load_one_or_all(args.traces, args)
    with _output.progress_bar(f"sizing {args.heap}") as progress:
        found = minimum_heap_size(
            traces,
            args.heap,
            regions=regions,
            search="full" if args.full else None,
            progress=progress,
            **options,
        )
    name = label_of(traces, args.traces)
    event = _event(found, [traces] if isinstance(traces, Trace) else traces)
    if args.json:
        _output.print_json({"trace": name, **found.to_dict(), "witness_event": event})
        return 0
    pairs = found.summary()
    if event is not None:
        what = {"m": "malloc", "r": "realloc"}[event["op"]]
        pairs = [
            (key, f"{value}, {what}({event['size']:,})" if key == "needed by" else value)
            for key, value in pairs
        ]
    events = len(traces) if isinstance(traces, Trace) else sum(map(len, traces))
    _output.print_pairs(f"{found.heap} for {name} ({events:,} events)", pairs)
    if found.recordings:
        print(f"\n{found.table()}")
    return 0


def _event(found: MinimumSize, traces: Sequence[Trace]) -> dict[str, Any] | None:
    """The witness, in the recording that decides."""
    if found.witness is None:
        return None
    names = [one.name for one in found.recordings]
    at = names.index(found.recording) if found.recording is not None else 0
    event = traces[at][found.witness]
    return {"op": event.op, "id": event.id, "size": event.size}
