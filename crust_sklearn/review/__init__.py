"""A person's look at the labels that are probably wrong: written out, decided, and read back."""

from .apply_review import ReviewedLabels, apply_review
from .export_csv import export_review_csv
from .export_html import export_review_html

__all__ = ["ReviewedLabels", "apply_review", "export_review_csv", "export_review_html"]
