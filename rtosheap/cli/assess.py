"""``rtosheap assess``: from recordings to the next day: how big, and how sure."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._days import (
    INTERRUPTED,
    add_model,
    odds,
    parse_probability,
    parse_sizes,
    run_assess,
    runs_for,
    that_fails,
)
from rtosheap.cli._recordings import add_traces, load_all, needed_regions
from rtosheap.kinds import layout_of
from rtosheap.risk import Risk
from rtosheap.risk.duration import spoken
from rtosheap.tables import counted
from rtosheap.traces.several import name_of_all, unique_names

ABOUT = "Say how big the heap must be on a day that nobody has recorded, and how sure that is."
EXAMPLE = """\
examples:
  rtosheap assess gateway --runs 200
  rtosheap assess day*.trace.gz --heap heap_4 --probability 1e-3 --jobs 4 -o risk.svg
  rtosheap assess day*.trace.gz --duration 7d --round 4K
  rtosheap assess day*.trace.gz --heap heap_2 --probability 0.05 --sizes 96K,104K,112K

The last line is for FreeRTOSConfig.h. An interrupt (Ctrl-C) ends the modelling, and the answer is
that of the days so far; the exit status is then 130.
"""
_WIDTH = 96


def add(parser: Any) -> None:
    """Add its arguments."""
    add_traces(parser)
    _arguments.add_heap(parser)
    parser.add_argument(
        "--probability", type=parse_probability, default=1e-3, metavar="P",
        help="of days that may fail, such as 1e-3 or 1/1000 (default: %(default)s)",
    )  # fmt: skip
    add_model(parser)
    parser.add_argument(
        "--round", type=_arguments.parse_size, metavar="SIZE",
        help="round the size up to a multiple of this (default: 1K; sizes that were tried, as "
        "with heap_2 and the newest heap_3, are not rounded)",
    )  # fmt: skip
    parser.add_argument(
        "--sizes", type=parse_sizes, metavar="SIZE,SIZE",
        help="heap_2, and heap_3 from newlib 4.2.0 on: the sizes to try (default: 15, from 0.9 to "
        "1.6 times what the largest recording needs)",
    )  # fmt: skip
    _arguments.add_options(parser, solved=True)
    _arguments.add_json(parser)
    _arguments.add_figure(parser, "the chance that a day fails against the heap's size")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    regions = needed_regions(args)
    if args.round is not None and not _arguments.layout(args).monotone:
        raise ValueError(
            f"--round: only sizes that were tried are known of {args.heap}; name them by --sizes"
        )
    runs_for(args)  # before anything is read
    traces = load_all(args.traces, args)
    risk = run_assess(args, traces, sizes=args.sizes, regions=regions)
    try:
        needed = risk.size_for(args.probability)
    except ValueError:
        if not risk.interrupted:
            raise
        print(risk)
        return INTERRUPTED
    size = rounded(risk, needed, args.round or 1024)
    if args.output is not None:
        draw(risk, args.probability, args.output)
    line = closing_line(risk, args.probability, size)
    if args.json:
        _output.print_json(
            {
                **risk.to_dict(),
                "recordings": list(unique_names(traces)),
                "probability": args.probability,
                "size_for": needed,
                "rounded_size": size,
                "chance": risk.probability(size)._asdict(),
                "proven": risk.proven(size),
                "line": line,
                "not_covered": not_covered(risk),
            }
        )
    else:
        events = sum(map(len, traces))
        print(f"{name_of_all(traces) or 'a recording'}: {counted(events, 'event')}\n")
        print_all(risk, args.probability, size)
        if args.output is not None:
            print(f"\nfigure: {args.output}")
        print(f"\n{line}")
    return INTERRUPTED if risk.interrupted else 0


def rounded(risk: Risk, size: int, step: int) -> int:
    """The size rounded up, of heap_5 its last region's; what was tried stays as it is."""
    if risk.tested:
        return size
    fixed = _fixed(risk)
    return fixed - (fixed - size) // step * step


def _fixed(risk: Risk) -> int:
    """Bytes of heap_5's regions but the last."""
    return sum(size or 0 for _, size in risk.regions)


def closing_line(risk: Risk, probability: float, size: int) -> str:
    """The line for the firmware's configuration."""
    layout = layout_of(risk.heap)
    why = f"/* {claim(risk, probability)} */"
    if layout.has_regions:
        address = risk.regions[-1][0]
        return f"{{ ( uint8_t * ) {address:#x}, ( size_t ) {size - _fixed(risk)} }}, {why}"
    if layout.is_newlib:  # it takes from sbrk, whatever FreeRTOS is told
        return f"{size} bytes between the ends of sbrk's heap {why}"
    return f"#define configTOTAL_HEAP_SIZE ( ( size_t ) {size} ) {why}"


def claim(risk: Risk, probability: float) -> str:
    """What is said of the size, and by what."""
    day = spoken(risk.duration, risk.time_unit)
    models = f"{counted(len(risk.sizes), 'modelled day')} from "
    models += counted(len(risk.days), "recording")
    if risk.tail is not None:
        models += " and the tail of their peaks"
    return f"{odds(probability)} days (of {day}), by {models}"


def print_all(risk: Risk, probability: float, size: int) -> None:
    """The table, what it rests on, and what it does not cover."""
    print(risk)
    found = risk.probability(size)
    texts = [
        f"{size:,} bytes: {that_fails(found.estimate)}, by the models; {odds(found.high)} at most, "
        "at 95 % confidence.",
        f"Proven without a model: at most {risk.proven(size):.0%} of days like those recorded "
        f"fail; to prove {odds(probability)}, record "
        f"{counted(risk.days_needed(probability), 'day')} of which none fails.",
    ]
    if len(risk.sizes) < risk.days_needed(probability):
        texts.append(
            f"{len(risk.sizes):,} modelled days are too few to show {odds(probability)}, which "
            f"takes {risk.days_needed(probability):,} (--runs): what says it is the tail alone."
        )
    print()
    for text in texts:
        print(fill(text, _WIDTH))
    print("\nWhat this rests on:")
    print_list(risk.assumptions)
    print("\nWhat it does not cover:")
    print_list(not_covered(risk))


def print_list(texts: Any) -> None:
    """An entry for each text."""
    for text in texts:
        print(fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  "))


def not_covered(risk: Risk) -> list[str]:
    """What nothing in the recordings can tell."""
    return list(_not_covered(risk))


def _not_covered(risk: Risk) -> Iterator[str]:
    yield (
        "what no recording shows: another use of the device, an input larger than any recorded, an "
        "attack, a fault"
    )
    yield "another build, configuration or library version: record it anew (rtosheap diff)"
    yield "memory that is not in the recordings: static buffers, stacks outside the heap"
    day = spoken(risk.duration, risk.time_unit)
    yield f"a run longer than {day}: --duration says how long a day is"


def draw(risk: Risk, probability: float, path: Path) -> None:
    """The chance of a failure against the size."""
    from rtosheap import plot

    with _output.figure(path, size=(8, 5.5)) as (ax,):
        plot.risk(risk, ax=ax, probability=probability)
