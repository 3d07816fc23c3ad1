"""``rtosheap convert``: a trace from one format to another."""

from __future__ import annotations

import argparse
from typing import Any

from rtosheap.cli import _arguments

_EXAMPLE = """\
formats, by the suffix of OUT: .trace, .trace.gz (text), .npz, .csv, .csv.gz, .rep (CMU malloc lab);
the format of IN is told by its content

examples:
  rtosheap convert my.csv my.trace.gz
  rtosheap convert lwip-3cli lwip-3cli.npz
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "convert a trace from one format to another"
    parser = _arguments.add_command(commands, "convert", text, _EXAMPLE, run)
    parser.add_argument("trace", metavar="IN", help="a trace's file, or a bundled trace")
    parser.add_argument("out", metavar="OUT", help="the file to write")
    _arguments.add_strict(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    trace = _arguments.load(args.trace, strict=args.strict)
    trace.save(args.out)
    print(f"{args.out}: {len(trace):,} events")
    if trace.loss:
        print(trace.loss)
    return 0
