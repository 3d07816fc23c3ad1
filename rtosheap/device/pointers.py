"""Which variables of a firmware point into a heap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtosheap.device.elf import Elf, Member
from rtosheap.device.memory import Memory
from rtosheap.tables import record_text

_GAP = 64  # bytes between variables that are read with them

__all__ = ["Pointer", "find_pointers", "variable_at"]


@dataclass(frozen=True)
class Pointer:
    """A word of a variable that holds an address.

    Attributes
    ----------
    at : int
        Where the word is.
    to : int
        What it holds.
    name : str
        The variable, with its member where the debug information has it, else with the bytes from
        its start: ``"app.buffer"``, ``"app + 8"``.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import find_pointers, load_memory, read_elf
    >>> memory, elf = data.crash()
    >>> pointers, notes = find_pointers(load_memory(memory), read_elf(elf), [(0x2000_0400, 40)])
    >>> pointers
    (Pointer(at=0x2030002c, to=0x20000400, name='app_state.link.message'),)
    """

    at: int
    to: int
    name: str

    def __repr__(self) -> str:
        return record_text(self, addresses=("at", "to"))


def find_pointers(
    memory: Memory, elf: Elf, spans: Sequence[tuple[int, int]]
) -> tuple[tuple[Pointer, ...], tuple[str, ...]]:
    """The words in a firmware's variables that hold an address in one of these spans.

    What lies in a span itself, such as an arena that is a variable, is none of them.

    Parameters
    ----------
    memory : Memory
        Of the device, with the variables.
    elf : Elf
        The firmware.
    spans : sequence of (address, size)

    Returns
    -------
    pointers : tuple of Pointer
        In the order of their places.
    notes : tuple of str
        What could not be read.

    Raises
    ------
    ValueError
        If the ELF is damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_memory, read_elf
    >>> memory, elf = data.crash()
    >>> pointers, notes = find_pointers(load_memory(memory), read_elf(elf), [(0x2000_0000, 4096)])
    >>> [pointer.name for pointer in pointers if pointer.name.startswith("app")]
    ['app_queue', 'app_log', 'app_small', 'app_state.link.message', 'app_state + 16']
    """
    variables = _Variables(elf)
    found: list[Pointer] = []
    missing = 0
    for start, end in _outside(variables.places(), spans, elf.word):
        data = memory.read(start, end - start)
        if data is None:
            missing += end - start
            continue
        words = np.frombuffer(data, f"<u{elf.word}")
        inside = np.zeros(len(words), bool)
        for base, length in spans:
            inside |= (words >= base) & (words - words.dtype.type(base) < length)
        for i in np.flatnonzero(inside).tolist():
            at = start + i * elf.word
            found.append(Pointer(at, int(words[i]), variables.name(at) or f"{at:#010x}"))
    notes = (f"{missing:,} bytes of the firmware's variables are not there: what they point to is "
             "not known",) if missing else ()  # fmt: skip
    return tuple(found), notes


def variable_at(elf: Elf, address: int) -> str | None:
    """The variable that an address lies in, with the bytes from its start; None if it is in none.

    Parameters
    ----------
    elf : Elf
        The firmware.
    address : int

    Returns
    -------
    str or None
        With the member of that word where the debug information has it: as `name` of a `Pointer`.

    Raises
    ------
    ValueError
        If the ELF is damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import read_elf
    >>> _, elf = data.crash()
    >>> variable_at(read_elf(elf), 0x2030_002C), variable_at(read_elf(elf), 0x2030_0120)
    ('app_state.link.message', 'uxStaticStack + 8')
    """
    return _Variables(elf).name(address)


class _Variables:
    """A firmware's variables, by their addresses."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._all = elf.variables
        self._members: dict[tuple[str, int], Mapping[str, Member]] = {}

    def places(self) -> list[tuple[int, int]]:
        """From where to where variables lie that are written to, ascending; small gaps are among
        them, since each piece that is read from a target takes its time.
        """
        writable = [
            (part.address, part.address + part.size) for part in self._elf.sections
            if part.allocated and part.writable
        ]  # fmt: skip
        places: list[tuple[int, int]] = []
        for symbol in self._all:
            start, end = symbol.value, symbol.value + symbol.size
            if not symbol.size or not any(at <= start and end <= stop for at, stop in writable):
                continue
            if places and start <= places[-1][1] + _GAP:
                places[-1] = (places[-1][0], max(places[-1][1], end))
            else:
                places.append((start, end))
        return places

    def name(self, address: int) -> str | None:
        """The variable and its member, or the bytes from its start, at an address."""
        at = bisect_right(self._all, address, key=lambda symbol: symbol.value) - 1
        if at < 0 or address >= self._all[at].value + max(1, self._all[at].size):
            return None
        symbol = self._all[at]
        offset, name = address - symbol.value, symbol.plain
        which = name, symbol.value  # several modules may have a static of the name
        if which not in self._members:
            self._members[which] = self._described(*which)
        paths = [path for path, member in self._members[which].items()
                 if member == (offset, self._elf.word)]  # fmt: skip
        if paths:
            return name + ("" if paths[-1].startswith("[") else ".") + paths[-1]
        return f"{name} + {offset}" if offset else name

    def _described(self, name: str, address: int) -> Mapping[str, Member]:
        """The members of a variable; debug information that cannot be read is as good as none."""
        try:
            return self._elf.members(name, address) or {}
        except ValueError:
            return {}


def _outside(
    places: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], word: int
) -> list[tuple[int, int]]:
    """The parts of some places that no span covers, whole words of them."""
    parts = []
    for at, end in places:
        for base, length in sorted(spans):
            if at < base + length and base < end:
                parts.append((at, base))
                at = base + length
        parts.append((at, end))
    whole = ((-(-start // word) * word, end // word * word) for start, end in parts)
    return [(start, end) for start, end in whole if start < end]
