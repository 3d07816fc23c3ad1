"""``rtosheap list``: all that can be named is in it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import rtosheap
from rtosheap import cli, data
from rtosheap.kinds import NAMES, heap_class
from rtosheap.traces import formats

LISTS = ("traces", "heaps", "kernels", "newlibs", "formats")


def names(done: Any, what: str) -> list[str]:
    return [record["name"] for record in done.json[what]]


def test_all_in_short(run: Any) -> None:
    done = run("list")
    assert (done.status, done.err) == (0, "")
    for word in (*data.names(), *NAMES, "V10.3.1", "arm-gnu-10.3-2021.10", *formats.NAMES):
        assert word in done.out
    assert "69,492" in done.out
    assert len(done.out.splitlines()) <= 80


def test_json_has_all(run: Any) -> None:
    done = run("list", "--json")
    assert tuple(done.json) == LISTS
    assert names(done, "kernels") == [kernel.name for kernel in rtosheap.kernels()]
    assert names(done, "newlibs") == [one.name for one in rtosheap.newlibs()]
    assert names(done, "formats") == list(formats.NAMES)
    assert names(done, "heaps")[:5] == list(NAMES)
    suffixes = [suffix for one in done.json["formats"] for suffix in one["written_as"]]
    assert sorted(suffixes) == sorted(formats.WRITERS)


def test_traces_are_as_they_load(run: Any) -> None:
    records = run("list", "traces", "--json").json["traces"]
    assert [record["name"] for record in records[: len(data.names())]] == list(data.names())
    loaded = [(data.load(name),) for name in data.names()]
    loaded += [data.days(record["name"]) for record in records[len(loaded) :]]
    for record, traces in zip(records, loaded, strict=True):
        assert record["recordings"] == len(traces)
        assert record["events"] == sum(map(len, traces))
        assert record["peak_live_bytes"] == max(trace.peak_live_bytes for trace in traces)


def test_heaps_can_be_named_so(run: Any) -> None:
    for name in names(run("list", "heaps", "--json"), "heaps"):
        assert heap_class(name) is not None


@pytest.mark.parametrize("what", LISTS)
def test_one_of_them(run: Any, what: str) -> None:
    done = run("list", what)
    assert (done.status, done.err) == (0, "")
    for name in names(run("list", what, "--json"), what):
        assert name in done.out


def test_what_is_no_list(run: Any) -> None:
    done = run("list", "cpus")
    assert done.status == 2
    assert "'formats'" in done.err


def test_a_second_start_in_one_process(run: Any, monkeypatch: Any) -> None:
    """The command's module bears the name of a builtin that the package might use."""
    assert run("list", "heaps").status == 0
    monkeypatch.setattr(sys, "argv", ["rtosheap", "list", "heaps"])
    assert cli.main() == 0


def test_no_argument_at_all_is_help(run: Any) -> None:
    done = run()
    assert (done.status, done.err) == (0, "")
    assert done.out == run("--help").out


def test_an_empty_argument_is_no_command(run: Any) -> None:
    done = run("")
    assert (done.status, done.out) == (2, "")
    assert "invalid choice: ''" in done.err
