"""The arguments that commands share, and what they parse to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtosheap import data, tables
from rtosheap.cli._streams import complain
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.releases import find_kernel
from rtosheap.heaps.toolchains import find_newlib
from rtosheap.kinds import NAMES, heap_name, layout_of
from rtosheap.traces import Loss, Trace, formats
from rtosheap.traces.formats.streams import compile_prefix
from rtosheap.traces.loss import counts
from rtosheap.work import named

#: Of which firmware recordings of several days come with the package.
BUNDLED = ("gateway", "recorder", "server")

FIGURES = (".png", ".svg", ".pdf")


def parse_size(text: str) -> int:
    """A number of bytes: ``16384``, ``0x4000``, ``16K`` (which is 16 * 1024), ``1M``.

    Examples
    --------
    >>> parse_size("16K"), parse_size("0x4000"), parse_size("1M")
    (16384, 16384, 1048576)
    """
    try:
        size = tables.parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; it must be 1 byte or more")
    return size


def parse_address(text: str) -> int:
    """An address: ``0x20000000`` or decimal."""
    try:
        address = int(text, 0)
    except ValueError:
        address = -1
    if address < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; write it like 0x20000000")
    return address


def parse_region(text: str) -> tuple[int, int | None]:
    """A region: ``0x20000000:64K``; the size is None where there is none after the colon.

    Examples
    --------
    >>> parse_region("0x100:1K"), parse_region("0x2000:")
    ((256, 1024), (8192, None))
    """
    address, colon, size = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no region; write ADDRESS:SIZE, such as 0x20000000:64K"
        )
    return parse_address(address), parse_size(size) if size.strip() else None


def parse_jobs(text: str) -> int:
    """A number of processes."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; 1 or more serve")
    return int(text)


def parse_figure(text: str) -> Path:
    """The name of a file for a figure."""
    path = Path(text)
    if path.suffix.lower() not in FIGURES:
        raise argparse.ArgumentTypeError(
            f"{text!r}: a figure's name must end in {', '.join(FIGURES[:-1])} or {FIGURES[-1]}"
        )
    return path


def parse_kernel(text: str) -> str:
    """A release of the kernel."""
    try:
        return find_kernel(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_newlib(text: str) -> str:
    """A release of newlib or a toolchain; the name as it was given."""
    try:
        find_newlib(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def parse_prefix(text: str) -> str:
    """A regular expression."""
    try:
        compile_prefix(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("prefix is ")) from None
    return text


def add_trace(parser: Any) -> None:
    """The trace, and how strictly it is read."""
    parser.add_argument(
        "trace",
        metavar="TRACE",
        help="a file (see --format; plain, gzip or Zstandard), - for standard input, or a bundled "
        f"trace: {', '.join(data.names())}",
    )
    add_reading(parser)


def add_reading(parser: Any) -> None:
    """How a trace is read."""
    parser.add_argument(
        "--format",
        choices=formats.NAMES,
        metavar="FORMAT",
        help="the format of the trace's file, where its content does not tell; see 'rtosheap "
        f"convert --help': {', '.join(formats.NAMES)}",
    )
    parser.add_argument(
        "--max-bytes",
        type=parse_size,
        metavar="SIZE",
        help="the most that the trace's file may hold once it is unpacked (default: 1G, and for a "
        "compressed file 32 times its size, or 64M if that is more)",
    )
    parser.add_argument(
        "--no-strict",
        dest="strict",
        action="store_false",
        help="leave out lines and events that cannot be (a free of an unknown block, say), and "
        "count them, instead of refusing the trace",
    )
    parser.add_argument(
        "--prefix",
        type=parse_prefix,
        metavar="REGEX",
        help="a regular expression of what stands before each line of a log and is not its own, "
        "such as '\\d+ms': matched at the line's beginning, within 200 bytes, and taken off. What "
        "ends with a blank or a sign is found without it in FreeRTOS's and Pigweed's logs",
    )


def parse_heap(text: str) -> str:
    """A kind of heap, by its name: one of FreeRTOS's, or a policy.

    Examples
    --------
    >>> parse_heap("heap_4"), parse_heap("coalescing/best-fit")
    ('heap_4', 'best-fit/address/coalescing')
    """
    try:
        return heap_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("heap is ")) from None


#: Policies, by a name and in words.
POLICIES = {
    "best-fit/address/coalescing": "a policy in three words: fit, order of the free list, merges",
    "next-fit/lifo": "another; coalescing goes without saying",
    "tlsf": "the placement of TLSF",
    "half-fit": "the placement of half-fit",
    "buddy": "binary buddies",
}
#: What a kind of heap may be.
_KINDS = f"{', '.join(NAMES)}, or a policy such as {', '.join(POLICIES)}"


def add_heap(parser: Any, *, policies: bool = True) -> None:
    """The kind of heap: one of FreeRTOS's, or any policy's."""
    kinds, how = _chosen_from(policies)
    text = f"the kind of heap: {kinds} (default: %(default)s)"
    parser.add_argument("--heap", default="heap_4", metavar="HEAP", help=text, **how)


def _chosen_from(policies: bool) -> tuple[str, dict[str, Any]]:
    """What a kind of heap may be, as text and for the parser."""
    return (_KINDS, {"type": parse_heap}) if policies else (", ".join(NAMES), {"choices": NAMES})


def add_heaps(parser: Any, default: str, *, policies: bool = True) -> None:
    """Several kinds of heap."""
    kinds, how = _chosen_from(policies)
    parser.add_argument(
        "--heap",
        dest="heaps",
        action="append",
        metavar="HEAP",
        help=f"a kind of heap, once for each: {kinds} (default: {default})",
        **how,
    )


def add_heap_size(parser: Any, text: str) -> None:
    """Bytes of a heap."""
    parser.add_argument("--heap-size", type=parse_size, metavar="SIZE", help=text)


def add_jobs(parser: Any) -> None:
    """How many processes."""
    text = "run the heaps in N processes (default: 1)"
    parser.add_argument("--jobs", type=parse_jobs, default=1, metavar="N", help=text)


def add_what_if(parser: Any, text: str) -> None:
    """Changes of the trace."""
    parser.add_argument(
        "--what-if",
        metavar="CHANGES",
        help=f"{text}: such as 'static:size>=1K;round:32'; see CHANGES below",
    )


#: The grammar of changes, for the end of a command's help.
CHANGES = """\
CHANGES, one or more with ; between them, are made one after the other:
  static:CONDITION          those blocks leave the heap, as static objects
  pool:CONDITION            they come from a pool of equal blocks, as large as
                            the largest of them, rounded up to 8
  pool:CONDITION,block=N    the same with blocks of N bytes; larger ones stay
  region:CONDITION          they have a heap_4 of their own, as small as serves
  without:CONDITION         they are not there at all, on the device or outside
  round:N                   requested sizes become multiples of N
  round:N/N/N               they become the next of these, which ascend; one
                            that is larger than all of them stays as it is
  resize:N=M/N=M            requests of N bytes are of M: a struct whose size
                            you know on both, where a host has other pointers
  in-place                  a realloc that fits into what its block was given
                            once leaves it where it is
  in-place:reserve          blocks are given at once all that they ever grow to
  align:N                   blocks are aligned by hand to N, a power of two:
                            each requests N - 8 bytes more
What static, pool and region move lies outside the heap then, and is counted.

CONDITION is one of these, or several with commas between them, all of which
the block's malloc must meet; all of a block's events go with it:
  task=NAME                 the task that requests it
  size=N, size>=N, size<=N  the requested size
round, resize and align take one too, after a comma: round:32,task=net. pool may
do without. N is a number of bytes: 1024, 0x400, 1K.

  'static:task=main,size>=512'     task stacks that main creates become static
  'pool:size<=32,block=32'         small blocks from a pool
  'round:16/32/64/128'             sizes in classes
  'without:size=72704'             the C++ runtime's block, if recorded
  'static:size>=1K; round:32'      first the one, then the other
"""


def add_words(parser: Any, *, size: str, alignment: str) -> None:
    """What a word is and how blocks are aligned, each with its help."""
    parser.add_argument("--word-size", type=int, choices=(4, 8), help=size)
    parser.add_argument("--alignment", type=int, choices=(4, 8, 16, 32), help=alignment)


def add_options(
    parser: Any, *, solved: bool, releases: bool = False, kernel: str = "the newest"
) -> None:
    """How the heap is configured; `solved`: the last region's size may be left open; `releases`:
    several releases may be named; `kernel`: the default.
    """
    each = "; several times to put one beside the others" if releases else ""
    again = {"action": "append"} if releases else {}
    parser.add_argument(
        "--base",
        type=parse_address,
        metavar="ADDRESS",
        help="address of the heap's first byte (default: 0x20000000)",
    )
    add_words(
        parser,
        size="the target's sizeof(size_t); 8 for a 64-bit target (default: 4)",
        alignment="portBYTE_ALIGNMENT (default: 8)",
    )
    parser.add_argument(
        "--kernel",
        type=parse_kernel,
        metavar="RELEASE",
        help="the FreeRTOS release whose heaps these are, V8.2.3 to V11.3.0 "
        f"(default: {kernel}){each}",
        **again,
    )
    parser.add_argument(
        "--newlib",
        type=parse_newlib,
        metavar="NAME",
        help="heap_3: the newlib release or the toolchain whose malloc it is, such as 4.1.0 or "
        f"arm-gnu-10.3-2021.10 (default: the newest){each}",
        **again,
    )
    last = "; the last one's is what is solved for: ADDRESS: without a size" if solved else ""
    parser.add_argument(
        "--region",
        dest="regions",
        action="append",
        type=parse_region,
        metavar="ADDRESS:SIZE",
        help=f"a region of heap_5 or of a policy's heap, in ascending order; once for each{last}",
    )


def add_json(parser: Any) -> None:
    """Output for machines."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_figure(parser: Any, what: str) -> None:
    """A figure."""
    parser.add_argument(
        "-o",
        "--output",
        type=parse_figure,
        metavar="FILE",
        help=f"draw {what} into a .png, .svg or .pdf file",
    )


def options(args: argparse.Namespace, heap: str | None = None) -> dict[str, Any]:
    """The heap's options that were given; ValueError if this one heap does not have them."""
    given = {
        "base_address": args.base,
        "word_size": args.word_size,
        "alignment": args.alignment,
        "kernel": _one_or_all(args.kernel),
        "newlib": _one_or_all(args.newlib),
    }
    return _chosen(given, heap)


def _one_or_all(names: Any) -> Any:
    return names[0] if isinstance(names, list) and len(names) == 1 else names


def versions(args: argparse.Namespace, heap: str) -> dict[str, str]:
    """The kernel or the newlib that was given; ValueError if this heap does not have it."""
    return _chosen({"kernel": args.kernel, "newlib": args.newlib}, heap)


def _chosen(given: dict[str, Any], heap: str | None) -> dict[str, Any]:
    """What was given of some options; ValueError if this one heap does not have them."""
    chosen = {key: value for key, value in given.items() if value is not None}
    foreign = [] if heap is None else sorted(chosen.keys() - layout_of(heap).options)
    if foreign:
        flag = {"base_address": "--base"}.get(foreign[0], f"--{foreign[0].replace('_', '-')}")
        assert heap is not None
        if layout_of(heap).policy is not None:
            raise ValueError(f"{flag}: {heap} is a policy, and of no release")
        raise ValueError(f"{flag}: {_WITHOUT[foreign[0]]}")
    return chosen


def layout(args: argparse.Namespace) -> Layout:
    """The layout of the one heap that is asked for, with the options that were given."""
    return layout_of(args.heap, options(args, args.heap))


#: Why a heap does not have an option.
_WITHOUT = {
    "base_address": "heap_5's addresses are those of its regions (--region)",
    "word_size": "heap_3 is newlib-nano's malloc, which is 32-bit and aligns to 8",
    "alignment": "heap_3 is newlib-nano's malloc, which is 32-bit and aligns to 8",
    "kernel": "heap_3 is the C library's malloc, in every release of the kernel (--newlib)",
    "newlib": "heap_3 alone is the C library's malloc",
}


def regions(
    args: argparse.Namespace, heaps: Sequence[str], *, solved: bool
) -> list[tuple[int, int | None]] | None:
    """heap_5's regions, None if none were given."""
    found: list[tuple[int, int | None]] | None = args.regions
    if found is None:
        return None
    if not any(layout_of(heap).may_have_regions for heap in heaps):
        raise ValueError(
            f"--region is for heap_5 and policies; {', '.join(heaps)} has one region (--base)"
        )
    open_ = [address for address, size in found if size is None]
    if not solved and open_:
        raise ValueError(f"--region {open_[0]:#x}: has no size; write ADDRESS:SIZE")
    if solved and (found[-1][1] is not None or len(open_) != 1):
        raise ValueError(
            "--region: exactly the last one must be open (ADDRESS: without a size); its size is "
            "what is solved for"
        )
    return found


def load(name: str, args: argparse.Namespace) -> Trace:
    """The trace of this name: a file, a bundled trace, or standard input for ``-``."""
    with named(f"the trace {name}"):
        trace = _loaded(name, args)
    if trace.dropped:
        reasons = counts(Loss(), trace.dropped).items()
        texts = (f"{count} {reason.replace('_', ' ')}" for reason, count in reasons)
        complain(f"rtosheap: {name}: left out or mended: {', '.join(texts)}")
    return trace


def _loaded(name: str, args: argparse.Namespace) -> Trace:
    how = {name: getattr(args, name) for name in ("format", "strict", "prefix", "max_bytes")}
    if name == "-":
        if sys.stdin is None:
            raise ValueError("-: standard input is closed")
        return Trace.load(sys.stdin.buffer, **how)
    if Path(name).exists():
        return Trace.load(name, **how)
    if name in data.names():
        return data.load(name)
    if name in BUNDLED:
        raise ValueError(
            f"{name}: it is five days, and one recording is taken here; size, compare, "
            "assess, check, diff and report take all of them"
        )
    raise ValueError(
        f"{name}: no such file, nor a bundled trace; those are {', '.join(data.names())}"
    )


def label(trace: Trace, name: str) -> str:
    """What to call a trace."""
    return trace.name or ("standard input" if name == "-" else name)
