"""The free list of an arena's bytes, followed as far as it leads: heap_2, heap_4 and heap_5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rtosheap.heaps.layout import Layout
from rtosheap.heaps.parse import ParsedRegion
from rtosheap.heaps.state import ImageState

_NOWHERE = -1


class FreeChain:
    """The free list, followed from its head as far as it leads.

    Attributes
    ----------
    order : list of int
        The entries in the list's order (heap_5's inner markers included).
    broken : set of int
        Blocks whose headers lead nowhere: the list may lead to them, and ends there.
    free : dict of int to int
        The links of the free blocks. Where headers have no allocated mark, those are free that the
        list reaches, and without the list's head the longest list that could be.
    lost : list of int
        Free blocks that the list does not reach.
    cycle_at : int or None
        The entry whose link leads back.
    astray_at : int or None
        The entry whose link leads to no entry; 0 for the head.
    end_marker : int or None
        heap_2: where the last entry links to.
    unordered : list of int
        heap_2: entries that are smaller than the one before.
    """

    def __init__(self, regions: list[ParsedRegion], layout: Layout, state: ImageState) -> None:
        blocks = {b.address: b for region in regions for b in region.blocks}
        links = {b.address: b.link for b in blocks.values() if not b.allocated and not b.broken}
        self.free = dict(links)
        self.broken = {b.address for b in blocks.values() if b.broken}
        for region in regions[:-1]:
            if region.marker is not None:
                links[region.span.end] = region.marker[0]
        self.end_marker = state.end_marker
        sizes = {address: block.size for address, block in blocks.items()}
        end = regions[-1].span.end
        if layout.by_size:
            self._find_marker(regions[0], layout.word)
            end = self.end_marker or _NOWHERE

        def unreached(head: int) -> int:
            astray = self._follow(head, end, links, {}) != end
            return astray + len(self.free.keys() - set(self.order))

        head = min(self._heads(regions, layout, state, sizes, end), key=unreached)
        last = self._follow(head, end, links, sizes if layout.by_size else {})
        if not layout.variant.marked:  # only the list tells what is free, as far as it leads
            listed = set(self.order)
            if last in self.broken:
                listed.update(_longest(self.free, sizes, end))
            self.free = {address: link for address, link in links.items() if address in listed}
        reached = set(self.order)
        self.lost = [address for address in self.free if address not in reached]

    def _follow(
        self, entry: int, end: int, links: Mapping[int, int], sizes: Mapping[int, int]
    ) -> int:
        """Note the list from an entry on; where it ends. Its order is that of `sizes`, if any."""
        self.order: list[int] = []
        self.cycle_at: int | None = None
        self.astray_at: int | None = None
        self.unordered: list[int] = []
        before = 0
        seen: set[int] = set()
        while entry != end:
            if entry in seen:
                self.cycle_at = before
                break
            if entry in self.broken:
                break
            if entry not in links:
                self.astray_at = before
                break
            if sizes and before and sizes[entry] < sizes[before]:
                self.unordered.append(entry)
            seen.add(entry)
            self.order.append(entry)
            before, entry = entry, links[entry]
        return entry

    def _heads(
        self,
        regions: list[ParsedRegion],
        layout: Layout,
        state: ImageState,
        sizes: Mapping[int, int],
        end: int,
    ) -> Iterator[int]:
        """Where the list begins: as it is known, or what may be, the likeliest first."""
        if state.head is not None:
            yield state.head ^ layout.canary
        elif not layout.variant.marked:
            yield next(iter(_longest(self.free, sizes, end, state.free_size)), end)
        elif layout.by_size:  # what no entry links to
            linked = set(self.free.values())
            heads = [address for address in self.free if address not in linked]
            yield heads[0] if heads else min(self.free, default=end)
        else:
            first = min(self.free, default=regions[-1].span.end)
            # A region's marker stands before it, unless it was absorbed.
            markers = [
                region.span.end
                for region in regions[:-1]
                if region.span.end < first and region.marker and region.marker[1] == 0
            ]
            yield from (*markers, first)

    def _find_marker(self, region: ParsedRegion, word: int) -> None:
        """heap_2: the end marker is the one address outside that a free block links to, and that a
        variable may have.
        """
        if self.end_marker is not None:
            return
        span = region.span
        inside = range(span.base, span.base + len(span.memory))
        outside = [x for x in self.free.values() if x and x % word == 0 and x not in inside]
        if outside:
            self.end_marker = max(set(outside), key=outside.count)


def _longest(
    links: Mapping[int, int], sizes: Mapping[int, int], end: int, wanted: int | None = None
) -> list[int]:
    """The longest chain of links from block to no smaller block that comes to the end marker, or
    one of those whose bytes are as many as wanted.
    """
    if end == _NOWHERE:
        return []
    length: dict[int, tuple[int, int]] = {end: (0, 0)}  # blocks and bytes from here on
    for start in links:
        path, entry = list[int](), start
        while entry not in length and entry in links:
            path.append(entry)
            length[entry] = (0, 0)  # where it comes back to is no way
            entry = links[entry]
        for address in reversed(path):
            after = links[address]
            blocks, held = length.get(after, (0, 0))
            leads = after == end or (blocks and sizes[address] <= sizes[after])
            length[address] = (blocks + 1, held + sizes[address]) if leads else (0, 0)
    del length[end]
    exact = [entry for entry, (_, held) in length.items() if held == wanted]
    best = max(exact or length, key=lambda entry: length[entry][0], default=end)
    chain = []
    while best in length and length[best][0]:
        chain.append(best)
        best = links[best]
    return chain
