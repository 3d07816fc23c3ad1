"""What texts tell people to install is there for them: packages by name, or the clone. An extra,
such as ``rtosheap[inspect]``, is for those who have rtosheap from an index.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from needs import ROOT

HERE = Path(__file__)
TEXTS = [
    path
    for where in ("*", "csrc/**/*", "docs/**/*", "notebooks/*", "rtosheap/**/*", "tests/**/*")
    for path in sorted(ROOT.glob(where))
    if path.suffix in {".c", ".h", ".html", ".ipynb", ".js", ".md", ".py"}
    and path != HERE
    and not {"_build", "jupyter_execute"} & {*path.parts}  # what the site's build makes
]
COMMAND = re.compile(r"pip install ([^`\")&;\n]+)")
#: What is beside the project: of a notebook's reader, and of whoever contributes.
BESIDE = {"jupyterlab", "pre-commit"}
REQUIREMENTS = {
    requirement
    for extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ].values()
    for requirement in extra
}


def commands() -> list[tuple[Path, list[str]]]:
    found = [
        (path, shlex.split(match[1]))
        for path in TEXTS
        for match in COMMAND.finditer(path.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 15
    return found


def test_no_text_takes_rtosheap_from_an_index() -> None:
    for path, words in commands():
        assert not [word for word in words if word.startswith("rtosheap")], path


def test_packages_are_those_that_the_project_asks_for() -> None:
    for path, words in commands():
        for word in words:
            if word.startswith((".", "-")) or word in BESIDE:
                continue
            name = re.split(r"[<>=]", word)[0]
            asked = next(one for one in REQUIREMENTS if re.split(r"[<>=]", one)[0] == name)
            bound = re.search(r"<[\d.]+", asked)
            assert bound is None or bound[0] in word, path


@pytest.mark.parametrize("name", ["device", "cortexm", "testing", "cli"])
def test_who_lacks_a_package_is_told_its_name(name: str) -> None:
    assert any(name in path.parts for path, _ in commands())
