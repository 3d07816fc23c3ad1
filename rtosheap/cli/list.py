"""``rtosheap list``: what is bundled, and what options name."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict
from textwrap import fill
from typing import Any, NamedTuple

from rtosheap import data
from rtosheap.cli import _arguments, _output
from rtosheap.cli._arguments import BUNDLED, POLICIES
from rtosheap.heaps.releases import kernels
from rtosheap.heaps.toolchains import newlibs
from rtosheap.kinds import CLASSES
from rtosheap.tables import pairs, plain_table
from rtosheap.traces import formats

ABOUT = "List what can be named: bundled traces, heaps, kernels, newlibs, formats of traces."
EXAMPLE = """\
examples:
  rtosheap list                 all of them, kernels and newlibs by their names alone
  rtosheap list traces          bundled traces: their events, the most bytes that were live
  rtosheap list kernels         what --kernel takes, and what each does otherwise
  rtosheap list newlibs --json
"""


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=tuple(_LISTS),
        metavar="WHAT",
        help=f"one of {', '.join(_LISTS)} (default: all)",
    )
    _arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    if args.json:
        chosen = [args.what] if args.what else list(_LISTS)
        _output.print_json({what: _LISTS[what].records() for what in chosen})
    elif args.what:
        print(_LISTS[args.what].text())
    else:
        print("\n\n".join(f"{one.title}\n{one.short()}" for one in _LISTS.values()))
    return 0


def _traces() -> list[dict[str, Any]]:
    named = [(name, [data.load(name)]) for name in data.names()]
    named += [(firmware, data.days(firmware)) for firmware in BUNDLED]
    return [
        {
            "name": name,
            "recordings": len(traces),
            "events": sum(map(len, traces)),
            "peak_live_bytes": max(trace.peak_live_bytes for trace in traces),
            "source": traces[0].meta["source"],
        }
        for name, traces in named
    ]


def _traces_text() -> str:
    headers = ("trace", "recordings", "events", "peak live bytes", "recorded from")
    return plain_table(headers, [tuple(record.values()) for record in _traces()])


def _heaps() -> list[dict[str, Any]]:
    # A heap's docstring begins with "heap_4: ".
    found = {name: (heap.__doc__ or "").partition("\n")[0] for name, heap in CLASSES.items()}
    abouts = {name: line.removeprefix(f"{name}: ").rstrip(".") for name, line in found.items()}
    return [{"name": name, "about": text} for name, text in {**abouts, **POLICIES}.items()]


def _heaps_text() -> str:
    return pairs([(record["name"], record["about"]) for record in _heaps()])


def _kernels() -> list[dict[str, Any]]:
    return [
        {"name": one.name, "also": one.also, "differs": one.differs, "lacks": one.lacks}
        for one in kernels()
    ]


def _newlibs() -> list[dict[str, Any]]:
    return [asdict(toolchain) for toolchain in newlibs()]


def _formats() -> list[dict[str, Any]]:
    return [
        {
            "name": reader.NAME,
            "told_by": reader.HINT,
            "written_as": _suffixes(reader),
        }
        for reader in formats.READERS
    ]


def _suffixes(reader: Any) -> list[str]:
    return [suffix for suffix, writer in formats.WRITERS.items() if writer is reader]


def _formats_text() -> str:
    headers = ("format", "written as", "told by")
    rows = [
        (one["name"], ", ".join(one["written_as"]) or None, one["told_by"]) for one in _formats()
    ]
    return plain_table(headers, rows)


def _names(names: Iterable[str]) -> str:
    return fill(", ".join(names), 80, break_on_hyphens=False)


class _List(NamedTuple):
    """What can be listed: as records, as text, and how it is in the list of all."""

    title: str
    records: Callable[[], list[dict[str, Any]]]
    text: Callable[[], str]
    short: Callable[[], str]


_LISTS = {
    "traces": _List("bundled traces", _traces, _traces_text, _traces_text),
    "heaps": _List("heaps (--heap)", _heaps, _heaps_text, _heaps_text),
    "kernels": _List(
        "FreeRTOS kernels (--kernel)",
        _kernels,
        lambda: repr(kernels()),
        lambda: _names(kernel.name for kernel in kernels()),
    ),
    "newlibs": _List(
        "newlib releases, and toolchains that bring one (--newlib)",
        _newlibs,
        lambda: repr(newlibs()),
        lambda: _names(one.name for one in newlibs() if one.newlib),
    ),
    "formats": _List("formats of traces (--format)", _formats, _formats_text, _formats_text),
}
