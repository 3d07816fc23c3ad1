"""``rtosheap --print-completion SHELL``: a script with which a shell completes the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from rtosheap import data
from rtosheap.cli import COMMANDS, _load
from rtosheap.cli._arguments import BUNDLED, POLICIES
from rtosheap.cli._parser import Parser, parser_of
from rtosheap.heaps.releases import kernels
from rtosheap.heaps.toolchains import newlibs
from rtosheap.kinds import NAMES

#: Those of shtab's that are tried.
SHELLS = ("bash", "zsh", "fish")

#: By what help calls an argument: a file, or a file or a bundled trace.
_FILES = ("DUMP", "FILE", "OUT")
_TRACES = ("IN", "OLD NEW", "TRACE")


def run(words: Sequence[str]) -> int:
    """Print the script that the words ask for."""
    parser = _whole_parser()
    shell = parser.parse_args(words).print_completion
    try:
        import shtab
    except ModuleNotFoundError:
        raise ValueError("--print-completion needs the package shtab: pip install shtab") from None
    for action in _actions(parser):
        _add_words(action, shtab)
    print(shtab.complete(parser, shell))
    return 0


def _whole_parser() -> Parser:
    """Of all commands, each of which is loaded."""
    parser = Parser("rtosheap")
    parser.add_argument("--version", action="store_true", help="show program's version number")
    parser.add_argument(
        "--print-completion", choices=SHELLS, metavar="SHELL", help="print what completes words"
    )
    commands = parser.add_subparsers(metavar="COMMAND")
    for name in COMMANDS:
        one = parser_of(name, _load(name))
        commands.add_parser(name, help=one.description, parents=[one], add_help=False)
    return parser


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments, those of the commands too."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)


def _add_words(action: Any, shtab: Any) -> None:
    """Say what an argument may be, where the parser does not know; shtab reads `complete`."""
    if action.metavar in _TRACES:
        action.complete = _traces(shtab)
    elif action.metavar in _FILES:
        action.complete = shtab.FILE
    elif action.metavar == "DIR":
        action.complete = shtab.DIRECTORY
    elif action.metavar == "HEAP":
        action.choices = action.choices or (*NAMES, *POLICIES)
    elif action.dest == "kernel":
        action.choices = [kernel.name for kernel in kernels()]
    elif action.dest == "newlib":
        action.choices = [toolchain.name for toolchain in newlibs() if toolchain.newlib]


def _traces(shtab: Any) -> dict[str, Any]:
    """Bundled traces and files."""
    words = " ".join((*data.names(), *BUNDLED))
    files = shtab.FILE
    return {
        "bash": "_rtosheap_trace_files",
        "zsh": "_rtosheap_trace_files",
        "fish": f"(string split ' ' '{words}') {files['fish']}",
        "preamble": {
            "bash": f"""\
_rtosheap_trace_files() {{
  compgen -W "{words}" -- "$1"
  {files["bash"]} "$1"
}}
""",
            "zsh": f"""\
_rtosheap_trace_files() {{
  _alternative 'traces:bundled trace:({words})' 'files:file:_files'
}}
""",
        },
    }
