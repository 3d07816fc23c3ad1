"""The plot of a risk: what it draws is what the risk says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from parts import few_of
from plot_cases import RISKS, draw, legends, new_axes, some_risk, tried_risk

from rtosheap import plot

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


def named(ax, start):
    """The one line whose label begins so."""
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith(start)]
    return line


def at(line, size):
    """What a line of steps says of a size in bytes."""
    x, y = np.asarray(line.get_xdata()) * 1024, line.get_ydata()
    return y[np.searchsorted(x, size, side="right") - 1]


@pytest.mark.parametrize("kind", few_of(RISKS, list(RISKS)[:4]))
def test_every_kind_of_risk(kind):
    risk = RISKS[kind]()
    for legend in (True, False):
        ax = new_axes(layout=None)
        assert plot.risk(risk, ax=ax, legend=legend) is ax
        assert bool(legends(ax)) == legend
        draw(ax)
    low, high = ax.get_xlim()
    assert 0 <= low < high < 1024
    assert ax.get_ylim()[0] < 0.01 < 1 < ax.get_ylim()[1]


def test_the_models_are_drawn_as_they_are():
    risk = some_risk()
    ax = plot.risk(risk, ax=new_axes())
    runs, tail = named(ax, "500 modelled days"), named(ax, "tail of the 1,000")
    for size in (44_000, 50_000, 60_000, 64_000):
        share = (risk.sizes > size).mean()
        assert abs(at(runs, size) - share) < 0.01
    x, y = tail.get_xdata() * 1024, tail.get_ydata()
    assert x[0] == risk.tail.threshold
    for size, chance in list(zip(x, y, strict=True))[:: len(x) // 5]:
        assert chance == pytest.approx(risk.tail.probability(size, risk.duration).estimate)
    bands = [each for each in ax.collections if each.get_paths()]
    assert len(bands) == 2  # a band for each


def test_what_is_recorded_and_proven():
    risk = some_risk()
    ax = plot.risk(risk, ax=new_axes())
    ticks, proven = named(ax, "5 recorded days"), named(ax, "proven by these")
    np.testing.assert_allclose(ticks.get_xdata() * 1024, [day.size for day in risk.days])
    for size in (45_000, 51_384, 55_000, 62_208, 66_000):
        assert at(proven, size) == pytest.approx(risk.proven(size))
    assert at(proven, 66_000) == pytest.approx(1 - 0.05 ** (1 / 5))


def test_the_guarantee_does_not_squeeze_the_axis():
    far = plot.risk(some_risk(), ax=new_axes())
    none = plot.risk(some_risk(guaranteed_size=None), ax=new_axes())
    assert far.get_xlim() == none.get_xlim()
    assert far.get_xlim()[1] < 700_000 / 1024
    assert named(far, "guaranteed from 684 KiB on").get_marker() == ">"
    assert not [line for line in none.lines if "guaranteed" in str(line.get_label())]
    near = plot.risk(some_risk(guaranteed_size=64_000), ax=new_axes())
    assert set(named(near, "guaranteed from").get_xdata()) == {64_000 / 1024}


def test_a_size_or_the_size_for_a_probability_is_marked():
    risk = some_risk()
    ax = plot.risk(risk, ax=new_axes(), size=61_000)
    assert set(named(ax, "61,000 bytes").get_xdata()) == {61_000 / 1024}
    size = risk.size_for(0.001)
    ax = plot.risk(risk, ax=new_axes(), probability=0.001)
    assert set(named(ax, f"{size:,} bytes for 1 in 1,000").get_xdata()) == {size / 1024}
    (dot,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert dot.get_ydata()[0] == pytest.approx(risk.probability(size).estimate)
    assert ax.get_ylim()[0] < 0.001 < ax.get_ylim()[1]
    assert ax.get_xlim()[0] < size / 1024 < ax.get_xlim()[1]


def test_sizes_that_were_tried_are_not_joined():
    risk = tried_risk()
    ax = plot.risk(risk, ax=new_axes(), size=72_000)
    marks = named(ax, "500 modelled days")
    assert marks.get_linestyle() == "None"
    np.testing.assert_allclose(marks.get_xdata() * 1024, risk.tested[:3])
    np.testing.assert_allclose(marks.get_ydata(), risk.failed[:3] / 500)
    (none,) = [line for line in ax.lines if line.get_marker() == "v"]  # an upper bound, no share
    assert none.get_xdata()[0] * 1024 == 72_000
    assert none.get_ydata()[0] == pytest.approx(1 - 0.025 ** (1 / 500))


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_all_can_be_seen_on_a_light_and_on_a_dark_ground(style):
    with plt.style.context(style):
        ax = plot.risk(some_risk(), ax=new_axes(), probability=0.001)
        ground = np.dot(to_rgb(ax.get_facecolor()), (0.2126, 0.7152, 0.0722))
        lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
        assert len(lines) == 6
        for line in lines:
            ink = np.dot(to_rgb(line.get_color()), (0.2126, 0.7152, 0.0722))
            assert abs(ink - ground) > 0.25, line.get_label()


def test_the_axis_says_how_long_a_day_is():
    assert plot.risk(some_risk(), ax=new_axes()).get_ylabel() == "days (of 16.7 min) that fail"
    long = plot.risk(RISKS["longer days"](), ax=new_axes())
    assert "recorded days of 16.7 min" in legends(long)[0].get_title().get_text()
