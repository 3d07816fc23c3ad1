"""Heap and model, side by side, through random calls.

Everything that can be seen of the two is compared after each call.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import (
    DoubleFree,
    Fault,
    HeaderOverHeader,
    InvalidFree,
    MallocAsserts,
    Model,
    Model1,
    Model2,
    Model3,
    Model4,
    Model5,
    ModelError,
    NullLink,
    ReadsAddress0,
    RequestWraps,
    StaysListed,
    WritesAddress4,
    ZeroesBeyond,
    round_up,
)
from parts import few_of

import rtosheap

HEAPS = {
    1: rtosheap.Heap1,
    2: rtosheap.Heap2,
    3: rtosheap.Heap3,
    4: rtosheap.Heap4,
    5: rtosheap.Heap5,
}
MODELS: dict[int, Any] = {1: Model1, 2: Model2, 3: Model3, 4: Model4, 5: Model5}
ERRORS: dict[type[ModelError], type[Exception]] = {
    InvalidFree: rtosheap.InvalidFreeError,
    DoubleFree: rtosheap.DoubleFreeError,
    MallocAsserts: rtosheap.HeapAssertionError,
    HeaderOverHeader: rtosheap.HeapError,
    ZeroesBeyond: rtosheap.HeapError,
    NullLink: rtosheap.HeapError,
    ReadsAddress0: rtosheap.HeapError,
    WritesAddress4: rtosheap.HeapError,
    RequestWraps: rtosheap.HeapError,
}
#: By heap, a release of each profile, the newest first.
KERNELS = {
    1: [None, "V10.4.5", "V11.3.0"],
    2: [None, "V10.4.2", "V10.4.5", "V10.4.6", "V10.6.2", "V8.2.3"],
    4: [None, "V10.4.6", "V10.5.1", "V10.6.2", "V11.1.0", "V11.2.0", "V10.2.1"],
    5: [None, "V10.4.6", "V10.5.1", "V10.6.2", "V11.1.0", "V11.2.0", "V11.3.0", "V8.2.3"],
}
NEWLIBS = ["4.4.0", "3.3.0", "4.1.0", "4.2.0", "4.3.0"]


@dataclass(frozen=True)
class Config:
    """What a heap and its model are built from."""

    kind: int
    regions: tuple[tuple[int, int], ...]
    options: dict[str, Any]
    fill: int = 0  # what the memory holds before set-up, which must not clear it

    def heap(self) -> Any:
        buffers = [(address, bytearray([self.fill]) * size) for address, size in self.regions]
        if self.kind == 5:
            return rtosheap.Heap5(buffers, **self.options)
        address, memory = buffers[0]
        return HEAPS[self.kind](memory, base_address=address, **self.options)

    def model(self) -> Model:
        if self.kind == 5:
            model: Model = Model5(list(self.regions), **self.options, fill=self.fill)
        else:
            address, size = self.regions[0]
            model = MODELS[self.kind](size, base_address=address, **self.options, fill=self.fill)
        return model


@st.composite
def options_of(draw: st.DrawFn, kind: int) -> dict[str, Any]:
    """The keyword arguments of a heap: layout and configuration."""
    if kind == 3:
        return {"newlib": draw(st.sampled_from(NEWLIBS))}
    word_size = draw(st.sampled_from([4, 8]))
    options: dict[str, Any] = {
        "word_size": word_size,
        "alignment": draw(st.sampled_from([a for a in (8, 4, 16, 32) if a >= word_size])),
        "kernel": draw(st.sampled_from(KERNELS[kind])),
    }
    if kind in (2, 4, 5):
        options["clear_on_free"] = draw(st.booleans())
    if kind in (4, 5):
        words = st.integers(0, (1 << (8 * word_size)) - 1)
        options["canary"] = draw(st.none() | words)
    return options


@st.composite
def configs(draw: st.DrawFn, kind: int) -> Config:
    """A heap that can be built, over one to four regions of up to about 1 KiB."""
    options = draw(options_of(kind))
    word_size = options.get("word_size", 4)
    alignment = options.get("alignment", 8)
    header = round_up(2 * word_size, alignment)
    bases = [0x2000_0000, 0x200, 0xFFFF_0000]
    if word_size == 8:
        bases.append(0x55BD_5DCD_5000)
    address = draw(st.sampled_from(bases)) + draw(st.integers(0, 40))
    smallest = alignment + 1 if kind == 1 else alignment + 2 * header
    smallest = 16 if kind == 3 else smallest
    regions = []
    for later in reversed(range(draw(st.integers(1, 4)) if kind == 5 else 1)):
        size = draw(st.integers(smallest, smallest + draw(st.sampled_from([1000, 1000, 100]))))
        if draw(st.booleans()):
            size = round_up(size, alignment)  # else an exact fit would be rare
        if later and draw(st.booleans()):
            # A region of usable size 0: room for alignment and end marker, no more.
            size = round_up(address, alignment) - address + header
        regions.append((address, size))
        address += size + draw(st.sampled_from([0, 0, 1, 8, 100]))
    if kind == 2 and draw(st.booleans()):
        options["end_marker_address"] = draw(st.sampled_from([0x1000_0000, 0x3000_0000]))
    return Config(kind, tuple(regions), options, fill=draw(st.sampled_from([0, 0xA5, 0xFF])))


@dataclass(frozen=True)
class Near:
    """A size beside a landmark: the sum of what is free, a free block, an end of the word."""

    landmark: int
    headers: int
    delta: int


SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(0, 400),
    st.sampled_from([8, 20, 60]),  # blocks of equal size, and holes that fit again
    st.builds(Near, st.integers(0, 20), st.integers(0, 3), st.sampled_from([0, -1, 1, -8, -40])),
)
PICKS = st.integers(0, 1000)


def looks(heap: Any) -> Any:
    """What can be seen of a heap."""
    blocks = [[*map(tuple, heap.blocks())], [*map(tuple, heap.free_blocks())]]
    counts = (heap.free_size, heap.minimum_ever_free_size, heap.malloc_failed_count)
    return blocks, counts, [bytes(region.memory) for region in heap.regions]


class HeapMachine(RuleBasedStateMachine):
    kind: int

    @initialize(data=st.data())
    def build(self, data: st.DataObject) -> None:
        config = data.draw(configs(self.kind), label="config")
        self.config = config
        self.model = config.model()
        self.heap = config.heap()
        sizes = [size for _, size in config.regions]
        assert self.heap.base_address == config.regions[0][0]
        assert self.heap.size == sum(sizes)
        assert self.heap.word_size == self.model.word_size
        assert self.heap.alignment == self.model.alignment
        if self.kind == 3:
            assert self.heap.kernel is None
        else:
            assert self.heap.kernel == (config.options["kernel"] or "main")
        assert [(r.address, len(r.memory)) for r in self.heap.regions] == list(config.regions)

    # What is drawn is resolved against the heap as it then is, so that it shrinks well.

    def size(self, drawn: int | Near) -> int:
        if isinstance(drawn, int):
            return drawn
        model = self.model
        landmarks = [model.free_size, *(size for _, size in model.free_blocks())]
        landmarks += [model.word_max, model.top_bit]
        header = getattr(model, "header_size", 8)  # what newlib-nano adds to a request is 8
        size = landmarks[drawn.landmark % len(landmarks)] - drawn.headers * header + drawn.delta
        return min(max(size, 0), model.word_max)

    def both(self, call: Callable[[Any], Any], *, goes_on: bool = False) -> Any:
        """The same call on both; `goes_on`: with a chunk that malloc gave."""
        is_last = False
        try:
            expected = call(self.model)
        except StaysListed as fault:
            expected, is_last = fault.address, True  # no result after it is defined
        except ModelError as error:
            self.both_refuse(call, error)
            return None
        if is_last and goes_on:
            with suppress(rtosheap.HeapError):
                call(self.heap)
        else:
            assert call(self.heap) == expected
        if is_last:
            self.model, self.heap = self.config.model(), self.config.heap()
            return None
        return expected

    def both_refuse(self, call: Callable[[Any], Any], error: ModelError) -> None:
        before = looks(self.heap)
        with pytest.raises(rtosheap.HeapError) as caught:
            call(self.heap)
        assert caught.type is ERRORS[type(error)]
        assert looks(self.heap) == before
        if isinstance(error, Fault):
            self.reset()

    def free_both(self, address: int | None) -> None:
        self.both(lambda heap: heap.free(address))

    @rule(drawn=SIZES)
    def malloc(self, drawn: int | Near) -> None:
        size = self.size(drawn)
        self.both(lambda heap: heap.malloc(size))

    @rule(below=st.integers(0, 40))
    def malloc_of_almost_the_word(self, below: int) -> None:
        size = self.model.word_max - below
        self.both(lambda heap: heap.malloc(size))
        self.both(lambda heap: heap.calloc(1, size))

    @rule(below=st.integers(0, 12))
    def malloc_of_all_that_is_free(self, below: int) -> None:
        size = max(self.model.free_size - getattr(self.model, "header_size", 8) - below, 0)
        self.both(lambda heap: heap.malloc(size))

    @precondition(lambda self: self.kind == 3)
    @rule(leave=st.integers(0, 24), more=st.integers(0, 24))
    def fill_and_grow(self, leave: int, more: int) -> None:
        """A last chunk that ends near the arena's, freed: newer newlibs extend it."""
        rest = self.model.free_blocks()[-1:]
        size = max(rest[0][1] - 8 - leave, 0) if rest else 0
        self.free_both(self.both(lambda heap: heap.malloc(size)))
        self.both(lambda heap: heap.malloc(size + more))

    @rule(drawn=SIZES, n=st.sampled_from([1, 2, 3, 0, 1 << 16, (1 << 32) - 1]))
    def calloc(self, drawn: int | Near, n: int) -> None:
        size = self.size(drawn)
        self.both(lambda heap: heap.calloc(n, size))

    @precondition(lambda self: self.kind == 3)
    @rule(drawn=SIZES, pick=PICKS)
    def realloc(self, drawn: int | Near, pick: int) -> None:
        size = self.size(drawn)
        some = [*self.model.live_addresses(), *self.model.dead_addresses(), None]
        address = some[pick % len(some)]
        self.both(lambda heap: heap.realloc(address, size), goes_on=True)

    @precondition(lambda self: self.kind == 3)
    @rule(drawn=SIZES, alignment=st.sampled_from([0, 1, 4, 8, 16, 32, 64, 3, 12, 1 << 31]))
    def memalign(self, drawn: int | Near, alignment: int) -> None:
        size = self.size(drawn)
        self.both(lambda heap: heap.memalign(alignment, size), goes_on=True)

    @rule(size=st.sampled_from([-1, -(1 << 80), 1 << 64, 1 << 80, "8", 8.0, None]))
    def malloc_of_no_size(self, size: Any) -> None:
        expected: type[Exception] = TypeError
        if isinstance(size, int):
            expected = ValueError if size < 0 else OverflowError
        with pytest.raises(expected):
            self.heap.malloc(size)
        with pytest.raises(expected):
            self.heap.calloc(1, size)

    @rule()
    def malloc_beyond_the_word(self) -> None:
        with pytest.raises(OverflowError):
            self.heap.malloc(self.model.word_max + 1)

    @precondition(lambda self: self.model.live_addresses())
    @rule(pick=PICKS)
    def free(self, pick: int) -> None:
        live = self.model.live_addresses()
        self.free_both(live[pick % len(live)])

    @rule()
    def free_null(self) -> None:
        self.free_both(None)

    @precondition(lambda self: self.model.dead_addresses())
    @rule(pick=PICKS)
    def free_twice(self, pick: int) -> None:
        dead = self.model.dead_addresses()
        self.free_both(dead[pick % len(dead)])

    @rule(pick=PICKS, offset=st.integers(-40, 1200), unaligned=st.integers(0, 7))
    def free_anywhere(self, pick: int, offset: int, unaligned: int) -> None:
        regions = self.model.region_list
        start = regions[pick % len(regions)][0]
        self.free_both(round_up(start + offset, 8) + (unaligned if pick % 2 else 0))

    @rule(address=st.sampled_from([0, -1, -8, 1 << 32, 1 << 63, 1 << 64, -(1 << 80), 1 << 80]))
    def free_far_away(self, address: int) -> None:
        self.free_both(address)

    @precondition(lambda self: self.model.live_addresses())
    @rule(pick=PICKS, data=st.binary(min_size=1, max_size=48))
    def write(self, pick: int, data: bytes) -> None:
        live = self.model.live_addresses()
        address = live[pick % len(live)]
        view = self.heap.view(address)
        assert len(view) == self.model.usable_size(address)
        data = data[: len(view)]
        view[: len(data)] = data
        self.model.write(address, data)

    @precondition(lambda self: self.model.live_addresses())
    @rule(pick=PICKS, size=st.sampled_from([8, 16, 24, 32, 48]))
    def forge_a_header(self, pick: int, size: int) -> None:
        """The application writes what looks like an allocated block, and frees that."""
        model = self.model
        live = model.live_addresses()
        address = live[pick % len(live)]
        word = model.word_size
        link = getattr(model, "canary", None) or 0
        header = link.to_bytes(word, "little") + (size | model.top_bit).to_bytes(word, "little")
        forged = round_up(address + len(header), model.alignment)
        data = header.rjust(forged - address, b"\0")
        if model.usable_size(address) > len(data):
            self.heap.view(address)[: len(data)] = data
            model.write(address, data)
            self.free_both(forged)

    @rule()
    def reset_minimum(self) -> None:
        self.heap.reset_minimum_ever_free_size()
        self.model.reset_minimum_ever_free_size()

    @rule()
    def reset(self) -> None:
        self.heap.reset()
        self.model.reset()

    @rule(keep=st.booleans())
    def copy(self, keep: bool) -> None:
        original, twin = self.heap, self.heap.copy()
        # Whichever of the two goes on must not notice what happens to the other.
        self.heap, other = (twin, original) if keep else (original, twin)
        with suppress(rtosheap.HeapError):
            other.malloc(24)

    @rule(protocol=st.integers(2, pickle.HIGHEST_PROTOCOL))
    def pickle(self, protocol: int) -> None:
        self.heap = pickle.loads(pickle.dumps(self.heap, protocol))

    @invariant()
    def same(self) -> None:
        heap, model = self.heap, self.model
        assert heap.free_size == model.free_size
        assert heap.minimum_ever_free_size == model.minimum_ever_free_size
        try:
            stats = model.stats()
        except NullLink:
            with pytest.raises(rtosheap.HeapError):
                heap.stats()
        else:
            assert tuple(heap.stats()) == stats
        assert heap.malloc_failed_count == model.malloc_failed_count
        assert [tuple(block) for block in heap.blocks()] == model.blocks()
        assert [tuple(block) for block in heap.free_blocks()] == model.free_blocks()
        for address in model.live_addresses():
            assert heap.usable_size(address) == model.usable_size(address)
        images = model.regions_bytes()
        assert [bytes(region.memory) for region in heap.regions] == images
        if len(images) == 1:
            assert bytes(memoryview(heap)) == images[0]
        heap.check()


SETTINGS = settings(
    stateful_step_count=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("examples", few_of([40, 250], [40]))
@pytest.mark.parametrize("kind", HEAPS)
def test_heap_and_model_agree(kind: int, examples: int) -> None:
    machine: Any = type(f"Heap{kind}Machine", (HeapMachine,), {"kind": kind})
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=examples))


@st.composite
def doubtful_configs(draw: st.DrawFn) -> Config:
    """Mostly too small, misplaced or of a layout that does not exist."""
    kind = draw(st.sampled_from([1, 2, 4, 5]))
    config = Config(kind, (), draw(options_of(kind)))
    address = draw(st.sampled_from([0, 0x2000_0000])) + draw(st.integers(0, 40))
    regions = []
    for _ in range(draw(st.integers(0, 3)) if kind == 5 else 1):
        size = draw(st.integers(0, 120))
        regions.append((address, size))
        address += draw(st.just(size) | st.integers(0, 120))
    if draw(st.booleans()) and regions:
        # At the top of the address space.
        word_size = config.options["word_size"]
        shift = (1 << (8 * word_size)) - sum(regions[-1]) + draw(st.integers(-9, 9))
        regions = [(address + shift, size) for address, size in regions]
    if draw(st.integers(0, 4)) == 4:
        layout = {"word_size": draw(st.sampled_from([0, 2, 4, 8, 16]))}
        layout["alignment"] = draw(st.sampled_from([0, 1, 2, 4, 8, 12, 16, 24, 32, 64]))
        config.options.update(layout)
        if config.kind in (4, 5):
            config.options["canary"] = None  # one that was drawn for the other word may not fit
    return replace(config, regions=tuple(regions))


@given(doubtful_configs())
@settings(max_examples=300)
def test_heap_and_model_refuse_the_same(config: Config) -> None:
    word_size, alignment = config.options["word_size"], config.options["alignment"]
    if config.kind in (1, 2):
        # Not settled by any recording: heap_1 with 0 usable bytes, heap_2 with fewer than a header.
        usable = config.regions[0][1] - alignment
        header = 0 if config.kind == 1 else round_up(2 * word_size, max(alignment, 1))
        assume(usable < 0 or usable > header)
    if config.kind == 2:
        # The default end marker would lie below address 0.
        assume(config.regions[0][0] >= 4 * word_size)
    # Nor is an arena whose end is the end of the address space.
    assume(all(address + size != 1 << (8 * word_size) for address, size in config.regions))
    try:
        config.model()
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            config.heap()
    else:
        config.heap()
