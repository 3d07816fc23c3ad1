"""What if: the same recorded log with one thing changed.

A change is one of the classes below, or its text: ``trace.what_if("static:task=net")``. Changes
are applied one after the other. What they move out of the heap must live elsewhere: the result's
``meta["set_aside_bytes"]`` says how many bytes that takes, ``meta["what_if"]`` what was changed.

===========================================  ======================================================
text                                         change
===========================================  ======================================================
``static:size>=1024``, ``static:task=net``   :class:`Static`: not on the heap at all (task stacks)
``pool:task=net``, ``pool:size<=32``         :class:`Pool`: in a pool of equal blocks
``region:task=net``                          `Apart` of ``rtosheap.sizing``: in a heap_4 apart
``without:size=72704``                       :class:`Without`: not there at all
``round:16``, ``round:16/32/64/128``         :class:`Round`: sizes rounded up
``resize:48=28/72=40,task=net``              :class:`Resize`: those sizes become others
``in-place``, ``in-place:reserve``           :class:`InPlace`: realloc that does not move
``align:32``, ``align:32,task=dma``          :class:`Align`: blocks aligned by hand
===========================================  ======================================================

Conditions are ``task=NAME``, ``size=N``, ``size>=N`` and ``size<=N``, with commas between them; a
block is chosen by its malloc, and all its events go with it. Sizes may be written ``1K``.

There is no ``pointer-size:4``: a request does not say which of its bytes are pointers, so that the
log of a 64-bit host does not tell what a 32-bit device would request. Record a 32-bit build
(``gcc -m32``), or the device. Of blocks whose two sizes you know, ``resize:48=28`` says them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from rtosheap.tables import parse_size
from rtosheap.traces._change import Change, parse_what_if, register
from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import SIZE_MAX, Columns, Int64, Mask, UInt64
from rtosheap.traces.events import Op
from rtosheap.traces.meta import SET_ASIDE, described, set_aside_of

__all__ = [
    "Align",
    "Change",
    "InPlace",
    "Pool",
    "Resize",
    "Round",
    "Static",
    "Which",
    "Without",
    "parse_what_if",
    "register",
    "what_if",
]

_Trace = TypeVar("_Trace", bound=TraceBase)


@dataclass(frozen=True)
class Which:
    """Which blocks: those whose malloc meets every condition that is given.

    Attributes
    ----------
    task : str, optional
        The task that asks.
    least, most : int, optional
        Bounds on the requested bytes, both inclusive.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmf", id=[0, 1, 1], size=[2048, 20, 0], task=["main", "net", "net"])
    >>> which = Which(task="net", most=32)
    >>> str(which), which.events(log)
    ('task=net,size<=32', array([False,  True,  True]))
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

    def events(self, trace: _Trace) -> Mask:
        """The events of those blocks: an ndarray of bool, of shape (n,) for n events.

        Raises
        ------
        ValueError
            If the trace has no such task.
        """
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


def _first(trace: _Trace) -> Int64:
    """Each event's malloc."""
    n = len(trace)
    order = np.argsort(trace.id, kind="stable")
    starts = np.where(trace.op[order] == Op.MALLOC, np.arange(n), 0)
    out = np.empty(n, dtype=np.int64)
    out[order] = order[np.maximum.accumulate(starts)] if n else order
    return out


def _largest(trace: _Trace, first: Int64) -> UInt64:
    """At each malloc the most that its block is ever asked to be; `first` is of :func:`_first`."""
    largest = np.zeros(len(trace), dtype=np.uint64)
    np.maximum.at(largest, first, trace.size)
    return largest


def split(trace: _Trace, apart: Mask) -> tuple[_Trace, _Trace]:
    """The trace without some blocks, and those blocks."""
    return _kept(trace, ~apart), _kept(trace, apart)


def _kept(trace: _Trace, mask: Mask) -> _Trace:
    columns = _columns(trace)
    columns.keep(mask)
    return trace.with_columns(columns)


def _resized(trace: _Trace, size: UInt64) -> _Trace:
    columns = _columns(trace)
    columns.size = size
    return trace.with_columns(columns)


def _columns(trace: _Trace) -> Columns:
    """The trace's columns, to be changed; recorded addresses are of another run then."""
    columns = trace._columns
    return replace(columns, meta=described(dict(columns.meta)), addresses=None)


@dataclass(frozen=True)
class Static:
    """Some blocks are static objects: task stacks, say. They leave the heap.

    Set aside are the bytes of the most that were live at once.

    Attributes
    ----------
    which : Which
        Those blocks.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmf", id=[0, 1, 1], size=[2048, 20, 0])
    >>> Static(Which(least=1024)).apply(log)
    (<Trace: 2 events (1 malloc, 0 realloc, 1 free)>, 2048)
    """

    which: Which = field(default_factory=Which)

    def __str__(self) -> str:
        return f"static:{self.which}"

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        kept, apart = split(trace, self.which.events(trace))
        return kept, apart.peak_live_bytes


@dataclass(frozen=True)
class Without:
    """Some blocks are not there: the recording has them and the target does not.

    Attributes
    ----------
    which : Which
        Those blocks.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmf", id=[0, 1, 1], size=[72704, 20, 0])
    >>> log.what_if(Without(Which(least=72704, most=72704))).size
    array([20,  0], dtype=uint64)
    """

    which: Which = field(default_factory=Which)

    def __str__(self) -> str:
        return f"without:{self.which}"

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        return _kept(trace, ~self.which.events(trace)), 0


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

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmm", id=[0, 1, 2], size=[10, 20, 300])
    >>> Pool(Which(most=32)).apply(log)
    (<Trace: 1 events (1 malloc, 0 realloc, 0 free)>, 48)
    """

    which: Which = field(default_factory=Which)
    block: int | None = None

    def __str__(self) -> str:
        block = f",block={self.block}" if self.block is not None else ""
        return f"pool:{self.which}{block}"

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        chosen = self.which.events(trace)
        if self.block is not None:
            first = _first(trace)
            chosen &= (_largest(trace, first) <= self.block)[first]
        kept, apart = split(trace, chosen)
        block = self.block or -(-apart.largest_request // 8) * 8
        return kept, block * apart.max_live_blocks


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

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmm", id=[0, 1, 2], size=[10, 20, 300])
    >>> log.what_if(Round((16, 64))).size
    array([ 16,  64, 300], dtype=uint64)
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

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
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
class Resize:
    """Requests of known sizes have others, as those of a struct where pointers are of another size.

    Attributes
    ----------
    sizes : tuple of (int, int)
        What is requested, and what would be. Requests of other sizes stay.
    which : Which
        Which blocks.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mmm", id=[0, 1, 2], size=[48, 72, 100])
    >>> log.what_if(Resize(((48, 28), (72, 40)))).size
    array([ 28,  40, 100], dtype=uint64)
    """

    sizes: tuple[tuple[int, int], ...]
    which: Which = field(default_factory=Which)

    def __post_init__(self) -> None:
        known = [old for old, _ in self.sizes]
        every = [size for pair in self.sizes for size in pair]
        if (
            not known
            or len(set(known)) < len(known)
            or not all(1 <= size <= SIZE_MAX for size in every)
        ):
            raise ValueError(f"sizes are {self.sizes}; each must be given once, and 1 or more")

    def __str__(self) -> str:
        which = f",{self.which}" if str(self.which) else ""
        return f"resize:{'/'.join(f'{old}={new}' for old, new in self.sizes)}{which}"

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        chosen, size = self.which.events(trace), trace.size.copy()
        for old, new in self.sizes:
            size[chosen & (trace.size == np.uint64(old))] = new
        return _resized(trace, size), 0


@dataclass(frozen=True)
class InPlace:
    """realloc leaves the block where it is, if what the block was given holds the new size.

    Attributes
    ----------
    reserve : bool
        If True, every block is given at its malloc all that it will ever grow to, so that none
        moves; else one that grows past what it has moves, as FreeRTOS's users have it today.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mrr", id=[0, 0, 0], size=[100, 60, 120])
    >>> log.what_if(InPlace()).size, log.what_if(InPlace(reserve=True)).size
    (array([100, 120], dtype=uint64), array([120], dtype=uint64))
    """

    reserve: bool = False

    def __str__(self) -> str:
        return "in-place:reserve" if self.reserve else "in-place"

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        first = _first(trace)
        realloc = trace.op == Op.REALLOC
        if self.reserve:
            size = np.where(trace.op == Op.MALLOC, _largest(trace, first), np.uint64(0))
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
    """Blocks are aligned by hand, to more than the heap does: each requests what may be cut off.

    Attributes
    ----------
    to : int
        The alignment, a power of two.
    which : Which
        Which blocks.
    heap : int
        What the heap itself aligns to. (To give the whole heap another alignment, pass
        ``alignment=`` to :func:`rtosheap.compare`.)

    Examples
    --------
    >>> from rtosheap import Trace
    >>> log = Trace("mm", id=[0, 1], size=[100, 20], task=["dma", "net"])
    >>> log.what_if(Align(32, Which(task="dma"))).size
    array([124,  20], dtype=uint64)
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

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """See :class:`Change`."""
        more = max(0, self.to - self.heap)
        chosen = self.which.events(trace) & (trace.size > 0) & (trace.size < SIZE_MAX - more)
        return _resized(trace, trace.size + np.where(chosen, more, 0).astype(np.uint64)), 0


def what_if(trace: _Trace, *changes: Change | str) -> _Trace:
    """The trace as it would have been; :meth:`rtosheap.Trace.what_if`.

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
    >>> from rtosheap import Trace
    >>> log = Trace("mmmf", [0, 1, 2, 1], [2048, 20, 30, 0], task=["main", "net", "ui", "net"])
    >>> changed = log.what_if("static:size>=1K", "round:32")
    >>> changed.size.tolist(), changed.meta["set_aside_bytes"]
    ([32, 32, 0], '2048')
    """
    given = as_changes(changes)
    out = trace
    aside = set_aside_of(trace.meta)
    done = [trace.meta["what_if"]] if "what_if" in trace.meta else []
    for change in given:
        out, more = change.apply(out)
        aside += more
        done.append(str(change))
    columns = _columns(out)
    columns.meta["what_if"] = "; ".join(done)
    columns.meta[SET_ASIDE] = str(aside)
    return trace.with_columns(columns)


def as_changes(given: Iterable[Change | str]) -> list[Change]:
    """Changes, each of which may be given as its text."""
    out: list[Change] = []
    for change in given:
        if isinstance(change, str):
            out += parse_what_if(change)
        elif hasattr(change, "apply"):
            out.append(change)
        else:
            raise TypeError(f"change is {change!r}; it must be a change or its text")
    return out


# ---------------------------------------------------------------------- their texts

_CONDITION = re.compile(r"(task|size|block)(>=|<=|=)(.+)")


def parse_which(words: Sequence[str]) -> Which:
    """Which blocks the words choose; at least one condition must be given."""
    which, block = _conditions(words)
    if block is not None or not str(which):
        raise ValueError("say which blocks: task=NAME, size>=N, size<=N or size=N")
    return which


def _conditions(words: Sequence[str]) -> tuple[Which, int | None]:
    """The conditions, and the bytes of a pool's block."""
    found: dict[str, str] = {}
    for word in words:
        match = _CONDITION.fullmatch(word)
        if match is None or (match[1] != "size" and match[2] != "="):
            raise ValueError(f"{word!r} is no condition; write task=NAME, size>=N or size<=N")
        bounds = {">=": ["least"], "<=": ["most"], "=": ["least", "most"]}[match[2]]
        for key in bounds if match[1] == "size" else [match[1]]:
            if key in found:
                raise ValueError(f"{word!r} is a second condition on the same; give it once")
            found[key] = match[3]
    least, most, block = (
        parse_size(found[key]) if key in found else None for key in ("least", "most", "block")
    )
    return Which(found.get("task"), least, most), block


def _parse_resize(words: Sequence[str]) -> Change:
    pairs = [pair.partition("=") for pair in (words[0] if words else "").split("/")]
    which, block = _conditions(words[1:])
    if block is not None or not all(equal for _, equal, _ in pairs):
        raise ValueError(f"it must be {_RESIZE}")
    sizes = tuple((parse_size(old.strip()), parse_size(new.strip())) for old, _, new in pairs)
    return Resize(sizes, which)


def _parse_in_place(words: Sequence[str]) -> Change:
    if words and list(words) != ["reserve"]:
        raise ValueError("it must be in-place or in-place:reserve")
    return InPlace(reserve=bool(words))


def _parse_numbers(words: Sequence[str], form: str) -> tuple[tuple[int, ...], Which]:
    which, block = _conditions(words[1:])
    if not words or block is not None:
        raise ValueError(f"it must be {form}")
    return tuple(parse_size(word) for word in words[0].split("/")), which


def _parse_align(words: Sequence[str]) -> Change:
    numbers, which = _parse_numbers(words, _ALIGN)
    if len(numbers) != 1:
        raise ValueError(f"it must be {_ALIGN}")
    return Align(numbers[0], which)


_ALIGN = "align:N[,CONDITION …]"
_RESIZE = "resize:N=M[/N=M …][,CONDITION …]"
_ROUND = "round:N[/N …][,CONDITION …]"
register("static", lambda words: Static(parse_which(words)), "static:CONDITION …")
register("without", lambda words: Without(parse_which(words)), "without:CONDITION …")
register("pool", lambda words: Pool(*_conditions(words)), "pool:CONDITION …[,block=N]")
register("round", lambda words: Round(*_parse_numbers(words, _ROUND)), _ROUND)
register("resize", _parse_resize, _RESIZE)
register("in-place", _parse_in_place, "in-place[:reserve]")
register("align", _parse_align, _ALIGN)
