"""The image of somebody's own allocator: its sources, compiled and linked with nothing else."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from rtosheap.cortexm.images import LEVELS
from rtosheap.cortexm.targets import Cpu
from rtosheap.cortexm.toolchain import Toolchain, ToolchainError, csrc, link, support_flags
from rtosheap.device import read_firmware

#: Where the image's own RAM lies, and how much, in csrc/cortexm/foreign.ld.
RAM = (0x1000_0000, 1 << 20)
# One section for each function, so that what nothing calls is left out, as firmware is linked.
_APART = ("-ffunction-sections", "-fdata-sections")


class Memory(NamedTuple):
    """Bytes that a part of the image takes on the target: `ram` includes initialised data, whose
    values take as much flash.
    """

    flash: int
    ram: int


class Sources(NamedTuple):
    """An allocator's sources, and how they are compiled."""

    files: tuple[Path, ...]
    include: tuple[Path, ...]
    defines: tuple[str, ...]
    cpu: Cpu
    optimize: str
    toolchain: Toolchain

    @classmethod
    def of(
        cls,
        sources: Any,
        include: Any,
        defines: Mapping[str, object],
        cpu: Cpu,
        optimize: str,
        toolchain: Toolchain,
    ) -> Sources:
        """The same of what a user gave."""
        files = _paths(sources, "sources", "file", Path.is_file)
        if not files:
            raise ValueError("sources is empty; it must name the allocator's C files")
        folders = _paths(include, "include", "folder", Path.is_dir)
        if optimize not in LEVELS:
            raise ValueError(f"optimize is {optimize!r}; it must be {', '.join(LEVELS)}")
        if not isinstance(defines, Mapping):
            raise TypeError(f"defines is {defines!r}; it must be a mapping, as {{'NDEBUG': 1}}")
        macros = [
            f"-D{name}" if value is None else f"-D{name}={value}" for name, value in defines.items()
        ]
        return cls(files, folders, tuple(macros), cpu, optimize, toolchain)

    @property
    def flags(self) -> tuple[str, ...]:
        """What the compiler is told of each file: its own standard of C."""
        chosen = [
            flag for flag in self.toolchain.flags(self.cpu, self.optimize) if "-std" not in flag
        ]
        folders = (csrc() / "foreign", *self.include)
        return (*chosen, *_APART, *(f"-I{folder}" for folder in folders), *self.defines)

    def image(self) -> bytes:
        """The image.

        Raises
        ------
        ToolchainError
            With what the compiler or the linker said.
        """
        script = (csrc() / "cortexm" / "foreign.ld").read_text()
        # Told apart by these names in the script.
        parts = {"foreign": self.files, "support": self._support("startup.c", "measure_foreign.c")}
        library: tuple[str, ...] = ("-specs=nano.specs", "-specs=nosys.specs")
        if self.toolchain.name == "zig":
            parts["library"], library = self._support("memory_functions.c"), ()
        with tempfile.TemporaryDirectory(prefix="rtosheap-") as folder:
            jobs = [
                (path, Path(folder) / f"{part}_{number}.o", part)
                for part, paths in parts.items()
                for number, path in enumerate(paths)
            ]
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(self._compile, *zip(*jobs, strict=True)))
            told = [*self.toolchain.flags(self.cpu, self.optimize), "-Wl,--gc-sections"]
            try:
                made = link(self.toolchain, told, [str(o) for _, o, _ in jobs], script, library)
            except ToolchainError as error:
                raise ToolchainError(f"{self} do not link:\n{_said(str(error))}") from None
            return made.read_bytes()

    def _support(self, *names: str) -> tuple[Path, ...]:
        return tuple(csrc() / "cortexm" / name for name in names)

    def _compile(self, source: Path, target: Path, part: str) -> None:
        told = [*self.toolchain.command, *self.flags]
        if part != "foreign":
            told += [*support_flags(self.toolchain), "-std=c11"]
        done = subprocess.run(
            [*told, "-c", str(source), "-o", str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ToolchainError(f"{source} does not compile:\n{done.stderr.strip()}")

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.files)


def memory_of(image: bytes, part: str) -> Memory:
    """What ``"foreign"`` or ``"library"`` takes of an image."""
    symbols = {symbol.name: symbol.value for symbol in read_firmware(image).symbols or ()}
    code, data, bss = (
        symbols[f"rh_{part}_{kind}_end"] - symbols[f"rh_{part}_{kind}_start"]
        for kind in ("code", "data", "bss")
    )
    return Memory(code + data, data + bss)


def _said(error: str) -> str:
    """A linker's words, without the command and what it says of calls that newlib leaves open."""
    lines = error.splitlines()[1:]
    return "\n".join(line for line in lines if "not implemented and will always fail" not in line)


def _paths(given: Any, name: str, what: str, exists: Any) -> tuple[Path, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise TypeError(f"{name} is {given!r}; it must be a sequence of {what}s")
    paths: list[str | PathLike[str]] = list(given)
    for path in paths:
        if not isinstance(path, str | PathLike):
            raise TypeError(f"{name} has {path!r}; it must be a sequence of {what}s")
    found = tuple(Path(fspath(path)) for path in paths)
    for path in found:
        if not exists(path):
            raise ValueError(f"{name} has {str(path)!r}, which is no {what}")
    return found
