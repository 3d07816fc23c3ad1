"""Draw the pictures of the README and of docs/ anew, from the bundled traces.

    python notebooks/readme_figures.py [FOLDER]

writes ``failure.gif``, ``comparison.png``, ``memory_over_time.png`` and ``risk.png`` into FOLDER,
by default ``figures`` beside this file. It takes some twenty seconds.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import PillowWriter
from PIL import Image, ImageSequence

from rtosheap import Heap2, Heap4, assess, compare, data, plot, replay

#: The event at which `coap-server` fails first in 32 KiB of heap_4.
_FAILURE = 1004
#: Milliseconds of each frame, and of the last one.
_EACH, _LAST = 200, 4000


def failure(path: Path) -> None:
    """A heap that fills until a request fails, with bytes enough free, in holes."""
    run = replay(data.load("coap-server")[: _FAILURE + 1], Heap4(32 * 1024))
    _, ax = plt.subplots(figsize=(7.2, 2.9), layout="constrained")
    moving = plot.animate(run, ax=ax, frames=40, row_bytes=2048)
    moving.save(path, writer=PillowWriter(), dpi=90)
    with Image.open(path) as drawn:  # of 16 colours: a third of the bytes
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(drawn)]
    palette = frames[-1].quantize(16, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    duration = [_EACH] * len(rest) + [_LAST]
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, optimize=True)


def comparison() -> plt.Figure:
    """Five heaps, one trace: how small each can be, and where its bytes go."""
    figure, ax = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    plot.comparison(compare(data.load("mosq-broker")), ax=ax)
    return figure


def memory_over_time() -> plt.Figure:
    """A trace through heap_2 and heap_4: what coalescing buys."""
    trace = data.load("cjson-docs")
    runs = [replay(trace, heap) for heap in (Heap2(240 * 1024), Heap4(240 * 1024))]
    sizes = np.concatenate([run["block_size"] for run in runs])
    limits = (sizes[sizes > 0].min(), sizes.max())
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.0), sharey=True, layout="constrained")
    for ax, run in zip(axes, runs, strict=True):
        plot.memory_over_time(run, ax=ax, limits=limits, colorbar=ax is axes[-1])
        ax.set_title(f"{run.heap_kind}, {run.heap.size // 1024} KiB")
        ax.label_outer()
    return figure


def risk() -> plt.Figure:
    """How likely another day fails, from five recorded ones."""
    figure, ax = plt.subplots(figsize=(8.0, 4.6), layout="constrained")
    plot.risk(assess(data.days("recorder"), Heap4), ax=ax, probability=0.001)
    return figure


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "figures")
    folder.mkdir(parents=True, exist_ok=True)
    failure(folder / "failure.gif")
    for draw in (comparison, memory_over_time, risk):
        path = folder / f"{draw.__name__}.png"
        draw().savefig(path, dpi=150)
        with Image.open(path) as drawn:  # of 256 colours: a third of the bytes
            drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
