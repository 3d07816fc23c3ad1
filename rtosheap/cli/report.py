"""``rtosheap report``: all that is known of recordings, as one page to hand on."""

from __future__ import annotations

import argparse
from pathlib import Path
from textwrap import fill
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import add_traces, load_one_or_all
from rtosheap.kinds import NAMES
from rtosheap.reports import report

ABOUT = "Write one page to hand on: the verdict, tables, and a map of each heap to scrub through."
EXAMPLE = """\
examples:
  rtosheap report lwip-3cli -o report.html
  rtosheap report day*.trace.gz -o report.html --heap heap_4
  rtosheap report my.trace -o report.html --heap heap_4 --heap-size 46K

The page needs neither network nor server: a browser opens it from a disk, or from a mail.
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    add_traces(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=_parse_page,
        required=True,
        metavar="FILE",
        help="the page to write, such as report.html",
    )
    parser.add_argument("--title", help="of the page (default: the recordings' names)")
    _arguments.add_heaps(parser, "FreeRTOS's five")
    _arguments.add_heap_size(
        parser, "draw each heap at this size, such as 64K (default: the smallest that serves)"
    )
    _arguments.add_options(parser, solved=True, releases=True)


def _parse_page(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .html")
    return path


def run(args: argparse.Namespace) -> int:
    """Run it."""
    heaps = args.heaps or list(NAMES)
    regions = _arguments.regions(args, heaps, solved=True)
    traces = load_one_or_all(args.traces, args)
    with _output.progress_bar("comparing") as progress:
        page = report(
            traces,
            heaps=heaps,
            regions=regions,
            heap_size=args.heap_size,
            title=args.title,
            progress=progress,
            **_arguments.options(args),
        )
    page.save(args.output)
    assert page.comparison is not None
    print(page.comparison.verdict)
    for text in page.comparison.warnings:
        print(fill(f"Warning: {text}.", break_on_hyphens=False))
    print(f"\nreport: {args.output}")
    return 0 if page.comparison.best is not None else 1
