"""What became of faults: detected, fatal or silent, and after how many calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtosheap.corruption import Row, Study
from rtosheap.plot._axes import axes_for, legend_above, percent, row_font_size
from rtosheap.plot._ground import around, ink
from rtosheap.plot._style import Fill

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE = "right: when the median fault is detected, at once: by the faulty call itself"
#: In the order in which they are stacked.
_FILLS: dict[str, Fill] = {
    "detected": Fill("#2b5d8c"),
    "silent, no harm seen": Fill("#f7ecc9", "////", "#c4b274"),
    "silent, harmful": Fill("#e69f00", "xxxx", "#8a5f00"),
    "fatal": Fill("#111111"),
}


def corruption(
    study: Study,
    ax: Axes | None = None,
    *,
    by: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw what became of the faults of a study: a bar for each heap and level of protection.

    Each bar is 100 % of the trials: those in which the fault was detected, those that stayed
    silent, without and with harm to the program, and those that ended the device (a wild access,
    an endless loop). Beside the bar stands the delay of what was detected: the median number of
    calls after the fault, the one that detected it included. "At once" is none: the faulty call
    itself, such as the second free of a block, was refused.

    Parameters
    ----------
    study : Study
        Of `rtosheap.corruption.study`.
    ax : Axes, optional
        Where to draw; a new pyplot figure if not given.
    by : sequence of str, optional
        What makes a bar: one or more of ``"heap"``, ``"level"``, ``"fault"``. Default: heap and
        level, the heap only where there is more than one.
    legend : bool
        Whether to draw a legend above the axes.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        `study` is none.
    ValueError
        A study without trials, or a `by` that does not exist.

    Examples
    --------
    >>> from rtosheap import plot
    >>> from rtosheap.corruption import study
    >>> ax = plot.corruption(study("heap_4", faults=["overrun"], trials=5))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['none', 'assertions', 'canary', 'protector', 'checked']
    """
    if not isinstance(study, Study):
        raise TypeError(f"study is {study!r}; it must be what rtosheap.corruption.study returns")
    if not len(study):
        raise ValueError("study has no trials")
    if by is None:
        by = ("heap", "level") if len({trial.heap for trial in study}) > 1 else ("level",)
    rows = study.rows(*by)
    ax = axes_for(ax)
    left, handles = [0.0] * len(rows), []
    for name, fill in _FILLS.items():
        widths = [_share(row, name) for row in rows]
        look = {"left": left, "height": 0.8, "label": name, **fill.patch(ax)}
        handles.append(ax.barh(range(len(rows)), widths, **look))
        left = [x + width for x, width in zip(left, widths, strict=True)]
    ax.set_yticks(range(len(rows)), [_label(row, by) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    percent(ax.xaxis, "share of trials")
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        legend_above(ax, handles, title=_TITLE)
    size = row_font_size(ax, len(rows))
    ax.tick_params(axis="y", labelsize=size)
    colour = ink(around(ax))
    for place, row in enumerate(rows):
        if row.delay is not None:
            ax.text(101, place, _delay(row.delay), va="center", fontsize=0.9 * size, color=colour)
    return ax


def _delay(calls: float) -> str:
    if not calls:
        return "at once"
    return f"after {calls:.3g} call{'' if calls == 1 else 's'}"


def _share(row: Row, name: str) -> float:
    counts = {
        "detected": row.detected,
        "fatal": row.fatal,
        "silent, harmful": row.harmful,
        "silent, no harm seen": row.silent - row.harmful,
    }
    return 100 * counts[name] / row.trials


def _label(row: Row, by: Sequence[str]) -> str:
    words = (row.heap if key == "heap" else getattr(row, key).replace("_", " ") for key in by)
    return ", ".join(words)
