"""From an ELF's debug information (DWARF): where the members of a variable's struct lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

__all__ = ["Member", "arrays", "has_function", "members"]

# Damaged debug information may lead in circles, or on and on.
_DEEPEST = 16  # structs within structs, and names for a type
_MOST = 1 << 14  # members
_LISTED = 64  # elements of an array that are members one by one

_RENAMES = frozenset(
    f"DW_TAG_{kind}_type" for kind in ("const", "volatile", "restrict", "atomic")
) | {"DW_TAG_typedef"}
_STRUCTS = ("DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_class_type")
_ARRAY, _RANGE, _MEMBER = "DW_TAG_array_type", "DW_TAG_subrange_type", "DW_TAG_member"
_POINTERS = ("DW_TAG_pointer_type", "DW_TAG_reference_type")
_OP_ADDRESS, _OP_PLUS = 0x03, 0x23


class Member(NamedTuple):
    """Where a part of a variable lies.

    Attributes
    ----------
    offset : int
        Bytes from the variable's start.
    size : int
        Bytes that it takes.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import read_elf
    >>> _, elf = data.crash()
    >>> read_elf(elf).members("xHeap")["free_size"]
    Member(offset=12, size=4)
    """

    offset: int
    size: int


def members(
    dwarf: Any, variable: str, address: int | None, *, pointed: bool = False
) -> dict[str, Member] | None:
    """The members of a variable, by dotted path; None where nothing describes it.

    Of several variables of the name, the one at `address` is meant; a description that does not say
    where its variable lies serves as well. With `pointed` those of what it, or each element of the
    array that it is, points to.
    """
    name, vague = variable.encode(), None
    for unit in _units(dwarf, name):
        for entry in _children(unit.get_top_DIE()):
            if entry.tag != "DW_TAG_variable" or _value(entry, "DW_AT_name") != name:
                continue
            at = _address(dwarf, entry)
            if address is None or at == address:
                return _members_of(entry, pointed)
            if at is None and vague is None:
                vague = entry
    return None if vague is None else _members_of(vague, pointed)


def arrays(dwarf: Any, kind: str) -> list[tuple[str, int]]:
    """The variables that are arrays of a type, in functions too: name and address of each."""
    name, found = kind.encode(), []
    for unit in _units(dwarf, name):
        for entry in _all_below(unit.get_top_DIE()):
            if entry.tag != "DW_TAG_variable" or "DW_AT_name" not in entry.attributes:
                continue
            at, array = _address(dwarf, entry), _type_of(entry)
            if at is not None and array is not None and array.tag == _ARRAY and _is(array, name):
                found.append((_value(entry, "DW_AT_name").decode(), at))
    return found


def has_function(dwarf: Any, name: str) -> bool:
    """Whether a function of a name is described, as one that was inlined everywhere still is."""
    wanted = name.encode()
    return any(
        entry.tag == "DW_TAG_subprogram" and _value(entry, "DW_AT_name") == wanted
        for unit in _units(dwarf, wanted)
        for entry in _children(unit.get_top_DIE())
    )


def _is(entry: Any, name: bytes) -> bool:
    """Whether the type of an entry has a name, under its qualifiers and other names."""
    for _ in range(_DEEPEST):
        if "DW_AT_type" not in entry.attributes:
            return False
        entry = entry.get_DIE_from_attribute("DW_AT_type")
        if _value(entry, "DW_AT_name") == name:
            return True
    return False


def _units(dwarf: Any, name: bytes) -> Iterator[Any]:
    """The units that may have a name."""
    needles = _needles(dwarf, name)
    for unit in dwarf.iter_CUs():
        held = _bytes(dwarf.debug_info_sec, unit.cu_offset, unit.size)
        if any(needle in held for needle in needles):
            yield unit


def _needles(dwarf: Any, name: bytes) -> list[bytes]:
    """One of these is in the bytes of a unit that has the name; to read every entry of every unit
    of a large program takes many seconds.
    """
    if dwarf.debug_str_offsets_sec is not None:
        return [b""]  # a unit has a number instead, which any bytes may look like
    text = name + b"\0"
    needles = [text]
    if dwarf.debug_str_sec is not None:
        strings = _bytes(dwarf.debug_str_sec, 0, dwarf.debug_str_sec.size)
        at = strings.find(text)
        while at >= 0:
            needles.append(at.to_bytes(4, _order(dwarf)))
            at = strings.find(text, at + 1)
    return needles


def _order(dwarf: Any) -> Literal["little", "big"]:
    return "little" if dwarf.config.little_endian else "big"


def _bytes(section: Any, at: int, size: int) -> bytes:
    section.stream.seek(at)
    data: bytes = section.stream.read(size)
    return data


def _all_below(entry: Any) -> Iterator[Any]:
    """Every entry of a unit but its first, however deep."""
    unit = entry.cu
    at, end = entry.offset + entry.size, unit.cu_offset + unit.size
    while at < end:
        child = unit.get_DIE_from_refaddr(at)
        at += child.size
        if not child.is_null():
            yield child


def _children(entry: Any) -> Iterator[Any]:
    """The entries right below one. Those of pyelftools are the same, but may lead in circles."""
    unit = entry.cu
    at, end = entry.offset + entry.size, unit.cu_offset + unit.size
    depth = int(entry.has_children)
    while depth and at < end:
        child = unit.get_DIE_from_refaddr(at)
        at += child.size
        if child.is_null():
            depth -= 1
            continue
        if depth == 1:
            yield child
            sibling = child.attributes.get("DW_AT_sibling")
            if sibling is not None and child.has_children and sibling.form != "DW_FORM_ref_addr":
                following = unit.cu_offset + sibling.raw_value
                if not at <= following <= end:
                    raise ValueError("an entry's sibling lies before it, or outside its unit")
                at = following
                continue
        depth += int(child.has_children)


def _value(entry: Any, attribute: str) -> Any:
    found = entry.attributes.get(attribute)
    return None if found is None else found.value


def _address(dwarf: Any, variable: Any) -> int | None:
    """Where a variable lies, if that is a plain address."""
    where = _value(variable, "DW_AT_location")
    if not isinstance(where, list) or not where or where[0] != _OP_ADDRESS:
        return None
    return int.from_bytes(bytes(where[1:]), _order(dwarf))


def _members_of(variable: Any, pointed: bool) -> dict[str, Member] | None:
    kind = _type_of(variable)
    if pointed:
        kind = kind if kind is None or kind.tag != _ARRAY else _type_of(kind)
        kind = None if kind is None or kind.tag not in _POINTERS else _type_of(kind)
    found: dict[str, Member] = {}
    for visited, (path, member) in enumerate(() if kind is None else _walk(kind, "", 0, 0)):
        if visited == _MOST:
            raise ValueError(f"a type has more than {_MOST} members")
        if path:
            found[path.removeprefix(".")] = member
    return found or None


def _walk(kind: Any, path: str, offset: int, depth: int) -> Iterator[tuple[str, Member]]:
    """The parts of a type that lies at an offset, and their parts; an anonymous struct has no path:
    its members count as those of what holds it.
    """
    if depth > _DEEPEST:
        raise ValueError("a type holds itself")
    for name, at, inner in _parts(kind):
        yield name and path + name, Member(offset + at, _size(inner))
        yield from _walk(inner, path + name, offset + at, depth + 1)


def _parts(kind: Any) -> Iterator[tuple[str, int, Any]]:
    """Each part of a struct or an array: what it adds to a path, its offset and its type."""
    if kind.tag in _STRUCTS:
        for member in _children(kind):
            if member.tag != _MEMBER or "DW_AT_bit_size" in member.attributes:
                continue
            inner = _type_of(member)
            if inner is not None:
                name = _value(member, "DW_AT_name")
                yield "" if name is None else f".{name.decode()}", _offset(member), inner
    elif kind.tag == _ARRAY:
        element, count = _type_of(kind), _count(kind)
        if element is None or count is None or count > _LISTED or element.tag not in _STRUCTS:
            return
        size = _size(element)
        for i in range(count):
            yield f"[{i}]", i * size, element


def _type_of(entry: Any) -> Any:
    """The type of an entry, under its typedefs and qualifiers; None for void."""
    for _ in range(_DEEPEST):
        if "DW_AT_type" not in entry.attributes:
            return None
        entry = entry.get_DIE_from_attribute("DW_AT_type")
        if "DW_AT_signature" in entry.attributes:  # declared here, described in a unit of its own
            entry = entry.get_DIE_from_attribute("DW_AT_signature")
        if entry.tag not in _RENAMES:
            return entry
    raise ValueError("a typedef leads nowhere")


def _offset(member: Any) -> int:
    """Bytes from the struct's start; a union's members do not say."""
    where = _value(member, "DW_AT_data_member_location")
    if where is None:
        return 0
    if isinstance(where, int):
        return where
    if where[0] != _OP_PLUS:
        raise ValueError("a member's place is no plain offset")
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(where[1:]))  # as ULEB128


def _size(kind: Any) -> int:
    """Bytes that a type takes; 0 where nothing says."""
    size = _value(kind, "DW_AT_byte_size")
    if isinstance(size, int):
        return size
    if kind.tag in _POINTERS:
        return int(kind.cu["address_size"])
    if kind.tag == _ARRAY:
        element, count = _type_of(kind), _count(kind)
        if element is not None and count is not None and element.tag != _ARRAY:
            return count * _size(element)
    return 0


def _count(array: Any) -> int | None:
    """Elements of an array, of all its dimensions."""
    count = 1
    for dimension in _children(array):
        if dimension.tag != _RANGE:
            continue
        last, given = _value(dimension, "DW_AT_upper_bound"), _value(dimension, "DW_AT_count")
        if isinstance(given, int):
            count *= given
        elif isinstance(last, int):
            count *= last + 1
        else:
            return None
    return count
