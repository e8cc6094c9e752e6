"""Rows and labels of datasets of any class."""

import numpy as np
import pytest
import skorch.dataset
import torch
from scipy import sparse
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset, default_collate

from crust_sklearn.data import (
    RelabelledDataset,
    base_rows,
    fetch_rows,
    innermost,
    is_plain,
    read_labels,
    with_labels,
)

# skorch's own reading of items warns so where pandas hands out read-only memory.
pytestmark = pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")

N = 12
X = np.random.RandomState(0).standard_normal((N, 4)).astype(np.float32)
Y = np.arange(N) % 3


def stock(data=X, y=Y):
    return skorch.dataset.Dataset(data, y)


@pytest.mark.parametrize("rows", [[3], [5, 0, 11], [7, 7, 1], list(range(N))], ids=str)
def test_a_batch_is_the_items_collated(dataset, rows, assert_same):
    fetched = fetch_rows(dataset, np.array(rows), default_collate)
    assert_same(list(fetched), list(default_collate([dataset[i] for i in rows])))


def test_through_subsets_of_subsets(dataset, assert_same):
    inner = Subset(dataset, [9, 8, 7, 6, 5, 4])
    outer = Subset(inner, np.array([5, 0, 2]))
    fetched = fetch_rows(outer, np.array([2, 0]), default_collate)
    assert_same(list(fetched), list(default_collate([dataset[7], dataset[4]])))
    assert base_rows(outer).tolist() == [4, 9, 7]
    assert innermost(outer) is dataset


NAMES = np.array(["one", "two", "three"])[Y]
NESTED = Subset(RelabelledDataset(Subset(stock(), [9, 8, 7, 6, 5, 4]), Y[:6]), [4, 1, 0, 2])


@pytest.mark.parametrize("rows", [[3], [2, 0, 1], [1, 1]], ids=str)
def test_relabelled_rows_are_the_items_collated(dataset, rows, assert_same):
    codes = np.arange(10, 10 + N)
    some = RelabelledDataset(Subset(dataset, [9, 8, 7, 6]), codes[:4])
    for relabelled in (RelabelledDataset(dataset, codes), some, Subset(some, [3, 2, 1, 0])):
        fetched = fetch_rows(relabelled, np.array(rows), default_collate)
        assert_same(list(fetched), list(default_collate([relabelled[i] for i in rows])))


@pytest.mark.parametrize(
    ("inner", "n_items"),
    [(NESTED, 4), (RelabelledDataset(NESTED, Y[:4]), 4), (stock(y=NAMES), N), (stock(y=None), N)],
    ids=["nested", "twice", "names", "no labels"],
)
def test_relabelled_rows_have_the_last_labels(inner, n_items, assert_same):
    relabelled = RelabelledDataset(inner, 5 + np.arange(n_items))
    x, y = fetch_rows(relabelled, np.array([2, 0]), default_collate)
    assert_same([x, y], list(default_collate([relabelled[2], relabelled[0]])))
    assert y.tolist() == [7, 5]


@pytest.mark.parametrize("kind", [str, object])
def test_labels_that_are_names_stay_names(kind, assert_same):
    names = NAMES.astype(kind)
    for dataset in (stock(y=names), RelabelledDataset(stock(), names)):
        x, y = fetch_rows(dataset, np.array([4, 2]), default_collate)
        assert y == ["two", "three"]
        assert_same(x, torch.from_numpy(X[[4, 2]]))


def test_relabelled_rows_are_had_by_one_indexing(monkeypatch):
    relabelled = RelabelledDataset(Subset(RelabelledDataset(stock(), Y), [4, 2]), Y[:2])
    monkeypatch.setattr(RelabelledDataset, "__getitem__", None)
    x, y = fetch_rows(Subset(relabelled, [1]), np.array([0]), default_collate)
    np.testing.assert_array_equal(x, X[[2]])
    assert y.tolist() == [1]


def test_rows_without_labels_have_what_skorch_gives_for_them(assert_same):
    unlabelled = skorch.dataset.Dataset(X)
    fetched = fetch_rows(unlabelled, np.array([4, 2]), default_collate)
    assert_same(list(fetched), list(default_collate([unlabelled[4], unlabelled[2]])))


def test_a_sparse_array_whose_items_skorch_cannot_read_with_every_scipy():
    thin = sparse.csr_array(np.where(X > 0, X, 0))
    x, y = fetch_rows(stock(thin), np.array([4, 2]), default_collate)
    assert torch.equal(x, torch.from_numpy(thin.toarray()[[4, 2]]))
    assert y.tolist() == [1, 2]


def test_a_subclass_of_subset_is_read_item_by_item():
    class Shifted(Subset):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x + 1, y

        def __getitems__(self, positions):
            return [self[i] for i in positions]

    shifted = Shifted(stock(), [4, 2])
    for dataset in (shifted, RelabelledDataset(shifted, Y[:2])):
        x, _ = fetch_rows(dataset, np.array([1]), default_collate)
        np.testing.assert_array_equal(x, X[[2]] + 1)


def test_a_collate_function_of_ones_own_is_asked():
    def collate(items):
        return "X", [int(y) for _, y in items]

    assert fetch_rows(stock(), np.array([4, 2]), collate) == ("X", [1, 2])


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (stock(), True),
        (stock(y=None), True),
        (stock({"a": X, "b": [torch.as_tensor(X)]}), True),
        (stock(np.array(["a"] * N)), False),
        (stock(y=Y.tolist()), False),
        (type("Own", (skorch.dataset.Dataset,), {"__getitem__": lambda self, i: i})(X, Y), False),
        (TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)), False),
        (Subset(stock(), [1]), False),
    ],
)
def test_what_can_be_read_by_one_indexing(dataset, expected):
    assert is_plain(dataset) is expected


class Items(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return X[i], int(Y[i])


class Targets(Items):
    targets = (10 * Y).tolist()


class Labels(Items):
    labels = torch.tensor(10 * Y)


class WrongLength(Items):
    y = Y[:3]


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (stock(), Y),
        (TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), Y),
        (Targets(), 10 * Y),
        (Labels(), 10 * Y),
        (RelabelledDataset(Items(), Y + 5), Y + 5),
        (Subset(Targets(), [4, 2]), 10 * Y[[4, 2]]),
        (Subset(Subset(stock(), [4, 2, 1]), torch.tensor([2, 0])), Y[[1, 4]]),
        (ConcatDataset([Subset(stock(), [4, 2]), Targets()]), [*Y[[4, 2]], *10 * Y]),
        (Items(), None),
        (WrongLength(), None),
        (Subset(Items(), [1]), None),
        (ConcatDataset([stock(), Items()]), None),
        (stock(y=None), None),
        (TensorDataset(torch.from_numpy(X)), None),
        (TensorDataset(*[torch.from_numpy(X)] * 3), None),
    ],
)
def test_labels_are_read(dataset, expected):
    y = read_labels(dataset)
    if expected is None:
        assert y is None
    else:
        assert np.asarray(y).tolist() == list(expected)


@pytest.mark.parametrize(
    "dataset",
    [
        stock(),
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        RelabelledDataset(Items(), Y),
        Subset(stock(), [4, 2, 0]),
        Subset(Subset(stock(), [4, 2, 0]), [1, 1]),
    ],
)
def test_labels_are_decoded_and_rows_are_kept(dataset, assert_same):
    names = np.array(["zero", "one", "two"])
    decoded = with_labels(dataset, lambda y: names[np.asarray(y)])
    assert len(decoded) == len(dataset)
    assert base_rows(decoded).tolist() == base_rows(dataset).tolist()
    for i in range(len(dataset)):
        (x, y), (same_x, name) = dataset[i], decoded[i]
        assert name == names[int(y)]
        assert_same(default_collate([same_x]), default_collate([x]))
    assert np.asarray(read_labels(decoded)).tolist() == [
        names[int(dataset[i][1])] for i in range(len(dataset))
    ]


def test_where_there_are_no_labels_none_are_decoded(custom):
    dataset = custom()
    assert with_labels(None, str) is None
    assert with_labels(dataset, str) is dataset


@pytest.mark.parametrize(
    "old",
    [
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        TensorDataset(torch.from_numpy(X)),
        X,
    ],
    ids=["pair", "tuple of one", "x alone"],
)
def test_relabelled_ignores_the_old_label(old):
    dataset = RelabelledDataset(old, Y + 5)
    assert len(dataset) == N
    x, y = dataset[4]
    np.testing.assert_array_equal(x, X[4])
    assert y == Y[4] + 5
