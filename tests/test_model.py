"""The model against the recordings: what it is worth as a witness for the C core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import vectors
from model import Kernel, Model, Model1, Model2, Model3, Model4, Model5, ModelError
from parts import few_of


def make_model(
    case: vectors.Case, kernel: Kernel | str | None = None, end_marker: int | None = None
) -> Model:
    address, size = case.target_regions[0]
    options: dict[str, Any] = {"word_size": case.word, "alignment": case.align, "kernel": kernel}
    if case.heap == 1:
        return Model1(size, base_address=address, **options)
    options["clear_on_free"] = case.clear_on_free
    if case.heap == 2:
        marker = case.end_marker or end_marker
        return Model2(size, base_address=address, end_marker_address=marker, **options)
    options["canary"] = case.canary
    if case.heap == 4:
        return Model4(size, base_address=address, **options)
    return Model5(case.target_regions, **options)


def make_model3(case: vectors.NanoCase) -> Model3:
    return Model3(case.size, base_address=case.address, newlib=case.version)


@pytest.mark.parametrize("name", few_of(vectors.NAMES, [n for n in vectors.NAMES if "w32" in n]))
def test_model_follows_the_vectors(name: str) -> None:
    refusals = vectors.Refusals(regions=ValueError, free=(ModelError,))
    compared = [vectors.run_case(case, make_model, refusals) for case in vectors.load(name)]
    assert len(compared) == vectors.RECORDED[name].cases
    assert sum(compared) == vectors.RECORDED[name].operations


def break_offset(model: Model3) -> int:
    return model.break_offset


# With None the runner takes the break from the free list, as it does for the real Heap3.
@pytest.mark.parametrize("break_of", [break_offset, None])
def test_model_follows_newlib_nano(break_of: Callable[[Model3], int] | None) -> None:
    cases = vectors.load_nano()
    compared = [vectors.run_nano_case(case, make_model3, break_of=break_of) for case in cases]
    assert len(compared) == vectors.NANO_CASES
    assert sum(compared) == vectors.NANO_OPERATIONS


@pytest.mark.parametrize("name", vectors.LOG_EVENTS)
def test_model_follows_a_running_kernel(name: str) -> None:
    log = vectors.load_log(name)
    model = Model4(log.size, base_address=log.base_address, word_size=log.word, alignment=log.align)
    assert vectors.run_log(log, model) == vectors.LOG_EVENTS[name]
