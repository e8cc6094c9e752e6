"""CoresetSampler: keep only the coreset, inside an imbalanced-learn Pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from scipy import sparse
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import InputTags, Tags, _safe_indexing, check_consistent_length

from .coreset_estimator import BaseCoresetEstimator

# The tags that imbalanced-learn adds to scikit-learn's, in a form that does not need it installed.


@dataclass(slots=True)
class SamplerInputTags(InputTags):
    """What X may be: scikit-learn's tags, and whether data frames are kept."""

    dataframe: bool = True


@dataclass(slots=True)
class SamplerTags:
    """What a sampler gives: whether it tells which rows it kept."""

    sample_indices: bool = True


@dataclass(slots=True)
class TagsWithSampler(Tags):
    """scikit-learn's tags, and those of a sampler."""

    sampler_tags: SamplerTags = field(default_factory=SamplerTags)


class CoresetSampler(OneToOneFeatureMixin, BaseCoresetEstimator):
    """Keep the coreset and drop all other rows, by imbalanced-learn's protocol.

    A step of :class:`imblearn.pipeline.Pipeline`: rows are dropped in `fit` only. The weights
    of the rows cannot travel along there; `CoresetClassifier` is the form that keeps them.

    Parameters
    ----------
    strategy : str or object with a method ``select``, default="facility-location"
        How rows are chosen; see `CoresetSelector`.
    coreset_size : float or int, default=0.5
        A fraction of each class, or the total number of rows; see `CoresetSelector`.
    stratify : bool, default=True
        Whether to choose within each class of y.
    metric : str, callable or object with a method ``pairwise(X, Y)``, default="euclidean"
        The distance between rows.
    n_jobs : int or None, default=None
        How many classes are worked on at once, in joblib threads.
    random_state : int, RandomState instance or None, default=None
        Seeds the strategies that draw at random.
    verbose : int, default=0
        0: silent. Others are passed on to :class:`joblib.Parallel`, which reports what is done.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_coreset,), dtype int64
        The kept rows, in the order in which they are returned.
    sample_weight_ : ndarray of shape (n_coreset,), dtype float64
        What each kept row stands for.
    assignment_ : ndarray of shape (n_samples,), dtype int64
        For every row the position of its medoid in `sample_indices_`.
    objective_ : float
        The sum of the distances from the rows to their medoids.
    n_features_in_ : int
        Number of features seen in `fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CoresetSampler
    >>> X, y = load_iris(return_X_y=True)
    >>> X_kept, y_kept = CoresetSampler("centrality", coreset_size=30).fit_resample(X, y)
    >>> X_kept.shape, y_kept.shape
    ((30, 4), (30,))
    """

    def fit(self, X: Any, y: Any) -> CoresetSampler:
        """Choose the rows, without dropping any.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : CoresetSampler

        Raises
        ------
        ValueError
            As `CoresetSelector.fit`.
        """
        if y is None:
            raise ValueError(
                "CoresetSampler requires y to be passed, but the target y is None: "
                "fit_resample has to return it."
            )
        self.choose_rows(X, y, None)
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = True
        tags.input_tags = SamplerInputTags(**_get_values(tags.input_tags))
        return TagsWithSampler(**_get_values(tags))

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Choose the rows, and return them alone.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        X_resampled : same type as X, of shape (n_coreset, n_features)
            In CSR format where rows of X cannot be indexed: BSR, COO, DIA.
        y_resampled : same type as y, of shape (n_coreset,)

        Raises
        ------
        ValueError
            As `CoresetSelector.fit`.
        """
        check_consistent_length(X, y)
        if sparse.issparse(X) and X.format in {"bsr", "coo", "dia"}:
            X = X.tocsr()
        self.fit(X, y)
        return _safe_indexing(X, self.sample_indices_), _safe_indexing(y, self.sample_indices_)


def _get_values(tags: Any) -> dict[str, Any]:
    return {tag.name: getattr(tags, tag.name) for tag in fields(tags)}
