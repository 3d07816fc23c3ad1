"""plot.policies: what its cells say, in which order, and that all of it can be read."""

from dataclasses import replace
from itertools import pairwise
from math import exp, inf, log

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from plot_cases import draw, legends, made_up, new_axes, some_comparisons

from rtosheap import compare, data, plot

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")

NAMES = (
    "best-fit/address/deferred-coalescing/end-cut/split-64",
    "best-fit/address/coalescing",
    "good-fit/fifo/coalescing/8-classes",
    "heap_4",
    "tlsf",
)


def rows_of(ax):
    return [label.get_text().replace("\n", "") for label in ax.get_yticklabels()]


def columns_of(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def cells_of(ax):
    """The texts of each cell, the number first, by row and column."""
    rows, columns, places = rows_of(ax), columns_of(ax), ax.get_xticks()
    found = {}
    for text in ax.texts:
        x, y = text.get_position()
        column = columns[int(np.argmin(np.abs(places - x)))]
        found.setdefault((rows[round(y)], column), []).append(text)
    return found


def words_of(ax):
    return {at: [text.get_text() for text in texts] for at, texts in cells_of(ax).items()}


def table(policies, traces):
    """Comparisons of that many, with numbers as wide as they can be."""
    names = [*NAMES, *(f"next-fit/fifo/coalescing/split-{n}" for n in range(policies))][:policies]
    return [
        made_up(
            f"a-program-{n}",
            {name: 1.05 + 0.1 * row + 0.01 * n for row, name in enumerate(names)},
        )
        for n in range(traces)
    ]


def test_numbers_are_those_of_the_comparisons():
    names = ("coap-server", "expat-upnp")
    heaps = ("heap_1", "heap_2", "heap_4", "best-fit", "buddy")
    results = [compare(data.load(name), heaps=heaps) for name in names]
    ax = plot.policies(results, ax=new_axes(9, 6))
    words, seen = words_of(ax), 0
    for name, result in zip(names, results, strict=True):
        for row in result:
            sign = "" if row.exact else "\u2264"
            digits = 2 if row.ratio < 10 else 1
            assert words[row.heap, name] == [
                f"{sign}{row.ratio:.{digits}f}",
                f"{row.most_nodes:,}",
            ]
            seen += 1
    assert seen == 10
    assert {row.exact for result in results for row in result} == {True, False}


def test_rows_stand_by_their_geometric_mean_which_is_shown():
    ax = plot.policies(some_comparisons(), ax=new_axes(9, 6))
    assert rows_of(ax) == ["heap_4", "tlsf", "heap_1", "buddy", "best-fit/lifo"]
    assert columns_of(ax) == ["a", "b", "c", "geometric mean"]
    words = words_of(ax)
    mean = exp((log(1.3) + log(1.2) + log(1.1)) / 3)
    assert words["heap_4", "geometric mean"] == [f"{mean:.2f}", "130"]
    assert words["tlsf", "geometric mean"] == ["\u22641.30", "140"]  # 1.2973
    assert words["heap_1", "geometric mean"] == ["\u226424.5", "34.5k"]


def test_what_is_not_served_or_not_compared_has_no_number_and_no_mean():
    ax = plot.policies(some_comparisons(), ax=new_axes(9, 6))
    words = words_of(ax)
    assert words["buddy", "b"] == ["none"]
    assert ("best-fit/lifo", "c") not in words
    assert ("buddy", "geometric mean") not in words
    assert ("best-fit/lifo", "geometric mean") not in words
    hatched = [patch for patch in ax.patches if patch.get_hatch()]
    assert len(hatched) == 1
    assert len(ax.patches) == 5 + 5 + 4 + 3
    (legend,) = legends(ax)
    assert [text.get_text() for text in legend.get_texts()] == [
        "not all sizes were tried",
        "serves in no size",
    ]


def test_the_least_of_each_column_is_bold():
    ax = plot.policies(some_comparisons(), ax=new_axes(9, 6))
    bold = {at for at, texts in cells_of(ax).items() if texts[0].get_fontweight() == "bold"}
    assert bold == {
        ("best-fit/lifo", "a"),
        ("best-fit/lifo", "b"),
        ("heap_4", "c"),
        ("heap_4", "geometric mean"),
    }


def test_the_darker_the_more_memory():
    ax = plot.policies(made_up("a", {"x": 1.0, "y": 1.2, "z": 1.5, "v": 2.0, "w": 9.0}))
    light = [np.dot(patch.get_facecolor()[:3], (0.2126, 0.7152, 0.0722)) for patch in ax.patches]
    assert light[0] > light[1] > light[2] > light[3] == light[4]
    assert columns_of(ax) == ["a"]  # the mean of one is itself


def test_a_mapping_gives_labels_and_names_are_made_unique():
    one, two = some_comparisons()[:2]
    assert columns_of(plot.policies({"left": one, "right": two}))[:2] == ["left", "right"]
    assert columns_of(plot.policies([one, one]))[:2] == ["a", "a (2)"]
    assert len(columns_of(plot.policies([one, replace(one, trace_name="a (3)"), one]))) == 4
    assert columns_of(plot.policies(made_up("", {"x": 1.1}))) == ["trace 1"]


def test_the_legend_says_how_much_there_is_to_know_of_the_recordings():
    one, two, three = some_comparisons()
    ax = plot.policies([replace(one, warnings=("x", "y")), replace(two, warnings=("z",)), three])
    assert "3 warnings" in legends(ax)[0].get_title().get_text()


def test_a_trace_in_which_nothing_lives_has_no_ratio_and_does_not_count():
    none = made_up("none", {"x": inf, "y": inf}, peak=0)
    ax = plot.policies([none, made_up("a", {"y": 1.2, "x": 1.3})], ax=new_axes(9, 6))
    words = words_of(ax)
    assert words["x", "none"][0] == words["y", "none"][0] == "-"
    assert words["x", "geometric mean"][0] == "\u22641.30"
    draw(plot.policies(none, ax=new_axes()))


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_numbers_can_be_told_from_their_ground(style):
    with plt.style.context(style):
        ax = plot.policies(table(20, 12))
        weights = (0.2126, 0.7152, 0.0722)
        for text, patch in zip(ax.texts[::2], ax.patches, strict=True):
            ground = np.dot(patch.get_facecolor()[:3], weights)
            assert abs(np.dot(to_rgb(text.get_color()), weights) - ground) > 0.4


SIZES = {
    "20 by 12": (20, 12, None),
    "2 by 1": (2, 1, None),
    "1 by 1": (1, 1, None),
    "20 by 12, on the usual figure": (20, 12, (6.4, 4.8)),
    "4 by 2, on half a page": (4, 2, (3.3, 4.0)),
    "2 by 1, on half a page": (2, 1, (3.3, 2.5)),
}


@pytest.mark.parametrize("case", SIZES)
def test_no_text_lies_on_another_or_leaves_its_cell(case):
    policies, traces, size = SIZES[case]
    ax = plot.policies(table(policies, traces), ax=None if size is None else new_axes(*size))
    draw(ax)
    cells = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(cells) == policies * (traces + (traces > 1))
    for text in ax.texts:
        box = text.get_window_extent()
        assert any(
            cell.x0 <= box.x0 and box.x1 <= cell.x1 and cell.y0 <= box.y0 and box.y1 <= cell.y1
            for cell in cells
        ), text
    names = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(names) == policies
    for above, below in pairwise(names):
        assert above.y0 >= below.y1
    figure = ax.figure.bbox
    assert min(box.x0 for box in names) >= figure.x0
    assert legends(ax)[0].get_window_extent().x1 <= figure.x1
    smallest = min(text.get_fontsize() for text in [*ax.texts, *ax.get_yticklabels()])
    assert smallest > 4.4
