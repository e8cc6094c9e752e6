"""What is found of the labels: over calls, for labels of any kind, for some rows of X."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import StratifiedKFold
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import Subset, TensorDataset

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.label_noise import LabelQuality, get_label_posterior, label_quality
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y
IS_WRONG = Y != TRUE


def make(**params):
    defaults = {"max_epochs": 5, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, **defaults | {"module__hidden_sizes": (16,)} | params)


def get_quality(net):
    return net.state_.load("label_quality", LabelQuality)


# -- call after call --------------------------------------------------------------------------


def test_partial_fit_goes_on_averaging(monkeypatch):
    found, predict = [], label_quality.predict_labels

    def record(*args):
        made = predict(*args)
        found.append(made.values.copy())
        return made

    monkeypatch.setattr(label_quality, "predict_labels", record)
    net = make(max_epochs=1, reselect_every=1)
    for n_calls in range(1, 5):
        net.partial_fit(X, Y)
        assert hasattr(net, "label_quality_") == (n_calls > 1)
        if n_calls > 1:
            assert get_quality(net).n_updates == n_calls - 1
    # Twice at the first selection, of which the second counts.
    assert len(found) == 4
    np.testing.assert_allclose(get_quality(net).predictions, np.mean(found[1:], axis=0), atol=1e-6)
    assert not np.allclose(found[1], found[-1])


def test_quality_is_the_posterior_of_the_average():
    net = make(max_epochs=8).fit(X, Y)
    expected = get_label_posterior(get_quality(net).predictions, Y, np.ones(N))
    np.testing.assert_allclose(net.label_quality_, expected.right)
    np.testing.assert_array_equal(net.suggested_labels_, expected.suggested)


def test_fit_starts_afresh():
    net = make().fit(X, Y)
    first = net.label_quality_
    net.fit(X, Y)
    np.testing.assert_array_equal(net.label_quality_, first)
    assert get_quality(net).n_updates == 2


def test_warm_start_goes_on():
    net = make(warm_start=True).fit(X, Y).fit(X, Y)
    assert len(net.history) == 10
    assert get_quality(net).n_updates == 3  # before epochs 1, 4 and 7
    assert net.coreset_history_.epochs.tolist() == [1, 4, 7]


def test_other_rows_have_an_average_of_their_own():
    net = make().fit(X, Y)
    net.partial_fit(X[:100], Y[:100])
    assert net.label_quality_.shape == (100,)
    assert get_quality(net).n_updates == 2  # before epochs 5 and 7


def test_another_split_of_the_same_rows_has_an_average_of_its_own():
    # The same labels, but other rows: sorted, any split of the classes has these.
    order = np.argsort(Y, kind="stable")
    split = ValidSplit(StratifiedKFold(4, shuffle=True, random_state=np.random.RandomState(0)))
    net = make(max_epochs=1, warmup_epochs=0, train_split=split)
    net.partial_fit(X[order], Y[order])
    before, codes = np.isnan(net.label_quality_), get_quality(net).codes
    net.partial_fit(X[order], Y[order])
    np.testing.assert_array_equal(get_quality(net).codes, codes)
    assert (np.isnan(net.label_quality_) != before).any()
    assert get_quality(net).n_updates == 1


def test_other_weights_begin_a_new_average():
    net = make().fit(X, Y)
    assert get_quality(net).n_updates == 2
    weights = np.where(np.arange(N) < 120, 0.0, 1.0)
    net.set_params(max_epochs=2).partial_fit(X, Y, sample_weight=weights)
    assert get_quality(net).n_updates == 1
    assert net.coreset_history_.epochs[-1] == 5  # at once, not at 7
    assert net.coreset_indices_.min() >= 120
    assert net.noise_rate_ == pytest.approx(np.mean(1 - net.label_quality_[120:]))
    net.partial_fit(X, Y, sample_weight=weights)
    assert get_quality(net).n_updates == 2  # at 7, with the same weights


def test_attributes_of_an_earlier_fit_do_not_stay():
    net = make().fit(X, Y)
    names = ("label_quality_", "suggested_labels_", "given_labels_", "noise_rate_")
    names += ("coreset_indices_", "coreset_weights_", "coreset_assignment_", "coreset_history_")
    assert all(hasattr(net, name) for name in names)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="warmup_epochs=9")
        net.set_params(warmup_epochs=9).fit(X[:60], Y[:60])
    assert not any(hasattr(net, name) for name in names)


# -- settings of other methods ----------------------------------------------------------------


def test_labels_are_judged_by_the_first_selection_of_another_method():
    net = make(**REFERENCE | {"warmup_epochs": 2}).fit(X, Y)
    assert get_quality(net).n_updates == 1
    # As those of the default at the same epoch.
    same = make(warmup_epochs=2, max_epochs=3).fit(X, Y)
    np.testing.assert_allclose(net.label_quality_, same.label_quality_, atol=1e-6)
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.06)
    assert np.mean(net.suggested_labels_ == TRUE) > 0.85
    assert np.mean(find_label_issues(net).index.isin(np.flatnonzero(IS_WRONG))) > 0.85


# -- kinds of labels and rows -----------------------------------------------------------------


@pytest.mark.parametrize("names", [["x", "y", "z"], ["z", "x", "y"], [10, 5, 7], [1.0, 2.0, -3.0]])
def test_labels_of_any_kind(names):
    y, plain = np.array(names)[Y], make().fit(X, Y)
    net = make(classes=names).fit(X, y)  # in the order of the columns
    np.testing.assert_array_equal(net.suggested_labels_, np.array(names)[plain.suggested_labels_])
    np.testing.assert_array_equal(net.given_labels_, y)
    assert net.suggested_labels_.dtype == net.given_labels_.dtype == y.dtype
    np.testing.assert_array_equal(net.label_quality_, plain.label_quality_)
    without = make().fit(X, y)
    assert set(without.suggested_labels_) <= set(names)
    np.testing.assert_array_equal(without.suggested_labels_ != y, without.label_quality_ < 0.5)


def test_codes_where_classes_are_names():
    net = make(classes=["x", "y", "z"]).fit(X, Y)
    plain = make().fit(X, Y)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    np.testing.assert_array_equal(net.suggested_labels_, plain.suggested_labels_)


def test_rows_of_weight_zero():
    weights = np.ones(N)
    weights[::4] = 0.0
    kept = weights > 0
    net = make().fit(X, Y, sample_weight=weights)
    trusted = get_quality(net).is_trusted & kept
    np.testing.assert_array_equal(net.coreset_indices_, np.flatnonzero(trusted))
    assert (net.coreset_assignment_[~kept] == -1).all()
    assert net.noise_rate_ == pytest.approx(np.mean(1 - net.label_quality_[kept]))
    assert net.noise_rate_ == pytest.approx(IS_WRONG[kept].mean(), abs=0.06)
    # What they are labelled tells nothing, and yet they are judged.
    other = Y.copy()
    other[::4] = (other[::4] + 1) % 3
    again = make().fit(X, other, sample_weight=weights)
    np.testing.assert_allclose(again.label_quality_[kept], net.label_quality_[kept], atol=1e-5)
    assert np.isfinite(net.label_quality_[~kept]).all()


@pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]], ids=str)
def test_validation_split(labels):
    y = np.array(labels)[Y]
    net = make(train_split=ValidSplit(4)).fit(X, y)
    aside = np.isnan(net.label_quality_)
    assert aside.sum() == N // 4
    np.testing.assert_array_equal(net.suggested_labels_[aside], y[aside])
    np.testing.assert_array_equal(net.given_labels_, y)
    assert np.mean(net.suggested_labels_[~aside] == np.array(labels)[TRUE[~aside]]) > 0.85
    assert net.noise_rate_ == pytest.approx(np.nanmean(1 - net.label_quality_))
    assert not aside[net.coreset_indices_].any()


def test_predefined_split_takes_no_row():
    valid = Dataset(X[:30], Y[:30])
    net = make(train_split=predefined_split(valid)).fit(X, Y)
    assert np.isfinite(net.label_quality_).all()
    np.testing.assert_array_equal(net.label_quality_, make().fit(X, Y).label_quality_)


@pytest.mark.parametrize("apart", [False, True])
def test_torch_dataset(apart):
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    expected = make().fit(X, Y)
    net = make(module__in_features=4).fit(dataset, Y if apart else None)
    np.testing.assert_allclose(net.label_quality_, expected.label_quality_, atol=1e-6)
    np.testing.assert_array_equal(net.coreset_indices_, expected.coreset_indices_)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("split", [None, ValidSplit(4)], ids=["all", "split"])
def test_part_of_a_dataset_has_its_own_rows(apart, split):
    rows = np.random.default_rng(0).permutation(N)[:160]
    part = Subset(TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)), rows.tolist())
    weights = np.where(np.arange(160) < 10, 0.0, 1.0)
    y = Y[rows] if apart else None
    net = make(train_split=split).fit(part, y, sample_weight=weights)
    # Stratified by skorch where y is given apart.
    expected = make(train_split=split and (split if apart else ValidSplit(4, stratified=False)))
    expected.fit(X[rows], Y[rows], sample_weight=weights)
    assert net.label_quality_.shape == net.coreset_assignment_.shape == (160,)
    np.testing.assert_allclose(net.label_quality_, expected.label_quality_, atol=1e-6)
    np.testing.assert_array_equal(net.suggested_labels_, expected.suggested_labels_)
    np.testing.assert_array_equal(net.coreset_indices_, expected.coreset_indices_)
    listed = find_label_issues(net, Y[rows]).index
    np.testing.assert_array_equal(listed, find_label_issues(expected, Y[rows]).index)
