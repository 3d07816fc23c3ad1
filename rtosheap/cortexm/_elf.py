"""As much of ELF32 as compilers for Cortex-M write: segments, sections and symbols."""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["Elf", "Section", "Segment"]

_LOAD, _SYMTAB, _NOBITS = 1, 2, 8
_ARM = 40


class Segment(NamedTuple):
    """Bytes that a loader puts at an address."""

    address: int
    data: bytes


class Section(NamedTuple):
    """A part of an object file."""

    name: str
    size: int
    allocated: bool  # takes memory on the target
    writable: bool
    empty: bool  # takes none in the file: bss


class Elf:
    """A little-endian Arm file.

    Raises
    ------
    ValueError
        If the bytes are no such file.
    """

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x01\x01" or int.from_bytes(data[18:20], "little") != _ARM:
            raise ValueError("this is no 32-bit little-endian Arm ELF file")
        self._data = data
        (self._segments_at, self._sections_at) = struct.unpack_from("<II", data, 28)
        (self._segment_bytes, self._segment_count, self._section_bytes, self._section_count) = (
            struct.unpack_from("<HHHH", data, 42)
        )
        (self._names_index,) = struct.unpack_from("<H", data, 50)

    @property
    def segments(self) -> list[Segment]:
        """What is to be loaded, at load addresses."""
        found = []
        for i in range(self._segment_count):
            kind, at, _, address, size = struct.unpack_from(
                "<5I", self._data, self._segments_at + i * self._segment_bytes
            )
            if kind == _LOAD and size:
                found.append(Segment(address, self._data[at : at + size]))
        return found

    @property
    def sections(self) -> list[Section]:
        """All sections."""
        headers = self._headers()
        names = headers[self._names_index]
        return [
            Section(
                self._text(names[4] + name),
                size,
                bool(flags & 2),
                bool(flags & 1),
                kind == _NOBITS,
            )
            for name, kind, flags, _, _, size, *_ in headers
        ]

    @property
    def symbols(self) -> dict[str, int]:
        """Values by name; a function's has the bit that says Thumb."""
        headers = self._headers()
        found = {}
        for _, kind, _, _, at, size, link, *_ in headers:
            if kind != _SYMTAB:
                continue
            for entry in range(at, at + size, 16):
                name, value, _, _, _, section = struct.unpack_from("<IIIBBH", self._data, entry)
                if name and section:
                    found[self._text(headers[link][4] + name)] = value
        return found

    def _headers(self) -> list[tuple[int, ...]]:
        return [
            struct.unpack_from("<10I", self._data, self._sections_at + i * self._section_bytes)
            for i in range(self._section_count)
        ]

    def _text(self, at: int) -> str:
        return self._data[at : self._data.index(b"\0", at)].decode("ascii")
