"""Sphinx configuration. `make docs` builds the site; every warning is an error."""

import re
from importlib.metadata import version as _version
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = "crust_sklearn"
author = "the crust-sklearn developers"
copyright = f"2026, {author}"
release = _version("crust-sklearn")
version = release

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "_templates", "Thumbs.db", ".DS_Store"]
templates_path = ["_templates"]
default_role = "code"

# API pages: one for each public object, with the members that the package itself defines and
# documents. What comes from scikit-learn, skorch and torch is documented there.
autosummary_generate = True
autodoc_inherit_docstrings = False
autodoc_typehints = "none"  # the docstrings say it
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
myst_heading_anchors = 2

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
}
html_sidebars = {page: [] for page in ("method", "contributing", "changelog")}


def skip_generated(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn's metadata routing adds to an estimator."""
    if name.startswith("set_") and name.endswith("_request"):
        return True
    return None


def quote_fitted_names(app, what, name, obj, options, lines):
    """Keep a fitted attribute in a type, as in "(n_features_in_,)", from being a reference."""
    for i, line in enumerate(lines):
        head, colon, kind = line.partition(" : ")
        if colon:
            lines[i] = head + colon + re.sub(r"(?<![\w`])(\w+_)(?![\w`])", r"`\1`", kind)


def visit_inline_math(translator, node):
    """Write formulas as MathML: browsers show it without a script from elsewhere."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_block_math(translator, node):
    formula = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<div style="margin: 1rem 0; overflow: auto hidden">{formula}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_block_math, None))
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("autodoc-process-docstring", quote_fitted_names, priority=100)  # before numpydoc
