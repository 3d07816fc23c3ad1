"""Plots: what they return and leave alone, what they draw, and how it looks.

Layout is tested by measuring: no two labels overlap, no legend lies on data. Six pictures are
compared with images, without any text, so that fonts do not matter. RTOSHEAP_WRITE_IMAGES=1 in the
environment writes those images anew; look at them before committing.
"""

import os
import tracemalloc
import warnings
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
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
from rtosheap.compare import compare
from rtosheap.fragmentation import requested_sizes
from rtosheap.html import heap_html, table_html
from rtosheap.plot import _address, _arena, _raster, _rows, _series, _style
from rtosheap.plot._axes import LEGEND_LABEL

IMAGES = Path(__file__).parent / "data" / "images"
REGIONS = [(0x1000_0000, 16 * 1024), (0x2000_0000, 24 * 1024)]
EMPTY = Trace("", id=[], size=[])


@pytest.fixture(autouse=True)
def _fixed_style():
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.use("Agg")
        before = dict(mpl.rcParams)
        yield
        assert dict(mpl.rcParams) == before, "a plot changed matplotlib's settings"
    plt.close("all")


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


# ---------------------------------------------------------------------- data


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


def corrupt_header_addresses(heap):
    image = bytes(heap.memory)
    return [
        heap.base_address + at
        for at in range(0, len(image), 8)
        if image[at : at + 8] == b"\xa5" * 8
    ]


@pytest.fixture(scope="module")
def coap_comparison():
    return compare(data.load("coap-server"))


@pytest.fixture(scope="module")
def coap_sizing(coap_comparison):
    return plot.sizing_points(data.load("coap-server"), minima=coap_comparison)


#: Each function by name, with what to call it on; `kind` is one of the words below.
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
OF_REPLAYS = {
    "memory_over_time": plot.memory_over_time,
    "memory_over_time, lifetime": lambda run, **kw: plot.memory_over_time(
        run, color_by="lifetime", whole=False, **kw
    ),
    "usage": plot.usage,
    "fragmentation": plot.fragmentation,
    "fragmentation, internal": lambda run, **kw: plot.fragmentation(run, measure="internal", **kw),
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


def filled(heap):
    while heap.malloc(8):
        pass
    return heap


def axes_of(result):
    return result if isinstance(result, Axes) else result._fig.axes[0]


def finish(result):
    """An animation that was never drawn warns when it goes."""
    if isinstance(result, FuncAnimation):
        result._draw_was_started = True


# ---------------------------------------------------------------------- manners


def every_function(coap_comparison, coap_sizing):
    run, heap = coap_replay(), used_heap()
    calls = {name: (function, run) for name, function in OF_REPLAYS.items()}
    calls |= {name: (function, heap) for name, function in OF_HEAPS.items()}
    calls["comparison"] = (plot.comparison, coap_comparison)
    calls["sizing"] = (plot.sizing, coap_sizing)
    return calls


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
        assert ax.get_ylabel() or name == "comparison", name


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


def test_every_function_of_the_nine_is_tested(coap_comparison, coap_sizing):
    nine = ["heap_map", "memory_over_time", "usage", "fragmentation", "free_blocks", "sizing"]
    nine += ["comparison", "cost", "animate"]
    assert set(nine) <= set(plot.__all__)
    tested = {name.split(",")[0] for name in every_function(coap_comparison, coap_sizing)}
    assert tested == set(nine)


@pytest.mark.parametrize("data_name", REPLAYS)
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


@pytest.mark.parametrize("data_name", HEAPS)
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
    "heaps": (lambda: plot.sizing(EMPTY, heaps=["heap_6"]), ValueError, "heap_6"),
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


# ---------------------------------------------------------------------- layout


def legends(ax):
    return [child.get_legend() for child in ax.child_axes if child.get_label() == LEGEND_LABEL]


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


@pytest.mark.parametrize("width", [6.4, 3.3])
def test_labels_do_not_overlap_and_legends_hide_nothing(width, coap_comparison, coap_sizing):
    calls = every_function(coap_comparison, coap_sizing)
    calls["comparison, long"] = (plot.comparison, compare(data.load("mosq-broker")))
    for kind, make in HEAPS.items():
        calls[f"heap_map, {kind}"] = (plot.heap_map, make())
        calls[f"free_blocks, {kind}"] = (plot.free_blocks, make())
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


# ---------------------------------------------------------------------- what is drawn


def test_heap_map_marks_every_corrupt_header():
    heap = corrupt_heap()
    expected = corrupt_header_addresses(heap)
    assert len(expected) == 2
    assert _arena.corrupt_headers(heap) == expected
    ax = plot.heap_map(heap, ax=new_axes(), row_bytes=128)
    marks = next(line for line in ax.lines if line.get_marker() == "X")
    assert [x % 128 for x in marks.get_xdata()] == [address % 128 for address in expected]
    rows = [int(y) for y in marks.get_ydata()]
    assert rows == [(address - heap.base_address) // 128 for address in expected]
    assert hex(expected[0]) in legends(ax)[0].get_title().get_text()


@pytest.mark.parametrize("heap", [Heap2(4096), Heap4(4096, canary=0x5A5A_1234), Heap5(REGIONS)])
def test_headers_that_are_well_are_not_marked_when_another_is_corrupt(heap):
    blocks = [heap.malloc(50) for _ in range(8)]
    for block in blocks[1::2]:
        heap.free(block)
    victim = blocks[4] - 8
    at = victim - heap.base_address
    heap.memory[at + 5] ^= 0x10
    assert _arena.corrupt_headers(heap) == [victim]
    heap.memory[at + 5] ^= 0x10
    assert _arena.corrupt_headers(heap) == []


def test_the_layers_of_a_heap_map_are_its_bytes():
    run = coap_replay(Heap5(REGIONS))
    heap = run.heap_at(900)
    asked = requested_sizes(run, 899)
    found = {layer.label: int(layer.spans.size.sum()) for layer in _arena.layers(heap, asked)}
    blocks = heap.blocks()
    assert found["allocated"] == sum(asked.values())
    assert found["header"] == 8 * len(blocks)
    assert found["free"] == sum(b.size - 8 for b in blocks if not b.allocated)
    taken = sum(b.size for b in blocks if b.allocated)
    assert found["padding"] == taken - found["allocated"] - 8 * len(asked)
    assert found["no block"] == heap.size
    without = {layer.label: layer.spans for layer in _arena.layers(heap)}
    assert not len(without["padding"].size)
    assert without["allocated"].size.sum() == found["allocated"] + found["padding"]


def test_rows_cut_ranges_and_lose_nothing():
    rows = _rows.Rows([(0x1000_0010, 500), (0x2000_0000, 300)], 64)
    spans = _rows.Spans.of([0, 0, 1], [0, 100, 5], [70, 400, 0])
    assert spans.size.tolist() == [70, 400]
    pieces = rows.split(spans)
    assert (pieces.right - pieces.left).sum() == 470
    assert pieces.left.min() >= 0
    assert pieces.right.max() <= 64
    assert pieces.row.tolist() == [0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert (pieces.left[0], pieces.right[0]) == (16, 64)
    assert rows.addresses[0] == 0x1000_0000
    ((_, _, gap),) = rows.gaps
    assert gap == 0x1000_0000 - 500 - 16
    assert rows.point(0, 0) == (16.0, 0.0)


def test_gaps_are_drawn_to_the_scale_that_the_legend_states():
    regions = [(0x1000, 0x100), (0x1200, 0x100), (0x1_1300, 0x100)]
    rows = _rows.Rows(regions, 64)
    heights = [bottom - top - (1 - _rows.ROW_HEIGHT) for top, bottom, _ in rows.gaps]
    assert heights == pytest.approx([1.0, 2.0])  # 256 bytes, and 256 * 256
    scale = _address.AddressScale(regions)
    unit = scale.UNIT * 0x300
    assert scale.low[1] - scale.low[0] - 0x100 == pytest.approx(unit)
    assert scale.low[2] - scale.low[1] - 0x100 == pytest.approx(2 * unit)
    ax = plot.heap_map(Heap5(REGIONS), ax=new_axes())
    assert "a row for each factor of 256" in legends(ax)[0].get_title().get_text()
    ax = plot.memory_over_time(region_replay(), ax=new_axes())
    title = legends(ax)[0].get_title().get_text().replace("\n", " ")
    assert "3% of the height for each factor of 256" in title
    assert any("gap of 256 MiB" in text.get_text() for text in ax.texts)


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
    from rtosheap.plot import _memory_over_time

    run = coap_replay()
    pictures = []
    for most in (10**9, 0):
        monkeypatch.setattr(_memory_over_time, "_MOST_RECTANGLES", most)
        ax = bare_axes()
        plot.memory_over_time(run, ax=ax, legend=False)
        pictures.append(pixels(ax))
    assert np.abs(pictures[0].astype(int) - pictures[1].astype(int)).mean() < 6.0


def test_thinning_keeps_every_extreme():
    rng = np.random.default_rng(3)
    values = rng.normal(size=123_457).cumsum()
    kept = _series.thin(values)
    assert len(kept) < 25_000
    assert (np.diff(kept) > 0).all()
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert (_series.thin(values[:1000]) == np.arange(1000)).all()


def test_usage_draws_the_columns():
    run = coap_replay()
    ax = plot.usage(run, ax=new_axes())
    lines = {line.get_label(): line for line in ax.lines}
    n = len(run.trace)
    for name, column in (
        ("asked for", run.live_bytes),
        ("free", run.free_size),
        ("largest free block", run.largest_free_block),
        ("minimum ever free", np.minimum.accumulate(run.free_size)),
    ):
        np.testing.assert_allclose(lines[name].get_ydata()[:n] * 1024, column)
    total = lines["in allocated blocks"].get_ydata() + lines["free"].get_ydata()
    np.testing.assert_allclose(total, (36 * 1024 - 8) / 1024)
    assert lines["heap size"].get_ydata()[0] == 36
    without = plot.usage(coap_replay(record=None), ax=new_axes())
    assert "largest free block" not in [line.get_label() for line in without.lines]


def test_failures_are_marked_where_they_happen():
    run = failing_replay()
    assert run.failures
    for function in (plot.usage, plot.memory_over_time):
        ax = function(run, ax=new_axes())
        marks = [line for line in ax.lines if str(line.get_label()).startswith("failed")]
        places = np.sort(np.concatenate([line.get_xdata() for line in marks]))
        assert places.tolist() == np.flatnonzero(run.failed).tolist()


def test_free_blocks_counts_the_blocks():
    heap = Heap4(8192)
    blocks = [heap.malloc(size) for size in (40, 8, 40, 8, 300, 8, 4000, 8)]
    for block in blocks[::2]:
        heap.free(block)
    ax = plot.free_blocks(heap, ax=new_axes())
    heights = {bar.get_x() + bar.get_width() / 2 - 0.5: bar.get_height() for bar in ax.patches}
    assert heights[5] == pytest.approx(2 * 48 / 1024)  # two blocks of 48 bytes, from 32 on
    assert heights[8] == pytest.approx(312 / 1024 if 256 <= 312 < 512 else 0)
    assert sum(heights.values()) == pytest.approx(heap.free_size / 1024)
    line = next(line for line in ax.lines if "request" in str(line.get_label()))
    assert 2 ** line.get_xdata()[0] == pytest.approx(4000)


def test_cost_draws_means_and_the_worst():
    run = coap_replay()
    ax = plot.cost(run, ax=new_axes())
    assert max(ax.lines[0].get_ydata()) == run.nodes.max()
    ax = plot.cost(run, view="distribution", ax=new_axes())
    frees = run.trace.op == ord("f")
    for line, nodes in zip(ax.lines, (run.nodes[~frees], run.nodes[frees]), strict=True):
        for x, y in zip(*line.get_data(), strict=True):
            assert y == pytest.approx((nodes >= x).mean())
    costs = plot.Calibration(malloc=(100, 10), free=(50, 5), unit="cycles")
    ax = plot.cost(run, calibration=costs, ax=new_axes())
    cycles = np.where(frees, 50 + 5 * run.nodes, 100 + 10 * run.nodes)
    cycles[run.trace.op == ord("r")] += 50
    assert max(ax.lines[0].get_ydata()) == cycles.max()
    assert ax.get_ylabel() == "cycles"


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


def test_comparison_draws_the_breakdown(coap_comparison):
    ax = plot.comparison(coap_comparison, ax=new_axes())
    widths = np.zeros(5)
    for patch in ax.patches:
        if patch.get_facecolor()[3] > 0:
            widths[round(patch.get_y() + patch.get_height() / 2)] += patch.get_width()
    np.testing.assert_allclose(widths * 1024, [row.size for row in coap_comparison])
    assert ax.get_xlim()[1] < coap_comparison["heap_1"].size / 1024  # which is cut


def test_the_frames_of_an_animation():
    run = failing_replay()
    animation = plot.animate(run, frames=5, ax=new_axes())
    ax = animation._fig.axes[0]
    images, titles = [], []
    for frame in range(5):
        animation._draw_frame(frame)
        images.append(np.concatenate([np.asarray(image.get_array()) for image in ax.images]))
        titles.append(ax.get_title(loc="left"))
    assert len({image.tobytes() for image in images}) == 5
    assert "event 0:" in titles[0]
    assert f"event {len(run.trace) - 1:,}:" in titles[-1]
    assert f"{run.failures:,} failed" in titles[-1]
    finish(animation)


def test_tasks_and_times():
    events = [("m", n, 40, 10 * n, f"task{n % 12}" if n % 13 else "") for n in range(60)]
    run = replay(Trace.from_events(events, meta={"time_unit": "ms"}), Heap4(4096), record="all")
    ax = plot.memory_over_time(run, color_by="task", x="time", ax=new_axes())
    assert ax.get_xlabel() == "time (ms)"
    names = [text.get_text() for text in legends(ax)[0].get_texts()]
    assert len(names) == 8
    assert names[-2:] == ["other tasks", "no task"]
    draw(ax)
    for function in (plot.usage, plot.fragmentation, plot.cost):
        assert function(run, x="time", ax=new_axes()).get_xlim() == (0, 590)


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


def test_a_million_events_in_five_seconds_and_a_gibibyte():
    from time import process_time

    run = replay(million(), Heap4(60 * 1024), record="all")
    assert len(run) > 999_000
    for function in (plot.memory_over_time, plot.usage, plot.fragmentation, plot.cost):
        tracemalloc.start()
        begin = process_time()
        draw(function(run, ax=new_axes()))
        taken, (_, peak) = process_time() - begin, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < 5.0, function
        assert peak < 2**30, function


# ---------------------------------------------------------------------- pictures


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


PICTURES = {
    "heap_map": lambda ax, _: plot.heap_map(used_heap(events=1100), ax=ax, legend=False),
    "heap_map_regions": lambda ax, _: plot.heap_map(used_heap(Heap5), ax=ax, legend=False),
    "heap_map_corrupt": lambda ax, _: plot.heap_map(corrupt_heap(), ax=ax, legend=False),
    "memory_over_time": lambda ax, _: plot.memory_over_time(failing_replay(), ax=ax, legend=False),
    "usage": lambda ax, _: plot.usage(coap_replay(), ax=ax, legend=False),
    "fragmentation": lambda ax, _: plot.fragmentation(
        [coap_replay(kind(40 * 1024)) for kind in (Heap2, Heap3, Heap4)], ax=ax, legend=False
    ),
    "comparison": lambda ax, comparison: plot.comparison(comparison, ax=ax, legend=False),
    "cost": lambda ax, _: plot.cost(coap_replay(), ax=ax, view="distribution", legend=False),
}

#: Root mean square of the difference of 0-to-255 channels. Antialiasing differs between versions of
#: matplotlib by less than 3 on these pictures; a block in the wrong place or colour makes 10.
TOLERANCE = 5.0


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_as_they_were(name, tmp_path, coap_comparison):
    ax = bare_axes()
    PICTURES[name](ax, coap_comparison)
    found, expected = tmp_path / f"{name}.png", IMAGES / f"{name}.png"
    without_text(ax).figure.savefig(found, metadata={"Software": None})
    if os.environ.get("RTOSHEAP_WRITE_IMAGES"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        expected.write_bytes(found.read_bytes())
    copy = tmp_path / f"{name}-expected.png"  # compare_images writes beside what it compares
    copy.write_bytes(expected.read_bytes())
    assert compare_images(str(copy), str(found), TOLERANCE) is None


# ---------------------------------------------------------------------- HTML


@pytest.mark.parametrize("data_name", HEAPS)
def test_the_html_of_a_heap_is_well_formed_and_bounded(data_name):
    from xml.dom.minidom import parseString

    html = heap_html(HEAPS[data_name]())
    parseString(html.replace("&nbsp;", " ").replace("&emsp;", " "))
    assert html.count("<svg") == 1
    assert "KiB free" in html or "B free" in html
    assert ("corrupt" in html) == (data_name == "corrupt")


def test_the_html_of_a_heap_of_many_blocks_is_short():
    heap = Heap4(1 << 20)
    blocks = [heap.malloc(20) for _ in range(20_000)]
    for block in blocks[:10_000:2]:
        heap.free(block)
    html = heap_html(heap)
    assert len(html) < 20_000
    assert 'fill-opacity="1.00"' in html  # where all is allocated
    assert 'fill-opacity="0.50"' in html  # where every other block was freed


def test_the_html_of_the_host_s_heap_and_of_an_escaped_table():
    assert "host" in heap_html(Heap3.host())
    table = table_html(["<a>", "b"], [["x & y", 1.5], [None, True], ["", 12345]])
    assert "&lt;a&gt;" in table
    assert "x &amp; y" in table
    assert "12,345" in table
    with pytest.raises(ValueError, match=r"rows\[0\] has 1 values"):
        table_html(["a", "b"], [["x"]])


def test_matplotlib_is_not_imported_before_it_is_needed():
    import subprocess
    import sys

    code = "import rtosheap, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
