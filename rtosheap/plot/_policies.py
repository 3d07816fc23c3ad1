"""Policies by traces: a table as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite, log2
from typing import TYPE_CHECKING, Any, NamedTuple

from rtosheap.comparison import Comparison, mean_ratios
from rtosheap.plot._axes import axes_for, font_size, legend_above, short, title_of, width_inches
from rtosheap.plot._fit import settle
from rtosheap.plot._ground import below, ink, is_dark, mirrored, on
from rtosheap.plot._style import HATCH, WASTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A name longer than this goes on two lines.
_LINE = 30
#: Between the traces and their mean, in widths of a column.
_GAP = 0.25
#: Text that is smaller than this, in points, nobody reads.
_SMALLEST = 4.5
_AT_MOST = "\u2264"
#: The width of a bold number's character, of a name's, and a line's height, in sizes of the font.
_WIDE, _NARROW, _HIGH = 0.78, 0.57, 1.25
#: How much of the width names may take.
_NAMES = 0.42


class _Cell(NamedTuple):
    """What stands in a cell; a ratio of None where the heap does not serve."""

    row: int
    x: float
    ratio: float | None
    exact: bool
    nodes: int | None
    least: bool = False

    @property
    def text(self) -> str:
        if self.ratio is None:
            return "none"
        if not isfinite(self.ratio):  # nothing is ever live
            return "-"
        digits = 2 if self.ratio < 10 else 1 if self.ratio < 100 else 0
        return f"{'' if self.exact else _AT_MOST}{self.ratio:,.{digits}f}"

    @property
    def below(self) -> str:
        return "" if self.nodes is None else short(self.nodes)


def policies(
    comparisons: Comparison | Iterable[Comparison] | Mapping[str, Comparison],
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Draw what each policy needs for each of several traces, as a table whose cells are shaded.

    A cell's number is the smallest heap that serves the trace over its peak of live bytes; the
    smaller one below it, the most free-list entries that one call reads. The more a cell
    stands out, the more memory: white (on a dark ground, black) is the peak itself, and the other
    end twice as much or more. The least of a trace is bold. The last column is the geometric mean
    of the row (:func:`rtosheap.comparison.mean_ratios`) and the most entries of all traces; rows
    stand in its order.

    ``\u2264`` is before a ratio whose sizes were not all tried, so that a smaller heap may serve as
    well. A heap that serves a trace in no size has a hatched cell, and no mean; a cell of which
    nothing was compared is empty.

    Parameters
    ----------
    comparisons : Comparison, iterable of Comparison, or mapping of str to Comparison
        What :func:`rtosheap.compare` returns: a column for each. A mapping gives them labels, which
        are the names of the traces otherwise.
    ax : Axes, optional
        Where to draw; by default on a new figure, as large as the table needs.
    legend : bool
        Whether to draw a legend above the axes.

    Returns
    -------
    Axes
        A row for each heap, the least mean first, and a column for each trace.

    Raises
    ------
    TypeError
        For what is no comparison.
    ValueError
        There is none.

    Examples
    --------
    >>> from rtosheap import compare, data
    >>> from rtosheap.plot import policies
    >>> heaps = ["heap_2", "heap_4", "best-fit", "tlsf"]
    >>> names = ["coap-server", "lua-sched"]
    >>> ax = policies([compare(data.load(name), heaps=heaps) for name in names])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['best-fit/address/coalescing', 'tlsf', 'heap_4', 'heap_2']
    """
    columns = _labelled(comparisons)
    means = mean_ratios(columns.values())
    cells = _cells(columns, means)
    labels = [*columns, *(["geometric mean"] if len(columns) > 1 else [])]
    ax = axes_for(_fitting(list(means), labels) if ax is None else ax)
    places = _places(len(labels))
    ax.set_xlim(-0.5, places[-1] + 0.5)
    ax.set_ylim(max(len(means), 1) - 0.5, -0.5)
    ax.set_yticks(range(len(means)), list(means))
    ax.set_xticks(places, labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_xlabel("smallest heap / peak of live bytes")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    _shade(ax, cells)
    if legend:
        _explain(ax, cells, [text for one in columns.values() for text in one.warnings])
    _name_rows(ax, list(means))
    _write(ax, cells)
    return ax


# ---------------------------------------------------------------------- what is shown


def _labelled(given: Any) -> dict[str, Comparison]:
    """The comparisons by their label, which is unique."""
    if isinstance(given, Comparison):
        given = [given]
    if isinstance(given, Mapping):
        pairs = [(str(label), one) for label, one in given.items()]
    elif isinstance(given, Iterable) and not isinstance(given, str):
        pairs = [(getattr(one, "trace_name", ""), one) for one in given]
    else:
        pairs = [("", given)]
    columns: dict[str, Comparison] = {}
    for number, (name, one) in enumerate(pairs, 1):
        if not isinstance(one, Comparison):
            raise TypeError(
                f"comparisons has {one!r}; it must be what rtosheap.compare returns, or several"
            )
        label = name or f"trace {number}"
        while label in columns:
            label += f" ({number})"
        columns[label] = one
    if not columns:
        raise ValueError("comparisons is empty; it must have one or more of rtosheap.compare")
    return columns


def _cells(columns: Mapping[str, Comparison], means: Mapping[str, float | None]) -> list[_Cell]:
    """All cells, those of the means last."""
    rows = {heap: row for row, heap in enumerate(means)}
    cells = []
    for x, results in enumerate(columns.values()):
        least = min((one.size for one in results if one.size is not None), default=-1)
        cells += [
            _Cell(
                rows[one.heap], x, one.ratio, one.exact is True, one.most_nodes, one.size == least
            )
            for one in results
        ]
    if len(columns) == 1:
        return cells
    place, best = _places(len(columns) + 1)[-1], next(iter(means.values()), None)
    for row, mean in enumerate(means.values()):
        own = [cell for cell in cells if cell.row == row]
        nodes = [cell.nodes for cell in own if cell.nodes is not None]
        if mean is not None:
            exact = all(cell.exact for cell in own)
            cells.append(_Cell(row, place, mean, exact, max(nodes, default=None), mean == best))
    return cells


def _places(count: int) -> list[float]:
    """Where columns lie, the last of several apart from the others."""
    return [*map(float, range(count - 1)), count - 1 + (_GAP if count > 1 else 0.0)]


# ---------------------------------------------------------------------- drawing


def _fitting(heaps: list[str], labels: list[str]) -> Axes:
    """Axes of a new pyplot figure that is large enough."""
    import matplotlib.pyplot as plt

    left = 0.08 * max((len(line) for heap in heaps for line in _lines(heap)), default=0)
    below = 0.06 * max(map(len, labels))
    size = (max(left + 0.58 * (len(labels) + 1), 4.6), 0.38 * len(heaps) + below + 1.2)
    return plt.subplots(figsize=size, layout="constrained")[1]


def _lines(name: str) -> list[str]:
    """A long name of several parts as two lines that are about as long."""
    breaks = [at + 1 for at, letter in enumerate(name) if letter == "/"]
    if len(name) <= _LINE or not breaks:
        return [name]
    middle = min(breaks, key=lambda at: abs(2 * at - len(name)))
    return [name[:middle], name[middle:]]


def _cell_points(ax: Axes) -> tuple[float, float]:
    """Width and height of a cell, in points."""
    figure: Any = ax.figure
    settle(ax)  # only then is it known how large the axes are
    box = ax.get_window_extent()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    scale = 72 / float(figure.dpi)
    return scale * box.width / (right - left), scale * box.height / (bottom - top)


def _name_rows(ax: Axes, heaps: list[str]) -> None:
    """Long names on two lines where there is room, all as large as rows and figure allow."""
    size = font_size(ax)
    tall = _cell_points(ax)[1]
    lines = [_lines(heap) if tall > 2 * _HIGH * size else [heap] for heap in heaps]
    longest = max((len(line) for name in lines for line in name), default=1)
    room = 72 * _NAMES * width_inches(ax) / (_NARROW * longest)
    ax.set_yticks(range(len(heaps)), ["\n".join(name) for name in lines])
    ax.tick_params(axis="y", labelsize=min(size, tall / _HIGH, room))


def _shade(ax: Axes, cells: list[_Cell]) -> None:
    """The cells' ground: how much memory, or that none is enough."""
    from matplotlib.patches import Rectangle

    for cell in cells:
        look: dict[str, Any] = {"facecolor": _colour(ax, cell), "linewidth": 0.0}
        if cell.ratio is None:
            look = _none(ax)
        ax.add_patch(Rectangle((cell.x - 0.48, cell.row - 0.47), 0.96, 0.94, **look))


def _none(ax: Axes) -> dict[str, Any]:
    """A cell of what serves in no size."""
    return {"facecolor": "none", **HATCH, "edgecolor": on(ax, HATCH["edgecolor"])}


def _colour(ax: Axes, cell: _Cell) -> Any:
    """Next to the ground at a ratio of 1, farthest from it at 2 and above, by the logarithm."""
    import matplotlib as mpl

    if cell.ratio is None or not isfinite(cell.ratio):
        return "none"
    shade = mpl.colormaps[WASTE](min(max(log2(cell.ratio), 0.0), 1.0))[:3]
    return mirrored(shade) if is_dark(below(ax)) else shade


def _write(ax: Axes, cells: list[_Cell]) -> None:
    """The numbers, as large as their cells allow; those of entries only where they can be read."""
    wide, tall = _cell_points(ax)
    longest = max((len(cell.text) for cell in cells), default=1)
    fits = min(font_size(ax), wide / (_WIDE * longest), tall / _HIGH)
    size = min(fits, tall / (1.85 * _HIGH))
    both = 0.85 * size >= _SMALLEST
    if not both:
        size = fits
    for cell in cells:
        below = cell.below if both else ""
        look: dict[str, Any] = {"ha": "center", "va": "center", "color": _ink(ax, cell)}
        y = cell.row - (0.18 if below else 0.0)
        weight = "bold" if cell.least else "normal"
        ax.text(cell.x, y, cell.text, fontsize=size, fontweight=weight, **look)
        if below:
            ax.text(cell.x, cell.row + 0.25, below, fontsize=0.85 * size, **look)


def _ink(ax: Axes, cell: _Cell) -> Any:
    """What can be read on the cell's ground."""
    shade = _colour(ax, cell)
    return ink(below(ax) if shade == "none" else (shade,))


def _explain(ax: Axes, cells: list[_Cell], warnings: list[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if not all(cell.exact or cell.ratio is None for cell in cells):
        colour = ax.xaxis.label.get_color()
        sign = Line2D([], [], linestyle="none", marker=f"${_AT_MOST}$", color=colour)
        sign.set_label("not all sizes were tried")
        handles.append(sign)
    if any(cell.ratio is None for cell in cells):
        handles.append(Patch(label="serves in no size", **_none(ax)))
    words = "below: most free-list entries read by a call", "bold: least of a trace"
    legend_above(ax, handles, title=title_of(*words, warnings=warnings))
