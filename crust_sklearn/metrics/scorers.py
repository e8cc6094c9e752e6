"""Scorers for ``scoring=``, which know the classes of the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from .._validation import check_choice
from ..labels import check_classes, check_rows, unite_labels
from .corrected_accuracy import check_transition_matrix, corrected_accuracy_score
from .mutual_information import determinant_mutual_information
from .trusted_accuracy import trusted_accuracy_score


def make_corrected_accuracy_scorer(transition_matrix: Any, *, labels: Any = None) -> Any:
    """Make a scorer of :func:`corrected_accuracy_score`.

    Parameters
    ----------
    transition_matrix : array-like of shape (n_classes, n_classes)
        ``T[i, j]``, the probability that a row of class i is given the label j. If unknown,
        estimate it once for all models to be compared, as below: an estimate from the
        probabilities of the model that is scored would flatter the bad ones (see the notes of
        :func:`estimate_transition_matrix`).
    labels : array-like of shape (n_classes,), default=None
        The classes in the order of the rows of T. None: the estimator's ``classes_`` and those
        that occur, in sorted order.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, for ``scoring=``. Its method
        ``set_score_request(sample_weight=True)`` returns a scorer that takes weights by metadata
        routing.

    Raises
    ------
    ValueError
        If T is not square, no stochastic matrix or nearly singular, or if `labels` holds a label
        twice or another number of labels than T has rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV, cross_val_predict
    >>> from crust_sklearn.metrics import (
    ...     make_corrected_accuracy_scorer,
    ...     estimate_transition_matrix,
    ... )
    >>> from crust_sklearn.label_noise import make_label_noise
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = make_label_noise(
    ...     y, "asymmetric", 0.3, transition={0: 2}, random_state=0
    ... ).y
    >>> model = LogisticRegression(max_iter=1000)
    >>> proba = cross_val_predict(model, X, y_noisy, method="predict_proba")
    >>> scorer = make_corrected_accuracy_scorer(estimate_transition_matrix(y_noisy, proba))
    >>> search = GridSearchCV(model, {"C": [0.001, 1.0]}, scoring=scorer).fit(X, y_noisy)
    >>> search.best_params_
    {'C': 1.0}
    """
    # Here, too: in a search, an error in the scorer is only a warning and a score of NaN.
    matrix = check_transition_matrix(transition_matrix)
    if labels is not None and len(check_classes(labels, {})) != len(matrix):
        raise ValueError(
            f"labels has {len(labels)} entries, expected {len(matrix)}: one for each row of "
            "transition_matrix."
        )
    return _Scorer(corrected_accuracy_score, {"transition_matrix": matrix, "labels": labels})


@dataclass(frozen=True, eq=False, repr=False)
class _Scorer:
    """A score of labels and predicted labels as a scorer that knows the estimator's classes.

    scikit-learn's ``make_scorer`` does not show the estimator to the score, which then cannot
    tell a class that is absent from a fold from one that does not exist.
    """

    score_func: Callable[..., float]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    requests: Mapping[str, Any] = field(default_factory=dict)
    doc: str | None = None

    def __post_init__(self) -> None:
        if self.doc:  # for help() and the documentation
            object.__setattr__(self, "__doc__", self.doc)

    def __call__(self, estimator: Any, X: Any, y_true: Any, **metadata: Any) -> float:
        for name in self.required:
            if metadata.get(name) is None:
                raise ValueError(
                    f"{name} did not reach the scorer. Switch on metadata routing, "
                    "sklearn.set_config(enable_metadata_routing=True), and pass it on: "
                    f"GridSearchCV(...).fit(X, y, {name}={name}) or "
                    f"cross_val_score(..., params={{'{name}': {name}}})."
                )
        y_pred = estimator.predict(X)
        kwargs = {**self.kwargs, **metadata}
        if "labels" in kwargs and kwargs["labels"] is None:
            kwargs["labels"] = _all_classes(estimator, y_true, y_pred)
        return self.score_func(y_true, y_pred, **kwargs)

    def __repr__(self) -> str:
        return f"<scorer of {self.score_func.__name__}>"

    def set_score_request(self, **requests: bool | str | None) -> _Scorer:
        """Return a scorer that requests metadata; this one, which others may use, is unchanged.

        Parameters
        ----------
        **requests : bool, str or None
            ``sample_weight=True``; a string is the name under which the metadata is passed.
        """
        for name in requests:
            check_choice("set_score_request", name, ("sample_weight", *self.required))
        changed = replace(self, requests={**self.requests, **requests})
        changed.get_metadata_routing()
        return changed

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what scikit-learn's metadata routing asks a scorer for."""
        request = MetadataRequest(owner=self)
        for name, alias in self.requests.items():
            request.score.add_request(param=name, alias=alias)
        return request


dmi_scorer = _Scorer(
    determinant_mutual_information,
    {"normalize": True, "floor": 1.0, "labels": None},
    doc="""Scorer of :func:`determinant_mutual_information`, normalized, with a floor of one row.

    It is finite, and graded where a class is never predicted or absent from a fold.
    """,
)

trusted_accuracy_scorer = _Scorer(
    trusted_accuracy_score,
    required=("trusted",),
    requests={"trusted": True},
    doc="""Scorer of :func:`trusted_accuracy_score`, which takes `trusted` by metadata routing.

    ``GridSearchCV(..., scoring=trusted_accuracy_scorer).fit(X, y, trusted=mask)`` after
    ``sklearn.set_config(enable_metadata_routing=True)``.
    """,
)


def _all_classes(estimator: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the classes that the estimator knows and those that occur, in sorted order."""
    seen = [check_rows("y_true", y_true), check_rows("y_pred", y_pred)]
    return unite_labels(np.asarray(getattr(estimator, "classes_", seen[1])), *seen)
