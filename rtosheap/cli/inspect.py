"""``rtosheap inspect``: a RAM dump becomes a heap."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.device import load_dump
from rtosheap.heaps.layout import DEFAULT_BASE
from rtosheap.inspection import Report, inspect
from rtosheap.kinds import freertos_class, layout_of

ABOUT = "Look at a heap in a RAM dump: its blocks, how fragmented it is, what is damaged."
EXAMPLE = """\
DUMP is raw bytes, the first of which lies at --base, Intel HEX, or an ELF core; with --elf, the
firmware's own ELF says by its symbols where the arena and the heap's state lie (that of rtosheap's
drop-in files if it was built with -g), and where heap_5's regions lie, if their array is a constant

Which kernel left the arena is decided by what fits, narrowed down by the ELF's symbols, and said,
with what would be concluded otherwise for another that fits as well. With --kernel only that
release's arenas count. Of damage, what is certain comes first, and what is only suspected is
called so.

examples:
  rtosheap inspect dump.bin --base 0x20000400 --heap heap_4 -o map.png
  rtosheap inspect dump.bin --base 0x20000400 --kernel V10.3.1
  rtosheap inspect ram.bin --base 0x20000000 --elf firmware.elf
  rtosheap inspect ram.hex --elf firmware.elf --trace capture.bin

exit status: 0 the heap is sound, 1 it is damaged or no such heap, 2 bad input
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument("dump", metavar="DUMP", help="the file that holds the memory")
    _arguments.add_heap(parser, policies=False)
    parser.add_argument("--elf", metavar="FILE", help="the firmware's ELF file, for its symbols")
    parser.add_argument(
        "--arena", metavar="ADDRESS:SIZE", type=_arguments.parse_region,
        help="where the arena lies in the dump (default: all of a raw dump, or the symbol ucHeap)",
    )  # fmt: skip
    _arguments.add_options(parser, solved=False, kernel="each that the arena fits")
    parser.add_argument(
        "--canary", type=_arguments.parse_address, metavar="WORD",
        help="the heap protector's word (default: what the symbols or the end marker say)",
    )  # fmt: skip
    parser.add_argument("--trace", metavar="TRACE", help="a trace of the same run, to name blocks")
    _arguments.add_reading(parser)
    _arguments.add_json(parser)
    _arguments.add_figure(parser, "the heap's map")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    report = inspect_dump(args)
    if args.output is not None:
        _draw(report, args.output)
    if args.json:
        _output.print_json(report.to_dict())
    else:
        print(report)
        if args.output is not None:
            print(f"\nfigure: {args.output}")
    return 1 if report.damage else 0


def inspect_dump(args: argparse.Namespace) -> Report:
    """The report on what the arguments name."""
    several = layout_of(args.heap).has_regions
    if several and not args.regions and not args.elf:
        raise ValueError("--region is missing, once for each of heap_5's regions; or give --elf")
    if several and args.arena is not None:
        raise ValueError("--arena: heap_5 has regions; write --region ADDRESS:SIZE for each")
    if not several and args.regions:
        raise ValueError(f"--region is for heap_5; {args.heap} has one arena (--arena)")
    regions = args.regions or []
    _check_sizes(args, regions)
    version = _arguments.versions(args, args.heap)
    dump = load_dump(
        args.dump,
        freertos_class(args.heap).kind,
        base=DEFAULT_BASE if args.base is None else args.base,
        elf=args.elf,
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
    return dataclasses.replace(report, notes=(*dump.notes, *report.notes))


def _check_sizes(args: argparse.Namespace, regions: list[tuple[int, int | None]]) -> None:
    """ValueError where an address came without the size that nothing else can tell."""
    given = [("--region", region) for region in regions]
    if not regions and args.arena is not None and not args.elf:
        given.append(("--arena", args.arena))
    for option, (address, size) in given:
        if size is None:
            raise ValueError(f"{option} {address:#x}: has no size; write ADDRESS:SIZE")


def _draw(report: Report, path: Path) -> None:
    """The map of the heap, as far as it could be rebuilt."""
    from rtosheap.plot import heap_map

    if report.heap is None:
        what = "a heap so damaged" if report.damage else f"{report.kind} of {report.kernels[0]}"
        raise ValueError(f"{path}: {what} cannot be drawn; leave -o out")
    requested = {b.payload: b.owner.requested for b in report.blocks if b.owner is not None}
    with _output.figure(path, size=(9, 6)) as (ax,):
        heap_map(report.heap, ax=ax, requested=requested or None)
