"""The default: the coreset is the rows whose label the other rows bear out."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_predict
from torch import nn

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.label_noise import LabelQuality
from crust_sklearn.modules import MLP

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y
IS_WRONG = Y != TRUE


def make(module=MLP, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = {"max_epochs": 5, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(module, **defaults | params)


def get_quality(net):
    return net.state_.load("label_quality", LabelQuality)


def get_trusted(net):
    return np.flatnonzero(get_quality(net).is_trusted)


def get_weights(net):
    return np.concatenate([p.detach().numpy().ravel() for p in net.module_.parameters()])


def test_parameters():
    params = make().get_params()
    expected = {
        "selector": "smallest-norm",
        "coreset_size": "auto",
        "warmup_epochs": "auto",
        "reselect_every": 3,
        "gradient": "leave-one-out",
        "group_by": "label",
        "coreset_weight": "uniform",
        "mixup": None,
        "train_split": None,
        "random_state": 0,
    }
    assert {name: params[name] for name in expected} == expected
    assert "has_auto_size" not in params and "judges_labels" not in params


# S2
@pytest.mark.parametrize("group_by", ["label", "prediction", None])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_coreset_is_the_trusted_rows(share, group_by):
    y = make_label_noise(TRUE, "symmetric", share, random_state=1).y
    net = make(group_by=group_by).fit(X, y)
    np.testing.assert_array_equal(net.coreset_indices_, get_trusted(net))


def test_coreset_is_the_trusted_rows_of_each_selection():
    trusted = []

    class Watched(CRUSTClassifier):
        def select(self, epoch):
            plan = super().select(epoch)
            trusted.append(get_trusted(self).tolist())
            return plan

    net = Watched(**make(max_epochs=9).get_params(deep=False)).fit(X, Y)
    assert net.coreset_history_.epochs.tolist() == [1, 4, 7]
    found = [net.coreset_history_.get_indices(at).tolist() for at in range(3)]
    assert found == trusted
    assert found[0] != found[2]
    sizes = [len(rows) for rows in trusted]
    assert net.history[:, "coreset_size"] == [N, *np.repeat(sizes, [3, 3, 2])]


def test_coreset_holds_few_wrong_labels():
    net = make().fit(X, Y)
    assert np.mean(IS_WRONG[net.coreset_indices_]) < 0.05 < 0.25 < IS_WRONG.mean()
    assert len(net.coreset_indices_) > 0.6 * N


def test_fitted_attributes():
    net = make(max_epochs=9).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_weights_, 1.0)
    quality = net.label_quality_
    assert quality.shape == (N,) and quality.dtype == np.float64
    assert ((quality >= 0) & (quality <= 1)).all()
    np.testing.assert_array_equal(net.suggested_labels_ != Y, quality < 0.5)
    np.testing.assert_array_equal(net.given_labels_, Y)
    assert isinstance(net.noise_rate_, float)
    assert get_quality(net).n_updates == 3  # before epochs 1, 4 and 7


def test_predictions_are_those_of_the_last_layers_inputs_and_of_the_inputs():
    # Independently: a probe of both, refitted without some rows, predicts the same classes.
    net = make(warmup_epochs=4).fit(X, Y)
    module = make(max_epochs=4, coreset_size=1.0, warmup_epochs=0).fit(X, Y).module_
    with torch.no_grad():
        features = module.hidden(torch.as_tensor(X)).numpy()
    blocks = [block - block.mean(axis=0) for block in (features, X)]
    both = np.hstack([block / block.std() for block in blocks])
    found = cross_val_predict(RidgeClassifier(), both, Y, cv=20)
    assert np.mean(found == get_quality(net).predictions.argmax(axis=1)) > 0.95


@pytest.fixture
def judged(monkeypatch):
    """The features that each selection judges by."""
    seen, update = [], LabelQuality.update
    monkeypatch.setattr(
        LabelQuality, "update", lambda q, h, **params: seen.append(h) or update(q, h, **params)
    )
    return seen


def test_inputs_take_part_in_the_first_selection_alone(judged):
    make(max_epochs=8, module__hidden_sizes=(16,)).fit(X, Y)
    assert [h.shape for h in judged] == [(N, 16 + 4), (N, 16), (N, 16)]
    # As they are, but for their place and unit.
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(judged[0][:, 16:], centred / centred.std(), atol=1e-4)
    assert np.mean(judged[0][:, :16] ** 2) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "rows",
    [(10 * X).astype(np.int64), {"x": X}],
    ids=["integers", "dict"],
)
def test_inputs_that_are_no_vectors_of_real_numbers_take_no_part(rows, judged):
    class AnyInput(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.fc = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.fc(self.hidden(x.flatten(1).float()).relu())

    make(AnyInput, max_epochs=2, lr=0.01).fit(rows, Y)
    assert [h.shape for h in judged] == [(N, 5)]


@pytest.mark.parametrize(
    "params", [{}, {"selector": "centrality", "gradient": "features"}], ids=str
)
def test_where_the_first_selection_finds_no_noise_all_rows_are_kept_for_good(params, judged):
    net = make(max_epochs=8, **params).fit(X, TRUE)
    assert len(judged) == 1  # there is nothing to choose any more
    assert net.coreset_history_.epochs.tolist() == [1]
    assert net.history[:, "coreset_size"] == [N] * 8


# -- the noise rate ---------------------------------------------------------------------------


# S5
@pytest.mark.parametrize("share", [0.0, 0.15, 0.3, 0.5])
def test_noise_rate_is_the_expected_share_of_wrong_labels(share):
    y = make_label_noise(TRUE, "symmetric", share, random_state=1).y
    net = make(max_epochs=7).fit(X, y)
    assert net.noise_rate_ == pytest.approx(np.mean(1 - net.label_quality_))
    assert net.noise_rate_ == pytest.approx(np.mean(y != TRUE), abs=0.05)


def test_noise_rate_rises_with_the_noise():
    rates = [
        make(max_epochs=7)
        .fit(X, make_label_noise(TRUE, "symmetric", share, random_state=1).y)
        .noise_rate_
        for share in (0.0, 0.15, 0.3, 0.5)
    ]
    assert rates == sorted(rates)


def test_noise_rate_is_by_weight():
    weights = np.random.default_rng(0).integers(0, 4, N).astype(float)
    net = make().fit(X, Y, sample_weight=weights)
    expected = np.average(1 - net.label_quality_, weights=weights)
    assert net.noise_rate_ == pytest.approx(expected)
    assert net.noise_rate_ != pytest.approx(np.mean(1 - net.label_quality_))


# -- what it is good for ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels


HARD = {"optimizer": torch.optim.SGD, "lr": 0.05, "optimizer__momentum": 0.9, "max_epochs": 20}
HARD |= {"module__hidden_sizes": (256, 128), "batch_size": 32}


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
            for size in ("auto", 1.0)
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


def test_seed_makes_it_reproducible():
    params = {"module__dropout": 0.2, "iterator_train__shuffle": True}
    a, b = (make(**params).fit(X, Y) for _ in "ab")
    np.testing.assert_array_equal(get_weights(a), get_weights(b))
    np.testing.assert_array_equal(a.label_quality_, b.label_quality_)
    np.testing.assert_array_equal(a.coreset_indices_, b.coreset_indices_)
    other = make(**params, random_state=1).fit(X, Y)
    assert not np.array_equal(other.label_quality_, a.label_quality_)


def test_leave_one_out_is_not_what_the_network_has_memorized():
    overlapping = X + np.random.default_rng(0).normal(0, 4, X.shape).astype(np.float32)
    params = {"coreset_size": 0.3, "max_epochs": 3, "lr": 0.3}
    net = make(**params).fit(overlapping, Y)
    rows = net.coreset_indices_
    norms = np.linalg.norm(get_quality(net).predictions - np.eye(3)[Y], axis=1)
    for members in (np.flatnonzero(np.equal(Y, label)) for label in range(3)):
        chosen = np.isin(members, rows)
        assert norms[members[chosen]].max() <= norms[members[~chosen]].min() + 1e-6
    logits = make(gradient="logits", **params).fit(overlapping, Y)
    assert len(np.setdiff1d(logits.coreset_indices_, rows)) > 2


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
    np.testing.assert_array_equal(net.coreset_indices_, get_trusted(net))
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.08)


class Convolutional(nn.Module):
    """No linear layer at all: a convolution makes the logits."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv1d(4, 3, 1)

    def forward(self, X):
        return self.head(X[:, :, None])[:, :, 0]


def test_without_a_last_linear_layer_the_output_is_what_goes_in(monkeypatch):
    net = make(Convolutional).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, get_trusted(net))
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.06)
    seen, update = [], LabelQuality.update
    monkeypatch.setattr(
        LabelQuality, "update", lambda q, h, **params: seen.append(h) or update(q, h, **params)
    )
    net.set_params(reselect_every=1)
    before = net.predict_proba(X)  # of softmax
    net.partial_fit(X, Y)
    np.testing.assert_allclose(torch.as_tensor(seen[0]).softmax(1).numpy(), before, atol=1e-5)


def test_wide_features():
    net = make(module__hidden_sizes=(600,), lr=0.02).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, get_trusted(net))
    assert net.noise_rate_ == pytest.approx(IS_WRONG.mean(), abs=0.1)


# F13
def test_trusted_rows_that_are_fewer_than_a_batch_are_one_short_batch():
    net = make(batch_size=230, iterator_train__drop_last=True).fit(X, Y)
    assert len(net.coreset_indices_) < 230
    sizes = [[b["train_batch_size"] for b in row["batches"]] for row in net.history]
    assert sizes == [[230], *[[size] for size in net.history[1:, "coreset_size"]]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_labels_are_judged_on_the_modules_device(monkeypatch):
    def record(quality, features, update=LabelQuality.update):
        devices.append(features.device.type)
        return update(quality, features)

    devices, on_cpu = [], get_quality(make().fit(X, Y))
    monkeypatch.setattr(LabelQuality, "update", record)
    on_gpu = make(device="cuda").fit(X, Y)
    assert set(devices) == {"cuda"}
    np.testing.assert_allclose(get_quality(on_gpu).predictions, on_cpu.predictions, atol=0.05)
