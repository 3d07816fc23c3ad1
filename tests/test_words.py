"""One word for one thing, in whatever people read: texts, docstrings, messages, help."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rtosheap

PACKAGE = Path(rtosheap.__file__).parent
ROOT = PACKAGE.parent
#: Other words for "free-list entries read" (the column `nodes`) and for "requested".
FORBIDDEN = re.compile(
    r"\bnodes?\b (visited|read|of the free|of a (call|free)|that)|\bmost nodes\b"
    r"|(?<!free-)\blist entr(y|ies)\b"
    r"|\bbytes? (\w+ ){0,3}asked for|\bwhat (\w+ ){1,2}asked for|\bas (it was )?asked for"
    r"|\basked for (by|at) event\b|\bevent [\w{}]+,? (which )?asks for",
    re.IGNORECASE,
)
SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "csrc/README.md",
            "notebooks/README.md",
        )
    ),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(path for path in (PACKAGE / "reports" / "viewer").iterdir() if path.is_file()),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def strings(path: Path) -> Iterator[str]:
    """The texts in a module, with what is between the parts of an f-string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def found(text: str) -> set[str]:
    """The words that should be others."""
    return {match[0] for match in FORBIDDEN.finditer(" ".join(text.split()))}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_texts_in_the_package(path: Path) -> None:
    assert not {word for text in strings(path) for word in found(text)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages(path: Path) -> None:
    assert not found(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not {word for cell in cells for word in found("".join(cell["source"]))}


def test_the_guard_bites() -> None:
    for text in (
        "most nodes visited", "the nodes of the free list", "100 list entries", "bytes asked for",
        "Bytes as asked for.", "what the program\nasked for", "event {} asks for {} bytes",
        "20 bytes asked for by event 7",
    ):  # fmt: skip
        assert found(text), text
    for text in (
        "100 free-list entries read", "`nodes`", "loaded when they are asked for", "requested",
        "the heaps were asked for", "a probability that was asked for",
    ):  # fmt: skip
        assert not found(text), text
