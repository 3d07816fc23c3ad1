"""The program that runs a foreign allocator: compiled once for each size of a pointer."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from rtosheap import builds

_SOURCES = ("events.c", "runner.c")
_HEADERS = ("events.h", "rh_foreign.h", "shared.h")
_FLAGS = ("-std=c11", "-O2", "-pthread")


def bits_of(library: Path) -> int:
    """32 or 64, as the library is built.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file, or it is no shared library of this system.
    """
    with library.open("rb") as file:
        head = file.read(18)
    if head[:4] != b"\x7fELF" or len(head) < 18 or head[4] not in (1, 2) or head[16] != 3:
        raise ValueError(
            f"library is {str(library)!r}, which is no shared library: "
            "cc -shared -fPIC adapter.c ... -o libmine.so makes one"
        )
    return 32 * head[4]


def runner(bits: int, cc: str | None = None) -> bytes:
    """The program's bytes."""
    return _built(bits, tuple(_compiler(cc)))


@lru_cache
def _built(bits: int, compiler: tuple[str, ...]) -> bytes:
    folder = builds.csrc() / "foreign"
    digest = hashlib.sha256()
    for name in (*_SOURCES, *_HEADERS):
        digest.update((folder / name).read_bytes())
    command = [*compiler, f"-m{bits}", *_FLAGS]
    sources = [str(folder / name) for name in _SOURCES]
    version = _run([*compiler, "--version"], bits)

    def make(target: Path) -> Path:
        program = target / "runner"
        _run([*command, *sources, "-o", str(program), "-ldl"], bits)
        return program

    return builds.cached("foreign", [version, *command, digest.hexdigest()], "", make)


def _compiler(cc: str | None) -> list[str]:
    given = cc or os.environ.get("CC")
    for name in [given] if given else ["cc", "gcc", "clang"]:
        words = shlex.split(name)
        path = shutil.which(words[0]) if words else None
        if path is not None:
            return [path, *words[1:]]
    raise FileNotFoundError(
        f"{given or 'cc'} is not there: a foreign allocator runs in a program that is compiled "
        "once; cc= or the environment's CC names a C compiler"
    )


def _run(command: Sequence[str], bits: int) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        hint = "; on Debian and Ubuntu gcc-multilib brings what -m32 needs" if bits == 32 else ""
        raise RuntimeError(
            f"what runs a {bits}-bit library does not compile{hint}: {shlex.join(command)}\n"
            + done.stderr.strip()
        )
    return done.stdout
