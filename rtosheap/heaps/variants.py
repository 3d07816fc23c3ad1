"""In what the heaps of FreeRTOS's releases leave different arenas: a table of named variants."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NEWEST", "VARIANTS", "Variant"]


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
    """

    releases: str
    marked: bool = True
    higher: bool = False
    protector: bool = False
    plain: bool = False

    def __str__(self) -> str:
        said = {
            "no allocated mark": not self.marked,
            "an aligned arena's blocks begin higher by the alignment": self.higher,
            "the heap protector": self.protector,
            "links of allocated blocks plain zero": self.plain,
        }
        what = ", ".join(text for text, so in said.items() if so)
        return f"{self.releases} ({what})" if what else self.releases


#: What the C core does, and so every live heap.
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
