"""What changed in need between two versions of a program: by task, by size, at the peak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.html import table_html
from rtosheap.kinds import HeapKind, heap_class
from rtosheap.sizing.minimum import MinimumSize, minimum_heap_size
from rtosheap.sizing.problem import RegionSizes, SizingProblem
from rtosheap.tables import plain_table
from rtosheap.traces import Trace
from rtosheap.traces.several import Traces, as_traces, lost_of_all
from rtosheap.work import Progress, part

#: Rows of a table of sizes; what changed less is one row.
_SHOWN = 8
_WIDTH = 96


class Need(NamedTuple):
    """What a recording needs.

    Attributes
    ----------
    name : str
    size : int
        Bytes of the smallest heap that serves it.
    witness : int or None
        The event that needs the last byte.
    """

    name: str
    size: int
    witness: int | None


class Part(NamedTuple):
    """What a task, or blocks of a size, hold at the peak of each version, in bytes of the heap.

    Attributes
    ----------
    what : str or int
        A task, ``""`` where it is not known; or the requested bytes.
    old, new : int
        With headers and rounding.
    old_blocks, new_blocks : int
    """

    what: str | int
    old: int
    new: int
    old_blocks: int
    new_blocks: int

    @property
    def growth(self) -> int:
        """Bytes that the new version holds more."""
        return self.new - self.old


@dataclass(frozen=True, repr=False)
class Difference:
    """Two versions of a program, side by side: what :func:`difference` returns.

    The peak is the moment that decides: of the recording that needs most, the event that needs the
    last byte. There `tasks`, and `sizes` as well, add up with `rest` to what is needed.

    Attributes
    ----------
    heap : str
        ``"heap_1"`` … ``"heap_5"``.
    old, new : tuple of Need
        Each recording of each version.
    tasks : tuple of Part
        By the task that allocated, the largest change first.
    sizes : tuple of Part
        By the requested size, the largest change first.
    rest : tuple of (int, int)
        What lies in no live block at the peak, before and after: holes, and what a heap needs for
        itself.
    old_size, new_size : int
        Bytes of the smallest heap that serves all recordings of the version.
    decides : tuple of (str, str)
        The recording of each version that decides that.
    exact : bool
        Whether both sizes are the smallest that serve, and nothing is missing of the recordings.
    warnings : tuple of str
        What to know of the recordings that this rests on.
    loss : tuple of (str, int)
        What the recordings lack, by kind, as in ``trace.loss`` and ``trace.dropped``.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> old = Trace("mm", id=[0, 1], size=[100, 40], task=["net", "log"])
    >>> new = Trace("mm", id=[0, 1], size=[100, 90], task=["net", "log"])
    >>> found = difference(old, new, "heap_4")
    >>> found.growth, [(part.what, part.growth) for part in found.tasks]
    (56, [('log', 56), ('net', 0)])
    """

    heap: str
    old: tuple[Need, ...]
    new: tuple[Need, ...]
    tasks: tuple[Part, ...]
    sizes: tuple[Part, ...]
    rest: tuple[int, int]
    old_size: int
    new_size: int
    decides: tuple[str, str]
    exact: bool = True
    warnings: tuple[str, ...] = ()
    loss: tuple[tuple[str, int], ...] = ()

    @property
    def growth(self) -> int:
        """Bytes that the new version needs more; negative where it needs less."""
        return self.new_size - self.old_size

    @property
    def notes(self) -> list[str]:
        """What makes the difference doubtful, in words."""
        found = []
        if len(self.old) != len(self.new):
            found.append(
                f"{_recordings(len(self.old))} against {len(self.new)}: the largest of more "
                "recordings is larger, whatever the version"
            )
        if len(self.old) == 1 or len(self.new) == 1:
            found.append(
                "one recording does not tell a version from a day: with several of each, their "
                "spread is seen too"
            )
        elif min(n.size for n in self.new) <= self.old_size and self.new_size >= min(
            n.size for n in self.old
        ):
            found.append(
                "the needs of both versions overlap: days of one version differ by as much"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that ``json.dumps`` takes."""
        return {
            "heap": self.heap,
            "old_size": self.old_size,
            "new_size": self.new_size,
            "growth": self.growth,
            "old": [need._asdict() for need in self.old],
            "new": [need._asdict() for need in self.new],
            "tasks": [part._asdict() for part in self.tasks],
            "sizes": [part._asdict() for part in self.sizes],
            "rest": list(self.rest),
            "decides": list(self.decides),
            "notes": self.notes,
            "exact": self.exact,
            "warnings": list(self.warnings),
            "loss": dict(self.loss),
        }

    def _rows(self) -> list[tuple[object, ...]]:
        """What is needed, by task."""
        rest, total = self.rest, (self.old_size, self.new_size)
        return [
            *((part.what or "unknown task", *_cells(part.old, part.new)) for part in self.tasks),
            ("holes, own needs", *_cells(*rest)),
            ("needed", *_cells(*total)),
        ]

    def _size_rows(self) -> list[tuple[object, ...]]:
        """What is needed, by size, where it changed."""
        changed = [part for part in self.sizes if part.growth]
        rows: list[tuple[object, ...]] = [
            (f"{part.what:,}", part.old_blocks, part.new_blocks, _signed(part.growth))
            for part in changed[:_SHOWN]
        ]
        others = changed[_SHOWN:]
        if others:
            blocks = (sum(p.old_blocks for p in others), sum(p.new_blocks for p in others))
            growth = _signed(sum(p.growth for p in others))
            rows.append((f"{len(others):,} other sizes", *blocks, growth))
        return rows

    def __str__(self) -> str:
        texts = [
            _side("old", self.old, self.old_size, self.decides[0])
            + "\n"
            + _side("new", self.new, self.new_size, self.decides[1]),
            plain_table([f"{self.heap}, at the peak", "old", "new", "change"], self._rows()),
        ]
        by_size = self._size_rows()
        if by_size:
            texts.append(plain_table(["blocks of", "old", "new", "change"], by_size))
        said = [f"Note: {note}." for note in self.notes]
        said += [f"Warning: {text}." for text in self.warnings]
        notes = [fill(text, _WIDTH, break_on_hyphens=False) for text in said]
        return "\n\n".join([*texts, *notes])

    def __repr__(self) -> str:
        return (
            f"<Difference on {self.heap}: {self.old_size:,} to {self.new_size:,} bytes "
            f"({_signed(self.growth)})>"
        )

    def _repr_html_(self) -> str:
        return table_html([f"{self.heap}, at the peak", "old", "new", "change"], self._rows())


def difference(
    old: Traces,
    new: Traces,
    heap: HeapKind,
    *,
    regions: RegionSizes | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Difference:
    """What a new version of a program needs more than the old one, and who needs it.

    Parameters
    ----------
    old, new : Trace or sequence of Trace
        Recordings of each version, under the same conditions. Several of each show how much days
        of one version differ.
    heap : type or str
        The kind of heap: a class such as `Heap4`, or its name, such as ``"heap_4"``.
    regions : sequence of (int, int or None), optional
        heap_5's, as for :func:`rtosheap.minimum_heap_size`.
    progress : callable, optional
        Called as ``progress(done, total)`` from time to time.
    **options
        What the heap's constructor takes.

    Returns
    -------
    Difference

    Raises
    ------
    UnservableError
        A `ValueError`: no heap of this kind serves one of the recordings.
    ValueError
        There are no recordings of a version, or one is given twice, or an argument is wrong.
    TypeError
        What is given is no trace, or for an option that the heap does not have.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> old = Trace("mm", id=[0, 1], size=[100, 40], task=["net", "log"])
    >>> new = Trace("mm", id=[0, 1], size=[100, 90], task=["net", "log"])
    >>> found = difference(old, new, "heap_4")
    >>> found
    <Difference on heap_4: 168 to 224 bytes (+56)>
    >>> found.tasks[0]
    Part(what='log', old=48, new=104, old_blocks=1, new_blocks=1)
    """
    both = (as_traces(old, "old"), as_traces(new, "new"))
    sides = [
        _Side.of(traces, heap, regions, part(progress, at, len(both)), options)
        for at, traces in enumerate(both)
    ]
    minima = [side.minimum for side in sides]
    held = [
        _held(SizingProblem(side.decides, heap_class(heap), options, regions=regions), side.minimum)
        for side in sides
    ]
    tasks, task_blocks, sizes, size_blocks = zip(*held, strict=True)
    rests = [found.size - sum(own[0].values()) for found, own in zip(minima, held, strict=True)]
    return Difference(
        heap=minima[0].heap,
        old=sides[0].needs,
        new=sides[1].needs,
        tasks=_parts(tasks, task_blocks),
        sizes=_parts(sizes, size_blocks),
        rest=(rests[0], rests[1]),
        old_size=minima[0].size,
        new_size=minima[1].size,
        decides=(sides[0].name, sides[1].name),
        exact=all(found.exact for found in minima),
        loss=lost_of_all([trace for traces in both for trace in traces]),
        warnings=tuple(
            f"{version}{' ' if side.minimum.recordings else ': '}{text}"
            for version, side in zip(("old", "new"), sides, strict=True)
            for text in side.minimum.warnings
        ),
    )


class _Side(NamedTuple):
    """A version: what it needs, and the recording that decides."""

    minimum: MinimumSize
    needs: tuple[Need, ...]
    decides: Trace
    name: str

    @classmethod
    def of(
        cls,
        traces: tuple[Trace, ...],
        heap: HeapKind,
        regions: RegionSizes | None,
        progress: Progress | None,
        options: Mapping[str, Any],
    ) -> _Side:
        """Find it."""
        given = traces[0] if len(traces) == 1 else traces
        found = minimum_heap_size(given, heap, regions=regions, progress=progress, **options)
        if not found.recordings:
            need = Need(traces[0].name, found.size, found.witness)
            return cls(found, (need,), traces[0], need.name)
        needs = tuple(Need(one.name, one.size, one.witness) for one in found.recordings)
        at = [need.name for need in needs].index(found.recording or "")
        return cls(found, needs, traces[at], needs[at].name)


def _held(problem: SizingProblem, minimum: MinimumSize) -> tuple[Counter[Hashable], ...]:
    """What is live at the event that decides: bytes and blocks by task, and both by size."""
    trace, at = problem.trace, minimum.witness
    if at is None:
        return Counter(), Counter(), Counter(), Counter()
    live = np.flatnonzero(problem.blocks[: at + 1] > 0)
    if problem.layout.frees:
        live = live[trace.ends()[live] >= at]  # what a realloc replaces is held meanwhile
    held = problem.blocks[live]
    names = (*trace.task_names, "")
    codes = np.full(len(trace), -1) if trace.task_codes is None else trace.task_codes
    tasks = [names[code] for code in codes[live]]
    sizes = trace.size[live].tolist()
    return (*_sums(tasks, held), *_sums(sizes, held))


def _sums(
    keys: Iterable[Hashable], held: npt.NDArray[Any]
) -> tuple[Counter[Hashable], Counter[Hashable]]:
    total: Counter[Hashable] = Counter()
    blocks: Counter[Hashable] = Counter()
    for key, amount in zip(keys, held.tolist(), strict=True):
        total[key] += amount
        blocks[key] += 1
    return total, blocks


def _parts(
    held: Sequence[Mapping[Any, int]], blocks: Sequence[Mapping[Any, int]]
) -> tuple[Part, ...]:
    (old, new), (old_blocks, new_blocks) = held, blocks
    parts = [
        Part(key, old.get(key, 0), new.get(key, 0), old_blocks.get(key, 0), new_blocks.get(key, 0))
        for key in {**old, **new}
    ]
    return tuple(sorted(parts, key=lambda part: (-abs(part.growth), -part.new, str(part.what))))


def _cells(old: int, new: int) -> tuple[object, ...]:
    return old, new, _signed(new - old)


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _recordings(count: int) -> str:
    return f"{count} recording{'' if count == 1 else 's'}"


def _side(what: str, needs: Sequence[Need], size: int, decides: str) -> str:
    """A version in a line."""
    if len(needs) == 1:
        return f"{what}  {size:,} bytes" + (f", {decides}" if decides else "")
    sizes = [need.size for need in needs]
    each = f"{min(sizes):,} to {max(sizes):,} bytes in {_recordings(len(needs))}"
    together = f", {size:,} for all of them" if size > max(sizes) else ""
    return f"{what}  {each}{together}, most in {decides}"
