"""PolicyHeap against FreeRTOS's recorded heaps, and against a plain model of every policy.

The model (policy_reference.py) shares no line with the C engine: results, list, nodes and every
byte are compared after each call.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pytest
import vectors
from parts import few_of
from policy_reference import ReferencePolicy
from test_conformance import make_heap

from rtosheap import (
    DoubleFreeError,
    Heap1,
    Heap2,
    Heap4,
    Heap5,
    HeapCorruptionError,
    HeapError,
    InvalidFreeError,
    PolicyHeap,
    _core,
    data,
    fragmentation,
    replay,
)
from rtosheap.heaps.policy import FAMILIES, FITS, Policy
from rtosheap.replays.run import COLUMNS

HEAP_2 = {"fit": "best", "order": "size", "coalesce": "never"}
HEAP_4 = {"fit": "first", "order": "address", "coalesce": "free"}
POINT = {2: HEAP_2, 4: HEAP_4, 5: HEAP_4}
BASE = 0x2000_0000
#: Of how many recorded cases every byte is the same: where the end of a list is marked alike.
BYTES = {"heap4_w32": 144, "heap4_w64": 152}


def every_policy() -> Iterator[Policy]:
    for fit in ("first", "next", "best", "worst", "good", "buddy"):
        for order in ("address", "lifo", "fifo", "size"):
            for coalesce in ("never", "free", "deferred"):
                for cut in ("front", "end"):
                    for classes in (1, 4, 32) if fit == "good" else (1,):
                        with suppress(ValueError):
                            yield Policy(fit, order, coalesce, None, cut, classes)


POLICIES = tuple(every_policy())
#: What of the table runs each time: each value of each option, and the families.
FEW = [
    *(policy.name for policy in FAMILIES.values()),
    "first-fit/address/coalescing",
    "best-fit/size/non-coalescing",
    "best-fit/address/deferred-coalescing",
    "worst-fit/fifo/coalescing/end-cut",
    "next-fit/lifo/coalescing",
    "good-fit/address/coalescing/4-classes",
    "best-fit/size/coalescing/end-cut",
    "buddy/fifo/deferred-coalescing",
]


def test_there_are_so_many() -> None:
    assert len(POLICIES) == len({policy.name for policy in POLICIES}) == 153


# --------------------------------------------------------------------------- FreeRTOS's heaps


class Both:
    """A heap of FreeRTOS and the policy that it is: each call is made on both and compared."""

    def __init__(self, heap: Any, policy: PolicyHeap) -> None:
        self._heap, self._policy = heap, policy
        self.with_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._heap, name)

    def _call(self, name: str, *args: Any) -> Any:
        results = []
        for heap in (self._heap, self._policy):
            try:
                results.append(getattr(heap, name)(*args))
            except HeapError as error:
                results.append(type(error))
        assert results[0] == results[1], (name, args)
        self.compare()
        if isinstance(results[0], type):
            raise results[0]
        return results[0]

    def malloc(self, size: int) -> Any:
        return self._call("malloc", size)

    def calloc(self, count: int, size: int) -> Any:
        return self._call("calloc", count, size)

    def free(self, address: Any) -> Any:
        return self._call("free", address)

    def reset_minimum_ever_free_size(self) -> None:
        self._call("reset_minimum_ever_free_size")

    def compare(self) -> None:
        ours, theirs = self._policy, self._heap
        for what in ("free_size", "minimum_ever_free_size", "allocation_count", "free_count"):
            assert getattr(ours, what) == getattr(theirs, what), what
        assert ours.malloc_failed_count == theirs.malloc_failed_count
        listed = [block for block in theirs.free_blocks() if block.size]
        assert ours.free_blocks() == listed

    def compare_all(self) -> None:
        self.compare()
        ours, theirs = self._policy, self._heap
        assert ours.blocks() == theirs.blocks()
        for measure in (fragmentation.external_fragmentation, fragmentation.largest_request):
            assert measure(ours) == measure(theirs)
        if isinstance(theirs, Heap5) or theirs.canary:
            return  # markers are entries of its list; links are not stored as they are
        if theirs.end_marker_address in (None, theirs.base_address // 4 * 4 - 2 * theirs.word_size):
            self.with_bytes += 1
            assert bytes(ours) == bytes(theirs)
        ours.check()


@pytest.mark.parametrize("name", [name for name in vectors.NAMES if name[4] != "1"])
def test_freertos_heaps_are_points_of_the_space(name: str) -> None:
    made: list[Both] = []

    def make(case: vectors.Case) -> Both:
        options = {"word_size": case.word, "alignment": case.align}
        heap = make_heap(case)
        regions = case.target_regions
        policy = PolicyHeap(
            regions=regions, **POINT[case.heap], clear_on_free=case.clear_on_free, **options
        )
        made.append(Both(heap, policy))
        return made[-1]

    def refuses(case: vectors.Case) -> bool:
        try:
            PolicyHeap(
                regions=case.target_regions, **HEAP_4, word_size=case.word, alignment=case.align
            )
        except ValueError:
            return True
        return False

    refusals = vectors.Refusals(regions=ValueError, free=(InvalidFreeError,))
    cases = vectors.load(name)
    compared = []
    for case in cases:
        compared.append(vectors.run_case(case, make, refusals))
        if case.init == ["assert"]:
            assert refuses(case), case.id
        else:
            made[-1].compare_all()
    assert len(compared) == vectors.RECORDED[name].cases
    assert sum(compared) == vectors.RECORDED[name].operations
    assert sum(both.with_bytes for both in made) == BYTES.get(name, 0)


@pytest.mark.parametrize("name", ["lwip-3cli", "cjson-docs", "coap-server"])
def test_a_replay_records_the_same(name: str) -> None:
    trace = data.load(name)
    size = int(trace.peak_live_bytes * 1.5)
    for heap, policy in ((Heap4, HEAP_4), (Heap2, HEAP_2)):
        theirs = replay(trace, heap(size), record="all")
        ours = replay(trace, PolicyHeap(size, **policy), record="all")
        for column in COLUMNS:
            assert (theirs.column(column) == ours.column(column)).all(), (name, column)
        assert ours.failures == theirs.failures
        assert bytes(ours.heap) == bytes(theirs.heap)


# --------------------------------------------------------------------------- every policy


@dataclass
class Pair:
    """A heap and its model, over which calls are made side by side."""

    heap: PolicyHeap
    model: ReferencePolicy

    @classmethod
    def random(cls, policy: Policy, chance: random.Random) -> Pair | None:
        """Of random size, word, alignment, split and regions; None where there is no such heap."""
        word = chance.choice([4, 4, 8])
        alignment = chance.choice([a for a in (4, 8, 16, 32) if a >= word])
        header = -(-2 * word // alignment) * alignment
        if policy.fit != "buddy":
            split = chance.choice([None, None, header, header + 1, 64])
            policy = replace(policy, split=split and max(split, header))
        at = BASE + chance.choice([0, 0, 4, 12])
        regions = []
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            size = chance.randrange(3 * header + 2 * alignment, 1500)
            regions.append((at, size))
            at += size + chance.choice([0, 1, 5, 64, 4000])
        return cls.of(policy, regions, word, alignment)

    @classmethod
    def of(
        cls, policy: Policy, regions: list[tuple[int, int]], word: int = 4, alignment: int = 8
    ) -> Pair | None:
        try:
            heap = PolicyHeap(
                regions=regions, word_size=word, alignment=alignment, **options(policy)
            )
        except ValueError:
            return None
        return cls(
            heap, ReferencePolicy(regions, word=word, alignment=alignment, **options(policy))
        )

    def compare(self, what: object, *, with_nodes: bool = True) -> None:
        heap, model = self.heap, self.model
        assert heap._free_blocks() == model.free_list(), what
        assert heap.free_size == model.free_size, what
        assert [bytes(view) for view in heap._region_views()] == model.memory, what
        if with_nodes:
            assert heap._nodes == model.nodes, what
        heap.check()

    def malloc(self, size: int) -> int | None:
        address = self.heap.malloc(size)
        assert address == self.model.malloc(size), size
        self.compare(("malloc", size))
        return address

    def free(self, address: int) -> None:
        self.heap.free(address)
        self.model.free(address)
        self.compare(("free", hex(address)))


def options(policy: Policy) -> dict[str, Any]:
    chosen = asdict(policy)
    if policy.fit != "good":
        del chosen["classes"]
    return chosen


def random_calls(policy: Policy, seed: int, calls: int) -> int:
    chance = random.Random(repr((policy.name, seed)))
    pair = Pair.random(policy, chance)
    if pair is None:
        return 0
    live: list[int] = []
    pair.compare("set-up", with_nodes=False)
    for _ in range(calls):
        if live and chance.random() < 0.5:
            pair.free(live.pop(chance.randrange(len(live))))
        else:
            address = pair.malloc(chance.choice([chance.randrange(40), chance.randrange(1, 300)]))
            if address is not None:
                live.append(address)
        if chance.random() < 0.05:
            whole = chance.random() < 0.5
            pair.heap = pickle.loads(pickle.dumps(pair.heap)) if whole else pair.heap.copy()
            pair.compare("copy", with_nodes=False)
    return calls


@pytest.mark.parametrize("name", few_of([policy.name for policy in POLICIES], FEW))
def test_every_policy_does_what_its_model_does(name: str) -> None:
    compared = [random_calls(Policy.parse(name), seed, 120) for seed in range(8)]
    assert sum(compared) >= 4 * 120


@pytest.mark.long
@pytest.mark.parametrize("name", [policy.name for policy in POLICIES])
def test_every_policy_does_so_at_length(name: str) -> None:
    compared = [random_calls(Policy.parse(name), seed, 300) for seed in range(100, 104)]
    assert sum(compared) >= 2 * 300


#: What is asked for where every sequence is tried: a block that leaves no rest, and one that does.
SMALL, LARGE = 8, 40


def sequences(pair: Pair, live: tuple[int, ...], depth: int) -> int:
    """Every sequence of so many calls from here on; how many calls were compared."""
    if depth == 0:
        return 0
    calls: list[tuple[str, int]] = [("malloc", SMALL), ("malloc", LARGE)]
    calls += [("free", address) for address in live]
    total = 0
    for call, value in calls:
        twin = Pair(pair.heap.copy(), pickle.loads(pickle.dumps(pair.model)))
        after = live
        if call == "free":
            twin.free(value)
            after = tuple(address for address in live if address != value)
        else:
            address = twin.malloc(value)
            if address is not None:
                after = (*live, address)
        total += 1 + sequences(twin, after, depth - 1)
    return total


#: Arenas in which a few blocks fit; one that buddies fill with a sum of powers.
def tiny(policy: Policy) -> Pair:
    pair = Pair.of(policy, [(BASE, 136 if policy.fit == "buddy" else 128)])
    assert pair is not None
    return pair


@pytest.mark.parametrize("name", few_of([policy.name for policy in POLICIES], FEW[:3]))
def test_every_sequence_of_four(name: str) -> None:
    assert sequences(tiny(Policy.parse(name)), (), 4) >= 100


@pytest.mark.long
@pytest.mark.parametrize("name", [policy.name for policy in POLICIES])
def test_every_sequence_of_six(name: str) -> None:
    assert sequences(tiny(Policy.parse(name)), (), 6) > 1000


# --------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", few_of([policy.name for policy in POLICIES], FEW))
def test_an_overwritten_header_is_met_before_anything_changes(name: str) -> None:
    policy, met, passed = Policy.parse(name), 0, 0
    for seed in range(60):
        chance = random.Random(repr((name, seed)))
        pair = Pair.random(policy, chance)
        if pair is None:
            continue
        heap, live = pair.heap, []
        for _ in range(40):
            if live and chance.random() < 0.5:
                heap.free(live.pop(chance.randrange(len(live))))
            elif (address := heap.malloc(chance.randrange(1, 120))) is not None:
                live.append(address)
        whole = heap.copy()
        block = chance.choice(heap.blocks())
        overwrite(heap, block.address)
        with pytest.raises(HeapCorruptionError):
            heap.check()
        for _ in range(12):
            before = (heap._snapshot(), [bytes(view) for view in heap._region_views()])
            try:
                if live and chance.random() < 0.5:
                    victim = chance.choice(live)
                    heap.free(victim)
                    whole.free(victim)
                    live.remove(victim)
                else:
                    size = chance.randrange(1, 120)
                    address = heap.malloc(size)
                    assert address == whole.malloc(size)
                    if address is not None:
                        live.append(address)
                passed += 1
            except HeapCorruptionError as found:
                error = found
                break
        else:
            continue
        met += 1
        assert error.address == block.address
        assert (heap._snapshot(), [bytes(view) for view in heap._region_views()]) == before
    assert met >= 8
    assert passed > 50


def overwrite(heap: PolicyHeap, address: int) -> None:
    """One bit of a header."""
    for region, view in zip(heap.regions, heap._region_views(), strict=True):
        offset = address - region.address
        if 0 <= offset < len(view):
            view[offset + heap.word_size] ^= 8


# --------------------------------------------------------------------------- as any other heap


def test_a_policy_by_its_name() -> None:
    for policy in (*POLICIES, Policy("worst", "fifo", "deferred", 100, "end")):
        assert Policy.parse(policy.name) == policy
        cls = PolicyHeap.of(policy.name)
        assert cls is PolicyHeap.of(**options(policy))
        assert pickle.loads(pickle.dumps(cls)) is cls
        assert cls(2048).policy == policy
    assert PolicyHeap.of(fit="best", coalesce="free").chosen.name == "best-fit/address/coalescing"
    assert PolicyHeap.of().chosen == Policy() == PolicyHeap(100).policy
    assert pickle.loads(pickle.dumps(PolicyHeap)) is PolicyHeap
    assert repr(PolicyHeap.of("tlsf")) == "PolicyHeap.of('tlsf')"


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"fit": "middle"}, "fit is 'middle'; it must be 'first', "),
        ({"order": 3}, "order is 3; it must be "),
        ({"coalesce": True}, "coalesce is True; it must be "),
        ({"cut": "back"}, "cut is 'back'; it must be 'front' or 'end'"),
        ({"split": 0}, "split is 0; it must be a number of bytes, 1 or more"),
        ({"split": 7}, "split is 7; a rest has a header of 8 bytes: no less"),
        ({"classes": 4}, "classes is 4; only fit='good' has classes"),
        ({"fit": "good", "classes": 3}, "classes is 3; it must be 1, 2, 4, 8, 16 or 32"),
        ({"split": 2**64}, f"split is {2**64}; it must be a number of bytes, 1 or more"),
        ({"fit": "good", "order": "size"}, "order is 'size' and fit 'good', which has a list"),
        ({"fit": "buddy", "order": "size"}, "order is 'size' and fit 'buddy', which has a list"),
        ({"fit": "next", "order": "size"}, "order is 'size' and fit 'next': "),
        ({"fit": "buddy", "split": 64}, "split is 64 and fit 'buddy', which halves"),
        ({"fit": "buddy", "cut": "end"}, "cut is 'end' and fit 'buddy', which halves"),
    ],
)
def test_what_makes_no_sense_is_said(chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says.split(";")[0]) as caught:
        PolicyHeap(1024, **chosen)
    assert str(caught.value).startswith(says)


def test_numbers_of_a_policy_are_ints() -> None:
    """Of equal policies the first one's class is kept."""
    one = PolicyHeap.of(fit="good", classes=np.int64(8), split=np.int64(40))
    assert one is PolicyHeap.of("good-fit/8-classes/split-40")
    assert type(one.chosen.classes) is type(one.chosen.split) is int
    assert one(4096).policy == one.chosen
    for name, wrong in (("classes", 8.0), ("classes", "8"), ("split", "16"), ("split", 16.0)):
        with pytest.raises(TypeError, match=f"^{name} is {wrong!r}; it must be "):
            PolicyHeap.of(fit="good", **{name: wrong})
    for part in ("split-" + "9" * 5000, "split-\u0661\u0666", "\u0661-classes"):
        with pytest.raises(ValueError, match=f"names no policy: '{part}' says nothing"):
            PolicyHeap.of(f"good-fit/{part}")


def test_memory_or_regions() -> None:
    with pytest.raises(TypeError, match="memory or regions: one of them"):
        PolicyHeap()
    with pytest.raises(TypeError, match="memory or regions: one of them"):
        PolicyHeap(100, regions=[(8, 100)])
    with pytest.raises(TypeError, match="base_address goes with memory"):
        PolicyHeap(regions=[(8, 100)], base_address=8)
    with pytest.raises(TypeError, match="'size' is no option of a policy"):
        PolicyHeap.of(size=3)
    with pytest.raises(ValueError, match="'worst/best' names no policy: 'worst' says nothing"):
        PolicyHeap.of("worst/best")
    with pytest.raises(ValueError, match="'lifo' names no policy: it says no fit"):
        PolicyHeap.of("lifo")
    with pytest.raises(ValueError, match=r"'best-fit/lifo/fifo' .*'fifo' says order again"):
        PolicyHeap.of("best-fit/lifo/fifo")


def test_it_is_a_heap_like_any_other() -> None:
    memory = bytearray(b"\xaa" * 512)
    heap = PolicyHeap(memory, fit="best", base_address=0x1000, clear_on_free=True)
    address = heap.malloc(40)
    assert address == 0x1008
    assert heap.usable_size(address) == 40
    heap.view(address)[:] = b"x" * 40
    assert memory[8:48] == b"x" * 40
    with pytest.raises(InvalidFreeError):
        heap.free(address + 8)
    heap.free(address)
    assert memory[8:48] == bytes(40)
    with pytest.raises(DoubleFreeError):
        heap.free(address)
    zeroed = heap.calloc(4, 8)
    assert zeroed is not None
    assert heap.stats().free_block_count == 1
    assert (heap.kernel, heap.newlib, heap.canary) == (None, None, None)
    assert "best-fit/address/coalescing" in repr(heap)
    assert heap._repr_html_()
    heap.reset()
    assert heap.free_size == 504
    heap.check()


def test_a_reset_heap_is_as_new() -> None:
    for policy in POLICIES:
        heap = PolicyHeap(1024, **options(policy))
        new = heap.copy()
        for size in (100, 20, 300):
            heap.malloc(size)
        heap.reset()
        snapshots = heap._snapshot(), new._snapshot()
        for snapshot in snapshots:
            del snapshot["ever"]
        assert snapshots[0] == snapshots[1]
        assert heap.malloc(50) == new.malloc(50)


def test_of_what_a_snapshot_says_nothing_is_trusted() -> None:
    heap = PolicyHeap(1024, fit="next", order="lifo")
    held = [heap.malloc(size) for size in (40, 50, 60, 70)]
    heap.free(held[0])
    heap.free(held[2])
    snapshot = heap._snapshot()
    memory = bytearray(heap.memory)
    entries = [int.from_bytes(snapshot["free_list"][at : at + 8], "little") for at in (0, 8)]
    wrongs: dict[str, Any] = {
        "free_list": b"".join(e.to_bytes(8, "little") for e in (entries[0], entries[0])),
        "rover": entries[0] + 8,
        "policy": ("next", "lifo", "free", 4, "front", 1),
        "blocks": snapshot["blocks"][:-24],
        "frees": -1,
    }
    for name, wrong in wrongs.items():
        with pytest.raises((ValueError, TypeError)):
            _core._restore(PolicyHeap, [memory], {**snapshot, name: wrong})
    key = ("good", "size", "free", 0, "front", 1)
    with pytest.raises(ValueError, match="no order of sizes"):
        _core._restore(PolicyHeap, [memory], {**snapshot, "policy": key})
    with pytest.raises(ValueError, match="'policy' is of another heap"):
        _core._restore(PolicyHeap, [memory], {**snapshot, "policy": None})
    again = _core._restore(PolicyHeap, [memory], snapshot)
    assert again._snapshot() == snapshot
    assert [again.malloc(30), again.malloc(30)] == [heap.malloc(30), heap.malloc(30)]


@pytest.mark.parametrize("fit", FITS)
def test_a_snapshots_list_ends_outside_the_blocks(fit: str) -> None:
    """A link that names a block would be none, and 0 is what no entry's link is."""
    heap = PolicyHeap(regions=[(64, 512), (1024, 256)], fit=fit, coalesce="never")
    held = [heap.malloc(40) for _ in range(5)]
    for address in held[::2]:
        heap.free(address)
    snapshot, memories = heap._snapshot(), [bytearray(region.memory) for region in heap.regions]
    blocks = [block.address for block in heap.blocks()]
    assert len(blocks) >= 6
    for marker in (0, 2, *blocks, *(block + 4 for block in blocks)):
        changed = {**snapshot, "end_marker_address": marker}
        with pytest.raises(ValueError, match="end_marker_address must be a multiple of 4, not 0"):
            _core._restore(PolicyHeap, memories, changed)


def test_heap_1_has_no_headers() -> None:
    # The one of the five that is no point: a block's payload is the block.
    assert Heap1(64).malloc(8) == BASE
    assert PolicyHeap(64).malloc(8) == BASE + 8
