"""What every criterion of the package has in common."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier, losses
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

X, Y = load_digits(n_class=4, return_X_y=True)
X, Y = (X[:200] / 16).astype(np.float32), Y[:200]
Z = 2 * torch.randn(24, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
T = 0.6 * np.eye(4) + 0.3 * np.roll(np.eye(4), 1, axis=1) + 0.025
CASES = {
    "gce": (losses.GeneralizedCrossEntropyLoss, {"q": 0.5}),
    "sce": (losses.SymmetricCrossEntropyLoss, {"alpha": 0.5}),
    "soft": (losses.BootstrappingLoss, {"kind": "soft"}),
    "hard": (losses.BootstrappingLoss, {"kind": "hard"}),
    "forward": (losses.ForwardCorrectedLoss, {"transition_matrix": T}),
    "backward": (losses.BackwardCorrectedLoss, {"transition_matrix": T}),
    "dmi": (losses.DMILoss, {"epsilon": 0.01}),
}
PER_EXAMPLE = [name for name in CASES if name != "dmi"]
CORRECTED = ["forward", "backward"]
LABELS = torch.arange(24) % 4


def make(name, **params):
    cls, own = CASES[name]
    return cls(**own | params)


def make_net(cls, name):
    criterion, params = CASES[name]
    params = {f"criterion__{key}": value for key, value in params.items()}
    params |= {"module__in_features": 64, "module__num_classes": 4, "module__hidden_sizes": (16,)}
    params |= {"max_epochs": 2, "lr": 0.05, "batch_size": 50, "verbose": 0}
    return cls(MLP, criterion=criterion, **params)


def test_every_criterion_is_tried():
    assert {cls.__name__ for cls, _ in CASES.values()} == set(losses.__all__)


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_reductions(name):
    each = make(name, reduction="none")(Z, LABELS)
    assert each.shape == (24,)
    torch.testing.assert_close(make(name, reduction="sum")(Z, LABELS), each.sum())
    torch.testing.assert_close(make(name)(Z, LABELS), each.mean())
    alone = [make(name)(Z[i : i + 1], LABELS[i : i + 1]) for i in range(24)]
    torch.testing.assert_close(torch.stack(alone), each)


@pytest.mark.parametrize("name", CASES)
def test_a_reduction_that_is_none_of_torchs(name):
    with pytest.raises(ValueError, match="reduction='median'"):
        make(name, reduction="median")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_finite_differences(name, reduction):
    z, criterion = Z.clone().requires_grad_(), make(name, reduction=reduction)
    assert torch.autograd.gradcheck(lambda z: criterion(z, LABELS), z)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e8])
def test_extreme_logits(name, dtype, scale):
    z = (scale * Z).to(dtype).requires_grad_()
    loss = make(name)(z, LABELS)
    loss.backward()
    assert loss.isfinite() and loss.dtype == dtype
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cls", [NeuralNetClassifier, NoisyLabelClassifier])
def test_a_net_trains_by_it_and_gives_probabilities(cls, name):
    net = make_net(cls, name).fit(X, Y)
    assert np.isfinite(net.history[:, "train_loss"]).all()
    logits = torch.as_tensor(net.forward(X))
    np.testing.assert_allclose(net.predict_proba(X), logits.softmax(dim=1), rtol=1e-5)


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_a_method_that_weighs_and_mixes_rows(name):
    net = make_net(CRUSTClassifier, name)
    net.set_params(**REFERENCE | {"warmup_epochs": 1}).fit(X, Y, np.arange(1, 201))
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert net.criterion_.reduction == "mean"


@pytest.mark.parametrize("name", CASES)
def test_clone_and_pickle_and_copy_of_a_net(name):
    net = make_net(NeuralNetClassifier, name).fit(X, Y)
    z, y = Z.float(), LABELS
    expected = net.criterion_(z, y)
    assert pickle.loads(pickle.dumps(net)).criterion_(z, y) == expected
    assert copy.deepcopy(net).criterion_(z, y) == expected
    assert clone(net).initialize().criterion_(z, y) == expected


@pytest.mark.parametrize("name", CORRECTED)
def test_a_search_over_matrices(name):
    net = make_net(NeuralNetClassifier, name)
    grid = {"criterion__transition_matrix": [np.eye(4), T]}
    search = GridSearchCV(net, grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 2
    best = search.best_params_["criterion__transition_matrix"]
    found = search.best_estimator_.criterion_.transition_matrix
    np.testing.assert_allclose(found, best, rtol=1e-6)


@pytest.mark.parametrize("name", CORRECTED)
def test_another_matrix_for_a_net_that_is_trained(name):
    net = make_net(NeuralNetClassifier, name).fit(X, Y)
    net.set_params(criterion__transition_matrix=np.eye(4, dtype=np.float32))
    assert net.criterion_(Z.float(), LABELS).item() == pytest.approx(
        torch.nn.functional.cross_entropy(Z.float(), LABELS).item()
    )
    repr(net)
