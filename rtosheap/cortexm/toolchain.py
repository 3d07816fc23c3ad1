"""Compilers for Cortex-M, and builds that are kept."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rtosheap import builds
from rtosheap.cortexm.targets import INSTALL, Cpu

__all__ = [
    "Build",
    "Toolchain",
    "ToolchainError",
    "compile_text",
    "csrc",
    "find_toolchain",
    "link",
    "support_flags",
]

_COMMON = ("-std=c11",)
# For what stands around the heap: a loop in memset must not become a call of memset.
_SUPPORT = {
    "arm-none-eabi-gcc": ("-ffreestanding", "-fno-tree-loop-distribute-patterns"),
    "zig": ("-ffreestanding", "-fno-builtin"),
}
_ZIG_TARGET = "thumb-freestanding-eabi"
_ZIG = (
    "-g",  # without it zig strips the symbols at -Os
    "-fno-sanitize=undefined",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-Wno-unused-command-line-argument",
    "-Wno-ignored-optimization-argument",
)


class ToolchainError(RuntimeError):
    """There is no compiler, or it refused to compile.

    Examples
    --------
    >>> from rtosheap.cortexm import find_toolchain
    >>> try:
    ...     text = find_toolchain().version
    ... except ToolchainError as error:
    ...     text = str(error)  # what to install
    >>> print("compiler:", text)
    compiler: ...
    """


class Toolchain(NamedTuple):
    """A compiler.

    Attributes
    ----------
    name : str
        ``"arm-none-eabi-gcc"`` or ``"zig"``.
    command : tuple of str
        How it is called.
    version : str
        What it says of itself.

    Examples
    --------
    >>> from rtosheap.cortexm import CPUS
    >>> gcc = Toolchain("arm-none-eabi-gcc", ("arm-none-eabi-gcc",), "12.2.1")
    >>> gcc.flags(CPUS["cortex-m33"], "-Os")
    ('-mcpu=cortex-m33', '-mthumb', '-Os', '-std=c11')
    """

    name: str
    command: tuple[str, ...]
    version: str

    def flags(self, cpu: Cpu, optimize: str) -> tuple[str, ...]:
        """What it is told for a processor."""
        if self.name == "zig":
            model = cpu.name.replace("-", "_")
            return ("-target", _ZIG_TARGET, f"-mcpu={model}", optimize, *_COMMON, *_ZIG)
        return (*cpu.flags, optimize, *_COMMON)


def find_toolchain(name: str | None = None) -> Toolchain:
    """A compiler on this machine.

    Parameters
    ----------
    name : {"arm-none-eabi-gcc", "zig"}, optional
        Which one. By default the first of the two that is there: gcc, as firmware mostly is
        compiled by it, then the one that ``pip install ziglang`` brings.

    Raises
    ------
    ToolchainError
        If there is none.
    ValueError
        If the name is neither.

    Examples
    --------
    >>> find_toolchain().name  # doctest: +SKIP
    'arm-none-eabi-gcc'
    >>> find_toolchain("armclang")
    Traceback (most recent call last):
        ...
    ValueError: toolchain is 'armclang'; it must be one of arm-none-eabi-gcc, zig
    """
    if name is not None and name not in _FINDERS:
        raise ValueError(f"toolchain is {name!r}; it must be one of {', '.join(_FINDERS)}")
    for candidate in _FINDERS if name is None else (name,):
        found = _FINDERS[candidate]()
        if found is not None:
            return found
    raise ToolchainError(
        f"{name or 'no compiler for Cortex-M'} is not there; most systems package "
        f"arm-none-eabi-gcc, and zig is one of what cortexm needs: {INSTALL}"
    )


@lru_cache
def _gcc() -> Toolchain | None:
    path = shutil.which("arm-none-eabi-gcc")
    if path is None:
        return None
    return Toolchain("arm-none-eabi-gcc", (path,), _run([path, "--version"]).splitlines()[0])


@lru_cache
def _zig() -> Toolchain | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    command = (sys.executable, "-m", "ziglang", "cc")
    return Toolchain("zig", command, _run([*command, "--version"]).splitlines()[0])


_FINDERS = {"arm-none-eabi-gcc": _gcc, "zig": _zig}


@lru_cache
def csrc() -> Path:
    """The folder of the C sources."""
    try:
        return builds.csrc()
    except FileNotFoundError as error:
        raise ToolchainError(str(error)) from None


@lru_cache
def _sources_digest() -> str:
    digest = hashlib.sha256()
    folder = csrc()
    for part in (folder / "core", folder / "freertos", folder / "cortexm"):
        paths = part.rglob("*") if part.name == "cortexm" else part.glob("*")
        for path in sorted(p for p in paths if p.suffix in (".c", ".h", ".ld")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Build(NamedTuple):
    """Sources to compile, and to link where there is a script."""

    toolchain: Toolchain
    flags: Sequence[str]
    defines: Sequence[str]
    sources: Sequence[str]
    script: str | None = None
    library: Sequence[str] = ()

    def result(self) -> bytes:
        """The image, or without a script the object file of the one source; from the cache where
        the same was built before.
        """
        told = [self.toolchain.version, *self.flags, *self.defines, *self.sources]
        parts = [_sources_digest(), *told, self.script or "", *self.library]
        return builds.cached("cortexm", parts, ".o" if self.script is None else ".elf", self._made)

    def _made(self, folder: Path) -> Path:
        command = [*self.toolchain.command, *self.flags]
        objects = [str(folder / f"{i}.o") for i in range(len(self.sources))]
        jobs = [
            [
                *command,
                *(support_flags(self.toolchain) if source.startswith("cortexm/") else _includes()),
                *self.defines,
                "-c",
                str(csrc() / source),
                "-o",
                target,
            ]
            for source, target in zip(self.sources, objects, strict=True)
        ]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_run, jobs))
        if self.script is None:
            return Path(objects[0])
        return link(self.toolchain, self.flags, objects, self.script, self.library)


def link(
    toolchain: Toolchain,
    flags: Sequence[str],
    objects: Sequence[str],
    script: str,
    library: Sequence[str] = (),
) -> Path:
    """The image of these object files, beside the first."""
    folder = Path(objects[0]).parent
    memory, image = folder / "memory.ld", folder / "image.elf"
    memory.write_text(script)
    start = ["-nostartfiles", *(library or ["-nostdlib"]), f"-Wl,-T,{memory}"]
    end = [] if library or toolchain.name == "zig" else ["-lgcc"]
    _run([*toolchain.command, *flags, *start, *objects, *end, "-o", str(image)])
    return image


def compile_text(
    toolchain: Toolchain, flags: Sequence[str], defines: Sequence[str], text: str
) -> bytes:
    """The object file of a source that is given as text."""
    with tempfile.TemporaryDirectory(prefix="rtosheap-") as folder:
        source, target = Path(folder) / "text.c", Path(folder) / "text.o"
        source.write_text(text)
        told = [*flags, *_includes(), *defines]
        _run([*toolchain.command, *told, "-c", str(source), "-o", str(target)])
        return target.read_bytes()


def support_flags(toolchain: Toolchain) -> list[str]:
    """What a file of ``csrc/cortexm`` is compiled with, besides the processor's."""
    return [*_SUPPORT[toolchain.name], *_includes()]


def _includes() -> list[str]:
    cortexm = csrc() / "cortexm"
    return [f"-I{cortexm / 'kernel'}", f"-I{cortexm}"]


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{' '.join(command)}\n{done.stderr.strip()}")
    return done.stdout
