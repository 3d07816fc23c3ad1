"""Heaps side by side of several releases of the kernel, and of newlib."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
import traces
from workloads import random_trace

from rtosheap import Trace, compare, kernels, minimum_heap_size, replay
from rtosheap.cli import main
from rtosheap.comparison import Comparison, VersionResult
from rtosheap.kinds import NAMES, heap_class

COAP = traces.load("coap-server")
BASE = 0x2000_0000


def of(result: Comparison, heap: str) -> dict[str, VersionResult]:
    return {one.version: one for one in result.versions if one.heap == heap}


def test_the_newest_stands_beside_one_that_is_named() -> None:
    result = compare(COAP, kernel="10.4.3", newlib="arm-gnu-10-2020-q4", heap_size=60_000)
    assert [(one.heap, one.version) for one in result.versions] == [
        (heap, version)
        for heap in NAMES
        for version in (
            ("newlib arm-gnu-10-2020-q4", "newlib 4.4.0")
            if heap == "heap_3"
            else ("V10.4.3", "main")
        )
    ]
    for row in result:
        own = next(one for one in result.versions if one.heap == row.heap)
        assert (own.size, own.safe_size, own.failures) == (row.size, row.safe_size, row.failures)
        assert (own.moved, own.shift) == (0.0, 0)
    assert result.verdict.endswith(
        "V10.4.3 beside main: heap_1 needs the same, each block 8 bytes lower; heap_2 needs 37,136 "
        "and 36,368 bytes, with 99.8% of the blocks elsewhere; heap_4 and heap_5 are the same, "
        "block for block. newlib arm-gnu-10-2020-q4 beside newlib 4.4.0: heap_3 needs 34,872 and "
        "34,856 bytes, with 86.7% of the blocks elsewhere."
    )
    assert "heap_2  main                         36,368  99.8%     -8" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["versions"][3]["size"] == 36_368
    assert pickle.loads(pickle.dumps(result)) == result


def test_nothing_is_said_where_no_other_release_is_in_question() -> None:
    for options in ({}, {"kernel": None}, {"kernel": "main"}, {"newlib": "4.5.0"}):
        result = compare(COAP, heaps=["heap_3", "heap_4"], **options)
        assert len(of(result, "heap_4")) == (options.get("kernel") == "main")
        assert len(of(result, "heap_3")) == ("newlib" in options)
        assert " beside " not in result.verdict
    assert "versions" not in compare(COAP, heaps="heap_1").to_dict()


@pytest.mark.parametrize("seed", range(8))
def test_each_release_is_as_it_is_by_itself(seed: int) -> None:
    """Sizes, failures and places of every release, found by themselves."""
    rng = np.random.default_rng([11, seed])
    trace = random_trace(rng, 60)
    names = [kernel.name for kernel in kernels()]
    result = compare(
        trace, heaps=["heap_1", "heap_2", "heap_4"], kernel=names, heap_size=512, word_size=4
    )
    for heap in ("heap_1", "heap_2", "heap_4"):
        rows = of(result, heap)
        assert list(rows) == names
        for name, row in rows.items():
            found = minimum_heap_size(trace, heap, kernel=name)
            assert (row.size, row.safe_size) == (found.size, found.safe_size)
            assert row.failures == replay(trace, heap_class(heap)(512, kernel=name)).failures
            assert (row.moved, row.shift) == moved(trace, heap, found.size, name, names[0])


def moved(trace: Trace, heap: str, size: int, kernel: str, first: str) -> tuple[float, int]:
    """One event after the other."""
    here, there = (
        replay(trace, heap_class(heap)(size, kernel=name)).address.tolist()
        for name in (kernel, first)
    )
    asks = [event for event, op in enumerate(trace.op) if op != ord("f") and trace.size[event]]
    shift = next((here[i] - there[i] for i in asks if here[i] and there[i]), 0)
    other = sum(not (here[i] and there[i] and here[i] - there[i] == shift) for i in asks)
    return (other / len(asks) if asks else 0.0), shift


def test_what_behaves_alike_is_searched_for_once() -> None:
    seen: list[int] = []
    compare(
        COAP,
        heaps=["heap_4"],
        kernel=["V10.0.0", "V10.3.1", "V10.4.3", "V11.1.0"],
        progress=lambda done, total: seen.append(total),
    )
    one: list[int] = []
    compare(COAP, heaps=["heap_4"], progress=lambda done, total: one.append(total))
    assert set(seen) == set(one)


def test_releases_that_fail_otherwise() -> None:
    trace = Trace("m", [0], [112])
    result = compare(
        trace, heaps=["heap_2", "heap_4"], kernel=["V11.0.0", "V10.5.1"], heap_size=128
    )
    assert of(result, "heap_4")["V10.5.1"].failures == 1
    assert result.verdict.endswith(
        "V11.0.0 beside V10.5.1: heap_2 needs 128 and 136 bytes, fails 0 and 1 times at the size "
        "asked about; heap_4 needs 128 and 136 bytes, fails 0 and 1 times at the size asked about."
    )


def test_a_release_that_cannot_serve() -> None:
    size = (1 << 31) - 24
    trace = Trace("m", [0], [size])
    result = compare(trace, heaps=["heap_4"], kernel=["V11.0.0", "V10.5.1"])
    row = of(result, "heap_4")["V10.5.1"]
    assert row.size is None
    assert row.error
    assert (row.moved, row.shift) == (None, None)
    assert "heap_4 needs 2,147,483,640 bytes with V11.0.0, cannot serve it with V10.5.1." in (
        result.verdict
    )
    other = compare(trace, heaps=["heap_4"], kernel=["V10.5.1", "V11.0.0"])
    assert other.verdict == (
        "No heap that was asked about (heap_4) can serve this trace. V10.5.1 beside V11.0.0: "
        "heap_4 cannot serve it with V10.5.1, needs 2,147,483,640 bytes with V11.0.0."
    )


def test_regions_that_are_made_up_are_those_of_the_release_named_first() -> None:
    result = compare(COAP, heaps=["heap_5"], kernel=["V11.0.0", "V10.5.1"])
    first, (second, _) = result["heap_5"].regions or ((0, 0), (0, 0))
    found = minimum_heap_size(COAP, "heap_5", regions=[first, (second, None)], kernel="V10.5.1")
    assert of(result, "heap_5")["V10.5.1"].size == found.size


def test_several_recordings_and_processes() -> None:
    days = [COAP, traces.load("lua-sched")]
    with ProcessPoolExecutor(2) as executor:
        result = compare(days, heaps=["heap_2"], kernel="V10.2.1", executor=executor)
    assert result == compare(days, heaps=["heap_2"], kernel="V10.2.1")
    rows = of(result, "heap_2")
    for name in ("V10.2.1", "main"):
        assert rows[name].size == minimum_heap_size(days, "heap_2", kernel=name).size


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"kernel": []}, ValueError, "kernel is empty; it must name at least one release"),
        ({"kernel": ["V10.4.3", "10.4.3"]}, ValueError, "'V10.4.3' may appear once"),
        ({"newlib": ["4.0.0", "4.0.0"]}, ValueError, "'4.0.0' may appear once"),
        ({"kernel": ["V10.4.3", "V10.4.9"]}, ValueError, "kernel is 'V10.4.9'; no release has"),
        ({"kernel": 10}, TypeError, "kernel is 10; it must be a str, such as 'V10.3.1', or None"),
        ({"newlib": "zephyr-sdk-0.17.1"}, ValueError, "which malloc that has is not known"),
    ],
)
def test_wrong_releases(options: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        compare(COAP, **options)
    assert said in str(raised.value)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", "coap-server", "--heap", "heap_4", "--kernel", "V10.4.3"]
    assert main([*command, "--kernel", "10.5.1"]) == 0
    assert "V10.4.3 beside V10.5.1: heap_4 needs 34,224 and 35,104 bytes" in (
        " ".join(capsys.readouterr().out.split())
    )
    assert main(command) == 0
    assert "V10.4.3 beside main: heap_4 is the same, block for block." in (
        " ".join(capsys.readouterr().out.split())
    )
