"""``rtosheap inspect``: a RAM dump, or a halted target's memory, becomes a heap."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from rtosheap.cli import _arguments, _looking, _output
from rtosheap.device import Elf, Memory, Target, firmware_of, load_memory, read_elf
from rtosheap.heaps.layout import DEFAULT_BASE

ABOUT = """\
Look at a heap in a RAM dump, or on a halted target: its blocks, how fragmented it is, what is
damaged."""
EXAMPLE = """\
DUMP is raw bytes, the first of which lies at --base, Intel HEX, or an ELF core; with --elf, the
firmware's own ELF says by its symbols which heap it is, where the arena and the heap's state lie
(that of rtosheap's drop-in files if it was built with -g), where heap_5's regions lie, if their
array is a constant, and which variables and which tasks (if the kernel was built with -g) the
blocks belong to

--target reads the same from a device: HOST:PORT is where a server speaks gdb's remote protocol
(OpenOCD's port is 3333, J-Link's 2331, QEMU's what -gdb says). It only reads: a target that is
halted stays so, and one that runs while it is read is an error. Inside gdb: 'rtosheap gdb-script'

Which kernel left the arena is decided by what fits, narrowed down by the ELF's symbols, and said,
with what would be concluded otherwise for another that fits as well. With --kernel only that
release's arenas count. Of damage, what is certain comes first, and what is only suspected is
called so.

examples:
  rtosheap inspect dump.bin --base 0x20000400 --heap heap_4 -o map.png
  rtosheap inspect dump.bin --base 0x20000400 --kernel V10.3.1
  rtosheap inspect ram.bin --base 0x20000000 --elf firmware.elf
  rtosheap inspect ram.hex --elf firmware.elf --trace capture.bin
  rtosheap inspect --target localhost:3333 --elf firmware.elf

exit status: 0 the heap is sound, 1 it is damaged or no such heap, 2 bad input
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument("dump", metavar="DUMP", nargs="?", help="the file that holds the memory")
    parser.add_argument(
        "--target", metavar="HOST:PORT", help="in its place, where gdb's remote protocol is spoken"
    )
    _looking.add_heap(parser, arena="all of a raw dump, or the symbol ucHeap")
    _arguments.add_figure(parser, "the heap's map")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    report = _seen(args).report
    if args.output is not None:
        _looking.draw(report, args.output)
    if args.json:
        _output.print_json(report.to_dict())
    else:
        print(report)
        if args.output is not None:
            print(f"\nfigure: {args.output}")
    return 1 if report.damage else 0


def _seen(args: argparse.Namespace) -> _looking.Seen:
    if (args.dump is None) == (args.target is None):
        raise ValueError("give DUMP, a file, or --target HOST:PORT, one of them")
    if args.target is None:
        base = DEFAULT_BASE if args.base is None else args.base
        memory = load_memory(args.dump, base=base)
        alone = args.elf is None and (args.arena is not None or args.regions)
        return _looking.look(memory, None if alone else firmware_of(args.dump, args.elf), args)
    _looking.check_live(args)
    elf = None if args.elf is None else read_elf(args.elf)
    with Target(args.target) as target:
        return _looked_twice(target, elf, args)


def _looked_twice(target: Target, elf: Elf | None, args: argparse.Namespace) -> _looking.Seen:
    """What a target's memory shows; that it runs meanwhile is an error, since nothing fits then."""
    memory = Memory((), target.read)
    seen = _looking.look(memory, elf, args)
    if not target.halted:
        note = f"{args.target} names no reason why the target stands still: it may run"
        report = dataclasses.replace(seen.report, notes=(note, *seen.report.notes))
        seen = dataclasses.replace(seen, report=report)
    changed = [at for at, data in memory.pieces if target.read(at, len(data)) != data]
    if changed:
        raise ValueError(
            f"{args.target}: the memory at {changed[0]:#010x} changed while it was read: the "
            "target runs; halt it"
        )
    return seen
