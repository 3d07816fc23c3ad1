"""docs/: the Python sessions run, and links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from needs import ROOT

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
SESSIONS = {"faq.md": 10}


def anchors(text: str) -> set[str]:
    """What a heading is linked by."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", SESSIONS)
def test_sessions(name: str) -> None:
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / name),
        module_relative=False,
        optionflags=doctest.IGNORE_EXCEPTION_DETAIL,
    )
    assert failed == 0
    assert tried >= SESSIONS[name]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        if file.startswith(("http:", "https:")):
            continue
        target = (path.parent / file) if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link
