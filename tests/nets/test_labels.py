"""Labels of any kind: codes inside; outside, predictions and scores of the kind that was given."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import accuracy_score, f1_score
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)


def make(**params):
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": 1, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (16,)}
    return CRUSTClassifier(MLP, **defaults | params)


@pytest.fixture(scope="module")
def reference():
    return make().fit(X, Y)


LABELS = {
    "strings": (["ham", "spam", "zebra"], np.asarray),
    "objects": (["ham", "spam", "zebra"], lambda y: np.array(y, dtype=object)),
    "list": (["ham", "spam", "zebra"], list),
    "gapped": ([-3, 5, 12], np.asarray),
    "from one": ([1, 2, 3], list),
    "int32": ([0, 1, 2], lambda y: np.array(y, dtype=np.int32)),
    "uint8": ([0, 1, 2], lambda y: np.array(y, dtype=np.uint8)),
    "floats": ([0.0, 1.0, 2.0], np.asarray),
    "gapped floats": ([1.0, 2.0, 7.0], np.asarray),
    "series": (["ham", "spam", "zebra"], lambda y: pd.Series(y, index=np.arange(N) * 7 % N)),
    "categorical": (["ham", "spam", "zebra"], pd.Categorical),
    "categorical series": (["a", "b", "c"], lambda y: pd.Series(y, dtype="category")),
    "tensor": ([0, 1, 2], torch.tensor),
    "gapped tensor": ([2, 4, 8], torch.tensor),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind(kind, reference):
    labels, convert = LABELS[kind]
    given = [labels[code] for code in Y]
    net = make().fit(X, convert(given))
    np.testing.assert_array_equal(net.coreset_indices_, reference.coreset_indices_)
    assert net.history[:, "train_loss"] == reference.history[:, "train_loss"]
    predicted = net.predict(X)
    assert isinstance(predicted, np.ndarray) and predicted.shape == (N,)
    assert net.classes_.tolist() == labels
    expected = [labels[code] for code in reference.predict(X)]
    assert predicted.tolist() == expected
    assert type(predicted.tolist()[0]) is type(labels[0])
    accuracy = np.mean([a == b for a, b in zip(expected, given, strict=True)])
    assert net.score(X, convert(given)) == pytest.approx(accuracy)
    np.testing.assert_allclose(net.predict_proba(X), reference.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize(
    "labels", [["no", "yes"], [False, True], [0, 1], [-1, 1], [1.0, 2.0]], ids=str
)
def test_two_classes(labels):
    y = np.asarray(labels)[(Y == 1).astype(int)]
    net = make(max_epochs=6).fit(X, y)
    assert net.classes_.tolist() == labels
    assert net.predict(X).dtype == y.dtype
    assert net.predict_proba(X).shape == (N, 2)
    assert net.score(X, y) == np.mean(net.predict(X) == y) > 0.7
    np.testing.assert_array_equal(y[net.coreset_indices_][net.coreset_assignment_], y)


# -- classes ----------------------------------------------------------------------------------


def test_classes_give_the_columns():
    names = np.array(["zebra", "ham", "spam", "absent"])
    net = make(classes=names).fit(X, names[Y])
    assert net.classes_.tolist() == names.tolist()
    assert net.predict_proba(X).shape == (N, 4)
    np.testing.assert_array_equal(net.predict(X), names[net.predict_proba(X).argmax(axis=1)])
    with pytest.raises(ValueError, match="not among the classes.*wolf.*`classes`"):
        make(classes=names).fit(X, np.where(Y == 0, "wolf", names[Y]))


def test_partial_fit_learns_the_classes_once():
    names = np.array(["a", "b", "c"])
    y, few = names[Y], Y < 2
    net = make(warmup_epochs=0, max_epochs=1)
    net.partial_fit(X[few], y[few], classes=names)
    assert net.classes_.tolist() == ["a", "b", "c"]
    net.partial_fit(X, y)
    assert net.predict_proba(X).shape == (N, 3)
    with pytest.raises(ValueError, match="not among the classes.*'d'"):
        net.partial_fit(X, np.where(Y == 0, "d", y))
    assert len(net.history) == 2
    net = make(warmup_epochs=0, max_epochs=1).partial_fit(X[few], y[few])
    with pytest.raises(ValueError, match="not among the classes.*'c'.*partial_fit"):
        net.partial_fit(X, y)


def test_fit_again_with_other_labels():
    net = make().fit(X, Y)
    y = np.array(["a", "b"])[(Y == 1).astype(int)]
    net.fit(X[:, :2], y)
    assert net.classes_.tolist() == ["a", "b"]
    assert net.n_features_in_ == 2
    assert set(net.predict(X[:, :2])) <= {"a", "b"}


# -- scores -----------------------------------------------------------------------------------


class Predictions(Callback):
    """Keeps what is predicted at the end of each epoch."""

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.kept = [*getattr(self, "kept", []), net.predict(X)]


@pytest.mark.parametrize("labels", [["ham", "spam", "zebra"], [3, 5, 9], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("caching", [True, False])
def test_scores_of_the_validation_split(labels, caching):
    y = np.array(labels)[Y]
    scoring = EpochScoring("f1_macro", name="f1", lower_is_better=False, use_caching=caching)
    predictions = Predictions()
    net = make(train_split=ValidSplit(4, stratified=True), callbacks=[scoring, predictions])
    net.set_params(callbacks__valid_acc__use_caching=caching, max_epochs=4)
    net.fit(X, y)
    valid = np.flatnonzero(net.coreset_assignment_ == -1)
    assert len(valid) == N / 4
    for row, predicted in zip(net.history, predictions.kept, strict=True):
        assert row["valid_acc"] == pytest.approx(accuracy_score(y[valid], predicted[valid]))
        expected = f1_score(y[valid], predicted[valid], average="macro")
        assert row["f1"] == pytest.approx(expected)
    np.testing.assert_array_equal(net.predict(X), predictions.kept[-1])


@pytest.mark.parametrize("labels", [["ham", "spam", "zebra"], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("caching", [True, False])
def test_scores_on_the_training_rows(labels, caching):
    y = np.array(labels)[Y]
    scoring = EpochScoring("accuracy", name="acc", on_train=True, use_caching=caching)
    predictions = Predictions()
    net = make(callbacks=[scoring, predictions], lr=0.0, warmup_epochs=2, mixup=None)
    net.fit(X, y)
    # lr=0: the predictions of training are those of the untrained network.
    correct = predictions.kept[0] == y
    expected = [correct.mean()] * 3
    if caching:
        # Cached are the batches of training, which are those of the coreset.
        expected[2] = correct[net.coreset_indices_].mean()
    assert net.history[:, "acc"] == pytest.approx(expected)


# -- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [np.zeros(N, int), np.array(["a"] * N)])
def test_one_class(y):
    with pytest.raises(ValueError, match="one class only.*at least two"):
        make().fit(X, y)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (None, "requires y"),
        (np.linspace(0, 1, N), "continuous"),
        (np.where(Y == 0, np.nan, Y), "y contains NaN"),
        (np.array([None, *"ab" * 60], dtype=object)[:N], "y contains NaN"),
        (np.eye(3)[Y], "y should be a 1d array"),
    ],
)
def test_labels_that_are_none(y, match):
    with pytest.raises(ValueError, match=match):
        make().fit(X, y)
