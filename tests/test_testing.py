"""rtosheap.testing: its strategies, its machine, its search, and the C that a trace prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_allocators import BUGS, CPool, FirstFit
from ctools import run
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from needs import tool

import rtosheap
from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.testing import (
    FREE_ORDERS,
    SIZE_DISTRIBUTIONS,
    AllocatorMachine,
    AllocatorViolation,
    NoFailureFound,
    find_failure,
    heaps,
    sizes,
    traces,
)

ROOT = Path(__file__).parent.parent
CORE = ROOT / "csrc" / "core"

GENERATE_ONLY = settings(
    max_examples=100,  # Hypothesis's default, whatever the profile says
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


# ---------------------------------------------------------------------- heaps(), sizes()


@given(heap=heaps())
@settings(max_examples=150, deadline=None)
def test_heaps_are_constructed_empty_and_sound(heap: rtosheap.Heap) -> None:
    heap.check()
    assert heap.allocation_count == 0
    assert 256 <= heap.size <= 4096 or heap.kind == 5
    assert heap.malloc(1) is not None or heap.kind == 1


def test_heaps_shrink_to_the_plainest() -> None:
    heap = find(heaps("heap_5"), lambda heap: len(heap.regions) >= 3)
    assert [len(region.memory) for region in heap.regions][:2] == [32, 32]
    assert (heap.base_address, heap.word_size, heap.alignment) == (0x2000_0000, 4, 8)
    assert heap.canary is None
    assert not heap.clear_on_free


@pytest.mark.parametrize(
    "condition",
    [
        lambda heap: heap.kind == 5 and len(heap.regions) == 8,
        lambda heap: heap.base_address % heap.alignment != 0,
        lambda heap: heap.canary is not None,
        lambda heap: heap.word_size == 8 and heap.alignment == 32,
        lambda heap: heap.kind == 3,
        lambda heap: heap.clear_on_free,
    ],
)
def test_heaps_reach(condition: Callable[[Any], bool]) -> None:
    find(heaps(), condition, settings=settings(max_examples=3000, database=None))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"kinds": []}, "kinds"),
        ({"kinds": ["heap_6"]}, "heap_6"),
        ({"kinds": [4]}, "heap"),
        ({"sizes": 100}, "sizes"),
        ({"sizes": (100, 50)}, r"sizes\[1\]"),
        ({"sizes": (1, 20)}, "needs"),
        ({"word_sizes": [2]}, "word_sizes"),
        ({"word_sizes": []}, "word_sizes"),
        ({"word_sizes": 4}, "word_sizes"),
        ({"alignments": [12]}, "alignments"),
        ({"kinds": "heap_4", "word_sizes": [8], "alignments": [4]}, "alignments"),
        ({"regions": (0, 2)}, r"regions\[0\]"),
        ({"regions": (1, 9)}, r"regions\[1\]"),
        ({"canaries": 1}, "canaries"),
        ({"unaligned": None}, "unaligned"),
        ({"clear_on_free": "no"}, "clear_on_free"),
    ],
)
def test_heaps_names_the_bad_argument(options: dict[str, Any], name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        heaps(**options)


@given(heap=heaps(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_sizes_can_be_asked_for(heap: rtosheap.Heap, data: st.DataObject) -> None:
    for _ in range(5):
        heap.malloc(data.draw(sizes(heap)))
    heap.check()


@pytest.mark.parametrize("kind", [Heap2, Heap4])
def test_sizes_straddle_what_decides(kind: Any) -> None:
    heap = kind(1024)
    offered = set(sizes(heap).elements)  # type: ignore[attr-defined]
    block = heap.free_blocks()[0].size
    assert {0, 1, 7, 8, 9, 1 << 31, (1 << 32) - 1, block - 8, block - 7} <= offered
    split: set[int] = set()
    for size in offered:
        twin = heap.copy()
        if twin.malloc(size) is not None:
            split.add(twin.stats().free_block_count)
    assert split == {0, 1}
    with pytest.raises(TypeError, match="heap"):
        sizes("heap_4")  # type: ignore[arg-type]


# ---------------------------------------------------------------------- traces()


@given(trace=traces())
@settings(max_examples=150, deadline=None)
def test_traces_are_valid(trace: Trace) -> None:
    assert len(trace) <= 60
    assert trace.largest_request <= 1024
    first = list(dict.fromkeys(trace.id.tolist()))
    assert first == list(range(len(first)))


@given(trace=traces(min_events=10, max_events=20, capacity=1000, max_size=300))
@settings(max_examples=100, deadline=None)
def test_traces_keep_to_their_bounds(trace: Trace) -> None:
    assert 10 <= len(trace) <= 20
    assert trace.peak_live_bytes <= 1000


@pytest.mark.parametrize("order", FREE_ORDERS)
@pytest.mark.parametrize("distribution", SIZE_DISTRIBUTIONS)
def test_traces_of_one_kind(distribution: str, order: str) -> None:
    strategy = traces(sizes=distribution, frees=order, phases=(1, 1), max_size=512, reallocs=False)

    @given(trace=strategy)
    @settings(max_examples=30, deadline=None, database=None)
    def all_of_them(trace: Trace) -> None:
        if distribution == "powers":
            assert all(size & (size - 1) == 0 for size in trace.size.tolist())
        if distribution == "bimodal":
            asked = trace.size[trace.op == ord("m")]
            assert all(size <= 52 or size >= 461 for size in asked.tolist())
        live: list[int] = []
        for event in trace:
            if event.op == "m":
                live.append(event.id)
            elif order == "lifo":
                assert live.pop() == event.id
            elif order == "fifo":
                assert live.pop(0) == event.id

    all_of_them()


def test_traces_reach_exhaustion() -> None:
    heap = Heap4(1024)
    trace = find(
        traces(max_size=300, capacity=heap.free_size),
        lambda trace: replay(trace, Heap4(1024)).failures > 0,
        settings=settings(database=None, phases=[Phase.generate]),
    )
    assert trace.peak_live_bytes > 600


def test_traces_shrink_to_what_a_person_can_read() -> None:
    trace = find(traces(), lambda trace: trace.peak_live_bytes >= 1000)
    # Shrinking is local: one block, or a small one and the rest.
    assert [(event.op, event.id) for event in trace] in ([("m", 0)], [("m", 0), ("m", 1)])
    assert trace.peak_live_bytes <= 1024
    trace = find(traces(sizes="uniform"), lambda trace: trace.peak_live_bytes >= 1000)
    assert [(event.op, event.id) for event in trace] in ([("m", 0)], [("m", 0), ("m", 1)])
    assert trace.peak_live_bytes == 1000
    trace = find(traces(), lambda trace: trace.frees >= 2)
    assert len(trace) == 4
    assert trace.largest_request == 1
    assert max(trace.id) <= 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"max_events": 0}, "max_events"),
        ({"min_events": -1}, "min_events"),
        ({"max_events": True}, "max_events"),
        ({"max_size": 0}, "max_size"),
        ({"min_size": "1"}, "min_size"),
        ({"sizes": "normal"}, "sizes"),
        ({"frees": ["best"]}, "frees"),
        ({"frees": []}, "frees"),
        ({"phases": (0, 1)}, r"phases\[0\]"),
        ({"phases": 3}, "phases"),
        ({"reallocs": 1}, "reallocs"),
        ({"capacity": 0}, "capacity"),
    ],
)
def test_traces_names_the_bad_argument(options: dict[str, Any], name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        traces(**options)


# ---------------------------------------------------------------------- AllocatorMachine


class FirstFitMachine(AllocatorMachine):
    """The example of the documentation: four lines."""

    bug: str | None = None
    tell = True

    def make_allocator(self) -> Any:
        return FirstFit(bug=self.bug, tell=self.tell)


def machine_of(bug: str | None, *, tell: bool = True) -> Any:
    return type("Machine", (FirstFitMachine,), {"bug": bug, "tell": tell})


@pytest.mark.parametrize("tell", [True, False])
def test_a_sound_allocator_passes(tell: bool) -> None:
    run_state_machine_as_test(machine_of(None, tell=tell), settings=GENERATE_ONLY)


@pytest.mark.parametrize("bug", BUGS)
def test_machine_finds_every_planted_bug_with_every_seed(bug: str) -> None:
    for number in range(20):
        machine = seed(number)(machine_of(bug))
        with pytest.raises(AllocatorViolation):
            run_state_machine_as_test(machine, settings=GENERATE_ONLY)


@pytest.mark.parametrize("bug", BUGS)
def test_machine_needs_no_more_than_malloc_and_free_size(bug: str) -> None:
    for number in range(20):
        machine = seed(number)(machine_of(bug, tell=False))
        with pytest.raises(AllocatorViolation):
            run_state_machine_as_test(machine, settings=GENERATE_ONLY)


def test_machine_reports_a_short_sequence() -> None:
    with pytest.raises(AllocatorViolation) as caught:
        run_state_machine_as_test(
            seed(1)(machine_of("off-by-one split", tell=False)),
            settings=settings(
                GENERATE_ONLY,
                phases=[Phase.generate, Phase.shrink],
                report_multiple_bugs=False,
            ),
        )
    notes = "\n".join(getattr(caught.value, "__notes__", []))
    assert 1 <= notes.count("state.malloc(size=") <= 3
    assert notes.count("state.free") <= 1


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("pool")
    source = ROOT / "tests" / "c" / "broken_pool.c"
    libraries = {}
    for name, flags in (("broken", []), ("fixed", ["-DPOOL_FIXED"])):
        libraries[name] = directory / f"{name}.so"
        run([tool("gcc"), "-shared", "-fPIC", *flags, source, "-o", libraries[name]])
    return libraries


def pool_machine(library: Path) -> Any:
    class PoolMachine(AllocatorMachine):
        raw_addresses = True

        def make_allocator(self) -> Any:
            return CPool(library)

    return PoolMachine


def test_machine_finds_the_bug_in_c(pools: dict[str, Path]) -> None:
    for number in range(5):
        with pytest.raises(AllocatorViolation):
            run_state_machine_as_test(
                seed(number)(pool_machine(pools["broken"])), settings=GENERATE_ONLY
            )
    run_state_machine_as_test(pool_machine(pools["fixed"]), settings=GENERATE_ONLY)


FEW = settings(GENERATE_ONLY, max_examples=25)


class OurHeap1(AllocatorMachine):
    can_free = False

    def make_allocator(self) -> Any:
        return Heap1(2048)


class OurHeap2(AllocatorMachine):
    coalesces = False

    def make_allocator(self) -> Any:
        return Heap2(2048)


class OurHeap3(AllocatorMachine):
    coalesces = False  # sbrk's last chunk stays a chunk: the rest and it adjoin

    def make_allocator(self) -> Any:
        return Heap3(2048)


class OurHeap4(AllocatorMachine):
    alignment = 16

    def make_allocator(self) -> Any:
        return Heap4(2048, base_address=0x2000_0003, alignment=16, canary=0x1234_5678)


class OurHeap5(AllocatorMachine):
    def make_allocator(self) -> Any:
        return Heap5([(0x1000_0000, 300), (0x2000_0000, 1024)], word_size=8)


@pytest.mark.parametrize("machine", [OurHeap1, OurHeap2, OurHeap3, OurHeap4, OurHeap5])
def test_machine_passes_our_heaps(machine: Any) -> None:
    run_state_machine_as_test(machine, settings=FEW)


def test_machine_on_an_allocator_of_two_functions() -> None:
    class Bump:
        def __init__(self) -> None:
            self.at = 8

        def malloc(self, size: int) -> int:
            address, self.at = self.at, self.at + -(-size // 8) * 8
            return address

        def free(self, address: int) -> None:
            pass

    class BumpMachine(AllocatorMachine):
        coalesces = False

        def make_allocator(self) -> Any:
            return Bump()

    run_state_machine_as_test(BumpMachine, settings=FEW)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"alignment": 12}, r"alignment is 12"),
        ({"alignment": "8"}, "alignment is '8'"),
        ({"max_size": 0}, "max_size is 0"),
        ({"coalesces": 1}, "coalesces is 1"),
        ({"make_allocator": lambda self: 7}, "no malloc"),
        ({"make_allocator": AllocatorMachine.make_allocator}, "must define make_allocator"),
    ],
)
def test_machine_names_what_is_wrong_with_the_subclass(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
        type("Wrong", (FirstFitMachine,), attributes)()


def test_the_examples_of_the_readme(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool("gcc")
    text = (ROOT / "rtosheap" / "testing" / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests" / "c").mkdir(parents=True)
    source = Path("tests", "c", "broken_pool.c")
    source.write_bytes((ROOT / source).read_bytes())
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert len(re.findall(r"overlaps the live block|was overwritten|all blocks", printed)) >= 2
    assert "pvPortMalloc(" in printed


# ---------------------------------------------------------------------- find_failure(), to_c()


def fails(trace: Trace, make: Callable[[], rtosheap.Heap]) -> bool:
    return bool((replay(trace, make(), record="failure")["failure"] == 2).any())


def without(trace: Trace, index: int) -> Trace:
    kept = [event for i, event in enumerate(trace) if i != index]
    return Trace.from_events(kept, strict=False)


FACTORIES: list[Callable[[], Any]] = [
    lambda: Heap2(512),
    lambda: Heap3(512),
    lambda: Heap4(1024),
    lambda: Heap4(4096, word_size=8, base_address=0x2000_0008),
    lambda: Heap5([(0x1000_0000, 256), (0x2000_0000, 512)]),
]


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize("reallocs", [False, True])
def test_find_failure_is_locally_minimal(make: Callable[[], Any], reallocs: bool) -> None:
    trace = find_failure(make, seed=7, reallocs=reallocs)
    failure = replay(trace, make())["failure"]
    assert failure[-1] == 2
    assert not np.any(failure[:-1] == 2)
    assert trace == find_failure(make, seed=7, reallocs=reallocs)
    for index in range(len(trace)):
        assert not fails(without(trace, index), make), index


def test_find_failure_gives_up_with_a_name() -> None:
    with pytest.raises(NoFailureFound, match="in 20 sequences"):
        find_failure(lambda: Heap1(512), max_examples=20)


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        ((Heap4(256),), {}, "heap_factory"),
        ((lambda: 7,), {}, "heap_factory"),
        ((lambda: Heap4(256),), {"min_size": 0}, "min_size"),
        ((lambda: Heap4(256),), {"max_size": 0}, "max_size"),
        ((lambda: Heap4(256),), {"max_examples": 0}, "max_examples"),
        ((lambda: Heap4(256),), {"max_events": 0}, "max_events"),
        ((lambda: Heap4(256),), {"seed": "x"}, "seed"),
    ],
)
def test_find_failure_names_the_bad_argument(
    arguments: Any, options: dict[str, Any], name: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        find_failure(*arguments, **options)


def run_c(trace: Trace, directory: Path, size: int) -> int:
    """What the trace as C returns on the core as firmware has it, 64-bit, over `size` bytes."""
    (directory / "trace.c").write_text(trace.to_c())
    program = directory / "program"
    run(
        [
            tool("gcc"),
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-DRH_CHECKS=1",
            f"-DARENA={size}",
            f"-I{CORE}",
            directory / "trace.c",
            ROOT / "tests" / "c" / "run_trace.c",
            CORE / "heap_4.c",
            "-o",
            program,
        ]
    )
    done = subprocess.run([program], capture_output=True, text=True, check=True, timeout=20)
    return int(done.stdout)


@pytest.mark.parametrize("reallocs", [False, True])
def test_the_printed_c_fails_at_the_same_event(tmp_path: Path, reallocs: bool) -> None:
    def make() -> rtosheap.Heap:
        return Heap4(1024, word_size=8)

    trace = find_failure(make, seed=3, reallocs=reallocs)
    assert replay(trace, make()).first_failure == len(trace) - 1
    assert run_c(trace, tmp_path, 1024) == len(trace) - 1


def test_the_printed_c_of_every_event_kind(tmp_path: Path) -> None:
    events = [("m", 0, 40), ("m", 9, 0), ("r", 0, 80), ("r", 0, 8), ("r", 9, 5), ("f", 0)]
    events += [("f", 9), ("m", 3, 7), ("r", 3, 0), ("f", 3)]
    name = "a title */ with \\ in it"
    trace = Trace.from_events(events, meta={"name": name})
    assert run_c(trace, tmp_path, 1024) == -1
    assert run_c(Trace.from_events([]), tmp_path, 1024) == -1


@pytest.mark.parametrize("name", ["function", "malloc", "free"])
def test_to_c_names_the_bad_argument(name: str) -> None:
    trace = Trace.from_events([("m", 0, 1)])
    assert "my_name(" in trace.to_c(**{name: "my_name"})
    with pytest.raises(ValueError, match=name):
        trace.to_c(**{name: "a b"})
