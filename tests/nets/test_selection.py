"""select_rows: arrays in, a frozen selection out."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from skorch.dataset import Dataset
from torch.utils.data import Subset, default_collate

from crust_sklearn import CoresetSelector
from crust_sklearn.gradients import OuterProductDistance
from crust_sklearn.label_noise import LabelQuality
from crust_sklearn.nets.row_outputs import RowOutputs
from crust_sklearn.nets.selection import (
    has_smallest_norm,
    make_mixing,
    report,
    select_rows,
)
from crust_sklearn.nets.training import Training

N, C = 40, 3
RNG = np.random.RandomState(0)
CODES = np.arange(N) % C
PREDICTED = RNG.randint(C, size=N)
FEATURES = (3 * np.eye(C)[CODES] + RNG.standard_normal((N, C))).astype(np.float32)
GRADIENTS = RNG.standard_normal((N, 5)).astype(np.float32)
QUALITY = LabelQuality.start(CODES, C).update(FEATURES)
GROUPS = {"label": CODES, "prediction": PREDICTED, None: np.zeros(N, int)}
every_group_by = pytest.mark.parametrize("group_by", GROUPS)


def select(strategy="smallest-norm", *, size=1.0, weights=None, quality=QUALITY, **options):
    options = {"group_by": "label", "coreset_weight": "uniform", "has_auto_size": True} | options
    gradients, metric = options.pop("gradients", None), options.pop("metric", None)
    return select_rows(
        CoresetSelector(strategy, coreset_size=size, random_state=options.pop("seed", 0)),
        RowOutputs(PREDICTED, FEATURES, gradients, metric),
        CODES,
        weights,
        quality,
        **options,
    )


# S2
@every_group_by
@given(is_trusted=hnp.arrays(bool, N).filter(any), has_weights=st.booleans())
@settings(max_examples=40)
def test_auto_size_and_smallest_residuals_choose_the_trusted_rows_themselves(
    group_by, is_trusted, has_weights
):
    weights = np.where(np.arange(N) % 5, np.linspace(0.5, 1.5, N), 0.0) if has_weights else None
    counts = is_trusted if weights is None else is_trusted & (weights > 0)
    if not counts.any():
        return
    quality = replace(QUALITY, is_trusted=is_trusted)
    selection = select(group_by=group_by, quality=quality, weights=weights)
    assert selection.positions.tolist() == np.flatnonzero(counts).tolist()


@every_group_by
@pytest.mark.parametrize("has_weights", [True, False])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_rows_that_are_kept_are_what_a_selection_in_each_group_chooses(
    group_by, has_weights, convert
):
    groups = None if group_by is None else GROUPS[group_by]
    weights = np.where(np.arange(N) % 3, 1.0, 0.0) * (RNG.rand(N) + 0.5 if has_weights else 1.0)
    selector, expected = (CoresetSelector("smallest-norm", coreset_size=1.0) for _ in range(2))
    selector.keep_groups(convert(GRADIENTS), groups, weights)
    expected.fit_groups(GRADIENTS, groups, weights)
    assert vars(selector).keys() == vars(expected).keys()
    for name in ("sample_indices_", "sample_weight_", "assignment_"):
        np.testing.assert_array_equal(getattr(selector, name), getattr(expected, name))
    components = selector.components_
    components = components if convert is np.asarray else components.toarray()
    np.testing.assert_array_equal(components, expected.components_)
    assert (selector.objective_, selector.n_features_in_) == (expected.objective_, 5)


@pytest.mark.parametrize("strategy", ["smallest-norm", "facility-location", "uniform"])
def test_rows_of_many_classes_are_chosen_by_sparse_residuals(strategy):
    codes = np.arange(120) % 60
    features = np.random.default_rng(0).standard_normal((120, 8)) + 3 * np.eye(60, 8)[codes]
    quality = LabelQuality.start(codes, 60).update(features)
    assert sparse.issparse(quality.residuals)
    found = select_rows(
        CoresetSelector(strategy, coreset_size=0.5, random_state=0),
        RowOutputs(codes, features),
        codes,
        None,
        quality,
        group_by="label",
        coreset_weight="uniform",
        has_auto_size=False,
    )
    # One of the two of each class.
    assert np.bincount(codes[found.positions], minlength=60).tolist() == [1] * 60


@every_group_by
@pytest.mark.parametrize(
    ("strategy", "gradients"),
    [("facility-location", None), ("uniform", GRADIENTS), ("smallest-norm", GRADIENTS)],
)
def test_auto_size_is_the_number_of_trusted_rows_of_each_group(group_by, strategy, gradients):
    is_trusted = (np.arange(N) < 17) & (PREDICTED != 2)
    quality = replace(QUALITY, is_trusted=is_trusted)
    selection = select(strategy, group_by=group_by, quality=quality, gradients=gradients)
    groups = GROUPS[group_by]
    trusted = np.bincount(groups[is_trusted], minlength=C)
    found = np.bincount(groups[selection.positions], minlength=C)
    # A group with no trusted row is given one.
    expected = np.where(np.bincount(groups, minlength=C), np.maximum(trusted, 1), 0)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("quality", [None, QUALITY])
@pytest.mark.parametrize(("size", "expected"), [(0.5, [7, 7, 7]), (6, [2, 2, 2])])
def test_size_of_the_selector_counts_where_it_is_not_automatic(size, expected, quality):
    selection = select(
        "facility-location", size=size, has_auto_size=False, quality=quality, gradients=GRADIENTS
    )
    assert np.bincount(CODES[selection.positions]).tolist() == expected


def test_rows_of_smallest_gradient_are_chosen_of_each_group():
    selection = select(size=6, has_auto_size=False, quality=None, gradients=GRADIENTS)
    norms = np.linalg.norm(GRADIENTS, axis=1)
    expected = []
    for code in range(C):
        rows = np.flatnonzero(code == CODES)
        expected += rows[norms[rows].argsort()[:2]].tolist()
    assert selection.positions.tolist() == sorted(expected)


def test_without_gradients_rows_are_compared_by_their_residuals():
    options = {"size": 0.3, "has_auto_size": False}
    found = select("facility-location", **options)
    same = select("facility-location", **options, gradients=QUALITY.residuals)
    assert found.positions.tolist() == same.positions.tolist()
    other = select("facility-location", **options, gradients=GRADIENTS)
    assert found.positions.tolist() != other.positions.tolist()


def test_gradients_are_compared_by_their_metric():
    options = {"size": 0.3, "has_auto_size": False, "group_by": None}
    left, right = GRADIENTS[:, :2], GRADIENTS[:, 2:]
    products = np.einsum("ia,ib->iab", left, right).reshape(N, -1)
    selection = select(
        "facility-location", **options, gradients=GRADIENTS, metric=OuterProductDistance(2)
    )
    same = select("facility-location", **options, gradients=products)
    assert selection.positions.tolist() == same.positions.tolist()


@every_group_by
@pytest.mark.parametrize("strategy", ["facility-location", "uniform", "centrality"])
@pytest.mark.parametrize("has_weights", [True, False])
def test_clusters_are_numbered_in_the_order_of_the_rows(group_by, strategy, has_weights):
    weights = np.where(np.arange(N) % 5, 1.0, 0.0) if has_weights else None
    selection = select(
        strategy, size=0.4, has_auto_size=False, group_by=group_by, weights=weights,
        gradients=GRADIENTS,
    )  # fmt: skip
    assert (np.diff(selection.positions) > 0).all()
    assert selection.clusters[selection.positions].tolist() == [*range(len(selection.positions))]
    is_in = np.ones(N, bool) if weights is None else weights > 0
    assert (selection.clusters[~is_in] == -1).all()
    medoids = selection.positions[selection.clusters]
    groups = GROUPS[group_by]
    for row in np.flatnonzero(is_in):
        mates = selection.positions[groups[selection.positions] == groups[row]]
        distances = np.linalg.norm(GRADIENTS[mates] - GRADIENTS[row], axis=1)
        nearest = np.linalg.norm(GRADIENTS[medoids[row]] - GRADIENTS[row])
        assert nearest == pytest.approx(distances.min(), abs=1e-5)


@pytest.mark.parametrize("weights", [None, np.linspace(0.0, 2.0, N)], ids=["none", "weights"])
def test_weights_by_cluster_are_the_weights_of_its_rows(weights):
    options = {"size": 0.3, "has_auto_size": False, "gradients": GRADIENTS, "weights": weights}
    selection = select("facility-location", coreset_weight="cluster", **options)
    is_in = selection.clusters >= 0
    counts = np.ones(N) if weights is None else weights
    expected = np.bincount(selection.clusters[is_in], counts[is_in])
    np.testing.assert_allclose(selection.weights, expected)
    uniform = select("facility-location", coreset_weight="uniform", **options)
    assert uniform.positions.tolist() == selection.positions.tolist()
    np.testing.assert_array_equal(uniform.weights, counts[uniform.positions])


@pytest.mark.parametrize("strategy", ["smallest-norm", "uniform", "facility-location"])
def test_it_depends_on_its_arguments_alone_and_changes_none(strategy):
    weights = np.linspace(0.0, 2.0, N)
    arrays = [PREDICTED, FEATURES, GRADIENTS, CODES, weights]
    arrays += [QUALITY.predictions, QUALITY.is_trusted]
    before = [array.copy() for array in arrays]
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        found.append(select(strategy, weights=weights))
        select(strategy, weights=weights, seed=seed + 5)
        assert torch.equal(torch.get_rng_state(), states[0])
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    for name in ("positions", "weights", "clusters"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_selection_is_frozen():
    selection = select()
    with pytest.raises(FrozenInstanceError):
        selection.positions = np.arange(3)


def test_the_selector_is_fitted_on_all_rows():
    selection = select("facility-location", size=0.3, has_auto_size=False, gradients=GRADIENTS)
    assert sorted(selection.selector.sample_indices_) == selection.positions.tolist()
    assert selection.selector.assignment_.shape == (N,)


@pytest.mark.parametrize(
    ("strategy", "expected"), [("smallest-norm", True), ("uniform", False), ("centrality", False)]
)
def test_has_smallest_norm(strategy, expected):
    assert has_smallest_norm(CoresetSelector(strategy)) is expected


# -- mixing -----------------------------------------------------------------------------------

ROWS = np.arange(N - 1, 9, -2)  # those of a validation split are not among them


def make_training(sample_weight=None):
    training = Training(sample_weight)
    training.open(Subset(Dataset(np.zeros((N, 1), np.float32), CODES), ROWS), default_collate)
    return training


CLUSTERS = np.where(np.isin(np.arange(N), ROWS), np.arange(N) % 4, -1)


@pytest.mark.parametrize("mixup", ["class", "cluster"])
@pytest.mark.parametrize("sample_weight", [None, np.arange(N) % 3])
def test_pools_are_those_of_the_rows_of_X(mixup, sample_weight):
    mixing = make_mixing(mixup, (1.0, 0.2), make_training(sample_weight), CLUSTERS)
    expected = np.full(N, -1)
    expected[ROWS] = (CODES if mixup == "class" else CLUSTERS)[ROWS]
    if sample_weight is not None:
        expected[sample_weight == 0] = -1  # nobody's partner
    assert mixing.pools.tolist() == expected.tolist()
    assert mixing.alpha == (1.0, 0.2)


def test_plain_mixup_has_no_pools():
    assert make_mixing("batch", (0.5, 0.5), make_training(), CLUSTERS).pools is None


def test_trusted_rows_keep_their_sample_weights_in_their_clusters():
    weights = np.linspace(0.5, 2.0, N)
    selection = select(weights=weights, coreset_weight="cluster")
    np.testing.assert_allclose(selection.weights, weights[selection.positions])


@pytest.mark.parametrize(
    ("seconds", "verbose", "shown"),
    [(0.9, 1, ""), (2.04, 0, ""), (2.04, 1, "coreset of 30 of 40 rows in 2.0 s\n")],
)
def test_a_selection_that_lasts_is_reported(seconds, verbose, shown, capsys):
    selection = select("facility-location", size=30, has_auto_size=False)
    report(selection, seconds, verbose)
    assert capsys.readouterr() == (shown, "")
