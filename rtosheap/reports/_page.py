"""A report as one page of HTML, which needs no network and no server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from rtosheap.comparison import Comparison
from rtosheap.html import table_html
from rtosheap.replays import Replay
from rtosheap.reports._accounts import accounts, never_freed
from rtosheap.reports._views import not_shown
from rtosheap.tables import counted
from rtosheap.traces import Trace
from rtosheap.traces.doubts import lacks

_SCRIPTS = ("unpack.js", "model.js", "paint.js", "main.js")
#: A list of more blocks than that is unfolded by a click, or for paper.
_MOST_SHOWN = 20


def page(
    *,
    title: str,
    head: str,
    traces: Sequence[Trace],
    names: Sequence[str],
    days: Sequence[dict[str, Any]],
    best: str = "",
    generator: str,
) -> str:
    """The page of recordings, and of what each heap made of them; `best` is the one shown first."""
    viewer = files(__package__) / "viewer"
    data = json.dumps({"best": best, "days": days}, ensure_ascii=True, separators=(",", ":"))
    return Template((viewer / "page.html").read_text()).substitute(
        title=escape(title),
        generator=escape(generator),
        style=(viewer / "style.css").read_text(),
        head=f"<h1>{escape(title)}</h1>\n{head}",
        foot="".join(map(_accounts_html, traces, names if len(names) > 1 else [""])),
        data=data.replace("<", "\\u003c"),  # no text ends the element that it stands in
        script="\n".join((viewer / name).read_text() for name in _SCRIPTS),
    )


def head_of(comparison: Comparison, closing: str) -> str:
    """What a comparison says; `closing` is the line for the firmware's configuration."""
    parts = [
        _warnings(comparison.warnings),
        f"<p>{escape(comparison.verdict)}</p>",
        f'<p class="soft">For the firmware:</p>\n<pre>{escape(closing)}</pre>' if closing else "",
        "<h2>Heaps</h2>",
        f'<p class="soft">{escape(comparison._headline())}</p>',
        *(_scrolled(table_html(*one)) for one in comparison._tables()),
        *(f'<p class="soft">{escape(text)}</p>' for text in comparison._remarks()),
    ]
    return "\n".join(filter(None, parts))


def head_of_replay(replay: Replay) -> str:
    """What a replay says."""
    table = _scrolled(replay._repr_html_())
    lacks = [f'<p class="soft">Not shown: {escape(text)}.</p>' for text in not_shown(replay)]
    return "\n".join([_warnings(replay.warnings), table, *lacks])


def _warnings(texts: Iterable[str]) -> str:
    return "".join(f'<p class="warning">Warning: {escape(text)}.</p>' for text in texts)


def _scrolled(table: str) -> str:
    return f'<div class="scroll">{table}</div>'


def _accounts_html(trace: Trace, name: str) -> str:
    kept, count = never_freed(trace)
    of = f", {escape(name)}" if name else ""
    who = table_html(
        ["task", "allocations", "bytes at the peak", "most bytes", "never freed", "their bytes"],
        [list(one) for one in accounts(trace)],
    )
    parts = [
        f"<h2>Who has the memory{of}</h2>",
        _warnings(f"not all was recorded: {text}" for text in lacks(trace)),
        f'<p class="soft">Bytes as requested. The peak of all: event {trace.peak_event:,}.</p>',
        _scrolled(who),
        f"<h2>Never given back{of}</h2>",
    ]
    if not count:
        return "\n".join([*parts, "<p>Every block was given back.</p>"])
    size = counted(trace.never_freed_bytes, "byte")
    what = f"{counted(count, 'block')}, {size}, {'is' if count == 1 else 'are'} live at the end."
    if count > len(kept):
        what += f" These are the largest {len(kept):,}."
    heads = ["block", "bytes", "requested at event", "task"]
    columns = len(heads) - (not trace.task_names)
    rows = [[str(one.id), one.size, one.event, one.task][:columns] for one in kept]
    table = table_html(heads[:columns], rows)
    if len(kept) > _MOST_SHOWN:
        listed = f"<details><summary>{len(kept):,} blocks</summary>{_scrolled(table)}</details>"
    else:
        listed = _scrolled(table)
    return "\n".join([*parts, f"<p>{what}</p>", listed])
