"""The reference of the command line: each command's help, as its parser prints it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_COLUMNS = "100"


def write(path: Path) -> None:
    """Write the page; one that would stay the same is left as it is."""
    from rtosheap.cli import _HELP, COMMANDS, _load, _parser

    os.environ["COLUMNS"] = _COLUMNS
    out = ["# The command line", "", "```text", _HELP.rstrip(), "```", ""]
    for name in COMMANDS:
        text = _parser.parser_of(name, _load(name)).format_help().rstrip()
        out += [f"## rtosheap {name}", "", "```text", text, "```", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(out)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    """Write it before Sphinx looks for pages."""
    write(Path(app.srcdir) / "reference" / "command-line.md")
    return {"parallel_read_safe": True}
