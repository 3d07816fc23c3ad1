"""The command line: ``rtosheap COMMAND``. One module per command.

A command module has ``add(commands)``, which adds its parser, and ``run(args)``, which returns the
exit status: 0 when all was served, 1 when allocations failed. Bad input is an exception; `main`
makes it one line on standard error and status 2.
"""

from __future__ import annotations

import argparse
import sys
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from rtosheap.cli import (
    assess,
    check,
    compare,
    convert,
    cortexm,
    demo,
    diff,
    inspect,
    replay,
    size,
)
from rtosheap.cli._output import complain, discard
from rtosheap.heaps import HeapError
from rtosheap.sizing import UnservableError

__all__ = ["main"]

_COMMANDS = (demo, compare, size, assess, check, diff, replay, convert, inspect, cortexm)
_BAD_INPUT = (ValueError, TypeError, OverflowError, OSError, EOFError, MemoryError, HeapError)

_EXAMPLES = """\
examples:
  rtosheap demo                                     a recorded trace through all five heaps
  rtosheap compare lwip-3cli -o heaps.png           which heap needs the least memory
  rtosheap size my.trace --heap heap_4              how large configTOTAL_HEAP_SIZE must be
  rtosheap assess day*.trace --probability 1e-3     how large on a day that nobody recorded
  rtosheap check day*.trace --heap-size 64K         a gate: is that enough
  rtosheap diff old.trace new.trace                 what a new version needs more
  rtosheap replay my.trace --heap-size 48K          what fails in 48 KiB, when, and why
  rtosheap convert my.csv my.trace.gz               between formats of traces
  rtosheap inspect dump.bin --base 0x20000400       a RAM dump as a heap, and what damaged it
  rtosheap cortexm lwip-3cli --cpu cortex-m4        what a call costs on the device

exit status: 0 all was served, 1 allocations failed or a gate is shut, 2 bad input
"""


class _Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: {message} (see {self.prog} --help)")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rtosheap",
        description="FreeRTOS's five heaps on recorded allocation traces: which heap, how large, "
        "and what it costs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rtosheap {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default the process's own.

    Returns
    -------
    int
        The exit status: 0 when all was served, 1 when allocations failed, 2 for bad input, 130
        after an interrupt, 141 when the reader of standard output has gone.
    """
    if sys.stdout is None:  # as after >&-
        complain("rtosheap: standard output is closed; there is nowhere to print to")
        return 2
    status, complaint = _run(argv)
    try:
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return 141  # nobody reads on
        status, complaint = 2, f"standard output: {error.strerror}"
    if complaint:
        complain(f"rtosheap: {complaint}")
    return status


def _run(argv: Sequence[str] | None) -> tuple[int, str]:
    """Run the command line: the exit status, and what there is to complain of."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            args = _parser().parse_args(argv)
            status: int = args.run(args)
            return status, ""
    except SystemExit as stop:
        return (stop.code if isinstance(stop.code, int) else 0), ""
    except KeyboardInterrupt:
        return 130, "interrupted"
    except BrokenPipeError:
        discard(sys.stdout)
        return 141, ""
    except UnservableError as error:
        return 1, str(error)
    except BrokenProcessPool:
        return 2, "a process of --jobs was killed, as one is when memory runs out"
    except (*_BAD_INPUT, zlib.error) as error:
        return 2, _describe(error)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError) and not str(error):
        return "out of memory"
    return str(error) or type(error).__name__


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    complain(f"rtosheap: warning: {message}")


def _version() -> str:
    try:
        return version("rtosheap")
    except PackageNotFoundError:
        return "(not installed)"
