"""``rtosheap diff``: what a new version of a firmware needs more than the old one."""

from __future__ import annotations

import argparse
import math
from typing import Any

from rtosheap import tables
from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import load_all, needed_regions
from rtosheap.comparison import Difference, difference

ABOUT = "Say what a new version of a firmware needs more than the old one: by task, by size."
EXAMPLE = """\
examples:
  rtosheap diff old.trace new.trace
  rtosheap diff --old v1/*.trace.gz --new v2/*.trace.gz --heap heap_4 --allow 5%

exit status: 0 the need grew by no more than is allowed (or nothing was said of that), 1 by more,
2 bad input
"""


def parse_allowed(text: str) -> tuple[float, bool]:
    """What a need may grow by: ``5%``, or a size; the number, and whether it is a share.

    Examples
    --------
    >>> parse_allowed("5%"), parse_allowed("2K"), parse_allowed("0")
    ((0.05, True), (2048, False), (0, False))
    """
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if not 0 <= share < math.inf:
                raise ValueError
            return share, True
        return tables.parse_size(text), False
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no growth; write a share such as 5%, or a size such as 512 or 2K"
        ) from None


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument("pair", nargs="*", metavar="OLD NEW", help="a recording of each version")
    for side in ("old", "new"):
        parser.add_argument(
            f"--{side}", nargs="+", default=[], metavar="TRACE",
            help=f"recordings of the {side} version, where there are several",
        )  # fmt: skip
    _arguments.add_reading(parser)
    _arguments.add_heap(parser)
    parser.add_argument(
        "--allow", type=parse_allowed, metavar="GROWTH",
        help="a gate: exit with 1 if the need grew by more than this, such as 5%% or 512",
    )  # fmt: skip
    _arguments.add_options(parser, solved=True)
    _arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    regions = needed_regions(args)
    old, new = (load_all(names, args) for names in _sides(args))
    with _output.progress_bar("comparing versions") as progress:
        found = difference(
            old,
            new,
            args.heap,
            regions=regions,
            progress=progress,
            **_arguments.options(args, args.heap),
        )
    allowed = None if args.allow is None else _allowed(found, *args.allow)
    failed = allowed is not None and found.growth > allowed
    if args.json:
        _output.print_json({**found.to_dict(), "allowed": allowed, "failed": failed})
    else:
        print(found)
        if allowed is not None:
            verdict = "not allowed" if failed else "ok"
            print(f"\n{verdict}: {found.growth:+,} bytes, of {allowed:+,} that are allowed")
    return 1 if failed else 0


def _allowed(found: Difference, growth: float, share: bool) -> int:
    """Bytes that the need may grow by."""
    return int(growth * found.old_size) if share else int(growth)


def _sides(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The names of the recordings of each version."""
    if args.pair and (args.old or args.new):
        raise ValueError(
            f"{args.pair[0]}: give OLD and NEW, or --old and --new where there are several"
        )
    if args.pair:
        if len(args.pair) != 2:
            raise ValueError(
                f"{' '.join(args.pair)}: OLD and NEW are two recordings; where there are several "
                "of a version, write --old OLD OLD --new NEW NEW"
            )
        return [args.pair[0]], [args.pair[1]]
    if not (args.old and args.new):
        raise ValueError("OLD and NEW are needed: a recording of each version, or --old and --new")
    return args.old, args.new
