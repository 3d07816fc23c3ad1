"""The heap map through time."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from rtosheap.plot import _arena
from rtosheap.plot._axes import axes_for, font_size, is_narrow, legend_above, size_text
from rtosheap.plot._heap_map import gap_text, keys, paint, pictures, set_up_axes
from rtosheap.plot._rows import Rows
from rtosheap.replays import Replay
from rtosheap.replays import blocks as _replay_blocks

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes


def animate(
    replay: Replay,
    *,
    ax: Axes | None = None,
    frames: SupportsIndex = 100,
    interval: float = 80.0,
    row_bytes: int | None = None,
    legend: bool = True,
) -> FuncAnimation:
    """Show the heap map through time, as an animation.

    Colours are those of `heap_map`; what is not allocated is shown as free. In a notebook,
    ``HTML(animation.to_jshtml())`` with IPython's ``HTML`` is a player with a slider.

    Parameters
    ----------
    replay : Replay
        With the columns ``address`` and ``block_size`` (both recorded by default).
    ax : Axes, optional
        Where to draw; by default on a new figure.
    frames : int
        How many states to show, evenly spaced over the events, the last one among them.
    interval : float
        Milliseconds from one frame to the next.
    row_bytes, legend
        As for `heap_map`.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        Keep it in a variable: a figure whose animation is gone stands still.

    Raises
    ------
    ValueError
        If a column was not recorded, or `frames` is less than 1.

    Examples
    --------
    >>> from rtosheap import Heap4, data, replay
    >>> from rtosheap.plot import animate
    >>> run = replay(data.load("coap-server"), Heap4(40 * 1024))
    >>> animation = animate(run, frames=3)
    >>> html = animation.to_jshtml(fps=2)
    >>> "<img" in html
    True
    """
    if not isinstance(replay, Replay):
        raise TypeError(f"replay is {replay!r}; it must be a Replay")
    count = operator.index(frames)
    if count < 1:
        raise ValueError(f"frames is {count}; it must be 1 or more")
    if not interval > 0:
        raise ValueError(f"interval is {interval!r}; it must be more than 0")
    from matplotlib.animation import FuncAnimation

    film = _Film(replay, row_bytes)
    n = len(replay.trace)
    events = np.unique(np.linspace(0, n - 1, count).astype(np.int64)) if n else np.array([-1])
    ax = axes_for(ax)
    images: list[Any] = paint(ax, film.rows, film.layers(int(events[0])))
    set_up_axes(ax, film.rows)
    if legend:
        below, *above = film.layers(-1)
        gaps = gap_text(film.rows).strip()
        legend_above(ax, keys(ax, [*above, below], painted=True), title=gaps or None)
    film.narrow = is_narrow(ax)
    caption = ax.set_title(film.caption(int(events[0])), loc="left", fontsize=font_size(ax))

    def update(frame: int) -> list[Any]:
        event = int(events[frame])
        for image, picture in zip(images, pictures(ax, film.rows, film.layers(event)), strict=True):
            image.set_data(picture)
        caption.set_text(film.caption(event))
        return [*images, caption]

    figure: Any = ax.figure
    return FuncAnimation(
        figure.figure, update, frames=len(events), interval=interval, blit=False, repeat=False
    )


class _Film:
    """The states of a replay's heap."""

    def __init__(self, replay: Replay, row_bytes: int | None) -> None:
        self.rows = Rows(replay.regions, row_bytes)
        self._replay = replay
        self._blocks = _replay_blocks.block_table(replay, earlier=True, asked=True)
        self.narrow = False
        self._failures = np.cumsum(_replay_blocks.failed(replay))

    def layers(self, event: int) -> list[_arena.Layer]:
        replay = self._replay
        return _arena.replay_layers(replay.regions, replay.header_size, self._blocks, event)

    def caption(self, event: int) -> str:
        allocated = int(self._blocks.size[self._blocks.live_at(event)].sum())
        failed = int(self._failures[event]) if event >= 0 else 0
        head = f"{self._replay.heap_kind} after event {event:,}"
        tail = f"{size_text(allocated)} allocated, {failed:,} failed"
        return f"{head}:\n{tail}" if self.narrow else f"{head}: {tail}"
