"""`selection_dataset`: rows are judged on another dataset than the one that training reads."""

import pickle

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, Checkpoint, LoadInitState
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import SliceDataset
from skorch.hf import AccelerateMixin
from torch.utils.data import IterableDataset, Subset, TensorDataset

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.baselines import DMIClassifier, INCVClassifier, SmallLossClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets.row_outputs import compute_row_probabilities
from crust_sklearn.nets.stages import StagesMixin

N = 60
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
FAR = X + 100  # what training reads
NAMES = np.array(["ash", "elm", "oak"])[Y]
OPTIONS = {"max_epochs": 2, "batch_size": 20, "lr": 0.01, "verbose": 0, "random_state": 0}
OPTIONS |= {"module__hidden_sizes": (8,), "module__in_features": 4, "module__num_classes": 3}


class Plain(torch.utils.data.Dataset):
    """Rows without labels, and how often each was read; X and y as those of `dataset`."""

    def __init__(self, X=X, y=None, shift=0.0):
        self.X = np.asarray(X, np.float32) + np.float32(shift)
        self.n_reads = np.zeros(len(self.X), int)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.n_reads[i] += 1
        return self.X[i]


def move_back(X, y, shift=0.0):
    """Make the plain rows of those that training reads."""
    rows = np.stack([X[i][0] for i in range(len(X))]) if hasattr(X, "tensors") else X
    return Dataset(rows - 100 + np.float32(shift), y)


class Noting(NoisyLabelClassifier):
    """Notes what is predicted for the rows that are judged, and what is trained on."""

    def plan_epoch(self, epoch):
        self.judged_ = self.training_.rows, compute_row_probabilities(self)

    def get_batch_loss(self, y_pred, y_true, batch):
        self.trained_ = batch.rows.numpy(), batch.x.numpy(), y_true.numpy()
        return super().get_batch_loss(y_pred, y_true, batch)


def make(selection_dataset, cls=Noting, **params):
    return cls(MLP, selection_dataset=selection_dataset, **OPTIONS | params)


def assert_judged_plain(net, n_judged=N, trained=FAR, plain=X, y=Y):
    """Check what Noting, with a learning rate of zero, has noted."""
    rows, found = net.judged_
    assert len(rows) == n_judged
    with torch.no_grad():
        expected = net.module_.eval()(torch.as_tensor(plain[rows])).softmax(dim=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    rows, x, codes = net.trained_
    np.testing.assert_array_equal(x, trained[rows])
    np.testing.assert_array_equal(codes, y[rows])


tensors = TensorDataset(torch.as_tensor(FAR), torch.as_tensor(Y))


@pytest.mark.parametrize(
    "given", [Plain(), Dataset(X), Dataset(X, Y), TensorDataset(torch.tensor(X), torch.tensor(Y))]
    + [move_back],
    ids=["unlabelled", "skorch", "skorch-y", "tensors", "function"],
)  # fmt: skip
@pytest.mark.parametrize("data", [(FAR, Y), (tensors,), (FAR, NAMES)], ids=["X", "data", "names"])
@pytest.mark.parametrize("split", [None, ValidSplit(4)], ids=["all", "split"])
def test_rows_are_judged_on_it_and_trained_on_as_given(given, data, split):
    net = make(given, lr=0.0, train_split=split, max_epochs=1).fit(*data)
    assert_judged_plain(net, N if split is None else N * 3 // 4)


def test_a_class_is_called_with_the_rows_the_codes_and_its_parameters():
    calls = []

    class Told(Plain):
        def __init__(self, X, y, **params):
            calls.append((X, y, params))
            super().__init__(X, y, **params)

    net = make(Told, lr=0.0, selection_dataset__shift=-100.0).fit(FAR, NAMES)
    ((rows, codes, params),) = calls
    np.testing.assert_array_equal(rows, FAR)
    np.testing.assert_array_equal(codes, Y)
    assert params == {"shift": -100.0}
    assert_judged_plain(net, plain=FAR - np.float32(100))
    net.set_params(selection_dataset__shift=1.0, warm_start=True).fit(FAR, NAMES)
    assert calls[1][2] == {"shift": 1.0}
    assert_judged_plain(net, plain=FAR + np.float32(1))


def test_labels_of_fit_count_where_both_datasets_hold_those_before():
    noisy = np.roll(Y, 1)
    net = make(Dataset(X, Y), lr=0.0).fit(tensors, noisy)
    assert_judged_plain(net, y=noisy)


@pytest.mark.parametrize("part", [SliceDataset, lambda data: data], ids=["slice", "subset"])
def test_a_part_of_the_rows_goes_with_the_whole(part):
    chosen = np.arange(N)[::-2]
    data = part(tensors)
    data = data[chosen] if isinstance(data, SliceDataset) else Subset(data, chosen)
    noisy = np.roll(Y[chosen], 1)  # those inside of X are the others
    for given in (Plain(), Dataset(X, Y), Plain(X[chosen]), Dataset(X[chosen], noisy)):
        net = make(given, lr=0.0).fit(data, noisy)
        assert_judged_plain(net, N // 2, trained=FAR[chosen], plain=X[chosen], y=noisy)


def test_searches_over_arrays_and_over_datasets():
    grid = {"selection_dataset__shift": [0.0, 1.0]}
    search = GridSearchCV(make(move_back, cls=CRUSTClassifier), grid, cv=2).fit(FAR, Y)
    assert search.best_estimator_.label_quality_.shape == (N,)
    grid = {"lr": [0.01, 0.02], "selection_dataset": [Plain(), Dataset(X, Y)]}
    search = GridSearchCV(make(None, cls=CRUSTClassifier), grid, cv=2, error_score="raise")
    best = search.fit(SliceDataset(tensors), Y).best_estimator_
    assert np.isfinite(best.label_quality_).all()


def test_a_net_with_it_is_copied_and_pickled_and_goes_on():
    whole = make(Plain(), cls=CRUSTClassifier, max_epochs=6).fit(tensors)
    half = clone(make(Plain(), cls=CRUSTClassifier, max_epochs=3)).fit(tensors)
    half = pickle.loads(pickle.dumps(half)).partial_fit(tensors)
    np.testing.assert_array_equal(half.predict_proba(X), whole.predict_proba(X))
    np.testing.assert_array_equal(half.label_quality_, whole.label_quality_)
    assert len(half.coreset_history_) == len(whole.coreset_history_)


def test_other_rows_to_judge_begin_a_new_state():
    net = make(Plain(), cls=CRUSTClassifier).fit(FAR, Y)
    before = net.state_.fingerprint
    assert net.set_params(selection_dataset=Dataset(X)).partial_fit(FAR, Y) is net
    assert net.state_.fingerprint == before
    net.set_params(selection_dataset=Plain(shift=1.0)).partial_fit(FAR, Y)
    assert net.state_.fingerprint != before


def test_a_trimmed_net_lets_go_of_it():
    net = make(Plain(), cls=CRUSTClassifier).fit(FAR, Y)
    before = net.predict(X)
    net.trim_for_prediction()
    assert net.selection_dataset is None
    np.testing.assert_array_equal(net.predict(X), before)


def test_rows_of_weight_zero():
    weight = np.ones(N)
    weight[:10] = 0
    net = make(Plain(), cls=CRUSTClassifier, max_epochs=4).fit(FAR, Y, sample_weight=weight)
    alike = make(None, cls=CRUSTClassifier, max_epochs=4).fit(X, Y, sample_weight=weight)
    assert net.coreset_indices_.min() >= 10
    assert net.label_quality_.shape == alike.label_quality_.shape


class KilledError(Exception):
    """In the place of a kill."""


class Kill(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise KilledError


def test_a_killed_fit_goes_on(tmp_path):
    def build(*others):
        checkpoint = Checkpoint(monitor=None, dirname=str(tmp_path))
        callbacks = [checkpoint, LoadInitState(checkpoint), *others]
        return make(Plain(), cls=CRUSTClassifier, max_epochs=6, callbacks=callbacks)

    with pytest.raises(KilledError):
        build(Kill()).fit(FAR, Y)
    again = build().fit(FAR, Y)
    whole = make(Plain(), cls=CRUSTClassifier, max_epochs=6).fit(FAR, Y)
    assert len(again.history) == 6
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    with pytest.raises(ValueError, match="about other rows"):
        build().set_params(selection_dataset=Plain(shift=1.0)).fit(FAR, Y)


class Accelerated(AccelerateMixin, Noting):
    """Places batches by accelerate."""


def test_accelerate():
    net = make(Plain(), Accelerated, lr=0.0, accelerator=Accelerator(cpu=True)).fit(FAR, Y)
    assert_judged_plain(net)


def test_open_warmup_of_images():
    """Labels of images are judged on it, those held out as well."""
    images = np.repeat(X, 150, axis=1).reshape(N, 1, 20, 30) / 10
    plain, options = Plain(images), {"module__in_features": 600, "max_epochs": 6}
    net = make(plain, cls=CRUSTClassifier, **options).fit(images, Y)
    alike = make(None, cls=CRUSTClassifier, **options).fit(images, Y)
    np.testing.assert_array_equal(net.label_quality_, alike.label_quality_)
    np.testing.assert_array_equal(net.predict(images), alike.predict(images))
    few = int(plain.n_reads.min())
    # A selection, and the looks after one and two epochs at least.
    assert few >= len(net.coreset_history_) + 1


def test_dropped_rows_are_guessed_on_it():
    plain = Plain()
    options = {"dropped": "consistency", "augment": torch.Tensor.clone, "max_epochs": 4}
    net = make(plain, cls=CRUSTClassifier, **options)
    noisy = np.where(np.arange(N) % 3 == 0, (Y + 1) % 3, Y)
    net.fit(FAR, noisy)
    assert len(net.coreset_indices_) < N
    dropped = np.setdiff1d(np.arange(N), net.coreset_indices_)
    assert plain.n_reads[dropped].mean() > plain.n_reads[net.coreset_indices_].mean()


@pytest.mark.parametrize(
    "make_net",
    [
        lambda **params: SmallLossClassifier(MLP, noise_rate=0.2, **params),
        lambda **params: INCVClassifier(MLP, **params | {"max_epochs": 6}),
        lambda **params: DMIClassifier(MLP, **params | {"max_epochs": 4}),
    ],
    ids=["small-loss", "incv", "dmi"],
)
def test_other_methods_judge_rows_on_it(make_net):
    plain = Plain()
    net = make_net(selection_dataset=plain, **OPTIONS).fit(X, Y)
    alike = make_net(**OPTIONS).fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), alike.predict_proba(X))
    assert plain.n_reads.max() > 0


@pytest.mark.parametrize("positions", [None, np.arange(0, N, 3)[::-1]], ids=["all", "some"])
def test_a_stage_judges_its_own_rows_on_it(positions):
    class Staged(StagesMixin, NoisyLabelClassifier):
        def prepare_training(self):
            codes = np.zeros(N, int) if positions is None else np.arange(len(positions)) % 3
            self.stage_ = self.train_stage(
                "first", Noting, positions=positions, codes=np.r_[1, codes[1:]]
            )

    stage = make(move_back, Staged, lr=0.0, selection_dataset__shift=0.0).fit(FAR, Y).stage_
    rows = np.arange(N) if positions is None else positions
    codes = np.zeros(N, int) if positions is None else np.arange(len(rows)) % 3
    codes[0] = 1
    assert_judged_plain(stage, len(rows), FAR[rows], (FAR - 100)[rows], codes)


class Endless(IterableDataset):
    """Gives rows one after another."""

    def __iter__(self):
        yield from X


class Unsized(torch.utils.data.Dataset):
    """Does not say how many rows it has."""

    def __getitem__(self, i):
        return X[i]


class Triples(Plain):
    """Gives more than pairs."""

    def __getitem__(self, i):
        return self.X[i], Y[i], i


class Hidden(Plain):
    """Has labels that only its items tell."""

    def __getitem__(self, i):
        return self.X[i], (Y[i] + 1) % 3


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (X, TypeError, r"selection_dataset is a ndarray.*skorch\.dataset\.Dataset\(X\)"),
        ("plain", TypeError, "selection_dataset is a str.*Give a torch Dataset"),
        (Endless(), TypeError, "selection_dataset is, or returns, a Endless.*__len__"),
        (Unsized(), TypeError, "selection_dataset is, or returns, a Unsized.*__len__"),
        (lambda X, y: X, TypeError, "is, or returns, a ndarray"),
        (Plain(X[:50]), ValueError, "selection_dataset has 50 rows, and X has 60.*in the same ord"),
        (Triples(), ValueError, "selection_dataset gives items of 3"),
        (Dataset(X, Y[::-1]), ValueError, "selection_dataset has other labels than X: row "),
        (Dataset(X, NAMES), ValueError, "selection_dataset has other labels than X: row 0 has '"),
        (Hidden(), ValueError, "selection_dataset has other labels than X: row 0"),
        (Plain(X[:, :3]), ValueError, "fails on the first rows of selection_dataset"),
    ],
    ids=["array", "str", "iterable", "unsized", "no-dataset", "length", "triples", "order", "kind"]
    + ["items", "shape"],
)  # fmt: skip
def test_what_cannot_be_judged_on_is_refused_before_training(given, error, message):
    net = make(given)
    with pytest.raises(error, match=message):
        net.fit(FAR, Y)
    assert not net.initialized_
    assert make(None).fit(FAR, Y).initialized_


@pytest.mark.parametrize("given", [None, Plain()], ids=["none", "instance"])
def test_parameters_without_anything_that_takes_them(given):
    with pytest.raises(TypeError, match="selection_dataset__shift is given, and selection_dataset"):
        make(given, selection_dataset__shift=1.0).fit(FAR, Y)


def test_it_shows():
    assert "selection_dataset=<function move_back" in repr(make(move_back))
    assert "  selection_dataset" not in repr(make(None))
