"""Datasets of every kind, with the same rows and labels."""

import numpy as np
import pandas as pd
import pytest
import skorch.dataset
import torch
from scipy import sparse
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from crust_sklearn.data import RelabelledDataset

N = 12
X = np.random.RandomState(0).standard_normal((N, 4)).astype(np.float32)
Y = np.arange(N) % 3
FRAME = pd.DataFrame(X, columns=list("abcd"), index=np.arange(N) * 7 % 12)


class Custom(Dataset):
    """Knows items and a length, nothing else."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return {"x": torch.from_numpy(X[i]), "i": i}, int(Y[i])


class Doubling(skorch.dataset.Dataset):
    """Overrides what skorch does to an item, which a fast path must not skip."""

    def transform(self, X, y):
        x, y = super().transform(X, y)
        return 2 * x, y


def stock(data):
    return skorch.dataset.Dataset(data, Y)


DATASETS = {
    "array": stock(X),
    "float64": stock(X.astype(np.float64)),
    "images": stock(X.reshape(N, 1, 2, 2)),
    "fortran": stock(np.asfortranarray(X)),
    "read-only": stock(np.frombuffer(X.tobytes(), np.float32).reshape(N, 4)),
    "tensor": stock(torch.from_numpy(X)),
    "dict": stock({"one": X, "two": torch.from_numpy(X[:, :1]), "ids": np.arange(N)}),
    "list of two": stock([X, X[:, :2]]),
    "tuple of two": stock((X, X[:, :2])),
    "frame": stock(FRAME),
    "frame of two dtypes": stock(FRAME.assign(n=np.arange(N))),
    "sparse": stock(sparse.csr_matrix(np.where(X > 0, X, 0))),
    "list of labels": skorch.dataset.Dataset(X, Y.tolist()),
    "doubling": Doubling(X, Y),
    "tensors": TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "custom": Custom(),
    "relabelled": RelabelledDataset(Custom(), 2 - Y),
    "concat": ConcatDataset([Subset(stock(X), [0, 1, 2]), Subset(stock(X), range(3, N))]),
}


@pytest.fixture(params=DATASETS)
def dataset(request):
    return DATASETS[request.param]


@pytest.fixture
def custom():
    """Return the class of a dataset that knows items and a length, nothing else."""
    return Custom


def check_same(left, right):
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            check_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            check_same(a, b)
    else:
        assert left.dtype == right.dtype
        torch.testing.assert_close(left, right, rtol=0, atol=0)


@pytest.fixture
def assert_same():
    """Return the check that batches are the same, in form, dtypes and numbers."""
    return check_same
