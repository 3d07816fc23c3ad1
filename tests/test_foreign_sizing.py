"""How large a heap must be of an allocator that is not ours: by trial, and beside the others."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from foreign_libraries import library

from rtosheap import (
    ForeignHeap,
    Heap4,
    Trace,
    UnservableError,
    compare,
    data,
    minimum_heap_size,
)
from rtosheap.cortexm import measure
from rtosheap.inspection import inspect
from rtosheap.kinds import heap_class, heap_name, layout_of
from rtosheap.plot import sizing_points


@pytest.fixture(scope="module")
def ours(tmp_path_factory: Any) -> Any:
    """Our heap_4 as a library of 32 bits."""
    return ForeignHeap.of(library(tmp_path_factory.mktemp("ours"), "our_heap_4.c", bits=32))


def simple(path: Path, *options: str) -> Any:
    return ForeignHeap.of(library(path, "simple.c", *options), name="simple")


def test_our_heap_4_from_a_library_needs_what_heap_4_needs(ours: Any) -> None:
    trace = data.load("coap-server")
    found, known = minimum_heap_size(trace, ours), minimum_heap_size(trace, Heap4)
    assert (found.heap, found.exact) == (ours.name, False)
    for what in ("size", "witness", "peak_live_bytes"):
        assert getattr(found, what) == getattr(known, what), what
    assert found.safe_size == found.size
    assert found.safe_checked_up_to == found.size + 64 * 8
    assert "smallest size found" in str(found)


def test_what_is_advised_is_what_was_free_between_events(ours: Any) -> None:
    trace = data.load("frtos-cm3-mixed")
    assert (trace.op != ord("r")).all()  # one holds two blocks within an event
    found, known = minimum_heap_size(trace, ours), minimum_heap_size(trace, Heap4)
    assert (found.size, found.advice_size) == (known.size, known.advice_size)
    assert found.advice_fails_at == known.advice_fails_at


def test_several_recordings(ours: Any) -> None:
    days = [Trace("mm", id=[0, 1], size=[size, 40], meta={"name": str(size)}) for size in (90, 300)]
    both, known = minimum_heap_size(days, ours), minimum_heap_size(days, Heap4)
    assert (both.size, both.recording) == (known.size, "300")
    assert [one.size for one in both.recordings] == [one.size for one in known.recordings]


def test_a_row_of_a_comparison(ours: Any) -> None:
    trace = data.load("coap-server")
    result = compare(trace, heaps=[Heap4, ours, "tlsf"], heap_size=34_000)
    row, known = result[ours.name], result["heap_4"]
    assert [one.heap for one in result] == ["heap_4", ours.name, "tlsf"]
    same = ("size", "ratio", "witness", "failures", "failure_event")
    for what in (*same, "failure_reason"):
        assert getattr(row, what) == getattr(known, what), what
    # What it does not tell is absent, not 0.
    assert (row.most_nodes, row.breakdown, row.external_fragmentation) == (None, None, None)
    assert ours.name in str(result)
    assert json.loads(json.dumps(result.to_dict()))["heaps"][1]["heap"] == ours.name
    assert result._repr_html_()


def test_a_comparison_in_other_processes(ours: Any) -> None:
    from concurrent.futures import ProcessPoolExecutor

    trace = data.load("coap-server")
    with ProcessPoolExecutor(1) as executor:
        row = compare(trace, heaps=[ours], executor=executor)[ours.name]
    assert row.size == minimum_heap_size(trace, Heap4).size


def test_what_it_does_not_tell_is_not_advised(tmp_path: Path) -> None:
    kind = ForeignHeap.of(library(tmp_path, "bump.c"), name="bump")
    trace = Trace("mmf", id=[0, 1, 0], size=[100, 50, 0])
    found = minimum_heap_size(trace, kind)
    assert (found.advice_size, found.advice_fails_at) == (None, None)
    assert "minimum ever free" not in str(found)
    row = compare(trace, heaps=[kind], heap_size=80)["bump"]
    assert (row.advice_size, row.failures, row.failure_event) == (None, 1, 0)


def test_the_curve_of_sizes(ours: Any) -> None:
    trace = data.load("coap-server")
    sizes = [30_000, 34_224, 40_000]
    found = sizing_points(trace, heaps=["heap_4", ours], sizes=sizes)
    assert found.curves[0].failures == found.curves[1].failures


def test_options_that_a_library_has_not(ours: Any) -> None:
    trace = Trace("m", id=[0], size=[100])
    at = minimum_heap_size(trace, ours, base_address=0x1000_0000)
    assert at.regions[0][0] == 0x1000_0000
    with pytest.raises(TypeError, match="alignment"):
        minimum_heap_size(trace, ours, alignment=16)
    with pytest.raises(ValueError, match=f"{ours.name} has none, only heap_5 and policies do"):
        minimum_heap_size(trace, ours, regions=[(8, None)])
    row = compare(trace, heaps=[ours, Heap4], word_size=8)[ours.name]
    assert row.error == f"{ours.name} is built for words of 4 bytes, not 8"


def test_a_kind_is_named_and_known_by_its_size_alone(ours: Any) -> None:
    assert heap_class(ours) is ours
    assert heap_name(ours) == ours.name
    assert pickle.loads(pickle.dumps(ours)) == ours
    layout = layout_of(ours)
    assert (layout.name, layout.word, layout.is_known) == (ours.name, 4, False)
    for wrong in (lambda: inspect(bytes(64), ours), lambda: measure(data.load("lua-sched"), ours)):
        with pytest.raises(ValueError, match="here only FreeRTOS's own heaps serve: heap_1, "):
            wrong()
    with pytest.raises(ValueError, match="heap is 'tlsf'; here only FreeRTOS's own heaps serve"):
        inspect(bytes(64), "tlsf")


def test_a_request_that_no_size_serves(tmp_path: Path) -> None:
    kind = ForeignHeap.of(library(tmp_path, "bump.c"), name="bump")
    for search in (None, "full"):
        with pytest.raises(UnservableError, match=r"the largest bump tried, [0-9]+ bytes, fails"):
            minimum_heap_size(Trace("m", id=[0], size=[2**49]), kind, search=search)


def test_a_library_that_takes_no_large_arena(tmp_path: Path) -> None:
    source = tmp_path / "small.c"
    body = (Path(__file__).parent / "foreign" / "bump.c").read_text()
    source.write_text(
        body.replace("at = memory;", "if (size > 4096) return false;\n    at = memory;")
    )
    kind = ForeignHeap.of(library(tmp_path, source), name="small")
    assert minimum_heap_size(Trace("m", id=[0], size=[1000]), kind).size == 1000
    with pytest.raises(UnservableError, match=r"the largest small tried, [0-9]+ bytes, fails at"):
        minimum_heap_size(Trace("m", id=[0], size=[5000]), kind)
