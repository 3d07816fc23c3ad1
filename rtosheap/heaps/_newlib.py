"""heap_3's arena: the chunks of newlib-nano's malloc, read from their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

_LEAST = 12  # bytes of a chunk
_SOME = 3  # chunks that adjoin are no chance


class Chunks(NamedTuple):
    """What an arena's bytes say.

    Attributes
    ----------
    blocks : list of (int, int, bool)
        In address order; one whose size leads nowhere goes up to where chunks go on.
    free_list : list of int
    reached : int
        The bytes that ``sbrk`` has handed out.
    fault : str
        Why that is no heap that malloc left; ``""`` if it is one.
    fault_at : int
        The chunk whose size leads nowhere; 0 for the free list's head.
    """

    blocks: list[tuple[int, int, bool]]
    free_list: list[int]
    reached: int
    fault: str = ""
    fault_at: int = 0


def chunks(base: int, data: bytes, head: int | None, reached: int | None) -> Chunks:
    """Read the chunks, which must adjoin.

    They do not say whether they are free. Where the list's head is not known, the longest chain of
    links that a free list could be is taken for it. Where it is not known how far ``sbrk`` came,
    it is as far as the sizes lead, unless chunks go on behind one that leads nowhere.
    """

    def word(address: int) -> int:
        at = address - base
        return int.from_bytes(data[at : at + 4], "little")

    lowest = (base + 3) & ~3
    end = base + (len(data) if reached is None else reached)
    sizes, at = _walk(word, lowest, end)
    fault, fault_at, reach = "", 0, at - base
    if end - at >= _LEAST:
        after = _resumes(data, base, at, end, reached is not None)
        if after is None and reached is not None:
            after = end
        if after is not None:
            fault, fault_at = _broken(at, word(at), after, end), at
            sizes[at] = after - at
            more, at = _walk(word, after, end)
            sizes |= more
            reach = at - base
    if reached is not None or not sizes:
        reach = reached or 0
    links = {chunk: word(chunk + 4) for chunk in sizes if chunk != fault_at}
    if head is None:
        free_list = _longest(sizes, links)
    else:
        free_list, wrong = _follow(head, links)
        fault = fault or wrong
    listed = set(free_list)
    blocks = [(at, size, at not in listed) for at, size in sizes.items()]
    return Chunks(blocks, free_list, reach, fault, fault_at)


def _walk(word: Callable[[int], int], at: int, end: int) -> tuple[dict[int, int], int]:
    """The sizes of the chunks that adjoin from an address on, and where they end."""
    sizes: dict[int, int] = {}
    while end - at >= _LEAST:
        size = word(at)
        if size < _LEAST or size % 4 or size > end - at:
            break
        sizes[at] = size
        at += size
    return sizes, at


def _resumes(data: bytes, base: int, at: int, end: int, known: bool) -> int | None:
    """Where, behind a chunk that leads nowhere, chunks go on: to the end if it is known, else some,
    up to where nothing but zeros follows.
    """
    written = base + len(data.rstrip(b"\0"))
    lead: dict[int, int] = {}  # how many chunks from here on
    for chunk in range(at + (end - at) // 4 * 4 - _LEAST, at + _LEAST - 1, -4):
        size = int.from_bytes(data[chunk - base : chunk - base + 4], "little")
        after = chunk + size
        if size < _LEAST or size % 4 or after > end:
            continue
        ends = end - after < _LEAST if known else after >= min(written, end - _LEAST + 1)
        if ends or after in lead:
            lead[chunk] = 1 + lead.get(after, 0)
    return min((c for c, count in lead.items() if known or count >= _SOME), default=None)


def _broken(at: int, size: int, after: int, end: int) -> str:
    text = f"the chunk at {at:#x} holds the size {size:#x}, which leads nowhere"
    return text if after == end else f"{text}; chunks go on at {after:#x}, {after - at:,} bytes on"


def _follow(head: int, links: dict[int, int]) -> tuple[list[int], str]:
    """The list from its head on as far as it leads, and what is wrong with it."""
    order: list[int] = []
    entry = head
    while entry:
        if entry not in links or (order and entry <= order[-1]):
            return order, f"the free list leads to {entry:#x}, which is no chunk after the last"
        order.append(entry)
        entry = links[entry]
    return order, ""


def _longest(sizes: dict[int, int], links: dict[int, int]) -> list[int]:
    length: dict[int, int] = {}
    for chunk in sorted(links, reverse=True):
        link = links[chunk]
        if link == 0:
            length[chunk] = 1
        elif link in length and link > chunk + sizes[chunk]:
            length[chunk] = 1 + length[link]
    best = max(length, key=lambda chunk: (length[chunk], -chunk), default=0)
    order = []
    while best and length[best] >= 1:
        order.append(best)
        best = links[best]
    return order
