"""Plots of a replay's columns: usage, cost, and the events that failed."""

import io
from functools import partial

import numpy as np
import pytest
from plot_cases import coap_replay, failing_replay, legends, new_axes

from rtosheap import Heap2, Heap4, Heap5, data, plot, replay
from rtosheap.plot import _series
from rtosheap.plot._overlap import tell_apart
from rtosheap.plot._style import CYCLE

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


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


def edges(ax, n):
    """The upper edge of each area at each event, in KiB, by its name."""
    found = {}
    for area in ax.collections:
        x, y = area.get_paths()[0].vertices.T
        top = {at: height for at, height in zip(x, y, strict=True) if height > 0}  # the later holds
        found[area.get_label()] = np.array([top.get(at, 0.0) for at in range(n)])
    return found


def test_usage_draws_the_columns():
    run = coap_replay()
    ax = plot.usage(run, ax=new_axes())
    n = len(run.trace)
    found = edges(ax, n)
    size, free = 36 * 1024, run.free_size.astype(int)
    for name, top in (
        ("requested", run.live_bytes),
        ("rest of allocated blocks", size - 8 - free),
        ("free, in smaller blocks", size - run.largest_free_block.astype(int)),
    ):
        steps = found[name] * 1024
        moves = np.flatnonzero(np.diff(top)) + 1  # an edge has two heights where it steps
        still = np.setdiff1d(np.arange(1, n), moves)
        np.testing.assert_allclose(steps[still], top[still], err_msg=name)
    names = ["requested", "rest of allocated blocks", "free, in smaller blocks"]
    assert [text.get_text() for text in ax.texts] == [*names, "largest free block"]
    (dot,) = (line for line in ax.lines if line.get_label() == "minimum ever free")
    event = int(free.argmin())
    assert dot.get_xydata().tolist() == [[event, (size - free[event]) / 1024]]
    (legend,) = legends(ax)
    assert legend.get_title().get_text() == (
        "heap_4 of 36 KiB, coap-server, minimum ever free 4.95 KiB (dot)"
    )
    assert ax.get_ylim() == (0, 36)


def test_usage_names_what_is_known():
    ax = plot.usage(coap_replay(record=None), ax=new_axes())
    told = ["requested", "rest of allocated blocks", "free"]
    assert [text.get_text() for text in ax.texts] == told
    heights = [text.xyann[1] for text in ax.texts]
    assert heights == sorted(heights)
    ax = plot.usage(coap_replay(record=None), ax=new_axes(3.3, 2.5))
    assert [text.get_text() for text in legends(ax)[0].get_texts()] == told[::-1]
    assert not ax.texts


def test_usage_in_a_heap_that_was_once_fuller():
    heap = Heap4(36 * 1024)
    heap.free(heap.malloc(33 * 1024))
    ax = plot.usage(replay(data.load("coap-server"), heap), ax=new_axes())
    assert "minimum ever free 2.98 KiB (before this)" in legends(ax)[0].get_title().get_text()
    assert not ax.lines


def test_usage_of_many_events_is_small_as_a_drawing():
    run = replay(data.load("lwip-3cli"), Heap4(52 * 1024), record="all")
    ax = plot.usage(run, ax=new_axes())
    written = io.StringIO()
    ax.figure.savefig(written, format="svg", dpi=100)
    assert len(written.getvalue()) < 150_000


def test_failures_are_marked_where_they_happen():
    run = failing_replay()
    assert run.failures
    for function in (plot.usage, plot.memory_over_time):
        ax = function(run, ax=new_axes())
        marks = [line for line in ax.lines if str(line.get_label()).startswith("failed")]
        places = np.sort(np.concatenate([line.get_xdata() for line in marks]))
        assert places.tolist() == np.flatnonzero(run.failed).tolist()


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


def dashes(line):
    """Where a line's dashes begin, how long they are, and the gaps, in widths of the line."""
    offset, pattern = line._unscaled_dash_pattern
    return None if pattern is None else (offset, *pattern)


def test_curves_that_lie_on_each_other_show_by_turns():
    size = 36 * 1024
    runs = [coap_replay(heap) for heap in (Heap2(size), Heap4(size), Heap5([(0x2000_0000, size)]))]
    assert (runs[1].nodes == runs[2].nodes).all()
    draws = [partial(plot.cost, view=view) for view in ("time", "distribution")]
    for draw in (plot.fragmentation, *draws):
        ax = draw(runs, ax=new_axes())
        named = [line for line in ax.lines if str(line.get_label()).startswith("heap_")]
        apart, one, other = map(dashes, named)
        length = one[1]
        assert one == (0, length, length)
        assert other == (length, length, length)
        assert apart not in (one, other)
        keys = [dashes(key) for key in legends(ax)[0].get_lines()[:3]]
        assert keys == [apart, one, other]
    ax = plot.fragmentation(runs[:2], ax=new_axes())
    assert dashes(ax.lines[1]) is None


@pytest.mark.parametrize("count", [2, 3, 5])
def test_each_of_many_equal_curves_has_a_dash_in_the_legends_key(count):
    run = coap_replay()
    ax = plot.fragmentation({f"run {n}": run for n in range(count)}, ax=new_axes())
    for key in legends(ax)[0].get_lines():
        offset, dash, gap = (key.get_linewidth() * part for part in dashes(key))
        start = (dash + gap - offset) % (dash + gap)
        assert start + dash <= np.ptp(key.get_xdata())


def test_how_near_lines_lie_is_seen_by_their_way_not_by_their_points():
    ax = new_axes()
    ax.set(xlim=(0, 100), ylim=(0, 100))
    (one,) = ax.plot([0, 100], [0, 100])
    (same,) = ax.plot([0, 30, 31, 100], [0.1, 30.1, 31, 99.9])
    (part,) = ax.plot([0, 50], [0, 50])
    (gone,) = ax.plot([0, 100], [np.nan, np.nan])
    tell_apart(ax, [one, same, part, gone])
    assert dashes(one) is not None
    assert dashes(same) is not None
    assert dashes(part) is None
    assert dashes(gone) is None


def test_the_axis_of_fragmentation_reaches_to_what_there_is():
    trace = data.load("coap-server")
    ax = plot.fragmentation(replay(trace, Heap4(1024 * 1024), record="all"), ax=new_axes())
    assert ax.get_ylim() == (0, 5)
    run = failing_replay()
    most = 100 * np.nanmax(1 - run.largest_free_block / run.free_size)
    low, high = plot.fragmentation(run, ax=new_axes()).get_ylim()
    assert (low, high > most) == (0, True)
    assert most > high / 2


KEYS = ("most in a run of events", "mean of it")


def test_the_legend_of_cost_says_which_line_is_the_mean():
    run = coap_replay()
    ax = plot.cost(run, ax=new_axes())
    (legend,) = legends(ax)
    texts = [text.get_text() for text in legend.get_texts()]
    thick, thin = (legend.get_lines()[texts.index(name)] for name in KEYS)
    assert [line.get_linewidth() for line in ax.lines] == [
        thick.get_linewidth(),
        thin.get_linewidth(),
    ]
    ax = plot.cost(replay(data.load("coap-server")[:40], Heap4(36 * 1024)), ax=new_axes())
    assert len(legends(ax)[0].get_texts()) == 1


def test_more_curves_than_colours_differ_in_dashes():
    run = coap_replay()
    styles = _series.styles([(str(number), run) for number in range(14)])
    assert len(set(styles)) == 14
    assert styles[:7] == list(CYCLE)
