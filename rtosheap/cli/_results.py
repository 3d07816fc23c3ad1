"""What several commands say of a comparison or a replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rtosheap.cli import _output
from rtosheap.comparison import Comparison, compare
from rtosheap.replays import FAILURES, AddressCheck, Replay
from rtosheap.traces.doubts import is_complete
from rtosheap.traces.loss import counts
from rtosheap.traces.several import Traces


def run_compare(trace: Traces, jobs: int, **keywords: Any) -> Comparison:
    """Compare, with a progress bar, in as many processes."""
    with working(jobs) as how:
        return compare(trace, **how, **keywords)


@contextmanager
def working(jobs: int) -> Iterator[dict[str, Any]]:
    """A progress bar and as many processes, as arguments."""
    with _output.progress_bar("comparing") as progress:
        if jobs == 1:
            yield {"progress": progress}
            return
        with import_module("rtosheap.cli._workers").workers(jobs) as executor:
            yield {"progress": progress, "executor": executor}


_SHOWN_PINS = 8


def facts_of(result: Replay) -> dict[str, Any]:
    """All that is known, as plain values."""
    return {
        "heap": result.heap_kind,
        "heap_size": result.heap.size,
        "regions": [list(region) for region in result.regions],
        "events": len(result),
        "peak_live_bytes": result.trace.peak_live_bytes,
        "failures": result.failures,
        "zero_size": result.zero_size,
        "skipped": result.skipped,
        "ignored_frees": result.ignored_frees,
        "minimum_ever_free": result.minimum_ever_free_size,
        "most_nodes": result.most_nodes,
        "most_nodes_event": result.most_nodes_event,
        "first_failure": _failure(result),
        "exact": is_complete(result.trace),
        "warnings": list(result.warnings),
        "loss": counts(result.trace.loss, result.trace.dropped),
    }


def _failure(result: Replay) -> dict[str, Any] | None:
    """The first failure, and what stood in its way."""
    index = result.first_failure
    if index is None:
        return None
    event = result.trace[index]
    stats = result.heap_at(index)._numbers()
    why = FAILURES[int(result.column("failure")[index])]
    pins = result.pins(index) if why == "fragmentation" else []
    return {
        "event": index,
        "op": event.op,
        "size": event.size,
        "reason": why,
        "free_size": stats.available,
        "largest_free_block": stats.largest_free_block,
        "pins": [pin._asdict() for pin in pins],
    }


def print_failure(failure: dict[str, Any] | None) -> None:
    if failure is None:
        return
    what = {"m": "malloc", "r": "realloc"}[failure["op"]]
    print(
        f"\nThe first failure is {what}({failure['size']:,}) at event {failure['event']:,}, by "
        f"{failure['reason']}: {failure['free_size']:,} bytes are free, "
        f"{failure['largest_free_block']:,} of them in one block."
    )
    pins = failure["pins"]
    if pins:
        print(f"{len(pins):,} live blocks lie between the holes:")
        for pin in pins[:_SHOWN_PINS]:
            print(
                f"  {pin['address']:#010x}: {pin['requested']:,} bytes, "
                f"allocated at event {pin['event']:,}"
            )
        if len(pins) > _SHOWN_PINS:
            print(f"  and {len(pins) - _SHOWN_PINS:,} more (--json lists all)")


def addresses_facts(result: Replay, check: AddressCheck) -> dict[str, Any]:
    """The check of a replay's addresses, as plain values."""
    first = None
    if check.first is not None:
        op = result.trace[check.first].op
        where = {"recorded": check.recorded, "replayed": check.replayed, "offset": check.offset}
        first = {"event": check.first, "op": op, **where}
    return {"compared": check.compared, "equal": check.equal, "first_difference": first}


def print_addresses(facts: dict[str, Any]) -> None:
    print(f"\nAddresses: {facts['compared']:,} compared, {facts['equal']:,} equal.")
    first = facts["first_difference"]
    if first is None:
        return
    what = {"m": "malloc", "r": "realloc", "f": "free"}[first["op"]]
    print(
        f"The first difference is at event {first['event']:,}, a {what}: recorded "
        f"{first['recorded']:#010x}, replayed {first['replayed']:#010x}."
    )
    if first["offset"] is not None:
        print(
            f"All lie {abs(first['offset']):#x} {'higher' if first['offset'] > 0 else 'lower'} in "
            "the recording: is that where the heap is (--base, or heap_5's --region)?"
        )
