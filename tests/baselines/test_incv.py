"""INCV, against the equations of its paper and its rounds by hand."""

import pickle

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from skorch.dataset import ValidSplit

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import INCVClassifier
from crust_sklearn.baselines.incv import solve_noise_rate, split_by_label
from crust_sklearn.modules import MLP

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
A, TRUE = X[:200], Y[:200]
NOISY = make_label_noise(TRUE, "symmetric", 0.3, random_state=0)


def make(cls=INCVClassifier, **params):
    defaults = {"n_rounds": 2, "round_epochs": 3, "max_epochs": 2, "lr": 0.01, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (32,)}
    return cls(MLP, **defaults | params)


class Recording(INCVClassifier):
    """Keeps the rows, and the networks, of every stage."""

    def train_stage(self, name, kind, **options):
        stage = super().train_stage(name, kind, **options)
        self.stages_ = vars(self).get("stages_", {}) | {name: (options["positions"], stage)}
        return stage


# -- the equations ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 10, 100])
@pytest.mark.parametrize("agreement", [0.5, 0.62, 0.9, 0.999])
def test_noise_rate_solves_the_equation(agreement, n_classes):
    def excess(e):
        return (1 - e) ** 2 + e**2 / (n_classes - 1) - agreement

    expected = brentq(excess, 0, (n_classes - 1) / n_classes + 1e-12)
    assert solve_noise_rate(agreement, n_classes) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("agreement", "expected"), [(1.0, 0.0), (0.25, 0.75), (0.1, 0.75), (0.0, 0.75)]
)
def test_noise_rate_at_the_ends(agreement, expected):
    assert solve_noise_rate(agreement, 4) == pytest.approx(expected)


def test_agreement_of_networks_that_learn_by_heart():
    rng = np.random.default_rng(0)
    true, n = rng.integers(5, size=200_000), 200_000
    flipped = [
        np.where(rng.random(n) < 0.3, (true + rng.integers(1, 5, n)) % 5, true) for _ in "ab"
    ]
    # One network's predictions are wrong as labels are, for rows that it has not seen.
    assert solve_noise_rate(accuracy_score(*flipped), 5) == pytest.approx(0.3, abs=0.01)


def test_noise_of_the_selected_rows():
    net = make(noise_rate=0.4).fit(A, NOISY.y)
    precision = 0.6**2 / (0.6**2 + 0.4**2 / 9)
    assert net.get_noise_rate(0) == pytest.approx(1 - precision)


@pytest.mark.parametrize("sizes", [[1], [1, 1], [3, 1, 4], [10, 11, 1]])
def test_halves_are_stratified(sizes):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    positions = np.random.default_rng(0).permutation(len(codes))
    first, second = split_by_label(positions, codes, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort([*first, *second]), np.arange(len(codes)))
    counts = [np.bincount(codes[half], minlength=len(sizes)) for half in (first, second)]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert 0 <= len(first) - len(second) <= 1


# -- the rounds -------------------------------------------------------------------------------


@pytest.mark.parametrize("noise_rate", ["auto", 0.2])
def test_rounds_by_hand(noise_rate):
    net = make(Recording, n_rounds=3, noise_rate=noise_rate).fit(A, NOISY.y)
    assert list(net.stages_) == [f"round {r}, half {h}" for r in (1, 2, 3) for h in (1, 2)]
    assert {len(history) for history in net.stage_histories_.values()} == {3}
    candidates, selected, rate = set(range(200)), set(), noise_rate
    for number in (1, 2, 3):
        stages = [net.stages_[f"round {number}, half {half}"] for half in (1, 2)]
        halves = [sorted(set(rows) - selected) for rows, _ in stages]
        assert all(selected <= set(rows) for rows, _ in stages)
        assert sorted(halves[0] + halves[1]) == sorted(candidates)
        proba = [
            stage.predict_proba(A[other])
            for (_, stage), other in zip(stages, halves[::-1], strict=True)
        ]
        agrees = [
            p.argmax(1) == NOISY.y[other] for p, other in zip(proba, halves[::-1], strict=True)
        ]
        if rate == "auto":
            rate = solve_noise_rate(np.concatenate(agrees).mean(), 10)
        for p, is_same, other in zip(proba, agrees, halves[::-1], strict=True):
            losses = -np.log(p[np.arange(len(other)), NOISY.y[other]])
            n_removed = int(min(2, rate / (1 - rate)) * is_same.sum())
            chosen = set(np.array(other)[is_same])
            removed = set(np.array(other)[np.argsort(-losses, kind="stable")[:n_removed]])
            selected |= chosen
            candidates -= chosen | removed
    assert net.selected_indices_.tolist() == sorted(selected)
    assert net.noise_rate_ == pytest.approx(rate)


def test_co_teaching_is_trained_on_the_selected_rows():
    net = make(noise_rate=0.6, n_gradual=1, max_epochs=3, batch_size=1000).fit(A, NOISY.y)
    n_selected = len(net.selected_indices_)
    left_out = 0.36 / (0.36 + 9 * 0.16)
    assert net.history[:, "coreset_size"] == [n_selected] + [int((1 - left_out) * n_selected)] * 2
    assert set(net.coreset_indices_) < set(net.selected_indices_)
    np.testing.assert_array_equal(net.coreset_history_.get_indices(-1), net.coreset_indices_)
    assert len(net.coreset_weights_) == len(net.coreset_indices_)


def test_most_selected_labels_are_right():
    noisy = make_label_noise(Y[:900], "symmetric", 0.4, random_state=0)
    net = make(round_epochs=8, batch_size=64).fit(X[:900], noisy.y)
    assert noisy.is_wrong[net.selected_indices_].mean() < 0.08
    assert (~noisy.is_wrong[net.selected_indices_]).sum() > 0.75 * (~noisy.is_wrong).sum()


def test_rounds_are_not_repeated_for_the_same_rows():
    class Counting(INCVClassifier):
        def train_stage(self, *args, **kwargs):
            self.n_stages_ = vars(self).get("n_stages_", 0) + 1
            return super().train_stage(*args, **kwargs)

    net = make(Counting).partial_fit(A, NOISY.y)
    assert net.n_stages_ == 4
    net.partial_fit(A, NOISY.y)
    assert net.n_stages_ == 4
    assert len(net.stage_histories_) == 4
    net.partial_fit(A, TRUE)
    assert net.n_stages_ == 8


def test_a_pickle_goes_on_without_rounds():
    net = make().partial_fit(A, NOISY.y)
    again = pickle.loads(pickle.dumps(net)).partial_fit(A, NOISY.y)
    net.partial_fit(A, NOISY.y)
    np.testing.assert_array_equal(again.predict_proba(A), net.predict_proba(A))
    np.testing.assert_array_equal(again.selected_indices_, net.selected_indices_)


def test_rows_without_weight_and_of_a_validation_split_are_not_selected():
    weights = np.ones(200)
    weights[::4] = 0
    net = make(Recording, train_split=ValidSplit(5)).fit(A, NOISY.y, sample_weight=weights)
    is_train = ~np.isnan(net.label_quality_)
    assert is_train[net.selected_indices_].all()
    assert weights[net.selected_indices_].all()
    trained = np.flatnonzero(is_train)[net.stages_["round 1, half 1"][0]]
    assert weights[trained].all()


# A class of one row is in one half alone; two rows leave a half of one.
@pytest.mark.parametrize("sizes", [[30, 1], [30, 1, 1], [1, 1], [2, 1], [40, 2, 3]])
def test_tiny_classes(sizes):
    y = np.repeat(np.arange(len(sizes)), sizes)
    net = make(n_rounds=3).fit(X[: len(y)], y)
    assert len(net.selected_indices_)
    assert net.predict(X[: len(y)]).shape == (len(y),)


def test_all_rows_are_trained_on_where_none_is_selected():
    # Far outputs of either half say the label that the other half has not.
    x = np.array([[1.0], [1.0]], np.float32)
    net = INCVClassifier(MLP, module__hidden_sizes=(), lr=1.0, max_epochs=20, verbose=0)
    net.set_params(random_state=0).fit(x, [0, 1])
    assert net.selected_indices_.tolist() == [0, 1]
    assert net.noise_rate_ == pytest.approx(0.5)


def test_stages_are_trained_as_the_net_is():
    net = make(Recording, optimizer=torch.optim.SGD, optimizer__momentum=0.5, round_epochs=None)
    net.fit(A, NOISY.y)
    rows, stage = net.stages_["round 1, half 2"]
    assert isinstance(stage.optimizer_, torch.optim.SGD)
    assert type(stage) is NoisyLabelClassifier
    assert len(stage.history) == net.max_epochs
    assert len(rows) == 100


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"n_rounds": 0}, ValueError),
        ({"round_epochs": 0}, ValueError),
        ({"round_epochs": 1.5}, TypeError),
        ({"noise_rate": lambda epoch: 0.1}, TypeError),
        ({"noise_rate": 1.0}, ValueError),
    ],
)
def test_parameters_out_of_range(params, error):
    with pytest.raises(error, match=next(iter(params))):
        make(**params).fit(A, NOISY.y)
