"""A comparison in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtosheap.comparison._releases import listed, of_releases
from rtosheap.comparison.breakdown import PARTS
from rtosheap.comparison.result import HeapResult
from rtosheap.comparison.versions import VersionResult
from rtosheap.kinds import layout_of_name
from rtosheap.traces import Trace
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


def judged(
    rows: Sequence[HeapResult], least: HeapResult | None, traces: Sequence[Trace]
) -> tuple[HeapResult, ...]:
    """The rows with their verdicts; `least` is the best one."""
    return tuple(row._replace(verdict=_judge(row, least, traces)) for row in rows)


def _judge(row: HeapResult, least: HeapResult | None, traces: Sequence[Trace]) -> str:
    if least is None or row.size is None:
        return f"cannot serve {'this trace' if len(traces) == 1 else 'these recordings'}"
    words = []
    if row.heap == least.heap:
        ratio = "" if row.ratio is None or not _peak(traces) else _times(row.ratio)
        words.append(f"serves with the least memory{ratio}")
    else:
        words.append(f"needs {_more(row, least)} {least.heap}")
    if not layout_of_name(row.heap).frees and _frees_nothing(traces):
        words.append("and will do: nothing is ever freed")
    elif not layout_of_name(row.heap).frees or row.heap != least.heap:
        words += _why(row)
    if row.most_nodes:
        words.append(f"; its slowest call reads {_entries(row.most_nodes)}")
    return " ".join(words).replace(" ;", ";")


def overall(
    rows: Sequence[HeapResult],
    least: HeapResult | None,
    traces: Sequence[Trace],
    heap_size: int | None,
    versions: Sequence[VersionResult] = (),
) -> str:
    """The verdict on the whole comparison; `least` is the best of the rows."""
    if least is None:
        names = ", ".join(row.heap for row in rows)
        what = "this trace" if len(traces) == 1 else f"all {len(traces)} recordings"
        none = f"No heap that was asked about ({names}) can serve {what}."
        return " ".join([none, *of_releases(versions)])
    sentences = [_winner(least, traces), *_at_peak(least)]
    sentences += _others(rows, least)
    sentences += _slowest(rows)
    sentences += _advice(least, traces)
    if heap_size is not None:
        sentences += _at_size(rows, heap_size)
    return " ".join([*sentences, *of_releases(versions)])


def _peak(traces: Sequence[Trace]) -> int:
    return max(trace.peak_live_bytes for trace in traces)


def _frees_nothing(traces: Sequence[Trace]) -> bool:
    return not any(trace.frees or trace.reallocs for trace in traces)


def _winner(least: HeapResult, traces: Sequence[Trace]) -> str:
    name = name_of_all(traces) or "the trace"
    peak = _peak(traces)
    ratio = f", {least.ratio:.3f} times the peak of {peak:,} live bytes" if peak else ""
    text = f"{least.heap} serves {name} with the least memory: {least.size:,} bytes{ratio}."
    if least.recording is not None and len(traces) > 1:
        text += f" {least.recording} decides."
    if not layout_of_name(least.heap).frees and _frees_nothing(traces):
        text += " Nothing is ever freed, so heap_1 will do; it is also the simplest and fastest."
    known = least.exact and least.safe_size == least.size
    if not layout_of_name(least.heap).monotone and not known:
        text += f" But {least.heap} can fail in a larger heap where it serves in a smaller one."
    return text


def _at_peak(least: HeapResult) -> list[str]:
    parts = least.breakdown
    if parts is None or not least.size:
        return []
    rest = {part: parts[part] for part in PARTS if part != "payload"}
    total = sum(rest.values())
    largest = max(rest, key=lambda part: rest[part])
    words = {
        "padding": "padding",
        "headers": "headers",
        "unsplit": "unsplit remainders",
        "external": "free",
        "unreclaimed": "freed but kept",
        "fixed": "the heap's own",
    }[largest]
    where = "At that peak" if least.recording is None else f"At the peak of {least.recording}"
    return [
        f"{where} {total / least.size:.1%} of it is not payload, most of that "
        f"{words} ({rest[largest]:,} bytes)."
    ]


def _others(rows: Sequence[HeapResult], least: HeapResult) -> list[str]:
    others = sorted((r for r in rows if r.size is not None and r is not least), key=_size)
    texts: list[str] = []
    for row in others:
        why = _why(row) if _size(row) > _size(least) else []
        if layout_of_name(row.heap).has_regions and row.note:
            why = ["(in two regions)"]
        needs = [] if texts else ["needs"]
        texts.append(" ".join([row.heap, *needs, _more(row, least, than=False), *why]))
    texts += [f"{row.heap} cannot serve it" for row in rows if row.size is None]
    return [f"{listed(texts)}."] if texts else []


def _slowest(rows: Sequence[HeapResult]) -> list[str]:
    seen = [row for row in rows if row.most_nodes]
    if not seen:
        return []
    first, *rest = seen
    texts = [f"{_entries(first.most_nodes or 0)} in {first.heap}"]
    texts += [f"{row.most_nodes:,} in {row.heap}" for row in rest]
    return [f"The slowest call reads {listed(texts)}."]


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
        f'"Total minus minimum ever free" would have said {least.advice_size:,} bytes for '
        f"{least.heap}, {fate}."
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
                f"{row.heap} fails {row.failures:,} times, {where} at event "
                f"{row.failure_event:,} ({row.failure_reason})"
            )
        elif row.failure_reason is not None:
            texts.append(f"{row.heap} cannot be set up ({row.failure_reason})")
    return [f"In {heap_size:,} bytes: {'; '.join(texts)}."] if texts else []


def _why(row: HeapResult) -> list[str]:
    """Why a heap needs more than others do, where its kind is why."""
    layout = layout_of_name(row.heap)
    if not layout.frees:
        return ["(it takes nothing back)"]
    return ["(it never merges what is freed)"] if layout.by_size else []


def _size(row: HeapResult) -> int:
    return row.size or 0


def _more(row: HeapResult, least: HeapResult, *, than: bool = True) -> str:
    """How much more one needs: "4.9% more than", "3.4 times as much as"."""
    size, base = _size(row), max(_size(least), 1)
    if size == base:
        return "as much as" if than else "as much"
    if size >= 2 * base:
        text, word = f"{size / base:,.1f} times as much", " as"
    else:
        apart = f"{abs(size - base) / base:.1%}"
        if apart == "0.0%":
            apart = f"{abs(size - base):,} bytes"
        text, word = f"{apart} {'more' if size > base else 'less'}", " than"
    return text + word if than else text


def _times(ratio: float) -> str:
    return f", {ratio:.3f} times the peak of live bytes"


def _entries(count: int) -> str:
    return f"{count:,} free-list entr{'y' if count == 1 else 'ies'}"
