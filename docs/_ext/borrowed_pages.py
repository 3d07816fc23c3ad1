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


def _borrowed(root: Path) -> dict[str, str]:
    """Each file that is a page, by its path in the project, and the page's in docs/."""
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    return {**_PAGES, **{f"notebooks/{path.name}": f"notebooks/{path.name}" for path in notebooks}}


def _copy(here: Path) -> None:
    """Copy what is not there, or another."""
    for name, borrowed in _borrowed(here.parent).items():
        source, page = here.parent / name, here / borrowed
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_bytes() != source.read_bytes():
            page.write_bytes(source.read_bytes())


def _lead(app: Any, name: str, text: list[str]) -> None:
    """Links from docs/ to a file lead to its page; those to the README to the first one."""
    pages = {**_borrowed(Path(app.srcdir).parent), "README.md": "index.md"}
    for source, page in pages.items():
        text[0] = re.sub(rf"\]\(\.\./{re.escape(source)}(?=[#)])", f"]({page}", text[0])


def setup(app: Any) -> dict[str, bool]:
    """Copy before Sphinx looks for pages."""
    _copy(Path(app.srcdir))
    app.connect("source-read", _lead)
    return {"parallel_read_safe": True}
