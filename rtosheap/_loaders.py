"""Files of a device's memory (raw, Intel HEX, ELF), and the ELF symbols of a heap's parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtosheap.heaps import ImageState

__all__ = ["Arena", "Memory", "Symbols", "find_arena", "load_memory", "load_symbols"]

_ELF = b"\x7fELF"


@dataclass(frozen=True)
class Memory:
    """Pieces of memory, as (address, bytes)."""

    pieces: tuple[tuple[int, bytes], ...]

    def read(self, address: int, size: int) -> bytes | None:
        """The bytes there; None if not all of them are known."""
        for base, data in self.pieces:
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        return None

    def word(self, address: int, size: int) -> int | None:
        """The little-endian word there, if it is known."""
        data = self.read(address, size)
        return None if data is None else int.from_bytes(data, "little")


@dataclass(frozen=True)
class Symbols:
    """An ELF's data symbols: address and size by name, and the size of its pointers."""

    table: dict[str, tuple[int, int]]
    word: int

    def __contains__(self, name: str) -> bool:
        return name in self.table


def load_memory(path: str | os.PathLike[str], *, base: int | None = None) -> Memory:
    """Read a dump: ELF (a core, or an image that holds its RAM), Intel HEX, or raw bytes at `base`.

    Raises
    ------
    ValueError
        A damaged file, or raw bytes without their address.
    """
    data = Path(path).read_bytes()
    name = os.fspath(path)
    if data.startswith(_ELF):
        return _elf_memory(path)
    if data.startswith(b":") and _looks_like_hex(data):
        return Memory(tuple(_hex_pieces(data, name)))
    if base is None:
        raise ValueError(f"{name}: raw bytes do not say where they lie; give the base address")
    if not data:
        raise ValueError(f"{name}: the file is empty")
    return Memory(((base, data),))


def _looks_like_hex(data: bytes) -> bool:
    first = data.split(b"\n", 1)[0].strip()
    return len(first) >= 11 and all(byte in b"0123456789abcdefABCDEF" for byte in first[1:])


def _hex_pieces(data: bytes, name: str) -> list[tuple[int, bytes]]:
    """The pieces of an Intel HEX file, those that adjoin joined."""
    upper, pieces, ended = 0, dict[int, bytes](), False
    for number, line in enumerate(data.split(b"\n"), 1):
        line = line.strip()
        if not line or ended:
            continue
        try:
            record = bytes.fromhex(line[1:].decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            record = b""
        if line[:1] != b":" or len(record) < 5 or len(record) != record[0] + 5:
            raise ValueError(f"{name}, line {number}: no record of Intel HEX")
        if sum(record) & 0xFF:
            raise ValueError(f"{name}, line {number}: the record's checksum is wrong")
        kind, body = record[3], record[4:-1]
        if kind == 0:
            pieces[upper + int.from_bytes(record[1:3], "big")] = body
        elif kind == 1:
            ended = True
        elif kind in (2, 4):
            upper = int.from_bytes(body, "big") << (4 if kind == 2 else 16)
    if not ended:
        raise ValueError(f"{name}: the end record is missing; the file was cut short")
    joined: list[tuple[int, bytearray]] = []
    for at in sorted(pieces):
        if joined and joined[-1][0] + len(joined[-1][1]) == at:
            joined[-1][1].extend(pieces[at])
        else:
            joined.append((at, bytearray(pieces[at])))
    return [(at, bytes(body)) for at, body in joined]


def _elf(stream: Any, name: str) -> Any:
    try:
        from elftools.common.exceptions import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            ELFError,
        )
        from elftools.elf.elffile import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            ELFFile,
        )
    except ImportError as error:
        raise ValueError(
            f"{name}: reading an ELF needs pyelftools: pip install 'rtosheap[inspect]'"
        ) from error
    try:
        return ELFFile(stream)
    except ELFError as error:
        raise ValueError(f"{name}: a damaged ELF file ({error})") from None


def _elf_memory(path: str | os.PathLike[str]) -> Memory:
    with open(path, "rb") as stream:
        elf = _elf(stream, os.fspath(path))
        pieces = [
            (int(segment["p_vaddr"]), segment.data())
            for segment in elf.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        ]
    return Memory(tuple(pieces))


def load_symbols(path: str | os.PathLike[str]) -> Symbols:
    """The data symbols of an ELF file.

    Raises
    ------
    ValueError
        If the file is no ELF, or has no symbols.
    """
    name = os.fspath(path)
    with open(path, "rb") as stream:
        if stream.read(4) != _ELF:
            raise ValueError(f"{name}: no ELF file")
        stream.seek(0)
        elf = _elf(stream, name)
        section = elf.get_section_by_name(".symtab")
        if section is None:
            raise ValueError(f"{name}: has no symbols (it was stripped)")
        table: dict[str, tuple[int, int]] = {}
        for symbol in section.iter_symbols():
            if symbol["st_info"]["type"] in ("STT_OBJECT", "STT_NOTYPE") and symbol.name:
                plain = symbol.name.partition(".")[0]  # the compiler's suffix of a static's name
                table.setdefault(plain, (int(symbol["st_value"]), int(symbol["st_size"])))
        return Symbols(table, elf.elfclass // 8)


@dataclass(frozen=True)
class Arena:
    """Where a heap lies, and what is known of its state."""

    kind: int
    base: int
    size: int
    word: int
    state: ImageState


def find_arena(
    memory: Memory, symbols: Symbols, kind: int, *, base: int | None = None, size: int | None = None
) -> Arena:
    """The arena and the state of a heap, by the names that FreeRTOS, newlib and rtosheap's own
    drop-in files give them. What the memory does not cover stays unknown.

    Raises
    ------
    ValueError
        If there is no arena by name, and none was given.
    """
    word = symbols.word
    if base is None:
        if "ucHeap" not in symbols:
            raise ValueError("the ELF has no symbol ucHeap; give the arena's base address and size")
        base, found = symbols.table["ucHeap"]
        size = size or found
    if size is None:
        size = symbols.table.get("ucHeap", (0, 0))[1] or sum(
            at + len(data) - base for at, data in memory.pieces if at <= base < at + len(data)
        )

    def value(name: str, offset: int = 0) -> int | None:
        where = symbols.table.get(name)
        return None if where is None else memory.word(where[0] + offset, word)

    if kind == 1:
        used = value("xHeap", 2 * word) if "xHeap" in symbols else value("xNextFreeByte")
        return Arena(kind, base, size, word, ImageState(used=used))
    if kind == 3:
        top = value("heap_end") or value("_sbrk_top")
        used = top - base if top and base <= top <= base + size else None
        return Arena(
            kind, base, size, word, ImageState(head=value("__malloc_free_list"), used=used)
        )
    if "xHeap" in symbols and "xStart" not in symbols:
        state = _own_state(memory, symbols, kind)
    else:
        state = ImageState(
            head=value("xStart"),
            end_marker=symbols.table["xEnd"][0] if kind == 2 and "xEnd" in symbols else None,
            free_size=value("xFreeBytesRemaining"),
            minimum_ever_free=value("xMinimumEverFreeBytesRemaining"),
            allocations=value("xNumberOfSuccessfulAllocations"),
            frees=value("xNumberOfSuccessfulFrees"),
            canary=value("xHeapCanary") or None,
        )
    return Arena(kind, base, size, word, state)


def _own_state(memory: Memory, symbols: Symbols, kind: int) -> ImageState:
    """The state that rtosheap's drop-in files keep in `xHeap`, whose size tells its fields.

    heap_4, heap_5: head (2 words), end[, lowest], free size, minimum, allocations, frees[, canary].
    heap_2: head and tail (2 words each), free size[, minimum, allocations, frees].
    (heap_1: start, limit, used.)
    """
    word = symbols.word
    at, size = symbols.table["xHeap"]
    data = memory.read(at, size)
    if data is None:
        return ImageState(end_marker=at + 2 * word if kind == 2 else None)
    words = [int.from_bytes(data[i : i + word], "little") for i in range(0, size, word)]
    if kind == 2:
        counted = len(words) >= 8
        return ImageState(
            head=words[0],
            end_marker=at + 2 * word,
            free_size=words[4],
            minimum_ever_free=words[5] if counted else None,
            allocations=words[6] if counted else None,
            frees=words[7] if counted else None,
        )
    # 7 words, one more with configASSERT (the lowest address), one more with the heap protector
    lowest = len(words) >= 8 and _is_lowest(words)
    rest = words[4:] if lowest else words[3:]
    return ImageState(
        head=words[0],
        free_size=rest[0],
        minimum_ever_free=rest[1],
        allocations=rest[2],
        frees=rest[3],
        canary=(rest[4] or None) if len(rest) > 4 else None,
    )


def _is_lowest(words: list[int]) -> bool:
    """Whether the fourth word is an address below the end, and no size: sizes are smaller."""
    end, word = words[2], words[3]
    return word <= end and word >= words[4] and word > end >> 1
