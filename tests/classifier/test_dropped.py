"""What becomes of the rows that a selection leaves out."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.nn import functional as F

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.label_noise import LabelQuality, get_label_posterior
from crust_sklearn.modules import MLP, RandomCropFlip
from crust_sklearn.nets import dropped_rows

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y
IMAGES = np.random.default_rng(0).normal(size=(N, 1, 6, 6)).astype(np.float32)
IMAGES[np.arange(N), 0, TRUE, TRUE] += 8.0


class Flat(nn.Module):
    """For images of 36 pixels."""

    def __init__(self, batch_norm=False, dropout=0.0):
        super().__init__()
        norm = nn.BatchNorm1d(16) if batch_norm else nn.Identity()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), norm, nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(16, 3)

    def forward(self, X):
        return self.fc(self.dropout(self.body(X)))


class Seen(Callback):
    """Notes the numbers and the labels of all batches."""

    def on_train_begin(self, net, **kwargs):
        self.epochs = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append([])

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            rows = net.training_.batch.rows.tolist()
            self.epochs[-1] += zip(rows, batch[1].tolist(), strict=True)


def make(cls=CRUSTClassifier, module=MLP, **params):
    defaults = {"max_epochs": 8, "lr": 0.02, "batch_size": 32, "verbose": 0, "random_state": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (16,)
    return cls(module, **defaults | params)


def make_consistent(cls=CRUSTClassifier, **params):
    defaults = {"module": Flat, "augment": RandomCropFlip(padding=1, flip=False)}
    return make(cls, **defaults | {"dropped": "consistency", "warmup_epochs": 1} | params)


# -- new labels -------------------------------------------------------------------------------


def test_rows_left_out_are_trained_on_with_a_sure_label():
    net = make(dropped="pseudo-label", callbacks=[Seen()]).fit(X, Y)
    quality = net.state_.load("label_quality", LabelQuality)
    posterior = get_label_posterior(quality.predictions, Y, np.ones(N))
    trusted = np.flatnonzero(quality.is_trusted)
    is_sure = ~quality.is_trusted & (posterior.best_other > 0.9)
    np.testing.assert_array_equal(net.coreset_indices_, trusted)
    np.testing.assert_array_equal(net.relabelled_indices_, np.flatnonzero(is_sure))
    assert is_sure.sum() > 20
    expected = {row: Y[row] for row in trusted}
    expected |= {row: posterior.suggested[row] for row in np.flatnonzero(is_sure)}
    assert dict(net.callbacks[0].epochs[-1]) == expected
    assert len(net.callbacks[0].epochs[-1]) == len(expected)
    # Most were wrong, and most of the new ones are right.
    rows = net.relabelled_indices_
    assert np.mean(Y[rows] != TRUE[rows]) > 0.9
    assert np.mean(net.suggested_labels_[rows] == TRUE[rows]) > 0.9


def test_what_is_published_is_about_the_trusted_rows():
    net = make(dropped="pseudo-label").fit(X, Y)
    assert len(net.coreset_weights_) == len(net.coreset_indices_)
    np.testing.assert_array_equal(net.coreset_history_.get_indices(-1), net.coreset_indices_)
    assert net.history[-1, "coreset_size"] == len(net.coreset_indices_)
    assert net.history[0, "relabelled_size"] == 0
    assert net.history[-1, "relabelled_size"] == len(net.relabelled_indices_)
    has_medoid = np.flatnonzero(net.coreset_assignment_ >= 0)
    np.testing.assert_array_equal(has_medoid, net.coreset_indices_)
    assert net.get_summary().n_kept == len(net.coreset_indices_)


def test_the_surest_label_is_asked_for_its_probability(monkeypatch):
    monkeypatch.setattr(dropped_rows, "MIN_SUGGESTED", 1.0)
    assert not len(make(dropped="pseudo-label").fit(X, Y).relabelled_indices_)


def test_nothing_is_relabelled_where_labels_are_right():
    net = make(dropped="pseudo-label").fit(X * 10, TRUE)
    assert len(net.coreset_indices_) == N
    assert not len(net.relabelled_indices_)


@pytest.mark.parametrize("dropped", ["pseudo-label", "consistency"])
def test_rows_of_weight_zero_and_of_the_validation_split_never_enter(dropped, monkeypatch):
    taken, take = [], dropped_rows.DroppedDraws.take
    monkeypatch.setattr(
        dropped_rows.DroppedDraws,
        "take",
        lambda self, n: taken.append(take(self, n)) or taken[-1],
    )
    net = make(dropped=dropped, augment=lambda x: x, callbacks=[Seen()], train_split=ValidSplit(4))
    weight = (np.arange(N) % 5 > 0).astype(float)
    net.fit(X, Y, sample_weight=weight)
    train, _ = ValidSplit(4)(np.arange(N), Y)
    allowed = {i for i in np.asarray(train.indices).tolist() if weight[i]}
    late = {row for epoch in net.callbacks[0].epochs[1:] for row, _ in epoch}
    assert late <= allowed
    if dropped == "pseudo-label":
        assert len(net.relabelled_indices_)
        assert set(net.relabelled_indices_.tolist()) <= allowed
    else:
        rows = np.asarray(train.indices)[np.concatenate(taken)]
        assert len(rows) and set(rows.tolist()) <= allowed


def test_relabelled_rows_keep_their_sample_weight():
    weight = np.linspace(0.5, 1.5, N)

    class Weights(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            batch = net.training_.batch
            self.seen = vars(self).get("seen", {})
            self.seen |= dict(zip(batch.rows.tolist(), batch.weight.tolist(), strict=True))

    net = make(dropped="pseudo-label", callbacks=[Weights()]).fit(X, Y, sample_weight=weight)
    rows = np.r_[net.coreset_indices_, net.relabelled_indices_]
    expected = weight[rows] / weight[rows].mean()
    seen = net.callbacks[0].seen
    np.testing.assert_allclose([seen[row] for row in rows], expected, rtol=1e-5)


def test_batch_mixup_goes_with_new_labels():
    net = make(dropped="pseudo-label", mixup="batch").fit(X, Y)
    assert len(net.relabelled_indices_) > 20
    assert net.score(X, TRUE) > 0.8


# -- two views --------------------------------------------------------------------------------


class Traced(CRUSTClassifier):
    """Notes what the loss on top is made of."""

    def guess(self, n_rows):
        with torch.no_grad():
            average = self.training_.kept["weight_average"]
            before = {k: v.clone() for k, v in self.module_.state_dict().items()}
            found = super().guess(n_rows)
            after = self.module_.state_dict()
            assert all(torch.equal(before[k], after[k]) for k in before)
        self.teacher_ = {
            name.removeprefix("module."): value.clone() for name, value in average.averages.items()
        }
        self.guessed_ = [*vars(self).get("guessed_", ()), found]
        return found

    def get_added_loss(self, y_pred, rows):
        added = super().get_added_loss(y_pred, rows)
        by_hand = self.add_by_hand(self.guessed_[-1])
        if added is None:
            assert not by_hand
        else:
            assert added.item() == pytest.approx(by_hand, rel=1e-4)
        self.added_ = [*vars(self).get("added_", ()), by_hand]
        return added

    def add_by_hand(self, guesses):
        if guesses is None:
            return 0.0
        module, teacher = self.module_, Flat()
        teacher.load_state_dict(self.teacher_)
        x = guesses.x
        with torch.no_grad():
            p = teacher.eval()(x).softmax(dim=1)
            mean = vars(self).get("mean_", torch.full((3,), 1 / 3))
            self.mean_ = 0.99 * mean + 0.01 * p.mean(dim=0)
            aligned = p / self.mean_
            aligned /= aligned.sum(dim=1, keepdim=True)
            best, codes = aligned.max(dim=1)
            logits = module(2 * x)
        n_selections = len(self.coreset_history_)
        losses = F.cross_entropy(logits, codes, reduction="none")
        ramp = min(1.0, n_selections / 5)
        divisor = len(x) if self.criterion_.reduction == "mean" else 1
        return float(ramp * torch.where(best >= 0.95, losses, 0.0).sum() / divisor)


@pytest.mark.parametrize("params", [{}, {"criterion__reduction": "sum", "lr": 0.01}])
def test_consistency_is_as_by_hand(params):
    params = {"max_epochs": 14, "reselect_every": 2} | params
    net = make_consistent(Traced, augment=lambda x: 2 * x, **params)
    net.fit(IMAGES, Y)
    # Nothing before the first selection.
    n_first = net.history[0, "train_batch_count"]
    assert not any(net.added_[:n_first])
    assert all(guesses is None for guesses in net.guessed_[:n_first])
    assert len(net.coreset_history_) == 7
    assert sum(value > 0 for value in net.added_) > 20
    # As many dropped rows as the batch has, and none but dropped ones.
    for guesses in net.guessed_[n_first:]:
        assert 1 <= len(guesses.x) <= 32


def test_all_dropped_rows_are_taken_before_one_is_taken_again():
    def get_seed(purpose, epoch):
        return epoch

    draws = dropped_rows.DroppedDraws(np.arange(10, 17), 3, get_seed)
    taken = [draws.take(3) for _ in range(4)]
    assert [len(part) for part in taken] == [3] * 4
    assert len(set(np.concatenate(taken)[:7].tolist())) == 7
    assert len(draws.take(100)) == 7
    again = dropped_rows.DroppedDraws(np.arange(10, 17), 3, get_seed)
    np.testing.assert_array_equal(again.take(3), taken[0])


def test_consistency_averages_the_weights():
    net = make_consistent().fit(IMAGES, Y)
    assert any(name.startswith("raw_weights.") for name in net.state_.entries)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_views_leave_the_statistics_of_batch_norm_alone(batch_norm):
    seen = []

    class Watches(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training and batch_norm:
                seen.append(int(net.module_.body[2].num_batches_tracked))

    net = make_consistent(module__batch_norm=batch_norm, callbacks=[Watches()]).fit(IMAGES, Y)
    assert seen == list(range(1, len(seen) + 1))
    assert net.score(IMAGES, TRUE) > 0.8


@pytest.mark.parametrize("params", [{"dropped": "pseudo-label"}, {"dropped": "consistency"}])
def test_random_state_decides_on_all_and_global_generators_are_left_alone(params):
    def fit():
        return make_consistent(**params, module__dropout=0.3).fit(IMAGES, Y)

    first = fit()
    torch.manual_seed(99)
    before = torch.get_rng_state(), pickle.dumps(np.random.mtrand._rand)
    second = fit()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.mtrand._rand) == before[1]
    np.testing.assert_array_equal(first.predict_proba(IMAGES), second.predict_proba(IMAGES))


def test_parts_are_the_whole(monkeypatch):
    monkeypatch.setattr("crust_sklearn.nets.weight_average.SHARE", 10**6)
    params = {"module__dropout": 0.2, "module__batch_norm": True}
    whole = make_consistent(max_epochs=6, **params).fit(IMAGES, Y)
    parts = make_consistent(max_epochs=2, **params)
    for _ in range(3):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(IMAGES, Y)))
    np.testing.assert_array_equal(whole.predict_proba(IMAGES), parts.predict_proba(IMAGES))


def test_modules_that_return_probabilities():
    class Softmax(Flat):
        def forward(self, X):
            return super().forward(X).softmax(dim=1)

    params = {"augment": lambda x: x, "max_epochs": 5}
    nets = [
        make_consistent(module=module, criterion=criterion, **params).fit(IMAGES, Y)
        for module, criterion in ((Flat, nn.CrossEntropyLoss), (Softmax, nn.NLLLoss))
    ]
    probabilities = [net.predict_proba(IMAGES) for net in nets]
    np.testing.assert_allclose(probabilities[1], probabilities[0], atol=1e-3)


def test_dicts_of_inputs():
    class Takes(Flat):
        def forward(self, image):
            return super().forward(image)

    net = make_consistent(module=Takes, augment=lambda x: {"image": -x["image"]}, max_epochs=4)
    net.fit({"image": IMAGES}, Y)
    assert len(net.history) == 4


# Of torch, which looks for gradients of what its own compiler traces.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_modules():
    params = {"max_epochs": 4, "augment": lambda x: x}
    plain = make_consistent(**params).fit(IMAGES, Y)
    compiled = make_consistent(**params, compile=True, compile__backend="eager").fit(IMAGES, Y)
    np.testing.assert_allclose(
        compiled.predict_proba(IMAGES), plain.predict_proba(IMAGES), atol=1e-4
    )


# -- parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"dropped": "relabel"}, ValueError, "dropped='relabel' is not valid"),
        ({"dropped": "consistensy"}, ValueError, "Did you mean 'consistency'"),
        (
            {"dropped": "pseudo-label", "coreset_size": 0.5},
            ValueError,
            "dropped='pseudo-label' .*coreset_size='auto' and gradient='leave-one-out'",
        ),
        (
            {"dropped": "consistency", "gradient": "logits", "augment": torch.neg},
            ValueError,
            "dropped='consistency' .*coreset_size='auto' and gradient='leave-one-out'",
        ),
        ({"dropped": "consistency"}, ValueError, "augment=None makes none. Give augment"),
        ({"augment": "flip"}, TypeError, "augment='flip' cannot be called"),
        (
            {"dropped": "pseudo-label", "mixup": "class"},
            ValueError,
            "mixup='class' .*Set mixup='batch' or None",
        ),
    ],
)
def test_refused(params, error, match):
    net = make(**params)
    with pytest.raises(error, match=match):
        net.fit(X, Y)
    assert not net.history_ if hasattr(net, "history_") else True


def test_they_are_parameters_like_any_other():
    net = make_consistent(average_weights=True, max_epochs=3)
    again = clone(net)
    assert again.dropped == "consistency" and again.average_weights is True
    assert isinstance(again.augment, RandomCropFlip)
    a, b = (n.fit(IMAGES, Y).predict_proba(IMAGES) for n in (net, again))
    np.testing.assert_array_equal(a, b)
    restored = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(restored.predict_proba(IMAGES), a)
    net.set_params(dropped="ignore", average_weights=False, augment=None).fit(IMAGES, Y)
    grid = {"dropped": ["ignore", "pseudo-label"], "average_weights": [False, True]}
    search = GridSearchCV(make(max_epochs=3), grid, cv=2).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4


def test_off_by_default():
    net = make()
    assert (net.average_weights, net.dropped, net.augment) == (False, "ignore", None)
    net.fit(X, Y)
    assert not hasattr(net, "relabelled_indices_")
    assert "relabelled_size" not in net.history[-1]


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (lambda x: None, "makes of the first rows what the module does not take"),
        (lambda x: x.sum(), "makes of the first rows what the module does not take"),
        (lambda x: x[:1], "makes 1 rows of 2"),
    ],
)
def test_a_view_that_is_none_is_refused_before_training(augment, message):
    net = make(dropped="consistency", augment=augment)
    with pytest.raises(ValueError, match=f"augment=.*{message}"):
        net.fit(X, Y)
    assert not hasattr(net, "module_")


def test_the_average_is_as_long_as_the_call_says():
    whole = make(max_epochs=40, average_weights=True).fit(X, Y)
    call = make(max_epochs=1, average_weights=True).partial_fit(X, Y, epochs=40)
    for a, b in zip(whole.module_.parameters(), call.module_.parameters(), strict=True):
        assert torch.equal(a, b)


def test_rows_lose_their_other_labels_when_dropped_is_set_to_ignore():
    net = make(dropped="pseudo-label", reselect_every=100, max_epochs=3).fit(X, Y)
    assert len(net.relabelled_indices_) > 0
    net.set_params(dropped="ignore").partial_fit(X, Y)
    assert not hasattr(net, "relabelled_indices_")
