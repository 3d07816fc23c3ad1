"""The traces that come with the package, and those that only the tests use."""

from __future__ import annotations

import doctest
import gzip
import re
from pathlib import Path

import device_images
import pytest
import tools
import traces

import rtosheap.data
from rtosheap.device import load_dump
from rtosheap.inspection import inspect

BUNDLED = (
    "cjson-docs",
    "coap-server",
    "expat-upnp",
    "frtos-cm3-mixed",
    "lua-sched",
    "lwip-3cli",
    "mosq-broker",
    "sqlite-log",
    "tls-client-rsa-resume",
)


def test_names():
    assert rtosheap.data.names() == BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_each(name):
    assert rtosheap.data.load(name) == traces.load(name)
    assert rtosheap.data.load(name).name == name
    assert rtosheap.data.path(name).is_file()
    said = rtosheap.data.describe(name)
    assert said.startswith(f"name: {name}\nsource: ")
    assert dict(line.split(": ", 1) for line in said.splitlines()) == traces.load(name).meta


@pytest.mark.parametrize("name", ["nothing", "", "../data/lwip-3cli", "lwip-3cli.trace.gz", None])
@pytest.mark.parametrize("function", ["load", "path", "describe"])
def test_unknown_names(function, name):
    with pytest.raises(ValueError, match=r"name is .*; the bundled traces are cjson-docs, coap-"):
        getattr(rtosheap.data, function)(name)


def test_all_thirty_three():
    assert len(traces.all_names()) == 33
    assert set(BUNDLED) < set(traces.EVENTS)
    found = []
    folders = [Path(rtosheap.data.__file__).parent, Path(__file__).parent / "data" / "traces"]
    for folder in folders:
        readme = (folder / "README.md").read_text()
        files = sorted(folder.glob("*.trace*"))
        for file in files:
            name = file.name.removesuffix(".trace.gz")
            found.append(name)
            assert f"| {name} |" in readme
            with gzip.open(file) as stream:
                assert stream.readline() == b"# rtosheap-trace 1\n"
            assert file.read_bytes()[3:8] == bytes(5)  # no name, no date: gzip -n
        assert len(files) == readme.count("\n| ") - 1
    assert sorted(found) == list(traces.EVENTS)


def test_examples():
    assert doctest.testmod(rtosheap.data).failed == 0


@pytest.mark.parametrize("heap", [4, 5])
def test_crashes(heap: int) -> None:
    """The dump's headers are those of the heap in Python after the same calls and damage."""
    tools.require_module("elftools", "pyelftools")
    memory, elf = rtosheap.data.crash(f"heap_{heap}")
    assert not re.search(rb"/(tmp|root|home|work|usr)/", elf.read_bytes())  # of a machine
    dump = load_dump(memory, heap, elf=elf)
    regions = dump.memory if heap == 5 else [(dump.base_address, dump.memory)]
    program = device_images.own_heap(heap)
    damage = device_images.crash_damage(program)
    ours = device_images.memory_of(program.heap, damage)
    assert [(base, len(data)) for base, data in regions] == [(b, len(data)) for b, data in ours]
    headers = 0
    for (base, theirs), (_, mine) in zip(regions, ours, strict=True):
        for block in program.heap.blocks():
            at = block.address - base
            if 0 <= at < len(mine):
                assert theirs[at : at + 8] == mine[at : at + 8]
                headers += 1
    assert headers == 17
    options = {} if heap == 5 else {"base_address": dump.base_address}
    report = inspect(dump.memory, f"heap_{heap}", state=dump.state, **options)
    (found,) = report.damage
    ((at, data),) = damage
    past = len(data) - 40 - 1  # the last is a zero, and so is the byte that it was written over
    assert (found.culprit, found.how, found.past) == (at - 8, "overflow", past)


@pytest.mark.parametrize("heap", ["heap_1", "", "../crashes/heap_4", "heap_4.elf", None])
def test_no_such_crash(heap: object) -> None:
    with pytest.raises(ValueError, match=r"heap is .*; there are crashes of heap_4, heap_5"):
        rtosheap.data.crash(heap)  # type: ignore[arg-type]
