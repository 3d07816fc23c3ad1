"""What a test needs of the machine: outside CI it skips where that is missing, in CI it fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def missing(what: str) -> None:
    """Ends the test: a skip that says what is missing, and with ``CI=true`` a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing")


def tool(name: str) -> str:
    """The path of a program."""
    path = shutil.which(name)
    if path is None:
        missing(name)
    assert path is not None
    return path
