"""Numbers, pairs and tables as plain text, and sizes read back from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from textwrap import wrap
from typing import Any

__all__ = [
    "cell",
    "counted",
    "listed",
    "pairs",
    "parse_size",
    "percent",
    "plain_table",
    "record_text",
]

_WIDTH = 96  # of a text
_NUMBER = re.compile(r"-|[-+]?inf|[-+]?[0-9][0-9,.]*")
_SIZE = re.compile(r"(0x[0-9a-f_]+|[0-9][0-9_]*) *(?:([kmg])(?:i?b)?)?", re.IGNORECASE)
_FACTOR = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def cell(value: object, digits: int = 3) -> str:
    """A value as a table shows it: ``-`` for None, a float with so many `digits`.

    Examples
    --------
    >>> cell(None), cell(12345), cell(0.25), cell("heap_4")
    ('-', '12,345', '0.250', 'heap_4')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def record_text(
    record: Any, *, addresses: Collection[str] = (), fields: Iterable[str] | None = None
) -> str:
    """A named tuple or a dataclass as ``repr`` gives it, but with addresses in hexadecimal.

    Parameters
    ----------
    record : named tuple or dataclass
    addresses : collection of str
        Fields that are an address, or pairs of an address and something else.
    fields : iterable of str, optional
        What is shown; all by default.
    """
    if fields is None:
        fields = getattr(record, "_fields", None) or record.__dataclass_fields__
    parts = []
    for name in fields:
        value = getattr(record, name)
        parts.append(f"{name}={_in_hexadecimal(value) if name in addresses else repr(value)}")
    return f"{type(record).__name__}({', '.join(parts)})"


def _in_hexadecimal(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, tuple):
        pairs_of = [f"({address:#x}, {other!r})" for address, other in value]
        return f"({', '.join(pairs_of)}{',' if len(value) == 1 else ''})"
    return repr(value)


def plain_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    digits: int = 3,
    rule: bool = False,
) -> str:
    """A table in columns of equal width, those of numbers to the right.

    Parameters
    ----------
    headers : sequence of str
    rows : iterable of sequence
        Values as :func:`cell` takes them, as many as there are headers.
    digits : int
        Of floats, after the point.
    rule : bool
        Whether to draw a line below the headers.

    Examples
    --------
    >>> print(plain_table(["heap", "bytes"], [("heap_4", 1024), ("heap_1", None)]))
    heap    bytes
    heap_4  1,024
    heap_1      -
    """
    body = [[cell(value, digits) for value in row] for row in rows]
    lines = [list(headers), *body]
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [bool(body) and all(map(_NUMBER.fullmatch, column[1:])) for column in columns]
    if rule:
        lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            text.rjust(width) if to_the_right else text.ljust(width)
            for text, width, to_the_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def pairs(facts: Sequence[tuple[str, str]], indent: str = "") -> str:
    """A line of what and value for each fact; what is long goes on below itself.

    Examples
    --------
    >>> print(pairs([("events", "12"), ("failures", "0")]))
    events    12
    failures  0
    """
    width = max((len(what) for what, _ in facts), default=0)
    room = max(_WIDTH - width, _WIDTH // 2)
    lines = []
    for what, value in facts:
        parts = [value] if len(value) <= room else wrap(value, room, break_on_hyphens=False)
        names = [what, *("" for _ in parts[1:])]
        lines += [f"{indent}{n:<{width}}  {part}" for n, part in zip(names, parts, strict=True)]
    return "\n".join(lines)


def counted(count: int, what: str) -> str:
    """So many of something.

    Examples
    --------
    >>> counted(1, "byte"), counted(1024, "free-list entry"), counted(2, "day")
    ('1 byte', '1,024 free-list entries', '2 days')
    """
    plural = f"{what[:-1]}ies" if what.endswith("ry") else f"{what}s"
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


def parse_size(text: str) -> int:
    """A number of bytes: ``16384``, ``0x4000``, ``16K`` (which is 16 * 1024), ``1M``.

    Raises
    ------
    ValueError
        If the text is none.

    Examples
    --------
    >>> parse_size("16K"), parse_size("0x4000"), parse_size("1M")
    (16384, 16384, 1048576)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no size; write bytes (16384, 0x4000), or 16K, 1M (K is 1024 bytes)"
        )
    size = int(match[1], 0 if match[1].lower().startswith("0x") else 10)
    return size * _FACTOR[(match[2] or "").lower()]
