"""The log of a FreeRTOS kernel, line by line: what is passed over, and what is refused."""

from __future__ import annotations

import io

import pytest

from rtosheap import Op, Trace, TraceError

EVENTS = ["M 0x20000008 10 24 1", "M 0x20000020 30 40 2", "F 0x20000008 24 5"]
TOTAL = "=3 0 100 200"


def load(*lines: str) -> Trace:
    return Trace.load(io.BytesIO("\n".join([*lines, ""]).encode()), format="freertos")


@pytest.mark.parametrize("line", ["", "   ", "\t", "# a comment", "#", "#M 0x20000008 10 24 1"])
@pytest.mark.parametrize("place", range(5))
def test_blank_lines_and_comments_are_passed_over(line: str, place: int) -> None:
    lines = [*EVENTS, TOTAL]
    lines.insert(place, line)
    trace = load(*lines)
    assert trace == load(*EVENTS, TOTAL)
    assert trace.op.tolist() == [Op.MALLOC, Op.MALLOC, Op.FREE]
    assert trace.size.tolist() == [10, 30, 0]


@pytest.mark.parametrize("place", range(5))
def test_a_damaged_event_is_refused(place: int) -> None:
    lines = [*EVENTS, TOTAL]
    lines.insert(place, "M 0x20000008 10")
    with pytest.raises(TraceError) as raised:
        load(*lines)
    assert f"line {place + 1}" in str(raised.value)


@pytest.mark.parametrize("line", ["boot", "=3 0 100", " # late", "=a 0 0 0"])
@pytest.mark.parametrize("place", range(1, 4))
def test_other_text_among_the_events_is_left_out_and_counted(line: str, place: int) -> None:
    lines = [*EVENTS, TOTAL]
    lines.insert(place, line)
    trace = load(*lines)
    assert trace == load(*EVENTS, TOTAL)
    assert trace.dropped.bad_line == 1


def test_there_is_one_total() -> None:
    with pytest.raises(TraceError, match="line 5"):
        load(*EVENTS, TOTAL, TOTAL)
    with pytest.raises(TraceError, match="line 2"):
        load(TOTAL, *EVENTS)
