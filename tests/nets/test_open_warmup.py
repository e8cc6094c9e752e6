"""The warm-up whose end is told by labels that are held out."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.label_noise import LabelQuality
from crust_sklearn.nets import EpochPlan, open_warmup
from crust_sklearn.nets.open_warmup import (
    begin_warmup,
    find_first_judgement,
    get_hidden,
    get_standard_error,
    is_look_due,
    score_features,
)
from crust_sklearn.nets.state import TrainingState

RNG = np.random.default_rng(0)
CODES = RNG.permutation(np.arange(400) % 4)


def make_net(max_epochs=30, codes=CODES, weights=None, rows=None):
    rows = np.arange(len(codes)) if rows is None else rows
    training = SimpleNamespace(
        rows=rows, codes=codes, weights=weights, count_all_epochs=lambda n_epochs: n_epochs
    )
    return SimpleNamespace(
        training_=training,
        state_=TrainingState(),
        max_epochs=max_epochs,
        get_seed=lambda purpose, epoch: 7,
        device="cpu",
        classes_=np.unique(codes),
    )


# -- the rows held out --------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "n_held"), [(60, 20), (400, 100), (2000, 200)])
def test_a_tenth_is_held_out_or_a_hundred_or_a_third(n_rows, n_held):
    net = make_net(codes=np.arange(n_rows) % 4)
    plan = begin_warmup(net, 0)
    held = net.state_.entries["held_out"]
    assert len(held) == n_held
    assert not plan.is_coreset
    assert sorted([*held, *plan.rows]) == list(range(n_rows))


def test_rows_have_the_numbers_of_x():
    rows = np.arange(400) * 3 + 5
    net = make_net(rows=rows)
    plan = begin_warmup(net, 0)
    assert sorted([*net.state_.entries["held_out"], *plan.rows]) == rows.tolist()


def test_a_row_of_each_class_stays_and_rows_of_weight_zero_are_not_asked():
    codes, weights = np.arange(90) // 3, np.ones(90)
    weights[::3] = 0
    for seed in range(5):
        net = make_net(codes=codes, weights=weights)
        net.get_seed = lambda purpose, epoch, seed=seed: seed
        plan = begin_warmup(net, 0)
        held = net.state_.entries["held_out"]
        assert (weights[held] > 0).all()
        counted = plan.rows[weights[plan.rows] > 0]
        assert set(codes[counted]) == set(codes[weights > 0])


def test_classes_of_one_row_each_have_none_to_hold_out():
    net = make_net(codes=np.arange(12))
    assert len(begin_warmup(net, 0).rows) == 12
    features = RNG.standard_normal((12, 3))
    assert find_first_judgement(net, 1, features) is None
    for epoch in (2, 3):
        assert find_first_judgement(net, epoch, features) is None  # no better, by nothing
    assert find_first_judgement(net, 4, features) is not None


# -- when it is time ----------------------------------------------------------------------


def tell(quality, features, hidden):
    return replace(quality, n_updates=int(features[0, 0]))


def test_what_is_hidden_is_what_rows_held_out_disagree_more():
    # Of ten rows trained on one disagrees; of five held out two.
    disagrees = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0], bool)
    is_held = np.arange(15) >= 10
    assert get_hidden(disagrees, is_held, np.ones(15)) == pytest.approx(1 - 0.1 / 0.4)
    assert get_hidden(disagrees, ~is_held, np.ones(15)) == 0
    assert get_hidden(np.zeros(15, bool), is_held, np.ones(15)) == 0


def test_less_noise_is_enough_where_much_is_hidden():
    # Of 600 rows of two classes 4 % have the other's label.
    codes = np.repeat([0, 1], 300)
    given = codes.copy()
    given[::25] = 1 - given[::25]
    start, features = LabelQuality.start(given, 2), 2.0 * codes[:, None] - 1
    assert start.update(features).is_clean
    assert not start.update(features, hidden=0.5).is_clean


def test_the_score_is_that_of_rows_held_out_less_half_of_what_others_are_ahead():
    held, own, weights = RNG.random(400) < 0.3, RNG.random(400), RNG.integers(1, 4, 400)
    # A weight of three is three rows.
    mean = np.repeat(own[held], weights[held]).mean()
    other = np.repeat(own[~held], weights[~held]).mean()
    assert score_features(own, held, weights) == pytest.approx(mean - (other - mean) / 2)


@pytest.fixture
def looks(monkeypatch):
    """Return a function that tells the epoch of the first coreset, and the look it goes by."""

    def find(net, *shares, start=0):
        """`shares`: what the labels are predicted with, of trained rows and those held out."""
        plan = begin_warmup(net, start)
        is_held, shares = ~np.isin(np.arange(400), plan.rows), iter(enumerate(shares))
        for epoch in range(start + 1, start + 100):
            if not is_look_due(net, epoch):
                continue
            i, (own, own_held) = next(shares)
            shown = np.where(is_held, own_held, own)
            found = SimpleNamespace(own=lambda codes, shown=shown: shown, best=CODES)
            monkeypatch.setattr(open_warmup, "predict_labels", lambda *args, f=found: f)
            features = np.full((400, 2), i, float)  # to know it by
            monkeypatch.setattr(open_warmup, "join_features", lambda blocks: blocks[0])
            monkeypatch.setattr(LabelQuality, "update", tell)
            if (best := find_first_judgement(net, epoch, features)) is not None:
                return epoch, best.n_updates
        return None

    return find


RISING = [(s, s) for s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]


@pytest.mark.parametrize(
    # Looks are after 1, 2, 3, 4, 6, 9, 13, 19 epochs.
    ("max_epochs", "expected"),
    [(30, (19, 7)), (22, (13, 6)), (15, (9, 5)), (5, (3, 2)), (3, (2, 1)), (2, (1, 0))],
)
def test_looks_go_on_as_long_as_labels_held_out_are_predicted_better(looks, max_epochs, expected):
    # At two thirds of the epochs there has to be an end.
    assert looks(make_net(max_epochs), *RISING) == expected


def test_a_warm_up_may_begin_later(looks):
    # Other rows, from the tenth epoch of thirty: there are twenty left.
    assert looks(make_net(30), *RISING, start=10) == (10 + 13, 6)
    assert looks(make_net(30), *RISING, start=40) == (41, 0)


def test_a_look_that_is_surely_worse_is_the_end(looks):
    # All rows alike: a difference without an error.
    shares = [(s, s) for s in (0.3, 0.4, 0.5, 0.49, 0.9)]
    assert looks(make_net(), *shares) == (4, 2)


def test_three_looks_that_are_not_better_are_the_end(looks):
    is_held = ~np.isin(np.arange(400), begin_warmup(make_net(), 0).rows)

    def scatter(mean):
        """Return shares of that mean, of rows held out as of others, and otherwise by chance."""
        shares = np.empty(400)
        for rows in (is_held, ~is_held):
            shares[rows] = mean + RNG.permutation(np.linspace(-0.2, 0.2, rows.sum()))
        return shares, shares

    better = [scatter(share) for share in (0.3, 0.4, 0.5)]
    worse = [scatter(share) for share in (0.49, 0.48, 0.49)]
    assert looks(make_net(), *better, *worse, scatter(0.9)) == (9, 2)
    # Two may be by chance.
    assert looks(make_net(), *better, *worse[:2], scatter(0.9), scatter(0.7)) == (13, 5)
    # By a standard error more, it is not.
    assert looks(make_net(), *better, scatter(0.46), scatter(0.9)) == (4, 2)


def test_the_error_is_that_of_two_means_of_which_one_counts_for_half():
    changes, is_held = RNG.standard_normal(400), RNG.random(400) < 0.25
    n_held, n_others = is_held.sum(), (~is_held).sum()
    variance = (
        1.5**2 * changes[is_held].var() / n_held + 0.5**2 * changes[~is_held].var() / n_others
    )
    assert get_standard_error(changes, is_held, np.ones(400)) == pytest.approx(np.sqrt(variance))
    # Rows of weight zero are as if they were not there, and those of one class of weights alike.
    weights = np.where(np.arange(400) < 300, 2.0, 0.0)
    there = get_standard_error(changes[:300], is_held[:300], np.ones(300))
    assert get_standard_error(changes, is_held, weights) == pytest.approx(there)
    # Without rows held out, as of classes of one row, half of the error of the others.
    alone = get_standard_error(changes, np.zeros(400, bool), np.ones(400))
    assert alone == pytest.approx(0.5 * changes.std() / 20)


def test_what_trained_rows_alone_gain_is_memory(looks):
    assert looks(make_net(), (0.5, 0.5), (0.8, 0.59)) == (2, 0)
    assert looks(make_net(), (0.5, 0.5), (0.8, 0.61), (0.9, 0.61)) == (3, 1)


def test_nothing_is_kept_of_looks_that_are_over(looks):
    net = make_net()
    looks(net, *[(0.5, 0.5)] * 4)
    assert not net.state_.entries


def test_a_plan_that_is_no_coreset_is_saved_as_such():
    plan = EpochPlan(np.arange(3), is_coreset=False)
    again = EpochPlan.from_state_dict(plan.state_dict())
    assert not again.is_coreset
    assert again.describe(None) == {}
    assert EpochPlan.from_state_dict(EpochPlan(np.arange(3)).state_dict()).is_coreset


# -- in training --------------------------------------------------------------------------

Y = np.arange(240) % 3
IMAGES = np.zeros((240, 3, 16, 16), np.float32)
IMAGES[:, :, :8] = (np.eye(3)[Y] + 0.3 * RNG.standard_normal((240, 3)))[:, :, None, None]
GIVEN = make_label_noise(Y, "symmetric", 0.3, random_state=0).y


class Pooled(nn.Module):
    """A linear layer of the mean of each channel."""

    def __init__(self, num_classes):
        super().__init__()
        self.fc = nn.Linear(3, num_classes)

    def forward(self, X):
        return self.fc(X.mean(dim=(2, 3)))


class Seen(Callback):
    """What was trained on before the first coreset, and whether there was one after each epoch."""

    def initialize(self):
        self.rows, self.told = set(), []
        return self

    def on_grad_computed(self, net, **kwargs):
        if "held_out" in net.state_.entries:
            self.rows |= set(net.training_.batch.rows.tolist())
            self.held = net.state_.entries["held_out"]

    def on_epoch_end(self, net, **kwargs):
        self.told.append(hasattr(net, "coreset_indices_"))


def make(**params):
    defaults = {"max_epochs": 12, "batch_size": 40, "random_state": 0, "verbose": 0}
    return CRUSTClassifier(Pooled, **defaults | params)


def test_the_warm_up_trains_on_the_others_and_tells_nothing():
    net = make(callbacks=[("seen", Seen())]).fit(IMAGES, GIVEN)
    first = int(net.coreset_history_.epochs[0])
    seen = dict(net.callbacks_)["seen"]
    told = seen.told
    assert sorted([*seen.rows, *seen.held]) == list(range(240))
    assert told == [False] * first + [True] * (12 - first)
    sizes = net.history[:, "coreset_size"]
    assert set(sizes[:first]) == {240 - 80}
    assert net.history[:first, "noise_rate"] == [None] * first
    # Then all rows are candidates again.
    assert len(net.coreset_indices_) > 160
    assert np.isfinite(net.label_quality_).all()
    assert not any(name.startswith(("held", "best")) for name in net.state_.entries)


def test_the_parts_of_a_training_are_the_whole():
    whole = make().fit(IMAGES, GIVEN)
    parts = make()
    for _ in range(12):
        parts.partial_fit(IMAGES, GIVEN, epochs=1)
    assert whole.coreset_history_.epochs.tolist() == parts.coreset_history_.epochs.tolist()
    assert whole.coreset_indices_.tolist() == parts.coreset_indices_.tolist()
    for a, b in zip(whole.module_.parameters(), parts.module_.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_pickle_of_the_warm_up_goes_on_with_it():
    whole = make().fit(IMAGES, GIVEN)
    net = make().partial_fit(IMAGES, GIVEN, epochs=2)
    assert {"held_out", "best_look_score"} < set(net.state_.entries)
    net = pickle.loads(pickle.dumps(net)).partial_fit(IMAGES, GIVEN, epochs=10)
    assert net.coreset_indices_.tolist() == whole.coreset_indices_.tolist()
    for a, b in zip(whole.module_.parameters(), net.module_.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_is_done_with_dropped_rows_waits_too():
    for dropped in ("pseudo-label", "consistency"):
        augment = nn.Identity() if dropped == "consistency" else None
        net = make(dropped=dropped, augment=augment).fit(IMAGES, GIVEN)
        first = int(net.coreset_history_.epochs[0])
        assert first >= 2
        assert set(net.history[:first, "coreset_size"]) == {160}


@pytest.mark.parametrize("params", [{"warmup_epochs": 4}, {"coreset_size": 0.5}])
def test_a_warm_up_that_is_given_trains_on_all_rows(params):
    net = make(**params).fit(IMAGES, GIVEN)
    first = int(net.coreset_history_.epochs[0])
    assert first == 4
    assert set(net.history[:first, "coreset_size"]) == {240}


def test_rows_of_weight_zero_are_as_if_they_were_not_there():
    weights = np.zeros(900)
    weights[:180] = 1
    net = make_net(codes=np.arange(900) % 4, weights=weights)
    plan = begin_warmup(net, 0)
    assert len(net.state_.entries["held_out"]) == 60
    assert (weights[plan.rows] > 0).sum() == 120


@pytest.mark.parametrize("params", [{"warmup_epochs": 6}, {"coreset_size": 0.5}])
def test_parameters_that_are_set_anew_end_it(params):
    net = make(lr=1e-5).partial_fit(IMAGES, GIVEN, epochs=1)
    assert "held_out" in net.state_.entries
    net.set_params(**params).partial_fit(IMAGES, GIVEN, epochs=7)
    first = 6 if "warmup_epochs" in params else 2  # a third of the call's
    assert net.history[:, "coreset_size"][:first] == [160] + [240] * (first - 1)
    assert net.coreset_history_.epochs[0] == first
    assert not any(name.startswith(("held", "best")) for name in net.state_.entries)


def test_nothing_is_held_out_where_no_epoch_is_left_for_a_coreset():
    with pytest.warns(UserWarning, match="no coreset"):
        net = make(max_epochs=1).fit(IMAGES, GIVEN)
    assert net.history[:, "coreset_size"] == [240]
    net = make(max_epochs=1).partial_fit(IMAGES, GIVEN).partial_fit(IMAGES, GIVEN)
    assert net.coreset_history_.epochs.tolist() == [1]
