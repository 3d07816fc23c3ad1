"""FreeRTOS's releases by name, and what the heaps of each do otherwise than the newest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

from rtosheap import _core
from rtosheap.html import table_html
from rtosheap.tables import plain_table

__all__ = [
    "NEWEST_KERNEL",
    "PROTECTOR",
    "Kernel",
    "Kernels",
    "find_kernel",
    "kernels",
    "rules_of",
    "said",
    "since",
]

#: The default: the kernel's main branch, as of July 2026.
NEWEST_KERNEL = "main"

#: What a release's heap may do otherwise, in the order of the bits of ``enum rh_old``.
_RULES = (
    ("start", "an aligned arena loses its first bytes, not its last"),
    ("pad", "a request that is a multiple of the alignment takes one alignment more"),
    ("wrap", "a size may wrap, and no block is the whole arena"),
    ("unmarked", "no allocated mark in a header: the device does not notice a double free"),
    ("absorb", "what a split leaves takes in a region's marker at once"),
    ("smallest", "smallest_free_block is at most 2**32 - 1"),
    ("empty", "statistics follow a null link while no block is free"),
    ("assertion", "with the heap protector a malloc that fits no free block asserts"),
    ("plain link", "with the heap protector an allocated block's link is plain 0"),
)
#: Those that show with the heap protector only.
_PROTECTED = frozenset({"assertion", "plain link"})
#: What :attr:`Kernel.lacks` calls it.
PROTECTOR = "the heap protector"
#: What came with a release; here it serves with all of them.
_SINCE = (
    ("V10.3.0", "heap statistics"),
    ("V10.5.0", "calloc, clearing on free"),
    ("V11.0.0", PROTECTOR),
    ("V11.2.0", "the reset of the minimum ever free"),
)
#: Other names. FreeRTOS's long-term support releases are named after libraries, of which the
#: kernel is one.
_ALSO = {
    "V10.4.3": (
        *(f"V10.4.3-LTS-Patch-{patch}" for patch in (1, 2, 3)),
        "202012-LTS",
        *(f"202012.0{patch}-LTS" for patch in range(6)),
    ),
    "V10.4.5": ("V202110.00-SMP",),
    "V10.5.0": ("202210.00-LTS",),
    "V10.5.1": ("202210-LTS", "202210.01-LTS"),
    "V11.1.0": ("202406-LTS", *(f"202406.0{patch}-LTS" for patch in range(4))),
}


@dataclass(frozen=True, repr=False)
class Kernel:
    """A release of the FreeRTOS kernel; one of :func:`kernels`.

    Attributes
    ----------
    name : str
        Its tag, ``"V10.3.1"``; ``"main"`` is the newest.
    also : tuple of str
        Other names that serve: those of long-term support, and releases with the same heaps.
    rules : dict of int to tuple of str
        By the heap's number, what it does otherwise than the newest, in a word or two each;
        `differs` says it in full.
    lacks : tuple of str
        What the release has not, and a heap here has all the same.

    Examples
    --------
    >>> from rtosheap.heaps import kernels
    >>> kernel = next(one for one in kernels() if one.name == "V10.5.1")
    >>> kernel.also, kernel.rules[4], kernel.lacks[0]
    (('202210-LTS', '202210.01-LTS'), ('pad', 'smallest', 'plain link'), 'the heap protector')
    """

    name: str
    also: tuple[str, ...] = ()
    rules: dict[int, tuple[str, ...]] = field(default_factory=dict, hash=False)
    lacks: tuple[str, ...] = ()

    @property
    def differs(self) -> str:
        """What its heaps do otherwise than the newest's, in one line; empty if nothing."""
        where: dict[str, list[int]] = {}
        for kind, rules in self.rules.items():
            for rule in rules:
                where.setdefault(rule, []).append(kind)
        return "; ".join(
            f"heap_{', heap_'.join(map(str, where[rule]))}: {text}"
            for rule, text in _RULES
            if rule in where
        )

    def __repr__(self) -> str:
        return f"<Kernel {self.name}: {self.differs or 'as the newest'}>"


class Kernels(tuple[Kernel, ...]):
    """The releases, the newest last; shows itself as a table."""

    __slots__ = ()

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                one.name,
                *(", ".join(one.rules.get(kind, ())) or "-" for kind in (1, 2, 4, 5)),
                ", ".join(one.lacks) or "-",
            )
            for one in self
        ]

    def __repr__(self) -> str:
        meaning = "\n".join(f"{rule}: {text}" for rule, text in _RULES)
        return f"{plain_table(_HEADERS, self._rows())}\n\n{meaning}"

    def _repr_html_(self) -> str:
        return table_html(_HEADERS, self._rows())


_HEADERS = ("kernel", "heap_1", "heap_2", "heap_4", "heap_5", "has not")


@cache
def kernels() -> Kernels:
    """The releases of the FreeRTOS kernel that a heap can be of, V8.2.3 to the newest.

    Each says what its heaps do otherwise than the newest's. The rules were read off the releases
    and are held to 1,152 recorded cases.

    Returns
    -------
    Kernels
        A tuple of :class:`Kernel`, ascending.

    Examples
    --------
    >>> import rtosheap
    >>> [kernel.name for kernel in rtosheap.kernels()][-3:]
    ['V11.2.0', 'V11.3.0', 'main']
    >>> rtosheap.kernels()[-2]
    <Kernel V11.3.0: heap_5: with the heap protector a malloc that fits no free block asserts>
    """
    return Kernels(_kernel(name, old) for name, old in _core.KERNELS)


def _kernel(name: str, old: tuple[int, ...]) -> Kernel:
    rules = {
        kind: tuple(rule for bit, (rule, _) in enumerate(_RULES) if bits >> bit & 1)
        for kind, bits in enumerate(old, 1)
        if bits
    }
    lacks = tuple(what for since, what in _SINCE if _numbers(name) < _numbers(since))
    return Kernel(name, _ALSO.get(name, ()), rules, lacks)


def rules_of(name: str, kind: int, *, protector: bool) -> frozenset[str]:
    """What a release's heap of that number does otherwise, with or without the heap protector."""
    rules = frozenset(find_kernel(name).rules.get(kind, ()))
    return rules if protector else rules - _PROTECTED


def since(release: str) -> tuple[str, ...]:
    """The release and all after it, by name."""
    names = [kernel.name for kernel in kernels()]
    return tuple(names[names.index(release) :])


def said(names: Iterable[str], order: Sequence[str] | None = None) -> str:
    """Some releases in words, as ranges of all that there are: of kernels, or in their `order`.

    Examples
    --------
    >>> said(["V10.3.0", "V10.3.1", "V10.5.0"]), said(["V11.3.0", "main"])
    ('V10.3.0 to V10.3.1, V10.5.0', 'V11.3.0 or later')
    """
    known = [kernel.name for kernel in kernels()] if order is None else list(order)
    places, texts = sorted({known.index(name) for name in names}), []
    for _, run in groupby(enumerate(places), lambda pair: pair[1] - pair[0]):
        first, *_, last = [place for _, place in run] * 2
        if first == last:
            text = known[first]
        elif (first, last) == (0, len(known) - 1):
            text = "any release"
        elif first == 0:
            text = f"{known[last]} or earlier"
        elif last == len(known) - 1:
            text = f"{known[first]} or later"
        else:
            text = f"{known[first]} to {known[last]}"
        texts.append(text)
    return ", ".join(texts)


def _numbers(name: str) -> tuple[float, ...]:
    return tuple(map(int, re.findall(r"\d+", name))) or (float("inf"),)


@cache
def _by_name() -> dict[str, Kernel]:
    return {
        alias.upper().removeprefix("V"): kernel
        for kernel in kernels()
        for alias in (kernel.name, *kernel.also)
    }


def find_kernel(name: Any) -> Kernel:
    """The release that a name means; None is the newest.

    Parameters
    ----------
    name : str or None
        A tag, with or without its ``V``; a name of long-term support, such as ``"202210-LTS"``;
        ``"main"``.

    Raises
    ------
    ValueError
        There is none of that name: the nearest are listed.
    TypeError
        What is no str.

    Examples
    --------
    >>> find_kernel("10.3.1").name, find_kernel(None).name
    ('V10.3.1', 'main')
    """
    if name is None:
        return kernels()[-1]
    if not isinstance(name, str):
        raise TypeError(f"kernel is {name!r}; it must be a str, such as 'V10.3.1', or None")
    found = _by_name().get(name.strip().upper().removeprefix("V"))
    if found is None:
        raise ValueError(
            f"kernel is {name!r}; no release has that name: the nearest are "
            f"{' and '.join(map(repr, _nearest(name)))} (rtosheap.kernels() lists all)"
        )
    return found


def _nearest(name: str) -> list[str]:
    """By number, if it has any; else by its letters."""
    names = [kernel.name for kernel in kernels()]
    asked = _numbers(name)
    if re.fullmatch(r"[vV]?\d+(\.\d+)*", name.strip()):
        within = [known for known in names if _numbers(known)[: len(asked)] == asked]
        if within:
            return within[:1] + within[1:][-1:]
        below = [known for known in names[:-1] if _numbers(known) < asked]
        above = [known for known in names if _numbers(known) > asked]
        return below[-1:] + above[:1]
    if name.strip().endswith("+"):  # so a branch calls itself after a release
        return [*_nearest(name.strip().rstrip("+"))[:1], names[-1]]
    import difflib  # slow to import

    return difflib.get_close_matches(name, [*names, *(a for k in kernels() for a in k.also)], 2, 0)
