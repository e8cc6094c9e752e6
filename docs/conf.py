"""Sphinx configuration. `make docs` builds the site; every warning is an error."""

import inspect
import logging
import os
import re
from importlib.metadata import version as _version
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.ext import autosummary
from sphinx_gallery.sorting import ExplicitOrder

import crust_sklearn
from crust_sklearn import NoisyLabelClassifier, _doc_link, baselines
from crust_sklearn.nets import two_networks

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

# A summary is the whole first sentence: these end none.
autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Eqs.", "Sec.", "Alg.", "Fig.")

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

# What users of a net call. What else it has is for its subclasses, and for skorch to call.
CALLED = (
    *("fit", "partial_fit", "predict", "count_steps", "get_summary"),
    *("save_params", "load_params", "trim_for_prediction"),
)


def split_members(cls, is_whole):
    """Return what users of a net class call, and its own steps and hooks."""
    own = {n: m for n, m in sorted(vars(cls).items()) if not n.startswith("_") and m.__doc__}
    return {
        "called": [n for n in CALLED if hasattr(cls, n) and (is_whole or n in own)],
        "attributes": [n for n, member in own.items() if isinstance(member, property)],
        "hooks": [
            name
            for name, member in own.items()
            if inspect.isfunction(member) and name not in CALLED and not name.startswith("set_")
        ],
    }


# What the methods inherit stands on the pages of the package's first classes.
autosummary_context = {
    "nets": {
        f"{module.__name__}.{name}": split_members(cls, is_whole=module is crust_sklearn)
        for module in (crust_sklearn, baselines, two_networks)
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, NoisyLabelClassifier)
    }
}

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
            "plot_tabular.py",
            "plot_text.py",
            "plot_image_folder.py",
            "plot_embeddings.py",
            "plot_from_skorch.py",
            "plot_from_cleanlab.py",
            "plot_many_processes.py",
            "plot_label_issues.py",
            "plot_grid_search.py",
            "plot_paper_reference_default.py",
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
html_short_summary = (
    "Trains torch classifiers on wrong labels, the scikit-learn way, and finds the wrong labels."
)
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {
    "logo": {"text": project},
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["release"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Where the site is published, with a folder for each version: publish.py writes the list of these.
if SITE := os.environ.get("DOCS_SITE"):
    html_baseurl = f"{SITE.rstrip('/')}/{release}/"
    html_theme_options |= {
        "switcher": {"json_url": f"{SITE.rstrip('/')}/switcher.json", "version_match": release},
        "check_switcher": False,  # it is written when this version is published
        "navbar_start": ["navbar-logo", "version-switcher"],
        "show_version_warning_banner": True,
    }
# Pages without pages beside them have nothing to navigate to.
html_sidebars = {
    page: []
    for page in (
        *("index", "getting_started", "faq"),
        *("coming_from", "bibliography", "contributing", "deprecation", "changelog"),
    )
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


def write_llms(app, exception):
    """Write a short map of the site, a line for each page, for those who read it by a program."""
    if exception or app.builder.name != "html":
        return
    lines = [f"# {project} {release}", "", app.config.html_short_summary, ""]
    first_pages = ("index", "getting_started", "faq")
    order = {name: number for number, name in enumerate(first_pages, -len(first_pages))}
    for name in sorted(app.env.found_docs, key=lambda n: (order.get(n, 0), n.count("/"), n)):
        if name.startswith(("auto_examples/sg_", "user_guide/tables")):
            continue
        page = app.env.get_doctree(name)
        title = app.env.titles[name].astext()
        texts = (p for p in page.findall(nodes.paragraph) if isinstance(p.parent, nodes.section))
        first = next((text.astext() for text in texts), "")
        sentence = re.split(r"(?<=[.?]) ", " ".join(first.split()))[0].rstrip(":")
        lines.append(f"- [{title}]({name}.html): {sentence}")
    Path(app.outdir, "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def without_network(record):
    """Let a build without network pass: it lacks the links to others' pages, nothing else."""
    return not str(record.msg).startswith("failed to reach any of the inventories")


def setup(app):
    app.add_config_value("html_short_summary", "", "html")
    logging.getLogger("sphinx.sphinx.ext.intersphinx").addFilter(without_network)
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_block_math, None))
    app.connect("build-finished", write_llms)
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("autodoc-process-signature", name_classes)
    app.connect("autodoc-process-docstring", quote_fitted_names, priority=100)  # before numpydoc
