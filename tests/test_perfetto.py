"""A replay for ui.perfetto.dev: what is in the file is what the replay says."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from rtosheap import Heap4, Trace, data, replay
from rtosheap.reports import write_perfetto

SIZE = 46 * 1024


def events_of(text: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(text)["traceEvents"]
    return events


def test_counters_failures_and_lanes(run: Any, tmp_path: Path) -> None:
    done = run("replay", "lwip-3cli", "--heap-size", "46K", "--perfetto", "out.json")
    assert (done.status, done.err) == (1, "")
    events = events_of(Path("out.json").read_text())
    found = replay(data.load("lwip-3cli"), Heap4(SIZE), record="all")
    columns = {
        "free bytes": "free_size",
        "largest free block": "largest_free_block",
        "live bytes": "live_bytes",
    }
    for name, column in columns.items():
        told = [one for one in events if one["ph"] == "C" and one["name"] == name]
        changes = np.flatnonzero(np.diff(found[column].astype(np.int64), prepend=np.int64(-1)))
        assert [one["args"]["bytes"] for one in told] == found[column][changes].tolist()
    failures = [one["args"] for one in events if one["name"] == "failed"]
    assert [one["event"] for one in failures] == np.flatnonzero(found.failed).tolist()
    assert len(failures) == found.failures == 15
    assert {one["why"] for one in failures} == {"fragmentation"}
    lanes = [one for one in events if one["name"] in ("malloc", "free")]
    assert len(lanes) == len(found)
    assert {one["tid"] for one in lanes} == {1}


def test_a_lane_for_each_task_and_the_traces_own_times() -> None:
    tasks = ["net", "</script>", "net"]
    meta = {"time_unit": "ms"}
    trace = Trace("mmf", [0, 1, 0], [100, 200, 0], time=[5, 7, 9], task=tasks, meta=meta)
    file = io.StringIO()
    write_perfetto(replay(trace, Heap4(4096)), file)
    events = events_of(file.getvalue())
    names = {one["args"]["name"]: one["tid"] for one in events if one["name"] == "thread_name"}
    assert set(names) == set(tasks)
    calls = [one for one in events if one["name"] in ("malloc", "free")]
    assert [one["ts"] for one in calls] == [0, 2000, 4000]
    assert [one["tid"] for one in calls] == [names[task] for task in tasks]
    assert not [one for one in events if one["name"] == "largest free block"]  # not recorded
