"""What an inspection found, in words and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtosheap.heaps import Heap
from rtosheap.inspection._owners import Owner
from rtosheap.inspection.damage import Damage
from rtosheap.tables import record_text


@dataclass(frozen=True)
class Found:
    """A block as it lies in the arena.

    Attributes
    ----------
    address, payload : int
        Of the header, and of what malloc returned.
    size : int
        Bytes, header included; where the header is broken, up to the next one.
    allocated : bool
        What the header says; a guess where it is broken.
    broken : bool
        Whether the header is damaged.
    owner : Owner or None
        What a trace of the same run knows of it.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.inspection import inspect
    >>> heap = Heap4(256)
    >>> p = heap.malloc(24)
    >>> inspect(heap.memory).blocks[0]
    Found(address=0x20000000, payload=0x20000008, size=32, allocated=True, broken=False, owner=None)
    """

    address: int
    payload: int
    size: int
    allocated: bool
    broken: bool = False
    owner: Owner | None = None

    def __repr__(self) -> str:
        return record_text(self, addresses=("address", "payload"))


@dataclass(frozen=True)
class Dependence:
    """A conclusion that is not the same for all releases that an arena may be of.

    Attributes
    ----------
    conclusion : str
        What is concluded: an attribute of the report, such as ``"largest_request"``;
        ``"allocated"``, which blocks are; ``"malloc(8)"``, what the heap's next call would do;
        ``"second free"``, whether the device notices one; ``"statistics"``.
    cases : tuple of (str, int or str)
        Releases, of the kernel or for heap_3 of newlib, and what is so for these.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.inspection import inspect
    >>> one = inspect(Heap4(256).memory).depends[0]
    >>> one.conclusion, one.cases[1]
    ('largest_request', ('V10.5.0 to V10.5.1', 239))
    >>> print(one)
    largest request: 240 with V10.4.6 or earlier, V10.6.0 or later; 239 with V10.5.0 to V10.5.1
    """

    conclusion: str
    cases: tuple[tuple[str, int | str], ...]

    def __str__(self) -> str:
        cases = (
            f"{value:,} with {releases}" if isinstance(value, int) else f"{value} with {releases}"
            for releases, value in self.cases
        )
        return f"{self.conclusion.replace('_', ' ')}: {'; '.join(cases)}"


@dataclass(frozen=True)
class Report:
    """What :func:`inspect` found.

    Attributes
    ----------
    kind : str
        ``"heap_1"`` … ``"heap_5"``.
    blocks : tuple of Found
        Every block in address order.
    damage : tuple of Damage
        Broken headers in address order, then what is wrong with the list and the counters; empty
        for a sound heap. One item of the kind ``"no such heap"`` where the memory is none of such
        a heap; there are no blocks then.
    free_size, largest_free_block, free_block_count : int
        Over the free blocks whose headers are whole.
    largest_request : int
        The largest request that would succeed, 0 if none would; with a damaged list, as far as
        the list leads.
    external_fragmentation : float
        ``1 - largest_free_block / free_size``; 0 when nothing is free.
    heap : Heap or None
        The heap as far as it could be rebuilt, of the newest release that is left: sound when
        `damage` is empty, else a best guess whose ``check()`` raises; None where no heap could be
        so.
    taken, reconstructed : tuple of str
        Which parts of the state outside the arena were given, and which derived from the blocks.
    notes : tuple of str
        What else a reader should know.
    kernels : tuple of str
        Which releases leave such an arena, of those that were named or that symbols allow. The
        newest of the first was taken; others fit as well. Of a damaged arena those that fit best.
    would_fit : tuple of str
        Where this is no such heap: what heap the memory would be.
    depends : tuple of Dependence
        Which of the conclusions depend on the release, where more than one is left.
    word_size : int
        Bytes of a header's field.
    minimum_ever_free : int or None
        The least that was ever free, in bytes, as the image has it; None where it does not.
    names : mapping of int to tuple of str
        What a block is, by its header's address: a task's stack or control block, what a variable
        points to, where the firmware tells (:func:`named_blocks`).

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.inspection import inspect
    >>> heap = Heap4(256)
    >>> p, q = heap.malloc(24), heap.malloc(24)
    >>> heap.free(p)
    >>> report = inspect(heap.memory)
    >>> report.free_size, report.largest_free_block, report.largest_request, report.damage
    (216, 184, 176, ())
    >>> print(report)
    heap_4, 256 bytes at 0x20000000
      allocated       1 blocks, 32 bytes
      free            2 blocks, 216 bytes, largest 184
      fragmentation   14.8% external
      largest request 176 bytes
      kernel          any release, without the heap protector
      reconstructed   head, free_size, minimum_ever_free, allocations
    damage: none
    depends on the release:
      largest request: 176 with V10.4.6 or earlier, V10.6.0 or later; 175 with V10.5.0 to V10.5.1
    blocks:
      0x20000000       32 free
      0x20000020       32 allocated
      0x20000040      184 free
    """

    kind: str
    regions: tuple[tuple[int, int], ...]
    blocks: tuple[Found, ...]
    damage: tuple[Damage, ...]
    largest_request: int
    heap: Heap | None
    canary: int
    taken: tuple[str, ...] = ()
    reconstructed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    former_owner: Mapping[int, Owner] = field(default_factory=dict)
    kernels: tuple[str, ...] = ()
    would_fit: tuple[str, ...] = ()
    depends: tuple[Dependence, ...] = ()
    word_size: int = 4
    minimum_ever_free: int | None = None
    names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return record_text(self, addresses=("regions",))

    @property
    def free_size(self) -> int:
        """Bytes of the free blocks, headers included."""
        return sum(block.size for block in self._free())

    @property
    def largest_free_block(self) -> int:
        """Bytes of the largest free block."""
        return max((block.size for block in self._free()), default=0)

    @property
    def free_block_count(self) -> int:
        """Number of free blocks."""
        return len(self._free())

    @property
    def external_fragmentation(self) -> float:
        """``1 - largest_free_block / free_size``."""
        return 1 - self.largest_free_block / self.free_size if self.free_size else 0.0

    def _free(self) -> list[Found]:
        return [block for block in self.blocks if not block.allocated and not block.broken]

    def block_at(self, address: int) -> Found | None:
        """The block whose header is at an address, or that holds the byte there."""
        for block in self.blocks:
            if block.address <= address < block.address + block.size:
                return block
        return None

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The report in words: numbers, damage, blocks."""
        out = self.state_lines()
        if self.is_none:
            return out
        out += self.damage_lines()
        if self.depends:
            out += ["depends on the release:", *(f"  {one}" for one in self.depends)]
        return [*out, "blocks:", *self.block_lines(self.blocks)]

    @property
    def title(self) -> str:
        """Which heap it is, and where."""
        where = ", ".join(f"{size:,} bytes at {base:#010x}" for base, size in self.regions)
        return f"{self.kind}, {where}"

    def state_lines(self) -> list[str]:
        """The heap as a whole, in words, and what else to know."""
        out = [self.title]
        if self.is_none:
            return [*out, f"  {self.damage[0].message}", *self._said()]
        live = sum(block.allocated for block in self.blocks)
        out += [
            f"  allocated       {live} blocks, "
            f"{sum(b.size for b in self.blocks if b.allocated):,} bytes",
            f"  free            {self.free_block_count} blocks, {self.free_size:,} bytes, "
            f"largest {self.largest_free_block:,}",
            f"  fragmentation   {self.external_fragmentation:.1%} external",
            f"  largest request {self.largest_request:,} bytes",
        ]
        if self.minimum_ever_free is not None:
            out.append(f"  least ever free {self.minimum_ever_free:,} bytes")
        for what, kernel in zip(("kernel", *["or as well"] * 3), self.kernels, strict=False):
            out.append(f"  {what:<15} {kernel}")
        if self.canary:
            out.append(f"  heap protector  canary {self.canary:#x}")
        if self.taken:
            out.append(f"  from the image  {', '.join(self.taken)}")
        if self.reconstructed:
            out.append(f"  reconstructed   {', '.join(self.reconstructed)}")
        return [*out, *self._said()]

    def damage_lines(self) -> list[str]:
        """What is damaged, in words."""
        out = ["damage:" if self.damage else "damage: none"]
        for damage in self.damage:
            out.append(f"  {damage.message}")
            if damage.suspicion:
                out.append(f"    suspected: {damage.suspicion}")
            owner = self.owner_of(damage)
            if owner is not None:
                out.append(f"    that block is {whose(owner)}")
            out += [f"    {line}" for line in self._concerned(damage)]
            if damage.shown:
                out.append(f"    {damage.shown.hex(' ')}  {_text(damage.shown)}")
        return out

    def _concerned(self, damage: Damage) -> Iterator[str]:
        """What the blocks are that a damage concerns, the culprit and the one it hit."""
        culprit = self.names.get(damage.culprit or 0)
        if culprit:
            yield f"that block: {'; '.join(culprit)}"
        hit = self.names.get(damage.address, ())
        if hit and damage.address != damage.culprit:
            yield f"the block of that header: {'; '.join(hit)}"
        if any(name.startswith("stack of") for name in hit):
            yield "a stack that grows down writes over that header first when it overflows"

    def block_lines(self, blocks: Iterable[Found]) -> list[str]:
        """Some of the blocks, a line each."""
        return [f"  {self._line(block)}" for block in blocks]

    def _line(self, block: Found) -> str:
        what = "allocated" if block.allocated else "free"
        broken = " BROKEN HEADER" if block.broken else ""
        owner = f"  {whose(block.owner)}" if block.owner else ""
        names = "; ".join(self.names.get(block.address, ()))
        names = f"  {names}" if names else ""
        return f"{block.address:#010x} {block.size:8,} {what}{broken}{owner}{names}"

    @property
    def is_none(self) -> bool:
        """Whether the memory is none of such a heap."""
        return any(damage.kind == "no such heap" for damage in self.damage)

    def _said(self) -> list[str]:
        return [f"  note: {note}" for note in self.notes]

    def owner_of(self, damage: Damage) -> Owner | None:
        """Whose the culprit of a damage is, or was before it was freed."""
        if damage.culprit is None:
            return None
        block = self.block_at(damage.culprit)
        if block is not None and block.owner is not None:
            return block.owner
        return self.former_owner.get(damage.culprit)

    def to_dict(self) -> dict[str, Any]:
        """The report for machines: plain values, bytes as hexadecimal."""
        return {
            "kind": self.kind,
            "regions": [{"address": base, "size": size} for base, size in self.regions],
            "free_size": self.free_size,
            "largest_free_block": self.largest_free_block,
            "free_block_count": self.free_block_count,
            "external_fragmentation": self.external_fragmentation,
            "largest_request": self.largest_request,
            "kernels": list(self.kernels),
            "depends": [
                {
                    "conclusion": one.conclusion,
                    "cases": [{"releases": names, "value": value} for names, value in one.cases],
                }
                for one in self.depends
            ],
            "canary": self.canary,
            "taken": list(self.taken),
            "reconstructed": list(self.reconstructed),
            "notes": list(self.notes),
            "would_fit": list(self.would_fit),
            "damage": [_damage_dict(damage, self.owner_of(damage)) for damage in self.damage],
            "word_size": self.word_size,
            "minimum_ever_free": self.minimum_ever_free,
            "names": {f"{address:#x}": list(names) for address, names in self.names.items()},
            "blocks": [block_dict(block) for block in self.blocks],
        }


def whose(owner: Owner) -> str:
    """An owner in words."""
    task = f"{owner.task}'s, " if owner.task else ""
    return f"{task}{owner.requested} bytes requested by event {owner.event}, {owner.age} ago"


def _text(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def _damage_dict(damage: Damage, owner: Owner | None) -> dict[str, Any]:
    values = dict(vars(damage))
    for name in ("found", "expected", "shown"):
        values[name] = values[name].hex()
    values["owner"] = owner._asdict() if owner else None
    return values


def block_dict(block: Found) -> dict[str, Any]:
    """A block for machines."""
    values = dict(vars(block))
    values["owner"] = block.owner._asdict() if block.owner else None
    return values


for _type in (Dependence, Found, Report):
    _type.__module__ = "rtosheap.inspection"  # where users import them from
