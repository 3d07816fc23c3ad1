"""What is collected is the same in every process, and test files that are named are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from ctools import run
from needs import ROOT
from parts import few_of

# A plugin: folders list their entries in alphabetical order, or from the end.
SORTED = """
import os

listdir, scandir = os.listdir, os.scandir
backwards = os.environ["BACKWARDS"] == "yes"


class Entries(list):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __next__(self):
        if not self:
            raise StopIteration
        return self.pop(0)

    def close(self):
        pass


os.listdir = lambda *path: sorted(listdir(*path), reverse=backwards)
os.scandir = lambda *path: Entries(
    sorted(scandir(*path), key=lambda entry: entry.name, reverse=backwards)
)
"""


def collected(folder: Path, seed: str, backwards: str, files: list[str]) -> list[str]:
    """The ids of all tests, in another process, by another order of sets and of folders."""
    (folder / "tmp").mkdir(parents=True)
    (folder / "sorted_folders.py").write_text(SORTED)
    options = ["--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", "-p", "sorted_folders"]
    environment = {"PYTHONHASHSEED": seed, "BACKWARDS": backwards, "PYTHONPATH": str(folder)}
    environment |= {"TMPDIR": str(folder / "tmp")}
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={ROOT}"]
    command += [ROOT / "tests" / name for name in files]
    return [line for line in run(command, env=environment).stdout.splitlines() if "::" in line]


#: Files whose ids come from folders, from modules and from sets, and how many there are at least;
#: and all.
FILES = [(["test_layers.py", "test_public_names.py", "test_corruption.py"], 900), ([""], 3900)]


@pytest.mark.parametrize(("files", "least"), few_of(FILES, FILES[:1]), ids=["some", "all"])
def test_every_process_collects_the_same(files: list[str], least: int, tmp_path: Path) -> None:
    """Seconds apart, too: no id depends on the time."""
    first = collected(tmp_path / "first", "1", "no", files)
    assert len(first) == len(set(first)) > least
    assert first == collected(tmp_path / "second", "2", "yes", files)
    assert not [name for name in first if str(ROOT) in name or str(tmp_path) in name]


NAMING = [
    *sorted((ROOT / "tests").glob("*.py")),
    *sorted((ROOT / "tests" / "tools").glob("*.*")),
    *sorted(set((ROOT / "tests" / "coverage").glob("*.*")) - set(ROOT.glob("tests/coverage/*.gz"))),
    *[ROOT / name for name in ("tests/README.md", "README.md", "docs/ARCHITECTURE.md", ".ci/run")],
]


def named(path: Path) -> list[str]:
    """The test files that a file names; a README names them in backticks, without a suffix."""
    text = path.read_text()
    bare = re.findall(r"`(test_[a-z0-9_*]+)`", text) if path.name == "README.md" else []
    return re.findall(r"\btest_[a-z0-9_*]+\.py\b", text) + [f"{name}.py" for name in bare]


def test_a_test_file_that_is_named_is_there() -> None:
    names = [(path.name, pattern) for path in NAMING for pattern in named(path)]
    assert len(names) > 60
    assert not [both for both in names if not list((ROOT / "tests").glob(both[1]))]
