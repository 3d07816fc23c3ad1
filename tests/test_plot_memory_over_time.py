"""memory_over_time: addresses on its axis, and rectangles that may become a raster."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from plot_cases import bare_axes, coap_replay, draw, failing_replay, legends, new_axes, pixels

from rtosheap import Heap4, Trace, data, plot, replay
from rtosheap.plot import _memory_over_time, _raster
from rtosheap.plot._axes import LEGEND_LABEL

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


@pytest.mark.parametrize("base", [0x2000_0000, 0x2000_0123, 0xFFFF_8000_0000_0000])
def test_addresses_on_an_axis(base):
    ax = plot.memory_over_time(
        replay(data.load("coap-server"), Heap4(36 * 1024, base_address=base, word_size=8)),
        ax=new_axes(),
    )
    draw(ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    addresses = [int(label, 16) for label in labels]
    assert len(addresses) >= 4
    assert addresses == sorted(set(addresses))
    assert all(base <= address <= base + 36 * 1024 for address in addresses)
    assert all(address % 0x800 == 0 for address in addresses[1:])


def test_with_one_region_positions_are_addresses():
    ax = plot.memory_over_time(coap_replay(), ax=new_axes())
    assert ax.get_ylim() == (0x2000_0000, 0x2000_0000 + 36 * 1024)


def test_a_raster_covers_what_rectangles_cover():
    rng = np.random.default_rng(5)
    rows, columns, scale = 7, 9, 16  # sides are multiples of 1/16: a finer grid has them exactly
    x = np.sort(rng.integers(-20, columns * scale + 20, (2, 40)), axis=0)
    y = np.sort(rng.integers(-20, rows * scale + 20, (2, 40)), axis=0)
    weight = rng.random(40)
    fine = np.zeros((rows * scale, columns * scale))
    for (x0, x1), (y0, y1), w in zip(x.T, y.T, weight, strict=True):
        fine[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] += w
    expected = fine.reshape(rows, scale, columns, scale).mean(axis=(1, 3))
    found = _raster.coverage(*(x / scale), *(y / scale), (rows, columns), weight)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_raster_and_rectangles_show_the_same(monkeypatch):
    run = coap_replay()
    pictures = []
    for most in (10**9, 0):
        monkeypatch.setattr(_memory_over_time, "_MOST_RECTANGLES", most)
        ax = bare_axes()
        plot.memory_over_time(run, ax=ax, legend=False)
        pictures.append(pixels(ax))
    assert np.abs(pictures[0].astype(int) - pictures[1].astype(int)).mean() < 6.0


def test_tasks_and_times():
    events = [("m", n, 40, 10 * n, f"task{n % 12}" if n % 13 else "") for n in range(60)]
    run = replay(Trace.from_events(events, meta={"time_unit": "ms"}), Heap4(4096), record="all")
    ax = plot.memory_over_time(run, color_by="task", x="time", ax=new_axes())
    assert ax.get_xlabel() == "time (ms)"
    names = [text.get_text() for text in legends(ax)[0].get_texts()]
    assert len(names) == 9
    assert names[-3:] == ["other tasks", "no task", "free"]
    draw(ax)
    for function in (plot.usage, plot.fragmentation, plot.cost):
        assert function(run, x="time", ax=new_axes()).get_xlim() == (0, 590)


def test_pictures_side_by_side_have_one_scale_and_room_for_failures():
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, run in zip(axes, (failing_replay(), coap_replay(Heap4(28 * 1024 - 512))), strict=True):
        plot.memory_over_time(run, ax=ax, limits=(8, 8192), colorbar=ax is axes[1])
        ax.label_outer()
    draw(axes[0])
    assert [len(ax.child_axes) for ax in axes] == [1, 2]  # the legend, and one colour bar
    for ax in axes:
        marks = [line for line in ax.lines if str(line.get_label()).startswith("failed")]
        assert marks
        top = ax.get_ylim()[1]
        assert max(line.get_ydata().max() for line in marks) < top
    first, other = (axes[n].collections[0].get_facecolor() for n in (0, 1))
    assert (first[0] == other[0]).all()  # the same event's block
    (bar,) = (child for child in axes[1].child_axes if child.get_label() != LEGEND_LABEL)
    assert bar.get_ylim() == pytest.approx((8, 8192))
    for wrong in ((0, 5), (5, 5), (9, 5)):
        with pytest.raises(ValueError, match="limits is"):
            plot.memory_over_time(failing_replay(), limits=wrong)


def test_the_legend_says_what_is_free():
    for by in ("size", "lifetime"):
        ax = plot.memory_over_time(coap_replay(), ax=new_axes(), color_by=by)
        assert [text.get_text() for text in legends(ax)[0].get_texts()] == ["free"]
