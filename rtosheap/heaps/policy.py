"""A policy: which free block serves a request, and what becomes of free blocks. By name, too."""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

__all__ = ["FAMILIES", "POLICY_OPTIONS", "Policy"]

FITS = ("first", "next", "best", "worst", "good", "buddy")
ORDERS = ("address", "lifo", "fifo", "size")
CUTS = ("front", "end")
#: How a name says when adjoining free blocks become one.
COALESCES = {"free": "coalescing", "never": "non-coalescing", "deferred": "deferred-coalescing"}
CLASSES = (1, 2, 4, 8, 16, 32)
_DEFAULT_CLASSES = 32


@dataclass(frozen=True)
class Policy:
    """How a heap chooses, cuts and joins blocks.

    Attributes
    ----------
    fit : {"first", "next", "best", "worst", "good", "buddy"}
        Which free block serves a request: the first of the list that is large enough; the same,
        from where the last search ended; the smallest that is large enough, and the largest, the
        first in the list of several; the first block of the first class of sizes that are all large
        enough; binary buddies.
    order : {"address", "lifo", "fifo", "size"}
        Of the free list (of each class's): by address; freed last first; freed first first; by
        size, of equals the one freed last first. What is left of a block that was cut, and what
        blocks have become that were joined, counts as freed then.
    coalesce : {"free", "never", "deferred"}
        When adjoining free blocks become one: at each free, never, or all of them when a request
        finds no block.
    split : int, optional
        A rest of more than so many bytes is split off; no less than a header. Default: two headers,
        as in FreeRTOS.
    cut : {"front", "end"}
        Which end of a free block is handed out.
    classes : int
        Good fit: how many classes the sizes from one power of two to the next fall into, a power of
        two up to 32; 1 with every other fit.

    Raises
    ------
    ValueError
        For what none of them can be, and for a combination that makes no sense.

    Examples
    --------
    >>> policy = Policy(fit="best", order="size", coalesce="deferred")
    >>> policy.name
    'best-fit/size/deferred-coalescing'
    """

    fit: str = "first"
    order: str = "address"
    coalesce: str = "free"
    split: int | None = None
    cut: str = "front"
    classes: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("fit", FITS),
            ("order", ORDERS),
            ("coalesce", tuple(COALESCES)),
            ("cut", CUTS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be {_one_of(allowed)}")
        self._take_number("split", "a number of bytes, 1 or more")
        if self.split is not None and not 0 < self.split < 2**64:
            raise ValueError(f"split is {self.split}; it must be a number of bytes, 1 or more")
        self._take_number("classes", _one_of(CLASSES))
        good = self.fit == "good"
        if self.classes is None:
            object.__setattr__(self, "classes", _DEFAULT_CLASSES if good else 1)
        if self.classes not in CLASSES or (self.classes != 1 and not good):
            raise ValueError(
                f"classes is {self.classes!r}; it must be {_one_of(CLASSES)}"
                if good
                else f"classes is {self.classes!r}; only fit='good' has classes of sizes"
            )
        why = self._nonsense()
        if why:
            raise ValueError(why)

    def _take_number(self, name: str, wanted: str) -> None:
        """As an int: of equals, one class of heaps is made and kept."""
        value = getattr(self, name)
        if value is None:
            return
        try:
            object.__setattr__(self, name, operator.index(value))
        except TypeError:
            raise TypeError(f"{name} is {value!r}; it must be {wanted}") from None

    def _nonsense(self) -> str:
        """Why a combination makes no sense."""
        if self.order == "size" and self.fit in ("good", "buddy"):
            return (
                f"order is 'size' and fit {self.fit!r}, which has a list for each class of sizes: "
                "order must be 'address', 'lifo' or 'fifo', that of each list"
            )
        if self.order == "size" and self.fit == "next":
            return (
                "order is 'size' and fit 'next': in such a list the first that is large enough is "
                "the smallest, and where the last search ended says nothing; fit must be 'best'"
            )
        if self.fit == "buddy" and (self.split is not None or self.cut != "front"):
            name = "cut" if self.split is None else "split"
            return (
                f"{name} is {getattr(self, name)!r} and fit 'buddy', which halves a block until it "
                "is the smallest power of two that serves: there is nothing to choose"
            )
        return ""

    @property
    def key(self) -> tuple[str, str, str, int, str, int]:
        """As the C core takes it."""
        assert self.classes is not None
        return self.fit, self.order, self.coalesce, self.split or 0, self.cut, self.classes

    @classmethod
    def of_key(cls, key: tuple[str, str, str, int, str, int]) -> Policy:
        """The way back from `key`."""
        fit, order, coalesce, split, cut, classes = key
        return cls(fit, order, coalesce, split or None, cut, classes)

    # ------------------------------------------------------------------ names

    @cached_property
    def name(self) -> str:
        """``"best-fit/address/coalescing"``, or that of one of `FAMILIES`."""
        for family, policy in FAMILIES.items():
            if self == policy:
                return family
        parts = ["buddy" if self.fit == "buddy" else f"{self.fit}-fit", self.order]
        parts.append(COALESCES[self.coalesce])
        if self.cut == "end":
            parts.append("end-cut")
        if self.split is not None:
            parts.append(f"split-{self.split}")
        if self.fit == "good" and self.classes != _DEFAULT_CLASSES:
            parts.append(f"{self.classes}-classes")
        return "/".join(parts)

    @classmethod
    def parse(cls, name: str) -> Policy:
        """The policy of a name: parts that `/` parts, in any order; what is not said is as always.

        Raises
        ------
        ValueError
            For a part that says nothing, or two that say the same.

        Examples
        --------
        >>> Policy.parse("best-fit/lifo") == Policy("best", "lifo")
        True
        >>> Policy.parse("tlsf")
        Policy(fit='good', order='lifo', coalesce='free', split=None, cut='front', classes=32)
        """
        if name in FAMILIES:
            return FAMILIES[name]
        chosen: dict[str, Any] = {}
        for part in name.split("/"):
            what, value = _meaning(part)
            if what is None or what in chosen:
                why = "says nothing" if what is None else f"says {what} again"
                raise ValueError(f"{name!r} names no policy: {part!r} {why}; {SYNTAX}")
            chosen[what] = value
        if "fit" not in chosen:
            raise ValueError(f"{name!r} names no policy: it says no fit; {SYNTAX}")
        return cls(**chosen)


#: What there is to choose, as the constructor calls it.
POLICY_OPTIONS = tuple(field.name for field in fields(Policy))
#: How a policy's name is made up, as an error says it.
SYNTAX = (
    "a policy is named as in 'best-fit/address/coalescing': a fit "
    f"({', '.join(f'{fit}-fit' for fit in FITS[:-1])}, buddy), and, if they are other than there, "
    f"an order ({', '.join(ORDERS)}), {', '.join(COALESCES.values())}, end-cut, split-BYTES, "
    "N-classes; or tlsf, half-fit"
)


def _meaning(part: str) -> tuple[str | None, Any]:
    """What a part of a name says, and of what; None: nothing."""
    if part == "buddy":
        return "fit", part
    if part.endswith("-fit") and part[:-4] in FITS[:-1]:
        return "fit", part[:-4]
    if part in ORDERS:
        return "order", part
    for coalesce, word in COALESCES.items():
        if part == word:
            return "coalesce", coalesce
    if part.endswith("-cut") and part[:-4] in CUTS:
        return "cut", part[:-4]
    if part.startswith("split-") and _is_number(part[6:]):
        return "split", int(part[6:])
    if part.endswith("-classes") and _is_number(part[:-8]):
        return "classes", int(part[:-8])
    return None, None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 20


def _one_of(values: tuple[object, ...]) -> str:
    *most, last = map(repr, values)
    return f"{', '.join(most)} or {last}"


#: Whole allocators that are points of this space, with names of their own.
FAMILIES: dict[str, Policy] = {}
FAMILIES["tlsf"] = Policy("good", "lifo", "free", classes=32)
FAMILIES["half-fit"] = Policy("good", "lifo", "free", classes=1)
FAMILIES["buddy"] = Policy("buddy", "lifo", "free")
