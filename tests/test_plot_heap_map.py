"""Plots of a heap as it is: heap_map, its animation, and free_blocks."""

import numpy as np
import pytest
from plot_cases import (
    REGIONS,
    coap_replay,
    corrupt_heap,
    failing_replay,
    filled,
    finish,
    legends,
    new_axes,
    region_replay,
)

from rtosheap import Heap2, Heap4, Heap5, PolicyHeap, Trace, plot, replay
from rtosheap.fragmentation import largest_request, requested_sizes
from rtosheap.heaps.headers import corrupt_headers
from rtosheap.plot import _address, _arena, _rows

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


def corrupt_header_addresses(heap):
    image = bytes(heap.memory)
    return [
        heap.base_address + at
        for at in range(0, len(image), 8)
        if image[at : at + 8] == b"\xa5" * 8
    ]


def test_heap_map_marks_every_corrupt_header():
    heap = corrupt_heap()
    expected = corrupt_header_addresses(heap)
    assert len(expected) == 2
    assert corrupt_headers(heap) == expected
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
    assert corrupt_headers(heap) == [victim]
    heap.memory[at + 5] ^= 0x10
    assert corrupt_headers(heap) == []


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


def test_a_policys_heap_is_drawn_by_its_name():
    heap = PolicyHeap(2048, fit="best", coalesce="never")
    replay(Trace("mmmf", id=[0, 1, 2, 1], size=[100, 50, 10, 0]), heap)
    for draw in (plot.heap_map, plot.free_blocks):
        (legend,) = legends(draw(heap, ax=new_axes()))
        said = legend.get_title().get_text().replace("\n", " ")
        assert said.startswith("best-fit/address/non-coalescing of 2 KiB: ")


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


# ---------------------------------------------------------------------- what does not fit


def covered(ax, label, row_bytes):
    """Offsets in the arena that are drawn as a legend's key is."""
    (key,) = [p for p in legends(ax)[0].get_patches() if p.get_label().startswith(label)]
    found = set()
    for collection in ax.collections:
        looks = (collection.get_facecolor(), collection.get_edgecolor())
        own = [tuple(look[0]) if len(look) else (0, 0, 0, 0) for look in looks]
        if [colour[:3] for colour in own if colour[3]] != [
            colour[:3] for colour in (key.get_facecolor(), key.get_edgecolor()) if colour[3]
        ]:
            continue
        for path in collection.get_paths():
            (left, top), (right, _) = path.vertices.min(axis=0), path.vertices.max(axis=0)
            found |= {int(top) * row_bytes + at for at in range(int(left), int(right))}
    return found


def test_a_failed_request_has_its_largest_hole_and_its_pins_marked():
    run = failing_replay()
    event = run.first_failure
    ax = plot.heap_map(run, ax=new_axes(), row_bytes=2048)
    heap = run.heap_at(event)
    base, request = heap.base_address, int(run.trace.size[event])
    hole = max((block for block in heap.blocks() if not block.allocated), key=lambda b: b.size)
    start = hole.address - base
    assert covered(ax, "largest hole", 2048) == set(range(start, start + hole.size))
    pinned = covered(ax, "pins", 2048)
    payloads = [(pin.address - base + 8, pin.requested) for pin in run.pins(event)]
    assert pinned == {at for start, size in payloads for at in range(start, start + size)}
    most = largest_request(heap)
    text = legends(ax)[0].get_title().get_text().replace("\n", " ")
    assert f"{request:,} bytes do not fit: at most {most:,} would, {request - most:,} fewer" in text
    assert heap.malloc(request) is None
    assert heap.malloc(most) is not None


def test_a_heap_may_be_given_the_request():
    run = failing_replay()
    heap, request = run.heap_at(run.first_failure), int(run.trace.size[run.first_failure])
    shown = plot.heap_map(heap, ax=new_axes(), request=request)
    assert "pins: allocated between holes" in keys_of(shown)
    fits = plot.heap_map(heap, ax=new_axes(), request=largest_request(heap))
    assert keys_of(fits) == keys_of(plot.heap_map(heap, ax=new_axes()))
    assert not [key for key in keys_of(fits) if "hole" in key]
    too_much = plot.heap_map(heap, ax=new_axes(), request=heap.free_size + 1)
    assert "pins: allocated between holes" not in keys_of(too_much)
    full = plot.heap_map(filled(Heap4(256)), ax=new_axes(), request=9)
    assert not [key for key in keys_of(full) if "hole" in key]


def keys_of(ax):
    return [text.get_text() for text in legends(ax)[0].get_texts()]


def test_a_replay_is_shown_before_an_event_or_at_its_end():
    run = coap_replay()
    assert run.first_failure is None
    end = legends(plot.heap_map(run, ax=new_axes()))[0].get_title().get_text()
    assert end == legends(plot.heap_map(run.heap, ax=new_axes()))[0].get_title().get_text()
    ax = plot.heap_map(run, ax=new_axes(), event=700)
    assert "padding" in keys_of(ax)
    before = plot.heap_map(run.heap_at(700), ax=new_axes())
    assert legends(ax)[0].get_title().get_text() == legends(before)[0].get_title().get_text()
    plot.heap_map(run, ax=new_axes(), event=0)
    with pytest.raises(ValueError, match="event must be from 0 up to"):
        plot.heap_map(run, event=len(run.trace))
    with pytest.raises(TypeError, match="only a replay has events"):
        plot.heap_map(Heap4(1024), event=3)
    with pytest.raises(ValueError, match="request is -1"):
        plot.heap_map(Heap4(1024), request=-1)


def test_one_free_block_is_one_narrow_bar():
    for heap in (Heap4(1024), Heap4(64 * 1024), Heap4(64)):
        ax = plot.free_blocks(heap, ax=new_axes())
        (bar,) = ax.patches
        low, high = ax.get_xlim()
        assert bar.get_width() < (high - low) / 6
        assert high >= np.log2(heap.size)
