"""``rtosheap check``: is a heap of this size enough? A gate for continuous integration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from rtosheap.cli import _arguments, _output
from rtosheap.cli._recordings import (
    INTERRUPTED,
    add_model,
    add_traces,
    count_of,
    load_all,
    odds,
    parse_probability,
    run_assess,
    that_fails,
    was_interrupted,
)
from rtosheap.kinds import heap_class, layout_of
from rtosheap.risk import Risk
from rtosheap.sizing.problem import SizingProblem, larger_serves_too
from rtosheap.traces import Trace

_EXAMPLE = """\
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


def add(commands: Any) -> None:
    """Add the command."""
    text = "a gate for CI: are these recordings served, and other days too, by a heap of a size"
    parser = _arguments.add_command(commands, "check", text, _EXAMPLE, run)
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
    traces = load_all(args.traces, args)
    verdict, risk = _recorded(args, traces, size, regions), None
    if verdict.enough and args.probability is not None:
        tried = None if larger_serves_too(layout_of(args.heap)) else [size]
        risk = run_assess(args, traces, sizes=tried, regions=regions)
        verdict = _modelled(risk, size, args.probability)
    if args.json:
        _output.print_json(
            {
                "heap": args.heap,
                "heap_size": size,
                "probability": args.probability,
                **verdict._asdict(),
                "warnings": [] if risk is None else list(risk.warnings),
            }
        )
    else:
        print(f"{'ok' if verdict.enough else 'not enough'}: {verdict.why}")
    if risk is not None and was_interrupted(risk):
        return INTERRUPTED
    return 0 if verdict.enough else 1


def _asked(args: argparse.Namespace) -> tuple[int, _Regions | None]:
    """The size that is asked about; for heap_5 in all, and its regions with the last one open."""
    regions = _arguments.regions(args, [args.heap], solved=False)
    if not layout_of(args.heap).has_regions:
        if args.heap_size is None:
            raise ValueError("--heap-size is needed, such as --heap-size 64K")
        return args.heap_size, None
    if args.heap_size is not None:
        raise ValueError("--heap-size: heap_5 has regions instead, --region ADDRESS:SIZE for each")
    if regions is None:
        raise ValueError("heap_5 needs its regions: --region ADDRESS:SIZE for each")
    return sum(size or 0 for _, size in regions), [*regions[:-1], (regions[-1][0], None)]


def _recorded(
    args: argparse.Namespace, traces: Sequence[Trace], size: int, regions: _Regions | None
) -> Verdict:
    """Whether the recordings run in it."""
    options = _arguments.options(args, args.heap)
    failed: list[str] = []
    for trace, name in zip(traces, _names(traces), strict=True):
        problem = SizingProblem(trace, heap_class(args.heap), options, regions=regions)
        problem.heap(size - problem.fixed_bytes)  # what is no size of a heap is bad input
        event = problem.failure(size - problem.fixed_bytes)
        if event is not None:
            asked = f"event {event:,}, which asks for {int(trace.size[event]):,} bytes"
            failed.append(f"{name} at {asked}")
    heap = f"{args.heap} of {size:,} bytes"
    if failed:
        share = f"{len(failed):,} of {count_of(len(traces), 'recording')}"
        verb = "fails" if len(failed) == 1 else "fail"
        return Verdict(False, f"{share} {verb} in {heap}, first {failed[0]}")
    return Verdict(True, f"{heap} serves {count_of(len(traces), 'recording')}")


def _names(traces: Sequence[Trace]) -> list[str]:
    return [trace.name or f"number {at + 1}" for at, trace in enumerate(traces)]


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
