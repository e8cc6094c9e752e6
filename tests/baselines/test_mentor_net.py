"""MentorNet: the weights by hand, the mentor, and the rows that are trusted."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import MentorNetClassifier
from crust_sklearn.baselines.mentor_net import weigh_by_loss
from crust_sklearn.baselines.parts import mentor
from crust_sklearn.baselines.parts.loss_record import LossRecorder, get_percent
from crust_sklearn.baselines.parts.mentor import Mentor, train_mentor
from crust_sklearn.baselines.parts.trusted_rows import check_trusted, corrupt_trusted
from crust_sklearn.modules import MLP
from crust_sklearn.nets.training import Training

X, Y = make_blobs(90, n_features=4, centers=3, cluster_std=1.0, random_state=0)
X = StandardScaler().fit_transform(X).astype(np.float32)
GIVEN = np.where(np.arange(90) % 5 == 0, (Y + 1) % 3, Y)
TRUSTED = np.arange(90) % 5 == 1


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(mentor, "N_STEPS", 20)


def make(cls=MentorNetClassifier, module=MLP, **params):
    defaults = {"max_epochs": 3, "lr": 0.01, "batch_size": 30, "verbose": 0, "random_state": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (8,)
    return cls(module, **defaults | params)


def learned(**params):
    return make(curriculum="learned", **{"corrupted": 0.4} | params)


# -- the weights ------------------------------------------------------------------------------


def make_open(**params):
    """Return a net with a state, as within a call."""
    net = make(burn_in=0.0, **params).fit(X, Y)
    net.state_.entries.clear()
    return net


BATCHES = [[0.1, 0.5, 2.0, 4.0], [0.0, 0.2, 1.0, 9.0], [3.0, 0.3, 0.2, 0.1]]


@pytest.mark.parametrize("curriculum", ["predefined", "self-paced"])
@pytest.mark.parametrize("lambda2", [0.0, 0.5, 2.0])
def test_weights_over_three_batches(curriculum, lambda2):
    net = make_open(curriculum=curriculum, lambda2=lambda2, percentile=0.6)
    moving = None
    for losses in BATCHES:
        now = np.percentile(losses, 60)
        moving = now if moving is None else 0.9 * moving + 0.1 * now
        if curriculum == "self-paced" or lambda2 == 0:
            expected = [1.0 if loss <= moving else 0.0 for loss in losses]
        else:
            expected = [min(max(0, 1 - (loss - moving) / lambda2), 1) for loss in losses]
        rows = torch.arange(4)
        found = net.weigh_rows(torch.tensor(losses), torch.ones(4), rows)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert net.state_.get_number("loss_percentile") == pytest.approx(moving, rel=1e-5)


def test_weights_of_the_predefined_curriculum_are_the_minimum_of_the_paper():
    # Eq. 4 and 5: sum of v l + lambda2 v^2 / 2 - (lambda1 + lambda2) v, over v in [0, 1].
    lambda1, lambda2 = 0.7, 0.4
    grid = np.linspace(0, 1, 10001)
    losses = np.linspace(0, 2, 21)
    value = grid[:, None] * losses + lambda2 * grid[:, None] ** 2 / 2
    value -= (lambda1 + lambda2) * grid[:, None]
    found = weigh_by_loss(torch.as_tensor(losses - lambda1), lambda2)
    np.testing.assert_allclose(found, grid[value.argmin(axis=0)], atol=2e-4)


def test_rows_of_weight_zero_have_no_say_in_the_percentile():
    net = make_open(percentile=1.0)
    rows, weight = torch.arange(3), torch.tensor([1.0, 1.0, 0.0])
    net.weigh_rows(torch.tensor([1.0, 2.0, 50.0]), weight, rows)
    assert net.state_.get_number("loss_percentile") == 2.0
    net.weigh_rows(torch.tensor([1.0, 2.0, 50.0]), torch.zeros(3), rows)
    assert net.state_.get_number("loss_percentile") == 2.0


def test_loss_of_a_batch_is_the_mean_of_the_weighted_losses():
    weights = np.where(np.arange(90) % 2, 0.5, 1.5)
    net = make(lr=0.0, max_epochs=1, batch_size=90, burn_in=0.0, percentile=0.5)
    net.fit(X, GIVEN, sample_weight=weights)
    z = net.module_(torch.as_tensor(X)).detach()
    losses = nn.functional.cross_entropy(z, torch.as_tensor(GIVEN), reduction="none").numpy()
    v = np.clip(1 - (losses - np.percentile(losses, 50)), 0, 1)
    expected = (weights / weights.mean() * v * losses).mean()
    assert net.history[0]["train_loss"] == pytest.approx(expected, rel=1e-4)
    assert net.coreset_indices_.tolist() == np.flatnonzero(v > 0.5).tolist()


def test_no_gradient_goes_through_the_weights():
    net = make(lr=1.0, max_epochs=1, batch_size=90, burn_in=0.0, optimizer=torch.optim.SGD)
    before = make(lr=0.0, max_epochs=1, batch_size=90, optimizer=torch.optim.SGD).fit(X, GIVEN)
    module = before.module_
    losses = nn.functional.cross_entropy(
        module(torch.as_tensor(X)), torch.as_tensor(GIVEN), reduction="none"
    )
    with torch.no_grad():
        v = (1 - (losses - torch.quantile(losses, 0.75))).clamp(0, 1)
    gradients = torch.autograd.grad((v * losses).mean(), list(module.parameters()))
    net.fit(X, GIVEN)
    for old, gradient, new in zip(
        module.parameters(), gradients, net.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(new, old - gradient, rtol=1e-4, atol=1e-6)


def test_all_rows_count_in_the_burn_in():
    net = make(max_epochs=5, burn_in=0.4, curriculum="self-paced", percentile=0.5).fit(X, GIVEN)
    sizes = net.history[:, "coreset_size"]
    assert sizes[:2] == [90, 90]
    assert max(sizes[2:]) < 80
    ours, plain = make(burn_in=1.0).fit(X, GIVEN), make(NoisyLabelClassifier).fit(X, GIVEN)
    np.testing.assert_allclose(ours.predict_proba(X), plain.predict_proba(X), atol=1e-6)


# -- the mentor -------------------------------------------------------------------------------


def test_mentor_is_the_network_of_the_paper():
    torch.manual_seed(0)
    net = Mentor()
    features = torch.tensor([[0.5, -0.2, 0.0], [3.0, 2.3, 99.0]])
    w = {name: value.detach().numpy() for name, value in net.named_parameters()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def step(x, suffix):  # of an LSTM whose state is zero
        gates = w[f"lstm.weight_ih_l0{suffix}"] @ x
        gates = gates + w[f"lstm.bias_ih_l0{suffix}"] + w[f"lstm.bias_hh_l0{suffix}"]
        i, _, g, o = gates
        return sigmoid(o) * np.tanh(sigmoid(i) * np.tanh(g))

    expected = []
    for loss, difference, percent in features.numpy():
        x = np.array([loss, difference])
        h = [step(x, ""), step(x, "_reverse")]
        h = np.concatenate([h, w["epoch.weight"][int(percent)]])
        h = np.tanh(w["head.0.weight"] @ h + w["head.0.bias"])
        expected.append(sigmoid(w["head.2.weight"] @ h + w["head.2.bias"])[0])
    loss, difference, _ = features.T
    found = [
        net.weigh(loss[k : k + 1], difference[k : k + 1], percent)[0]
        for k, percent in enumerate((0, 99))
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_mentor_learns_a_threshold(monkeypatch):
    monkeypatch.setattr(mentor, "N_STEPS", 100)
    rng = np.random.default_rng(0)
    loss = rng.uniform(0, 4, 500)
    features = np.stack([loss, loss - 1, rng.integers(0, 100, 500)], 1).astype(np.float32)
    is_right = loss < 1
    found = train_mentor(features, is_right, 0)
    v = found(torch.as_tensor(features)).softmax(dim=1)[:, 1]
    assert ((v > 0.5).numpy() == is_right).mean() > 0.95
    again = train_mentor(features, is_right, 0)
    for one, other in zip(found.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_record_holds_what_the_network_said_of_each_watched_row_in_each_epoch():
    net = make(LossRecorder, lr=0.0, watched=TRUSTED, percentile=0.75, batch_size=90)
    net.fit(X, GIVEN)
    features, rows = np.concatenate(net.features_), np.concatenate(net.rows_)
    z = net.module_(torch.as_tensor(X)).detach()
    losses = nn.functional.cross_entropy(z, torch.as_tensor(GIVEN), reduction="none").numpy()
    assert sorted(rows.tolist()) == sorted(np.flatnonzero(TRUSTED).tolist() * 3)
    np.testing.assert_allclose(features[:, 0], losses[rows], rtol=1e-4)
    differences = losses[rows] - np.percentile(losses, 75)
    np.testing.assert_allclose(features[:, 1], differences, rtol=1e-3, atol=1e-5)
    assert features[:, 2].tolist() == [0] * 18 + [33] * 18 + [66] * 18
    plain = make(NoisyLabelClassifier, lr=0.0, batch_size=90).fit(X, GIVEN)
    assert net.history[-1]["train_loss"] == pytest.approx(plain.history[-1]["train_loss"])


def test_percentages():
    assert [get_percent(epoch, 3) for epoch in range(5)] == [0, 33, 66, 99, 99]


def test_weights_are_the_mentors_and_quality_is_what_it_said_last():
    net = learned(lr=0.0, batch_size=90, burn_in=0.0).fit(X, GIVEN, trusted=TRUSTED)
    z = net.module_(torch.as_tensor(X)).detach()
    losses = nn.functional.cross_entropy(z, torch.as_tensor(GIVEN), reduction="none")
    v = net.get_mentor().weigh(losses, losses - torch.quantile(losses, 0.75), 66)
    assert net.history[-1]["train_loss"] == pytest.approx((v * losses).mean().item(), rel=1e-4)
    expected = np.where(TRUSTED, 1.0, v.numpy())
    np.testing.assert_allclose(net.label_quality_, expected, rtol=1e-4)
    assert net.noise_rate_ == pytest.approx(1 - expected.mean(), rel=1e-3)
    assert net.coreset_indices_.tolist() == np.flatnonzero(v > 0.5).tolist()


def test_rows_that_no_batch_held_are_judged_by_the_network():
    options = {"max_epochs": 1, "batch_size": 50, "iterator_train__shuffle": False}
    net = learned(**options, iterator_train__drop_last=True).fit(X, GIVEN, trusted=TRUSTED)
    rows = np.flatnonzero(~TRUSTED & (np.arange(90) >= 50))
    own = net.predict_proba(X)[rows, GIVEN[rows]]
    np.testing.assert_allclose(net.label_quality_[rows], own, rtol=1e-5)


def test_a_learned_mentor_ranks_right_labels_above_wrong_ones(monkeypatch):
    monkeypatch.setattr(mentor, "N_STEPS", 100)
    images, y = load_digits(return_X_y=True)
    images, y = (images[:600] / 16).astype(np.float32), y[:600]
    noisy = make_label_noise(y, "symmetric", 0.4, random_state=0)
    trusted = np.arange(600) % 10 == 0
    given = np.where(trusted, y, noisy.y)
    net = learned(max_epochs=8, module__hidden_sizes=(64,)).fit(images, given, trusted=trusted)
    others = ~trusted
    assert roc_auc_score((given == y)[others], net.label_quality_[others]) > 0.9
    assert set(net.stage_histories_) == {"corrupted"}


def test_the_optimizer_does_not_train_the_mentor():
    net = learned().fit(X, GIVEN, trusted=TRUSTED)
    before = {k: v.clone() for k, v in net.state_.entries.items() if k.startswith("mentor.")}
    n_trained = sum(len(group["params"]) for group in net.optimizer_.param_groups)
    assert n_trained == len(list(net.module_.parameters()))
    net.partial_fit(X, GIVEN, trusted=TRUSTED)
    assert before
    for name, value in before.items():
        assert torch.equal(net.state_.entries[name], value)


# -- rows that are trusted --------------------------------------------------------------------


def test_wrong_labels_are_given_to_trusted_rows_only():
    codes = corrupt_trusted(GIVEN, TRUSTED, 0.5, seed=0)
    assert np.array_equal(codes[~TRUSTED], GIVEN[~TRUSTED])
    assert np.count_nonzero(codes != GIVEN) == 9  # of 18
    for rate, n_wrong in [(0.0, 1), (1e-9, 1), (1.0, 17)]:  # one of either, at least
        assert np.count_nonzero(corrupt_trusted(GIVEN, TRUSTED, rate, 0) != GIVEN) == n_wrong
    net = learned(corrupted=0.5).fit(X, GIVEN, trusted=TRUSTED)
    assert len(net.corrupted_indices_) == 9
    assert TRUSTED[net.corrupted_indices_].all()


def test_the_rate_is_found_among_the_other_rows():
    net = learned(corrupted="auto", max_epochs=2).fit(X, GIVEN, trusted=TRUSTED)
    assert set(net.stage_histories_) == {"noise rate", "corrupted"}
    assert 2 <= len(net.corrupted_indices_) <= 8  # a quarter of them is wrong, of 18
    everyone = learned(corrupted="auto", max_epochs=1).fit(X, Y, trusted=np.ones(90, bool))
    assert 1 <= len(everyone.corrupted_indices_) <= 20


@pytest.mark.parametrize(
    "form",
    [
        lambda mask: mask.tolist(),
        np.flatnonzero,
        lambda mask: np.flatnonzero(mask)[::-1].astype(np.uint8).tolist(),
        torch.as_tensor,
        lambda mask: torch.as_tensor(np.flatnonzero(mask)),
    ],
)
def test_trusted_in_every_form(form):
    expected = learned(max_epochs=1).fit(X, GIVEN, trusted=TRUSTED)
    net = learned(max_epochs=1).fit(X, GIVEN, trusted=form(TRUSTED))
    np.testing.assert_array_equal(net.corrupted_indices_, expected.corrupted_indices_)
    np.testing.assert_array_equal(net.label_quality_, expected.label_quality_)


@pytest.mark.parametrize(
    ("trusted", "message"),
    [
        (TRUSTED[:-1], "mask of 89 entries, and X has 90"),
        ([3, 90], "rows from 3 to 90"),
        ([-1, 4], "rows from -1 to 4"),
        (TRUSTED.astype(int), "twice.*bools"),
        (np.flatnonzero(GIVEN == 1), "of 1 classes"),
        (np.zeros(90, bool), "of 0 classes"),
        ([], "shape"),
        (TRUSTED[:, None], "shape"),
        (TRUSTED.astype(float), "float64"),
        (["a", "b"], "dtype"),
        (None, "trusted=mask"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_trusted_in_bad_forms(trusted, message, method):
    net = learned()
    with pytest.raises(ValueError, match=message):
        getattr(net, method)(X, GIVEN, trusted=trusted)
    assert not net.initialized_
    assert net.trusted_ is None


def test_trusted_rows_of_a_curriculum_that_does_not_learn():
    with pytest.raises(ValueError, match="curriculum='predefined' learns nothing"):
        make().fit(X, GIVEN, trusted=TRUSTED)


def test_rows_without_weight_and_validation_rows_are_not_trusted():
    weights = np.where(np.arange(90) < 45, 1.0, 0.0)
    net = learned(corrupted=0.9, burn_in=1.0)
    net.fit(X, GIVEN, sample_weight=weights, trusted=TRUSTED)
    assert net.corrupted_indices_.max() < 45
    assert net.coreset_indices_.max() < 45
    net = learned(corrupted=0.9, train_split=ValidSplit(5)).fit(X, GIVEN, trusted=TRUSTED)
    assert not np.isnan(net.label_quality_[net.corrupted_indices_]).any()
    assert np.count_nonzero(np.isnan(net.label_quality_)) == 18


def test_positions_of_trusted_rows_are_those_of_the_training_rows():
    training = Training()
    training.n_rows, training.rows = 6, np.array([5, 2, 0, 1])
    training.codes, training.weights = np.array([0, 1, 0, 1]), None
    assert check_trusted([2, 3, 5], training).tolist() == [True, True, False, False]


# -- scikit-learn -----------------------------------------------------------------------------


def test_a_search_divides_the_mask():
    seen = []

    class Spy(MentorNetClassifier):
        def check_training(self):
            super().check_training()
            seen.append((self.training_.n_rows, int(self.training_.kept["trusted"].sum())))

    net = make(Spy, curriculum="learned", corrupted=0.4, max_epochs=1)
    grid = GridSearchCV(net, {"percentile": [0.7]}, cv=3, error_score="raise")
    grid.fit(X, GIVEN, trusted=TRUSTED)
    assert [n for n, _ in seen] == [60, 60, 60, 90]
    assert sum(k for _, k in seen[:3]) == 2 * 18
    assert seen[3][1] == 18


def test_trusted_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        net = learned(max_epochs=1)
        assert net.get_metadata_routing()._self_request.fit.requests["trusted"] is None
        pipe = make_pipeline(StandardScaler(), net.set_fit_request(trusted=True))
        pipe.fit(X, GIVEN, trusted=TRUSTED)
        assert TRUSTED[pipe[-1].corrupted_indices_].all()
        grid = GridSearchCV(pipe, {"mentornetclassifier__percentile": [0.7]}, cv=2)
        grid.set_params(error_score="raise").fit(X, GIVEN, trusted=TRUSTED)
        assert TRUSTED[grid.best_estimator_[-1].corrupted_indices_].all()


def test_what_forward_takes_is_passed_on_without_trusted():
    class Scaled(MLP):
        def forward(self, x, scale=None):
            assert scale == 2.0
            return super().forward(x * scale)

    net = learned(module=Scaled, module__hidden_sizes=(8,), max_epochs=1)
    net.partial_fit(X, GIVEN, trusted=TRUSTED, scale=2.0)
    assert len(net.corrupted_indices_) == 7


def test_clone_and_pickle():
    net = learned().fit(X, GIVEN, trusted=TRUSTED)
    copy = pickle.loads(pickle.dumps(net))
    again = clone(net).fit(X, GIVEN, trusted=TRUSTED)
    for other in (copy, again):
        np.testing.assert_array_equal(other.label_quality_, net.label_quality_)
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    for one in (net, copy):
        one.partial_fit(X, GIVEN, trusted=TRUSTED, epochs=2)
    np.testing.assert_array_equal(copy.label_quality_, net.label_quality_)


def test_two_calls_of_partial_fit_are_one_fit():
    whole = learned(max_epochs=4).fit(X, GIVEN, trusted=TRUSTED)
    halves = learned(max_epochs=4)
    for _ in range(2):
        halves.partial_fit(X, GIVEN, trusted=TRUSTED, epochs=2)
    np.testing.assert_array_equal(halves.predict_proba(X), whole.predict_proba(X))
    np.testing.assert_array_equal(halves.label_quality_, whole.label_quality_)


def test_other_trusted_rows_have_another_mentor():
    net = learned(max_epochs=1).partial_fit(X, GIVEN, trusted=TRUSTED)
    first = net.corrupted_indices_
    other = np.roll(TRUSTED, 1)
    net.partial_fit(X, GIVEN, trusted=other)
    assert TRUSTED[first].all()
    assert other[net.corrupted_indices_].all()


@pytest.mark.parametrize(
    "params",
    [
        {"curriculum": "paced"},
        {"percentile": 1.5},
        {"burn_in": -0.1},
        {"lambda2": -1.0},
        {"corrupted": 0.0},
        {"corrupted": 1.0},
        {"corrupted": "some"},
        {"percentile": "a"},
    ],
)
def test_parameters_out_of_range(params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        make(**params).fit(X, Y)
