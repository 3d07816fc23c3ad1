"""A device's arena looked at: every block, how fragmented it is, and what is broken.

Damage is a finding here, not an error: any bytes can be inspected.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

from rtosheap import _damage
from rtosheap._damage import Damage
from rtosheap._image_parse import down, parse, span_of, up
from rtosheap._owners import Owner, former, owners
from rtosheap.heaps import Heap, HeapError
from rtosheap.image import (
    FreeChain,
    ImageState,
    geometry_of,
    regions_of,
    restored,
    unheaded,
    with_canary,
)
from rtosheap.kinds import CLASSES, HeapKind, heap_class
from rtosheap.trace import Trace

__all__ = ["Damage", "Found", "Owner", "Report", "inspect"]


@dataclass(frozen=True)
class Found:
    """A block as it lies in the arena.

    Attributes
    ----------
    address, payload : int
        Of the header, and of what malloc returned.
    size : int
        Bytes, header included; where the header is broken, up to the next one.
    allocated : bool
        What the header says; a guess where it is broken.
    broken : bool
        Whether the header is damaged.
    owner : Owner or None
        What a trace of the same run knows of it.
    """

    address: int
    payload: int
    size: int
    allocated: bool
    broken: bool = False
    owner: Owner | None = None


@dataclass(frozen=True)
class Report:
    """What :func:`inspect` found.

    Attributes
    ----------
    kind : str
        ``"heap_1"`` … ``"heap_5"``.
    blocks : tuple of Found
        Every block in address order.
    damage : tuple of Damage
        Broken headers in address order, then what is wrong with the list and the counters; empty
        for a sound heap.
    free_size, largest_free_block, free_block_count : int
        Over the free blocks whose headers are whole.
    largest_request : int
        The largest request that would succeed, 0 if none would; with a damaged list, as far as
        the list leads.
    external_fragmentation : float
        ``1 - largest_free_block / free_size``; 0 when nothing is free.
    heap : Heap or None
        The heap as far as it could be rebuilt: sound when `damage` is empty, else a best guess
        whose ``check()`` raises; None where no heap could be so.
    taken, reconstructed : tuple of str
        Which parts of the state outside the arena were given, and which derived from the blocks.
    notes : tuple of str
        What else a reader should know.
    """

    kind: str
    regions: tuple[tuple[int, int], ...]
    blocks: tuple[Found, ...]
    damage: tuple[Damage, ...]
    largest_request: int
    heap: Heap | None
    canary: int
    taken: tuple[str, ...] = ()
    reconstructed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    former_owner: Mapping[int, Owner] = field(default_factory=dict)

    @property
    def free_size(self) -> int:
        """Bytes of the free blocks, headers included."""
        return sum(block.size for block in self._free())

    @property
    def largest_free_block(self) -> int:
        """Bytes of the largest free block."""
        return max((block.size for block in self._free()), default=0)

    @property
    def free_block_count(self) -> int:
        """Number of free blocks."""
        return len(self._free())

    @property
    def external_fragmentation(self) -> float:
        """``1 - largest_free_block / free_size``."""
        return 1 - self.largest_free_block / self.free_size if self.free_size else 0.0

    def _free(self) -> list[Found]:
        return [block for block in self.blocks if not block.allocated and not block.broken]

    def block_at(self, address: int) -> Found | None:
        """The block whose header is at an address, or that holds the byte there."""
        for block in self.blocks:
            if block.address <= address < block.address + block.size:
                return block
        return None

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The report in words: numbers, damage, blocks."""
        where = ", ".join(f"{size:,} bytes at {base:#010x}" for base, size in self.regions)
        live = sum(block.allocated for block in self.blocks)
        out = [
            f"{self.kind}, {where}",
            f"  allocated       {live} blocks, "
            f"{sum(b.size for b in self.blocks if b.allocated):,} bytes",
            f"  free            {self.free_block_count} blocks, {self.free_size:,} bytes, "
            f"largest {self.largest_free_block:,}",
            f"  fragmentation   {self.external_fragmentation:.1%} external",
            f"  largest request {self.largest_request:,} bytes",
        ]
        if self.canary:
            out.append(f"  heap protector  canary {self.canary:#x}")
        if self.taken:
            out.append(f"  from the image  {', '.join(self.taken)}")
        if self.reconstructed:
            out.append(f"  reconstructed   {', '.join(self.reconstructed)}")
        out += [f"  note: {note}" for note in self.notes]
        out.append("damage: none" if not self.damage else "damage:")
        for damage in self.damage:
            out.append(f"  {damage.message}")
            owner = self.owner_of(damage)
            if owner is not None:
                out.append(f"    that block is {_whose(owner)}")
            if damage.shown:
                out.append(f"    {damage.shown.hex(' ')}  {_text(damage.shown)}")
        out.append("blocks:")
        out += [f"  {_line(block)}" for block in self.blocks]
        return out

    def owner_of(self, damage: Damage) -> Owner | None:
        """Whose the culprit of a damage is, or was before it was freed."""
        if damage.culprit is None:
            return None
        block = self.block_at(damage.culprit)
        if block is not None and block.owner is not None:
            return block.owner
        return self.former_owner.get(damage.culprit)

    def to_dict(self) -> dict[str, Any]:
        """The report for machines: plain values, bytes as hexadecimal."""
        return {
            "kind": self.kind,
            "regions": [{"address": base, "size": size} for base, size in self.regions],
            "free_size": self.free_size,
            "largest_free_block": self.largest_free_block,
            "free_block_count": self.free_block_count,
            "external_fragmentation": self.external_fragmentation,
            "largest_request": self.largest_request,
            "canary": self.canary,
            "taken": list(self.taken),
            "reconstructed": list(self.reconstructed),
            "notes": list(self.notes),
            "damage": [_damage_dict(damage, self.owner_of(damage)) for damage in self.damage],
            "blocks": [_block_dict(block) for block in self.blocks],
        }


def inspect(
    memory: Any,
    heap: HeapKind = "heap_4",
    *,
    base_address: SupportsIndex = 0x2000_0000,
    word_size: SupportsIndex = 4,
    alignment: SupportsIndex = 8,
    canary: SupportsIndex | None = None,
    state: ImageState | None = None,
    trace: Trace | None = None,
) -> Report:
    """Look at the bytes of an arena, whole or damaged.

    Parameters
    ----------
    memory : bytes-like, or for heap_5 a sequence of (address, bytes-like)
        The arena.
    heap : type or str
        The kind of heap.
    base_address, word_size, alignment, canary, state
        As for :func:`rtosheap.image.from_image`.
    trace : Trace, optional
        A trace of the same run, up to the moment of the dump: blocks get names.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If the memory has no room for such a heap, or an argument is none of what there is.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> heap = Heap4(256)
    >>> p, q = heap.malloc(24), heap.malloc(24)
    >>> heap.view(p)[:] = b"a" * 24
    >>> heap.memory[32:38] = b"aaaaaa"           # p overflows by 6 bytes
    >>> report = inspect(heap.memory)
    >>> damage = report.damage[0]
    >>> hex(damage.culprit), damage.how, damage.past
    ('0x20000000', 'overflow', 6)
    """
    cls = heap_class(heap)
    word, align = operator.index(word_size), operator.index(alignment)
    state = state or ImageState()
    if canary is not None:
        state = with_canary(state, operator.index(canary))
    regions = regions_of(cls.kind, memory, operator.index(base_address))
    draft = (
        _without_headers(cls.kind, regions, word, align, state)
        if cls.kind in (1, 3)
        else _with_headers(cls.kind, regions, word, align, state)
    )
    return draft if trace is None else _named(draft, trace)


def _with_headers(
    kind: int, regions: list[tuple[int, bytes]], word: int, align: int, state: ImageState
) -> Report:
    geometry = geometry_of(kind, regions, word, align, state)
    parsed = parse([span_of(base, data, geometry) for base, data in regions], geometry)
    chain = FreeChain(parsed, geometry, state)
    damage = _damage.find(parsed, geometry, chain, state)
    hurt = {item.address for item in damage if item.kind in ("header", "link", "end marker")}
    blocks = []
    for region in parsed:
        for block in region.blocks:
            allocated = block.allocated
            if block.broken:
                allocated = not any(link == block.address for link in chain.free.values())
            payload = block.address + geometry.header
            broken = block.broken or block.address in hurt
            blocks.append(Found(block.address, payload, block.size, allocated, broken))
    by_address = {block.address: block for block in blocks}
    reachable = [by_address[entry].size for entry in chain.order if entry in by_address]
    largest = max((down(size - geometry.header, align) for size in reachable), default=0)
    triples = [(b.address, b.size, b.allocated) for b in blocks]
    order = chain.order if not damage else _repaired(kind, blocks)
    free = sum(size for _, size, allocated in triples if not allocated)
    extra = geometry.canary or (chain.end_marker or 0 if kind == 2 else 0)
    live = sum(b.allocated for b in blocks)
    frees = state.frees or 0
    numbers = (
        free if state.minimum_ever_free is None else state.minimum_ever_free,
        live + frees if state.allocations is None else state.allocations,
        frees,
        0,
        0,
    )
    heap: Any = None
    try:
        heap = restored(
            CLASSES[f"heap_{kind}"], regions, word, align, False, bool(geometry.canary), extra,
            numbers, triples, order,
        )  # fmt: skip
    except (ValueError, HeapError):
        heap = None
    return Report(
        kind=f"heap_{kind}",
        regions=tuple((base, len(data)) for base, data in regions),
        blocks=tuple(blocks),
        damage=tuple(damage),
        largest_request=max(0, largest),
        heap=heap,
        canary=geometry.canary,
        taken=state.known(),
        reconstructed=_missing(state, ("head", "free_size", "minimum_ever_free", "allocations")),
    )


def _repaired(kind: int, blocks: list[Found]) -> list[int]:
    """A free list that a heap with these blocks could have."""
    free = [block for block in blocks if not block.allocated]
    if kind == 2:
        free.sort(key=lambda block: block.size)
    return [block.address for block in free]


def _without_headers(
    kind: int, regions: list[tuple[int, bytes]], word: int, align: int, state: ImageState
) -> Report:
    base, data = regions[0]
    damage: tuple[Damage, ...] = ()
    notes: tuple[str, ...] = ()
    try:
        triples, free_list, numbers = unheaded(kind, regions[0], align, state)
    except ValueError as error:
        triples, free_list, numbers = [], [], (0, 0, 0, 0, 0)
        damage = (Damage("header", 0, str(error)),)
    heap: Any = None
    if not damage:
        try:
            heap = restored(
                CLASSES[f"heap_{kind}"], regions, word, align, False, False, 0, numbers, triples,
                free_list,
            )  # fmt: skip
        except ValueError:
            damage = (Damage("header", base, "the chunks are none that malloc could have left"),)
    blocks = [
        Found(at, at if kind == 1 else up(at + 4, 8), size, allocated)
        for at, size, allocated in triples
    ]
    if kind == 1:
        notes = ("heap_1 keeps no headers: what it handed out is one block unless a trace tells",)
        used = triples[0][1] if triples else 0
        rest = len(data) - align - used
        largest = down(max(0, rest - 1), align)
        if rest > 0:
            blocks.append(Found(up(base, align) + used, up(base, align) + used, rest, False))
    else:
        rest = len(data) - numbers[4]
        free = [size for _, size, allocated in triples if not allocated]
        largest = max(0, max([*free, down(rest, 4)], default=0) - 8)
        if rest > 0:
            at = base + numbers[4]
            blocks.append(Found(at, up(at + 4, 8), rest, False))
        if state.head is None:
            notes = ("newlib's chunks do not say which are free: the list is a guess",)
    return Report(
        kind=f"heap_{kind}",
        regions=((base, len(data)),),
        blocks=tuple(blocks),
        damage=damage,
        largest_request=largest,
        heap=heap,
        canary=0,
        taken=state.known(),
        reconstructed=_missing(state, ("used",) if kind == 1 else ("head", "used")),
        notes=notes,
    )


def _missing(state: ImageState, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if getattr(state, name) is None)


def _named(report: Report, trace: Trace) -> Report:
    """The report with the owners that a trace tells."""
    fresh = None
    if trace.recorded_address is None:
        fresh = _fresh(report)
    live, spans = owners(trace, fresh)
    if report.kind == "heap_1" and live:
        used = [b for b in report.blocks if b.allocated]
        split = [
            Found(at, at, up(max(1, who.requested), 8), True, owner=who)
            for at, who in sorted(live.items())
        ]
        blocks = [*(split if used else ()), *(b for b in report.blocks if not b.allocated)]
    else:
        blocks = [
            Found(b.address, b.payload, b.size, b.allocated, b.broken,
                  live.get(b.payload) if b.allocated or b.broken else None)
            for b in report.blocks
        ]  # fmt: skip
    known = sum(block.owner is not None for block in blocks)
    total = sum(block.allocated for block in blocks)
    note = f"{known} of {total} allocated blocks are the trace's"
    past = {}
    for item in report.damage:
        if item.culprit is not None and item.how == "after free":
            who = former(trace, spans, item.address - 1)
            if who is not None:
                past[item.culprit] = who
    return Report(
        **{**vars(report), "blocks": tuple(blocks), "notes": (*report.notes, note),
           "former_owner": past}
    )  # fmt: skip


def _fresh(report: Report) -> Heap | None:
    """An empty heap of the report's layout."""
    if report.heap is None:
        return None
    heap = report.heap.copy()
    heap.reset()
    return heap


def _whose(owner: Owner) -> str:
    task = f"{owner.task}'s, " if owner.task else ""
    return f"{task}{owner.requested} bytes asked for by event {owner.event}, {owner.age} ago"


def _line(block: Found) -> str:
    what = "allocated" if block.allocated else "free"
    broken = " BROKEN HEADER" if block.broken else ""
    owner = f"  {_whose(block.owner)}" if block.owner else ""
    return f"{block.address:#010x} {block.size:8,} {what}{broken}{owner}"


def _text(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def _damage_dict(damage: Damage, owner: Owner | None) -> dict[str, Any]:
    values = dict(vars(damage))
    for name in ("found", "expected", "shown"):
        values[name] = values[name].hex()
    values["owner"] = owner._asdict() if owner else None
    return values


def _block_dict(block: Found) -> dict[str, Any]:
    values = dict(vars(block))
    values["owner"] = block.owner._asdict() if block.owner else None
    return values
