"""One wheel serves every CPython from 3.11 on, and the sdist holds all that builds it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from needs import ROOT, missing, tool

pytestmark = pytest.mark.long

TESTS = (
    *sorted((ROOT / "tests").glob("test_heaps_*.py")),
    ROOT / "tests" / "test_replay.py",
    ROOT / "tests" / "test_threads.py",
    ROOT / "tests" / "test_conformance.py",
    *(ROOT / "tests" / f"test_trace{which}.py" for which in ("", "_link", "_sequence")),
)
#: What a foreign allocator's adapter needs, and its process.
FOREIGN = ("rh_foreign.h", "runner.c", "events.c", "events.h", "shared.h")


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the files that git knows, as whoever clones the project has them."""
    folder = tmp_path_factory.mktemp("sdist")
    if not (ROOT / ".git").exists():
        missing("the git checkout")
    tree = folder / "tree"
    run("git", "clone", "-q", ROOT, tree)
    build = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin" / "pip", "install", "-q", "setuptools>=77")
    run(venv / "bin" / "python", "-c", build, folder, cwd=tree)
    (made,) = folder.glob("*.tar.gz")
    return made


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, so that nothing is missing there."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, sdist)
    (made,) = folder.glob("*.whl")
    return made


def test_the_sdist_has_what_builds_and_tests_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        *("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"),
        *("csrc/core/heap_3.c", "csrc/core/heap_4.c", "csrc/core/rh_config.h"),
        *("csrc/host/ops.h", "csrc/python/extension.h", "setup.py"),
        *("csrc/freertos/heap_4.c", "csrc/CMakeLists.txt", "tests/test_heaps_calls.py"),
        *("tests/data/conformance/heap4_w32.jsonl.gz", "rtosheap/_core.pyi", "rtosheap/py.typed"),
    ):
        assert needed in names


def test_the_wheel_is_abi3(wheel: Path) -> None:
    assert re.search(r"-cp311-abi3-", wheel.name), wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "rtosheap/_core.abi3.so" in names
    assert "rtosheap/_core.pyi" in names
    assert "rtosheap/py.typed" in names
    assert any(name.startswith("rtosheap/data/") and name.endswith(".gz") for name in names)
    assert {f"rtosheap/data/crashes/heap_4.{kind}" for kind in ("core", "elf")} <= set(names)
    assert "rtosheap/csrc/core/heap_4.c" in names
    assert "rtosheap/csrc/freertos/heap_4.c" in names
    assert {f"rtosheap/csrc/foreign/{name}" for name in FOREIGN} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "csrc/"))]


def test_it_asks_for_no_private_symbol(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin" / "pip", "install", "-q", "abi3audit")
    run(venv / "bin" / "abi3audit", "--strict", wheel)


def python(version: str) -> Path:
    """An interpreter of this version: the running one, pyenv's newest, or one on the path."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return Path(sys.executable)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    return found[-1] if found else Path(tool(f"python{version}"))


#: Of glibc 2, the newest release whose names a wheel takes that is built with Debian 12's: systems
#: since 2021 have it. Published wheels are built with that of manylinux_2_28.
GLIBC = 34


def test_the_wheel_is_manylinux(wheel: Path, tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        missing("an x86-64 machine")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin" / "pip", "install", "-q", "auditwheel==6.8.2")
    said = " ".join(run(venv / "bin" / "auditwheel", "show", wheel).split())
    found = re.search(r'following platform tag: "manylinux_2_(\d+)_x86_64"', said)
    assert found is not None, said
    assert int(found[1]) <= GLIBC


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_wheel_works(version: str, wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run(python(version), "-m", "venv", venv)
    # No compiler is at hand, nor asked for: of what it depends on there are wheels.
    bare = {**os.environ, "PATH": str(venv / "bin"), "CC": "none"}
    words = ("install", "-q", "--only-binary=:all:", wheel)
    run(venv / "bin" / "pip", *words, env=bare)
    assert "heap_4" in run(venv / "bin" / "rtosheap", "demo", cwd=tmp_path, env=bare)
    run(venv / "bin" / "pip", "install", "-q", "pytest", "hypothesis")
    out = run(
        venv / "bin" / "pytest", "-q", "-p", "no:cacheprovider", "-m", "", *TESTS, cwd=tmp_path
    )
    passed = re.search(r"(\d+) passed", out)
    assert passed is not None
    assert int(passed[1]) >= 560, "the files have more tests than ran"
    assert "failed" not in out
    # Imported from the wheel, not from the source tree.
    code = "import rtosheap; print(rtosheap.__file__)"
    where = run(venv / "bin" / "python", "-c", code, cwd=tmp_path)
    assert str(venv) in where
