"""How large must a heap be? The smallest arena in which a trace runs without a failure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rtosheap.html import table_html
from rtosheap.kinds import HeapKind, heap_class
from rtosheap.sizing._search import find_common, find_smallest
from rtosheap.sizing.problem import Found, RegionSizes, SizingProblem, problems_of
from rtosheap.tables import plain_table
from rtosheap.traces import Trace
from rtosheap.traces.doubts import is_complete, says_incomplete
from rtosheap.traces.several import Traces, as_traces, doubts_of_all, lost_of_all, unique_names
from rtosheap.work import Progress


class OwnMinimum(NamedTuple):
    """What one of several recordings needs by itself.

    Attributes
    ----------
    name : str
        The recording's, made unique.
    size : int
        Bytes of the smallest heap that serves it; for heap_5 of all its regions together.
    witness : int or None
        The event that needs the last byte of these.
    safe_size : int
        From this size on every larger one serves it too.
    peak_live_bytes : int
        Most of its bytes that are live at once, as requested.
    advice_fails_at : int or None
        Its first event that fails in the heap that "total minus minimum ever free" recommends for
        all; None if all are served.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> monday = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110], meta={"name": "monday"})
    >>> tuesday = Trace("mfm", id=[0, 0, 1], size=[200, 0, 90], meta={"name": "tuesday"})
    >>> print(minimum_heap_size([monday, tuesday], "heap_4").table())
    recording  smallest  needed at  peak live  advice fails at
    monday          272          3        130                3  decides
    tuesday         216          0        200                -
    """

    name: str
    size: int
    witness: int | None
    safe_size: int
    peak_live_bytes: int
    advice_fails_at: int | None


@dataclass(frozen=True)
class MinimumSize:
    """The smallest heap that serves a trace, or each of several: what :func:`minimum_heap_size`
    returns.

    Attributes
    ----------
    heap : str
        The heap's name, ``"heap_1"`` … ``"heap_5"``.
    size : int
        Bytes of the smallest arena that serves; for heap_5 of all its regions together.
    witness : int or None
        Index of the event that needs the last byte: the first to fail one step below `size`; of
        several recordings, in the one that decides. None if nothing smaller can even be
        constructed.
    exact : bool
        True if no smaller size serves what the program did (of a heap_2 none in steps of the
        alignment). False for a heap_2 of which not every size was tried, since that takes long:
        some size that was not tried may serve, at least 64 steps below. False where the recording
        is not complete, as `warnings` say.
    peak_live_bytes : int
        Most bytes that are live at once in the trace, as requested.
    advice_size : int or None
        What "total minus minimum ever free" recommends, measured in a heap of twice
        `peak_live_bytes` (doubled again while the trace does not run in it); the minimum is that
        over all recordings. None of an allocator that does not tell what is free;
        of one that is not ours it is what was free between events.
    advice_fails_at : int or None
        The first event that fails in a heap of `advice_size` bytes, None if all are served; of
        several recordings, in the first of them that fails. A heap too small to be constructed
        fails at the first allocation; of a heap_5 whose regions but the last are that large, these
        alone are tried.
    safe_size : int
        From this size on every larger one serves too.
    safe_checked_up_to : int or None
        How far that was tried; None if it is proven without an end.
    options : mapping
        The constructor's options.
    regions : tuple of (int, int)
        Address and bytes of each region, the solved one last; one region but for heap_5.
    warnings : tuple of str
        What to know of the recording that this rests on.
    loss : tuple of (str, int)
        What is missing of it, each kind and its count: those of :class:`rtosheap.traces.Loss` and
        :class:`rtosheap.traces.Dropped` that occurred.
    recording : str or None
        Of several recordings, the name of the one that decides: the first of those that fail one
        step below `size`. None for a trace that was given alone.
    recordings : tuple of OwnMinimum
        What each of several recordings needs by itself, in their order; empty for a trace that was
        given alone. With heap_2, all together may need more than any of them.
    last_region_size : int
        Bytes of the region that was solved for; `size` but for heap_5.
    ratio : float
        `size` over `peak_live_bytes`; inf if that is 0.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> found = minimum_heap_size(trace, "heap_4")
    >>> found.size, found.witness, found.advice_size, found.advice_fails_at
    (272, 3, 160, 3)
    """

    heap: str
    size: int
    witness: int | None
    exact: bool
    peak_live_bytes: int
    advice_size: int | None
    advice_fails_at: int | None
    safe_size: int
    safe_checked_up_to: int | None
    options: Mapping[str, Any] = field(hash=False)
    regions: tuple[tuple[int, int], ...]
    warnings: tuple[str, ...] = ()
    loss: tuple[tuple[str, int], ...] = ()
    recording: str | None = None
    recordings: tuple[OwnMinimum, ...] = ()

    @property
    def last_region_size(self) -> int:
        """Bytes of the region that was solved for."""
        return self.regions[-1][1]

    @property
    def ratio(self) -> float:
        """`size` over `peak_live_bytes`; inf if that is 0."""
        return self.size / self.peak_live_bytes if self.peak_live_bytes else math.inf

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json.dumps`` takes; a ratio of inf is None."""
        several = {
            "recording": self.recording,
            "recordings": [one._asdict() for one in self.recordings],
        }
        return {
            "heap": self.heap,
            "size": self.size,
            "witness": self.witness,
            "exact": self.exact,
            "peak_live_bytes": self.peak_live_bytes,
            "ratio": self.ratio if math.isfinite(self.ratio) else None,
            "advice_size": self.advice_size,
            "advice_fails_at": self.advice_fails_at,
            "safe_size": self.safe_size,
            "safe_checked_up_to": self.safe_checked_up_to,
            "options": {key: _plain(value) for key, value in self.options.items()},
            "regions": [list(region) for region in self.regions],
            "last_region_size": self.last_region_size,
            "warnings": list(self.warnings),
            "loss": dict(self.loss),
            **(several if self.recordings else {}),
        }

    def summary(self) -> list[tuple[str, str]]:
        """All of it as (what, value) pairs of text, for a table."""
        smallest = "smallest size" if self.exact else "smallest size found"
        if says_incomplete(self.warnings):
            smallest = "smallest size for what was recorded"
        facts = [(smallest, f"{self.size:,} bytes")]
        if len(self.regions) > 1:
            parts = ", ".join(f"{address:#x}: {size:,}" for address, size in self.regions)
            facts.append(("regions", parts))
        if self.peak_live_bytes:
            facts.append(
                ("peak of live bytes", f"{self.peak_live_bytes:,} (ratio {self.ratio:.3f})")
            )
        if self.witness is None:
            own = "the heap itself" if len(self.regions) == 1 else "the last region itself"
            facts.append(("needed by", f"{own}: none smaller can be constructed"))
        else:
            where = f" of {self.recording}" if self.recordings else ""
            facts.append(("needed by", f"event {self.witness:,}{where}"))
        if self.recordings:
            facts.append(("each by itself", self._by_themselves()))
        if self.safe_size != self.size or self.safe_checked_up_to is not None:
            upto = self.safe_checked_up_to
            how = "proven" if upto is None else f"checked up to {upto:,}"
            facts.append(("every size serves from", f"{self.safe_size:,} on ({how})"))
        if self.advice_size is not None:
            advice = f"{self.advice_size:,}, which {self._advice_fate()}"
            facts.append(("total minus minimum ever free", advice))
        return [*facts, *(("warning", text) for text in self.warnings)]

    def table(self) -> str:
        """What each of several recordings needs by itself, as text; ``""`` for one trace."""
        return plain_table(*self._table()) if self.recordings else ""

    def _table(self) -> tuple[list[str], list[list[object]]]:
        headers = ["recording", "smallest", "needed at", "peak live", "advice fails at", ""]
        rows: list[list[object]] = [
            [
                one.name,
                one.size,
                one.witness,
                one.peak_live_bytes,
                one.advice_fails_at,
                "decides" if one.name == self.recording else "",
            ]
            for one in self.recordings
        ]
        return headers, rows

    def _by_themselves(self) -> str:
        sizes = [one.size for one in self.recordings]
        text = f"{min(sizes):,} to {max(sizes):,} bytes"
        if min(sizes) == max(sizes):
            text = f"{sizes[0]:,} bytes"
        return f"{text} ({len(sizes):,} recording{'' if len(sizes) == 1 else 's'})"

    def _advice_fate(self) -> str:
        if self.advice_fails_at is None:
            return "serves"
        failing = [one.name for one in self.recordings if one.advice_fails_at is not None]
        if not failing:
            return f"fails at event {self.advice_fails_at:,}"
        share = f"{len(failing)} of {len(self.recordings)} recordings"
        return f"fails in {share}, first at event {self.advice_fails_at:,} of {failing[0]}"

    def __repr__(self) -> str:
        facts = "; ".join(f"{what} {value}" for what, value in self.summary())
        return f"<MinimumSize of {self.heap}: {facts}>"

    def _repr_html_(self) -> str:
        facts = table_html([self.heap, ""], self.summary())
        return f"<div>{facts}{table_html(*self._table())}</div>" if self.recordings else facts


def minimum_heap_size(
    trace: Traces,
    heap: HeapKind,
    *,
    regions: RegionSizes | None = None,
    search: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> MinimumSize:
    """The smallest heap in which a trace, or each of several, runs without a failed allocation.

    Parameters
    ----------
    trace : Trace or sequence of Trace
        What the program requests. Several are recordings of the same program, each from its start:
        the smallest heap in which every one of them runs is found.
    heap : type or str
        The kind of heap: a class such as `Heap4` or ``PolicyHeap.of("tlsf")``, or its name, such as
        ``"heap_4"``; or an allocator of a shared library, ``ForeignHeap.of("libmine.so")``.
    regions : sequence of (int, int or None), optional
        For heap_5, which needs it, and for a `PolicyHeap`: address and bytes of each region,
        ascending. The last size is None: it is solved for.
    search : {None, "full"}, optional
        heap_2 and policies only; see the notes. ``"full"`` tries every size, however long it takes.
    progress : callable, optional
        Called as ``progress(done, total)`` from time to time, with two counts of events over all
        replays; `total` may grow. An exception that it raises ends the search.
    **options
        What the heap's constructor takes: `base_address`, `word_size`, `alignment`,
        `clear_on_free`, `canary`, `end_marker_address`.

    Returns
    -------
    MinimumSize
        Its ``size`` was replayed and serves; one step below was replayed and fails.

    Raises
    ------
    UnservableError
        A `ValueError`: no such heap can serve the trace, however large. A request, or the sum of
        what is live, exceeds what the word size and the address leave.
    ValueError
        An argument is wrong; there is no recording, or one is given twice.
    TypeError
        For what is no trace, for an option that the heap does not have, or `regions` missing or
        malformed.

    See Also
    --------
    rtosheap.compare : all five at once.
    rtosheap.assess : what another day may need, of which there is no recording.

    Notes
    -----
    A is the alignment and H the header's size, in bytes. Sizes are found as follows; steps are
    single bytes but for heap_2.

    heap_1
        All requests, rounded up to A, + A + 1: nothing is given back, and the last byte never
        handed out.
    heap_2
        Not monotone: a trace may run in a heap and fail in a larger one. In steps of A every size
        is tried, from the peak of live blocks on upwards to the first that serves, and from the
        largest that there can be downwards to the last that fails; `exact` is True. (An arena's
        size shows in that of its last block alone. So all sizes run as one up to an event at which
        that block serves some of them otherwise than others, and the parts go on by themselves.)
        Where that would take more than a few replays, and is not asked for by ``search="full"``:
        bisection, then every size up to 64 steps below and above, and further above until 64 sizes
        in a row have served; `exact` is False.
    heap_3
        The final break of one replay in an arena that does not run out: until ``sbrk`` is refused
        nothing depends on the arena's size. From newlib 4.2.0 on, which may extend a chunk where
        ``sbrk`` refuses, a trace may fail in a larger heap: every size is tried, as heap_2's are,
        in parts that ``sbrk`` tells from one another.
    heap_4, heap_5
        One replay in an arena that does not run out. An allocation of B bytes cut from its last
        block, at y, needs the end marker at y + max(B, 2H + A) or above: what is left of that
        block was split off once, so that more than 2H bytes lay behind y. Where y is the arena's
        first block, y + B is enough. The smallest size is the largest such need + H - base. In
        every larger arena each decision is the same, so that all of them serve. heap_5's first
        regions are as they are; the same holds for its last one.

    PolicyHeap, ForeignHeap.of(…)
        By trial, in steps of A: bisection, then every size up to 64 steps below and above, and
        further above until 64 sizes in a row have served; `exact` is False. With ``search="full"``
        every size from the peak of live blocks on, up to the first that serves.

    So `safe_size` equals `size` for every heap but heap_2, heap_3 from newlib 4.2.0 on, and
    policies.

    Several recordings need the largest of what each needs. With heap_2 another of them may fail
    there: every size from there on is tried, up to the first in which all run, and `safe_size` is
    found as for one.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 110])
    >>> smallest = minimum_heap_size(trace, Heap4)
    >>> smallest.size, smallest.witness, smallest.peak_live_bytes
    (272, 3, 130)
    >>> smallest.advice_size, smallest.advice_fails_at      # the hole at the front is too small
    (160, 3)

    Several recordings:

    >>> other = Trace("m", id=[0], size=[300], meta={"name": "tuesday"})
    >>> both = minimum_heap_size([trace, other], Heap4)
    >>> both.size, both.recording, both.witness
    (320, 'tuesday', 0)
    >>> [(one.name, one.size) for one in both.recordings]
    [('number 1', 272), ('tuesday', 320)]
    """
    chosen = heap_class(heap)
    if search not in (None, "full"):
        raise ValueError(f"search is {search!r}; it must be None or 'full'")
    traces = as_traces(trace, "trace")
    names = ("",) if isinstance(trace, Trace) else unique_names(traces)
    problems = problems_of(traces, names, chosen, options, regions=regions, progress=progress)
    result = solve(problems, full=search == "full")
    problems[0].rounds.finish()
    return result


class Advice(NamedTuple):
    """What "total minus minimum ever free" recommends, and the event at which each trace fails
    there.
    """

    size: int | None
    fails_at: tuple[int | None, ...]


def smallest_size(*problems: SizingProblem) -> int:
    """Bytes of the smallest heap that serves, heap_5's fixed regions included; not replayed again,
    as :func:`solve` does.
    """
    each = [find_smallest(problem, full=False) for problem in problems]
    return problems[0].fixed_bytes + find_common(problems, each).size


def solve(
    problems: Sequence[SizingProblem], *, full: bool = False, advice: Advice | None = None
) -> MinimumSize:
    """What :func:`minimum_heap_size` returns, of one problem, or of those of several recordings;
    the advice may be known, or not be wanted.
    """
    each = [find_smallest(problem, full=full) for problem in problems]
    found = find_common(problems, each)
    decides, witness = _verify(problems, found)
    size, fails = advice or advise(problems, found.size + problems[0].fixed_bytes)
    first, traces = problems[0], [problem.trace for problem in problems]
    fixed = first.fixed_bytes
    recordings = [
        OwnMinimum(
            name=problem.recording,
            size=own.size + fixed,
            witness=_verify([problem], own)[1],
            safe_size=own.safe + fixed,
            peak_live_bytes=problem.trace.peak_live_bytes,
            advice_fails_at=event,
        )
        for problem, own, event in zip(problems, each, fails, strict=True)
        if problem.recording
    ]
    return MinimumSize(
        heap=first.name,
        size=found.size + fixed,
        witness=witness,
        exact=found.exact and all(map(is_complete, traces)),
        peak_live_bytes=max(trace.peak_live_bytes for trace in traces),
        advice_size=size,
        advice_fails_at=next((event for event in fails if event is not None), None),
        safe_size=found.safe + fixed,
        safe_checked_up_to=(
            None if found.safe_checked_up_to is None else found.safe_checked_up_to + fixed
        ),
        options=first.options,
        regions=(*first.fixed, (first.base, found.size)),
        warnings=doubts_of_all(traces, first.layout.word),
        loss=lost_of_all(traces),
        recording=problems[decides].recording or None,
        recordings=tuple(recordings),
    )


def _verify(problems: Sequence[SizingProblem], found: Found) -> tuple[int, int | None]:
    """Replay the answer, and one step below: which of them fails there first, and its event."""
    below = found.size - problems[0].search_step
    if all(problem.serves(found.size) for problem in problems):
        if not problems[0].constructible(below):
            return 0, None
        for at, problem in enumerate(problems):
            witness = problem.failure(below)
            if witness is not None:
                return at, witness
    raise RuntimeError(
        f"internal error: {found.size} bytes are not the smallest {problems[0].name} with options "
        f"{problems[0].options} that serves {[one.trace for one in problems]!r}; please report it"
    )


def advise(problems: Sequence[SizingProblem], smallest: int | None = None) -> Advice:
    """What is recommended; the smallest heap's size, where it is known, need not be found."""
    first = problems[0]
    fixed = first.fixed_bytes

    def run(total: int) -> bool:
        return first.constructible(total - fixed) and all(
            problem.serves(total - fixed) for problem in problems
        )

    total = max(*(2 * problem.trace.peak_live_bytes for problem in problems), 1)
    while not run(total):
        total *= 2
        if total - fixed > first.largest:
            total = smallest_size(*problems) if smallest is None else smallest
            break
    free = [problem.minimum_ever_free(total - fixed) for problem in problems]
    if None in free:
        return Advice(None, (None,) * len(problems))
    advice = total - min(least for least in free if least is not None)
    if fixed and advice - fixed < first.smallest:
        # heap_5: what comes before the last region is more
        return Advice(advice, tuple(problem.fixed_failure() for problem in problems))
    return Advice(advice, tuple(problem.failure(advice - fixed) for problem in problems))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else int(value)


for _type in (MinimumSize, OwnMinimum):
    _type.__module__ = "rtosheap.sizing"  # where users import them from, and pickles find them
