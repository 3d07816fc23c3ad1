"""What finding the smallest heap costs, over one replay of the trace in that heap.

    python benchmarks/sizing.py [TRACE ...]

Process times, each the least of interleaved rounds, of all recorded traces above 5,000 events:
those of the tests, and the days that are bundled. Needs rtosheap installed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from rtosheap import Trace, data, minimum_heap_size, replay
from rtosheap.kinds import heap_class

TRACES = Path(__file__).parent.parent / "tests" / "data" / "traces"
FEWEST_EVENTS = 5000
ROUNDS = 5
BAR = 12
#: Of the kernel the oldest and the newest, of newlib one of each that searches otherwise.
HEAPS: list[tuple[str, dict[str, Any]]] = [
    *((f"heap_{kind}", {"word_size": word}) for kind in (1, 2, 4, 5) for word in (4, 8)),
    *((f"heap_{kind}", {"kernel": "V8.2.3"}) for kind in (1, 2, 4, 5)),
    *(("heap_3", {"newlib": newlib}) for newlib in ("3.3.0", "4.2.0", "4.4.0")),
]
REGIONS = [(0x1000_0000, 4096), (0x2000_0000, None)]


def recorded() -> dict[str, Trace]:
    """Every recorded trace that is long enough, by name."""
    found = {path.name.split(".")[0]: Trace.load(path) for path in TRACES.glob("*.trace.gz")}
    found |= {name: data.load(name) for name in data.names()}
    found |= {
        f"{of} {day}": trace
        for of in ("recorder", "server")
        for day, trace in enumerate(data.days(of))
    }
    return {name: trace for name, trace in sorted(found.items()) if len(trace) > FEWEST_EVENTS}


def measure(trace: Trace, name: str, options: dict[str, Any]) -> tuple[float, float, bool]:
    """Seconds of the search and of a replay, and whether the search is exact."""
    regions = REGIONS if name == "heap_5" else None
    best, exact = [float("inf")] * 2, True
    for _ in range(ROUNDS):
        start = time.process_time()
        found = minimum_heap_size(trace, name, regions=regions, **options)
        middle = time.process_time()
        memory: Any = found.regions if regions else found.size
        replay(trace, heap_class(name)(memory, **options), record=())
        best = [min(best[0], middle - start), min(best[1], time.process_time() - middle)]
        exact = found.exact
    return best[0], best[1], exact


def main() -> None:
    traces = recorded()
    if sys.argv[1:]:
        traces = {name: traces[name] for name in sys.argv[1:]}
    print(f"minimum_heap_size over one replay   (bar {BAR})")
    print(f"{'':32} {'worst':>6} {'median':>6} {'above':>5} {'exact':>5}   the worst three, ms")
    for name, options in HEAPS:
        rows = []
        for trace_name, trace in traces.items():
            search, once, exact = measure(trace, name, options)
            rows.append((search / once, trace_name, search, once, exact))
        rows.sort(reverse=True)
        label = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
        above = sum(row[0] > BAR for row in rows)
        worst = ", ".join(f"{n} {1e3 * a:.2f}/{1e3 * b:.2f}" for _, n, a, b, _ in rows[:3])
        print(
            f"{label:32} {rows[0][0]:6.1f} {rows[len(rows) // 2][0]:6.1f} {above:5} "
            f"{sum(row[4] for row in rows):2}/{len(rows)}   {worst}",
            flush=True,
        )


if __name__ == "__main__":
    main()
