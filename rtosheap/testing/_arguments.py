"""Arguments that are tested before a strategy is built, with errors that name them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """An int in [low, high]."""
    if isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be an int")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be an int") from None
    if number < low or (high is not None and number > high):
        bound = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} is {number}; it must be {bound}")
    return number


def interval(value: Any, name: str, low: int, high: int | None = None) -> tuple[int, int]:
    """A pair of ints, the first no larger than the second."""
    try:
        first, last = value
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}; it must be a pair (smallest, largest)") from None
    smallest = integer(first, f"{name}[0]", low, high)
    return smallest, integer(last, f"{name}[1]", smallest, high)


def choices(value: Iterable[T] | str, name: str, allowed: Iterable[T]) -> tuple[T, ...]:
    """One or more of what is allowed, in the order given; a single str serves too."""
    known = tuple(allowed)
    picked: tuple[Any, ...]
    try:
        picked = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a sequence out of {known}") from None
    if not picked:
        raise ValueError(f"{name} is empty; it must name at least one of {known}")
    for one in picked:
        if isinstance(one, bool) or one not in known:
            raise ValueError(f"{name} has {one!r}; it must be out of {known}")
    return picked


def boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it must be True or False")
    return value
