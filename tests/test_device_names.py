"""ELF files that unpack to more than they hold, and names that several modules have."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from test_device import BASE, LINKED, SMALL, compiled

from rtosheap import device
from rtosheap.device import Elf, Memory


def test_segments_that_hold_the_file_over_and_over_are_refused() -> None:
    """Of a file of 30 KB 1,000 segments would be 30 MB, of one of a megabyte 30 GB."""
    count = 1000
    size = 52 + 32 * count
    data = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    data += struct.pack("<HHIIIIIHHHHHH", 4, 40, 1, 0, 52, 0, 0, 52, 32, count, 0, 0, 0)
    for number in range(count):
        data += struct.pack("<8I", 1, 0, BASE + number * size, 0, size, size, 6, 1)
    with pytest.raises(ValueError, match="hold the file's 32,052 bytes many times"):
        _ = Elf(data, "core").segments


@pytest.mark.parametrize("old", [False, True])
def test_debug_information_that_unpacks_without_end_is_refused(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "small.elf"
    elf = compiled(path, SMALL, "-g", "-gz", *LINKED)
    data = bytearray(path.read_bytes())
    size = 65 << 20
    packed = zlib.compress(bytes(size), 9)
    head = b"ZLIB" + (100).to_bytes(8, "big") if old else struct.pack("<III", 1, size, 1)
    (table,), (count,) = struct.unpack_from("<I", data, 32), struct.unpack_from("<H", data, 48)
    (names,) = struct.unpack_from("<H", data, 50)
    (texts,) = struct.unpack_from("<I", data, table + 40 * names + 16)
    number = [section.name for section in elf.sections].index(".debug_str")
    fields = [*struct.unpack_from("<10I", data, table + 40 * number)]
    if old:  # as binutils up to 2.25 wrote it: the name says so, the flags do not
        at = texts + fields[0]
        data[at : at + 10] = b".zdebug_s\0"
    fields[2] = 0 if old else 0x800
    fields[4:6] = len(data), len(head) + len(packed)
    struct.pack_into("<10I", data, table + 40 * number, *fields)
    assert number < count
    with pytest.raises(ValueError, match="unpacks to more than 67,108,864 bytes"):
        Elf(bytes(data) + head + packed, "bomb").members("xHeap")


def test_two_statics_of_a_name_each_have_their_members(tmp_path: Path) -> None:
    source = (
        "static struct {{ char text[16]; void *{0}; }} state __attribute__((used));\n"
        "void *{0}_of(void);\nvoid *{0}_of(void) {{ return state.{0}; }}\n"
    )
    other = tmp_path / "other.o"
    compiled(other, source.format("first"), "-g")
    elf = compiled(tmp_path / "both.elf", source.format("second"), "-g", *LINKED, str(other))
    places = sorted(symbol.value for symbol in elf.symbols or () if symbol.name == "state")
    assert len(places) == 2
    names = {device.variable_at(elf, at + 16) for at in places}
    assert names == {"state.first", "state.second"}
    pieces = [(at, bytes(16) + (BASE + 8).to_bytes(4, "little")) for at in places]
    memory = Memory([(places[0], pieces[0][1].ljust(places[1] - places[0], b"\0") + pieces[1][1])])
    pointers, _ = device.find_pointers(memory, elf, [(BASE, 64)])
    assert {pointer.name for pointer in pointers} == names
