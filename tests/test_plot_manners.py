"""All plots: what they return and leave alone, what they refuse, and how much they take."""

import pickle
import tracemalloc
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from parts import few_of
from plot_cases import (
    EMPTY,
    HEAPS,
    OF_HEAPS,
    OF_REPLAYS,
    REPLAYS,
    RISKS,
    axes_of,
    coap_replay,
    draw,
    every_function,
    failing_replay,
    finish,
    legends,
    new_axes,
    some_bounds,
    some_risk,
    tried_risk,
    used_heap,
)
from steps import steps

from rtosheap import Heap4, Trace, data, plot, replay
from rtosheap.comparison import compare

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


def test_axes_that_are_given_are_used_returned_and_hidden_from_pyplot(coap_comparison, coap_sizing):
    plt.figure()
    known, current = plt.get_fignums(), plt.gcf()
    for name, (function, argument) in every_function(coap_comparison, coap_sizing).items():
        ax = new_axes()
        result = function(argument, ax=ax)
        assert axes_of(result) is ax, name
        assert isinstance(result, FuncAnimation if name == "animate" else Axes), name
        draw(ax)
        finish(result)
        assert plt.get_fignums() == known, name
        assert plt.gcf() is current, name
        assert ax.get_xlabel(), name
        assert ax.get_ylabel() or name in ("comparison", "policies", "corruption"), name


def test_without_axes_one_pyplot_figure_is_made(coap_comparison, coap_sizing):
    for name, (function, argument) in every_function(coap_comparison, coap_sizing).items():
        before = set(plt.get_fignums())
        result = function(argument)
        made = set(plt.get_fignums()) - before
        assert len(made) == 1, name
        assert plt.figure(made.pop()) is axes_of(result).figure, name
        draw(result)
        finish(result)
        plt.close("all")


def test_figures_are_pickled(coap_comparison, coap_sizing):
    """As for another process, or to be changed another day; matplotlib's own second axis is not."""
    for name, (function, argument) in every_function(coap_comparison, coap_sizing).items():
        if name.split(",")[0] in ("animate", "comparison"):
            continue
        figure = function(argument, ax=new_axes(layout=None)).figure
        again = pickle.loads(pickle.dumps(figure))
        FigureCanvasAgg(again).draw()
        for before, after in zip(figure.axes, again.axes, strict=True):
            assert labels(before) == labels(after), name


def labels(ax):
    """What is written at both axes' ticks."""
    return [text.get_text() for text in (*ax.get_xticklabels(), *ax.get_yticklabels())]


def test_every_function_is_tested(coap_comparison, coap_sizing):
    names = ["heap_map", "memory_over_time", "usage", "fragmentation", "free_blocks", "sizing"]
    names += ["comparison", "cost", "animate", "risk", "bound", "policies", "corruption"]
    assert set(names) <= set(plot.__all__)
    tested = {name.split(",")[0] for name in every_function(coap_comparison, coap_sizing)}
    assert tested == set(names)


@pytest.mark.parametrize("data_name", few_of(REPLAYS, ["failures", "regions"]))
def test_every_kind_of_replay(data_name):
    run = REPLAYS[data_name]()
    for name, function in OF_REPLAYS.items():
        ax = new_axes(layout=None)
        result = function(run, ax=ax)
        draw(ax)
        finish(result)
        ax = new_axes(layout=None)
        finish(function(run, ax=ax, legend=False))
        assert not legends(ax), name


@pytest.mark.parametrize("data_name", few_of(HEAPS, ["heap_2", "heap_5", "smallest", "corrupt"]))
def test_every_kind_of_heap(data_name):
    heap = HEAPS[data_name]()
    for function in OF_HEAPS.values():
        for legend in (True, False):
            ax = new_axes(layout=None)
            assert function(heap, ax=ax, legend=legend) is ax
            assert bool(legends(ax)) == legend
            draw(ax)


def test_a_comparison_and_a_sizing_of_an_empty_trace():
    draw(plot.comparison(compare(EMPTY), ax=new_axes()))
    draw(plot.sizing(EMPTY, ax=new_axes()))


def test_a_comparison_in_which_a_heap_cannot_serve():
    result = compare(Trace("m", id=[0], size=[2**32 - 100]), heaps=["heap_1", "heap_4"])
    assert result["heap_4"].size is None
    ax = plot.comparison(result, ax=new_axes())
    draw(ax)


def test_figures_of_other_layouts_and_subfigures():
    for layout in (None, "tight", "constrained", "compressed"):
        ax = new_axes(layout=layout)
        plot.usage(failing_replay(), ax=ax)
        draw(ax)
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for part in figure.subfigures(1, 2):
        draw(plot.heap_map(used_heap(), ax=part.add_subplot()))


# ---------------------------------------------------------------------- arguments


def no_columns():
    return replay(data.load("coap-server"), Heap4(36 * 1024), record=())


WRONG = {
    "heap": (lambda: plot.heap_map(3), TypeError, "heap is 3"),
    "heap of blocks": (lambda: plot.free_blocks("x"), TypeError, "heap is 'x'"),
    "row_bytes": (lambda: plot.heap_map(Heap4(1024), row_bytes=100), ValueError, "100"),
    "tiny rows": (lambda: plot.heap_map(Heap4(1 << 20), row_bytes=8), ValueError, "131,072 rows"),
    "replay": (lambda: plot.usage(3), TypeError, "replay is 3"),
    "replay over time": (lambda: plot.memory_over_time(3), TypeError, "replay is 3"),
    "replay to animate": (lambda: plot.animate(3), TypeError, "replay is 3"),
    "replays": (lambda: plot.cost([coap_replay(), 3]), TypeError, "replays is 3"),
    "no replays": (lambda: plot.fragmentation([]), ValueError, r"replays is \[\]"),
    "no mapping": (lambda: plot.fragmentation(3), TypeError, "replays is 3"),
    "x": (lambda: plot.usage(coap_replay(), x="hours"), ValueError, "x is 'hours'"),
    "no times": (lambda: plot.usage(coap_replay(), x="time"), ValueError, "no times"),
    "color_by": (
        lambda: plot.memory_over_time(coap_replay(), color_by="age"),
        ValueError,
        "color_by is 'age'",
    ),
    "no tasks": (
        lambda: plot.memory_over_time(coap_replay(), color_by="task"),
        ValueError,
        "no tasks",
    ),
    "measure": (
        lambda: plot.fragmentation(coap_replay(), measure="all"),
        ValueError,
        "measure is 'all'",
    ),
    "view": (lambda: plot.cost(coap_replay(), view="cdf"), ValueError, "view is 'cdf'"),
    "calibration": (lambda: plot.cost(coap_replay(), calibration=3), TypeError, "calibration is 3"),
    "frames": (lambda: plot.animate(coap_replay(), frames=0), ValueError, "frames is 0"),
    "interval": (lambda: plot.animate(coap_replay(), interval=0), ValueError, "interval is 0"),
    "data": (lambda: plot.sizing(3), TypeError, "data is 3"),
    "option": (
        lambda: plot.sizing(plot.Sizing("", 0, ()), sizes=[3]),
        TypeError,
        "sizes is an option",
    ),
    "comparisons": (lambda: plot.policies([3]), TypeError, "comparisons has 3"),
    "comparison": (lambda: plot.policies("x"), TypeError, "comparisons has 'x'"),
    "no comparisons": (lambda: plot.policies({}), ValueError, "comparisons is empty"),
    "heaps": (lambda: plot.sizing(EMPTY, heaps=["heap_6"]), ValueError, "heap_6"),
    "bounds": (lambda: plot.bound([3]), TypeError, "bounds has 3"),
    "no bounds": (lambda: plot.bound([]), ValueError, "bounds is empty"),
    "typical": (lambda: plot.bound(some_bounds(), [3]), TypeError, "measurements has 3"),
    "call": (lambda: plot.bound(some_bounds(), call="calloc"), ValueError, "call is 'calloc'"),
    "risk": (lambda: plot.risk(3), TypeError, "risk is 3"),
    "both": (
        lambda: plot.risk(some_risk(), size=9, probability=0.1),
        TypeError,
        "size is 9 and probability 0.1",
    ),
    "size": (lambda: plot.risk(some_risk(), size=0), ValueError, "size is 0"),
    "untried size": (lambda: plot.risk(tried_risk(), size=3), ValueError, "size is 3; heap_2"),
    "probability": (lambda: plot.risk(some_risk(), probability=1), ValueError, "probability is 1"),
    "few runs": (
        lambda: plot.risk(RISKS["no tail"](), probability=0.001),
        ValueError,
        "500 runs say nothing",
    ),
    "no columns": (lambda: plot.usage(no_columns()), ValueError, "address"),
    "no nodes": (lambda: plot.cost(no_columns()), ValueError, "nodes"),
    "no blocks": (lambda: plot.memory_over_time(no_columns()), ValueError, "address"),
    "no largest": (
        lambda: plot.fragmentation(coap_replay(record=None)),
        ValueError,
        "largest_free_block",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case):
    call, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        call()
    assert not plt.get_fignums(), "an argument is wrong, and yet there is a figure"


# ---------------------------------------------------------------------- a million events


def million():
    n = 500_000
    ids = np.arange(n) % 4000
    size = np.random.default_rng(1).integers(8, 200, n)
    op = np.full(2 * n, ord("m"), dtype=np.uint8)
    op[1::2] = ord("f")
    columns = [np.zeros(2 * n, dtype=np.int64) for _ in range(2)]
    columns[0][0::2] = ids
    columns[1][0::2] = size
    columns[0][1::2] = (ids - 300) % 4000
    kept = np.ones(2 * n, dtype=bool)
    kept[1:600:2] = False  # nothing to free yet
    return Trace(op[kept], columns[0][kept], columns[1][kept])


def drawn(function, run):
    draw(function(run, ax=new_axes()))


@pytest.mark.long
def test_a_million_events_take_the_python_of_fifty_thousand_and_a_gibibyte():
    trace = million()
    few, many = (
        replay(trace[:count], Heap4(60 * 1024), record="all")
        for count in (len(trace) // 20, len(trace))
    )
    assert len(many) == 999_700
    for function in (plot.memory_over_time, plot.usage, plot.fragmentation, plot.cost):
        taken = [steps(partial(drawn, function, run)) for run in (few, many)]
        assert taken[1] < 1.2 * taken[0], function
        tracemalloc.start()
        drawn(function, many)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**30, function
