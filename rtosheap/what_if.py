"""What if: the same recorded log with one thing changed.

A change is one of the classes below, or its text: ``trace.what_if("static:task=net")``. Changes
are applied one after the other. What they move out of the heap must live elsewhere: the result's
``meta["set_aside_bytes"]`` says how many bytes that takes, ``meta["what_if"]`` what was changed.

===========================================  ======================================================
text                                         change
===========================================  ======================================================
``static:size>=1024``, ``static:task=net``   :class:`Static`: not on the heap at all (task stacks)
``pool:task=net``, ``pool:size<=32``         :class:`Pool`: in a pool of equal blocks
``region:task=net``                          :class:`Apart`: in a heap_4 of their own
``round:16``, ``round:16/32/64/128``         :class:`Round`: sizes rounded up
``in-place``, ``in-place:reserve``           :class:`InPlace`: realloc that does not move
``align:32``, ``align:32,task=dma``          :class:`Align`: blocks aligned by hand
===========================================  ======================================================

Conditions are ``task=NAME``, ``size=N``, ``size>=N`` and ``size<=N``, with commas between them; a
block is chosen by its malloc, and all its events go with it. Sizes may be written ``1K``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from rtosheap._columns import SIZE_MAX, Columns, Int64, Mask, UInt64
from rtosheap._joining import described
from rtosheap._trace_types import Op
from rtosheap.trace import Trace

__all__ = [
    "Align",
    "Apart",
    "BeforeAfter",
    "Change",
    "InPlace",
    "Pool",
    "Round",
    "Static",
    "Which",
    "compare_what_if",
    "parse_what_if",
    "what_if",
]


class Change(Protocol):
    """One thing that is different."""

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """The trace as it would have been, and the bytes that this sets aside outside the heap."""

    def __str__(self) -> str:
        """The change as text, which :func:`parse_what_if` reads."""


@dataclass(frozen=True)
class Which:
    """Which blocks: those whose malloc meets every condition that is given.

    Attributes
    ----------
    task : str, optional
        The task that asks.
    least, most : int, optional
        Bounds on the bytes asked for, both inclusive.
    """

    task: str | None = None
    least: int | None = None
    most: int | None = None

    def __str__(self) -> str:
        words = [] if self.task is None else [f"task={self.task}"]
        if self.least is not None and self.least == self.most:
            words.append(f"size={self.least}")
        else:
            words += [] if self.least is None else [f"size>={self.least}"]
            words += [] if self.most is None else [f"size<={self.most}"]
        return ",".join(words)

    def events(self, trace: Trace) -> Mask:
        """The events of those blocks."""
        first = _first(trace)
        chosen = np.ones(len(trace), dtype=np.bool_)
        if self.task is not None:
            if trace.task_codes is None or self.task not in trace.task_names:
                known = ", ".join(trace.task_names) or "none"
                raise ValueError(f"task is {self.task!r}; the trace's tasks are: {known}")
            chosen &= trace.task_codes == trace.task_names.index(self.task)
        if self.least is not None:
            chosen &= trace.size >= np.uint64(self.least)
        if self.most is not None:
            chosen &= trace.size <= np.uint64(self.most)
        out: Mask = chosen[first]
        return out


def _first(trace: Trace) -> Int64:
    """Each event's malloc."""
    n = len(trace)
    order = np.argsort(trace.id, kind="stable")
    starts = np.where(trace.op[order] == Op.MALLOC, np.arange(n), 0)
    out = np.empty(n, dtype=np.int64)
    out[order] = order[np.maximum.accumulate(starts)] if n else order
    return out


def _split(trace: Trace, apart: Mask) -> tuple[Trace, Trace]:
    """The trace without some blocks, and those blocks."""
    return _kept(trace, ~apart), _kept(trace, apart)


def _kept(trace: Trace, mask: Mask) -> Trace:
    columns = _columns(trace)
    columns.keep(mask)
    return Trace._trusted(columns)


def _resized(trace: Trace, size: UInt64) -> Trace:
    columns = _columns(trace)
    columns.size = size
    return Trace._trusted(columns)


def _columns(trace: Trace) -> Columns:
    """The trace's columns, to be changed; recorded addresses are of another run then."""
    columns = trace._columns
    return replace(columns, meta=described(dict(columns.meta)), addresses=None)


@dataclass(frozen=True)
class Static:
    """Some blocks are static objects: task stacks, say. They leave the heap.

    Set aside are the bytes of the most that were live at once.
    """

    which: Which = field(default_factory=Which)

    def __str__(self) -> str:
        return f"static:{self.which}"

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """See :class:`Change`."""
        kept, apart = _split(trace, self.which.events(trace))
        return kept, apart.peak_live_bytes


@dataclass(frozen=True)
class Pool:
    """Some blocks come from a pool of equal blocks, which never fragments.

    Attributes
    ----------
    which : Which
        Those blocks.
    block : int, optional
        Bytes of a block; larger requests stay on the heap. By default the largest of them, rounded
        up to 8. Set aside are as many blocks as were live at once.
    """

    which: Which = field(default_factory=Which)
    block: int | None = None

    def __str__(self) -> str:
        block = f",block={self.block}" if self.block is not None else ""
        return f"pool:{self.which}{block}"

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """See :class:`Change`."""
        chosen = self.which.events(trace)
        if self.block is not None:
            first = _first(trace)
            largest = np.zeros(len(trace), dtype=np.uint64)
            np.maximum.at(largest, first, trace.size)
            chosen &= (largest <= self.block)[first]
        kept, apart = _split(trace, chosen)
        block = self.block or -(-apart.largest_request // 8) * 8
        return kept, block * apart.max_live_blocks


@dataclass(frozen=True)
class Apart:
    """Some blocks have a heap_4 of their own, as small as serves them."""

    which: Which = field(default_factory=Which)

    def __str__(self) -> str:
        return f"region:{self.which}"

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """See :class:`Change`."""
        from rtosheap.heaps import Heap4
        from rtosheap.sizing import minimum_heap_size

        kept, apart = _split(trace, self.which.events(trace))
        return kept, minimum_heap_size(apart, Heap4).size if len(apart) else 0


@dataclass(frozen=True)
class Round:
    """Sizes are rounded up, to a multiple or to the next of several classes.

    Attributes
    ----------
    classes : sequence of int
        One number: sizes become multiples of it. Several, ascending: sizes become the next of
        them, and what is larger than all stays. A size of 0 stays 0.
    which : Which
        Which blocks.
    """

    classes: tuple[int, ...]
    which: Which = field(default_factory=Which)

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.classes, self.classes[1:], strict=False))
        if not self.classes or self.classes[0] < 1 or not ascending:
            raise ValueError(f"classes are {self.classes}; they must be 1 or more, and ascend")

    def __str__(self) -> str:
        which = f",{self.which}" if str(self.which) else ""
        return f"round:{'/'.join(map(str, self.classes))}{which}"

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """See :class:`Change`."""
        size = trace.size
        if len(self.classes) == 1:
            step = np.uint64(self.classes[0])
            new = (size + (step - np.uint64(1))) // step * step
            new = np.where(new < size, size, new)  # past 64 bits
        else:
            classes = np.array(self.classes, dtype=np.uint64)
            at = np.minimum(np.searchsorted(classes, size), len(classes) - 1)
            new = np.maximum(classes[at], size)
        chosen = self.which.events(trace) & (size > 0)
        return _resized(trace, np.where(chosen, new, size).astype(np.uint64)), 0


@dataclass(frozen=True)
class InPlace:
    """realloc leaves the block where it is, if what the block was given holds the new size.

    Attributes
    ----------
    reserve : bool
        If True, every block is given at its malloc all that it will ever grow to, so that none
        moves; else one that grows past what it has moves, as FreeRTOS's users have it today.
    """

    reserve: bool = False

    def __str__(self) -> str:
        return "in-place:reserve" if self.reserve else "in-place"

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """See :class:`Change`."""
        first = _first(trace)
        realloc = trace.op == Op.REALLOC
        if self.reserve:
            largest = np.zeros(len(trace), dtype=np.uint64)
            np.maximum.at(largest, first, trace.size)
            size = np.where(trace.op == Op.MALLOC, largest, np.uint64(0)).astype(np.uint64)
            return _kept(_resized(trace, size), ~realloc), 0
        given: dict[int, int] = {}
        keep = np.ones(len(trace), dtype=np.bool_)
        touched = np.isin(first, first[realloc])
        for event in np.flatnonzero(touched & (trace.op != Op.FREE)).tolist():
            block, asked = int(first[event]), int(trace.size[event])
            if realloc[event] and 0 < asked <= given[block]:
                keep[event] = False
            else:
                given[block] = asked
        return _kept(trace, keep), 0


@dataclass(frozen=True)
class Align:
    """Blocks are aligned by hand, to more than the heap does: each asks for what may be cut off.

    Attributes
    ----------
    to : int
        The alignment, a power of two.
    which : Which
        Which blocks.
    heap : int
        What the heap itself aligns to. (To give the whole heap another alignment, pass
        ``alignment=`` to :func:`rtosheap.compare.compare`.)
    """

    to: int
    which: Which = field(default_factory=Which)
    heap: int = 8

    def __post_init__(self) -> None:
        if self.to < 1 or self.to & (self.to - 1):
            raise ValueError(f"to is {self.to}; it must be a power of two")

    def __str__(self) -> str:
        which = f",{self.which}" if str(self.which) else ""
        return f"align:{self.to}{which}"

    def apply(self, trace: Trace) -> tuple[Trace, int]:
        """See :class:`Change`."""
        more = max(0, self.to - self.heap)
        chosen = self.which.events(trace) & (trace.size > 0) & (trace.size < SIZE_MAX - more)
        return _resized(trace, trace.size + np.where(chosen, more, 0).astype(np.uint64)), 0


def what_if(trace: Trace, *changes: Change | str) -> Trace:
    """The trace as it would have been; :meth:`Trace.what_if <rtosheap.trace.Trace.what_if>`.

    Parameters
    ----------
    trace : Trace
    *changes : Change or str
        Applied in this order.

    Returns
    -------
    Trace
        Its ``meta["set_aside_bytes"]`` are the bytes that the changes need outside the heap.

    Examples
    --------
    >>> log = Trace("mmmf", [0, 1, 2, 1], [2048, 20, 30, 0], task=["main", "net", "ui", "net"])
    >>> changed = log.what_if("static:size>=1K", "round:32")
    >>> changed.size.tolist(), changed.meta["set_aside_bytes"]
    ([32, 32, 0], '2048')
    """
    given = [text for change in changes for text in _as_changes(change)]
    out = trace
    aside = int(trace.meta.get("set_aside_bytes", "0"))
    done = [trace.meta["what_if"]] if "what_if" in trace.meta else []
    for change in given:
        out, more = change.apply(out)
        aside += more
        done.append(str(change))
    columns = _columns(out)
    columns.meta["what_if"] = "; ".join(done)
    columns.meta["set_aside_bytes"] = str(aside)
    return Trace._trusted(columns)


def _as_changes(change: Change | str) -> Sequence[Change]:
    if isinstance(change, str):
        return parse_what_if(change)
    if not hasattr(change, "apply"):
        raise TypeError(f"change is {change!r}; it must be a change or its text")
    return [change]


_CONDITION = re.compile(r"(task|size|block)(>=|<=|=)(.+)")
_SIZE = re.compile(r"([0-9]+)([kKmM]?)")
_FORMS = "static:…, pool:…, region:…, round:N, in-place[:reserve] or align:N"


def parse_what_if(text: str) -> list[Change]:
    """The changes that a text spells, with ``;`` between them.

    Raises
    ------
    ValueError
        If it spells none.

    Examples
    --------
    >>> [str(change) for change in parse_what_if("static:size>=1K;in-place")]
    ['static:size>=1024', 'in-place']
    """
    return [_parse(part.strip()) for part in text.split(";") if part.strip()] or [_parse("")]


def _parse(text: str) -> Change:
    name, _, rest = text.partition(":")
    words = [word.strip() for word in rest.split(",") if word.strip()]
    if name == "in-place" and words in ([], ["reserve"]):
        return InPlace(reserve=bool(words))
    if name in ("static", "region"):
        which, block = _which(words, text)
        if block is None and str(which):
            return Static(which) if name == "static" else Apart(which)
        raise ValueError(
            f"what-if {text!r}: say which blocks: task=NAME, size>=N, size<=N or size=N"
        )
    if name == "pool":
        which, block = _which(words, text)
        return Pool(which, block)
    if name in ("round", "align") and words:
        which, block = _which(words[1:], text)
        if block is None:
            numbers = tuple(_number(word, text) for word in words[0].split("/"))
            if name == "round":
                return Round(numbers, which)
            if len(numbers) == 1:
                return Align(numbers[0], which)
    raise ValueError(f"what-if is {text!r}; it must be {_FORMS}")


def _which(words: Sequence[str], text: str) -> tuple[Which, int | None]:
    task: str | None = None
    least: int | None = None
    most: int | None = None
    block: int | None = None
    for word in words:
        match = _CONDITION.fullmatch(word)
        if match is None or (match[1] != "size" and match[2] != "="):
            raise ValueError(
                f"what-if {text!r}: {word!r} is no condition; write task=NAME, size>=N or size<=N"
            )
        if match[1] == "task":
            task = match[3]
        elif match[1] == "block":
            block = _number(match[3], text)
        else:
            number = _number(match[3], text)
            least = number if match[2] in (">=", "=") else least
            most = number if match[2] in ("<=", "=") else most
    return Which(task, least, most), block


def _number(word: str, text: str) -> int:
    match = _SIZE.fullmatch(word)
    if match is None:
        raise ValueError(f"what-if {text!r}: {word!r} is no size; write 64 or 1K")
    return int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[match[2].lower()]


@dataclass(frozen=True)
class BeforeAfter:
    """The five heaps before and after a change.

    Attributes
    ----------
    changes : str
        What was changed.
    before, after : rtosheap.compare.Comparison
        The heaps side by side, without and with it.
    set_aside : int
        Bytes that the change needs outside the heap, to be added to each size after it.
    """

    changes: str
    before: Any
    after: Any
    set_aside: int

    def rows(self) -> list[tuple[str, int | None, int | None, int | None]]:
        """Per heap: its name, the minimum before, after, and after with what is set aside."""
        out = []
        for old, new in zip(self.before, self.after, strict=True):
            total = None if new.size is None else new.size + self.set_aside
            out.append((old.heap, old.size, new.size, total))
        return out

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "what_if": self.changes,
            "set_aside_bytes": self.set_aside,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }

    def __str__(self) -> str:
        lines = [f"what if {self.changes} (sets aside {self.set_aside:,} bytes)"]
        lines.append(f"{'heap':<8} {'before':>10} {'after':>10} {'with aside':>12} {'saved':>10}")
        for name, old, new, total in self.rows():
            cells = [f"{x:,}" if x is not None else "-" for x in (old, new, total)]
            saved = f"{old - total:,}" if old is not None and total is not None else "-"
            lines.append(f"{name:<8} {cells[0]:>10} {cells[1]:>10} {cells[2]:>12} {saved:>10}")
        return "\n".join(lines)


def compare_what_if(trace: Trace, *changes: Change | str, **options: Any) -> BeforeAfter:
    """The heaps before and after changes.

    Parameters
    ----------
    trace, *changes
        As for :func:`what_if`.
    **options
        For :func:`rtosheap.compare.compare`.
    """
    from rtosheap.compare import compare

    changed = what_if(trace, *changes)
    return BeforeAfter(
        changed.meta["what_if"],
        compare(trace, **options),
        compare(changed, **options),
        int(changed.meta["set_aside_bytes"]),
    )
