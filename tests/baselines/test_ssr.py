"""SSR, against a case traced by hand and its equations."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.utils.class_weight import compute_class_weight
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import SSRClassifier
from crust_sklearn.baselines.ssr import balance, limit_neighbors
from crust_sklearn.modules import MLP, GaussianNoise

# Two fans of six rows; of each, the third is labelled as the other fan. All have length one, and
# the network is unsure of them, but row 8.
ANGLES = np.deg2rad([0.0, 1.0, 2.1, 3.3, 4.6, 6.0])
FAN = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
X = np.concatenate([FAN, FAN[:, ::-1]]).astype(np.float32)
X[8] *= 10
GIVEN = np.array(list("aabaaa") + list("bbabbb"))


class Same(nn.Module):
    """Logits that are the inputs; logs what it is given."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.fc.weight.data, self.fc.bias.data = torch.eye(2), torch.zeros(2)
        self.seen = {True: [], False: []}

    def forward(self, x):
        self.seen[self.training].append(x.detach())
        return self.fc(x)


class Batches(Callback):
    """Keeps the batches that are trained on, and their losses."""

    def on_train_begin(self, net, **kwargs):
        self.batches = []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            loss = net.history[-1, "batches", -1, "train_loss"]
            self.batches.append((net.training_.batch, batch[1], loss))


def make(module=Same, **params):
    defaults = {"augment": lambda x: x, "warmup_epochs": 0, "max_epochs": 1, "lr": 0.0}
    return SSRClassifier(module, **defaults | {"verbose": 0, "random_state": 0} | params)


# -- which rows, with which labels ---------------------------------------------------------------


def test_a_plan_traced_by_hand():
    net = make().fit(X, GIVEN)  # k is 12 // 4 = 3
    # Row 8 becomes a b: there are five a, and seven b. For row 2 vote one of these, two of those.
    assert net.coreset_indices_.tolist() == [0, 1, 3, 4, 5, 6, 7, 9, 10, 11]
    assert net.relabelled_indices_.tolist() == [8]
    assert net.state_.plan.labels.tolist() == [-1] * 7 + [1] + [-1] * 3
    np.testing.assert_allclose(net.class_weights_, [11 / 2 / 5, 11 / 2 / 6], rtol=1e-6)
    # Row 2 votes on itself and on rows 0, 1 and 3, but neither on 4 nor 5.
    outvoted, beside = (1 / 7) / (1 / 7 + 2 / 5), (2 / 5) / (1 / 7 + 2 / 5)
    expected = [beside, beside, outvoted, beside, 1, 1, 1, 1, 0, 1, 1, 1]
    np.testing.assert_allclose(net.label_quality_, expected, rtol=1e-6)
    assert "".join(net.suggested_labels_) == "aaaaaabbbbbb"
    assert net.noise_rate_ == pytest.approx(2 / 12)


@pytest.mark.parametrize(
    ("params", "left_out", "relabelled"),
    [
        ({"relabel_threshold": 1.0}, [2, 8], []),
        ({"relabel_threshold": 0.6}, [], [2, 8]),  # of length one, the network is sure by 0.7
        ({"select_threshold": 0.0, "relabel_threshold": 1.0}, [], []),
        ({"select_threshold": 0.36}, [2], [8]),  # c of row 2 is (1 / 7) / (2 / 5) = 0.357
        ({"select_threshold": 0.35}, [], [8]),
        ({"n_neighbors": 1}, [], [8]),  # each votes for itself
    ],
)
def test_thresholds(params, left_out, relabelled):
    net = make(**params).fit(X, GIVEN)
    assert net.relabelled_indices_.tolist() == relabelled
    kept = np.setdiff1d(np.arange(12), left_out + relabelled)
    assert net.coreset_indices_.tolist() == kept.tolist()


def test_labels_are_made_anew_from_the_given_ones_in_each_epoch():
    net = make(max_epochs=3).fit(X, GIVEN)
    assert net.coreset_history_.epochs.tolist() == [0, 1, 2]
    assert net.relabelled_indices_.tolist() == [8]
    assert "".join(net.given_labels_) == "".join(GIVEN)


def test_rows_without_weight_neither_vote_nor_are_kept():
    weights = np.ones(12)
    weights[[2, 5]] = 0
    net = make().fit(X, GIVEN, sample_weight=weights)  # k is 10 // 4 = 2
    assert net.coreset_indices_.tolist() == [0, 1, 3, 4, 6, 7, 9, 10, 11]
    np.testing.assert_array_equal(net.label_quality_[[0, 1, 2, 3]], [1, 1, 0, 1])
    assert net.noise_rate_ == pytest.approx(1 / 10)  # row 8 alone; row 2 does not count
    np.testing.assert_allclose(net.class_weights_, [10 / 2 / 4, 10 / 2 / 6], rtol=1e-6)


def test_a_validation_split_has_no_part():
    rows = np.r_[0:24:2, 1:24:2]  # each of the twelve twice
    net = make(train_split=ValidSplit(4)).fit(X[rows % 12], GIVEN[rows % 12])
    is_valid = np.isnan(net.label_quality_)
    assert is_valid.sum() == 6
    assert not is_valid[net.coreset_indices_].any()
    assert sum(map(len, net.module_.seen[True])) == len(net.state_.plan.rows)


def test_all_rows_are_trained_on_where_none_is_kept():
    class Contrary(SSRClassifier):
        def count_votes(self, features, labels):
            return 1.0 - np.eye(2, dtype=np.float32)[labels]

    options = {"augment": lambda x: x, "warmup_epochs": 0, "max_epochs": 1, "verbose": 0}
    net = Contrary(Same, **options).fit(X, GIVEN)
    assert net.coreset_indices_.tolist() == list(range(12))
    assert not len(net.relabelled_indices_)


def test_without_an_epoch_after_the_warm_up_predictions_judge():
    net = make(warmup_epochs=1).fit(X, GIVEN)
    proba = net.predict_proba(X)[np.arange(12), (GIVEN == "b").astype(int)]
    np.testing.assert_allclose(net.label_quality_, proba, rtol=1e-5)
    assert not hasattr(net, "coreset_indices_")


@pytest.mark.parametrize(
    ("n_rows", "n_classes", "expected"),
    [
        (50_000, 10, 200),
        (50_000, 100, 200),
        (1_000_000, 14, 200),
        (50_000, 1000, 25),
        (1200, 10, 24),
        (1200, 60, 10),
        (100, 2, 10),
        (60, 6, 5),
        (3, 2, 1),
    ],
)
def test_fewer_neighbours_vote_on_small_sets(n_rows, n_classes, expected):
    assert limit_neighbors(200, n_rows, n_classes) == expected
    assert limit_neighbors(7, n_rows, n_classes) == min(7, expected)


# -- what is trained on --------------------------------------------------------------------------


def test_classes_are_balanced_as_in_scikit_learn():
    codes = np.random.default_rng(0).choice(3, size=50, p=[0.7, 0.2, 0.1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=codes)
    np.testing.assert_allclose(balance(codes, 3, None), expected, rtol=1e-6)
    # A class of which no row is kept counts nothing; a weight of two is two rows.
    weights = np.random.default_rng(1).integers(0, 3, size=50).astype(float)
    repeated = np.repeat(codes, weights.astype(int))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=repeated)
    np.testing.assert_allclose(balance(2 * codes, 5, weights), [*_spread(expected)], rtol=1e-6)


def _spread(weights):
    return weights[0], 0, weights[1], 0, weights[2]


def test_loss_is_that_of_mixtures_with_balanced_classes():
    weights = np.linspace(0.5, 1.5, 12)
    seen = Batches()
    net = make(callbacks=[seen], batch_size=12).fit(X, GIVEN, sample_weight=weights)
    ((batch, y, loss),) = net.callbacks[0].batches
    share = batch.share.numpy()[:, None]
    z = share * batch.x.numpy() + (1 - share) * batch.partner_x.numpy()
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    # Row 2 is left out, row 8 relabelled. Callbacks see labels as they were given.
    assert "".join(y) == "".join("a" if row < 6 else "b" for row in batch.rows)
    y = (y == "b").astype(int)
    mass = [weights[batch.rows][y == c].sum() for c in (0, 1)]
    of_class = sum(mass) / 2 / np.array(mass)
    own, other = (-of_class[of] * log_p[np.arange(11), of] for of in (y, batch.partner_y.numpy()))
    of_row = weights[batch.rows] / weights[batch.rows].mean()
    expected = np.mean(of_row * (share[:, 0] * own + (1 - share[:, 0]) * other))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_shares_are_beta_distributed():
    seen = Batches()
    rows = np.tile(np.arange(12), 100)
    make(callbacks=[seen], mixup_alpha=2.0, batch_size=300).fit(X[rows], GIVEN[rows])
    share = torch.cat([batch.share for batch, *_ in seen.batches]).double()
    # Beta(2, 2): of mean 1/2 and variance 1/20.
    assert share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert share.var().item() == pytest.approx(0.05, abs=0.006)


def test_mixtures_are_of_views_and_selection_sees_plain_rows():
    seen = Batches()
    options = {"augment": lambda x: -3 * x, "max_epochs": 2, "warmup_epochs": 1, "batch_size": 12}
    net = make(callbacks=[seen], **options).fit(X, GIVEN)
    in_training = net.module_.seen[True]
    (first, *_), (second, *_) = seen.batches
    torch.testing.assert_close(in_training[0], -3 * first.x)  # of the warm-up: not mixed
    share = second.share[:, None]
    mixed = share * second.x + (1 - share) * second.partner_x
    torch.testing.assert_close(in_training[1], -3 * mixed)
    assert len(in_training) == 2
    # The checks before training run the module on two rows; the passes over all see them plain.
    judged = [x for x in net.module_.seen[False] if len(x) > 2]
    assert judged
    for x in judged:
        torch.testing.assert_close(x, torch.as_tensor(X))


def test_views_are_drawn_anew_and_can_be_repeated():
    def get_views():
        views = []

        def augment(x):
            views.append(x + torch.randn_like(x))
            return views[-1]

        net = make(augment=augment, max_epochs=2, batch_size=12).fit(X, GIVEN)
        return views[1:], net.module_.seen[True]  # the first one is of the check

    views, mixtures = get_views()
    again, mixtures_again = get_views()
    assert len(views) == 4  # two epochs of one batch: of the rows, and of their partners
    for one, other in zip(views + mixtures, again + mixtures_again, strict=True):
        assert torch.equal(one, other)
    assert len({tuple(view.flatten().tolist()) for view in views}) == 4


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"augment": None}, "augment=None makes none. Give augment"),
        ({"augment": "flip"}, "augment='flip' cannot be called"),
        ({"augment": lambda x: x[:1]}, "makes 1 rows of 2"),
        ({"augment": lambda x: x[:, :1]}, "what the module does not take"),
        ({"relabel_threshold": 1.5}, "relabel_threshold must be"),
        ({"select_threshold": -0.1}, "select_threshold must be"),
        ({"n_neighbors": 0}, "n_neighbors must be"),
        ({"n_neighbors": 2.5}, "n_neighbors must be"),
        ({"mixup_alpha": 0}, "mixup_alpha must be"),
        ({"warmup_epochs": -1}, "warmup_epochs must be"),
        ({"iterator_train__sampler": [0, 1]}, "iterator_train__sampler draws from all rows"),
    ],
)
def test_bad_input_is_refused_before_training(params, message):
    net = make(**params)
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(X, GIVEN)
    assert not getattr(net, "history", None)


def test_token_ids_are_refused():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.fc = nn.EmbeddingBag(10, 4), nn.Linear(4, 2)

        def forward(self, ids):
            return self.fc(self.embed(ids))

    ids = np.ones((12, 5), np.int64)
    with pytest.raises(TypeError, match="module=Tokens cannot take mixtures.*another method"):
        make(Tokens).fit(ids, GIVEN)


# -- what it is for ------------------------------------------------------------------------------


def test_finds_the_wrong_labels_of_digits_and_learns_without_them():
    digits, y = load_digits(return_X_y=True)
    digits = (digits / 16).astype(np.float32)
    train, test = np.s_[:600], np.s_[600:]
    noisy = make_label_noise(y[train], "symmetric", 0.4, random_state=0)
    options = {"max_epochs": 15, "lr": 0.02, "random_state": 0, "verbose": 0}
    options |= {"module__hidden_sizes": (64,), "batch_size": 40}
    ours = SSRClassifier(MLP, augment=GaussianNoise(), **options).fit(digits[train], noisy.y)
    plain = NoisyLabelClassifier(MLP, **options).fit(digits[train], noisy.y)
    assert noisy.is_wrong[ours.coreset_indices_].mean() < 0.03
    assert (ours.suggested_labels_ == y[train]).mean() > 0.9
    assert ours.score(digits[test], y[test]) > plain.score(digits[test], y[test]) + 0.1
