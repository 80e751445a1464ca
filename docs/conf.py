"""The site of `make docs`: this folder and the pages beside the code, and the public names.

The whole repository is the source, so that a link between two Markdown files is the same on the
site, in an editor and where the repository is browsed.
"""

import os
import re
from pathlib import Path

import lightning_ecinn

project = "lightning_ecinn"
author = "The lightning_ecinn authors"
copyright = author
version = release = lightning_ecinn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/**.md",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "experiments/**.md",
]
exclude_patterns = [".*", "README.md", "build", "runs", "data", "venv", "env"]

# Markdown as it is written for people: headings are targets, a link to a file that is no page
# (an experiment, a picture, a script) downloads it.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header", "toc.not_included"]

default_role = "code"  # `name` in a docstring is code
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"lightning_ecinn {version}"
html_extra_path = ["site"]  # index.html, which leads to docs/index.html
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app):
    """The front page is README.md, whose links are as seen from its own folder."""
    app.connect("source-read", _front_page)


def _front_page(app, name, source):
    if name == root_doc:
        readme = Path(app.srcdir, "README.md").read_text(encoding="utf-8")
        source[0] = re.sub(r"(?<=]\()(?!https?:)[^)]+", _from_here, readme) + source[0]


def _from_here(link):
    return os.path.relpath(link[0], "docs")
