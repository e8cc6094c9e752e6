import pickle

import numpy as np
import pandas as pd
import pytest
import skorch.dataset
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset, default_collate

from crust_sklearn.coreset_dataset import (
    CoresetDataset,
    IndexedBatch,
    MixedBatch,
    Partners,
    RelabelledDataset,
    WeightedBatch,
    base_rows,
    fetch_rows,
    keep_batch,
    mix,
    read_labels,
    with_labels,
)

# skorch's own reading of items warns so where pandas hands out read-only memory.
pytestmark = pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")

N = 12
RNG = np.random.RandomState(0)
X = RNG.standard_normal((N, 4)).astype(np.float32)
Y = np.arange(N) % 3
FRAME = pd.DataFrame(X, columns=list("abcd"), index=np.arange(N) * 7 % 12)


class Custom(torch.utils.data.Dataset):
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
every_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)


def assert_same(left, right):
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_same(a, b)
    else:
        assert left.dtype == right.dtype
        torch.testing.assert_close(left, right, rtol=0, atol=0)


@every_dataset
@pytest.mark.parametrize("rows", [[3], [5, 0, 11], [7, 7, 1], list(range(N))])
def test_a_batch_is_the_items_collated(dataset, rows):
    fetched = fetch_rows(dataset, np.array(rows), default_collate)
    assert_same(list(fetched), list(default_collate([dataset[i] for i in rows])))


@every_dataset
def test_through_subsets_of_subsets(dataset):
    inner = Subset(dataset, [9, 8, 7, 6, 5, 4])
    outer = Subset(inner, np.array([5, 0, 2]))
    fetched = fetch_rows(outer, np.array([2, 0]), default_collate)
    assert_same(list(fetched), list(default_collate([dataset[7], dataset[4]])))
    assert base_rows(outer).tolist() == [4, 9, 7]


def test_a_sparse_array_whose_items_skorch_cannot_read():
    thin = sparse.csr_array(np.where(X > 0, X, 0))
    with pytest.raises(ValueError, match="squeeze"):
        stock(thin)[0]
    x, y = fetch_rows(stock(thin), np.array([4, 2]), default_collate)
    assert torch.equal(x, torch.from_numpy(thin.toarray()[[4, 2]]))
    assert y.tolist() == [1, 2]


def test_a_collate_function_of_ones_own_is_asked():
    def collate(items):
        return "X", [int(y) for _, y in items]

    assert fetch_rows(stock(X), np.array([4, 2]), collate) == ("X", [1, 2])


# The coreset --------------------------------------------------------------------------------------


@every_dataset
def test_without_weights_and_mixup_it_is_a_subset(dataset):
    rows = np.array([8, 1, 5, 2])
    coreset = CoresetDataset(dataset, rows)
    assert len(coreset) == 4
    ours = list(DataLoader(coreset, batch_size=3, collate_fn=keep_batch))
    theirs = list(DataLoader(Subset(dataset, rows.tolist()), batch_size=3))
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        assert_same(list(a), list(b))


@every_dataset
def test_weights_travel_with_their_rows(dataset):
    rows, weights = np.array([8, 1, 5, 2]), np.array([0.5, 1.5, 2.0, 0.0])
    batch, y = CoresetDataset(dataset, rows, weights).__getitems__([2, 0])
    assert isinstance(batch, WeightedBatch)
    assert batch.weight.dtype == torch.float32
    assert batch.weight.tolist() == [2.0, 0.5]
    expected = default_collate([dataset[5], dataset[8]])
    assert_same([batch.x, y], list(expected))


@every_dataset
def test_indexed_batches_say_their_positions(dataset):
    coreset = CoresetDataset(dataset, np.array([8, 1, 5]), np.ones(3), indexed=True)
    batch, y = coreset.__getitems__([2, 0])
    assert isinstance(batch, IndexedBatch)
    assert batch.position.tolist() == [2, 0]
    assert_same([batch.x, y], list(default_collate([dataset[5], dataset[8]])))


@every_dataset
def test_an_item_is_a_batch_of_one_without_its_axis(dataset):
    coreset = CoresetDataset(dataset, np.array([8, 1]), np.array([0.5, 1.5]))
    batch, y = coreset[1]
    assert isinstance(batch, WeightedBatch)
    assert batch.weight.item() == 1.5
    x, label = default_collate([dataset[1]])
    assert y.item() == label.item()
    stacked = default_collate([batch.x])
    assert_same(stacked, list(x) if isinstance(x, tuple) else x)


# Mixup --------------------------------------------------------------------------------------------


@st.composite
def pools(draw):
    n_rows = draw(st.integers(1, 15))
    pool = np.array(draw(st.lists(st.integers(-1, 4), min_size=n_rows, max_size=n_rows)))
    pool[draw(st.integers(0, n_rows - 1))] = draw(st.integers(0, 4))
    members = np.flatnonzero(pool >= 0)
    chosen = draw(st.lists(st.sampled_from(members.tolist()), min_size=1, max_size=6))
    return pool, np.array(chosen)


@given(pools(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_partners_come_from_the_pool_and_all_of_it(problem, seed):
    pool, chosen = problem
    partners = Partners(pool[chosen], pool)
    rng = np.random.default_rng(seed)
    seen = np.array([partners.draw(np.arange(len(chosen)), rng) for _ in range(300)])
    assert (pool[seen] == pool[chosen]).all()
    for position, row in enumerate(chosen):
        mates = np.flatnonzero(pool == pool[row])
        if len(mates) <= 8:  # missing one of 8 in 300 draws: once in 10**17
            assert sorted(set(seen[:, position].tolist())) == mates.tolist()


def mixed(alpha=(1.0, 1.0), mixup="pool", rows=None, **more):
    rows = np.arange(N) if rows is None else rows
    partners = Partners(Y[rows], Y) if mixup == "pool" else None
    return CoresetDataset(stock(X), rows, mixup=mixup, mixup_alpha=alpha, partners=partners, **more)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 10**6))
@settings(deadline=None)
def test_mixed_batches_hold_partners_of_the_pool(positions, seed):
    rows = np.array([3, 7, 2, 10, 0, 11])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        batch, y = mixed(rows=rows, weights=np.arange(6.0)).__getitems__(positions)
    assert isinstance(batch, MixedBatch)
    assert batch.weight.tolist() == positions
    np.testing.assert_array_equal(batch.x, X[rows[positions]])
    np.testing.assert_array_equal(y, Y[rows[positions]])
    np.testing.assert_array_equal(batch.partner_y, y)  # the pools are the classes
    partner = [np.flatnonzero((row == X).all(axis=1)).item() for row in batch.partner_x.numpy()]
    np.testing.assert_array_equal(Y[partner], y)
    assert ((batch.share >= 0) & (batch.share <= 1)).all()
    assert batch.share.dtype == torch.float32


@given(st.integers(1, N), st.integers(0, 10**6))
@settings(deadline=None)
def test_plain_mixup_takes_partners_from_the_batch(n_rows, seed):
    positions = list(range(n_rows))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        batch, y = mixed(mixup="batch").__getitems__(positions)
    partner = [np.flatnonzero((row == X).all(axis=1)).item() for row in batch.partner_x.numpy()]
    assert sorted(partner) == positions
    np.testing.assert_array_equal(batch.partner_y, Y[partner])
    np.testing.assert_array_equal(y, Y[:n_rows])
    assert batch.weight.tolist() == [1.0] * n_rows


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (4.0, 1.0), (0.2, 0.2)])
def test_shares_are_beta_distributed(a, b):
    coreset = mixed((a, b))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batches = [coreset.__getitems__(range(N))[0] for _ in range(300)]
    share = torch.stack([batch.share for batch in batches]).numpy()
    n, mean, variance = share.size, a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(share.mean() - mean) < 5 * np.sqrt(variance / n)
    np.testing.assert_allclose(share.var(), variance, rtol=0.15)
    # One share for each row, not one for the batch.
    assert all(len(np.unique(row)) > 1 for row in share)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_mix_formula(dtype):
    rng = np.random.RandomState(0)
    x, partner = rng.standard_normal((2, 5, 3, 2))
    share = rng.uniform(size=5)
    out = mix(torch.tensor(x, dtype=dtype), torch.tensor(partner, dtype=dtype), torch.tensor(share))
    assert out.dtype == dtype
    expected = [s * a + (1 - s) * b for s, a, b in zip(share, x, partner, strict=True)]
    np.testing.assert_allclose(out, expected, atol=1e-2 if dtype == torch.float16 else 1e-6)


def test_mix_in_dicts_and_lists():
    one, two, share = torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([0.25, 1.0])
    expected = torch.tensor([[0.25] * 3, [1.0] * 3])
    assert torch.equal(mix({"a": one}, {"a": two}, share)["a"], expected)
    for container in (list, tuple):
        out = mix(container([one, [one]]), container([two, [two]]), share)
        assert torch.equal(out[0], expected)
        assert torch.equal(out[1][0], expected)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers_are_mixed_as_float32(dtype):
    x, partner = torch.ones(2, 3).to(dtype), torch.zeros(2, 3).to(dtype)
    mixed = mix(x, partner, torch.tensor([0.25, 1.0]))
    assert mixed.dtype == torch.float32
    assert mixed.tolist() == [[0.25] * 3, [1.0] * 3]


# In a DataLoader ----------------------------------------------------------------------------------


def epoch(dataset, seed, num_workers):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        loader = DataLoader(
            dataset, 4, shuffle=True, num_workers=num_workers, collate_fn=keep_batch
        )
        return [(batch.x, batch.partner_x, batch.share, y) for batch, y in loader]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_epochs_are_reproducible_under_the_seed_of_torch(num_workers):
    coreset = mixed()
    first, again, other = (epoch(coreset, seed, num_workers) for seed in (0, 0, 1))
    assert_same(first, again)
    shares = [torch.cat([share for _, _, share, _ in batches]) for batches in (first, other)]
    assert not torch.equal(*shares)
    # Workers do not repeat each other's draws.
    assert len(torch.unique(shares[0])) == N
    assert (
        torch.cat([x for x, _, _, _ in first])
        .sort(dim=0)[0]
        .equal(torch.from_numpy(X).sort(dim=0)[0])
    )


def test_numpy_is_left_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    epoch(mixed(), 0, 0)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_pickle():
    coreset = pickle.loads(pickle.dumps(mixed(weights=np.ones(N))))
    assert_same(epoch(coreset, 0, 0), epoch(mixed(weights=np.ones(N)), 0, 0))


# Labels inside datasets ---------------------------------------------------------------------------


class Targets(Custom):
    targets = (10 * Y).tolist()


class Labels(Custom):
    labels = torch.tensor(10 * Y)


class WrongLength(Custom):
    y = Y[:3]


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (stock(X), Y),
        (TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), Y),
        (Targets(), 10 * Y),
        (Labels(), 10 * Y),
        (RelabelledDataset(Custom(), Y + 5), Y + 5),
        (Subset(Targets(), [4, 2]), 10 * Y[[4, 2]]),
        (Subset(Subset(stock(X), [4, 2, 1]), torch.tensor([2, 0])), Y[[1, 4]]),
        (ConcatDataset([Subset(stock(X), [4, 2]), Targets()]), [*Y[[4, 2]], *10 * Y]),
        (Custom(), None),
        (WrongLength(), None),
        (Subset(Custom(), [1]), None),
        (ConcatDataset([stock(X), Custom()]), None),
        (skorch.dataset.Dataset(X), None),
    ],
)
def test_read_labels(dataset, expected):
    y = read_labels(dataset)
    if expected is None:
        assert y is None
    else:
        assert np.asarray(y).tolist() == list(expected)


@pytest.mark.parametrize(
    "dataset",
    [
        stock(X),
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        RelabelledDataset(Custom(), Y),
        Subset(stock(X), [4, 2, 0]),
        Subset(Subset(stock(X), [4, 2, 0]), [1, 1]),
    ],
)
def test_with_labels_decodes_and_keeps_X(dataset):
    names = np.array(["zero", "one", "two"])
    decoded = with_labels(dataset, lambda y: names[np.asarray(y)])
    assert len(decoded) == len(dataset)
    assert base_rows(decoded).tolist() == base_rows(dataset).tolist()
    for i in range(len(dataset)):
        (x, y), (same_x, name) = dataset[i], decoded[i]
        assert name == names[int(y)]
        assert_same(*map(lambda part: default_collate([part]), (same_x, x)))
    assert np.asarray(read_labels(decoded)).tolist() == [
        names[int(dataset[i][1])] for i in range(len(dataset))
    ]


def test_with_labels_where_there_are_none():
    custom = Custom()
    assert with_labels(None, str) is None
    assert with_labels(custom, str) is custom


@pytest.mark.parametrize("item", ["pair", "x alone"])
def test_relabelled_ignores_the_old_label(item):
    old = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)) if item == "pair" else X
    dataset = RelabelledDataset(old, Y + 5)
    assert len(dataset) == N
    x, y = dataset[4]
    np.testing.assert_array_equal(x, X[4])
    assert y == Y[4] + 5
