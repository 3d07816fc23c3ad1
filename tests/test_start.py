"""What is loaded at a start, counted: a command loads what it uses."""

from __future__ import annotations

import os
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import rtosheap
from rtosheap.cli import _HELP, COMMANDS
from rtosheap.traces import formats

HOME = str(Path(rtosheap.__file__).parents[1])
#: What takes a start as long as numpy, or half of it, and what nothing but some commands need.
SLOW = {"matplotlib", "scipy", "importlib.metadata", "multiprocessing", "logging", "tqdm"}


def loaded(*words: str) -> set[str]:
    """The modules that a command line loads, without those of Python's own start."""
    code = (
        "import sys; before = set(sys.modules); from rtosheap.__main__ import main; "
        "status = main(sys.argv[1:]); "
        "print(status, *sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code, *words],  # without what the site adds
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([HOME, *filter(None, sys.path)])},
    )
    status, *names = done.stderr.split()
    assert status == "0"
    return set(names)


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("rtosheap")}


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_but_itself(words: list[str]) -> None:
    found = loaded(*words)
    light = {"", ".__main__", "._moved", ".cli", ".cli._streams"}
    assert ours(found) == {"rtosheap" + name for name in light}
    assert not found & {"numpy", "argparse", "re", "enum", "typing", "shutil"}
    assert len(found) <= 20


@pytest.mark.parametrize("command", ["size", "compare"])
def test_a_command_loads_what_it_uses(command: str) -> None:
    found = loaded(command, "coap-server")
    assert {f"rtosheap.cli.{command}", "numpy", "rtosheap.traces.formats.text"} <= found
    assert not found & SLOW
    packages = ("risk", "plot", "inspection", "device", "cortexm", "corruption", "testing")
    assert not found & {f"rtosheap.{name}" for name in packages}
    assert not found & {f"rtosheap.cli.{name}" for name in COMMANDS if name != command}
    assert not found & {"rtosheap.traces.changes", "rtosheap.heaps.image", "rtosheap.sizing.curve"}
    assert len(ours(found)) <= (81 if command == "compare" else 67)


def test_help_of_the_package_is_a_page() -> None:
    assert rtosheap.Heap4  # what is loaded is not printed in full either
    text = pydoc.plain(pydoc.render_doc(rtosheap))
    assert "heap.malloc(100)" in text
    assert 40 <= len(text.splitlines()) <= 100


def test_modules_need_no_import_of_their_own() -> None:
    code = (
        "import sys, rtosheap; assert 'numpy' not in sys.modules; "
        "print(rtosheap.data.names()[0], rtosheap.plot.heap_map.__name__); "
        "assert {'data', 'plot'} <= set(dir(rtosheap))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "cjson-docs heap_map\n"), done.stderr


def test_a_reader_is_loaded_when_its_format_is_met() -> None:
    modules = {reader.__name__ for reader in formats.READERS}
    assert len(modules) == len(formats.NAMES) == 15
    found = loaded("size", "coap-server") & modules
    assert found == {"rtosheap.traces.formats.text"}


def test_formats_are_called_by_their_names() -> None:
    assert [reader.NAME for reader in formats.READERS] == list(formats.NAMES)
    assert formats.READERS[1:3] == [formats.READERS[1], formats.READERS[2]]


def test_help_names_every_command() -> None:
    lines = _HELP.splitlines()
    named = [line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "]
    assert named == list(COMMANDS)
    shown = [line.split()[1] for line in lines if line.startswith("  rtosheap ")]
    assert shown == list(COMMANDS)
