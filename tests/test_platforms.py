"""The extension modules, compiled by ``zig cc`` for systems that are not this one.

zig brings the headers of macOS' and Windows' C libraries. Nothing is linked or run: what the
objects take from elsewhere must be Python's, or of the C library by its name. Headers of Python are
this machine's: macOS has types of the same sizes, and for Windows ``platforms/`` has what differs.
Windows' usual compiler is MSVC, which is not here: what all but gcc and clang see of the sources is
compiled as C11 without any extension.
"""

from __future__ import annotations

import importlib.util
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from needs import ROOT, missing, tool

PYTHON_H = sysconfig.get_paths()["include"]
WARNINGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror")
MODULES = ("_core", "_formats", "_lab")
WINDOWS = (
    *("-target", "x86_64-windows-gnu"),
    *("-include", "tests/platforms/pyconfig_windows.h"),
)
TARGETS = {
    "macos x86_64": ("-target", "x86_64-macos"),
    "macos arm64": ("-target", "aarch64-macos"),
    "windows x86_64": WINDOWS,
}
#: Of every C library.
LIBC = {
    *("calloc", "free", "malloc", "realloc", "longjmp", "snprintf", "strcmp", "strspn"),
    *("memchr", "memcmp", "memcpy", "memmove", "memset"),
}
#: Of one, by their names in objects without the leading underscore that macOS has.
FURTHER = {
    "macos": {
        *("__bzero", "__memcpy_chk", "_tlv_bootstrap", "bzero", "malloc_size", "setjmp"),
        *("pthread_atfork", "pthread_once"),
        *(f"pthread_rwlock_{what}" for what in ("init", "rdlock", "unlock", "wrlock")),
    },
    "windows": {"_msize", "_setjmp", "_tls_index"},
}

pytestmark = pytest.mark.long


def extensions() -> dict[str, Any]:
    """What setup.py builds, without setuptools, which not every environment has."""
    made: dict[str, Any] = {}

    def extension(name: str, sources: list[str], **rest: Any) -> Any:
        return SimpleNamespace(name=name, sources=sources, **rest)

    def setup(*, ext_modules: list[Any]) -> None:
        made.update((one.name.removeprefix("rtosheap."), one) for one in ext_modules)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setitem(sys.modules, "setuptools", SimpleNamespace(Extension=extension, setup=setup))
        runpy.run_path("setup.py")
    return made


def flags(extension: Any) -> list[str]:
    macros = [f"-D{name}={value}" for name, value in extension.define_macros]
    return [*macros, *(f"-I{folder}" for folder in extension.include_dirs), "-isystem", PYTHON_H]


def quiet(*words: object) -> None:
    """Run what must have nothing to say."""
    done = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), f"{words}\n{done.stderr}"


def names(kind: str, objects: list[Path], prefix: str) -> set[str]:
    """The names that the objects define, or those that they do not."""
    words = [tool("llvm-nm"), f"--{kind}-only", "--just-symbol-name", *map(str, objects)]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return {
        word.removeprefix(prefix).removeprefix("__imp_")
        for word in listed.split()
        if not word.endswith(":")
    }


def test_these_are_the_modules() -> None:
    assert tuple(extensions()) == MODULES


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("target", TARGETS)
def test_compiles(target: str, module: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("ziglang") is None:
        missing("ziglang (pip install ziglang)")
    extension = extensions()[module]
    zig = (sys.executable, "-m", "ziglang", "cc", *TARGETS[target], "-fno-sanitize=undefined")
    objects = []
    for source in extension.sources:
        objects.append(tmp_path / f"{Path(source).stem}.o")
        quiet(*zig, *WARNINGS, *flags(extension), "-c", source, "-o", objects[-1])
    assert len(objects) >= 9
    system = target.split()[0]
    prefix = "_" if system == "macos" else ""
    defined, undefined = (names(kind, objects, prefix) for kind in ("defined", "undefined"))
    assert f"PyInit_{module}" in defined
    taken = {name for name in undefined - defined if not name.startswith(("Py", "_Py"))}
    assert taken <= LIBC | FURTHER[system]
    assert taken & LIBC


@pytest.mark.parametrize("module", MODULES)
def test_c11_without_any_extension(module: str) -> None:
    extension = extensions()[module]
    clang = (tool("clang"), "-fgnuc-version=0", *WARNINGS, "-Wgnu", "-Wextra-semi", "-Wvla")
    for source in extension.sources:
        quiet(*clang, *flags(extension), "-fsyntax-only", source)
