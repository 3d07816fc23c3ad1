"""``rtosheap convert``: a trace from one format to another."""

from __future__ import annotations

import argparse
from typing import Any

from rtosheap.cli import _arguments
from rtosheap.kinds import NAMES
from rtosheap.requests import requested
from rtosheap.traces import formats
from rtosheap.traces.doubts import further_doubts
from rtosheap.traces.loss import described
from rtosheap.traces.meta import set_aside_of
from rtosheap.work import named

_HINTS = "\n".join(f"  {reader.NAME:13} {reader.HINT}" for reader in formats.READERS)
ABOUT = "Convert a trace from one format to another."
EXAMPLE = f"""\
formats of IN, told by its content, or by --format:
{_HINTS}

formats of OUT, by its suffix: .trace, .trace.gz (text), .npz, .csv, .csv.gz, .rep (CMU malloc lab)

csrc/README.md of rtosheap says how a device records itself, into a ring in its RAM, a stream, or
lines of text:

  M 0xADDR REQUESTED BLOCK TICK    malloc; REQUESTED may be <=N, or missing in all lines
  F 0xADDR BLOCK TICK              free
  X 0x0 REQUESTED 0 TICK           a malloc that failed
  =EVENTS FAILS MINEVERFREE FREE   the last line, where there is one: totals

examples:
  rtosheap convert my.csv my.trace.gz
  rtosheap convert lwip-3cli lwip-3cli.npz
  rtosheap convert capture.bin device.trace.gz    recorded addresses are kept
  rtosheap convert device.psf device.trace.gz --heap heap_4 --kernel V11.3.0
  rtosheap convert my.trace less.trace --what-if 'static:size>=1K'
  rtosheap convert serial.log my.trace.gz --format freertos --no-strict
  rtosheap convert serial.log my.trace.gz --format freertos --prefix '\\d+ms'

{_arguments.CHANGES}"""


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument("trace", metavar="IN", help="a trace's file, or a bundled trace")
    parser.add_argument("out", metavar="OUT", help="the file to write")
    _arguments.add_what_if(parser, "write the trace as it would be")
    _arguments.add_reading(parser)
    parser.add_argument(
        "--heap",
        choices=NAMES,
        help="of a recording whose sizes are as the kernel logged them: the device's heap; sizes "
        "are then the largest requests that give the logged blocks",
    )
    parser.add_argument(
        "--kernel",
        type=_arguments.parse_kernel,
        metavar="RELEASE",
        help="with --heap: the device's FreeRTOS release, V8.2.3 to V11.3.0 (default: the newest)",
    )
    _arguments.add_words(
        parser,
        size="with --heap: the device's sizeof(size_t) (default: what the recording says, or 4)",
        alignment="with --heap: the device's portBYTE_ALIGNMENT (default: 8)",
    )


def run(args: argparse.Namespace) -> int:
    """Run it."""
    trace = _arguments.load(args.trace, args)
    device = {name: getattr(args, name) for name in ("kernel", "word_size", "alignment")}
    if args.heap is not None:
        with named(f"the trace {args.trace}"):
            trace = requested(trace, args.heap, **device)
    elif any(option is not None for option in device.values()):
        raise ValueError("--kernel, --word-size and --alignment are those of --heap; name it")
    if args.what_if is not None:
        trace = trace.what_if(args.what_if)
    trace.save(args.out)
    print(f"{args.out}: {len(trace):,} events")
    if args.what_if is not None:
        print(f"{set_aside_of(trace.meta):,} bytes are needed outside the heap.")
    for text in described(trace.loss, trace.dropped):
        print(text)
    for text in further_doubts(trace, args.word_size or 4):
        print(text)
    return 0
