"""Each notebook is committed clean, and uses the public API alone. test_site.py runs them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from needs import ROOT, missing

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def notebook(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def code_of(path: Path) -> list[str]:
    cells = notebook(path)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def packages() -> tuple[Any, Any]:
    """nbformat and nbclient, which need ipykernel to run anything."""
    try:
        import ipykernel  # noqa: F401
        import nbclient
        import nbformat
    except ImportError:
        missing("nbclient, nbformat or ipykernel (pip install nbclient nbformat ipykernel)")
    return nbformat, nbclient


def without_magics(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if not line.lstrip().startswith(("%", "!")))


def each() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])


@each()
def test_committed_clean(path: Path) -> None:
    read = notebook(path)
    packages()[0].validate(read)
    assert read["metadata"]["kernelspec"]["name"] == "python3"
    for cell in read["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], cell["id"]
            assert cell["execution_count"] is None, cell["id"]


@each()
def test_cell_ids_are_stable(path: Path) -> None:
    """Ids are chosen, such as nb01-03, and not drawn at random, as editors do."""
    ids = [cell["id"] for cell in notebook(path)["cells"]]
    assert len(set(ids)) == len(ids)
    assert not [name for name in ids if re.match(r"[0-9a-f]{8}(-|$)", name)]


@each()
def test_begins_with_what_the_reader_will_know(path: Path) -> None:
    first = notebook(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    text = "".join(first["source"])
    assert text.startswith("# ")
    assert "At the end of this notebook" in text


@each()
def test_public_api_alone(path: Path) -> None:
    """No attribute with a leading underscore, and no import of a private module."""
    for code in code_of(path):
        for node in ast.walk(ast.parse(without_magics(code))):
            names: list[str] = []
            if isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [part for alias in node.names for part in alias.name.split(".")]
            private = [name for name in names if re.match(r"_[^_]", name)]
            assert not private, f"{private} in {code!r}"


@each()
def test_links_lead_somewhere(path: Path) -> None:
    for cell in notebook(path)["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", "".join(cell["source"])):
                assert (path.parent / target).exists(), target


def test_the_readme_lists_each() -> None:
    readme = (ROOT / "notebooks" / "README.md").read_text()
    assert len(NOTEBOOKS) == 12
    for path in NOTEBOOKS:
        assert f"({path.name})" in readme, path.name
