"""Which rules the heaps of a FreeRTOS release, and newlib-nano's malloc of a release, follow.

A rule is a difference from the newest kernel, or from newlib 3.3.0. ``without`` leaves one out: for
tests that ask whether it would be missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

Version = tuple[int, int, int]
MAIN: Version = (1 << 30, 0, 0)
OLDEST: Version = (8, 2, 3)


class Rule(Enum):
    """What an older kernel does that the newest does not. A: the alignment, H: the header's size,
    L: the arena's size less A, M: the largest word.
    """

    START = "the first block is at down(base + A), not up(base)"
    PAD = "a block is of down(n) + A + H bytes, not up(n + H)"
    WRAP = "the size of a block is modulo M + 1, and refused only if that is 0"
    STRICT = "a block must be smaller than L; the free size is not asked"
    NODETECT = "allocated blocks have no mark"
    ABSORB = "what is left of a block that is split is listed like a freed block"
    MINCAP = "the smallest free block is at most the largest tick count"
    EMPTYCRASH = "statistics of an empty free list follow a null link"
    PROTASSERT = "with the protector, a malloc that only the search refuses asserts"
    PLAINLINK = "the link of an allocated block is zero, not zero XOR the canary"


#: By rule and heap, the first and the last release. There are statistics since V10.3.0: what a
#: model says of earlier kernels is as in the newest.
SPANS: dict[tuple[Rule, int], tuple[Version, Version]] = {
    (Rule.START, 1): (OLDEST, (10, 4, 5)),
    (Rule.START, 2): (OLDEST, (10, 4, 5)),
    (Rule.PAD, 2): ((10, 4, 3), (10, 6, 2)),
    (Rule.PAD, 4): ((10, 5, 0), (10, 5, 1)),
    (Rule.PAD, 5): ((10, 5, 0), (10, 5, 1)),
    (Rule.WRAP, 2): (OLDEST, (10, 4, 2)),
    (Rule.STRICT, 2): (OLDEST, (10, 4, 2)),
    (Rule.NODETECT, 2): (OLDEST, (10, 4, 6)),
    (Rule.ABSORB, 5): (OLDEST, (10, 6, 2)),
    (Rule.MINCAP, 4): ((10, 3, 0), (11, 2, 0)),
    (Rule.MINCAP, 5): ((10, 3, 0), (11, 2, 0)),
    (Rule.EMPTYCRASH, 4): ((10, 3, 0), (10, 4, 6)),
    (Rule.EMPTYCRASH, 5): ((10, 3, 0), (10, 4, 6)),
    (Rule.PROTASSERT, 5): ((11, 0, 0), (11, 3, 0)),
    (Rule.PLAINLINK, 4): (OLDEST, (11, 1, 0)),
    (Rule.PLAINLINK, 5): (OLDEST, (11, 1, 0)),
}


class NanoRule(Enum):
    """What a newer newlib-nano does that 3.3.0's does not."""

    SHRINK = "realloc moves a block that shrinks to half of it or less"
    OVERFLOW = "calloc and memalign refuse sizes that overflow"
    FRONT = "a split hands out the chunk's front"
    EXTEND = "where sbrk is refused, the last free chunk grows up to the break"
    EIGHT = "and by 8 bytes more than are missing"
    STAYS = "and stays in the list"
    READS0 = "and is read at address 0 if there is none"
    WRITES4 = "and is unlisted at address 4 if it is the only one"


NANO_SPANS: dict[NanoRule, tuple[Version, Version]] = {
    NanoRule.SHRINK: ((4, 0, 0), MAIN),
    NanoRule.OVERFLOW: ((4, 0, 0), MAIN),
    NanoRule.FRONT: ((4, 2, 0), MAIN),
    NanoRule.EXTEND: ((4, 2, 0), MAIN),
    NanoRule.EIGHT: ((4, 2, 0), (4, 2, 0)),
    NanoRule.STAYS: ((4, 2, 0), (4, 2, 0)),
    NanoRule.READS0: ((4, 2, 0), (4, 2, 0)),
    NanoRule.WRITES4: ((4, 3, 0), (4, 3, 0)),
}


def _version(name: str | None, oldest: Version, newest: Version) -> Version:
    if name is None or name == "main":
        return MAIN
    try:
        major, minor, patch = (int(part) for part in name.removeprefix("V").split(".")[:3])
    except ValueError:
        raise ValueError(f"no release: {name!r}") from None
    if not oldest <= (major, minor, patch) <= newest:
        raise ValueError(f"no release from {oldest} to {newest}: {name!r}")
    return major, minor, patch


@dataclass(frozen=True)
class Kernel:
    """A kernel by its tag, from V8.2.3 to V11.3.0; None and "main" are the newest."""

    name: str | None = None
    left_out: frozenset[Rule] = frozenset()

    def without(self, rule: Rule) -> Kernel:
        return Kernel(self.name, self.left_out | {rule})

    def rules(self, heap: int) -> frozenset[Rule]:
        version = _version(self.name, OLDEST, (11, 3, 0))
        found = {
            rule
            for (rule, of), (first, last) in SPANS.items()
            if of == heap and first <= version <= last
        }
        return frozenset(found) - self.left_out


@dataclass(frozen=True)
class Newlib:
    """A newlib by its release, from 3.3.0 to 4.6.0, with or without a date; None and "main" are the
    newest.
    """

    name: str | None = None
    left_out: frozenset[NanoRule] = frozenset()

    def without(self, rule: NanoRule) -> Newlib:
        return Newlib(self.name, self.left_out | {rule})

    def rules(self) -> frozenset[NanoRule]:
        version = _version(self.name, (3, 3, 0), (4, 6, 0))
        found = {rule for rule, (first, last) in NANO_SPANS.items() if first <= version <= last}
        return frozenset(found) - self.left_out
