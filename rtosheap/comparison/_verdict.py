"""A comparison in words: what is claimed of the sizes, and then how it is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rtosheap.comparison._releases import of_releases
from rtosheap.comparison.breakdown import PARTS
from rtosheap.comparison.result import HeapResult
from rtosheap.comparison.versions import VersionResult
from rtosheap.kinds import layout_of_name
from rtosheap.tables import counted, listed, percent
from rtosheap.traces import Trace
from rtosheap.traces.doubts import cautions
from rtosheap.traces.several import name_of_all


def best(rows: Iterable[HeapResult], *, regions_given: bool) -> HeapResult | None:
    """The row with the smallest size, the first of several; None if no heap serves.

    How much heap_5 needs in regions that were made up says little: it is last then.
    """
    served = [row for row in rows if row.size is not None]
    return min(
        served,
        key=lambda row: (layout_of_name(row.heap).has_regions and not regions_given, row.size),
        default=None,
    )


class Claims(NamedTuple):
    """What the words say of the sizes; all else that they say is a number of the tables."""

    least: HeapResult
    """The best one, which the others are measured by."""
    others: tuple[HeapResult, ...]
    """Those that serve too, the smallest first."""
    failing: tuple[str, ...]
    """The heaps that cannot serve."""

    @property
    def standing(self) -> str:
        """How the best one stands: ``"alone"``, where no other was asked about; ``"only"``, where
        no other serves; ``"in one region"``, where one in regions that were made up needs less;
        else ``"least"``.
        """
        if not self.others:
            return "only" if self.failing else "alone"
        return "in one region" if _size(self.others[0]) < _size(self.least) else "least"


def claims(rows: Sequence[HeapResult], least: HeapResult) -> Claims:
    """What there is to say where `least` is the best of the rows."""
    served = [row for row in rows if row.size is not None]
    others = sorted((row for row in served if row.heap != least.heap), key=_size)
    return Claims(least, tuple(others), tuple(row.heap for row in rows if row.size is None))


def judged(
    rows: Sequence[HeapResult], least: HeapResult | None, traces: Sequence[Trace]
) -> tuple[HeapResult, ...]:
    """The rows with their verdicts; `least` is the best one."""
    standing = "" if least is None else claims(rows, least).standing
    return tuple(row._replace(verdict=_judge(row, least, standing, traces)) for row in rows)


def _judge(
    row: HeapResult, least: HeapResult | None, standing: str, traces: Sequence[Trace]
) -> str:
    if least is None or row.size is None:
        return f"cannot serve {'this trace' if len(traces) == 1 else 'these recordings'}"
    if row.heap == least.heap:
        text = f"serves {_with_least(standing, row)}"
        if row.ratio is not None and _peak(traces):
            text += f", {row.ratio:.3f} times the peak of live bytes"
    else:
        text = f"needs {_beside(row, least)} {least.heap}"
    if not layout_of_name(row.heap).frees and _frees_nothing(traces):
        text += " and will do: nothing is ever freed"
    else:
        text += _why(row, least)
    if row.most_nodes:
        text += f"; one call reads up to {counted(row.most_nodes, 'free-list entry')}"
    return text


def overall(
    rows: Sequence[HeapResult],
    least: HeapResult | None,
    traces: Sequence[Trace],
    heap_size: int | None,
    versions: Sequence[VersionResult] = (),
    word_size: int = 4,
) -> str:
    """The verdict on the whole comparison; `least` is the best of the rows."""
    cautious = cautions(traces, word_size)
    if least is None:
        names = ", ".join(row.heap for row in rows)
        what = "this trace" if len(traces) == 1 else f"all {len(traces)} recordings"
        none = f"No heap that was asked about ({names}) can serve {what}."
        return " ".join([none, *of_releases(versions), *cautious])
    said = claims(rows, least)
    sentences = [_winner(said, traces), *_at_peak(least)]
    sentences += _others(said)
    sentences += _entries(rows)
    sentences += _advice(least, traces)
    if heap_size is not None:
        sentences += _at_size(rows, heap_size)
    return " ".join([*sentences, *of_releases(versions), *cautious])


def _peak(traces: Sequence[Trace]) -> int:
    return max(trace.peak_live_bytes for trace in traces)


def _frees_nothing(traces: Sequence[Trace]) -> bool:
    return not any(trace.frees or trace.reallocs for trace in traces)


def _with_least(standing: str, least: HeapResult) -> str:
    """How the best one serves: "in 1,024 bytes", "with the least memory: 1,024 bytes"."""
    size = counted(_size(least), "byte")
    if standing in ("alone", "only"):
        return f"in {size}"
    return f"with the least memory{' in one region' if standing == 'in one region' else ''}: {size}"


def _winner(said: Claims, traces: Sequence[Trace]) -> str:
    least = said.least
    name = name_of_all(traces) or "the trace"
    peak = _peak(traces)
    only = "Only " if said.standing == "only" else ""
    text = f"{only}{least.heap} serves {name} {_with_least(said.standing, least)}"
    if least.ratio is not None and peak:
        text += f", {least.ratio:.3f} times the peak of {counted(peak, 'live byte')}"
    text += "."
    if least.recording is not None and len(traces) > 1:
        text += f" {least.recording} decides."
    if not layout_of_name(least.heap).frees:
        if _frees_nothing(traces):
            text += f" Nothing is ever freed, so {least.heap} will do; it is also the simplest."
        else:
            text += " But it takes nothing back."
    known = least.exact and least.safe_size == least.size
    if not layout_of_name(least.heap).monotone and not known:
        text += f" But {least.heap} can fail in a larger heap where it serves in a smaller one."
    return text


_PARTS = {
    "padding": "padding",
    "headers": "headers",
    "unsplit": "unsplit remainders",
    "external": "free",
    "unreclaimed": "freed but kept",
    "fixed": "the heap's own",
}


def _at_peak(least: HeapResult) -> list[str]:
    parts = least.breakdown
    if parts is None or not least.size:
        return []
    rest = {part: parts[part] for part in PARTS if part != "payload"}
    total = sum(rest.values())
    if not total:
        return []
    largest = max(rest, key=lambda part: rest[part])
    share = percent(total, least.size)
    where = "At that peak" if least.recording is None else f"At the peak of {least.recording}"
    return [
        f"{where}, {counted(total, 'byte')} of it{f' ({share})' if share else ''} "
        f"{'was' if total == 1 else 'were'} not requested, the largest part of that "
        f"{_PARTS[largest]} ({rest[largest]:,})."
    ]


def _others(said: Claims) -> list[str]:
    texts: list[str] = []
    for row in said.others:
        needs = "" if texts else "needs "
        apart = _beside(row, said.least, than=False)
        texts.append(f"{row.heap} {needs}{apart}{_why(row, said.least)}")
    texts += [f"{heap} cannot serve it" for heap in said.failing]
    return [f"{listed(texts)}."] if texts else []


def _entries(rows: Sequence[HeapResult]) -> list[str]:
    seen = [row for row in rows if row.most_nodes]
    if not seen:
        return []
    first, *rest = seen
    texts = [f"{counted(first.most_nodes or 0, 'free-list entry')} in {first.heap}"]
    texts += [f"{row.most_nodes:,} in {row.heap}" for row in rest]
    return [f"One call reads up to {listed(texts)}."]


def _advice(least: HeapResult, traces: Sequence[Trace]) -> list[str]:
    if least.advice_size is None or not _peak(traces):
        return []
    fails = least.advice_fails_at
    fate = "which serves here" if fails is None else f"which fails at event {fails:,}"
    failing = [one.name for one in least.recordings if one.advice_fails_at is not None]
    if failing:
        share = f"{len(failing)} of {len(traces)} recordings"
        fate = f"which fails in {share}, first at event {fails:,} of {failing[0]}"
    return [
        f'"Total minus minimum ever free" would have said {counted(least.advice_size, "byte")} '
        f"for {least.heap}, {fate}."
    ]


def _at_size(rows: Sequence[HeapResult], heap_size: int) -> list[str]:
    texts = []
    for row in rows:
        if row.failures == 0:
            texts.append(f"{row.heap} serves all")
        elif row.failures is not None:
            failing, where = row.failing, "first"
            if failing:
                where = f"in {len(failing)} of {len(row.recordings)} recordings, first in "
                where += failing[0].name
            texts.append(
                f"{row.heap} fails {counted(row.failures, 'time')}, {where} at event "
                f"{row.failure_event:,} ({row.failure_reason})"
            )
        elif row.failure_reason is not None:
            texts.append(f"{row.heap} cannot be set up ({row.failure_reason})")
    return [f"In {heap_size:,} bytes: {'; '.join(texts)}."] if texts else []


def _why(row: HeapResult, least: HeapResult) -> str:
    """Why a heap needs what it does, where its kind or its regions are why."""
    layout = layout_of_name(row.heap)
    if not layout.frees:
        return " (it takes nothing back)"
    if layout.has_regions and row.note:
        return " (in two regions)"
    never = layout.by_size and _size(row) > _size(least)
    return " (it never merges what is freed)" if never else ""


def _size(row: HeapResult) -> int:
    return row.size or 0


def _beside(row: HeapResult, least: HeapResult, *, than: bool = True) -> str:
    """How much more one needs: "4.9% more than", "3.4 times as much as"."""
    size, base = _size(row), max(_size(least), 1)
    if size == base:
        return "as much as" if than else "as much"
    if size >= 2 * base:
        text, word = f"{size / base:,.1f} times as much", " as"
    else:
        apart = percent(abs(size - base), base) or counted(abs(size - base), "byte")
        text, word = f"{apart} {'more' if size > base else 'less'}", " than"
    return text + word if than else text
