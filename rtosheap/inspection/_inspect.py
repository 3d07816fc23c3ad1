"""A device's arena looked at: every block, how fragmented it is, and what is broken.

Damage is a finding here, not an error: any bytes can be inspected.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, SupportsIndex

from rtosheap.heaps import HeapError, ImageState
from rtosheap.heaps.free_list import FreeChain
from rtosheap.heaps.image import restored
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.reading import Reading, read
from rtosheap.inspection._extent import doubted, may_end_at
from rtosheap.inspection._misread import Misreading, find_misreading
from rtosheap.inspection._owners import former, owners
from rtosheap.inspection.damage import Damage, find_damage, right_header
from rtosheap.inspection.report import Found, Report
from rtosheap.kinds import HeapClass, HeapKind, heap_class, layout_of
from rtosheap.traces import Trace


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
    """Look at the bytes of an arena, whole or damaged, that any kernel from V8.2.3 on left.

    In what the kernels' arenas differ is decided by what fits, the newest first; ``kernels`` says
    which it is. Where the memory is no such heap, by the wrong kind, word, address or size, the
    report says that alone, and what would fit.

    Parameters
    ----------
    memory : bytes-like, or for heap_5 a sequence of (address, bytes-like)
        The arena.
    heap : type or str
        The kind of heap.
    base_address, word_size, alignment, canary, state
        As for :func:`rtosheap.heaps.from_image`.
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
    layout = Layout.from_options(cls.kind, {"word_size": word_size, "alignment": alignment})
    reading = read(layout, memory, base_address, canary, state)
    misread = find_misreading(reading)
    if misread is not None:
        return _none(reading, misread)
    if reading.chain is None:
        draft = _without_headers(cls, reading)
    else:
        draft = _with_headers(cls, reading, reading.chain)
    return draft if trace is None else _named(draft, trace)


def _none(reading: Reading, misread: Misreading) -> Report:
    """The report on what is no such heap."""
    message = f"this is no {reading.layout.name}: {misread.why}"
    if misread.would_fit:
        message += f"; what would fit: {', or '.join(misread.would_fit)}"
    damage = Damage("no such heap", reading.spans[0][0], message)
    return Report(
        kind=reading.layout.name,
        regions=reading.spans,
        blocks=(),
        damage=(damage,),
        largest_request=0,
        heap=None,
        canary=0,
        taken=reading.state.known(),
        would_fit=misread.would_fit,
    )


def _with_headers(cls: HeapClass, reading: Reading, chain: FreeChain) -> Report:
    layout, parsed = reading.layout, reading.parsed
    damage = find_damage(parsed, layout, chain, reading.state)
    hurt = {item.address for item in damage if item.kind in ("header", "link", "end marker")}
    blocks = []
    for region in parsed:
        for block in region.blocks:
            allocated = block.allocated
            if block.broken:
                allocated, _ = right_header(region, block, layout, chain)
            payload = layout.payload(block.address)
            broken = block.broken or block.address in hurt
            blocks.append(Found(block.address, payload, block.size, allocated, broken))
    sizes = {block.address: block.size for block in blocks}
    reachable = [sizes[entry] for entry in chain.order if entry in sizes]
    seen = reading.with_blocks(
        [(b.address, b.size, b.allocated) for b in blocks],
        chain.order if not damage else _repaired(layout, blocks),
    )
    notes: list[str] = []
    if not layout.variant.marked and reading.state.head is None:
        notes.append(
            "headers of this kernel do not say what is allocated, and where the free list begins "
            "is not known: what is free is a guess (the firmware's ELF would tell)"
        )
    ends = may_end_at(reading) if damage else None
    if ends is not None:
        notes.append(f"its first {ends:,} bytes are a sound {layout.name} by themselves")
    if len(chain.order) < (1 if layout.by_address else 2) and reading.state.head is None:
        notes.append("no link leads into the arena: whether its address is right, nothing tells")
    if layout.by_size and not reading.state.known():
        notes.append(
            "heap_2 has no end marker in its arena: whether its size is right, nothing tells"
        )
    return _report(
        reading,
        ("head", "free_size", "minimum_ever_free", "allocations"),
        notes=tuple(notes),
        blocks=tuple(blocks),
        damage=tuple(doubted(item, reading) for item in damage),
        largest_request=max(map(layout.largest_request, reachable), default=0),
        heap=_rebuilt(cls, seen),
    )


def _report(reading: Reading, wanted: tuple[str, ...], **found: Any) -> Report:
    """A report with what every reading tells; of the `wanted` state some may not be known."""
    known = reading.state.known()
    return Report(
        kind=reading.layout.name,
        regions=reading.spans,
        canary=reading.layout.canary,
        taken=known,
        kernels=() if reading.layout.is_newlib else tuple(map(str, reading.fitting)),
        reconstructed=tuple(name for name in wanted if name not in known),
        **found,
    )


def _rebuilt(cls: HeapClass, reading: Reading) -> Any:
    """The heap, if one could be so."""
    try:
        return restored(cls, reading)
    except (ValueError, HeapError):
        return None


def _repaired(layout: Layout, blocks: list[Found]) -> list[int]:
    """A free list that a heap with these blocks could have."""
    free = [block for block in blocks if not block.allocated]
    if layout.by_size:
        free.sort(key=lambda block: block.size)
    return [block.address for block in free]


def _without_headers(cls: HeapClass, reading: Reading) -> Report:
    layout, ((base, size),) = reading.layout, reading.spans
    damage: tuple[Damage, ...] = ()
    notes: tuple[str, ...] = ()
    heap: Any = None
    if reading.fault:
        damage = (_of_chunks(reading),)
    else:
        heap = _rebuilt(cls, reading)
        if heap is None:
            damage = (Damage("header", base, "the chunks are none that malloc could have left"),)
        if not layout.frees and reading.unused[1] <= 0:
            said = f"{reading.state.used} bytes were handed out, it is said, of {size} in the arena"
            damage = (Damage("counter", 0, said),)
    unused = (*reading.unused, False)
    shown = [*reading.blocks, *([unused] if unused[1] > 0 else [])]
    free = [free for _, free, allocated in (*reading.blocks, unused) if not allocated]
    if layout.is_newlib and reading.blocks and not reading.blocks[-1][2]:
        free.append(reading.blocks[-1][1] + reading.unused[1])  # the last chunk can grow
    hurt = reading.fault_at
    if not layout.frees:
        notes = (
            "heap_1 keeps no headers: no damage shows, and what it handed out is one block unless "
            "a trace tells",
        )
    else:
        notes = _of_newlib(reading)
    return _report(
        reading,
        ("head", "used") if layout.frees else ("used",),
        blocks=tuple(
            Found(at, layout.payload(at), size, taken, bool(reading.fault) and at == hurt)
            for at, size, taken in shown
        ),
        damage=damage,
        largest_request=max(map(layout.largest_request, free)),
        heap=heap,
        notes=notes,
    )


def _of_chunks(reading: Reading) -> Damage:
    """heap_3's damage. Which of two words is wrong, one that leads nowhere or the one that led to
    it, nothing tells.
    """
    at = reading.fault_at
    if not at:
        return Damage("head", 0, reading.fault)
    ((base, data),) = reading.regions
    found = data[at - base : at - base + 4]
    shown = data[max(0, at - base - 16) : at - base + 4]
    before = [address for address, _, _ in reading.blocks if address < at]
    suspicion = ""
    if before:
        suspicion = (
            f"the chunk at {before[-1]:#010x} before it was written past its end, or the size of "
            "that one changed"
        )
    return Damage("header", at, reading.fault, found, shown=shown, suspicion=suspicion)


def _of_newlib(reading: Reading) -> tuple[str, ...]:
    """What heap_3's bytes do not tell."""
    notes = []
    if reading.state.head is None:
        notes.append("newlib's chunks do not say which are free: the list is a guess")
    ((base, data),) = reading.regions
    reached = reading.numbers.reached
    if reading.state.used is None and any(data[reached:]):
        notes.append(
            f"from {base + reached:#010x} on no size leads anywhere, but not all is 0: memory that "
            "was never handed out, or blocks behind a damaged one (the firmware's ELF would tell)"
        )
    return tuple(notes)


def _named(report: Report, trace: Trace) -> Report:
    """The report with the owners that a trace tells."""
    fresh = None
    if trace.recorded_address is None and report.heap is not None:
        fresh = report.heap.copy()
        fresh.reset()
    live, spans = owners(trace, fresh)
    layout = layout_of(report.kind)
    if not layout.frees and live:
        used = [b for b in report.blocks if b.allocated]
        split = [
            Found(at, at, layout.block_size(max(1, who.requested)), True, owner=who)
            for at, who in sorted(live.items())
        ]
        blocks = [*(split if used else ()), *(b for b in report.blocks if not b.allocated)]
    else:
        blocks = [
            replace(b, owner=live.get(b.payload) if b.allocated or b.broken else None)
            for b in report.blocks
        ]
    known = sum(block.owner is not None for block in blocks)
    total = sum(block.allocated for block in blocks)
    note = f"{known} of {total} allocated blocks are the trace's"
    past = {}
    for item in report.damage:
        if item.culprit is not None and item.how == "after free":
            who = former(trace, spans, item.address - 1)
            if who is not None:
                past[item.culprit] = who
    notes = (*report.notes, note)
    return replace(report, blocks=tuple(blocks), notes=notes, former_owner=past)
