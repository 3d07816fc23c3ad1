"""The 33 recorded traces: those that the package bundles, and the tests' own."""

from __future__ import annotations

import functools
from pathlib import Path

import rtosheap.data
from rtosheap.traces import Trace

_FOLDER = Path(__file__).parent / "data" / "traces"
_SUFFIX = ".trace.gz"


def all_names() -> tuple[str, ...]:
    """The names of all of them, in alphabetical order."""
    own = (file.name.removesuffix(_SUFFIX) for file in _FOLDER.glob(f"*{_SUFFIX}"))
    return tuple(sorted({*own, *rtosheap.data.names()}))


def path(name: str) -> Path:
    """The file of one of them."""
    own = _FOLDER / (name + _SUFFIX)
    return own if own.exists() else rtosheap.data.path(name)


@functools.cache
def load(name: str) -> Trace:
    """One of them; loaded once per process, since a trace cannot be changed."""
    return Trace.load(path(name))
