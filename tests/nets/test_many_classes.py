"""Very many classes: training keeps no rows x classes, and selects by what it keeps."""

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn._shards import Rows
from crust_sklearn.baselines import DecouplingClassifier, SmallLossClassifier
from crust_sklearn.gradients import OuterProductDistance
from crust_sklearn.modules import MLP
from crust_sklearn.nets import largest_entries
from crust_sklearn.nets.row_outputs import compute_row_outputs
from crust_sklearn.strategies import distances, groups

N, C, D = 400, 200, 8
RNG = np.random.default_rng(0)
TRUE = np.arange(N) % C
X = (2 * RNG.standard_normal((C, D))[TRUE] + RNG.standard_normal((N, D))).astype(np.float32)
Y = np.where(RNG.random(N) < 0.2, RNG.integers(C, size=N), TRUE)
Y[:C] = np.arange(C)  # each class is there


class Squared(nn.Module):
    """The squared error of the outputs, from one-hot labels: a criterion of one's own."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, output, y):
        losses = (output - nn.functional.one_hot(y, output.shape[1])).square().mean(dim=1)
        return losses if self.reduction == "none" else losses.mean()


class Largest(TorchDispatchMode):
    """Notes the tensors of most numbers that torch makes."""

    def __init__(self):
        super().__init__()
        self.n_numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **kwargs or {})
        sizes = [leaf.numel() for leaf in tree_leaves(found) if torch.is_tensor(leaf)]
        self.n_numbers = max(self.n_numbers, *sizes, 0)
        return found


def make(cls=CRUSTClassifier, **params):
    """Return a net that selects once, before its last epoch."""
    params = {"max_epochs": 2, "batch_size": 40, "random_state": 0, "verbose": 0} | params
    return cls(MLP, warmup_epochs=1, module__hidden_sizes=(16,), **params)


@pytest.fixture
def frugal(monkeypatch):
    """As many rows of as many classes were, without the time that they take."""
    monkeypatch.setattr(largest_entries, "MAX_GRADIENTS", N * C - 1)
    monkeypatch.setattr(groups, "MAX_DENSE", N * C - 1)


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (CRUSTClassifier, {}),
        (CRUSTClassifier, {"gradient": "logits"}),
        (CRUSTClassifier, {"gradient": "last-layer", "coreset_size": 0.5}),
        (CRUSTClassifier, {"gradient": "logits", "coreset_size": 0.5, "group_by": None}),
        (CRUSTClassifier, {"criterion": Squared}),
        (CRUSTClassifier, {"criterion": Squared, "gradient": "logits", "coreset_size": 0.5}),
        (
            CRUSTClassifier,
            {"criterion": nn.MultiMarginLoss, "gradient": "last-layer", "coreset_size": 0.5},
        ),
        (SmallLossClassifier, {"noise_rate": 0.2}),
        (DecouplingClassifier, {}),
    ],
    ids=str,
)
def test_nothing_of_rows_by_classes_is_made(cls, params, frugal, monkeypatch):
    seen, toarray = [], sparse.csr_array.toarray
    monkeypatch.setattr(
        sparse.csr_array, "toarray", lambda rows: seen.append(rows.shape) or toarray(rows)
    )
    if params.get("coreset_size"):
        params = params | {"selector": "facility-location"}
    with Largest() as largest:
        net = make(cls, **params).fit(X, Y)
    assert 0 < len(net.coreset_indices_) < N
    assert largest.n_numbers < N * C / 2
    assert all(n_rows < N / 2 for n_rows, n_columns in seen if n_columns >= C and n_columns != N)
    if hasattr(net, "label_quality_"):
        assert np.isfinite(net.label_quality_).all()


@pytest.mark.parametrize("gradient", ["logits", "last-layer"])
def test_the_largest_gradients_are_kept(gradient, frugal):
    net, dataset = make(max_epochs=0).fit(X, Y), Dataset(X, Y)
    whole, cut = (
        compute_row_outputs(net, dataset, gradient=gradient, for_selection=for_selection)
        for for_selection in (False, True)
    )
    assert isinstance(whole.gradients, np.ndarray)
    assert sparse.issparse(cut.gradients)
    left, features = np.split(cut.gradients.toarray(), [C], axis=1)
    wanted, wanted_features = np.split(whole.gradients, [C], axis=1)
    np.testing.assert_array_equal(features, wanted_features)
    assert (np.count_nonzero(left, axis=1) == 32).all()
    np.testing.assert_array_equal(left[left != 0], wanted[left != 0])
    least = np.sort(np.abs(wanted), axis=1)[:, -32]
    assert (np.abs(wanted)[left == 0] <= np.repeat(least, C - 32)).all()
    assert (cut.metric is None) == (gradient == "logits")


@pytest.mark.parametrize("n_numbers", [N * C, N * C - 1])
def test_gradients_are_whole_up_to_a_quarter_of_a_gigabyte(n_numbers, monkeypatch):
    assert largest_entries.MAX_GRADIENTS * 4 == 2**28
    monkeypatch.setattr(largest_entries, "MAX_GRADIENTS", n_numbers)
    net = make(max_epochs=0).fit(X, Y)
    found = compute_row_outputs(net, Dataset(X, Y), gradient="logits", for_selection=True)
    assert sparse.issparse(found.gradients) == (n_numbers < N * C)


def test_up_to_32_classes_gradients_are_whole(monkeypatch):
    monkeypatch.setattr(largest_entries, "MAX_GRADIENTS", 0)
    net = make(max_epochs=0).fit(X, Y % 32)
    found = compute_row_outputs(net, Dataset(X, Y % 32), gradient="logits", for_selection=True)
    assert found.gradients.shape == (N, 32)
    assert isinstance(found.gradients, np.ndarray)


# -- distances of sparse rows -----------------------------------------------------------------

DENSE = np.where(RNG.random((120, 50)) < 0.1, RNG.standard_normal((120, 50)), 0.0)
DENSE[60] = DENSE[3]


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_sparse_distances_are_those_of_dense_rows(scale):
    rows = Rows(sparse.csr_array(scale * DENSE), np.arange(5, 115))
    expected = np.linalg.norm(DENSE[5:115, None] - DENSE[None, 5:115], axis=2)
    found, unit = distances.distance_matrix(rows)
    np.testing.assert_allclose(found * (unit / scale), expected, rtol=1e-5, atol=1e-6)
    chosen = np.array([7, 90, 31])
    nearest, distance = distances.nearest_rows(rows, chosen)
    np.testing.assert_array_equal(nearest, expected[:, chosen].argmin(axis=1))
    np.testing.assert_allclose(distance / scale, expected[:, chosen].min(axis=1), atol=1e-7)


def test_equal_sparse_rows_are_exactly_zero_apart():
    found, _ = distances.distance_matrix(Rows(sparse.csr_array(DENSE), np.arange(120)))
    assert found[3, 60] == found[60, 3] == 0.0
    assert (found[3, np.delete(np.arange(120), [3, 60])] > 0).all()


@pytest.mark.parametrize("strategy", ["facility-location", "k-medoids", "centrality"])
@pytest.mark.parametrize("size", [4, 60])
@pytest.mark.parametrize("limit", [1000, 50])
def test_large_sparse_groups_are_chosen_from_as_dense_ones_are(strategy, size, limit, monkeypatch):
    """Also in parts, and by a second choice among these."""
    most = "crust_sklearn.strategies.BaseDistanceStrategy.get_max_rows"
    monkeypatch.setattr(most, lambda strategy: limit)
    rows, found = sparse.csr_array(DENSE), []
    for limit_of_dense in (np.inf, 0):
        monkeypatch.setattr(groups, "MAX_DENSE", limit_of_dense)
        selector = CoresetSelector(strategy, coreset_size=size, random_state=0)
        found.append(selector.fit_groups(rows, None))
    dense, kept = found
    np.testing.assert_array_equal(kept.sample_indices_, dense.sample_indices_)
    np.testing.assert_array_equal(kept.assignment_, dense.assignment_)
    assert kept.objective_ == pytest.approx(dense.objective_, rel=1e-5)


def test_only_euclidean_distances_are_of_sparse_rows(monkeypatch):
    monkeypatch.setattr(groups, "MAX_DENSE", 0)
    for metric in ("manhattan", OuterProductDistance(20)):
        fitted = [
            CoresetSelector(coreset_size=9, metric=metric).fit_groups(rows, None)
            for rows in (DENSE, sparse.csr_array(DENSE))
        ]
        np.testing.assert_array_equal(fitted[0].sample_indices_, fitted[1].sample_indices_)
