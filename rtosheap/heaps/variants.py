"""In what the heaps of FreeRTOS's releases leave different arenas: a table of named variants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rtosheap.heaps.releases import find_kernel

__all__ = ["NEWEST", "VARIANTS", "Variant", "variant_of"]


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
    """

    releases: str
    marked: bool = True
    higher: bool = False
    protector: bool = False
    plain: bool = False
    pads: bool = False

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
def variant_of(kernel: str | None, kind: int, protector: bool) -> Variant:
    """What the arenas of a release's heap look like; None and ``"main"`` are the newest."""
    rules = find_kernel(kernel).rules.get(kind, ())
    arena = {
        "marked": "unmarked" not in rules,
        "higher": "start" in rules,
        "plain": protector and "plain link" in rules,
        "pads": "pad" in rules,
    }
    if arena == {"marked": True, "higher": False, "plain": False, "pads": False}:
        return NEWEST
    return Variant(str(kernel), protector=protector, **arena)
