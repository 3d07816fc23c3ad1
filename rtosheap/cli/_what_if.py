"""``rtosheap compare --what-if …``: the heaps before and after a change to the log."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtosheap.cli import _output
from rtosheap.compare import Comparison
from rtosheap.trace import Trace
from rtosheap.what_if import BeforeAfter, Change, parse_what_if, what_if

HELP = (
    "compare with the same log with something changed, once for each change: static:size>=1024 or "
    "static:task=NAME (not on the heap), pool:size<=32 (in a pool), region:task=NAME (in a heap of "
    "their own), round:16 or round:16/32/64 (sizes), in-place[:reserve] (realloc), align:32"
)


def add(parser: Any) -> None:
    """Add the option."""
    parser.add_argument(
        "--what-if", action="append", default=[], type=_parse, metavar="CHANGE", help=HELP
    )


def _parse(text: str) -> list[Change]:
    try:
        return parse_what_if(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(args: argparse.Namespace, trace: Trace, compare: Callable[[Trace], Comparison]) -> int:
    """Compare before and after, print and draw; 1 if nothing serves the trace after it."""
    changed = what_if(trace, *(change for changes in args.what_if for change in changes))
    result = BeforeAfter(
        changed.meta["what_if"],
        compare(trace),
        compare(changed),
        int(changed.meta["set_aside_bytes"]),
    )
    if args.output is not None:
        _draw(result, args.output)
    if args.json:
        _output.print_json(result.to_dict())
    else:
        print(result)
        print(f"\nafter:\n{result.after}")
        if args.output is not None:
            print(f"\nfigure: {args.output}")
    return 1 if result.after.best is None else 0


def _draw(result: BeforeAfter, path: Path) -> None:
    """Both comparisons, one above the other."""
    from rtosheap.plot import comparison

    rows = len(result.before)
    with _output.figure(path, size=(9, 3 + 1.2 * rows), rows=(1, 1)) as (before, after):
        comparison(result.before, ax=before)
        comparison(result.after, ax=after)
        before.set_title("before")
        after.set_title(f"what if {result.changes}")
