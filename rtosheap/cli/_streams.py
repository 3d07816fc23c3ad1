"""The process's own streams, one of which may be closed."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from typing import TextIO


def complain(text: str) -> None:
    """One line on standard error, whatever the text holds, if anything can be written there."""
    if sys.stderr is not None:
        try:
            print(" ".join(text.split()), file=sys.stderr, flush=True)
        except OSError:
            discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Give up a stream that cannot be written to. What it still holds would be tried again, and
    complained of, at Python's own exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
