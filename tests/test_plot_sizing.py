"""The plots of sizes: sizing and comparison."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_cases import legends, new_axes

from rtosheap import Heap5, Trace, compare, data, plot
from rtosheap.plot._axes import size_text

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


def test_sizing_meets_the_ground_at_the_minimum(coap_sizing, coap_comparison):
    for curve, row in zip(coap_sizing.curves, coap_comparison, strict=True):
        assert (curve.heap, curve.minimum) == (row.heap, row.size)
        at = curve.sizes.index(row.size)
        assert curve.failures[at] == 0
        assert curve.failures[at - 1] > 0
        assert list(curve.sizes) == sorted(curve.sizes)
        assert len(curve.sizes) > 20
    plain = plot.sizing_points(data.load("coap-server"))
    assert [curve.minimum for curve in plain.curves] == [row.size for row in coap_comparison]


def test_sizing_takes_what_is_known_and_reports_progress():
    seen = []
    points = plot.sizing_points(
        data.load("coap-server"),
        heaps=["heap_4", Heap5],
        sizes=[20_000, 36_000, 10],
        minima={"heap_4": 34_224},
        regions=[(0x1000_0000, 8192), (0x2000_0000, None)],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert points.curves[0].minimum == 34_224
    assert points.curves[0].sizes == (20_000, 36_000)  # of 10 bytes there can be none
    assert points.curves[1].sizes == (20_000, 36_000)
    assert [curve.failures[1] for curve in points.curves] == [0, 0]
    assert seen == [(n, 6) for n in range(1, 7)]


def test_sizing_of_what_no_heap_can_serve():
    """heap_5's regions, which would be made of heap_4's minimum, are of the largest there can be:
    1 GiB, and one to be solved for.
    """
    trace = Trace("mm", [0, 1], [100, 1 << 31])
    points = plot.sizing_points(trace, heaps=["heap_4", "heap_5"], sizes=[1000, 1 << 30, 3 << 29])
    assert [curve.minimum for curve in points.curves] == [None, None]
    every = (1000, 1 << 30, 3 << 29)
    assert [curve.sizes for curve in points.curves] == [every, every[2:]]
    assert [curve.failures for curve in points.curves] == [(1, 1, 1), (1,)]


def test_comparison_draws_the_breakdown(coap_comparison):
    ax = plot.comparison(coap_comparison, ax=new_axes())
    widths = np.zeros(5)
    for patch in ax.patches:
        if patch.get_facecolor()[3] > 0:
            widths[round(patch.get_y() + patch.get_height() / 2)] += patch.get_width()
    np.testing.assert_allclose(widths * 1024, [row.size for row in coap_comparison])
    assert ax.get_xlim()[1] < coap_comparison["heap_1"].size / 1024  # which is cut


def test_the_advised_size_is_marked_at_what_fails_there(coap_sizing, coap_comparison):
    ax = plot.sizing(coap_sizing, ax=new_axes())
    marks = [line for line in ax.lines if line.get_marker() == "v"]
    assert len(marks) == len(coap_sizing.curves) == 5
    for mark, curve, row in zip(marks, coap_sizing.curves, coap_comparison, strict=True):
        assert curve.advice_size == row.advice_size
        ((x, failures),) = mark.get_xydata()
        assert (x * 1024, failures) == (
            row.advice_size,
            curve.failures[curve.sizes.index(row.advice_size)],
        )
        assert (failures > 0) == (row.advice_fails_at is not None)
    (legend,) = legends(ax)
    assert [t.get_text() for t in legend.get_texts()][
        -1
    ] == "advice: total \u2212 minimum ever free"
    ours = plot.sizing_points(data.load("coap-server"), heaps=["heap_4"], minima={"heap_4": 34_224})
    assert ours.curves[0].advice_size is None
    assert not [line for line in plot.sizing(ours, ax=new_axes()).lines if line.get_marker() == "v"]


def test_a_comparison_says_what_lies_beyond_the_break(coap_comparison):
    ax = plot.comparison(coap_comparison, ax=new_axes(10, 3.2))
    (cut,) = ax.texts
    _, reach = ax.get_xlim()
    beyond = coap_comparison["heap_1"].size - 1024 * reach
    assert cut.get_text() == f"+{size_text(beyond)}"
    assert cut.get_position()[1] == [row.heap for row in coap_comparison].index("heap_1")
    assert not plot.comparison(compare(data.load("coap-server"), heaps=["heap_4"])).texts


def test_what_lies_beyond_the_break_hides_no_peak_in_a_grid_of_plots(coap_comparison):
    figure, axes = plt.subplots(2, 2, figsize=(9, 7))
    ax = plot.comparison(coap_comparison, ax=axes[0, 0])
    figure.canvas.draw()
    (cut,) = ax.texts
    peak = ax.transData.transform((coap_comparison.peak_live_bytes / 1024, 0))[0]
    assert cut.get_window_extent().x0 > peak


def test_a_comparison_draws_the_size_that_was_asked_about():
    trace = data.load("coap-server")
    ax = plot.comparison(compare(trace, heaps=["heap_4"], heap_size=64 * 1024), ax=new_axes())
    (line,) = (line for line in ax.lines if line.get_label() == "heap_size: 64 KiB")
    assert list(line.get_xdata()) == [64, 64]
    assert ax.get_xlim()[1] > 64
    assert line.get_label() in [text.get_text() for text in legends(ax)[0].get_texts()]


def test_a_comparison_counts_entries_where_there_is_a_list(coap_comparison):
    ax = plot.comparison(coap_comparison, ax=new_axes())
    numbers = [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    for text, row in zip(numbers, coap_comparison, strict=True):
        assert ("reads up to" in text) == (row.heap != "heap_1")
    assert "nodes" not in " ".join(numbers)


def test_a_small_comparison_is_in_bytes():
    small = Trace.from_events([("m", 1, 100), ("m", 2, 200), ("f", 1)])
    ax = plot.comparison(compare(small, heaps=["heap_4"]), ax=new_axes())
    assert ax.get_xlabel() == "smallest heap that serves (bytes)"
    assert 300 < ax.get_xlim()[1] < 4096
    (peak,) = (line for line in ax.lines if line.get_label() == "peak of live bytes")
    assert list(peak.get_xdata()) == [300, 300]
