"""``rtosheap replay``: a trace in a heap of a given size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._results import (
    addresses_facts,
    facts_of,
    print_addresses,
    print_failure,
)
from rtosheap.kinds import heap_class, layout_of
from rtosheap.replays import DEFAULT_COLUMNS, Replay, replay
from rtosheap.replays.perfetto import write_perfetto
from rtosheap.work import named, zeroed

ABOUT = "Run a trace in a heap of a given size: what fails, when and why."
EXAMPLE = """\
examples:
  rtosheap replay lwip-3cli --heap-size 46K
  rtosheap replay my.trace --heap heap_2 --heap-size 64K -o usage.png
  rtosheap replay capture.bin --base 0x20000400 --heap-size 40K --check-addresses
  rtosheap replay my.trace --heap heap_5 --region 0x10000000:8K --region 0x20000000:64K --json
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    _arguments.add_trace(parser)
    _arguments.add_heap(parser)
    _arguments.add_heap_size(parser, "bytes of the heap, such as 46K; heap_5 has regions instead")
    _arguments.add_options(parser, solved=False)
    parser.add_argument(
        "--plot",
        choices=("usage", "heap_map"),
        default="usage",
        help="what -o draws: memory over time, or the arena at the first failure, or at the end "
        "if none failed (default: %(default)s)",
    )
    parser.add_argument(
        "--check-addresses",
        action="store_true",
        help="compare each block's address with the recorded one; status 1 if any differs",
    )
    parser.add_argument(
        "--perfetto",
        type=Path,
        metavar="FILE",
        help="write counters, failures and a lane for each task as JSON for ui.perfetto.dev",
    )
    _arguments.add_json(parser)
    _arguments.add_figure(parser, "the replay")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    heap = _heap(args)
    trace = _arguments.load(args.trace, args)
    columns = DEFAULT_COLUMNS
    if args.perfetto is not None:
        columns = (*columns, "largest_free_block")
    with _output.progress_bar("replaying") as progress:
        result = replay(trace, heap, record=columns, progress=progress)
    if args.perfetto is not None:
        with open(args.perfetto, "w", encoding="utf-8") as file:
            write_perfetto(result, file)
    if args.output is not None:
        draw(result, args.plot, args.output)
    facts = facts_of(result)
    check = result.check_addresses() if args.check_addresses else None
    if check is not None:
        facts["addresses"] = addresses_facts(result, check)
    if args.json:
        _output.print_json({"trace": _arguments.label(trace, args.trace), **facts})
    else:
        name = _arguments.label(trace, args.trace)
        _output.print_pairs(f"{name} in {facts['heap']}", result.summary())
        print_failure(facts["first_failure"])
        if check is not None:
            print_addresses(facts["addresses"])
        if args.output is not None:
            print(f"figure: {args.output}")
    differ = check is not None and check.first is not None
    return 1 if result.failures or differ else 0


def _heap(args: argparse.Namespace) -> Any:
    regions = _arguments.regions(args, [args.heap], solved=False)
    options = _arguments.options(args, args.heap)
    kind: Any = heap_class(args.heap)
    if regions is None and not layout_of(args.heap).has_regions:
        if args.heap_size is None:
            raise ValueError(f"--heap-size is needed for {args.heap}, such as --heap-size 46K")
        with named(f"a {args.heap} of {args.heap_size} bytes"):
            return kind(zeroed(args.heap_size), **options)
    if args.heap_size is not None:
        raise ValueError(
            f"--heap-size: {args.heap} has regions instead, --region ADDRESS:SIZE for each"
        )
    if regions is None:
        raise ValueError("heap_5 needs its regions: --region ADDRESS:SIZE for each")
    sizes = [(address, size or 0) for address, size in regions]
    with named(f"a {args.heap} of {sum(size for _, size in sizes)} bytes"):
        return kind(regions=[(address, zeroed(size)) for address, size in sizes], **options)


def draw(result: Replay, plot: str, path: Path) -> None:
    from rtosheap.plot import heap_map, usage

    if plot == "usage":
        with _output.figure(path, size=(10, 5)) as (ax,):
            usage(result, ax=ax)
        return
    with _output.figure(path, size=(10, 6)) as (ax,):
        heap_map(result, ax=ax)
