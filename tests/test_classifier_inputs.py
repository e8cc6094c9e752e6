"""Kinds of X and y, and input that is refused before any training."""

import warnings

import numpy as np
import pandas as pd
import pytest
import skorch.dataset
import torch
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import cross_val_score
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset, default_collate

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP, ResNet20, SmallCNN
from crust_sklearn.settings import REFERENCE
from crust_sklearn.strategies import Centrality

# skorch's own reading of items warns so where pandas hands out read-only memory.
pytestmark = pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")

N, WARMUP = 120, 1
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
TX, TY = torch.from_numpy(X), torch.from_numpy(Y)


# The most central half of each label, without a size of its own for the classifier.
HALF = REFERENCE | {"selector": CoresetSelector("centrality"), "coreset_size": None}


def make(module=MLP, cls=CRUSTClassifier, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = HALF | {"max_epochs": 3, "warmup_epochs": WARMUP, "lr": 0.1, "batch_size": 32}
    return cls(module, **defaults | {"verbose": 0, "random_state": 0} | params)


def state_of(net):
    return {name: p.detach().numpy() for name, p in net.module_.state_dict().items()}


def assert_trained_alike(net, reference):
    np.testing.assert_array_equal(net.coreset_indices_, reference.coreset_indices_)
    np.testing.assert_allclose(
        net.history[:, "train_loss"], reference.history[:, "train_loss"], rtol=1e-4
    )


@pytest.fixture(scope="module")
def reference():
    return make().fit(X, Y)


# -- labels -----------------------------------------------------------------------------------

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
    assert_trained_alike(net, reference)
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
    net = make(callbacks=[scoring, predictions], lr=0.0, warmup_epochs=2, mixup=None, max_epochs=3)
    net.fit(X, y)
    # lr=0: the predictions of training are those of the untrained network.
    correct = predictions.kept[0] == y
    expected = [correct.mean()] * 3
    if caching:
        # Cached are the batches of training, which are those of the coreset.
        expected[2] = correct[net.coreset_indices_].mean()
    assert net.history[:, "acc"] == pytest.approx(expected)


# -- X ----------------------------------------------------------------------------------------

KINDS = {
    "float64": lambda x: x.astype(np.float64),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "list": lambda x: x.tolist(),
    "tensor": torch.from_numpy,
    "tensor64": lambda x: torch.from_numpy(x).double(),
    "DataFrame": lambda x: pd.DataFrame(x, columns=list("abcd"), index=np.arange(N) * 7 % N),
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "coo_array": sparse.coo_array,
    "dok": sparse.dok_matrix,
    "read-only": lambda x: _read_only(x),
}


def _read_only(x):
    x = x.copy()
    x.setflags(write=False)
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_X(kind, reference):
    given = KINDS[kind](X)
    net = make().fit(given, Y)
    assert_trained_alike(net, reference)
    assert net.n_features_in_ == 4
    np.testing.assert_allclose(
        net.predict_proba(given), reference.predict_proba(X), rtol=1e-3, atol=1e-5
    )


def test_integers():
    net = make(lr=0.01).fit((10 * X).astype(int), Y)
    assert_trained_alike(net, make(lr=0.01).fit(np.trunc(10 * X), Y))


def test_a_memmap(tmp_path, reference):
    np.save(tmp_path / "x.npy", X)
    assert_trained_alike(make().fit(np.load(tmp_path / "x.npy", mmap_mode="r"), Y), reference)


def test_feature_names_are_kept_and_checked():
    frame = pd.DataFrame(X, columns=list("abcd"))
    net = make().fit(frame, Y)
    assert net.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[list("dcba")])


class TwoInputs(nn.Module):
    """Takes the four columns in two parts, by name."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.net = MLP(4, num_classes, (16,))

    def forward(self, left, right):
        return self.net(torch.cat([left, right], dim=1))


class ByName(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.net = MLP(4, num_classes, (16,))

    def forward(self, a, b, c, d):
        return self.net(torch.cat([a, b, c, d], dim=1))


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("mixup", ["class", "cluster", "batch", None])
def test_a_dict_of_arrays(convert, mixup):
    given = {"left": convert(X[:, :1].copy()), "right": convert(X[:, 1:].copy())}
    net = make(TwoInputs, mixup=mixup, coreset_weight="cluster").fit(given, Y)
    assert len(net.predict(given)) == N
    assert len(net.coreset_indices_) == pytest.approx(N / 2, abs=2)


def test_a_data_frame_by_column_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    by_name = make(ByName).fit(frame, Y)
    plain = make(TwoInputs).fit({"left": X[:, :1], "right": X[:, 1:]}, Y)
    assert_trained_alike(by_name, plain)
    np.testing.assert_allclose(
        by_name.predict_proba(frame),
        plain.predict_proba({"left": X[:, :1], "right": X[:, 1:]}),
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    "module, shape", [(SmallCNN, (12, 3, 16, 16)), (ResNet20, (12, 1, 16, 16))]
)
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_images(module, shape, convert):
    images = np.random.RandomState(0).standard_normal(shape).astype(np.float32)
    y = np.arange(12) % 4
    net = make(module, max_epochs=2, lr=0.01, batch_size=6).fit(convert(images), y)
    assert net.predict_proba(images).shape == (12, 4)
    assert next(net.module_.parameters()).shape[1] == shape[1]
    assert len(net.coreset_indices_) == 8  # half of three rows is two
    assert not hasattr(net, "n_features_in_")


def test_sizes_are_inferred_unless_they_are_given():
    class Sizes(MLP):
        def __init__(self, in_features, num_classes=2, hidden_sizes=(5,)):
            super().__init__(in_features, num_classes, hidden_sizes)
            self.got = in_features, num_classes

    assert make(Sizes).fit(X, Y).module_.got == (4, 3)
    assert make(Sizes, module__num_classes=5, classes=range(5)).fit(X, Y).module_.got == (4, 5)
    assert make(Sizes(4, 3)).fit(X, Y).module_.got == (4, 3)
    net = make(Sizes).fit(X, Y)
    assert net.set_params(max_epochs=2).fit(X[:, :2], Y % 2).module_.got == (2, 2)


# -- torch datasets ---------------------------------------------------------------------------


class Targets(torch.utils.data.Dataset):
    """As torchvision's."""

    def __init__(self, targets):
        self.targets = targets

    def __len__(self):
        return N

    def __getitem__(self, i):
        return TX[i], self.targets[i]


def halves(dataset):
    return ConcatDataset([Subset(dataset, range(50)), Subset(dataset, range(50, N))])


INSIDE = {
    "tensors": lambda: TensorDataset(TX, TY),
    "skorch": lambda: skorch.dataset.Dataset(X, Y),
    "subset": lambda: Subset(TensorDataset(TX, TY), range(N)),
    "halves": lambda: halves(TensorDataset(TX, TY)),
    "targets": lambda: Targets(Y.tolist()),
    "target array": lambda: Targets(Y),
    "target tensor": lambda: Targets(TY),
}


@pytest.mark.parametrize("kind", INSIDE)
def test_labels_inside_a_dataset(kind, reference):
    dataset = INSIDE[kind]()
    net = make(module__in_features=4).fit(dataset, None)
    assert_trained_alike(net, reference)
    assert net.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(net.predict_proba(dataset), reference.predict_proba(X), rtol=1e-4)
    np.testing.assert_array_equal(net.predict(X), reference.predict(X))


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("labels", [[2, 0, 1], ["x", "y", "z"]], ids=str)
def test_labels_apart_override_those_inside(kind, labels):
    y = np.array(labels)[Y]
    net, plain = make().fit(INSIDE[kind](), y), make().fit(X, y)
    assert_trained_alike(net, plain)
    np.testing.assert_array_equal(net.predict(INSIDE[kind]()), plain.predict(X))


@pytest.mark.parametrize("kind", ["targets", "skorch", "halves"])
@pytest.mark.parametrize("split", [None, ValidSplit(4)], ids=["all", "split"])
def test_strings_inside_a_dataset(kind, split):
    names = np.array(["ham", "spam", "zebra"])[Y]
    datasets = {
        "targets": Targets(names.tolist()),
        "skorch": skorch.dataset.Dataset(X, names),
        "halves": halves(skorch.dataset.Dataset(X, names)),
    }
    net = make(train_split=split, max_epochs=4).fit(datasets[kind], None)
    apart = make(train_split=split, max_epochs=4).fit(X, names)
    assert_trained_alike(net, apart)
    assert net.predict(X).tolist() == apart.predict(X).tolist()
    if split is not None:
        assert net.history[:, "valid_acc"] == pytest.approx(apart.history[:, "valid_acc"])


def test_a_dataset_of_rows_alone_with_labels_apart(reference):
    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            return TX[i]

    assert_trained_alike(make().fit(Rows(), Y), reference)


def test_a_data_frame_in_cross_validation():
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(N) * 7 % N)
    names = pd.Series(np.array(["a", "b", "c"])[Y], index=frame.index)
    net = make(max_epochs=6)
    scores = cross_val_score(net, frame, names, cv=3)
    np.testing.assert_allclose(scores, cross_val_score(net, X, names.to_numpy(), cv=3))
    assert scores.mean() > 0.7


# -- a validation split -----------------------------------------------------------------------


@pytest.mark.parametrize("as_dataset", [False, True])
def test_rows_of_fit_where_some_validate(as_dataset):
    seen = {}

    class Watch(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen["train"] = np.asarray(dataset_train.indices)
            seen["valid"] = np.asarray(dataset_valid.indices)

    # skorch stratifies by a y that is given apart.
    split = ValidSplit(3, stratified=not as_dataset)
    net = make(train_split=split, callbacks=[Watch()])
    net.fit(*((TensorDataset(TX, TY), None) if as_dataset else (X, Y)))
    assert np.isin(net.coreset_indices_, seen["train"]).all()
    assert net.coreset_assignment_.shape == (N,)
    np.testing.assert_array_equal(np.flatnonzero(net.coreset_assignment_ == -1), seen["valid"])
    owner = net.coreset_indices_[net.coreset_assignment_[seen["train"]]]
    np.testing.assert_array_equal(Y[owner], Y[seen["train"]])
    np.testing.assert_array_equal(
        net.coreset_assignment_[net.coreset_indices_], np.arange(len(net.coreset_indices_))
    )
    n_train = len(seen["train"])
    assert net.history[:, "coreset_size"][0] == n_train
    assert len(net.coreset_indices_) == pytest.approx(n_train / 2, abs=2)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]], ids=str)
def test_a_predefined_split(labels):
    y = np.array(labels)[Y]
    valid = skorch.dataset.Dataset(X[:30], y[:30])
    net = make(train_split=predefined_split(valid), max_epochs=5).fit(X, y)
    assert (net.coreset_assignment_ >= 0).all()
    assert net.history[-1, "valid_acc"] == pytest.approx(np.mean(net.predict(X[:30]) == y[:30]))


def test_sample_weight_with_a_split():
    sample_weight = (np.arange(N) % 3 > 0).astype(float)
    net = make(train_split=ValidSplit(3)).fit(X, Y, sample_weight=sample_weight)
    assert (net.coreset_indices_ % 3 > 0).all()


# -- what others plug in ----------------------------------------------------------------------


def test_a_dataset_class_of_ones_own(reference):
    class Halved(torch.utils.data.Dataset):
        def __init__(self, X, y=None):
            self.X, self.y = X, y

        def __len__(self):
            return len(self.X)

        def __getitem__(self, i):
            return self.X[i] / 2, 0 if self.y is None else self.y[i]

    net = make(dataset=Halved).fit(2 * X, Y)
    assert_trained_alike(net, reference)
    np.testing.assert_array_equal(net.predict(2 * X), reference.predict(X))


def test_an_iterator_of_ones_own(reference):
    made = []

    class Own(DataLoader):
        def __init__(self, *args, **kwargs):
            made.append(args[0])
            super().__init__(*args, **kwargs)

    assert_trained_alike(make(iterator_train=Own).fit(X, Y), reference)
    assert len(made) == 3  # all rows, and a coreset for each of two epochs


def test_a_collate_function_of_ones_own(reference):
    def halve(items):
        x, y = default_collate(items)
        return x / 2, y

    net = make(iterator_train__collate_fn=halve, iterator_valid__collate_fn=halve).fit(2 * X, Y)
    assert_trained_alike(net, reference)
    np.testing.assert_array_equal(net.predict(2 * X), reference.predict(X))


def test_workers():
    params = {"mixup": None, "max_epochs": 2, "coreset_weight": "cluster"}
    params["iterator_train__shuffle"] = True
    with warnings.catch_warnings():
        # Of Python, where a process with threads forks.
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        many = make(iterator_train__num_workers=2, iterator_valid__num_workers=2, **params)
        many.fit(X, Y)
    assert_trained_alike(many, make(**params).fit(X, Y))


class L1(CRUSTClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        self.terms_.append((type(X).__name__, training))
        return loss + 0.1 * self.module_.fc.weight.abs().sum()


@pytest.mark.parametrize("mixup", ["class", None])
def test_a_loss_of_ones_own(mixup):
    params = {"coreset_weight": "cluster", "mixup": mixup, "batch_size": N, "max_epochs": 3}
    own, plain = make(cls=L1, **params), make(**params)
    vars(own)["terms_"] = []
    own.fit(X, Y)
    plain.fit(X, Y)
    name = "MixedBatch" if mixup else "WeightedBatch"
    assert [t for t in own.terms_ if t[1]] == [("Tensor", True), (name, True), (name, True)]
    start = plain.set_params(max_epochs=0, warmup_epochs=0).fit(X, Y).module_.fc.weight
    penalty = 0.1 * start.abs().sum().item()
    loss = nn.functional.cross_entropy(plain.module_(TX), TY).item()
    assert own.history[0, "train_loss"] == pytest.approx(loss + penalty, rel=1e-5)
    plain = make(**params).fit(X, Y)
    assert own.module_.fc.weight.abs().sum() < plain.module_.fc.weight.abs().sum()


# -- refused before any training --------------------------------------------------------------


def with_bad(value, row=3):
    bad = X.copy()
    bad[row, 1] = value
    return bad


def assert_refused(error, match, X=X, y=Y, net=None, /, fit_params=None, **params):
    net = make(**params) if net is None else net
    with pytest.raises(error, match=match):
        net.fit(X, y, **(fit_params or {}))
    history = getattr(net, "history_", None)
    assert not history or not any("train_loss" in row for row in history)
    assert not history or not any(row["batches"] for row in history)


@pytest.mark.parametrize(
    "given, y",
    [(X, Y[:-1]), (TX, Y[:-1]), (TensorDataset(TX, TY), Y[:5]), ({"X": X}, Y[:7]), (X[:5], Y)],
)
def test_lengths(given, y):
    assert_refused(ValueError, r"(?s)X .*rows.* y .*one label per row", given, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        lambda x: x.astype(np.float64),
        lambda x: x.reshape(N, 2, 2),
        torch.from_numpy,
        lambda x: {"X": x},
        lambda x: {"X": torch.from_numpy(x)},
        lambda x: pd.DataFrame(x, columns=list("abcd")),
        sparse.csr_matrix,
        lambda x: x.tolist(),
    ],
    ids=["32", "64", "3-d", "tensor", "dict", "dict of tensors", "DataFrame", "csr", "list"],
)
def test_rows_that_are_not_finite(convert, bad):
    assert_refused(ValueError, r"X contains (NaN|infinity)", convert(with_bad(bad)), Y)


def test_a_data_frame_by_names_that_is_not_finite():
    frame = pd.DataFrame(with_bad(np.nan), columns=list("abcd"))
    assert_refused(ValueError, "X contains NaN", frame, Y, make(ByName))


def test_prediction_refuses_what_is_not_finite(reference):
    with pytest.raises(ValueError, match="X contains NaN"):
        reference.predict(with_bad(np.nan))


@pytest.mark.parametrize(
    "weight, match",
    [
        (np.ones(N - 1), "sample_weight.*one weight per row"),
        (np.ones((N, 1)), "sample_weight.*one weight per row"),
        (np.where(np.arange(N) == 3, np.nan, 1), "sample_weight contains NaN"),
        (np.where(np.arange(N) == 3, np.inf, 1), "sample_weight contains NaN or inf"),
        (np.where(np.arange(N) == 3, -1.0, 1), "sample_weight contains negative"),
        (np.zeros(N), "sample_weight is zero for every row"),
        (["a"] * N, "sample_weight must hold numbers"),
    ],
)
def test_sample_weight(weight, match):
    assert_refused(ValueError, match, X, Y, fit_params={"sample_weight": weight})


@pytest.mark.parametrize("y", [np.zeros(N, int), np.array(["a"] * N)])
def test_one_class(y):
    assert_refused(ValueError, "one class only.*at least two", X, y)


@pytest.mark.parametrize(
    "y, match",
    [
        (None, "requires y"),
        (np.linspace(0, 1, N), "continuous"),
        (np.where(Y == 0, np.nan, Y), "y contains NaN"),
        (np.array([None, *"ab" * 60], dtype=object)[:N], "y contains NaN"),
        (np.eye(3)[Y], "y should be a 1d array"),
    ],
)
def test_labels_that_are_none(y, match):
    assert_refused(ValueError, match, X, y)


@pytest.mark.parametrize(
    "size, error",
    [
        (0, ValueError),
        (0.0, ValueError),
        (-1, ValueError),
        (-0.5, ValueError),
        (np.nan, ValueError),
        (1.5, ValueError),
        (N + 1, ValueError),
        (True, TypeError),
        ("half", TypeError),
    ],
)
@pytest.mark.parametrize("of_selector", [False, True])
def test_coreset_size(size, error, of_selector):
    name = "selector__coreset_size" if of_selector else "coreset_size"
    assert_refused(error, r"coreset_size=.* (Give|int|float)", **{name: size})


def test_fewer_rows_than_classes():
    match = "coreset_size=2 is less than the 3 classes.*at least 3"
    assert_refused(ValueError, match, coreset_size=2)
    net = make(coreset_size=2, group_by=None).fit(X, Y)
    assert len(net.coreset_indices_) == 2


@pytest.mark.parametrize(
    "params, match",
    [
        ({"selector": "centralty"}, r"centralty.*'centrality'.*Did you mean 'centrality'"),
        ({"selector__strategy": "facility_location"}, "Did you mean 'facility-location'"),
        ({"gradient": "logit"}, r"gradient='logit'.*'features'.*Did you mean 'logits'"),
        ({"group_by": "labels"}, r"group_by='labels'.*None.*Did you mean 'label'"),
        ({"group_by": False}, r"group_by=False"),
        ({"coreset_weight": "clusters"}, r"coreset_weight.*Did you mean 'cluster'"),
        ({"mixup": "clas"}, r"mixup='clas'.*Did you mean 'class'"),
        ({"selector__metric": "euclid"}, "metric"),
    ],
)
def test_options(params, match):
    assert_refused(ValueError, match, **params)


@pytest.mark.parametrize(
    "params, error, match",
    [
        ({"warmup_epochs": -1}, ValueError, "warmup_epochs must be an integer at least 0"),
        ({"warmup_epochs": 1.5}, TypeError, "warmup_epochs must be an integer"),
        ({"reselect_every": 0}, ValueError, "reselect_every must be an integer at least 1"),
        ({"mixup_alpha": 0}, ValueError, "mixup_alpha must be a number greater than 0"),
        ({"mixup_alpha": np.nan}, ValueError, "mixup_alpha"),
        ({"mixup_alpha": (1.0, -1.0)}, ValueError, "mixup_alpha"),
        ({"mixup_alpha": (1.0,)}, TypeError, "mixup_alpha"),
        ({"mixup_alpha": "one"}, TypeError, "mixup_alpha"),
        ({"selector": Centrality()}, TypeError, "selector=.*strategy nor a CoresetSelector"),
        ({"selector": None}, TypeError, "selector=None"),
        ({"selector": CoresetSelector}, TypeError, "selector=.*nor a CoresetSelector"),
        ({"random_state": "x"}, ValueError, "'x' cannot be used to seed"),
        (
            {"gradient": "last_layer", "selector__metric": "cosine"},
            ValueError,
            "last_layer.*metric at 'euclidean'.*cosine",
        ),
    ],
)
def test_parameters(params, error, match):
    assert_refused(error, match, **params)


def test_an_unknown_keyword():
    assert_refused(ValueError, "unexpected argument.*coreset_sise", coreset_sise=0.5)
    with pytest.raises(ValueError, match=r"selector__.*strateg.*Did you mean 'strategy'"):
        make().set_params(selector__strateg="uniform")
    with pytest.raises(ValueError, match="warmup"):
        make().set_params(warmup=2)


@pytest.mark.parametrize("warmup_epochs", [3, 4])
def test_a_warmup_without_end_warns(warmup_epochs):
    net = make(warmup_epochs=warmup_epochs, max_epochs=3)
    with pytest.warns(UserWarning, match="warmup_epochs=.*no coreset will ever be used.*Raise"):
        net.fit(X, Y)
    assert len(net.history) == 3
    assert not hasattr(net, "coreset_indices_")


class Reshaped(MLP):
    """Outputs something else than one column per class."""

    def __init__(self, shape, num_classes):
        super().__init__(4, num_classes)
        self.shape = shape

    def forward(self, X):
        out = super().forward(X)
        return out[:, 0] if self.shape == 1 else out[:, :, None]


@pytest.mark.parametrize("n_columns", [1, 2, 4])
def test_columns_of_the_output(n_columns):
    match = rf"MLP.*\(2, {n_columns}\).* 3 classes.*one column per class.*num_classes"
    assert_refused(ValueError, match, module__num_classes=n_columns)
    assert_refused(ValueError, match, X, Y, make(MLP(4, n_columns)))


@pytest.mark.parametrize("shape", [1, 3])
def test_axes_of_the_output(shape):
    net = make(Reshaped, module__shape=shape)
    assert_refused(ValueError, "one column per class", X, Y, net)


class NoLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, X):
        return X @ self.weight


@pytest.mark.parametrize("gradient", ["features", "last_layer"])
def test_no_linear_layer(gradient):
    net = make(NoLinear, gradient=gradient)
    assert_refused(ValueError, "No nn.Linear.*gradient_layer.*gradient='logits'", X, Y, net)
    assert len(make(NoLinear, gradient="logits").fit(X, Y).coreset_indices_)


@pytest.mark.parametrize("layer", ["hidden.1", "head", ""])
def test_a_wrong_layer(layer):
    match = r"gradient_layer=.*does not name a linear layer of MLP.*'hidden.0', 'fc'"
    assert_refused(ValueError, match, gradient_layer=layer)


class Averaging(nn.Module):
    def forward(self, output, y):
        return nn.functional.cross_entropy(output, y)


def test_a_criterion_without_losses_per_example():
    assert_refused(ValueError, "Averaging.*reduction", criterion=Averaging)


class Blind(torch.utils.data.Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return TX[i], TY[i]


def test_a_dataset_whose_labels_cannot_be_read():
    net = make(module__in_features=4, module__num_classes=3)
    assert_refused(ValueError, r"labels.*fit\(dataset, y\)", Blind(), None, net)


def test_drop_last():
    params = {"coreset_size": 0.2, "batch_size": 50, "iterator_train__drop_last": True}
    match = "24 rows.*batch_size=50.*drop_last.*Lower batch_size"
    assert_refused(ValueError, match, **params)
    assert_refused(ValueError, match, **params | {"group_by": None})
    match = "2. rows.*batch_size=50.*drop_last"
    assert_refused(ValueError, match, **params | {"group_by": "prediction"})
    net = make(**params | {"batch_size": 20}).fit(X, Y)
    assert net.history[-1]["batches"] and len(net.history[-1]["batches"]) == 1


def test_a_sampler():
    sampler = torch.utils.data.RandomSampler(range(N))
    match = "iterator_train__sampler.*iterator_train__shuffle"
    assert_refused(ValueError, match, iterator_train__sampler=sampler)


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, X):
        return self.fc(self.body(X))


@pytest.mark.parametrize("batch_size", [8, 3, 2])
def test_no_batch_of_one_under_batch_norm(batch_size):
    net = make(Normalized, coreset_size=25, batch_size=batch_size).fit(X, Y)
    assert len(net.coreset_indices_) == 25
    sizes = [b["train_batch_size"] for b in net.history[-1]["batches"]]
    assert sum(sizes) == 25 and min(sizes) > 1


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, X):
        return self.fc(self.embedding(X).mean(dim=1))


@pytest.mark.parametrize("mixup", ["class", "cluster", "batch"])
def test_token_ids_cannot_be_mixed(mixup):
    tokens = np.random.RandomState(0).randint(20, size=(N, 6))
    assert_refused(TypeError, "Tokens.*mixtures.*mixup=None", tokens, Y, make(Tokens, mixup=mixup))
    assert make(Tokens, mixup=None).fit(tokens, Y).history[-1, "coreset_size"] < N


# -- stopped in the middle --------------------------------------------------------------------


class Breaking(CRUSTClassifier):
    """Its loss is NaN in the third epoch."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        return loss * float("nan") if training and len(self.history) == 3 else loss


def test_a_loss_that_turns_nan_stops_training():
    net = make(cls=Breaking, max_epochs=6)
    with pytest.raises(FloatingPointError, match="training loss is nan in epoch 3.*Lower lr"):
        net.fit(X, Y)
    assert len(net.history) == 3
    assert np.isfinite(net.history[:2, "train_loss"]).all()
    assert "train_loss" not in net.history[2]


@pytest.mark.parametrize("row, match", [(100, "Dataset, look for NaN"), (0, "Is X finite")])
@pytest.mark.filterwarnings("ignore:The training loss is nan")
def test_a_dataset_that_is_not_finite(row, match):
    dataset = TensorDataset(torch.from_numpy(with_bad(np.nan, row)), TY)
    with pytest.raises(FloatingPointError, match=match):
        make().fit(dataset, None)


def test_divergence_stops_training():
    with pytest.raises(FloatingPointError, match="lr"):
        make(lr=1e20, max_epochs=10, warmup_epochs=5).fit(X, Y)


def assert_usable(net):
    assert np.isin(net.predict(X), [0, 1, 2]).all()
    assert np.isfinite(net.predict_proba(X)).all()
    if hasattr(net, "coreset_indices_"):
        n_coreset = len(net.coreset_indices_)
        assert len(net.coreset_weights_) == n_coreset
        np.testing.assert_array_equal(
            net.coreset_assignment_[net.coreset_indices_], np.arange(n_coreset)
        )
        assert sorted(net.selector_.sample_indices_) == net.coreset_indices_.tolist()


class Interrupt(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_ctrl_c_in_a_batch(epoch, capsys):
    net = make(callbacks=[Interrupt(epoch)], max_epochs=5).fit(X, Y)
    assert len(net.history) == epoch
    assert hasattr(net, "coreset_indices_") == (epoch > 1)
    assert_usable(net)
    net.set_params(callbacks=[]).partial_fit(X, Y)
    assert_usable(net)


@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_in_the_selection(at, monkeypatch):
    calls, score = [], Centrality._pick

    def interrupt(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3 * (at - 1) + 2:  # in the second of three groups
            raise KeyboardInterrupt
        return score(self, *args, **kwargs)

    monkeypatch.setattr(Centrality, "_pick", interrupt)
    net = make(max_epochs=5).fit(X, Y)
    assert len(net.history) == WARMUP + at
    assert hasattr(net, "coreset_indices_") == (at > 1)
    assert_usable(net)
    net.partial_fit(X, Y)
    assert_usable(net)


@pytest.mark.parametrize("name", ["greedy-css", "greedy-low-rank", "pivoted-qr", "leverage"])
def test_strategies_by_inner_products_need_the_gradient_itself(name):
    net = make(selector=name, gradient="last_layer")
    with pytest.raises(ValueError, match="gradient='last_layer'.*needs the gradient itself"):
        net.fit(X, Y)
    assert len(make(selector=name, gradient="logits").fit(X, Y).coreset_indices_) == N // 2
