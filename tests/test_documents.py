"""docs/: the Python sessions run, and links lead somewhere."""

from __future__ import annotations

import doctest
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from how_tos import Block, blocks
from needs import ROOT

from rtosheap import data

DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
SESSIONS = {"advice.md": 10, "bounds.md": 5, "faq.md": 10, "placement.md": 24}
#: Whose blocks of Python run, in their order.
CODE = {"policies.md": 1, "report.md": 1}


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


@pytest.mark.parametrize("name", CODE)
def test_code(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = [block.text for block in blocks(name, "python")]
    assert len(code) == CODE[name]
    exec(compile("\n".join(code), name, "exec"), {})


def steps(name: str) -> list[tuple[str, list[str]]]:
    """Each command of a document, and the lines that it is said to print."""
    found = []
    for block, after in pairwise([*blocks(name), Block("", "")]):
        said = after.text if after.language == "text" and after.follows else ""
        if block.language == "sh":
            found += [(line, said.splitlines()) for line in block.text.splitlines()]
    return found


STEPS = [step for name in ("tutorial.md", "report.md", "policies.md") for step in steps(name)]


@pytest.mark.parametrize(("line", "said"), STEPS, ids=lambda v: v if isinstance(v, str) else "")
def test_the_commands(line: str, said: list[str], tmp_path: Path, run: Any) -> None:
    data.load("coap-server").save("my.trace")
    words = line.split()
    done = run(*words[1:])
    assert done.status == (1 if words[1] == "replay" else 0), done.err
    printed = done.out.splitlines()
    assert [text for text in said if text not in printed] == []
    if "-o" in words:
        assert (tmp_path / words[-1]).stat().st_size > 1000


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
