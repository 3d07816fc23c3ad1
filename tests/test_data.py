"""The traces that come with the package, and those that only the tests use."""

from __future__ import annotations

import doctest
import gzip
from pathlib import Path

import pytest
import traces

import rtosheap.data

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
