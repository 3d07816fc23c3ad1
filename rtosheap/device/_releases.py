"""Which releases of the kernel the names in a firmware's ELF allow.

That a name is there tells. That one is not tells little: symbols are stripped, the linker drops
what nobody calls, and a compiler what nobody reads (clang with ``-flto`` the counters, where no
statistics are asked for). One missing name is believed: ``xBlockAllocatedBit``, which allocating
itself reads, where the other variables of the same file are there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rtosheap.heaps.layout import Layout
from rtosheap.heaps.releases import kernels, said, since

#: Variables of a kernel's heap_4 and heap_5, and of heap_5 alone, with the first release that has
#: each.
_COUNTER = "xNumberOfSuccessfulAllocations"
_VARIABLES = {
    _COUNTER: "V10.3.0",
    "xNumberOfSuccessfulFrees": "V10.3.0",
    "xHeapCanary": "V11.0.0",
}
_OF_REGIONS = {"pucHeapHighAddress": "V11.0.0", "pucHeapLowAddress": "V11.0.0"}
#: Functions of heap_4 and heap_5, and of all.
_FUNCTIONS = {
    "vPortGetHeapStats": "V10.3.0",
    "xPortResetHeapMinimumEverFreeHeapSize": "V11.2.0",
}
_OF_ALL = {"vPortHeapResetState": "V11.1.0"}
#: A variable that is gone since a release, and those that show that its file's are not stripped.
_GONE, _GONE_SINCE = "xBlockAllocatedBit", "V10.5.0"
_BESIDE = {"xFreeBytesRemaining", "xMinimumEverFreeBytesRemaining", _COUNTER}
_NXP = "FreeRTOSDebugConfig"


def releases_told(
    table: Mapping[str, tuple[int, int]], functions: Collection[str], layout: Layout
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The releases that the symbols allow, ascending, none if they do not tell; and in words why.

    Parameters
    ----------
    table : mapping of str to (address, size)
        Variables.
    functions : collection of str
    layout : Layout
        Of the heap.
    """
    first = {name: at for name, at in _OF_ALL.items() if name in functions}
    if layout.by_address:
        first |= {name: at for name, at in _FUNCTIONS.items() if name in functions}
        first |= {name: at for name, at in _VARIABLES.items() if name in table}
    if layout.has_regions:
        first |= {name: at for name, at in _OF_REGIONS.items() if name in table}
    why = list(first)
    allowed = {one.name for one in kernels()}.intersection(*map(since, first.values()))
    if layout.by_address and _GONE in table:
        allowed -= set(since(_GONE_SINCE))
        why.append(_GONE)
    elif layout.by_address and table.keys() >= _BESIDE:
        allowed &= set(since(_GONE_SINCE))
        why.append(f"no {_GONE} beside them")
    names = tuple(one.name for one in kernels() if one.name in allowed) if why else ()
    text = _in_words(names, why)
    if why == [_GONE] and table.keys() >= _BESIDE - {_COUNTER}:
        probably = said(
            one.name for one in kernels() if one.name not in since(_VARIABLES[_COUNTER])
        )
        text += (
            f"; no {_COUNTER} beside it: probably {probably}, but a compiler may leave out what "
            "only statistics read"
        )
    return names, (text, *_of_nxp(table))


def _in_words(names: tuple[str, ...], why: list[str]) -> str:
    if not why:
        return "the ELF's symbols do not say which release of the kernel it is"
    if not names:
        return f"the ELF's symbols are of no one release ({', '.join(why)})"
    return f"the ELF's symbols say: {said(names)} ({', '.join(why)})"


def _of_nxp(table: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """What NXP's kernels carry."""
    if _NXP not in table:
        return ()
    address, size = table[_NXP]
    return (
        f"the ELF carries NXP's {_NXP}, {size} bytes at {address:#010x}: the kernel's version and "
        "the heap's number are among them, which are not read here",
    )
