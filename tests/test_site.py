"""The site of docs/ builds without a warning, and has every public name."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from needs import LAST_RESORT, ROOT, missing
from test_public_names import PUBLIC

pytestmark = pytest.mark.long


def test_the_site(tmp_path: Path) -> None:
    """The notebooks' own execution: test_notebooks.py."""
    for module in ("sphinx", "furo", "myst_nb", "numpydoc", "sphinx_copybutton"):
        if importlib.util.find_spec(module) is None:
            missing(f"{module.replace('_', '-')} (pip install -e '.[docs]')")
    for name in ("docs", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("csrc/README.md", "tests/README.md"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / name, tmp_path / name)
    words = ["-m", "sphinx", "-W", "--keep-going", "-q", "-D", "nb_execution_mode=off"]
    done = subprocess.run(
        [sys.executable, *words, tmp_path / "docs", tmp_path / "site"],
        capture_output=True, text=True, timeout=LAST_RESORT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr
    inventory = (tmp_path / "site" / "objects.inv").read_bytes().split(b"\n", 4)[4]
    named = set(re.findall(r"^(\S+) py:", zlib.decompress(inventory).decode(), re.MULTILINE))
    assert len(named) > 500
    for package in PUBLIC:
        face = importlib.import_module(package)
        for name in face.__all__:
            thing = getattr(face, name)
            homes = {f"{other}.{name}" for other in PUBLIC if _has(other, name, thing)}
            assert homes & named, f"{package}.{name}"


def _has(package: str, name: str, thing: object) -> bool:
    face = importlib.import_module(package)
    return name in face.__all__ and getattr(face, name) is thing
