"""A strategy for allocation traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from rtosheap.testing import _arguments
from rtosheap.traces import Trace

__all__ = ["FREE_ORDERS", "SIZE_DISTRIBUTIONS", "traces"]

SIZE_DISTRIBUTIONS: tuple[str, ...] = ("uniform", "exponential", "bimodal", "powers")
"""How sizes are distributed in a phase of a trace."""

FREE_ORDERS: tuple[str, ...] = ("random", "lifo", "fifo")
"""Which live block a free takes: any, the youngest, the oldest."""

# How often a phase allocates, frees and reallocates; shrinks to the first.
_MIXES = ("mmmfr", "mmfffr", "mf")


class _Step(NamedTuple):
    """One event, before it is known which blocks live."""

    op: str
    pick: int
    size: int


def traces(
    *,
    max_events: int = 60,
    min_events: int = 0,
    max_size: int = 1024,
    min_size: int = 1,
    sizes: Sequence[str] | str = SIZE_DISTRIBUTIONS,
    frees: Sequence[str] | str = FREE_ORDERS,
    phases: tuple[int, int] = (1, 3),
    reallocs: bool = True,
    capacity: int | None = None,
) -> st.SearchStrategy[Trace]:
    """Valid sequences of events.

    A trace has phases, and each phase has a distribution of sizes, an order of frees and a
    tendency to grow, to shrink or neither. Ids are given in the order of the mallocs.

    Shrinks to fewer events, smaller sizes and lower ids.

    Parameters
    ----------
    max_events, min_events : int
        How many events.
    max_size, min_size : int
        Bytes of a request.
    sizes : sequence of str
        Which distributions a phase may have, out of `SIZE_DISTRIBUTIONS`: ``"uniform"``,
        ``"exponential"`` (each doubling as frequent as the one before), ``"bimodal"`` (near
        either end), ``"powers"`` (of two).
    frees : sequence of str
        Which order of frees a phase may have, out of `FREE_ORDERS`.
    phases : (int, int)
        Fewest and most phases.
    reallocs : bool
        Whether there may be reallocs.
    capacity : int, optional
        Stay close to this many live bytes: no event goes beyond them, and until most of them are
        in use the trace only grows. Give a heap's free size to bring it near exhaustion.

    Raises
    ------
    ValueError, TypeError
        An argument that cannot be; the message names it.

    Examples
    --------
    >>> from hypothesis import find
    >>> list(find(traces(reallocs=False), lambda trace: trace.frees >= 1))[-1]
    Event(op='f', id=0, size=0, time=None, task=None)
    """
    few = _arguments.integer(min_events, "min_events", 0)
    many = _arguments.integer(max_events, "max_events", max(few, 1))
    smallest = _arguments.integer(min_size, "min_size", 0)
    largest = _arguments.integer(max_size, "max_size", smallest, (1 << 64) - 1)
    distributions = _arguments.choices(sizes, "sizes", SIZE_DISTRIBUTIONS)
    orders = _arguments.choices(frees, "frees", FREE_ORDERS)
    least, most = _arguments.interval(phases, "phases", 1, many)
    _arguments.boolean(reallocs, "reallocs")
    if capacity is not None:
        _arguments.integer(capacity, "capacity", smallest)
    mixes = [mix if reallocs else mix.replace("r", "") for mix in _MIXES]
    per_phase = [
        st.tuples(
            st.just(order),
            st.lists(
                st.builds(
                    _Step,
                    st.sampled_from(mix),
                    st.integers(0, 1 << 16),
                    _sizes(distribution, smallest, largest),
                ),
                min_size=-(-few // least),
                max_size=max(many // least, 1),
            ),
        )
        for mix in mixes
        for distribution in distributions
        for order in orders
    ]
    phase = st.one_of(per_phase)
    return st.lists(phase, min_size=least, max_size=most).map(
        lambda drawn: _resolve(drawn, few, many, capacity)
    )


def _sizes(distribution: str, low: int, high: int) -> st.SearchStrategy[int]:
    if distribution == "uniform":
        return st.integers(low, high)
    if distribution == "bimodal":
        tenth = (high - low) // 10
        return st.integers(low, low + tenth) | st.integers(high - tenth, high)
    powers = [1 << bit for bit in range(64) if low <= 1 << bit <= high]
    if distribution == "powers":
        return st.sampled_from(powers or [low])
    bounds = [*powers, high] if not powers or powers[-1] != high else powers
    return st.sampled_from(bounds).flatmap(lambda bound: st.integers(low, max(bound, low)))


def _resolve(
    phases: list[tuple[str, list[_Step]]], few: int, many: int, capacity: int | None
) -> Trace:
    """Turn steps into events on blocks that live."""
    events: list[tuple[str, int, int] | tuple[str, int]] = []
    live: dict[int, int] = {}  # size by id, in the order of allocation
    total = 0
    fresh = 0
    for order, steps in phases:
        for op, pick, size in steps:
            if len(events) == many:
                break
            filling = capacity is not None and total < capacity * 3 // 4
            if not live or (op != "m" and filling):
                op = "m"
            ids = list(live)
            target = -1
            if op != "m":
                target = {"lifo": ids[-1], "fifo": ids[0]}.get(order, ids[pick % len(ids)])
            old = live.get(target, 0) if op == "r" else 0
            if op != "f" and capacity is not None and total - old + size > capacity:
                size = capacity - total + old  # what is left, or a free if that is nothing
                if size == 0 and live:
                    op, target = "f", ids[pick % len(ids)]
            if op == "f":
                total -= live.pop(target)
                events.append(("f", target))
                continue
            if op == "m":
                target, fresh = fresh, fresh + 1
            events.append((op, target, size))
            total += size - old
            live[target] = size
    while len(events) < few:  # phases of a minimal draw can be cut short
        events.append(("m", fresh, 1))
        fresh += 1
    return Trace.from_events(events)
