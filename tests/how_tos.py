"""The blocks of the documents in docs/, in the order in which a reader meets them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from needs import ROOT

DOCS = ROOT / "docs"
_FENCED = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
#: A block that is a file begins with its name, behind `#!/bin/bash` if it has that.
_NAMED = re.compile(r"(?:#!.*\n)?(?:#|/\*) ([\w./-]+\.\w+|Makefile)(?: \*/)?\n")


class Block(NamedTuple):
    """A block of a page; `follows`: nothing stands between it and the block before."""

    language: str
    text: str
    follows: bool = False

    @property
    def file(self) -> str | None:
        """The file that it is to be."""
        named = _NAMED.match(self.text)
        return named[1] if named else None

    @property
    def lines(self) -> list[str]:
        """Each line, or what is continued in the next."""
        return [line for line in re.sub(r"\\\n +", "", self.text).splitlines() if line]


def blocks(name: str, language: str = r"") -> list[Block]:
    """All of a page, or those in a language."""
    text = (DOCS / name).read_text().replace("/path/to/rtosheap", str(ROOT))
    found, end = [], 0
    for match in _FENCED.finditer(text):
        between = text[end : match.start()].strip()
        text_of = re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
        found.append(Block(match[2], text_of, bool(found) and not between))
        end = match.end()
    return [block for block in found if language in ("", block.language)]


def shown(name: str) -> list[str]:
    """Every command line of a page."""
    return [line for block in blocks(name, "sh") for line in block.lines]


def written(folder: Path, block: Block) -> Path:
    """A block as the file that it is to be."""
    assert block.file is not None
    path = folder / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    return path
