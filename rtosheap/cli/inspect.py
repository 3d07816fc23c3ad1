"""``rtosheap inspect``: a RAM dump becomes a heap."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.device import Arena, Memory, find_arena, load_memory, load_symbols
from rtosheap.heaps import ImageState
from rtosheap.inspection import Report, inspect
from rtosheap.kinds import NAMES, heap_class

_EXAMPLE = """\
DUMP is raw bytes (with --base), Intel HEX, or an ELF core; with --elf, the firmware's own ELF says
by its symbols where the arena and the heap's state lie

examples:
  rtosheap inspect dump.bin --base 0x20000400 --heap heap_4 -o map.png
  rtosheap inspect ram.bin --base 0x20000000 --elf firmware.elf
  rtosheap inspect ram.hex --elf firmware.elf --trace capture.bin

exit status: 0 the heap is sound, 1 it is damaged, 2 bad input
"""


def add(commands: Any) -> None:
    """Add the command."""
    text = "look at a heap in a RAM dump: its blocks, how fragmented it is, what is damaged"
    parser = _arguments.add_command(commands, "inspect", text, _EXAMPLE, run)
    parser.add_argument("dump", metavar="DUMP", help="the file that holds the memory")
    parser.add_argument(
        "--heap", choices=NAMES, default="heap_4", metavar="HEAP",
        help=f"the kind of heap: {', '.join(NAMES)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--elf", metavar="FILE", help="the firmware's ELF file, for its symbols")
    parser.add_argument(
        "--arena", metavar="ADDRESS:SIZE", type=_arguments.parse_region,
        help="where the arena lies in the dump (default: all of a raw dump, or the symbol ucHeap)",
    )  # fmt: skip
    _arguments.add_options(parser, solved=False)
    parser.add_argument(
        "--canary", type=_arguments.parse_address, metavar="WORD",
        help="the heap protector's word (default: what the symbols or the end marker say)",
    )  # fmt: skip
    parser.add_argument("--trace", metavar="TRACE", help="a trace of the same run, to name blocks")
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
    kind = heap_class(args.heap).kind
    memory = load_memory(args.dump, base=args.base)
    word, state = args.word_size or 4, ImageState()
    region = args.arena
    if kind == 5:
        if not args.regions:
            raise ValueError("--region is missing: heap_5's regions are not found by name")
        if args.elf:
            first = args.regions[0]
            arena = find_arena(memory, load_symbols(args.elf), 5, base=first[0], size=first[1])
            word, state = arena.word, arena.state
        arenas: Any = [(at, _read(memory, at, size)) for at, size in args.regions]
        base = 0
    else:
        arena = _arena(memory, args, kind, word, region)
        word, state, base = arena.word, arena.state, arena.base
        arenas = _read(memory, arena.base, arena.size)
    trace = None if args.trace is None else _arguments.load(args.trace)
    return inspect(
        arenas,
        args.heap,
        base_address=base,
        word_size=word,
        alignment=args.alignment or 8,
        canary=args.canary,
        state=state,
        trace=trace,
    )


def _arena(memory: Memory, args: argparse.Namespace, kind: int, word: int, region: Any) -> Arena:
    if args.elf:
        base, size = region or (None, None)
        return find_arena(memory, load_symbols(args.elf), kind, base=base, size=size)
    if region is None:
        if len(memory.pieces) != 1:
            raise ValueError(
                f"{args.dump} holds {len(memory.pieces)} pieces of memory; say which is the heap "
                "with --arena ADDRESS:SIZE or --elf FILE"
            )
        base, data = memory.pieces[0]
        return Arena(kind, base, len(data), word, ImageState())
    if region[1] is None:
        raise ValueError(f"--arena {region[0]:#x}: has no size; write ADDRESS:SIZE")
    return Arena(kind, region[0], region[1], word, ImageState())


def _read(memory: Memory, address: int, size: int | None) -> bytes:
    data = memory.read(address, size or 0)
    if data is None:
        held = ", ".join(f"{at:#x} to {at + len(part):#x}" for at, part in memory.pieces)
        raise ValueError(f"the dump does not hold {size} bytes at {address:#x}; it holds {held}")
    return data


def _draw(report: Report, path: Path) -> None:
    """The map of the heap, as far as it could be rebuilt."""
    from rtosheap.plot import heap_map

    if report.heap is None:
        raise ValueError(f"{path}: a heap so damaged cannot be drawn; leave -o out")
    requested = {b.payload: b.owner.requested for b in report.blocks if b.owner is not None}
    with _output.figure(path, size=(9, 6)) as (ax,):
        heap_map(report.heap, ax=ax, requested=requested or None)
