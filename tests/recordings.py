"""What the recordings of recorders must come to: the numbers of ``EXPECTED.tsv``."""

from __future__ import annotations

from typing import Any

from rtosheap import Trace


def assert_numbers(trace: Trace, row: dict[str, str]) -> None:
    """Hold a trace to its row of the table."""
    loss = trace.loss
    found = {
        "mallocs": trace.allocs,
        "frees": trace.frees - loss.implied_frees + loss.foreign_frees,
        "failed": loss.failed,
        "frees_of_unknown": loss.foreign_frees,
        "mallocs_at_live_address": loss.implied_frees,
        "records_lost": loss.lost_events,
        "peak_live_logged_bytes": trace.peak_live_bytes,
        "live_blocks_at_end": trace.never_freed,
    }
    assert found == {kind: int(row[kind]) for kind in found}
    assert sum(found[kind] for kind in ("mallocs", "frees", "failed")) == int(row["events"])


def events_of(trace: Trace) -> list[tuple[Any, ...]]:
    """Op, address, size, task and time of each event."""
    if not len(trace):
        return []
    tasks = [""] * len(trace) if trace.task is None else trace.task.tolist()
    return list(
        zip(
            map(chr, trace.op),
            trace.recorded_address.tolist(),
            trace.size.tolist(),
            tasks,
            trace.time.tolist(),
            strict=True,
        )
    )
