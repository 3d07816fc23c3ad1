"""A policy heap as its documentation has it, slow and plain: a list of blocks and Python lists."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field


@dataclass
class ReferencePolicy:
    """`regions`: (address, size) pairs; the policy as `PolicyHeap` takes it."""

    regions: list[tuple[int, int]]
    fit: str = "first"
    order: str = "address"
    coalesce: str = "free"
    split: int | None = None
    cut: str = "front"
    classes: int = 1
    word: int = 4
    alignment: int = 8
    nodes: int = 0
    rover: int = 0
    blocks: dict[int, tuple[int, bool]] = field(default_factory=dict)  # address: size, allocated
    lists: dict[int, list[int]] = field(default_factory=dict)  # class: addresses
    memory: list[bytearray] = field(default_factory=list)  # by region

    def __post_init__(self) -> None:
        words, step = 2 * self.word, self.alignment
        self.header = (words + step - 1) // step * step
        self.end = (self.regions[0][0] - words) // self.word * self.word
        self.memory = [bytearray(size) for _, size in self.regions]
        self.ranges = [self._range(at, size) for at, size in self.regions]
        if self.coalesce != "never":
            for at, size in self.regions:
                self.end = (at + size - self.header) // step * step
                self._header(self.end, 0, 0)
        self.free_size = sum(end - start for start, end in self.ranges)
        parts = [part for start, end in self.ranges for part in self._parts(start, end)]
        for at, size in parts if self.order == "fifo" else reversed(parts):
            self._list(at, size)
        self._write()

    def _range(self, at: int, size: int) -> tuple[int, int]:
        step = self.alignment
        start = (at + step - 1) // step * step
        end = start + size - step
        if self.coalesce != "never":
            end = (at + size - self.header) // step * step
        if self.fit == "buddy":
            least = _power(self.header + step)
            end = start + (end - start) // least * least
        return start, end

    def _parts(self, start: int, end: int) -> list[tuple[int, int]]:
        if self.fit != "buddy":
            return [(start, end - start)] if end > start else []
        parts = []
        while start != end:
            size = 1 << (end - start).bit_length() - 1
            parts.append((start, size))
            start += size
        return parts

    # ------------------------------------------------------------------ lists

    def _class(self, size: int) -> int:
        """Which list a block of a size is in."""
        steps = size // self.alignment
        if self.fit == "buddy":
            return steps.bit_length()
        if self.fit != "good":
            return 0
        if steps < self.classes:
            return steps
        power = steps.bit_length() - 1
        within = steps * self.classes // (1 << power) - self.classes
        return (power + 1) * 1000 + within

    def _list(self, at: int, size: int) -> None:
        """Into its list; `nodes` of that."""
        entries = self.lists.setdefault(self._class(size), [])
        place, nodes = 0, 0
        if self.order == "fifo":
            place = len(entries)
        elif self.order in ("address", "size"):
            own = at if self.order == "address" else size
            key = (lambda e: e) if self.order == "address" else (lambda e: self.blocks[e][0])
            place = sum(key(entry) < own for entry in entries)
            nodes = place + (place < len(entries))
            if self.order == "address" and self.fit not in ("good", "buddy"):
                nodes = place
        self.blocks[at] = (size, False)
        entries.insert(place, at)
        self._write()
        self.nodes += nodes

    def _unlist(self, at: int) -> None:
        self.lists[self._class(self.blocks[at][0])].remove(at)
        self._write()

    def free_list(self) -> list[tuple[int, int]]:
        return [
            (at, self.blocks[at][0]) for _, entries in sorted(self.lists.items()) for at in entries
        ]

    def _entries(self) -> int:
        return sum(map(len, self.lists.values()))

    # ------------------------------------------------------------------ calls

    def _find(self, wanted: int) -> int | None:
        fits = [at for at, size in self.free_list() if size >= wanted]
        listed = [at for at, _ in self.free_list()]
        if self.fit in ("good", "buddy"):
            steps = wanted // self.alignment
            if self.fit == "good" and steps >= self.classes:
                steps += (1 << steps.bit_length() - 1) // self.classes - 1
            least = self._class(steps * self.alignment)
            above = [entries for c, entries in sorted(self.lists.items()) if c >= least and entries]
            self.nodes += bool(above)
            return above[0][0] if above else None
        if self.fit == "next" and self.order != "size" and self.rover:
            start = listed.index(self.rover)
            turned = listed[start:] + listed[:start]
            found = next((at for at in turned if at in fits), None)
            self.nodes += len(listed) if found is None else turned.index(found) + 1
            return found
        if not fits:
            self.nodes += len(listed)
            return None
        if self.fit == "worst":
            self.nodes += len(listed)
            return max(fits, key=lambda at: (self.blocks[at][0], -listed.index(at)))
        if self.fit == "best" and self.order != "size":
            self.nodes += len(listed)
            return min(fits, key=lambda at: (self.blocks[at][0], listed.index(at)))
        self.nodes += listed.index(fits[0]) + 1
        return fits[0]

    def malloc(self, size: int) -> int | None:
        self.nodes = 0
        wanted = (size + self.header + self.alignment - 1) // self.alignment * self.alignment
        if self.fit == "buddy":
            wanted = _power(wanted)
        if size == 0 or wanted > self.free_size or size > self.free_size:
            return None
        at = self._find(wanted)
        if at is None and self.coalesce == "deferred" and self._join_all():
            self._write()
            at = self._find(wanted)
        if at is None:
            return None
        block = self._take(at, wanted)
        self._write()
        self._header(block, 0, self.blocks[block][0] | 1 << 8 * self.word - 1)
        self.free_size -= self.blocks[block][0]
        return block + self.header

    def _take(self, at: int, wanted: int) -> int:
        found = self.blocks[at][0]
        listed = [entry for entry, _ in self.free_list()]
        after = listed[listed.index(at) + 1 :]
        next_entry = after[0] if after else 0
        self._unlist(at)
        if self.fit == "buddy":
            while found > wanted:
                found //= 2
                before, self.nodes = self.nodes, 0
                self._list(at + found, found)
                self.nodes = before
            self.blocks[at] = (found, True)
            return at
        limit = 2 * self.header if self.split is None else self.split
        if found - wanted <= limit:
            self.blocks[at] = (found, True)
            self.rover = next_entry
            return at
        rest = found - wanted
        if self.cut == "end":  # which takes what an odd size has at its end
            rest -= rest % self.alignment
        block, left = (at, at + wanted) if self.cut == "front" else (at + rest, at)
        in_place = self.order == "address" and self.fit not in ("good", "buddy")
        before = self.nodes
        self._list(left, rest)
        if in_place:
            self.nodes = before
        self.blocks[block] = (found - rest, True)
        self.rover = left if in_place else next_entry
        return block

    def free(self, address: int) -> None:
        self.nodes = 0
        at = address - self.header
        size = self.blocks[at][0]
        self.free_size += size
        if self.fit == "buddy":
            self._header(at, 0, size)
            del self.blocks[at]
            if self.coalesce == "free":
                at, size = self._join_buddies(at, size)
            self._list(at, size)
            self._write()
            return
        joined = at
        in_place = self.order == "address" and self.fit != "good"
        nodes = sum(entry < at for entry, _ in self.free_list())
        if self.coalesce == "free":
            before = [b for b, (s, used) in self.blocks.items() if b + s == at and not used]
            after = self.blocks.get(at + size, (0, True))
            if before:
                self._header(at, 0, size)
            for entry in [*before, *([] if after[1] else [at + size])]:
                self._unlist(entry)
                size += self.blocks[entry][0]
                del self.blocks[entry]
                if self.rover == entry:
                    self.rover = -1
            if before:
                del self.blocks[at]
                joined = before[0]
            nodes += not after[1]
        self._list(joined, size)
        if self.rover == -1:
            self.rover = joined
        if in_place:
            self.nodes = nodes
        self._write()

    def _join_buddies(self, at: int, size: int) -> tuple[int, int]:
        start = next(start for start, end in self.ranges if start <= at < end)
        while True:
            buddy = (at - start ^ size) + start
            if self.blocks.get(buddy) != (size, False):
                return at, size
            self._unlist(buddy)
            del self.blocks[buddy]
            at, size = min(at, buddy), 2 * size

    def _join_all(self) -> bool:
        self.rover = 0
        nodes = self.nodes + self._entries()
        joined = False
        for start, end in self.ranges:
            at = start
            while at != end:
                size, used = self.blocks[at]
                if used:
                    at += size
                    continue
                first, whole = at, size
                if self.fit == "buddy":
                    buddy = (at - start ^ size) + start
                    if self.blocks.get(buddy) == (size, False):
                        joined = True
                        self._unlist(at)
                        del self.blocks[at]
                        first, whole = self._join_buddies(at, size)
                        self._list(first, whole)
                else:
                    run = self._run(at, end)
                    if len(run) > 1:
                        joined = True
                        whole = sum(self.blocks[entry][0] for entry in run)
                        for entry in run:
                            self._unlist(entry)
                            del self.blocks[entry]
                        self._list(at, whole)
                at = first + whole
        self.nodes = nodes
        return joined

    def _run(self, at: int, end: int) -> list[int]:
        """The free blocks that adjoin, from one on."""
        run = []
        while at != end and not self.blocks[at][1]:
            run.append(at)
            at += self.blocks[at][0]
        return run

    # ------------------------------------------------------------------ bytes

    def _write(self) -> None:
        """The headers of all that is listed, with their links."""
        for entries in self.lists.values():
            for entry, link in zip(entries, [*entries[1:], self.end], strict=False):
                self._header(entry, link, self.blocks[entry][0])

    def _header(self, address: int, link: int, size: int) -> None:
        for (at, length), memory in zip(self.regions, self.memory, strict=True):
            if at <= address < at + length:
                form = "<II" if self.word == 4 else "<QQ"
                struct.pack_into(form, memory, address - at, link, size)


def _power(size: int) -> int:
    return 1 << (size - 1).bit_length()
