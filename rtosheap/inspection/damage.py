"""What is wrong with an arena: each broken header, what it holds, and who probably wrote it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtosheap.heaps import ImageState
from rtosheap.heaps.free_list import FreeChain
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.parse import Parsed, ParsedRegion
from rtosheap.tables import record_text

_SHOWN = 16


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        ``"header"`` (a size that leads to no other header), ``"link"``, ``"end marker"``,
        ``"not coalesced"``, ``"cycle"``, ``"lost"`` (free blocks that the list does not reach),
        ``"order"`` (heap_2's list), ``"head"`` (of the list), ``"counter"``, or ``"no such heap"``:
        the memory is not that of such a heap at such an address.
    address : int
        Of the header concerned; 0 for what lies outside the arena.
    found, expected : bytes
        The header's link and size as they are, and as they should be where that is known.
    culprit : int or None
        Header's address of the block that probably did it.
    how : str
        ``"overflow"``: the culprit was written past its end; ``"underflow"``: before its start;
        ``"after free"``: past the end of a block that is free; ``""``: not known.
    past : int
        Bytes by which, at the least.
    shown : bytes
        What lies before the header, and the header; of an underflow the header and what follows.
    message : str
        In words what is certain: what is there, and what its neighbours say should be.
    suspicion : str
        In words what is guessed: who wrote it; ``""`` where nothing points to anybody.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.inspection import inspect
    >>> heap = Heap4(256)
    >>> p, q = heap.malloc(24), heap.malloc(24)
    >>> heap.memory[32:36] = b"over"  # 4 bytes past the end of p's block
    >>> damage = inspect(heap.memory).damage[0]
    >>> damage.kind, hex(damage.address), damage.found.hex(" "), damage.expected.hex(" ")
    ('link', '0x20000020', '6f 76 65 72 20 00 00 80', '00 00 00 00 20 00 00 80')
    >>> print(damage.suspicion)
    the block at 0x20000000 before it was probably written 4 bytes past its end
    """

    kind: str
    address: int
    message: str
    found: bytes = b""
    expected: bytes = b""
    culprit: int | None = None
    how: str = ""
    past: int = 0
    shown: bytes = b""
    suspicion: str = ""

    def __repr__(self) -> str:
        return record_text(self, addresses=("address", "culprit"))


def find_damage(
    regions: list[ParsedRegion], layout: Layout, chain: FreeChain, state: ImageState
) -> list[Damage]:
    """All damage: broken headers in address order, then the list's, then the counters'."""
    out: list[Damage] = []
    entries = {b.address for region in regions for b in region.blocks if not b.broken}
    for region in regions:
        ahead = [None, *region.blocks]  # of each block the one before it, and that of the marker
        found = [
            _of_block(region, block, before, layout, chain, entries)
            for before, block in zip(ahead, region.blocks, strict=False)
        ]
        found.append(_of_marker(region, ahead[-1], layout, chain, region is regions[-1]))
        out += [damage for damage in found if damage is not None]
    return out + _of_list(chain, out) + _of_counters(regions, state)


def _of_block(
    region: ParsedRegion,
    block: Parsed,
    before: Parsed | None,
    layout: Layout,
    chain: FreeChain,
    entries: set[int],
) -> Damage | None:
    bad_link = block.wrong_link
    if layout.by_size and not block.allocated and not block.broken:
        may = block.link in chain.free or block.link in chain.broken
        bad_link = block.link != chain.end_marker and not may
    if not (block.broken or bad_link or block.adjoins):
        return None
    found = _bytes(region, block.address, 2 * layout.word)
    allocated, expected = right_header(region, block, layout, chain)
    if block.adjoins and not block.broken and not bad_link:
        where = f"the block at {block.address:#010x}"
        message = f"{where} is free and so is the block after it; they were not coalesced"
        return Damage("not coalesced", block.address, message, found, expected)
    kind = "header" if block.broken else "link"
    what = _disagreement(region, block, layout, found, expected)
    head = f"the header at {block.address:#010x} holds {found.hex(' ')}: {what}"
    damage = Damage(kind, block.address, head, found, expected)
    one_byte = found[0] == 0 and found[1:] == expected[1:]
    if kind == "link" and not allocated and block.link in entries and not one_byte:
        return damage
    return _blamed(damage, region, block, before, layout)


def right_header(
    region: ParsedRegion, block: Parsed, layout: Layout, chain: FreeChain
) -> tuple[bool, bytes]:
    """Whether a block is allocated, and what its header should be, as far as neighbours tell."""
    allocated, link = block.allocated, block.link
    if block.broken:
        later = link in (*chain.free, *chain.broken, region.span.end) and link > block.address
        intact = layout.by_address and not allocated and later  # its size alone was changed
        allocated = not intact and block.address not in (*chain.free, *chain.free.values())
        link = link if intact else _right_link(block, chain)
    else:
        link = _right_link(block, chain)
    if allocated and layout.live_link is not None:
        link = layout.live_link
    elif allocated:  # any entry's address may stand there, or none
        span = region.span
        entry = span.start <= block.link < span.end and block.link % layout.alignment == 0
        link = block.link if entry or block.link == chain.end_marker else 0
    size = layout.live_size(block.size) if allocated else block.size
    words = (link ^ layout.canary, size)
    return allocated, b"".join(word.to_bytes(layout.word, "little") for word in words)


def _disagreement(
    region: ParsedRegion, block: Parsed, layout: Layout, found: bytes, expected: bytes
) -> str:
    """What is certain: which word is not what the block's neighbours say, and what they say."""
    word = layout.word
    if not block.broken:
        if block.allocated and layout.live_link is not None:
            should = f"{expected[:word].hex(' ')}, as that of an allocated block"
        elif layout.by_address:
            should = f"{block.links[0]:#010x}, the next free block"
        else:
            should = "another free block, or the end marker"
        return f"the link leads to {block.link:#010x}; it should be {should}"
    size = int.from_bytes(found[word:], "little")
    if layout.variant.marked:
        size &= layout.top_bit - 1
    leads, after = block.address + size, block.address + block.size
    if size < layout.header:
        says = f"the size {size} is less than a header's"
    elif leads > region.span.end:
        says = f"the size {size:,} leads {leads - region.span.end:,} bytes past the last block"
    else:
        says = f"the size {size:,} leads to {leads:#010x}"
    next_one = "the last block ends" if after == region.span.end else "the next header that fits is"
    return (
        f"{says}, but {next_one} at {after:#010x}, {block.size:,} bytes on: the chain of headers "
        f"is broken between {block.address:#010x} and {after:#010x}"
    )


def _right_link(block: Parsed, chain: FreeChain) -> int:
    """What the link of a free block should be; in heap_2's list what no other entry links to."""
    if block.links:
        return block.links[0]
    rest = {*chain.free, *chain.broken} - {block.address}
    if block.link in rest or block.link == chain.end_marker:
        return block.link
    linked = {link for entry, link in chain.free.items() if entry != block.address}
    return next((entry for entry in chain.lost if entry not in linked), chain.end_marker or 0)


def _of_marker(
    region: ParsedRegion, before: Parsed | None, layout: Layout, chain: FreeChain, last: bool
) -> Damage | None:
    if not region.wrong_marker(chain.order, last):
        return None
    word = layout.word
    found = _bytes(region, region.span.end, 2 * word)
    right = (region.marker_links[0] ^ layout.canary).to_bytes(word, "little") + bytes(word)
    head = (
        f"the end marker at {region.span.end:#010x} holds {found.hex(' ')}; it should hold "
        f"{right.hex(' ')}"
    )
    damage = Damage("end marker", region.span.end, head, found, right)
    return _blamed(damage, region, None, before, layout)


def _blamed(
    damage: Damage,
    region: ParsedRegion,
    block: Parsed | None,
    before: Parsed | None,
    layout: Layout,
) -> Damage:
    """The damage with the block that is suspected of having written over the header."""
    address, found = damage.address, damage.found
    word = layout.word
    changed = [i for i in range(2 * word) if found[i] != damage.expected[i]]
    first, last = (changed[0], changed[-1]) if changed else (0, 0)
    tail = _bytes(
        region, max(region.span.base, address - _SHOWN), min(_SHOWN, address - region.span.base)
    )
    if block is not None and first >= word and not _zeros_run_through(found, tail):
        # What ran up to here changed the link first, and what ran down the size's last byte.
        if last < 2 * word - 1 or not (block.broken or block.allocated):
            text = (
                "nobody in particular: the size changed and the link before it did not, as by a "
                "stray write, or an overflow with the link's own bytes"
            )
            return replace(damage, suspicion=text, shown=tail + _bytes(region, address, 2 * word))
        past = layout.header - first
        shown = _bytes(region, address, layout.header + _SHOWN)
        text = f"its own block was probably written {past} bytes before its start"
        return replace(
            damage, suspicion=text, culprit=address, how="underflow", past=past, shown=shown
        )
    past = last + 1
    shown = tail + _bytes(region, address, max(2 * word, past))
    if before is None:
        text = f"what lies below the arena was probably written {past} bytes too far"
        return replace(damage, suspicion=text, how="overflow", past=past, shown=shown)
    how = "overflow" if before.allocated else "after free"
    who = "" if before.allocated else ", which is free (written through a stale pointer)"
    more = "at least " if past == 2 * word else ""
    text = (
        f"the block at {before.address:#010x} before it{who} was probably written "
        f"{more}{past} byte{'s' if past != 1 else ''} past its end"
    )
    return replace(damage, suspicion=text, culprit=before.address, how=how, past=past, shown=shown)


def _zeros_run_through(found: bytes, tail: bytes) -> bool:
    """Whether zeros could have passed over the link without a change to it."""
    return not any(found) and (not tail or tail[-1] == 0)


def _of_list(chain: FreeChain, known: list[Damage]) -> list[Damage]:
    out = []
    told = {damage.address for damage in known}
    if chain.cycle_at is not None:
        at = f"at {chain.cycle_at:#010x}" if chain.cycle_at else "at its head"
        out.append(Damage("cycle", chain.cycle_at, f"the free list is a cycle: it turns back {at}"))
    if chain.astray_at is not None and chain.astray_at not in told:
        if chain.astray_at == 0:
            out.append(Damage("head", 0, "the free list's head leads to no free block"))
        else:
            message = f"the free block at {chain.astray_at:#010x} links to no free block"
            out.append(Damage("link", chain.astray_at, message))
    if chain.lost:
        where = ", ".join(f"{address:#010x}" for address in chain.lost[:4])
        where += ", …" if len(chain.lost) > 4 else ""
        message = f"{len(chain.lost)} free block(s) that the free list does not reach: {where}"
        out.append(Damage("lost", chain.lost[0], message))
    out += [
        Damage("order", address, f"the free block at {address:#010x} is out of the list's order")
        for address in chain.unordered
    ]
    return out


def _of_counters(regions: list[ParsedRegion], state: ImageState) -> list[Damage]:
    blocks = [block for region in regions for block in region.blocks]
    free = sum(block.size for block in blocks if not block.allocated and not block.broken)
    if state.free_size is None or state.free_size == free or any(b.broken for b in blocks):
        return []
    message = f"the free blocks hold {free} bytes, the heap's counter says {state.free_size}"
    return [Damage("counter", 0, message)]


def _bytes(region: ParsedRegion, address: int, count: int) -> bytes:
    at = address - region.span.base
    return region.span.memory[at : at + count]


Damage.__module__ = "rtosheap.inspection"  # where users import it from
