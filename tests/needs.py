"""What a test needs of the machine: outside CI it skips where that is missing, in CI it fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Seconds after which a program that was started is taken to hang. It ends a run that nobody
#: watches, and judges nothing: no machine is so busy that a test comes near to it.
LAST_RESORT = 2 * 3600


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
