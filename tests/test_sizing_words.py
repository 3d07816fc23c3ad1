"""What minimum_heap_size returns, in words and as plain values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rtosheap.sizing import MinimumSize, OwnMinimum

BASE = 0x2000_0000


def result(**changed: Any) -> MinimumSize:
    plain: dict[str, Any] = {
        "heap": "heap_4", "size": 12_345, "witness": 1234, "exact": True, "peak_live_bytes": 10_000,
        "advice_size": 11_000, "advice_fails_at": 5678, "safe_size": 12_345,
        "safe_checked_up_to": None, "options": {}, "regions": ((BASE, 12_345),),
    }  # fmt: skip
    return MinimumSize(**{**plain, **changed})


SMALLEST = ("smallest size", "12,345 bytes")
PEAK = ("peak of live bytes", "10,000 (ratio 1.234)")
NEEDED = ("needed by", "event 1,234")
FATE = ("total minus minimum ever free", "11,000, which fails at event 5,678")
LACKING = "the recording is not complete: 3 events"
DAYS = (
    OwnMinimum("monday", 12_000, 3, 12_000, 9000, None),
    OwnMinimum("tuesday", 12_345, 1234, 12_345, 10_000, 5678),
    OwnMinimum("friday", 11_000, None, 11_000, 0, 5),
)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [SMALLEST, PEAK, NEEDED, FATE]),
        ({"exact": False}, [("smallest size found", "12,345 bytes"), PEAK, NEEDED, FATE]),
        (
            {"exact": False, "warnings": (LACKING,)},
            [
                ("smallest size for what was recorded", "12,345 bytes"),
                PEAK,
                NEEDED,
                FATE,
                ("warning", LACKING),
            ],
        ),
        ({"peak_live_bytes": 0}, [SMALLEST, NEEDED, FATE]),
        (
            {"witness": None},
            [
                SMALLEST,
                PEAK,
                ("needed by", "the heap itself: none smaller can be constructed"),
                FATE,
            ],
        ),
        (
            {"witness": None, "regions": ((64, 2345), (BASE, 10_000))},
            [
                SMALLEST,
                ("regions", "0x40: 2,345, 0x20000000: 10,000"),
                PEAK,
                ("needed by", "the last region itself: none smaller can be constructed"),
                FATE,
            ],
        ),
        (
            {"safe_size": 13_000},
            [SMALLEST, PEAK, NEEDED, ("every size serves from", "13,000 on (proven)"), FATE],
        ),
        (
            {"safe_checked_up_to": 14_000},
            [
                SMALLEST,
                PEAK,
                NEEDED,
                ("every size serves from", "12,345 on (checked up to 14,000)"),
                FATE,
            ],
        ),
        (
            {"advice_fails_at": None, "warnings": ("w", "v")},
            [
                SMALLEST,
                PEAK,
                NEEDED,
                (FATE[0], "11,000, which serves"),
                ("warning", "w"),
                ("warning", "v"),
            ],
        ),
        (
            {"recording": "tuesday", "recordings": DAYS},
            [
                SMALLEST,
                PEAK,
                ("needed by", "event 1,234 of tuesday"),
                ("each by itself", "11,000 to 12,345 bytes (3 recordings)"),
                (
                    FATE[0],
                    "11,000, which fails in 2 of 3 recordings, first at event 5,678 of tuesday",
                ),
            ],
        ),
        (
            {"recording": "tuesday", "recordings": DAYS[1:2], "advice_fails_at": None},
            [
                SMALLEST,
                PEAK,
                ("needed by", "event 1,234 of tuesday"),
                ("each by itself", "12,345 bytes (1 recording)"),
                (FATE[0], "11,000, which serves"),
            ],
        ),
    ],
)
def test_a_result_in_words(changed: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    made = result(**changed)
    assert made.summary() == expected
    text = "; ".join(f"{what} {value}" for what, value in expected)
    assert repr(made) == f"<MinimumSize of heap_4: {text}>"
    assert all(value in made._repr_html_() for _, value in expected)
    assert made._repr_html_().startswith("<div>") is ("recordings" in changed)


def test_a_result_as_plain_values() -> None:
    made = result(options={"base_address": np.int64(5), "clear_on_free": True, "canary": None})
    plain = made.to_dict()
    assert plain["options"] == {"base_address": 5, "clear_on_free": True, "canary": None}
    assert [type(value) for value in plain["options"].values()] == [int, bool, type(None)]
    assert plain["regions"] == [[BASE, 12_345]]
    assert (plain["last_region_size"], plain["ratio"]) == (12_345, 1.2345)
    assert (plain["witness"], plain["advice_fails_at"], plain["exact"]) == (1234, 5678, True)
    assert not {"recording", "recordings"} & {*plain}
    assert made.table() == ""
    empty = result(peak_live_bytes=0)
    assert (empty.ratio, empty.to_dict()["ratio"]) == (math.inf, None)
    both = result(recording="tuesday", recordings=DAYS)
    assert both.to_dict()["recordings"][2] == DAYS[2]._asdict()
    assert both.to_dict()["recording"] == "tuesday"
    rows = [line.split() for line in both.table().splitlines()]
    assert ["tuesday", "12,345", "1,234", "10,000", "5,678", "decides"] in rows
    assert sum("decides" in row for row in rows) == 1
