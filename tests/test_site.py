"""The site of docs/ builds without a warning, notebooks and all, leads nowhere in vain, and has
every public name."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from needs import LAST_RESORT, ROOT, missing
from test_notebooks import NOTEBOOKS
from test_public_names import PUBLIC

from rtosheap import cortexm


def need_what_it_takes() -> None:
    """Of Sphinx, and of the notebooks."""
    sphinx = ("sphinx", "furo", "myst_nb", "numpydoc", "sphinx_copybutton")
    for module in (*sphinx, "ipykernel", "hypothesis", "unicorn"):
        if importlib.util.find_spec(module) is None:
            missing(f"{module.replace('_', '-')} (pip install -e '.[docs]')")
    try:
        cortexm.find_toolchain()
    except cortexm.ToolchainError as error:
        missing(str(error))


@pytest.mark.long
def test_the_site(tmp_path: Path) -> None:
    """One test, since building takes minutes."""
    need_what_it_takes()
    site = build(tmp_path)
    check_notebooks(site)
    check_names(site)
    check_links(site)


def build(clone: Path) -> Path:
    """From what a clone has, as the README says."""
    made = shutil.ignore_patterns("_build", "jupyter_execute", "reference", ".*")
    shutil.copytree(ROOT / "docs", clone / "docs", ignore=made)
    shutil.rmtree(clone / "docs" / "notebooks", ignore_errors=True)
    for name in ("csrc", "notebooks"):
        shutil.copytree(ROOT / name, clone / name)
    for name in ("tests/README.md", *(path.name for path in ROOT.glob("*.md"))):
        (clone / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    built = clone / "docs" / "_build" / "html"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", clone / "docs", built],
        capture_output=True, text=True, timeout=LAST_RESORT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return built


def check_notebooks(site: Path) -> None:
    """Executed, without an error."""
    for path in NOTEBOOKS:
        text = (site / "notebooks" / f"{path.stem}.html").read_text()
        assert "cell_output" in text, path.name
        assert "Traceback" not in text, path.name
    assert len(list((site / "_images").glob("*.png"))) > 2 * len(NOTEBOOKS)


def check_names(site: Path) -> None:
    """Each public one is described somewhere."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    listed = zlib.decompress(inventory).decode()
    named = set(re.findall(r"^(\S+) py:", listed, re.MULTILINE))
    assert len(named) > 500
    in_c = set(re.findall(r"^(\S+) c:", listed, re.MULTILINE))
    assert {"rh4_malloc", "rhr_start", "rh_foreign_walk", "rh_status", "RH_INDEX_BYTES"} <= in_c
    for package in PUBLIC:
        face = importlib.import_module(package)
        for name in face.__all__:
            thing = getattr(face, name)
            homes = {f"{other}.{name}" for other in PUBLIC if has(other, name, thing)}
            assert homes & named, f"{package}.{name}"


def has(package: str, name: str, thing: object) -> bool:
    face = importlib.import_module(package)
    return name in face.__all__ and getattr(face, name) is thing


class Page(HTMLParser):
    """Where a page leads, and what in it can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def check_links(site: Path) -> None:
    """Within the site; those that lead out of it: sphinx-build -b linkcheck."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 60
    seen = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("#", ""):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.name}: {link}"
            seen += 1
    assert seen > 10_000
