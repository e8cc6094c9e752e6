"""Distances to the chosen rows."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import (
    STRATEGIES,
    FacilityLocation,
)

NAMES = sorted(STRATEGIES)
every_strategy = pytest.mark.parametrize("strategy", NAMES)


class Chebyshev:
    def pairwise(self, X, Y):
        return np.abs(X[:, None] - Y).max(axis=2)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("euclidean", "euclidean"),
        ("manhattan", "cityblock"),
        ("cosine", "cosine"),
        (lambda a, b: np.abs(a - b).max(), "chebyshev"),
        (Chebyshev(), "chebyshev"),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_transform_is_the_distances(metric, reference, kind):
    rng = np.random.RandomState(0)
    X, new = rng.standard_normal((30, 3)), rng.standard_normal((7, 3))
    selector = CoresetSelector(coreset_size=4, metric=metric).fit(kind(X))
    expected = cdist(X, X, reference)
    transformed = selector.transform(kind(new))
    chosen = X[selector.sample_indices_]
    np.testing.assert_allclose(transformed, cdist(new, chosen, reference), atol=1e-6)
    np.testing.assert_allclose(
        selector.objective_, expected[:, selector.sample_indices_].min(axis=1).sum(), rtol=1e-5
    )


@every_strategy
def test_a_metric_that_is_negative_is_refused_by_every_strategy(strategy):
    X = np.random.RandomState(0).standard_normal((30, 3))
    selector = CoresetSelector(strategy, metric=lambda a, b: -np.abs(a - b).sum())
    with pytest.raises(ValueError, match="metric=.* gives negative distances"):
        selector.fit(X)


def test_metric_of_the_strategy_comes_first():
    X = np.random.RandomState(0).standard_normal((30, 3))
    own = CoresetSelector(FacilityLocation(metric="manhattan"), coreset_size=4).fit(X)
    given = CoresetSelector(FacilityLocation(), metric="manhattan", coreset_size=4).fit(X)
    assert own.sample_indices_.tolist() == given.sample_indices_.tolist()
    assert given.strategy.metric is None
    expected = cdist(X, X[given.sample_indices_], "cityblock").min(axis=1).sum()
    np.testing.assert_allclose([own.objective_, given.objective_], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_keeps_the_dtype(dtype):
    X = np.random.RandomState(0).standard_normal((30, 3)).astype(dtype)
    selector = CoresetSelector().fit(X)
    assert selector.components_.dtype == dtype
    assert selector.transform(X).dtype == dtype
    metric = CoresetSelector(metric=Chebyshev()).fit(X)
    assert metric.transform(X).dtype == dtype


def test_pandas_output_and_feature_names():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    selector = CoresetSelector(coreset_size=5).set_output(transform="pandas")
    out = selector.fit_transform(frame, y)
    names = [f"coresetselector{i}" for i in range(5)]
    assert selector.get_feature_names_out().tolist() == names
    assert out.columns.tolist() == names
    assert out.index.equals(frame.index)
    assert selector.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_allclose(out, cdist(frame, frame.iloc[selector.sample_indices_]), atol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        selector.transform(frame.rename(columns=str.upper))
