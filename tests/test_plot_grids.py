"""In a plain ``plt.subplots(2, 2)``, which no layout engine arranges, nothing lies on anything."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from plot_cases import draw, finish, functions_that_differ, legends, used_heap

from rtosheap import plot

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")

SLACK = 1.0  # pixels


def written(ax):
    """Label and box of what is written round axes: ticks' labels that are seen, and the rest."""
    found = []
    for each in (ax, *ax.child_axes):
        legend = each.get_legend()
        if legend:
            found.append(("the legend", legend.get_window_extent()))
            continue
        for axis in (each.xaxis, each.yaxis):
            low, high = sorted(axis.get_view_interval())
            reach = 1e-9 * (high - low)
            shown = each.axison and axis.get_visible()
            for tick in axis.get_major_ticks() if shown else ():
                if low - reach <= tick.get_loc() <= high + reach:
                    found += [(tick.label1, None), (tick.label2, None)]
            found.append((axis.label, None))
        found += [(child, None) for child in each.get_children() if isinstance(child, Text)]
    boxes = []
    for text, box in found:
        if box is not None:
            boxes.append((text, box))
        elif text.get_visible() and text.get_text().strip():
            boxes.append((text.get_text(), Text.get_window_extent(text)))  # no arrow
    return boxes


def overlap(one, other):
    low, high = np.maximum(one.min, other.min), np.minimum(one.max, other.max)
    return (high - low).min() > SLACK


def faults(figure, axes):
    boxes = [(number, *entry) for number, ax in enumerate(axes) for entry in written(ax)]
    sheet = figure.bbox.padded(SLACK)
    found = [
        f"{text!r} is cut off"
        for _, text, box in boxes
        if not (sheet.contains(*box.min) and sheet.contains(*box.max))
    ]
    slanted = {
        text.get_text() for ax in axes for text in ax.get_xticklabels() if text.get_rotation()
    }
    for (one, text, box), (other, text2, box2) in combinations(boxes, 2):
        if one == other and {text, text2} <= slanted:
            continue  # their boxes may cross where they do not
        if overlap(box, box2):
            found.append(f"{text!r} of {one} lies on {text2!r} of {other}")
    for number, ax in enumerate(axes):
        frame = ax.get_window_extent()
        found += [
            f"{text!r} of {owner} lies on the data of {number}"
            for owner, text, box in boxes
            if overlap(box, frame) and (owner != number or text == "the legend")
        ]
    return found


@pytest.mark.parametrize("size", [None, (10, 8)])
def test_nothing_lies_on_anything_in_a_plain_grid(size, coap_comparison, coap_sizing):
    calls = list(functions_that_differ(coap_comparison, coap_sizing).items())
    for start in range(0, len(calls), 4):
        four = [calls[(start + place) % len(calls)] for place in range(4)]
        figure, axes = plt.subplots(2, 2, **({"figsize": size} if size else {}))
        for ax, (_, (function, argument)) in zip(axes.flat, four, strict=True):
            finish(function(argument, ax=ax))
        figure.draw_without_rendering()
        names, found = [name for name, _ in four], faults(figure, list(axes.flat))
        assert not found, f"{names}: {found}"
        plt.close(figure)


def test_axes_follow_what_is_changed_later():
    figure, axes = plt.subplots(1, 2)
    for ax in axes.flat:
        plot.heap_map(used_heap(), ax=ax)
    for ax in axes.flat:
        ax.set_title("a title")
    figure.draw_without_rendering()
    assert not faults(figure, list(axes.flat))
    figure.set_size_inches(12, 9)
    figure.draw_without_rendering()
    assert not faults(figure, list(axes.flat))
    figure.set_layout_engine("constrained")
    figure.draw_without_rendering()
    assert not faults(figure, list(axes.flat))


def test_axes_that_a_user_has_placed_stay():
    figure = plt.figure()
    ax = figure.add_axes((0.3, 0.3, 0.2, 0.2))
    plot.heap_map(used_heap(), ax=ax)
    draw(ax)
    assert ax.get_position().bounds == pytest.approx((0.3, 0.3, 0.2, 0.2))


def test_a_legend_goes_with_its_axes():
    ax = plot.heap_map(used_heap(), ax=plt.subplots(1, 2)[1][1])
    draw(ax)
    (legend,) = legends(ax)
    assert legend.get_window_extent().x0 == pytest.approx(ax.get_window_extent().x0, abs=1)
    assert legend.get_window_extent().y0 >= ax.get_window_extent().y1 - 1
