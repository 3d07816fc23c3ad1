"""``rtosheap cortexm``: what the heaps cost on a Cortex-M."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any

from rtosheap.cli import _arguments, _output
from rtosheap.cortexm import (
    CPUS,
    Bound,
    Footprint,
    ForeignMeasurement,
    MachineError,
    Measurement,
    ToolchainError,
    bound,
    find_toolchain,
    footprint,
    measure,
)
from rtosheap.heaps.layout import ALIGNMENTS
from rtosheap.kinds import layout_of
from rtosheap.tables import plain_table
from rtosheap.traces import Op, Trace

ABOUT = "What malloc and free cost on a Cortex-M, in instructions, and the heaps' flash and RAM."
EXAMPLE = """\
examples:
  rtosheap cortexm
  rtosheap cortexm lwip-3cli --heap heap_4 --heap heap_2 --cpu cortex-m0
  rtosheap cortexm my.trace --heap-size 64K --optimize=-Os --json
  rtosheap cortexm --bound --heap heap_4 --heap-size 64K --cpu cortex-m4
  rtosheap cortexm my.trace --source adapter.c --source tlsf.c --alignment 4 --heap heap_4

Compiles the heaps for the processor and counts instructions in an emulator. What it needs:
  pip install unicorn ziglang pyelftools 'capstone<6'
where arm-none-eabi-gcc is there, that is taken, not ziglang. Instructions are not cycles, and
another compiler gives other numbers. With --source it is an allocator of your own, behind an
adapter that defines the functions of csrc/foreign/rh_foreign.h, and besides it the heaps that
--heap names.
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
    _arguments.add_heaps(parser, ", ".join(_DEFAULT_HEAPS), policies=False)
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
    _add_sources(parser)
    parser.add_argument(
        "--bound",
        action="store_true",
        help="of no trace: the most that a malloc and a free can cost in a heap of --heap-size "
        "bytes, proven from the binary, and the worst that is found; heap_4 and heap_5 with an "
        "index, too",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="with --bound: on which lines of the source the longest paths spend how much",
    )
    _arguments.add_json(parser)


def _add_sources(parser: Any) -> None:
    parser.add_argument(
        "--source",
        dest="sources",
        action="append",
        metavar="FILE",
        help="a C file of an allocator or of its adapter, once for each",
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="DIR",
        help="with --source: a folder in which to look for headers, once for each",
    )
    parser.add_argument(
        "--define",
        dest="defines",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="with --source: a macro, once for each",
    )
    parser.add_argument(
        "--alignment",
        type=int,
        choices=ALIGNMENTS,
        help="with --source: what every block's address must be a multiple of (default: 8, as the "
        "processor's ABI has it; some allocators give 4 where pointers have 4 bytes)",
    )
    parser.add_argument("--name", help="with --source: what to call the allocator")


def run(args: argparse.Namespace) -> int:
    """Run it."""
    heaps = tuple(args.heaps or (() if args.sources else _DEFAULT_HEAPS))
    cpus = tuple(args.cpus or _DEFAULT_CPUS)
    if args.explain and not args.bound:
        raise ValueError("--explain is --bound's: say --bound, too")
    if args.bound and args.sources:
        raise ValueError("--bound is of the heaps that --heap names, not of --source")
    if args.bound:
        return _bounds(args, heaps, cpus)
    trace = _arguments.load(args.trace, args)
    try:
        find_toolchain(args.toolchain)
        measured = _measured(args, trace, heaps, cpus)
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
        _print_sources([m for m in measured if isinstance(m, ForeignMeasurement)])
        if sizes:
            _print_sizes(sizes)
        for text in measured[0].warnings:
            print(f"\n{textwrap.fill(f'warning: {text}', 96, break_on_hyphens=False)}")
    return 1 if any(m.failures for m in measured) else 0


def _measured(
    args: argparse.Namespace, trace: Trace, heaps: Sequence[str], cpus: Sequence[str]
) -> list[Measurement | ForeignMeasurement]:
    common = {"optimize": args.optimize, "toolchain": args.toolchain, "heap_size": args.heap_size}
    theirs: dict[str, Any] = {"include": args.include, "name": args.name}
    if args.alignment is not None:
        theirs["alignment"] = args.alignment
    theirs["defines"] = dict(_macro(text) for text in args.defines)
    runs: list[tuple[str, dict[str, Any]]] = [(heap, {"heap": heap}) for heap in heaps]
    if args.sources:
        runs.insert(0, (args.name or args.sources[0], {"sources": args.sources, **theirs}))
    elif any(theirs.values()):
        raise ValueError(
            "--include, --define, --alignment and --name are of --source: say --source, too"
        )
    found = []
    for cpu in cpus:
        for title, given in runs:
            with _output.progress_bar(f"{title} on a {cpu}") as progress:
                found.append(measure(trace, **given, cpu=cpu, progress=progress, **common))
    return found


def _macro(text: str) -> tuple[str, str | None]:
    """``NAME=VALUE`` or ``NAME``.

    Examples
    --------
    >>> _macro("SIZE=4"), _macro("NDEBUG")
    (('SIZE', '4'), ('NDEBUG', None))
    """
    name, equals, value = text.partition("=")
    return name, value if equals else None


def _bounds(args: argparse.Namespace, heaps: Sequence[str], cpus: Sequence[str]) -> int:
    if args.heap_size is None:
        raise ValueError("--bound needs --heap-size, such as --heap-size 64K")
    options = {"heap_size": args.heap_size, "optimize": args.optimize, "toolchain": args.toolchain}
    try:
        found = [
            bound(heap, cpu=cpu, index=index, **options)
            for cpu in cpus
            for heap in heaps
            for index in ((False, True) if layout_of(heap).by_address else (False,))
        ]
    except (ToolchainError, MachineError) as error:
        raise ValueError(str(error)) from None
    if args.json:
        rows = [one.to_dict() for one in found]
        if args.explain:
            for row, one in zip(rows, found, strict=True):
                row["paths"] = {
                    call: [s._asdict() for s in one.path(call)] for call in ("malloc", "free")
                }
        _output.print_json({"bounds": rows})
        return 0
    print(f"a heap of {args.heap_size:,} bytes; {found[0].compiler}, {args.optimize}")
    _print_bounds(found)
    if args.explain:
        _print_paths(found)
    return 0


def _print_bounds(found: Sequence[Bound]) -> None:
    print("\nthe most instructions (not cycles): proven, and the most that was found")
    rows: list[list[object]] = [
        ["processor", "heap", "malloc", "found", "free", "found", "index", "code"]
    ]
    for one in found:
        costs = [one.malloc, one.malloc_found, one.free, one.free_found]
        rows.append([one.cpu, one.heap, *costs, one.index_bytes or None, one.code_bytes])
    print(textwrap.indent(plain_table([str(name) for name in rows[0]], rows[1:]), "  "))


def _print_paths(found: Sequence[Bound]) -> None:
    for one in found:
        for call in ("malloc", "free"):
            index = " with its index" if one.index else ""
            print(f"\nthe longest {call} of {one.heap}{index} on a {one.cpu}, by lines")
            rows = [(f"{s.file}:{s.line}", s.function, s.instructions) for s in one.path(call)]
            print(textwrap.indent(plain_table(["line", "function", "instructions"], rows), "  "))


def _print_costs(measured: Sequence[Measurement | ForeignMeasurement]) -> None:
    print("\ninstructions (not cycles)")
    headers = ["processor", "heap", "call", "mean", "median", "99 %", "most", "at event", "fitted"]
    rows: list[list[object]] = []
    for m in measured:
        facts = m.to_dict()
        for op, name in ((Op.MALLOC, "malloc"), (Op.REALLOC, "realloc"), (Op.FREE, "free")):
            if name in facts:
                row = facts[name]
                numbers = [round(row[key]) for key in ("mean", "median", "percentile_99", "most")]
                fitted = str(m.fit(op)) if isinstance(m, Measurement) else None
                rows.append([m.cpu, m.heap, name, *numbers, row["most_event"], fitted])
    print(textwrap.indent(plain_table(headers, rows), "  "))
    failed = {m.heap: m.failures for m in measured if m.failures}
    for heap, count in failed.items():
        print(f"  {heap}: {count:,} allocations failed")


def _print_sources(measured: Sequence[ForeignMeasurement]) -> None:
    """What the allocators of one's own need; each lists itself for each processor."""
    if not measured:
        return
    print(f"\nbytes of {measured[0].heap}; in brackets what it takes of the C library")
    headers = ["processor", "arena", "", f"flash {measured[0].optimize}", "RAM"]
    rows: list[list[object]] = []
    for m in measured:
        how = "given" if m.smallest is None else f"least found, {len(m.smallest.tried)} tried"
        code, data = (
            f"{own:,}" + (f" ({library:,})" if library else "")
            for own, library in ((m.flash, m.library_flash), (m.ram, m.library_ram))
        )
        rows.append([m.cpu, m.heap_size, how, code, data])
    print(textwrap.indent(plain_table(headers, rows), "  "))


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
