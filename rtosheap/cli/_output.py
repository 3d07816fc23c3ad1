"""What commands print, draw and show while they work."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtosheap import tables
from rtosheap.work import Progress


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_pairs(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """A title, and lines of what and value below it."""
    print(title)
    print(tables.pairs(pairs, indent="  "))


@contextmanager
def progress_bar(text: str) -> Iterator[Progress | None]:
    """A bar on standard error if that is a terminal, for what takes more than a second; else None,
    which costs nothing.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

    with tqdm(desc=text, delay=1, leave=False, miniters=0, bar_format=_BAR) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report


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
