"""How often the loops of an image turn: what the source says of the loop that each comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import prod

from rtosheap.cortexm._code import CodeError
from rtosheap.cortexm._flow import Flow, Loop
from rtosheap.cortexm._lines import Frame, Lines
from rtosheap.cortexm._loops import SourceLoop, loops_of

__all__ = ["Turns"]


class Turns:
    """How often a loop of the image may turn after it was entered, for `Paths`.

    The instructions of a loop, but for those of loops inside it, come from lines; the innermost
    loop of the source around these is the loop's, through whatever functions were copied in. Where
    they come from several, a compiler has merged these loops, or has moved an instruction: it may
    turn as often as all of them together.

    Parameters
    ----------
    lines : Lines
        The image's.
    addresses : iterable of int
        Of all instructions that are asked for.
    value : callable
        What C expressions are, for a sequence of them.
    never : collection of str
        Functions that are never called: a loop that ends by calling one has one run.
    """

    def __init__(
        self,
        lines: Lines,
        addresses: Iterable[int],
        value: Callable[[Sequence[str]], Sequence[int]],
        never: Collection[str] = (),
    ) -> None:
        self._frames = {at: lines.frames(at) for at in addresses}
        self._never = never
        asked = dict.fromkeys(
            source.most
            for frames in self._frames.values()
            for source in _around(frames)
            if source.most is not None
        )
        self._known = dict(zip(asked, value(list(asked)), strict=True))

    def __call__(self, flow: Flow, loop: Loop) -> int:
        return prod(1 + self._turns(source) for source in self.sources(flow, loop)) - 1

    def _turns(self, source: SourceLoop) -> int:
        """How often it begins another run of its body."""
        if any(name in source.condition for name in self._never):
            return 0
        return max(self._known[source.most or ""] - source.forever, 0)

    def sources(self, flow: Flow, loop: Loop) -> list[SourceLoop]:
        """The loops of the source that it comes from."""
        found: dict[SourceLoop, None] = {}
        nowhere: list[Frame] = []
        for at in loop.own:
            around = _around(self._frames[at])
            if around:
                found[around[0]] = None
            elif self._frames[at]:
                nowhere = self._frames[at]
        where = f"{flow.code.name_of(loop.header)} at {loop.header:#x}"
        if not found:
            line = f" ({nowhere[0].path}:{nowhere[0].line})" if nowhere else ""
            raise CodeError(f"{where}: a loop that comes from none in the source{line}")
        for source in found:
            if source.most is None and not any(name in source.condition for name in self._never):
                raise CodeError(
                    f"{where}: the loop of {source.path}:{source.first} does not say how often it "
                    "turns; RH_WHILE(condition, most) does"
                )
        return list(found)

    def dead(self, flow: Flow) -> set[int]:
        """What a loop would execute at the end of a run after which there is always another, where
        it has one run alone.

        What a compiler has moved out of there is not meant: it is executed in the one run, too, and
        so can be followed by a return without another run's beginning.
        """
        found = set()
        for at in flow.order:
            for source in _around(self._frames[at]):
                if not source.forever or source.most is None or self._turns(source) > 0:
                    continue
                if self._is_within(at, source, source.tail, source.last) and not self._returns(
                    flow, at, source
                ):
                    found.add(at)
        return found

    def _is_within(self, at: int, source: SourceLoop, first: int, last: int) -> bool:
        return any(f.path == source.path and first <= f.line <= last for f in self._frames[at])

    def _returns(self, flow: Flow, start: int, source: SourceLoop) -> bool:
        """Whether a return can follow without another run's beginning."""
        seen = {start}
        todo = [start]
        while todo:
            at = todo.pop()
            if flow.instructions[at].kind == "return":
                return True
            for target in flow.next[at]:
                begins = self._is_within(target, source, source.first, source.head)
                if target not in seen and not begins:
                    seen.add(target)
                    todo.append(target)
        return False


def _around(frames: Sequence[Frame]) -> list[SourceLoop]:
    """The loops around a line, and around the calls that led to it: the innermost first."""
    found: list[SourceLoop] = []
    for frame in frames:
        if frame.path.exists():
            around = [s for s in loops_of(frame.path) if s.first <= frame.line <= s.last]
            found += sorted(around, key=lambda source: source.last - source.first)
    return found
