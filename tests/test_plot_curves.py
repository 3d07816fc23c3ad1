"""Plots of a replay's columns: usage, cost, and the events that failed."""

import numpy as np
import pytest
from plot_cases import coap_replay, failing_replay, new_axes

from rtosheap import plot
from rtosheap.plot import _series

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
