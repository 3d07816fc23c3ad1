"""``rtosheap check``: is a heap of this size enough? A gate for continuous integration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

from rtosheap.cli import _arguments, _output
from rtosheap.cli._days import (
    INTERRUPTED,
    add_model,
    odds,
    parse_probability,
    run_assess,
    runs_for,
    that_fails,
)
from rtosheap.cli._recordings import add_traces, load_all
from rtosheap.kinds import heap_class, layout_of
from rtosheap.risk import Risk
from rtosheap.sizing.problem import SizingProblem
from rtosheap.tables import counted
from rtosheap.traces import Op, Trace
from rtosheap.traces.doubts import doubts, is_complete
from rtosheap.traces.several import lost_of_all, name_of_all, unique_names

ABOUT = "A gate for CI: are these recordings served, and other days too, by a heap of a size."
EXAMPLE = """\
examples:
  rtosheap check gateway --heap-size 96K
  rtosheap check day*.trace.gz --heap-size 64K --probability 1e-3 --jobs 4
  rtosheap check my.trace --heap heap_5 --region 0x10000000:8K --region 0x20000000:64K

exit status: 0 it is enough, 1 it is not, 2 bad input
"""

_Regions = list[tuple[int, int | None]]


class Verdict(NamedTuple):
    """Whether a size is enough, and why."""

    enough: bool
    why: str


def add(parser: Any) -> None:
    """Add its arguments."""
    add_traces(parser)
    _arguments.add_heap(parser)
    _arguments.add_heap_size(parser, "bytes of the heap, such as 64K; heap_5 has regions instead")
    parser.add_argument(
        "--probability", type=parse_probability, metavar="P",
        help="also ask whether no more than this share of other days fails, such as 1e-3 "
        "(default: only the recordings count, and no day is modelled)",
    )  # fmt: skip
    add_model(parser)
    _arguments.add_options(parser, solved=False)
    _arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    size, regions = _asked(args)
    if args.probability is not None:
        runs_for(args)  # before anything is read
    traces = load_all(args.traces, args)
    verdict, risk = _recorded(args, traces, size, regions), None
    if verdict.enough and args.probability is not None:
        tried = None if _arguments.layout(args).monotone else [size]
        risk = run_assess(args, traces, sizes=tried, regions=regions)
        verdict = _modelled(risk, size, args.probability)
    lacks = _doubts(args, traces)
    if args.json:
        _output.print_json(
            {
                "heap": args.heap,
                "heap_size": size,
                "probability": args.probability,
                **verdict._asdict(),
                "interrupted": risk is not None and risk.interrupted,
                "exact": risk is None and all(map(is_complete, traces)),
                "warnings": lacks if risk is None else list(risk.warnings),
                "loss": dict(lost_of_all(traces)),
            }
        )
    else:
        print(f"{'ok' if verdict.enough else 'not enough'}: {verdict.why}")
        for text in lacks:
            print(fill(f"Warning: {text}.", break_on_hyphens=False))
    if risk is not None and risk.interrupted:
        return INTERRUPTED
    return 0 if verdict.enough else 1


def _asked(args: argparse.Namespace) -> tuple[int, _Regions | None]:
    """The size that is asked about; for heap_5 in all, and its regions with the last one open."""
    regions = _arguments.regions(args, [args.heap], solved=False)
    if regions is None and not layout_of(args.heap).has_regions:
        if args.heap_size is None:
            raise ValueError("--heap-size is needed, such as --heap-size 64K")
        return args.heap_size, None
    if args.heap_size is not None:
        raise ValueError(
            f"--heap-size: {args.heap} has regions instead, --region ADDRESS:SIZE for each"
        )
    if regions is None:
        raise ValueError("heap_5 needs its regions: --region ADDRESS:SIZE for each")
    return sum(size or 0 for _, size in regions), [*regions[:-1], (regions[-1][0], None)]


def _recorded(
    args: argparse.Namespace, traces: Sequence[Trace], size: int, regions: _Regions | None
) -> Verdict:
    """Whether the recordings run in it."""
    options = _arguments.options(args, args.heap)
    failed: list[str] = []
    for trace, name in zip(traces, unique_names(traces), strict=True):
        if not (trace.op == Op.MALLOC).any():
            raise ValueError(
                f"{name or 'the recording'}: it has no malloc, so that any size is enough"
            )
        problem = SizingProblem(trace, heap_class(args.heap), options, regions=regions)
        problem.heap(size - problem.fixed_bytes)  # what is no size of a heap is bad input
        event = problem.failure(size - problem.fixed_bytes)
        if event is not None:
            asked = f"event {event:,}, which requests {int(trace.size[event]):,} bytes"
            failed.append(f"{name} at {asked}")
    heap = f"{args.heap} of {size:,} bytes"
    if failed:
        share = f"{len(failed):,} of {counted(len(traces), 'recording')}"
        verb = "fails" if len(failed) == 1 else "fail"
        return Verdict(False, f"{share} {verb} in {heap}, first {failed[0]}")
    return Verdict(True, f"{heap} serves {name_of_all(traces) or 'it'}")


def _doubts(args: argparse.Namespace, traces: Sequence[Trace]) -> list[str]:
    """What the recordings lack."""
    word = _arguments.options(args, args.heap).get("word_size", 4)
    named = zip(traces, unique_names(traces), strict=True)
    return [f"{name}: {text}" for trace, name in named for text in doubts(trace, word)]


def _modelled(risk: Risk, size: int, probability: float) -> Verdict:
    """Whether other days run in it."""
    found = risk.probability(size)
    heap = f"{risk.heap} of {size:,} bytes"
    chance = f"{that_fails(found.estimate)} in {heap}, by the models ({odds(found.high)} at most)"
    try:
        needed = risk.size_for(probability)
    except ValueError:
        if len(risk.sizes) < risk.days_needed(probability):
            raise  # nothing is known of it, and that is no verdict
        return Verdict(False, f"{chance}; {odds(probability)} was asked for")
    words = f"for {odds(probability)}, {needed:,} are needed"
    spare = size - needed
    if spare < 0:
        return Verdict(False, f"{chance}; {words}")
    return Verdict(True, f"{chance}; {words}, {spare:,} to spare")
