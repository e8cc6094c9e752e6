"""coreset_size="auto": how many rows, with any selector, gradient and grouping."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from crust_sklearn import CoresetSelector, CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.label_noise import LabelQuality
from crust_sklearn.modules import MLP

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y
HALF = sum((n + 1) // 2 for n in np.bincount(Y))  # of each class


def make(**params):
    defaults = {"max_epochs": 5, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, **defaults | {"module__hidden_sizes": (16,)} | params)


def get_trusted(net):
    return net.state_.load("label_quality", LabelQuality).is_trusted


def assert_sizes(net, groups):
    """Assert that of each group as many rows are chosen as are trusted, and at least one."""
    n_groups = groups.max() + 1
    chosen = np.bincount(groups[net.coreset_indices_], minlength=n_groups)
    trusted = np.bincount(groups[get_trusted(net)], minlength=n_groups)
    np.testing.assert_array_equal(chosen, np.where(np.isin(range(n_groups), groups), trusted, 0))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, True),
        ({"coreset_size": None}, False),
        ({"coreset_size": 0.5}, False),
        ({"coreset_size": 30}, False),
        ({"selector__coreset_size": 0.5}, True),
        ({"selector__coreset_size": 0.5, "coreset_size": None}, False),
        ({"selector": "centrality"}, True),
        ({"selector": "centrality", "coreset_size": None}, False),
        ({"selector": CoresetSelector("smallest-norm")}, True),
        ({"selector": CoresetSelector("smallest-norm"), "coreset_size": None}, False),
    ],
)
def test_size_is_auto_unless_one_is_given(params, expected):
    net = make(**params)
    assert net.has_auto_size is expected
    net.fit(X, Y)
    if expected:
        assert_sizes(net, Y)
        assert get_trusted(net).sum() not in (30, HALF)
    else:
        assert len(net.coreset_indices_) == (30 if params.get("coreset_size") == 30 else HALF)


# S8
def test_selector_by_name_and_as_an_instance_are_the_same():
    for name in ("smallest-norm", "centrality"):
        nets = [make(selector=s).fit(X, Y) for s in (name, CoresetSelector(name))]
        first, second = (net.coreset_indices_ for net in nets)
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("selector", ["smallest-norm", "centrality", "facility-location"])
@pytest.mark.parametrize("gradient", ["leave-one-out", "features"])
@pytest.mark.parametrize("group_by", ["label", "prediction", None])
def test_with_other_strategies_gradients_and_groups(selector, gradient, group_by):
    seen = {}

    class Watch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen["predicted"] = net.predict(X)

    # A selection before the last epoch, so that it is that of the predictions seen.
    net = make(selector=selector, gradient=gradient, group_by=group_by, callbacks=[Watch()])
    net.fit(X, Y)
    assert net.coreset_history_.epochs.tolist() == [1, 4]
    groups = {"label": Y, "prediction": seen["predicted"], None: np.zeros(N, int)}[group_by]
    assert_sizes(net, groups)
    assert 0 < get_trusted(net).sum() < N
    assert (np.diff(net.coreset_indices_) > 0).all()


@pytest.mark.parametrize("gradient", ["leave-one-out", "logits"])
def test_class_without_a_plausible_label_keeps_one_row(gradient):
    y = Y.copy()
    y[:2] = 3  # a class of two rows that belong elsewhere
    net = make(gradient=gradient).fit(X, y)
    quality = net.state_.load("label_quality", LabelQuality)
    assert not quality.is_plausible[:2].any()
    assert np.isin([0, 1], net.coreset_indices_).sum() == quality.is_trusted[:2].sum() == 1


@pytest.mark.parametrize("strategy", ["smallest-norm", "centrality"])
@pytest.mark.parametrize("size", [1, 239, 10**6, 0.1])
def test_size_of_the_selector_does_not_matter(strategy, size):
    given = CoresetSelector(strategy, coreset_size=size)
    net = make(selector=given).fit(X, Y)
    plain = make(selector=CoresetSelector(strategy)).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, plain.coreset_indices_)
    assert_sizes(net, Y)
    assert given.coreset_size == size


def test_weights_by_cluster_and_mixup():
    net = make(coreset_weight="cluster", mixup="cluster").fit(X, Y)
    assignment = net.coreset_assignment_
    # A row that is left out belongs to no cluster, and counts nowhere.
    np.testing.assert_array_equal(assignment >= 0, get_trusted(net))
    sizes = np.bincount(assignment[assignment >= 0])
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


def test_selector_alone_has_no_auto():
    for fit in (
        CoresetSelector(coreset_size="auto").fit,
        make(coreset_size=None, selector__coreset_size="auto").fit,
        make(coreset_size=None, selector=CoresetSelector(coreset_size="auto")).fit,
    ):
        with pytest.raises(TypeError, match="coreset_size='auto' is not a number. Give a float"):
            fit(X, Y)


def test_clone_pickle_and_parameters():
    net = make(selector="centrality")
    assert clone(net).coreset_size == clone(net).get_params()["coreset_size"] == "auto"
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
        expected = HALF if size == 0.5 else get_trusted(refit).sum()
        assert refit.history[-1, "coreset_size"] == expected


@pytest.mark.parametrize(
    ("params", "n_all", "is_shortened"),
    [
        ({"batch_size": 30}, 8, False),
        ({"batch_size": 26}, 10, True),
        ({"batch_size": 200}, 2, False),
        ({"batch_size": -1}, 1, False),
        ({"batch_size": 50, "iterator_train__drop_last": True}, 4, False),
        ({"batch_size": 30, "dropped": "pseudo-label"}, 8, False),
        ({"batch_size": 60, "coreset_size": 0.5}, 4, True),
    ],
)
def test_few_batches_become_smaller_and_not_fewer(params, n_all, is_shortened):
    net = make(warmup_epochs=1, **params).fit(X, Y)
    assert N * 0.4 < len(net.coreset_indices_) < N * 0.9
    first, *others = net.history[:, "train_batch_count"]
    assert first == n_all
    assert all(n < n_all if is_shortened else n == n_all for n in others)
    sizes = [b["train_batch_size"] for b in net.history[-1, "batches"]]
    assert is_shortened or max(sizes) - min(sizes) < n_all


def test_batches_of_images_become_smaller_and_not_fewer_however_many():
    images = X.reshape(N, 1, 2, 2).repeat(12, axis=2).repeat(12, axis=3)
    net = make(batch_size=16, max_epochs=8, lr=0.01, module__in_features=576).fit(images, Y)
    assert len(net.coreset_indices_) < N * 0.9
    # While rows are held out, too.
    assert 0 < net.coreset_history_.epochs[0] < 8
    # Batches of whole rows: of 140 rows, 14 of ten make no 15.
    assert all(n in (14, 15) for n in net.history[:, "train_batch_count"])
    assert max(net.history[:, "coreset_size"]) < 14 * 16


def test_an_epoch_over_all_rows_has_the_batches_of_plain_training():
    net = make(batch_size=100).fit(X, TRUE)
    assert len(net.coreset_indices_) == N
    assert [b["train_batch_size"] for b in net.history[-1, "batches"]] == [100, 100, 40]
