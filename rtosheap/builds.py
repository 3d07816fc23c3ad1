"""The C sources that come with the package, and what was built of them once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

__all__ = ["cached", "csrc"]


@lru_cache
def csrc() -> Path:
    """The folder of the C sources: beside the package in a checkout, inside it when installed.

    Raises
    ------
    FileNotFoundError
        They are not installed with it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "csrc", package.parent / "csrc"):
        if (folder / "core" / "heap_4.c").exists():
            return folder
    raise FileNotFoundError("the C sources are not installed with this package")


def cached(kind: str, parts: Sequence[str], suffix: str, make: Callable[[Path], Path]) -> bytes:
    """The bytes of a build; from the cache where the same was built before.

    Parameters
    ----------
    kind : str
        The folder in the cache.
    parts : sequence of str
        All that the build depends on.
    suffix : str
        Of the file's name.
    make : callable
        Builds it in a folder, which is removed then, and returns its path.
    """
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    path = _folder(kind) / f"{key}{suffix}"
    if path.exists():
        return path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="rtosheap-") as folder:
        data = make(Path(folder)).read_bytes()
    try:  # others may be at it at the same time; a cache that cannot be written is none
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / "part"
            part.write_bytes(data)
            part.replace(path)
    except OSError:
        pass
    return data


def _folder(kind: str) -> Path:
    given = os.environ.get("RTOSHEAP_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rtosheap" / kind
