"""The tools that these tests need. Where one is missing a test skips; in CI it fails."""

from __future__ import annotations

import shutil

from needs import missing

__all__ = ["missing", "require", "require_module"]

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "gdb-multiarch": "gdb-multiarch",
    "cmake": "cmake",
    "gcc": "gcc",
    "clang": "clang",
}


def require(tool: str) -> str:
    """The path of a tool."""
    path = shutil.which(tool)
    if path is None:
        missing(f"{tool} (apt-get install {PACKAGES.get(tool, tool)})")
        raise AssertionError
    return path


def require_module(name: str, package: str) -> None:
    """A module that the extra ``[cortexm]`` installs."""
    try:
        __import__(name)
    except ImportError:
        missing(f"the Python package {package}")
