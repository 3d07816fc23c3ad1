"""Fragmentation as numbers: against hand-made cases, and against plain definitions."""

import math

import numpy as np
import pytest

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, data, replay
from rtosheap import fragmentation as frag
from rtosheap.replays.blocks import allocated_bytes, block_table, live_bytes

REGIONS = [(0x1000_0000, 24 * 1024), (0x2000_0000, 24 * 1024)]
HEAPS = {
    "heap_1": lambda: Heap1(192 * 1024),
    "heap_2": lambda: Heap2(48 * 1024),
    "heap_3": lambda: Heap3(48 * 1024),
    "heap_4": lambda: Heap4(48 * 1024),
    "heap_5": lambda: Heap5(REGIONS),
    "heap_4, 64-bit": lambda: Heap4(96 * 1024, word_size=8, base_address=0xFFFF_8000_0000_0000),
    "heap_4, too small": lambda: Heap4(20 * 1024),
}


@pytest.fixture(params=HEAPS)
def heap(request):
    return HEAPS[request.param]()


@pytest.fixture(scope="module")
def coap():
    return data.load("coap-server")


def run(trace, heap):
    return replay(trace, heap, record="all")


# ---------------------------------------------------------------------- the blocks of a replay


def test_blocks_of_a_replay_are_those_of_the_heap(coap, heap):
    whole = run(coap, heap)
    blocks = block_table(whole)
    for event in (0, 100, 600, 900, len(coap) - 1):
        state = whole.heap_at(event + 1) if event + 1 < len(coap) else whole.heap
        live = blocks.live_at(event)
        assert live.sum() == sum(block.allocated for block in state.blocks())
        assert blocks.size[live].sum() == sum(b.size for b in state.blocks() if b.allocated)
        if heap.kind != 3:  # newlib-nano's headers are 4 or 8 bytes long
            starts = np.array([start for start, _ in whole.regions], dtype=object)
            found = starts[blocks.region[live]] + blocks.offset[live]
            assert sorted(found) == [b.address for b in state.blocks() if b.allocated]


def test_sums_over_blocks_agree_with_the_columns(coap, heap):
    whole = run(coap, heap)
    if heap.kind != 3:  # a break that had to be aligned wastes a few bytes
        start = int(whole.free_size[0]) + int(whole.block_size[0])
        assert (allocated_bytes(whole) + whole.free_size.astype(np.int64) == start).all()
    summed = replay(coap, emptied_copy(heap), record=("address", "block_size", "failed"))
    assert summed.live_bytes is None
    assert (live_bytes(summed) == whole.live_bytes.astype(np.int64)).all()


def emptied_copy(heap):
    fresh = heap.copy()
    fresh.reset()
    return fresh


def test_after_a_realloc_that_failed_the_old_block_lives_on():
    events = [("m", 0, 100), ("r", 0, 900), ("r", 0, 800), ("m", 1, 8), ("f", 0), ("f", 1)]
    whole = run(Trace.from_events(events), Heap4(512))
    assert whole.failed.tolist() == [False, True, True, False, False, False]
    blocks = block_table(whole)
    assert blocks.event.tolist() == [0, 3]
    assert blocks.end.tolist() == [4, 5]
    assert allocated_bytes(whole).tolist() == [112, 112, 112, 128, 16, 0]
    reasons = replay(whole.trace, Heap4(512), record=("address", "block_size", "failure"))
    assert block_table(reasons).end.tolist() == [4, 5]  # why it failed says that it failed, too


def test_a_realloc_that_failed_and_is_never_freed():
    whole = run(Trace.from_events([("m", 0, 100), ("r", 0, 900)]), Heap4(512))
    assert block_table(whole).end.tolist() == [2]


def test_blocks_from_before_the_trace_are_there_when_asked_for():
    heap = Heap4(1024)
    heap.malloc(100)
    whole = replay(Trace.from_events([("m", 0, 50)]), heap)
    assert block_table(whole).size.tolist() == [64]
    blocks = block_table(whole, earlier=True)
    assert (blocks.event.tolist(), blocks.size.tolist()) == ([-1, 0], [112, 64])
    assert (blocks.region.tolist(), blocks.offset.tolist()) == ([0, 0], [0, 112])
    assert blocks.requested.tolist() == [104, 50]  # of those before, all that the block has
    assert blocks.live_at(0).all()


def test_failures_are_needed_only_where_there_are_any(coap):
    assert len(block_table(replay(coap, Heap4(48 * 1024), record=("address", "block_size"))).event)
    lacking = replay(coap, Heap4(20 * 1024), record=("address", "block_size"))
    with pytest.raises(ValueError, match="'failed'"):
        block_table(lacking)


# ---------------------------------------------------------------------- at an instant


def test_external_fragmentation_of_a_heap_its_stats_and_its_replay_agree(coap, heap):
    column = frag.external_fragmentation(run(coap[:700], heap))
    assert column.shape == (700,)
    assert column[-1] == pytest.approx(frag.external_fragmentation(heap))
    assert frag.external_fragmentation(heap) == frag.external_fragmentation(heap.stats())
    assert ((column >= 0) & (column <= 1)).all()


def test_external_fragmentation_of_a_full_heap_is_nought():
    heap = Heap4(256)
    assert heap.malloc(240) is not None
    assert heap.free_size == 0
    assert frag.external_fragmentation(heap) == 0.0


def test_external_fragmentation_needs_the_column(coap):
    with pytest.raises(ValueError, match="largest_free_block"):
        frag.external_fragmentation(replay(coap, Heap4(48 * 1024)))


def test_pigweed_s_measure_by_its_formula(coap, heap):
    header = {1: 0, 3: 8}.get(heap.kind, 2 * heap.word_size)
    states = 0
    for end in (0, 1, 300, 700, len(coap)):
        fresh = emptied_copy(heap)
        replay(coap[:end], fresh, record=())
        inner = np.array([b.size - header for b in fresh.blocks() if not b.allocated], float)
        expected = 1 - np.linalg.norm(inner) / inner.sum()
        measured = frag.pigweed_fragmentation(fresh)
        assert measured == pytest.approx(expected, abs=1e-12)
        assert measured == frag.pigweed_fragmentation(inner.astype(int))
        assert 0 <= measured < 1
        states += 1
    assert states == 5


def test_pigweed_s_measure_of_a_replay_is_that_of_its_heap_after_each_event(coap, heap):
    earlier = heap.malloc(100)
    whole = replay(coap[:700], heap)
    assert earlier is not None
    column = frag.pigweed_fragmentation(whole)
    assert column.shape == (700,)
    compared = 0
    for event in range(0, 699, 20):
        assert column[event] == frag.pigweed_fragmentation(whole.heap_at(event + 1))
        compared += 1
    assert compared == 35
    assert column[-1] == frag.pigweed_fragmentation(heap)
    assert frag.pigweed_fragmentation(replay(coap[:0], heap)).shape == (0,)


def test_pigweed_s_measure_at_its_ends():
    full = Heap4(256)
    assert full.malloc(240) is not None
    assert full.free_size == 0
    for nothing in (full, [], [0], (0, 0)):
        assert frag.pigweed_fragmentation(nothing) == 0.0
    for one in (Heap4(1024), [1], [2**62 + 1], np.array([48], np.uint32)):
        assert frag.pigweed_fragmentation(one) == 0.0
    assert frag.pigweed_fragmentation([3, 4]) == pytest.approx(1 - 5 / 7)
    assert frag.pigweed_fragmentation([8, 0, 8]) == pytest.approx(1 - 1 / math.sqrt(2))
    for count in (2, 100, 1_000_000):
        equal = frag.pigweed_fragmentation([24] * count)
        assert equal == pytest.approx(1 - 1 / math.sqrt(count))
        assert equal < 1
    half_and_dust = [5000] + [1] * 5000
    assert frag.pigweed_fragmentation(half_and_dust) > frag.pigweed_fragmentation([5000, 5000])


def test_pigweed_s_measure_counts_no_headers():
    heap = Heap4(1024)
    blocks = [heap.malloc(8) for _ in range(3)]
    heap.free(blocks[0])
    heap.free(blocks[2])
    assert [block.size for block in heap.free_blocks()] == [16, 984]
    assert frag.pigweed_fragmentation(heap) == frag.pigweed_fragmentation([8, 976])


def test_pigweed_s_measure_of_a_negative_size():
    with pytest.raises(ValueError, match="source has a block of -8 bytes"):
        frag.pigweed_fragmentation([16, -8])


def test_internal_fragmentation_of_a_heap_and_of_its_replay_agree(coap, heap):
    whole = run(coap[:700], heap)
    column = frag.internal_fragmentation(whole)
    requested = frag.requested_sizes(whole)
    by_hand = frag.internal_fragmentation(heap, requested=requested)
    if heap.kind != 1:  # which keeps what was freed
        assert column[-1] == pytest.approx(by_hand)
    assert ((column >= 0) & (column <= 1)).all()
    for address, size in requested.items():
        assert heap.usable_size(address) >= size


def test_requested_sizes_at_an_event():
    whole = run(Trace("mmff", id=[0, 1, 0, 1], size=[20, 7, 0, 0]), Heap4(1024))
    assert list(frag.requested_sizes(whole, 0).values()) == [20]
    assert list(frag.requested_sizes(whole, 1).values()) == [20, 7]
    assert list(frag.requested_sizes(whole, -2).values()) == [7]
    assert frag.requested_sizes(whole) == {}
    with pytest.raises(IndexError, match="event 4"):
        frag.requested_sizes(whole, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frag.external_fragmentation(3), "source is 3"),
        (lambda: frag.internal_fragmentation(3), "source is 3"),
        (lambda: frag.pigweed_fragmentation(3), "source is 3"),
        (lambda: frag.pigweed_fragmentation([1.5]), "source is"),
        (lambda: frag.internal_fragmentation(Heap4(1024)), "requested"),
        (
            lambda: frag.internal_fragmentation(
                replay(Trace("m", [0], [1]), Heap4(1024)), requested={}
            ),
            "requested",
        ),
    ],
)
def test_wrong_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_the_largest_request_is_the_largest_that_succeeds(coap, heap):
    for end in (0, 1, 50, 700, 900, len(coap)):
        fresh = emptied_copy(heap)
        replay(coap[:end], fresh, record=())
        largest = frag.largest_request(fresh)
        if largest:
            assert fresh.copy().malloc(largest) is not None
        assert fresh.copy().malloc(largest + 1) is None


@pytest.mark.parametrize("kind", [Heap1, Heap2, Heap4])
@pytest.mark.parametrize("alignment", [8, 16, 32])
def test_the_largest_request_at_any_size_and_alignment(kind, alignment):
    for size in range(5 * alignment + 64, 5 * alignment + 64 + 2 * alignment):
        heap = kind(size, base_address=0x2000_0004, alignment=alignment)
        largest = frag.largest_request(heap)
        assert heap.copy().malloc(largest + 1) is None
        assert heap.malloc(largest) is not None
        assert frag.largest_request(heap) == 0 or heap.malloc(1) is not None


# ---------------------------------------------------------------------- Johnstone and Wilson


def slow_johnstone_wilson(trace, heap):
    """The four measures by their definitions, with single calls on a heap."""
    live, ids, reach = {}, {}, [0] * len(heap.regions)
    points = []
    for event in trace:
        if event.op == "f":
            heap.free(ids.pop(event.id))
            del live[event.id]
        else:
            old = ids.get(event.id)
            ids[event.id] = heap.malloc(event.size)
            if old is not None:
                heap.free(old)
            live[event.id] = event.size
        top = [block for block in heap.blocks() if block.allocated]
        # A realloc's two blocks live together for a moment: what a free leaves cannot lower it.
        for number, region in enumerate(heap.regions):
            size = len(memoryview(region.memory))
            for block in top:
                if region.address <= block.address < region.address + size:
                    end = block.address + block.size - region.address
                    reach[number] = max(reach[number], end)
        points.append((sum(reach), sum(live.values()), event.size))
    counted = [(used / alive - 1, weight) for used, alive, weight in points if alive]
    mean = sum(ratio * weight for ratio, weight in counted) / sum(weight for _, weight in counted)
    at_live = max(points, key=lambda point: point[1])
    at_used = max(points, key=lambda point: point[0])
    return (
        mean,
        at_live[0] / at_live[1] - 1,
        at_used[0] / at_used[1] - 1,
        at_used[0] / at_live[1] - 1,
    )


@pytest.mark.parametrize("name", ["heap_2", "heap_4", "heap_5"])
def test_the_four_measures_by_their_definitions(coap, name):
    part = coap[:600]
    measured = frag.johnstone_wilson(replay(part, HEAPS[name]()))
    assert measured == pytest.approx(slow_johnstone_wilson(part, HEAPS[name]()))
    assert measured.peak_to_peak <= measured.at_peak_used
    assert measured.at_peak_live <= measured.peak_to_peak


def test_measures_of_a_trace_that_fragments():
    # 8 bytes of header each. Two blocks of 120, of which the first is freed; then one of 248.
    whole = run(Trace("mmfm", id=[0, 1, 0, 2], size=[120, 120, 0, 248]), Heap4(1024))
    assert frag.used_bytes(whole).tolist() == [128, 256, 256, 512]
    measured = frag.johnstone_wilson(whole, time="events")
    ratios = [128 / 120, 256 / 240, 256 / 120, 512 / 368]
    assert measured.mean_over_time == pytest.approx(np.mean(ratios) - 1)
    assert measured.at_peak_live == pytest.approx(512 / 368 - 1)
    assert measured.at_peak_used == pytest.approx(512 / 368 - 1)
    assert measured.peak_to_peak == pytest.approx(512 / 368 - 1)
    weighted = (120 * ratios[0] + 120 * ratios[1] + 248 * ratios[3]) / 488 - 1
    assert frag.mean_over_time(whole) == pytest.approx(weighted)


def test_peaks_at_different_points():
    events = [("m", 0, 56), ("m", 1, 504), ("m", 2, 24), ("f", 1), ("m", 3, 8), ("f", 0)]
    events += [("m", 4, 520)]
    whole = run(Trace.from_events(events), Heap2(2048))
    used, live = frag.used_bytes(whole), live_bytes(whole)
    assert int(live.argmax()) == 2
    assert int(used.argmax()) == 6
    measured = frag.johnstone_wilson(whole)
    assert measured.at_peak_live == pytest.approx(used[2] / 584 - 1)
    assert measured.at_peak_used == pytest.approx(used[6] / live[6] - 1)
    assert measured.peak_to_peak == pytest.approx(used[6] / 584 - 1)


def test_measures_of_nothing():
    whole = run(Trace("", id=[], size=[]), Heap4(1024))
    assert all(math.isnan(value) for value in frag.johnstone_wilson(whole))
    assert frag.external_fragmentation(whole).shape == (0,)
    assert frag.internal_fragmentation(whole).shape == (0,)


def test_time_is_bytes_or_events(coap):
    with pytest.raises(ValueError, match="'seconds'"):
        frag.mean_over_time(replay(coap, Heap4(48 * 1024)), time="seconds")


def test_public_names():
    assert all(hasattr(frag, name) for name in frag.__all__)
