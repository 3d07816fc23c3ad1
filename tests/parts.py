"""Which cases of a table run in the default part, and which with what is `long`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def few_of(cases: Iterable[Any], few: Collection[Any]) -> list[Any]:
    """All the cases, a tuple for several arguments; those that are not of the few take long."""
    every = list(cases)
    assert few, "no case is left in the default part"
    assert all(case in every for case in few), few
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if case in few else pytest.mark.long,
        )
        for case in every
    ]
