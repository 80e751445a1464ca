"""The site of `make docs`: this folder and the pages beside the code, and the public names.

The whole repository is the source, so that a link between two Markdown files is the same on the
site, in an editor and where the repository is browsed.
"""

import os
import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

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
html_show_search_summary = False  # summaries are fetched, which browsers refuse of files
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app):
    """The front page is README.md, whose links are as seen from its own folder.

    Formulas are MathML, which browsers draw by themselves: MathJax would come from the network.
    """
    app.connect("source-read", _front_page)
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))


def _formula(translator, node):
    """A formula in its line, or one that stands alone, of one line or several aligned at &.

    Docutils reads 12 as a number where TeX reads 1 and 2, and sets an accented letter's index
    below the letter: braces say both. A command that it does not know ends the build.
    """
    text = re.sub(r"frac *(\w)(\w)", r"frac{\1}{\2}", node.astext())
    text = re.sub(r"(\\bar\\\w+)_", r"\1{}_", text)
    if isinstance(node, nodes.math):
        translator.body.append(tex2mathml(text))
    else:
        if r"\\" in text:
            text = rf"\begin{{aligned}}{text}\end{{aligned}}"
        drawn = tex2mathml(text).replace("<math ", '<math display="block" ', 1)
        translator.body.append(f'<div class="formula">{drawn}</div>')
    raise nodes.SkipNode


def _front_page(app, name, source):
    if name == root_doc:
        readme = Path(app.srcdir, "README.md").read_text(encoding="utf-8")
        source[0] = re.sub(r"(?<=]\()(?!https?:)[^)]+", _from_here, readme) + source[0]


def _from_here(link):
    return os.path.relpath(link[0], "docs")
