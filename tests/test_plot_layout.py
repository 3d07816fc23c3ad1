"""The layout of all ten plots, by measuring: no two labels overlap, no legend lies on data."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.colors import to_rgb
from plot_cases import (
    HEAPS,
    OF_REPLAYS,
    REPLAYS,
    RISKS,
    coap_replay,
    draw,
    every_function,
    finish,
    legends,
    new_axes,
)

from rtosheap import data, plot
from rtosheap.comparison import compare
from rtosheap.plot import _style

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


def boxes(axis):
    return [
        label.get_window_extent()
        for label in axis.get_ticklabels()
        if label.get_text() and label.get_visible()
    ]


def holds(outer, inner):
    low, high = outer.min <= inner.min, inner.max <= outer.max
    return low.all() and high.all()


def visible(axis):
    low, high = sorted(axis.get_view_interval())
    return sum(low <= place <= high for place in axis.get_ticklocs())


@pytest.mark.long
@pytest.mark.parametrize("width", [6.4, 3.3])
def test_labels_do_not_overlap_and_legends_hide_nothing(width, coap_comparison, coap_sizing):
    calls = every_function(coap_comparison, coap_sizing)
    calls["comparison, long"] = (plot.comparison, compare(data.load("mosq-broker")))
    for kind, make in HEAPS.items():
        calls[f"heap_map, {kind}"] = (plot.heap_map, make())
        calls[f"free_blocks, {kind}"] = (plot.free_blocks, make())
    for kind, make in RISKS.items():
        calls[f"risk, {kind}"] = (plot.risk, make())
    for kind in ("failures", "regions"):
        for name, function in OF_REPLAYS.items():
            calls[f"{name}, {kind}"] = (function, REPLAYS[kind]())
    for name, (function, argument) in calls.items():
        ax = new_axes(width, 0.75 * width)
        result = function(argument, ax=ax)
        figure = draw(ax)
        finish(result)
        sheet = figure.bbox.padded(0.02 * figure.bbox.width)
        for each in figure.axes:
            for axis, side in ((each.xaxis, 0), (each.yaxis, 1)):
                ends = sorted((box.min[side], box.max[side]) for box in boxes(axis))
                gaps = [after[0] - before[1] for before, after in pairwise(ends)]
                assert min(gaps, default=1.0) > -1.0, f"{name}: {axis.axis_name} labels overlap"
                assert not axis.get_visible() or visible(axis) >= 1 or each is not ax, name
        for legend in legends(ax):
            box = legend.get_window_extent()
            assert box.y0 >= ax.get_window_extent().y1 - 1, f"{name}: the legend lies on the data"
            assert holds(sheet, box), f"{name}: the legend is cut off"
        for label in (ax.xaxis.label, ax.yaxis.label):
            box = label.get_window_extent()
            assert holds(sheet, box), f"{name}: {label.get_text()} is cut off"
        assert ax.get_window_extent().height > 0.3 * figure.bbox.height, f"{name}: little picture"


def test_a_title_goes_above_the_legend():
    ax = new_axes()
    plot.usage(coap_replay(), ax=ax)
    title = ax.set_title("A title")
    draw(ax)
    assert title.get_window_extent().y0 >= legends(ax)[0].get_window_extent().y1 - 1


def luminance(colour):
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_what_touches_differs_in_greyscale():
    fills = (_style.ALLOCATED, _style.FREE, _style.HEADER, _style.PADDING, _style.OUTSIDE)
    for number, one in enumerate(fills):
        for other in fills[number + 1 :]:
            apart = abs(luminance(one.colour) - luminance(other.colour))
            assert apart > 0.08 or one.hatch != other.hatch, (one, other)
    assert abs(luminance(_style.ALLOCATED.colour) - luminance(_style.FREE.colour)) > 0.4
    assert len({str(style) for _, style in _style.HEAP_LINES.values()}) == 5
    assert len({(fill.hatch, fill.colour) for fill in _style.BREAKDOWN.values()}) == 7


@pytest.mark.parametrize("layout", ["constrained", None])
def test_a_comparison_s_numbers_do_not_lie_on_each_other(coap_comparison, layout):
    """Two lines beside each bar, however large the style's text and however low the axes."""
    with plt.rc_context({"font.size": 20}):
        ax = plot.comparison(coap_comparison, ax=new_axes(6, 5, layout=layout))
        draw(ax)
    (right,) = (axes for axes in ax.child_axes if isinstance(axes, SecondaryAxis))
    found = sorted(boxes(right.yaxis), key=lambda box: float(box.y0))
    assert len(found) == 5
    assert all(low.y1 <= high.y0 for low, high in pairwise(found))
