"""What the commands share that take several recordings: their arguments."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtosheap import data
from rtosheap.cli import _arguments
from rtosheap.cli._arguments import BUNDLED
from rtosheap.kinds import layout_of
from rtosheap.traces import Trace
from rtosheap.traces.several import duplicate, name_of_all, renamed


def add_traces(parser: Any) -> None:
    """The recordings, and how strictly they are read."""
    parser.add_argument(
        "traces",
        nargs="+",
        metavar="TRACE",
        help="recordings of the same firmware, each from power-on: files (see --format; plain, "
        "gzip or Zstandard), - for standard input, or what is bundled: a trace "
        f"({', '.join(data.names())}) or five days of a firmware ({', '.join(BUNDLED)})",
    )
    _arguments.add_reading(parser)


def load_all(names: Sequence[str], args: argparse.Namespace) -> list[Trace]:
    """The recordings of these names; of a bundled firmware all its days. Several that have no
    name, or the same, are called by their files.
    """
    if names.count("-") > 1:
        raise ValueError("-: standard input can be read once")
    found: list[tuple[str, Trace]] = []
    for name in names:
        if name in BUNDLED and not Path(name).exists():
            found += [(f"{name}'s {day.name}", day) for day in data.days(name)]
        elif name not in ("-", *data.names()) and not Path(name).exists():
            raise ValueError(
                f"{name}: no such file, nor a bundled trace; those are {', '.join(data.names())}, "
                f"and five days each of {', '.join(BUNDLED)}"
            )
        else:
            found.append((name, _arguments.load(name, args)))
    traces = [trace for _, trace in found]
    twice = duplicate(traces)
    if twice is not None:
        first, second = (found[at][0] for at in twice)
        what = "is given twice" if first == second else f"is the same recording as {first}"
        raise ValueError(f"{second}: {what}; give each recording once")
    known = Counter(trace.name for trace in traces)
    return [
        renamed(trace, "standard input" if name == "-" else name)
        if len(found) > 1 and (known[trace.name] > 1 or not trace.name)
        else trace
        for name, trace in found
    ]


def load_one_or_all(names: Sequence[str], args: argparse.Namespace) -> Trace | list[Trace]:
    """The recordings of these names; where it is one, that."""
    traces = load_all(names, args)
    return traces if len(traces) > 1 else traces[0]


def label_of(given: Trace | list[Trace], names: Sequence[str]) -> str:
    """What to call what was loaded."""
    return _arguments.label(given, names[0]) if isinstance(given, Trace) else name_of_all(given)


def needed_regions(args: argparse.Namespace) -> list[tuple[int, int | None]] | None:
    """heap_5's regions, the last of them open; None for other heaps."""
    regions = _arguments.regions(args, [args.heap], solved=True)
    if regions is None and layout_of(args.heap).has_regions:
        raise ValueError(
            "heap_5 needs its regions: --region ADDRESS:SIZE for each, the last one open, such as "
            "--region 0x10000000:8K --region 0x20000000:"
        )
    return regions
