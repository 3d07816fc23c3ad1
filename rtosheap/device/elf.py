"""ELF files: what they load, their sections and symbols, and what a variable's struct holds.

The one reader for dumps, for firmware and for the images that :mod:`rtosheap.cortexm` measures. It
stands on pyelftools, and whatever that says of a damaged file becomes a ValueError.
"""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from rtosheap.device import _dwarf
from rtosheap.device._dwarf import Member
from rtosheap.tables import record_text

__all__ = ["MAGIC", "Elf", "Member", "Section", "Segment", "Symbol", "read_firmware"]

#: What every ELF file begins with.
MAGIC = b"\x7fELF"

_ALLOCATED, _WRITABLE = 2, 1
_MOST_OVERLAP = 4  # segments may share bytes of the file
# What compressed sections may unpack to: as a trace's file.
_LEAST_LIMIT, _MOST_RATIO = 64 << 20, 32
_DEBUG = (".debug_", ".zdebug_", ".eh_frame")
_ZDEBUG_HEADER = 12  # bytes
_AT_ENTRY = 9
_KINDS = {0: "none", 1: "object", 2: "function", 3: "section", 4: "file"}
# A symbol's entry by the size of a word, and where in it name, value, size, info and section stand.
_SYMBOL = {4: ("IIIBxH", (0, 1, 2, 3, 4)), 8: ("IBxHQQ", (0, 3, 4, 1, 2))}


class Segment(NamedTuple):
    """Bytes that belong into memory.

    Attributes
    ----------
    address : int
        Where the program finds them (``p_vaddr``): in a core dump, where they were.
    load_address : int
        Where a loader puts them (``p_paddr``): initial values of variables lie in ROM.
    data : bytes
        What the file holds of them.

    Examples
    --------
    >>> from rtosheap.device import Elf, write_core
    >>> Elf(write_core([(0x2000_0000, b"heap")])).segments
    [Segment(address=0x20000000, load_address=0x20000000, data=b'heap')]
    """

    address: int
    load_address: int
    data: bytes

    def __repr__(self) -> str:
        return record_text(self, addresses=("address", "load_address"))


class Section(NamedTuple):
    """A part of the file.

    Attributes
    ----------
    name : str
    size : int
        Bytes.
    allocated : bool
        Takes memory on the target.
    writable : bool
    empty : bool
        Takes none in the file: bss.
    address : int
        On the target.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import read_elf
    >>> _, elf = data.crash()
    >>> [section for section in read_elf(elf).sections if section.name == ".bss"]
    [Section(name='.bss', size=608, allocated=True, writable=True, empty=True, address=0x20300000)]
    """

    name: str
    size: int
    allocated: bool
    writable: bool
    empty: bool
    address: int

    def __repr__(self) -> str:
        return record_text(self, addresses=("address",))


class Symbol(NamedTuple):
    """A name that is defined in the file.

    Attributes
    ----------
    name : str
        With the suffix that compilers give to a static, such as ``.0``.
    value : int
        An address; a function's has the bit that says Thumb.
    size : int
        Bytes, 0 where that is not known.
    kind : str
        ``"object"``, ``"function"``, ``"none"`` (assembler's and linker scripts' names),
        ``"section"``, ``"file"``, or ``"other"``.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import read_elf
    >>> _, elf = data.crash()
    >>> [symbol for symbol in read_elf(elf).variables if symbol.plain == "ucHeap"]
    [Symbol(name='ucHeap', value=0x20000000, size=4096, kind='object')]
    """

    name: str
    value: int
    size: int
    kind: str

    def __repr__(self) -> str:
        return record_text(self, addresses=("value",))

    @property
    def plain(self) -> str:
        """The name without that suffix."""
        return self.name.partition(".")[0]


class Elf:
    """An ELF file, of any machine.

    Every part is read when it is first asked for.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What messages call it.
    moved : int
        Bytes by which the target's addresses lie above the file's, as those of a program that was
        loaded anywhere do. Every address here is the target's.

    Raises
    ------
    ValueError
        Here and by every attribute: a damaged file, or no ELF file; or pyelftools is not there.

    Examples
    --------
    >>> from rtosheap import data
    >>> _, path = data.crash()
    >>> elf = Elf(path.read_bytes(), path.name)
    >>> elf.machine, elf.word, [symbol.name for symbol in elf.variables][:4]
    ('EM_ARM', 4, ['rh_vectors', 'ucHeap', 'xHeap', 'app_queue'])
    >>> elf.members("app_state")["link.message"]
    Member(offset=4, size=4)
    """

    def __init__(self, data: bytes, name: str = "the image", *, moved: int = 0) -> None:
        self.name = name
        self._data = data
        self._moved = moved
        self._length = len(data)
        try:
            library: Any = importlib.import_module("elftools.elf.elffile")
        except ImportError as error:
            raise ValueError(
                f"{name}: reading an ELF needs pyelftools: pip install pyelftools"
            ) from error
        with self._reading("header"):
            self._file: Any = library.ELFFile(io.BytesIO(data))
            #: Bytes of an address.
            self.word: int = self._file.elfclass // 8
            #: The processor, as ELF names it: ``"EM_ARM"``.
            self.machine: str = str(self._file["e_machine"])
            self.little_endian: bool = self._file.little_endian

    def moved_by(self, count: int) -> Elf:
        """The same file with the target's addresses so many bytes higher."""
        return Elf(self._data, self.name, moved=self._moved + count)

    @cached_property
    def segments(self) -> list[Segment]:
        """What is to be loaded, or was dumped."""
        with self._reading("segments"):
            self._check_table(self._file.num_segments(), self._file["e_phentsize"])
            held = sum(min(int(s["p_filesz"]), self._length) for s in self._file.iter_segments())
            if held > _MOST_OVERLAP * self._length:
                raise ValueError(f"they hold the file's {self._length:,} bytes many times")
            return [
                Segment(
                    int(segment["p_vaddr"]) + self._moved, int(segment["p_paddr"]), segment.data()
                )
                for segment in self._file.iter_segments()
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
            ]

    @cached_property
    def sections(self) -> list[Section]:
        """All sections."""
        with self._reading("sections"):
            return [
                Section(
                    section.name,
                    int(section["sh_size"]),
                    bool(section["sh_flags"] & _ALLOCATED),
                    bool(section["sh_flags"] & _WRITABLE),
                    section["sh_type"] == "SHT_NOBITS",
                    int(section["sh_addr"]) + self._moved,
                )
                for section in self._sections
            ]

    @cached_property
    def symbols(self) -> list[Symbol] | None:
        """All symbols that are defined, in the file's order; None where the file was stripped."""
        with self._reading("symbols"):
            tables = [part for part in self._sections if part["sh_type"] == "SHT_SYMTAB"]
            return [symbol for table in tables for symbol in self._of(table)] if tables else None

    @cached_property
    def variables(self) -> list[Symbol]:
        """The variables by their addresses; none where the file was stripped."""
        variables = (symbol for symbol in self.symbols or () if symbol.kind == "object")
        return sorted(variables, key=lambda symbol: symbol.value)

    @property
    def entry(self) -> int:
        """Where the program starts, on the target."""
        with self._reading("header"):
            return int(self._file["e_entry"]) + self._moved

    @cached_property
    def entry_when_dumped(self) -> int | None:
        """Of a core file of a Linux process: where its program started (``AT_ENTRY``), which tells
        where that was loaded. None where no note says.
        """
        with self._reading("notes"):
            for segment in self._file.iter_segments("PT_NOTE"):
                for note in segment.iter_notes():
                    if note["n_type"] == "NT_AUXV":
                        data = note["n_descdata"]
                        pairs = struct.iter_unpack("<II" if self.word == 4 else "<QQ", data)
                        return dict(pairs).get(_AT_ENTRY)
            return None

    def members(
        self, variable: str, address: int | None = None, *, pointed: bool = False
    ) -> dict[str, Member] | None:
        """Where the members of a variable lie, by its type in the debug information.

        Parameters
        ----------
        variable : str
            Its name, at file level.
        address : int, optional
            Where it lies, to tell it from others of that name.
        pointed : bool
            The members of what it points to, or of what each element of an array points to.

        Returns
        -------
        dict of str to (offset, size), or None
            By dotted path: ``"head"`` and ``"head.next"``; of an array of up to 64 structs also
            ``"regions[0].base"``. None if no debug information describes a struct of that name.
        """
        with self._reading("debug information"):
            dwarf = self._debug_information()
            if dwarf is None:
                return None
            at = None if address is None else address - self._moved
            return _dwarf.members(dwarf, variable, at, pointed=pointed)

    def arrays(self, kind: str) -> list[tuple[str, int]] | None:
        """The variables that are arrays of a type, by the debug information.

        Parameters
        ----------
        kind : str
            The type's name.

        Returns
        -------
        list of (str, int), or None
            Name and address of each, statics of functions included; None without such information.
        """
        with self._reading("debug information"):
            dwarf = self._debug_information()
            if dwarf is None:
                return None
            return [(name, at + self._moved) for name, at in _dwarf.arrays(dwarf, kind)]

    def has_function(self, name: str) -> bool:
        """Whether the debug information has a function of a name, be it inlined everywhere."""
        with self._reading("debug information"):
            dwarf = self._debug_information()
            return dwarf is not None and _dwarf.has_function(dwarf, name)

    def _debug_information(self) -> Any:
        named = [part for part in self._sections if part.name.startswith(_DEBUG)]
        if not any(part.name in (".debug_info", ".zdebug_info") for part in named):
            return None
        for part in named:
            if part["sh_type"] == "SHT_NOBITS" or part["sh_size"] > self._length:
                raise ValueError(f"{part.name} is larger than the file")
        most = max(_LEAST_LIMIT, _MOST_RATIO * self._length)
        if sum(_unpacked_size(part, most) for part in named) > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
        return self._file.get_dwarf_info(follow_links=False)

    @cached_property
    def _sections(self) -> list[Any]:
        self._check_table(self._file.num_sections(), self._file["e_shentsize"])
        return list(self._file.iter_sections())

    def _of(self, table: Any) -> list[Symbol]:
        """The symbols of a table. One by one through pyelftools they take 50 times as long."""
        fields, (name, value, size, info, section) = _SYMBOL[self.word]
        layout = struct.Struct(("<" if self.little_endian else ">") + fields)
        data, texts = table.data(), table.stringtable.data()
        if len(data) != table["sh_size"] or table["sh_entsize"] != layout.size:
            raise ValueError("their table is cut short, or has entries of another size")
        return [
            Symbol(
                _text(texts, entry[name]),
                entry[value] + self._moved,
                entry[size],
                _KINDS.get(entry[info] & 15, "other"),
            )
            for entry in layout.iter_unpack(data)
            if entry[name] and entry[section]
        ]

    def _check_table(self, count: int, entry_bytes: int) -> None:
        if count * max(1, entry_bytes) > self._length:
            raise ValueError(f"the file is too short for {count} of them")

    @contextmanager
    def _reading(self, part: str) -> Iterator[None]:
        """The one boundary: bytes that are wrong make pyelftools raise nearly anything."""
        try:
            yield
        except Exception as error:
            why = str(error) or type(error).__name__
            raise ValueError(
                f"{self.name}: a damaged ELF file, or one of an unknown kind: its {part} cannot be "
                f"read ({why})"
            ) from error


def read_firmware(data: bytes, name: str = "the image") -> Elf:
    """An image for a Cortex-M, or an object file for one.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What messages call it.

    Returns
    -------
    Elf

    Raises
    ------
    ValueError
        If the bytes are none, or damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> _, elf = data.crash()
    >>> firmware = read_firmware(elf.read_bytes())
    >>> sum(section.size for section in firmware.sections if section.name == ".text")
    1768
    """
    elf = Elf(data, name)
    if (elf.word, elf.machine, elf.little_endian) != (4, "EM_ARM", True):
        raise ValueError(f"{name} is no 32-bit little-endian Arm ELF file")
    return elf


def _unpacked_size(section: Any, most: int) -> int:
    """Bytes of a section once it is unpacked, or if they are too many, any number of too many."""
    if not section.name.startswith(".zdebug_"):
        return int(section.data_size)  # which is not exceeded
    unpacking, packed, size = zlib.decompressobj(), section.data()[_ZDEBUG_HEADER:], 0
    while packed and not unpacking.eof and size <= most:
        size += len(unpacking.decompress(packed, 1 << 20))
        packed = unpacking.unconsumed_tail
    return size


def _text(texts: bytes, at: int) -> str:
    end = texts.find(b"\0", at)
    if end < 0:
        raise ValueError("a name lies outside the table of names")
    return texts[at:end].decode(errors="replace")
