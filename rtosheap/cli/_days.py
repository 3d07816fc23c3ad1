"""What the commands share that model days: their arguments, an assessment, and its words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cli._workers import workers
from rtosheap.risk import Risk, assess
from rtosheap.traces import Trace

#: The exit status after an interrupt, also where it left something to show.
INTERRUPTED = 130


def parse_probability(text: str) -> float:
    """A probability: ``0.001``, ``1e-3`` or ``1/1000``.

    Examples
    --------
    >>> parse_probability("1e-3"), parse_probability("1/1000")
    (0.001, 0.001)
    """
    above, slash, below = text.partition("/")
    try:
        value = float(above) / (float(below) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no probability; it must be between 0 and 1, such as 1e-3 or 1/1000"
        )
    return value


def parse_duration(text: str) -> int | str:
    """A duration: a number of the recordings' own units, or what says its unit."""
    return int(text) if text.isdecimal() else text


def parse_sizes(text: str) -> list[int]:
    """Sizes with commas between them: ``56K,60K,64K``.

    Examples
    --------
    >>> parse_sizes("1K,0x800")
    [1024, 2048]
    """
    return [_arguments.parse_size(size) for size in text.split(",")]


def parse_count(text: str) -> int:
    """A number of runs."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; 1 or more serve")
    return int(text)


def parse_seed(text: str) -> int:
    """A seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; it must be 0 or a positive integer")
    return int(text)


def add_model(parser: Any) -> None:
    """How the days are modelled."""
    parser.add_argument(
        "--runs", type=parse_count, metavar="N",
        help="how many days are modelled (default: 1000; of heap_1, heap_2 and, from newlib "
        "4.2.0 on, heap_3, of which the modelled days are all there is, as many as the "
        "probability takes, if that is more)",
    )  # fmt: skip
    parser.add_argument(
        "--duration", type=parse_duration, metavar="TIME",
        help="how long a day is, such as 12h or 7d, or a number in the recordings' unit "
        "(default: the median of the recordings)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=parse_seed, default=0, metavar="N",
        help="the same seed gives the same numbers (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=_arguments.parse_jobs, default=1, metavar="N",
        help="model in N processes, with the same numbers (default: 1)",
    )  # fmt: skip


def runs_for(args: argparse.Namespace) -> int:
    """How many days to model; ValueError if so few cannot tell the probability that was asked for,
    where a heap has no tail that could.
    """
    layout = _arguments.layout(args)
    needed = 1
    if not (layout.frees and layout.monotone):
        needed = Risk.days_needed(args.probability)
    if args.runs is not None and args.runs < needed:
        raise ValueError(
            f"--runs is {args.runs}; to tell {odds(args.probability)}, {args.heap} takes "
            f"{needed:,} or more, since it has no tail: name as many, or none, or a larger "
            "--probability"
        )
    return max(needed, 1000) if args.runs is None else args.runs


def run_assess(args: argparse.Namespace, traces: Sequence[Trace], **more: Any) -> Risk:
    """Assess, with a progress bar, in as many processes."""
    keywords = {
        "runs": runs_for(args),
        "seed": args.seed,
        "duration": args.duration,
        **more,
        **_arguments.options(args, args.heap),
    }
    with _output.progress_bar("modelling days") as progress:
        if args.jobs == 1:
            return assess(traces, args.heap, progress=progress, **keywords)
        with workers(args.jobs) as pool:
            return assess(traces, args.heap, executor=pool, progress=progress, **keywords)


def odds(chance: float) -> str:
    """A chance for people: 1 in 1,000.

    Examples
    --------
    >>> odds(0.001), odds(0.3)
    ('1 in 1,000', '1 in 3.33')
    """
    return f"1 in {1 / chance:,.0f}" if chance <= 0.1 else f"1 in {1 / chance:.3g}"


def that_fails(chance: float) -> str:
    """What fails with a chance: 1 in 1,000 days fails."""
    if chance in (0, 1):
        return "every day fails" if chance else "no modelled day fails"
    return f"{odds(chance)} days fails"
