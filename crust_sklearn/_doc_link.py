"""Links from the HTML representation of an estimator to its page of this documentation."""

from __future__ import annotations

import sys
from pathlib import Path

# Where the site is published, without a slash at the end. Empty as long as it is not: the links
# then lead to the pages that `make docs` built in this checkout, where there are any.
SITE = ""
BUILT = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"


class DocLinkMixin:
    """Let scikit-learn link an estimator of this package, and its parameters, to its page."""

    _doc_link_module = "crust_sklearn"

    @property
    def _doc_link_template(self) -> str:
        site = SITE or (BUILT.as_uri() if BUILT.is_dir() else "")
        root, name = sys.modules[__package__], type(self).__name__
        # Documented under the root if it is public there, else under the package of its file.
        is_public = getattr(root, name, None) is type(self)
        home = root.__name__ if is_public else type(self).__module__.rpartition(".")[0]
        return site and f"{site}/generated/{home}.{name}.html"
