"""What a new version needs more than the old one: by task, by size, at the peak."""

from __future__ import annotations

import json

import pytest
from parts import few_of

from rtosheap import Trace, data, minimum_heap_size
from rtosheap.comparison import Difference, difference

HEAPS = ("heap_1", "heap_2", "heap_3", "heap_4", "heap_5")
#: Those whose sizes are not tried one by one.
QUICK = [heap for heap in HEAPS if heap != "heap_2"]
REGIONS = [(0x1000_0000, 8192), (0x2000_0000, None)]


def found(heap: str) -> Difference:
    """Three days of a firmware against the same with every size rounded up."""
    old = data.days("server")[:3]
    new = [day.what_if("round:256") for day in old]
    return difference(old, new, heap, regions=REGIONS if heap == "heap_5" else None)


@pytest.mark.parametrize("heap", few_of(HEAPS, QUICK))
def test_tasks_and_sizes_add_up_with_the_rest_to_what_is_needed(heap: str) -> None:
    result = found(heap)
    assert (result.heap, len(result.old), len(result.new)) == (heap, 3, 3)
    assert 0 <= result.rest[0] < result.old_size
    for parts in (result.tasks, result.sizes):
        assert sum(part.old for part in parts) + result.rest[0] == result.old_size
        assert sum(part.new for part in parts) + result.rest[1] == result.new_size
    for side in ("old_blocks", "new_blocks"):
        counts = [sum(getattr(p, side) for p in parts) for parts in (result.tasks, result.sizes)]
        assert counts[0] == counts[1] > 0
    assert result.growth == result.new_size - result.old_size > 0


@pytest.mark.parametrize("heap", few_of(HEAPS, QUICK))
def test_each_recording_is_there_with_its_own_minimum(heap: str) -> None:
    result = found(heap)
    for day, need in zip(data.days("server"), result.old, strict=False):
        options = {"regions": REGIONS} if heap == "heap_5" else {}
        minimum = minimum_heap_size(day, heap, **options)
        assert need == (day.name, minimum.size, minimum.witness)
    assert result.old_size == max(need.size for need in result.old)


def test_only_the_task_that_grew_differs() -> None:
    old = Trace("mmm", id=[0, 1, 2], size=[100, 40, 40], task=["net", "log", "ui"])
    new = Trace("mmm", id=[0, 1, 2], size=[100, 40, 90], task=["net", "log", "ui"])
    result = difference(old, new, "heap_4")
    assert [part for part in result.tasks if part.growth] == [("ui", 48, 104, 1, 1)]
    assert [part for part in result.sizes if part.growth] == [
        (90, 0, 104, 0, 1),
        (40, 96, 48, 2, 1),
    ]
    assert result.growth == 56
    assert "\nui                    48  104     +56\n" in str(result)


def test_a_realloc_at_the_peak_holds_both_blocks() -> None:
    trace = Trace("mr", id=[0, 0], size=[100, 200])
    result = difference(trace, trace, "heap_4")
    assert [(part.what, part.old) for part in result.sizes] == [(200, 208), (100, 112)]
    assert result.tasks == (("", 320, 320, 2, 2),)
    assert result.growth == 0
    assert "unknown task" in str(result)


def test_what_is_freed_before_the_peak_is_not_held() -> None:
    trace = Trace("mfmm", id=[0, 0, 1, 2], size=[8, 0, 100, 100])
    result = difference(trace, trace, "heap_4")
    assert [(part.what, part.old_blocks) for part in result.sizes] == [(100, 2)]


def test_notes_say_what_makes_it_doubtful() -> None:
    days = data.days("gateway")
    one = difference(days[0], days[0], "heap_4").notes
    assert len(one) == 1
    assert one[0].startswith("one recording does not tell a version from a day")
    uneven = difference(days[:2], days[2:5], "heap_4").notes
    assert uneven[0].startswith("2 recordings against 3")
    assert uneven[1].startswith("the needs of both versions overlap")
    apart = difference(days[:2], [day.what_if("round:256") for day in days[:2]], "heap_4")
    assert apart.notes == []


def test_to_dict_is_json_and_the_table_is_short() -> None:
    result = found("heap_4")
    again = json.loads(json.dumps(result.to_dict()))
    assert again["growth"] == result.growth
    assert len(again["tasks"]) == len(result.tasks) > 5
    assert str(result).count("\n") < 45
    assert "other sizes" in str(result)
    assert f"({result.growth:+,})" in repr(result)
    assert "<table" in result._repr_html_()


def test_an_empty_version() -> None:
    empty = Trace("", id=[], size=[])
    result = difference(empty, empty, "heap_4")
    assert result.growth == 0
    assert (result.tasks, result.sizes) == ((), ())


def test_progress_is_told_of_both_versions() -> None:
    told: list[tuple[int, int]] = []
    day, other = data.load("coap-server"), data.load("lua-sched")
    difference([day, other], day, "heap_4", progress=lambda *both: told.append(both))
    assert told
    assert {total for _, total in told} == {2000}
    assert told[-1][0] == 2000


@pytest.mark.parametrize(
    ("old", "error", "text"),
    [
        ([], ValueError, "old is empty; at least one recording is needed"),
        ([3], TypeError, r"old\[0\] is 3; it must be a Trace"),
    ],
)
def test_bad_arguments(old: list[object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        difference(old, data.load("coap-server"), "heap_4")  # type: ignore[arg-type]
