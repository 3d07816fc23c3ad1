"""Long columns as lines: the horizontal axis, and thinning that no reader can see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rtosheap.plot._axes import counted
from rtosheap.plot._ground import on
from rtosheap.plot._style import CYCLE, HEAP_LINES
from rtosheap.replays import Replay
from rtosheap.traces import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Array: TypeAlias = npt.NDArray[Any]
#: What the horizontal axis counts: events, or the trace's own time.
TimeAxis: TypeAlias = Literal["event", "time"]
#: The colour of a line, and its dashes.
LineStyle: TypeAlias = tuple[str, Any]

#: Runs of events that a line is thinned to; more than any picture is wide in pixels.
_RUNS = 4000


def time_of(trace: Trace, x: str) -> Array:
    """Each event's place on the horizontal axis, and where the last one ends: shape (n + 1,).

    Raises
    ------
    ValueError
        If `x` is neither ``"event"`` nor ``"time"``, or is ``"time"`` and the trace has none.
    """
    if x == "event":
        return np.arange(len(trace) + 1, dtype=np.float64)
    if x != "time":
        raise ValueError(f"x is {x!r}; it must be 'event' or 'time'")
    if trace.time is None:
        raise ValueError("x is 'time', but the trace has no times")
    time = np.asarray(trace.time, dtype=np.float64)
    return np.append(time, time[-1:] if len(time) else 0.0)


def label_time(ax: Axes, trace: Trace, x: str) -> None:
    """Label the horizontal axis."""
    counted(ax.xaxis, "event" if x == "event" else f"time ({trace.time_unit})")


def limit_time(ax: Axes, time: Array) -> None:
    """Let the horizontal axis show the trace and nothing else."""
    first, last = (float(time[0]), float(time[-1])) if len(time) else (0.0, 1.0)
    ax.set_xlim(first, last if last > first else first + 1.0)


def thin(values: Array) -> npt.NDArray[np.intp]:
    """Indices of the entries that suffice to draw a line through all of them.

    Of each of 4,000 runs of events the first, the lowest, the highest and the last: what is drawn
    through these covers the same pixels.
    """
    n = len(values)
    size = n // _RUNS
    if size < 8:
        return np.arange(n, dtype=np.intp)
    whole = values[: n // size * size].reshape(-1, size)
    start = np.arange(len(whole), dtype=np.intp) * size
    kept = [start, start + whole.argmin(axis=1), start + whole.argmax(axis=1), start + size - 1]
    rest = np.arange(len(whole) * size, n, dtype=np.intp)
    return np.unique(np.concatenate([*kept, rest]))


class Envelope(NamedTuple):
    """Least, mean and greatest value of each of a number of runs of events; the last run's hold to
    the end, where they stand once more.
    """

    at: Array
    low: Array
    mean: Array
    high: Array


def envelope(time: Array, values: Array, runs: int) -> Envelope:
    """Summarise a column run by run; `time` has one entry more than `values`."""
    n = len(values)
    edges = np.unique(np.linspace(0, n, min(runs, n) + 1).astype(np.intp))
    starts = edges[:-1]
    if not len(starts):
        nothing = np.zeros(0)
        return Envelope(nothing, nothing, nothing, nothing)
    numbers = values.astype(np.float64)
    low = np.minimum.reduceat(numbers, starts)
    mean = np.add.reduceat(numbers, starts) / np.diff(edges)
    high = np.maximum.reduceat(numbers, starts)
    held = (np.append(part, part[-1]) for part in (low, mean, high))
    return Envelope(np.append(time[starts], time[-1]), *held)


def styles(pairs: Sequence[tuple[str, Replay]]) -> list[LineStyle]:
    """Each heap's own line, or those of a cycle when a heap appears twice: of more than the cycle
    has, colours return with other dashes.
    """
    kinds = [run.heap_kind for _, run in pairs]
    if len(set(kinds)) == len(kinds) and HEAP_LINES.keys() >= set(kinds):
        return [HEAP_LINES[kind] for kind in kinds]
    length = len(CYCLE)
    shifted = [(number + number // length) % length for number in range(len(kinds))]
    return [(CYCLE[n % length][0], CYCLE[at][1]) for n, at in enumerate(shifted)]


def draw_line(ax: Axes, x: Any, y: Any, style: LineStyle, width: float, **more: Any) -> Any:
    """A line; each value holds until the next, unless `more` says otherwise."""
    colour, dashes = style
    more = {"drawstyle": "steps-post", **more}
    (line,) = ax.plot(x, y, color=on(ax, colour), linestyle=dashes, linewidth=width, **more)
    return line


def labelled(data: Any, what: str) -> list[tuple[str, Replay]]:
    """One replay, several or a mapping from labels to replays, as (label, replay) pairs.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If there is no replay in it.
    """
    if isinstance(data, Replay):
        pairs = [(data.heap_kind, data)]
    elif isinstance(data, Mapping):
        pairs = [(str(label), replay) for label, replay in data.items()]
    elif isinstance(data, Sequence) and not isinstance(data, str):
        pairs = [(_own_label(replay), replay) for replay in data]
    else:
        pairs = [("", data)]
    for _, replay in pairs:
        if not isinstance(replay, Replay):
            raise TypeError(f"{what} is {replay!r}; it must be a Replay, or several")
    if not pairs:
        raise ValueError(f"{what} is {data!r}; there is no replay in it")
    return pairs


def warnings(pairs: Sequence[tuple[str, Replay]]) -> list[str]:
    """What there is to know of the recordings of several replays, once each."""
    return list(dict.fromkeys(text for _, replay in pairs for text in replay.warnings))


def _own_label(replay: Any) -> str:
    return str(getattr(replay, "heap_kind", replay))
