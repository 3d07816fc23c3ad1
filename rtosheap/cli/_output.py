"""What commands print, draw and show while they work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtosheap import tables
from rtosheap.cli._streams import complain
from rtosheap.work import Progress


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json_text(value))


def json_text(value: Any) -> str:
    """One JSON document."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def print_pairs(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """A title, and lines of what and value below it."""
    print(title)
    print(tables.pairs(pairs, indent="  "))


@contextmanager
def progress_bar(text: str) -> Iterator[Progress | None]:
    """On standard error, for what takes longer than a moment: a bar if that is a terminal, else a
    line now and then.
    """
    if sys.stderr is None:
        yield None
        return
    if not sys.stderr.isatty():
        yield Lines(text)
        return
    from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

    with tqdm(desc=text, delay=0.4, leave=False, miniters=0, bar_format=_BAR) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report


class Lines:
    """A progress that prints a line every so many seconds."""

    def __init__(self, text: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._text, self._clock = text, clock
        self._due = clock() + _SECONDS

    def __call__(self, done: int, total: int) -> None:
        """So much is done."""
        now = self._clock()
        if now >= self._due:
            self._due = now + _SECONDS
            complain(f"{self._text}: {done / max(total, 1):.0%}")


_SECONDS = 10.0
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


@contextmanager
def figure(
    path: Path, *, size: tuple[float, float], rows: Sequence[float] = (1.0,)
) -> Iterator[Any]:
    """Axes in a column, with these heights, that are saved to a file at the end."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=size, layout="constrained")
    axes = drawn.subplots(len(rows), 1, gridspec_kw={"height_ratios": list(rows)}, squeeze=False)
    yield [row[0] for row in axes]
    drawn.savefig(path, dpi=150)
