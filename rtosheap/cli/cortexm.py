"""``rtosheap cortexm``: what the heaps cost on a Cortex-M."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cortexm import (
    CPUS,
    Footprint,
    MachineError,
    Measurement,
    ToolchainError,
    find_toolchain,
    footprint,
    measure,
)
from rtosheap.tables import plain_table
from rtosheap.traces import Op

ABOUT = "What malloc and free cost on a Cortex-M, in instructions, and the heaps' flash and RAM."
EXAMPLE = """\
examples:
  rtosheap cortexm
  rtosheap cortexm lwip-3cli --heap heap_4 --heap heap_2 --cpu cortex-m0
  rtosheap cortexm my.trace --heap-size 64K --optimize=-Os --json

Compiles the heaps for the processor and counts instructions in an emulator. It needs a compiler
and Unicorn: pip install 'rtosheap[cortexm]'. Instructions are not cycles, and another compiler
gives other numbers.
"""
_DEFAULT_TRACE = "coap-server"
_DEFAULT_HEAPS = ("heap_1", "heap_2", "heap_4", "heap_5")
_DEFAULT_CPUS = ("cortex-m0", "cortex-m4")


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument(
        "trace",
        metavar="TRACE",
        nargs="?",
        default=_DEFAULT_TRACE,
        help="a file, - for standard input, or a bundled trace (default: %(default)s)",
    )
    _arguments.add_reading(parser)
    _arguments.add_heaps(parser, f" (default: {', '.join(_DEFAULT_HEAPS)})")
    parser.add_argument(
        "--cpu",
        dest="cpus",
        action="append",
        choices=tuple(CPUS),
        metavar="CPU",
        help=f"a processor, once for each: {', '.join(CPUS)} "
        f"(default: {' and '.join(_DEFAULT_CPUS)})",
    )
    text = "bytes of the heap, such as 46K (default: the least that serves the trace)"
    _arguments.add_heap_size(parser, text)
    parser.add_argument(
        "--optimize",
        default="-O2",
        metavar="LEVEL",
        help="of the measured calls, such as --optimize=-Os (default: %(default)s)",
    )
    parser.add_argument(
        "--toolchain",
        choices=("arm-none-eabi-gcc", "zig"),
        help="the compiler (default: the first of these two that is there)",
    )
    _arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    trace = _arguments.load(args.trace, args)
    heaps = tuple(args.heaps or _DEFAULT_HEAPS)
    cpus = tuple(args.cpus or _DEFAULT_CPUS)
    measured = []
    try:
        find_toolchain(args.toolchain)
        for cpu in cpus:
            for heap in heaps:
                with _output.progress_bar(f"{heap} on a {cpu}") as progress:
                    measured.append(
                        measure(
                            trace,
                            heap,
                            cpu=cpu,
                            heap_size=args.heap_size,
                            optimize=args.optimize,
                            toolchain=args.toolchain,
                            progress=progress,
                        )
                    )
        sizes = [
            row
            for cpu in cpus
            for heap in heaps
            for row in footprint(heap=heap, cpu=cpu, toolchain=args.toolchain)
        ]
    except (ToolchainError, MachineError) as error:
        raise ValueError(str(error)) from None
    name = _arguments.label(trace, args.trace)
    if args.json:
        _output.print_json(
            {
                "trace": name,
                "measurements": [m.to_dict() for m in measured],
                "footprints": [{**row._asdict(), "flags": list(row.flags)} for row in sizes],
            }
        )
    else:
        print(f"{name}, {len(trace):,} events; {measured[0].compiler}, {args.optimize}")
        _print_costs(measured)
        _print_sizes(sizes)
        for text in measured[0].replay.warnings:
            print(f"\n{textwrap.fill(f'warning: {text}', 96, break_on_hyphens=False)}")
    return 1 if any(m.replay.failures for m in measured) else 0


def _print_costs(measured: Sequence[Measurement]) -> None:
    print("\ninstructions (not cycles)")
    rows = [["processor", "heap", "call", "median", "99 %", "most", "fitted"]]
    for m in measured:
        for op, name in ((Op.MALLOC, "malloc"), (Op.FREE, "free")):
            values = m.of(op)
            if len(values):
                numbers = [m.percentile(op, 50), m.percentile(op, 99), values.max()]
                rows.append([m.cpu, m.heap, name, *(f"{n:,.0f}" for n in numbers), str(m.fit(op))])
    print(textwrap.indent(plain_table(rows[0], rows[1:]), "  "))
    failed = {m.heap: m.replay.failures for m in measured if m.replay.failures}
    for heap, count in failed.items():
        print(f"  {heap}: {count:,} allocations failed")


def _print_sizes(sizes: Sequence[Footprint]) -> None:
    print("\nbytes, without the arena")
    levels = list(dict.fromkeys(row.optimize for row in sizes))
    rows = [["processor", "heap", *(f"flash {level}" for level in levels), "RAM"]]
    found: dict[tuple[str, str], list[Footprint]] = {}
    for row in sizes:
        found.setdefault((row.cpu, row.heap), []).append(row)
    for (cpu, heap), group in found.items():
        rows.append([cpu, heap, *(f"{row.flash:,}" for row in group), f"{group[0].ram:,}"])
    print(textwrap.indent(plain_table(rows[0], rows[1:]), "  "))
