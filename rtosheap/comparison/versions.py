"""The same heaps of other releases: of the kernel, and of heap_3's newlib."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rtosheap.comparison.evaluate import PARTS, Job, Moved, evaluate, joined, moved
from rtosheap.comparison.result import HeapResult
from rtosheap.heaps.releases import NEWEST_KERNEL, find_kernel, rules_of
from rtosheap.heaps.toolchains import NEWEST_NEWLIB, find_newlib
from rtosheap.kinds import HeapClass, heap_name, layout_of
from rtosheap.work import Progress, spread

if TYPE_CHECKING:
    from concurrent.futures import Executor

#: What a release may do otherwise that can show in a comparison; the rest is for a reader of the
#: arena or of statistics.
_SHOWS = frozenset({"start", "pad", "wrap", "absorb", "assertion"})


class VersionResult(NamedTuple):
    """What one heap of one release makes of the trace, or of several recordings together.

    Attributes
    ----------
    heap : str
    version : str
        ``"V10.3.1"``; of heap_3 ``"newlib 4.1.0"``.
    size : int or None
        Bytes of the smallest heap that serves.
    safe_size : int or None
        From this size on, every larger one serves too.
    failures, failure_event : int or None
        In a heap of the size that was asked about: how many allocations fail, and the first.
    moved : float or None
        In a heap of `size` bytes, the share of the allocations that do not lie where the release
        that was named first puts them, but for `shift`.
    shift : int or None
        By so many bytes the first block lies higher than in that release, and with it all that did
        not move.
    error : str
        Why the heap cannot serve; ``""`` if it can.

    Examples
    --------
    >>> from rtosheap import Trace, compare
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 40])
    >>> result = compare(trace, heaps=["heap_3"], newlib=["4.1.0", "4.4.0"])
    >>> [(one.version, one.size, round(one.moved, 2)) for one in result.versions]
    [('newlib 4.1.0', 136, 0.0), ('newlib 4.4.0', 136, 0.33)]
    """

    heap: str
    version: str
    size: int | None
    safe_size: int | None
    failures: int | None
    failure_event: int | None
    moved: float | None
    shift: int | None
    error: str = ""


VersionResult.__module__ = "rtosheap.comparison"


@dataclass(frozen=True)
class _Release:
    """One of those in question, for one heap; what behaves alike is evaluated once."""

    label: str
    options: Mapping[str, Any]
    behaviour: Hashable


class Versions:
    """The releases in question: those that were named, and the newest where only one was.

    Attributes
    ----------
    options : dict
        The heaps' options, of the release that was named first.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self._kernels = self._named("kernel", NEWEST_KERNEL)
        self._newlibs = self._named("newlib", NEWEST_NEWLIB)

    def _named(self, option: str, newest: str) -> list[str]:
        given = self.options.get(option)
        if given is None:
            return []
        several = isinstance(given, Sequence) and not isinstance(given, str)
        names = list(given) if several else [given]
        if not names:
            raise ValueError(f"{option} is empty; it must name at least one release")
        if option == "kernel":
            names = [find_kernel(name).name for name in names]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{option} is {given!r}; {twice!r} may appear once")
        alone = not several and (find_newlib(names[0]) if option == "newlib" else names[0])
        self.options[option] = names[0]
        return [*names, newest] if alone and alone != newest else names

    def _of(self, heap: HeapClass) -> list[_Release]:
        if "newlib" in layout_of(heap).options:
            return [
                _Release(f"newlib {name}", {**self.options, "newlib": name}, find_newlib(name))
                for name in self._newlibs
            ]
        protector = self.options.get("canary") is not None
        return [
            _Release(
                name,
                {**self.options, "kernel": name},
                _SHOWS & rules_of(name, layout_of(heap).kind, protector=protector),
            )
            for name in self._kernels
        ]

    def jobs(self, job: Job) -> list[Job]:
        """What to evaluate beside a heap's own job: the other releases that behave otherwise."""
        found: dict[Hashable, Job] = {}
        for one in self._of(job.heap):
            found.setdefault(one.behaviour, replace(job, options=one.options, beside=job.options))
        return list(found.values())[1:]

    def results(
        self, job: Job, own: HeapResult, others: Sequence[tuple[HeapResult, Moved | None]]
    ) -> list[VersionResult]:
        """What each release makes of it; `others` are the results of `jobs`."""
        releases = self._of(job.heap)
        unmoved = Moved(0.0, 0) if own.size else None
        known = {release.behaviour: (own, unmoved) for release in releases[:1]}
        left = iter(others)
        found = []
        for release in releases:
            if release.behaviour not in known:
                known[release.behaviour] = next(left)
            row, place = known[release.behaviour]
            if not own.size:
                place = None
            found.append(
                VersionResult(
                    heap_name(job.heap),
                    release.label,
                    row.size,
                    row.safe_size,
                    row.failures,
                    row.failure_event,
                    None if place is None else place.share,
                    None if place is None else place.shift,
                    row.error,
                )
            )
        return found


Evaluated: TypeAlias = tuple[HeapResult, Moved | None]


def run_jobs(
    jobs: Sequence[Job], executor: Executor | None = None, progress: Progress | None = None
) -> list[Evaluated]:
    """The row of each heap, and how its blocks lie to those beside which it is put. An executor
    runs a task for each part of each.
    """
    works = [[_Work(job, parts) for parts in _tasks(job, executor)] for job in jobs]
    done = iter(spread(_run, [*chain.from_iterable(works)], executor, progress))
    found = (list(islice(done, len(own))) for own in works)
    return [(joined([row for row, _ in parts]), parts[0][1]) for parts in found]


class _Work(NamedTuple):
    job: Job
    parts: tuple[str, ...]


def _tasks(job: Job, executor: Executor | None) -> list[tuple[str, ...]]:
    if executor is None:
        return [PARTS]
    return [(part,) for part in PARTS if part != "failures" or job.heap_size is not None]


def _run(work: _Work, progress: Progress | None = None) -> Evaluated:
    row = evaluate(work.job, progress, work.parts)
    return row, moved(work.job, row) if "minimum" in work.parts else None
