"""On a light and on a dark style sheet, and on grounds set by hand, nothing that is drawn vanishes.

Contrast is WCAG 2.1's. Text has 4.5, its success criterion 1.4.3; lines, marks, hatches and edges
have 3, its 1.4.11 for what must be seen to be understood. An area has 1.5, or else a hatch or an
edge of 3: it is seen by its extent, and what is next to the ground, such as free memory, is meant
to look empty. A translucent band is seen by its line, so that its colour has 3 as if it were
opaque; a cell with a number in it is seen by that.
"""

from functools import partial

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.text import Text
from plot_cases import HEAPS, REPLAYS, finish, functions_that_differ, new_axes

from rtosheap import Heap4, Trace, plot, replay
from rtosheap.plot import _style

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")

TEXT, LINE, AREA = 4.5, 3.0, 1.5
ROUNDED = 0.02  # a colour is drawn in steps of 1/255


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_of_wcags_own_examples():
    assert contrast(to_rgb("black"), to_rgb("white")) == pytest.approx(21)
    assert contrast(to_rgb("#777777"), to_rgb("white")) == pytest.approx(4.48, abs=0.005)


def over(colour, ground, alpha=None):
    *rgb, own = to_rgba(colour, alpha)
    return tuple(own * np.array(rgb) + (1 - own) * np.array(ground))


def lost(figure, ax, *, sheet=None):
    """What of a figure cannot be seen: each with its contrast."""
    outside = to_rgb(sheet or figure.get_facecolor())
    found = []
    for each in [*figure.axes, *ax.child_axes]:
        inside = over(each.get_facecolor(), outside) if each.patch.get_visible() else outside
        legend = each.get_legend()
        if legend:
            inside = over(legend.get_frame().get_facecolor(), outside)
            inside = inside if legend.get_frame_on() else outside
            found += lost_texts(legend.findobj(Text), lambda _, ground=inside: ground)
        else:
            others = {id(text) for child in each.child_axes for text in child.findobj(Text)}
            own = [text for text in each.findobj(Text) if id(text) not in others]
            ground = partial(ground_of, ax=each, inside=inside, outside=outside)
            found += lost_texts(own, ground)
            found += [
                ("frame", contrast(over(spine.get_edgecolor(), inside), inside))
                for spine in each.spines.values()
                if spine.get_visible() and contrast(spine.get_edgecolor(), inside) < LINE - ROUNDED
            ]
        found += lost_shapes(each, inside)
    return found


def lost_texts(texts, ground_of):
    told = [
        (text.get_text(), over(text.get_color(), g), g) for text in texts if (g := ground_of(text))
    ]
    return [
        (text, contrast(colour, ground))
        for text, colour, ground in told
        if text.strip() and contrast(colour, ground) < TEXT - ROUNDED
    ]


def ground_of(text, ax, inside, outside):
    """The colour of the uppermost patch behind a text, or of the axes or the figure."""
    if text not in ax.texts:
        return outside
    if text.get_bbox_patch() is not None:
        return to_rgb(text.get_bbox_patch().get_facecolor())
    box = Text.get_window_extent(text)
    middle = (box.x0 + box.width / 2, box.y0 + box.height / 2)
    ground = inside if ax.bbox.contains(*middle) else outside
    for patch in ax.patches:
        if patch.get_window_extent().contains(*middle):
            ground = over(patch.get_facecolor(), ground)
    return ground


def lost_shapes(ax, ground):
    found, areas, legend = [], [ground], ax.get_legend()
    patches = [*ax.patches, *(legend.get_patches() if legend else ())]
    texts = [text.get_window_extent() for text in ax.texts]
    for patch in patches:
        box = patch.get_window_extent()
        if not any(box.contains(*text.min) and box.contains(*text.max) for text in texts):
            found += lost_area(patch, patch.get_facecolor(), patch.get_edgecolor(), ground)
        areas.append(over(patch.get_facecolor(), ground))
    for collection in ax.collections:
        if isinstance(collection, PolyCollection):
            edges = collection.get_edgecolor() if collection.get_hatch() else []
            for face in collection.get_facecolor():
                found += lost_area(collection, face, edges[0] if len(edges) else "none", ground)
                areas.append(over(face, ground))
    lines = [*ax.lines, *(legend.get_lines() if legend else ())]
    colours = [(line, colour) for line in lines for colour in line_colours(line)]
    for collection in ax.collections:
        if isinstance(collection, LineCollection) and collection.get_segments():
            colours += [(collection, colour) for colour in collection.get_edgecolor()]
    for line, colour in colours:
        ratio = contrast(over(colour, ground), ground)
        if ratio == 1:  # it blanks out a part of an area
            ratio = max(contrast(colour, area) for area in areas)
        if ratio < LINE - ROUNDED:
            found.append((line, ratio))
    return found


def line_colours(line):
    """The colour that tells: of the line, and of the face or edge of its marker."""
    alpha = line.get_alpha()
    if line.get_linestyle() not in ("None", "none", " ", ""):
        yield to_rgba(line.get_color(), alpha)
    if line.get_marker() not in ("None", "none", None, "", " "):
        face = line.get_markerfacecolor()
        filled = line.is_filled_marker if hasattr(line, "is_filled_marker") else True
        plain = isinstance(face, str) and face == "none"
        edge = plain or not filled or line.get_marker() == "|"
        yield to_rgba(line.get_markeredgecolor() if edge else face, alpha)


def lost_area(artist, face, edge, ground):
    opaque = 0 < face[3] < 1
    ratios = [contrast(face[:3], ground) / (LINE if opaque else AREA)] if face[3] else []
    shown = to_rgba(edge)
    if shown[3] and (artist.get_hatch() or np.max(artist.get_linewidth(), initial=0)):
        ratios.append(contrast(over(shown, ground), ground) / LINE)
    if not ratios or max(ratios) > 1 - ROUNDED:
        return []
    return [(artist, max(ratios))]


def cases(coap_comparison, coap_sizing):
    calls = functions_that_differ(coap_comparison, coap_sizing)
    for kind in ("heap_1", "heap_5", "corrupt"):
        calls[f"heap_map, {kind}"] = (plot.heap_map, HEAPS[kind]())
    calls["heap_map, failed"] = (plot.heap_map, REPLAYS["failures"]())
    for kind in ("failures", "regions"):
        calls[f"memory_over_time, {kind}"] = (plot.memory_over_time, REPLAYS[kind]())
    calls["memory_over_time, tasks"] = (
        lambda run, **kw: plot.memory_over_time(run, color_by="task", **kw),
        many_tasks(),
    )
    calls["usage, failures"] = (plot.usage, REPLAYS["failures"]())
    return calls


def many_tasks():
    names = [f"task{number}" for number in range(12)]
    trace = Trace("m" * 12, id=range(12), size=[40] * 12, task=names)
    return replay(trace, Heap4(2048))


@pytest.mark.parametrize("style", ["default", "dark_background", "by hand"])
def test_nothing_vanishes(style, coap_comparison, coap_sizing):
    with mpl.rc_context(dict(mpl.style.library.get(style, {}))):
        for name, (function, argument) in cases(coap_comparison, coap_sizing).items():
            ax = new_axes(layout=None)
            if style == "by hand":
                ax.figure.set_facecolor("#1c2733")
                ax.set_facecolor("#2b2b2b")
            finish(function(argument, ax=ax))
            told = lost(ax.figure, ax)
            assert not told, f"{name}: {told}"


def test_grey_axes_on_white_with_their_white_frame():
    with mpl.rc_context(dict(mpl.style.library["ggplot"])):
        for function in (plot.heap_map, plot.memory_over_time, plot.usage):
            ax = function(REPLAYS["failures"](), ax=new_axes(layout=None))
            told = lost(ax.figure, ax)
            assert [entry for entry in told if entry[0] != "frame"] == []
            assert {spine.get_edgecolor() for spine in ax.spines.values()} == {to_rgba("white")}


def test_text_is_seen_on_the_screen_and_on_a_sheet_of_another_colour():
    with mpl.rc_context({"figure.facecolor": "black", "savefig.facecolor": "white"}):
        ax = new_axes(layout=None)
        ax.set_title("a title")
        plot.free_blocks(HEAPS["heap_4"](), ax=ax)
        for sheet in ("black", "white"):
            told = [entry for entry in lost(ax.figure, ax, sheet=sheet) if entry[0] != "frame"]
            assert not told, f"{sheet}: {told}"


def test_axes_of_another_ground_than_their_figure():
    ax = new_axes(layout=None)
    ax.set_facecolor("black")
    plot.sizing(Trace("m", id=[0], size=[99]), ax=ax)
    assert not lost(ax.figure, ax)


def test_what_is_painted_has_the_contrast_of_an_area():
    for ground in ("white", "black"):
        ax = new_axes(layout=None)
        ax.figure.set_facecolor(ground)
        ax.set_facecolor(ground)
        fills = (_style.ALLOCATED, _style.FREE, _style.HEADER, _style.PADDING, _style.OUTSIDE)
        shown = [fill.plain(ax)["facecolor"] for fill in fills]
        assert min(contrast(to_rgb(one), to_rgb(ground)) for one in shown) > AREA - ROUNDED
        assert len({round(luminance(to_rgb(one)), 2) for one in shown}) == len(fills)
