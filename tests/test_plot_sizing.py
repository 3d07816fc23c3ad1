"""The plots of sizes: sizing and comparison."""

import numpy as np
import pytest
from plot_cases import new_axes

from rtosheap import Heap5, Trace, data, plot

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
