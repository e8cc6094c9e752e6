"""What cannot work is refused before any training, by a sentence that says what to do."""

import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from crust_sklearn import CRUSTClassifier, EpochPlan, NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets.loss_gradients import loss_gradients

X, Y = load_digits(return_X_y=True)
X, Y = (X[:120] / 16).astype(np.float32), Y[:120]


def make(module=MLP, cls=CRUSTClassifier, **params):
    defaults = {"max_epochs": 3, "lr": 0.1, "verbose": 0, "random_state": 0}
    return cls(module, **defaults | params)


def assert_refused(match, *data, error=ValueError, **params):
    """Refused by every net of the trunk."""
    for cls in (CRUSTClassifier, NoisyLabelClassifier):
        with pytest.raises(error, match=match):
            make(cls=cls, **params).fit(*data)


# F6
@pytest.mark.parametrize(
    "bad",
    [
        {"gradient_layer": "nope", "gradient": "features"},
        {"gradient": "nope"},
        {"max_epochs": "3"},
        {"batch_size": 200, "iterator_train__drop_last": True},
    ],
)
def test_refused_fit_leaves_the_net_as_it_was(bad):
    net = make(max_epochs=8, module__hidden_sizes=(32,)).fit(X, Y)
    score, epochs, coreset = net.score(X, Y), len(net.history), net.coreset_indices_
    good = net.get_params()
    with pytest.raises((ValueError, TypeError)):
        net.set_params(**bad).fit(X, Y)
    assert net.score(X, Y) == score
    assert len(net.history) == epochs
    assert net.coreset_indices_ is coreset
    net.set_params(**{name: good[name] for name in bad if name in good})


def test_fit_on_one_class_leaves_the_net_as_it_was():
    net = make(max_epochs=8).fit(X, Y)
    score = net.score(X, Y)
    with pytest.raises(ValueError, match="one class only"):
        net.fit(X, np.zeros(len(X), int))
    assert net.score(X, Y) == score


# F12, F13
@pytest.mark.parametrize("warmup_epochs", [1, 9])
@pytest.mark.filterwarnings("ignore:warmup_epochs")
def test_batch_larger_than_the_training_rows_with_drop_last(warmup_epochs):
    net = make(batch_size=121, iterator_train__drop_last=True, warmup_epochs=warmup_epochs)
    with pytest.raises(ValueError, match="120 training rows are fewer than batch_size=121"):
        net.fit(X, Y)


def test_coreset_smaller_than_a_batch_is_a_short_batch():
    net = make(batch_size=100, iterator_train__drop_last=True, coreset_size=0.3, max_epochs=4)
    net.fit(X, Y)
    assert [row["train_batch_count"] for row in net.history] == [1, 1, 1, 1]
    assert net.history[-1, "batches", 0, "train_batch_size"] == len(net.coreset_indices_) < 100


# F17
class Normalized(nn.Module):
    def __init__(self, in_features=64, num_classes=10):
        super().__init__()
        self.norm, self.fc = nn.BatchNorm1d(in_features), nn.Linear(in_features, num_classes)

    def forward(self, x):
        return self.fc(self.norm(x))


def test_no_batch_of_one_row_where_the_module_normalizes():
    net = make(Normalized, batch_size=17, coreset_size=35, group_by=None, max_epochs=4)
    net.fit(X[:103], Y[:103])  # 103 = 6 * 17 + 1, 35 = 2 * 17 + 1
    sizes = [b["train_batch_size"] for row in net.history for b in row["batches"]]
    assert min(sizes) > 1
    assert sum(sizes) == 103 + 3 * 35


def test_coreset_of_one_row_where_the_module_normalizes():
    net = make(Normalized, coreset_size=1, group_by=None)
    with pytest.raises(ValueError, match="one row.*Raise coreset_size"):
        net.fit(X, Y)


# Datasets
class Items(torch.utils.data.Dataset):
    """A dataset of a user's own, its labels where he likes."""

    def __init__(self, item=lambda i: (X[i], Y[i]), n=120, **attributes):
        self.item, self.n = item, n
        vars(self).update(attributes)

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.item(i)


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


@pytest.mark.parametrize("dataset", [Items(), TensorDataset(torch.as_tensor(X))])
def test_dataset_whose_labels_cannot_be_read(dataset):
    assert_refused(r"labels of X=\w+ cannot be read.*fit\(dataset, y\)", dataset)


def test_dataset_of_rows_alone_takes_labels_apart():
    net = make(max_epochs=8).fit(TensorDataset(torch.as_tensor(X)), Y)
    assert net.predict(X).shape == (120,)
    assert np.array_equal(net.classes_, np.unique(Y))


def test_continuous_labels_in_a_dataset():
    dataset = TensorDataset(torch.as_tensor(X), torch.rand(len(X)))
    assert_refused("continuous", dataset)


def test_iterable_dataset():
    assert_refused(
        "Stream is an IterableDataset.*__getitem__ and __len__", Stream(), error=TypeError
    )


def test_empty_dataset():
    assert_refused("is empty", TensorDataset(torch.empty(0, 64), torch.empty(0, dtype=int)))


def test_items_of_three():
    dataset = Items(item=lambda i: (X[i], X[i], Y[i]), targets=Y)
    assert_refused("items of 3.*dict", dataset)


# F4
@pytest.mark.parametrize(
    "attributes", [{"targets": (Y + 1) % 10}, {"y": np.roll(Y, 1)}], ids=["targets", "y"]
)
def test_items_that_disagree_with_the_labels_of_a_dataset(attributes):
    assert_refused(r"disagree with its labels.*fit\(dataset, y\)", Items(**attributes))


def test_labels_given_apart_count_where_items_disagree():
    net = make(max_epochs=8).fit(Items(targets=(Y + 1) % 10), Y)
    np.testing.assert_array_equal(net.given_labels_, Y)


# Modules
class Returns(nn.Module):
    def __init__(self, wrap, num_classes=10):
        super().__init__()
        self.wrap, self.fc = wrap, nn.Linear(64, num_classes)

    def forward(self, x):
        return self.wrap(self.fc(x))


@pytest.mark.parametrize(
    "wrap", [lambda z: [z], lambda z: {"out": z}, lambda z: z.detach().numpy()]
)
def test_module_that_returns_no_logits(wrap):
    assert_refused(
        "module=Returns returns a .*attribute `logits`", X, Y, module=Returns(wrap), error=TypeError
    )


@pytest.mark.parametrize("wrap", [lambda z: (z, z), lambda z: SimpleNamespace(logits=z)])
@pytest.mark.parametrize("gradient", ["leave-one-out", "features"])
def test_module_that_returns_logits_and_more(wrap, gradient):
    nets = [
        make(Returns, module__wrap=w, gradient=gradient, train_split=ValidSplit(3)).fit(X, Y)
        for w in (wrap, lambda z: z)
    ]
    found, expected = (net.predict_proba(X) for net in nets)
    np.testing.assert_array_equal(found, expected)


def test_module_of_one_logit():
    y = (Y > 4).astype(int)
    module = Returns(lambda z: z.squeeze(1), num_classes=1)
    assert_refused(
        "needs one column per class.*two columns with CrossEntropyLoss", X, y, module=module
    )
    assert_refused(
        "two columns with CrossEntropyLoss", X, y, module=module, criterion=nn.BCEWithLogitsLoss
    )


def test_module_that_fails_on_the_rows():
    assert_refused(
        "fails on the first rows of X.*shape", X, Y, module=Returns(lambda z: z.view(7, 7))
    )


def test_bfloat16_module_takes_float32_rows():
    net = make(MLP(64, 10).bfloat16(), max_epochs=2).fit(X, Y)
    assert net.predict(X).shape == (120,)


# Arrays and tables
def test_series_as_rows():
    assert_refused("X is a Series.*to_frame", pd.Series(X[:, 0]), Y)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b"] * 60, dtype="category"),
        pd.Series(["a", "b"] * 60),
        pd.Series([datetime.datetime(2020, 1, 1)] * 120),
    ],
    ids=["category", "string", "datetime"],
)
def test_columns_that_are_no_numbers(column):
    assert_refused(
        "columns \\['kind'\\].*ColumnTransformer", pd.DataFrame({"a": X[:, 0], "kind": column}), Y
    )


def test_dates_in_an_array():
    assert_refused("dates", np.full((120, 2), np.datetime64("2020-01-01")), Y)


def test_complex_tensor():
    assert_refused("complex", torch.as_tensor(X).to(torch.complex64), Y)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(">f4"),
        lambda X: X[::-1][::-1],
        lambda X: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
        lambda X: X.astype(np.longdouble),
        lambda X: X.astype(np.float64),
    ],
    ids=["big-endian", "reversed twice", "reversed columns", "longdouble", "float64"],
)
def test_arrays_of_other_layouts_give_the_same_net(convert):
    expected = make().fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(
        make().fit(convert(X), Y).predict_proba(convert(X)), expected, atol=1e-6
    )


def test_bytes_of_images():
    images = (X * 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    # Floats of so few numbers would be judged as vectors.
    params = {"lr": 0.01, "warmup_epochs": 1}
    expected = make(**params).fit(images.astype(np.float32), Y).predict_proba(images)
    np.testing.assert_array_equal(make(**params).fit(images, Y).predict_proba(images), expected)


# Labels and weights
@pytest.mark.parametrize("classes", [3, [0, 1, None], []], ids=["number", "missing", "empty"])
def test_classes_that_are_none(classes):
    assert_refused("classes=", X, Y, classes=classes)


# F2
def test_labels_unknown_to_classes_are_refused_in_later_calls():
    net = make(classes=[1, 2, 3], max_epochs=8)
    y = Y % 3 + 1
    score = net.fit(X, y).score(X, y)
    with pytest.raises(ValueError, match=r"not among the classes: \[0\]"):
        net.partial_fit(X[:3], [0, 1, 2])
    assert net.score(X, y) == score


def test_classes_that_do_not_hold_the_labels():
    assert_refused(r"not among the classes: \[0\]", X, Y, classes=range(1, 11))


def test_probabilities_go_by_classes_of_any_order():
    net = make(classes=[3, 1, 2], max_epochs=8).fit(X, Y % 3 + 1)
    assert net.classes_.tolist() == [3, 1, 2]
    np.testing.assert_array_equal(net.classes_[net.predict_proba(X).argmax(axis=1)], net.predict(X))


def test_classes_changed_between_calls():
    net = make().fit(X, Y)
    with pytest.raises(ValueError, match="not what the calls before had"):
        net.partial_fit(X, Y, classes=range(12))
    with pytest.raises(ValueError, match="not what the calls before had"):
        net.set_params(classes=range(9, -1, -1)).partial_fit(X, Y)


def test_class_weights_of_the_wrong_length():
    assert_refused(
        "criterion__weight has 9 entries.*10 classes", X, Y, criterion__weight=torch.ones(9)
    )


def test_weights_on_one_class_only():
    for cls in (CRUSTClassifier, NoisyLabelClassifier):
        with pytest.raises(ValueError, match="all rows but those of one class"):
            make(cls=cls).fit(X, Y, sample_weight=(Y == 3).astype(float))


def test_weights_that_add_up_to_infinity():
    with pytest.raises(ValueError, match="sample_weight is too large.*Divide it"):
        make().fit(X, Y, sample_weight=np.full(120, 1e308))


def test_only_the_ratios_of_weights_count():
    weights = np.linspace(0.1, 1.0, 120)
    expected = make().fit(X, Y, sample_weight=weights).predict_proba(X)
    found = make().fit(X, Y, sample_weight=weights * 2.0**900).predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-6)


# Parameters
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"max_epochs": "3"}, "max_epochs must be an integer"),
        ({"batch_size": None}, "batch_size must be an integer"),
        ({"batch_size": 0}, "batch_size must be an integer"),
    ],
)
def test_numbers_of_the_loop(params, match):
    assert_refused(match, X, Y, error=(TypeError, ValueError), **params)


def test_unknown_parameter_of_the_selector():
    with pytest.raises(ValueError, match="selector__nope.*selector__strategy"):
        make().set_params(selector__nope=3)


@pytest.mark.parametrize("callback", [EarlyStopping(), Checkpoint(monitor="valid_loss_best")])
def test_callback_that_needs_a_validation_split(callback):
    assert_refused("no validation split.*train_loss", X, Y, callbacks=[callback])


def test_callbacks_that_need_no_validation_split():
    callbacks = [EarlyStopping(monitor="train_loss"), LRScheduler("StepLR", step_size=1)]
    make(callbacks=callbacks).fit(X, Y)


def test_sampler_where_rows_are_chosen():
    sampler = torch.utils.data.RandomSampler(X)
    with pytest.raises(ValueError, match="iterator_train__sampler draws from all rows"):
        make(iterator_train__sampler=sampler).fit(X, Y)


def test_loss_gradients_of_an_unfitted_net():
    with pytest.raises(ValueError, match="not fitted"):
        loss_gradients(make(), X, Y)


def test_no_warning_and_the_same_predictions_for_a_frame():
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(64)])
    net = make().fit(frame, Y)
    np.testing.assert_array_equal(net.predict_proba(frame), make().fit(X, Y).predict_proba(X))


# U10
def test_print_shows_the_settings_that_are_not_defaults():
    text = str(make(reselect_every=2, coreset_size=0.25))
    assert "reselect_every=2" in text
    assert "coreset_size=0.25" in text
    assert "warmup_epochs" not in text


def test_argument_that_forward_does_not_take_leaves_the_net_as_it_was():
    for cls in (CRUSTClassifier, NoisyLabelClassifier):
        net = make(cls=cls, max_epochs=8).fit(X, Y)
        score = net.score(X, Y)
        with pytest.raises(TypeError, match="nope"):
            net.fit(X, Y, nope=1)
        assert net.score(X, Y) == score


def test_bytes_reach_a_module_as_they_are():
    class Bytes(nn.Linear):
        def forward(self, x):
            assert x.dtype == torch.uint8
            return super().forward(x / 16)

    images = (X * 16).astype(np.uint8)
    net = make(Bytes(64, 10), NoisyLabelClassifier, max_epochs=1).fit(images, Y)
    assert net.predict(images).shape == (120,)
    assert_refused(
        "fails on the first rows of X, torch.uint8.*astype", images, Y, module=nn.Linear(64, 10)
    )


@pytest.mark.parametrize(
    ("losses", "match"),
    [
        (lambda z, y: nn.functional.cross_entropy(z, y), r"shape \(\)"),
        (
            lambda z, y: nn.functional.cross_entropy(z, y, reduction="none")[:, None],
            r"shape \(\d+, 1\)",
        ),
        (lambda z, y: None, "NoneType"),
    ],
)
def test_losses_that_are_not_one_for_each_example(losses, match):
    class Wrong(NoisyLabelClassifier):
        def get_losses(self, y_pred, y_true, rows):
            return losses(y_pred, y_true)

    with pytest.raises(ValueError, match=f"get_losses returns .*{match}.*not their mean"):
        make(cls=Wrong).fit(X, Y)


@pytest.mark.parametrize(
    "plan",
    [
        EpochPlan(np.arange(3), np.ones(120)),
        EpochPlan(np.arange(3), np.ones(2)),
        EpochPlan(np.arange(3), np.array([1.0, -1.0, 1.0])),
        EpochPlan(np.arange(3), np.zeros(3)),
        EpochPlan(np.arange(3), np.array([1.0, np.nan, 1.0])),
    ],
)
def test_weights_of_a_plan_that_are_none(plan):
    class Planned(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            return plan

    with pytest.raises(ValueError, match="plan_epoch gives weights that are none"):
        make(cls=Planned).fit(X, Y)


def test_plan_that_is_none():
    class Planned(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            return np.arange(3)

    with pytest.raises(TypeError, match="plan_epoch returns a ndarray.*EpochPlan"):
        make(cls=Planned).fit(X, Y)


def test_criterion_that_fails_on_the_first_batch_leaves_the_net_as_it_was():
    net = make(max_epochs=8).fit(X, Y)
    expected, epochs = net.forward(X), len(net.history)
    with pytest.raises(ValueError, match="Target size"):
        net.set_params(criterion=nn.BCEWithLogitsLoss).fit(X, Y)
    assert torch.equal(net.forward(X), expected)
    assert len(net.history) == epochs


def test_complex_numbers_in_a_dict():
    assert_refused("complex", {"x": torch.as_tensor(X).to(torch.complex64)}, Y)


def test_size_of_batches_of_the_loader_alone():
    assert_refused(
        "iterator_train__batch_size must be an integer",
        X,
        Y,
        error=TypeError,
        iterator_train__batch_size="9",
    )


def test_scheduler_with_a_monitor_that_its_policy_does_not_ask_for():
    scheduler = LRScheduler("StepLR", step_size=1, monitor="valid_loss")
    make(callbacks=[scheduler]).fit(X, Y)
    assert_refused(
        "no validation split",
        X,
        Y,
        callbacks=[LRScheduler("ReduceLROnPlateau", monitor="valid_loss")],
    )
