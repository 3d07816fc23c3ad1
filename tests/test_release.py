"""What a release says of itself, in its several places, agrees."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from needs import ROOT

import rtosheap

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
CITATION = (ROOT / "CITATION.cff").read_text()
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()
CHECK_WORKFLOW = (
    *("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
    *(f".github/workflows/{name}.yml" for name in ("site", "wheels")),
)


def cited(key: str) -> str:
    (value,) = re.findall(rf'^{key}: "?([^"\n]+)"?$', CITATION, re.MULTILINE)
    return value


def test_the_newest_version_is_cut() -> None:
    unreleased, newest, *_ = re.findall(r"^## \[([^]]+)\](?: - (.*))?$", CHANGELOG, re.MULTILINE)
    assert unreleased == ("Unreleased", "")
    assert newest == (rtosheap.__version__, cited("date-released"))
    assert cited("version") == rtosheap.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", newest[1])


def test_licence_and_name() -> None:
    assert cited("license") == PROJECT["project"]["license"] == "MIT"
    assert "urls" not in PROJECT["project"], "none existed; a new one must"


def test_hooks_have_the_versions_of_the_lint_extra() -> None:
    lint = set(PROJECT["project"]["optional-dependencies"]["lint"])
    pinned = re.findall(r'additional_dependencies: \["([^"]+)"\]', HOOKS)
    assert set(pinned) == {one for one in lint if re.match("ruff|clang-format", one)}
    style = (ROOT / ".ci" / "run").read_text().partition("== style")[2].partition("echo")[0]
    tools = {re.split("[ =]", one)[0] for one in re.findall(r"entry: (.*)", HOOKS)}
    assert tools == set(re.findall(r"\.venv/bin/(?!python)([\w-]+)", style))


def test_wheels_are_tried_in_every_python() -> None:
    build = PROJECT["tool"]["cibuildwheel"]["build"]
    least = re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    assert least is not None
    first = PROJECT["tool"]["distutils"]["bdist_wheel"]["py-limited-api"]
    assert build.split()[0] == f"{first}-*" == f"cp3{least[1]}-*"
    for classifier in PROJECT["project"]["classifiers"]:
        version = re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", classifier)
        assert version is None or f"cp3{version[1]}-*" in build.split()
    for words in PROJECT["tool"]["cibuildwheel"]["test-command"]:
        for path in re.findall(r"\{project\}/(\S+)", words):
            assert (ROOT / path).is_file()


def test_a_tag_publishes_what_was_built() -> None:
    assert "startsWith(github.ref, 'refs/tags/v')" in WORKFLOW
    assert "needs: [wheels, sdist]" in WORKFLOW
    assert WORKFLOW.count("id-token: write") == 1
    assert "secrets." not in WORKFLOW


@pytest.mark.long
@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("cffconvert==2.0.0", ["cffconvert", "--validate", "-i", "CITATION.cff"]),
        ("pre-commit==4.7.0", ["pre-commit", "validate-config", ".pre-commit-config.yaml"]),
        ("check-jsonschema==0.39.0", CHECK_WORKFLOW),
    ],
    ids=["citation", "hooks", "workflow"],
)
def test_files_are_of_their_format(package: str, words: Sequence[str], tmp_path: Path) -> None:
    """By each format's own tool, whose dependencies are not ours."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "-q", package], check=True)
    program, *rest = words
    subprocess.run([venv / "bin" / program, *rest], cwd=ROOT, check=True)
