"""A comparison as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from rtosheap.comparison.breakdown import PARTS
from rtosheap.comparison.result import HeapResult
from rtosheap.comparison.versions import VersionResult

#: What the parts are called, where not by their own names.
_PARTS = {"payload": "requested"}

Table: TypeAlias = tuple[list[str], list[list[object]]]


def tables(
    results: Sequence[HeapResult], heap_size: int | None, recordings: Sequence[str] = ()
) -> list[Table]:
    """Headers and rows of what each heap needs, of what each of several recordings needs, and of
    where the bytes are at the peak.
    """
    if recordings:
        found = [_of_all(results, heap_size), _by_recording(results, recordings)]
    else:
        found = [_of_one(results, heap_size)]
    parts: list[list[object]] = [
        [row.heap, *(row.breakdown[part] for part in PARTS), row.external_fragmentation]
        for row in results
        if row.breakdown is not None
    ]
    if parts:
        found.append((["bytes at the peak", *map(_PARTS.get, PARTS, PARTS), "ext. frag."], parts))
    return found


def _of_one(results: Sequence[HeapResult], heap_size: int | None) -> Table:
    headers = ["heap", "smallest", "ratio", "needed at", "advice", "fails at", "entries read"]
    rows: list[list[object]] = [
        [
            row.heap,
            row.size,
            row.ratio,
            row.witness,
            row.advice_size,
            row.advice_fails_at,
            row.most_nodes,
        ]
        for row in results
    ]
    return _with_failures(headers, rows, results, heap_size)


def _with_failures(
    headers: list[str],
    rows: list[list[object]],
    results: Sequence[HeapResult | VersionResult],
    heap_size: int | None,
) -> Table:
    """The table with what failed at the size that was asked about, if one was."""
    if heap_size is None:
        return headers, rows
    counts = ([one.failures, one.failure_event] for one in results)
    return (
        [*headers, f"failures in {heap_size:,}", "first at"],
        [[*cells, *more] for cells, more in zip(rows, counts, strict=True)],
    )


def _of_all(results: Sequence[HeapResult], heap_size: int | None) -> Table:
    headers = [
        "heap",
        "smallest",
        "ratio",
        "decided by",
        "at",
        "advice",
        "fails in",
        "entries read",
    ]
    rows: list[list[object]] = [
        [
            row.heap,
            row.size,
            row.ratio,
            row.recording,
            row.witness,
            row.advice_size,
            sum(one.advice_fails_at is not None for one in row.recordings)
            if row.recordings
            else None,
            row.most_nodes,
        ]
        for row in results
    ]
    if heap_size is not None:
        headers += [f"failures in {heap_size:,}", "in"]
        for cells, row in zip(rows, results, strict=True):
            cells += [row.failures, None if row.failures is None else len(row.failing)]
    return headers, rows


def _by_recording(results: Sequence[HeapResult], recordings: Sequence[str]) -> Table:
    """What each recording needs by itself."""
    rows: list[list[object]] = [
        [name, *(row.recordings[at].size if row.recordings else None for row in results)]
        for at, name in enumerate(recordings)
    ]
    return ["smallest by itself", *(row.heap for row in results)], rows


def of_versions(results: Sequence[VersionResult], heap_size: int | None) -> list[Table]:
    """What each release needs, where releases are in question."""
    if not results:
        return []
    headers = ["heap", "release", "smallest", "moved", "shift"]
    rows: list[list[object]] = [
        [
            one.heap,
            one.version,
            one.size,
            None if one.moved is None else f"{one.moved:.1%}",
            one.shift,
        ]
        for one in results
    ]
    return [_with_failures(headers, rows, results, heap_size)]


def remarks(rows: Iterable[HeapResult]) -> list[str]:
    """Notes and errors, one line a heap; nothing where there are none."""
    return [f"{row.heap}: {text}" for row in rows for text in (row.error, row.note) if text]
