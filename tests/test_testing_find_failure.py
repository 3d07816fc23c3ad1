"""find_failure(): the traces it finds are locally minimal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from parts import few_of

import rtosheap
from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.testing import NoFailureFound, find_failure


def fails(trace: Trace, make: Callable[[], rtosheap.Heap]) -> bool:
    return bool((replay(trace, make(), record="failure")["failure"] == 2).any())


def without(trace: Trace, index: int) -> Trace:
    kept = [event for i, event in enumerate(trace) if i != index]
    return Trace.from_events(kept, strict=False)


FACTORIES: list[Callable[[], Any]] = [
    lambda: Heap2(512),
    lambda: Heap3(512),
    lambda: Heap4(1024),
    lambda: Heap4(4096, word_size=8, base_address=0x2000_0008),
    lambda: Heap5([(0x1000_0000, 256), (0x2000_0000, 512)]),
]


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize("reallocs", few_of([False, True], [True]))
def test_find_failure_is_locally_minimal(make: Callable[[], Any], reallocs: bool) -> None:
    trace = find_failure(make, seed=7, reallocs=reallocs)
    failure = replay(trace, make())["failure"]
    assert failure[-1] == 2
    assert not np.any(failure[:-1] == 2)
    assert trace == find_failure(make, seed=7, reallocs=reallocs)
    for index in range(len(trace)):
        assert not fails(without(trace, index), make), index


def test_find_failure_gives_up_with_a_name() -> None:
    with pytest.raises(NoFailureFound, match="in 20 sequences"):
        find_failure(lambda: Heap1(512), max_examples=20)


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        ((Heap4(256),), {}, "heap_factory"),
        ((lambda: 7,), {}, "heap_factory"),
        ((lambda: Heap4(256),), {"min_size": 0}, "min_size"),
        ((lambda: Heap4(256),), {"max_size": 0}, "max_size"),
        ((lambda: Heap4(256),), {"max_examples": 0}, "max_examples"),
        ((lambda: Heap4(256),), {"max_events": 0}, "max_events"),
        ((lambda: Heap4(256),), {"seed": "x"}, "seed"),
    ],
)
def test_find_failure_names_the_bad_argument(
    arguments: Any, options: dict[str, Any], name: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        find_failure(*arguments, **options)
