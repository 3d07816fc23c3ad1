"""How a package's face hands on what is slow to load: when it is asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(face: str, **homes: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a face.

    Parameters
    ----------
    face : str
        The package's name.
    homes : str
        By name, the module of the package that has what is called so.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        value = getattr(import_module(f"{face}.{homes[name]}"), name)
        setattr(sys.modules[face], name, value)
        return value

    return load
