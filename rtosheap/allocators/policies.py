"""A heap of any policy, and the class that has one."""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, Self, SupportsIndex

from rtosheap import _core
from rtosheap.heaps import Heap
from rtosheap.heaps.layout import DEFAULT_BASE, Layout
from rtosheap.heaps.policy import POLICY_OPTIONS, Policy

__all__ = ["PolicyHeap"]


class _PolicyType(type):
    """The type of `PolicyHeap` and of what `PolicyHeap.of` returns, so that the latter have a
    pickle.
    """

    chosen: Policy

    def __repr__(cls) -> str:
        said = f"of({cls.chosen.name!r})" if cls.chosen != Policy() else "of()"
        return "<class 'rtosheap.PolicyHeap'>" if cls is PolicyHeap else f"PolicyHeap.{said}"


class PolicyHeap(_core.PolicyHeap, Heap, metaclass=_PolicyType):
    """A heap whose policy is chosen: FreeRTOS's, and all around them.

    Headers, rounding and target addresses are those of heap_2, heap_4 and heap_5. What finds a
    block lies outside the arena, so that a call takes about as long as the logarithm of the number
    of free blocks. Two take longer: good fit and buddies in the order of addresses, where a free
    reads the list of its class, and deferred coalescing, where a request that finds no block looks
    at all of them.

    What lies there is, for each byte of an arena with an alignment of 8: up to 0.2 bytes for first
    and next fit by address, 1.5 for buddies, 2 for good fit, 2 to 3 for first and next fit by time
    and for best and worst fit by address, 3 to 4 by size, up to 5.5 by time. Of that a system
    that gives memory when it is touched gives what the blocks in use need.

    Parameters
    ----------
    memory : int or buffer, optional
        As for `Heap4`: a size in bytes, or a buffer that is used in place.
    regions : sequence of (address, size or buffer), optional
        In its place: ascending, not overlapping.
    fit : {"first", "next", "best", "worst", "good", "buddy"}, default "first"
        Which free block serves a request: the first of the list that is large enough; the same,
        from where the last search ended; the smallest that is large enough; the largest; the first
        of the first class of sizes that are all large enough; binary buddies.
    order : {"address", "lifo", "fifo", "size"}, default "address"
        Of the free list, or of each class's: by address, freed last first, freed first first, by
        size (of equals the one freed last first).
    coalesce : {"free", "never", "deferred"}, default "free"
        When adjoining free blocks become one: at each free, never, or when a request finds none.
    split : int, optional
        A rest of more than so many bytes is split off. Default: two headers, as in FreeRTOS.
    cut : {"front", "end"}, default "front"
        Which end of a free block is handed out.
    classes : int, optional
        Good fit: in how many classes the sizes from a power of two to the next fall, a power of two
        up to 32, which is the default.
    base_address, word_size, alignment, clear_on_free
        As for `Heap4`.

    Attributes
    ----------
    policy : Policy
        What was chosen, with its `name`.

    Raises
    ------
    ValueError
        As the other heaps, and for a combination that makes no sense.
    MemoryError
        Where there is no memory for what lies outside the arena. A `reset` needs none.

    Notes
    -----
    ``fit="first", order="address", coalesce="free"`` is heap_4, and heap_5 over several regions;
    ``fit="best", order="size", coalesce="never"`` is heap_2: the same addresses, sizes, nodes and,
    of one region, bytes. heap_1 is no point of this space, since it has no headers.

    Without coalescing the range is heap_2's, ``size - alignment`` bytes; with it heap_4's, which
    ends in a marker.

    An entry of the list counts as read (the column `nodes`) by a search for a block, and by one for
    the place in the list of what is given back or left of a block; the neighbours of a block cost
    none, as with a boundary tag. ``fit="best"`` and ``"worst"`` read the whole list unless it is in
    the order of sizes; good fit and buddies one entry.

    Good fit is the placement of TLSF (M. Masmano, I. Ripoll, A. Crespo, J. Real, "TLSF: a new
    dynamic memory allocator for real-time systems", ECRTS 2004) with 32 classes and last freed
    first, and of half-fit (T. Ogasawara, "An algorithm with constant execution time for dynamic
    storage allocation", RTCSA 1995) with one; ``PolicyHeap.of("tlsf")`` and ``"half-fit"`` are
    these. Sizes are classed here in steps of the alignment and with the header, which is of two
    words. ``fit="buddy"`` is the binary buddy system (K. C. Knowlton, "A fast storage allocator",
    CACM 8, 1965); the header lies within the power of two, and an arena that is none is the sum of
    several.

    Examples
    --------
    >>> heap = PolicyHeap(1024, fit="best", coalesce="free")
    >>> heap.policy.name, hex(heap.malloc(100))
    ('best-fit/address/coalescing', '0x20000008')
    >>> PolicyHeap.of("tlsf")(1024).policy.fit
    'good'
    """

    __slots__ = ()

    #: The policy unless another is given.
    chosen: ClassVar[Policy] = Policy()

    def __new__(
        cls,
        memory: _core._Memory | None = None,
        *,
        regions: Sequence[tuple[SupportsIndex, _core._Memory]] | None = None,
        fit: str | None = None,
        order: str | None = None,
        coalesce: str | None = None,
        split: int | None = None,
        cut: str | None = None,
        classes: int | None = None,
        base_address: SupportsIndex | None = None,
        word_size: SupportsIndex = 4,
        alignment: SupportsIndex = 8,
        clear_on_free: bool = False,
    ) -> Self:
        given = dict(zip(POLICY_OPTIONS, (fit, order, coalesce, split, cut, classes), strict=True))
        policy = _changed(cls.chosen, given)
        if (memory is None) == (regions is None):
            raise TypeError("a PolicyHeap takes memory or regions: one of them")
        if regions is None:
            assert memory is not None
            regions = [(DEFAULT_BASE if base_address is None else base_address, memory)]
        elif base_address is not None:
            raise TypeError("base_address goes with memory: regions have addresses of their own")
        if policy.split is not None:
            header = Layout.from_options(
                cls.kind, {"word_size": word_size, "alignment": alignment}, policy
            ).header
            if policy.split < header:
                raise ValueError(
                    f"split is {policy.split}; a rest has a header of {header} bytes: no less"
                )
        options: dict[str, Any] = {
            "word_size": word_size,
            "alignment": alignment,
            "clear_on_free": clear_on_free,
        }
        if memory is None:
            return super().__new__(cls, regions, policy.key, **options)
        try:
            return super().__new__(cls, regions, policy.key, **options)
        except (TypeError, ValueError, MemoryError) as error:
            raise type(error)(_of_memory(str(error))) from None

    @classmethod
    def of(cls, name: str | None = None, /, **policy: Any) -> type[PolicyHeap]:
        """A `PolicyHeap` that has a policy already: a class, as `Heap4` is one.

        It serves wherever a kind of heap is an argument: `compare`, `minimum_heap_size`.

        Parameters
        ----------
        name : str, optional
            The policy's name: ``"best-fit/address/coalescing"``, ``"tlsf"``, ``"half-fit"``,
            ``"buddy"``.
        **policy
            `fit`, `order`, `coalesce`, `split`, `cut`, `classes`, as the constructor takes them.

        Raises
        ------
        ValueError
            For a name of none, and for a combination that makes no sense.
        TypeError
            For what is no option of a policy.

        Examples
        --------
        >>> Best = PolicyHeap.of(fit="best", coalesce="free")
        >>> Best.chosen.name, Best(1024).free_size
        ('best-fit/address/coalescing', 1016)
        """
        foreign = policy.keys() - set(POLICY_OPTIONS)
        if foreign:
            raise TypeError(
                f"{sorted(foreign)[0]!r} is no option of a policy; "
                f"it has {', '.join(POLICY_OPTIONS)}"
            )
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name is {name!r}; it must be a str")
        return _class_of(_changed(cls.chosen if name is None else Policy.parse(name), policy))

    @property
    def policy(self) -> Policy:
        """What was chosen."""
        key = self._policy
        assert key is not None
        return Policy.of_key(key)

    def _title(self) -> str:
        return f"PolicyHeap {self.policy.name}"


def _of_memory(text: str) -> str:
    """What an error says of the one region, as the arguments are called that gave it."""
    text = text.replace("the memory of regions[0]", "memory")
    return text.replace("the address of regions[0]", "base_address").replace("regions[0]", "memory")


def _changed(policy: Policy, given: dict[str, Any]) -> Policy:
    """The policy with what is given; another fit has classes of its own."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if "fit" in chosen and chosen["fit"] != policy.fit:
        chosen.setdefault("classes", None)
    return replace(policy, **chosen)


@cache
def _class_of(policy: Policy) -> type[PolicyHeap]:
    """The one class of a policy."""
    name = f"PolicyHeap.of({policy.name!r})"
    body = {"__slots__": (), "chosen": policy, "__doc__": name, "__module__": "rtosheap"}
    made: Any = _PolicyType("PolicyHeap", (PolicyHeap,), body)
    return made  # type: ignore[no-any-return]


def _reduce(cls: _PolicyType) -> Any:
    """A class is pickled as what makes it."""
    if cls.__dict__.get("chosen") is None or _class_of(cls.chosen) is not cls:
        return cls.__qualname__
    return _class_of, (cls.chosen,)


copyreg.pickle(_PolicyType, _reduce)
PolicyHeap.__module__ = "rtosheap"
