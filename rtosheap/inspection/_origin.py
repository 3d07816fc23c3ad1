"""Which releases of the kernel an arena may be of: by what fits, by name, and by what is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rtosheap.heaps.layout import Layout
from rtosheap.heaps.reading import Reading
from rtosheap.heaps.releases import said
from rtosheap.heaps.variants import VARIANTS, Variant, releases_of
from rtosheap.inspection._misread import Misreading, find_misreading

#: Reads the arena as the one of some variants that fits best; of None, of all.
Read = Callable[[Sequence[Variant] | None], Reading]

#: So many times less must another release's arena be wrong than the one that was expected.
_CLEARLY = 4


@dataclass(frozen=True)
class Origin:
    """What an arena may be.

    Attributes
    ----------
    fitting : tuple of (Reading, tuple of str)
        The readings that fit, and of each the releases that it may be of, ascending; heap_3's,
        which has no release of the kernel, has none. The first is the one to take.
    notes : tuple of str
        Where what was said and what is there do not agree.
    foreign : Misreading or None
        Why it is no arena of the release that was named.
    """

    fitting: tuple[tuple[Reading, tuple[str, ...]], ...]
    notes: tuple[str, ...] = ()
    foreign: Misreading | None = None

    @property
    def reading(self) -> Reading:
        """The one to take."""
        return self.fitting[0][0]

    @property
    def kernels(self) -> tuple[str, ...]:
        """What each is called."""
        return tuple(_called(fit.layout, names) for fit, names in self.fitting if names)


def find_origin(
    read: Read, layout: Layout, named: str | None, told: Sequence[str], canary: int | None
) -> Origin:
    """What an arena may be, of the release that is named or else of those that symbols tell.

    What is named counts alone. What is told is believed as long as the arena does not say
    otherwise.

    Parameters
    ----------
    read : callable
        Reads the arena as one of some variants.
    layout : Layout
    named : str or None
    told : sequence of str
        Empty where nothing is told.
    canary : int or None
        As it is known.
    """
    if layout.is_newlib:
        return Origin(((read(None), ()),))
    notes: tuple[str, ...] = ()
    if named is not None and told and named not in told:
        notes = (f"{named} was named, but the symbols are those of {said(told)}",)
    allowed = tuple(told) if named is None else (named,)
    own = _own_reading(read, layout, allowed, canary)
    if own is not None and not (allowed and own.misfit):
        return Origin(_fitting(own, allowed), notes)
    whole = read(None)
    if own is not None and whole.misfit * _CLEARLY >= own.misfit:
        return Origin(_fitting(own, allowed), notes)
    others = _fitting(whole, ())
    fits = Origin(others).kernels
    if named is None:
        what = f"the symbols are those of {said(told)}, the arena is of {', or '.join(fits)}"
        return Origin(others, (*notes, f"{what}: the arena is believed"))
    why = "its bytes are not those that this release leaves"
    if own is None:
        why = "this release has no heap protector, and a canary is known"
    misread = find_misreading(whole)  # no better one fits, either
    names = (
        tuple(f"{layout.name} of {fit}" for fit in fits) if misread is None else misread.would_fit
    )
    return Origin(others, notes, Misreading(why, names))


def _own_reading(
    read: Read, layout: Layout, allowed: Sequence[str], canary: int | None
) -> Reading | None:
    """The arena as one of the releases that are allowed, all if none are named; None if with this
    canary it can be of none of them.
    """
    if not allowed:
        return read(None)
    variants = [
        variant
        for variant in VARIANTS[layout.kind]
        if not set(allowed).isdisjoint(releases_of(variant, layout.kind))
    ]
    if canary and not any(variant.protector for variant in variants):
        return None
    return read(variants)


def _fitting(
    reading: Reading, allowed: Sequence[str]
) -> tuple[tuple[Reading, tuple[str, ...]], ...]:
    kind, found = reading.layout.kind, []
    for fit in reading.fitting:
        names = releases_of(fit.layout.variant, kind)
        found.append((fit, tuple(n for n in names if n in allowed) if allowed else names))
    return tuple(found)


def _called(layout: Layout, names: tuple[str, ...]) -> str:
    """A variant in words, narrowed down to some of its releases."""
    variant = layout.variant
    if names == releases_of(variant, layout.kind):
        return str(variant)
    return str(replace(variant, releases=said(names) + _rest(layout, names)))


def _rest(layout: Layout, names: tuple[str, ...]) -> str:
    """That it is without the protector, where these releases may have it."""
    with_it = [name for v in VARIANTS[layout.kind] if v.protector
               for name in releases_of(v, layout.kind)]  # fmt: skip
    plain = layout.by_address and not layout.variant.protector
    return ", without the heap protector" if plain and names[-1] in with_it else ""
