"""A device's arena looked at: every block, how fragmented it is, and what is broken.

Damage is a finding here, not an error: any bytes can be inspected.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, SupportsIndex

from rtosheap.heaps import ImageState
from rtosheap.heaps.free_list import FreeChain
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.reading import Reading, read
from rtosheap.heaps.releases import find_kernel
from rtosheap.heaps.toolchains import find_newlib
from rtosheap.inspection._depends import Draft, finished, rebuilt
from rtosheap.inspection._extent import doubted, may_end_at
from rtosheap.inspection._misread import Misreading, find_misreading
from rtosheap.inspection._origin import find_origin
from rtosheap.inspection._owners import former, owners
from rtosheap.inspection.damage import Damage, find_damage, right_header
from rtosheap.inspection.report import Found, Report
from rtosheap.kinds import FreertosClass, HeapKind, freertos_class, layout_of
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
    kernel: str | None = None,
    newlib: str | None = None,
    releases: Sequence[str] = (),
) -> Report:
    """Look at the bytes of an arena, whole or damaged, that any kernel from V8.2.3 on left.

    In what the kernels' arenas differ is decided by what fits, the newest first; ``kernels`` says
    which it is, and ``depends`` which conclusions would be others with another one that fits.
    Where the memory is no such heap, by the wrong kind, word, address or size, or of another kernel
    than the one that is named, the report says that alone, and what would fit.

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
    kernel : str, optional
        The release that it is known to be of, as for the classes: only its arenas count. By
        default every release that fits.
    newlib : str, optional
        heap_3: the newlib or the toolchain; by default the newest is taken.
    releases : sequence of str, optional
        Those that the firmware's symbols allow: ``releases`` of a :class:`rtosheap.device.Dump`.
        Where the arena is of none of them it is believed, and the report says so.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If the memory has no room for such a heap, or an argument is none of what there is.
    TypeError
        For a kernel of heap_3, which has a newlib, or a newlib of another heap.

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
    >>> fresh = bytes(Heap4(256).memory)
    >>> print(inspect(fresh).depends[0])
    largest request: 240 with V10.4.6 or earlier, V10.6.0 or later; 239 with V10.5.0 to V10.5.1
    >>> inspect(fresh, kernel="V10.5.1").largest_request
    239
    """
    cls = freertos_class(heap)
    layout = Layout.from_options(cls.kind, {"word_size": word_size, "alignment": alignment})
    layout.check_versions(kernel, newlib)
    behaviour = None if newlib is None else find_newlib(newlib)
    named = None if kernel is None else find_kernel(kernel).name
    told = [releases] if isinstance(releases, str) else releases
    told = [find_kernel(name).name for name in told]
    given = (state or ImageState()).canary if canary is None else operator.index(canary)
    origin = find_origin(
        partial(read, layout, memory, base_address, given, state), layout, named, told, given
    )
    reading = origin.reading
    if origin.foreign is not None:
        return _none(reading, origin.foreign, f"{layout.name} of {named}", origin.notes)
    misread = find_misreading(reading)
    if misread is not None:
        return _none(reading, misread, layout.name, origin.notes)
    drafts = [(_draft(cls, fit), names) for fit, names in origin.fitting]
    report = finished(cls, drafts, behaviour)
    notes = (*origin.notes, *report.notes)
    if named is not None:
        notes = (f"{named} was named: other kernels' arenas do not count", *notes)
    if behaviour is not None:
        alike = "" if newlib == behaviour else f", which behaves as {behaviour}"
        notes = (f"newlib {newlib} was named{alike}", *notes)
    report = replace(report, notes=notes, kernels=origin.kernels)
    return report if trace is None else _named(report, trace)


def _draft(cls: FreertosClass, reading: Reading) -> Draft:
    if reading.chain is None:
        return _without_headers(cls, reading)
    return _with_headers(reading, reading.chain)


def _none(reading: Reading, misread: Misreading, name: str, notes: tuple[str, ...]) -> Report:
    """The report on what is no such heap."""
    message = f"this is no {name}: {misread.why}"
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
        notes=notes,
        would_fit=misread.would_fit,
    )


def _with_headers(reading: Reading, chain: FreeChain) -> Draft:
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
            "is not known: what is free, and so the largest request, is a guess (the firmware's "
            "ELF would tell)"
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
    report = _report(
        reading,
        ("head", "free_size", "minimum_ever_free", "allocations"),
        notes=tuple(notes),
        blocks=tuple(blocks),
        damage=tuple(doubted(item, reading) for item in damage),
    )
    return Draft(report, seen, tuple(reachable))


def _report(reading: Reading, wanted: tuple[str, ...], **found: Any) -> Report:
    """A report with what every reading tells; of the `wanted` state some may not be known."""
    known = reading.state.known()
    return Report(
        kind=reading.layout.name,
        word_size=reading.layout.word,
        minimum_ever_free=reading.state.minimum_ever_free,
        regions=reading.spans,
        canary=reading.layout.canary,
        taken=known,
        largest_request=0,
        heap=None,
        reconstructed=tuple(name for name in wanted if name not in known),
        **found,
    )


def _repaired(layout: Layout, blocks: list[Found]) -> list[int]:
    """A free list that a heap with these blocks could have."""
    free = [block for block in blocks if not block.allocated]
    if layout.by_size:
        free.sort(key=lambda block: block.size)
    return [block.address for block in free]


def _without_headers(cls: FreertosClass, reading: Reading) -> Draft:
    layout, ((base, size),) = reading.layout, reading.spans
    damage: tuple[Damage, ...] = ()
    notes: tuple[str, ...] = ()
    if reading.fault:
        damage = (_of_chunks(reading),)
    else:
        if rebuilt(cls, reading) is None:
            damage = (Damage("header", base, "the chunks are none that malloc could have left"),)
        elif layout.is_newlib:
            damage = tuple(_before_payloads(reading))
        if not layout.frees and reading.unused[1] <= 0:
            said = f"{reading.state.used} bytes were handed out, it is said, of {size} in the arena"
            damage = (Damage("counter", 0, said),)
    unused = (*reading.unused, False)
    shown = [*reading.blocks, *([unused] if unused[1] > 0 else [])]
    free = [free for _, free, allocated in (*reading.blocks, unused) if not allocated]
    if layout.is_newlib and reading.blocks and not reading.blocks[-1][2]:
        grown = reading.blocks[-1][1] + reading.unused[1]  # the last chunk can grow
        free += [grown, grown - 8]  # newlib 4.2.0 asks for 8 bytes more
    hurt = reading.fault_at
    if not layout.frees:
        notes = (
            "heap_1 keeps no headers: no damage shows, and what it handed out is one block unless "
            "a trace tells",
        )
    else:
        notes = _of_newlib(reading)
    report = _report(
        reading,
        ("head", "used") if layout.frees else ("used",),
        blocks=tuple(
            Found(at, layout.payload(at), size, taken, bool(reading.fault) and at == hurt)
            for at, size, taken in shown
        ),
        damage=damage,
        notes=notes,
    )
    return Draft(report, reading, tuple(free))


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


def _before_payloads(reading: Reading) -> Iterator[Damage]:
    """heap_3's blocks whose payload does not follow the size: the word between leads free() back to
    the chunk. Where the free list is a guess, a link may stand there.
    """
    layout, ((base, data),) = reading.layout, reading.regions
    links = {0, *(at for at, _, _ in reading.blocks)} if reading.state.head is None else set()
    for at, _, allocated in reading.blocks:
        gap = layout.payload(at) - at - 4
        found = data[at + 4 - base : at + 4 + gap - base]
        right = (-gap).to_bytes(4, "little", signed=True)
        if not allocated or gap != 4 or found == right:
            continue
        if int.from_bytes(found, "little") in links:
            continue
        past = 4 - next(i for i in range(4) if found[i] != right[i])
        yield Damage(
            "header",
            at,
            f"the word before the payload of the chunk at {at:#010x} holds {found.hex(' ')}; "
            f"malloc leaves {right.hex(' ')} there, by which free finds the chunk",
            found,
            right,
            culprit=at,
            how="underflow",
            past=past,
            shown=data[at - base : at + 24 - base],
            suspicion=f"its own block was probably written {past} bytes before its start (or "
            "memalign gave the block, which leaves other words)",
        )


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
