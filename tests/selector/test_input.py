"""What X, y, weights and options may be."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import (
    STRATEGIES,
    Centrality,
    FacilityLocation,
)

NAMES = sorted(STRATEGIES)
every_strategy = pytest.mark.parametrize("strategy", NAMES)


@every_strategy
def test_many_kinds_of_X(strategy, tmp_path):
    y = np.arange(30) % 3
    X = np.random.RandomState(0).randint(-3, 4, (30, 5)).astype(np.float64)
    expected = CoresetSelector(strategy, random_state=0).fit(X, y)
    stored = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flags.writeable = False
    kinds = [
        *(X.astype(dtype) for dtype in (np.float16, np.float32, np.int32, object)),
        np.asfortranarray(X),
        stored,
        X.tolist(),
        pd.DataFrame(X, columns=list("abcde"), index=np.arange(30) + 7),
        sparse.csr_array(X),
        sparse.csc_matrix(X),
        sparse.coo_array(X.astype(np.float32)),
    ]
    for kind in kinds:
        selector = CoresetSelector(strategy, random_state=0).fit(kind, y)
        assert selector.sample_indices_.tolist() == expected.sample_indices_.tolist()
        assert selector.assignment_.tolist() == expected.assignment_.tolist()
        np.testing.assert_allclose(
            selector.transform(kind), expected.transform(X), rtol=1e-5, atol=1e-3
        )
        components = selector.components_
        if sparse.issparse(kind):
            assert sparse.issparse(components)
            components = components.toarray()
        np.testing.assert_array_equal(components, expected.components_)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": np.ones((5, 2)), "y": np.ones(6)}, ValueError, "X has 5 rows, y has 6"),
        ({"X": [[np.nan]] * 5}, ValueError, "Input X contains NaN"),
        ({"X": [[np.inf]] * 5}, ValueError, "Input X contains infinity"),
        ({"sample_weight": np.ones(3)}, ValueError, r"sample_weight.shape == \(3,\), expected"),
        ({"sample_weight": np.full(6, np.nan)}, ValueError, "sample_weight contains NaN"),
        ({"sample_weight": np.zeros(6)}, ValueError, "sample_weight is zero for every row"),
        ({"sample_weight": np.full(6, 1e308)}, ValueError, "sample_weight is too large.*Divide"),
        ({"X": [["a", "1"]] * 6}, ValueError, "X holds text, first in column 0.*encode"),
        ({"X": pd.DataFrame({"n": range(6), "s": list("abcdef")})}, ValueError, "column 's'"),
        ({"y": np.linspace(0, 1, 6)}, ValueError, "continuous.*set stratify=False"),
        ({"y": [0, 1, 0, 1, 0, np.nan]}, ValueError, "NaN"),
    ],
)
def test_bad_data(arguments, error, message):
    arguments = {"X": np.arange(12.0).reshape(6, 2), "y": None} | arguments
    with pytest.raises(error, match=message):
        CoresetSelector().fit(**arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"coreset_size": 0}, ValueError, "coreset_size=0 is out of range.*fraction"),
        ({"coreset_size": -1}, ValueError, "coreset_size=-1 is out of range"),
        ({"coreset_size": 0.0}, ValueError, "coreset_size=0.0 is out of range"),
        ({"coreset_size": 1.5}, ValueError, "coreset_size=1.5 is out of range"),
        ({"coreset_size": np.nan}, ValueError, "coreset_size=nan is out of range"),
        ({"coreset_size": 7}, ValueError, "coreset_size=7 is more than the n_samples=6 rows"),
        ({"coreset_size": "half"}, TypeError, "coreset_size='half' is not a number"),
        ({"coreset_size": True}, TypeError, "coreset_size=True is not a number"),
        ({"strategy": "facilty-location"}, ValueError, "Did you mean 'facility-location'"),
        ({"strategy": Centrality}, TypeError, "is neither a name nor a strategy"),
        ({"strategy": FacilityLocation("lazi")}, ValueError, "Did you mean 'lazy'"),
        ({"metric": "euclidaen"}, ValueError, r"metric=.*Did you mean 'euclidean'\?"),
        ({"metric": None}, ValueError, "metric=None is not valid. Choose one of"),
    ],
)
def test_bad_options(options, error, message):
    selector = CoresetSelector(**options)
    with pytest.raises(error, match=message):
        selector.fit(np.arange(12.0).reshape(6, 2))
    assert not hasattr(selector, "sample_indices_")


def test_int_size_counts_the_rows_that_have_weight():
    with pytest.raises(ValueError, match="coreset_size=3 is more than the n_samples=2 rows"):
        CoresetSelector(coreset_size=3).fit(np.eye(4), sample_weight=[1, 0, 0, 1])
