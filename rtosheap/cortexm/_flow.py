"""Control flow of machine code, its loops, and the longest path from entry to return.

A loop is collapsed from inside out. Of one that turns at most n times more after it was entered the
longest passage is n of its longest turns and the longest way from its first instruction to where it
is left, wherever that is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from rtosheap.cortexm._code import Code, CodeError, Instruction

__all__ = ["Flow", "Loop", "Path", "Paths", "reached"]


class Loop(NamedTuple):
    """A natural loop.

    Attributes
    ----------
    header : int
        The one address at which it is entered.
    body : frozenset of int
        Addresses of its instructions, those of loops inside it among them.
    latches : tuple of int
        From where it turns to the header.
    inner : tuple of Loop
        The loops directly inside it.
    """

    header: int
    body: frozenset[int]
    latches: tuple[int, ...]
    inner: tuple[Loop, ...]

    @property
    def own(self) -> list[int]:
        """Its instructions that are in no loop inside it."""
        return sorted(self.body.difference(*(loop.body for loop in self.inner)))


class Flow:
    """The instructions that a function may execute before it returns.

    Parameters
    ----------
    code : Code
        The image.
    entry : int
        The function's first address.
    never : collection of str
        Functions that are never called, or never return: what calls them is on no path. A name is
        meant with whatever suffix a compiler gives to its copies.
    dead : callable, optional
        Called with the flow without it; the addresses of instructions that are never executed.
    """

    def __init__(
        self,
        code: Code,
        entry: int,
        never: Collection[str] = (),
        dead: Callable[[Flow], Collection[int]] | None = None,
    ) -> None:
        self.code = code
        self.entry = entry
        self.instructions: dict[int, Instruction] = {}
        reached = self._reached(never)
        self._link(reached)
        without = dead(self) if dead is not None else ()
        if without:
            alive = {at: follow for at, follow in reached.items() if at not in without}
            self._link({at: [t for t in follow if t in alive] for at, follow in alive.items()})

    def _link(self, reached: Mapping[int, list[int]]) -> None:
        """What follows what, of all that leads to a return."""
        self.next: dict[int, list[int]] = {at: [] for at in reached}
        self.before: dict[int, list[int]] = {at: [] for at in reached}
        returning = self._returning(reached)
        if self.entry not in returning:
            raise CodeError(f"{self.code.name_of(self.entry)} does not return")
        for at, targets in reached.items():
            for target in targets:
                if at in returning and target in returning:
                    self.next[at].append(target)
                    self.before[target].append(at)
        #: The instructions, each before those that follow it but for the turns of loops.
        self.order = self._postorder()[::-1]

    @cached_property
    def loops(self) -> list[Loop]:
        """The loops; first those that contain none."""
        return self._nested(self._natural())

    def _reached(self, never: Collection[str]) -> dict[int, list[int]]:
        """Every instruction that may follow the first, and what may follow it."""
        reached: dict[int, list[int]] = {}
        todo = [self.entry]
        while todo:
            start = todo.pop()
            if start in reached:
                continue
            for one in self.code.run(start):
                self.instructions[one.address] = one
                follow = [one.address + one.size] if one.falls else []
                if one.kind == "jump":
                    follow += one.targets
                    todo += one.targets
                elif one.kind == "call":
                    callee = self.code.name_of(one.targets[0])
                    if callee.split(".")[0] in never:
                        follow = []
                reached[one.address] = follow
                if not follow:
                    break
        return reached

    def _returning(self, reached: Mapping[int, list[int]]) -> set[int]:
        """The instructions from which a return can be reached."""
        before: dict[int, list[int]] = {at: [] for at in reached}
        for at, targets in reached.items():
            for target in targets:
                before[target].append(at)
        found = {at for at in reached if self.instructions[at].kind == "return"}
        todo = list(found)
        while todo:
            for at in before[todo.pop()]:
                if at not in found:
                    found.add(at)
                    todo.append(at)
        return found

    def _postorder(self) -> list[int]:
        order: list[int] = []
        seen = {self.entry}
        stack = [(self.entry, iter(self.next[self.entry]))]
        while stack:
            at, rest = stack[-1]
            for target in rest:
                if target not in seen:
                    seen.add(target)
                    stack.append((target, iter(self.next[target])))
                    break
            else:
                order.append(at)
                stack.pop()
        return order

    def _natural(self) -> list[Loop]:
        """The loops by their headers, the smallest first; their `inner` is not known yet."""
        number = {at: i for i, at in enumerate(self.order)}
        dominator = self._dominators(number)
        latches: dict[int, list[int]] = {}
        for at in self.order:
            for target in self.next[at]:
                if number[target] > number[at]:
                    continue
                above = at
                while number[above] > number[target]:
                    above = dominator[above]
                if above != target:
                    where = f"{self.code.name_of(target)} at {target:#x}"
                    raise CodeError(f"{where}: a loop that is entered in two places")
                latches.setdefault(target, []).append(at)
        loops = []
        for header, turning in latches.items():
            body = {header, *turning}
            todo = [at for at in turning if at != header]
            while todo:
                for at in self.before[todo.pop()]:
                    if at not in body:
                        body.add(at)
                        todo.append(at)
            loops.append(Loop(header, frozenset(body), tuple(turning), ()))
        return sorted(loops, key=lambda loop: len(loop.body))

    def _dominators(self, number: Mapping[int, int]) -> dict[int, int]:
        """The immediate dominator of each instruction."""
        found = {self.entry: self.entry}
        changed = True
        while changed:
            changed = False
            for at in self.order[1:]:
                known = [b for b in self.before[at] if b in found]
                new = known[0]
                for other in known[1:]:
                    while new != other:
                        if number[new] > number[other]:
                            new = found[new]
                        else:
                            other = found[other]
                if found.get(at) != new:
                    found[at] = new
                    changed = True
        return found

    @staticmethod
    def _nested(loops: list[Loop]) -> list[Loop]:
        """The same with the loops inside each; first those that contain none."""
        done: list[Loop] = []
        outermost: list[Loop] = []
        for loop in loops:
            inner = tuple(other for other in outermost if other.header in loop.body)
            outermost = [other for other in outermost if other not in inner]
            done.append(loop._replace(inner=inner))
            outermost.append(done[-1])
        return done


class Path(NamedTuple):
    """A longest path.

    Attributes
    ----------
    instructions : int
        How many it executes.
    times : Counter of int
        How often the one at each address, those of the functions called among them.
    """

    instructions: int
    times: Counter[int]


class _Region(NamedTuple):
    """A loop's body, or a whole function: of each instruction the longest way from the first up to
    it, and the instruction before it on that way."""

    far: dict[int, int]
    before: dict[int, int | None]
    inside: dict[int, Loop]  # which loop directly inside the region an instruction is in


class Paths:
    """The longest paths of an image's functions.

    Parameters
    ----------
    code : Code
        The image.
    turns : callable
        Called with a `Flow` and one of its loops: how often it may turn after it was entered.
    never, dead
        As of `Flow`.
    apart : collection of str
        Functions whose calls count as the one instruction that calls.
    """

    def __init__(
        self,
        code: Code,
        turns: Callable[[Flow, Loop], int],
        *,
        never: Collection[str] = (),
        apart: Collection[str] = (),
        dead: Callable[[Flow], Collection[int]] | None = None,
    ) -> None:
        self.code = code
        self._dead = dead
        self._turns = turns
        self._never = never
        self._apart = apart
        self._known: dict[int, Path | None] = {}
        #: Every loop that is on a path, with its flow and its turns.
        self.loops: list[tuple[Flow, Loop, int]] = []

    def longest(self, name: str) -> Path:
        """The longest path of a function from its first instruction to its return."""
        return self._of(self.code.function(name))

    def _of(self, entry: int) -> Path:
        if entry in self._known:
            known = self._known[entry]
            if known is None:
                raise CodeError(f"{self.code.name_of(entry)} calls itself")
            return known
        self._known[entry] = None
        flow = Flow(self.code, entry, self._never, self._dead)
        path = _Longest(flow, self._turned, self._callee).path()
        self._known[entry] = path
        return path

    def _turned(self, flow: Flow, loop: Loop) -> int:
        turns = self._turns(flow, loop)
        self.loops.append((flow, loop, turns))
        return turns

    def _callee(self, one: Instruction) -> Path | None:
        if one.kind != "call" or self.code.name_of(one.targets[0]) in self._apart:
            return None
        return self._of(one.targets[0])


def reached(code: Code, names: Iterable[str], never: Collection[str]) -> set[int]:
    """The instructions that these functions, and those that they call, may execute."""
    found: set[int] = set()
    todo = [code.function(name) for name in names]
    while todo:
        entry = todo.pop()
        if entry in found:
            continue
        flow = Flow(code, entry, never)
        found.update(flow.order)
        for at in flow.order:
            if flow.instructions[at].kind == "call":
                todo += flow.instructions[at].targets
    return found


class _Longest:
    """Of one function."""

    def __init__(
        self,
        flow: Flow,
        turns: Callable[[Flow, Loop], int],
        callee: Callable[[Instruction], Path | None],
    ) -> None:
        self._flow = flow
        self._called = {at: callee(flow.instructions[at]) for at in flow.order}
        self._turns: dict[Loop, int] = {}
        self._regions: dict[Loop | None, _Region] = {}
        for loop in flow.loops:
            self._turns[loop] = turns(flow, loop)
            self._regions[loop] = self._region(loop.header, loop.body, loop.inner)
        inner = {inside for loop in flow.loops for inside in loop.inner}
        outermost = [loop for loop in flow.loops if loop not in inner]
        self._regions[None] = self._region(flow.entry, frozenset(flow.order), outermost)

    def path(self) -> Path:
        """From entry to return."""
        whole = self._regions[None]
        returns = [at for at in self._flow.order if self._flow.instructions[at].kind == "return"]
        last = max(returns, key=whole.far.__getitem__)
        times: Counter[int] = Counter()
        self._count(None, last, 1, times)
        return Path(whole.far[last], times)

    def _cost(self, at: int) -> int:
        called = self._called[at]
        return 1 if called is None else 1 + called.instructions

    def _latch(self, loop: Loop) -> int:
        """Where its longest turn ends."""
        return max(loop.latches, key=self._regions[loop].far.__getitem__)

    def _region(self, start: int, nodes: frozenset[int], inner: Collection[Loop]) -> _Region:
        inside = {at: loop for loop in inner for at in loop.body}
        far: dict[int, int] = {}
        before: dict[int, int | None] = {}
        # To a loop's first instruction, and through all its turns.
        entered: dict[Loop, int] = {}
        for at in self._flow.order:
            if at not in nodes:
                continue
            loop = inside.get(at)
            if loop is not None and at != loop.header:
                far[at] = entered[loop] + self._regions[loop].far[at]
                continue
            known = [b for b in self._flow.before[at] if b in far and inside.get(b) is not loop]
            if loop is None:
                known = [b for b in self._flow.before[at] if b in far]
            if at == start:
                known = []
            best = max(known, key=far.__getitem__, default=None)
            before[at] = best
            way = 0 if best is None else far[best]
            if loop is None:
                far[at] = way + self._cost(at)
            else:
                region = self._regions[loop]
                entered[loop] = way + self._turns[loop] * region.far[self._latch(loop)]
                far[at] = entered[loop] + region.far[at]
        return _Region(far, before, inside)

    def _count(self, loop: Loop | None, last: int, times: int, into: Counter[int]) -> None:
        """Adds the way to `last` in a region, so many times."""
        region = self._regions[loop]
        at: int | None = last
        while at is not None:
            inner = region.inside.get(at)
            if inner is None:
                into[at] += times
                called = self._called[at]
                for address, count in called.times.items() if called is not None else ():
                    into[address] += times * count
                at = region.before[at]
                continue
            self._count(inner, at, times, into)
            if self._turns[inner] and times:
                self._count(inner, self._latch(inner), times * self._turns[inner], into)
            at = region.before[inner.header]
