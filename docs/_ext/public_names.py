"""The reference of the packages: a page each, with every name of its ``__all__``."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

#: What users import from, and what each is for is its docstring's first line.
PACKAGES = (
    "rtosheap",
    "rtosheap.allocators",
    "rtosheap.comparison",
    "rtosheap.corruption",
    "rtosheap.cortexm",
    "rtosheap.data",
    "rtosheap.device",
    "rtosheap.fragmentation",
    "rtosheap.freertos",
    "rtosheap.heaps",
    "rtosheap.inspection",
    "rtosheap.kinds",
    "rtosheap.plot",
    "rtosheap.replays",
    "rtosheap.reports",
    "rtosheap.risk",
    "rtosheap.sizing",
    "rtosheap.testing",
    "rtosheap.traces",
    "rtosheap.traces.changes",
    "rtosheap.traces.formats",
)


def write(folder: Path) -> None:
    """Write the pages; one that would stay the same is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    home = {}  # the first package that hands a thing on has its description
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            home.setdefault(_key(module, name), package)
    for package in PACKAGES:
        module = importlib.import_module(package)
        here = [name for name in module.__all__ if home[_key(module, name)] == package]
        _put(folder / f"{package}.rst", _page(package, module, here, home))
    listed = "\n".join(f"   {package}" for package in PACKAGES)
    _put(
        folder / "index.rst",
        f"Python\n======\n\nEvery public name, by the package that it is imported from.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{listed}\n",
    )


def _key(module: Any, name: str) -> Any:
    thing = getattr(module, name)
    return id(thing) if callable(thing) or inspect.ismodule(thing) else (module.__name__, name)


def _page(package: str, module: Any, names: list[str], home: dict[Any, str]) -> str:
    out = [package, "=" * len(package), "", f".. automodule:: {package}", "   :no-members:", ""]
    elsewhere = [name for name in module.__all__ if name not in names]
    if elsewhere:
        texts = (f":obj:`{name} <{home[_key(module, name)]}.{name}>`" for name in sorted(elsewhere))
        out += ["Also here: " + ", ".join(texts) + ".", ""]
    for name in sorted(names, key=str.lower):
        thing = getattr(module, name)
        if inspect.ismodule(thing):
            continue
        if inspect.isclass(thing):
            out += [f".. autoclass:: {package}.{name}", "   :members:"]
            if not issubclass(thing, BaseException):
                out.append("   :inherited-members: object, tuple, int, str, dict, Enum, IntEnum")
        elif callable(thing):
            out.append(f".. autofunction:: {package}.{name}")
        else:
            out.append(f".. autodata:: {package}.{name}")
        out.append("")
    return "\n".join(out)


def _put(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    """Write them before Sphinx looks for pages."""
    write(Path(app.srcdir) / "reference" / "python")
    return {"parallel_read_safe": True}
