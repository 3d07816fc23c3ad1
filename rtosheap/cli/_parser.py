"""The parser of one command's arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from rtosheap.cli._streams import complain


class _Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: {message} (see {self.prog} --help)")
        raise SystemExit(2)


def parse(name: str, command: Any, words: Sequence[str]) -> argparse.Namespace:
    """What the words after a command's name say to its module."""
    parser = _Parser(
        prog=f"rtosheap {name}",
        description=command.ABOUT,
        epilog=command.EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add(parser)
    return parser.parse_args(words)
