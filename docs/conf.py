"""How the site is built: ``sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path

import rtosheap

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "rtosheap"
author = "The rtosheap authors"
copyright = f"2026, {author}"
release = version = rtosheap.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "c_headers",  # _ext: what the headers of csrc/ declare, and say of it
    "command_line",  # _ext: the commands' help, from their parsers
    "borrowed_pages",  # _ext: notebooks/ and other files as pages
    "public_names",  # _ext: a page for each of the packages
]
exclude_patterns = ["_build", "_ext", "jupyter_execute", ".jupyter_cache"]
nitpicky = False

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = -1
nb_merge_streams = True

numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False

# Beside each page furo has all others, by tutorial, how-to, reference and explanation; of these
# pydata-sphinx-theme shows the pages in a row at the top, and the site takes twice the bytes.
html_theme = "furo"
html_title = f"rtosheap {release}"
html_static_path: list[str] = []
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
