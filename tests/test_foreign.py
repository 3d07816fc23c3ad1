"""Anybody's allocator from a shared library, under a replay and call by call."""

from __future__ import annotations

import pickle
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import traces
from foreign_libraries import BITS, FOREIGN, library
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import tool

from rtosheap import ForeignHeap, Heap4, InvalidFreeError, Trace, replay
from rtosheap.allocators import ForeignKind, _foreign_wire
from rtosheap.replays import COLUMNS, DEFAULT_COLUMNS, Failure
from rtosheap.testing import traces as trace_strategy

TELLS = ("TELLS", "REALLOCATES")
#: Of the recorded traces, those that are tried; each in an arena that serves it and one that fails.
TRIED = ("cjson-docs", "coap-server", "duk-sort", "lwip-3cli64", "mosq-broker", "sqlite-log")
SIZES = (96 << 10, 20 << 10)


@pytest.fixture
def simple(tmp_path: Path) -> ForeignKind:
    return ForeignHeap.of(library(tmp_path, "simple.c", *TELLS))


@pytest.fixture
def bump(tmp_path: Path) -> ForeignKind:
    return ForeignHeap.of(library(tmp_path, "bump.c", name="libbump.so"))


def mallocs(*sizes: int) -> Trace:
    return Trace.from_events([("m", i, size) for i, size in enumerate(sizes)])


# ------------------------------------------------------------- held to our own


@pytest.mark.parametrize("bits", BITS)
def test_our_heap_4_from_a_library_is_heap_4(tmp_path: Path, bits: int) -> None:
    built = library(tmp_path, "our_heap_4.c", bits=bits)
    word = bits // 8
    events = failures = 0
    for name in TRIED:
        trace = Trace.load(traces.path(name))
        for size in SIZES:
            foreign = replay(trace, ForeignHeap.load(built, size), record="all")
            ours = replay(trace, Heap4(size, word_size=word), record="all")
            assert set(foreign) == set(COLUMNS) - {"nodes"}
            for column in sorted(set(foreign) - {"failure"}):
                theirs = foreign[column].copy()
                if column in ("block_size", "largest_free_block"):  # ours have their headers
                    theirs[ours[column] > 0] += np.uint64(2 * word)
                assert np.array_equal(theirs, ours[column]), (name, size, column)
            counts = ("failures", "first_failure", "zero_size", "skipped", "ignored_frees")
            assert all(getattr(foreign, n) == getattr(ours, n) for n in counts)
            events += len(trace)
            failures += foreign.failures
    assert events == 2 * sum(traces.EVENTS[name] for name in TRIED)
    assert failures > 10_000


def test_why_it_failed_is_what_is_known(tmp_path: Path) -> None:
    built = library(tmp_path, "our_heap_4.c")
    trace = Trace.load(traces.path("coap-server"))
    foreign = replay(trace, ForeignHeap.load(built, 20 << 10), record="failure")["failure"]
    ours = replay(trace, Heap4(20 << 10, word_size=8), record="failure")["failure"]
    assert np.array_equal(foreign != 0, ours != 0)
    assert (foreign == Failure.FRAGMENTATION).sum() == 63
    assert np.array_equal(foreign, ours)


def test_a_summary_says_what_is_not_known(tmp_path: Path) -> None:
    trace = Trace.load(traces.path("lua-sched"))
    result = replay(trace, ForeignHeap.load(library(tmp_path, "our_heap_4.c"), 20 << 10))
    rows, failure = dict(result.summary()), result["failure"]
    counts = [int((failure == why).sum()) for why in (Failure.FRAGMENTATION, Failure.UNKNOWN)]
    assert min(counts) > 0
    assert rows["  for fragmentation"] == f"{counts[0]:,}"
    assert rows["  for what is not known"] == f"{counts[1]:,}"
    assert "  for what is not known" not in dict(replay(trace, Heap4(20 << 10)).summary())


# ------------------------------------------------------------- what it tells, and what not


def test_columns_are_those_that_the_library_tells(bump: ForeignKind, simple: ForeignKind) -> None:
    least, most = replay(mallocs(8, 9), bump(1024)), replay(mallocs(8, 9), simple(1024))
    assert list(least) == ["address", "live_bytes", "failed"]
    assert list(most) == [name for name in DEFAULT_COLUMNS if name != "nodes"]
    assert set(replay(mallocs(8), simple(1024), record="all")) == set(COLUMNS) - {"nodes"}
    assert least.most_nodes is None
    assert least.most_nodes_event is None
    assert least.minimum_ever_free_size is None
    assert least.final_free_size is None
    assert most.minimum_ever_free_size == most["free_size"].min()
    assert least.block_size is None
    rows = [name for name, _ in least.summary()]
    assert rows == ["heap", "events", "failures", "first failure"]


@pytest.mark.parametrize(
    ("column", "function"),
    [
        ("block_size", "rh_foreign_usable_size"),
        ("free_size", "rh_foreign_free_size"),
        ("largest_free_block", "rh_foreign_walk"),
        ("free_block_count", "rh_foreign_walk"),
        ("failure", "rh_foreign_free_size and rh_foreign_walk"),
        ("nodes", "no library tells 'nodes'"),
    ],
)
def test_what_is_not_told_is_refused_by_its_name(
    bump: ForeignKind, column: str, function: str
) -> None:
    with pytest.raises(ValueError, match=function):
        replay(mallocs(8), bump(1024), record=column)
    with pytest.raises(ValueError, match=function):
        replay(mallocs(8), bump(1024)).column(column)


def test_an_unknown_column_is_refused_as_of_any_heap(bump: ForeignKind) -> None:
    with pytest.raises(ValueError, match="there are address"):
        replay(mallocs(8), bump(1024), record="colour")


def test_an_engine_is_refused(bump: ForeignKind) -> None:
    with pytest.raises(ValueError, match="engine is 'list'; bump has its own"):
        replay(mallocs(8), bump(1024), engine="list")


# ------------------------------------------------------------- places and sizes


def test_addresses_are_the_targets_whatever_the_base(bump: ForeignKind) -> None:
    bases = (0x2000_0000, 0x1000, 0x2000_0014, 0x7FFF_F008, 8, (1 << 40) + 12)
    for base in bases:
        found = replay(mallocs(8, 24), bump(4100, base_address=base)) if base % 8 == 0 else None
        if found is not None:
            assert found["address"].tolist() == [base, base + 8]
            assert found.regions == ((base, 4100),)


def test_the_arena_is_so_aligned_as_on_the_target(tmp_path: Path) -> None:
    kind = ForeignHeap.of(library(tmp_path, "bump.c"), alignment=4)
    assert kind(64, base_address=0x2000_0004).malloc(8) == 0x2000_0004
    eight = ForeignHeap.of(library(tmp_path, "bump.c"))
    with pytest.raises(
        Exception, match=r"not 8-aligned \(if that is what it promises: alignment=4"
    ):
        eight(64, base_address=0x2000_0004).malloc(8)


def test_every_byte_of_the_arena_can_be_had(bump: ForeignKind) -> None:
    for size in (8, 4096, 12_288, 1 << 20):
        result = replay(mallocs(size, 8), bump(size))
        assert result["address"].tolist() == [0x2000_0000, 0]
        assert result.failures == 1


@pytest.mark.parametrize("bits", BITS)
def test_sizes_that_no_target_has_fail(tmp_path: Path, bits: int) -> None:
    built = library(tmp_path, "simple.c", *TELLS, bits=bits)
    huge = Trace("mmm", id=[0, 1, 2], size=[2**64 - 1, 1 << 32, 16])
    result = replay(huge, ForeignHeap.load(built, 1024))
    assert result["failed"].tolist() == [True, True, False]
    assert result["failure"].tolist() == [Failure.EXHAUSTION, Failure.EXHAUSTION, 0]
    assert result.heap.word_size == bits // 8


def test_an_arena_that_no_process_of_32_bits_has(tmp_path: Path) -> None:
    with pytest.raises(MemoryError, match="8,589,934,592 bytes do not fit the memory of tried"):
        ForeignHeap.load(library(tmp_path, bits=32), 1 << 33)


@pytest.mark.parametrize("checks", ["payloads", "addresses", None])
def test_checks_change_no_result(tmp_path: Path, checks: str | None) -> None:
    built = library(tmp_path, "simple.c", *TELLS)
    trace = Trace.load(traces.path("lwip-3cli"))
    reference = replay(trace, ForeignHeap.load(built, 64 << 10), record="all")
    other = replay(trace, ForeignHeap.load(built, 64 << 10, checks=checks), record="all")  # type: ignore[arg-type]
    assert all(np.array_equal(reference[name], other[name]) for name in reference)


# ------------------------------------------------------------- realloc and requests of nothing


@pytest.mark.parametrize("own", [True, False])
def test_realloc_is_its_own_or_malloc_copy_free(tmp_path: Path, own: bool) -> None:
    built = library(tmp_path, "simple.c", "TELLS", *(["REALLOCATES"] if own else []))
    events = [("m", 0, 40), ("m", 1, 8), ("r", 0, 20), ("r", 0, 200), ("r", 0, 5000), ("f", 0)]
    result = replay(Trace.from_events(events), ForeignHeap.load(built, 1024))
    first, base = result["address"].tolist(), 0x2000_0000
    assert first[:2] == [base + 16, base + 80]
    # In place where it shrinks; with malloc, copy and free there is a second block meanwhile.
    assert first[2] == (base + 16 if own else base + 112)
    assert result["failed"].tolist() == [False] * 4 + [True, False]
    assert result["live_bytes"].tolist() == [40, 48, 28, 208, 208, 8]
    assert first[5] == first[3]  # the old block stayed, and was freed


def test_a_request_of_nothing_is_no_failure(bump: ForeignKind, simple: ForeignKind) -> None:
    events = [("m", 0, 0), ("r", 0, 24), ("r", 0, 0), ("f", 0), ("m", 1, 8)]
    for kind in (bump, simple):
        result = replay(Trace.from_events(events), kind(1024))
        assert (result.failures, result.zero_size) == (0, 2)
        assert result["live_bytes"].tolist() == [0, 24, 0, 0, 8]


# ------------------------------------------------------------- call by call


def test_it_is_a_heap_call_by_call(simple: ForeignKind) -> None:
    with simple(1024) as heap:
        assert (heap.name, heap.size, heap.base_address) == ("tried", 1024, 0x2000_0000)
        assert heap.free_size == 1024
        first, second = heap.malloc(20), heap.malloc(100)
        assert (first, second) == (0x2000_0010, 0x2000_0040)
        assert heap.usable_size(first) == 32
        assert heap.malloc(5000) is None
        heap.free(first)
        assert [tuple(block) for block in heap.free_blocks()] == [
            (0x2000_0010, 32),
            (0x2000_00C0, 1024 - 0xC0),
        ]
        moved = heap.realloc(second, 300)
        assert moved == 0x2000_00C0
        assert heap.realloc(None, 8) == 0x2000_0010
        assert heap.realloc(moved, 4000) is None
        heap.free(moved)
        heap.free(None)
        heap.check()
        assert heap.memalign(16, 8) == 0x2000_0030
        with pytest.raises(InvalidFreeError, match="0x200000c0 is no live block of tried"):
            heap.free(moved)
        with pytest.raises(ValueError, match="alignment is 24; it must be a power of two"):
            heap.memalign(24, 8)
        heap.reset()
        assert heap.free_size == 1024
        assert repr(heap) == "<ForeignHeap tried of 1024 bytes at 0x20000000>"
    assert heap.malloc(8) == 0x2000_0010  # it begins again


def test_calls_that_need_a_function_name_it(bump: ForeignKind) -> None:
    heap = bump(1024)
    address = heap.malloc(8)
    assert heap.free_size is None
    for call, function in (
        (lambda: heap.usable_size(address), "rh_foreign_usable_size"),
        (lambda: heap.memalign(8, 8), "rh_foreign_aligned"),
        (heap.free_blocks, "rh_foreign_walk"),
    ):
        with pytest.raises(ValueError, match=f"bump lacks {function}"):
            call()


def test_a_copy_goes_its_own_way(simple: ForeignKind) -> None:
    heap = simple(2048)
    kept = heap.malloc(40)
    result = replay(mallocs(100, 200), heap)
    heap.free(int(result["address"][0]))  # what a replay left can be freed
    other = heap.copy()
    assert other.free_size == heap.free_size
    assert other.malloc(24) == heap.malloc(24)
    heap.free(kept)
    assert other.free_size == heap.free_size - 64
    other.free(kept)
    assert other.free_blocks() == heap.free_blocks()


def test_heap_at_and_pins(tmp_path: Path) -> None:
    heap = ForeignHeap.load(library(tmp_path, "our_heap_4.c", bits=32), 256)
    events = [("m", 0, 100), ("m", 1, 8), ("m", 2, 100), ("f", 0), ("f", 2), ("m", 3, 200)]
    trace = Trace.from_events(events)
    result, ours = replay(trace, heap), replay(trace, Heap4(256))
    assert result.failure_reason(5) == "fragmentation"
    assert [pin._replace(address=pin.address - 8) for pin in result.pins(5)] == [
        pin._replace(size=8) for pin in ours.pins(5)
    ]
    for event in range(len(trace)):
        assert result.heap_at(event).free_size == ours.heap_at(event).free_size
    with pytest.raises(ValueError, match="event 0 has failure 'none'"):
        result.pins(0)


def test_a_kind_has_a_name_and_is_pickled(tmp_path: Path) -> None:
    built = library(tmp_path, "simple.c", *TELLS, name="libmine-2.so.1")
    kind = pickle.loads(pickle.dumps(ForeignHeap.of(built, alignment=16)))
    assert kind == ForeignHeap.of(built, alignment=16)
    assert kind.name == "mine-2"
    assert kind(1024, base_address=0x1000).malloc(8) == 0x1010
    assert ForeignHeap.of(built, name="mine").name == "mine"
    with pytest.raises(TypeError, match=r"ForeignHeap\.of"):
        pickle.dumps(kind(1024))


def test_many_events_come_in_parts(simple: ForeignKind, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace.load(traces.path("coap-server"))
    whole = replay(trace, simple(20 << 10), record="all")
    monkeypatch.setattr("rtosheap.allocators._foreign_session._AT_ONCE", 100)
    told: list[tuple[int, int]] = []
    parts = replay(trace, simple(20 << 10), record="all", progress=lambda *pair: told.append(pair))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert (whole.first_failure, whole.skipped) == (parts.first_failure, parts.skipped)
    assert told[-1] == (len(trace), len(trace))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_an_exception_from_progress_ends_it_after_an_event(
    simple: ForeignKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtosheap.allocators._foreign_session._AT_ONCE", 100)
    trace, heap = Trace.load(traces.path("coap-server")), simple(64 << 10)

    def stop(done: int, total: int) -> None:
        if done >= 300:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        replay(trace, heap, progress=stop)
    whole = replay(trace, simple(64 << 10))
    assert heap.free_size == whole.heap_at(300).free_size


# ------------------------------------------------------------- arguments, and the two lists


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ({"size": 0}, r"size is 0; it must be from 1"),
        ({"size": 8}, r"size is 8: rh_foreign_init of tried returned false for it"),
        ({"base_address": 0}, "base_address is 0; it must be from 1"),
        ({"alignment": 12}, "alignment is 12; it must be a power of two"),
        ({"checks": "all"}, "checks is 'all'; it must be 'payloads', 'addresses' or None"),
        ({"timeout": 0}, "timeout is 0; it must be a number of seconds above 0"),
    ],
)
def test_wrong_arguments(tmp_path: Path, argument: dict[str, object], error: str) -> None:
    arguments: dict[str, object] = {"size": 1024, **argument}
    with pytest.raises(ValueError, match=error):
        ForeignHeap.load(library(tmp_path), **arguments)  # type: ignore[arg-type]


def test_what_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ForeignHeap.load(tmp_path / "none.so", 1024)
    text = tmp_path / "text.so"
    text.write_text("no library")
    with pytest.raises(ValueError, match="which is no shared library: cc -shared"):
        ForeignHeap.load(text, 1024)
    source = tmp_path / "lacking.c"
    source.write_text(
        '#include "rh_foreign.h"\nvoid *rh_foreign_malloc(size_t n) { (void)n; return 0; }\n'
    )
    built = tmp_path / "lacking.so"
    flags = ["-shared", "-fPIC", f"-I{FOREIGN}"]
    subprocess.run([tool("gcc"), *flags, str(source), "-o", str(built)], check=True)
    with pytest.raises(ValueError, match="lacks rh_foreign_init, rh_foreign_free: an adapter"):
        ForeignHeap.load(built, 1024)


def test_no_compiler_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-cc is not there"):
        ForeignHeap.load(library(tmp_path), 1024, cc="no-such-cc")
    with pytest.raises(RuntimeError, match="what runs a 64-bit library does not compile"):
        ForeignHeap.load(library(tmp_path), 1024, cc="false")


def test_python_and_c_have_the_same_lists() -> None:
    text = (FOREIGN / "shared.h").read_text()

    def words(struct: str) -> list[str]:
        body = text.split(f"struct {struct} {{")[1].split("};")[0]
        body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
        return re.findall(r"(\w+)(?:\[\w+\])?(?=[,;])", body)

    sums = [f"sum_{name}" for name in _foreign_wire.COLUMNS]
    told = words("rh_told")
    at = told.index("sums")
    assert words("rh_asked") == list(_foreign_wire.ASKED)
    assert [*told[:at], *sums, *told[at + 1 :]] == list(_foreign_wire.TOLD)
    columns = re.findall(r"COLUMN\(uint\d+_t, (\w+)\)", text)
    assert columns == list(_foreign_wire.COLUMNS)
    numbers = re.findall(r"RH_COMPLAINT_([A-Z_]+),", text)
    assert ["none", *_foreign_wire.COMPLAINTS[1:]] == [name.lower() for name in numbers]
    calls = re.findall(r"RH_CALL_([A-Z_]+),", text)
    assert ["none", *_foreign_wire.CALLS[1:]] == [name.lower() for name in calls]


@pytest.mark.parametrize("bits", BITS)
def test_random_traces_are_heap_4s(tmp_path_factory: pytest.TempPathFactory, bits: int) -> None:
    built = library(tmp_path_factory.mktemp("random"), "our_heap_4.c", bits=bits)

    @settings(max_examples=25, database=None)
    @given(st.integers(64, 2048), st.integers(0, 3), trace_strategy(max_size=400))
    def same(size: int, first: int, trace: Trace) -> None:
        base = 0x2000_0000 + 8 * first
        theirs = replay(trace, ForeignHeap.load(built, size, base_address=base))
        ours = replay(trace, Heap4(size, base_address=base, word_size=bits // 8))
        for name in ("address", "free_size", "live_bytes", "failed"):
            assert np.array_equal(theirs[name], ours[name]), name

    same()
