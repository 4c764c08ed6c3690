"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project, author = "neuronull", "the authors of neuronull"
copyright = author
release = version = version_of("neuronull")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "anchors",
    "commands",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "README.md"]

html_theme = "pydata_sphinx_theme"
html_title = "neuronull"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False
html_sidebars = {"**": []}  # few pages: the header names them all

# notebooks are run by a test, which compares what they print; here they are shown as they were stored
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "html_image", "colon_fence"]
myst_heading_anchors = 4

autosummary_generate = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
