"""Colours that stand out from what they are drawn on.

The colours of the plots are chosen for a light ground. On a dark one each is mirrored in lightness,
so that what is nearest to the ground stays nearest; and on any ground a colour is made darker or
lighter until it has the contrast that it needs. The ground is that of the axes when they are drawn
on: the style sheet's, or what the user has set by hand.

Contrast is the ratio of WCAG 2.1, from 1 (none) to 21 (black on white).
"""

from __future__ import annotations

from colorsys import hls_to_rgb, rgb_to_hls
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb, to_rgba

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._secondary_axes import SecondaryAxis
    from matplotlib.patches import Patch

Rgb: TypeAlias = tuple[float, float, float]
#: What lies below: one colour, or that of the screen and that of the saved picture.
Ground: TypeAlias = tuple[Rgb, ...]

#: Contrasts: of text (WCAG's success criterion 1.4.3), of what is thin (1.4.11), and of an area,
#: which is seen by its extent.
TEXT, LINE, AREA = 4.5, 3.0, 1.5

_WHITE: Rgb = (1.0, 1.0, 1.0)
_STEPS = 255


def on(ax: Axes, colour: Any, least: float = LINE) -> str:
    """One of our colours, as it is drawn among the data; `least` is the contrast that it needs."""
    ground, rgb = below(ax), to_rgb(colour)
    return to_hex(nudged(mirrored(rgb) if is_dark(ground) else rgb, ground, least))


def blank(ax: Axes) -> str:
    """What lies below the data, as a colour to draw with."""
    return to_hex(below(ax)[0])


def ink(ground: Ground) -> str:
    """The style sheet's colour of text, where it can be read on this ground."""
    return readable(ground, mpl.rcParams["text.color"])


def readable(ground: Ground, colour: Any, least: float = TEXT) -> str:
    """A colour of the style sheet's: as it is, where it can be seen on this ground."""
    rgb: Rgb = to_rgb(colour)
    if _least_contrast(rgb, ground) < least:
        rgb = nudged(mirrored(rgb), ground, least)
    return to_hex(rgb)


def around(ax: Axes | SecondaryAxis) -> Ground:
    """What labels, titles and legends lie on: the figure, and the sheet on which it is saved."""
    figure: Any = ax.figure
    root = figure.figure
    sheets = [_over(root.patch, _WHITE)]
    saved = mpl.rcParams["savefig.facecolor"]
    if not isinstance(saved, str) or saved != "auto":
        sheets.append(mix(to_rgba(saved), _WHITE))
    if figure is not root:
        sheets = [_over(figure.patch, sheet) for sheet in sheets]
    return tuple(dict.fromkeys(sheets))


def below(ax: Axes | SecondaryAxis) -> Ground:
    """What the data lie on."""
    return tuple(dict.fromkeys(_over(ax.patch, sheet) for sheet in around(ax)))


def is_dark(ground: Ground) -> bool:
    """Whether white stands out more than black."""
    return _luminance(ground[0]) < 0.179


def contrast(one: Rgb, other: Rgb) -> float:
    """The ratio of two colours' relative luminances, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mix(over: Any, under: Any) -> Rgb:
    """A colour with an opacity (RGBA), on another."""
    *rgb, alpha = over
    red, green, blue = (alpha * c + (1 - alpha) * u for c, u in zip(rgb, under, strict=True))
    return red, green, blue


def mirrored(rgb: Rgb) -> Rgb:
    """The colour of the same hue that is as light as this one is dark."""
    hue, lightness, saturation = rgb_to_hls(*rgb)
    return hls_to_rgb(hue, 1.0 - lightness, saturation)


def _luminance(rgb: Rgb) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _least_contrast(rgb: Rgb, ground: Ground) -> float:
    return min(contrast(rgb, part) for part in ground)


@lru_cache(maxsize=256)
def nudged(rgb: Rgb, ground: Ground, least: float) -> Rgb:
    """The nearest mixture with black or white that has this contrast, or else the best there is."""
    found = [
        mix((end, end, end, step / _STEPS), rgb) for step in range(_STEPS + 1) for end in (0, 1)
    ]
    for one in found:
        if _least_contrast(one, ground) >= least:
            return one
    return max(found, key=lambda one: _least_contrast(one, ground))


def _over(patch: Patch, under: Rgb) -> Rgb:
    return mix(patch.get_facecolor(), under) if patch.get_visible() else under
