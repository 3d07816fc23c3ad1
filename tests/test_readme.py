"""What the README shows is true: its code runs, its lines are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from needs import ROOT, tool

README = (ROOT / "README.md").read_text()


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_two_lines() -> None:
    first, second = [block.strip() for block in fenced("sh")[:2]]
    assert first.startswith("python3 -m venv")
    assert first.endswith("rtosheap demo")
    assert "pytest" in second
    assert "\n" not in first + second


@pytest.mark.parametrize("code", fenced("python"))
def test_python(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_what_the_five_lines_print(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(fenced("python")[0], "README.md", "exec"), {})
    failures, _ = capsys.readouterr().out.splitlines()[-1].split()
    assert failures == "0"


def test_c(tmp_path: Path) -> None:
    (code,) = [code for code in fenced("c") if "heap_4.h" in code]
    (tmp_path / "example.c").write_text(
        code + "int main(void) { char *p = allocate(100), *q = allocate(50);"
        " p[99] = q[49] = 1; return q - p != 112 + 8 * (sizeof p - 4) / 4; }\n"
    )
    program = tmp_path / "example"
    core = ROOT / "csrc" / "core"
    sources = [str(tmp_path / "example.c"), str(core / "heap_4.c")]
    subprocess.run(
        [tool("gcc"), "-std=c11", "-Wall", "-Wextra", f"-I{core}", *sources, "-o", program],
        check=True,
    )
    assert subprocess.run([program], check=False).returncode == 0


def commands() -> list[list[str]]:
    (block,) = [block for block in fenced("sh") if block.startswith("rtosheap demo")]
    lines = [line.split("#")[0].split() for line in block.splitlines()]
    return [line[1:] for line in lines if line]


@pytest.mark.parametrize("arguments", commands(), ids=lambda words: words[0])
def test_the_command_line(arguments: list[str], tmp_path: Path, run: Any) -> None:
    from rtosheap import data

    trace = data.load("coap-server")
    trace.save("my.trace")
    trace.save("mdriver.rep")
    done = run(*arguments)
    assert done.status == 0, done.err
    if "-o" in arguments:
        assert (tmp_path / arguments[arguments.index("-o") + 1]).stat().st_size > 1000


def test_the_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
