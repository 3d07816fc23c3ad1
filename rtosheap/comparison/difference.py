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
        A task, ``""`` where it is not known; or the bytes that were asked for.
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
        By the size that was asked for, the largest change first.
    rest : tuple of (int, int)
        What lies in no live block at the peak, before and after: holes, and what a heap needs for
        itself.
    """

    heap: str
    old: tuple[Need, ...]
    new: tuple[Need, ...]
    tasks: tuple[Part, ...]
    sizes: tuple[Part, ...]
    rest: tuple[int, int]

    @property
    def old_size(self) -> int:
        """Bytes of the smallest heap that serves all recordings of the old version."""
        return max(need.size for need in self.old)

    @property
    def new_size(self) -> int:
        """Bytes of the smallest heap that serves all recordings of the new version."""
        return max(need.size for need in self.new)

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
            "notes": self.notes,
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
            _side("old", self.old) + "\n" + _side("new", self.new),
            plain_table([f"{self.heap}, at the peak", "old", "new", "change"], self._rows()),
        ]
        by_size = self._size_rows()
        if by_size:
            texts.append(plain_table(["blocks of", "old", "new", "change"], by_size))
        notes = [fill(f"Note: {note}.", _WIDTH) for note in self.notes]
        return "\n\n".join([*texts, *notes])

    def __repr__(self) -> str:
        return (
            f"<Difference on {self.heap}: {self.old_size:,} to {self.new_size:,} bytes "
            f"({_signed(self.growth)})>"
        )

    def _repr_html_(self) -> str:
        return table_html([f"{self.heap}, at the peak", "old", "new", "change"], self._rows())


def difference(
    old: Trace | Sequence[Trace],
    new: Trace | Sequence[Trace],
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
        There are no recordings of a version, or an argument is wrong.
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
    sides = (_traces(old, "old"), _traces(new, "new"))
    every = [*sides[0], *sides[1]]
    found = [
        minimum_heap_size(
            trace, heap, regions=regions, progress=part(progress, at, len(every)), **options
        )
        for at, trace in enumerate(every)
    ]
    counts: list[tuple[Counter[Hashable], ...]] = []
    rests = []
    for traces, minima in zip(sides, (found[: len(sides[0])], found[len(sides[0]) :]), strict=True):
        at = max(range(len(minima)), key=lambda index: minima[index].size)
        problem = SizingProblem(traces[at], heap_class(heap), options, regions=regions)
        held = _held(problem, minima[at])
        counts.append(held)
        rests.append(minima[at].size - sum(held[0].values()))
    tasks, task_blocks, sizes, size_blocks = zip(*counts, strict=True)
    needs = [
        Need(trace.name, minimum.size, minimum.witness)
        for trace, minimum in zip(every, found, strict=True)
    ]
    return Difference(
        heap=found[0].heap,
        old=tuple(needs[: len(sides[0])]),
        new=tuple(needs[len(sides[0]) :]),
        tasks=_parts(tasks, task_blocks),
        sizes=_parts(sizes, size_blocks),
        rest=(rests[0], rests[1]),
    )


def _traces(given: Trace | Sequence[Trace], name: str) -> list[Trace]:
    if isinstance(given, Trace):
        return [given]
    traces = list(given)
    for at, trace in enumerate(traces):
        if not isinstance(trace, Trace):
            raise TypeError(f"{name}[{at}] is {trace!r}; it must be a Trace")
    if not traces:
        raise ValueError(f"{name} is empty; at least one recording is needed")
    return traces


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


def _side(what: str, needs: Sequence[Need]) -> str:
    """A version in a line."""
    largest = max(needs, key=lambda need: need.size)
    text = f"{what}  {largest.size:,} bytes"
    if len(needs) == 1:
        return text + (f", {largest.name}" if largest.name else "")
    each = f"{min(need.size for need in needs):,} to {largest.size:,} bytes"
    return f"{what}  {each} in {_recordings(len(needs))}, most in {largest.name or 'one of them'}"
