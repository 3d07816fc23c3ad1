"""The smallest heaps of recorded traces are those that were found by replays of one size after the
other: size, witness, safe size, advice, and where it fails. Of heap_2, of which not all sizes were
tried then, a smaller one may be found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import traces
from parts import few_of

from rtosheap import data
from rtosheap.sizing import MinimumSize, minimum_heap_size

FOUND: dict[str, list[Any]] = json.loads(
    (Path(__file__).parent / "data" / "smallest_sizes.json").read_text()
)
REGIONS = [(0x1000_0000, 4096), (0x2000_0000, None)]
FEW = ("ash-script", "cjson-docs", "lwip-3cli", "recorder-2", "tls-client-rsa-resume")


def find(case: str, **more: Any) -> MinimumSize:
    name, heap, options = case.split(" ", 2)
    firmware, _, day = name.partition("-")
    days = {"recorder", "server"}
    trace = data.days(firmware)[int(day)] if firmware in days else traces.load(name)
    regions = REGIONS if heap == "heap_5" else None
    return minimum_heap_size(trace, heap, regions=regions, **json.loads(options), **more)


def test_as_many_as_were_recorded() -> None:
    assert len(FOUND) == 817


@pytest.mark.parametrize("case", few_of(list(FOUND), [c for c in FOUND if c.startswith(FEW)]))
def test_a_smallest_size(case: str) -> None:
    found = find(case)
    facts = [
        found.size, found.witness, found.safe_size, found.advice_size, found.advice_fails_at,
    ]  # fmt: skip
    if found.heap == "heap_2" and found.exact:
        assert found.size <= FOUND[case][0]
        assert facts[3:] == FOUND[case][3:]
    else:
        assert facts == FOUND[case]


#: Of which the replays had not found the smallest.
SMALLER = {
    "recorder-2 heap_2 {}": (69_696, 70_520),
    'lwip-3cli heap_2 {"word_size": 8}': (78_656, 80_512),
    'sqlite-log-nola heap_2 {"alignment": 16}': (127_696, 129_136),
    'tls-client-rsa-resume heap_2 {"word_size": 8}': (76_992, 82_720),
}


@pytest.mark.parametrize("case", SMALLER)
def test_every_size_of_a_heap_2(case: str) -> None:
    found = find(case, search="full")
    assert (found.exact, found.size, found.safe_size) == (True, *SMALLER[case])
