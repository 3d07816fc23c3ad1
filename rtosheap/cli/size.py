"""``rtosheap size``: the smallest heap that serves a trace."""

from __future__ import annotations

import argparse
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.kinds import layout_of
from rtosheap.sizing import MinimumSize, minimum_heap_size
from rtosheap.traces import Trace

_EXAMPLE = """\
examples:
  rtosheap size lwip-3cli
  rtosheap size my.trace --heap heap_4 --base 0x20000404 --alignment 8
  rtosheap size my.trace --heap heap_5 --region 0x10000000:8K --region 0x20000000:
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "find the smallest heap in which a trace runs without a failed allocation"
    parser = _arguments.add_command(commands, "size", text, _EXAMPLE, run)
    _arguments.add_trace(parser)
    _arguments.add_heap(parser)
    _arguments.add_options(parser, solved=True)
    parser.add_argument(
        "--full",
        action="store_true",
        help="heap_2: try every size, since a larger heap_2 may fail where a smaller one serves",
    )
    _arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    regions = _arguments.regions(args, [args.heap], solved=True)
    if regions is None and layout_of(args.heap).has_regions:
        raise ValueError(
            "heap_5 needs its regions: --region ADDRESS:SIZE for each, the last one open, such as "
            "--region 0x10000000:8K --region 0x20000000:"
        )
    options = _arguments.options(args, args.heap)
    trace = _arguments.load(args.trace, args)
    with _output.progress_bar(f"sizing {args.heap}") as progress:
        found = minimum_heap_size(
            trace,
            args.heap,
            regions=regions,
            search="full" if args.full else None,
            progress=progress,
            **options,
        )
    name = _arguments.label(trace, args.trace)
    if args.json:
        _output.print_json(
            {"trace": name, **found.to_dict(), "witness_event": _event(found, trace)}
        )
        return 0
    pairs = found.summary()
    event = _event(found, trace)
    if event is not None:
        what = {"m": "malloc", "r": "realloc"}[event["op"]]
        pairs = [
            (key, f"{value}, {what}({event['size']:,})" if key == "needed by" else value)
            for key, value in pairs
        ]
    _output.print_pairs(f"{found.heap} for {name} ({len(trace):,} events)", pairs)
    return 0


def _event(found: MinimumSize, trace: Trace) -> dict[str, Any] | None:
    """The witness."""
    if found.witness is None:
        return None
    event = trace[found.witness]
    return {"op": event.op, "id": event.id, "size": event.size}
