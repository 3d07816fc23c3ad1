"""minimum_heap_size against every size, and on the recorded traces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import traces
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import few_of
from workloads import random_options, random_trace

from rtosheap import _core
from rtosheap.heaps import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.kinds import heap_class
from rtosheap.replays.run import Counts
from rtosheap.sizing import MinimumSize, UnservableError, _heap_2, minimum_heap_size
from rtosheap.sizing.problem import SizingProblem
from rtosheap.traces import Trace

KINDS = (1, 2, 3, 4, 5)


def make(kind: int, size: int, options: dict[str, Any], regions: Any = None) -> Any:
    if kind == 5:
        return Heap5([*regions[:-1], (regions[-1][0], size)], **options)
    return heap_class(f"heap_{kind}")(size, **options)


def first_failure(trace: Trace, heap: Any) -> int | None:
    """The first event that fails, None if all are served."""
    slot, slots = trace.slots
    counts = Counts(**_core.replay(heap, trace.op, slot, trace.size, slots, {}, True, False, None))
    return counts.first_failure if counts.failures else None


def serves(trace: Trace, kind: int, size: int, options: dict[str, Any], regions: Any) -> bool:
    try:
        heap = make(kind, size, options, regions)
    except ValueError:
        return False
    return first_failure(trace, heap) is None


def smallest_of_all(
    trace: Trace, kind: int, options: dict[str, Any], regions: Any, start: int, stop: int
) -> int | None:
    """The smallest size that serves, by trying every one."""
    step = options.get("alignment", 8) if kind == 2 else 1
    for size in range(-(-start // step) * step, stop, step):
        if serves(trace, kind, size, options, regions):
            return size
    return None


def test_counts_are_those_of_the_core() -> None:
    trace = Trace.from_events([])
    slot, slots = trace.slots
    counts = _core.replay(Heap4(64), trace.op, slot, trace.size, slots, {}, True, False, None)
    assert Counts._fields == tuple(counts)


# --------------------------------------------------------------------- against every size


def random_regions(rng: np.random.Generator, options: dict[str, Any]) -> list[Any]:
    header = max(16, options["alignment"])
    regions, address = [], 0x1000_0000 + int(rng.integers(0, 40))
    for _ in range(int(rng.integers(1, 4))):
        size = 2 * header + 40 + int(rng.integers(0, 400))
        regions.append((address, size))
        address += size + int(rng.integers(0, 100))
    return [*regions[:-1], (regions[-1][0], None)]


@pytest.mark.parametrize("seed", few_of(range(40), range(15)))
@pytest.mark.parametrize("kind", KINDS)
def test_no_smaller_size_serves(kind: int, seed: int) -> None:
    rng = np.random.default_rng([kind, seed])
    trace = random_trace(rng, int(rng.integers(1, 120)))
    options = random_options(rng, kind)
    regions = random_regions(rng, options) if kind == 5 else None
    search = "full" if kind == 2 else None

    def find() -> MinimumSize:
        name = f"heap_{kind}"
        return minimum_heap_size(trace, name, regions=regions, search=search, **options)

    room = (1 << (8 * options.get("word_size", 4))) - options.get("base_address", 0)
    if room < 12_000 and smallest_of_all(trace, kind, options, regions, 1, room + 2) is None:
        with pytest.raises(ValueError, match="cannot be served"):
            find()
        return
    found = find()
    size = found.last_region_size
    assert found.exact
    assert smallest_of_all(trace, kind, options, regions, 1, size + 1) == size
    step = options["alignment"] if kind == 2 else 1
    above = range(size, size + 40 * step, step)
    if kind != 2 and options.get("base_address", 0) + size + 40 < 1 << 32:
        assert all(serves(trace, kind, n, options, regions) for n in above)
    check_facts(found, trace, kind, options, regions)


def check_facts(
    found: MinimumSize, trace: Trace, kind: int, options: dict[str, Any], regions: Any
) -> None:
    """Witness and advice, held against heaps made here."""
    size = found.last_region_size
    fixed = found.size - size
    below = size - (options.get("alignment", 8) if kind == 2 else 1)
    try:
        heap = make(kind, below, options, regions)
    except ValueError:
        assert found.witness is None
    else:
        assert found.witness == first_failure(trace, heap) is not None
    try:
        heap = make(kind, found.advice_size - fixed, options, regions)
    except ValueError:
        heap = Heap5(found.regions[:-1], **options) if fixed else None  # which are as large
    if heap is None:
        asks = [e.op != "f" and (e.size > 0 or kind == 3) for e in trace]
        assert found.advice_fails_at == (asks.index(True) if any(asks) else None)
    else:
        assert found.advice_fails_at == first_failure(trace, heap)
    assert found.ratio == (
        found.size / trace.peak_live_bytes if trace.peak_live_bytes else math.inf
    )
    assert found.peak_live_bytes == trace.peak_live_bytes
    assert found.heap == f"heap_{kind}"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What searches every size of a heap_2 gives up at once, where that is not asked for."""
    monkeypatch.setattr(_heap_2, "EVENTS_MORE", 0)
    monkeypatch.setattr(_heap_2, "TURNS", 0)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("seed", range(40))
def test_heap_2_is_safe_from_safe_size_on(seed: int) -> None:
    rng = np.random.default_rng([22, seed])
    trace = random_trace(rng, int(rng.integers(10, 150)), largest=int(rng.integers(20, 400)))
    options = random_options(rng, 2)
    if options["base_address"] > 0x3000_0000:
        options["base_address"] -= 0x8000
    step = options["alignment"]
    full = minimum_heap_size(trace, Heap2, search="full", **options)
    assert full.safe_checked_up_to is None
    for size in range(full.safe_size, full.safe_size + 300 * step, step):
        assert serves(trace, 2, size, options, None)
    if full.safe_size > full.size:
        assert not serves(trace, 2, full.safe_size - step, options, None)

    quick = minimum_heap_size(trace, Heap2, **options)
    assert not quick.exact
    assert quick.size >= full.size
    assert quick.safe_size >= full.safe_size or quick.safe_checked_up_to is not None
    for below in range(quick.size - 64 * step, quick.size, step):
        assert not serves(trace, 2, below, options, None)
    end = quick.safe_checked_up_to or quick.safe_size + 64 * step
    for size in range(quick.safe_size, end + 1, step):
        assert serves(trace, 2, size, options, None)


def test_heap_3_may_fail_in_a_larger_heap() -> None:
    """From newlib 4.2.0 on: every size is tried."""
    ops, blocks = "mmmfffmfmmfm", [0, 1, 2, 1, 0, 2, 6, 6, 8, 9, 8, 11]
    trace = Trace(ops, blocks, [4, 52, 48, 0, 0, 0, 156, 0, 108, 108, 0, 116])
    for base, more in ((0x2000_0000, 0), (0x2000_0001, 3)):
        options = {"base_address": base}
        found = minimum_heap_size(trace, Heap3, **options)
        assert (found.size, found.safe_size) == (280 + more, 356 + more)
        for size in range(270, 600):
            runs = 280 <= size - more < 292 or size - more >= 356
            assert serves(trace, 3, size, options, None) == runs


@pytest.mark.parametrize("newlib", ["3.3.0", "4.1.0", "newest"])
def test_heap_3_reallocs_in_a_word_less_than_malloc_takes(newlib: str) -> None:
    options = {"base_address": 0x2000_0004} | ({} if newlib == "newest" else {"newlib": newlib})
    grown = Trace("mr", [0, 0], [12, 16])
    assert minimum_heap_size(grown, Heap3, **options).size == 20
    assert serves(grown, 3, 20, options, None)
    assert minimum_heap_size(Trace("m", [0], [16]), Heap3, **options).size == 24


def test_heap_2_is_not_monotone() -> None:
    """The reason for all that: a trace that runs in a heap and fails in a larger one."""
    for seed in range(200):
        rng = np.random.default_rng([2, seed])
        trace = random_trace(rng, 100)
        full = minimum_heap_size(trace, Heap2, search="full")
        if full.safe_size > full.size:
            break
    assert full.safe_size > full.size
    assert serves(trace, 2, full.size, {}, None)
    assert not serves(trace, 2, full.safe_size - 8, {}, None)
    assert "every size serves from" in repr(full)


event = st.tuples(st.sampled_from("mmmrff"), st.integers(0, 5), st.integers(0, 90))


@settings(max_examples=60)
@given(
    st.lists(event, max_size=30),
    st.sampled_from(KINDS),
    st.integers(0, 31),
    st.sampled_from([4, 8]),
)
def test_any_trace(events: list[tuple[str, int, int]], kind: int, shift: int, word: int) -> None:
    rows = [(op, slot) if op == "f" else (op, slot, size) for op, slot, size in events]
    trace = Trace.from_events(rows, strict=False)
    options: dict[str, Any] = {} if kind == 3 else {"word_size": word}
    regions = [(0x1000_0000 + shift, 100), (0x2000_0000 + shift, None)] if kind == 5 else None
    if kind != 5:
        options["base_address"] = 0x2000_0000 + shift
    search = "full" if kind == 2 else None
    found = minimum_heap_size(trace, f"heap_{kind}", regions=regions, search=search, **options)
    size = found.last_region_size
    assert smallest_of_all(trace, kind, options, regions, 1, size + 1) == size


# --------------------------------------------------------------------- the recorded traces


def recorded_options(name: str) -> dict[str, Any]:
    return {"word_size": 8} if name.endswith("64") or name == "frtos-posix-mixed" else {}


@pytest.mark.parametrize("name", traces.all_names())
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_traces(name: str, kind: int) -> None:
    trace = traces.load(name)
    options = {} if kind == 3 else recorded_options(name)  # newlib-nano is a 32-bit library
    regions = [(0x1000_0000, 8192), (0x2000_0000, None)] if kind == 5 else None
    found = minimum_heap_size(trace, f"heap_{kind}", regions=regions, **options)
    size = found.last_region_size
    assert serves(trace, kind, size, options, regions)
    assert not serves(trace, kind, size - (8 if kind == 2 else 1), options, regions)
    assert found.size > trace.peak_live_bytes
    check_facts(found, trace, kind, options, regions)


def test_there_are_33_recorded_traces() -> None:
    assert len(traces.all_names()) == 33


def test_the_trap_of_heap_4() -> None:
    """Without the max() of the rule the answer would be smaller, and wrong."""
    found = minimum_heap_size(traces.load("cjson-docs"), Heap4)
    assert (found.size, found.witness) == (182_472, 44_453)


def test_the_advice_fails_on_most_traces() -> None:
    fails = 0
    for name in traces.all_names():
        found = minimum_heap_size(traces.load(name), Heap4, **recorded_options(name))
        fails += found.advice_fails_at is not None
    assert fails == 28


@pytest.mark.parametrize(("size", "total"), [(1, 32), (5, 40), (9, 36), (13, 52), (40, 80)])
def test_the_advice_is_measured_in_twice_the_peak_or_that_doubled(size: int, total: int) -> None:
    heap = Heap4(total)
    heap.malloc(size)
    found = minimum_heap_size(Trace("m", [0], [size]), Heap4)
    assert found.advice_size == total - heap.minimum_ever_free_size
    if size < total // 2:
        assert not serves(Trace("m", [0], [size]), 4, total // 2, {}, None)


# --------------------------------------------------------------------- the edges


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [0, 1, 7])
def test_a_trace_that_asks_for_nothing(kind: int, shift: int) -> None:
    regions = [(0x2000_0000 + shift, None)] if kind == 5 else None
    options = {} if kind == 5 else {"base_address": 0x2000_0000 + shift}
    nothing = Trace("", [], [])
    found = minimum_heap_size(nothing, f"heap_{kind}", regions=regions, **options)
    assert found.witness is None
    assert found.advice_fails_at is None
    assert found.ratio == math.inf
    make(kind, found.size, options, regions)
    with pytest.raises(ValueError, match=r"."):
        make(kind, found.size - 1, options, regions)
    if kind != 3:
        zeros = Trace("mf", [0, 0], [0, 0])
        assert (
            minimum_heap_size(zeros, f"heap_{kind}", regions=regions, **options).size == found.size
        )


def test_heap_5_whose_first_regions_are_enough() -> None:
    trace = Trace("mf", [0, 0], [100, 0])
    found = minimum_heap_size(trace, Heap5, regions=[(0x1000_0000, 200), (0x2000_0004, None)])
    assert found.regions == ((0x1000_0000, 200), (0x2000_0004, 20))
    assert (found.last_region_size, found.size, found.witness) == (20, 220, None)


def test_heap_5_names_its_regions() -> None:
    trace = Trace("mm", [0, 1], [100, 300])
    found = minimum_heap_size(trace, "heap_5", regions=[(0x1000_0000, 200), (0x2000_0000, None)])
    assert found.regions == ((0x1000_0000, 200), (0x2000_0000, 320))
    assert found.size == found.safe_size == 520
    assert found.witness == 1
    assert "0x10000000: 200, 0x20000000: 320" in repr(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1 << 31, (1 << 32) - 1, 1 << 40, (1 << 64) - 1])
def test_a_request_that_no_heap_can_serve(kind: int, size: int) -> None:
    trace = Trace("mm", [0, 1], [8, size])
    regions = [(0x1000_0000, 200), (0x2000_0000, None)] if kind == 5 else None
    with pytest.raises(ValueError, match=rf"event 1 requests {size} bytes; the most .* is \d+$"):
        minimum_heap_size(trace, f"heap_{kind}", regions=regions)


@pytest.mark.parametrize("kind", KINDS)
def test_more_live_bytes_than_the_address_space_leaves(kind: int) -> None:
    trace = Trace("m" * 40, range(40), [200] * 40)
    base = (1 << 32) - 4096
    regions = [(0x1000_0000, 600), (base, None)] if kind == 5 else None
    options = {} if kind == 5 else {"base_address": base}
    with pytest.raises(ValueError, match=r"event \d+ requests 200 bytes and cannot be served"):
        minimum_heap_size(trace, f"heap_{kind}", regions=regions, **options)


def test_a_realloc_to_nothing_leaves_no_live_bytes() -> None:
    trace = Trace("mr" + "m" * 20, [0, 0, *range(1, 21)], [8, 0, *[200] * 20])
    live = 20 * 208  # more than 4096, of the blocks of 200 bytes alone
    with pytest.raises(
        ValueError, match=f"event 21 .* served: {live} bytes of blocks are live then"
    ):
        minimum_heap_size(trace, Heap3, base_address=(1 << 32) - 4096)


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_request(kind: int) -> None:
    """What the limit in the message says is what can be served."""
    base = (1 << 32) - 4093
    regions = [(0x1000_0000, 600), (base, None)] if kind == 5 else None
    options = {} if kind == 5 else {"base_address": base}
    with pytest.raises(ValueError, match="the most") as error:
        minimum_heap_size(Trace("m", [0], [4096]), f"heap_{kind}", regions=regions, **options)
    limit = int(str(error.value).rsplit(" ", 1)[1])
    found = minimum_heap_size(Trace("m", [0], [limit]), f"heap_{kind}", regions=regions, **options)
    assert found.last_region_size <= 4093
    with pytest.raises(ValueError, match="the most"):
        minimum_heap_size(Trace("m", [0], [limit + 1]), f"heap_{kind}", regions=regions, **options)


def test_an_end_marker_above_the_arena_limits_it() -> None:
    trace = Trace("mmm", range(3), [100] * 3)
    marker = 0x2000_0000 + 400
    found = minimum_heap_size(trace, Heap2, end_marker_address=marker)
    assert found.size == minimum_heap_size(trace, Heap2).size
    with pytest.raises(ValueError, match="has 300 bytes at the most"):
        minimum_heap_size(trace, Heap2, end_marker_address=0x2000_0000 + 300)


def test_a_subclass_serves() -> None:
    class Mine(Heap4):
        pass

    assert minimum_heap_size(Trace("m", [0], [8]), Mine).heap == "heap_4"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"heap": "heap_4", "trace": [("m", 0, 8)]}, TypeError, "it must be a Trace"),
        ({"heap": "heap4"}, ValueError, "heap is 'heap4'; it must be"),
        ({"heap": 4}, TypeError, "heap is 4; it must be"),
        ({"heap": "heap_2", "search": "fast"}, ValueError, "search is 'fast'"),
        ({"heap": "heap_4", "canaries": 1}, TypeError, "canaries"),
        ({"heap": "heap_1", "canary": 1}, TypeError, "canary"),
        ({"heap": "heap_3", "word_size": 8}, TypeError, "word_size"),
        ({"heap": "heap_4", "word_size": 5}, ValueError, "word_size"),
        ({"heap": "heap_4", "base_address": 0}, ValueError, "address"),
        ({"heap": "heap_4", "base_address": 1 << 32}, ValueError, "base_address|0x100000000"),
        ({"heap": "heap_4", "regions": []}, ValueError, "heap_4 has none"),
        ({"heap": "heap_5"}, TypeError, "regions is None; heap_5 needs"),
        ({"heap": "heap_5", "regions": []}, ValueError, "it must be a sequence"),
        ({"heap": "heap_5", "regions": 5}, TypeError, "it must be a sequence"),
        ({"heap": "heap_5", "regions": [(1, 2)]}, ValueError, "last size is None"),
        ({"heap": "heap_5", "regions": [(1, None), (2, None)]}, TypeError, "last size is None"),
        ({"heap": "heap_5", "regions": [(64, 99), (32, None)]}, ValueError, "ascending"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        minimum_heap_size(**{"trace": Trace("m", [0], [8]), **arguments})


def collect(seen: list[tuple[int, int]]) -> Callable[[int, int], None]:
    return lambda done, total: seen.append((done, total))


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_many_small_blocks_take_few_replays(kind: int) -> None:
    """They need far more than their bytes: the arena to begin with is doubled until it serves."""
    seen: list[tuple[int, int]] = []

    def count(done: int, total: int) -> None:
        seen.append((done, total))
        assert len(seen) < 40

    trace = Trace("m" * 2000, range(2000), [1] * 2000)
    found = minimum_heap_size(trace, f"heap_{kind}", progress=count)
    assert found.size >= 2000 * 12
    assert len(seen) > 2


def test_progress_is_told_and_ends() -> None:
    trace = random_trace(np.random.default_rng(1), 300)
    for kind in KINDS:
        seen: list[tuple[int, int]] = []
        regions = [(0x1000_0000, 200), (0x2000_0000, None)] if kind == 5 else None
        minimum_heap_size(trace, f"heap_{kind}", regions=regions, progress=collect(seen))
        assert seen
        assert all(0 <= done <= total for done, total in seen)
        assert seen == sorted(seen, key=lambda pair: pair[0])
        assert seen[-1][0] == seen[-1][1]

    def stop(done: int, total: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError):
        minimum_heap_size(trace, Heap3, progress=stop)


def test_results_can_be_shown_and_written() -> None:
    trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    found = minimum_heap_size(trace, Heap4, base_address=np.uint64(0x2000_0004))
    assert json.loads(json.dumps(found.to_dict()))["options"] == {"base_address": 0x2000_0004}
    assert "needed by event 3" in repr(found)
    html = found._repr_html_()
    assert html.startswith("<table>")
    assert f"{found.size:,} bytes" in html
    assert isinstance(hash(minimum_heap_size(trace, Heap1)), int)


def test_advice_below_the_fixed_regions_is_tried_in_them():
    trace = traces.load("coap-server")
    found = minimum_heap_size(trace, Heap5, regions=[(0x1000_0000, 800 << 10), (0x2000_0000, None)])
    assert found.advice_size < 800 << 10
    assert found.advice_fails_at is None
    small = minimum_heap_size(trace, Heap5, regions=[(0x1000_0000, 1024), (0x2000_0000, None)])
    assert small.advice_fails_at != 0


def test_many_small_blocks_take_more_than_four_times_what_is_live() -> None:
    """More than the arena that is tried first has."""
    trace = Trace("m" * 1000, range(1000), [1] * 1000)
    assert minimum_heap_size(trace, Heap4).size == 1000 * 16 + 16
    assert minimum_heap_size(trace, Heap3).size >= 1000 * 12
    found = minimum_heap_size(trace, Heap5, regions=[(0x1000_0000, 1008), (0x2000_0000, None)])
    assert found.last_region_size == (1000 - 62) * 16 + 16


@pytest.mark.parametrize("word", [4, 8])
def test_the_least_block_at_the_end_of_the_address_space(word: int) -> None:
    trace = Trace("m", [0], [8])
    size = minimum_heap_size(trace, Heap4, word_size=word).size
    for room in range(size, size + 64, 8):
        base = (1 << 8 * word) - room
        found = minimum_heap_size(trace, Heap4, word_size=word, base_address=base)
        assert (found.size, found.witness) == (size, 0)


def test_the_last_region_and_the_others_stay_below_the_top_bit_together() -> None:
    trace = Trace("m" * 4, range(4), [1 << 29] * 4)
    for fixed in (4096, 4097):
        regions = [(0x1000_0000, fixed), (0x2000_0000, None)]
        most = (1 << 31) - 1 - fixed
        with pytest.raises(UnservableError, match=rf"has {most} bytes at the most"):
            minimum_heap_size(trace, Heap5, regions=regions)


def test_blocks_that_are_more_together_than_64_bits_hold() -> None:
    trace = Trace("m" * 5, range(5), [1 << 61] * 5)
    live = 4 * ((1 << 61) + 16)
    with pytest.raises(
        UnservableError, match=rf"event 3 requests .* {live} bytes of blocks are live"
    ):
        minimum_heap_size(trace, Heap4, word_size=8)


@pytest.mark.usefixtures("hasty")
def test_heap_2_is_proven_where_every_size_that_could_differ_was_tried() -> None:
    found = minimum_heap_size(Trace("mfm", [0, 0, 1], [100, 0, 40]), Heap2)
    assert (found.exact, found.safe_checked_up_to) == (False, None)


@pytest.mark.parametrize("seed", range(20))
def test_heap_2_is_exact_where_that_is_quick(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many events as a search of every size may take are said, not how long it may take."""
    trace = random_trace(np.random.default_rng([23, seed]), 150)
    full = minimum_heap_size(trace, Heap2, search="full")
    assert full.exact
    assert minimum_heap_size(trace, Heap2) == full
    problem = SizingProblem(trace, Heap2, {})
    told: list[int] = []
    monkeypatch.setattr(problem.rounds, "search", lambda: told.append)
    _heap_2.sizes_of(problem, problem.check_possible(), full=True)
    monkeypatch.setattr(_heap_2, "TURNS", 1)
    for more, exact in ((told[-1] - len(trace), True), (told[-1] - len(trace) - 1, False)):
        monkeypatch.setattr(_heap_2, "EVENTS_MORE", more)
        assert minimum_heap_size(trace, Heap2).exact is exact
