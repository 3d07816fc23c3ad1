"""What `assess` returns: three answers side by side, each with what it assumes."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.heaps.layout import DEFAULT_BASE
from rtosheap.html import table_html
from rtosheap.kinds import layout_of
from rtosheap.risk.bounds import chance_at_most, interval, most_allowed
from rtosheap.risk.bounds import days_needed as days_needed_for
from rtosheap.risk.duration import spoken
from rtosheap.risk.runs import NEVER
from rtosheap.risk.tail import Estimate, Tail
from rtosheap.tables import plain_table

_WIDTH = 96
_SHOWN = (0.1, 0.01, 0.001)

Ints = npt.NDArray[np.int64]


class Day(NamedTuple):
    """A recording.

    Attributes
    ----------
    name : str
        The recording's, made unique.
    size : int or None
        Bytes of the smallest heap that serves it (of tested sizes, from which on all serve); None
        if none does.
    events : int
        How many it has.
    duration : int
        In the recording's unit of time.
    peak_live_bytes : int
        Most bytes that are live at once, as requested.
    failed : tuple of bool
        For each tested size, whether it fails; empty where every size is known.

    Examples
    --------
    >>> from rtosheap import Trace, assess
    >>> day = Trace("mmffmf", id=[0, 1, 0, 1, 2, 2], size=[8, 90, 0, 0, 16, 0],
    ...             time=[0, 10, 50, 60, 80, 90])
    >>> risk = assess(day, "heap_4", runs=20)
    >>> risk.days[0].size, risk.days[0].duration, risk.days[0].peak_live_bytes
    (128, 90, 98)
    """

    name: str
    size: int | None
    events: int
    duration: int
    peak_live_bytes: int
    failed: tuple[bool, ...] = ()


@dataclass(frozen=True, repr=False, eq=False)
class Risk:
    """How likely another day fails in a heap of a size: what :func:`assess` returns.

    Attributes
    ----------
    heap : str
        ``"heap_1"`` … ``"heap_5"``.
    options : mapping
        The constructor's options.
    regions : tuple
        heap_5's regions, the last of them open; empty for other heaps.
    days : tuple of Day
        What was recorded.
    duration : int
        How long a modelled day is, in `time_unit`.
    time_unit : str or None
        None where the recordings have no times: then durations are in events.
    sizes : ndarray of int64, shape (runs,)
        The smallest heap that serves each modelled day, ascending, in bytes; 2**63 - 1 where none
        does. With `tested` sizes: the least of them from which on all serve.
    tested : tuple of int
        The sizes that were tried, for a heap that may fail in more memory and serve in less;
        empty for the others.
    failed : ndarray of int64, shape (sizes,)
        How many modelled days failed at each tested size.
    tail : Tail or None
        The second model: the tail of the peaks. None where there is none, as `assumptions` say.
    guaranteed_size : int or None
        Bytes of a heap that serves whatever order the program finds, as long as its live bytes and
        its largest block are no larger than the recorded ones. None where no such size is known.
    seed : int
    runs : int
        Modelled days that were asked for; ``len(sizes)`` were done.
    assumptions : tuple of str
        What each of the answers rests on.
    warnings : tuple of str
        What makes them doubtful.
    interrupted : bool
        Whether somebody ended the runs (Ctrl-C): the answer is that of those that were done.
    loss : tuple of (str, int)
        What the recordings lack, by kind, as in ``trace.loss`` and ``trace.dropped``.

    Examples
    --------
    >>> from rtosheap import Trace, assess
    >>> day = Trace("mmffmf", id=[0, 1, 0, 1, 2, 2], size=[8, 90, 0, 0, 16, 0],
    ...             time=[0, 10, 50, 60, 80, 90])
    >>> risk = assess(day, "heap_4", runs=20)
    >>> risk.largest_recorded, risk.size_for(0.1), round(risk.proven(256), 2)
    (128, 256, 0.95)
    >>> print(risk.warnings[1])
    one recording: how much one day differs from another cannot be known from it, only guessed from
    how its hours differ
    """

    heap: str
    options: Mapping[str, Any]
    regions: tuple[tuple[int, int | None], ...]
    days: tuple[Day, ...]
    duration: int
    time_unit: str | None
    sizes: Ints
    tested: tuple[int, ...]
    failed: Ints
    tail: Tail | None
    guaranteed_size: int | None
    seed: int
    runs: int
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    interrupted: bool = False
    loss: tuple[tuple[str, int], ...] = ()

    # ------------------------------------------------------------------ what is proven

    def proven(self, size: int, confidence: float = 0.95) -> float:
        """The largest chance to fail at a size that the recordings leave open, free of any model.

        Parameters
        ----------
        size : int
            Bytes of the heap.
        confidence : float, default 0.95
            How sure the bound is.

        Returns
        -------
        float
            If none of n days failed, ``1 - (1 - confidence)**(1 / n)``; else the upper
            Clopper-Pearson bound. It is for a day as long as the recorded ones.

        Raises
        ------
        ValueError
            `confidence` is not between 0 and 1; or the heap was assessed at given sizes, and this
            is none of them.
        """
        _share(confidence, "confidence")
        failing = self._recorded_failing(_bytes(size))
        return chance_at_most(failing, len(self.days), confidence)

    @staticmethod
    def days_needed(probability: float, confidence: float = 0.95) -> int:
        """How many days have to be recorded, none of which fails, to prove a probability."""
        _share(probability, "probability")
        _share(confidence, "confidence")
        return days_needed_for(probability, confidence)

    # ------------------------------------------------------------------ what the models say

    def probability(self, size: int) -> Estimate:
        """The chance that a day fails in a heap of a size, by the more cautious of the models.

        Parameters
        ----------
        size : int
            Bytes of the heap.

        Returns
        -------
        Estimate
            ``(estimate, low, high)``. The estimate is the largest of three: the share of the
            modelled days that fails; the tail's mean; and d / (n + 1), where d of n recordings
            fail. The interval spans those of both models: Clopper and Pearson's of the modelled
            days' share, and the tail's, of 95 % each.

        Raises
        ------
        ValueError
            The heap was assessed at given sizes, and this is none of them.
        """
        size = _bytes(size)
        failed = self._failed(size)
        runs = Estimate(failed / len(self.sizes), *interval(failed, len(self.sizes)))
        tail = runs if self.tail is None else self.tail.probability(size, self.duration)
        recorded = self._recorded_failing(size) / (len(self.days) + 1)
        estimate = max(runs.estimate, tail.estimate, recorded)
        return Estimate(estimate, min(runs.low, tail.low), max(runs.high, tail.high, estimate))

    def size_for(self, probability: float, confidence: float = 0.95) -> int:
        """The smallest heap in which a day fails with at most this probability.

        Parameters
        ----------
        probability : float
            Between 0 and 1, such as 0.001 for one day in 1,000.
        confidence : float, default 0.95
            Of the runs: the upper Clopper-Pearson bound of the share that fails is at most
            `probability`. (The tail has the uncertainty of its parameters in its mean.)

        Returns
        -------
        int
            Bytes: the larger of what the modelled days say and what the tail says; and, where the
            probability is less than 1 / (n + 1), no less than the largest of n recordings needs.
            Where there are too few runs to say anything of so rare a failure, the largest counts.

        Raises
        ------
        ValueError
            The probability or the confidence is not between 0 and 1; there are too few runs, and
            no tail; or no size that the heap can have serves so many days.
        """
        _share(probability, "probability")
        _share(confidence, "confidence")
        runs = len(self.sizes)
        most = most_allowed(runs, probability, confidence)
        if most < 0 and self.tail is None:
            raise ValueError(
                f"probability is {probability}; {runs:,} runs say nothing of it with confidence "
                f"{confidence}: at least {days_needed_for(probability, confidence):,} are needed"
            )
        found = [self._serving(max(most, 0)), *self._recorded_above(probability)]
        if self.tail is not None:
            found.append(self.tail.size(probability, self.duration))
        return self._possible(max(found))

    def quantile(self, q: float) -> int:
        """The size that serves this share of the days: of the two models' answers the larger from
        one half on, and the smaller below, so that two quantiles are a band that spans both.

        Raises
        ------
        ValueError
            `q` is not between 0 and 1, or no size that the heap can have serves so many days.
        """
        _share(q, "q")
        found = [int(np.quantile(self.sizes, q, method="higher" if q >= 0.5 else "lower"))]
        if self.tail is not None:
            found.append(self.tail.size(1 - q, self.duration))
        return self._possible((max if q >= 0.5 else min)(found))

    @cached_property
    def _ascending(self) -> Ints:
        return np.sort(self.sizes)

    def _failed(self, size: int) -> int:
        """Modelled days that fail at a size."""
        if self.tested:
            return int(self.failed[self._tested(size)])
        return int(len(self.sizes) - np.searchsorted(self._ascending, size, side="right"))

    def _recorded_failing(self, size: int) -> int:
        """Recordings that fail at a size."""
        if self.tested:
            at = self._tested(size)
            return sum(day.failed[at] for day in self.days)
        return sum(day.size is None or day.size > size for day in self.days)

    def _recorded_above(self, probability: float) -> list[int]:
        """What must be reached for no more than this share of the recordings to fail, counting
        d failures among n as d / (n + 1).
        """
        sizes = sorted((day.size or NEVER) for day in self.days)
        failing = int(probability * (len(sizes) + 1))
        return sizes[len(sizes) - 1 - failing :][:1] if failing < len(sizes) else []

    def _serving(self, failing: int) -> int:
        """The least size at which no more than so many modelled days fail, nor at any larger."""
        if self.tested:
            over = np.flatnonzero(self.failed > failing)
            after = int(over[-1]) + 1 if len(over) else 0
            return self.tested[after] if after < len(self.tested) else NEVER
        return int(self._ascending[len(self.sizes) - 1 - failing])

    def _possible(self, size: int) -> int:
        """A size that the heap can have; ValueError for a larger one."""
        if self.tested and size != NEVER:
            return size
        layout = layout_of(self.heap, self.options)
        base = self.regions[-1][0] if self.regions else self.options.get("base_address")
        fixed = sum(known or 0 for _, known in self.regions)
        largest = fixed + layout.largest(DEFAULT_BASE if base is None else base)
        if size <= largest and size != NEVER:
            return size
        if self.tested:
            raise ValueError(
                f"none of the tested sizes, {self.tested[0]:,} to {self.tested[-1]:,} bytes, is "
                "enough; give larger ones as `sizes`"
            )
        raise ValueError(
            f"no size is enough: a {self.heap} there has {largest:,} bytes at the most, and so "
            "many days need more"
        )

    def _tested(self, size: int) -> int:
        if size in self.tested:
            return self.tested.index(size)
        near = sorted(self.tested, key=lambda one: abs(one - size))[:3]
        raise ValueError(
            f"size is {size}; {self.heap} may fail in more memory and serve in less, so that only "
            f"the tested sizes are known, of which the nearest are {sorted(near)}"
        )

    # ------------------------------------------------------------------ shown

    @property
    def largest_recorded(self) -> int | None:
        """What the largest of the recordings needs, in bytes; None if none of the sizes serves."""
        sizes = [day.size for day in self.days]
        return None if None in sizes else max(size for size in sizes if size is not None)

    def summary(self) -> list[tuple[str, str]]:
        """All of it as (what, value) pairs of text, for a table."""
        facts = [("recorded", self._recorded())]
        if self.tested:
            ends = f"{self.tested[0]:,} to {self.tested[-1]:,} bytes"
            facts.append(("tried at", f"{len(self.tested):,} sizes, {ends}"))
        largest = self.largest_recorded
        if largest is not None:
            facts.append(
                (
                    "proven",
                    f"{largest:,} bytes: at most {self.proven(largest):.0%} of such days fail",
                )
            )
        facts.append(("modelled", self._modelled()))
        for probability in _SHOWN:
            try:
                size = self.size_for(probability)
            except ValueError:
                continue
            facts.append((f"modelled, 1 in {round(1 / probability):,} days", f"{size:,} bytes"))
        guarantee = self.guaranteed_size
        facts.append(("guaranteed", "none known" if guarantee is None else f"{guarantee:,} bytes"))
        return facts

    def _modelled(self) -> str:
        days = f"days of {spoken(self.duration, self.time_unit)}"
        if len(self.sizes) == self.runs:
            return f"{self.runs:,} {days}"
        why = "interrupted" if self.interrupted else "the others were lost"
        return f"{len(self.sizes):,} of {self.runs:,} {days}: {why}"

    def _recorded(self) -> str:
        sizes = [day.size for day in self.days if day.size is not None]
        each = spoken(self.days[0].duration, self.time_unit)
        days = f"{len(self.days)} days" if len(self.days) > 1 else "1 day"
        need = (
            f"{min(sizes):,} to {max(sizes):,} bytes"
            if len(set(sizes)) > 1
            else (f"{sizes[0]:,} bytes" if sizes else "no tested size serves")
        )
        return f"{days} of {each}: {need}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json.dumps`` takes."""
        tail = self.tail
        return {
            "heap": self.heap,
            "options": {
                key: value if value is None or isinstance(value, str) else int(value)
                for key, value in self.options.items()
            },
            "regions": [list(region) for region in self.regions],
            "days": [day._asdict() | {"failed": list(day.failed)} for day in self.days],
            "duration": self.duration,
            "time_unit": self.time_unit,
            "runs": self.runs,
            "runs_done": len(self.sizes),
            "interrupted": self.interrupted,
            "seed": self.seed,
            "sizes": [None if size == NEVER else int(size) for size in self.sizes],
            "tested": list(self.tested),
            "failed": [int(count) for count in self.failed],
            "tail": None
            if tail is None
            else {
                "threshold": tail.threshold,
                "peaks": tail.peaks,
                "rate": tail.rate,
            },
            "guaranteed_size": self.guaranteed_size,
            "assumptions": list(self.assumptions),
            "exact": False,  # nothing is that a model says
            "warnings": list(self.warnings),
            "loss": dict(self.loss),
        }

    def __repr__(self) -> str:
        return f"<Risk of {self.heap}: {'; '.join(f'{a} {b}' for a, b in self.summary())}>"

    def __str__(self) -> str:
        table = plain_table([self.heap, ""], self.summary())
        texts = [f"Warning: {text}." for text in self.warnings]
        wrapped = [fill(text, _WIDTH, break_on_hyphens=False) for text in texts]
        return "\n\n".join([table, *wrapped])

    def _repr_html_(self) -> str:
        rows = [*self.summary(), *(("warning", text) for text in self.warnings)]
        return table_html([self.heap, ""], rows)


def _bytes(size: Any) -> int:
    try:
        return operator.index(size)
    except TypeError:
        raise TypeError(f"size is {size!r}; it must be an integer, in bytes") from None


def _share(value: Any, name: str) -> None:
    if not isinstance(value, int | float | np.floating):
        raise TypeError(f"{name} is {value!r}; it must be a number between 0 and 1")
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}; it must be between 0 and 1")


for _type in (Day, Risk):
    _type.__module__ = "rtosheap.risk"  # where users import them from, and pickles find them
