"""docs/allocator.md on allocators in C, with stand-ins for them: each adapter builds and serves."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from foreign_libraries import SOURCES, has_bits
from needs import ROOT, missing

from rtosheap import ForeignHeap, data, replay
from rtosheap.replays import COLUMNS

mpl.use("Agg")
PAGE = (
    (ROOT / "docs" / "allocator.md").read_text().split("## An allocator in C")[1].split("\n## ")[0]
)
#: What each adapter's allocator tells besides what all do.
TOLD = {
    "tlsf": {"block_size", "free_size", "largest_free_block", "free_block_count", "failure"},
    "o1heap": {"free_size", "failure"},
    "umm_malloc": set(),
}


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def adapters() -> dict[str, str]:
    found = {}
    for code in fenced("c"):
        (name,) = re.findall(r'#include "(?!rh_foreign)(\w+)\.h"', code)
        found[name] = code
    return found


def built(folder: Path, name: str) -> Path:
    """By the page's command line, as it stands there."""
    if not has_bits(32):
        missing("gcc -m32 (gcc-multilib)")
    (line,) = [line for line in fenced("sh")[0].splitlines() if line.startswith("cc ")]
    (asked,) = re.findall(r'HEADER=\$\(python -c "(.*)"\)', PAGE)
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    (folder / "adapter.c").write_text(adapters()[name])
    stand_in = SOURCES / "stand_ins" / "stand_in.c"
    words = shlex.split(line.replace('"$HEADER"', shlex.quote(told.stdout.strip())))
    words = [str(stand_in) if word == "tlsf.c" else word for word in words]
    more = ["-Wall", "-Wextra", "-Werror", f"-I{stand_in.parent}", f"-I{SOURCES.parent}"]
    subprocess.run([*words, *more], cwd=folder, check=True)
    return folder / "libtlsf.so"


@pytest.mark.parametrize("name", TOLD)
def test_each_adapter_of_the_page_serves(tmp_path: Path, name: str) -> None:
    assert set(adapters()) == set(TOLD)
    trace = data.load("coap-server")
    heap = ForeignHeap.load(built(tmp_path, name), 64 << 10)
    result = replay(trace, heap, record="all")
    assert set(result) - {"address", "live_bytes", "failed"} == TOLD[name]
    assert set(result) <= set(COLUMNS)
    assert result.failures == 0
    assert result.heap.word_size == 4


def test_the_lines_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built(tmp_path, "tlsf")
    monkeypatch.chdir(tmp_path)
    (code,) = fenced("python")
    exec(compile(code, "allocator.md", "exec"), {})
    text = capsys.readouterr().out
    assert text.splitlines()[0].split(maxsplit=1) == ["heap", "tlsf, 49,152 bytes"]
    assert "0x20000010" in text.splitlines()[-1]
