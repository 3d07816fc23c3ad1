"""The command line: ``rtosheap COMMAND``. One module per command, loaded when it is called.

A command module has ``ABOUT``, what it is for, ``EXAMPLE``, which its help ends with,
``add(parser)``, which adds its arguments, and ``run(args)``, which returns the exit status: 0 when
all was served, 1 when allocations failed. Bad input is an exception; `main` makes it one line on
standard error and status 2.

What ``rtosheap --help`` takes stands here, and nothing else: a start costs what it loads.
"""

from __future__ import annotations

import importlib
import sys
import warnings

from rtosheap import __version__
from rtosheap.cli._streams import complain, discard

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["main"]

#: The commands, each the module of its name.
COMMANDS = (
    "demo",
    "list",
    "compare",
    "size",
    "assess",
    "check",
    "diff",
    "report",
    "replay",
    "convert",
    "inspect",
    "gdb-script",
    "cortexm",
)

_HELP = """\
usage: rtosheap [-h] [--version] [--print-completion SHELL] COMMAND ...

FreeRTOS's five heaps on recorded allocation traces: which heap, how large, and
what it costs.

options:
  -h, --help  show this help message and exit, as no argument at all does
  --version   show program's version number and exit
  --print-completion SHELL
              print what completes words in bash, zsh or fish, and exit

commands:
  COMMAND     each has --help
    demo      run a bundled recorded trace through all five heaps: a table, a
              picture, a verdict
    list      list what can be named: bundled traces, heaps, kernels, newlibs,
              formats of traces
    compare   put the five heaps side by side: how small each can be, where its
              bytes go, its cost
    size      find the smallest heap in which traces run without a failed
              allocation
    assess    say how big the heap must be on a day that nobody has recorded,
              and how sure that is
    check     a gate for CI: are these recordings served, and other days too, by
              a heap of a size
    diff      say what a new version of a firmware needs more than the old one:
              by task, by size
    report    write one page to hand on: the verdict, tables, and a map of each
              heap to scrub through
    replay    run a trace in a heap of a given size: what fails, when and why
    convert   convert a trace from one format to another
    inspect   look at a heap in a RAM dump, or on a halted target: its blocks,
              how fragmented it is, what is damaged
    gdb-script
              print the path of a file that gives gdb the command 'rtosheap'
    cortexm   what malloc and free cost on a Cortex-M, in instructions, and the
              heaps' flash and RAM

examples:
  rtosheap demo                                     a recorded trace through all five heaps
  rtosheap list                                     what is bundled, and what options name
  rtosheap compare lwip-3cli -o heaps.png           which heap needs the least memory
  rtosheap size my.trace --heap heap_4              how large configTOTAL_HEAP_SIZE must be
  rtosheap assess day*.trace --probability 1e-3     how large on a day that nobody recorded
  rtosheap check day*.trace --heap-size 64K         a gate: is that enough
  rtosheap diff old.trace new.trace                 what a new version needs more
  rtosheap report my.trace -o report.html           all of it, to look at and to hand on
  rtosheap replay my.trace --heap-size 48K          what fails in 48 KiB, when, and why
  rtosheap convert my.csv my.trace.gz               between formats of traces
  rtosheap inspect dump.bin --base 0x20000400       a RAM dump as a heap, and what damaged it
  rtosheap gdb-script                               what gdb loads, to look at a halted target
  rtosheap cortexm lwip-3cli --cpu cortex-m4        what a call costs on the device

exit status: 0 all was served, 1 allocations failed or a gate is shut, 2 bad input
"""


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
    # No list() in this file: once a command is loaded, its module has that name.
    status, complaint = _run([*(sys.argv[1:] if argv is None else argv)])
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


def _run(words: Sequence[str]) -> tuple[int, str]:
    """Run the command line: the exit status, and what there is to complain of."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return _called(*words)
    except SystemExit as stop:
        return (stop.code if isinstance(stop.code, int) else 0), ""
    except KeyboardInterrupt:
        return 130, "interrupted"
    except BrokenPipeError:
        discard(sys.stdout)
        return 141, ""
    except Exception as error:
        told: tuple[int, str] | None = _load("_failures").told(error)
        if told is None:
            raise
        return told


def _called(word: str = "--help", *rest: str) -> tuple[int, str]:
    """Do what the first word says, with the rest."""
    if word in ("-h", "--help"):
        print(_HELP, end="")
    elif word == "--version":
        print(f"rtosheap {__version__}")
    elif word.partition("=")[0] == "--print-completion":
        return _load("_completion").run((word, *rest)), ""
    elif word in COMMANDS:
        command = _load(word)
        args = _load("_parser").parse(word, command, rest)
        return command.run(args), ""
    else:
        wrong = f"argument COMMAND: invalid choice: {word!r} (choose from {', '.join(COMMANDS)})"
        return 2, f"{wrong} (see rtosheap --help)"
    return 0, ""


def _load(name: str) -> Any:
    name = name.replace("-", "_")
    return importlib.import_module(f"rtosheap.cli.{name}")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    complain(f"rtosheap: warning: {message}")
