"""Several recordings of one program: as an argument, what to call each, what they lack together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeAlias

from rtosheap.traces._splice import joined_meta
from rtosheap.traces.doubts import doubts, lacks
from rtosheap.traces.loss import counts
from rtosheap.traces.meta import ABI, INCOMPLETE, set_aside_of
from rtosheap.traces.sizes import SIZES
from rtosheap.traces.trace import Trace

_MADE_OF_PARTS = "it was made of recordings that are not"

#: What an argument that takes one recording or several may be.
Traces: TypeAlias = Trace | Sequence[Trace]


def as_traces(given: Any, name: str = "traces", *, distinct: bool = True) -> tuple[Trace, ...]:
    """An argument of one or several traces as a tuple.

    Parameters
    ----------
    given : Trace or sequence of Trace
    name : str
        What errors call it.
    distinct : bool
        Whether a recording may be there once only.

    Raises
    ------
    TypeError
        It is no sequence, or one of it is no Trace.
    ValueError
        It is empty, or has a recording twice.
    """
    if isinstance(given, Trace):
        return (given,)
    try:
        found = tuple(given)
    except TypeError:
        raise TypeError(f"{name} is {given!r}; it must be a Trace or a sequence of them") from None
    for at, trace in enumerate(found):
        if not isinstance(trace, Trace):
            raise TypeError(f"{name}[{at}] is {trace!r}; it must be a Trace")
    if not found:
        raise ValueError(f"{name} is empty; at least one recording is needed")
    twice = duplicate(found) if distinct else None
    if twice is not None:
        first, second = twice
        raise ValueError(
            f"{name}[{second}] is {name}[{first}] again, {found[first]!r}; give each recording once"
        )
    return found


def duplicate(traces: Sequence[Trace]) -> tuple[int, int] | None:
    """The places of a recording that is there twice: with the same events, and the same name if it
    has one of its own. A copy of a file is the same recording.
    """
    own = [trace.meta.get("name") for trace in traces]
    for at, trace in enumerate(traces):
        for before in range(at):
            one = traces[before]
            same = own[before] == own[at] and len(one) == len(trace)
            if one is trace or (same and one == trace):
                return before, at
    return None


def unique_names(traces: Sequence[Trace]) -> tuple[str, ...]:
    """What to call each: by its name, and where it has none or shares it, by its number too.

    Examples
    --------
    >>> a, b = Trace("", [], [], meta={"name": "day"}), Trace("m", [0], [8])
    >>> unique_names([a, b, Trace("m", [0], [9], meta={"name": "day"})])
    ('day (number 1)', 'number 2', 'day (number 3)')
    """
    names = [trace.name or f"number {at + 1}" for at, trace in enumerate(traces)]
    while len(set(names)) < len(names):
        known = Counter(names)
        names = [
            f"{name} (number {at + 1})" if known[name] > 1 else name
            for at, name in enumerate(names)
        ]
    return tuple(names)


def renamed(trace: Trace, name: str) -> Trace:
    """The same trace by another name."""
    columns = trace._columns
    return trace.with_columns(replace(columns, meta={**columns.meta, "name": name}))


def name_of_all(traces: Sequence[Trace]) -> str:
    """What to call them together: one by its own name."""
    return traces[0].name if len(traces) == 1 else f"{len(traces)} recordings"


def doubts_of_all(traces: Sequence[Trace], word_size: int) -> tuple[str, ...]:
    """What any result must say that rests on them, each with the name of its recording."""
    if len(traces) == 1:
        return doubts(traces[0], word_size)
    named = zip(unique_names(traces), traces, strict=True)
    return tuple(f"{name}: {text}" for name, one in named for text in doubts(one, word_size))


def lost_of_all(traces: Sequence[Trace]) -> tuple[tuple[str, int], ...]:
    """What is missing of them, by kind, in all."""
    total: Counter[str] = Counter()
    for trace in traces:
        total.update(counts(trace.loss, trace.dropped))
    return tuple(total.items())


def origin_of_all(traces: Sequence[Trace]) -> dict[str, str]:
    """What a trace's header says that was made of these: their pointers, what their sizes are, and
    that they are not complete.
    """
    joined = reduce(joined_meta, (trace.meta for trace in traces))
    kept = {key: joined[key] for key in (ABI, SIZES, INCOMPLETE) if key in joined}
    if any(map(lacks, traces)):
        reasons = filter(None, (kept.get(INCOMPLETE), _MADE_OF_PARTS))
        kept[INCOMPLETE] = "; ".join(dict.fromkeys(reasons))
    return kept


def set_aside(traces: Sequence[Trace]) -> int:
    """Bytes that changes need outside the heap: the most of any of the traces."""
    return max(set_aside_of(trace.meta) for trace in traces)
