"""Rows of any kind of array: the same net, or an error that names X."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_blobs
from torch import nn
from torch.utils.data import TensorDataset

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP, ResNet20, SmallCNN
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)


def make(module=MLP, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": 1, "lr": 0.1, "batch_size": 32}
    return CRUSTClassifier(module, **defaults | {"verbose": 0, "random_state": 0} | params)


def assert_trained_alike(net, reference):
    np.testing.assert_array_equal(net.coreset_indices_, reference.coreset_indices_)
    np.testing.assert_allclose(
        net.history[:, "train_loss"], reference.history[:, "train_loss"], rtol=1e-4
    )


@pytest.fixture(scope="module")
def reference():
    return make().fit(X, Y)


def as_read_only(x):
    x = x.copy()
    x.setflags(write=False)
    return x


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
    "read-only": as_read_only,
}


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


def test_memmap(tmp_path, reference):
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

    def __init__(self, num_classes):
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
@pytest.mark.parametrize("settings", [{}, {"coreset_size": "auto", "gradient": "leave-one-out"}])
def test_dict_of_arrays(convert, settings):
    given = {"left": convert(X[:, :1].copy()), "right": convert(X[:, 1:].copy())}
    net, plain = make(TwoInputs, **settings).fit(given, Y), make(**settings).fit(X, Y)
    assert_trained_alike(net, plain)
    np.testing.assert_array_equal(net.predict(given), plain.predict(X))
    assert not hasattr(net, "n_features_in_")


def test_data_frame_by_column_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    by_name, plain = make(ByName).fit(frame, Y), make().fit(X, Y)
    assert_trained_alike(by_name, plain)
    np.testing.assert_allclose(
        by_name.predict_proba(frame), plain.predict_proba(X), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    ("module", "shape"), [(SmallCNN, (12, 3, 16, 16)), (ResNet20, (12, 1, 16, 16))]
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


# -- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "y"),
    [
        (X, Y[:-1]),
        (torch.from_numpy(X), Y[:-1]),
        (TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), Y[:5]),
        ({"X": X}, Y[:7]),
        (X[:5], Y),
        (sparse.csr_matrix(X), Y[:-1]),
    ],
    ids=["array", "tensor", "dataset", "dict", "more labels", "csr"],
)
def test_lengths(given, y):
    with pytest.raises(ValueError, match=r"(?s)X .*rows.* y .*one label per row"):
        make().fit(given, y)


def with_bad(value, row=3):
    bad = X.copy()
    bad[row, 1] = value
    return bad


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
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        make().fit(convert(with_bad(bad)), Y)


def test_data_frame_by_names_that_is_not_finite():
    frame = pd.DataFrame(with_bad(np.nan), columns=list("abcd"))
    with pytest.raises(ValueError, match="X contains NaN"):
        make(ByName).fit(frame, Y)


def test_prediction_refuses_what_is_not_finite(reference):
    with pytest.raises(ValueError, match="X contains NaN"):
        reference.predict(with_bad(np.nan))
