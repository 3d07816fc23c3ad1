"""Counts, shares and lists in words."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, what: str) -> str:
    """So many of something.

    Examples
    --------
    >>> counted(1, "byte"), counted(1024, "free-list entry")
    ('1 byte', '1,024 free-list entries')
    """
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def percent(part: int, whole: int) -> str | None:
    """A share; None where it would round to none or to all and is neither.

    Examples
    --------
    >>> percent(1, 8), percent(8, 8), percent(1, 10_000)
    ('12.5%', '100.0%', None)
    """
    text = f"{part / whole:.1%}"
    return None if text in ("0.0%", "100.0%") and part not in (0, whole) else text


def listed(texts: Sequence[str]) -> str:
    """The texts with commas, and an "and" before the last."""
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else texts[0]
