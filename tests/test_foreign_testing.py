"""Foreign allocators under the state machine and the search for a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from broken_allocators import FirstFit
from foreign_libraries import BITS, library
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from rtosheap import ForeignHeap, Heap4, replay
from rtosheap.testing import AllocatorMachine, AllocatorViolation, find_failure

FEW = settings(
    max_examples=15,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def machine(built: Path, size: int = 1024, **flags: object) -> Any:
    class Machine(AllocatorMachine):
        def make_allocator(self) -> ForeignHeap:
            return ForeignHeap.load(built, size)

    for name, flag in flags.items():
        setattr(Machine, name, flag)
    return seed(1)(Machine)


@pytest.mark.parametrize("bits", BITS)
def test_our_heap_4_passes(tmp_path: Path, bits: int) -> None:
    run_state_machine_as_test(machine(library(tmp_path, "our_heap_4.c", bits=bits)), settings=FEW)


def test_an_allocator_that_never_frees_passes(tmp_path: Path) -> None:
    built = library(tmp_path, "bump.c")
    run_state_machine_as_test(machine(built, can_free=False, coalesces=False), settings=FEW)


@pytest.mark.parametrize(
    "fault", ["CRASH", "OVERLAP", "MISALIGNED", "OUTSIDE", "LATE", "FREE_SIZE"]
)
def test_what_goes_wrong_is_a_violation(tmp_path: Path, fault: str) -> None:
    built = library(tmp_path, "simple.c", "TELLS", f"FAULT={fault}", "FAULT_AT=3")
    tried = machine(built, coalesces=False, exact_free_size=False)
    chosen = settings(FEW, max_examples=100, report_multiple_bugs=False)
    with pytest.raises(AllocatorViolation, match="tried: ") as found:
        run_state_machine_as_test(tried, settings=chosen)
    notes = "\n".join(getattr(found.value, "__notes__", []))
    assert "state._" not in notes
    assert "The calls:\n    malloc(" in notes


@pytest.mark.long
@pytest.mark.parametrize("bits", BITS)
def test_a_failure_is_found_as_of_our_own(tmp_path: Path, bits: int) -> None:
    built = library(tmp_path, "our_heap_4.c", bits=bits)
    trace = find_failure(lambda: ForeignHeap.load(built, 256), seed=1, max_examples=2000)
    assert replay(trace, ForeignHeap.load(built, 256))["failure"][-1] == 2
    assert replay(trace, Heap4(256, word_size=bits // 8))["failure"][-1] == 2
    assert len(trace) <= 12


def test_a_failure_of_an_object_is_found() -> None:
    trace = find_failure(lambda: FirstFit(256), seed=1, max_examples=2000)
    assert replay(trace, FirstFit(256))["failure"][-1] == 2


def test_what_cannot_be_searched_is_named(tmp_path: Path) -> None:
    built = library(tmp_path, "bump.c", name="libbump.so")
    with pytest.raises(ValueError, match="is not known: bump lacks rh_foreign_walk"):
        find_failure(lambda: ForeignHeap.load(built, 256))
    with pytest.raises(ValueError, match="FirstFit has no free_blocks"):
        find_failure(lambda: FirstFit(256, tell=False))
    with pytest.raises(TypeError, match="heap_factory returned 3; it must return a heap"):
        find_failure(lambda: 3)
