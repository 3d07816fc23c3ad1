"""Where a heap lies and what state it is in, by the names in the firmware's ELF."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtosheap.device._releases import releases_told
from rtosheap.device.elf import MAGIC, Elf, Member
from rtosheap.device.memory import Arena, Memory
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.releases import NEWEST_KERNEL
from rtosheap.heaps.state import ImageState

__all__ = [
    "Firmware",
    "Symbols",
    "find_arena",
    "find_kind",
    "find_regions",
    "load_symbols",
    "read_elf",
]

Firmware = str | os.PathLike[str] | Elf

_REGION = "HeapRegion_t"
_MOST_REGIONS = 256
_OWN = "xHeap"  # the struct that rtosheap's drop-in files keep their state in
# From a member of it to the part of an ImageState.
_MEMBERS = {
    "head.next": "head",
    "free_size": "free_size",
    "minimum_ever_free": "minimum_ever_free",
    "allocations": "allocations",
    "frees": "frees",
    "canary": "canary",
    "used": "used",
}
_END_MARKER = "tail"
_OF_REGIONS = "vPortDefineHeapRegions"  # which heap_5 alone has
_LINK = "pxNextFreeBlock"  # of a header in a kernel's source
# The same of a kernel's variables, in heap_2, heap_4 and heap_5.
_VARIABLES = {
    "xStart": "head",  # a header, whose link comes first
    "xFreeBytesRemaining": "free_size",
    "xMinimumEverFreeBytesRemaining": "minimum_ever_free",
    "xNumberOfSuccessfulAllocations": "allocations",
    "xNumberOfSuccessfulFrees": "frees",
    "xHeapCanary": "canary",
}


@dataclass(frozen=True)
class Symbols:
    """An ELF's data symbols.

    Attributes
    ----------
    table : dict of str to (int, int)
        Address and size by name.
    word : int
        Bytes of a pointer.
    members : mapping of str to (offset, size)
        Of the struct ``xHeap`` by dotted path, where debug information describes it.
    notes : tuple of str
        Why nothing does.
    functions : frozenset of str
        The names of functions.
    link : int
        Bytes from the start of a kernel's ``xStart`` to its link, where the debug information
        describes it: it is the first member otherwise.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_symbols
    >>> _, elf = data.crash()
    >>> symbols = load_symbols(elf)
    >>> "ucHeap" in symbols, symbols.table["ucHeap"], symbols.members["free_size"]
    (True, (536870912, 4096), Member(offset=12, size=4))
    """

    table: dict[str, tuple[int, int]]
    word: int
    members: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    functions: frozenset[str] = frozenset()
    link: int = 0

    def __contains__(self, name: str) -> bool:
        return name in self.table


def read_elf(elf: Firmware) -> Elf:
    """An ELF file by its path; one that is read already as it is.

    Parameters
    ----------
    elf : path-like or Elf

    Returns
    -------
    Elf

    Raises
    ------
    ValueError
        If the file is no ELF, or damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> _, path = data.crash()
    >>> elf = read_elf(path)
    >>> elf.machine, elf.variables[1]
    ('EM_ARM', Symbol(name='ucHeap', value=0x20000000, size=4096, kind='object'))
    """
    if isinstance(elf, Elf):
        return elf
    name, data = os.fspath(elf), Path(elf).read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{name}: no ELF file")
    return Elf(data, name)


def load_symbols(path: Firmware) -> Symbols:
    """The data symbols of an ELF file, and the members of rtosheap's own ``xHeap``.

    Debug information that cannot be read is as good as none: the symbols serve without it.

    Parameters
    ----------
    path : path-like or Elf

    Returns
    -------
    Symbols

    Raises
    ------
    ValueError
        If the file is no ELF, is damaged, or has no symbols, or is of a big-endian target.

    Examples
    --------
    >>> from rtosheap import data
    >>> _, elf = data.crash()
    >>> symbols = load_symbols(elf)
    >>> [name for name in symbols.table if name.startswith("app")]
    ['app_small', 'app_state', 'app_queue', 'app_log']
    >>> "vPortFree" in symbols.functions
    True
    """
    elf = read_elf(path)
    if not elf.little_endian:
        raise ValueError(f"{elf.name}: its target is big-endian; heaps of little-endian ones count")
    if elf.symbols is None:
        raise ValueError(f"{elf.name}: has no symbols (it was stripped)")
    table: dict[str, tuple[int, int]] = {}
    for symbol in elf.symbols:
        if symbol.kind in ("object", "none"):
            table.setdefault(symbol.plain, (symbol.value, symbol.size))
    functions = frozenset(symbol.name for symbol in elf.symbols if symbol.kind == "function")
    if _OWN not in table:
        link = _link(elf, table.get("xStart"))
        return Symbols(table, elf.word, functions=functions, link=link)
    members, notes = _own_members(elf, table[_OWN][0])
    if members and not notes and elf.has_function(_OF_REGIONS):  # which may be inlined
        functions |= {_OF_REGIONS}
    return Symbols(table, elf.word, members, notes, functions)


def find_kind(symbols: Symbols) -> int | None:
    """Which of the heaps a firmware has, by the names of what it keeps.

    Parameters
    ----------
    symbols : Symbols
        Of the firmware.

    Returns
    -------
    int or None
        1 … 5; None where no name tells.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import Symbols, load_symbols
    >>> [find_kind(load_symbols(data.crash(heap)[1])) for heap in ("heap_4", "heap_5")]
    [4, 5]
    >>> find_kind(Symbols({"xStart": (0x2000_0000, 8), "xEnd": (0x2000_0008, 8)}, word=4))
    2
    """
    if "xEnd" in symbols and "xStart" in symbols:
        return 2
    has_regions = _OF_REGIONS in symbols.functions
    if "pxEnd" in symbols or "xBlockAllocatedBit" in symbols:
        return 5 if has_regions or "ucHeap" not in symbols else 4
    if "xNextFreeByte" in symbols:
        return 1
    if _OWN in symbols:
        if _END_MARKER in symbols.members:
            return 2
        if has_regions:
            return 5
        if "head.next" in symbols.members:
            return 4 if "ucHeap" in symbols else 5
        return 1 if {"limit", "used"} <= symbols.members.keys() else None
    return 3 if "pvPortMalloc" in symbols.functions else None  # which keeps nothing itself


def _link(elf: Elf, head: tuple[int, int] | None) -> int:
    """Where in a kernel's xStart its link is."""
    if head is None:
        return 0
    try:
        return (elf.members("xStart", head[0]) or {}).get(_LINK, Member(0, 0)).offset
    except ValueError:
        return 0  # as good as none


def _own_members(elf: Elf, address: int) -> tuple[dict[str, Member], tuple[str, ...]]:
    try:
        members = elf.members(_OWN, address)
    except ValueError as error:
        return {}, (f"the heap's state is not known: {error}",)
    if members is None:
        return {}, (
            f"the ELF has no debug information for {_OWN}: build with -g to have the heap's state, "
            "which is reconstructed from the blocks here",
        )
    if not _MEMBERS.keys() & members.keys():
        return {}, (f"the ELF's {_OWN} is not the struct of rtosheap's drop-in files",)
    return members, ()


def find_arena(
    memory: Memory, symbols: Symbols, kind: int, *, base: int | None = None, size: int | None = None
) -> Arena:
    """The arena and the state of a heap, by the names that FreeRTOS, newlib and rtosheap's own
    drop-in files give them. What the memory does not cover stays unknown.

    Parameters
    ----------
    memory : Memory
        The dump.
    symbols : Symbols
        Of the firmware that ran.
    kind : int
        1 … 5: which of the heaps.
    base, size : int, optional
        The arena; by default that of ``ucHeap``.

    Returns
    -------
    Arena

    Raises
    ------
    ValueError
        If there is no arena by name, and none was given.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import Memory, Symbols, load_memory, load_symbols
    >>> memory, elf = data.crash()
    >>> find_arena(load_memory(memory), load_symbols(elf), 4).state.minimum_ever_free
    2456
    >>> symbols = Symbols({"ucHeap": (0x2000_0000, 1024)}, word=4)  # without a memory
    >>> find_arena(Memory(), symbols, 4).state.known()
    ()
    """
    if base is None:
        if "ucHeap" not in symbols:
            raise ValueError(
                "the ELF has no symbol ucHeap; give the arena's base address and size (--arena)"
            )
        base, found = symbols.table["ucHeap"]
        size = size or found
    if size is None:
        size = symbols.table.get("ucHeap", (0, 0))[1] or sum(
            at + len(data) - base for at, data in memory.pieces if at <= base < at + len(data)
        )
    if not size:
        raise ValueError(f"the arena's size at {base:#x} is not known; give it (--arena)")
    layout = Layout(kind)
    if layout.is_newlib:
        state = _newlib_state(memory, symbols, base, size)
        return Arena(kind, base, size, symbols.word, state)
    if _OWN in symbols and ("xStart" if layout.frees else "xNextFreeByte") not in symbols:
        state, notes = _own_state(memory, symbols), symbols.notes
        releases: tuple[str, ...] = ()
        if symbols.members and not notes:
            releases = (NEWEST_KERNEL,)
            notes = (f"{_OWN} is rtosheap's drop-in file's, which is the newest kernel's heap",)
    else:
        state = _kernel_state(memory, symbols, layout)
        releases, notes = releases_told(symbols.table, symbols.functions, layout)
    return Arena(kind, base, size, symbols.word, state, notes, releases)


def find_regions(memory: Memory, path: Firmware) -> tuple[str, list[tuple[int, int]]]:
    """heap_5's regions as the firmware's own array says, the one of ``HeapRegion_t`` that
    ``vPortDefineHeapRegions`` is given.

    With debug information it is found by its type, else by what it holds; one that is a function's
    own, and has no name, where the last region ends where the heap does. The dump's bytes of it go
    before those that the ELF has.

    Parameters
    ----------
    memory : Memory
        The dump.
    path : path-like or Elf
        The firmware that ran.

    Returns
    -------
    (str, list of (int, int))
        The array's name, and address and bytes of each region.

    Raises
    ------
    ValueError
        If there is none, or more than one, or it is empty when the program starts.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_memory
    >>> memory, elf = data.crash("heap_5")
    >>> name, regions = find_regions(load_memory(memory), elf)
    >>> name, [(hex(address), size) for address, size in regions]
    ('xRegions', [('0x20000000', 1536), ('0x20000800', 2048)])
    """
    elf = read_elf(path)
    name = elf.name
    whole = memory.over((part.address, part.data) for part in elf.segments)
    try:
        typed = elf.arrays(_REGION)
    except ValueError:
        typed = None
    arrays = {label: _regions_at(whole, at, elf.word) for label, at in typed or ()}
    if not arrays:
        for symbol in elf.symbols or ():
            if symbol.kind == "object" and symbol.size >= 4 * elf.word:
                at, end = symbol.value, symbol.value + symbol.size
                regions = _regions_at(whole, at, elf.word, end)
                if regions and all(memory.read(*region) is not None for region in regions):
                    arrays[symbol.plain] = regions
    if not arrays and not memory.live:  # a guess that takes a look at all there is
        arrays = _nameless(memory, whole, elf, _end_of_heap(whole, load_symbols(elf)))
    known = {label: regions for label, regions in arrays.items() if regions}
    if len(known) == 1:
        return next(iter(known.items()))
    if known:
        raise ValueError(f"{name} has several arrays of heap_5's regions: {', '.join(known)}")
    what = f"no bytes of {', '.join(arrays)}" if arrays else f"no array of {_REGION}"
    raise ValueError(
        f"{name} has {what}: heap_5's regions are not constants in it; give them (--region)"
    )


def _nameless(
    memory: Memory, whole: Memory, elf: Elf, end: int | None
) -> dict[str, list[tuple[int, int]]]:
    """What an array without a symbol is made of: values of regions in the dump, of which the last
    ends at this end marker.
    """
    layout = Layout.from_options(5, {"word_size": elf.word})
    found: dict[str, list[tuple[int, int]]] = {}
    for part in elf.segments if end else ():
        words = np.frombuffer(part.data[: len(part.data) // elf.word * elf.word], f"<u{elf.word}")
        inside = np.zeros(len(words), bool)
        for base, data in memory.pieces:
            inside |= (words >= base) & (words < base + len(data))
        after = 0
        for at in (part.address + np.flatnonzero(inside) * elf.word).tolist():
            regions = _regions_at(whole, at, elf.word) if at >= after else []
            held = all(memory.read(*region) is not None for region in regions)
            if regions and held and layout.end(*regions[-1]) == end:
                after = at + 2 * elf.word * len(regions)
                if regions not in found.values():
                    found[f"the constant at {at:#x}"] = regions
    return found


def _end_of_heap(memory: Memory, symbols: Symbols) -> int | None:
    """Where heap_5's last end marker lies, if its variables tell."""
    if _OWN in symbols:
        offset, size = symbols.members.get("end", (0, 0))
        return memory.word(symbols.table[_OWN][0] + offset, size) if size else None
    return _word(memory, symbols, "pxEnd")


def _regions_at(
    memory: Memory, at: int, word: int, end: int | None = None
) -> list[tuple[int, int]]:
    """The regions of an array: an address and a size each, ascending, up to an address of NULL,
    which where the array's end is known stands right before it. Empty where it is none.
    """
    regions: list[tuple[int, int]] = []
    for _ in range(_MOST_REGIONS):
        address, size = memory.word(at, word), memory.word(at + word, word)
        at += 2 * word
        if address == 0:
            return regions if end in (None, at) else []
        if address is None or not size or (regions and address < sum(regions[-1])):
            return []
        regions.append((address, size))
    return []


def _newlib_state(memory: Memory, symbols: Symbols, base: int, size: int) -> ImageState:
    top = _word(memory, symbols, "heap_end") or _word(memory, symbols, "_sbrk_top")
    used = top - base if top and base <= top <= base + size else None
    return ImageState(head=_word(memory, symbols, "__malloc_free_list"), used=used)


def _kernel_state(memory: Memory, symbols: Symbols, layout: Layout) -> ImageState:
    if not layout.frees:
        start = _word(memory, symbols, "pucAlignedHeap") or None  # NULL before the first malloc
        return ImageState(used=_word(memory, symbols, "xNextFreeByte"), start=start)
    found = {part: _word(memory, symbols, name) for name, part in _VARIABLES.items()}
    if symbols.link:
        found["head"] = memory.word(symbols.table["xStart"][0] + symbols.link, symbols.word)
    found["canary"] = found["canary"] or None
    if layout.by_size and "xEnd" in symbols:
        found["end_marker"] = symbols.table["xEnd"][0]
    return ImageState(**found)


def _own_state(memory: Memory, symbols: Symbols) -> ImageState:
    """The state that rtosheap's drop-in files keep: which members there are, and where, depends on
    the kernel's configuration, so that the debug information alone tells.
    """
    at = symbols.table[_OWN][0]
    found: dict[str, int | None] = {}
    for path, part in _MEMBERS.items():
        offset, size = symbols.members.get(path, (0, 0))
        if size:
            found[part] = memory.word(at + offset, size)
    found["canary"] = found.get("canary") or None
    if _END_MARKER in symbols.members:
        found["end_marker"] = at + symbols.members[_END_MARKER][0]
    return ImageState(**found)


def _word(memory: Memory, symbols: Symbols, name: str) -> int | None:
    """The word that a symbol names, if the memory has it."""
    return memory.word(symbols.table[name][0], symbols.word) if name in symbols else None
