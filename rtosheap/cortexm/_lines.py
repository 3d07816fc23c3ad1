"""Which lines of C an image's instructions come from, by its DWARF."""

from __future__ import annotations

import bisect
import importlib
import io
import posixpath
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rtosheap.cortexm._code import CodeError
from rtosheap.cortexm.toolchain import csrc

__all__ = ["Frame", "Lines"]

_FOLDERS = ("core", "freertos", "cortexm")


class Frame(NamedTuple):
    """A place in the source, and the function that it is in."""

    path: Path
    line: int
    function: str


class _Scope(NamedTuple):
    """A function, or a copy of one inside another."""

    ranges: tuple[tuple[int, int], ...]
    depth: int
    name: str
    call: tuple[Path, int] | None  # where it was called, if it was copied in


class Lines:
    """The lines of an image.

    Parameters
    ----------
    image : bytes
        An ELF file that was compiled with ``-g``.
    """

    def __init__(self, image: bytes) -> None:
        library: Any = importlib.import_module("elftools.elf.elffile")
        elf = library.ELFFile(io.BytesIO(image))
        if not elf.has_dwarf_info():
            raise CodeError("the image has no DWARF: compile it with -g")
        self._dwarf: Any = elf.get_dwarf_info()
        self._rows: list[tuple[int, Path | None, int]] = []
        self._scopes: list[_Scope] = []
        for unit in self._dwarf.iter_CUs():
            self._read(unit)
        self._rows.sort(key=lambda row: row[0])
        self._starts = [row[0] for row in self._rows]

    def frames(self, address: int) -> list[Frame]:
        """Where the instruction comes from: the innermost function's line first, then where that
        was called, as far as it was copied in. Empty if that is not known.
        """
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0 or self._rows[at][1] is None:
            return []
        place: tuple[Path, int] | None = (self._rows[at][1], self._rows[at][2])  # type: ignore[assignment]
        frames = []
        for scope in self._around(address):
            if place is None:
                break
            frames.append(Frame(*place, scope.name))
            place = scope.call
        return frames

    def _around(self, address: int) -> list[_Scope]:
        around = [
            scope
            for scope in self._scopes
            if any(low <= address < high for low, high in scope.ranges)
        ]
        return sorted(around, key=lambda scope: -scope.depth)

    def _read(self, unit: Any) -> None:
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return
        files = _files(unit, program)
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            path = None if state.end_sequence or state.line == 0 else files[state.file]
            self._rows.append((state.address, path, state.line))
        top = unit.get_top_DIE()
        self._scopes += self._scoped(top, 0, files, int(_value(top, "DW_AT_low_pc", 0)))

    def _scoped(self, die: Any, depth: int, files: dict[int, Path], base: int) -> Iterator[_Scope]:
        for child in die.iter_children():
            if child.tag in ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine"):
                call = None
                if child.tag == "DW_TAG_inlined_subroutine":
                    number = _value(child, "DW_AT_call_file", 0)
                    call = files.get(number, Path()), _value(child, "DW_AT_call_line", 0)
                ranges = self._ranges(child, base)
                if ranges:
                    yield _Scope(ranges, depth, _name(child), call)
            yield from self._scoped(child, depth + 1, files, base)

    def _ranges(self, die: Any, base: int) -> tuple[tuple[int, int], ...]:
        if "DW_AT_low_pc" in die.attributes and "DW_AT_high_pc" in die.attributes:
            low, high = die.attributes["DW_AT_low_pc"].value, die.attributes["DW_AT_high_pc"]
            end = high.value if high.form == "DW_FORM_addr" else low + high.value
            return ((low, end),)
        if "DW_AT_ranges" not in die.attributes:
            return ()
        attribute = die.attributes["DW_AT_ranges"]
        lists = self._dwarf.range_lists()
        if attribute.form == "DW_FORM_rnglistx":
            entries = lists.get_range_list_at_offset_ex(attribute.value)
        else:
            entries = lists.get_range_list_at_offset(attribute.value, die.cu)
        found = []
        for entry in entries:
            if hasattr(entry, "base_address"):
                base = entry.base_address
            elif getattr(entry, "is_absolute", False):
                found.append((entry.begin_offset, entry.end_offset))
            else:
                found.append((base + entry.begin_offset, base + entry.end_offset))
        return tuple(found)


def _value(die: Any, name: str, default: Any) -> Any:
    attribute = die.attributes.get(name)
    return default if attribute is None else attribute.value


def _name(die: Any) -> str:
    for name in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if name in die.attributes:
            return _name(die.get_DIE_from_attribute(name))
    return bytes(_value(die, "DW_AT_name", b"?")).decode()


def _files(unit: Any, program: Any) -> dict[int, Path]:
    """The files of a unit by their numbers."""
    header = program.header
    folder = bytes(_value(unit.get_top_DIE(), "DW_AT_comp_dir", b"")).decode()
    new = header.version >= 5
    folders = [bytes(name).decode() for name in header.include_directory]
    if not new:
        folders.insert(0, folder)
    files = {}
    for number, entry in enumerate(header.file_entry, 0 if new else 1):
        within = folders[entry.dir_index] if entry.dir_index < len(folders) else ""
        name = posixpath.join(folder, within, bytes(entry.name).decode())
        files[number] = _here(posixpath.normpath(name))
    return files


@lru_cache
def _here(name: str) -> Path:
    """The file; one of csrc as it is here, whoever compiled it."""
    path = Path(name)
    own = csrc() / path.parent.name / path.name
    return own if path.parent.name in _FOLDERS and own.exists() else path
