"""The engines of a replay: with an index of the free list all is what the list gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import profiles
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import few_of
from test_conformance import make_heap
from workloads import random_options, random_trace

import rtosheap
from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, HeapCorruptionError, Trace, replay
from rtosheap.replays import COLUMNS
from rtosheap.replays.run import empty_columns, empty_slots, run

BASE = 0x2000_0000
ENGINES = ("index", None)
COUNTS = ("failures", "zero_size", "skipped", "ignored_frees", "most_nodes", "most_nodes_event")
FREEING: tuple[Any, ...] = (Heap2, Heap3, Heap4, Heap5)


def state_of(heap: Any) -> Any:
    """All of a heap, but for where its bytes lie."""
    return heap._snapshot(), [bytes(view) for view in heap._region_views()]


def held(trace: Trace, make: Callable[[], Any], engines: tuple[Any, ...] = ENGINES) -> Any:
    """What the list gives, to which the engines are held: every column, count and byte."""
    heap = make()
    known = replay(trace, heap, record="all", engine="list")
    state = state_of(heap)
    for engine in engines:
        heap = make()
        found = replay(trace, heap, record="all", engine=engine)
        for column in COLUMNS:
            assert np.array_equal(found[column], known[column]), (engine, column)
        for count in COUNTS:
            assert getattr(found, count) == getattr(known, count), (engine, count)
        assert state_of(heap) == state
        heap.check()
    return known


# ------------------------------------------------------------- recorded cases


def trace_of(case: Any) -> Trace:
    """The allocations and frees of a recorded case, as far as a trace can have them."""
    rows: list[tuple[Any, ...]] = []
    live: set[int] = set()
    owner: dict[int, int] = {}  # of an op's block, by the op: a realloc's is that of its malloc
    for at, (kind, *numbers) in enumerate(case.ops):
        if kind in ("m", "c"):
            size = numbers[0] if kind == "m" else numbers[0] * numbers[1]
            if size < 1 << 63:
                rows.append(("m", at, size))
                live.add(at)
                owner[at] = at
        elif kind == "f" and owner.get(numbers[0]) in live:
            rows.append(("f", owner[numbers[0]]))
            live.discard(owner[numbers[0]])
        elif kind == "r" and len(numbers) == 2 and owner.get(numbers[0]) in live:
            rows.append(("r", owner[numbers[0]], numbers[1]))
            owner[at] = owner[numbers[0]]
    return Trace.from_events(rows)


def events_of(cases: list[Any], make: Callable[[Any], Any]) -> int:
    """How many events of the cases the engines were held to."""
    events = 0
    for case in cases:
        trace = trace_of(case)
        held(trace, lambda case=case: make(case))
        events += len(trace)
    return events


#: Of each file of recorded cases, how many events the replays have.
RECORDED = {
    "heap2_w32": 45_169,
    "heap2_w64": 44_520,
    "heap4_w32": 55_789,
    "heap4_w64": 55_110,
    "heap5_w32": 49_322,
    "heap5_w64": 50_204,
    "absorb_heap5_w32": 8_740,
    "absorb_heap5_w64": 2_891,
    "early_heap2_w32": 8_030,
    "early_heap2_w64": 2_489,
    "early_heap4_w32": 7_420,
    "early_heap4_w64": 2_524,
    "early_heap5_w32": 8_824,
    "early_heap5_w64": 3_020,
    "mincap_heap4_w32": 8_768,
    "mincap_heap4_w64": 3_115,
    "mincap_heap5_w32": 8_323,
    "mincap_heap5_w64": 2_863,
    "pad_heap2_w32": 8_291,
    "pad_heap2_w64": 2_516,
    "pad_heap4_w32": 7_222,
    "pad_heap4_w64": 2_807,
    "pad_heap5_w32": 7_643,
    "pad_heap5_w64": 3_477,
    "padearly_heap2_w32": 8_019,
    "padearly_heap2_w64": 2_544,
    "padnodetect_heap2_w32": 7_716,
    "padnodetect_heap2_w64": 2_492,
    "protassert_heap5_w32": 8_011,
    "protassert_heap5_w64": 3_105,
    "heap3_newlib_nano_w32": 89_480,
    "heap3_newlib_nano_3.3.0_extra_w32": 16_764,
    "heap3_newlib_nano_4.2.0_w32": 39_447,
    "heap3_newlib_nano_4.3.0_w32": 82_825,
    "heap3_newlib_nano_4.4.0_w32": 106_244,
    "heap3_newlib_nano_calls_3.3.0_w32": 5_796,
    "heap3_newlib_nano_calls_4.0.0_w32": 5_679,
    "heap3_newlib_nano_calls_4.4.0_w32": 5_665,
}


WITH_LISTS = [name for name in vectors.NAMES if name in RECORDED]
OF_OLD_KERNELS = [name for name in profiles.NAMES if name in RECORDED]
OLD_FEW = ["early_heap2_w32", "mincap_heap4_w64", "absorb_heap5_w32", "protassert_heap5_w32"]


@pytest.mark.parametrize("name", few_of(WITH_LISTS, ["heap2_w32", "heap4_w32", "heap5_w64"]))
def test_recorded_cases(name: str) -> None:
    cases = [case for case in vectors.load(name) if case.init != ["assert"]]
    assert events_of(cases, make_heap) == RECORDED[name]


@pytest.mark.parametrize("name", few_of(OF_OLD_KERNELS, OLD_FEW))
def test_recorded_cases_of_older_kernels(name: str) -> None:
    cases = [case for case in profiles.cases(name) if case.init != ["assert"]]
    for kernel in profiles.kernels(name):
        assert events_of(cases, lambda c, k=kernel: make_heap(c, kernel=k)) == RECORDED[name]


@pytest.mark.parametrize("name", few_of(vectors.RECORDED_NANO, vectors.FEW_NANO[:1]))
def test_recorded_cases_of_every_newlib(name: str) -> None:
    cases = vectors.load_nano(name)
    for newlib in vectors.newlibs_of(name, cases):

        def make(case: Any, newlib: str = newlib) -> Heap3:
            return Heap3(case.size, base_address=case.address, newlib=newlib)

        assert events_of(cases, make) == RECORDED[name]


def test_an_index_of_a_heap_that_lists_an_extended_chunk() -> None:
    """Newlib 4.2.0's: an index that is made then has to leave it out."""
    extended = 0
    for seed in range(150):
        trace = random_trace(np.random.default_rng(seed), 120, largest=90)
        heap = Heap3(max(trace.peak_live_bytes, 64), newlib="4.2.0")
        slots, half = empty_slots(trace), 0
        while not heap._snapshot()["extended"] and half < len(trace):
            run(trace, heap, start=half, end=half + 1, slots=slots)
            half += 1
        if half == len(trace):
            continue
        extended += 1
        found = []
        for engine in ("list", "index"):
            other, columns = heap.copy(), empty_columns(COLUMNS, len(trace) - half)
            run(trace, other, columns, start=half, slots=bytearray(slots), engine=engine)
            found.append((state_of(other), {name: columns[name].tolist() for name in COLUMNS}))
        assert found[0] == found[1]
    assert extended == 33


# ------------------------------------------------------------- random traces

KERNELS = [release.name for release in rtosheap.kernels()]
NEWLIBS = rtosheap._core.NEWLIBS


def random_heap(rng: np.random.Generator, kind: int, size: int) -> Callable[[], Any]:
    """Of any release, with any options."""
    options = random_options(rng, kind)
    if options.get("base_address", 0) > BASE + 4096:
        options["base_address"] -= size
    if kind == 3:
        return partial(Heap3, size, newlib=str(rng.choice(NEWLIBS)), **options)
    options["kernel"] = str(rng.choice(KERNELS))
    options["clear_on_free"] = bool(rng.random() < 0.3)
    if kind != 5:
        return partial(Heap2 if kind == 2 else Heap4, size, **options)
    count = int(rng.integers(1, 5))
    starts = BASE + np.cumsum(size // count + rng.integers(0, 2, count) * 64)
    regions = [(int(start), size // count) for start in starts]
    return partial(Heap5, regions, **options)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 4, 5]), st.integers(20, 160))
def test_random_traces(seed: int, kind: int, space: int) -> None:
    rng = np.random.default_rng(seed)
    trace = random_trace(rng, int(rng.integers(20, 700)), largest=int(rng.choice([40, 200, 2000])))
    size = max(400, trace.peak_live_bytes * space // 100)
    held(trace, random_heap(rng, kind, size))


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 4, 5]))
def test_a_replay_in_parts(seed: int, kind: int) -> None:
    """Each goes on where another engine ended, on a heap that was in use before, and restored."""
    rng = np.random.default_rng(seed)
    before = random_trace(rng, 200)
    trace = random_trace(rng, 600)
    size = max(400, (before.peak_live_bytes + trace.peak_live_bytes) * 9 // 10)
    heap = random_heap(rng, kind, size)()
    replay(before, heap, record=(), engine="index")
    known = replay(trace, heap.copy(), record="all", engine="list")
    slots, cuts = empty_slots(trace), sorted(map(int, rng.integers(0, 600, 4)))
    for turn, (start, end) in enumerate(zip([0, *cuts], [*cuts, 600], strict=True)):
        columns = empty_columns(COLUMNS, end - start)
        engine = ("index", "list", None)[turn % 3]
        run(trace, heap, columns, start=start, end=end, slots=slots, engine=engine)
        for column in COLUMNS:
            assert np.array_equal(columns[column], known[column][start:end]), (engine, column)
        heap = heap.copy()
    assert state_of(heap) == state_of(known.heap)


@pytest.mark.parametrize("kind", FREEING)
@pytest.mark.parametrize("engine", ENGINES)
def test_stopping_at_a_failure_and_what_is_needed(kind: Any, engine: str | None) -> None:
    rng = np.random.default_rng(kind.kind)
    trace = random_trace(rng, 3000, largest=2000)
    size = trace.peak_live_bytes * 9 // 10

    def heap() -> Any:
        return Heap5([(BASE, size // 2), (BASE + size, size // 2)]) if kind is Heap5 else kind(size)

    for options in ({"stop_at_failure": True}, {"track_need": True}):
        known = run(trace, heap(), engine="list", **options)
        assert known.failures > 0
        assert run(trace, heap(), engine=engine, **options) == known


# ------------------------------------------------------------- overwritten headers


def rows_of_holes() -> tuple[list[tuple[Any, ...]], int]:
    """What leaves holes of several sizes between twelve live blocks, with the number of its events,
    and after it a malloc of each size, a realloc and a free of each block.
    """
    sizes = [24, 40, 24, 72, 24, 40, 136, 24, 72, 40, 24, 200]
    rows: list[tuple[Any, ...]] = []
    for at, size in enumerate(sizes):
        rows += [("m", at, 30 + at), ("m", 100 + at, size)]
    rows += [("f", 100 + at) for at in (3, 0, 7, 10, 1, 9, 6, 4, 2, 5, 11, 8)]
    start = len(rows)
    rows += [("m", 200 + size, size) for size in range(1, 260, 12)]
    rows += [("r", at, 60) for at in range(12)]
    rows += [("f", at) for at in range(12)]
    return rows, start


def beside(entries: list[tuple[int, int]], at: int) -> set[int]:
    """An entry of the list and the one before it."""
    return {entry for entry, _ in entries[max(at - 1, 0) : at + 1]}


def place_of(entries: list[tuple[int, int]], size: int) -> int:
    """Which entry is the first that is so large, or how many there are."""
    return next((at for at, (_, found) in enumerate(entries) if found >= size), len(entries))


def listed(heap: Any) -> list[tuple[int, int]]:
    """Without what heap_3 lists last, which sbrk has not reached."""
    entries = [(block.address, block.size) for block in heap.free_blocks()]
    return entries[:-1] if heap.kind == 3 else entries


def met_by_malloc(heap: Any, size: int) -> set[int]:
    """As the docstring of replay() says it."""
    entries = listed(heap)
    wanted = max(12, (size + 3) // 4 * 4 + 8) if heap.kind == 3 else (size + 15) // 8 * 8
    at = place_of(entries, wanted)
    if at == len(entries):
        return set()
    rest = entries[at][1] - wanted
    if heap.kind == 2 and rest > 16:
        return beside(entries, at) | {e for e, _ in entries[: place_of(entries, rest)][-1:]}
    return beside(entries, at)


def met_by_free(heap: Any, address: int) -> set[int]:
    entries = listed(heap)
    block = next(b for b in heap.blocks() if b.address < address <= b.address + b.size)
    if heap.kind == 2:
        return {block.address, *(e for e, _ in entries[: place_of(entries, block.size)][-1:])}
    before = [entry for entry, _ in entries if entry < block.address]
    return {block.address, *before[-1:]} | (
        {entry for entry, _ in entries} & {block.address + block.size}
    )


def raised(trace: Trace, heap: Any, event: int, slots: bytearray) -> HeapCorruptionError | None:
    """What one event meets, with an index."""
    try:
        run(trace, heap, start=event, end=event + 1, slots=slots, engine="index")
    except HeapCorruptionError as error:
        return error
    return None


@pytest.mark.parametrize("kind", FREEING)
def test_the_headers_that_an_event_meets(kind: Any) -> None:
    """Of all headers, an index meets those that the docstring names. An event that meets one that
    is overwritten raises, names it and changes nothing.
    """
    rows, start = rows_of_holes()
    trace = Trace.from_events(rows)
    heap = Heap5([(BASE, 700), (BASE + 4096, 1100)]) if kind is Heap5 else kind(2000)
    slots, columns = empty_slots(trace), empty_columns(["address"], start)
    run(trace, heap, columns, end=start, slots=slots)
    address = dict(zip(trace.id[:start].tolist(), columns["address"].tolist(), strict=True))
    known: set[int] = {block.address for block in heap.blocks()}
    known |= {block.address for block in heap.free_blocks()}
    known -= {heap.blocks()[-1].address} if kind is Heap3 else set()
    met_by_any = 0
    for event in range(start, len(rows)):
        op, block, *_ = rows[event]
        expected = met_by_malloc(heap, rows[event][2]) if op != "f" else set()
        expected |= met_by_free(heap, address[block]) if op != "m" else set()
        met = set()
        for header in known:
            bad = heap.copy()
            at = header - BASE
            view = bad._region_views()[at >= 4096]
            view[at % 4096] ^= 4  # the first word of the block's header
            before = state_of(bad)
            kept = bytearray(slots)
            error = raised(trace, bad, event, kept)
            if error is None:
                continue
            met.add(header)
            assert (error.address, error.rule) == (header, "overwritten")
            assert state_of(bad) == before
            assert kept == slots
        assert met == expected, rows[event]
        met_by_any += len(met)
    assert met_by_any > 80


@pytest.mark.parametrize("kind", FREEING)
def test_the_list_is_kept_where_something_is_overwritten(kind: Any) -> None:
    """By itself a replay has an index of a long list, unless something is overwritten; then it
    finds that when the list does."""
    rows = [("m", at, 40 if at % 2 else 24) for at in range(2000)]
    rows += [("f", at) for at in reversed(range(0, 2000, 2))]
    busy = [(op, 5000, 100) if op == "m" else (op, 5000) for op in "mf" * 1500]
    trace = Trace.from_events([*rows, *busy, *[("m", 6000, 30)] * 1])
    heap = kind([(BASE, 300_000)]) if kind is Heap5 else kind(300_000)
    slots = empty_slots(trace)
    run(trace, heap, end=len(rows), slots=slots)
    entries = listed(heap)
    assert len(entries) > 900
    bad = heap.copy()
    bad._region_views()[0][entries[500][0] - BASE] ^= 4
    found = []
    for engine in ("list", None):
        with pytest.raises(HeapCorruptionError) as error:
            run(trace, bad.copy(), start=len(rows), slots=bytearray(slots), engine=engine)
        found.append((error.value.event, error.value.address, str(error.value)))
    assert found[0] == found[1]
    assert found[0][1] == entries[500][0]
    run(trace, bad.copy(), start=len(rows), slots=bytearray(slots), engine="index")

    def overwrite(done: int, total: int) -> None:
        view[entries[500][0] - BASE] ^= 4

    view = heap._region_views()[0]
    run(trace, heap, start=len(rows), slots=slots, progress=overwrite)  # it had an index by then


# ------------------------------------------------------------- arguments


@pytest.mark.parametrize("engine", ["", "List", "tree", 1, True])
def test_an_engine_that_there_is_not(engine: Any) -> None:
    with pytest.raises(ValueError, match="engine must be None, 'list' or 'index', not ") as error:
        replay(Trace.from_events([("m", 0, 8)]), Heap4(256), engine=engine)
    assert str(error.value).endswith(repr(engine))


def test_heap_1_has_no_list() -> None:
    trace = Trace.from_events([("m", 0, 8), ("m", 1, 80), ("f", 0), ("m", 2, 8)])
    held(trace, lambda: Heap1(100))


def test_an_index_takes_no_steps() -> None:
    """Signals are looked at after so many events, however long the list is."""
    rows = [("m", at, 8) for at in range(6000)] + [("f", at) for at in range(0, 6000, 2)]
    rows += [(op, 10**6, 100) if op == "m" else (op, 10**6) for op in "mf" * 1000]
    seen: list[int] = []
    trace = Trace.from_events(rows)
    replay(
        trace, Heap4(200_000), record="all", engine="index",
        progress=lambda done, total: seen.append(done),
    )  # fmt: skip
    assert seen == [4096, 8192, 11_000]
