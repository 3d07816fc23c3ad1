"""heap_3's arena: the chunks of newlib-nano's malloc, read from their bytes."""

from __future__ import annotations


def chunks(
    base: int, data: bytes, head: int | None, reached: int | None
) -> tuple[list[tuple[int, int, bool]], list[int], int]:
    """Blocks in address order, the free list, and the bytes that ``sbrk`` has handed out.

    Chunks do not say whether they are free. Where the list's head is not known, the longest chain
    of links that a free list could be is taken for it.

    Raises
    ------
    ValueError
        If the chunks do not adjoin as they must.
    """

    def word(address: int) -> int:
        at = address - base
        return int.from_bytes(data[at : at + 4], "little")

    lowest = (base + 3) & ~3
    end = base + (len(data) if reached is None else reached)
    sizes: dict[int, int] = {}
    at = lowest
    while end - at >= 12:
        size = word(at)
        if size < 12 or size % 4 or size > end - at:
            if reached is None:
                break
            raise ValueError(f"the chunk at {at:#x} holds the size {size:#x}, which leads nowhere")
        sizes[at] = size
        at += size
    reach = at - base if reached is None and sizes else (reached or 0)
    links = {chunk: word(chunk + 4) for chunk in sizes}
    free_list = _follow(head, links) if head is not None else _longest(sizes, links)
    listed = set(free_list)
    return [(at, size, at not in listed) for at, size in sizes.items()], free_list, reach


def _follow(head: int, links: dict[int, int]) -> list[int]:
    order: list[int] = []
    entry = head
    while entry:
        if entry not in links or (order and entry <= order[-1]):
            raise ValueError(f"the free list leads to {entry:#x}, which is no chunk after the last")
        order.append(entry)
        entry = links[entry]
    return order


def _longest(sizes: dict[int, int], links: dict[int, int]) -> list[int]:
    length: dict[int, int] = {}
    for chunk in sorted(sizes, reverse=True):
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
