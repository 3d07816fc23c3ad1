"""Running compilers and the programs that they make."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from needs import LAST_RESORT

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wcast-align"]
WARNINGS += ["-Wmissing-prototypes", "-Wshadow", "-Werror"]


def run(
    command: Sequence[Any], *, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; an AssertionError with all that it printed if it fails."""
    words = [str(word) for word in command]
    environment = None if env is None else {**os.environ, **env}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=LAST_RESORT, env=environment, check=False
    )
    if done.returncode != 0:
        output = (done.stdout + done.stderr)[-6000:]
        pytest.fail(f"{' '.join(words)[:400]}\nended with {done.returncode}:\n{output}")
    return done
