"""The outcome of many trials, counted and shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any, NamedTuple

from rtosheap.corruption._faults import FAULTS
from rtosheap.html import table_html
from rtosheap.kinds import NAMES, HeapKind, freertos_class, heap_name
from rtosheap.tables import plain_table

LEVELS: tuple[str, ...] = ("none", "assertions", "canary", "protector", "checked")
"""The levels of protection.

``none``: FreeRTOS without ``configASSERT``; ``assertions``: with it; ``canary``: the heap
protector's links, without ``configASSERT``; ``protector``: both, so that links are also held to
the heap's bounds; ``checked``: this package's own, `Heap4` and the others as Python has them. The
protector exists for heap_4 and heap_5 only.
"""


class Trial(NamedTuple):
    """One fault in one heap at one level.

    Examples
    --------
    >>> from rtosheap.corruption import inject
    >>> trial = inject("heap_4", "none", "double_free", seed=23)
    >>> trial.injected, trial.outcome
    ('0x20000008 freed again 1 calls later', 'silent')
    >>> trial.harm, trial.harm_call  # the very next malloc gave it to somebody a second time
    ('overlap', 1)
    """

    heap: str
    level: str
    fault: str
    seed: int
    """With heap, level and fault, reproduces the trial: `inject`."""
    injected: str
    """What was done, in words."""
    outcome: str
    """``"detected"``, ``"silent"`` or ``"fatal"``."""
    call: int | None
    """At which call after the fault it was detected or fatal; 0: the faulty free itself."""
    reason: str
    """Of a fatal outcome: ``"wild read at 0x…"``, ``"wild write at 0x…"``, ``"loop"``; else ""."""
    harm: str | None
    """What the heap did to the program meanwhile: ``"overlap"`` (it handed out memory of a live
    block), ``"overwritten"`` (a live payload changed), ``"lost"`` (it refused what it would have
    served but for the fault), or None."""
    harm_call: int | None
    """At which call after the fault."""


class Row(NamedTuple):
    """Trials that have something in common, counted.

    Examples
    --------
    >>> from rtosheap.corruption import study
    >>> row = study("heap_4", faults=["overrun"], levels=["checked"], trials=20).rows()[0]
    >>> row.trials, row.detected, row.silent, row.delay
    (20, 16, 4, 8.0)
    """

    heap: str
    level: str
    fault: str
    trials: int
    detected: int
    fatal: int
    silent: int
    harmful: int
    """Of the silent ones, those in which the heap did the program harm."""
    delay: float | None
    """Median of the calls until detection, None if nothing was detected."""


class Study:
    """The outcome of many trials.

    Attributes
    ----------
    trials : tuple of Trial
    skipped : tuple of (heap, level, fault)
        Combinations that do not exist: a protector on heap_1, heap_2 or heap_3, a header of
        heap_1, use after free in heap_1.

    Examples
    --------
    >>> from rtosheap.corruption import study
    >>> result = study("heap_4", faults=["overrun"], trials=20)
    >>> print(result)
    heap    level       trials  detected %  delay  fatal %  silent %  harmful %
    heap_4  none            20         0.0      -     25.0      75.0        5.0
    heap_4  assertions      20        50.0   21.5     20.0      30.0        0.0
    heap_4  canary          20         0.0      -     25.0      75.0        5.0
    heap_4  protector       20        75.0   18.0      0.0      25.0        0.0
    heap_4  checked         20        80.0    8.0      0.0      20.0        0.0
    >>> [trial.outcome for trial in result.only(level="none")][:3]
    ['silent', 'silent', 'silent']
    """

    def __init__(
        self, trials: Iterable[Trial], skipped: Iterable[tuple[str, str, str]] = ()
    ) -> None:
        self.trials = tuple(trials)
        self.skipped = tuple(skipped)

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def only(
        self, *, heap: HeapKind | None = None, level: str | None = None, fault: str | None = None
    ) -> Study:
        """The trials of one heap, level or fault; of a level or fault that there is not, none.

        Raises
        ------
        ValueError, TypeError
            If `heap` is none of FreeRTOS's.
        """
        name = None if heap is None else heap_name(freertos_class(heap))
        kept = [
            trial
            for trial in self.trials
            if name in (None, trial.heap)
            and level in (None, trial.level)
            and fault in (None, trial.fault)
        ]
        return Study(kept)

    def rows(self, *by: str) -> list[Row]:
        """Count the trials by ``"heap"``, ``"level"`` and ``"fault"``; by heap and level if none.

        What is not counted by is ``"all"`` in the row.

        Raises
        ------
        ValueError
            For any other word.
        """
        keys = by or ("heap", "level")
        for key in keys:
            if key not in ("heap", "level", "fault"):
                raise ValueError(f"by is {key!r}; it must be 'heap', 'level' or 'fault'")
        groups: dict[tuple[str, str, str], list[Trial]] = {}
        for trial in self.trials:
            group = (
                trial.heap if "heap" in keys else "all",
                trial.level if "level" in keys else "all",
                trial.fault if "fault" in keys else "all",
            )
            groups.setdefault(group, []).append(trial)
        return [_row(group, trials) for group, trials in sorted(groups.items(), key=_place)]

    def table(self, *by: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """`rows` as headers and values: percentages of the trials, and the delay in calls."""
        keys = by or ("heap", "level")
        headers = (*keys, "trials", "detected %", "delay", "fatal %", "silent %", "harmful %")
        values = []
        for row in self.rows(*keys):
            shares = [100 * n / row.trials for n in (row.fatal, row.silent, row.harmful)]
            named = [getattr(row, key) for key in keys]
            detected = 100 * row.detected / row.trials
            values.append((*named, row.trials, detected, row.delay, *shares))
        return headers, values

    def __repr__(self) -> str:
        return f"<Study of {len(self.trials):,} trials>"

    def __str__(self) -> str:
        return plain_table(*self.table(), digits=1)

    def _repr_html_(self) -> str:
        return table_html(*self.table())


def _place(item: tuple[tuple[str, str, str], list[Trial]]) -> tuple[int, int, int]:
    """Where a group stands in a table: in the order of NAMES, LEVELS and FAULTS."""
    heap, level, fault = item[0]
    orders = (("all", *NAMES), ("all", *LEVELS), ("all", *FAULTS))
    return (orders[0].index(heap), orders[1].index(level), orders[2].index(fault))


def _row(group: tuple[str, str, str], trials: list[Trial]) -> Row:
    counts = dict.fromkeys(("detected", "fatal", "silent"), 0)
    for trial in trials:
        counts[trial.outcome] += 1
    delays = [t.call for t in trials if t.outcome == "detected" and t.call is not None]
    return Row(
        *group,
        trials=len(trials),
        detected=counts["detected"],
        fatal=counts["fatal"],
        silent=counts["silent"],
        harmful=sum(t.outcome == "silent" and t.harm is not None for t in trials),
        delay=float(median(delays)) if delays else None,
    )


for _type in (Trial, Row, Study):
    _type.__module__ = "rtosheap.corruption"  # where users import them from
