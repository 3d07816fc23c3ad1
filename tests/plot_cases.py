"""What the tests of plots draw, each function with what it is called on, and figures to draw in."""

import warnings
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from rtosheap import (
    Heap1,
    Heap2,
    Heap3,
    Heap4,
    Heap5,
    HeapCorruptionError,
    Trace,
    data,
    plot,
    replay,
)
from rtosheap.comparison import Comparison, HeapResult
from rtosheap.corruption import study
from rtosheap.cortexm import Bound
from rtosheap.plot._axes import LEGEND_LABEL
from rtosheap.risk import Day, Risk, Tail

REGIONS = [(0x1000_0000, 16 * 1024), (0x2000_0000, 24 * 1024)]
EMPTY = Trace("", id=[], size=[])


# ---------------------------------------------------------------------- replays and heaps


def coap_replay(heap=None, record="all"):
    return replay(data.load("coap-server"), heap or Heap4(36 * 1024), record=record)


def failing_replay():
    return coap_replay(Heap4(28 * 1024))


def region_replay():
    return coap_replay(Heap5(REGIONS))


def empty_replay():
    return replay(EMPTY, Heap4(1024), record="all")


def used_heap(kind=Heap4, size=40 * 1024, events=950):
    heap = Heap5(REGIONS) if kind is Heap5 else kind(size)
    replay(data.load("coap-server")[:events], heap, record=())
    return heap


def corrupt_heap():
    heap = Heap4(2048)
    blocks = [heap.malloc(size) for size in (40, 100, 40, 200, 16, 90)]
    heap.free(blocks[1])
    for victim in (blocks[2], blocks[4]):
        at = victim - 8 - heap.base_address
        heap.memory[at : at + 8] = b"\xa5" * 8
    with pytest.raises(HeapCorruptionError):
        heap.check()
    return heap


def filled(heap):
    while heap.malloc(8):
        pass
    return heap


#: How each is made, by what is special about it.
REPLAYS = {
    "failures": failing_replay,
    "regions": region_replay,
    "empty": empty_replay,
    "heap_1": lambda: coap_replay(Heap1(100 * 1024)),
    "heap_2": lambda: coap_replay(Heap2(40 * 1024)),
    "heap_3": lambda: coap_replay(Heap3(40 * 1024)),
    "heap_4, 64-bit": lambda: coap_replay(
        Heap4(64 * 1024, word_size=8, base_address=0xFFFF_8000_0000_0000)
    ),
}
HEAPS = {
    "heap_1": lambda: used_heap(Heap1, 100 * 1024),
    "heap_2": lambda: used_heap(Heap2),
    "heap_3": lambda: used_heap(Heap3),
    "heap_4": used_heap,
    "heap_5": lambda: used_heap(Heap5),
    "fresh": lambda: Heap4(1024),
    "smallest": lambda: Heap4(32),
    "full": lambda: filled(Heap4(256)),
    "corrupt": corrupt_heap,
    "unaligned": lambda: Heap4(5000, base_address=0x2000_0123),
    "64-bit": lambda: Heap4(4096, word_size=8, base_address=0xFFFF_8000_0000_0000),
    "many regions": lambda: Heap5([(0x1000_0000 + 0x1000 * n, 0x1000 - 16 * n) for n in range(6)]),
}


# ---------------------------------------------------------------------- risks


def some_risk(**changed):
    """Five recorded days and 500 modelled ones, made up: no model's numbers are in it."""
    sizes = (40_000 + 25_000 * np.linspace(0, 1, 500) ** 3).astype(np.int64) // 8 * 8
    tail = Tail(
        threshold=48_000,
        peaks=1000,  # so many that the rate is known
        rate=2e-6,
        shapes=np.array([-0.2, -0.1, 0.0, 0.1]),
        scales=np.array([5_000.0, 6_000.0, 7_000.0, 9_000.0]),
        weights=np.array([0.3, 0.4, 0.2, 0.1]),
    )
    needs = (51_384, 53_352, 56_672, 60_600, 62_208)
    risk = Risk(
        heap="heap_4",
        options={},
        regions=(),
        days=tuple(Day(f"day{at}", size, 9, 10**6, size) for at, size in enumerate(needs)),
        duration=10**6,
        time_unit="ms",
        sizes=sizes,
        tested=(),
        failed=np.zeros(0, np.int64),
        tail=tail,
        guaranteed_size=700_000,
        seed=0,
        runs=500,
        assumptions=(),
        warnings=(),
    )
    return replace(risk, **changed)


def tried_risk():
    """One of a heap that is assessed at given sizes."""
    tried = (48_000, 56_000, 64_000, 72_000)
    fails = ((True, False, True, False), (True, True, False, False))
    days = [
        Day(f"day{at}", size, 9, 10**6, 40_000, failed)
        for at, (size, failed) in enumerate(zip((72_000, 64_000), fails, strict=True))
    ]
    return some_risk(
        heap="heap_2",
        days=tuple(days),
        sizes=np.repeat(tried, 125),
        tested=tried,
        failed=np.array([400, 60, 90, 0]),
        tail=None,
        guaranteed_size=None,
    )


#: What a risk can be like.
RISKS = {
    "modelled": some_risk,
    "tried": tried_risk,
    "no tail": lambda: some_risk(tail=None),
    "one day": lambda: some_risk(days=some_risk().days[:1]),
    "no guarantee": lambda: some_risk(guaranteed_size=None),
    "guarantee in sight": lambda: some_risk(guaranteed_size=64_000),
    "all alike": lambda: some_risk(sizes=np.full(500, 48_000), tail=None),
    "one run": lambda: some_risk(sizes=np.array([48_000]), runs=1),
    "never": lambda: some_risk(sizes=np.append(some_risk().sizes, [2**63 - 1] * 9)),
    "events": lambda: some_risk(time_unit=None),
    "longer days": lambda: some_risk(duration=10**8),
}


# ---------------------------------------------------------------------- bounds


def some_bounds():
    """Of a list and of an index, made up."""
    bounds = []
    for size in (8 << 10, 16 << 10, 64 << 10):
        for index in (False, True):
            most = 300 + (size >> 13) if index else size // 6
            one = Bound(
                heap="heap_4", index=index, regions=((0x2000_0000, size),), cpu="cortex-m4",
                optimize="-O2", compiler="gcc 12", malloc=most, malloc_found=most - most // 4,
                free=most // 2, free_found=most // 2 - 9, calls=1000,
            )  # fmt: skip
            bounds.append(one)
    return bounds


# ---------------------------------------------------------------------- comparisons


def made_up(name, ratios, *, peak=1000, exact=("heap_4",)):
    """A comparison with these ratios by heap; None: it does not serve."""
    rows = [
        HeapResult(heap, error="too large")
        if ratio is None
        else HeapResult(
            heap,
            round(max(peak, 1) * min(ratio, 999)),
            ratio,
            0,
            heap in exact,
            most_nodes=round(100 * min(ratio, 999)),
        )
        for heap, ratio in ratios.items()
    ]
    return Comparison(tuple(rows), name, 9, peak, None, None, "")


def some_comparisons():
    """Five heaps on three traces, one of which one does not serve."""
    return [
        made_up(
            "a", {"heap_1": 12.5, "heap_4": 1.3, "tlsf": 1.2, "buddy": 1.9, "best-fit/lifo": 1.1}
        ),
        made_up(
            "b", {"heap_1": 345.0, "heap_4": 1.2, "tlsf": 1.3, "buddy": None, "best-fit/lifo": 1.1}
        ),
        made_up("c", {"heap_1": 3.4, "heap_4": 1.1, "tlsf": 1.4, "buddy": 1.5}),
    ]


# ---------------------------------------------------------------------- functions


#: The functions that draw a replay or a heap, by name and what is asked of them.
OF_REPLAYS = {
    "memory_over_time": plot.memory_over_time,
    "memory_over_time, lifetime": lambda run, **kw: plot.memory_over_time(
        run, color_by="lifetime", whole=False, **kw
    ),
    "usage": plot.usage,
    "fragmentation": plot.fragmentation,
    "fragmentation, internal": lambda run, **kw: plot.fragmentation(run, measure="internal", **kw),
    "fragmentation, pigweed": lambda run, **kw: plot.fragmentation(run, measure="pigweed", **kw),
    "fragmentation, used": lambda run, **kw: plot.fragmentation([run, run], measure="used", **kw),
    "cost": plot.cost,
    "cost, several": lambda run, **kw: plot.cost({"a": run, "b": run}, **kw),
    "cost, distribution": lambda run, **kw: plot.cost(run, view="distribution", **kw),
    "cost, calibrated": lambda run, **kw: plot.cost(
        [run], view="distribution", calibration=plot.Calibration((50, 7), (40, 5)), **kw
    ),
    "animate": lambda run, **kw: plot.animate(run, frames=3, **kw),
}
OF_HEAPS = {"heap_map": plot.heap_map, "free_blocks": plot.free_blocks}


def every_function(coap_comparison, coap_sizing):
    """Each function by name, with what to call it on."""
    run, heap = coap_replay(), used_heap()
    calls = {name: (function, run) for name, function in OF_REPLAYS.items()}
    calls |= {name: (function, heap) for name, function in OF_HEAPS.items()}
    calls["corruption"] = (plot.corruption, study(["heap_4", "heap_5"], trials=4))
    calls["comparison"] = (plot.comparison, coap_comparison)
    calls["policies"] = (plot.policies, some_comparisons())
    calls["sizing"] = (plot.sizing, coap_sizing)
    calls["bound"] = (plot.bound, some_bounds())
    calls["bound, of a free"] = (lambda b, **kw: plot.bound(b, call="free", **kw), some_bounds())
    calls["risk"] = (plot.risk, some_risk())
    calls["risk, tried"] = (plot.risk, tried_risk())
    calls["risk, marked"] = (
        lambda risk, **kw: plot.risk(risk, probability=0.001, **kw),
        some_risk(),
    )
    return calls


def functions_that_differ(coap_comparison, coap_sizing):
    """`every_function` without those that draw nothing that another does not."""
    alike = ("risk", "bound, of a free", "fragmentation, pigweed", "fragmentation, internal")
    calls = every_function(coap_comparison, coap_sizing)
    return {name: call for name, call in calls.items() if name not in alike}


# ---------------------------------------------------------------------- figures


def new_axes(width=6.4, height=4.8, layout="constrained"):
    """Axes of a figure that pyplot does not know."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def draw(axes_or_animation):
    """Draw for real; a warning is an error."""
    figure = getattr(axes_or_animation, "figure", None) or axes_or_animation._fig
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return figure


def axes_of(result):
    return result if isinstance(result, Axes) else result._fig.axes[0]


def finish(result):
    """An animation that was never drawn warns when it goes."""
    if isinstance(result, FuncAnimation):
        result._draw_was_started = True


def legends(ax):
    return [child.get_legend() for child in ax.child_axes if child.get_label() == LEGEND_LABEL]


def bare_axes():
    """Axes of a fixed place in a small figure: no layout depends on a font."""
    figure = Figure(figsize=(4, 3), dpi=80)
    FigureCanvasAgg(figure)
    return figure.add_axes((0.05, 0.05, 0.9, 0.9))


def without_text(ax):
    for text in ax.figure.findobj(Text):
        text.set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_tick_params(which="both", length=0)
    return ax


def pixels(ax):
    without_text(ax).figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())[..., :3]
