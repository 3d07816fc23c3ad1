"""The corruption laboratory: what a stray write or a wrong free does to each of the five heaps.

A random program runs on a heap. In its course one fault is injected: a flipped bit, an overrun, a
double free. Then the program goes on, and it is seen whether the heap notices, and after how many
calls. Each heap is the core's own code, compiled at each level of protection over memory that it
cannot leave: an access outside its regions ends the trial, as does a call that does not end.

>>> from rtosheap import corruption
>>> result = corruption.study("heap_4", faults="double_free", trials=50)
>>> [(row.level, row.detected, row.trials) for row in result.rows("level")][:2]
[('none', 0, 50), ('assertions', 50, 50)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from statistics import median
from typing import Any, NamedTuple

from rtosheap._faults import FAULTS as _PLANS
from rtosheap._faults import Action, Layout, Plan, Program, Scene
from rtosheap._lab import Lab
from rtosheap.kinds import NAMES, HeapKind, heap_name

__all__ = ["FAULTS", "LEVELS", "Row", "Study", "Trial", "inject", "study"]

FAULTS: tuple[str, ...] = tuple(_PLANS)
"""What can be injected.

``bit_flip`` flips any bit of the arena, ``header_bit_flip`` one of a block's header; ``overrun``
and ``underrun`` write a few bytes past and before what a program asked for; ``use_after_free``
writes to a block that was freed; ``double_free``, ``interior_free`` and ``foreign_free`` free what
is free already, an address inside a block, and one outside the heap.
"""

LEVELS: tuple[str, ...] = ("none", "assertions", "canary", "protector", "checked")
"""The levels of protection.

``none``: FreeRTOS without ``configASSERT``; ``assertions``: with it; ``canary``: the heap
protector's links, without ``configASSERT``; ``protector``: both, so that links are also held to
the heap's bounds; ``checked``: this package's own, `Heap4` and the others as Python has them. The
protector exists for heap_4 and heap_5 only.
"""

_CHECKS = {"none": 0, "assertions": 1, "canary": 0, "protector": 1, "checked": 2}
_CANARY = 0x9E37_79B9_7F4A_7C15
_BASE = 0x2000_0000
_DONE, _FAILED, _IGNORED, _DETECTED, _WILD_READ, _WILD_WRITE, _LOOP = range(7)
_HARM = (None, "overlap", "overwritten", "lost")


class Trial(NamedTuple):
    """One fault in one heap at one level."""

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
    """Trials that have something in common, counted."""

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
        """The trials of one heap, level or fault."""
        name = None if heap is None else heap_name(heap)
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
        headers, rows = self.table()
        lines = [headers, *[tuple(map(_text, row)) for row in rows]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
        return "\n".join(
            "  ".join(
                word.ljust(width) if i < 2 else word.rjust(width)
                for i, (word, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        from rtosheap.html import table_html

        return table_html(*self.table())


def study(
    heaps: HeapKind | Sequence[HeapKind] = NAMES,
    *,
    levels: str | Sequence[str] = LEVELS,
    faults: str | Sequence[str] = FAULTS,
    trials: int = 100,
    seed: int = 0,
    calls: int = 200,
    heap_size: int = 4096,
    overrun: tuple[int, int] = (1, 16),
    word_size: int = 4,
    alignment: int = 8,
    progress: Callable[[int, int], object] | None = None,
) -> Study:
    """Inject faults into heaps at every level of protection, and see what becomes of them.

    The same seed gives the same program and the same fault at each level, so that levels can be
    compared trial by trial.

    Parameters
    ----------
    heaps : sequence of str or type
        ``"heap_1"`` … ``"heap_5"`` or the classes.
    levels, faults : sequence of str
        Out of `LEVELS` and `FAULTS`.
    trials : int
        How many of each heap, level and fault.
    seed : int
        Of the first trial; those that follow have the numbers that follow.
    calls : int
        How many calls the program makes after the fault.
    heap_size : int
        Bytes of the arena, 1 KiB to 1 MiB; heap_5's is cut into two regions.
    overrun : (int, int)
        Fewest and most bytes that a stray write writes.
    word_size, alignment : int
        Of the target; heap_3 is always 32-bit, 8-aligned.
    progress : callable, optional
        Called with the trials done and their total.

    Returns
    -------
    Study

    Raises
    ------
    ValueError, TypeError
        An argument that cannot be; the message names it.

    Examples
    --------
    >>> result = study(["heap_2", "heap_4"], faults=["overrun"], trials=20)
    >>> len(result), sorted({trial.outcome for trial in result})
    (160, ['detected', 'fatal', 'silent'])
    """
    several = [heaps] if isinstance(heaps, str | type) else list(heaps)
    names = list(dict.fromkeys(heap_name(heap) for heap in several))
    chosen_levels = _chosen(levels, "levels", LEVELS)
    chosen_faults = _chosen(faults, "faults", FAULTS)
    settings = _Settings(calls, heap_size, overrun, word_size, alignment)
    settings.test()
    if not isinstance(trials, int) or trials < 1:
        raise ValueError(f"trials is {trials!r}; it must be an int of at least 1")
    if not isinstance(seed, int):
        raise TypeError(f"seed is {seed!r}; it must be an int")
    done: list[Trial] = []
    skipped: list[tuple[str, str, str]] = []
    total = len(names) * len(chosen_faults) * trials
    count = 0
    for name in names:
        for fault in chosen_faults:
            present = [level for level in chosen_levels if _exists(name, level, fault)]
            skipped += [(name, lv, fault) for lv in chosen_levels if lv not in present]
            for number in range(seed, seed + trials):
                if present:
                    done += _trials(name, fault, number, present, settings)
                count += 1
                if progress is not None:
                    progress(count, total)
    return Study(done, skipped)


def inject(
    heap: HeapKind,
    level: str,
    fault: str,
    *,
    seed: int = 0,
    calls: int = 200,
    heap_size: int = 4096,
    overrun: tuple[int, int] = (1, 16),
    word_size: int = 4,
    alignment: int = 8,
) -> Trial:
    """Run one trial: that of `study` with the same seed and settings.

    Raises
    ------
    ValueError
        A combination that does not exist, such as heap_1 with a protector.

    Examples
    --------
    >>> inject("heap_4", "assertions", "foreign_free", seed=3).outcome
    'fatal'
    >>> trial = inject("heap_4", "protector", "foreign_free", seed=3)
    >>> trial.injected, trial.outcome, trial.call
    ('0x1fffd1d8 freed, outside the heap', 'detected', 0)
    """
    name = heap_name(heap)
    (one_level,), (one_fault,) = (
        _chosen(level, "level", LEVELS),
        _chosen(fault, "fault", FAULTS),
    )
    settings = _Settings(calls, heap_size, overrun, word_size, alignment)
    settings.test()
    if not _exists(name, one_level, one_fault):
        raise ValueError(f"{name} has no level {one_level!r} with fault {one_fault!r}")
    return _trials(name, one_fault, seed, [one_level], settings)[0]


class _Settings(NamedTuple):
    calls: int
    heap_size: int
    overrun: tuple[int, int]
    word_size: int
    alignment: int

    def test(self) -> None:
        for name, low, high in (("calls", 1, 1 << 20), ("heap_size", 1024, 1 << 20)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be an int from {low} to {high}")
        if (
            len(self.overrun) != 2
            or not all(isinstance(n, int) for n in self.overrun)
            or not 1 <= self.overrun[0] <= self.overrun[1] <= 256
        ):
            raise ValueError(f"overrun is {self.overrun!r}; it must be (least, most), 1 to 256")
        if self.word_size not in (4, 8):
            raise ValueError(f"word_size is {self.word_size!r}; it must be 4 or 8")
        if self.alignment not in (4, 8, 16, 32) or self.alignment < self.word_size:
            raise ValueError(
                f"alignment is {self.alignment!r}; it must be 4, 8, 16 or 32, "
                "and no smaller than word_size"
            )

    def layout(self, name: str) -> Layout:
        kind = int(name[-1])
        regions: tuple[tuple[int, int], ...] = ((_BASE, self.heap_size),)
        if kind == 5:
            half = self.heap_size // 2
            regions = ((_BASE, half), (_BASE + 2 * half, self.heap_size - half))
        if kind == 3:
            return Layout(kind, regions, 4, 8)
        return Layout(kind, regions, self.word_size, self.alignment)


def _chosen(given: str | Sequence[str], name: str, known: Sequence[str]) -> list[str]:
    chosen = [given] if isinstance(given, str) else list(given)
    if not chosen:
        raise ValueError(f"{name} is empty; it must name at least one of {', '.join(known)}")
    for one in chosen:
        if one not in known:
            raise ValueError(f"{name} has {one!r}; there are {', '.join(known)}")
    return chosen


def _exists(heap: str, level: str, fault: str) -> bool:
    if level in ("canary", "protector") and heap not in ("heap_4", "heap_5"):
        return False
    return not (heap == "heap_1" and fault in ("header_bit_flip", "use_after_free"))


def _trials(
    heap: str, fault: str, seed: int, levels: Sequence[str], settings: _Settings
) -> list[Trial]:
    """One program and one fault, at each of the levels."""
    layout = settings.layout(heap)
    for attempt in range(100):  # a fault may find nothing to happen to
        random = Random(f"{seed} {attempt} {heap} {fault}")
        program = Program(random, layout)
        sound = layout.lab(0, 0)
        warm = random.randint(40, 80)
        program.go_on(warm)
        served = bytearray(len(program))
        sound.run(program.op, program.slot, program.size, 0, warm, served, None)
        scene = Scene(sound, layout, program, random, settings.overrun)
        plan = _PLANS[fault](scene)
        if plan is not None:
            break
    else:
        raise RuntimeError(f"{fault} finds nothing to happen to in {heap} with {settings}")
    begin = len(program)
    program.go_on(settings.calls)
    expected = bytearray(len(program))
    sound.run(program.op, program.slot, program.size, warm, len(program), expected, None)
    trials = []
    for level in levels:
        canary = 0
        if level in ("canary", "protector"):
            canary = _CANARY & ((1 << (8 * layout.word)) - 1)
        lab = layout.lab(_CHECKS[level], canary)
        found = _run(lab, program, plan, warm, begin, bytes(expected))
        trials.append(Trial(heap, level, fault, seed, plan.text, *found))
    return trials


def _run(
    lab: Lab, program: Program, plan: Plan, warm: int, begin: int, expected: bytes
) -> tuple[str, int | None, str, str | None, int | None]:
    columns = program.op, program.slot, program.size
    served = bytearray(len(program))
    lab.run(*columns, 0, warm, served, None)
    for action in plan.actions:
        if action.what == "run":
            lab.run(*columns, warm, begin, served, None)
        else:
            end, address = _act(lab, action)
            if end not in (_DONE, _IGNORED):
                return (*_outcome(end, 0, address), None, None)
    lab.refill()
    event, end, address, harm, harm_event = lab.run(*columns, begin, len(program), served, expected)
    harmed = _HARM[harm]
    harm_call = None if harmed is None else min(harm_event - begin + 1, len(program) - begin)
    if end == _DONE:
        return "silent", None, "", harmed, harm_call
    return (*_outcome(end, event - begin + 1, address), harmed, harm_call)


def _act(lab: Lab, action: Action) -> tuple[int, int]:
    if action.what == "free":
        return lab.free(action.address)
    data = action.data
    if action.what == "flip":
        byte = lab.read(action.address, 1)
        assert byte is not None
        data = bytes([byte[0] ^ 1 << action.bit])
    lab.write(action.address, data)
    return _DONE, 0


def _outcome(end: int, call: int, address: int) -> tuple[str, int, str]:
    if end == _DETECTED:
        return "detected", call, ""
    if end == _LOOP:
        return "fatal", call, "loop"
    what = "wild read" if end == _WILD_READ else "wild write"
    return "fatal", call, f"{what} at {address:#x}"


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


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
