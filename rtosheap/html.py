"""What notebooks show of heaps and results: HTML without any library.

Colours are set so that they can be told apart in greyscale and on dark and light backgrounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from rtosheap._core import Heap, HeapCorruptionError

__all__ = ["heap_html", "table_html"]

_WIDTH, _HEIGHT = 640, 22
#: Beyond so many blocks a map is made of cells this wide, of so many shades.
_MOST_BLOCKS, _CELL, _LEVELS = 1000, 2.0, 10
_ALLOCATED, _FREE, _OUTSIDE, _CORRUPT = "#2b5d8c", "#f4e3b2", "#8c8c8c", "#d1350f"


def heap_html(heap: Heap) -> str:
    """A heap as one line of address space, with its numbers below it.

    Parameters
    ----------
    heap : Heap
        Any of the five; it may be corrupt, in which case the map is drawn from the shadow outside
        the arena, and the overwritten header that `check` names is marked.

    Returns
    -------
    str
        A ``<div>`` with an SVG drawing; its size does not grow with the number of blocks.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> heap = Heap4(1024)
    >>> address = heap.malloc(500)
    >>> html = heap_html(heap)
    >>> html.count("<svg"), "504 B free" in html
    (1, True)
    """
    try:
        starts = [start for start, _ in heap._regions()]
    except NotImplementedError:  # heap_3 over this process's own C library has no arena
        return f"<div><code>{escape(repr(heap))}</code></div>"
    problem, address = _corruption(heap)
    regions = list(zip(starts, map(len, heap._region_views()), strict=True))
    total = sum(size for _, size in regions) or 1
    gap = 6 if len(regions) > 1 else 0
    scale = (_WIDTH - gap * (len(regions) - 1)) / total
    blocks = heap._blocks(True)
    parts: list[str] = []
    labels: list[str] = []
    x = 0.0
    for start, size in regions:
        width = size * scale
        here = [block for block in blocks if start <= block[0] < start + size]
        parts.append(_strip(x, width, start, scale, here))
        if address is not None and start <= address < start + size:
            parts.append(_cross(x + (address - start) * scale))
        labels.append(f"0x{start:08x}")
        x += width + gap
    title = f"heap_{heap.kind}, {_bytes(heap.size)} at {', '.join(labels)}"
    return (
        f'<div><div style="font-family:monospace">{escape(title)}</div>'
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<div style="font-size:smaller">{_key()} &nbsp; {_numbers(heap, blocks)}{problem}</div>'
        "</div>"
    )


def table_html(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table, with the numbers flush right.

    Parameters
    ----------
    headers : sequence of str
    rows : iterable of sequences
        As many values as there are headers. Ints are written with separators of thousands, floats
        with three significant digits, None as a dash, all else by `str`, escaped.

    Raises
    ------
    ValueError
        A row whose length is not that of the headers.

    Examples
    --------
    >>> table_html(["heap", "size"], [["heap_4", 1024]])
    '<table><thead><tr><th>heap</th><th>size</th></tr></thead><tbody><tr><td \
style="text-align:left">heap_4</td><td style="text-align:right">1,024</td></tr></tbody></table>'
    """
    body = []
    for number, row in enumerate(rows):
        if len(row) != len(headers):
            raise ValueError(f"rows[{number}] has {len(row)} values, headers has {len(headers)}")
        body.append(f"<tr>{''.join(map(_cell, row))}</tr>")
    head = "".join(f"<th>{escape(str(header))}</th>" for header in headers)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _cell(value: object) -> str:
    side = "right" if isinstance(value, int | float) and not isinstance(value, bool) else "left"
    return f'<td style="text-align:{side}">{escape(_text(value))}</td>'


def _text(value: object) -> str:
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _strip(
    x: float, width: float, start: int, scale: float, blocks: Sequence[tuple[int, int, bool]]
) -> str:
    """One region: grey for what no block covers, then free, then allocated blocks."""
    parts = [f'<rect x="{x:.1f}" width="{width:.1f}" height="{_HEIGHT}" fill="{_OUTSIDE}"/>']
    if len(blocks) > _MOST_BLOCKS:
        parts.append(f'<rect x="{x:.1f}" width="{width:.1f}" height="{_HEIGHT}" fill="{_FREE}"/>')
        parts += _cells(x, width, start, scale, blocks)
    else:
        paths = {True: "", False: ""}
        for low, high, allocated in _runs(blocks):
            paths[allocated] += _bar(x + (low - start) * scale, x + (high - start) * scale)
        parts.append(f'<path d="{paths[False]}" fill="{_FREE}"/>')
        parts.append(f'<path d="{paths[True]}" fill="{_ALLOCATED}"/>')
    return "".join(parts)


def _runs(blocks: Sequence[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """(low, high, allocated) with adjoining blocks of one sort joined."""
    runs: list[tuple[int, int, bool]] = []
    for address, size, allocated in blocks:
        if runs and runs[-1][1:] == (address, allocated):
            runs[-1] = (runs[-1][0], address + size, allocated)
        else:
            runs.append((address, address + size, allocated))
    return runs


def _cells(
    x: float, width: float, start: int, scale: float, blocks: Sequence[tuple[int, int, bool]]
) -> list[str]:
    """More blocks than could be told apart: cells, as opaque as they are allocated."""
    count = max(int(width / _CELL), 1)
    share = [0.0] * (count + 1)
    for address, size, allocated in blocks:
        low, high = (address - start) * scale / _CELL, (address + size - start) * scale / _CELL
        while allocated and low < high:
            cell = min(int(low), count)
            step = min(high, cell + 1.0) if cell < count else high
            share[cell] += step - low
            low = step
    paths: dict[int, str] = {}
    for cell, part in enumerate(share[:count]):
        level = round(min(part, 1.0) * _LEVELS)
        left, right = x + cell * _CELL, x + min((cell + 1) * _CELL, width)
        paths[level] = paths.get(level, "") + _bar(left, right)
    return [
        f'<path d="{path}" fill="{_ALLOCATED}" fill-opacity="{level / _LEVELS:.2f}"/>'
        for level, path in sorted(paths.items())
        if level
    ]


def _bar(left: float, right: float) -> str:
    return f"M{left:.1f} 0H{right:.1f}V{_HEIGHT}H{left:.1f}z"


def _cross(x: float) -> str:
    left, right = max(x - 5, 1), min(x + 5, _WIDTH - 1)
    path = f"M{left:.1f} 4L{right:.1f} 18M{left:.1f} 18L{right:.1f} 4"
    return (
        f'<path d="{path}" stroke="white" stroke-width="5"/>'
        f'<path d="{path}" stroke="{_CORRUPT}" stroke-width="2.5"/>'
    )


def _key() -> str:
    return " ".join(
        f'<span style="background:{colour};border:1px solid #555">&emsp;</span> {name}'
        for colour, name in ((_ALLOCATED, "allocated"), (_FREE, "free"), (_OUTSIDE, "neither"))
    )


def _numbers(heap: Heap, blocks: Sequence[tuple[int, int, bool]]) -> str:
    largest = max((size for _, size, allocated in blocks if not allocated), default=0)
    live = sum(allocated for _, _, allocated in blocks)
    return " · ".join(
        (
            f"{_bytes(heap.free_size)} free",
            f"largest free block {_bytes(largest)}",
            f"minimum ever free {_bytes(heap.minimum_ever_free_size)}",
            f"{live:,} allocated block{'' if live == 1 else 's'}",
            f"{heap.malloc_failed_count:,} failed",
        )
    )


def _corruption(heap: Heap) -> tuple[str, int | None]:
    try:
        heap.check()
    except HeapCorruptionError as error:
        style = f"color:{_CORRUPT};font-weight:bold"
        return f'<div style="{style}">corrupt: {escape(str(error))}</div>', error.address
    return "", None


def _bytes(count: int) -> str:
    if count < 10 * 1024:
        return f"{count:,} B"
    return f"{count / 1024:,.1f} KiB"
