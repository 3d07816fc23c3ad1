"""In words, where the releases in question differ."""

from __future__ import annotations

from collections.abc import Sequence

from rtosheap.comparison.versions import VersionResult
from rtosheap.tables import listed


def of_releases(versions: Sequence[VersionResult]) -> list[str]:
    """One sentence for each release that is put beside the first."""
    first: dict[str, VersionResult] = {}
    pairs: dict[tuple[str, str], list[tuple[VersionResult, VersionResult]]] = {}
    for one in versions:
        own = first.setdefault(one.heap, one)
        if one is not own:
            pairs.setdefault((own.version, one.version), []).append((own, one))
    return [f"{a} beside {b}: {_differences(rows)}." for (a, b), rows in pairs.items()]


def _differences(rows: Sequence[tuple[VersionResult, VersionResult]]) -> str:
    texts = [(one.heap, _difference(own, one)) for own, one in rows]
    alike = [heap for heap, text in texts if not text]
    found = [f"{heap} {text}" for heap, text in texts if text]
    if alike:
        are = "are" if len(alike) > 1 else "is"
        found.append(f"{listed(alike)} {are} the same, block for block")
    return "; ".join(found)


def _difference(own: VersionResult, one: VersionResult) -> str:
    """How the heap of another release differs; empty if this trace shows nothing."""
    texts = []
    if own.size is None or one.size is None:
        if own.size != one.size:
            texts += [f"{_serves(release)} with {release.version}" for release in (own, one)]
    elif own.size != one.size:
        texts.append(f"needs {own.size:,} and {one.size:,} bytes")
    elif own.safe_size != one.safe_size:
        texts.append(f"serves in every size from {own.safe_size:,} and {one.safe_size:,} bytes on")
    if own.failures is not None and one.failures is not None and own.failures != one.failures:
        texts.append(f"fails {own.failures:,} and {one.failures:,} times at the size asked about")
    if one.moved or one.shift:
        if not texts:
            texts.append("needs the same")
        texts.append(_elsewhere(one.moved or 0.0, one.shift or 0))
    return ", ".join(texts)


def _elsewhere(share: float, shift: int) -> str:
    if not share:
        return f"each block {abs(shift)} bytes {'higher' if shift > 0 else 'lower'}"
    return f"with {share:.1%} of the blocks elsewhere"


def _serves(one: VersionResult) -> str:
    return "cannot serve it" if one.size is None else f"needs {one.size:,} bytes"
