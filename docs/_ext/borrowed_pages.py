"""Pages that lie elsewhere in the project: the notebooks, and the C sources' README.

They are copied beside the others, so that notebooks are executed in the build; and links to files
lead to the pages that these have become.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PAGES = {
    "csrc/README.md": "reference/firmware.md",
    "tests/README.md": "reference/tests.md",
    "CHANGELOG.md": "reference/changelog.md",
    "CONTRIBUTING.md": "reference/contributing.md",
    "SECURITY.md": "reference/security.md",
}
#: Links as they stand in a document of docs/, and where they lead in the site.
_LINKS = {
    "](../csrc/README.md": "](reference/firmware.md",
    "](../tests/README.md": "](reference/tests.md",
    "](../README.md)": "](index.md)",
}


def _copy(here: Path, root: Path) -> None:
    """Copy what is not there, or another."""
    pages = {root / source: here / page for source, page in _PAGES.items()}
    for notebook in sorted((root / "notebooks").glob("*.ipynb")):
        pages[notebook] = here / "notebooks" / notebook.name
    for source, page in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_bytes() != source.read_bytes():
            page.write_bytes(source.read_bytes())


def _lead(app: Any, name: str, text: list[str]) -> None:
    for link, page in _LINKS.items():
        text[0] = text[0].replace(link, page)
    text[0] = re.sub(r"\]\(\.\./(notebooks/\w+\.ipynb)", r"](\1", text[0])


def setup(app: Any) -> dict[str, bool]:
    """Copy before Sphinx looks for pages."""
    here = Path(app.srcdir)
    _copy(here, here.parent)
    app.connect("source-read", _lead)
    return {"parallel_read_safe": True}
