"""From an arena's bytes to its blocks, whatever the bytes hold: heap_2, heap_4 and heap_5.

The blocks of an arena are a chain: each header's size leads to the next. Where headers were
overwritten there are many chains, and the one with the least damage is taken: a link that is not
what it must be costs 1, a header that leads nowhere costs 3 and is passed over to the next that
leads on. Working from the end backwards this is found in one pass, and since the links of a heap
in address order are known from what follows, each header's bytes are known too.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from rtosheap.heaps.layout import Layout

BROKEN = 3
_NEVER = 1 << 30


@dataclass(frozen=True)
class Span:
    """A region's bytes, and where in it blocks lie: ``[start, end)``."""

    base: int
    memory: bytes
    start: int
    end: int

    def word(self, address: int, size: int) -> int:
        """The word at an address."""
        at = address - self.base
        return int.from_bytes(self.memory[at : at + size], "little")


@dataclass
class Parsed:
    """A block as it was found: its header may hold something else than it should."""

    address: int
    size: int
    allocated: bool
    broken: bool  # the size found is no possible one; `size` leads to the next that is
    link: int  # as found, without the canary
    links: tuple[int, ...]  # what it may be while the block is free; empty: any entry may follow
    adjoins: bool = False  # a free block right before another one
    wrong_link: bool = False  # the link is not what it must be, as far as the block alone tells


@dataclass
class ParsedRegion:
    """A region's blocks in address order, and its end marker's link and size as found."""

    span: Span
    blocks: list[Parsed] = field(default_factory=list)
    marker: tuple[int, int] | None = None
    marker_links: tuple[int, ...] = ()

    def wrong_marker(self, listed: Container[int], last: bool) -> bool:
        """Whether the end marker is none; an inner one that was absorbed holds what it held then,
        and is not listed any more.
        """
        if self.marker is None or not (last or self.span.end in listed):
            return False
        link, size = self.marker
        return size != 0 or link not in self.marker_links


def span_of(base: int, memory: bytes, layout: Layout) -> Span:
    """Where blocks lie in a region.

    Raises
    ------
    ValueError
        If there is no room for a block.
    """
    start, end = layout.start(base), layout.end(base, len(memory))
    empty = layout.has_regions and end == start  # a region with a marker alone
    if end - start < layout.header and not empty:
        raise ValueError(
            f"memory has {len(memory)} bytes at {base:#x}; {layout.name} needs room for "
            f"a block's header of {layout.header} bytes besides its own"
        )
    return Span(base, memory, start, end)


def walk(span: Span, layout: Layout) -> list[tuple[int, int, int, bool]]:
    """The blocks from the first on as far as the sizes alone lead: address, link as it is stored,
    size, and whether the size's top bit is set.
    """
    found, at, word = [], span.start, layout.word
    while span.end - at >= layout.header:
        size = span.word(at + word, word)
        marked, size = size >= layout.top_bit, size & (layout.top_bit - 1)
        if not layout.header <= size <= span.end - at:
            break
        found.append((at, span.word(at, word), size, marked))
        at += size
    return found


def parse(spans: list[Span], layout: Layout) -> list[ParsedRegion]:
    """The least damaged reading of every region."""
    regions: list[ParsedRegion] = []
    after: tuple[int, ...] = (0,)
    for index in range(len(spans) - 1, -1, -1):
        span, last = spans[index], index == len(spans) - 1
        region = ParsedRegion(span)
        if not layout.by_address:
            follow: tuple[int, ...] = ()
        else:
            link = span.word(span.end, layout.word) ^ layout.canary
            region.marker = (link, span.word(span.end + layout.word, layout.word))
            region.marker_links = after
            # An inner marker leaves the list once a free block before it absorbed it.
            follow = (span.end,) if last else (span.end, *after)
        after = _parse_region(region, layout, follow)
        regions.insert(0, region)
    return regions


def _parse_region(region: ParsedRegion, layout: Layout, follow: tuple[int, ...]) -> tuple[int, ...]:
    """Fill in the region's blocks; what the entry before the region may link to."""
    span, step, canary = region.span, layout.alignment, layout.canary
    count = -(-(span.end - span.start) // step)
    links, sizes = _headers(span, layout, count)
    least = layout.header // step
    cost, reach = [0] * (count + 1), [0] * (count + 1)
    broken, free = bytearray(count + 1), bytearray(count + 1)
    nexts: list[tuple[int, ...]] = [follow] * (count + 1)
    best = [count] * (count + 2)  # the nearest of the cheapest from here on
    room, top, listed = span.end - span.start, layout.top_bit, layout.by_address
    marked, live_link = layout.variant.marked, layout.live_link
    for i in range(count - 1, -1, -1):
        if room - i * step < layout.header:  # heap_2's end need not be aligned
            cost[i] = _NEVER
            continue
        size, link = sizes[i], links[i] ^ canary
        allocated = marked and size >= top
        size -= top if allocated else 0
        price, j = _NEVER, 0
        fits = size % step == 0 or (not listed and i * step + size == room)
        if fits and layout.header <= size <= room - i * step:
            j = -(-(i * step + size) // step)
            price = cost[j]
            if allocated:
                price += link != live_link
            elif listed:
                price += (link not in nexts[j]) + free[j]
            else:
                price += link % layout.word != 0 or (span.start <= link < span.end and link % step)
        jump = best[min(i + least, count)]
        leap = BROKEN + cost[jump]
        # Where both are as cheap the size is believed: a damaged one is hardly ever possible, and
        # what looks like a header inside a block is one that was, before blocks were merged. But
        # those have no allocated mark, and hardly one spans a place, right behind it, of a header.
        spanned = j and broken[j] and jump < j < reach[jump] and not broken[jump]
        if leap < price or (
            spanned and leap == price and (j - jump <= least or sizes[jump] >= top)
        ):
            price, j, broken[i] = leap, jump, 1
        cost[i], reach[i] = price, j
        free[i] = not broken[i] and not allocated
        nexts[i] = nexts[j]
        if listed and (free[i] or broken[i]):  # a broken one may be free, and be linked to
            nexts[i] = (span.start + i * step, *(nexts[j] if broken[i] else ()))
        best[i] = i if price <= cost[best[i + 1]] else best[i + 1]
    i = 0
    while i < count:
        j = reach[i]
        address = span.start + i * step
        end = span.end if j == count else span.start + j * step
        live, link = marked and sizes[i] >= top, links[i] ^ canary
        block = Parsed(address, end - address, live, bool(broken[i]), link, nexts[j])
        if not block.broken:
            wrong = link not in nexts[j] if listed else not marked and link % layout.word != 0
            block.wrong_link = link != live_link if live else wrong
            block.adjoins = listed and not live and bool(free[j])
        region.blocks.append(block)
        i = j
    return nexts[0]


def _headers(span: Span, layout: Layout, count: int) -> tuple[list[int], list[int]]:
    """The link and the size that stand at each place where a header may be."""
    word, step = layout.word, layout.alignment
    at = span.start - span.base
    data = span.memory[at : at + count * step + 2 * word]
    data += bytes(count * step + 2 * word - len(data))
    words = np.frombuffer(data, dtype=f"<u{word}")
    per = step // word
    links = words[: count * per : per].tolist()
    sizes = words[1 : count * per + 1 : per].tolist()
    return links, sizes
