"""What an inspection concludes otherwise for each release that is left: every one is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from rtosheap.heaps import Heap, HeapAssertionError, HeapError
from rtosheap.heaps.image import restored
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.reading import Reading
from rtosheap.heaps.releases import rules_of, said
from rtosheap.heaps.toolchains import BEHAVIOURS
from rtosheap.heaps.variants import variant_of
from rtosheap.inspection.report import Dependence, Report
from rtosheap.kinds import FreertosClass

_SHOWN = 4

#: Releases that do the same.
_Names = tuple[str, ...]
#: Of newlib, without their dates.
_NEWLIBS = [tuple(n for n in names if n.count(".") < 3) for names in BEHAVIOURS.values()]


class Draft(NamedTuple):
    """A report that lacks what depends on more than the arena's variant."""

    report: Report
    reading: Reading
    """As it is seen: a damaged one repaired."""
    free: tuple[int, ...]
    """Bytes of what a request can be served from."""


@dataclass(frozen=True)
class _Outcome:
    """What is concluded of an arena of some releases."""

    names: _Names
    report: Report
    layout: Layout


def finished(
    cls: FreertosClass, drafts: Sequence[tuple[Draft, _Names]], newlib: str | None
) -> Report:
    """The report for the newest release of the first draft, with what depends on the release.

    Parameters
    ----------
    cls : type
        Of the heap.
    drafts : sequence of (Draft, tuple of str)
        Of each variant that fits, with its releases; heap_3 has none.
    newlib : str or None
        heap_3's behaviour, if it is known.
    """
    outcomes = [
        _outcome(cls, draft, names)
        for draft, releases in drafts
        for names in (_alike(draft.reading.layout, releases) or _newlibs(newlib))
    ]
    return replace(outcomes[0].report, depends=tuple(_differences(outcomes)))


def rebuilt(
    cls: FreertosClass, reading: Reading, *, kernel: str | None = None, newlib: str | None = None
) -> Any:
    """The heap, if one could be so."""
    if reading.fault:
        return None
    try:
        return restored(cls, reading, kernel=kernel, newlib=newlib)
    except (ValueError, HeapError):
        return None


def _alike(layout: Layout, releases: _Names) -> list[_Names]:
    """The releases in groups that do the same, the newest first."""
    groups: dict[frozenset[str], list[str]] = {}
    for name in reversed(releases):
        rules = rules_of(name, layout.kind, protector=layout.canary != 0)
        groups.setdefault(rules, []).append(name)
    return [tuple(names) for names in groups.values()]


def _newlibs(newlib: str | None) -> list[_Names]:
    return [*_NEWLIBS][::-1] if newlib is None else [(newlib,)]


def _outcome(cls: FreertosClass, draft: Draft, names: _Names) -> _Outcome:
    """The draft's report as one of these releases has it."""
    reading, release = draft.reading, names[0]
    layout, version = reading.layout, {"newlib" if reading.layout.is_newlib else "kernel": release}
    exact = variant_of(layout.kind, **version)
    layout = replace(layout, variant=replace(layout.variant, pads=exact.pads, strict=exact.strict))
    heap = rebuilt(cls, reading, **version)
    usable = sum(layout.usable(*span) for span in reading.spans)
    requests = {layout.largest_request(free, usable) for free in draft.free}
    if layout.is_newlib and heap is not None:  # whether its last chunk grows is newlib's to say
        requests = {size for size in requests if size and _malloc(heap, size)[0]}
    largest = max(requests, default=0)
    return _Outcome(names, replace(draft.report, heap=heap, largest_request=largest), layout)


def _differences(outcomes: Sequence[_Outcome]) -> Iterator[Dependence]:
    """The conclusions that are not the same for all."""
    largest = max(outcome.report.largest_request for outcome in outcomes)
    concluded = [_conclusions(outcome, largest) for outcome in outcomes]
    newlib = outcomes[0].layout.is_newlib
    prefix, order = ("newlib ", [*chain(*_NEWLIBS)]) if newlib else ("", None)
    for conclusion in dict.fromkeys(name for found in concluded for name in found):
        cases: dict[Any, list[str]] = {}
        for outcome, found in zip(outcomes, concluded, strict=True):
            cases.setdefault(found.get(conclusion), []).extend(outcome.names)
        if len(cases) > 1:
            texts = [(prefix + said(names, order), value) for value, names in cases.items()]
            yield Dependence(conclusion, tuple(texts))


def _conclusions(outcome: _Outcome, largest: int) -> dict[str, Any]:
    report, layout = outcome.report, outcome.layout
    live = [block for block in report.blocks if block.allocated]
    where = ", ".join(f"{block.address:#010x}" for block in live[:_SHOWN])
    if len(live) > _SHOWN:
        where += ", …"
    found: dict[str, Any] = {
        "largest_request": report.largest_request,
        "allocated": f"{len(live)} blocks, {sum(b.size for b in live):,} bytes: {where}"
        if live else "nothing",
        "free_size": report.free_size,
        "largest_free_block": report.largest_free_block,
        "free_block_count": report.free_block_count,
        "canary": report.canary,
        "damage": f"{len(report.damage)}, the first at {report.damage[0].address:#010x}"
        if report.damage else "none",
    }  # fmt: skip
    if layout.by_size:
        found["second free"] = "noticed" if layout.variant.marked else "not noticed"
    if report.heap is not None and not report.damage:
        for size in (layout.alignment, largest + 1, 2 * layout.top_bit - 1):
            found[f"malloc({size})"] = _malloc(report.heap, size)[1]
        found["statistics"] = _statistics(report.heap)
    return found


def _malloc(heap: Heap, size: int) -> tuple[int | None, str]:
    """What a malloc would return, and that in words."""
    trial = heap.copy()
    try:
        address = trial.malloc(size)
    except HeapAssertionError:
        return None, "asserts"
    except HeapError as error:
        return None, str(error)
    if address is None:
        return None, "NULL"
    return address, f"{address:#010x}, which takes {heap.free_size - trial.free_size:,} bytes"


def _statistics(heap: Heap) -> str:
    try:
        return f"smallest_free_block {heap.stats().smallest_free_block:,}"
    except HeapError as error:
        return str(error)
