"""A device's memory as files hold it: raw bytes, Intel HEX, ELF."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rtosheap.device.elf import MAGIC, Elf
from rtosheap.heaps.state import ImageState
from rtosheap.tables import record_text

__all__ = ["Arena", "Memory", "load_memory"]


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


def load_memory(path: str | os.PathLike[str], *, base: int | None = None) -> Memory:
    """Read a dump: ELF (a core, or an image that holds its RAM), Intel HEX, or raw bytes at `base`.

    Parameters
    ----------
    path : path-like
        The file, told by its content.
    base : int, optional
        The address of raw bytes.

    Raises
    ------
    ValueError
        A damaged file, or raw bytes without their address.
    """
    data = Path(path).read_bytes()
    name = os.fspath(path)
    if data.startswith(MAGIC):
        return Memory(tuple((part.address, part.data) for part in Elf(data, name).segments))
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
        record_type, body = record[3], record[4:-1]
        if record_type == 0:
            pieces[upper + int.from_bytes(record[1:3], "big")] = body
        elif record_type == 1:
            ended = True
        elif record_type in (2, 4):
            upper = int.from_bytes(body, "big") << (4 if record_type == 2 else 16)
    if not ended:
        raise ValueError(f"{name}: the end record is missing; the file was cut short")
    joined: list[tuple[int, bytearray]] = []
    for at in sorted(pieces):
        if joined and joined[-1][0] + len(joined[-1][1]) == at:
            joined[-1][1].extend(pieces[at])
        else:
            joined.append((at, bytearray(pieces[at])))
    return [(at, bytes(body)) for at, body in joined]
