"""Tables as plain text."""

from __future__ import annotations

import doctest

import rtosheap.tables
from rtosheap.tables import plain_table


def test_examples() -> None:
    assert doctest.testmod(rtosheap.tables).failed == 0


def test_numbers_below_zero_stand_to_the_right_too() -> None:
    table = plain_table(
        ["heap", "saved"], [("heap_1", -200), ("heap_4", 1234), ("b", -float("inf"))]
    )
    assert table.splitlines()[1:] == ["heap_1   -200", "heap_4  1,234", "b        -inf"]
