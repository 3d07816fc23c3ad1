"""Twelve pictures as they were, compared with images: without text, so that fonts do not matter.

RTOSHEAP_WRITE_IMAGES=1 in the environment writes the images anew; look at them before committing.
"""

import os
from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images
from plot_cases import (
    bare_axes,
    coap_replay,
    corrupt_heap,
    failing_replay,
    some_bounds,
    some_comparisons,
    some_risk,
    tried_risk,
    used_heap,
    without_text,
)

from rtosheap import Heap2, Heap3, Heap4, Heap5, plot

IMAGES = Path(__file__).parent / "data" / "images"

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


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
    "policies": lambda ax, _: plot.policies(some_comparisons(), ax=ax, legend=False),
    "bound": lambda ax, _: plot.bound(some_bounds(), ax=ax, legend=False),
    "risk": lambda ax, _: plot.risk(some_risk(), ax=ax, probability=0.001, legend=False),
    "risk_tried": lambda ax, _: plot.risk(tried_risk(), ax=ax, size=72_000, legend=False),
    "cost": lambda ax, _: plot.cost(coap_replay(), ax=ax, view="distribution", legend=False),
}

#: Root mean square of the difference of 0-to-255 channels. Antialiasing differs between versions of
#: matplotlib by less than 3 on these pictures; a block in the wrong place or colour makes 10.
TOLERANCE = 5.0


def test_there_is_a_picture_of_each():
    assert {path.stem for path in IMAGES.iterdir()} == set(PICTURES)
    assert len(PICTURES) == 12


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
