"""LabelAuditor: judge the labels of a data set by its features, without training a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, assert_all_finite, check_consistent_length, gen_batches
from sklearn.utils.validation import check_is_fitted

from ._doc_link import DocLinkMixin
from ._shards import Shards, find_shards
from ._validation import check_many_rows, check_rows, check_sample_weight
from .label_noise import LabelQuality, TrainingSummary, summarize
from .label_noise.held_out import PART_SIZE
from .labels import LabelCodec, check_labels, check_several_classes

__all__ = ["LabelAuditor"]


class LabelAuditor(DocLinkMixin, BaseEstimator):
    """Judge each label by what the other rows predict, from the features as they are.

    What :class:`CRUSTClassifier` does with the layers of a network at every selection is done once,
    with X: every row is predicted by a ridge regression of the labels that is fitted to all other
    rows, in closed form [1]_ [2]_; once to all labels, and once more without those that were not
    plausible [3]_. There is no network, no random number and no constant to set.
    :func:`find_label_issues` lists the labels that are probably wrong.

    The better a linear model of X tells the classes apart, the better the audit: give it the
    embeddings of a pretrained network, or features that are scaled, and where lines do not
    do, a map such as :class:`~sklearn.kernel_approximation.Nystroem` before it in a Pipeline.

    Parameters
    ----------
    verbose : int, default=0
        Whether to show a bar of the rows for each of the two fits, on the error stream.

    Attributes
    ----------
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability that each given label is right, by what the other rows say; below 0.5, it is
        probably wrong.
    suggested_labels_ : ndarray of shape (n_samples,)
        The most probable other label where the given one is probably wrong; else the given one.
    given_labels_ : ndarray of shape (n_samples,)
        The labels given to fit.
    noise_rate_ : float
        An estimate of the share of wrong labels, by weight.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had string names for all of them.

    See Also
    --------
    find_label_issues : The labels that are probably wrong, the worst first.
    CRUSTClassifier : Judges labels while it trains a network, by the network's features.

    Notes
    -----
    The features are centred, and not scaled: those of large variance count more, so that a
    :class:`~sklearn.preprocessing.StandardScaler` belongs before columns of different units. Of
    more than 512 features, 512 random projections are taken, always the same. Time grows with
    ``n_samples * n_features * (n_features + n_classes)``, and memory with
    ``n_samples + n_features * n_classes``: of more than 32 classes, each row keeps the 32 that it
    is best predicted as, its own among them, and what it has left is taken to be the same for the
    others.

    References
    ----------
    .. [1] Cook, Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
    .. [2] She, Owen, "Outlier Detection Using Nonconvex Penalized Regression", Journal of the
       American Statistical Association 106(494), 2011: leave-one-out residuals as mean shifts.
    .. [3] Wang, Sun, Fu, "Scalable Penalized Regression for Noise Detection in Learning with Noisy
       Labels", CVPR 2022: wrong labels as the mean shifts of a regression on features.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from crust_sklearn import LabelAuditor, find_label_issues
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[7, 120]] = [2, 0]
    >>> auditor = make_pipeline(StandardScaler(), LabelAuditor()).fit(X, y)
    >>> find_label_issues(auditor).loc[[7, 120], ["given_label", "suggested_label"]]
         given_label  suggested_label
    7              2                0
    120            0                2
    """

    def __init__(self, *, verbose: int = 0) -> None:
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LabelAuditor:
        """Judge the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or list of paths
            Dense and finite, of at least two rows. Floating-point numbers are taken as they are; a
            memory map, as of ``np.load(path, mmap_mode="r")``, is read part by part, some ten
            times, and never copied; so are the rows of ``.npy`` files, given as a list of their
            paths or maps, one after the other.
        y : array-like of shape (n_samples,)
            Class labels of any kind, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in the fits, and in `noise_rate_`; None counts every row once. Rows
            of weight zero are judged all the same.

        Returns
        -------
        self : LabelAuditor

        Raises
        ------
        ValueError
            If X is sparse, holds text, NaN or infinity, or has fewer than two rows; if y holds
            numbers that are no classes, missing labels, or, among the rows that count, one class
            only; if `sample_weight` is negative somewhere, not finite, or zero for all rows; if
            the three differ in length.
        """
        if sparse.issparse(X):
            raise ValueError(
                "X is sparse, and LabelAuditor needs dense rows: reduce it first, as by "
                "TruncatedSVD(100) in a Pipeline, or give X.toarray() if it is small."
            )
        if y is not None:
            y = check_labels(y)
        X = X.detach() if hasattr(X, "detach") else X
        X = self._check_files(X, y) if isinstance(X, list | tuple) else X
        if not isinstance(X, Shards):
            X, y = self._check_array(X, y)
        weights = check_sample_weight(sample_weight, len(X))
        check_several_classes(np.unique(y if weights is None else y[weights > 0]))
        codec = LabelCodec(np.unique(y))
        codes = codec.encode(y)
        start = LabelQuality.start(codes, len(codec.classes), weights)
        quality = start.update(X, self.verbose)
        self.classes_ = codec.classes
        self.given_labels_ = codec.decode(codes)
        self.label_quality_ = quality.scores
        self.suggested_labels_ = codec.decode(quality.suggested)
        self.noise_rate_ = quality.noise_rate
        return self

    def _check_files(self, X: Any, y: Any) -> Any:
        """Return the rows of files, checked; X as it is, where it is no list of files."""
        if find_shards(X) is None:
            return X
        shards = check_many_rows(self, X)
        check_consistent_length(shards, y)
        return shards

    def _check_array(self, X: Any, y: Any) -> tuple[Any, Any]:
        # In parts, as scikit-learn takes as much memory for half precision as for a mask of X.
        dtypes = np.float64, np.float32, np.float16
        X, y = check_rows(self, X, y, ensure_min_samples=2, dtype=dtypes, ensure_all_finite=False)
        for part in gen_batches(len(X), max(1, PART_SIZE // X.shape[1])):
            assert_all_finite(X[part], estimator_name=type(self).__name__, input_name="X")
        return X, y

    def get_summary(self) -> TrainingSummary:
        """Return what was found: the share of wrong labels, which are taken for which.

        The rows that are kept are those that :func:`find_label_issues` does not list.

        Returns
        -------
        summary : TrainingSummary
            ``print`` it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called.
        """
        check_is_fitted(self)
        return summarize(
            self.given_labels_,
            self.suggested_labels_,
            self.label_quality_ >= 0.5,
            self.classes_,
            self.noise_rate_,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
