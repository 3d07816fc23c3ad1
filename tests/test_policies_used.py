"""Policies wherever a kind of heap is an argument: sizes, comparison, risk, command, testing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis.stateful import run_state_machine_as_test
from parts import few_of
from test_policies import FEW, POLICIES

from rtosheap import (
    Heap2,
    Heap4,
    Heap5,
    PolicyHeap,
    Trace,
    UnservableError,
    assess,
    compare,
    data,
    fragmentation,
    minimum_heap_size,
    replay,
)
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.policy import Policy
from rtosheap.kinds import heap_class, heap_name, layout_of
from rtosheap.testing import AllocatorMachine, find_failure, heaps, traces

# --------------------------------------------------------------------------- sizing


def program(seed: int, events: int = 60) -> Trace:
    """Random requests, some of them of one size, with reallocs."""
    chance = random.Random(seed)
    made: list[tuple[Any, ...]] = []
    live: list[int] = []
    for at in range(events):
        if live and chance.random() < 0.45:
            block = live.pop(chance.randrange(len(live)))
            if chance.random() < 0.3:
                made.append(("r", block, chance.randrange(1, 90)))
                live.append(block)
            else:
                made.append(("f", block))
        else:
            made.append(("m", at, chance.choice([16, chance.randrange(1, 120)])))
            live.append(at)
    return Trace.from_events(made)


def serves(trace: Trace, policy: Policy, size: int) -> bool:
    try:
        heap = PolicyHeap.of(policy.name)(size)
    except ValueError:
        return False
    return replay(trace, heap, record=()).failures == 0


@pytest.mark.parametrize("name", few_of([policy.name for policy in POLICIES], FEW))
def test_the_smallest_size_is_what_every_size_says(name: str) -> None:
    policy = Policy.parse(name)
    for seed in range(3 if name in FEW else 1):
        trace = program(seed)
        found = minimum_heap_size(trace, name, search="full")
        assert found.heap == name
        assert found.exact
        sizes = range(found.size % 8 or 8, found.size + 1, 8)
        assert [size for size in sizes if serves(trace, policy, size)] == [found.size]
        tried = minimum_heap_size(trace, name)
        assert not tried.exact
        assert tried.size >= found.size
        assert serves(trace, policy, tried.size)
        assert not serves(trace, policy, tried.size - 8)
        assert tried.safe_checked_up_to is not None
        above = range(tried.safe_size, tried.safe_checked_up_to + 1, 8)
        assert all(serves(trace, policy, size) for size in above)


@pytest.mark.parametrize("name", ["coap-server", "lwip-3cli"])
def test_the_points_that_are_freertos_heaps_need_what_these_need(name: str) -> None:
    trace = data.load(name)
    first = minimum_heap_size(trace, "first-fit/address/coalescing")
    assert first.size == minimum_heap_size(trace, Heap4).size
    assert first.witness == minimum_heap_size(trace, Heap4).witness
    best = minimum_heap_size(trace, PolicyHeap.of("best-fit/size/non-coalescing"))
    assert serves(trace, best_policy := Policy("best", "size", "never"), best.size)
    assert not serves(trace, best_policy, best.size - 8)
    assert replay(trace, Heap2(best.size), record=()).failures == 0
    regions = [(0x1000_0000, 8192), (0x2000_0000, None)]
    several = minimum_heap_size(trace, "first-fit/address/coalescing", regions=regions)
    five = minimum_heap_size(trace, Heap5, regions=regions)
    assert (several.size, several.regions) == (five.size, five.regions)
    assert several.safe_checked_up_to is not None
    assert several.safe_checked_up_to > several.safe_size


def test_options_that_choose_a_policy_are_that_policy() -> None:
    trace = data.load("coap-server")
    kind = PolicyHeap.of("best-fit")
    chosen = minimum_heap_size(trace, kind, fit="buddy", alignment=16)
    assert chosen == minimum_heap_size(trace, "buddy/address", alignment=16)
    assert chosen.heap == "buddy/address/coalescing"
    assert chosen.options == {"alignment": 16}


def test_what_no_heap_of_a_policy_serves() -> None:
    with pytest.raises(UnservableError, match="tlsf at 0x20000000, with words of 4 bytes"):
        minimum_heap_size(Trace("m", id=[0], size=[2**31]), "tlsf")
    with pytest.raises(ValueError, match="heap is 'worst-fit/3'; it must be "):
        minimum_heap_size(Trace("m", id=[0], size=[2]), "worst-fit/3")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_layout_says_what_a_heap_is_like(policy: Policy) -> None:
    chance = random.Random(policy.name)
    cls, refused = PolicyHeap.of(policy.name), 0
    for _ in range(40):
        word = chance.choice([4, 8])
        alignment = chance.choice([a for a in (4, 8, 16, 32) if a >= word])
        base = 0x2000_0000 + chance.randrange(40)
        options = {"word_size": word, "alignment": alignment, "base_address": base}
        layout = layout_of(cls, options)
        smallest = layout.smallest(base)
        size = chance.choice([smallest - 1, smallest, smallest + chance.randrange(400)])
        try:
            heap = cls(size, **options)
        except ValueError:
            refused += 1
            assert size < smallest
            continue
        assert size >= smallest
        assert Layout.of(heap) == layout
        assert layout.usable(base, size) == heap.free_size
        assert size - layout.usable(base, size) >= layout.least_loss(base)
        largest = fragmentation.largest_request(heap)
        assert heap.copy().malloc(largest + 1) is None
        assert largest == 0 or heap.copy().malloc(largest) is not None
        request = chance.randrange(1, 200)
        address = heap.malloc(request)
        if address is not None:
            block = next(block for block in heap.blocks() if block.allocated)
            assert layout.payload(block.address) == address
            wanted = layout.block_size(request)
            assert wanted <= block.size
            assert block.size - wanted <= layout.split_above + heap.alignment
    assert refused > 0


def test_the_largest_request_is_the_largest() -> None:
    for policy in POLICIES:
        chance = random.Random(policy.name)
        heap, live = PolicyHeap.of(policy.name)(1500), []
        for _ in range(40):
            if live and chance.random() < 0.5:
                heap.free(live.pop(chance.randrange(len(live))))
            elif (address := heap.malloc(chance.randrange(1, 150))) is not None:
                live.append(address)
        largest = fragmentation.largest_request(heap)
        assert heap.copy().malloc(largest + 1) is None, policy.name
        assert largest == 0 or heap.copy().malloc(largest) is not None, policy.name


# --------------------------------------------------------------------------- comparison and risk


def test_a_comparison_has_a_row_for_each() -> None:
    trace = data.load("coap-server")
    kinds = [Heap4, PolicyHeap.of(fit="best", coalesce="free"), "tlsf", "buddy/fifo/coalescing"]
    result = compare(trace, heaps=kinds, heap_size=34_000)
    names = ["heap_4", "best-fit/address/coalescing", "tlsf", "buddy/fifo/coalescing"]
    assert [row.heap for row in result] == names
    for name in names[1:]:
        row = result[name]
        assert row.size == minimum_heap_size(trace, name).size
        assert row.exact is False
        assert row.breakdown is not None
        assert row.breakdown["payload"] == 30_047
        assert row.failures is not None
    assert "every size" not in result.verdict
    assert json.loads(json.dumps(result.to_dict()))["heaps"][2]["heap"] == "tlsf"
    with pytest.raises(ValueError, match="each may appear once"):
        compare(trace, heaps=["tlsf", PolicyHeap.of("tlsf")])
    with pytest.raises(TypeError, match="'kernel' is an option of none of tlsf"):
        compare(trace, heaps=["tlsf"], kernel="V10.3.1")


def test_a_share_that_rounds_to_nothing_is_said_in_bytes() -> None:
    trace = data.load("coap-server")
    result = compare(trace, heaps=[Heap4, "tlsf"])
    assert result["heap_4"].size == (result["tlsf"].size or 0) + 16
    assert "heap_4 needs 16 bytes more" in result.verdict


def test_a_release_is_of_freertos_heaps_alone() -> None:
    result = compare(data.load("coap-server"), heaps=["heap_4", "tlsf"], kernel="V10.3.1")
    assert [row.heap for row in result] == ["heap_4", "tlsf"]
    assert all(row.size for row in result)


def test_the_next_day_of_a_policy() -> None:
    days = data.days("gateway")[:3]
    risk = assess(days, PolicyHeap.of("tlsf"), runs=4)
    sizes = [minimum_heap_size(day, "tlsf").size for day in days]
    assert risk.heap == "tlsf"
    assert risk.proven(max(sizes)) is not None


def test_names_and_classes() -> None:
    assert heap_class("best-fit/lifo/coalescing") is PolicyHeap.of(fit="best", order="lifo")
    assert heap_class(PolicyHeap) is PolicyHeap
    assert heap_name(PolicyHeap) == "first-fit/address/coalescing"
    assert heap_name(PolicyHeap.of(fit="good", order="lifo")) == "tlsf"
    with pytest.raises(ValueError, match="heap is 'tslf'; it must be one of the classes"):
        heap_class("tslf")
    with pytest.raises(TypeError, match="the class PolicyHeap serves"):
        heap_class(PolicyHeap(100))  # type: ignore[arg-type]


# --------------------------------------------------------------------------- the command


def test_the_command_takes_policies(run: Any) -> None:
    done = run("size", "coap-server", "--heap", "coalescing/best-fit", "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["heap"] == "best-fit/address/coalescing"
    done = run("compare", "coap-server", "--heap", "tlsf", "--heap", "heap_4")
    assert done.status == 0
    assert "\ntlsf " in done.out
    done = run("replay", "coap-server", "--heap", "tlsf", "--heap-size", "40K")
    assert done.status == 0
    assert "tlsf, 40,960 bytes" in done.out
    regions = ["--region", "0x20000000:20K", "--region", "0x30000000:20K"]
    done = run("replay", "coap-server", "--heap", "buddy", *regions)
    assert "buddy, 40,960 bytes" in done.out
    done = run("check", "coap-server", "--heap", "tlsf", *regions)
    assert "tlsf" in done.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["size", "coap-server", "--heap", "bestfit"], "'bestfit'; it must be one of"),
        (["size", "coap-server", "--heap", "best-fit/last"], "'last' says nothing"),
        (["size", "coap-server", "--heap", "tlsf", "--kernel", "V10.3.1"], "tlsf is a policy"),
        (["size", "coap-server", "--heap", "good-fit/size"], "which has a list for each class"),
        (["replay", "coap-server", "--heap", "tlsf"], "--heap-size is needed for tlsf"),
        (["inspect", "none.bin", "--heap", "tlsf"], "invalid choice: 'tlsf'"),
    ],
)
def test_what_the_command_says_of_a_wrong_policy(run: Any, words: list[str], says: str) -> None:
    done = run(*words)
    assert done.status == 2
    assert says in done.err


# --------------------------------------------------------------------------- testing


@pytest.mark.parametrize("name", few_of([policy.name for policy in POLICIES], FEW))
def test_the_machine_finds_nothing_wrong(name: str) -> None:
    policy = Policy.parse(name)

    class Machine(AllocatorMachine):
        coalesces = policy.coalesce == "free" and policy.fit != "buddy"

        def make_allocator(self) -> Any:
            return PolicyHeap.of(name)(700)

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=8 if name in FEW else 2,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_failure_is_found_and_replays() -> None:
    for name in ("best-fit/address/coalescing", "tlsf", "next-fit/lifo/coalescing"):
        cls = PolicyHeap.of(name)
        trace = find_failure(lambda cls=cls: cls(256), seed=1)  # type: ignore[misc]
        assert replay(trace, cls(256)).failure[-1] == 2


@settings(max_examples=40, deadline=None)
@given(heaps(["tlsf", "buddy", "worst-fit/lifo/deferred-coalescing"], sizes=(300, 2000)), traces())
def test_drawn_heaps_replay_drawn_traces(heap: Any, trace: Trace) -> None:
    result = replay(trace, heap, record="all")
    result.heap.check()
    assert len(result) == len(trace)


def test_heaps_are_drawn_of_each_word_and_alignment() -> None:
    for alignment in (8, 16, 32):
        heap = find(
            heaps("buddy", sizes=(300, 2000), word_sizes=(8,)),
            lambda heap, alignment=alignment: heap.alignment == alignment,
        )
        assert heap.word_size == 8
