"""The loops of C sources, and how often each says that it turns (csrc/core/rh_loop.h)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rtosheap.cortexm._code import CodeError

__all__ = ["SourceLoop", "loops_of"]

_BLANKED = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
      | ^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_LOOP = re.compile(r"\b(RH_WHILE|while|for|do)\b")
# What leaves a loop, or begins one inside it; and macros that may leave it, where headers are
# checked.
_EXIT = re.compile(r"\b(break|return|goto|RH_WHILE|while|for|do)\b")
_LAST_EXIT = re.compile(_EXIT.pattern + r"|\bRH_(VISIT|FF_MEET|ASSERT\w*)\b")
_WORD = re.compile(r"\w*")
_PAIRS = {"(": ")", "{": "}"}


class SourceLoop(NamedTuple):
    """A loop.

    Attributes
    ----------
    path : Path
        Its file.
    first, last : int
        Its lines.
    most : str or None
        How often its body runs at most, in C; None where it does not say so.
    condition : str
        While which it turns.
    head : int
        Up to this line its body cannot be left, and no loop inside it begins.
    tail : int
        From this line on its body cannot be left but by its end.
    """

    path: Path
    first: int
    last: int
    most: str | None
    condition: str
    head: int
    tail: int

    @property
    def forever(self) -> bool:
        """Whether it is left from its body alone: its last run is then no turn."""
        return self.condition == "true"


def loops_of(path: Path) -> tuple[SourceLoop, ...]:
    """The loops of a file, but for ``do { } while (0)``."""
    return _loops_in(path, path.stat().st_mtime_ns)


@lru_cache
def _loops_in(path: Path, changed: int) -> tuple[SourceLoop, ...]:
    del changed  # but a file that did is read again
    text = _BLANKED.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), path.read_text())
    source = _Source(path, text)
    found = []
    tails: set[int] = set()  # where the `while` of a `do` stands
    for match in _LOOP.finditer(text):
        if match.start() in tails:
            continue
        most, condition = None, ""
        if match[1] == "do":
            body_end = source.statement(match.end())
            tail = source.skip(body_end)
            tails.add(tail)
            condition_end = source.closing(text.index("(", tail))
            condition = text[text.index("(", tail) + 1 : condition_end - 1].strip()
            if condition in ("0", "false"):
                continue
            end = condition_end
            closing_of_head = match.end()
        else:
            opening = source.skip(match.end())
            closing = source.closing(opening)
            condition = text[opening + 1 : closing - 1].strip()
            if match[1] == "RH_WHILE":
                condition, most = source.split(condition)
            end = source.statement(closing)
            closing_of_head = closing
        first_exit = _EXIT.search(text, closing_of_head, end)
        head = end if first_exit is None else first_exit.start()
        exits = [m.start() for m in _LAST_EXIT.finditer(text, closing_of_head, end)]
        tail = text.index(";", exits[-1]) if exits else closing_of_head
        first, last, head, tail = (
            text.count("\n", 0, at) + 1 for at in (match.start(), end, head, tail)
        )
        found.append(SourceLoop(path, first, last, most, condition, head - 1, tail + 1))
    return tuple(found)


class _Source:
    """C without comments, strings and directives."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def skip(self, at: int) -> int:
        """The next character that is no space."""
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        return at

    def closing(self, at: int) -> int:
        """Behind the bracket that closes the one there."""
        opening = self._text[at : at + 1]
        depth = 0
        for end in range(at, len(self._text)):
            if opening in _PAIRS and self._text[end] in (opening, _PAIRS[opening]):
                depth += 1 if self._text[end] == opening else -1
                if depth == 0:
                    return end + 1
        line = self._text.count("\n", 0, at) + 1
        raise CodeError(f"{self._path}:{line}: a bracket that nothing closes")

    def statement(self, at: int) -> int:
        """Behind the statement that begins there."""
        at = self.skip(at)
        if self._text[at : at + 1] == "{":
            return self.closing(at)
        match = _WORD.match(self._text, at)
        word = match[0] if match is not None else ""
        if word in ("if", "while", "for", "switch", "RH_WHILE"):
            end = self.statement(self.closing(self.skip(at + len(word))))
            other = self.skip(end)
            if word == "if" and re.match(r"else\b", self._text[other : other + 5]):
                return self.statement(other + 4)
            return end
        if word == "do":
            tail = self.statement(at + 2)
            at = self.closing(self._text.index("(", tail))
        while self._text[at : at + 1] != ";":
            at = self.closing(at) if self._text[at : at + 1] in ("(", "{") else at + 1
            if at >= len(self._text):
                raise CodeError(f"{self._path}: a statement without an end")
        return at + 1

    @staticmethod
    def split(arguments: str) -> tuple[str, str]:
        """The two of RH_WHILE: the comma between them is in no brackets."""
        depth = 0
        for at, character in enumerate(arguments):
            depth += (character in "([{") - (character in ")]}")
            if character == "," and depth == 0:
                most = " ".join(arguments[at + 1 :].split())
                return arguments[:at].strip(), most
        return arguments.strip(), ""
