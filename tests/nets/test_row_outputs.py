"""One pass of the current network over the rows: each row's own, and nothing left behind."""

import numpy as np
import pytest
import skorch.dataset
import torch
from sklearn.datasets import make_blobs
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import Subset

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets import row_outputs
from crust_sklearn.nets.row_outputs import (
    compute_row_losses,
    compute_row_outputs,
    compute_row_probabilities,
)

N = 60
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
DATASET = skorch.dataset.Dataset(X, Y)


def make(module=MLP, cls=NoisyLabelClassifier, **params):
    """Return a net that is ready to train."""
    defaults = {"batch_size": 16, "verbose": 0, "random_state": 0, "max_epochs": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (8,)
    return cls(module, **defaults | params).fit(X, Y)


def at_logits(net, rows=slice(None)):
    return net.predict_proba(X[rows]).astype(np.float64) - np.eye(3)[Y[rows]]


@pytest.mark.filterwarnings("ignore:You set iterator_valid__shuffle=True")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_size": -1},
        {"batch_size": 7},
        {"iterator_valid__shuffle": True},
        {"iterator_valid__drop_last": True},
        {"iterator_valid__batch_size": 11},
        {"iterator_valid__sampler": [5, 4, 3]},
        {"iterator_valid__num_workers": 1},
        {"module__dropout": 0.9},
    ],
    ids=str,
)
def test_rows_are_in_order_and_all_there(params):
    outputs = compute_row_outputs(make(**params), DATASET, gradient="logits")
    plain = make(module__dropout=params.get("module__dropout", 0.0))
    np.testing.assert_allclose(outputs.gradients, at_logits(plain), atol=1e-6)
    np.testing.assert_array_equal(outputs.predicted, plain.predict(X))
    np.testing.assert_allclose(outputs.confidence, plain.predict_proba(X).max(axis=1), atol=1e-6)
    hidden = plain.module_.eval()(torch.as_tensor(X))  # logits, of which the features are not part
    assert outputs.features.shape == (N, 8)
    layer = plain.module_.fc
    found = outputs.features @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(found, hidden.detach(), atol=1e-5)
    assert outputs.metric is None


def test_rows_of_a_subset_of_a_subset():
    outer, inner = np.random.RandomState(0).permutation(N)[:40], np.arange(40)[::-3]
    net = make()
    outputs = compute_row_outputs(net, Subset(Subset(DATASET, outer), inner), gradient="logits")
    np.testing.assert_allclose(outputs.gradients, at_logits(net, outer[inner]), atol=1e-6)


def test_without_a_gradient_there_is_none():
    outputs = compute_row_outputs(make(), DATASET)
    assert outputs.gradients is None
    assert outputs.features.shape == (N, 8)


def test_gradients_of_the_last_layer_have_their_own_distance():
    outputs = compute_row_outputs(make(), DATASET, gradient="last-layer")
    assert outputs.gradients.shape == (N, 3 + 8)
    assert outputs.metric.n_left == 3


@pytest.mark.parametrize("params", [{}, {"iterator_valid__batch_size": 11}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_inputs_that_are_vectors_are_returned_if_asked_for(params, dtype):
    rows = X.astype(dtype)
    net, dataset = make(**params), skorch.dataset.Dataset(rows, Y)
    if dtype == np.float16:
        net.module_.half()
    outputs = compute_row_outputs(net, dataset, with_inputs=True)
    np.testing.assert_array_equal(outputs.inputs, rows.astype(np.float32))
    assert outputs.inputs.dtype == np.float32
    assert compute_row_outputs(net, dataset).inputs is None


class AnyInput(nn.Module):
    """Takes vectors, images, integers, or a vector by its name."""

    def __init__(self, in_features=4):
        super().__init__()
        self.fc = nn.Linear(in_features, 3)

    def forward(self, x):
        return self.fc(x.flatten(1).float())


@pytest.mark.parametrize(
    "rows",
    [np.tile(X[:, :, None, None], (1, 1, 12, 12)), (10 * X).astype(np.int64), {"x": X}],
    ids=["images", "integers", "dict"],
)
def test_other_inputs_are_not_returned(rows):
    n_features = 4 if isinstance(rows, dict) else rows[0].size
    net = make(AnyInput, module__in_features=n_features)
    outputs = compute_row_outputs(net, skorch.dataset.Dataset(rows, Y), with_inputs=True)
    assert outputs.inputs is None
    assert outputs.features.shape == (N, n_features)


@pytest.mark.parametrize("rows", [X[:, :, None], X.reshape(-1, 1, 2, 2)], ids=["series", "images"])
def test_small_arrays_are_returned_as_vectors(rows):
    net = make(AnyInput, module__in_features=4)
    outputs = compute_row_outputs(net, skorch.dataset.Dataset(rows, Y), with_inputs=True)
    np.testing.assert_array_equal(outputs.inputs, X)


class Series(torch.utils.data.Dataset):
    """Of different lengths."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return torch.as_tensor(X[i, : 1 + i % 4]), int(Y[i])


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 3)

    def forward(self, x):
        return self.fc(x.mean(dim=1, keepdim=True))


def pad(items):
    rows = torch.nn.utils.rnn.pad_sequence([x for x, _ in items], batch_first=True)
    return rows, torch.tensor([y for _, y in items])


def test_inputs_padded_to_other_widths_are_not_returned():
    # Batches of one row: widths from 1 to 4.
    net = make(Mean, iterator_valid__collate_fn=pad, iterator_valid__batch_size=1)
    outputs = compute_row_outputs(net, Series(), with_inputs=True)
    assert outputs.inputs is None
    assert outputs.features.shape == (N, 1)


class LongAndShort(torch.utils.data.Dataset):
    """Series of two columns: the even rows are of more than 512 numbers, the odd ones of less."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return torch.as_tensor(np.tile(X[i, :2], (300 if i % 2 == self.first else 4, 1))), int(Y[i])

    def __init__(self, first):
        self.first = first


class MeanOfTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(x.mean(dim=1))


@pytest.mark.parametrize("first", [0, 1])
def test_inputs_of_which_some_batches_are_too_long_are_not_returned(first):
    net = make(MeanOfTwo, iterator_valid__batch_size=1)
    outputs = compute_row_outputs(net, LongAndShort(first), with_inputs=True)
    assert outputs.inputs is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_not_returned(value):
    class Imputing(MLP):
        def forward(self, X):
            return super().forward(torch.nan_to_num(X, 0.0, 0.0, 0.0))

    rows = X.copy()
    rows[3, 2] = value
    outputs = compute_row_outputs(make(Imputing), skorch.dataset.Dataset(rows, Y), with_inputs=True)
    assert outputs.inputs is None
    assert np.isfinite(outputs.features).all()


def test_inputs_of_more_than_a_gigabyte_are_not_returned(monkeypatch):
    for limit, is_there in ((N * 4, True), (N * 4 - 1, False)):
        monkeypatch.setattr(row_outputs, "MAX_INPUTS", limit)
        outputs = compute_row_outputs(make(), DATASET, with_inputs=True)
        assert (outputs.inputs is not None) == is_there


@pytest.mark.parametrize("gradient", ["features", None])
def test_a_named_layer_counts(gradient):
    net = make()
    names = [name for name, m in net.module_.named_modules() if isinstance(m, nn.Linear)]
    outputs = compute_row_outputs(net, DATASET, gradient=gradient, gradient_layer=names[0])
    np.testing.assert_array_equal(outputs.features, X)


def test_losses_of_a_method_are_given_the_numbers_of_the_rows():
    class Scaled(NoisyLabelClassifier):
        def get_losses(self, y_pred, y_true, rows):
            return super().get_losses(y_pred, y_true, rows) * (rows + 1)

    net, numbers = make(cls=Scaled), 5 * np.arange(N)
    outputs = compute_row_outputs(net, DATASET, numbers=numbers, gradient="logits")
    expected = at_logits(make()) * (numbers + 1)[:, None]
    np.testing.assert_allclose(outputs.gradients, expected, rtol=1e-4, atol=1e-5)


def test_a_get_loss_of_ones_own_is_differentiated():
    class Doubled(NoisyLabelClassifier):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            return 2 * super().get_loss(y_pred, y_true, X=X, training=training)

    outputs = compute_row_outputs(make(cls=Doubled), DATASET, gradient="logits")
    np.testing.assert_allclose(outputs.gradients, 2 * at_logits(make()), atol=1e-5)


def test_forward_is_given_the_fit_params():
    class Scaled(nn.Module):
        def __init__(self, in_features=4, num_classes=3):
            super().__init__()
            self.fc = nn.Linear(in_features, num_classes)

        def forward(self, x, scale=1.0):
            return scale * self.fc(x)

    net = make(Scaled)
    plain, scaled = (compute_row_outputs(net, DATASET, scale=s).predicted for s in (1.0, -1.0))
    logits = net.forward(X).numpy()
    np.testing.assert_array_equal(plain, logits.argmax(axis=1))
    np.testing.assert_array_equal(scaled, logits.argmin(axis=1))


@pytest.mark.parametrize("gradient", ["logits", "features", "last-layer", None])
def test_what_is_not_finite_stops_training(gradient):
    net = make()
    with torch.no_grad():
        net.module_.fc.weight.fill_(float("nan"))
        next(iter(net.module_.parameters())).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="gradients before the first epoch.*Is X finite"):
        compute_row_outputs(net, DATASET, gradient=gradient)


@pytest.mark.parametrize("gradient", ["logits", "features", "last-layer", None])
def test_module_and_generators_are_left_as_they_were(gradient):
    net = make(module__dropout=0.5, iterator_train__shuffle=True)
    net.module_.train()
    before = {name: p.clone() for name, p in net.module_.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    compute_row_outputs(net, DATASET, gradient=gradient)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert all(p.grad is None and p.requires_grad for p in net.module_.parameters())
    assert all(part.training for part in net.module_.modules())
    for name, p in net.module_.state_dict().items():
        assert torch.equal(p, before[name])


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_losses_are_those_of_the_training_rows_in_eval_mode(criterion):
    class Noting(CRUSTClassifier):
        def plan_epoch(self, epoch):
            self.kept_ = compute_row_losses(self), self.training_.rows

    net = make(
        cls=Noting,
        max_epochs=1,
        lr=0.0,
        criterion=criterion,
        module__dropout=0.5,
        train_split=ValidSplit(4, stratified=True),
        iterator_train__shuffle=True,
        warmup_epochs=0,
    )
    losses, rows = net.kept_
    assert losses.dtype == np.float64
    assert len(rows) == N * 3 // 4
    with torch.no_grad():
        logits = net.module_.eval()(torch.as_tensor(X[rows]))
        expected = criterion(reduction="none")(logits, torch.as_tensor(Y[rows]))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


class Softmax(MLP):
    """Returns probabilities, as NLLLoss of skorch takes them."""

    def __init__(self, in_features=4, num_classes=3):
        super().__init__(in_features, num_classes, hidden_sizes=(8,), dropout=0.5)

    def forward(self, X):
        return super().forward(X).softmax(dim=1)


@pytest.mark.filterwarnings("ignore:You set iterator_valid__shuffle=True")
@pytest.mark.parametrize(
    "params",
    [
        {"module__dropout": 0.5},
        {"module": Softmax, "criterion": nn.NLLLoss},
        {"batch_size": 7, "iterator_valid__shuffle": True, "iterator_valid__drop_last": True},
        {"iterator_valid__batch_size": 7},
    ],
    ids=["logits", "probabilities", "shuffled", "batches"],
)
def test_probabilities_are_those_predicted_for_the_training_rows(params):
    class Noting(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            self.kept_ = compute_row_probabilities(self), self.training_.rows
            assert self.module_.training

    split = ValidSplit(4, stratified=True)
    net = make(cls=Noting, max_epochs=1, lr=0.0, train_split=split, **params)
    found, rows = net.kept_
    assert found.dtype == np.float32
    assert found.shape == (N * 3 // 4, 3)
    with torch.no_grad():
        output = net.module_.eval()(torch.as_tensor(X[rows]))
    expected = output if "criterion" in params else output.softmax(dim=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_probabilities_of_rows_that_selection_sees_plain():
    class Noting(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            self.kept_ = compute_row_probabilities(self)

    options = {"max_epochs": 1, "lr": 0.0, "verbose": 0, "random_state": 0}
    net = Noting(MLP, selection_dataset=skorch.dataset.Dataset(X, Y), **options).fit(X + 5, Y)
    np.testing.assert_allclose(net.kept_, net.predict_proba(X), rtol=1e-5)


def test_forward_is_given_the_fit_params_for_probabilities():
    class Flat(nn.Module):
        def __init__(self, in_features=4, num_classes=3):
            super().__init__()
            self.fc = nn.Linear(in_features, num_classes)

        def forward(self, x, scale=1.0):
            return scale * self.fc(x)

    class Noting(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            self.kept_ = compute_row_probabilities(self)

    net = Noting(Flat, max_epochs=1, verbose=0, random_state=0).fit(X, Y, scale=0.0)
    np.testing.assert_allclose(net.kept_, 1 / 3, rtol=1e-6)
