"""Pickles that were recorded once load for ever, and what is pickled now names public places."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path
from typing import Any

import pytest

import rtosheap
from rtosheap import Heap4, Op, Trace, TraceError, compare, minimum_heap_size

PICKLES = Path(__file__).parent / "data" / "pickles"
SMALL = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])


def recorded(name: str) -> Any:
    """What was pickled before the packages had their present names."""
    return pickle.loads((PICKLES / f"{name}.pickle").read_bytes())


def test_there_are_five_of_these() -> None:
    """The others, of heaps, are test_heap_pickles.py's."""
    found = {path.stem for path in PICKLES.glob("*.pickle") if not path.stem.startswith("heap_")}
    assert found == {"minimum_size", "trace", "trace_error", "trace_plain"}
    assert (PICKLES / "heap_result.pickle").is_file()


def test_a_recorded_trace() -> None:
    trace = recorded("trace")
    expected = Trace(
        "mmrfm",
        id=[0, 1, 0, 1, 2],
        size=[100, 20, 300, 0, 40],
        time=[1, 2, 3, 9, 9],
        task=["net", "", "ui", "net", "ui"],
        meta={"name": "recorded", "time_unit": "us"},
    )[1:]
    assert type(trace) is Trace
    assert trace == expected
    assert trace.meta == expected.meta
    assert trace.dropped == expected.dropped
    assert trace.dropped.reallocs_before_slice == 1
    assert recorded("trace_plain") == Trace("mf", id=[7, 7], size=[8, 0])


def test_recorded_results() -> None:
    row = compare(SMALL, heaps=["heap_4"])["heap_4"]  # its words may be others
    assert recorded("heap_result")._replace(verdict=row.verdict) == row
    assert recorded("minimum_size") == minimum_heap_size(SMALL, Heap4)


def test_a_recorded_error() -> None:
    error = recorded("trace_error")
    assert type(error) is TraceError
    assert (error.reason, error.event, error.line, error.path) == ("no such op", 3, 7, "a.trace")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_trace_is_pickled_as_arrays_by_name(protocol: int) -> None:
    trace = recorded("trace")
    again = pickle.loads(pickle.dumps(trace, protocol))
    assert again == trace
    assert again.meta == trace.meta
    assert again.dropped == trace.dropped
    assert again.__getstate__()["version"] == 2
    assert not again.op.flags.writeable
    names = {str(argument) for _, argument, _ in pickletools.genops(pickle.dumps(trace, protocol))}
    modules = {name.split()[0] for name in names if name.startswith("rtosheap")}
    assert modules == {"rtosheap.traces"}


def test_a_pickle_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 3; this reads version 1 or 2"):
        SMALL.__class__.__new__(Trace).__setstate__({"version": 3})


def test_names_that_have_moved_shadow_nothing() -> None:
    recorded("trace")
    assert callable(rtosheap.replay)
    assert callable(rtosheap.compare)
    assert not hasattr(rtosheap, "what_if")
    with pytest.raises(ModuleNotFoundError):
        __import__("rtosheap.what_if")
    assert Op.__module__ == "rtosheap.traces"
