"""A heap kind is a class or a name."""

from __future__ import annotations

import pytest

import rtosheap
from rtosheap.kinds import CLASSES, NAMES, heap_class, heap_name


@pytest.mark.parametrize("number", range(1, 6))
def test_class_and_name_both_serve(number: int) -> None:
    name = f"heap_{number}"
    known = getattr(rtosheap, f"Heap{number}")
    assert heap_class(name) is heap_class(known) is CLASSES[name] is known
    assert heap_name(name) == heap_name(known) == NAMES[number - 1] == name
    assert known.kind == number


def test_a_subclass_serves() -> None:
    class Mine(rtosheap.Heap2):
        pass

    assert heap_class(Mine) is Mine
    assert heap_name(Mine) == "heap_2"


@pytest.mark.parametrize("resolve", [heap_class, heap_name])
def test_what_is_no_kind(resolve: object) -> None:
    assert callable(resolve)
    for wrong, error, match in [
        ("heap4", ValueError, "heap is 'heap4'; it must be one of the classes Heap1, .*'heap_5'"),
        ("", ValueError, "heap is ''; it must be"),
        (4, TypeError, "heap is 4; it must be"),
        (None, TypeError, "heap is None; it must be"),
        (int, TypeError, "heap is <class 'int'>; it must be"),
        (rtosheap.Heap, TypeError, "it must be one of the classes"),
        (rtosheap.Heap4(64), TypeError, "the class Heap4 serves, one of its heaps does not"),
    ]:
        with pytest.raises(error, match=match):
            resolve(wrong)


@pytest.mark.parametrize("name", ["heap4", "Heap_4", "heap-4"])
def test_a_name_that_is_near_is_told(name):
    with pytest.raises(ValueError, match="did you mean 'heap_4'"):
        heap_class(name)
