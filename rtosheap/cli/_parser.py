"""The parser of one command's arguments."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NoReturn

from rtosheap.cli._streams import complain


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: {message} (see {self.prog} --help)")
        raise SystemExit(2)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Sentences are wrapped where the terminal is narrower than they are; examples, lists and all
    that begins with a blank stay as they are.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        found: list[str] = []
        for is_prose, group in groupby(text.splitlines(), lambda line: line[:1].strip() != ""):
            lines = list(group)
            if is_prose and max(map(len, lines)) > width:
                lines = textwrap.wrap(" ".join(lines), width)
            found += lines
        return "\n".join(indent + line if line else "" for line in found)


def parser_of(name: str, command: Any) -> Parser:
    """The parser of what follows a command's name; `command` is its module."""
    parser = Parser(
        prog=f"rtosheap {name}",
        description=command.ABOUT,
        epilog=command.EXAMPLE,
        formatter_class=_Formatter,
    )
    command.add(parser)
    return parser


def parse(name: str, command: Any, words: Sequence[str]) -> argparse.Namespace:
    """What the words after a command's name say to its module."""
    return parser_of(name, command).parse_args(words)
