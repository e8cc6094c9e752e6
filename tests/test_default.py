"""The default of CRUSTClassifier, and coreset_size="auto" with other settings."""

import pickle
import warnings

import numpy as np
import pytest
import skorch
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import RandomSampler, Subset, TensorDataset

from crust_sklearn import CoresetSelector, CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.modules import MLP

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y
IS_WRONG = Y != TRUE
HALF = sum((n + 1) // 2 for n in np.bincount(Y))  # of each class


def make(module=MLP, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = {"max_epochs": 5, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(module, **defaults | params)


def trusted(net):
    return net.label_quality_average_.is_trusted


def assert_sizes(net, groups, counted=slice(None)):
    """Assert that of each group as many rows are chosen as are trusted."""
    n = groups.max() + 1
    chosen = np.bincount(groups[net.coreset_indices_], minlength=n)
    expected = np.bincount(groups[counted][trusted(net)[counted]], minlength=n)
    np.testing.assert_array_equal(chosen, np.where(np.isin(range(n), groups), expected, 0).clip(1))


def weights_of(net):
    return np.concatenate([p.detach().numpy().ravel() for p in net.module_.parameters()])


# -- the default ------------------------------------------------------------------------------


def test_parameters():
    params = make().get_params()
    expected = {
        "selector": "smallest-norm",
        "coreset_size": None,
        "warmup_epochs": 1,
        "reselect_every": 3,
        "gradient": "leave_one_out",
        "group_by": "label",
        "coreset_weight": "uniform",
        "mixup": None,
        "train_split": None,
        "random_state": 0,
    }
    assert {name: params[name] for name in expected} == expected
    assert "has_auto_size" not in params


def test_fitted_attributes():
    net = make(max_epochs=9).fit(X, Y)
    assert_sizes(net, Y)
    sizes = net.history[:, "coreset_size"]
    assert sizes[0] == N and sizes[-1] == len(net.coreset_indices_) == trusted(net).sum()
    assert sizes[1:4] == sizes[1:2] * 3 and sizes[4:7] == sizes[4:5] * 3
    np.testing.assert_array_equal(net.coreset_weights_, 1.0)
    quality = net.label_quality_
    assert quality.shape == (N,) and quality.dtype == np.float64
    assert ((quality >= 0) & (quality <= 1)).all()
    np.testing.assert_array_equal(net.suggested_labels_ != Y, quality < 0.5)
    assert isinstance(net.noise_rate_, float)
    assert net.noise_rate_ == pytest.approx(1 - trusted(net).mean())
    assert net.label_quality_average_.n_updates == 3  # before epochs 1, 4 and 7


def test_the_coreset_is_the_rows_that_fit_best():
    net = make().fit(X, Y)
    norms = np.linalg.norm(net.label_quality_average_.residuals, axis=1)
    for members in (np.flatnonzero(np.equal(Y, label)) for label in range(3)):
        n_chosen = trusted(net)[members].sum()
        expected = members[np.argsort(norms[members], kind="stable")[:n_chosen]]
        np.testing.assert_array_equal(
            np.intersect1d(net.coreset_indices_, members), np.sort(expected)
        )
    assert np.mean(IS_WRONG[net.coreset_indices_]) < 0.05 < 0.25 < IS_WRONG.mean()


def test_quality_is_that_of_the_last_layers_inputs():
    # Independently: a probe of the features, refitted without each row, tells wrong from right.
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import cross_val_predict

    net = make(warmup_epochs=4).fit(X, Y)
    module = make(max_epochs=4, coreset_size=1.0, warmup_epochs=0).fit(X, Y).module_
    with torch.no_grad():
        features = module.hidden(torch.as_tensor(X)).numpy()
    probe = RidgeClassifier(class_weight="balanced")
    found = cross_val_predict(probe, features, Y, cv=20)
    assert np.mean(found == net.suggested_labels_) > 0.95


def test_noise_rate_of_blobs():
    noise = [0.0, 0.15, 0.3, 0.5]
    rates = []
    for share in noise:
        y = make_label_noise(TRUE, "symmetric", share, random_state=1).y
        net = make(max_epochs=7).fit(X, y)
        rates.append(net.noise_rate_)
        assert net.noise_rate_ == pytest.approx(np.mean(y != TRUE), abs=0.05)
        if share == 0.0:
            assert len(net.coreset_indices_) == N
    assert rates == sorted(rates)


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels


HARD = {"max_epochs": 20, "batch_size": 32, "lr": 0.05, "optimizer__momentum": 0.9}
HARD |= {"module__hidden_sizes": (256, 128), "iterator_train__shuffle": True}


def test_better_than_plain_training_on_digits(digits):
    images, labels = digits
    train, test = np.s_[:1200], np.s_[1200:]
    margins = []
    for seed in range(3):
        noisy = make_label_noise(labels[train], "symmetric", 0.4, random_state=seed).y
        scores = [
            make(random_state=seed, coreset_size=size, **HARD)
            .fit(images[train], noisy)
            .score(images[test], labels[test])
            for size in (None, 1.0)
        ]
        margins.append(scores[0] - scores[1])
    assert min(margins) > 0.01
    assert np.mean(margins) > 0.05


def test_wrong_labels_of_digits(digits):
    images, labels = digits
    noisy = make_label_noise(labels, "symmetric", 0.3, random_state=0).y
    net = make(**HARD | {"max_epochs": 10}).fit(images, noisy)
    assert net.noise_rate_ == pytest.approx(np.mean(noisy != labels), abs=0.04)
    assert np.mean(net.suggested_labels_ == labels) > 0.93
    assert np.mean(noisy[net.coreset_indices_] == labels[net.coreset_indices_]) > 0.95


def test_a_seed_makes_it_reproducible():
    a, b = (make(module__dropout=0.2, iterator_train__shuffle=True).fit(X, Y) for _ in "ab")
    np.testing.assert_array_equal(weights_of(a), weights_of(b))
    np.testing.assert_array_equal(a.label_quality_, b.label_quality_)
    np.testing.assert_array_equal(a.coreset_indices_, b.coreset_indices_)
    other = make(module__dropout=0.2, iterator_train__shuffle=True, random_state=1).fit(X, Y)
    assert not np.array_equal(other.label_quality_, a.label_quality_)


def test_leave_one_out_is_not_what_the_network_has_memorized():
    overlapping = X + np.random.default_rng(0).normal(0, 4, X.shape).astype(np.float32)
    params = {"coreset_size": 0.3, "max_epochs": 3, "lr": 0.3}
    net = make(**params).fit(overlapping, Y)
    rows, norms = (
        net.coreset_indices_,
        np.linalg.norm(net.label_quality_average_.last - np.eye(3)[Y], axis=1),
    )
    for members in (np.flatnonzero(np.equal(Y, label)) for label in range(3)):
        chosen = np.isin(members, rows)
        assert norms[members[chosen]].max() <= norms[members[~chosen]].min() + 1e-6
    logits = make(gradient="logits", **params).fit(overlapping, Y)
    assert len(np.setdiff1d(logits.coreset_indices_, rows)) > 2


# -- where the size is "auto" -----------------------------------------------------------------


@pytest.mark.parametrize(
    "params, expected",
    [
        ({}, True),
        ({"coreset_size": "auto"}, True),
        ({"coreset_size": 0.5}, False),
        ({"coreset_size": 30}, False),
        ({"selector__coreset_size": 0.5}, False),
        ({"selector__coreset_size": 0.5, "coreset_size": "auto"}, True),
        ({"selector": "centrality"}, False),
        ({"selector": "centrality", "coreset_size": "auto"}, True),
        ({"selector": CoresetSelector("smallest-norm")}, False),
        ({"selector": CoresetSelector("smallest-norm"), "coreset_size": "auto"}, True),
    ],
)
def test_when_it_is(params, expected):
    net = make(**params)
    assert net.has_auto_size is expected
    net.fit(X, Y)
    if expected:
        assert_sizes(net, Y)
    else:
        assert len(net.coreset_indices_) == (30 if params.get("coreset_size") == 30 else HALF)


@pytest.mark.parametrize("selector", ["smallest-norm", "centrality", "facility-location"])
@pytest.mark.parametrize("gradient", ["leave_one_out", "features"])
@pytest.mark.parametrize("group_by", ["label", "prediction", None])
def test_with_other_strategies_gradients_and_groups(selector, gradient, group_by):
    seen = {}

    class Watch(skorch.callbacks.Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen["predicted"] = net.predict(X)

    net = make(
        selector=selector,
        coreset_size="auto",
        gradient=gradient,
        group_by=group_by,
        callbacks=[Watch()],
    ).fit(X, Y)
    groups = {"label": Y, "prediction": seen["predicted"], None: np.zeros(N, int)}[group_by]
    assert_sizes(net, groups)
    assert 0 < trusted(net).sum() < N
    assert (np.diff(net.coreset_indices_) > 0).all()


@pytest.mark.parametrize("strategy", ["smallest-norm", "centrality"])
@pytest.mark.parametrize("size", [1, 239, 10**6, 0.1])
def test_the_size_of_the_selector_does_not_matter(strategy, size):
    given = CoresetSelector(strategy, coreset_size=size)
    net = make(selector=given, coreset_size="auto").fit(X, Y)
    plain = make(selector=CoresetSelector(strategy), coreset_size="auto").fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, plain.coreset_indices_)
    assert_sizes(net, Y)
    assert given.coreset_size == size


def test_weights_by_cluster_and_mixup():
    net = make(coreset_weight="cluster", mixup="cluster").fit(X, Y)
    sizes = np.bincount(net.coreset_assignment_)
    np.testing.assert_allclose(net.coreset_weights_, sizes / sizes.mean())
    assert_sizes(net, Y)


@pytest.mark.parametrize(
    "size", ["Auto", "full", "auto ", "0.5", b"auto", True, [0.5], 0, 0.0, 1.5]
)
@pytest.mark.parametrize("selector", ["smallest-norm", "centrality"])
def test_bad_sizes(size, selector):
    net = make(coreset_size=size, selector=selector)
    with pytest.raises((TypeError, ValueError), match=r"coreset_size=.* or 'auto'") as info:
        net.fit(X, Y)
    assert repr(size) in str(info.value) and "float in (0, 1]" in str(info.value)
    assert not getattr(net, "history_", None)


def test_the_selector_alone_has_no_auto():
    for fit in (
        CoresetSelector(coreset_size="auto").fit,
        make(selector__coreset_size="auto").fit,
        make(selector=CoresetSelector("centrality", coreset_size="auto")).fit,
    ):
        with pytest.raises(TypeError, match="coreset_size='auto' is not a number. Give a float"):
            fit(X, Y)


# -- as a scikit-learn estimator --------------------------------------------------------------


def test_clone_pickle_and_parameters():
    net = make(selector="centrality").set_params(coreset_size="auto")
    copy = clone(net)
    assert copy.coreset_size == copy.get_params()["coreset_size"] == "auto"
    net.fit(X, Y)
    restored = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(restored.label_quality_, net.label_quality_)
    assert restored.noise_rate_ == net.noise_rate_
    np.testing.assert_array_equal(restored.predict_proba(X), net.predict_proba(X))
    assert find_label_issues(restored, Y).equals(find_label_issues(net, Y))
    # It goes on where the other would.
    np.testing.assert_array_equal(
        restored.partial_fit(X, Y).label_quality_, net.partial_fit(X, Y).label_quality_
    )
    assert not hasattr(clone(net), "label_quality_")
    assert net.set_params(coreset_size=60).fit(X, Y).history[-1, "coreset_size"] == 60


def test_grid_search():
    grid = {"coreset_size": [0.5, "auto"], "selector": ["smallest-norm", "centrality"]}
    search = GridSearchCV(make(max_epochs=3), grid, cv=2, error_score="raise").fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.coreset_size == search.best_params_["coreset_size"]
    for size in (0.5, "auto"):
        refit = clone(best).set_params(coreset_size=size).fit(X, Y)
        assert refit.history[-1, "coreset_size"] == (HALF if size == 0.5 else trusted(refit).sum())


# -- call after call --------------------------------------------------------------------------


def test_partial_fit_goes_on_averaging():
    net = make(max_epochs=1)
    found = []
    for n_calls in range(1, 5):
        net.partial_fit(X, Y)
        if n_calls == 1:
            assert not hasattr(net, "label_quality_")
        else:
            assert net.label_quality_average_.n_updates == n_calls - 1
            found.append(net.label_quality_average_.last.copy())
    np.testing.assert_allclose(net.label_quality_average_.average, np.mean(found, axis=0))


def test_fit_starts_afresh():
    net = make().fit(X, Y)
    first = net.label_quality_
    net.fit(X, Y)
    np.testing.assert_array_equal(net.label_quality_, first)
    assert net.label_quality_average_.n_updates == 2


def test_warm_start_goes_on():
    net = make(warm_start=True).fit(X, Y).fit(X, Y)
    assert len(net.history) == 10
    # Before epochs 1 and 4, and in the second call at its start and before epoch 7.
    assert net.label_quality_average_.n_updates == 4


def test_other_rows_have_an_average_of_their_own():
    net = make().fit(X, Y)
    net.partial_fit(X[:100], Y[:100])
    assert net.label_quality_.shape == (100,)
    alone = net.label_quality_average_.n_updates
    assert alone < 4
    # The same labels, but other rows: sorted, any split of the classes has these.
    order = np.argsort(Y, kind="stable")
    split = ValidSplit(StratifiedKFold(4, shuffle=True, random_state=np.random.RandomState(0)))
    net = make(max_epochs=1, warmup_epochs=0, train_split=split)
    net.partial_fit(X[order], Y[order])
    before = np.isnan(net.label_quality_)
    codes = net.label_quality_average_.codes
    net.partial_fit(X[order], Y[order])
    np.testing.assert_array_equal(net.label_quality_average_.codes, codes)
    assert (np.isnan(net.label_quality_) != before).any()
    assert net.label_quality_average_.n_updates == 1


def test_new_weights_count_from_the_next_call_on():
    net = make(max_epochs=2).fit(X, Y)
    weights = np.where(np.arange(N) < 120, 0.0, 1.0)
    net.partial_fit(X, Y, sample_weight=weights)
    assert net.label_quality_average_.n_updates == 2
    assert net.coreset_indices_.min() >= 120
    assert net.noise_rate_ == pytest.approx(1 - trusted(net)[120:].mean())


# -- kinds of data ----------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["x", "y", "z"], ["z", "x", "y"], [10, 5, 7], [1.0, 2.0, -3.0]])
def test_labels_of_any_kind(names):
    y, plain = np.array(names)[Y], make().fit(X, Y)
    net = make(classes=names).fit(X, y)  # in the order of the columns
    np.testing.assert_array_equal(net.suggested_labels_, np.array(names)[plain.suggested_labels_])
    assert net.suggested_labels_.dtype == y.dtype
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
    assert kept[net.coreset_indices_].all()
    assert_sizes(net, Y, counted=kept)
    assert (net.coreset_assignment_[~kept] == -1).all()
    assert net.noise_rate_ == pytest.approx(1 - trusted(net)[kept].mean())
    assert net.noise_rate_ == pytest.approx(IS_WRONG[kept].mean(), abs=0.06)
    # What they are labelled tells nothing.
    other = Y.copy()
    other[::4] = (other[::4] + 1) % 3
    again = make().fit(X, other, sample_weight=weights)
    np.testing.assert_allclose(again.label_quality_[kept], net.label_quality_[kept], atol=1e-5)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]], ids=str)
def test_a_validation_split(labels):
    y = np.array(labels)[Y]
    net = make(train_split=ValidSplit(4)).fit(X, y)
    aside = np.isnan(net.label_quality_)
    assert aside.sum() == N // 4
    np.testing.assert_array_equal(aside, net.coreset_assignment_ == -1)
    np.testing.assert_array_equal(net.suggested_labels_[aside], y[aside])
    assert np.mean(net.suggested_labels_[~aside] == np.array(labels)[TRUE[~aside]]) > 0.85
    assert net.noise_rate_ == pytest.approx(1 - trusted(net).mean())


def test_a_predefined_split_takes_no_row():
    valid = skorch.dataset.Dataset(X[:30], Y[:30])
    net = make(train_split=predefined_split(valid)).fit(X, Y)
    assert np.isfinite(net.label_quality_).all()
    np.testing.assert_array_equal(net.label_quality_, make().fit(X, Y).label_quality_)


def test_a_torch_dataset():
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    expected = make().fit(X, Y)
    for net in (
        make(module__in_features=4).fit(dataset, None),
        make(module__in_features=4).fit(dataset, Y),
    ):
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


# -- modules, criteria, loaders ---------------------------------------------------------------


class Focal(nn.Module):
    """Not cross-entropy, and no closed form."""

    reduction = "mean"

    def forward(self, output, y):
        log_p = output.log_softmax(dim=1).gather(1, y[:, None])[:, 0]
        loss = -((1 - log_p.exp()) ** 2) * log_p
        return loss if self.reduction == "none" else loss.mean()


@pytest.mark.parametrize("criterion", [Focal, nn.MultiMarginLoss])
def test_another_criterion(criterion):
    net = make(criterion=criterion, max_epochs=8, lr=0.3).fit(X, Y)
    assert_sizes(net, Y)
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.08)


class Convolutional(nn.Module):
    """No linear layer at all: a convolution makes the logits."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv1d(4, 3, 1)

    def forward(self, X):
        return self.head(X[:, :, None])[:, :, 0]


def test_without_a_last_linear_layer_the_output_is_what_goes_in():
    net = make(Convolutional).fit(X, Y)
    assert_sizes(net, Y)
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.06)
    seen = []
    update = type(net.label_quality_average_).update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(net.label_quality_average_), "update", lambda q, h: seen.append(h) or update(q, h)
        )
        before = net.predict_proba(X)  # of softmax
        net.partial_fit(X, Y)
    np.testing.assert_allclose(torch.as_tensor(seen[0]).softmax(1).numpy(), before, atol=1e-5)


def test_wide_features():
    net = make(module__hidden_sizes=(600,), lr=0.02).fit(X, Y)
    assert_sizes(net, Y)
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.1)


def test_drop_last_with_a_coreset_that_is_too_small():
    net = make(batch_size=230, iterator_train__drop_last=True)
    with pytest.raises(
        ValueError, match=r"A coreset of \d+ rows.*batch_size=230.*Lower batch_size"
    ):
        net.fit(X, Y)
    assert len(net.history) == 2  # how many rows it has is not known before the first selection
    net = make(batch_size=N + 1, iterator_train__drop_last=True)
    with pytest.raises(ValueError, match=f"A coreset of {N} rows is smaller than batch_size"):
        net.fit(X, Y)
    assert len(net.history) == 0 or "train_loss" not in net.history[-1]
    assert len(make(batch_size=64, iterator_train__drop_last=True).fit(X, Y).history) == 5


def test_a_sampler_is_refused_before_training():
    net = make(iterator_train__sampler=RandomSampler(range(N)))
    with pytest.raises(ValueError, match=r"iterator_train__sampler.*iterator_train__shuffle"):
        net.fit(X, Y)
    assert not any("train_loss" in row for row in net.history)


def test_attributes_of_an_earlier_fit_do_not_stay():
    net = make().fit(X, Y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="warmup_epochs=9")
        net.set_params(warmup_epochs=9).fit(X[:60], Y[:60])
    for name in ("label_quality_", "suggested_labels_", "noise_rate_", "coreset_indices_"):
        assert not hasattr(net, name)
