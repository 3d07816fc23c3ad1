"""In what the heaps of FreeRTOS's releases leave different arenas: a table of named variants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rtosheap.heaps.releases import PROTECTOR, find_kernel, kernels
from rtosheap.heaps.toolchains import find_newlib

__all__ = [
    "NEWEST",
    "VARIANTS",
    "Variant",
    "newest_kernel",
    "releases_of",
    "variant_of",
    "variants_of",
]


@dataclass(frozen=True)
class Variant:
    """What the arenas that some releases leave have in common.

    Attributes
    ----------
    releases : str
        Which releases, as a reader calls them.
    marked : bool
        heap_2: whether the top bit of a size says that its block is allocated. Where it does not,
        what the list does not reach is allocated, and what such a block's link holds is nobody's.
    higher : bool
        heap_1, heap_2: an arena that is aligned loses its first bytes, not its last.
    protector : bool
        heap_4, heap_5: links are stored XOR the heap protector's word.
    plain : bool
        With the protector, an allocated block's link is zero all the same.
    pads : bool
        heap_2, heap_4, heap_5: a request that is a multiple of the alignment takes one more. No
        arena tells.
    strict : bool
        heap_2: no block is the whole arena. No arena tells.
    final : bool
        heap_3: what ``sbrk`` refuses fails, as before newlib 4.2.0: the last free chunk does not
        grow. No arena tells.
    """

    releases: str
    marked: bool = True
    higher: bool = False
    protector: bool = False
    plain: bool = False
    pads: bool = False
    strict: bool = False
    final: bool = False

    def __str__(self) -> str:
        said = {
            "no allocated mark": not self.marked,
            "an aligned arena's blocks begin higher by the alignment": self.higher,
            "the heap protector": self.protector,
            "links of allocated blocks plain zero": self.plain,
        }
        what = ", ".join(text for text, so in said.items() if so)
        return f"{self.releases} ({what})" if what else self.releases


#: What a live heap does unless it is an older kernel's.
NEWEST = Variant("the newest")

_FIRST_FIT = (
    Variant("any release, without the heap protector"),
    Variant("V11.2.0 or later", protector=True),
    Variant("V11.0.0 to V11.1.0", protector=True, plain=True),
)
#: By the heap's number, those that are tried first come first: the newest.
VARIANTS: dict[int, tuple[Variant, ...]] = {
    1: (Variant("V10.4.6 or later"), Variant("V10.4.5 or earlier", higher=True)),
    2: (
        Variant("V10.5.0 or later"),
        Variant("V10.4.6", marked=False),
        Variant("V10.4.5 or earlier", marked=False, higher=True),
    ),
    3: (NEWEST,),
    4: _FIRST_FIT,
    5: _FIRST_FIT,
}


@cache
def variant_of(
    kind: int, kernel: str | None = None, newlib: str | None = None, protector: bool = False
) -> Variant:
    """What the arenas of a release's heap look like; None is the newest."""
    if kind == 3:
        behaviour = find_newlib(newlib)
        return Variant(f"newlib {behaviour}", final=True) if behaviour < "4.2.0" else NEWEST
    rules = find_kernel(kernel).rules.get(kind, ())
    arena = {
        "marked": "unmarked" not in rules,
        "higher": "start" in rules,
        "plain": protector and "plain link" in rules,
        "pads": "pad" in rules,
        "strict": "wrap" in rules,
    }
    if arena == {name: getattr(NEWEST, name) for name in arena}:
        return NEWEST
    return Variant(str(kernel), protector=protector, **arena)


@cache
def variants_of(kernel: str | None, kind: int) -> tuple[Variant, ...]:
    """Those of VARIANTS that a release's arenas can be of."""
    rules = find_kernel(kernel).rules.get(kind, ())
    return tuple(
        variant
        for variant in VARIANTS[kind]
        if variant.marked == ("unmarked" not in rules)
        and variant.higher == ("start" in rules)
        and (not variant.protector or variant.plain == ("plain link" in rules))
    )


@cache
def releases_of(variant: Variant, kind: int) -> tuple[str, ...]:
    """The releases that leave arenas of one of VARIANTS on a device, ascending."""
    return tuple(
        one.name
        for one in kernels()
        if variant in variants_of(one.name, kind)
        and not (variant.protector and PROTECTOR in one.lacks)
    )


def newest_kernel(variant: Variant, kind: int) -> str:
    """The newest release whose arenas are of a variant."""
    return releases_of(variant, kind)[-1]
