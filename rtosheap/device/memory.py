"""A device's memory as files hold it: raw bytes, Intel HEX, ELF."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rtosheap.device.elf import MAGIC, Elf
from rtosheap.heaps.state import ImageState
from rtosheap.tables import record_text

__all__ = ["Arena", "Memory", "load_memory"]

Fetch = Callable[[int, int], bytes | None]


class Memory:
    """A device's memory: what a file holds of it, or what a live target answers.

    Parameters
    ----------
    pieces : iterable of (address, bytes)
        What is known of it.
    fetch : callable, optional
        Asked for (address, size) that no piece holds: the bytes, or None where there are none.
        What it gave is a piece from then on.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> memory = Memory([(0x2000_0000, bytes(Heap4(1024).memory))])
    >>> memory
    <Memory: 0x20000000 to 0x20000400>
    >>> memory.word(0x2000_0004, 4)  # the size of the first block
    1016
    >>> memory.read(0x2000_0400, 4) is None  # past what is known
    True
    """

    def __init__(
        self, pieces: Iterable[tuple[int, bytes]] = (), fetch: Fetch | None = None
    ) -> None:
        self._pieces = list(pieces)
        self._fetch = fetch

    def __repr__(self) -> str:
        held = ", ".join(f"{base:#x} to {base + len(data):#x}" for base, data in self._pieces)
        return f"<Memory{', live' if self.live else ''}: {held or 'nothing so far'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Memory):
            return NotImplemented
        return (self._pieces, self._fetch) == (other._pieces, other._fetch)

    __hash__ = None  # type: ignore[assignment]

    @property
    def pieces(self) -> tuple[tuple[int, bytes], ...]:
        """What is known so far, as (address, bytes)."""
        return tuple(self._pieces)

    @property
    def live(self) -> bool:
        """Whether more can be had than is known."""
        return self._fetch is not None

    def read(self, address: int, size: int) -> bytes | None:
        """The bytes there; None if not all of them are known."""
        for base, data in self._pieces:
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        if self._fetch is None:
            return None
        fetched = self._fetch(address, size)
        if fetched is not None:
            self._pieces.append((address, fetched))
        return fetched

    def over(self, pieces: Iterable[tuple[int, bytes]]) -> Memory:
        """This memory; where it holds nothing, these pieces."""
        if not self.live:
            return Memory((*self._pieces, *pieces))
        below = Memory(pieces)

        def fetch(address: int, size: int) -> bytes | None:
            data = self.read(address, size)
            return below.read(address, size) if data is None else data

        return Memory((), fetch)

    def word(self, address: int, size: int) -> int | None:
        """The little-endian word there, if it is known."""
        data = self.read(address, size)
        return None if data is None else int.from_bytes(data, "little")


@dataclass(frozen=True)
class Arena:
    """Where a heap lies, and what is known of its state.

    Attributes
    ----------
    kind : int
        1 … 5.
    base, size : int
        The arena's address, and its bytes.
    word : int
        Bytes of a header's field.
    state : ImageState
        What the heap keeps outside its arena, as far as it is known.
    notes : tuple of str
        Why something of it is not, and what else the symbols tell, in plain sentences.
    releases : tuple of str
        The releases of the kernel that the symbols allow, ascending; empty where they do not tell.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import find_arena, load_memory, load_symbols
    >>> memory, elf = data.crash()
    >>> arena = find_arena(load_memory(memory), load_symbols(elf), 4)
    >>> hex(arena.base), arena.size, arena.state.free_size, arena.releases
    ('0x20000000', 4096, 2688, ('main',))
    """

    kind: int
    base: int
    size: int
    word: int
    state: ImageState
    notes: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return record_text(self, addresses=("base",))


def joined(pieces: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Pieces in ascending order, those that adjoin or overlap as one; of bytes that there are
    twice, those of the piece that begins first.
    """
    found: list[tuple[int, bytearray]] = []
    for at, data in sorted(pieces, key=lambda piece: piece[0]):
        known = found[-1][0] + len(found[-1][1]) - at if found else -1
        if known >= 0:
            found[-1][1].extend(data[known:])
        else:
            found.append((at, bytearray(data)))
    return [(at, bytes(data)) for at, data in found]


def load_memory(path: str | os.PathLike[str], *, base: int | None = None) -> Memory:
    """Read a dump: ELF (a core, or an image that holds its RAM), Intel HEX, or raw bytes at `base`.

    Parameters
    ----------
    path : path-like
        The file, told by its content.
    base : int, optional
        The address of raw bytes.

    Returns
    -------
    Memory

    Raises
    ------
    ValueError
        A damaged file, or raw bytes without their address.

    Examples
    --------
    >>> from pathlib import Path
    >>> Path("ram.bin").write_bytes(bytes(1024))
    1024
    >>> load_memory("ram.bin", base=0x2000_0000)
    <Memory: 0x20000000 to 0x20000400>
    >>> from rtosheap import data
    >>> core, _ = data.crash()  # says by itself where its bytes lie
    >>> load_memory(core)
    <Memory: 0x20000000 to 0x20001000, 0x20300000 to 0x20300260>
    """
    data = Path(path).read_bytes()
    name = os.fspath(path)
    if data.startswith(MAGIC):
        return Memory(joined((part.address, part.data) for part in Elf(data, name).segments))
    if data.startswith(b":") and _looks_like_hex(data):
        return Memory(joined(_hex_pieces(data, name)))
    if base is None:
        raise ValueError(f"{name}: raw bytes do not say where they lie; give the base address")
    if not data:
        raise ValueError(f"{name}: the file is empty")
    return Memory(((base, data),))


def _looks_like_hex(data: bytes) -> bool:
    first = data.split(b"\n", 1)[0].strip()
    return len(first) >= 11 and all(byte in b"0123456789abcdefABCDEF" for byte in first[1:])


def _hex_pieces(data: bytes, name: str) -> list[tuple[int, bytes]]:
    """The pieces of an Intel HEX file, record by record."""
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
        record_type, body = record[3], record[4:-1]
        if record_type == 0:
            pieces[upper + int.from_bytes(record[1:3], "big")] = body
        elif record_type == 1:
            ended = True
        elif record_type in (2, 4):
            upper = int.from_bytes(body, "big") << (4 if record_type == 2 else 16)
    if not ended:
        raise ValueError(f"{name}: the end record is missing; the file was cut short")
    return list(pieces.items())
