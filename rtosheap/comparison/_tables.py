"""A comparison as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from rtosheap.comparison.breakdown import PARTS
from rtosheap.comparison.result import HeapResult

Table: TypeAlias = tuple[list[str], list[list[object]]]


def tables(results: Sequence[HeapResult], heap_size: int | None) -> list[Table]:
    """Headers and rows of what each heap needs, and of where its bytes are at the peak."""
    headers = ["heap", "smallest", "ratio", "needed at", "advice", "fails at", "most nodes"]
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
    if heap_size is not None:
        headers += [f"failures in {heap_size:,}", "first at"]
        for cells, row in zip(rows, results, strict=True):
            cells += [row.failures, row.failure_event]
    found: list[Table] = [(headers, rows)]
    parts: list[list[object]] = [
        [row.heap, *(row.breakdown[part] for part in PARTS), row.external_fragmentation]
        for row in results
        if row.breakdown is not None
    ]
    if parts:
        found.append((["bytes at the peak", *PARTS, "ext. frag."], parts))
    return found


def remarks(rows: Iterable[HeapResult]) -> list[str]:
    """Notes and errors, one line a heap; nothing where there are none."""
    return [f"{row.heap}: {text}" for row in rows for text in (row.error, row.note) if text]
