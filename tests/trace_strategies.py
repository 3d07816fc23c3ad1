"""What the tests of traces share: a plain Python reference, and strategies that make traces."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import strategies as st

from rtosheap.traces import Trace


def reference(events):
    """What a trace's numbers must be, event by event; `bad` counts the events that cannot be."""
    live, freed, allocated = {}, set(), {}
    kept, bad, live_bytes, ends, blocks = [], Counter(), [], [], 0
    for op, id_, size in events:
        if op == "m" and id_ in live:
            bad["reused_live_id"] += 1
        elif op != "m" and id_ not in live:
            if id_ not in freed:
                bad["unknown_id"] += 1
            else:
                bad["double_free" if op == "f" else "realloc_freed"] += 1
        else:
            at = len(kept)
            kept.append((op, id_, size))
            ends.append(-1 if op == "f" else None)
            if op != "m":
                ends[allocated[id_]] = at
            if op == "f":
                del live[id_]
                freed.add(id_)
            else:
                live[id_], allocated[id_] = size, at
            live_bytes.append(sum(live.values()))
            blocks = max(blocks, len(live))
    ends = [len(kept) if end is None else end for end in ends]
    return kept, bad, live_bytes, ends, blocks, live


IDS = st.one_of(st.integers(0, 6), st.sampled_from([10**12, 2**63 - 1]))
SIZES = st.one_of(st.integers(0, 300), st.just(2**40))


@st.composite
def loose_events(draw, max_size=40):
    """Events that need not fit together."""
    triples = draw(st.lists(st.tuples(st.sampled_from("mmrf"), IDS, SIZES), max_size=max_size))
    return [(op, id_, 0 if op == "f" else size) for op, id_, size in triples]


@st.composite
def valid_traces(draw):
    """Traces with or without times and tasks."""
    kept = reference(draw(loose_events()))[0]
    time = task = None
    if draw(st.booleans()):
        steps = draw(st.lists(st.integers(0, 9), min_size=len(kept), max_size=len(kept)))
        time = np.cumsum([draw(st.integers(-5, 2**40)), *steps])[1:] if kept else []
    if draw(st.booleans()):
        task = [draw(st.sampled_from(["", "idle", "net-if", "zäh"])) for _ in kept]
    op, id_, size = ([event[k] for event in kept] for k in range(3))
    return Trace(op, id_, size, time=time, task=task)


def make(*events, **options):
    """A trace of events, each given as a tuple."""
    return Trace.from_events(events, **options)


def triples(trace):
    """The events without their times and tasks."""
    return [(event.op, event.id, event.size) for event in trace]
