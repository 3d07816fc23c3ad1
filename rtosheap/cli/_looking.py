"""A heap in a device's memory: what ``inspect`` and the debugger's commands are told, and see."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.device import Elf, Memory, find_heap, find_kind, load_symbols
from rtosheap.inspection import (
    Report,
    Surroundings,
    inspect,
    look_around,
    named_blocks,
)
from rtosheap.kinds import NAMES, freertos_class, layout_of


@dataclass(frozen=True)
class Seen:
    """A heap that was looked at, and what lies around it.

    Attributes
    ----------
    report : Report
    memory : Memory
    elf : Elf or None
    around : Surroundings or None
        None without an ELF.
    """

    report: Report
    memory: Memory
    elf: Elf | None
    around: Surroundings | None


def add_heap(parser: Any, *, arena: str) -> None:
    """Which heap it is, and where; `arena`: the default."""
    parser.add_argument(
        "--heap", choices=NAMES, metavar="HEAP",
        help=f"the kind of heap: {', '.join(NAMES)} (default: what the ELF's symbols say, else "
        "heap_4)",
    )  # fmt: skip
    parser.add_argument("--elf", metavar="FILE", help="the firmware's ELF file, for its symbols")
    parser.add_argument(
        "--arena", metavar="ADDRESS:SIZE", type=_arguments.parse_region,
        help=f"where the arena lies (default: {arena})",
    )  # fmt: skip
    _arguments.add_options(parser, solved=False, kernel="each that the arena fits")
    parser.add_argument(
        "--canary", type=_arguments.parse_address, metavar="WORD",
        help="the heap protector's word (default: what the symbols or the end marker say)",
    )  # fmt: skip
    parser.add_argument("--trace", metavar="TRACE", help="a trace of the same run, to name blocks")
    _arguments.add_reading(parser)
    _arguments.add_json(parser)


def check_live(args: argparse.Namespace) -> None:
    """ValueError for an option that a live target has no use for."""
    if args.base is not None:
        raise ValueError("--base is for raw bytes of a file; a target has its addresses (--arena)")


def look(memory: Memory, elf: Elf | None, args: argparse.Namespace, *, around: bool = True) -> Seen:
    """The heap in a memory, as far as the arguments and the ELF tell where; `around`: with what the
    firmware's tasks and variables say of its blocks.

    Raises
    ------
    ValueError
        If there is none, or the arguments are wrong.
    """
    notes: tuple[str, ...] = ()
    if args.heap is None:
        kind = None if elf is None else find_kind(load_symbols(elf))
        args.heap = f"heap_{kind or 4}"
        if elf is not None and kind is None:
            notes = (f"{elf.name} does not tell which heap it is: heap_4 was taken (--heap)",)
    several = layout_of(args.heap).has_regions
    if several and not args.regions and elf is None:
        raise ValueError("--region is missing, once for each of heap_5's regions; or give --elf")
    if several and args.arena is not None:
        raise ValueError("--arena: heap_5 has regions; write --region ADDRESS:SIZE for each")
    if not several and args.regions:
        raise ValueError(f"--region is for heap_5; {args.heap} has one arena (--arena)")
    regions = args.regions or []
    _check_sizes(args, regions, elf)
    version = _arguments.versions(args, args.heap)
    dump = find_heap(
        memory,
        freertos_class(args.heap).kind,
        elf=elf,
        arena=args.arena,
        regions=regions,
        word_size=args.word_size or 4,
    )
    report = inspect(
        dump.memory,
        args.heap,
        base_address=dump.base_address,
        word_size=dump.word_size,
        alignment=args.alignment or 8,
        canary=args.canary,
        state=dump.state,
        trace=None if args.trace is None else _arguments.load(args.trace, args),
        releases=dump.releases,
        **version,
    )
    report = dataclasses.replace(report, notes=(*notes, *dump.notes, *report.notes))
    if elf is None or not around or report.is_none:
        return Seen(report, memory, elf, None)
    found = look_around(memory, elf, report)
    return Seen(named_blocks(report, found), memory, elf, found)


def _check_sizes(
    args: argparse.Namespace, regions: list[tuple[int, int | None]], elf: Elf | None
) -> None:
    """ValueError where an address came without the size that nothing else can tell."""
    given = [("--region", region) for region in regions]
    if not regions and args.arena is not None and elf is None:
        given.append(("--arena", args.arena))
    for option, (address, size) in given:
        if size is None:
            raise ValueError(f"{option} {address:#x}: has no size; write ADDRESS:SIZE")


def draw(report: Report, path: Path) -> None:
    """The map of the heap, as far as it could be rebuilt."""
    from rtosheap.plot import heap_map

    if report.heap is None:
        what = "a heap so damaged" if report.damage else f"{report.kind} of {report.kernels[0]}"
        raise ValueError(f"{path}: {what} cannot be drawn")
    requested = {b.payload: b.owner.requested for b in report.blocks if b.owner is not None}
    with _output.figure(path, size=(9, 6)) as (ax,):
        heap_map(report.heap, ax=ax, requested=requested or None)
