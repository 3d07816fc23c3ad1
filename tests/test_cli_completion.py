"""``rtosheap --print-completion``: what three shells make of it."""

from __future__ import annotations

import builtins
import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from needs import LAST_RESORT, missing, tool

from rtosheap.cli import COMMANDS
from rtosheap.kinds import NAMES

#: A line up to the word that is completed, and some of its completions.
LINES = {
    "rtosheap si": {"size"},
    "rtosheap size co": {"coap-server"},
    "rtosheap assess gat": {"gateway"},
    "rtosheap size my-": {"my-board.trace"},
    "rtosheap diff my-": {"my-board.trace"},
    "rtosheap replay --heap heap_": set(NAMES),
    "rtosheap size --kernel V11.2": {"V11.2.0"},
    "rtosheap size --newlib debian-12": {"debian-12"},
    "rtosheap list ker": {"kernels"},
    "rtosheap convert --fo": {"--format"},
    "rtosheap inspect --elf my-": {"my-board.trace"},
}
#: Ends what a shell prints for a line.
END = "=end="

BASH = f"""
source "$1"
while read -ra COMP_WORDS; do
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMPREPLY=()
    _shtab_rtosheap rtosheap "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
    printf '%s\\n' "${{COMPREPLY[@]}}" {END}
done
"""
FISH = f"""
source $argv[1]
while read line; complete -C $line | string split -f1 \\t; echo {END}; end
"""
# A line is typed, a tab after it, and a `rtosheap` of the shell's own prints what the line is then.
ZSH = f"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=(${{1:h}} \\$fpath); autoload -Uz compinit; compinit -D -u"
zpty -w shell 'rtosheap() {{ print -r -- "=sta""rt=$*=e""nd=" }}'
while read -r line; do
    zpty -w shell "$line"$'\\t'
    zpty -r -m shell out '*=start=*=end=*'
    print -r -- "${{${{${{out#*=start=}}%%=end=*}}##* }}" {END!r}
done
"""


@pytest.fixture
def completed(run: Any, tmp_path: Path) -> Callable[..., list[set[str]]]:
    """A shell's completions of lines, in a folder with one file that can be completed."""
    if importlib.util.find_spec("shtab") is None:
        missing("shtab (pip install shtab)")

    def complete(shell: str, driver: str, lines: list[str]) -> list[set[str]]:
        path = tmp_path / "_rtosheap"
        done = run("--print-completion", shell)
        assert (done.status, done.err) == (0, "")
        path.write_text(done.out)
        (tmp_path / "my-board.trace").touch()
        (tmp_path / "driver").write_text(driver)
        ran = subprocess.run(
            [tool(shell), "driver", path],
            input="".join(line + "\n" for line in lines),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=LAST_RESORT,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        answers = ran.stdout.split(END)[:-1]
        return [set(answer.split()) for answer in answers]

    return complete


@pytest.mark.parametrize(("shell", "driver"), [("bash", BASH), ("fish", FISH)])
def test_completions(completed: Any, shell: str, driver: str) -> None:
    found = completed(shell, driver, list(LINES))
    assert len(found) == len(LINES)
    for (line, expected), words in zip(LINES.items(), found, strict=True):
        assert expected <= words, line
    assert found[1] == {"coap-server"}


def test_completions_of_zsh(completed: Any) -> None:
    only = {line: words for line, words in LINES.items() if len(words) == 1}
    found = completed("zsh", ZSH, list(only))
    assert found == list(only.values())


def test_commands(completed: Any) -> None:
    ((found),) = completed("fish", FISH, ["rtosheap "])
    assert set(COMMANDS) <= found


def test_a_shell_that_there_is_not(run: Any) -> None:
    for words in (["--print-completion", "ksh"], ["--print-completion=ksh"]):
        done = run(*words)
        assert (done.status, done.out) == (2, "")
        assert "'bash', 'zsh', 'fish'" in done.err
    done = run("--print-completion")
    assert done.status == 2
    assert "expected one argument" in done.err


def test_without_shtab(run: Any, monkeypatch: Any) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "shtab":
            raise ModuleNotFoundError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = run("--print-completion", "bash")
    assert (done.status, done.out) == (2, "")
    assert "pip install shtab" in done.err
