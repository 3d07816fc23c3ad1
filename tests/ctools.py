"""Compilers and other tools for the tests: a missing one skips, but in CI it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wcast-align"]
WARNINGS += ["-Wmissing-prototypes", "-Wshadow", "-Werror"]


def missing(what: str) -> None:
    """Skip the test, naming the tool; fail it in CI."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{what} is not installed, and CI must have it")
    pytest.skip(f"{what} is not installed")


def compiler(name: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None:
        missing(name)
    return str(found)


def run(
    command: Sequence[Any], *, timeout: float = 120, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; an AssertionError with all that it printed if it fails."""
    words = [str(word) for word in command]
    environment = None if env is None else {**os.environ, **env}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )
    if done.returncode != 0:
        output = (done.stdout + done.stderr)[-6000:]
        pytest.fail(f"{' '.join(words)[:400]}\nended with {done.returncode}:\n{output}")
    return done
