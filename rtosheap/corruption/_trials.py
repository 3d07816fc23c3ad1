"""How a trial runs: one program, one fault, at each level of protection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple

from rtosheap._lab import Lab
from rtosheap.allocators import AllocatorKind
from rtosheap.corruption._faults import FAULTS, PLANS, Action, Plan, Scene
from rtosheap.corruption._program import Program, Target
from rtosheap.corruption._study import LEVELS, Study, Trial
from rtosheap.heaps.layout import DEFAULT_BASE, Layout
from rtosheap.heaps.releases import find_kernel
from rtosheap.heaps.toolchains import find_newlib
from rtosheap.heaps.variants import variant_of
from rtosheap.kinds import NAMES, HeapKind, freertos_class, heap_name, layout_of

_CHECKS = {"none": 0, "assertions": 1, "canary": 0, "protector": 1, "checked": 2}
_CANARY = 0x9E37_79B9_7F4A_7C15
_DONE, _FAILED, _IGNORED, _DETECTED, _WILD_READ, _WILD_WRITE, _LOOP = range(7)
_HARM = (None, "overlap", "overwritten", "lost")


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
    kernel: str | None = None,
    newlib: str | None = None,
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
    kernel, newlib : str, optional
        The release whose heaps these are, as for their constructors; the newest by default. heap_2
        before V10.5.0 takes whatever is freed, at every level but ``checked``. Where a sound heap
        of that release asserts (heap_5 with the protector, V11.0 to V11.3), or newlib goes wrong
        by itself (4.2.0 to 4.3.0), nothing is detected: the malloc fails, the free is left undone.
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
    several = [heaps] if isinstance(heaps, str | type | AllocatorKind) else list(heaps)
    names = list(dict.fromkeys(heap_name(freertos_class(heap)) for heap in several))
    chosen_levels = _chosen(levels, "levels", LEVELS)
    chosen_faults = _chosen(faults, "faults", FAULTS)
    settings = _Settings(calls, heap_size, overrun, word_size, alignment, kernel, newlib)
    settings.test(names)
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
    kernel: str | None = None,
    newlib: str | None = None,
) -> Trial:
    """Run one trial: that of `study` with the same seed and settings.

    Parameters
    ----------
    heap, level, fault
        One of each, as `study` takes several.
    seed, calls, heap_size, overrun, word_size, alignment, kernel, newlib
        As for `study`.

    Returns
    -------
    Trial

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
    name = heap_name(freertos_class(heap))
    (one_level,), (one_fault,) = (
        _chosen(level, "level", LEVELS),
        _chosen(fault, "fault", FAULTS),
    )
    settings = _Settings(calls, heap_size, overrun, word_size, alignment, kernel, newlib)
    settings.test([name])
    if not _exists(name, one_level, one_fault):
        raise ValueError(f"{name} has no level {one_level!r} with fault {one_fault!r}")
    return _trials(name, one_fault, seed, [one_level], settings)[0]


class _Settings(NamedTuple):
    calls: int
    heap_size: int
    overrun: tuple[int, int]
    word_size: int
    alignment: int
    kernel: str | None
    newlib: str | None

    def test(self, heaps: Sequence[str]) -> None:
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
        find_kernel(self.kernel)
        find_newlib(self.newlib)
        for option in ("kernel", "newlib"):
            known = any(option in layout_of(heap).options for heap in heaps)
            if getattr(self, option) is not None and not known:
                raise TypeError(f"{option!r} is an option of none of {', '.join(heaps)}")

    def target(self, name: str) -> Target:
        kind = freertos_class(name).kind
        (layout,) = Layout.existing(kind, (self.word_size,), (self.alignment,))
        kernel, newlib = find_kernel(self.kernel).name, find_newlib(self.newlib)
        layout = replace(layout, variant=variant_of(kind, kernel, newlib))
        regions: tuple[tuple[int, int], ...] = ((DEFAULT_BASE, self.heap_size),)
        if layout.has_regions:
            half = self.heap_size // 2
            regions = ((DEFAULT_BASE, half), (DEFAULT_BASE + 2 * half, self.heap_size - half))
        return Target(layout, regions, kernel, newlib)


def _chosen(given: str | Sequence[str], name: str, known: Sequence[str]) -> list[str]:
    chosen = [given] if isinstance(given, str) else list(given)
    if not chosen:
        raise ValueError(f"{name} is empty; it must name at least one of {', '.join(known)}")
    for one in chosen:
        if one not in known:
            raise ValueError(f"{name} has {one!r}; there are {', '.join(known)}")
    return chosen


def _exists(heap: str, level: str, fault: str) -> bool:
    layout = layout_of(heap)
    if level in ("canary", "protector") and "canary" not in layout.options:
        return False
    return layout.frees or fault not in ("header_bit_flip", "use_after_free")


def _trials(
    heap: str, fault: str, seed: int, levels: Sequence[str], settings: _Settings
) -> list[Trial]:
    """One program and one fault, at each of the levels."""
    target = settings.target(heap)
    for attempt in range(100):  # a fault may find nothing to happen to
        random = Random(f"{seed} {attempt} {heap} {fault}")
        program = Program(random, target)
        sound = target.sound()
        warm = random.randint(40, 80)
        program.go_on(warm)
        served = bytearray(len(program))
        sound.run(program.op, program.slot, program.size, 0, warm, served, None)
        scene = Scene(sound, target, program, random, settings.overrun)
        plan = PLANS[fault](scene)
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
            canary = _CANARY & (2 * target.layout.top_bit - 1)
        lab = target.lab(_CHECKS[level], canary)
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
