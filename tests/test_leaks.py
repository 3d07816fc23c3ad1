"""Every method and every error path, thousands of times: nothing is left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from needs import LAST_RESORT

import rtosheap._core as core

SCRIPT = Path(__file__).parent / "tools" / "leaks.py"


@pytest.mark.long
def test_nothing_leaks() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", SCRIPT],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 407
    # 3,000 calls: a leak of one object in each would leave 3,000.
    for name, blocks, references, grown in rows:
        assert blocks < 300, f"{name} leaves {blocks} allocated blocks after 3,000 calls"
        assert references < 300, f"{name} leaves {references} references after 3,000 calls"
        # One leak of 1 KiB a call would be 3 MiB; the allocator's own growth is less.
        assert grown < 2 << 20, f"{name} grows the process by {grown} bytes in 3,000 calls"


def test_the_script_calls_everything() -> None:
    called = set(re.findall(r"\w+", SCRIPT.read_text()))
    methods = {
        name
        for name in dir(core.Heap)
        if not name.startswith("__") and callable(getattr(core.Heap, name))
    }
    assert methods <= called
    assert {name for name in dir(core) if name.startswith("Heap") and name[-1].isdigit()} <= called
