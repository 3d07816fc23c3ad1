"""From the files of a dump to what :func:`rtosheap.inspection.inspect` takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtosheap.device.elf import MAGIC, Elf
from rtosheap.device.memory import Arena, Memory, load_memory
from rtosheap.device.symbols import Firmware, find_arena, find_regions, load_symbols, read_elf
from rtosheap.heaps.layout import Layout
from rtosheap.heaps.state import ImageState

__all__ = ["Dump", "find_heap", "firmware_of", "load_dump"]

_MOST_LIVE = 1 << 28  # bytes that a target is asked for at once
_Path = str | os.PathLike[str]


@dataclass(frozen=True)
class Dump:
    """A heap's memory, and what its device kept of it elsewhere.

    Attributes
    ----------
    memory : bytes, or list of (address, bytes)
        The arena; of a heap in several regions, each of them.
    base_address : int
        The arena's address; 0 for regions, which have their own.
    word_size : int
        Bytes of a header's field.
    state : ImageState
        What is known of the state outside the arena.
    notes : tuple of str
        Why something of it is not known, and what else the symbols tell.
    releases : tuple of str
        The releases of the kernel that the symbols allow, ascending; empty where they do not tell.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_dump
    >>> memory, elf = data.crash()
    >>> dump = load_dump(memory, 4, elf=elf)
    >>> hex(dump.base_address), len(dump.memory), dump.state.free_size
    ('0x20000000', 4096, 2688)
    >>> dump.notes
    ("xHeap is rtosheap's drop-in file's, which is the newest kernel's heap",)
    """

    memory: bytes | list[tuple[int, bytes]]
    base_address: int
    word_size: int
    state: ImageState
    notes: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()


def load_dump(
    path: _Path,
    kind: int,
    *,
    base: int | None = None,
    elf: Firmware | None = None,
    arena: tuple[int, int | None] | None = None,
    regions: Sequence[tuple[int, int]] = (),
    word_size: int = 4,
) -> Dump:
    """Read a dump, and find the heap in it.

    Parameters
    ----------
    path : path-like
        The memory: raw bytes, Intel HEX or an ELF core.
    kind : int
        1 … 5: which of the heaps.
    base : int, optional
        The address of raw bytes.
    elf : path-like or Elf, optional
        The firmware that ran: by its symbols the arena and the heap's state are found.
    arena : (address, size), optional
        By default what the ELF says, or without one all of the dump. With an ELF the size may be
        None: that of ``ucHeap``, or else as far as the memory goes.
    regions : sequence of (address, size)
        In their place, where the heap has several: by default what the ELF's array of
        ``HeapRegion_t`` says.
    word_size : int
        The target's, where no ELF says.

    Returns
    -------
    Dump

    Raises
    ------
    ValueError
        A damaged file, or one that does not hold the heap.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.inspection import inspect
    >>> memory, elf = data.crash()
    >>> dump = load_dump(memory, 4, elf=elf)
    >>> report = inspect(dump.memory, base_address=dump.base_address, state=dump.state)
    >>> report.largest_request, [hex(damage.address) for damage in report.damage]
    (2448, ['0x20000428'])
    """
    memory = load_memory(path, base=base)
    if elf is not None or (arena is None and not regions):
        elf = firmware_of(path, elf)
    return find_heap(memory, kind, elf=elf, arena=arena, regions=regions, word_size=word_size)


def find_heap(
    memory: Memory,
    kind: int,
    *,
    elf: Firmware | None = None,
    arena: tuple[int, int | None] | None = None,
    regions: Sequence[tuple[int, int]] = (),
    word_size: int = 4,
) -> Dump:
    """Find the heap in a device's memory, that of a dump or of a live target.

    Parameters
    ----------
    memory : Memory
    kind, elf, arena, regions, word_size
        As for :func:`load_dump`.

    Returns
    -------
    Dump

    Raises
    ------
    ValueError
        If the memory does not hold the heap.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_memory
    >>> memory, elf = data.crash("heap_5")
    >>> dump = find_heap(load_memory(memory), 5, elf=elf)
    >>> [(hex(address), len(region)) for address, region in dump.memory]
    [('0x20000000', 1536), ('0x20000800', 2048)]
    """
    notes: tuple[str, ...] = ()
    elf = None if elf is None else read_elf(elf)
    if Layout(kind).has_regions and not regions:
        if elf is None:
            raise ValueError("heap_5's regions are missing; give them, or the firmware's ELF")
        name, regions = find_regions(memory, elf)
        notes = (f"the regions are those of {name} in {elf.name}",)
    if elf is not None:
        start, length = regions[0] if regions else arena or (None, None)
        found = find_arena(memory, load_symbols(elf), kind, base=start, size=length)
    else:
        where = regions[0] if regions else _given(arena, memory)
        found = Arena(kind, *where, word_size, ImageState())
    if regions:
        pieces = [(at, _read(memory, at, size)) for at, size in regions]
        notes = (*notes, *found.notes)
        return Dump(pieces, 0, found.word, found.state, notes, found.releases)
    data = _read(memory, found.base, found.size)
    return Dump(data, found.base, found.word, found.state, found.notes, found.releases)


def firmware_of(path: _Path, elf: Firmware | None = None) -> Elf | None:
    """The firmware that ran where a dump was made, with the addresses that it had there.

    A program of a host is loaded anywhere, and the core file of one says where; of all else the
    addresses are those of its ELF.

    Parameters
    ----------
    path : path-like
        The dump.
    elf : path-like or Elf, optional
        By default the dump itself, where it is an ELF file with symbols.

    Returns
    -------
    Elf or None
        None where no `elf` is given, and the dump is none.

    Raises
    ------
    ValueError
        If one of the two is a damaged ELF file.

    Examples
    --------
    >>> from rtosheap import data
    >>> memory, elf = data.crash()
    >>> firmware_of(memory) is None  # a core file has no symbols
    True
    >>> hex(firmware_of(memory, elf).entry)
    '0x45'
    """
    data = Path(path).read_bytes()
    dump = Elf(data, os.fspath(path)) if data.startswith(MAGIC) else None
    if elf is None:
        return None if dump is None or dump.symbols is None else dump
    firmware = read_elf(elf)
    entry = None if dump is None else dump.entry_when_dumped
    if entry is None or entry == firmware.entry:
        return firmware
    return firmware.moved_by(entry - firmware.entry)


def _given(arena: tuple[int, int | None] | None, memory: Memory) -> tuple[int, int]:
    """Where the arena is, if no ELF says."""
    if arena is not None:
        base, size = arena
        if size is None:
            raise ValueError(f"the arena at {base:#x} has no size; give it, or the firmware's ELF")
        return base, size
    if memory.live:
        raise ValueError(
            "where the heap lies is not known; give the firmware's ELF (--elf), or the arena's "
            "address and size (--arena)"
        )
    if len(memory.pieces) != 1:
        raise ValueError(
            f"the dump holds {len(memory.pieces)} pieces of memory; say which is the heap by the "
            "arena's address and size, or by the firmware's ELF"
        )
    base, data = memory.pieces[0]
    return base, len(data)


def _read(memory: Memory, address: int, size: int) -> bytes:
    if memory.live and size > _MOST_LIVE:
        raise ValueError(
            f"an arena of {size} bytes at {address:#x} is no device's; is its size right?"
        )
    data = memory.read(address, size)
    if data is None and memory.live:
        raise ValueError(f"the target does not let {size} bytes at {address:#x} be read")
    if data is None:
        held = ", ".join(f"{at:#x} to {at + len(part):#x}" for at, part in memory.pieces)
        raise ValueError(f"the dump does not hold {size} bytes at {address:#x}; it holds {held}")
    return data
