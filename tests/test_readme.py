"""What the README shows is true: its code runs, its lines are there."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from needs import ROOT

from rtosheap import Op, Trace, data

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


def test_what_the_first_lines_print(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(fenced("python")[0], "README.md", "exec"), {})
    failures, _ = capsys.readouterr().out.splitlines()[-1].split()
    assert failures == "0"


def test_the_trace_parses() -> None:
    (shown,) = [block for block in fenced("text") if block.startswith("# rtosheap-trace")]
    trace = Trace.load(io.BytesIO(shown.encode()))
    assert trace.op.tolist() == [Op.MALLOC, Op.MALLOC, Op.REALLOC, Op.FREE, Op.FREE]
    assert trace.size.tolist()[:3] == [116, 40, 200]
    assert not trace.loss
    assert not trace.dropped


def commands() -> list[list[str]]:
    (block,) = [block for block in fenced("sh") if block.startswith("rtosheap ")]
    lines = [line.split("#")[0].split() for line in block.splitlines()]
    return [line[1:] for line in lines if line]


@pytest.mark.parametrize("arguments", commands(), ids=lambda words: words[0])
def test_the_command_line(arguments: list[str], tmp_path: Path, run: Any) -> None:
    data.load("coap-server").save("my.trace")
    done = run(*arguments)
    assert done.status == 0, done.err
    if "-o" in arguments:
        assert (tmp_path / arguments[arguments.index("-o") + 1]).stat().st_size > 1000


def test_the_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"(?<!!)\[[^]]*\]\(([^)#]+)\)", README)
    assert len(links) > 25
    for link in links:
        assert (ROOT / link).exists(), link
