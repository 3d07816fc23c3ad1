"""Every public name with its signature, against a recorded list that is changed on purpose only.

``python tests/test_public_names.py`` writes the list anew.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "_ext"))

from public_names import PACKAGES as PUBLIC

RECORDED = Path(__file__).parent / "data" / "public_names.txt"


def signature(thing: object) -> str:
    """The parameters with their defaults; annotations aside, since they name modules."""
    if isinstance(thing, enum.EnumType):
        return ""  # Python's own, and not the same in all of them
    try:
        found = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in found.parameters.values()
    ]
    text = str(inspect.Signature(plain))
    return text.replace("<factory>", "...")


def described(path: str, thing: object) -> list[str]:
    """A line for the name, and one for each public member of a class of ours."""
    if not callable(thing):
        return [f"{path}: {type(thing).__name__}"]
    lines = [path + signature(thing)]
    if inspect.isclass(thing) and thing.__module__.startswith("rtosheap"):
        ours = [base for base in thing.__mro__ if base.__module__.startswith("rtosheap")]
        for name in sorted({name for base in ours for name in vars(base)}):
            if name.startswith("_"):
                continue
            member = inspect.getattr_static(thing, name)
            if isinstance(member, classmethod | staticmethod):
                member = member.__func__
            lines.append(f"{path}.{name}{signature(member) if callable(member) else ''}")
    return lines


def current() -> list[str]:
    lines: list[str] = []
    for module in PUBLIC:
        face = importlib.import_module(module)
        for name in sorted(face.__all__):
            lines += described(f"{module}.{name}", getattr(face, name))
    return lines


def test_public_names_are_as_recorded() -> None:
    recorded = RECORDED.read_text().splitlines()
    assert current() == recorded


if __name__ == "__main__":
    RECORDED.write_text("\n".join(current()) + "\n")
