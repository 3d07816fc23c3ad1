"""Shared libraries of tests/foreign: small allocators, and what they do wrong when told to."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from ctools import WARNINGS, run
from needs import ROOT, missing, tool

SOURCES = ROOT / "tests" / "foreign"
FOREIGN = ROOT / "csrc" / "foreign"
#: 64 where the compiler makes it by itself.
BITS = (64, 32)


@cache
def has_bits(bits: int) -> bool:
    """Whether gcc makes programs of so many bits here."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "empty.c"
        source.write_text("#include <stdio.h>\nint main(void) { return 0; }\n")
        return os.system(f"{tool('gcc')} -m{bits} {source} -o {folder}/empty 2>/dev/null") == 0


@cache
def _built(source: str, defines: tuple[str, ...], bits: int) -> bytes:
    flags = [*WARNINGS, "-O2", f"-m{bits}", "-shared", "-fPIC", f"-I{FOREIGN}"]
    flags += [f"-I{ROOT / 'csrc' / 'core'}", *(f"-D{define}" for define in defines)]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.so"
        run([tool("gcc"), *flags, SOURCES / source, "-o", made])
        return made.read_bytes()


def library(
    folder: Path, source: str = "simple.c", *defines: str, bits: int = 64, name: str = "libtried.so"
) -> Path:
    """Build one of them."""
    if not has_bits(bits):
        missing(f"gcc -m{bits} (gcc-multilib)")
    made = folder / name
    made.write_bytes(_built(source, defines, bits))
    return made
