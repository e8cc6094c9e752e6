"""DivideMix, against a step done by hand, and scikit-learn's mixtures."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from skorch.dataset import ValidSplit
from torch import nn
from torch.nn import functional as F

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import DivideMixClassifier
from crust_sklearn.losses import GeneralizedCrossEntropyLoss
from crust_sklearn.modules import MLP, GaussianNoise

X, Y = load_digits(return_X_y=True)
X, Y = (X / 16).astype(np.float32), Y
X_TEST, Y_TEST, X, Y = X[600:1200], Y[600:1200], X[:600], Y[:600]
NOISY = make_label_noise(Y, "symmetric", 0.4, random_state=0)
ROWS = np.arange(80)


class Stretch:
    """Returns, in turn, batches as they are and larger ones."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, x):
        self.n_calls += 1
        return x if self.n_calls % 2 == 0 else 1.1 * x


def make(cls=DivideMixClassifier, module=MLP, **params):
    options = {"max_epochs": 3, "batch_size": 32, "verbose": 0, "random_state": 0}
    if issubclass(cls, DivideMixClassifier):
        options |= {"augment": GaussianNoise(0.15), "warmup_epochs": 2}
    return cls(module, **options | params)


# The warm-up -------------------------------------------------------------------------------------


def test_warmup_is_plain_training():
    ours = make(max_epochs=2, predict_by="first").fit(X, NOISY.y)
    plain = make(NoisyLabelClassifier, max_epochs=2).fit(X, NOISY.y)
    np.testing.assert_allclose(ours.predict_proba(X), plain.predict_proba(X), atol=1e-6)
    assert not hasattr(ours, "coreset_indices_")
    expected = ours.predict_proba(X)[np.arange(600), NOISY.y]
    np.testing.assert_allclose(ours.label_quality_, expected, atol=1e-6)


def test_entropy_penalty_is_added_to_the_loss_of_the_warmup():
    class Double(MLP):
        """The terms nearly cancel: what single precision leaves of them, processors differ in."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.double()

        def forward(self, x):
            return super().forward(x.double())

    options = {"batch_size": -1, "lr": 0.0, "entropy_penalty": True, "module__num_classes": 10}
    net = make(module=Double, max_epochs=1, module__in_features=X.shape[1], **options)
    net.fit(X, NOISY.y)
    expected = 0.0
    for module in (net.module_, net.peer_):
        z = module(torch.as_tensor(X)).detach()
        entropy = torch.distributions.Categorical(logits=z).entropy().mean()
        expected += (F.cross_entropy(z, torch.as_tensor(NOISY.y)) - entropy).item()
    assert net.history[-1]["train_loss"] == pytest.approx(expected, rel=1e-5)


# The division ------------------------------------------------------------------------------------


def get_posterior(module, seed, x=X, y=NOISY.y, is_fitted=np.s_[:], smoothing=0.0):
    with torch.no_grad():
        z = module.eval()(torch.as_tensor(x))
    options = {"reduction": "none", "label_smoothing": smoothing}
    losses = F.cross_entropy(z, torch.as_tensor(y), **options).double().numpy()[:, None]
    fitted = losses[is_fitted]
    low, high = fitted.min(), fitted.max()
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed)
    mixture.fit((fitted - low) / (high - low))
    return mixture.predict_proba((losses - low) / (high - low))[:, mixture.means_.argmin()]


def test_each_network_is_trained_by_the_division_of_the_other():
    net = make(lr=0.0).fit(X, NOISY.y)  # networks that stay as they begin
    seed = net.get_seed("loss mixture", 2)
    clean = net.state_.entries["clean_probability"]
    for column, module in ((0, net.peer_), (1, net.module_)):
        np.testing.assert_allclose(clean[:, column], get_posterior(module, seed), atol=1e-4)
    assert not np.allclose(clean[:, 0], clean[:, 1])
    np.testing.assert_allclose(net.label_quality_, clean.mean(axis=1))
    np.testing.assert_array_equal(net.coreset_indices_, np.flatnonzero(clean[:, 0] > 0.5))
    assert net.coreset_history_.epochs.tolist() == [2]
    assert net.history[:, "coreset_size"] == [600, 600, len(net.coreset_indices_)]
    assert net.noise_rate_ == pytest.approx(1 - clean.mean())


def test_validation_rows_are_not_judged():
    net = make(train_split=ValidSplit(5)).fit(X, NOISY.y)
    is_judged = ~np.isnan(net.state_.entries["clean_probability"]).any(axis=1)
    assert is_judged.sum() == 480
    assert is_judged[net.coreset_indices_].all()


# A step by hand ----------------------------------------------------------------------------------


def get_expected_loss(own, other, clean, share, order, weights, lambda_u, smoothing):
    """Return what one network is trained by, row after row."""
    used = [i for i in range(len(ROWS)) if weights[i] > 0]
    x = torch.as_tensor(X)
    views = [x[i] * scale for scale in (1.0, 1.1) for i in used]
    targets = []
    for i in used:
        with torch.no_grad():
            p, q = (
                sum(net(scale * x[i : i + 1]).softmax(1)[0] for scale in (1.0, 1.1)) / 2
                for net in (own, other)
            )
        y = torch.eye(10)[NOISY.y[i]]
        target = clean[i] * y + (1 - clean[i]) * p if clean[i] > 0.5 else (p + q) / 2
        targets.append(target**2 / (target**2).sum())
    targets = targets + targets
    labelled, unlabelled, predicted = [], [], []
    for place, partner in enumerate(order):
        row = used[place % len(used)]
        z = own((share * views[place] + (1 - share) * views[partner])[None])[0]
        target = share * targets[place] + (1 - share) * targets[partner]
        if clean[row] > 0.5:
            target = (1 - smoothing) * target + smoothing / 10
            labelled.append(-weights[row] * (target * z.log_softmax(0)).sum())
        else:
            unlabelled.append(((z.softmax(0) - target) ** 2).mean())
        predicted.append(z.softmax(0))
    assert len(labelled) > 10
    assert len(unlabelled) > 10
    penalty = (0.1 * (0.1 / (sum(predicted) / len(predicted))).log()).sum()
    return sum(labelled) / len(labelled) + lambda_u * sum(unlabelled) / len(unlabelled) + penalty


@pytest.mark.parametrize(("is_weighted", "smoothing"), [(False, 0.0), (True, 0.0), (False, 0.3)])
def test_one_step_by_hand(is_weighted, smoothing, monkeypatch):
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 3, len(ROWS)) * 1.0 if is_weighted else np.ones(len(ROWS))
    monkeypatch.setattr(
        DivideMixClassifier,
        "draw_mixture",
        lambda self, like: (torch.full((len(like),), 0.7), torch.arange(len(like)).flip(0)),
    )
    monkeypatch.setattr(DivideMixClassifier, "get_lambda", lambda self: 3.0)
    options = {"optimizer": torch.optim.SGD, "lr": 0.5, "batch_size": -1, "augment": Stretch()}
    options |= {"criterion__label_smoothing": smoothing}
    net = make(module__hidden_sizes=(16,), iterator_train__shuffle=False, **options)
    x, y = X[ROWS], NOISY.y[ROWS]
    sample_weight = weights if is_weighted else None
    net.partial_fit(x, y, epochs=2, classes=np.arange(10), sample_weight=sample_weight)
    nets = [copy.deepcopy(net.module_), copy.deepcopy(net.peer_)]
    net.augment.n_calls = 0
    net.partial_fit(x, y, epochs=1, sample_weight=sample_weight)

    seed, is_used = net.get_seed("loss mixture", 2), weights > 0
    weights = weights / weights.mean()
    order = np.arange(2 * is_used.sum())[::-1]
    losses = []
    for own, other in (nets, nets[::-1]):
        clean = get_posterior(other, seed, x, y, is_used, smoothing)
        loss = get_expected_loss(own, other, clean, 0.7, order, weights, 3.0, smoothing)
        losses.append(loss)
    # What is trained by the sum has to be what each is trained by alone: targets and the other
    # network have no gradient.
    for own, loss, trained in zip(nets, losses, (net.module_, net.peer_), strict=True):
        gradients = torch.autograd.grad(loss, list(own.parameters()))
        for before, gradient, after in zip(
            own.parameters(), gradients, trained.parameters(), strict=True
        ):
            torch.testing.assert_close(after, before - 0.5 * gradient, atol=2e-5, rtol=1e-3)
    total = sum(losses).item()
    assert net.history[-1]["train_loss"] == pytest.approx(total, rel=1e-4)


# In between --------------------------------------------------------------------------------------


def test_weight_of_rows_without_label_rises_after_the_warmup():
    class Watched(DivideMixClassifier):
        def get_mixed_loss(self, *args, **kwargs):
            found.append(self.get_lambda())
            return super().get_mixed_loss(*args, **kwargs)

    found = []
    make(Watched, max_epochs=5, batch_size=300, lambda_u=10.0, n_ramp=2).fit(X, NOISY.y)
    expected = [10 * min(1.0, step / 2 / 2) for step in range(6)]
    assert found == pytest.approx(np.repeat(expected, 2))  # for both networks


def test_shares_and_partners_are_drawn():
    class Watched(DivideMixClassifier):
        def draw_mixture(self, like):
            found.append(super().draw_mixture(like))
            return found[-1]

    found = []
    make(Watched, max_epochs=7, batch_size=150).fit(X, NOISY.y)
    shares = [share[0].item() for share, _ in found]
    assert len(set(shares)) == len(found) == 5 * 4 * 2
    assert min(shares) >= 0.5
    # The mean of max(b, 1 - b), of Beta(4, 4), is 1/2 + 35/256.
    assert np.mean(shares) == pytest.approx(0.637, abs=0.05)
    for share, order in found:
        assert (share == share[0]).all()
        assert order.sort().values.tolist() == list(range(2 * 150))


@pytest.mark.parametrize(("threshold", "n_kept"), [(1.0, 0), (0.0, 600)])
def test_batches_may_lack_either_part(threshold, n_kept):
    net = make(lambda_u=5.0, clean_threshold=threshold, lr=1e-4).fit(X, Y)
    assert np.isfinite(net.history[-1]["train_loss"])
    assert len(net.coreset_indices_) == n_kept


def test_only_the_network_that_is_trained_counts_for_batch_norm():
    def build(in_features, num_classes):
        return nn.Sequential(
            nn.Linear(in_features, 8), nn.BatchNorm1d(8), nn.Linear(8, num_classes)
        )

    net = make(module=build, batch_size=300, max_epochs=4).fit(X, NOISY.y)
    for module in (net.module_, net.peer_):
        # Two batches an epoch: one pass each in the warm-up; then the views, and the mixtures.
        assert module[1].num_batches_tracked == 2 * 2 + 2 * 2 * 2


# What it is for ----------------------------------------------------------------------------------


def test_finds_wrong_labels_and_beats_plain_training():
    options = {"max_epochs": 9, "lr": 0.01, "batch_size": 50}
    ours = make(warmup_epochs=3, **options).fit(X, NOISY.y)
    plain = make(NoisyLabelClassifier, **options).fit(X, NOISY.y)
    assert roc_auc_score(~NOISY.is_wrong, ours.clean_probability_) > 0.95
    assert ours.score(X_TEST, Y_TEST) > plain.score(X_TEST, Y_TEST) + 0.05
    assert ours.noise_rate_ == pytest.approx(0.4, abs=0.08)
    is_suspect = ours.label_quality_ < 0.5
    assert (ours.suggested_labels_ == Y)[is_suspect].mean() > 0.8


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"augment": "flip"},
        {"n_views": 0},
        {"warmup_epochs": 0},
        {"entropy_penalty": 1},
        {"clean_threshold": 1.5},
        {"temperature": 0.0},
        {"alpha": 0.0},
        {"lambda_u": -1.0},
        {"n_ramp": 0},
        {"predict_by": "second"},
    ],
)
def test_parameters_out_of_range(params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        make(**params).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"augment": None}, "GaussianNoise"),
        ({"augment": lambda x: x[:1]}, "makes 1 rows of 2"),
        ({"augment": lambda x: x[:, :3]}, "does not take"),
        ({"criterion": nn.NLLLoss}, "criterion=NLLLoss cannot be used"),
        ({"criterion": GeneralizedCrossEntropyLoss}, "criterion=Generalized.* cannot be used"),
        ({"criterion__ignore_index": 1}, "criterion=CrossEntropyLoss cannot be used"),
        ({"criterion__weight": torch.ones(10)}, "criterion__weight"),
        ({"criterion__reduction": "sum"}, "criterion__reduction='sum'"),
    ],
)
def test_what_does_not_go_with_it(params, message):
    net = make(**params)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    assert not hasattr(net, "label_quality_")


def test_augment_can_be_set_to_a_module_at_any_time():
    net = make(max_epochs=1)
    for std in (0.1, 0.2):  # before and after the net is initialized
        augment = GaussianNoise(std)
        assert net.set_params(augment=augment).fit(X[:60], Y[:60]).augment is augment
        assert "augment" not in net.prefixes_


def test_inputs_that_cannot_be_mixed():
    class Tokens(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.embedding = nn.EmbeddingBag(20, num_classes)

        def forward(self, x):
            return self.embedding(x)

    with pytest.raises(TypeError, match="cannot take mixtures"):
        make(module=Tokens, augment=torch.clone).fit((16 * X).astype(np.int64), Y)
