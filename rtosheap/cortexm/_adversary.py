"""The worst calls that can be found by running: heaps made to be slow, and a search from there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from rtosheap.cortexm._proof import CLEARING
from rtosheap.cortexm.images import ARENA, Configuration, Regions, machine, placed, set_up
from rtosheap.cortexm.machine import Call, Machine
from rtosheap.kinds import layout_of

__all__ = ["Found", "find_worst"]

_CALLS = ("pvPortMalloc", "vPortFree")
_PROBED = 24  # calls of each function that are tried on a heap
_CHANGES = 12  # calls, at most, from one heap that is tried to the next
_CHURN = 1500  # calls on a heap of random blocks
# Instructions for which a call counts besides its own, and so many bytes that are set again.
_CALL, _BYTES = 500, 16


class Found(NamedTuple):
    """The most instructions of a malloc and of a free that were seen, and how many calls ran."""

    malloc: int
    free: int
    calls: int


class _State(NamedTuple):
    memory: tuple[bytes, ...]
    live: tuple[int, ...]


class _Adversary:
    """A heap on a processor, and the worst that was seen of it."""

    def __init__(self, configuration: Configuration, regions: Regions, budget: int) -> None:
        alignment = configuration.kernel.alignment
        layout = replace(layout_of(configuration.heap), alignment=alignment)
        self.frees = layout.frees
        self.by_size = layout.by_size
        self.step = alignment
        self.header = layout.header
        self.size = sum(size for _, size in regions)
        self.left = budget
        self.calls = 0
        self.worst = dict.fromkeys(_CALLS, 0)
        self.live: list[int] = []
        arena, more = placed(configuration, regions)
        self._machine: Machine = machine(configuration, arena, more)
        self._machine.leave_out(CLEARING if configuration.kernel.clear_on_free else ())
        set_up(self._machine, layout, regions)
        self._pieces = [(ARENA, self._machine.symbols["rh_bss_end"] - ARENA), *more]
        self.fresh = self.save()

    def malloc(self, size: int) -> int:
        """The instructions; a block that was got is live from now on."""
        call = self._call("pvPortMalloc", size)
        if call.result:
            self.live.append(call.result)
        return call.instructions

    def free(self, at: int) -> int:
        """The instructions of a free of the live block of this number; of NULL where none may be
        freed."""
        if not self.frees:
            return self._call("vPortFree", 0).instructions
        self.live[at], self.live[-1] = self.live[-1], self.live[at]
        return self._call("vPortFree", self.live.pop()).instructions

    def _call(self, function: str, argument: int) -> Call:
        call = self._machine.call(function, argument)
        self.calls += 1
        self.left -= call.instructions + _CALL
        self.worst[function] = max(self.worst[function], call.instructions)
        return call

    def save(self) -> _State:
        """What the heap is now."""
        memory = tuple(self._machine.read(*piece) for piece in self._pieces)
        return _State(memory, tuple(self.live))

    def restore(self, state: _State) -> None:
        """Make it that again."""
        for (address, size), memory in zip(self._pieces, state.memory, strict=True):
            self._machine.write(address, memory)
            self.left -= size // _BYTES
        self.live = list(state.live)


def find_worst(configuration: Configuration, regions: Regions, budget: int, seed: int) -> Found:
    """Make heaps that are slow, try calls on each, and go on from the worst by small changes, until
    so many instructions have run; where there is an index, half of them for random calls.
    """
    one = _Adversary(configuration, regions, budget)
    dice = random.Random(seed)
    made: list[tuple[int, str, _State]] = []
    each = max(budget // 24, 1)
    if configuration.kernel.indexed and one.frees:
        _churn(one, dice, budget // 2)
    enough = one.left // 2
    for state in _heaps(one):
        made += [(_probe(one, state, call, dice, each), call, state) for call in _CALLS]
        if one.left <= enough:
            break
    for number, call in enumerate(_CALLS if one.frees else ()):
        worst = max((m for m in made if m[1] == call), key=lambda m: m[0])
        _climb(one, worst[2], call, dice, one.left // (2 - number))
    return Found(one.worst["pvPortMalloc"], one.worst["vPortFree"], one.calls)


def _churn(one: _Adversary, dice: random.Random, instructions: int) -> None:
    """Blocks of all sizes come and go at random: what an index costs depends on how its entries are
    spread, and no heap is known to be its worst.
    """
    until = one.left - instructions
    while one.left > until:
        one.restore(one.fresh)
        count = -1
        while count < len(one.live):  # until a block does not fit
            count = len(one.live)
            one.malloc(dice.randint(1, one.size // 32) if dice.random() < 0.3 else 1)
        while len(one.live) > count // 2:
            one.free(dice.randrange(len(one.live)))
        for _ in range(_CHURN):
            if one.left <= until:
                break
            if one.live and dice.random() < 0.5:
                one.free(dice.randrange(len(one.live)))
            else:
                most = dice.choice((0, 8, 72, one.size // (14 * one.step)))
                one.malloc(1 + one.step * dice.randint(0, most))


_Filling = Callable[[int], int]


def _heaps(one: _Adversary) -> Iterator[_State]:
    """Heaps that are slow."""
    if one.by_size:
        yield from _sorted(one)
    for sizes in _fillings(one):
        for part in (0, 1):
            one.restore(one.fresh)
            _fill(one, sizes, part)
            yield one.save()


def _sorted(one: _Adversary) -> Iterator[_State]:
    """A list by size of as many smallest blocks as there can be, and one behind them that is split:
    first allocated, then free."""
    least = one.header + one.step
    # A block that is wanted, and the least rest.
    last = least + one.step + 2 * one.header + one.step
    for _ in range((one.size - one.step - last) // least):
        one.malloc(1)
    one.malloc(last - one.header)
    for at in range(len(one.live) - 2, -1, -1):
        one.free(at)
    state = one.save()
    yield state
    one.restore(state)
    one.free(0)
    yield one.save()


def _fillings(one: _Adversary) -> Iterator[_Filling]:
    """The payload of each block in turn; every second becomes a hole.

    All alike; holes in ascending and descending order, so that a larger one is always the last or
    the first; and small ones of which every so many is followed by one that is larger.
    """
    step, least = one.step, 1
    yield lambda i: least
    blocks = max(one.size // (2 * (one.header + step)), 2)
    for rise in (1, -1):
        top = max(int((2 * one.size / step) ** 0.5) // 2, 2)
        yield lambda i, rise=rise, top=top: (  # type: ignore[misc]
            least + step * (i // 2 % top if rise > 0 else top - i // 2 % top)
        )
    for period in (4, 8, 16, 32, 64):
        if period < blocks:
            yield lambda i, period=period: (  # type: ignore[misc]
                least + step * (1 + i // (2 * period) % 64) * (i // 2 % period == period - 1)
            )


def _fill(one: _Adversary, sizes: _Filling, part: int) -> None:
    """Blocks of these sizes until no more fits, of which every second goes, the last one first."""
    count = 0
    while True:
        before = len(one.live)
        one.malloc(sizes(count))
        if len(one.live) == before:
            break
        count += 1
    while one.malloc(1) and len(one.live) > count:  # what is left at the end
        count += 1
    if one.frees:
        for at in range(count - 1 - (count - 1 - part) % 2, -1, -2):
            one.free(at)


def _probe(
    one: _Adversary, state: _State, function: str, dice: random.Random, instructions: int
) -> int:
    """The worst of some calls of a function on a heap: the ends of its list, some at random."""
    worst = 0
    until = one.left - instructions
    count = len(state.live)
    for number in range(_PROBED):
        one.restore(state)
        if function == "pvPortMalloc":
            sizes = [one.size, 2 * one.step, one.size // 64, 1, 3 * one.step, 3 * one.step + 1]
            size = sizes[number] if number < len(sizes) else one.step * dice.randint(1, 72)
            worst = max(worst, one.malloc(size))
        elif count:
            ends = [max(range(count), key=state.live.__getitem__), 0, count // 2]
            worst = max(worst, one.free(ends[number] if number < 3 else dice.randrange(count)))
        if one.left < until:
            break
    return worst


def _climb(
    one: _Adversary, start: _State, function: str, dice: random.Random, instructions: int
) -> None:
    """From a heap to one that differs by a few calls, as long as its worst call is no better."""
    until = one.left - instructions
    best, state = 0, start
    while one.left > max(until, 0):
        one.restore(state)
        for _ in range(dice.randint(1, _CHANGES)):
            if one.live and one.frees and dice.random() < 0.5:
                one.free(dice.randrange(len(one.live)))
            else:
                one.malloc(dice.choice((1, 1, 2 * one.step, one.step * dice.randint(1, 72))))
        changed = one.save()
        worst = _probe(one, changed, function, dice, max(instructions // 16, 1))
        if worst >= best:
            best, state = worst, changed
