"""Whether memory is no such heap: another kind, word, address or size, and which would fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rtosheap.heaps.layout import ALIGNMENTS, WORD_SIZES, Layout
from rtosheap.heaps.parse import Span, span_of, walk
from rtosheap.heaps.reading import Reading, read
from rtosheap.heaps.variants import VARIANTS
from rtosheap.inspection._extent import elsewhere

#: The usual ones first: what has one of them often looks like one of a smaller.
_ALIGNMENTS = sorted(ALIGNMENTS, key=(8, 16, 32, 4).index)

_SIZES_FIT = "the sizes of its blocks fit, but {} not"

_Regions = tuple[tuple[int, bytes], ...]

_CANONICAL = 1 << 47  # no program has addresses from here on
_NEAR = 1 << 20  # bytes between a heap and its variables, at the most
_TRIED = 4  # distances between addresses
_ASKED = 64  # links that are asked for a base address


@dataclass(frozen=True)
class Misreading:
    """Why memory is none of such a heap, and what it would be, in words."""

    why: str
    would_fit: tuple[str, ...] = ()


def find_misreading(reading: Reading) -> Misreading | None:
    """What tells that this is no such heap; None for a heap, sound or damaged."""
    layout, state = reading.layout, reading.state
    if not layout.frees:
        return None  # heap_1 leaves nothing that could tell
    fresh = layout.is_newlib and state.used == 0
    if not fresh and not any(any(data) for _, data in reading.regions):
        size = sum(length for _, length in reading.spans)
        return Misreading(f"all its {size:,} bytes are 0, so that nothing was ever allocated in it")
    if layout.is_newlib:
        if fresh or _begins(reading):
            return None
        word = int.from_bytes(reading.regions[0][1][:4], "little")
        return Misreading(f"it begins with {word:#x}, no chunk's size", (*_otherwise(reading),))
    if not reading.misfit:
        return None if layout.variant.marked else _misplaced(reading)
    alone = _sound(layout, reading.regions)
    if alone is not None:  # but not with what was said of it
        if state.canary is None or alone.layout.canary == layout.canary:
            return None
        word = alone.layout.canary
        fit = f"{layout.name} with {f'the canary {word:#x}' if word else 'no canary'}"
        return Misreading(f"its links are not those of the canary {layout.canary:#x}", (fit,))
    blocks = [block for region in reading.parsed for block in region.blocks]
    bad = sum(block.broken or block.wrong_link for block in blocks)
    fits = (*_moved(reading), *_otherwise(reading)) or tuple(elsewhere(reading))
    if not fits and 2 * bad <= len(blocks):
        return None
    if fits and not any(block.broken for block in blocks):
        return Misreading(
            _SIZES_FIT.format("one link does" if bad == 1 else "their links do"), fits
        )
    if bad == len(blocks):
        return Misreading("no header in it leads to another", fits)
    return Misreading(f"{bad} of the {len(blocks)} headers found in it lead nowhere", fits)


def _misplaced(reading: Reading) -> Misreading | None:
    """Where headers do not say what is free any list will do, even one at another address."""
    fits = tuple(_moved(reading))
    return Misreading(_SIZES_FIT.format("their links do"), fits) if fits else None


def _sound(layout: Layout, regions: _Regions) -> Reading | None:
    """The memory by itself, if it is sound when it is read so."""
    memory = regions if layout.has_regions else regions[0][1]
    try:
        if layout.has_headers and not _walks(layout, regions):
            return None
        reading = read(layout, memory, regions[0][0], None, None)
    except ValueError:
        return None
    if layout.is_newlib:  # any two words look like a chunk
        rest = regions[0][1][reading.numbers.reached :]
        sound = len(reading.blocks) > 2 and not any(rest) and not reading.fault
        return reading if sound else None
    return None if reading.misfit or not _is_marker(reading) else reading


def _begins(reading: Reading) -> bool:
    """heap_3: whether it begins with a chunk, or at least has some and is known to be such."""
    blocks = reading.blocks
    if not blocks or blocks[0][0] != reading.fault_at:
        return bool(blocks)
    return len(blocks) > 1 and reading.state.used is not None


def _is_marker(reading: Reading) -> bool:
    """heap_2: whether where the list leads in the end may be the end marker, a variable."""
    chain, base = reading.chain, reading.spans[0][0]
    if chain is None or not reading.layout.by_size or chain.end_marker is None:
        return True
    near = abs(chain.end_marker - base) < _NEAR
    return chain.end_marker % reading.layout.word == 0 and (near or len(chain.order) > 2)


def _walks(layout: Layout, regions: _Regions) -> bool:
    """Whether the sizes alone lead from the first header to the end."""
    return any(
        all(
            sum(size for _, _, size, _ in walk(span, one)) == span.end - span.start
            for span in spans
        )
        for one, spans in _spans(layout, regions)
    )


def _spans(layout: Layout, regions: _Regions) -> Iterator[tuple[Layout, list[Span]]]:
    """Where blocks lie by each variant, if there is room for any."""
    for variant in VARIANTS[layout.kind]:
        one = replace(layout, variant=variant)
        try:
            spans = [span_of(base, data, one) for base, data in regions]
        except ValueError:
            continue
        yield one, spans


def _otherwise(reading: Reading) -> Iterator[str]:
    """The same memory as another heap, word or alignment."""
    layout, regions = reading.layout, reading.regions
    for kind in (layout.kind,) if len(regions) > 1 else (4, 2, 3):
        for word in sorted(WORD_SIZES, key=lambda word: word != layout.word):
            for other in Layout.existing(kind, (word,), _ALIGNMENTS):
                same = (kind, word, other.alignment) == (
                    layout.kind, layout.word, layout.alignment
                )  # fmt: skip
                told = other.word == word and not same  # heap_3 has words of 4 alone
                if told and _sound(other, regions) is not None:
                    yield _described(layout, other)
                    break
    if _goes_on(reading):
        yield "one region of a heap_5, whose end marker links to the next"


def _described(layout: Layout, other: Layout) -> str:
    text = other.name
    if other.word != layout.word:
        text += f" with words of {other.word} bytes"
    if other.alignment != layout.alignment:
        text += f"{' and' if 'with' in text else ' with'} an alignment of {other.alignment}"
    return text


def _goes_on(reading: Reading) -> bool:
    """Whether nothing is wrong but the end marker's link, which leads to a later region."""
    layout, region = reading.layout, reading.parsed[-1] if reading.parsed else None
    if region is None or region.marker is None or layout.variant.protector:
        return False
    link, size = region.marker
    later = size == 0 and link > region.span.end and link % layout.alignment == 0
    return reading.misfit == 1 and later


def _moved(reading: Reading) -> Iterator[str]:
    """At another base address, which the links tell."""
    layout, regions, state = reading.layout, reading.regions, reading.state
    if state.head is not None or state.end_marker is not None:
        return  # who knows these knows the address
    found = set[int]()
    for shift in range(0, layout.alignment, layout.word):
        near = _shifted(regions, shift)
        if not _walks(layout, near):
            continue
        for delta in _distances(layout, near):
            far = _shifted(near, delta)
            if far[0][0] <= 0 or far[0][0] in (*found, regions[0][0]):
                continue
            if _sound(layout, far) is not None:
                found.add(far[0][0])
                text = ", ".join(f"{base:#010x}" for base, _ in far)
                yield f"{layout.name} at the base address {text}"


def _shifted(regions: _Regions, by: int) -> _Regions:
    return tuple((base + by, data) for base, data in regions)


def _distances(layout: Layout, regions: _Regions) -> Iterator[int]:
    """How far most links lead from where they should."""
    for one, spans in _spans(layout, regions):
        blocks = [block for span in spans for block in walk(span, one)]
        votes: Counter[int] = Counter()
        links: list[int] = []
        marks = any(marked for *_, marked in blocks)
        if layout.by_address:
            canary = spans[-1].word(spans[-1].end, layout.word) if one.variant.protector else 0
            following = spans[-1].end
            for address, link, _, marked in reversed(blocks):
                if not marked:
                    links.append(link ^ canary)
                    votes[links[-1] - following] += 1
                    following = address
        else:
            links = [link for _, link, _, marked in blocks if not (marks and marked)]
            links = list(dict.fromkeys(links))[:_ASKED]
            votes.update(link - address for link in links for address, *_ in blocks)
        for delta, count in votes.most_common(_TRIED):
            told = count > votes[0] and delta % layout.alignment == 0
            if layout.by_size and not marks:  # any list will do where no header is marked
                told = told and count > 2 and not votes[0]
            if told and (count > 1 or not any(_is_overrun(link, delta, one) for link in links)):
                yield delta


def _is_overrun(link: int, delta: int, layout: Layout) -> bool:
    """Whether a link is rather what a string left that ran over it than another base's."""
    text = link.to_bytes(layout.word, "little", signed=False)
    terminated = abs(delta) < 256 and text[0] == 0
    return terminated or link >= _CANONICAL or (text.isascii() and text.decode().isprintable())
