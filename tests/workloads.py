"""Random traces, small enough for every heap size to be tried."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtosheap.traces import Trace


def random_trace(rng: np.random.Generator, events: int, *, largest: int = 200) -> Trace:
    """Mallocs, reallocs and frees with sizes of a few classes, some of 0 bytes; most blocks die."""
    sizes = rng.integers(1, largest, rng.integers(1, 8))
    rows: list[tuple[Any, ...]] = []
    live: list[int] = []
    free_share = rng.uniform(0.3, 0.5)
    for event in range(events):
        kind = rng.random()
        size = int(rng.choice(sizes)) if rng.random() < 0.7 else int(rng.integers(0, largest))
        if live and kind < free_share:
            rows.append(("f", live.pop(int(rng.integers(len(live))))))
        elif live and kind < free_share + 0.1:
            rows.append(("r", live[int(rng.integers(len(live)))], size))
        else:
            rows.append(("m", event, size))
            live.append(event)
    return Trace.from_events(rows)


def random_options(rng: np.random.Generator, kind: int) -> dict[str, Any]:
    """Word sizes, alignments and bases, aligned or not, now and then at the top of the memory."""
    if kind == 3:
        return {"base_address": int(rng.integers(1, 1 << 28))}
    word = int(rng.choice([4, 8]))
    alignment = int(rng.choice([a for a in (4, 8, 16, 32) if a >= word]))
    options: dict[str, Any] = {"word_size": word, "alignment": alignment}
    if kind != 5:
        base = 0x2000_0000 + int(rng.integers(0, 3) * rng.integers(0, 64))
        if rng.random() < 0.2:
            base = (1 << (8 * word)) - int(rng.integers(1000, 12000))
        options["base_address"] = base
    if kind in (4, 5) and rng.random() < 0.2:
        options["canary"] = int(rng.integers(1, 1 << 32))
    return options
