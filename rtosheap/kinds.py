"""Which heap is meant: the class and its name serve alike wherever a heap kind is an argument."""

from __future__ import annotations

from typing import TypeAlias

from rtosheap.heaps import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.heaps.layout import Layout

__all__ = ["CLASSES", "NAMES", "HeapClass", "HeapKind", "heap_class", "heap_name", "layout_of"]

HeapClass: TypeAlias = type[Heap1] | type[Heap2] | type[Heap3] | type[Heap4] | type[Heap5]
#: What an argument that chooses a heap may be.
HeapKind: TypeAlias = HeapClass | str

#: The five classes, by name.
CLASSES: dict[str, HeapClass] = {
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
        `Heap1` … `Heap5` or a subclass, which is returned as it is; or ``"heap_1"`` … ``"heap_5"``.

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
    """
    if isinstance(heap, str):
        try:
            return CLASSES[heap]
        except KeyError:
            raise ValueError(f"heap is {heap!r}; it must be {_CHOICES}") from None
    if isinstance(heap, type) and issubclass(heap, tuple(CLASSES.values())):
        return heap
    if isinstance(heap, tuple(CLASSES.values())):
        hint = f"the class {type(heap).__name__} serves, one of its heaps does not"
        raise TypeError(f"heap is {heap!r}; {hint}")
    raise TypeError(f"heap is {heap!r}; it must be {_CHOICES}")


def heap_name(heap: HeapKind) -> str:
    """The name of a heap kind, ``"heap_1"`` … ``"heap_5"``; a subclass has its heap's.

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
    return next(name for name, known in CLASSES.items() if issubclass(chosen, known))


def layout_of(heap: HeapKind) -> Layout:
    """What a heap of a kind looks like with the default options.

    Raises
    ------
    ValueError, TypeError
        As :func:`heap_class`.
    """
    return Layout(heap_class(heap).kind)


_CHOICES = (
    f"one of the classes {', '.join(known.__name__ for known in CLASSES.values())}, "
    f"or one of the names {', '.join(map(repr, NAMES))}"
)
