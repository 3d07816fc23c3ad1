"""Whether a heap has more or fewer bytes than the memory, or lies somewhere in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rtosheap.heaps.layout import Layout
from rtosheap.heaps.parse import ParsedRegion, walk
from rtosheap.heaps.reading import Reading, read
from rtosheap.inspection.damage import Damage

_FAR = 64  # bytes past the end by which a size tells of a larger arena, and is not just damaged
_MOST = 64  # times as large as the memory an arena may be

_Blocks = list[tuple[int, int, int, bool]]


def elsewhere(reading: Reading) -> Iterator[str]:
    """What the memory would be with other bounds, in words."""
    if len(reading.regions) > 1:
        return
    layout, name = reading.layout, reading.layout.name
    blocks = walk(reading.parsed[0].span, layout)
    large = _too_large(reading, blocks)
    small = _too_small(reading, blocks) if large is None else None
    base = reading.regions[0][0]
    if large is not None:
        size, likely = large
        if likely:
            yield f"{name} in {size:,} bytes at {base:#010x}"
    elif small is not None:
        size, exact = small
        yield f"{name} in {size:,} bytes{'' if exact else ' or more'} at {base:#010x}"
    elif layout.by_address:
        within = _within(reading)
        if within is not None:
            at, size = within
            yield f"{name} in {size:,} bytes at {at:#010x}"


def _follows(layout: Layout, blocks: _Blocks, end: int, canary: int) -> bool:
    """heap_4: whether the links of these blocks are those of a list that ends in a marker there."""
    following = end
    for address, link, _, live in reversed(blocks):
        if link not in (0, canary) if live else link ^ canary != following:
            return False
        following = following if live else address
    return True


def may_end_at(reading: Reading) -> int | None:
    """Bytes of the heap that the memory begins with, if that is sound by itself; but it may as well
    be damaged.
    """
    if len(reading.regions) > 1 or not reading.parsed:
        return None
    found = _too_large(reading, walk(reading.parsed[0].span, reading.layout))
    return None if found is None else found[0]


def doubted(damage: Damage, reading: Reading) -> Damage:
    """The damage; where the heap's size may not be what was said, its suspicion says so too."""
    if not damage.suspicion or reading.state.known():
        return damage
    region = next(
        region for region in reading.parsed
        if region.span.base <= damage.address <= region.span.end
    )  # fmt: skip
    other = _other_size(damage, region, reading.layout)
    if not other:
        return damage
    said = (
        f"; or nobody wrote it, and the heap {other} than these {len(region.span.memory):,} bytes"
    )
    return replace(damage, suspicion=damage.suspicion + said)


def _other_size(damage: Damage, region: ParsedRegion, layout: Layout) -> str:
    """How a heap would differ from the memory if these bytes were right; "" if they cannot be."""
    span, at, word = region.span, damage.address, layout.word
    link, size = (int.from_bytes(damage.found[i : i + word], "little") for i in (0, word))
    far = span.base + _MOST * len(span.memory)
    if damage.kind == "end marker":
        return "has another size"
    if damage.kind == "link":
        known = min((block.address for block in region.blocks if block.broken), default=span.end)
        leads_away = not span.start <= link < known and link % word == 0
        return "has another size" if layout.by_size and leads_away else ""
    if layout.variant.marked:
        size &= layout.top_bit - 1
    fits = layout.by_size or size % layout.alignment == 0
    behind = layout.by_address and (link ^ layout.canary) % layout.alignment == 0
    if (fits and span.end < at + size <= far) or (
        behind and span.end < link ^ layout.canary <= far
    ):
        return "is larger"
    intact = [block.address < at for block in region.blocks if not block.broken]
    ends = size == 0 if layout.by_address else 2 * sum(intact) >= len(intact)
    return "is smaller" if ends else ""


def _too_large(reading: Reading, blocks: _Blocks) -> tuple[int, bool] | None:
    """Bytes of the heap that the memory begins with, if it goes on behind that heap's end, and
    whether that is likelier than damage.

    Nearly the same bytes are those of a heap whose last header became zeros: what could be either
    is a larger memory if the zeros do not begin before, or if the heap's size is round.
    """
    layout, ((base, data),), (region,) = reading.layout, reading.regions, reading.parsed
    at = blocks[-1][0] + blocks[-1][2] if blocks else region.span.start
    if not blocks or at == region.span.end:
        return None
    if any(block.address > at and not block.broken for block in region.blocks):
        return None
    sharp = data[at - base - 1] != 0
    if layout.by_address:
        size = at - base + layout.header
        canary = region.span.word(at, layout.word)
        if region.span.word(at + layout.word, layout.word) != 0:
            return None
        if not _follows(layout, blocks, at, canary):
            return None
        certain = region.wrong_marker((), True)
        if not certain and all(live for *_, live in blocks):
            return None
        return size, certain or sharp or _is_round(size)
    size = at - region.span.start + layout.alignment
    if not _sound_alone(reading, size):
        return None
    # What follows the last block are the bytes that the alignment costs, or another variable.
    lost = layout.variant.higher or not any(data[at - base : at - base + layout.alignment])
    sharp = sharp and not layout.variant.higher and layout.alignment >= 2 * layout.word
    return size, lost and (sharp or _is_round(size))


def _sound_alone(reading: Reading, size: int) -> bool:
    """heap_2: whether the first bytes alone are a heap, with an end marker elsewhere."""
    ((base, data),) = reading.regions
    try:
        found = read(reading.layout, data[:size], base, None, reading.state)
    except ValueError:
        return False
    if found.misfit or found.chain is None:
        return False
    marker = found.chain.end_marker
    return marker is None or not base <= marker < base + len(data)


def _is_round(size: int) -> bool:
    return size % 256 == 0 or size % 1000 == 0


def _too_small(reading: Reading, blocks: _Blocks) -> tuple[int, bool] | None:
    """Bytes of the heap that goes on behind the memory, and whether it is that many, or more."""
    layout, ((base, data),), (region,) = reading.layout, reading.regions, reading.parsed
    span, word = region.span, layout.word
    at = end = blocks[-1][0] + blocks[-1][2] if blocks else span.start
    if at < span.end:
        link, size = span.word(at, word), span.word(at + word, word)
        live = layout.variant.marked and size >= layout.top_bit
        end += size & (layout.top_bit - 1)
        if end - span.end < _FAR or size % layout.alignment or end - base > _MOST * len(data):
            return None
        blocks = [*blocks, (at, link, size, live)]
    elif not region.wrong_marker((), True):
        return None
    if not layout.by_address:
        return _too_small_by_size(reading, blocks[-1], end)
    free = [block for block in blocks if not block[3]]
    last = free[-1][1] ^ layout.canary if free else end
    if last == span.end or not end <= last <= base + _MOST * len(data):
        return None
    if last % layout.alignment:
        return None
    if not _follows(layout, blocks, last, layout.canary):
        return None
    if not free and not region.wrong_marker((), True):
        return None
    # A free block that another one follows would be one with it: what follows is the end marker.
    return last - base + layout.header, not blocks[-1][3] and last == end


def _too_small_by_size(
    reading: Reading, last: tuple[int, int, int, bool], end: int
) -> tuple[int, bool] | None:
    """heap_2: the last block has a link that it may have."""
    layout, (region,) = reading.layout, reading.parsed
    _, link, _, live = last
    if link % layout.word or (live and link != layout.live_link):
        return None
    inside = region.span.start <= link < end  # where the last block may lie, too
    if link and inside and all(link != block.address for block in region.blocks):
        return None
    return end - region.span.start + layout.alignment, False


def _within(reading: Reading) -> tuple[int, int] | None:
    """heap_4: address and bytes of the longest chain of headers with the right links that comes to
    an end marker other than the memory's.
    """
    layout, ((base, data),), (region,) = reading.layout, reading.regions, reading.parsed
    if not region.blocks or not region.blocks[0].broken:
        return None
    word, step, top = layout.word, layout.alignment, layout.top_bit
    chain: dict[int, tuple[int, int, int]] = {}  # end, blocks, the next free one or the end
    best = None
    for at in range((base + len(data) - 2 * word) // step * step, base - 1, -step):
        link, size = region.span.word(at, word), region.span.word(at + word, word)
        if size == 0:
            chain[at] = (at, 0, at)
            continue
        live, after = size >= top, chain.get(at + size % top)
        if after is None:
            continue
        end, blocks, following = after
        canary = region.span.word(end, word)
        if link not in (0, canary) if live else link ^ canary != following:
            continue
        blocks, following = blocks + 1, following if live else at
        chain[at] = (end, blocks, following)
        if following != end and (best is None or blocks >= best[0]):
            best = (blocks, at, end)
    intact = sum(not block.broken for block in region.blocks)
    if best is None or best[2] == region.span.end or 2 * best[0] < intact:
        return None
    _, at, end = best
    return at, end + layout.header - at
