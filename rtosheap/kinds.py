"""Which heap is meant: the class and its name serve alike wherever a heap kind is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from rtosheap.allocators import AllocatorKind, PolicyHeap
from rtosheap.heaps import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.policy import POLICY_OPTIONS

__all__ = [
    "CLASSES",
    "NAMES",
    "FreertosClass",
    "HeapClass",
    "HeapKind",
    "freertos_class",
    "heap_class",
    "heap_name",
    "layout_of",
    "layout_of_name",
    "policy_class",
]

FreertosClass: TypeAlias = type[Heap1] | type[Heap2] | type[Heap3] | type[Heap4] | type[Heap5]
HeapClass: TypeAlias = FreertosClass | type[PolicyHeap] | AllocatorKind
#: What an argument that chooses a heap may be.
HeapKind: TypeAlias = HeapClass | str

#: The five classes, by name.
CLASSES: dict[str, FreertosClass] = {
    "heap_1": Heap1,
    "heap_2": Heap2,
    "heap_3": Heap3,
    "heap_4": Heap4,
    "heap_5": Heap5,
}
#: The five names, in order.
NAMES: tuple[str, ...] = tuple(CLASSES)


def heap_class(heap: HeapKind) -> HeapClass:
    """The class that a heap kind names.

    Parameters
    ----------
    heap : type or str
        `Heap1` … `Heap5`, `PolicyHeap`, what `PolicyHeap.of` or `ForeignHeap.of` returns, or a
        subclass, which is returned as it is; or ``"heap_1"`` … ``"heap_5"``, or a policy's name.

    Raises
    ------
    ValueError
        A str that names no heap.
    TypeError
        Anything else, a heap itself included.

    Examples
    --------
    >>> heap_class("heap_4").__name__
    'Heap4'
    >>> heap_class("best-fit/address/coalescing").chosen.fit
    'best'
    """
    if isinstance(heap, str):
        if heap in CLASSES:
            return CLASSES[heap]
        try:
            return PolicyHeap.of(heap)
        except ValueError as error:
            why = f"; {error}" if "-fit" in heap or "/" in heap else _meant(heap)
            raise ValueError(f"heap is {heap!r}; it must be {_CHOICES}{why}") from None
    if isinstance(heap, AllocatorKind):
        return heap
    known = (*CLASSES.values(), PolicyHeap)
    if isinstance(heap, type) and issubclass(heap, known):
        return heap
    if isinstance(heap, known):
        hint = f"the class {type(heap).__name__} serves, one of its heaps does not"
        raise TypeError(f"heap is {heap!r}; {hint}")
    raise TypeError(f"heap is {heap!r}; it must be {_CHOICES}")


def heap_name(heap: HeapKind) -> str:
    """The name of a heap kind, ``"heap_1"`` … ``"heap_5"``, its policy's or its own; a subclass has
    its heap's.

    Raises
    ------
    ValueError, TypeError
        As :func:`heap_class`.

    Examples
    --------
    >>> from rtosheap.heaps import Heap4
    >>> heap_name(Heap4), heap_name("heap_1")
    ('heap_4', 'heap_1')
    """
    chosen = heap_class(heap)
    if isinstance(chosen, AllocatorKind):
        return chosen.name
    if issubclass(chosen, PolicyHeap):
        return chosen.chosen.name
    return next(name for name, known in CLASSES.items() if issubclass(chosen, known))


def freertos_class(heap: HeapKind) -> FreertosClass:
    """The class of one of FreeRTOS's own heaps, where no other serves.

    Parameters
    ----------
    heap : type or str
        As for :func:`heap_class`.

    Raises
    ------
    ValueError, TypeError
        As :func:`heap_class`; and for a policy, or an allocator that is not ours.

    Examples
    --------
    >>> freertos_class("heap_2").__name__
    'Heap2'
    >>> freertos_class("best-fit/lifo")
    Traceback (most recent call last):
        ...
    ValueError: heap is 'best-fit/lifo/coalescing'; here only FreeRTOS's own heaps serve: ...
    """
    chosen = heap_class(heap)
    if isinstance(chosen, AllocatorKind) or issubclass(chosen, PolicyHeap):
        raise ValueError(
            f"heap is {heap_name(chosen)!r}; here only FreeRTOS's own heaps serve: "
            f"{', '.join(NAMES)}"
        )
    return chosen


def policy_class(heap: HeapClass, options: Mapping[str, Any]) -> tuple[HeapClass, dict[str, Any]]:
    """The class that has the policy which options of its constructor choose, and the others.

    Parameters
    ----------
    heap : type
        `PolicyHeap`; any other kind of heap has no such options.
    options : mapping of str to object
        What the constructor is to be given.

    Returns
    -------
    heap : type
        The class with that policy; the one that was given, where no option chooses any.
    others : dict of str to object
        The options that are left for its constructor.

    Raises
    ------
    ValueError
        If an option chooses what there is not.

    Examples
    --------
    >>> from rtosheap import PolicyHeap
    >>> cls, others = policy_class(PolicyHeap, {"fit": "best", "alignment": 16})
    >>> cls.chosen.fit, others
    ('best', {'alignment': 16})
    """
    others = dict(options)
    if isinstance(heap, AllocatorKind) or not issubclass(heap, PolicyHeap):
        return heap, others
    policy = {name: others.pop(name) for name in POLICY_OPTIONS if name in others}
    return (heap.of(**policy) if policy else heap), others


def layout_of(heap: HeapKind, options: Mapping[str, Any] | None = None) -> Layout:
    """What a heap of a kind looks like, with the options that its constructor is given.

    Parameters
    ----------
    heap : type or str
        As for :func:`heap_class`.
    options : mapping of str to object, optional
        The constructor's, such as ``word_size`` and ``alignment``, in bytes.

    Returns
    -------
    Layout
        The sizes of headers and blocks, in bytes, and where an arena's first and last can be.

    Raises
    ------
    ValueError, TypeError
        As :func:`heap_class`.

    Examples
    --------
    >>> layout = layout_of("heap_4", {"word_size": 8, "alignment": 16})
    >>> layout.header, layout.block_size(100)
    (16, 128)
    """
    chosen = heap_class(heap)
    if isinstance(chosen, AllocatorKind):
        return Layout(0, chosen.word_size, chosen.alignment, called=chosen.name)
    policy = chosen.chosen if issubclass(chosen, PolicyHeap) else None
    return Layout.from_options(chosen.kind, options or {}, policy)


def layout_of_name(name: str) -> Layout:
    """The layout of what a result calls so; of an allocator that is not ours nothing is known.

    Parameters
    ----------
    name : str
        The name of a heap or a policy, or any other.

    Returns
    -------
    Layout

    Examples
    --------
    >>> layout_of_name("heap_2").header, layout_of_name("their pool").name
    (8, 'their pool')
    """
    try:
        return layout_of(name)
    except ValueError:
        return Layout(0, called=name)


def _meant(name: str) -> str:
    """What comes nearest to a name that is none."""
    near = get_close_matches(name.lower(), NAMES, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


_CHOICES = (
    f"one of the classes {', '.join(known.__name__ for known in CLASSES.values())}, "
    f"or one of the names {', '.join(map(repr, NAMES))}, or a PolicyHeap or a policy's name, such "
    "as 'best-fit/address/coalescing', or what ForeignHeap.of() returns"
)
