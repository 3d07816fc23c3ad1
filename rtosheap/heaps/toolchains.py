"""newlib's releases and the toolchains that ship them: which malloc heap_3 is on a device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from rtosheap import _core
from rtosheap.html import table_html
from rtosheap.tables import plain_table

__all__ = ["BEHAVIOURS", "NEWEST_NEWLIB", "Newlibs", "Toolchain", "find_newlib", "newlibs"]

#: The default.
NEWEST_NEWLIB: str = _core.NEWLIBS[-1]

#: Each behaviour of newlib-nano's malloc, and the names of releases that have it.
BEHAVIOURS = {
    "3.3.0": ("3.3.0",),
    "4.0.0": ("4.0.0", "4.1.0"),
    "4.2.0": ("4.2.0", "4.2.0.20211231"),
    "4.2.0+73d515fcf": ("4.2.0+73d515fcf",),
    "4.3.0": ("4.3.0", "4.3.0.20230120"),
    "4.4.0": (
        *("4.4.0", "4.4.0.20231231", "4.5.0", "4.5.0.20241231", "4.6.0", "4.6.0.20260123"),
        "main",
    ),
}
#: What each does otherwise than the one before it.
_CHANGES = {
    "3.3.0": "a split hands out the end of a chunk",
    "4.0.0": "realloc moves a block that shrinks to half or less; calloc and memalign refuse sizes "
    "that overflow",
    "4.2.0": "a split hands out the front; where sbrk refuses, the last free chunk grows, and "
    "stays in the list: it is handed out twice. With an empty list address 0 is read",
    "4.2.0+73d515fcf": "as 4.2.0, but an empty list is no longer followed",
    "4.3.0": "a chunk that grew leaves the list; the only one in it writes to address 4",
    "4.4.0": "the only one in it leaves the list, too",
}


@dataclass(frozen=True, repr=False)
class Toolchain:
    """A toolchain, or a release of newlib; one of :func:`newlibs`.

    Attributes
    ----------
    name : str
        What ``newlib=`` takes, ``"arm-gnu-10.3-2021.10"``.
    title : str
        As its maker calls it.
    calls_itself : str
        The version that newlib's own macro says there, which does not always tell: empty if it is
        not known.
    newlib : str or None
        The behaviour of its malloc, as :attr:`rtosheap.Heap3.newlib` says it; None if it is not
        known, or there is no newlib.
    evidence : str
        How that is known: "recorded" (its library was run), "source" (the file in the published
        sources was compared), "commit" (the maker names newlib's commit), "package" (of a
        distribution), "label" (only the version is known), "probably" (and it may be otherwise),
        "reports" (of users).
    note : str

    Examples
    --------
    >>> from rtosheap.heaps import newlibs
    >>> tool = next(one for one in newlibs() if one.name == "arm-gnu-10.3-2021.10")
    >>> tool.calls_itself, tool.newlib, tool.evidence
    ('4.1.0', '4.2.0', 'commit')
    """

    name: str
    title: str
    calls_itself: str
    newlib: str | None
    evidence: str
    note: str = ""

    def __repr__(self) -> str:
        return f"<Toolchain {self.name}: newlib {self.newlib or 'not known'} ({self.evidence})>"


class Newlibs(tuple[Toolchain, ...]):
    """The releases and toolchains; shows itself as a table."""

    __slots__ = ()

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (t.name, t.title, t.calls_itself or "-", t.newlib or "not known", t.evidence, t.note)
            for t in self
        ]

    def __repr__(self) -> str:
        changes = "\n".join(f"{name}: {text}" for name, text in _CHANGES.items())
        return f"{plain_table(_HEADERS, self._rows())}\n\n{changes}"

    def _repr_html_(self) -> str:
        return table_html(_HEADERS, self._rows())


_HEADERS = ("newlib=", "toolchain", "calls itself", "behaves as", "known by", "")
_OLD = ("commit", "commit 6d79e0a58")
_SPLIT = "commit 2a3a03972 of 2021-05-26"
_ST = "ST's tree of the same release is a snapshot of about 2023-06-21"
_LATER = "later than 12.3; its commit was not found"

_TOOLCHAINS = (
    Toolchain("arm-gnu-9-2020-q2", "GNU Arm Embedded 9-2020-q2", "3.3.0", "3.3.0", *_OLD),
    Toolchain("arm-gnu-10-2020-q4", "GNU Arm Embedded 10-2020-q4", "3.3.0", "3.3.0", *_OLD),
    Toolchain("xpack-9.3.1", "xPack 9.3.1", "3.3.0", "3.3.0", *_OLD),
    Toolchain("xpack-10.2.1", "xPack 10.2.1", "3.3.0", "3.3.0", *_OLD),
    Toolchain(
        *("arm-gnu-10.3-2021.07", "GNU Arm Embedded 10.3-2021.07", "4.1.0", "4.2.0", "reports"),
        "mbed-os issue 15023 names commit 84d068971 in it",
    ),
    Toolchain(
        *("arm-gnu-10.3-2021.10", "GNU Arm Embedded 10.3-2021.10", "4.1.0", "4.2.0", "commit"),
        _SPLIT,
    ),
    Toolchain("xpack-10.3.1", "xPack 10.3.1-2.x", "4.1.0", "4.2.0", "commit", _SPLIT),
    Toolchain("arm-gnu-11.2-2022.02", "Arm 11.2-2022.02", "4.1.0", "4.2.0", "commit", _SPLIT),
    Toolchain("xpack-11.2.1", "xPack 11.2.1", "4.1.0", "4.2.0", "commit", _SPLIT),
    Toolchain(
        *("arm-gnu-11.3.rel1", "Arm 11.3.Rel1", "4.2.0", "4.2.0+73d515fcf", "commit"),
        "commit bfee9c6ab of 2022-08-02",
    ),
    Toolchain(
        *("xpack-11.3.1", "xPack 11.3.1", "4.2.0", "4.2.0+73d515fcf", "commit"),
        "commit bfee9c6ab of 2022-08-02",
    ),
    Toolchain(
        *("arm-gnu-12.2.rel1", "Arm 12.2.Rel1", "4.2.0", None, "label"),
        "as arm-gnu-11.3.rel1 or 4.3.0: its commit was not found",
    ),
    Toolchain(
        *("xpack-12.2.1", "xPack 12.2.1", "4.2.0", None, "label"),
        "as arm-gnu-11.3.rel1 or 4.3.0: its commit was not found",
    ),
    Toolchain("arm-gnu-12.3.rel1", "Arm 12.3.Rel1", "4.3.0", "4.4.0", "probably", _ST),
    Toolchain("xpack-12.3.1", "xPack 12.3.1", "4.3.0", "4.4.0", "probably", _ST),
    Toolchain("arm-gnu-13.2.rel1", "Arm 13.2.Rel1", "4.3.0", "4.4.0", "probably", _LATER),
    Toolchain("xpack-13.2.1", "xPack 13.2.1", "4.3.0", "4.4.0", "probably", _LATER),
    Toolchain("arm-gnu-13.3.rel1", "Arm 13.3.Rel1", "4.4.0", "4.4.0", "label"),
    Toolchain("xpack-13.3.1", "xPack 13.3.1", "4.4.0", "4.4.0", "label"),
    Toolchain(
        *("arm-gnu-14.2.rel1", "Arm 14.2.Rel1", "4.4.0", "4.4.0", "commit"),
        "commit 7923059bf of 2024-11-28",
    ),
    Toolchain(
        *("arm-gnu-15.2.rel1", "Arm 15.2.Rel1", "4.5.0", "4.4.0", "commit"),
        "commit f49f54b00 of 2025-12-01",
    ),
    Toolchain("st-7-2018-q2", "GNU Tools for STM32 7-2018-q2", "3.0.0", "3.3.0", "source"),
    Toolchain("st-9-2020-q2", "GNU Tools for STM32 9-2020-q2", "3.3.0", "3.3.0", "source"),
    Toolchain("st-10.3-2021.10", "GNU Tools for STM32 10.3-2021.10", "4.1.0", "4.2.0", "source"),
    Toolchain(
        *("st-11.3.rel1", "GNU Tools for STM32 11.3.rel1", "4.2.0", "4.3.0", "source"),
        "fixes were carried back",
    ),
    Toolchain(
        *("st-12.3.rel1", "GNU Tools for STM32 12.3.rel1", "4.3.0", "4.4.0", "source"),
        "a snapshot of about 2023-06-21",
    ),
    Toolchain(
        *("stm32cubeide-1.5", "STM32CubeIDE 1.5", "", "3.3.0", "reports"), "brings st-7-2018-q2"
    ),
    Toolchain(
        *("stm32cubeclt-1.14.0", "STM32CubeCLT 1.14.0", "", "4.3.0", "reports"),
        "brings st-11.3.rel1",
    ),
    Toolchain("stm32cubeide-1.18.0", "STM32CubeIDE 1.18.0", "4.4.0", "4.4.0", "reports"),
    Toolchain("debian-11", "Debian 11", "3.3.0", "3.3.0", "package"),
    Toolchain("debian-12", "Debian 12", "3.3.0", "3.3.0", "recorded"),
    Toolchain("debian-13", "Debian 13", "4.5.0", "4.4.0", "package"),
    Toolchain(*("zephyr-sdk-0.14.2", "Zephyr SDK 0.14.2", "3.3.0", "3.3.0", "source"), "to 0.17.0"),
    Toolchain("zephyr-sdk-0.17.0", "Zephyr SDK 0.17.0", "3.3.0", "3.3.0", "source"),
    Toolchain(
        *("zephyr-sdk-0.17.1", "Zephyr SDK 0.17.1", "", None, "not found"),
        "and so 0.17.2 to 0.17.4",
    ),
    Toolchain("zephyr-sdk-1.0.0", "Zephyr SDK 1.0.0", "", None, "source", "no newlib: picolibc"),
)


@cache
def newlibs() -> Newlibs:
    """The releases of newlib and the toolchains that ship it, with what malloc each has.

    newlib's own version does not tell: toolchains that say 4.1.0 may have the malloc of 4.2.0, and
    those that say 4.2.0 that of 4.3.0. It is the nano library's malloc (``--specs=nano.specs``);
    without that option newlib's is another allocator.

    Returns
    -------
    Newlibs
        A tuple of :class:`Toolchain`; the releases come first.

    Examples
    --------
    >>> import rtosheap
    >>> [one for one in rtosheap.newlibs() if one.name == "arm-gnu-10.3-2021.10"]
    [<Toolchain arm-gnu-10.3-2021.10: newlib 4.2.0 (commit)>]
    """
    releases = (
        Toolchain(name, "newlib", _macro(name), behaviour, _known_by(name, behaviour))
        for behaviour, names in BEHAVIOURS.items()
        for name in names
    )
    return Newlibs((*releases, *_TOOLCHAINS))


def _macro(release: str) -> str:
    """A release without its date or a commit; what the main branch calls itself is not known."""
    return "" if release == "main" else ".".join(release.partition("+")[0].split(".")[:3])


def _known_by(name: str, behaviour: str) -> str:
    if "+" in name:
        return "commit"
    return "recorded" if name == behaviour else "source"


def find_newlib(name: Any) -> str:
    """The behaviour that a release of newlib or a toolchain has; of None, the newest.

    Raises
    ------
    ValueError
        There is none of that name (the nearest are listed), or what it has is not known.
    TypeError
        What is no str.

    Examples
    --------
    >>> find_newlib("4.1.0"), find_newlib("arm-gnu-14.2.rel1"), find_newlib(None)
    ('4.0.0', '4.4.0', '4.4.0')
    """
    if name is None:
        return NEWEST_NEWLIB
    if not isinstance(name, str):
        raise TypeError(f"newlib is {name!r}; it must be a str, such as '4.4.0', or None")
    known = {one.name: one for one in newlibs()}
    one = known.get(name.strip().lower())
    if one is None:
        import difflib  # slow to import

        near = difflib.get_close_matches(name.lower(), known, 3, 0)
        raise ValueError(
            f"newlib is {name!r}; no release or toolchain has that name: the nearest are "
            f"{', '.join(map(repr, near))} (rtosheap.newlibs() lists all)"
        )
    if one.newlib is None:
        raise ValueError(
            f"newlib is {name!r}; which malloc that has is not known ({one.note}); name a release"
        )
    return one.newlib
