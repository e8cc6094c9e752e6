"""The rows of an epoch as batches: the items collated, with numbers, weights and mixtures."""

import pickle

import numpy as np
import pytest
import skorch.dataset
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset, default_collate

from crust_sklearn.data import (
    BatchedDataset,
    CoresetDataset,
    MixedBatch,
    Mixing,
    Mixtures,
    RowBatch,
    keep_batch,
)

# skorch's own reading of items warns so where pandas hands out read-only memory.
pytestmark = pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")

N = 12
X = np.random.RandomState(1).standard_normal((N, 4)).astype(np.float32)
Y = np.arange(N) % 3
STOCK = skorch.dataset.Dataset(X, Y)


@pytest.mark.parametrize("make", [lambda data: data, lambda data: Subset(data, range(N))])
def test_batched_batches_are_those_of_the_dataset(dataset, make, assert_same):
    batched = BatchedDataset(make(dataset))
    assert len(batched) == N
    ours = list(DataLoader(batched, batch_size=5, collate_fn=keep_batch))
    theirs = list(DataLoader(dataset, batch_size=5))
    for a, b in zip(ours, theirs, strict=True):
        assert_same(list(a), list(b))


def test_without_weights_and_mixtures_it_is_a_subset_that_knows_its_rows(dataset, assert_same):
    rows = np.array([8, 1, 5, 2])
    coreset = CoresetDataset(dataset, rows)
    assert len(coreset) == 4
    ours = list(DataLoader(coreset, batch_size=3, collate_fn=keep_batch))
    theirs = list(DataLoader(Subset(dataset, rows.tolist()), batch_size=3))
    assert [batch.rows.tolist() for batch, _ in ours] == [[8, 1, 5], [2]]
    assert [batch.weight.tolist() for batch, _ in ours] == [[1.0] * 3, [1.0]]
    for (batch, y), expected in zip(ours, theirs, strict=True):
        assert isinstance(batch, RowBatch)
        assert_same([batch.x, y], list(expected))


def test_weights_and_numbers_travel_with_their_rows(dataset, assert_same):
    rows, weights = np.array([8, 1, 5, 2]), np.array([0.5, 1.5, 2.0, 0.0])
    coreset = CoresetDataset(dataset, rows, weights=weights, numbers=100 + np.arange(N))
    batch, y = coreset.__getitems__([2, 0])
    assert isinstance(batch, RowBatch)
    assert batch.weight.dtype == torch.float32
    assert batch.rows.dtype == torch.int64
    assert batch.weight.tolist() == [2.0, 0.5]
    assert batch.rows.tolist() == [105, 108]
    assert_same([batch.x, y], list(default_collate([dataset[5], dataset[8]])))


def test_an_item_is_a_batch_of_one_without_its_axis(dataset, assert_same):
    batch, y = CoresetDataset(dataset, np.array([8, 1]), weights=np.array([0.5, 1.5]))[1]
    assert isinstance(batch, RowBatch)
    assert (batch.weight.item(), batch.rows.item()) == (1.5, 1)
    x, label = default_collate([dataset[1]])
    assert y.item() == label.item()
    assert_same(default_collate([batch.x]), list(x) if isinstance(x, tuple) else x)


def test_a_collate_function_of_ones_own_is_asked():
    def collate(items):
        return "X", [int(y) for _, y in items]

    batch, y = CoresetDataset(STOCK, np.array([4, 2]), collate_fn=collate).__getitems__([1, 0])
    assert (batch.x, y) == ("X", [2, 1])


def mixed(rows=None, alpha=(1.0, 1.0), pools=Y, seed=0, **more):
    rows = np.arange(N) if rows is None else rows
    mixtures = Mixing(alpha, pools).draw(rows, np.random.default_rng(seed))
    return CoresetDataset(STOCK, rows, mixtures=mixtures, **more)


def find(x):
    """Return which row of X each is."""
    return [np.flatnonzero((row == X).all(axis=1)).item() for row in x.numpy()]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 10**6))
def test_mixed_batches_hold_partners_of_the_pool(positions, seed):
    rows = np.array([3, 7, 2, 10, 0, 11])
    numbers = 50 - np.arange(N)
    coreset = mixed(rows, seed=seed, weights=np.arange(6.0), numbers=numbers)
    batch, y = coreset.__getitems__(positions)
    assert isinstance(batch, MixedBatch)
    assert batch.weight.tolist() == positions
    np.testing.assert_array_equal(batch.x, X[rows[positions]])
    np.testing.assert_array_equal(y, Y[rows[positions]])
    np.testing.assert_array_equal(batch.rows, numbers[rows[positions]])
    partners = find(batch.partner_x)
    np.testing.assert_array_equal(batch.partner_y, Y[partners])
    np.testing.assert_array_equal(batch.partner_y, y)  # the pools are the classes
    np.testing.assert_array_equal(batch.partner_rows, numbers[partners])
    assert batch.share.dtype == torch.float32
    np.testing.assert_allclose(batch.share, coreset.mixtures.share[positions], rtol=1e-6)


@given(st.integers(1, N), st.integers(0, 10**6))
def test_plain_mixup_takes_partners_from_the_batch(n_rows, seed):
    positions = list(range(n_rows))
    batch, y = mixed(pools=None, seed=seed, numbers=np.arange(N) + 7).__getitems__(positions)
    partners = find(batch.partner_x)
    assert sorted(partners) == positions
    np.testing.assert_array_equal(batch.partner_y, Y[partners])
    np.testing.assert_array_equal(batch.partner_rows, np.array(partners) + 7)
    np.testing.assert_array_equal(y, Y[:n_rows])
    assert batch.weight.tolist() == [1.0] * n_rows


def test_plain_mixup_of_dicts_permutes_all_of_their_leaves():
    data = skorch.dataset.Dataset({"a": X, "b": X[:, :1]}, Y)
    mixtures = Mixtures(np.full(3, 0.5), None, np.array([0.3, 0.9, 0.1]))
    batch, _ = CoresetDataset(data, np.array([5, 6, 7]), mixtures=mixtures).__getitems__([0, 1, 2])
    order = [2, 0, 1]
    assert torch.equal(batch.partner_x["a"], batch.x["a"][order])
    assert torch.equal(batch.partner_x["b"], batch.x["b"][order])
    assert torch.equal(batch.partner_rows, batch.rows[order])


def epoch(coreset, seed, num_workers):
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(
        coreset, 4, True, num_workers=num_workers, collate_fn=keep_batch, generator=generator
    )
    return [(*batch, y) for batch, y in loader]


@pytest.mark.parametrize("pools", [Y, None], ids=["pools", "batch"])
def test_workers_deliver_the_same_epoch(pools, assert_same):
    assert_same(epoch(mixed(pools=pools), 0, 0), epoch(mixed(pools=pools), 0, 2))


def test_the_order_of_the_rows_does_not_change_their_mixtures():
    def by_row(batches):
        columns = [torch.cat(column) for column in zip(*batches, strict=True)]
        _, rows, *_ = columns
        return [column[rows.argsort()].tolist() for column in columns]

    first, other = epoch(mixed(), 0, 0), epoch(mixed(), 1, 0)
    assert [b[1].tolist() for b in first] != [b[1].tolist() for b in other]
    assert by_row(first) == by_row(other)


def test_nothing_is_drawn_from_global_generators():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    epoch(mixed(pools=None), 0, 0)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_survives_a_pickle(assert_same):
    coreset = mixed(weights=np.ones(N))
    assert_same(epoch(pickle.loads(pickle.dumps(coreset)), 0, 0), epoch(coreset, 0, 0))
