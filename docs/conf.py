"""Sphinx configuration. `make docs` builds the site; every warning is an error."""

import logging
import re
from importlib.metadata import version as _version
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx_gallery.sorting import ExplicitOrder

from crust_sklearn import _doc_link

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
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = [
    "_build",
    "_templates",
    "user_guide/tables",
    "auto_examples/*.ipynb",
    "Thumbs.db",
    ".DS_Store",
]
templates_path = ["_templates"]
default_role = "code"

# A reference that leads nowhere is an error. Excepted are the names of others: links where their
# inventories can be had, plain text where not.
nitpicky = True
OTHERS = {
    "imblearn": "https://imbalanced-learn.org/stable",
    "matplotlib": "https://matplotlib.org/stable",
    "numpy": "https://numpy.org/doc/stable",
    "python": "https://docs.python.org/3",
    "scipy": "https://docs.scipy.org/doc/scipy",
    "skorch": "https://skorch.readthedocs.io/en/stable",
    "sklearn": "https://scikit-learn.org/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
}
nitpick_ignore_regex = [
    (r"py:.*", r"(accelerate|imblearn|joblib|matplotlib|numpy|scipy|skorch|sklearn|torch)\..*"),
    (r"py:.*", r"(collections|pandas|pathlib|typing)\..*"),
]
intersphinx_mapping = {name: (site, None) for name, site in OTHERS.items()}
intersphinx_timeout = 3

# API pages: one for each public object, with the members that the package itself defines and
# documents. What comes from scikit-learn, skorch and torch is documented there.
autosummary_generate = True
autodoc_inherit_docstrings = False
autodoc_typehints = "none"  # the docstrings say it
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
myst_heading_anchors = 2

bibtex_bibfiles = ["refs.bib"]
copybutton_exclude = ".linenos, .gp, .go"  # neither prompts nor output

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "within_subsection_order": ExplicitOrder(
        [
            "plot_quick_start.py",
            "plot_label_issues.py",
            "plot_label_review.py",
            "plot_grid_search.py",
            "plot_paper_reference_default.py",
            "plot_tabular.py",
            "plot_pipelines.py",
            "plot_callbacks.py",
            "plot_other_methods.py",
            "plot_own_module.py",
            "plot_own_method.py",
            "plot_own_strategy.py",
            "plot_strategies_2d.py",
            "plot_jacobian.py",
            "*",
        ]
    ),
    "doc_module": ("crust_sklearn",),
    "reference_url": {"crust_sklearn": None},
    "backreferences_dir": "generated/backreferences",
    "image_srcset": ["2x"],
    "thumbnail_size": (600, 420),
    "download_all_examples": False,
    "write_computation_times": False,  # its page loads scripts from elsewhere
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
}
# Diagrams of estimators in the gallery link to the pages beside it.
_doc_link.SITE = ".."

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {
    "logo": {"text": project},
    "header_links_before_dropdown": 4,
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["release"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Pages without pages beside them have nothing to navigate to.
html_sidebars = {
    page: [] for page in ("index", "coming_from", "bibliography", "contributing", "changelog")
}


def skip_generated(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn's metadata routing adds to an estimator."""
    if name.startswith("set_") and name.endswith("_request"):
        return True
    return None


def name_classes(app, what, name, obj, options, signature, returns):
    """Write a class that is a default by its name."""
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", signature or "") or signature, returns


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
    translator.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def without_network(record):
    """Let a build without network pass: it lacks the links to others' pages, nothing else."""
    return not str(record.msg).startswith("failed to reach any of the inventories")


def setup(app):
    logging.getLogger("sphinx.sphinx.ext.intersphinx").addFilter(without_network)
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_block_math, None))
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("autodoc-process-signature", name_classes)
    app.connect("autodoc-process-docstring", quote_fitted_names, priority=100)  # before numpydoc
