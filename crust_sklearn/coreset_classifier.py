"""CoresetClassifier: fit any scikit-learn classifier on the weighted coreset."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    clone,
    is_classifier,
)
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    check_is_fitted,
    has_fit_parameter,
)

from ._doc_link import DocLinkMixin
from ._validation import check_rows
from .labels import check_labels
from .selector import CoresetSelector


def _estimator_has(name: str) -> Any:
    def check(self: CoresetClassifier) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


class CoresetClassifier(DocLinkMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Fit a classifier on the weighted coreset of its training data.

    The rows are chosen in the space of X itself, once, before the fit. This is the form that
    keeps the weights of the coreset in a plain scikit-learn Pipeline.

    Parameters
    ----------
    estimator : classifier
        Any classifier whose `fit` takes `sample_weight`. A clone of it is fitted.
    selector : CoresetSelector or None, default=None
        Chooses the rows. A clone of it is fitted. None: ``CoresetSelector()``.

    Attributes
    ----------
    estimator_ : classifier
        The fitted clone of `estimator`.
    selector_ : CoresetSelector
        The fitted clone of `selector`, with `sample_indices_` and `sample_weight_`.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had string names for all of them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from crust_sklearn import CoresetClassifier, CoresetSelector
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CoresetClassifier(
    ...     LogisticRegression(max_iter=500), CoresetSelector(coreset_size=30)
    ... )
    >>> bool(clf.fit(X, y).score(X, y) > 0.9)
    True
    """

    def __init__(self, estimator: Any, selector: CoresetSelector | None = None):
        self.estimator = estimator
        self.selector = selector

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CoresetClassifier:
        """Choose the coreset, and fit the classifier on it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in the selection and so in the fit.

        Returns
        -------
        self : CoresetClassifier

        Raises
        ------
        TypeError
            If the estimator is not a classifier, or the selector not a `CoresetSelector`.
        ValueError
            If the estimator does not take `sample_weight`, and as `CoresetSelector.fit`.
        """
        if not is_classifier(self.estimator):
            raise TypeError(
                f"estimator={self.estimator!r} is not a classifier. Give one whose fit takes "
                "sample_weight, such as LogisticRegression()."
            )
        if not has_fit_parameter(self.estimator, "sample_weight"):
            raise ValueError(
                f"estimator={self.estimator!r} does not take sample_weight, so it cannot be "
                "fitted on a weighted coreset. Choose one that does, or drop rows without "
                "weights by CoresetSampler in an imbalanced-learn Pipeline."
            )
        if not isinstance(self.selector, CoresetSelector | None):
            raise TypeError(
                f"selector={self.selector!r} is not a CoresetSelector. Give one, with the strategy "
                "as its first parameter: selector=CoresetSelector('centrality')."
            )
        selector = CoresetSelector() if self.selector is None else clone(self.selector)
        if y is not None:
            y = check_labels(y)
        X_checked, y = check_rows(self, X, y)
        self.selector_ = selector.fit(X, y, sample_weight=sample_weight)
        rows = self.selector_.sample_indices_
        self.estimator_ = clone(self.estimator).fit(
            _safe_indexing(X if hasattr(X, "iloc") else X_checked, rows),
            y[rows],
            sample_weight=self.selector_.sample_weight_,
        )
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        return self._call("predict", X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the predicted class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._call("predict_proba", X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision function of the fitted classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._call("decision_function", X)

    def _call(self, method: str, X: Any) -> np.ndarray:
        check_is_fitted(self)
        checked = check_rows(self, X, reset=False)
        return getattr(self.estimator_, method)(X if hasattr(X, "iloc") else checked)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        tags.classifier_tags.multi_class = get_tags(self.estimator).classifier_tags.multi_class
        return tags
