"""``rtosheap replay``: a trace in a heap of a given size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.fragmentation import requested_sizes
from rtosheap.heaps import Heap
from rtosheap.kinds import heap_class
from rtosheap.replay import FAILURES, Replay, replay

_EXAMPLE = """\
examples:
  rtosheap replay lwip-3cli --heap-size 46K
  rtosheap replay my.trace --heap heap_2 --heap-size 64K -o usage.png
  rtosheap replay my.trace --heap heap_5 --region 0x10000000:8K --region 0x20000000:64K --json
"""
_SHOWN_PINS = 8


def add(commands: Any) -> None:
    """Add the command."""
    text = "run a trace in a heap of a given size: what fails, when and why"
    parser = _arguments.add_command(commands, "replay", text, _EXAMPLE, run)
    _arguments.add_trace(parser)
    _arguments.add_heap(parser, default="heap_4")
    parser.add_argument(
        "--heap-size",
        type=_arguments.parse_size,
        metavar="SIZE",
        help="bytes of the heap, such as 46K; heap_5 has regions instead",
    )
    _arguments.add_options(parser, solved=False)
    parser.add_argument(
        "--plot",
        choices=("usage", "heap_map"),
        default="usage",
        help="what -o draws: memory over time, or the arena at the first failure, or at the end "
        "if none failed (default: %(default)s)",
    )
    _arguments.add_json(parser)
    _arguments.add_figure(parser, "the replay")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    heap = _heap(args)
    trace = _arguments.load(args.trace, strict=args.strict)
    with _output.progress_bar("replaying") as progress:
        result = replay(trace, heap, progress=progress)
    if args.output is not None:
        draw(result, args.plot, args.output)
    facts = facts_of(result)
    if args.json:
        _output.print_json({"trace": _arguments.label(trace, args.trace), **facts})
    else:
        name = _arguments.label(trace, args.trace)
        _output.print_pairs(f"{name} in {facts['heap']}", result.summary())
        print_failure(facts["first_failure"])
        if args.output is not None:
            print(f"figure: {args.output}")
    return 1 if result.failures else 0


def _heap(args: argparse.Namespace) -> Any:
    regions = _arguments.regions(args, [args.heap], solved=False)
    options = _arguments.options(args, args.heap)
    kind: Any = heap_class(args.heap)
    if args.heap != "heap_5":
        if args.heap_size is None:
            raise ValueError(f"--heap-size is needed for {args.heap}, such as --heap-size 46K")
        return kind(args.heap_size, **options)
    if args.heap_size is not None:
        raise ValueError("--heap-size: heap_5 has regions instead, --region ADDRESS:SIZE for each")
    if regions is None:
        raise ValueError("heap_5 needs its regions: --region ADDRESS:SIZE for each")
    return kind(regions, **options)


def facts_of(result: Replay) -> dict[str, Any]:
    """All that is known, as plain values."""
    return {
        "heap": result.heap_kind,
        "heap_size": result.heap.size,
        "regions": [list(region) for region in result.regions],
        "events": len(result),
        "peak_live_bytes": result.trace.peak_live_bytes,
        "failures": result.failures,
        "zero_size": result.zero_size,
        "skipped": result.skipped,
        "ignored_frees": result.ignored_frees,
        "minimum_ever_free": result.minimum_ever_free_size,
        "most_nodes": result.most_nodes,
        "most_nodes_event": result.most_nodes_event,
        "first_failure": _failure(result),
    }


def _failure(result: Replay) -> dict[str, Any] | None:
    """The first failure, and what stood in its way."""
    index = result.first_failure
    if index is None:
        return None
    event = result.trace[index]
    stats = result.heap_at(index).stats()
    why = FAILURES[int(result.column("failure")[index])]
    pins = result.pins(index) if why == "fragmentation" else []
    return {
        "event": index,
        "op": event.op,
        "size": event.size,
        "reason": why,
        "free_size": stats.available,
        "largest_free_block": stats.largest_free_block,
        "pins": [pin._asdict() for pin in pins],
    }


def print_failure(failure: dict[str, Any] | None) -> None:
    if failure is None:
        return
    what = {"m": "malloc", "r": "realloc"}[failure["op"]]
    print(
        f"\nThe first failure is {what}({failure['size']:,}) at event {failure['event']:,}, by "
        f"{failure['reason']}: {failure['free_size']:,} bytes are free, "
        f"{failure['largest_free_block']:,} of them in one block."
    )
    pins = failure["pins"]
    if pins:
        print(f"{len(pins):,} live blocks lie between the holes:")
        for pin in pins[:_SHOWN_PINS]:
            print(
                f"  {pin['address']:#010x}: {pin['requested']:,} bytes, "
                f"allocated at event {pin['event']:,}"
            )
        if len(pins) > _SHOWN_PINS:
            print(f"  and {len(pins) - _SHOWN_PINS:,} more (--json lists all)")


def draw(result: Replay, plot: str, path: Path) -> None:
    from rtosheap.plot import heap_map, usage

    if plot == "usage":
        with _output.figure(path, size=(10, 5)) as (ax,):
            usage(result, ax=ax)
        return
    with _output.figure(path, size=(10, 6)) as (ax,):
        heap, requested = before_failure(result)
        heap_map(heap, ax=ax, requested=requested)


def before_failure(result: Replay) -> tuple[Heap, dict[int, int]]:
    """The heap just before the first failure, or at the end if none failed; and what was asked for
    in its blocks.
    """
    event = result.first_failure
    if event is None:
        return result.heap, requested_sizes(result)
    return result.heap_at(event), requested_sizes(result, event - 1) if event else {}
