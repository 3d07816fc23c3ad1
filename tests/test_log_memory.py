"""What a log keeps in C: its table under addresses that were chosen, its columns without memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ctools import WARNINGS, run
from needs import ROOT, tool

from rtosheap import _formats


@pytest.mark.parametrize("seed", [0, 1, 2**63, 0x9E3779B97F4A7C15, 2**64 - 1])
def test_blocks_are_near_their_places_and_a_memory_that_ends_is_said(
    seed: int, tmp_path: Path
) -> None:
    formats, to = ROOT / "csrc" / "formats", tmp_path / "test_log"
    told = [*WARNINGS, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    run([tool("gcc"), *told, f"-I{formats}", ROOT / "tests" / "c" / "test_log.c", "-o", to])
    allocations = int(run([to, seed]).stdout.removesuffix(" allocations\n"))
    assert allocations > 20


def test_records_that_are_refused_are_given_back() -> None:
    memory = bytearray(8)
    halves = memoryview(memory).cast("H")
    with pytest.raises(ValueError, match="data must be an aligned array of 8 items of 1 bytes"):
        _formats.Log(0, timed=True, tasked=True).read_records(halves, len)  # type: ignore[arg-type]
    halves.release()  # BufferError while anybody holds it
    memory.append(0)
