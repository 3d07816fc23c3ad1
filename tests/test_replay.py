"""Replay: columns, counts, reallocs, failures and pins, and the busy flag."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
from replay_reference import OneByOne
from traces import load

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, HeapCorruptionError, Op, Trace, replay
from rtosheap.replays import COLUMNS, DEFAULT_COLUMNS, Failure

BASE = 0x2000_0000
HEAPS = {
    "heap_1": lambda: Heap1(6000),
    "heap_2": lambda: Heap2(6000),
    "heap_3": lambda: Heap3(6000),
    "heap_4": lambda: Heap4(6000),
    "heap_4 aligned to 16, word 8": lambda: Heap4(9000, word_size=8, alignment=16, canary=99),
    "heap_5": lambda: Heap5([(BASE, 1000), (BASE + 1000, 2000), (BASE + 9000, 3000)]),
}


def demanding_trace(seed: int, events: int = 400) -> Trace:
    """Sizes from 0 up, reallocs, and more than the heaps above can serve."""
    rng = np.random.default_rng(seed)
    live: list[int] = []
    made = []
    for i in range(events):
        turn = rng.random()
        size = int(
            rng.choice([0, 1, 8, 40, 200, 700, 3000], p=[0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05])
        )
        if turn < 0.5 or not live:
            made.append(("m", i, size))
            live.append(i)
        elif turn < 0.65:
            made.append(("r", int(rng.choice(live)), size))
        else:
            made.append(("f", live.pop(int(rng.integers(len(live))))))
    return Trace.from_events(made)


@pytest.mark.parametrize("name", HEAPS)
@pytest.mark.parametrize("seed", range(8))
def test_replay_equals_single_calls(name: str, seed: int) -> None:
    trace = demanding_trace(seed)
    heap, twin = HEAPS[name](), HEAPS[name]()
    result = replay(trace, heap, record="all")
    single = OneByOne(twin)
    for i, (op, block, size) in enumerate(zip(trace.op, trace.id, trace.size, strict=True)):
        address, failure = single.call(int(op), int(block), int(size))
        stats = twin.stats()
        assert (result["address"][i], result["failure"][i]) == (address, failure)
        assert result["failed"][i] == (failure != 0)
        assert result["free_size"][i] == stats.available
        assert result["largest_free_block"][i] == stats.largest_free_block
        assert result["free_block_count"][i] == stats.free_block_count
        assert result["live_bytes"][i] == single.live_bytes
    assert heap._snapshot() == twin._snapshot()
    assert [bytes(v) for v in heap._region_views()] == [bytes(v) for v in twin._region_views()]
    for count, value in single.counts.items():
        assert getattr(result, count) == value
    heap.check()


@pytest.mark.parametrize("name", HEAPS)
def test_block_sizes_add_up(name: str) -> None:
    trace = demanding_trace(3)
    trace = trace[: int(np.argmax(trace.op == Op.REALLOC)) or None]
    result = replay(trace, heap := HEAPS[name]())
    sign = np.where(trace.op == Op.FREE, 1, -1)
    change = np.diff(result["free_size"].astype(np.int64), prepend=HEAPS[name]().free_size)
    if heap.kind != 3:  # where sbrk's first piece costs an alignment
        assert np.array_equal(change, sign * result["block_size"].astype(np.int64))


def test_heap_1_gives_nothing_back() -> None:
    result = replay(Trace.from_events([("m", 0, 8), ("f", 0), ("m", 1, 8)]), Heap1(1024))
    assert result["block_size"].tolist() == [8, 0, 8]
    assert result["address"].tolist() == [BASE, BASE, BASE + 8]
    assert result["live_bytes"].tolist() == [8, 0, 8]
    assert result.ignored_frees == 1


def test_why_an_allocation_failed() -> None:
    holes = [("m", 0, 100), ("m", 1, 8), ("m", 2, 100), ("f", 0), ("f", 2)]
    result = replay(Trace.from_events([*holes, ("m", 3, 200), ("m", 4, 4000)]), Heap4(256))
    assert result["failure"].tolist() == [0, 0, 0, 0, 0, 2, 1]
    reasons = [result.failure_reason(event) for event in (4, 5, 6)]
    assert reasons == ["none", "fragmentation", "exhaustion"]
    assert (result.failures, result.first_failure) == (2, 5)
    pins = result.pins(5)
    assert pins == [(BASE + 112, 16, 8, 1, 1)]
    with pytest.raises(ValueError, match="event 6 has failure 'exhaustion'"):
        result.pins(6)
    with pytest.raises(ValueError, match="event 0 has failure 'none'"):
        result.pins(0)
    for wrong in (-1, 7):
        with pytest.raises(ValueError, match="event must be from 0 up to 6"):
            result.pins(wrong)
    assert replay(result.trace, Heap4(256), record=()).pins(5) == pins


def test_pins_from_before_the_trace() -> None:
    heap = Heap4(256)
    first = heap.malloc(100)
    heap.malloc(8)
    third = heap.malloc(100)
    heap.free(first)
    heap.free(third)
    result = replay(Trace.from_events([("m", 0, 200)]), heap)
    assert result.pins(0) == [(BASE + 112, 16, None, None, None)]


def test_pins_of_heap_5_stay_in_their_region() -> None:
    heap = Heap5([(BASE, 128), (BASE + 4096, 256)])
    events = [("m", 0, 104), ("m", 1, 40), ("m", 2, 40), ("m", 3, 40), ("f", 1), ("f", 3)]
    result = replay(Trace.from_events([*events, ("m", 4, 170)]), heap)
    assert [pin.id for pin in result.pins(6)] == [2]


def test_pins_of_regions_that_adjoin() -> None:
    """The first block of the next one is no hole of this one."""
    heap = Heap5([(BASE, 128), (BASE + 128, 128)])
    first = heap.malloc(24)
    while heap.malloc(8) < BASE + 104:
        pass  # up to the region's end
    heap.free(first)
    result = replay(Trace.from_events([("m", 0, 125)]), heap)
    assert result.pins(0) == []


def test_pins_where_it_matters() -> None:
    trace = load("cjson-docs")
    result = replay(trace, Heap4(300_000))
    fragmented = np.flatnonzero(result["failure"] == 2)
    if len(fragmented):
        event = int(fragmented[0])
        pins = result.pins(event)
        assert pins
        assert all(trace.size[pin.event] == pin.requested for pin in pins)


def test_heap_at() -> None:
    trace = demanding_trace(1)
    result = replay(trace, HEAPS["heap_4"]())
    heap = HEAPS["heap_4"]()
    replay(trace[:100], heap)
    assert result.heap_at(100)._snapshot() == heap._snapshot()


def test_record_chooses_the_columns() -> None:
    trace = demanding_trace(1, 50)
    assert tuple(replay(trace, HEAPS["heap_4"]())) == DEFAULT_COLUMNS
    assert tuple(replay(trace, HEAPS["heap_4"](), record="all")) == COLUMNS
    result = replay(trace, HEAPS["heap_4"](), record=("nodes", "address"))
    assert tuple(result) == ("address", "nodes")
    assert result.free_size is None
    with pytest.raises(KeyError, match=r"'free_size' was not recorded: pass record="):
        result["free_size"]
    with pytest.raises(ValueError, match="not recorded"):
        result.column("free_size")
    with pytest.raises(KeyError, match="'bogus' is no column"):
        result["bogus"]
    assert tuple(replay(trace, HEAPS["heap_4"](), record=())) == ()
    with pytest.raises(ValueError, match="record names 'bogus'; there are address"):
        replay(trace, Heap4(1024), record=["bogus"])


def test_dtypes_and_lengths() -> None:
    trace = demanding_trace(1, 50)
    result = replay(trace, HEAPS["heap_4"](), record="all")
    expected = ["u8", "u8", "u8", "u8", "u4", "u8", "u4", "?", "u1"]
    assert [result[name].dtype for name in COLUMNS] == [np.dtype(kind) for kind in expected]
    assert all(len(result[name]) == len(trace) for name in COLUMNS)
    with pytest.raises(ValueError, match="read-only"):
        result["address"][0] = 1


def test_an_empty_trace() -> None:
    result = replay(Trace.from_events([]), Heap4(1024))
    assert (len(result), result.failures, result.first_failure) == (0, 0, None)
    assert "failures" in str(result)


def test_arguments() -> None:
    with pytest.raises(TypeError, match="trace must be a Trace, not list"):
        replay([], Heap4(1024))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"heap must be a heap, such as Heap4\(16384\)"):
        replay(Trace.from_events([]), 1024)  # type: ignore[arg-type]


def test_a_request_beyond_the_targets_words() -> None:
    result = replay(Trace.from_events([("m", 0, 2**40), ("m", 1, 2**32 - 1)]), Heap4(1024))
    assert result["failure"].tolist() == [1, 1]


def test_ids_need_not_be_dense() -> None:
    trace = Trace.from_events([("m", 2**60, 8), ("m", 5, 8), ("f", 2**60)])
    assert replay(trace, Heap4(1024))["address"].tolist() == [BASE + 8, BASE + 24, BASE + 8]


def test_corruption_during_a_replay() -> None:
    heap = Heap4(1024)
    trace = Trace.from_events([("m", i, 8) for i in range(10)])

    def progress(done: int, total: int) -> None:
        assert (done, total) == (10, 10)

    replay(trace, heap, progress=progress)
    memoryview(heap)[164] ^= 1
    before = heap._snapshot()
    with pytest.raises(
        HeapCorruptionError, match=r"at 0x200000a0 overwritten.*\(at event 0\)"
    ) as e:
        replay(trace, heap)
    assert e.value.event == 0
    assert heap._snapshot() == before


def long_trace(events: int) -> Trace:
    turns = np.arange(events)
    op = np.where(turns % 2 == 0, ord("m"), ord("f")).astype(np.uint8)
    return Trace(op, turns // 2, np.where(turns % 2 == 0, 40, 0))


def test_progress_can_abort() -> None:
    heap = Heap4(1024)
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        replay(long_trace(50_000), heap, progress=progress)
    assert seen[0][1] == 50_000
    assert heap.allocation_count + heap.free_count == seen[1][0]
    heap.check()
    assert heap.malloc(10) is not None  # no longer busy


def test_a_heap_is_busy_while_it_replays() -> None:
    heap = Heap4(1024)

    def progress(done: int, total: int) -> None:
        for call in (
            lambda: heap.malloc(8),
            lambda: heap.calloc(1, 8),
            lambda: heap.free(None),
            lambda: heap.free(8),
            lambda: heap.view(8),
            lambda: heap.usable_size(8),
            heap.stats,
            heap.blocks,
            heap.free_blocks,
            heap.check,
            heap.reset,
            heap.copy,
            heap.reset_minimum_ever_free_size,
            lambda: heap.free_size,
            lambda: heap.minimum_ever_free_size,
            lambda: heap.malloc_failed_count,
            lambda: pickle.dumps(heap),
            lambda: replay(Trace.from_events([]), heap),
        ):
            with pytest.raises(RuntimeError, match="busy"):
                call()
        assert repr(heap) == "<Heap4: busy>"

    replay(long_trace(10), heap, progress=progress)
    assert heap.free_size == 1016


@pytest.mark.parametrize("kind", [Heap1, Heap2, Heap3, Heap4])
def test_a_replay_shows_itself(kind: Any) -> None:
    result = replay(demanding_trace(2), kind(6000))
    assert f"on heap_{kind.kind} of 6,000 bytes" in repr(result)
    assert "minimum ever free" in str(result)
    assert result.heap_kind == f"heap_{kind.kind}"
    assert result.regions == ((BASE, 6000),)


def test_a_replay_is_a_table() -> None:
    """What pandas.DataFrame() asks of a dict, and what a user of one expects."""
    result = replay(demanding_trace(2, 60), Heap4(6000))
    assert isinstance(result, dict)
    assert len(result) == 60
    assert dict(result.items()).keys() == set(DEFAULT_COLUMNS)
    assert {len(column) for column in result.values()} == {60}
    again = pickle.loads(pickle.dumps(result))
    assert again.failures == result.failures
    assert np.array_equal(again["address"], result["address"])
    assert result != again
    assert result in {result}


#: After so many events, or so many steps, signals are looked at; what has fewer steps has none.
EVENTS_AT_ONCE, STEPS_AT_ONCE, FEW_STEPS = 4096, 1_000_000, 256


def looks(trace: Trace, heap: Any, record: Any) -> tuple[list[int], Any]:
    """After which events signals were looked at, which is where progress() is called."""
    seen: list[int] = []
    result = replay(
        trace, heap, record=record, progress=lambda done, total: seen.append(done), engine="list"
    )
    return seen, result


def looks_due(steps: list[list[int]]) -> list[int]:
    """The same, of what each event does: numbers of entries, of 64 bytes."""
    seen, left, last = [], STEPS_AT_ONCE, 0
    for event, parts in enumerate(steps, 1):
        left -= sum(part for part in parts if part >= FEW_STEPS)
        if left <= 0 or event - last == EVENTS_AT_ONCE or event == len(steps):
            seen.append(event)
            left, last = STEPS_AT_ONCE, event
    return seen


def holes(count: int) -> list[tuple[Any, ...]]:
    """So many free blocks of 16 bytes, none of which serves what follows."""
    blocks = [("m", i, 8) for i in range(2 * count)]
    return [*blocks, *(("f", i) for i in reversed(range(0, 2 * count, 2)))]


@pytest.mark.parametrize("kind", [Heap2, Heap3, Heap4, Heap5])
@pytest.mark.parametrize("column", ["nodes", "largest_free_block", "free_block_count"])
def test_signals_are_looked_at_however_many_entries_an_event_reads(kind: Any, column: str) -> None:
    """By the calls, and by the statistics of a column."""

    def heap() -> Any:
        if kind is Heap5:
            return Heap5([(BASE, 60_000), (BASE + 100_000, 200_000)])
        return kind(200_000)

    turns = [(op, 10**6, 100) if op == "m" else (op, 10**6) for op in "mf" * 1000]
    trace = Trace.from_events([*holes(3000), *turns])
    known = replay(trace, heap(), record="all")
    columns = ["nodes"] if column == "nodes" else ["nodes", "free_block_count"]
    seen, result = looks(trace, heap(), [column])
    due = looks_due(np.column_stack([known[name] for name in columns]).tolist())
    assert len(due) > 6
    assert seen == due
    assert np.array_equal(result[column], known[column])


def test_signals_are_looked_at_however_much_is_copied_or_cleared() -> None:
    size = 2**17
    copies = [("m", 0, size), *(("r", 0, size) for _ in range(1000))]
    clears = [(op, 0, size) if op == "m" else (op, 0) for op in "mf" * 1000]
    for rows, last in ((copies, "r"), (clears, "f")):
        seen, _ = looks(Trace.from_events(rows), Heap4(4 * size, clear_on_free=True), ())
        assert seen == looks_due([[size // 64 if row[0] == last else 0] for row in rows])
        assert len(seen) > 2


def test_signals_are_looked_at_however_far_a_realloc_looks_ahead() -> None:
    """It reads what its malloc reads, what its free reads, and that before either."""
    rows = [*holes(3000), ("m", 10**6, 100), *[("r", 10**6, 100)] * 1000]
    seen, result = looks(Trace.from_events(rows), Heap4(200_000), ["nodes"])
    steps = [[int(nodes), 3001 * (event > 9000)] for event, nodes in enumerate(result["nodes"])]
    assert len(seen) == len(looks_due(steps)) > 8


@pytest.mark.parametrize("name", HEAPS)
@pytest.mark.parametrize("column", COLUMNS)
def test_each_column_by_itself(name: str, column: str) -> None:
    """It holds what it holds beside the others, whatever the others are looked up for."""
    trace = demanding_trace(3)
    whole = replay(trace, HEAPS[name](), record="all")
    alone = replay(trace, HEAPS[name](), record=[column])
    assert list(alone) == [column]
    assert np.array_equal(alone[column], whole[column])
    assert alone[column].any() or (name, column) == ("heap_1", "nodes")
    assert alone.failures == whole.failures == np.count_nonzero(whole["failed"])
    assert alone.most_nodes == whole.most_nodes == whole["nodes"].max()


def test_a_summary_says_why_only_where_that_was_recorded() -> None:
    rows = [("m", 0, 100), ("m", 1, 8), ("m", 2, 100), ("f", 0), ("f", 2), ("m", 3, 200)]
    trace = Trace.from_events([*rows, ("m", 4, 10**6)])
    for record, split in ((["failure"], "1"), (["failed"], None), ((), None)):
        result = replay(trace, Heap4(256), record=record)
        summary = dict(result.summary())
        assert summary["failures"] == "2"
        assert summary.get("  for fragmentation") == split
        where = [name for name, _ in result.summary()].index("first failure")
        assert split is None or result.summary()[where + 1][0] == "  for fragmentation"
        assert str(result).count("for fragmentation") == (split is not None)
    served = dict(replay(trace[:3], Heap4(256)).summary())
    assert "  for fragmentation" not in served


def test_a_summary_counts_what_happened_and_nothing_else() -> None:
    rows = [("m", 0, 8), ("m", 1, 0), ("m", 2, 900), ("f", 2), ("f", 0)]
    names = ["zero-size requests", "skipped events", "ignored frees"]
    cases = (
        (rows[:1], Heap4, [None, None, None]),
        (rows, Heap4, ["1", "1", None]),
        ([rows[0], rows[-1]], Heap1, [None, None, "1"]),
    )
    for events, kind, counts in cases:
        summary = dict(replay(Trace.from_events(events), kind(256)).summary())
        assert [summary.get(name) for name in names] == counts


def test_the_entries_that_heap_3_reads() -> None:
    """Counted by hand: those that are passed, the one that ends a search, the one swallowed. A
    block of newlib 3.3.0 is cut from a chunk's end.
    """
    rows: list[tuple[Any, int]] = [
        *((("m", i, 16), 0) for i in range(6)),  # from sbrk: the list is empty
        (("f", 3), 0),
        (("f", 1), 0),  # it goes before 3, which is not read
        (("f", 4), 2),  # behind 1 and 3, and into 3
        (("f", 0), 1),  # swallows 1
        (("m", 6, 16), 1),  # from what 0 and 1 became
        (("m", 7, 30), 2),  # the first is too small
        (("m", 8, 100), 1),  # the one that is left, then sbrk
        (("f", 2), 1),  # behind the first, which it does not adjoin
        (("f", 8), 2),
        (("f", 5), 3),  # behind both, and swallows 8
    ]
    heap = Heap3(2000, newlib="3.3.0")
    result = replay(Trace.from_events([event for event, _ in rows]), heap, record="all")
    assert result["nodes"].tolist() == [nodes for _, nodes in rows]


def test_addresses_beside_those_of_a_recording() -> None:
    log = b"M 0x20000008 8 16 0\nM 0x20000018 8 16 1\nM 0x20000030 8 16 2\nM 0x20000048 8 16 3\n"
    trace = Trace.load(io.BytesIO(log))
    found = replay(trace, Heap4(256)).check_addresses()
    assert found == (4, 2, 2, BASE + 0x30, BASE + 0x28, None)
    shifted = replay(trace[:2], Heap4(256, base_address=BASE - 0x100)).check_addresses()
    assert shifted == (2, 0, 0, BASE + 8, BASE - 0xF8, 0x100)
    same = replay(trace[:2], Heap4(256)).check_addresses()
    assert same == (2, 2, None, None, None, None)


def test_the_first_event_may_be_the_one_that_fails() -> None:
    found = replay(Trace("mm", [0, 1], [900, 8]), Heap4(256))
    assert (found.first_failure, found.failures) == (0, 1)


def test_failures_have_the_numbers_of_the_column() -> None:
    assert [(reason.value, reason.name.lower()) for reason in Failure] == [
        (0, "none"), (1, "exhaustion"), (2, "fragmentation"), (3, "assertion"), (4, "unknown")
    ]  # fmt: skip


def test_a_free_that_asserts_is_a_failure_and_the_replay_goes_on() -> None:
    """newlib 4.2.0: what is freed lies before a live chunk that is listed all the same."""
    trace = Trace("mmmfmff", [0, 1, 2, 2, 3, 1, 0], [12, 12, 20, 0, 36, 0, 0])
    heap = Heap3(92, base_address=0x2000_0004, newlib="4.2.0")
    result = replay(trace, heap, record=["failure", "free_size"])
    assert result["failure"].tolist() == [0, 0, 0, 0, 0, 3, 0]
    assert result["free_size"].tolist() == [72, 52, 24, 52, 0, 0, 20]
    assert (result.failures, result.first_failure) == (1, 5)
